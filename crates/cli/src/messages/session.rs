//! Sentences about login sessions.

use twofa_broker::admin::sessions::StoredSession;
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
