//! Listings and details of providers.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::Administration;
use twofa_broker::admin::providers::{
    self, ListedProvider, ProviderKind, Setting, SmsFeatures, Value as Stored,
};
use twofa_core::Channel;
use twofa_core::text::printable;

use crate::error::CommandError;
use crate::output::{Output, Table, Value, terminal_width};
use crate::{input, invoker};

/// What is shown in a secret's place.
const MASK: &str = "••••";

/// A kind as JSON has it.
#[derive(Debug, Serialize)]
struct KindRow<'a> {
    kind: &'a str,
    aliases: &'a [String],
    carries: &'static str,
    title: &'a str,
    /// None: it is not an SMS provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    sms: Option<SmsRow>,
    settings: Vec<SettingRow<'a>>,
}

/// What an SMS provider can do as JSON has it.
#[derive(Debug, Serialize)]
struct SmsRow {
    number: &'static str,
    lifetime: bool,
    inbox: bool,
    check: bool,
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
    KindRow {
        kind: &kind.name,
        aliases: &kind.aliases,
        carries: kind.channel.name(),
        title: &kind.title,
        sms: kind.sms.map(|sms| SmsRow {
            number: sms.number,
            lifetime: sms.lifetime,
            inbox: sms.inbox,
            check: sms.check,
        }),
        settings: kind.settings.iter().map(setting_row).collect(),
    }
}

fn setting_row(setting: &Setting) -> SettingRow<'_> {
    SettingRow {
        setting: &setting.name,
        help: &setting.help,
        required: setting.required,
        secret: setting.secret,
        default: setting.default.as_deref(),
    }
}

pub(super) fn kinds(name: Option<&str>, output: Output) -> Result<(), CommandError> {
    if let Some(name) = name {
        let kind = providers::kind(name)?;
        return output.object(&kind_row(&kind), |out| one_kind(&kind, output, out));
    }
    let headings = &["KIND", "CARRIES", "TITLE", "LIFETIME", "INBOX", "CHECK"];
    let mut listing = output.listing(headings);
    for kind in providers::kinds() {
        listing.row(&kind_row(&kind), || {
            let sms = |feature: fn(&SmsFeatures) -> bool| yes_or_no(kind.sms.as_ref().map(feature));
            let texts = [
                kind.name.as_str(),
                kind.channel.name(),
                &kind.title,
                sms(|sms| sms.lifetime),
                sms(|sms| sms.inbox),
                sms(|sms| sms.check),
            ];
            texts.map(|text| Value::Text(text.to_owned())).into()
        })?;
    }
    listing.end("There are no kinds of providers.")
}

/// A feature in a table; `-` if it is not one of this kind.
fn yes_or_no(feature: Option<bool>) -> &'static str {
    match feature {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    }
}

/// Of the settings of a kind.
const HEADINGS: &[&str] = &["SETTING", "NEEDED", "DEFAULT", "MEANING"];

fn one_kind(kind: &ProviderKind, output: Output, out: &mut dyn Write) -> io::Result<()> {
    let rows = kind.settings.iter().map(|setting| {
        let needed = match (setting.required, setting.secret) {
            (true, true) => "required, secret",
            (true, false) => "required",
            (false, true) => "secret",
            (false, false) => "",
        };
        [
            setting.name.as_str(),
            needed,
            setting.default.as_deref().unwrap_or_default(),
            setting.help.as_str(),
        ]
    });
    if !output.is_terminal() {
        writeln!(out, "{}", HEADINGS.join("\t"))?;
        return rows
            .map(|row| row.map(printable).join("\t"))
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
    if let Some(sms) = kind.sms {
        let answer = |feature: bool| yes_or_no(Some(feature));
        writeln!(out, "Takes numbers like {}", sms.number)?;
        writeln!(out, "Is told when a code expires: {}", answer(sms.lifetime))?;
        writeln!(out, "Lists text messages sent to it: {}", answer(sms.inbox))?;
        writeln!(
            out,
            "Its keys are tried when it is added: {}",
            answer(sms.check)
        )?;
    }
    let mut table = Table::new(HEADINGS);
    rows.for_each(|row| table.push_texts(&row));
    writeln!(out)?;
    table.write(terminal_width(), out)?;
    if kind.setting("account").is_none() && kind.has_account() {
        writeln!(
            out,
            "\nOr the whole account in one value, its parts separated by semicolons: account (secret)"
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
    problem: Option<&'a str>,
}

fn row(listed: &ListedProvider) -> Row<'_> {
    Row {
        provider: &listed.name,
        kind: listed.kind.as_deref(),
        carries: listed.channel.map(Channel::name),
        order: listed.order,
        title: listed.title.as_deref(),
        problem: listed.problem.as_deref(),
    }
}

pub(super) fn list(admin: &Administration, output: Output) -> Result<(), CommandError> {
    let mut listing = output.listing(&["PROVIDER", "KIND", "CARRIES", "ORDER", "TITLE", "STATE"]);
    for listed in &admin.providers()? {
        let row = row(listed);
        listing.row(&row, || {
            let text = |text: Option<&str>| Value::Text(text.unwrap_or("-").to_owned());
            vec![
                text(Some(row.provider)),
                text(row.kind),
                text(row.carries),
                row.order
                    .map_or_else(|| text(None), |order| Value::Number(order as u64)),
                text(row.title),
                match row.problem {
                    Some(problem) => Value::Bad(problem.to_owned()),
                    None => Value::Good("ready".to_owned()),
                },
            ]
        })?;
    }
    listing.end("There are no providers, so no codes are sent. Add one with 'twofa provider add'.")
}

/// A provider in full as JSON has it.
#[derive(Debug, Serialize)]
struct Full<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    settings: BTreeMap<&'a str, &'a str>,
}

pub(super) fn details(
    admin: &Administration,
    name: &str,
    reveal: bool,
    output: Output,
) -> Result<(), CommandError> {
    let provider = admin.provider(name)?;
    let shown = |value: &'_ Stored| !value.is_secret() || reveal;
    let settings = provider.settings.iter().map(|(name, value)| {
        let text = if shown(value) { value.text() } else { MASK };
        (name.as_str(), text)
    });
    let full = Full {
        row: row(&provider.listed),
        settings: settings.collect(),
    };
    output.object(&full, |out| {
        if output.is_terminal() {
            return in_words(&full, out);
        }
        writeln!(out, "SETTING\tVALUE")?;
        full.settings
            .iter()
            .try_for_each(|(name, value)| writeln!(out, "{name}\t{}", printable(value)))
    })
}

fn in_words(Full { row, settings }: &Full<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}: {}", row.provider, row.title.unwrap_or("-"))?;
    let order = row
        .order
        .map_or("not used".to_owned(), |order| format!("number {order}"));
    writeln!(
        out,
        "Kind: {}   Carries: {}, {order}",
        row.kind.unwrap_or("-"),
        row.carries.unwrap_or("-")
    )?;
    if let Some(problem) = row.problem {
        writeln!(out, "It cannot be used: {problem}")?;
    }
    let mut table = Table::new(&["SETTING", "VALUE"]);
    for (name, value) in settings {
        table.push_texts(&[name, value]);
    }
    writeln!(out)?;
    table.write(terminal_width(), out)
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
    let checked = invoker::as_invoker(|| Ok(providers::check_file(file)))
        .map_err(|error| input::unreadable(file, &error))?;
    let checked = checked.map_err(|error| {
        CommandError::new(Failure::Failed, error.to_string())
            .hinted("twofa-sms(5) describes the form of these files")
    })?;
    let row = Checked {
        kind: kind_row(&checked.kind),
        sample: &checked.sample,
        warnings: &checked.warnings,
    };
    // A long line of the request is part of it.
    output.verbatim(&row, |out| {
        let (file, kind) = (file.display(), &checked.kind);
        writeln!(out, "{file} is valid: {}, {}.", kind.name, kind.title)?;
        for warning in &checked.warnings {
            writeln!(out, "warning: {warning}")?;
        }
        let settings = kind.settings.iter().map(|setting| setting.name.as_str());
        let settings: Vec<_> = settings.collect();
        writeln!(out, "Its settings: {}", settings.join(", "))?;
        writeln!(
            out,
            "\nThe request it makes:\n\n{}",
            checked.sample.trim_end()
        )
    })
}
