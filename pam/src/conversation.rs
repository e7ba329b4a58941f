//! The conversation: the broker leads, the user answers, and its verdict becomes a PAM code.

use pam::constants::PamResultCode;
use twofa_proto::{Done, FromBroker, Login, Prompt, Request, Secret, Verdict};
use zeroize::Zeroizing;

use crate::broker::Broker;
use crate::host::{Host, Level, Tone, Typed};
use crate::options::{CodeComes, Options};
use crate::split::{may_end_in_code, split};

/// What the user reads when the broker has not said it better.
const UNAVAILABLE: &str = "The second factor cannot be checked now, so this login is refused. \
                           An administrator finds the reason in the system log.";

/// What the broker is told instead of something that can be no code, or that may hold a password: it
/// reads this as no code, says so and asks again, without counting it as a try (`twofa_core::Answer`).
const NOT_A_CODE: &str = "-";

/// `PAM_MAX_RESP_SIZE`: no longer answer is a code.
const LONGEST_ANSWER: usize = 512;

/// Authenticates a login.
pub fn login<H: Host>(
    host: &mut H,
    options: &Options,
    reach: impl FnOnce(&mut H, Request) -> Result<Broker, String>,
) -> PamResultCode {
    // A handle may be used again, for another try or another user.
    if host.passed().is_some() {
        host.set_passed("");
    }
    let source = Source::new(host, options.code);
    let code = run(host, |host, user| {
        let login = Login { behind_password: source.is_behind_password(), ..described(host, user) };
        match reach(host, Request::Login(login)) {
            Ok(broker) => Conversation { host, broker, source, told: false }.run(),
            Err(why) => Ending::unavailable(why),
        }
    });
    code
}

/// Asks whether a login that did not come through [`login`] needed a second factor.
pub fn account<H: Host>(
    host: &mut H,
    reach: impl FnOnce(&mut H, Request) -> Result<Broker, String>,
) -> PamResultCode {
    run(host, |host, user| {
        if host.passed() == Some(user) {
            return Ending { verdict: Verdict::Passed, why: "it was checked before".to_owned(), told: true };
        }
        let login = described(host, user);
        match reach(host, Request::Account(login)) {
            Ok(broker) => Conversation { host, broker, source: Source::Nothing, told: false }.run(),
            Err(why) => Ending::unavailable(why),
        }
    })
}
