//! Telling people what happened to their second factor, after it happened and by the ways they have besides.
//!
//! The store queues a notice in the transaction of what it is about; here it is sent, apart from any conversation, and
//! tried again when it could not be.

use std::io;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use twofa_core::Channel;
use twofa_delivery::{Message, NoticeMessage};
use twofa_store::{Notice, NoticeFate, SendKind, SendStart, StoreError};

use crate::context::Services;
use crate::process::log;
use crate::sending::codes::SEND_TIMEOUT;
use crate::text::{events, messages};

/// The longest time between two looks for what other processes queued.
const MAX_NAP: Duration = Duration::from_secs(60);
/// How many are claimed at once: no more than can fail one after the other in the time they are claimed for.
const BATCH: u32 = 6;

/// Wakes the thread that sends notices.
#[derive(Debug, Default)]
pub struct Wakeup {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_requested: bool,
    is_ended: bool,
}

impl Wakeup {
    /// Says that there may be something to send.
    pub fn wake(&self) {
        self.lock().is_requested = true;
        self.changed.notify_all();
    }

    /// Ends [`keep_sending`].
    pub fn end(&self) {
        self.lock().is_ended = true;
        self.changed.notify_all();
    }

    /// Waits until there may be something to send, at most for `nap`. Answers whether to go on.
    fn wait(&self, nap: Duration) -> bool {
        let state = self.lock();
        let waited = self
            .changed
            .wait_timeout_while(state, nap, |state| !state.is_requested && !state.is_ended);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_requested = false;
        !state.is_ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends notices as they come due, until `wakeup` has ended. `send` sends what is due and says when the next is, in
/// seconds, if any waits.
pub fn keep_sending(wakeup: &Wakeup, mut send: impl FnMut() -> Option<u64>) {
    loop {
        let nap = send().map_or(MAX_NAP, |seconds| {
            Duration::from_secs(seconds.max(1)).min(MAX_NAP)
        });
        if !wakeup.wait(nap) {
            return;
        }
    }
}

/// Sends all that is due at this moment, and says in how many seconds the next is.
pub fn send_due(services: Services<'_>) -> Result<Option<u64>, StoreError> {
    loop {
        let mut notices = services.store.claim_notices(services.now(), BATCH)?;
        if notices.is_empty() {
            break;
        }
        let application = messages::application_name(services.store.rulebook()?.machine());
        // A provider of text messages that hangs holds up no mail.
        notices.sort_by_key(|notice| notice.channel == Channel::Sms);
        for notice in &notices {
            send(services, &application, notice)?;
        }
    }
    let next = services.store.next_notice_due()?;
    Ok(next.map(|at| u64::try_from(at.unix().saturating_sub(services.now().unix())).unwrap_or(0)))
}

/// Whether anything is to be sent now.
pub fn is_any_due(services: Services<'_>) -> bool {
    let due = services.store.next_notice_due();
    due.is_ok_and(|due| due.is_some_and(|at| at <= services.now()))
}

/// Starts a broker that sends what is due and ends, for a conversation that has no broker to leave it to and that
/// nobody should be kept waiting by.
pub fn send_by_another_process() -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--notices").env_clear().current_dir("/");
    // Not waited for: it outlives this process.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}

fn send(services: Services<'_>, application: &str, notice: &Notice) -> Result<(), StoreError> {
    let message = Message::Notice(NoticeMessage {
        application: application.to_owned(),
        user: notice.account.name.clone(),
        what: events::notice(&notice.record, &notice.source),
        from: events::notice_source(&notice.source),
        at: notice.at,
    });
    // A text message costs something.
    let is_allowed = match notice.channel {
        Channel::Email => SendStart::Allowed,
        Channel::Sms => services.store.begin_send(
            SendKind::Notice,
            &notice.account,
            &notice.address,
            services.now(),
        )?,
    };
    let deadline = Instant::now() + SEND_TIMEOUT;
    let sent = match is_allowed {
        SendStart::Allowed => services
            .sender
            .send(notice.channel, &notice.address, &message, deadline)
            .map_err(|undelivered| undelivered.to_string()),
        SendStart::TooMany { .. } => Err("the limit on text messages is reached".to_owned()),
    };
    match sent {
        Ok(_) => services.store.notice_sent(notice.id),
        Err(undelivered) => {
            let fate = services.store.notice_failed(notice.id, services.now())?;
            let next = match fate {
                NoticeFate::RetryAt(at) => {
                    format!("tried again at {}", messages::moment(at, services.now()))
                }
                NoticeFate::GivenUp => "given up".to_owned(),
            };
            let Notice {
                account, channel, ..
            } = notice;
            let way = messages::way(*channel);
            log::warn(&format!(
                "a notice to {} by {way} was not sent, {next}: {undelivered}",
                account.name
            ));
            Ok(())
        }
    }
}
