//! Login sessions: the broker is told when one begins and ends, and says how long it may last, which `pam_systemd(8)` in a
//! later line enforces.
//!
//! Nothing here fails or holds up a login. The environment is not read: by now it contains settings from users' own files.

use std::time::Duration;

use twofa_proto::{Done, Request, SessionStart, is_no_login};

use crate::host::{Host, Tone};

/// How long the broker may take in total.
pub const TIMEOUT: Duration = Duration::from_secs(1);

/// The request that the broker is sent.
pub type Ask<'a> = &'a dyn Fn(Request) -> Option<Done>;

/// A session begins.
pub fn open(host: &mut dyn Host, ask: Ask<'_>) {
    let service = host.service();
    // The broker is not asked for every command of sudo and every job of cron.
    if is_no_login(&service) {
        return;
    }
    let (Some(user), Some(process)) = (host.user(), host.session_process()) else {
        return;
    };
    let start = SessionStart {
        user,
        service,
        remote_host: host.remote_host(),
        remote_user: host.remote_user(),
        terminal: host.terminal(),
        process,
    };
    let Some(Done::Session { limit: Some(limit) }) = ask(Request::OpenSession(start)) else {
        return;
    };
    // A broker of the previous release has no words for it.
    if host.limit_session(limit.seconds) && host.has_terminal() && !limit.notice.is_empty() {
        host.show(Tone::Info, &limit.notice);
    }
}

/// A session ends. Many never get here, because the program was killed or the machine went down.
pub fn close(host: &mut dyn Host, ask: Ask<'_>) {
    if is_no_login(&host.service()) {
        return;
    }
    if let (Some(user), Some(process)) = (host.user(), host.session_process()) {
        ask(Request::CloseSession { user, process });
    }
}

/// The limit to set where `before` is set already: the smaller one. `None`: it stays as it is, because it is smaller, or is
/// not understood and may be.
pub fn lower_limit(before: Option<&str>, seconds: u64) -> Option<u64> {
    match before.map(read_limit) {
        None => Some(seconds),
        Some(Some(before)) if seconds < before => Some(seconds),
        Some(_) => None,
    }
}

/// Reads a time span of systemd.time(7), such as `40min`, `1h 30min`, `90` or `infinity`, in whole seconds.
fn read_limit(text: &str) -> Option<u64> {
    let text = text.trim();
    if text == "infinity" {
        return Some(u64::MAX);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_at(rest, |c: char| !c.is_ascii_digit());
        let (unit, after) = split_at(after.trim_start(), |c: char| !c.is_ascii_alphabetic());
        let (times, over) = match unit {
            "" | "s" | "sec" | "second" | "seconds" => (1, 1),
            "m" | "min" | "minute" | "minutes" => (60, 1),
            "h" | "hr" | "hour" | "hours" => (60 * 60, 1),
            "d" | "day" | "days" => (24 * 60 * 60, 1),
            "w" | "week" | "weeks" => (7 * 24 * 60 * 60, 1),
            "ms" | "msec" => (1, 1_000),
            "us" | "usec" => (1, 1_000_000),
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(times)? / over;
        total = total.checked_add(part)?;
        rest = after.trim_start();
    }
    (!text.is_empty()).then_some(total)
}

fn split_at(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use twofa_proto::{SessionLimit, SessionProcess};

    use super::*;
    use crate::login::tests::{Step, host};

    #[test]
    fn the_end_is_told_at_a_terminal_unless_another_module_has_set_an_earlier_one() {
        const NOTICE: &str = "This session ends at 18:00.";
        for (terminal, limit_before, is_told) in [
            (Some("/dev/pts/1"), None, true),
            (Some("/dev/pts/1"), Some(61), true),
            (Some("/dev/pts/1"), Some(59), false),
            (None, None, false),
        ] {
            let steps = is_told.then_some(Step::Show(Tone::Info, NOTICE));
            let mut host = host(steps);
            host.terminal = terminal;
            host.limit_before = limit_before;
            host.session_process = Some(SessionProcess::default());
            open(&mut host, &|_| {
                let limit = SessionLimit {
                    seconds: 60,
                    notice: NOTICE.to_owned(),
                };
                Some(Done::Session { limit: Some(limit) })
            });
        }
    }

    #[test]
    fn the_smaller_limit_wins_and_one_that_is_not_understood_is_left_alone() {
        for (before, ours, set) in [
            (None, 60, Some(60)),
            (Some("2400"), 7_776_000, None),
            (Some("40min"), 2_401, None),
            (Some("40min"), 2_399, Some(2_399)),
            (Some("1h 30min"), 5_399, Some(5_399)),
            (Some("1h30min"), 5_400, None),
            (Some("infinity"), 60, Some(60)),
            (Some("500ms"), 1, None),
            (Some("soon"), 60, None),
            (Some(""), 60, None),
            (Some("-5"), 60, None),
            (Some("99999999999999999999"), 60, None),
        ] {
            assert_eq!(lower_limit(before, ours), set, "{before:?} {ours}");
        }
    }
}
