//! Lines of the system log and of the audit log, for administrators. None has a secret, or an address in full.

use std::fmt::Display;

use twofa_core::text::{log_line, printable};
use twofa_core::{Account, Channel, Timestamp};
use twofa_store::event::{Happening, LoginOrigin};
use twofa_store::journal::Anchor;
use twofa_store::{AlteredRow, FARTHEST_CLOCK, NoticeFate, SmsAlarm, SmsCount, StoreError};

use super::moment;

/// That what a login left behind is not recorded.
pub fn login_not_recorded(error: &dyn Display) -> String {
    format!("a login could not be recorded in twofa's log: {error}")
}

/// That a login on a host that was left at its prompt is not recorded.
pub fn conversation_not_recorded(error: &dyn Display) -> String {
    format!("that a login on a host was given up could not be recorded in twofa's log: {error}")
}

/// That conversations that have ended stay in the store for now.
pub fn not_swept(error: &dyn Display) -> String {
    format!("logins on hosts that have ended could not be removed from the store: {error}")
}

/// That a host was removed.
pub fn host_silent(name: &str) -> String {
    format!("the host {name} was removed: it was silent for as long as its join key says")
}

/// That another program has written a row of the database.
pub fn row_altered(row: &AlteredRow) -> String {
    format!("{row}, and is not used: {}", row.remedy())
}

/// That it is not known whether another program has written rows of the database.
pub fn rows_not_looked_at(error: &dyn Display) -> String {
    format!("cannot check who wrote the rows of the database: {error}")
}

/// That hosts that are silent stay for now.
pub fn silent_not_removed(error: &dyn Display) -> String {
    format!("hosts that have been silent for too long could not be removed: {error}")
}

/// That a login that passed is not on record, so that its session cannot be ended from a server.
pub fn session_not_noted(error: &dyn Display) -> String {
    format!(
        "a login to a shared account cannot be recorded, and servers do not list its session: {error}"
    )
}

/// That hosts are not told what they are to do.
pub fn hosts_not_told(why: &str) -> String {
    format!("hosts cannot be told what has changed: {why}")
}

/// That a host reported what is not its own.
pub fn report_refused(host: &str) -> String {
    format!("host {host} reported sessions or orders that are not its own, which was refused")
}

/// That no server knows of this host's sessions.
pub fn not_watching(why: &str) -> String {
    format!(
        "sessions are not reported to the fleet, whose servers cannot end them until that is fixed: {why}"
    )
}

/// That root cannot be asked to end sessions.
pub fn sessions_not_ended(error: &dyn Display) -> String {
    format!("sessions that are to be ended wait for the next 'twofa session sweep': {error}")
}

/// That a server knows again.
pub fn watching(server: &str) -> String {
    format!("sessions are reported to the fleet again, by way of {server}")
}

/// That the database did not take this server's mark.
pub fn no_mark(error: &StoreError) -> String {
    let hint = error
        .hint()
        .map_or_else(String::new, |hint| format!(" ({hint})"));
    format!(
        "the database does not take this server's mark, without which nobody is served: {error}{hint}"
    )
}

/// That the clock of the database is `ahead` seconds ahead, or behind.
pub fn clocks_differ(ahead: i64) -> String {
    let by = ahead.abs();
    let which = if ahead < 0 { "behind" } else { "ahead of" };
    format!(
        "the clock of the database is {by} seconds {which} this machine's; from {FARTHEST_CLOCK} seconds on nobody is served"
    )
}

/// An event as a line of `key="value"` pairs. The address comes before the user name, which strangers can choose.
///
/// First the keys that all events can have, in this order, then those of its kind
/// ([`EVENT_NAMES`](twofa_store::event::names::EVENT_NAMES)), and last its leaf in the journal.
pub fn event(happening: &Happening) -> String {
    let Happening {
        user,
        event,
        origin,
        anchor,
    } = happening;
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let login = origin.as_login();
    let claim = |of: fn(&LoginOrigin) -> Option<&str>| text(login.and_then(of));
    let mut pairs = vec![
        ("event".to_owned(), event.name()),
        ("from".to_owned(), claim(|it| it.remote_host.as_deref())),
        (
            "user".to_owned(),
            text(user.as_ref().map(|user| &*user.name)),
        ),
        ("service".to_owned(), text(origin.service())),
        ("tty".to_owned(), claim(|it| it.terminal.as_deref())),
        ("ruser".to_owned(), claim(|it| it.remote_user.as_deref())),
        ("uid".to_owned(), origin.actor.to_string()),
        (
            "login-uid".to_owned(),
            origin
                .login_uid
                .map_or(String::new(), |uid| uid.to_string()),
        ),
        (
            "host".to_owned(),
            text(origin.host.as_ref().map(|host| &*host.name)),
        ),
    ];
    let name = event.name();
    let fields = event.flat_fields().into_iter();
    let logged = fields.filter(|(key, _)| !NOT_LOGGED.contains(&&**key));
    pairs.extend(logged.map(|(key, value)| (logged_key(&name, &key), value)));
    if let Some(anchor) = anchor {
        pairs.push(("leaf".to_owned(), anchor.to_string()));
    }
    log_line(pairs.iter().map(|(key, value)| (&**key, &**value)))
}

/// Fields that are left out because they hold complete addresses of users.
const NOT_LOGGED: [&str; 3] = ["address", "replaced", "instead"];

/// The key for a field, which must differ from those that all events have.
fn logged_key(name: &str, key: &str) -> String {
    match (name, key) {
        ("policy-changed", "from") => "old".to_owned(),
        ("policy-changed", "to") => "new".to_owned(),
        ("exempted" | "exemption-ended", "service") => "for-service".to_owned(),
        (_, "of_kind") => "kind".to_owned(),
        _ => key.replace('_', "-"),
    }
}

/// A checkpoint of the audit log, for a log that leaves the machine.
pub fn anchor(anchor: &Anchor) -> String {
    let anchor = anchor.to_string();
    log_line([("event", "log-checkpoint"), ("anchor", &anchor)])
}

/// A checkpoint of the audit log could not be written.
pub fn no_checkpoint(error: &impl Display) -> String {
    format!("cannot write a checkpoint of the audit log: {error}")
}

/// The rules of the fleet are known again, after that had failed.
pub fn policy_confirmed(server: &str, version: i64) -> String {
    format!("{server} has confirmed the fleet's policy, version {version}")
}

/// It is not known whether the rules of the fleet that this host has are those in force.
pub fn policy_not_refreshed(why: &str) -> String {
    format!("the fleet's policy in force here may be an old one: {why}")
}

/// A host has a new certificate.
pub const HOST_RENEWED: &str = "this host of a fleet has renewed its certificate";

/// A host could not ask for rescue codes, or tell of uses.
pub fn no_rescue_codes(error: &impl Display) -> String {
    let why = printable(&error.to_string());
    format!("this host of a fleet could not fetch rescue codes, or report that one was used: {why}")
}

/// Members of the group of administrators are not told something.
pub fn administrators_unknown(group: &str, error: &dyn Display) -> String {
    format!(
        "members of {group} (fleet.administrators) cannot be looked up, and are not notified: {error}"
    )
}

/// A host has learnt nothing from a server.
pub fn not_kept_up(error: &impl Display) -> String {
    let why = printable(&error.to_string());
    format!("this host of a fleet could not ask where servers are, or renew its certificate: {why}")
}

/// The rows of grants that are over could not be deleted.
pub fn grants_not_deleted(error: &impl Display) -> String {
    format!("cannot delete the records of devices that are no longer trusted: {error}")
}

/// A request of `uid` about `user` that is not a login.
pub fn request_of(uid: u32, user: &str) -> String {
    format!("a request of uid {uid} about '{user}'")
}

/// A login of `user` that `uid` asked about, from the host or terminal `place`.
pub fn login_of(uid: u32, user: &str, service: &str, place: Option<&str>) -> String {
    let place = place.map_or_else(String::new, |place| format!(" from '{place}'"));
    format!("a login of '{user}' with '{service}'{place}, asked for by uid {uid}")
}

/// The broker ended a request at a prompt.
pub fn ended(subject: &str, why: &str) -> String {
    format!("{subject} was ended: {why}")
}

/// That a login was given up could not be recorded.
pub fn not_recorded(account: &Account, error: &impl Display) -> String {
    let user = &account.name;
    format!("cannot record that {user} gave up a login: {error}")
}

/// A provider did not take a code, and the next one was tried.
pub fn refused_by(provider: &str, account: &Account, error: &impl Display) -> String {
    let user = &account.name;
    format!("provider '{provider}' did not accept a code for {user}: {error}")
}

/// No provider took a code.
pub fn undelivered(account: &Account, error: &impl Display) -> String {
    let user = &account.name;
    format!("no provider accepted a code for {user}: {error}")
}

/// Text messages to us could not be looked up.
pub fn inbox_unreadable(error: &impl Display) -> String {
    format!("cannot check for incoming text messages: {error}")
}

/// A notice could not be sent.
pub fn notice_not_sent(
    account: &Account,
    channel: Channel,
    fate: NoticeFate,
    now: Timestamp,
    error: &impl Display,
) -> String {
    let next = match fate {
        NoticeFate::RetryAt(at) => format!("tried again at {}", moment(at, now)),
        NoticeFate::GivenUp => "given up".to_owned(),
    };
    let (user, way) = (&account.name, channel.noun());
    format!("a notice to {user} by {way} was not sent, {next}: {error}")
}

/// A notice was not sent because of the limit on text messages.
pub const SMS_LIMIT_REACHED: &str = "the limit on text messages is reached";

/// How many text messages were sent.
pub fn sms_alarm(alarm: SmsAlarm, count: SmsCount, sms_daily: u32) -> String {
    let SmsCount { all, unverified } = count;
    let next = "see 'twofa log' for the users; if these messages are legitimate, raise the limit with 'twofa policy \
                set send.sms-daily=...'";
    match alarm {
        SmsAlarm::Unverified => format!(
            "text messages to unverified numbers in the last 24 hours: {unverified}, and a fifth of \
             send.sms-daily={sms_daily} is the most allowed: no unverified number can be enrolled until the count \
             falls; {next}"
        ),
        SmsAlarm::Most => format!(
            "text messages with codes in the last 24 hours: {all}, and the limit send.sms-daily={sms_daily} will soon \
             be reached; {next}"
        ),
        SmsAlarm::All => format!(
            "text messages with codes in the last 24 hours: {all}, and send.sms-daily={sms_daily} allows no more: \
             until the count falls, codes go by e-mail or not at all; {next}"
        ),
    }
}

#[cfg(test)]
mod tests;
