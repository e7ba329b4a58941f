//! What an event of the log says about logging in under the rules.

use serde::Deserialize;
use twofa_broker::admin::log::ReportedOutcome;

/// The kinds of events of a login that was let in.
pub(super) const KINDS: &str = "passed,backup-code-used,reported";

/// An event of a user as `twofa log --json` prints it.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) id: i64,
    #[serde(rename = "event")]
    kind: String,
    service: Option<String>,
    remote_host: Option<String>,
    terminal: Option<String>,
    fields: Option<Fields>,
}

#[derive(Debug, Deserialize)]
struct Fields {
    outcome: Option<ReportedOutcome>,
}

/// What came of a login at a service.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// A code let it pass, or would be asked for if the mode were mandatory, and can be shown.
    Works(String),
    /// It was only reported, and with the mode mandatory no code would have let it pass.
    WouldNot(String, ReportedOutcome),
    Refused(String),
}

impl Event {
    /// The login, if it is one from somewhere: the one that proves a change of PAM's files is from nowhere, and a code that
    /// allows a change is asked for by twofa itself.
    pub(super) fn login(self) -> Option<Login> {
        self.remote_host.or(self.terminal)?;
        let service = self.service.filter(|service| service != "twofa")?;
        match self.kind.as_str() {
            "passed" | "backup-code-used" => Some(Login::Works(service)),
            "refused" => Some(Login::Refused(service)),
            "reported" => Some(match self.fields.and_then(|fields| fields.outcome)? {
                ReportedOutcome::Asked | ReportedOutcome::Trusted => Login::Works(service),
                outcome => Login::WouldNot(service, outcome),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(kind: &str, service: &str, more: &str) -> Option<Login> {
        let json = format!(r#"{{"id":1,"event":"{kind}","service":"{service}"{more}}}"#);
        serde_json::from_str::<Event>(&json).unwrap().login()
    }

    #[test]
    fn a_login_that_would_have_been_refused_or_not_asked_does_not_work() {
        let reported = |outcome: &str| {
            let fields = format!(
                r#","terminal":"tty1","fields":{{"class":"everyone","outcome":"{outcome}"}}"#
            );
            login("reported", "login", &fields)
        };
        let service = || "login".to_owned();
        for outcome in ReportedOutcome::ALL {
            let expected = match outcome {
                ReportedOutcome::Asked | ReportedOutcome::Trusted => Login::Works(service()),
                outcome => Login::WouldNot(service(), outcome),
            };
            assert_eq!(reported(outcome.name()), Some(expected));
        }
    }

    #[test]
    fn a_code_counts_at_a_login_from_somewhere() {
        let from = r#","remote_host":"::1","fields":{"by":"app"}"#;
        let works = Some(Login::Works("sshd".to_owned()));
        assert_eq!(login("passed", "sshd", from), works);
        assert_eq!(login("backup-code-used", "sshd", from), works);
        assert_eq!(login("passed", "twofa", from), None);
        assert_eq!(login("passed", "sshd", ""), None);
        assert_eq!(login("user-added", "sshd", from), None);
    }
}
