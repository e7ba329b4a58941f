//! How the values of policy keys are read and written.

use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::channel::{Channel, PerChannel};
use crate::duration::Duration;
use crate::method::Methods;

/// Why a value is refused.
pub(super) enum Invalid {
    /// It is not one of those that the key takes.
    Value,
    /// It is, but for this reason.
    Because(String),
}

impl Invalid {
    pub(super) fn because(why: impl Into<String>) -> Self {
        Self::Because(why.into())
    }
}

/// `text` with the names of all methods and channels in place of `{methods}` and `{channels}`.
pub(super) fn with_names(text: &str) -> String {
    text.replace("{methods}", &Methods::ALL.to_string())
        .replace(
            "{channels}",
            &written_channels(PerChannel::from_fn(|_| true)),
        )
}

/// The one of `all` whose name is `text`.
pub(super) fn choice<T: Copy>(
    text: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, Invalid> {
    let mut all = all.iter().copied();
    all.find(|one| name(*one) == text).ok_or(Invalid::Value)
}

pub(super) fn bounded_number<T: FromStr + PartialOrd>(
    text: &str,
    range: RangeInclusive<T>,
) -> Result<T, Invalid> {
    let number = text.parse().ok();
    number.filter(|n| range.contains(n)).ok_or(Invalid::Value)
}

pub(super) fn bounded_duration(
    text: &str,
    range: RangeInclusive<Duration>,
) -> Result<Duration, Invalid> {
    bounded_number(text, range)
}

pub(super) fn switch(text: &str) -> Result<bool, Invalid> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Invalid::Value),
    }
}

pub(super) fn written_switch(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

/// A set of methods of which one can stand alone.
pub(super) fn methods(text: &str) -> Result<Methods, Invalid> {
    let methods: Methods = text.parse().map_err(|_| Invalid::Value)?;
    let alone = Methods::standing_alone();
    if methods.intersects(alone) {
        return Ok(methods);
    }
    let why = format!("{methods} cannot be the only method: allow at least one of {alone} too");
    Err(Invalid::Because(why))
}

pub(super) fn channels(text: &str) -> Result<PerChannel<bool>, Invalid> {
    let mut channels = PerChannel::from_fn(|_| false);
    if text == NO_CHANNEL || text.is_empty() {
        return Ok(channels);
    }
    for name in text.split(',') {
        let channel: Channel = name.trim().parse().map_err(|_| Invalid::Value)?;
        channels[channel] = true;
    }
    Ok(channels)
}

/// The names of the `channels` that are on, as [`channels`] reads them.
pub(super) fn written_channels(channels: PerChannel<bool>) -> String {
    let on = channels.iter().filter(|(_, is_on)| **is_on);
    let names: Vec<_> = on.map(|(channel, _)| channel.name()).collect();
    match names.as_slice() {
        [] => NO_CHANNEL.to_owned(),
        names => names.join(","),
    }
}

const NO_CHANNEL: &str = "none";

/// The name of a Unix group; `None`: empty.
pub(super) fn group(text: &str) -> Result<Option<String>, Invalid> {
    let is_good = |c: char| !c.is_whitespace() && !c.is_control() && !",:/".contains(c);
    if !text.chars().all(is_good) || text.len() > 64 {
        return Err(Invalid::Value);
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A country's code (ISO 3166-1 alpha-2), if `text` has the form of one. Which codes there are is known where numbers
/// are read.
pub(super) fn country(text: &str) -> Result<Option<String>, Invalid> {
    match text {
        "" => Ok(None),
        text if is_country(text) => Ok(Some(text.to_owned())),
        _ => Err(Invalid::Value),
    }
}

pub(super) fn countries(text: &str) -> Result<Vec<String>, Invalid> {
    let mut countries: Vec<String> = Vec::new();
    if text.is_empty() {
        return Ok(countries);
    }
    for country in text.split(',').map(str::trim) {
        if !is_country(country) {
            return Err(Invalid::Value);
        }
        if !countries.iter().any(|known| known == country) {
            countries.push(country.to_owned());
        }
    }
    Ok(countries)
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}
