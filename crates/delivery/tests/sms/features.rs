//! What SMS providers can do: the table in twofa-sms(5) against the data files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use twofa_core::Channel;
use twofa_delivery::ProviderKind;

use crate::support::catalogue;

/// The rows of a table in the manual whose first heading is `kind` and whose last is `last`, by their first column.
fn table(last: &str) -> BTreeMap<String, Vec<String>> {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../man/twofa-sms.5");
    let manual = fs::read_to_string(manual).unwrap().replace("\\-", "-");
    let tables = manual.split(".TS\n").skip(1);
    let mut tables = tables.map(|table| table.split(".TE\n").next().unwrap());
    let is_wanted = |table: &&str| {
        let mut lines = table.lines();
        lines.any(|line| line.starts_with("kind\t") && line.ends_with(&format!("\t{last}")))
    };
    let table = tables.find(is_wanted).unwrap();
    let rows = table
        .lines()
        .skip_while(|line| !line.starts_with("kind\t"))
        .skip(1);
    rows.filter(|line| line.contains('\t'))
        .map(|row| {
            let mut columns = row.split('\t').map(str::to_owned);
            (columns.next().unwrap(), columns.collect())
        })
        .collect()
}

/// The SMS providers, except the gateway that sends e-mail.
fn providers() -> Vec<ProviderKind> {
    let (catalogue, _) = catalogue(Path::new("/nonexistent"));
    let kinds = catalogue.kinds().iter();
    kinds
        .filter(|kind| kind.channel == Channel::Sms && kind.name != "email-gateway")
        .cloned()
        .collect()
}

/// The row of `kind` in the manual, apart from its last column.
fn row(kind: &ProviderKind) -> Vec<String> {
    let yes_or_no = |feature| if feature { "yes" } else { "no" };
    let features = kind.sms.unwrap();
    let number = match features.number {
        "+15551234567" => "+",
        "15551234567" => "digits",
        other => other,
    };
    let sender = kind.setting("from").or_else(|| kind.setting("sender-id"));
    let sender = sender.map_or("none", |setting| {
        if setting.required {
            "needed"
        } else {
            "optional"
        }
    });
    let has_cap = kind
        .settings
        .iter()
        .any(|setting| setting.name.starts_with("max-"));
    let row = [
        number,
        sender,
        yes_or_no(features.lifetime),
        yes_or_no(has_cap),
        yes_or_no(features.inbox),
        yes_or_no(features.check),
    ];
    row.map(str::to_owned).into()
}

#[test]
fn the_table_in_the_manual_has_every_provider_and_is_true() {
    let mut rows = table("log");
    for kind in providers() {
        let mut columns = rows
            .remove(&kind.name)
            .unwrap_or_else(|| panic!("{} is not in the table", kind.name));
        let log = columns.pop().unwrap();
        assert_eq!(columns, row(&kind), "{}", kind.name);
        assert!(
            ["text", "number", "none", "?"].contains(&log.as_str()),
            "{}: {log}",
            kind.name
        );
    }
    assert_eq!(
        rows.keys().collect::<Vec<_>>(),
        [""; 0],
        "no such providers"
    );
}

/// The tests that compare a provider's requests with something that others wrote name it like this.
const CHECKED_IN: [&str; 4] = ["aws.rs", "contracts.rs", "modem.rs", "sdks.rs"];

#[test]
fn what_the_manual_calls_checked_against_something_is_checked_by_a_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sms");
    let sources = CHECKED_IN.map(|file| fs::read_to_string(here.join(file)).unwrap());
    let is_named = |name: &String| {
        let quoted = format!("\"{name}\"");
        sources.iter().any(|source| source.contains(&quoted))
    };
    let kinds = providers();
    let tested = kinds
        .iter()
        .filter(|kind| kind.aliases.iter().chain([&kind.name]).any(is_named));
    let tested: BTreeSet<_> = tested.map(|kind| kind.name.as_str()).collect();
    let listed = table("checked against");
    assert_eq!(tested, listed.keys().map(String::as_str).collect());
}
