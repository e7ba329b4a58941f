//! How far the set-up of this machine has come.

use std::collections::BTreeMap;

use nix::unistd::Group;
use serde::Deserialize;
use serde_json::Value;
use twofa_broker::Failure;
use twofa_core::service::Services;

use super::logins::{Event, KINDS, Login};
use super::{ask, commands};
use crate::error::CommandError;
use crate::invoker;
use crate::messages::setup as texts;

/// The class that setup makes for administrators.
pub(super) const ADMINISTRATORS: &str = "administrators";
/// The Unix groups of administrators, by distribution.
const GROUPS: [&str; 3] = ["sudo", "wheel", "admin"];

/// What is set up, as the plain commands show it.
#[derive(Debug)]
pub(super) struct State {
    /// The person who sets the machine up.
    pub(super) user: String,
    pub(super) rules: Rules,
    pub(super) providers: Vec<Provider>,
    pub(super) has_app: bool,
    pub(super) backup_codes: u64,
    /// The PAM service of a login of theirs that works under the rules of now.
    pub(super) logged_in_at: Option<String>,
    /// The PAM services of this machine.
    pub(super) services: Vec<Service>,
}

/// The policy and its classes.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) policy: BTreeMap<String, String>,
    classes: Vec<Class>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Class {
    #[serde(rename = "class")]
    name: String,
    pub(super) group: Option<String>,
    pub(super) settings: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Provider {
    #[serde(rename = "provider")]
    pub(super) name: String,
    pub(super) carries: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Record {
    apps: Vec<Value>,
    backup_codes_left: u64,
}

/// A PAM service.
#[derive(Debug, Deserialize)]
pub(super) struct Service {
    #[serde(rename = "service")]
    name: String,
    asks: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Change {
    id: i64,
}

impl State {
    pub(super) fn read(user: &str) -> Result<Self, CommandError> {
        let record: Record = commands::read(&["status", "--user", user])?;
        let rules = Rules::read()?;
        let logins: Vec<Event> = commands::read(&["log", "--event", KINDS, "--user", user])?;
        // A login from before the last change of the rules proves nothing about them.
        let changed: Vec<Change> =
            commands::read(&["log", "--event", "policy-changed", "--last", "1"])?;
        let changed = changed.first().map_or(0, |event| event.id);
        let mut after = logins.into_iter().filter(|login| login.id > changed);
        let works = after.find_map(|event| match event.login()? {
            Login::Works(service) => Some(service),
            Login::WouldNot(..) | Login::Refused(_) => None,
        });
        Ok(Self {
            user: user.to_owned(),
            rules,
            providers: commands::read(&["provider", "list"])?,
            has_app: !record.apps.is_empty(),
            backup_codes: record.backup_codes_left,
            logged_in_at: works,
            services: commands::read(&["pam", "list"])?,
        })
    }

    pub(super) fn setting(&self, key: &str) -> &str {
        self.rules.policy.get(key).map_or("", String::as_str)
    }

    /// Whether those who have enrolled are asked for a code.
    pub(super) fn is_anybody_asked(&self) -> bool {
        !matches!(self.setting("mode"), "disabled" | "report")
    }

    /// The names of the services whose stacks ask for a code.
    pub(super) fn asking(&self) -> Vec<String> {
        let asking = self.services.iter().filter(|it| !it.asks.is_empty());
        asking.map(|service| service.name.clone()).collect()
    }

    /// Whether this machine has a PAM service that the list `services` covers.
    pub(super) fn has_service_of(&self, services: &str) -> bool {
        Services::read(services).is_some_and(|services| {
            let mut names = self.services.iter().map(|service| service.name.as_str());
            names.any(|name| services.include(Some(name), false))
        })
    }

    pub(super) fn administrators(&self) -> Option<&Class> {
        self.rules.class(ADMINISTRATORS)
    }
}

impl Rules {
    pub(super) fn read() -> Result<Self, CommandError> {
        Ok(Self {
            policy: commands::read(&["policy", "show"])?,
            classes: commands::read(&["class", "list"])?,
        })
    }

    pub(super) fn class(&self, name: &str) -> Option<&Class> {
        self.classes.iter().find(|class| class.name == name)
    }

    /// Whether the class of the administrators is there, for this `group`.
    pub(super) fn require_administrators(&self, group: &str) -> bool {
        self.class(ADMINISTRATORS).is_some_and(|class| {
            class.group.as_deref() == Some(group)
                && class
                    .settings
                    .get("mode")
                    .is_some_and(|mode| mode == "mandatory")
        })
    }
}

/// The person who runs this: the caller of sudo; root who logged in as itself is asked whom to enrol.
pub(super) fn yourself() -> Result<String, CommandError> {
    let name = match invoker::name() {
        Some(name) => name,
        None => ask::line(texts::WHO_ARE_YOU, "root")?,
    };
    match nix::unistd::User::from_name(&name) {
        Ok(Some(_)) => Ok(name),
        _ => Err(CommandError::new(
            Failure::NotFound,
            format!("there is no account '{}'", name.escape_debug()),
        )),
    }
}

/// The Unix group of this machine's administrators, if it has one of the usual names.
pub(super) fn group_of_administrators() -> Option<&'static str> {
    let exists = |group: &&&str| matches!(Group::from_name(group), Ok(Some(_)));
    GROUPS.iter().find(exists).copied()
}
