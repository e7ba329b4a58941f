//! `twofa pam`.

use std::io::{self, Write};

use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::doctor::{Finding, finding::HostFinding, inspect_stacks};
use twofa_broker::admin::pam::{CheckResult, Checked, Machine, neighbour_that_asks};
use twofa_stacks::{Case, Entry, Phase, Proof, Route, Ways};

use super::finding::Line;
use crate::arguments::{ChangeArguments, PamCommand, SshKeys};
use crate::error::CommandError;
use crate::messages::{doctor, pam};
use crate::output::{Output, Table, Value, terminal_width, wrap_lines};
use crate::pam_change::{self, ChangeReport, Keys, Options, Outcome};

pub(crate) fn run(command: &PamCommand, output: Output) -> Result<(), CommandError> {
    let machine = Machine::this();
    match command {
        PamCommand::Check { services } => check(&machine, services, output),
        PamCommand::List => list(&machine, output),
        PamCommand::Enable(change) => changed(change, pam_change::enable, output),
        PamCommand::Disable(change) => changed(change, pam_change::disable, output),
        PamCommand::Recover => recovered(pam_change::recover()?, output),
    }
}

/// Makes a change, and says what has become of it.
fn changed(
    change: &ChangeArguments,
    make: fn(&[String], &Options, &mut ChangeReport) -> Result<(), CommandError>,
    output: Output,
) -> Result<(), CommandError> {
    let mut report = ChangeReport::new(output);
    make(&change.services, &options(change), &mut report)?;
    output.verbatim(&report, |out| match &report.outcome {
        Outcome::Unchanged => writeln!(out, "{}", pam::NOTHING_TO_CHANGE),
        Outcome::Shown => writeln!(out, "Nothing was changed (--dry-run)."),
        Outcome::Changed { backup } => writeln!(out, "Changed. The old files are in {backup}."),
    })
}

fn options(change: &ChangeArguments) -> Options {
    Options {
        dry_run: change.dry_run,
        own_file: change.own_file,
        no_login: change.no_login,
        login_as: change.login_as.clone(),
        keys: change.ssh_keys.map(|keys| match keys {
            SshKeys::Ask => Keys::Ask,
            SshKeys::Require => Keys::Require,
            SshKeys::Trust => Keys::Trust,
        }),
    }
}

fn recovered(was_pending: bool, output: Output) -> Result<(), CommandError> {
    let text = if was_pending {
        "The files from before the interrupted change are back."
    } else {
        "No change was interrupted."
    };
    let object = Recovered {
        recovered: was_pending,
    };
    output.verbatim(&object, |out| writeln!(out, "{text}"))
}

#[derive(Debug, Serialize)]
struct Recovered {
    recovered: bool,
}

fn check(machine: &Machine, named: &[String], output: Output) -> Result<(), CommandError> {
    let checked = if named.is_empty() {
        machine.check_all()
    } else {
        let checked = named.iter().map(|name| {
            machine
                .check(name)
                .ok_or_else(|| CommandError::no_service(name))
        });
        checked.collect::<Result<Vec<_>, _>>()?
    };
    let findings = findings(machine, &checked, named.is_empty());
    if output.is_json() {
        let report = Report {
            services: checked.iter().map(service).collect(),
            findings: &findings,
        };
        output.verbatim(&report, |_| Ok(()))?;
    } else {
        show(&checked, named, &findings, output)?;
    }
    end(&checked, &findings)
}

/// What is wrong with these services: the doctor's findings, and what the prover alone says.
fn findings(machine: &Machine, checked: &[Checked], are_all: bool) -> Vec<Line> {
    let is_about = |finding: &Finding| match finding {
        Finding::Services { services, .. } => checked
            .iter()
            .any(|checked| services.contains(&checked.service)),
        Finding::Host(finding) => {
            are_all
                || pam_files(finding).iter().any(|file| {
                    checked
                        .iter()
                        .any(|checked| checked.files.iter().any(|known| known == file))
                })
        }
        Finding::Program(_) => are_all,
        _ => false,
    };
    let found = inspect_stacks(machine);
    let of_doctor = found
        .iter()
        .filter(|finding| is_about(finding))
        .map(Line::of);
    let mut lines: Vec<Line> = of_doctor.collect();
    lines.extend(notes(checked, &found));
    lines
}

/// What the prover alone says of these services, of which the doctor has `found` something or nothing.
pub(super) fn notes(checked: &[Checked], found: &[Finding]) -> Vec<Line> {
    let mut lines = Vec::new();
    for checked in checked {
        let is_known = found.iter().any(|finding| {
            matches!(finding, Finding::Services { services, .. } if services.contains(&checked.service))
        });
        for note in pam::notes(checked, is_known) {
            let line = Line::of_note(note);
            // Many services include the same file.
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

/// The PAM files that a finding about the machine names.
fn pam_files(finding: &HostFinding) -> Vec<&str> {
    match finding {
        HostFinding::UnknownOption { line, .. } => vec![&line.file],
        HostFinding::ForgivingControl { file, .. } | HostFinding::SharedAccount { file } => {
            vec![file]
        }
        _ => Vec::new(),
    }
}

fn show(
    checked: &[Checked],
    named: &[String],
    findings: &[Line],
    output: Output,
) -> Result<(), CommandError> {
    let mut listing = output.listing(&["SERVICE", "BY", "NEEDS", "STRANGERS"]);
    for checked in checked {
        for (at, mut values) in rows(checked).into_iter().enumerate() {
            // On a terminal a service is named once.
            if at > 0 && output.is_terminal() {
                values[0] = Value::Text(String::new());
            }
            listing.row(&(), || values)?;
        }
    }
    listing.end("There are no PAM services.")?;
    let mut out = anstream::stdout().lock();
    if !named.is_empty() {
        for checked in checked {
            show_cases(checked, &mut out)?;
        }
    }
    if !findings.is_empty() {
        writeln!(out)?;
    }
    for Line {
        severity, finding, ..
    } in findings
    {
        let text = format!("{severity}: {finding}");
        if output.is_terminal() {
            write!(out, "{}", wrap_lines(&text, terminal_width()))?;
        } else {
            writeln!(out, "{text}")?;
        }
    }
    Ok(out.flush()?)
}

fn rows(checked: &Checked) -> Vec<Vec<Value>> {
    let text = |text: &str| Value::Text(text.to_owned());
    let proof = match &checked.result {
        CheckResult::Proved(proof) => proof,
        CheckResult::Unsure(_) => {
            return vec![vec![
                text(&checked.service),
                text("-"),
                Value::Bad("unknown".into()),
                text("-"),
            ]];
        }
        CheckResult::Unusable(_) => {
            return vec![vec![
                text(&checked.service),
                text("-"),
                Value::Bad("nobody gets in".into()),
                text("-"),
            ]];
        }
    };
    if proof.ways.is_empty() {
        return vec![vec![
            text(&checked.service),
            text("-"),
            text(pam::NO_LOGIN),
            text("-"),
        ]];
    }
    let asks = !checked.asks.is_empty();
    let row = |ways: &Ways| {
        let needs = pam::needs(ways);
        let has_code = !ways.entries.is_empty() && ways.entries.iter().all(Entry::has_code);
        // Root needs none.
        let needs = match (asks && ways.route != Route::Root, has_code) {
            (true, true) => Value::Good(needs),
            (true, false) => Value::Warning(needs),
            (false, _) => Value::Text(needs),
        };
        let strangers = if ways.route.has_authentication() {
            pam::strangers(proof, asks)
        } else {
            text("-")
        };
        vec![
            text(&checked.service),
            text(pam::route(ways.route)),
            needs,
            strangers,
        ]
    };
    proof.ways.iter().map(row).collect()
}

fn show_cases(checked: &Checked, out: &mut impl Write) -> io::Result<()> {
    let CheckResult::Proved(proof) = &checked.result else {
        return Ok(());
    };
    if proof.cases.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["PASSWORD", "CODE", "RESULT"]);
    for &case in &proof.cases {
        let result = if case.gets_in { "gets in" } else { "refused" };
        let result = result.to_owned();
        table.push(vec![
            Value::Text(pam::first_factor(case).to_owned()),
            Value::Text(pam::verdict(case.verdict).to_owned()),
            if case.gets_in == pam::should_get_in(case) {
                Value::Good(result)
            } else {
                Value::Bad(result)
            },
        ]);
    }
    writeln!(out, "\n{}:", checked.service)?;
    table.write(terminal_width(), out)
}

/// The exit status.
fn end(checked: &[Checked], findings: &[Line]) -> Result<(), CommandError> {
    let count = findings.iter().filter(|line| line.is_problem()).count();
    let is_unsure = checked
        .iter()
        .any(|checked| matches!(checked.result, CheckResult::Unsure(_)));
    match doctor::problems(count) {
        Some(_) if is_unsure => Err(CommandError::new(
            Failure::Unavailable,
            "for some services it is unknown who gets in",
        )),
        Some(problems) => Err(CommandError::new(Failure::Failed, problems)),
        None => Ok(()),
    }
}

/// All that was found, as JSON.
#[derive(Debug, Serialize)]
struct Report<'a> {
    services: Vec<ServiceRow<'a>>,
    findings: &'a [Line],
}

#[derive(Debug, Serialize)]
struct ServiceRow<'a> {
    service: &'a str,
    kind: &'static str,
    gives: &'static str,
    /// The phases in which it asks.
    asks: Vec<&'static str>,
    files: &'a [String],
    /// Why it is not known who gets in.
    error: Option<String>,
    ways: Vec<WaysRow<'a>>,
    strangers: Option<&'static str>,
    cases: Vec<CaseRow>,
    unknown_modules: &'a [String],
}

#[derive(Debug, Serialize)]
struct WaysRow<'a> {
    by: &'static str,
    /// Each of them lets in. Empty: nobody gets in.
    any_of: Vec<EntryRow<'a>>,
}

#[derive(Debug, Serialize)]
struct EntryRow<'a> {
    needs: Vec<&'static str>,
    unknown_modules: &'a [String],
}

#[derive(Debug, Serialize)]
struct CaseRow {
    first_factor: &'static str,
    code: &'static str,
    gets_in: bool,
}

fn service(checked: &Checked) -> ServiceRow<'_> {
    let proof: Option<&Proof> = match &checked.result {
        CheckResult::Proved(proof) => Some(proof),
        CheckResult::Unsure(_) | CheckResult::Unusable(_) => None,
    };
    let case = |case: Case| CaseRow {
        first_factor: pam::first_factor(case),
        code: pam::verdict(case.verdict),
        gets_in: case.gets_in,
    };
    ServiceRow {
        service: &checked.service,
        kind: checked.kind.name(),
        gives: pam::gives(checked.gives),
        asks: checked.asks.iter().copied().map(Phase::name).collect(),
        files: &checked.files,
        error: pam::error(&checked.result),
        ways: proof.map_or(Vec::new(), |proof| proof.ways.iter().map(ways).collect()),
        strangers: proof.map(|proof| pam::stranger_words(proof.strangers)),
        cases: proof.map_or(Vec::new(), |proof| {
            proof.cases.iter().copied().map(case).collect()
        }),
        unknown_modules: proof.map_or(&[], |proof| &proof.unknown),
    }
}

fn ways(ways: &Ways) -> WaysRow<'_> {
    let entry = |entry: &'_ Entry| entry.shown.factors().map(pam::factor).collect();
    WaysRow {
        by: pam::route(ways.route),
        any_of: ways
            .entries
            .iter()
            .map(|way| EntryRow {
                needs: entry(way),
                unknown_modules: &way.modules,
            })
            .collect(),
    }
}

#[derive(Debug, Serialize)]
struct ListRow<'a> {
    service: &'a str,
    kind: &'static str,
    gives: &'static str,
    /// The phases in which it asks.
    asks: Vec<&'static str>,
    /// A service of the same kind that asks where this one does not.
    although: Option<&'a str>,
}

fn list(machine: &Machine, output: Output) -> Result<(), CommandError> {
    let all = machine.check_all();
    let mut listing = output.listing(&["SERVICE", "KIND", "GIVES", "ASKS", "NOTE"]);
    for checked in &all {
        let row = ListRow {
            service: &checked.service,
            kind: checked.kind.name(),
            gives: pam::gives(checked.gives),
            asks: checked.asks.iter().copied().map(Phase::name).collect(),
            although: neighbour_that_asks(checked, &all),
        };
        listing.row(&row, || list_values(&row, checked))?;
    }
    listing.end("There are no PAM services.")
}

fn list_values(row: &ListRow<'_>, checked: &Checked) -> Vec<Value> {
    let text = |text: &str| Value::Text(text.to_owned());
    let error = pam::error(&checked.result).map(Value::Bad);
    let note = row
        .although
        .map(|other| Value::Warning(format!("not asked, {other} is")));
    vec![
        text(row.service),
        text(row.kind),
        text(row.gives),
        if row.asks.is_empty() {
            text("-")
        } else {
            Value::Good(row.asks.join(", "))
        },
        error.or(note).unwrap_or_else(|| text("-")),
    ]
}
