//! What each provider's refusals are blamed on: keys, sender, recipient or message. A wrong blame sends an administrator
//! to the wrong place, and a refusal that is taken for a success leaves a person waiting for a code that never comes.

use twofa_delivery::Step;

use crate::server::Server;
use crate::support::{TO, message, open, soon};

/// A refusal: HTTP status, body, the step that failed, and a part of the expected hint.
type Refusal = (u16, &'static str, Step, &'static str);

/// Checks what the provider `kind` makes of each refusal.
#[track_caller]
fn assert_refused(kind: &str, settings: &[(&str, &str)], refusals: &[Refusal]) {
    for (status, body, step, hint) in refusals {
        let server = Server::answering(*status, body);
        let sent = open(kind, &server.base(), settings).send(TO, &message(), soon());
        let Err(error) = sent else {
            panic!("{kind} took {status} {body} for a success");
        };
        let about = format!("{kind}, {status} {body}: {error:?}");
        assert_eq!(error.step, *step, "{about}");
        assert!(error.hint.unwrap_or_default().contains(hint), "{about}");
    }
}

#[test]
fn only_the_status_401_is_blamed_on_the_keys() {
    let settings = [("username", "ann"), ("password", "hush")];
    let refusals = [
        (401, "{}", Step::Login, "check the keys"),
        (403, "{}", Step::Message, "does not permit this"),
        (402, "{}", Step::Message, "balance"),
        (429, "{}", Step::Message, "try again later"),
        (500, "{}", Step::Message, "having problems"),
    ];
    assert_refused("eztexting", &settings, &refusals);
}
