//! `twofa class`.

use std::collections::BTreeMap;

use serde::Serialize;
use twofa_broker::admin::Administration;
use twofa_broker::admin::class::ClassChange;

use super::policy;
use crate::arguments::ClassCommand;
use crate::client;
use crate::error::CommandError;
use crate::messages::class_test;
use crate::output::{Output, Value};

pub(crate) fn run(command: &ClassCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("see or change classes"));
    }
    let admin = client::open()?;
    match command {
        ClassCommand::List => list(&admin, output),
        ClassCommand::Set {
            name,
            group,
            before,
            settings,
            dry_run,
            confirmation,
        } => {
            let plan = admin.plan_class(&ClassChange {
                name: name.clone(),
                group: group.clone(),
                before: before.clone(),
                settings: settings.clone(),
            })?;
            policy::make_or_show(&admin, &plan, *dry_run, *confirmation)
        }
        ClassCommand::Remove {
            name,
            dry_run,
            confirmation,
        } => {
            let plan = admin.plan_class_removal(name)?;
            policy::make_or_show(&admin, &plan, *dry_run, *confirmation)
        }
        ClassCommand::Test { user } => test(&admin, user, output),
    }
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    class: &'a str,
    group: Option<&'a str>,
    settings: serde_json::Map<String, serde_json::Value>,
}

fn list(admin: &Administration, output: Output) -> Result<(), CommandError> {
    let mut listing = output.listing(&["CLASS", "GROUP", "SETTINGS"]);
    for class in admin.classes()? {
        let group = Some(class.group.name.as_str()).filter(|group| !group.is_empty());
        let settings = class.settings.iter();
        let row = Row {
            class: &class.name,
            group,
            settings: settings
                .map(|(key, value)| (key.clone(), value.clone().into()))
                .collect(),
        };
        listing.row(&row, || {
            let settings = class.settings.iter();
            let settings: Vec<_> = settings
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let texts = [&class.name, group.unwrap_or("-"), &settings.join(" ")];
            texts.map(|text| Value::Text(text.to_owned())).into()
        })?;
    }
    listing.end("")
}

#[derive(Debug, Serialize)]
struct Verdict<'a> {
    user: &'a str,
    class: &'a str,
    decision: &'static str,
    /// Why the user is kept out: a stable name.
    kept_out: Option<&'static str>,
    why: String,
    /// For how long a code makes which kinds of devices trusted, in seconds.
    trust: BTreeMap<&'static str, u64>,
    /// The services at which a code is asked for, as `twofa policy set` takes them.
    services: String,
}

fn test(admin: &Administration, user: &str, output: Output) -> Result<(), CommandError> {
    let test = admin.test_class(user)?;
    let kept_out = test.kept_out.filter(|_| !test.by_servers);
    let verdict = Verdict {
        user,
        class: &test.class,
        decision: class_test::decision(&test),
        kept_out: kept_out.map(class_test::kept_out),
        why: class_test::reason(&test),
        services: test.services.to_string(),
        trust: test
            .trust
            .iter()
            .map(|(kind, duration)| (kind.name(), duration.seconds()))
            .collect(),
    };
    output.object(&verdict, |out| {
        if !test.by_servers {
            writeln!(out, "Class of {user}: {}", verdict.class)?;
        }
        for sentence in class_test::sentences(&test) {
            writeln!(out, "{sentence}")?;
        }
        Ok(())
    })
}
