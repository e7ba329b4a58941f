//! Logins and account checks: the broker is asked, its prompts are answered, and its verdict becomes a PAM code.
//!
//! - `exchange`: what the broker sends is shown, asked and answered
//! - `answers`: where an answer comes from: the user, or a password with a code behind it
//! - `outcome`: how it ended, for the application, the user and the log
//! - `proved`: whether sshd proved a key of the user's, for lines that ask nothing

mod answers;
mod exchange;
mod outcome;
mod proved;
#[cfg(test)]
pub(crate) mod tests;

use pam::constants::PamResultCode;
use twofa_proto::{Confirm, Login, Request, Verdict};

use crate::broker::Connection;
use crate::host::{Host, Level, Passed};
use crate::messages;
use crate::options::CodeSource;
use answers::{Answers, take_kept_code};
use exchange::run;
use outcome::{Outcome, conclude, pam_code, report, stops_at_maxtries};
pub use proved::find_proved_key;

/// Authenticates a login, for a line of the stack with these arguments.
pub fn authenticate<H: Host>(
    host: &mut H,
    code_source: CodeSource,
    arguments: &[String],
    mut connect: impl FnMut(&mut H, Request) -> Result<Connection, String>,
) -> PamResultCode {
    let user = host.user();
    // The handle may be used again, for another attempt or another user.
    if let Some(passed) = host.passed() {
        if host.passed_in_this_call() && Some(&passed.user) == user.as_ref() {
            return pam_code(passed.verdict, false);
        }
        host.set_passed(None);
    }
    let Some(user) = user else {
        return check_unnamed(host, Request::Login, arguments, connect);
    };
    let mut ask = |host: &mut H, answers: Answers| {
        let login = Login {
            behind_password: answers.behind_password,
            ..describe(host, &user, arguments, Confirm::No)
        };
        run(host, answers, Request::Login(login), &mut connect)
    };
    let answers = Answers::new(host, code_source);
    let guess = answers.first_pass.clone().filter(|_| answers.may_ask);
    let mut outcome = ask(host, answers);
    if let (
        Some(password),
        Verdict::Denied | Verdict::NotRequired | Verdict::Exempt | Verdict::Trusted,
    ) = (guess, outcome.verdict)
        // At a trusted device the digits may have been a right code.
        && !matches!(outcome.confirm, Confirm::Record(_))
    {
        if outcome.verdict == Verdict::Denied {
            // The digits at the end belonged to the password, or were a wrong code.
            let word = outcome::ASKING_AGAIN;
            outcome::log(host, Level::Notice, word, &user, &outcome.why);
            host.set_password(&password);
        }
        // Where the password may be wrong, the broker asks everyone: otherwise the prompt would reveal who needs a code.
        let alone = Answers::new(host, CodeSource::OwnPrompt);
        outcome = ask(host, alone);
    }
    if outcome.verdict == Verdict::Later
        && let Some(code) = &outcome.code
        && !host.keep_code(code.expose())
    {
        outcome = Outcome::new(Verdict::Unavailable, messages::CODE_NOT_KEPT);
    }
    pam_code(finish(host, &user, outcome), stops_at_maxtries(host))
}

/// The account phase: for applications that let users in without [`authenticate`], for codes that an earlier line kept,
/// and with `challenge` for stacks that ask there.
pub fn check_account<H: Host>(
    host: &mut H,
    challenge: bool,
    arguments: &[String],
    connect: impl FnOnce(&mut H, Request) -> Result<Connection, String>,
) -> PamResultCode {
    let Some(user) = host.user() else {
        return check_unnamed(host, Request::Account, arguments, connect);
    };
    let passed = host.passed().filter(|passed| passed.user == user).cloned();
    if let Some(passed) = &passed
        && passed.confirm == Confirm::No
    {
        return pam_code(passed.verdict, false);
    }
    let kept = take_kept_code(host);
    let answers = Answers {
        behind_password: kept.is_some(),
        kept,
        may_ask: challenge,
        ..Answers::NONE
    };
    let confirms = passed.as_ref().map_or(Confirm::No, |it| it.confirm);
    let login = Login {
        behind_password: answers.behind_password,
        may_ask: challenge,
        ..describe(host, &user, arguments, confirms)
    };
    let outcome = run(host, answers, Request::Account(login), connect);
    match (passed, outcome.verdict) {
        // The code was right and is used up. Only a line of the log is lost, not a check.
        (Some(passed), Verdict::Unavailable | Verdict::NoTicket)
            if matches!(passed.confirm, Confirm::Record(_)) =>
        {
            let word = outcome::NOT_RECORDED;
            outcome::log(host, Level::Error, word, &user, &outcome.why);
            pam_code(passed.verdict, false)
        }
        _ => pam_code(finish(host, &user, outcome), false),
    }
}

fn finish(host: &mut impl Host, user: &str, outcome: Outcome) -> Verdict {
    let outcome = conclude(host, user, outcome);
    let verdict = outcome.verdict;
    if matches!(verdict, Verdict::Passed | Verdict::Trusted) {
        host.set_passed(Some(Passed {
            user: user.to_owned(),
            verdict,
            confirm: outcome.confirm,
        }));
    }
    verdict
}

/// A login without a name that the broker could know. Where policy requires no code of anyone, none is required here.
fn check_unnamed<H: Host>(
    host: &mut H,
    request: fn(Login) -> Request,
    arguments: &[String],
    connect: impl FnOnce(&mut H, Request) -> Result<Connection, String>,
) -> PamResultCode {
    if !host.has_unreadable_user() {
        let outcome = Outcome::new(Verdict::Denied, messages::NO_USER);
        report(host, "", &outcome);
        return PamResultCode::PAM_AUTH_ERR;
    }
    let request = request(describe(host, "", arguments, Confirm::No));
    let outcome = run(host, Answers::NONE, request, connect);
    let outcome = match outcome.verdict {
        Verdict::NotRequired | Verdict::Unavailable => outcome,
        _ => Outcome {
            error_shown: outcome.error_shown,
            ..Outcome::new(Verdict::Denied, messages::USER_NOT_UTF8)
        },
    };
    report(host, "", &outcome);
    pam_code(outcome.verdict, false)
}

fn describe(host: &impl Host, user: &str, arguments: &[String], confirms: Confirm) -> Login {
    Login {
        user: user.to_owned(),
        service: host.service(),
        remote_host: host.remote_host(),
        remote_user: host.remote_user(),
        terminal: host.terminal(),
        arguments: arguments.to_vec(),
        cannot_answer: host.cannot_answer(),
        ssh_auth_info: host.ssh_auth_info(),
        pam_folder: host.pam_folder(),
        evidence: host.evidence(user, confirms).map(Box::new),
        ..Login::default()
    }
}
