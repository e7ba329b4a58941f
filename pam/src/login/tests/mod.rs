//! Logins with a scripted application and a scripted broker.

mod account;
mod own_prompt;
mod password;

use super::*;
use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use twofa_proto::{
    BrokerEnd, Confirm, Done, Evidence, FromBroker, FromClient, Prompt, Secret, SessionProcess,
    Ticket, Version,
};

use super::answers::{MAX_ANSWER_LENGTH, NOT_A_CODE};
use crate::host::{Tone, Typed};

/// What the module is expected to do with its host.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    Prompt(&'static str, bool),
    Show(Tone, &'static str),
    SetPassword(&'static str),
    SetPassed(&'static str),
}
use Step::{Prompt as Asks, SetPassed, SetPassword, Show};

/// A host that follows a script, and fails the test if the module does not go through all of it.
pub(crate) struct ScriptedHost {
    user: Option<&'static str>,
    service: &'static str,
    has_unreadable_user: bool,
    user_later: &'static str,
    pub(crate) terminal: Option<&'static str>,
    /// The limit of the session that another module has set, in seconds.
    pub(crate) limit_before: Option<u64>,
    pub(crate) session_process: Option<SessionProcess>,
    password: Option<&'static [u8]>,
    may_set_password: bool,
    steps: VecDeque<Step>,
    answers: VecDeque<Option<&'static [u8]>>,
    passed: Option<Passed>,
    passed_in_this_call: bool,
    kept: String,
    log: Vec<(Level, String)>,
}

pub(crate) fn host(steps: impl IntoIterator<Item = Step>) -> ScriptedHost {
    ScriptedHost {
        user: Some("alice"),
        service: "sshd",
        has_unreadable_user: false,
        user_later: "alice",
        terminal: None,
        limit_before: None,
        session_process: None,
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

impl ScriptedHost {
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
            .find(|(logged, _)| *logged == level)
            .map_or("", |(_, text)| text)
    }
}

impl Drop for ScriptedHost {
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

impl Host for ScriptedHost {
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
        self.service.into()
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
    fn session_process(&self) -> Option<SessionProcess> {
        self.session_process.clone()
    }
    fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }
    fn limit_session(&mut self, seconds: u64) -> bool {
        self.limit_before.is_none_or(|before| seconds < before)
    }
    fn evidence(&self, _user: &str, confirms: Confirm) -> Option<Evidence> {
        Some(Evidence {
            confirms,
            ..Evidence::default()
        })
    }
    fn set_passed(&mut self, passed: Option<Passed>) {
        let user = passed.as_ref().map_or("", |passed| &passed.user);
        self.step(&SetPassed(leak(user)));
        self.passed = passed;
    }
    fn passed(&self) -> Option<&Passed> {
        self.passed.as_ref()
    }
    fn log(&mut self, level: Level, text: &str) {
        self.log.push((level, text.to_owned()));
    }
}

type End = BrokerEnd<UnixStream>;

/// A broker that follows a script after it has accepted a request.
struct ScriptedBroker(JoinHandle<Request>, Option<UnixStream>);

fn broker(script: impl FnOnce(&mut End) + Send + 'static) -> ScriptedBroker {
    let (client, broker) = UnixStream::pair().unwrap();
    let play = move || {
        let mut end = BrokerEnd::new(broker);
        let request = end.request().unwrap();
        end.send(&FromBroker::Accepted).unwrap();
        script(&mut end);
        request
    };
    ScriptedBroker(thread::spawn(play), Some(client))
}

impl ScriptedBroker {
    fn connect(
        &mut self,
    ) -> impl FnMut(&mut ScriptedHost, Request) -> Result<Connection, String> + use<> {
        let mut client = self.1.take();
        move |_, request| {
            let client = client.take().unwrap();
            let timeout = Duration::from_secs(5);
            Connection::submit(client.into(), Version::Current, &request, timeout)
                .map_err(|error| error.to_string())
        }
    }

    /// The request, once the script has ended.
    fn request(self) -> Request {
        drop(self.1);
        self.0.join().unwrap()
    }
}

/// Sends a prompt and returns the answer.
fn prompt(end: &mut End, digits: Option<u8>) -> Option<String> {
    let prompt = Prompt {
        text: "Code: ".into(),
        echo: digits.is_none(),
        digits_behind_password: digits,
        link: None,
    };
    end.send(&FromBroker::Prompt(prompt)).unwrap();
    match end.receive().unwrap() {
        FromClient::Answer(answer) => answer.map(|answer| answer.expose().to_owned()),
        FromClient::Open { .. } => None,
    }
}

fn send_verdict(end: &mut End, verdict: Verdict) {
    send_to_confirm(end, verdict, Confirm::No);
}

fn send_to_confirm(end: &mut End, verdict: Verdict, confirm: Confirm) {
    end.send(&FromBroker::Done(Done::Login {
        verdict,
        why: "the reason".into(),
        confirm,
    }))
    .unwrap();
}

/// `user` passed on the handle, and the account phase must confirm it, or not.
fn passed(user: &str, confirm: Confirm) -> Passed {
    Passed {
        user: user.to_owned(),
        verdict: Verdict::Passed,
        confirm,
    }
}

fn no_broker(_: &mut ScriptedHost, _: Request) -> Result<Connection, String> {
    Err("no broker".into())
}

const RECORD: Confirm = Confirm::Record(Ticket(7));
const TRUST: Confirm = Confirm::Trust(Ticket(7));
const CODE: Step = Asks("Code: ", true);
const BOTH: Step = Asks("Code: ", false);
const ALICE_PASSED: Step = SetPassed("alice");
