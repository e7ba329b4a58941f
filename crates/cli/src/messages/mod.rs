//! Every sentence that the command line shows, made of the library's typed values.
//!
//! [`doctor`] and [`environment`] have the findings, [`class_test`] what a login would get, [`policy`] what to consider before rules change,
//! [`devices`] says what is trusted, [`user`], [`status`], [`provider`] and [`session`] what is said about those, [`events`] what the audit log says,
//! [`journal`] what its verification found, [`pam`] who gets in at a service, [`enrol`] what is said of a QR code, [`errors`] what to
//! do about an error.

pub(crate) mod ca_rotation;
pub(crate) mod class_test;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod enrol;
pub(crate) mod environment;
pub(crate) mod errors;
pub(crate) mod events;
pub(crate) mod fleet;
pub(crate) mod fleet_metrics;
pub(crate) mod journal;
pub(crate) mod merging;
pub(crate) mod pam;
pub(crate) mod policy;
pub(crate) mod provider;
pub(crate) mod report;
pub(crate) mod rotation;
pub(crate) mod session;
pub(crate) mod setup;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod subject;
pub(crate) mod user;

use jiff::tz::TimeZone;
use twofa_core::Timestamp;
use twofa_core::text::printable;

/// So many people are named; of the others it is said how many they are.
const NAMED: usize = 5;

/// A moment in local time: `2027-06-30 12:00:00`.
pub(crate) fn moment(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_second(at.unix()).unwrap_or_default();
    at.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// The same without seconds, where two moments stand in a row of a table.
pub(crate) fn minute(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_second(at.unix()).unwrap_or_default();
    at.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}

/// A moment as JSON has it (RFC 3339).
pub(crate) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.unix())
        .unwrap_or_default()
        .to_string()
}

/// `until 2027-06-30 12:00:00`, or `without end`.
pub(crate) fn until(end: Option<Timestamp>) -> String {
    end.map_or_else(
        || "without end".to_owned(),
        |end| format!("until {}", moment(end)),
    )
}

/// `a, b and c`.
fn enumerate(names: &[impl AsRef<str>]) -> String {
    let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [names @ .., last] => format!("{} and {last}", names.join(", ")),
    }
}

/// `12 users (alice, bob, carol, dave, erin and 7 more)`. The last `unsettled` of `names` may not be concerned.
fn people(names: &[String], unsettled: usize) -> String {
    let mut shown: Vec<_> = names
        .iter()
        .take(NAMED)
        .map(|name| printable(name))
        .collect();
    if names.len() > NAMED {
        shown.push(format!("{} more", names.len() - NAMED));
    }
    let shown = enumerate(&shown);
    let users = match names.len() {
        1 => "1 user".to_owned(),
        n => format!("{n} users"),
    };
    match unsettled {
        0 => format!("{users} ({shown})"),
        n => format!("up to {users} ({shown}; the groups of {n} of them are not known)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn people_are_counted_and_five_of_them_named() {
        let all = names(&["alice", "bob", "carol", "dave", "erin", "frank", "grace"]);
        for (count, shown) in [
            (1, "1 user (alice)"),
            (2, "2 users (alice and bob)"),
            (5, "5 users (alice, bob, carol, dave and erin)"),
            (7, "7 users (alice, bob, carol, dave, erin and 2 more)"),
        ] {
            assert_eq!(people(&all[..count], 0), shown);
        }
    }

    #[test]
    fn a_count_that_is_not_settled_says_so_and_names_are_printable() {
        assert_eq!(
            people(&names(&["bob", "alice\u{1b}"]), 1),
            "up to 2 users (bob and alice?; the groups of 1 of them are not known)"
        );
    }
}
