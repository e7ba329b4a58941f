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
        PolicyCommand::Show => show(&client::open()?, output),
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

fn show(admin: &Administration, output: Output) -> Result<(), CommandError> {
    let rulebook = &admin.rulebook()?;
    let version = admin.policy_version()?;
    let policy = rulebook.machine();
    let mut object: BTreeMap<_, _> = KEYS
        .iter()
        .map(|key| (key.name, key.value(policy)))
        .collect();
    object.extend(version.iter().flat_map(messages::version_fields));
    output.object(&object, |out| {
        if !output.is_terminal() {
            // What 'policy set' takes.
            return KEYS
                .iter()
                .try_for_each(|key| writeln!(out, "{}={}", key.name, key.value(policy)));
        }
        table(rulebook).write(terminal_width(), out)?;
        let more = [
            messages::classes_with_settings(rulebook.classes().len()),
            version.as_ref().map(messages::version),
            rulebook
                .fleet_and_host()
                .map(|(_, host)| messages::on_host(host)),
        ];
        more.iter()
            .flatten()
            .try_for_each(|line| writeln!(out, "\n{line}"))
    })
}

fn table(rulebook: &Rulebook) -> Table {
    let policy = rulebook.machine();
    let on_host = rulebook.fleet_and_host();
    let mut table = match on_host {
        Some(_) => Table::new(&["SETTING", "VALUE", "FROM", "MEANING"]),
        None => Table::new(&["SETTING", "VALUE", "MEANING"]),
    };
    for key in &KEYS {
        let value = key.value(policy);
        let shown = match (value.as_str(), key.name) {
            ("", "application-name") => "(host name)",
            ("", "fallback.sms-to-email") => "(as methods)",
            ("", "phone.countries") => "(as phone.country)",
            ("", _) => "(none)",
            (value, _) => value,
        };
        let meaning = format!("{} ({})", key.help, key.values());
        match on_host {
            Some((fleet, _)) if key.value(fleet) == value => {
                table.push_texts(&[key.name, shown, "fleet", &meaning]);
            }
            Some(_) => table.push_texts(&[key.name, shown, "this host", &meaning]),
            None => table.push_texts(&[key.name, shown, &meaning]),
        }
    }
    table
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
