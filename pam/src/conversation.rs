//! The conversation: the broker leads, the user answers, and the verdict becomes a PAM code.

use pam::constants::PamResultCode;
use twofa_proto::{Done, FromBroker, Login, Prompt, Request, Secret, Verdict};

use crate::broker::Broker;
use crate::host::{Host, Level, Tone, Typed};
use crate::options::CodeComes;
use crate::split::{may_end_in_code, split};

/// What the user reads when the broker has not said it better.
const UNAVAILABLE: &str = "The second factor cannot be checked now, so this login is refused. \
                           An administrator finds the reason in the system log.";

/// Sent in place of what can be no code, or may hold a password. The broker takes it for what it is, says
/// so, and does not count it as a guess against the account; whether it asks again stays its decision.
const NOT_A_CODE: &str = "-";

/// `PAM_MAX_RESP_SIZE`; no code is that long.
const LONGEST_ANSWER: usize = 512;

/// Authenticates a login, for a line of the stack with these arguments.
pub fn login<H: Host>(
    host: &mut H,
    code_comes: CodeComes,
    arguments: &[String],
    mut reach: impl FnMut(&mut H, Request) -> Result<Broker, String>,
) -> PamResultCode {
    let user = host.user();
    // The handle may be used again, for another try or another user.
    if host.passed().is_some() {
        if host.passed_in_this_call() && host.passed() == user.as_deref() {
            return code(Verdict::Passed);
        }
        host.set_passed("");
    }
    let Some(user) = user else {
        return nobody(host, Request::Login, arguments, reach);
    };
    let mut ask = |host: &mut H, source: Source| {
        let login = Login {
            behind_password: source.behind_password,
            ..describe(host, &user, arguments)
        };
        converse(host, source, Request::Login(login), &mut reach)
    };
    let source = Source::new(host, code_comes);
    let guess = source.first_pass.clone().filter(|_| source.may_ask);
    let mut ending = ask(host, source);
    if let (Some(password), Verdict::Denied | Verdict::NotRequired | Verdict::Exempt) =
        (guess, ending.verdict)
    {
        if ending.verdict == Verdict::Denied {
            // What the password ends in was the password's own, or a wrong code.
            host.log(
                Level::Notice,
                &line("denied, asking", host, &user, &ending.why),
            );
            host.set_password(&password);
        }
        // Where the password may be wrong, the broker asks everybody, or the prompt would tell who needs a code.
        let alone = Source::new(host, CodeComes::Alone);
        ending = ask(host, alone);
    }
    if ending.verdict == Verdict::Later
        && let Some(code) = &ending.code
        && !host.keep_code(code.expose())
    {
        ending = Ending::new(
            Verdict::Unavailable,
            "the code cannot be kept for a later line",
        );
    }
    let verdict = conclude(host, &user, ending);
    if verdict == Verdict::Passed {
        host.set_passed(&user);
    }
    code(verdict)
}

/// The account phase: for applications that let people in without [`login`], for codes that an earlier line kept, and
/// with `challenge` for stacks that ask there.
pub fn account<H: Host>(
    host: &mut H,
    challenge: bool,
    arguments: &[String],
    reach: impl FnOnce(&mut H, Request) -> Result<Broker, String>,
) -> PamResultCode {
    let Some(user) = host.user() else {
        return nobody(host, Request::Account, arguments, reach);
    };
    if host.passed() == Some(&user) {
        return code(Verdict::Passed);
    }
    let kept = take_code(host);
    let behind_password = kept.is_some();
    let source = Source {
        kept,
        behind_password,
        may_ask: challenge,
        ..Source::NOTHING
    };
    let login = Login {
        behind_password,
        may_ask: challenge,
        ..describe(host, &user, arguments)
    };
    let ending = converse(host, source, Request::Account(login), reach);
    let verdict = conclude(host, &user, ending);
    if verdict == Verdict::Passed {
        host.set_passed(&user);
    }
    code(verdict)
}

/// The code that an earlier line kept; nobody gets it twice.
fn take_code(host: &mut impl Host) -> Option<Secret> {
    let kept = host.kept_code()?;
    host.keep_code("").then_some(kept)
}

/// What the application is told. Nothing else in a login or account check says success or ignore.
fn code(verdict: Verdict) -> PamResultCode {
    match verdict {
        Verdict::Passed => PamResultCode::PAM_SUCCESS,
        // Not success: a `sufficient` in the wrong place would let people in without a password.
        // Nor is what a later line decides.
        Verdict::NotRequired | Verdict::Exempt | Verdict::Later => PamResultCode::PAM_IGNORE,
        Verdict::Denied => PamResultCode::PAM_AUTH_ERR,
        Verdict::TriesUsedUp => PamResultCode::PAM_MAXTRIES,
        Verdict::Unavailable => PamResultCode::PAM_AUTHINFO_UNAVAIL,
        Verdict::NoAnswer => PamResultCode::PAM_CONV_ERR,
    }
}

/// A login without a name that the broker could know. Where policy asks nobody, it asks nobody here either.
fn nobody<H: Host>(
    host: &mut H,
    request: fn(Login) -> Request,
    arguments: &[String],
    reach: impl FnOnce(&mut H, Request) -> Result<Broker, String>,
) -> PamResultCode {
    if !host.has_unreadable_user() {
        host.log(
            Level::Notice,
            "second factor denied: the application names no user",
        );
        return code(Verdict::Denied);
    }
    let request = request(describe(host, "", arguments));
    let ending = converse(host, Source::NOTHING, request, reach);
    let ending = match ending.verdict {
        Verdict::NotRequired | Verdict::Unavailable => ending,
        _ => Ending {
            told: ending.told,
            ..Ending::new(Verdict::Denied, "the user's name is not UTF-8")
        },
    };
    code(report(host, "", ending))
}

fn describe(host: &impl Host, user: &str, arguments: &[String]) -> Login {
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
        ..Login::default()
    }
}

/// How it ended.
struct Ending {
    verdict: Verdict,
    /// For the log.
    why: String,
    /// The broker has shown an error.
    told: bool,
    /// What was split off a password on the way.
    code: Option<Secret>,
}

impl Ending {
    fn new(verdict: Verdict, why: impl Into<String>) -> Self {
        Self {
            verdict,
            why: why.into(),
            told: false,
            code: None,
        }
    }
}

/// Tells the user and the log how it ended.
fn conclude(host: &mut impl Host, user: &str, ending: Ending) -> Verdict {
    // Who passed must be who is let in (CVE-2024-9313).
    let ending = if host.user_is_still(user) {
        ending
    } else {
        Ending::new(
            Verdict::Denied,
            "the application changed the user during the conversation",
        )
    };
    report(host, user, ending)
}

fn report(
    host: &mut impl Host,
    user: &str,
    Ending {
        verdict, why, told, ..
    }: Ending,
) -> Verdict {
    let (level, outcome) = match verdict {
        // Not "logged in": the first factor may be wrong yet, where it is checked behind us or with us.
        Verdict::Passed => (Level::Info, "right"),
        Verdict::Later => (Level::Debug, "left to a later line"),
        // Said at each login, as long as nobody needs one.
        Verdict::NotRequired => (Level::Debug, "not required"),
        Verdict::Exempt => (Level::Info, "not asked for"),
        Verdict::Denied => (Level::Notice, "denied"),
        Verdict::TriesUsedUp => (Level::Notice, "denied, no more tries"),
        Verdict::NoAnswer => (Level::Notice, "denied, no answer"),
        Verdict::Unavailable => (Level::Error, "unavailable"),
    };
    if verdict == Verdict::Unavailable && !told {
        host.show(Tone::Error, UNAVAILABLE);
    }
    host.log(level, &line(outcome, host, user, &why));
    verdict
}

/// A line for the log. The address stands before the name, which a stranger chooses. What is in quotes stays
/// there: `Debug` escapes quotes, and whatever cannot be seen or turns the order of what can.
fn line(outcome: &str, host: &impl Host, user: &str, why: &str) -> String {
    let remote_host = host.remote_host().unwrap_or_default();
    format!("second factor {outcome}: rhost={remote_host:?} user={user:?} why={why:?}")
}

fn converse<H: Host>(
    host: &mut H,
    mut source: Source,
    request: Request,
    reach: impl FnOnce(&mut H, Request) -> Result<Broker, String>,
) -> Ending {
    let mut broker = match reach(host, request) {
        Ok(broker) => broker,
        Err(why) => return Ending::new(Verdict::Unavailable, why),
    };
    let mut told = false;
    loop {
        let message = match broker.receive() {
            Ok(message) => message,
            Err(error) => {
                return Ending {
                    told,
                    ..Ending::new(Verdict::Unavailable, error.to_string())
                };
            }
        };
        match message {
            FromBroker::Accepted => {}
            FromBroker::Info(text) => host.show(Tone::Info, text.expose()),
            FromBroker::Error(text) => {
                host.show(Tone::Error, &text);
                told = true;
            }
            FromBroker::Prompt(prompt) => match source.answer(host, &prompt) {
                Ok(answer) => {
                    // If the broker is gone, it may have said why.
                    let _ = broker.answer(Some(answer));
                }
                Err(ending) => {
                    return match broker.break_off() {
                        // Asked like everybody, and not because of a rule: who cannot answer is not kept out.
                        Some(Done::Login {
                            verdict: verdict @ (Verdict::NotRequired | Verdict::Exempt),
                            why,
                        }) => Ending {
                            told,
                            ..Ending::new(verdict, why)
                        },
                        _ => Ending { told, ..ending },
                    };
                }
            },
            FromBroker::Done(Done::Login { verdict, why }) => {
                return Ending {
                    verdict,
                    why,
                    told,
                    code: source.split_off,
                };
            }
            FromBroker::Done(_) => {
                let why = "the broker answered what was not asked";
                return Ending {
                    told,
                    ..Ending::new(Verdict::Unavailable, why)
                };
            }
        }
    }
}

/// Where answers come from.
struct Source {
    /// The password that an earlier module got, as long as it has not been looked at.
    first_pass: Option<Typed>,
    /// The code that an earlier line of ours kept, as long as it has not been used.
    kept: Option<Secret>,
    /// The code that was split off a password.
    split_off: Option<Secret>,
    /// The user may be asked.
    may_ask: bool,
    /// The broker is to ask for password and code in one.
    behind_password: bool,
}

impl Source {
    /// Of no answers.
    const NOTHING: Self = Self {
        first_pass: None,
        kept: None,
        split_off: None,
        may_ask: false,
        behind_password: false,
    };

    fn new(host: &mut impl Host, code_comes: CodeComes) -> Self {
        let kept = take_code(host);
        match code_comes {
            CodeComes::Alone => Self {
                may_ask: true,
                behind_password: kept.is_some(),
                kept,
                ..Self::NOTHING
            },
            CodeComes::BehindPassword => Self {
                may_ask: true,
                behind_password: true,
                ..Self::NOTHING
            },
            CodeComes::BehindFirstPass => Self {
                first_pass: host.password(),
                behind_password: true,
                ..Self::NOTHING
            },
            CodeComes::PerhapsBehindFirstPass => {
                let first_pass = host.password().filter(|password| may_end_in_code(password));
                Self {
                    behind_password: first_pass.is_some(),
                    may_ask: true,
                    first_pass,
                    ..Self::NOTHING
                }
            }
        }
    }

    fn answer(&mut self, host: &mut impl Host, prompt: &Prompt) -> Result<Secret, Ending> {
        let digits = prompt.digits_behind_password;
        if digits.is_some()
            && let Some(code) = self.kept.take()
        {
            return Ok(code);
        }
        if let (Some(digits), Some(password)) = (digits, self.first_pass.take()) {
            if let Some(code) = split_off(host, &password, digits)? {
                self.split_off = Some(code.clone());
                return Ok(code);
            }
            // Nothing is wanted, or the code is asked for by itself once this is refused.
            if digits == 0 || self.may_ask {
                return Ok(Secret::from(NOT_A_CODE));
            }
        }
        if !self.may_ask {
            let why = if self.behind_password {
                "there is no code, or no other one, behind the password that an earlier module asked for"
            } else {
                "the broker asks where nobody can be asked"
            };
            return Err(Ending::new(Verdict::Denied, why));
        }
        let typed = host
            .prompt(prompt.text.expose(), prompt.echo)
            .ok_or_else(|| Ending::new(Verdict::NoAnswer, no_answer(host)))?;
        let code = match digits {
            // Nothing but an empty answer is known to hold no password.
            Some(digits) if !typed.is_empty() => {
                self.split_off = split_off(host, &typed, digits)?;
                // All of it is the password then, which the modules that follow must not ask for again.
                if self.split_off.is_none() && !host.set_password(&typed) {
                    return Err(no_password());
                }
                self.split_off.clone()
            }
            _ => std::str::from_utf8(&typed)
                .ok()
                .filter(|text| text.len() <= LONGEST_ANSWER)
                .map(Secret::from),
        };
        Ok(code.unwrap_or_else(|| Secret::from(NOT_A_CODE)))
    }
}

/// The code behind a password. The password goes to the modules that follow and nowhere else.
fn split_off(host: &mut impl Host, typed: &[u8], digits: u8) -> Result<Option<Secret>, Ending> {
    let Some((password, code)) = split(typed, digits) else {
        return Ok(None);
    };
    if !host.set_password(password) {
        return Err(no_password());
    }
    Ok(Some(Secret::from(code)))
}

fn no_password() -> Ending {
    Ending::new(Verdict::Unavailable, "PAM_AUTHTOK cannot be set")
}

fn no_answer(host: &impl Host) -> &'static str {
    // What sshd sets in place of a terminal's name. Its method `password` cannot ask anything.
    if host.terminal().as_deref() == Some("ssh") {
        "sshd got no answer; if nothing was asked, set KbdInteractiveAuthentication yes in sshd_config"
    } else {
        "the terminal gave no answer"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::os::unix::net::UnixStream;
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use twofa_proto::{BrokerEnd, FromClient};

    /// What the module is expected to do to its host, in this order.
    #[derive(Debug, PartialEq)]
    enum Step {
        Prompt(&'static str, bool),
        Show(Tone, &'static str),
        SetPassword(&'static str),
        SetPassed(&'static str),
    }
    use Step::{Prompt as Asks, SetPassed, SetPassword, Show};

    /// A host that does as scripted and insists that all of the script is played.
    struct Scripted {
        user: Option<&'static str>,
        has_unreadable_user: bool,
        user_later: &'static str,
        terminal: Option<&'static str>,
        password: Option<&'static [u8]>,
        may_set_password: bool,
        steps: VecDeque<Step>,
        answers: VecDeque<Option<&'static [u8]>>,
        passed: Option<String>,
        passed_in_this_call: bool,
        kept: String,
        log: Vec<(Level, String)>,
    }

    fn host(steps: impl IntoIterator<Item = Step>) -> Scripted {
        Scripted {
            user: Some("alice"),
            has_unreadable_user: false,
            user_later: "alice",
            terminal: None,
            password: None,
            may_set_password: true,
            steps: steps.into_iter().collect(),
            answers: VecDeque::new(),
            passed: None,
            passed_in_this_call: false,
            kept: String::new(),
            log: Vec::new(),
        }
    }

    impl Scripted {
        fn typing(mut self, answers: &[&'static str]) -> Self {
            self.answers = answers
                .iter()
                .map(|answer| Some(answer.as_bytes()))
                .collect();
            self
        }

        fn step(&mut self, step: &Step) {
            assert_eq!(self.steps.pop_front().as_ref(), Some(step));
        }

        fn log_of(&self, level: Level) -> &str {
            self.log
                .iter()
                .find(|(of, _)| *of == level)
                .map_or("", |(_, text)| text)
        }
    }

    impl Drop for Scripted {
        fn drop(&mut self) {
            if !thread::panicking() {
                assert!(self.steps.is_empty(), "not done: {:?}", self.steps);
                assert!(self.answers.is_empty(), "not typed: {}", self.answers.len());
            }
        }
    }

    /// Texts compare by content; the scripts have static ones.
    fn leak(text: &str) -> &'static str {
        Box::leak(text.to_owned().into_boxed_str())
    }

    impl Host for Scripted {
        fn user(&mut self) -> Option<String> {
            self.user.map(str::to_owned)
        }
        fn has_unreadable_user(&self) -> bool {
            self.has_unreadable_user
        }
        fn user_is_still(&self, user: &str) -> bool {
            self.user_later == user
        }
        fn service(&self) -> String {
            "sshd".into()
        }
        fn remote_host(&self) -> Option<String> {
            Some("192.0.2.1".into())
        }
        fn terminal(&self) -> Option<String> {
            self.terminal.map(str::to_owned)
        }
        fn remote_user(&self) -> Option<String> {
            None
        }
        fn cannot_answer(&self) -> bool {
            false
        }
        fn ssh_auth_info(&self) -> Option<String> {
            None
        }
        fn pam_folder(&self) -> Option<(u64, u64)> {
            None
        }
        fn passed_in_this_call(&self) -> bool {
            self.passed_in_this_call
        }
        fn keep_code(&mut self, code: &str) -> bool {
            self.kept = code.to_owned();
            true
        }
        fn kept_code(&self) -> Option<Secret> {
            Some(self.kept.as_str())
                .filter(|code| !code.is_empty())
                .map(Secret::from)
        }
        fn password(&self) -> Option<Typed> {
            self.password.map(|password| Typed::new(password.to_vec()))
        }
        fn set_password(&mut self, password: &[u8]) -> bool {
            self.step(&SetPassword(leak(&String::from_utf8_lossy(password))));
            self.may_set_password
        }
        fn prompt(&mut self, text: &str, echo: bool) -> Option<Typed> {
            self.step(&Asks(leak(text), echo));
            self.answers
                .pop_front()
                .flatten()
                .map(|answer| Typed::new(answer.to_vec()))
        }
        fn show(&mut self, tone: Tone, text: &str) {
            self.step(&Show(tone, leak(text)));
        }
        fn set_passed(&mut self, user: &str) {
            self.step(&SetPassed(leak(user)));
            self.passed = Some(user.to_owned());
        }
        fn passed(&self) -> Option<&str> {
            self.passed.as_deref()
        }
        fn log(&mut self, level: Level, text: &str) {
            self.log.push((level, text.to_owned()));
        }
    }

    type End = BrokerEnd<UnixStream>;

    /// A broker that plays `script` after it has accepted; joined, it gives what it was asked.
    struct Played(JoinHandle<Request>, Option<UnixStream>);

    fn broker(script: impl FnOnce(&mut End) + Send + 'static) -> Played {
        let (client, broker) = UnixStream::pair().unwrap();
        let play = move || {
            let mut end = BrokerEnd::new(broker);
            let request = end.request().unwrap();
            end.send(&FromBroker::Accepted).unwrap();
            script(&mut end);
            request
        };
        Played(thread::spawn(play), Some(client))
    }

    impl Played {
        fn reach(
            &mut self,
        ) -> impl FnMut(&mut Scripted, Request) -> Result<Broker, String> + use<> {
            let mut client = self.1.take();
            move |_, request| {
                let client = client.take().unwrap();
                Broker::open(client.into(), request, Duration::from_secs(5))
                    .map_err(|error| error.to_string())
            }
        }

        fn asked(self) -> Request {
            drop(self.1);
            self.0.join().unwrap()
        }
    }

    fn asks(end: &mut End, digits: Option<u8>) -> Option<String> {
        let prompt = Prompt {
            text: "Code: ".into(),
            echo: digits.is_none(),
            digits_behind_password: digits,
        };
        end.send(&FromBroker::Prompt(prompt)).unwrap();
        match end.receive().unwrap() {
            FromClient::Answer(answer) => answer.map(|answer| answer.expose().to_owned()),
            FromClient::Open { .. } => None,
        }
    }

    fn done(end: &mut End, verdict: Verdict) {
        end.send(&FromBroker::Done(Done::Login {
            verdict,
            why: "the reason".into(),
        }))
        .unwrap();
    }

    fn nobody_there(_: &mut Scripted, _: Request) -> Result<Broker, String> {
        Err("no broker".into())
    }

    const CODE: Step = Asks("Code: ", true);
    const BOTH: Step = Asks("Code: ", false);
    const ALICE_PASSED: Step = SetPassed("alice");

    #[test]
    fn a_right_code_lets_alice_in() {
        let mut host = host([Show(Tone::Info, "Hello"), CODE, ALICE_PASSED]).typing(&["123456"]);
        let mut broker = broker(|end| {
            end.send(&FromBroker::Info("Hello".into())).unwrap();
            assert_eq!(asks(end, None).as_deref(), Some("123456"));
            done(end, Verdict::Passed);
        });
        assert_eq!(
            login(&mut host, CodeComes::Alone, &[], broker.reach()),
            PamResultCode::PAM_SUCCESS
        );
        assert_eq!(
            host.log,
            [(
                Level::Info,
                r#"second factor right: rhost="192.0.2.1" user="alice" why="the reason""#
                    .to_owned()
            )]
        );
        let expected = Login {
            user: "alice".into(),
            service: "sshd".into(),
            remote_host: Some("192.0.2.1".into()),
            ..Login::default()
        };
        assert_eq!(broker.asked(), Request::Login(expected));
    }

    #[test]
    fn each_verdict_has_its_code() {
        for (verdict, expected, level) in [
            (
                Verdict::NotRequired,
                PamResultCode::PAM_IGNORE,
                Level::Debug,
            ),
            (Verdict::Exempt, PamResultCode::PAM_IGNORE, Level::Info),
            (Verdict::Denied, PamResultCode::PAM_AUTH_ERR, Level::Notice),
            (
                Verdict::TriesUsedUp,
                PamResultCode::PAM_MAXTRIES,
                Level::Notice,
            ),
            (
                Verdict::NoAnswer,
                PamResultCode::PAM_CONV_ERR,
                Level::Notice,
            ),
            (
                Verdict::Unavailable,
                PamResultCode::PAM_AUTHINFO_UNAVAIL,
                Level::Error,
            ),
        ] {
            let mut host = host([Show(Tone::Error, "So it is.")]);
            let mut broker = broker(move |end| {
                end.send(&FromBroker::Error("So it is.".into())).unwrap();
                done(end, verdict);
            });
            assert_eq!(
                login(&mut host, CodeComes::Alone, &[], broker.reach()),
                expected
            );
            assert!(
                host.log_of(level).ends_with(r#" why="the reason""#),
                "{:?}",
                host.log
            );
        }
    }

    #[test]
    fn when_it_cannot_be_checked_the_user_is_told_and_the_log_says_why() {
        let mut host = host([Show(Tone::Error, UNAVAILABLE)]);
        let code = login(&mut host, CodeComes::Alone, &[], nobody_there);
        assert_eq!(code, PamResultCode::PAM_AUTHINFO_UNAVAIL);
        assert!(
            host.log_of(Level::Error)
                .ends_with(r#"user="alice" why="no broker""#)
        );
    }

    #[test]
    fn a_broker_that_goes_away_after_it_accepted_is_unavailable() {
        let mut host = host([CODE, Show(Tone::Error, UNAVAILABLE)]).typing(&["123456"]);
        let mut broker = broker(|end| drop(asks(end, None)));
        let code = login(&mut host, CodeComes::Alone, &[], broker.reach());
        assert_eq!(code, PamResultCode::PAM_AUTHINFO_UNAVAIL);
        assert!(
            host.log_of(Level::Error)
                .contains("the peer closed the connection")
        );
    }

    #[test]
    fn the_end_of_another_request_lets_nobody_in() {
        let mut host = host([Show(Tone::Error, UNAVAILABLE)]);
        let mut broker = broker(|end| end.send(&FromBroker::Done(Done::Changed)).unwrap());
        let code = login(&mut host, CodeComes::Alone, &[], broker.reach());
        assert_eq!(code, PamResultCode::PAM_AUTHINFO_UNAVAIL);
    }

    #[test]
    fn no_answer_stays_no_answer_whatever_the_broker_says_then() {
        for last in [
            Some(Verdict::NoAnswer),
            Some(Verdict::Passed),
            Some(Verdict::Later),
            None,
        ] {
            let mut host = host([CODE]);
            host.answers.push_back(None);
            let mut broker = broker(move |end| {
                assert_eq!(asks(end, None), None);
                if let Some(verdict) = last {
                    done(end, verdict);
                }
            });
            assert_eq!(
                login(&mut host, CodeComes::Alone, &[], broker.reach()),
                PamResultCode::PAM_CONV_ERR
            );
        }
    }

    #[test]
    fn who_was_asked_like_everybody_and_needs_no_code_is_not_kept_out_for_giving_no_answer() {
        let mut host = host([CODE]);
        host.answers.push_back(None);
        let mut broker = broker(|end| {
            assert_eq!(asks(end, None), None);
            done(end, Verdict::NotRequired);
        });
        let code = login(&mut host, CodeComes::Alone, &[], broker.reach());
        assert_eq!(code, PamResultCode::PAM_IGNORE);
    }

    #[test]
    fn a_broker_that_asks_on_without_answers_is_left() {
        let mut host = host([CODE]);
        host.answers.push_back(None);
        let mut broker = broker(|end| {
            for _ in 0..3 {
                assert_eq!(asks(end, None), None);
            }
            done(end, Verdict::NoAnswer);
        });
        assert_eq!(
            login(&mut host, CodeComes::Alone, &[], broker.reach()),
            PamResultCode::PAM_CONV_ERR
        );
    }

    #[test]
    fn sshd_that_cannot_ask_is_explained_in_the_log() {
        let mut host = host([CODE]);
        host.answers.push_back(None);
        host.terminal = Some("ssh");
        let mut broker = broker(|end| drop(asks(end, None)));
        login(&mut host, CodeComes::Alone, &[], broker.reach());
        assert!(
            host.log_of(Level::Notice)
                .contains("KbdInteractiveAuthentication yes")
        );
    }

    #[test]
    fn bytes_that_are_no_text_and_endless_text_are_no_code() {
        let endless = leak(&"1".repeat(LONGEST_ANSWER + 1));
        for typed in [&b"123\xff456"[..], endless.as_bytes()] {
            let mut host = host([CODE]);
            host.answers.push_back(Some(typed));
            let mut broker = broker(|end| {
                assert_eq!(asks(end, None).as_deref(), Some(NOT_A_CODE));
                done(end, Verdict::Denied);
            });
            assert_eq!(
                login(&mut host, CodeComes::Alone, &[], broker.reach()),
                PamResultCode::PAM_AUTH_ERR
            );
        }
    }

    #[test]
    fn an_empty_answer_is_sent_as_it_is() {
        for digits in [None, Some(6)] {
            let mut host = host([Asks("Code: ", digits.is_none())]).typing(&[""]);
            let mut broker = broker(move |end| {
                assert_eq!(asks(end, digits).as_deref(), Some(""));
                done(end, Verdict::NoAnswer);
            });
            assert_eq!(
                login(&mut host, CodeComes::Alone, &[], broker.reach()),
                PamResultCode::PAM_CONV_ERR
            );
        }
    }

    #[test]
    fn a_user_changed_in_between_is_denied() {
        for verdict in [Verdict::Passed, Verdict::NotRequired] {
            let mut host = host([]);
            host.user_later = "root";
            let mut broker = broker(move |end| done(end, verdict));
            assert_eq!(
                login(&mut host, CodeComes::Alone, &[], broker.reach()),
                PamResultCode::PAM_AUTH_ERR
            );
            assert!(host.log_of(Level::Notice).contains("changed the user"));
        }
    }

    #[test]
    fn a_name_that_is_not_utf_8_passes_where_nobody_is_asked_and_is_refused_for_it_elsewhere() {
        let refused = "the user's name is not UTF-8";
        for (verdict, expected, why) in [
            (
                Verdict::NotRequired,
                PamResultCode::PAM_IGNORE,
                "the reason",
            ),
            (Verdict::Denied, PamResultCode::PAM_AUTH_ERR, refused),
            (Verdict::Passed, PamResultCode::PAM_AUTH_ERR, refused),
            (
                Verdict::Unavailable,
                PamResultCode::PAM_AUTHINFO_UNAVAIL,
                "the reason",
            ),
        ] {
            for is_login in [true, false] {
                let shown =
                    (verdict == Verdict::Unavailable).then_some(Show(Tone::Error, UNAVAILABLE));
                let mut host = host(shown);
                (host.user, host.has_unreadable_user) = (None, true);
                let mut broker = broker(move |end| done(end, verdict));
                let code = if is_login {
                    login(&mut host, CodeComes::Alone, &[], broker.reach())
                } else {
                    account(&mut host, false, &[], broker.reach())
                };
                assert_eq!(code, expected, "{verdict:?}");
                assert!(
                    host.log[0].1.ends_with(&format!("why={why:?}")),
                    "{:?}",
                    host.log
                );
                let (Request::Login(asked) | Request::Account(asked)) = broker.asked() else {
                    panic!()
                };
                assert_eq!(asked.user, "");
            }
        }
    }

    #[test]
    fn without_a_user_nobody_is_asked() {
        let mut host = host([]);
        host.user = None;
        assert_eq!(
            login(&mut host, CodeComes::Alone, &[], nobody_there),
            PamResultCode::PAM_AUTH_ERR
        );
        assert_eq!(
            account(&mut host, false, &[], nobody_there),
            PamResultCode::PAM_AUTH_ERR
        );
    }

    #[test]
    fn a_name_cannot_forge_the_log() {
        let mut host = host([]);
        host.user = Some("x\" rhost=\"9.9.9.9\n");
        host.user_later = "x\" rhost=\"9.9.9.9\n";
        let mut broker = broker(|end| {
            // The broker names whom it does not know.
            let why = "there is no account called 'x\" rhost=\"9.9.9.9\n\u{202e}\u{200b}\u{2028}'"
                .to_owned();
            end.send(&FromBroker::Done(Done::Login {
                verdict: Verdict::Denied,
                why,
            }))
            .unwrap();
        });
        login(&mut host, CodeComes::Alone, &[], broker.reach());
        assert_eq!(
            host.log_of(Level::Notice),
            concat!(
                r#"second factor denied: rhost="192.0.2.1" user="x\" rhost=\"9.9.9.9\n" "#,
                r#"why="there is no account called 'x\" rhost=\"9.9.9.9\n\u{202e}\u{200b}\u{2028}'""#
            )
        );
    }

    #[test]
    fn forward_pass_sends_the_code_and_keeps_the_password() {
        let mut host =
            host([BOTH, SetPassword("hunter2"), ALICE_PASSED]).typing(&["hunter2123456"]);
        let mut broker = broker(|end| {
            assert_eq!(asks(end, Some(6)).as_deref(), Some("123456"));
            done(end, Verdict::Passed);
        });
        let code = login(&mut host, CodeComes::BehindPassword, &[], broker.reach());
        assert_eq!(code, PamResultCode::PAM_SUCCESS);
        assert!(matches!(
            broker.asked(),
            Request::Login(Login {
                behind_password: true,
                ..
            })
        ));
    }

    #[test]
    fn forward_pass_never_sends_a_password_that_has_no_code() {
        let steps = [
            BOTH,
            SetPassword("hunter2"),
            BOTH,
            SetPassword("hunter2"),
            ALICE_PASSED,
        ];
        let mut host = host(steps).typing(&["hunter2", "hunter2abcd-efgh-ijkm-npqr"]);
        let mut broker = broker(|end| {
            assert_eq!(asks(end, Some(6)).as_deref(), Some("-"));
            assert_eq!(asks(end, Some(6)).as_deref(), Some("abcd-efgh-ijkm-npqr"));
            done(end, Verdict::Passed);
        });
        let code = login(&mut host, CodeComes::BehindPassword, &[], broker.reach());
        assert_eq!(code, PamResultCode::PAM_SUCCESS);
    }

    #[test]
    fn a_password_that_cannot_be_passed_on_refuses() {
        let steps = [BOTH, SetPassword("hunter2"), Show(Tone::Error, UNAVAILABLE)];
        let mut host = host(steps).typing(&["hunter2123456"]);
        host.may_set_password = false;
        let mut broker = broker(|end| {
            assert_eq!(asks(end, Some(6)), None);
            done(end, Verdict::NoAnswer);
        });
        let code = login(&mut host, CodeComes::BehindPassword, &[], broker.reach());
        assert_eq!(code, PamResultCode::PAM_AUTHINFO_UNAVAIL);
    }

    #[test]
    fn use_first_pass_takes_the_code_from_the_password_and_asks_nobody() {
        let mut host = host([SetPassword("hunter"), ALICE_PASSED]);
        host.password = Some(b"hunter2123456");
        let mut broker = broker(|end| {
            assert_eq!(asks(end, Some(7)).as_deref(), Some("2123456"));
            done(end, Verdict::Passed);
        });
        let code = login(&mut host, CodeComes::BehindFirstPass, &[], broker.reach());
        assert_eq!(code, PamResultCode::PAM_SUCCESS);
        assert!(matches!(
            broker.asked(),
            Request::Login(Login {
                behind_password: true,
                ..
            })
        ));
    }

    #[test]
    fn use_first_pass_without_a_code_denies_and_asks_nobody() {
        for (password, digits) in [
            (None, Some(6)),
            (Some(&b"hunter2"[..]), Some(6)),
            (Some(b"x123456"), None),
        ] {
            let mut host = host([]);
            host.password = password;
            let mut broker = broker(move |end| {
                assert_eq!(asks(end, digits), None);
                done(end, Verdict::NoAnswer);
            });
            let code = login(&mut host, CodeComes::BehindFirstPass, &[], broker.reach());
            assert_eq!(code, PamResultCode::PAM_AUTH_ERR);
            assert!(host.log_of(Level::Notice).contains("behind the password"));
        }
    }

    #[test]
    fn use_first_pass_has_one_code_only() {
        let mut host = host([SetPassword("hunter2")]);
        host.password = Some(b"hunter2123456");
        let mut broker = broker(|end| {
            assert_eq!(asks(end, Some(6)).as_deref(), Some("123456"));
            assert_eq!(asks(end, Some(6)), None);
            done(end, Verdict::NoAnswer);
        });
        let code = login(&mut host, CodeComes::BehindFirstPass, &[], broker.reach());
        assert_eq!(code, PamResultCode::PAM_AUTH_ERR);
    }

    #[test]
    fn use_first_pass_asks_nothing_of_who_needs_nothing() {
        let mut host = host([]);
        let mut broker = broker(|end| done(end, Verdict::NotRequired));
        let code = login(&mut host, CodeComes::BehindFirstPass, &[], broker.reach());
        assert_eq!(code, PamResultCode::PAM_IGNORE);
    }

    #[test]
    fn try_first_pass_takes_the_code_from_the_password() {
        let mut host = host([SetPassword("hunter2"), ALICE_PASSED]);
        host.password = Some(b"hunter2123456");
        let mut broker = broker(|end| {
            assert_eq!(asks(end, Some(6)).as_deref(), Some("123456"));
            done(end, Verdict::Passed);
        });
        let code = login(
            &mut host,
            CodeComes::PerhapsBehindFirstPass,
            &[],
            broker.reach(),
        );
        assert_eq!(code, PamResultCode::PAM_SUCCESS);
    }

    #[test]
    fn try_first_pass_asks_for_the_code_alone_after_a_wrong_one_and_leaves_the_password_whole() {
        let steps = [
            SetPassword("hunter2"),
            SetPassword("hunter2123456"),
            CODE,
            ALICE_PASSED,
        ];
        let mut host = host(steps).typing(&["654321"]);
        host.password = Some(b"hunter2123456");
        let mut first = broker(|end| {
            assert_eq!(asks(end, Some(6)).as_deref(), Some("123456"));
            done(end, Verdict::Denied);
        });
        let mut second = broker(|end| {
            assert_eq!(asks(end, None).as_deref(), Some("654321"));
            done(end, Verdict::Passed);
        });
        let (mut reach_first, mut reach_second) = (first.reach(), second.reach());
        let mut reached = 0;
        let code = login(
            &mut host,
            CodeComes::PerhapsBehindFirstPass,
            &[],
            |host, request| {
                reached += 1;
                if reached == 1 {
                    reach_first(host, request)
                } else {
                    reach_second(host, request)
                }
            },
        );
        assert_eq!(code, PamResultCode::PAM_SUCCESS);
        assert!(matches!(
            first.asked(),
            Request::Login(Login {
                behind_password: true,
                ..
            })
        ));
        assert!(matches!(
            second.asked(),
            Request::Login(Login {
                behind_password: false,
                ..
            })
        ));
    }

    #[test]
    fn a_password_that_ends_in_digits_is_followed_by_the_same_question_whoever_it_is() {
        // Nothing is asked of them, or their codes have eight digits: nothing is split off, and no other prompt comes.
        for (digits, verdict) in [
            (0, Verdict::NotRequired),
            (0, Verdict::Exempt),
            (8, Verdict::Denied),
        ] {
            let restored = (verdict == Verdict::Denied).then_some(SetPassword("hunter2123456"));
            let mut host = host(restored.into_iter().chain([CODE])).typing(&["654321"]);
            host.password = Some(b"hunter2123456");
            let mut first = broker(move |end| {
                assert_eq!(asks(end, Some(digits)).as_deref(), Some(NOT_A_CODE));
                done(end, verdict);
            });
            let mut second = broker(move |end| {
                assert_eq!(asks(end, None).as_deref(), Some("654321"));
                done(end, verdict);
            });
            let (mut reach_first, mut reach_second) = (first.reach(), second.reach());
            let mut reached = 0;
            login(
                &mut host,
                CodeComes::PerhapsBehindFirstPass,
                &[],
                |host, request| {
                    reached += 1;
                    if reached == 1 {
                        reach_first(host, request)
                    } else {
                        reach_second(host, request)
                    }
                },
            );
            assert_eq!(reached, 2);
        }
    }

    #[test]
    fn use_first_pass_needs_no_code_where_none_is_wanted() {
        let mut host = host([]);
        host.password = Some(b"hunter2");
        let mut broker = broker(|end| {
            assert_eq!(asks(end, Some(0)).as_deref(), Some(NOT_A_CODE));
            done(end, Verdict::Later);
        });
        let code = login(&mut host, CodeComes::BehindFirstPass, &[], broker.reach());
        assert_eq!((code, host.kept.as_str()), (PamResultCode::PAM_IGNORE, ""));
    }

    #[test]
    fn try_first_pass_does_not_ask_when_the_tries_are_used_up() {
        let mut host = host([SetPassword("hunter2")]);
        host.password = Some(b"hunter2123456");
        let mut broker = broker(|end| {
            asks(end, Some(6));
            done(end, Verdict::TriesUsedUp);
        });
        let code = login(
            &mut host,
            CodeComes::PerhapsBehindFirstPass,
            &[],
            broker.reach(),
        );
        assert_eq!(code, PamResultCode::PAM_MAXTRIES);
    }

    #[test]
    fn try_first_pass_asks_for_the_code_alone_when_the_password_has_none() {
        for password in [None, Some(&b"hunter2"[..])] {
            let mut host = host([CODE, ALICE_PASSED]).typing(&["123456"]);
            host.password = password;
            let mut broker = broker(|end| {
                assert_eq!(asks(end, None).as_deref(), Some("123456"));
                done(end, Verdict::Passed);
            });
            let code = login(
                &mut host,
                CodeComes::PerhapsBehindFirstPass,
                &[],
                broker.reach(),
            );
            assert_eq!(code, PamResultCode::PAM_SUCCESS);
            assert!(matches!(
                broker.asked(),
                Request::Login(Login {
                    behind_password: false,
                    ..
                })
            ));
        }
    }

    #[test]
    fn who_has_passed_on_this_handle_is_not_checked_again() {
        let mut host = host([]);
        host.passed = Some("alice".into());
        assert_eq!(
            account(&mut host, false, &[], nobody_there),
            PamResultCode::PAM_SUCCESS
        );
    }

    #[test]
    fn who_has_not_passed_on_this_handle_is_checked() {
        for (verdict, expected, steps) in [
            (
                Verdict::Passed,
                PamResultCode::PAM_SUCCESS,
                vec![ALICE_PASSED],
            ),
            (Verdict::NotRequired, PamResultCode::PAM_IGNORE, vec![]),
            (Verdict::Denied, PamResultCode::PAM_AUTH_ERR, vec![]),
        ] {
            let mut host = host(steps);
            host.passed = Some("bob".into());
            let mut broker = broker(move |end| done(end, verdict));
            assert_eq!(account(&mut host, false, &[], broker.reach()), expected);
            assert!(matches!(broker.asked(), Request::Account(_)));
        }
    }

    #[test]
    fn an_account_check_asks_nobody() {
        let mut host = host([]);
        let mut broker = broker(|end| {
            assert_eq!(asks(end, None), None);
            done(end, Verdict::Passed);
        });
        assert_eq!(
            account(&mut host, false, &[], broker.reach()),
            PamResultCode::PAM_AUTH_ERR
        );
    }

    #[test]
    fn a_second_login_on_a_handle_starts_from_nothing() {
        let mut host = host([SetPassed("")]);
        host.passed = Some("alice".into());
        let mut broker = broker(|end| done(end, Verdict::Denied));
        assert_eq!(
            login(&mut host, CodeComes::Alone, &[], broker.reach()),
            PamResultCode::PAM_AUTH_ERR
        );
        assert_eq!(host.passed(), Some(""));
    }

    #[test]
    fn a_second_line_in_the_same_call_is_content_with_what_the_first_was_shown() {
        let mut host = host([]);
        host.passed = Some("alice".into());
        host.passed_in_this_call = true;
        assert_eq!(
            login(&mut host, CodeComes::Alone, &[], nobody_there),
            PamResultCode::PAM_SUCCESS
        );
    }

    #[test]
    fn who_passed_as_another_user_in_the_same_call_is_asked() {
        let mut host = host([SetPassed("")]);
        host.passed = Some("bob".into());
        host.passed_in_this_call = true;
        let mut broker = broker(|end| done(end, Verdict::Denied));
        assert_eq!(
            login(&mut host, CodeComes::Alone, &[], broker.reach()),
            PamResultCode::PAM_AUTH_ERR
        );
    }

    #[test]
    fn a_code_that_a_later_line_is_to_check_is_kept_for_it_and_used_once() {
        let mut host =
            host([BOTH, SetPassword("hunter2"), ALICE_PASSED]).typing(&["hunter2123456"]);
        let mut first = broker(|end| {
            assert_eq!(asks(end, Some(6)).as_deref(), Some("123456"));
            done(end, Verdict::Later);
        });
        let code = login(&mut host, CodeComes::BehindPassword, &[], first.reach());
        assert_eq!(code, PamResultCode::PAM_IGNORE);
        assert_eq!(host.kept, "123456");

        let mut second = broker(|end| {
            assert_eq!(asks(end, Some(6)).as_deref(), Some("123456"));
            done(end, Verdict::Passed);
        });
        assert_eq!(
            account(&mut host, false, &[], second.reach()),
            PamResultCode::PAM_SUCCESS
        );
        assert!(matches!(
            second.asked(),
            Request::Account(Login {
                behind_password: true,
                may_ask: false,
                ..
            })
        ));
        assert_eq!(host.kept, "");
    }

    #[test]
    fn a_code_that_was_kept_serves_a_later_auth_line_as_well() {
        let mut host = host([ALICE_PASSED]);
        host.kept = "123456".into();
        let mut broker = broker(|end| {
            assert_eq!(asks(end, Some(6)).as_deref(), Some("123456"));
            done(end, Verdict::Passed);
        });
        assert_eq!(
            login(&mut host, CodeComes::Alone, &[], broker.reach()),
            PamResultCode::PAM_SUCCESS
        );
        assert!(matches!(
            broker.asked(),
            Request::Login(Login {
                behind_password: true,
                ..
            })
        ));
    }

    #[test]
    fn an_account_line_with_challenge_asks() {
        let mut host = host([CODE, ALICE_PASSED]).typing(&["123456"]);
        let mut broker = broker(|end| {
            assert_eq!(asks(end, None).as_deref(), Some("123456"));
            done(end, Verdict::Passed);
        });
        assert_eq!(
            account(&mut host, true, &[], broker.reach()),
            PamResultCode::PAM_SUCCESS
        );
        assert!(matches!(
            broker.asked(),
            Request::Account(Login { may_ask: true, .. })
        ));
    }
}
