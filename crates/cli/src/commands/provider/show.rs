//! What there is to see of providers.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use twofa_broker::admin::Administration;
use twofa_broker::providers::configuration;
use twofa_core::Channel;
use twofa_delivery::provider::Setting;
use twofa_delivery::{Catalogue, ProviderKind, sms};
use twofa_proto::Failure;
use twofa_store::{ProviderRecord, Providers, Value as Stored};

use super::{all, catalogue, kind, record};
use crate::error::CommandError;
use crate::output::{self, Output, Value};

/// What is shown in a secret's place.
const MASK: &str = "••••";

/// A kind as JSON has it.
#[derive(Debug, Serialize)]
struct KindRow<'a> {
    kind: &'a str,
    aliases: &'a [String],
    carries: &'static str,
    title: &'a str,
    settings: Vec<SettingRow<'a>>,
}

#[derive(Debug, Serialize)]
struct SettingRow<'a> {
    setting: &'a str,
    help: &'a str,
    required: bool,
    secret: bool,
    default: Option<&'a str>,
}

fn kind_row(kind: &ProviderKind) -> KindRow<'_> {
    let settings = kind.settings.iter().map(
        |Setting {
             name,
             help,
             secret,
             required,
             default,
         }| SettingRow {
            setting: name,
            help,
            required: *required,
            secret: *secret,
            default: default.as_deref(),
        },
    );
    KindRow {
        kind: &kind.name,
        aliases: &kind.aliases,
        carries: kind.channel.name(),
        title: &kind.title,
        settings: settings.collect(),
    }
}

pub(super) fn kinds(name: Option<&str>, output: Output) -> Result<(), CommandError> {
    let catalogue = catalogue();
    if let Some(name) = name {
        let kind = kind(&catalogue, name)?;
        return output.object(&kind_row(kind), |out| one_kind(kind, output, out));
    }
    let mut listing = output.listing(&["KIND", "CARRIES", "TITLE"]);
    for kind in catalogue.kinds() {
        listing.row(&kind_row(kind), || {
            let texts = [kind.name.as_str(), kind.channel.name(), &kind.title];
            texts.map(|text| Value::Text(text.to_owned())).into()
        })?;
    }
    listing.end("There are no kinds of providers.")
}

fn one_kind(kind: &ProviderKind, output: Output, out: &mut dyn Write) -> std::io::Result<()> {
    let rows = kind.settings.iter().map(
        |Setting {
             name,
             help,
             secret,
             required,
             default,
         }| {
            let needed = match (required, secret) {
                (true, true) => "required, secret",
                (true, false) => "required",
                (false, true) => "secret",
                (false, false) => "",
            };
            [
                name.as_str(),
                needed,
                default.as_deref().unwrap_or_default(),
                help.as_str(),
            ]
        },
    );
    if !output.is_terminal() {
        return rows
            .map(|row| row.join("\t"))
            .try_for_each(|row| writeln!(out, "{row}"));
    }
    writeln!(
        out,
        "{}: {}, carries {}",
        kind.name, kind.title, kind.channel
    )?;
    if !kind.aliases.is_empty() {
        writeln!(out, "Also called {}", kind.aliases.join(", "))?;
    }
    let mut table = output::table(&["SETTING", "", "DEFAULT", "MEANING"]);
    for row in rows {
        table.add_row(row);
    }
    writeln!(out, "\n{}", table.trim_fmt())?;
    if kind.setting("account").is_none() && kind.has_account() {
        writeln!(
            out,
            "\nOr all of the account in one, with semicolons in between: account (secret)"
        )?;
    }
    Ok(())
}

/// A provider as JSON has it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    provider: &'a str,
    kind: Option<&'a str>,
    carries: Option<&'static str>,
    /// From 1; none: it is not used.
    order: Option<usize>,
    title: Option<&'a str>,
    problem: Option<String>,
}

pub(super) fn list(broker: &Administration, output: Output) -> Result<(), CommandError> {
    let providers = all(broker)?;
    let catalogue = catalogue();
    let mut listing = output.listing(&["PROVIDER", "KIND", "CARRIES", "ORDER", "TITLE", "STATE"]);
    let mut names: Vec<_> = providers
        .all
        .iter()
        .map(|provider| provider.name.as_str())
        .collect();
    names.extend(providers.broken.iter().map(|(name, _)| name.as_str()));
    // By method, in the order in which they are tried, then the others.
    names.sort_by_key(|name| {
        (
            place(&providers, name).is_none(),
            place(&providers, name),
            *name,
        )
    });
    for name in names {
        let row = row(&providers, &catalogue, name);
        listing.row(&row, || {
            let text = |text: Option<&str>| Value::Text(text.unwrap_or("-").to_owned());
            vec![
                text(Some(name)),
                text(row.kind),
                text(row.carries),
                row.order
                    .map_or_else(|| text(None), |order| Value::Number(order as u64)),
                text(row.title),
                match &row.problem {
                    Some(problem) => Value::Bad(problem.clone()),
                    None => Value::Good("ready".to_owned()),
                },
            ]
        })?;
    }
    listing.end(
        "There are no providers, so that no codes are sent. Connect one with 'twofa provider add'.",
    )
}

fn row<'a>(providers: &'a Providers, catalogue: &'a Catalogue, name: &'a str) -> Row<'a> {
    let place = place(providers, name);
    let record = providers.find(name);
    let kind = record.and_then(|record| catalogue.find(&record.kind));
    let channel = kind
        .map(|kind| kind.channel)
        .or(place.map(|(channel, _)| channel));
    let problem = match record {
        Some(record) => catalogue
            .open(&configuration(record))
            .err()
            .map(|error| error.to_string()),
        None => providers
            .broken
            .iter()
            .find(|(broken, _)| broken == name)
            .map(|(_, why)| why.clone()),
    };
    Row {
        provider: name,
        kind: record.map(|record| record.kind.as_str()),
        carries: channel.map(Channel::name),
        order: place.map(|(_, order)| order),
        title: record
            .and_then(|record| record.title.as_deref())
            .or(kind.map(|kind| kind.title.as_str())),
        problem,
    }
}

/// The channel that a provider serves, and its place in the order in which they are tried: the first is 1.
fn place(providers: &Providers, name: &str) -> Option<(Channel, usize)> {
    providers.order.iter().find_map(|(channel, order)| {
        let at = order.iter().position(|other| other == name)?;
        Some((channel, at + 1))
    })
}

/// A provider in full as JSON has it.
#[derive(Debug, Serialize)]
struct Full<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    settings: BTreeMap<&'a str, &'a str>,
}

pub(super) fn one(
    broker: &Administration,
    name: &str,
    reveal: bool,
    output: Output,
) -> Result<(), CommandError> {
    let providers = all(broker)?;
    let ProviderRecord { settings, .. } = record(&providers, name)?;
    let catalogue = catalogue();
    let shown = |value: &'_ Stored| value.is_secret() && !reveal;
    let settings: BTreeMap<_, _> = settings
        .iter()
        .map(|(name, value)| {
            (
                name.as_str(),
                if shown(value) { MASK } else { value.text() },
            )
        })
        .collect();
    let full = Full {
        row: row(&providers, &catalogue, name),
        settings,
    };
    output.object(&full, |out| {
        if !output.is_terminal() {
            return full
                .settings
                .iter()
                .try_for_each(|(name, value)| writeln!(out, "{name}\t{value}"));
        }
        let Row {
            kind,
            carries,
            order,
            title,
            problem,
            ..
        } = &full.row;
        writeln!(out, "{name}: {}", title.unwrap_or("-"))?;
        let order = order.map_or("not used".to_owned(), |order| format!("number {order}"));
        writeln!(
            out,
            "Failure: {}   Carries: {}, {order}",
            kind.unwrap_or("-"),
            carries.unwrap_or("-")
        )?;
        if let Some(problem) = problem {
            writeln!(out, "It cannot be used: {problem}")?;
        }
        let mut table = output::table(&["SETTING", "VALUE"]);
        for (name, value) in &full.settings {
            table.add_row([name, value]);
        }
        writeln!(out, "\n{}", table.trim_fmt())
    })
}

/// A data file as JSON has it.
#[derive(Debug, Serialize)]
struct Checked<'a> {
    #[serde(flatten)]
    kind: KindRow<'a>,
    sample: &'a str,
    warnings: &'a [String],
}

pub(super) fn check(file: &Path, output: Output) -> Result<(), CommandError> {
    let report = sms::check_file(file).map_err(|error| {
        CommandError::new(Failure::Failed, error.to_string())
            .hinted("twofa-sms(5) tells of the form of these files")
    })?;
    let checked = Checked {
        kind: kind_row(&report.kind),
        sample: &report.sample,
        warnings: &report.warnings,
    };
    output.object(&checked, |out| {
        writeln!(
            out,
            "{} is sound: {}, {}.",
            file.display(),
            report.kind.name,
            report.kind.title
        )?;
        for warning in &report.warnings {
            writeln!(out, "warning: {warning}")?;
        }
        let required: Vec<_> = report
            .kind
            .settings
            .iter()
            .map(|setting| setting.name.as_str())
            .collect();
        writeln!(out, "It wants to know: {}", required.join(", "))?;
        writeln!(
            out,
            "\nThe request it makes:\n\n{}",
            report.sample.trim_end()
        )
    })
}
