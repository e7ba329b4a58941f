//! How what is typed is read.

use std::convert::Infallible;
use std::error::Error;
use std::ffi::OsStr;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use ipnet::IpNet;
use twofa_broker::admin::providers::settings::Given;
use twofa_broker::admin::users::{MethodFilter, StatusFilter, StatusKind};
use twofa_core::Channel;
use twofa_core::address::parse_address;
use twofa_core::method::METHODS;
use twofa_core::policy::KEYS;

use crate::qr_file::QrPath;

/// Takes these numbers and no others, and offers them to completions.
pub(super) fn one_of<T>(numbers: [&'static str; 2]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(numbers).try_map(|number| number.parse())
}

/// Takes the name of a method that somebody may have, or `none`, and offers them to completions.
pub(super) fn method_filter() -> impl TypedValueParser<Value = MethodFilter> {
    let methods = METHODS
        .iter()
        .map(|info| PossibleValue::new(info.name).help(info.noun));
    let none = PossibleValue::new("none").help("none at all");
    PossibleValuesParser::new(methods.chain([none])).try_map(|name| match name.as_str() {
        "none" => Ok(MethodFilter::Nothing),
        name => name.parse().map(MethodFilter::Has),
    })
}

/// Takes the name of a file for a QR code.
pub(super) fn qr_path() -> impl TypedValueParser<Value = QrPath> {
    OsStringValueParser::new().try_map(QrPath::read)
}

/// Takes the name of a status, and offers them to completions.
pub(super) fn status_filter() -> impl TypedValueParser<Value = StatusFilter> {
    const NONE: &str = "none";
    let kinds = StatusKind::ALL.map(|kind| {
        PossibleValue::new(kind.name()).help(match kind {
            StatusKind::Off => "not asked for a code",
            StatusKind::Reported => "not asked for a code, and logins are recorded (mode=report)",
            StatusKind::Pending => "must enrol at the next login",
            StatusKind::NotAllowed => "enrolled, but not with an allowed method",
            StatusKind::Enabled => "asked for a code",
            StatusKind::Locked => "locked after too many wrong codes",
            StatusKind::Exempt => "exempt",
            StatusKind::IdentityMismatch => "refused: another name or user ID is on record",
            StatusKind::Gone => "on record, and no such account",
        })
    });
    let none = PossibleValue::new(NONE).help("could log in, and has no second factor");
    PossibleValuesParser::new(kinds.into_iter().chain([none])).try_map(|name| {
        if name == NONE {
            return Ok(StatusFilter::WithoutSecondFactor);
        }
        let mut kinds = StatusKind::ALL.into_iter();
        kinds
            .find(|kind| kind.name() == name)
            .map(StatusFilter::Is)
            .ok_or("there is no such status")
    })
}

/// Takes the name of a channel, and offers them to completions.
pub(super) fn channel() -> impl TypedValueParser<Value = Channel> {
    let channels = Channel::ALL
        .map(|channel| PossibleValue::new(channel.name()).help(channel.method().info().noun));
    PossibleValuesParser::new(channels).try_map(|name| name.parse::<Channel>())
}

/// Reads `KEY=VALUE`, and offers the keys to completions. Which keys there are is checked where they are set, with
/// better words.
#[derive(Clone)]
pub(super) struct Settings(pub(super) fn() -> Vec<&'static str>);

pub(super) fn policy_keys() -> Vec<&'static str> {
    KEYS.iter().map(|key| key.name).collect()
}

pub(super) fn class_keys() -> Vec<&'static str> {
    KEYS.iter()
        .filter(|key| key.per_class)
        .map(|key| key.name)
        .collect()
}

pub(super) fn user_keys() -> Vec<&'static str> {
    vec!["verify", "prefer", "email", "phone"]
}

impl TypedValueParser for Settings {
    type Value = (String, String);

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<(String, String), clap::Error> {
        let setting = value.to_str().and_then(|text| text.split_once('='));
        let (key, value) = setting.ok_or_else(|| {
            let words = format!(
                "'{}' is not a setting: write KEY=VALUE, such as mode=mandatory\n",
                value.display()
            );
            clap::Error::raw(ErrorKind::ValueValidation, words).with_cmd(command)
        })?;
        Ok((key.trim().to_owned(), value.to_owned()))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(
            (self.0)()
                .into_iter()
                .map(|key| PossibleValue::new(format!("{key}="))),
        ))
    }
}

/// Reads a network, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, &'static str> {
    let address = || parse_address(text).map(IpNet::from);
    let network = text.parse().ok().or_else(address);
    network.ok_or("write a network such as 192.0.2.0/24 or 2001:db8::/32, or an address")
}

/// Reads a setting of a provider: `KEY=VALUE`, or the key alone, whose value is then asked for.
#[expect(clippy::unnecessary_wraps, reason = "clap's parsers may fail")]
pub(super) fn given(text: &str) -> Result<Given, Infallible> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.trim().to_owned())),
        None => (text, None),
    };
    Ok(Given {
        name: name.trim().to_owned(),
        value,
    })
}
