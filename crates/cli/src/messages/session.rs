//! Sentences about login sessions.

use twofa_broker::admin::sessions::{HostOrder, HostSession, StoredSession};
use twofa_core::Timestamp;
use twofa_core::text::printable;

use crate::sessions::machine::Other;

/// `session 12 of alice (sshd from 192.0.2.7)`
pub(crate) fn name(session: &StoredSession) -> String {
    let from = session.remote_host.as_ref();
    let place = match (from, &session.terminal) {
        (Some(host), _) => format!("{} from {host}", session.service),
        (None, Some(terminal)) => format!("{} at {terminal}", session.service),
        (None, None) => session.service.clone(),
    };
    printable(&format!(
        "session {} of {} ({place})",
        session.id, session.account.name
    ))
}

pub(crate) fn ended(session: &StoredSession) -> String {
    format!("Ended {}.", name(session))
}

pub(crate) fn ended_for_fleet(session: &StoredSession) -> String {
    format!("Ended {}, as a server of the fleet wants.", name(session))
}

/// `session 12 of alice on web1 (sshd from 192.0.2.7)`
fn name_on_host(session: &HostSession) -> String {
    let HostSession {
        host,
        number,
        login,
        ..
    } = session;
    let from = login.remote_host.as_ref();
    let from = from.map_or(String::new(), |from| format!(" from {from}"));
    let (user, service) = (&login.account.name, &login.service);
    printable(&format!(
        "session {number} of {user} on {host} ({service}{from})"
    ))
}

pub(crate) fn ended_on_host(session: &HostSession) -> String {
    format!("Ended {}.", name_on_host(session))
}

/// `web3 has not confirmed: it was last seen 3 h ago. Session 12 of alice is ended when it is back.`
pub(crate) fn not_confirmed(order: &HostOrder, now: Timestamp) -> String {
    let seen = order.seen_at.map_or_else(
        || "it has never been seen".to_owned(),
        |at| format!("it was last seen {} ago", since(at, now)),
    );
    let sessions = match order.sessions.as_slice() {
        [session] => printable(&format!(
            "Session {} of {} is ended",
            session.number, session.login.account.name
        )),
        sessions => format!("{} sessions are ended", sessions.len()),
    };
    let host = printable(&order.host);
    format!("{host} has not confirmed: {seen}. {sessions} when it is back.")
}

fn since(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.unix().saturating_sub(at.unix()).max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

pub(crate) fn hosts_not_confirmed(hosts: &[&str]) -> String {
    match hosts {
        [host] => format!("{} has not confirmed", printable(host)),
        hosts => format!("{} hosts have not confirmed", hosts.len()),
    }
}

pub(crate) fn no_session_on(number: i64, host: &str) -> String {
    printable(&format!(
        "there is no open session with the number {number} on {host}"
    ))
}

pub(crate) fn no_host(name: &str) -> String {
    printable(&format!("there is no host '{name}' in the fleet"))
}

/// Nothing is left to end.
pub(crate) fn none_open(user: Option<&str>) -> String {
    user.map_or_else(
        || "No login session is open.".to_owned(),
        |user| printable(&format!("No login session of {user} is open.")),
    )
}

pub(crate) fn over_lifetime(session: &StoredSession) -> String {
    format!("Ended {}: it was over its lifetime.", name(session))
}

pub(crate) fn ends_last(session: &StoredSession) -> String {
    format!("Ending {}, in which this runs.", name(session))
}

pub(crate) fn skipped_own(session: &StoredSession) -> String {
    format!(
        "Skipped {}: this runs in it. To end it too: 'twofa session end {} --me'.",
        name(session),
        session.id
    )
}

pub(crate) fn skipped_other(other: &Other) -> String {
    let Other {
        scope,
        user,
        service,
        class,
    } = other;
    let what = printable(&format!(
        "session {scope} of {user} ({service}) of systemd-logind"
    ));
    match class.as_str() {
        "user" => format!(
            "Skipped {what}: it is not on record. End it with 'loginctl terminate-session {scope}'."
        ),
        class => format!(
            "Skipped {what}: it is no login, but of class {}.",
            printable(class)
        ),
    }
}

pub(crate) fn not_ended(session: &StoredSession) -> String {
    format!(
        "{} still has processes, though they were killed",
        name(session)
    )
}

pub(crate) fn trust_ended(devices: u64) -> String {
    match devices {
        0 => "No device was trusted.".to_owned(),
        1 => "Ended the trust in 1 device.".to_owned(),
        n => format!("Ended the trust in {n} devices."),
    }
}
