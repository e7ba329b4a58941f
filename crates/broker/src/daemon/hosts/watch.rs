//! What hosts report of sessions, and what they are to do: each keeps one connection open for that (`twofa-watch/1`).
//!
//! A host that waits holds no thread: its connection is among those that wait ([`super::waiting`]). Each second the server reads
//! the version of the rules and all open orders, from any server, and answers the hosts that
//! they concern. What a host is told is read from the store with its row, in the message that it is told in.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use twofa_core::Account;
use twofa_fleet::stream::ToHost;
use twofa_fleet::wire::{EndOrder, FromWatcher, HostLogin, ToWatcher, WatchReport};
use twofa_store::event::LoginOrigin;
use twofa_store::{HostReport, HostSessionLogin, Origin, StoreError};

use super::connection::{HostConnection, MESSAGE_TIMEOUT, Next, Watcher};
use super::permits::Purpose;
use super::seen::note_seen;
use super::work::{Job, Task};
use super::{STACK_BYTES, Shared, WRITE_TIMEOUT};
use crate::identity::relayed::RelayedPeer;
use crate::process::log;
use crate::text::messages::{log_lines, reasons};

/// How often it is looked at whether there is news.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// What is new, to see which hosts it concerns.
struct Changes {
    policy: i64,
    orders: Vec<(String, i64)>,
}

impl Watcher {
    /// Whether a host that waits is to be told.
    fn wants(&self, changes: &Changes) -> bool {
        let is_news =
            |(host, order): &(String, i64)| *host == self.host && !self.told.contains(order);
        self.is_waiting && (changes.policy > self.policy || changes.orders.iter().any(is_news))
    }
}

/// Starts the thread that looks whether there is news.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<()> {
    let poll = move || {
        let mut said = None;
        loop {
            thread::sleep(POLL_INTERVAL);
            match look(&shared) {
                Ok(()) => said = None,
                Err(error) => {
                    let why = error.to_string();
                    if said.as_ref() != Some(&why) {
                        log::warn(&log_lines::hosts_not_told(&why));
                        said = Some(why);
                    }
                }
            }
        }
    };
    let thread = thread::Builder::new().name("news".to_owned());
    thread.stack_size(STACK_BYTES).spawn(poll).map(drop)
}

/// Has the hosts answered for which there is news.
pub(super) fn look(shared: &Shared) -> Result<(), StoreError> {
    if !shared.waiting.is_any_watching() {
        return Ok(());
    }
    let broker = shared.store.open()?;
    let changes = Changes {
        policy: broker.store().policy_version()?,
        orders: broker.store().open_host_orders()?,
    };
    let is_concerned = |connection: &HostConnection| {
        let watcher = connection.watcher.as_ref();
        watcher.is_some_and(|watcher| watcher.wants(&changes))
    };
    for connection in shared.waiting.take_if(is_concerned) {
        shared.queue.push(Job::new(connection, Task::TimeOut));
    }
    Ok(())
}

/// Works on a message of a host, or tells it what is new.
pub(super) fn serve(shared: &Shared, mut connection: HostConnection, task: Task) -> Next {
    let Some(_deciding) = shared.permits.acquire(Purpose::Deciding) else {
        return Next::End;
    };
    let HostConnection {
        link, key, watcher, ..
    } = &mut connection;
    let Some(watcher) = watcher else {
        return Next::End;
    };
    let answer = match task {
        Task::TimeOut => news(shared, key, watcher, true),
        Task::Message => {
            link.set_deadline(Instant::now() + MESSAGE_TIMEOUT);
            match link.receive() {
                Ok(message) => reply(shared, key, watcher, message),
                Err(_) => return Next::End,
            }
        }
    };
    let sent = match answer {
        Ok(None) => true,
        Ok(Some(answer)) => send(link, &answer),
        Err(error) => {
            log::warn(&reasons::host_refused(&error));
            send(link, &ToWatcher::Refused(error.to_string()));
            false
        }
    };
    if sent {
        Next::Wait(connection)
    } else {
        Next::End
    }
}

fn send(link: &mut ToHost, answer: &ToWatcher) -> bool {
    link.set_deadline(Instant::now() + WRITE_TIMEOUT);
    link.send(answer).is_ok()
}

fn reply(
    shared: &Shared,
    key: &[u8; 32],
    watcher: &mut Watcher,
    message: FromWatcher,
) -> Result<Option<ToWatcher>, StoreError> {
    match message {
        FromWatcher::Report(report) => {
            watcher.is_waiting = false;
            take(shared, key, watcher, report).map(Some)
        }
        FromWatcher::Wait { policy, version } => {
            watcher.policy = policy;
            watcher.version = version;
            news(shared, key, watcher, false)
        }
    }
}

/// What the host is to do. `None`: nothing, and the host waits.
fn news(
    shared: &Shared,
    key: &[u8; 32],
    watcher: &mut Watcher,
    in_any_case: bool,
) -> Result<Option<ToWatcher>, StoreError> {
    let broker = shared.store.open()?;
    let services = broker.services();
    let (host, mut orders) = services.store.orders_of_host(key, services.now())?;
    note_seen(shared, services, &host, &watcher.version);
    watcher.host = host.id;
    orders.retain(|order| !watcher.told.contains(&order.id));
    let policy = services.store.policy_version()?;
    let is_news = policy > watcher.policy || !orders.is_empty();
    watcher.is_waiting = !is_news && !in_any_case;
    if watcher.is_waiting {
        return Ok(None);
    }
    watcher.told.extend(orders.iter().map(|order| order.id));
    let orders = orders.into_iter().map(|order| EndOrder {
        id: order.id,
        conversations: order.conversations,
    });
    Ok(Some(ToWatcher::News {
        policy,
        orders: orders.collect(),
    }))
}

/// Takes a report, and says what of it is not this host's to report.
fn take(
    shared: &Shared,
    key: &[u8; 32],
    watcher: &mut Watcher,
    report: WatchReport,
) -> Result<ToWatcher, StoreError> {
    let broker = shared.store.open()?;
    let services = broker.services();
    let (store, now) = (services.store, services.now());
    let peer = RelayedPeer::new(store.host_by_key(key, now)?, *key, 0);
    let origin = Origin::login(0, LoginOrigin::default()).on_host(peer.origin());
    let WatchReport { begun, ended, done } = report;
    watcher.told.retain(|order| !done.contains(order));
    let report = HostReport { begun, ended, done };
    let refused = store.take_host_report(key, &report, read, &origin, now)?;
    if !refused.sessions.is_empty() || !refused.orders.is_empty() {
        log::warn(&log_lines::report_refused(&peer.name));
    }
    Ok(ToWatcher::Noted {
        sessions: refused.sessions,
        orders: refused.orders,
    })
}

/// The login in what is on record of a conversation.
fn read(login: &str) -> Option<HostSessionLogin> {
    let login: HostLogin = serde_json::from_str(login).ok()?;
    let claim = |text: Option<String>| text.as_deref().and_then(crate::requests::session::claim);
    Some(HostSessionLogin {
        account: Account {
            name: login.user,
            uid: login.uid,
        },
        service: claim(Some(login.service)).unwrap_or_default(),
        remote_host: claim(login.remote_host),
        remote_user: claim(login.remote_user),
        terminal: claim(login.terminal),
    })
}
