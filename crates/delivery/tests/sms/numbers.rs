//! How phone numbers are read, against another implementation of the numbering plans: Python's phonenumbers.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

use twofa_delivery::phone::{BadNumber, Number};

use crate::tools::{project, skipped};

/// Where a foreign number written with 00 or with the local prefix may be refused, because it can be read as another
/// one as well: here prefixes of carriers, or numbers at home, begin with 00 and go on.
const CAN_BE_ASKED_AGAIN: [&str; 20] = [
    "AU", "BO", "BR", "CC", "CO", "CX", "GY", "HK", "ID", "JP", "KH", "KR", "MN", "NG", "SG", "TH",
    "TJ", "TW", "TZ", "UG",
];

/// One line of `numbers.py`.
struct Case<'a> {
    what: &'a str,
    country: &'a str,
    text: &'a str,
    means: &'a str,
    made_from: &'a str,
}

/// What Python makes of the numbers of every country. `None`: it is not installed, which is said.
fn reference() -> Option<String> {
    let python = project().join("target/phonenumbers/bin/python");
    if !python.exists() {
        assert!(
            env::var_os("CI").is_none(),
            "tests/install-phonenumbers was not run, or failed"
        );
        skipped(
            "phone numbers as Python reads them (tests/install-phonenumbers installs what that needs)",
        );
        return None;
    }
    let script = project().join("crates/delivery/tests/sms/numbers.py");
    let output = Command::new(python).arg(script).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

fn cases(reference: &str) -> impl Iterator<Item = Case<'_>> {
    reference
        .lines()
        .map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
            [what, country, text, means, made_from] => Case {
                what,
                country,
                text,
                means,
                made_from,
            },
            _ => panic!("{line}"),
        })
}

#[test]
fn numbers_of_every_country_are_read_in_every_country_as_another_implementation_reads_them() {
    let Some(reference) = reference() else { return };
    let mut differences = Vec::new();
    let mut asked_again = BTreeSet::new();
    let mut compared = 0;
    for Case {
        what,
        country,
        text,
        means,
        made_from,
    } in cases(&reference)
    {
        if what == "country" {
            check_country(text, country, means);
            continue;
        }
        compared += 1;
        let number = Number::parse(text, Some(country));
        let read = number.as_ref().map_or("-".to_owned(), Number::e164);
        if read != means {
            differences.push(format!("{text} in {country}: {number:?}, and not {means}"));
        }
        assert!(
            read == made_from || read == "-",
            "{text} in {country}: {read} is a stranger's number"
        );
        if matches!(number, Err(BadNumber::Ambiguous(..))) && what != "plus" {
            asked_again.insert(country);
        }
        let is_bare = text
            .trim_start_matches('+')
            .bytes()
            .all(|b| b.is_ascii_digit());
        let is_sure = what == "home" || what == "plus" && is_bare;
        assert!(
            !is_sure || read == made_from,
            "{text} in {country}: {number:?}"
        );
    }
    assert!(compared > 200_000, "{compared} numbers were compared");
    assert!(
        differences.is_empty(),
        "{} differences: does tests/install-phonenumbers have the metadata of rlibphonenumber? {:#?}",
        differences.len(),
        differences.iter().take(20).collect::<Vec<_>>()
    );
    assert_eq!(asked_again, BTreeSet::from(CAN_BE_ASKED_AGAIN));
}

/// Which countries a number belongs to, and whether codes may go to its kind.
fn check_country(e164: &str, countries: &str, kind: &str) {
    let is_ordinary = matches!(
        kind,
        "FIXED_LINE" | "MOBILE" | "FIXED_LINE_OR_MOBILE" | "VOIP"
    );
    match Number::parse(e164, None) {
        Ok(number) => {
            assert!(is_ordinary, "{e164} is {kind}");
            assert_eq!(
                number.is_mobile(),
                kind.ends_with("MOBILE"),
                "{e164} is {kind}"
            );
            for country in COUNTRIES_OF_ALL_KINDS
                .into_iter()
                .chain(countries.split(','))
            {
                let is_of = countries.split(',').any(|of| of == country);
                assert_eq!(number.is_in(country), is_of, "{e164} in {country}");
            }
        }
        Err(bad) => assert!(
            !is_ordinary && matches!(bad, BadNumber::Costly(_)),
            "{e164} is {kind}: {bad:?}"
        ),
    }
}

/// With long and short numbers, with calling codes of their own and shared ones.
const COUNTRIES_OF_ALL_KINDS: [&str; 16] = [
    "US", "CA", "JM", "GB", "GG", "DE", "AT", "IT", "VA", "RU", "KZ", "NO", "SJ", "GP", "MF", "CN",
];
