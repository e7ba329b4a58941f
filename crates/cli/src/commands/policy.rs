//! `twofa policy`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use twofa_broker::Failure;
use twofa_broker::admin::policy::PolicyPlan;
use twofa_broker::admin::{Administration, document};
use twofa_core::policy::KEYS;
use twofa_core::rulebook::{Change, Rulebook};

use super::confirm;
use crate::arguments::{Confirmation, PolicyCommand};
use crate::error::CommandError;
use crate::messages::policy as messages;
use crate::output::{Output, Table, terminal_width};
use crate::{client, input};

pub(crate) fn run(command: &PolicyCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("see or change the policy"));
    }
    // A file is opened as root, before the store is opened as the service.
    match command {
        PolicyCommand::Show => show(&client::open()?.rulebook()?, output),
        PolicyCommand::Set {
            settings,
            dry_run,
            confirmation,
        } => {
            let admin = client::open()?;
            make_or_show(
                &admin,
                &admin.plan_settings(settings)?,
                *dry_run,
                *confirmation,
            )
        }
        PolicyCommand::Export => export(&client::open()?.rulebook()?),
        PolicyCommand::Apply {
            file,
            dry_run,
            confirmation,
        } => {
            let wanted = read(file)?;
            let admin = client::open()?;
            make_or_show(
                &admin,
                &admin.plan_rulebook(wanted)?,
                *dry_run,
                *confirmation,
            )
        }
    }
}

/// Makes the change of `plan`, or only shows what it would do.
pub(super) fn make_or_show(
    admin: &Administration,
    plan: &PolicyPlan,
    dry_run: bool,
    confirmation: Confirmation,
) -> Result<(), CommandError> {
    if !dry_run {
        return make(admin, plan, confirmation);
    }
    confirm::warn(plan.remarks.iter().map(messages::remark))?;
    let concerns = confirm::warn(plan.concerns.iter().map(messages::concern))?;
    show_changes(&plan.changes(), messages::NOTHING_WOULD_CHANGE)?;
    if concerns > 0 && !confirmation.yes && !io::stdin().is_terminal() {
        writeln!(io::stdout(), "{}", messages::NEEDS_YES)?;
    }
    Ok(())
}

/// Shows what `plan` could do to people, asks whether to go on, makes the change and shows it.
pub(super) fn make(
    admin: &Administration,
    plan: &PolicyPlan,
    confirmation: Confirmation,
) -> Result<(), CommandError> {
    confirm::warn(plan.remarks.iter().map(messages::remark))?;
    confirm::confirm(plan.concerns.iter().map(messages::concern), confirmation)?;
    show_changes(
        &admin.make_change(plan)?,
        "Nothing to change: it is already set that way.",
    )
}

fn show_changes(changes: &[Change], nothing: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    if changes.is_empty() {
        writeln!(out, "{nothing}")?;
    }
    for change in changes {
        writeln!(out, "{}", messages::change(change))?;
    }
    Ok(())
}

fn show(rulebook: &Rulebook, output: Output) -> Result<(), CommandError> {
    let policy = rulebook.machine();
    let object: BTreeMap<_, _> = KEYS
        .iter()
        .map(|key| (key.name, key.value(policy)))
        .collect();
    output.object(&object, |out| {
        if !output.is_terminal() {
            // What 'policy set' takes.
            return KEYS
                .iter()
                .try_for_each(|key| writeln!(out, "{}={}", key.name, key.value(policy)));
        }
        let mut table = Table::new(&["SETTING", "VALUE", "MEANING"]);
        for key in &KEYS {
            let value = key.value(policy);
            let value = match (value.as_str(), key.name) {
                ("", "application-name") => "(host name)",
                ("", "fallback.sms-to-email") => "(as methods)",
                ("", "phone.countries") => "(as phone.country)",
                ("", _) => "(none)",
                (value, _) => value,
            };
            table.push_texts(&[key.name, value, &format!("{} ({})", key.help, key.values())]);
        }
        table.write(terminal_width(), out)?;
        match messages::classes_with_settings(rulebook.classes().len()) {
            Some(classes) => writeln!(out, "\n{classes}"),
            None => Ok(()),
        }
    })
}

fn export(rulebook: &Rulebook) -> Result<(), CommandError> {
    Ok(io::stdout().write_all(document::write(rulebook).as_bytes())?)
}

fn read(file: &Path) -> Result<Rulebook, CommandError> {
    document::read(&input::read(file)?).map_err(|why| {
        CommandError::new(Failure::Usage, format!("{}: {why}", file.display()))
            .hinted("see 'twofa policy export' for the form of the file")
    })
}
