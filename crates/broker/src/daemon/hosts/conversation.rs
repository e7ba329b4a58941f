//! The conversations of one host on one connection. With each message the host's row is looked at: one that was removed, or
//! whose certificate has ended, is refused at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use twofa_core::text::printable;
use twofa_core::{Account, Timestamp};
use twofa_fleet::stream::ToHost;
use twofa_fleet::wire::{self, FromHost, FromServer, HostLogin};
use twofa_proto::codec::CodecError;
use twofa_proto::state::State;
use twofa_proto::{Confirm, ConnectionError, Done, Login, Prompt, Request, Secret, Verdict};
use twofa_store::{Store, StoreError};

use super::permits::{Permit, Permits, Purpose};
use super::{IDLE_TIMEOUT, Shared, WRITE_TIMEOUT, policy};
use crate::identity::first_factor::FirstFactor;
use crate::identity::relayed::RelayedPeer;
use crate::process::log;
use crate::requests::broker::Broker;
use crate::requests::connection::{ANSWER_TIMEOUT, ENROLMENT_TIMEOUT};
use crate::requests::login::{RelayedLogin, serve_relayed};
use crate::text::messages::{self, endings, reasons};
use crate::text::terminal::{Progress, Stage, Terminal, TerminalClosed};

/// How often at most it is noted that somebody logs in on a host.
const SEEN_INTERVAL: Duration = Duration::from_secs(60);
/// Characters of a host's version that are kept at most.
const MAX_VERSION: usize = 32;

/// When it was noted of each host that somebody logs in there.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<String, Instant>>);

impl Seen {
    fn is_due(&self, host: &str) -> bool {
        let now = Instant::now();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, at| now.saturating_duration_since(*at) < SEEN_INTERVAL);
        let is_due = !seen.contains_key(host);
        if is_due {
            seen.insert(host.to_owned(), now);
        }
        is_due
    }
}

/// Serves the logins that the host with this `key` relays on `link`, one after the other.
pub(super) fn serve_all(shared: &Shared, mut link: ToHost, key: [u8; 32]) {
    loop {
        link.set_deadline(Instant::now() + IDLE_TIMEOUT);
        let login = match link.receive() {
            Ok(FromHost::Login(login)) => login,
            Ok(FromHost::Policy { known }) if policy::serve(shared, &mut link, key, known) => {
                continue;
            }
            // Whatever else comes is out of turn, and ends the connection.
            _ => return,
        };
        let Some(deciding) = shared.permits.acquire(Purpose::Deciding) else {
            return;
        };
        let broker = shared.store.open();
        let served = match &broker {
            Ok(broker) => serve(shared, broker, &mut link, key, &login, deciding),
            Err(error) => refuse(
                &mut link,
                State::Opened,
                messages::UNAVAILABLE,
                wire::Verdict::Unavailable,
                &error.to_string(),
            ),
        };
        if broker.is_ok_and(|broker| broker.store().may_have_notices()) {
            shared.notices.wake();
        }
        if served.is_err() {
            return;
        }
    }
}

fn serve(
    shared: &Shared,
    broker: &Broker,
    link: &mut ToHost,
    key: [u8; 32],
    login: &HostLogin,
    deciding: Permit,
) -> Result<(), ConnectionError> {
    let services = broker.services();
    let host = match services.store.host_by_key(&key, services.now()) {
        Ok(host) => host,
        Err(error) => return refuse_host(link, State::Opened, &error),
    };
    if shared.seen.is_due(&host.id) {
        // Only a listing shows it.
        let version = printable(&login.version);
        let version: String = version.chars().take(MAX_VERSION).collect();
        let _ = services
            .store
            .note_host_seen(&host.id, &version, services.now());
    }
    let mut terminal = HostTerminal {
        link,
        state: State::Opened,
        store: services.store,
        clock: services.clock,
        key,
        permits: shared.permits.clone(),
        deciding: Some(deciding),
        answer_timeout: ANSWER_TIMEOUT,
        progress: Progress::default(),
        ended: None,
    };
    terminal.send(&FromServer::Accepted)?;
    let (request, account) = read(login);
    let (Request::Login(described) | Request::Account(described)) = &request else {
        return Ok(());
    };
    let relayed = RelayedLogin {
        request: &request,
        login: described,
        account: &account,
        first_factor: first_factor(login.first_factor),
        is_sshd: login.is_sshd,
    };
    let peer = RelayedPeer::new(host, key, login.asked_by);
    let done = serve_relayed(services, &peer, relayed, &mut terminal);
    terminal.finish(done)
}

/// The login in the terms of this machine. There is no evidence in it: that is what this machine's root has seen.
fn read(login: &HostLogin) -> (Request, Account) {
    let account = Account {
        name: login.user.clone(),
        uid: login.uid,
    };
    let described = Login {
        user: login.user.clone(),
        service: login.service.clone(),
        remote_host: login.remote_host.clone(),
        remote_user: login.remote_user.clone(),
        terminal: login.terminal.clone(),
        behind_password: login.behind_password,
        may_ask: login.may_ask,
        cannot_answer: login.cannot_answer,
        ..Login::default()
    };
    let request = if login.is_account {
        Request::Account(described)
    } else {
        Request::Login(described)
    };
    (request, account)
}

const fn first_factor(claimed: wire::FirstFactor) -> FirstFactor {
    match claimed {
        wire::FirstFactor::Shown => FirstFactor::Shown,
        wire::FirstFactor::LaterLine => FirstFactor::LaterLine,
        wire::FirstFactor::Unknown => FirstFactor::Unknown,
    }
}

/// The host as a terminal.
struct HostTerminal<'a> {
    link: &'a mut ToHost,
    state: State,
    store: &'a Store,
    clock: fn() -> Timestamp,
    key: [u8; 32],
    permits: std::sync::Arc<Permits>,
    /// Held while this server works, and not while a person types.
    deciding: Option<Permit>,
    answer_timeout: Duration,
    progress: Progress,
    ended: Option<Ended>,
}

/// Why nothing more can be asked.
enum Ended {
    /// The host went away, or broke the protocol.
    ByHost,
    /// No answer came.
    TimedOut,
    /// The host is not one of the fleet now, or that cannot be found out.
    Refused(StoreError),
}

impl HostTerminal<'_> {
    fn send(&mut self, message: &FromServer) -> Result<(), ConnectionError> {
        if self.ended.is_some() {
            return Err(CodecError::Closed.into());
        }
        let sent = send(self.link, &mut self.state, message);
        sent.inspect_err(|_| self.ended = Some(Ended::ByHost))
    }

    fn receive(&mut self) -> Result<Option<Secret>, ConnectionError> {
        self.deciding = None;
        self.link.set_deadline(Instant::now() + self.answer_timeout);
        let received: Result<FromHost, _> = self.link.receive();
        self.deciding = self.permits.acquire(Purpose::Deciding);
        let message = received.inspect_err(|error| {
            self.ended = Some(match error {
                CodecError::TimedOut => Ended::TimedOut,
                _ => Ended::ByHost,
            });
        })?;
        let next = self.state.after(message.kind());
        self.state = next.inspect_err(|_| self.ended = Some(Ended::ByHost))?;
        match message {
            FromHost::Answer(answer) => Ok(answer),
            // The table lets nothing but an answer through while a prompt stands.
            FromHost::Login(_) | FromHost::Policy { .. } => Ok(None),
        }
    }

    /// Sends the end of the conversation, which may be another than that of the login.
    fn finish(self, done: Done) -> Result<(), ConnectionError> {
        let Self {
            link,
            mut state,
            answer_timeout,
            progress,
            ..
        } = self;
        match self.ended {
            Some(Ended::ByHost) => return Err(CodecError::Closed.into()),
            Some(Ended::Refused(error)) => return refuse_host(link, state, &error),
            Some(Ended::TimedOut) => {
                let text = endings::login_timed_out(answer_timeout, progress);
                let why = endings::why_timed_out(answer_timeout);
                return refuse(link, state, &text, wire::Verdict::NoAnswer, &why);
            }
            None => {}
        }
        let (verdict, why) = on_the_wire(done);
        send(link, &mut state, &FromServer::Done { verdict, why })
    }
}

impl Terminal for HostTerminal<'_> {
    fn reach(&mut self, stage: Stage) {
        self.answer_timeout = ENROLMENT_TIMEOUT;
        self.progress.reach(stage);
    }

    fn prompt(&mut self, prompt: Prompt) -> Result<Option<Secret>, TerminalClosed> {
        let Prompt {
            text,
            echo,
            digits_behind_password,
            link,
        } = prompt;
        self.send(&FromServer::Prompt {
            text,
            echo,
            digits_behind_password,
            link,
        })?;
        let answer = self.receive()?;
        if let Err(error) = self.store.host_by_key(&self.key, (self.clock)()) {
            self.ended = Some(Ended::Refused(error));
            return Err(ConnectionError::from(CodecError::Aborted).into());
        }
        Ok(answer)
    }

    fn info(&mut self, text: Secret) -> Result<(), TerminalClosed> {
        Ok(self.send(&FromServer::Info(text))?)
    }

    fn error(&mut self, text: &str) -> Result<(), TerminalClosed> {
        Ok(self.send(&FromServer::Error(text.to_owned()))?)
    }
}

fn send(link: &mut ToHost, state: &mut State, message: &FromServer) -> Result<(), ConnectionError> {
    *state = state.after(message.kind())?;
    link.set_deadline(Instant::now() + WRITE_TIMEOUT);
    Ok(link.send(message)?)
}

/// Ends the conversation of a host that is not one of the fleet now, and with it the connection.
fn refuse_host(link: &mut ToHost, state: State, error: &StoreError) -> Result<(), ConnectionError> {
    let (text, verdict) = match error {
        StoreError::HostRefused => (messages::HOST_REFUSED, wire::Verdict::Denied),
        _ => (messages::UNAVAILABLE, wire::Verdict::Unavailable),
    };
    log::warn(&reasons::host_refused(error));
    refuse(link, state, text, verdict, &error.to_string())?;
    Err(CodecError::Aborted.into())
}

fn refuse(
    link: &mut ToHost,
    mut state: State,
    text: &str,
    verdict: wire::Verdict,
    why: &str,
) -> Result<(), ConnectionError> {
    if state == State::Opened {
        send(link, &mut state, &FromServer::Accepted)?;
    }
    send(link, &mut state, &FromServer::Error(text.to_owned()))?;
    let why = why.to_owned();
    send(link, &mut state, &FromServer::Done { verdict, why })
}

/// What the host is told. Only what needs nothing more of this server is a pass.
fn on_the_wire(done: Done) -> (wire::Verdict, String) {
    let Done::Login {
        verdict,
        why,
        confirm,
    } = done
    else {
        return (wire::Verdict::Unavailable, String::new());
    };
    let verdict = match (verdict, confirm) {
        (Verdict::Passed, Confirm::No) => wire::Verdict::Passed,
        (Verdict::NotRequired, Confirm::No) => wire::Verdict::NotRequired,
        (Verdict::Exempt, Confirm::No) => wire::Verdict::Exempt,
        (Verdict::Later, Confirm::No) => wire::Verdict::Later,
        (Verdict::TriesUsedUp, _) => wire::Verdict::TriesUsedUp,
        (Verdict::Unavailable, _) => wire::Verdict::Unavailable,
        (Verdict::NoAnswer, _) => wire::Verdict::NoAnswer,
        _ => wire::Verdict::Denied,
    };
    (verdict, why)
}
