//! Telling people what happened to their second factor, by every address they have.
//!
//! The store queues a notice in the transaction of what it is about. Here it is sent, apart from any request, and tried
//! again if it could not be sent.

use std::io;
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use twofa_core::Channel;
use twofa_core::channel::AddressKind;
use twofa_delivery::{Message, NoticeMessage};
use twofa_store::{Notice, SendKind, SendStart, StoreError};

use crate::context::Services;
use crate::process::log;
use crate::sending::codes::SEND_TIMEOUT;
use crate::text::events;
use crate::text::messages::{self, log_lines};

/// The longest time between two looks for what other processes queued.
const MAX_NAP: Duration = Duration::from_secs(60);
/// How many notices are claimed at once: no more than can fail one after the other in the time they are claimed for.
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

    /// Waits until there may be something to send, at most for `nap`. Returns whether to go on.
    pub(crate) fn wait(&self, nap: Duration) -> bool {
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

/// Sends all that is due. Returns the seconds until the next is due.
pub fn send_due(services: Services<'_>) -> Result<Option<u64>, StoreError> {
    loop {
        let mut notices = services.store.claim_notices(services.now(), BATCH)?;
        if notices.is_empty() {
            break;
        }
        let application = messages::application_name(services.store.rulebook()?.machine());
        // E-mail first: a provider of text messages may hang.
        notices.sort_by_key(|notice| notice.channel != Channel::Email);
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

/// Starts a process that sends what is due and ends. A broker that serves one connection does this, so that its client does
/// not wait for the notices.
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
    // Messages to phones cost money.
    let is_allowed = match notice.channel.address_kind() {
        AddressKind::Email => SendStart::Allowed,
        AddressKind::Phone => services.store.begin_send(
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
        SendStart::TooMany { .. } => Err(log_lines::SMS_LIMIT_REACHED.to_owned()),
    };
    match sent {
        Ok(_) => services.store.notice_sent(notice.id),
        Err(undelivered) => {
            let now = services.now();
            let fate = services.store.notice_failed(notice.id, now)?;
            let Notice {
                account, channel, ..
            } = notice;
            log::warn(&log_lines::notice_not_sent(
                account,
                *channel,
                fate,
                now,
                &undelivered,
            ));
            Ok(())
        }
    }
}
