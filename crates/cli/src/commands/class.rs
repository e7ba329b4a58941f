//! `twofa class`.

use std::io;

use serde::Serialize;
use twofa_broker::person::Person;
use twofa_broker::{Broker, accounts, clock};
use twofa_core::class::EVERYONE;
use twofa_core::decision::Reason;
use twofa_core::exemption::Source;
use twofa_core::policy::KEYS;
use twofa_core::rulebook::{BadRulebook, Rulebook};
use twofa_core::{Class, Decision, Denial, Group, Lock};
use twofa_proto::Failure;

use super::{confirm, moment, policy};
use crate::arguments::{ClassCommand, Confirmation};
use crate::client;
use crate::error::CommandError;
use crate::output::{Output, Value};

pub(crate) fn run(command: &ClassCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("see or change classes"));
    }
    let broker = client::open()?;
    match command {
        ClassCommand::List => list(&broker, output),
        ClassCommand::Set {
            name,
            group,
            before,
            settings,
            confirmation,
        } => set(
            &broker,
            name,
            group.as_deref(),
            before.as_deref(),
            settings,
            *confirmation,
        ),
        ClassCommand::Remove { name, confirmation } => remove(&broker, name, *confirmation),
        ClassCommand::Test { user } => test(&broker, user, output),
    }
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    class: &'a str,
    group: Option<&'a str>,
    settings: serde_json::Map<String, serde_json::Value>,
}

fn list(broker: &Broker, output: Output) -> Result<(), CommandError> {
    let rulebook = broker.store().rulebook()?;
    let mut listing = output.listing(&["CLASS", "GROUP", "SETTINGS"]);
    let everyone = Class {
        name: EVERYONE.to_owned(),
        group: Group::called(""),
        settings: KEYS
            .iter()
            .filter(|key| key.per_class)
            .map(|key| (key.name.to_owned(), key.value(rulebook.machine())))
            .collect(),
    };
    for class in rulebook.classes().iter().chain([&everyone]) {
        let row = Row {
            class: &class.name,
            group: Some(class.group.name.as_str()).filter(|group| !group.is_empty()),
            settings: class
                .settings
                .iter()
                .map(|(key, value)| (key.clone(), value.clone().into()))
                .collect(),
        };
        listing.row(&row, || {
            let settings: Vec<_> = class
                .settings
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            vec![
                Value::Text(class.name.clone()),
                Value::Text(if class.group.name.is_empty() {
                    "-".to_owned()
                } else {
                    class.group.name.clone()
                }),
                Value::Text(settings.join(" ")),
            ]
        })?;
    }
    listing.end("")
}

fn set(
    broker: &Broker,
    name: &str,
    group: Option<&str>,
    before: Option<&str>,
    settings: &[(String, String)],
    confirmation: Confirmation,
) -> Result<(), CommandError> {
    let rulebook = broker.store().rulebook()?;
    if name == EVERYONE {
        let error = CommandError::new(Failure::Usage, "'everyone' is the policy of the machine");
        return Err(error.hinted("change it with 'twofa policy set'"));
    }
    let mut classes = rulebook.classes().to_vec();
    let at = classes.iter().position(|class| class.name == name);
    let mut class = at.map_or_else(
        || Class {
            name: name.to_owned(),
            group: Group::called(name),
            settings: Vec::new(),
        },
        |at| classes.remove(at),
    );
    class.group = looked_up(&class.group, group.unwrap_or(&class.group.name))?;
    for (key, value) in settings {
        class.settings.retain(|(own, _)| own != key);
        if !value.is_empty() {
            class.settings.push((key.clone(), value.clone()));
        }
    }
    let position = match before {
        Some(before) => classes
            .iter()
            .position(|class| class.name == before)
            .ok_or_else(|| {
                CommandError::new(
                    Failure::NotFound,
                    format!("there is no class called '{before}'"),
                )
            })?,
        None => at.unwrap_or(classes.len()),
    };
    classes.insert(position, class);
    replace(broker, &rulebook, classes, confirmation)
}

/// The group called `name`, where the one so far is `before`. A directory that is out of reach keeps nobody from making
/// rules for its groups.
fn looked_up(before: &Group, name: &str) -> Result<Group, CommandError> {
    match accounts::group(name) {
        Ok(Some(group)) => Ok(group),
        Ok(None) => {
            let error = CommandError::new(
                Failure::NotFound,
                format!("there is no Unix group called '{name}'"),
            );
            Err(error.hinted("name the group of the class with --group"))
        }
        Err(error) => {
            let group = policy::known(std::slice::from_ref(before), name);
            confirm::warn(&[format!(
                "{error}; until it is settled who is in group '{name}', the strictest class that could apply holds"
            )])?;
            Ok(group)
        }
    }
}

fn remove(broker: &Broker, name: &str, confirmation: Confirmation) -> Result<(), CommandError> {
    let rulebook = broker.store().rulebook()?;
    let mut classes = rulebook.classes().to_vec();
    let many = classes.len();
    classes.retain(|class| class.name != name);
    if classes.len() == many {
        return Err(CommandError::new(
            Failure::NotFound,
            format!("there is no class called '{name}'"),
        ));
    }
    replace(broker, &rulebook, classes, confirmation)
}

fn replace(
    broker: &Broker,
    rulebook: &Rulebook,
    classes: Vec<Class>,
    confirmation: Confirmation,
) -> Result<(), CommandError> {
    let wanted =
        Rulebook::new(rulebook.machine().clone(), classes).map_err(|bad: BadRulebook| {
            CommandError::new(Failure::Usage, bad.to_string())
                .hinted("see 'twofa policy show' for every setting")
        })?;
    policy::replace(broker, Some(rulebook), &wanted, confirmation)
}

#[derive(Debug, Serialize)]
struct Verdict<'a> {
    user: &'a str,
    class: &'a str,
    decision: &'static str,
    why: String,
}

fn test(broker: &Broker, user: &str, output: Output) -> Result<(), CommandError> {
    let unavailable =
        |error: &dyn std::fmt::Display| CommandError::new(Failure::Unavailable, error.to_string());
    let account = accounts::find(user).map_err(|error| unavailable(&error))?;
    let account = account.ok_or_else(|| {
        CommandError::new(
            Failure::NotFound,
            format!("there is no account called '{user}'"),
        )
    })?;
    let person = Person::of(broker.store(), &account).map_err(|error| unavailable(&error))?;
    let now = clock::now();
    let (decision, exemption) = person.decide(&account, Source::default(), now);
    let mode = person.policy.mode.name();
    let required = person.situation.user.required;
    let must = if required {
        "an administrator requires it".to_owned()
    } else {
        format!("the mode is {mode}")
    };
    let (decision, why) = match decision {
        Decision::NotRequired(Reason::Disabled) => {
            ("not-required", "the mode is disabled".to_owned())
        }
        Decision::NotRequired(Reason::NotEnrolled) => (
            "not-required",
            "the mode is optional and nothing is enrolled".to_owned(),
        ),
        Decision::NotRequired(Reason::OptedOut) => (
            "not-required",
            "the mode is optional and the user chose verify=never".to_owned(),
        ),
        Decision::NotRequired(Reason::Exempt) => (
            "not-required",
            format!(
                "exempt: {}",
                exemption.map_or_else(String::new, |exemption| exemption.reason)
            ),
        ),
        Decision::Trusted => ("trusted", "the device is trusted".to_owned()),
        Decision::Challenge => ("challenge", format!("enrolled, and {must}")),
        Decision::Enrol => ("enrol", format!("{must} and nothing is enrolled")),
        Decision::Replace => (
            "replace",
            "the enrolled method is no longer allowed".to_owned(),
        ),
        Decision::Deny(Denial::NotAllowed) => (
            "deny",
            "the enrolled method is no longer allowed, and enrolment=beforehand".to_owned(),
        ),
        Decision::Deny(Denial::NotEnrolled) => (
            "deny",
            format!("{must}, nothing is enrolled, and enrolment=beforehand"),
        ),
        Decision::Deny(Denial::Locked(Lock::Until(until))) => {
            ("deny", format!("locked until {}", moment(until)))
        }
        Decision::Deny(Denial::Locked(Lock::Administrator)) => {
            ("deny", "locked until unlocked".to_owned())
        }
        Decision::Deny(Denial::IdentityMismatch) => (
            "deny",
            "there is a record under the same name or uid of another account".to_owned(),
        ),
    };
    let verdict = Verdict {
        user,
        class: &person.class,
        decision,
        why,
    };
    output.object(&verdict, |out| {
        writeln!(out, "Class of {user}: {}", verdict.class)?;
        let login = match verdict.decision {
            "not-required" => "A login is asked for nothing",
            "trusted" => "A login passes",
            "challenge" => "A login is asked for a code",
            "enrol" => "A login is led through enrolment",
            "replace" => "A login is asked for a code by that method and then led through enrolment",
            _ => "A login is refused",
        };
        writeln!(out, "{login}: {}.", verdict.why)?;
        if let Some(doubts) = person.doubts() {
            writeln!(
                out,
                "It is not settled which class it is, so the strictest that could apply holds: {doubts}."
            )?;
        }
        let scoped = person.exemptions(&account, now);
        for exemption in scoped.iter().filter(|stored| !stored.exemption.is_general()) {
            let only = twofa_broker::words::exemption_scope(&exemption.exemption).unwrap_or_default();
            writeln!(out, "But {only} it is exempt: {}.", exemption.exemption.reason)?;
        }
        Ok::<(), io::Error>(())
    })
}
