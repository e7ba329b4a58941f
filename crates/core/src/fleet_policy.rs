//! Policy and classes of a fleet as the text that its servers sign and its hosts keep.
//!
//! ```text
//! twofa fleet policy 1
//! fleet 00112233445566778899aabbccddeeff
//! version 1790000000
//! mode=mandatory
//! class ops
//! group operators
//! trust.remote=12h
//! ```
//!
//! Settings that are as the default has them are left out, so that a new setting keeps no older host from reading the text until it is used.

use crate::class::Class;
use crate::group::Group;
use crate::policy::{KEYS, Policy};
use crate::rulebook::{BadRulebook, Rulebook};

const HEADER: &str = "twofa fleet policy 1";
const FLEET: &str = "fleet ";
const VERSION: &str = "version ";
const CLASS: &str = "class ";
const GROUP: &str = "group ";

/// The rules of a fleet, at one of their versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetPolicy {
    /// The id of the fleet.
    pub fleet: String,
    /// The number of the version. A later one is greater; it is never less than the Unix time at which it was made.
    pub version: i64,
    /// Policy and classes, whose groups have no gid: hosts may have others.
    pub rulebook: Rulebook,
}

/// The text is no policy of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFleetPolicy {
    /// It has not the form of one.
    #[error("line {0} is not one of a fleet's policy")]
    Line(usize),
    /// Its rules do not read. A newer server may have settings that this program does not know.
    #[error("{0}; a host's twofa must know all settings that its servers use")]
    Rules(#[from] BadRulebook),
}

impl FleetPolicy {
    /// The text.
    pub fn write(&self) -> String {
        let Self {
            fleet,
            version,
            rulebook,
        } = self;
        let mut text = format!("{HEADER}\n{FLEET}{fleet}\n{VERSION}{version}\n");
        let default = Policy::default();
        for key in &KEYS {
            let value = key.value(rulebook.machine());
            if value != key.value(&default) {
                text += &format!("{}={value}\n", key.name);
            }
        }
        for class in rulebook.classes() {
            text += &format!("{CLASS}{}\n{GROUP}{}\n", class.name, class.group.name);
            for (name, value) in &class.settings {
                text += &format!("{name}={value}\n");
            }
        }
        text
    }

    /// The policy in `text`.
    pub fn read(text: &str) -> Result<Self, BadFleetPolicy> {
        let bad = |index: usize| BadFleetPolicy::Line(index + 1);
        let mut lines = text.lines().enumerate();
        let mut next = |start: &str| {
            let (index, line) = lines.next().unwrap_or_default();
            line.strip_prefix(start).ok_or(bad(index))
        };
        if !next(HEADER)?.is_empty() {
            return Err(bad(0));
        }
        let fleet = next(FLEET)?.to_owned();
        let version = next(VERSION)?.parse().map_err(|_| bad(2))?;
        let mut settings = Vec::new();
        let mut classes: Vec<Class> = Vec::new();
        for (index, line) in lines {
            if let Some(name) = line.strip_prefix(CLASS) {
                classes.push(Class {
                    name: name.to_owned(),
                    group: Group::called(""),
                    settings: Vec::new(),
                });
            } else if let Some(name) = line.strip_prefix(GROUP) {
                let class = classes.last_mut().ok_or(bad(index))?;
                class.group = Group::called(name);
            } else {
                let (name, value) = line.split_once('=').ok_or(bad(index))?;
                let list = classes
                    .last_mut()
                    .map_or(&mut settings, |it| &mut it.settings);
                list.push((name.to_owned(), value.to_owned()));
            }
        }
        let pairs = settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let machine = Policy::from_settings(pairs).map_err(BadRulebook::from)?;
        Ok(Self {
            fleet,
            version,
            rulebook: Rulebook::new(machine, classes)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> FleetPolicy {
        let machine = Policy::from_settings([("mode", "mandatory"), ("application-name", "A=B c")]);
        let class = |name: &str, settings: &[(&str, &str)]| Class {
            name: name.into(),
            group: Group::called(format!("{name} group=1")),
            settings: settings
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        };
        let classes = vec![
            class("ops", &[("trust.remote", "12h")]),
            class("guests", &[]),
        ];
        FleetPolicy {
            fleet: "00ff".into(),
            version: 1_790_000_000,
            rulebook: Rulebook::new(machine.unwrap(), classes).unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_says_only_what_is_set() {
        let text = policy().write();
        assert_eq!(FleetPolicy::read(&text), Ok(policy()));
        assert!(!text.contains("lockout"), "{text}");
    }

    #[test]
    fn any_other_text_is_refused() {
        let text = policy().write();
        for broken in [
            String::new(),
            text.replace("policy 1", "policy 2"),
            text.replace("version 1790000000", "version x"),
            text.replace("fleet 00ff", ""),
            text.replace("mode=", "moed="),
            text.replace("mode=mandatory", "mode"),
            text.replace("class ops\n", ""),
            text.replace("group ops group=1\n", ""),
        ] {
            assert!(FleetPolicy::read(&broken).is_err(), "{broken}");
        }
    }
}
