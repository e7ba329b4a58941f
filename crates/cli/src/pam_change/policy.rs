//! The policy, as far as it decides what a change of PAM files means. Each question is a process of its own, because a
//! process that opens the store gives up root.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use twofa_broker::Failure;
use twofa_core::service::{ServiceEntry, ServiceKind, Services, kind};

use crate::error::CommandError;

/// What a login of somebody's would meet.
#[derive(Debug, Deserialize)]
pub(super) struct Rules {
    /// See `twofa class test --json`.
    decision: String,
    kept_out: Option<String>,
    pub(super) why: String,
    services: String,
}

impl Rules {
    /// The rules for a user now.
    pub(super) fn of_user(user: &str) -> Result<Self, CommandError> {
        read(&["class", "test", user])
    }

    /// Whether a code would be asked for that can be shown, and not enrolment gone through first. Where a server of the fleet
    /// decides, only the login shows it.
    pub(super) fn asks(&self) -> bool {
        matches!(self.decision.as_str(), "challenge" | "by-servers") && !self.refuse()
    }

    /// Whether every login is refused where the policy asks: at once, or because nothing can be shown or enrolled.
    pub(super) fn refuse(&self) -> bool {
        self.decision == "deny" || self.kept_out.is_some()
    }

    /// Whether the policy asks at a service at all, after a change of it.
    pub(super) fn include(&self, service: &str, change: Option<&PolicyStep>) -> bool {
        // A class may have a setting of its own, which does not change.
        let changed = change.filter(|change| change.old == self.services);
        let services = changed.map_or(&self.services, |change| &change.new);
        let services = Services::read(services);
        services.is_none_or(|services| services.include(Some(service), service == "sshd"))
    }
}

/// A change of the policy setting `services`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PolicyStep {
    pub(super) old: String,
    pub(super) new: String,
}

impl PolicyStep {
    /// Makes the change. `asks`: the person is asked about its consequences; otherwise they are only shown.
    pub(super) fn make(&self, asks: bool) -> Result<(), CommandError> {
        if set(&self.new, asks)? {
            Ok(())
        } else {
            let message = format!("the policy was not changed to services={}", self.new);
            Err(CommandError::new(Failure::Failed, message).hinted("nothing else was, either"))
        }
    }

    /// Takes the change back, unless somebody has made another one since.
    pub(super) fn undo(&self) -> Result<(), CommandError> {
        if services()?.to_string() != self.new || set(&self.old, false)? {
            return Ok(());
        }
        let message = format!("the policy was not changed back to services={}", self.old);
        Err(CommandError::new(Failure::Failed, message))
    }
}

/// What `services` must be so that a code is asked for at the services `named`, too; `None`: as it is. `narrows`: all services
/// are about to have a line that asks, of which only those in `asking` did until now.
pub(super) fn with(
    current: &Services,
    named: &[String],
    asking: &[String],
    narrows: bool,
) -> Option<Services> {
    let include = |name: &&String| current.include(Some(name), name.as_str() == "sshd");
    let list = |names: Vec<&String>| {
        let entries = names
            .into_iter()
            .map(|name| ServiceEntry::Name(name.clone()));
        Services::Listed(entries.collect())
    };
    if *current == Services::All && narrows {
        let others = asking.iter().filter(|name| !named.contains(name));
        return Some(list(others.chain(named).collect()));
    }
    let missing: Vec<_> = named.iter().filter(|name| !include(name)).collect();
    (!missing.is_empty()).then(|| current.union(&list(missing)))
}

/// What `services` must be so that no code is asked for at `service`, of the services `asking`. `None`: no other is left.
pub(super) fn without(current: &Services, service: &str, asking: &[String]) -> Option<Services> {
    let entries = match current {
        Services::All => ServiceKind::ALL.map(ServiceEntry::Kind).to_vec(),
        Services::Listed(entries) => entries.clone(),
    };
    let left = entries.into_iter().flat_map(|entry| match entry {
        ServiceEntry::Kind(its) if its == kind(service) => asking
            .iter()
            .filter(|name| kind(name) == its && *name != service)
            .map(|name| ServiceEntry::Name(name.clone()))
            .collect(),
        ServiceEntry::Name(name) if name == service => Vec::new(),
        entry => vec![entry],
    });
    let left: Vec<_> = left.collect();
    (!left.is_empty()).then_some(Services::Listed(left))
}

/// The machine's policy, as `twofa policy show --json` has it.
#[derive(Deserialize)]
struct Settings {
    services: String,
    /// Since when the policy of the fleet has been in force on this host of it.
    #[serde(rename = "policy.since")]
    of_fleet: Option<String>,
}

impl Settings {
    fn read() -> Result<Self, CommandError> {
        read(&["policy", "show"])
    }
}

/// Whether the policy is that of a fleet, which a host can make stricter only.
pub(super) fn is_of_fleet() -> Result<bool, CommandError> {
    Ok(Settings::read()?.of_fleet.is_some())
}

/// The setting of the machine's policy.
pub(super) fn services() -> Result<Services, CommandError> {
    let settings = Settings::read()?;
    Services::read(&settings.services).ok_or_else(|| {
        let message = format!("services={} cannot be read", settings.services);
        CommandError::new(Failure::Unavailable, message)
    })
}

/// Whether it succeeded: if not, it has said why. What it prints is not what this program prints on standard output.
fn set(services: &str, asks: bool) -> Result<bool, CommandError> {
    let mut command = twofa(&["policy", "set", &format!("services={services}")]);
    if asks {
        command.stdin(Stdio::inherit());
    } else {
        command.arg("--yes");
    }
    Ok(command.stdout(io::stderr()).status()?.success())
}

/// What a command of this program prints with `--json`.
fn read<T: DeserializeOwned>(arguments: &[&str]) -> Result<T, CommandError> {
    let failed = |message: String| CommandError::new(Failure::Unavailable, message);
    let command = arguments.join(" ");
    let output = twofa(arguments)
        .arg("--json")
        .output()
        .map_err(|error| failed(format!("'twofa {command}': {error}")))?;
    if !output.status.success() {
        io::stderr().write_all(&output.stderr)?;
        return Err(failed(format!("'twofa {command}' failed")));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| failed(format!("'twofa {command}': {error}")))
}

/// This very program, even if it has been replaced meanwhile.
fn twofa(arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("twofa").args(arguments).stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Services {
        Services::read(text).unwrap()
    }

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn rules_under_which_nothing_can_be_shown_or_enrolled_refuse() {
        for (decision, kept_out, refuse, asks) in [
            ("not-required", "null", false, false),
            ("challenge", "null", false, true),
            ("challenge", "\"no-provider\"", true, false),
            ("by-servers", "null", false, true),
            ("enrol", "null", false, false),
            ("enrol", "\"no-provider\"", true, false),
            ("replace", "\"no-provider\"", true, false),
            ("deny", "\"no-method\"", true, false),
        ] {
            let text = format!(
                r#"{{"decision": "{decision}", "kept_out": {kept_out}, "why": "", "services": "all"}}"#
            );
            let rules: Rules = serde_json::from_str(&text).unwrap();
            assert_eq!((rules.refuse(), rules.asks()), (refuse, asks), "{text}");
        }
    }

    #[test]
    fn a_service_is_added_to_the_policy_if_it_does_not_ask_there() {
        for (current, named, narrows, new) in [
            ("all", "sudo", false, None),
            ("ssh", "sudo", false, Some("ssh,sudo")),
            ("ssh", "sudo", true, Some("ssh,sudo")),
            ("elevation", "sudo sudo-i", true, None),
            ("login", "sshd sudo", false, Some("login,sshd,sudo")),
            // vsftpd asks by a line of its own, and goes on doing so.
            ("all", "sudo", true, Some("vsftpd,sudo")),
            ("all", "vsftpd sudo", true, Some("vsftpd,sudo")),
        ] {
            let found = with(&read(current), &names(named), &names("vsftpd"), narrows);
            assert_eq!(found, new.map(read), "{current} with {named}");
        }
    }

    #[test]
    fn a_service_is_taken_out_of_the_policy_and_others_stay() {
        for (current, new) in [
            ("ssh,sudo", Some("ssh")),
            ("sudo", None),
            ("all", Some("ssh,console,su,unlock,other")),
            ("elevation,login", Some("su,login")),
        ] {
            let found = without(&read(current), "sudo", &names("login su sudo"));
            assert_eq!(found, new.map(read), "{current}");
        }
    }
}
