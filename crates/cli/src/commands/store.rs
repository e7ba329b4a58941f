//! `twofa store`.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use twofa_broker::admin::merging::{Merge, MergeFinding, MergeRules, MergedPeople};
use twofa_broker::admin::store;

use super::confirm::confirm;
use crate::arguments::{ExportArguments, MergeArguments, MoveArguments, StoreCommand};
use crate::client;
use crate::error::CommandError;
use crate::messages::{merging, store as words};
use crate::output::wrap::for_stderr;
use crate::output::{Output, Value, can_animate, spinner};

pub(crate) fn run(command: StoreCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("move, merge or upgrade the store"));
    }
    let text = match command {
        StoreCommand::Move(MoveArguments { to: Some(url), .. }) => {
            words::moved(&store::move_to_server(&url)?)
        }
        StoreCommand::Move(_) => words::moved(&store::move_to_file()?),
        StoreCommand::Export(arguments) => export(arguments)?,
        StoreCommand::Merge(arguments) => return merge(&arguments, output),
        StoreCommand::Upgrade => {
            store::upgrade()?;
            words::UPGRADED.to_owned()
        }
    };
    Ok(write!(io::stdout(), "{text}")?)
}

fn export(arguments: ExportArguments) -> Result<String, CommandError> {
    let ExportArguments {
        directory,
        host,
        confirmation,
    } = arguments;
    confirm([merging::EXPORTING.to_owned()], confirmation)?;
    let exported = store::export(&directory, host)?;
    Ok(merging::exported(&exported, &directory))
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    merged: bool,
    people: usize,
    apps: usize,
    merged_before: usize,
    findings: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    uid: u32,
    hosts: &'a [String],
    matter: &'static str,
    left_out: bool,
    what: String,
    decision: String,
}

impl<'a> From<&'a MergeFinding> for Row<'a> {
    fn from(finding: &'a MergeFinding) -> Self {
        let MergeFinding {
            account,
            hosts,
            matter,
        } = finding;
        let (what, decision) = merging::matter(matter);
        Self {
            name: &account.name,
            uid: account.uid,
            hosts,
            matter: merging::matter_name(matter),
            left_out: matter.leaves_out(),
            what,
            decision,
        }
    }
}

fn merge(arguments: &MergeArguments, output: Output) -> Result<(), CommandError> {
    let rules = MergeRules {
        addresses: arguments.addresses.into(),
        backup_codes: arguments.backup_codes.into(),
        exemptions: arguments.exemptions,
    };
    let reading = spinner(merging::READING.to_owned());
    let merge = Merge::plan(&arguments.sources, rules);
    reading.finish_and_clear();
    let mut merge = merge?;
    let findings = merge.plan.findings.clone();
    if !output.is_json() {
        show(&findings, output)?;
    }
    let planned = MergedPeople {
        people: merge.plan.people(),
        apps: merge.plan.apps,
    };
    let done = if arguments.yes {
        carry_out(&mut merge)?
    } else {
        planned
    };
    let left_out = findings.iter().filter(|it| it.matter.leaves_out()).count();
    if output.is_json() {
        let report = Report {
            merged: arguments.yes,
            people: done.people,
            apps: done.apps,
            merged_before: merge.merged_before(),
            findings: findings.iter().map(Row::from).collect(),
        };
        return output.object(&report, |_| Ok(()));
    }
    let text = merging::merged(done, left_out, merge.merged_before(), arguments.yes);
    Ok(write!(io::stderr(), "{}", for_stderr(&text))?)
}

fn show(findings: &[MergeFinding], output: Output) -> Result<(), CommandError> {
    let mut listing = output.listing(&["USER", "UID", "HOSTS", "WHAT", "DECISION"]);
    for finding in findings {
        let row = Row::from(finding);
        let leaves_out = finding.matter.leaves_out();
        listing.row(&row, || {
            let decision = row.decision.clone();
            vec![
                Value::Text(row.name.to_owned()),
                Value::Number(row.uid.into()),
                Value::Text(row.hosts.join(", ")),
                Value::Text(row.what.clone()),
                if leaves_out {
                    Value::Warning(decision)
                } else {
                    Value::Text(decision)
                },
            ]
        })?;
    }
    listing.end(merging::NO_FINDINGS)
}

fn carry_out(merge: &mut Merge) -> Result<MergedPeople, CommandError> {
    let bar = bar(merge.plan.people());
    let done = merge.carry_out(|people| bar.set_position(people as u64));
    bar.finish_and_clear();
    Ok(done?)
}

fn bar(people: usize) -> ProgressBar {
    if !can_animate() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(people as u64);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} users, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
