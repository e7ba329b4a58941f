//! Every sentence of the broker that people read.
//!
//! [`prompts`] are questions, [`notes`] tell a person what happened, and [`refusals`] why something is not done, with
//! [`commands`] for the command line, [`joining`] for hosts that join, [`wrong_answer`] for codes and [`endings`] for requests that wait too long. [`log_lines`] are for administrators, and
//! [`reasons`] say in them why a login ended as it did. What all of them share is in this file. Texts for a terminal
//! are ASCII, because nothing is known of the terminal.

pub mod commands;
pub mod endings;
mod joining;
pub mod log_lines;
mod notes;
mod prompts;
pub mod reasons;
mod refusals;
mod wrong_answer;

use jiff::tz::TimeZone;
use twofa_core::exemption::Exemption;
use twofa_core::text::printable;
use twofa_core::{Duration, Policy, Timestamp};

pub use self::joining::*;
pub use self::notes::*;
pub use self::prompts::*;
pub use self::refusals::*;
pub use self::wrong_answer::WrongAnswer;

/// The name of this machine in prompts and apps: the policy's, or the host's.
pub fn application_name(policy: &Policy) -> String {
    policy.application_name.clone().unwrap_or_else(host_name)
}

/// The name of this host.
pub fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| "this machine".to_owned(),
        |name| printable(&name.to_string_lossy()),
    )
}

/// A moment as people write it: the time, and the day unless it is today. In the system's time zone.
pub fn moment(at: Timestamp, now: Timestamp) -> String {
    let zone = TimeZone::system();
    let local = |moment: Timestamp| {
        jiff::Timestamp::from_second(moment.unix())
            .unwrap_or(jiff::Timestamp::MAX)
            .to_zoned(zone.clone())
    };
    let (at, now) = (local(at), local(now));
    let format = if at.date() == now.date() {
        "%H:%M"
    } else {
        "%Y-%m-%d %H:%M"
    };
    at.strftime(format).to_string()
}

/// Where an exemption applies; `None`: everywhere.
pub fn exemption_scope(exemption: &Exemption) -> Option<String> {
    let network = exemption.network.map(|network| format!("from {network}"));
    let service = exemption
        .service
        .as_ref()
        .map(|service| format!("at {service}"));
    match (network, service) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one),
        (Some(network), Some(service)) => Some(format!("{network} {service}")),
    }
}

/// How many tries are left.
fn tries_left(tries: u32) -> String {
    match tries {
        1 => "one try is left".to_owned(),
        n => format!("{n} tries are left"),
    }
}

/// `count` things of this kind: `1 minute`, `10 minutes`.
fn counted(count: u64, unit: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// A duration as people say it, in its largest whole unit: `90 minutes`, `12 hours`, `30 days`.
pub fn span(duration: Duration) -> String {
    let minutes = duration.seconds() / 60;
    match minutes {
        m if m > 0 && m.is_multiple_of(24 * 60) => counted(m / (24 * 60), "day"),
        m if m > 0 && m.is_multiple_of(60) => counted(m / 60, "hour"),
        m => counted(m, "minute"),
    }
}

/// Seconds from `now` to `next`, at least one.
fn seconds_until(next: Timestamp, now: Timestamp) -> u64 {
    let seconds = next.unix().saturating_sub(now.unix());
    u64::try_from(seconds).unwrap_or_default().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_another_day_has_its_day() {
        let now = Timestamp::from_unix(1_800_000_000);
        assert_eq!(moment(now.after(60), now).len(), 5);
        assert_eq!(moment(now.after(86_400), now).len(), 16);
    }
}
