//! Login sessions on hosts, on a server: what hosts report of them, and orders to end them.
//!
//! A host reports sessions of logins about which a server has decided, and only its own: a session is known by the conversation
//! of its login, which the server has on record. Whose session it is, and where it came from, is what the login said.
//!
//! An order stays until its host has said that it is done, however long that takes; with the host it is gone.

use twofa_core::Timestamp;

use crate::conversations::AnswerVerdict;
use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin, SessionEnd, SessionFields};
use crate::host_in_force::find_in_force;
use crate::sql::conversations;
use crate::sql::fleet::Host;
use crate::sql::host_sessions::{self, NewHostSession, OrderRecord};
pub use crate::sql::host_sessions::{HostSession, HostSessionLogin};
use crate::tx::{Tx, View};

/// How many sessions one order is about at most: with as many orders as are told at once, they fit into one message.
const MOST_OF_AN_ORDER: usize = 250;
/// How many orders a host is told at once.
const MOST_ORDERS: u32 = 12;
/// How many sessions of a user that ended are kept.
const KEPT_OF_A_USER: u32 = 200;
/// How long sessions that ended and orders that are done are kept, in seconds.
const KEPT_FOR: u64 = 90 * 24 * 60 * 60;
/// After about this many sessions old ones are removed.
const PRUNED_EVERY: i64 = 16;
/// How many of the oldest sessions are then looked at.
const LOOKED_AT: u32 = 1_000;

/// What a host reports. Sessions are named by the conversations of their logins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostReport {
    /// Sessions that began, with the numbers that the host gave them.
    pub begun: Vec<([u8; 16], i64)>,
    /// Sessions that ended.
    pub ended: Vec<[u8; 16]>,
    /// Orders that are done.
    pub done: Vec<i64>,
}

impl HostReport {
    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.ended.is_empty() && self.done.is_empty()
    }
}

/// What of a report is not this host's to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefusedReport {
    /// Sessions of logins of which there is no record, or another host's.
    pub sessions: Vec<[u8; 16]>,
    /// Orders that are not for this host.
    pub orders: Vec<i64>,
}

/// Which sessions on hosts.
#[derive(Debug, Clone, Default)]
pub struct HostSessionFilter {
    /// Those of the user of this login name.
    pub user: Option<String>,
    /// Those on the hosts of these names; empty: on all.
    pub hosts: Vec<String>,
    /// Those that their hosts call so; empty: all.
    pub numbers: Vec<i64>,
}

impl HostSessionFilter {
    fn includes(&self, session: &HostSession) -> bool {
        let user = self.user.as_ref();
        user.is_none_or(|user| *user == session.login.account.name)
            && (self.hosts.is_empty() || self.hosts.contains(&session.host))
            && (self.numbers.is_empty() || self.numbers.contains(&session.number))
    }
}

/// An order to end sessions on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostOrder {
    /// Its number.
    pub id: i64,
    /// The name of the host.
    pub host: String,
    /// When the host was last heard of; `None`: never.
    pub seen_at: Option<Timestamp>,
    /// When the host said that it is done; `None`: not yet.
    pub confirmed_at: Option<Timestamp>,
    /// The sessions.
    pub sessions: Vec<HostSession>,
}

/// An order as its host is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderForHost {
    /// Its number.
    pub id: i64,
    /// The conversations of the sessions that are to end.
    pub conversations: Vec<[u8; 16]>,
}

impl Store {
    /// Takes what the host whose certificate has `key` reports. `read` finds the login in what is on record of a conversation.
    pub fn take_host_report(
        &self,
        key: &[u8; 32],
        report: &HostReport,
        read: fn(&str) -> Option<HostSessionLogin>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<RefusedReport, StoreError> {
        self.change_unsynced(origin, now, |tx| {
            let host = find_in_force(tx, key, now)?;
            let mut refused = RefusedReport::default();
            for (conversation, number) in &report.begun {
                if !begin(tx, &host, conversation, *number, read)? {
                    refused.sessions.push(*conversation);
                }
            }
            for conversation in &report.ended {
                let is_known = host_sessions::set_ended(tx.db, &host.id, conversation, now)?;
                if !is_known && !refused.sessions.contains(conversation) {
                    refused.sessions.push(*conversation);
                }
            }
            for order in &report.done {
                match host_sessions::confirm(tx.db, &host.id, *order, now)? {
                    Some(true) => end_sessions(tx, *order)?,
                    Some(false) => {}
                    None => refused.orders.push(*order),
                }
            }
            Ok(refused)
        })
    }

    /// The host whose certificate has `key`, and the orders for it that are open.
    pub fn orders_of_host(
        &self,
        key: &[u8; 32],
        now: Timestamp,
    ) -> Result<(Host, Vec<OrderForHost>), StoreError> {
        self.read(|view| {
            let host = find_in_force(view, key, now)?;
            let open = host_sessions::open_orders_of(view.db, &host.id, MOST_ORDERS)?;
            let orders = open.into_iter().map(|id| {
                let conversations = host_sessions::conversations_of_order(view.db, id)?;
                Ok(OrderForHost { id, conversations })
            });
            let orders: Result<_, StoreError> = orders.collect();
            Ok((host, orders?))
        })
    }

    /// The orders that are open, with the ids of their hosts.
    pub fn open_host_orders(&self) -> Result<Vec<(String, i64)>, StoreError> {
        self.read(|view| host_sessions::open_orders(view.db))
    }

    /// The open sessions on hosts that `filter` lets through, by host and number.
    pub fn host_sessions(
        &self,
        filter: &HostSessionFilter,
    ) -> Result<Vec<HostSession>, StoreError> {
        self.read(|view| chosen(view, filter))
    }

    /// Orders the hosts concerned to end their sessions that `filter` lets through. Returns the orders.
    pub fn end_host_sessions(
        &self,
        filter: &HostSessionFilter,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<HostOrder>, StoreError> {
        self.change(origin, now, |tx| {
            host_sessions::delete_orders_before(tx.db, now.before(KEPT_FOR))?;
            let sessions = chosen(&tx.view, filter)?;
            let mut orders = Vec::new();
            for of_host in sessions.chunk_by(|one, next| one.host_id == next.host_id) {
                for sessions in of_host.chunks(MOST_OF_AN_ORDER) {
                    orders.extend(order(tx, sessions)?);
                }
            }
            Ok(orders)
        })
    }

    /// What has become of these orders. Those of hosts that were removed are left out.
    pub fn host_orders(&self, ids: &[i64]) -> Result<Vec<HostOrder>, StoreError> {
        self.read(|view| {
            let orders = ids.iter().map(|id| find_order(view, *id));
            let orders: Result<Vec<_>, _> = orders.collect();
            Ok(orders?.into_iter().flatten().collect())
        })
    }
}

/// Records that a session began, if a login on this host with this conversation passed. Says whether it is on record.
fn begin(
    tx: &Tx<'_>,
    host: &Host,
    conversation: &[u8; 16],
    number: i64,
    read: fn(&str) -> Option<HostSessionLogin>,
) -> Result<bool, StoreError> {
    if host_sessions::exists(tx.db, &host.id, conversation)? {
        return Ok(true);
    }
    let found = conversations::find(tx.db, conversation)?;
    let Some(found) = found.filter(|found| found.host == host.id && found.is_over) else {
        return Ok(false);
    };
    let verdict = found.verdict.as_deref().map(serde_json::from_str);
    let method = match verdict {
        Some(Ok(AnswerVerdict::Right(method))) => Some(method),
        // Nothing was asked for.
        None if found.number == 0 => None,
        _ => return Ok(false),
    };
    let Some(login) = read(&found.login) else {
        return Ok(false);
    };
    let new = NewHostSession {
        host: &host.id,
        conversation,
        number,
        login: &login,
        method: method.as_deref(),
    };
    let inserted = host_sessions::insert(tx.db, &new, tx.now)?;
    if inserted.is_some_and(|id| id % PRUNED_EVERY == 0) {
        host_sessions::delete_ended_beyond(tx.db, &login.account, KEPT_OF_A_USER)?;
        host_sessions::delete_ended_before(tx.db, tx.now.before(KEPT_FOR), LOOKED_AT)?;
    }
    Ok(true)
}

fn chosen(view: &View<'_>, filter: &HostSessionFilter) -> Result<Vec<HostSession>, StoreError> {
    let mut sessions = host_sessions::open(view.db)?;
    sessions.retain(|session| filter.includes(session));
    Ok(sessions)
}

/// Orders the host of `sessions`, which are of one host, to end them.
fn order(tx: &Tx<'_>, sessions: &[HostSession]) -> Result<Option<HostOrder>, StoreError> {
    let Some(first) = sessions.first() else {
        return Ok(None);
    };
    let id = host_sessions::insert_order(tx.db, &first.host_id, tx.now)?;
    for session in sessions {
        host_sessions::set_order(tx.db, session.id, id)?;
        let event = Event::SessionEndAsked {
            session: session.into(),
            on_host: session.host.clone(),
        };
        tx.record(Some(&session.login.account), &event)?;
    }
    find_order(&tx.view, id)
}

/// Records that the sessions of an order have ended.
fn end_sessions(tx: &Tx<'_>, order: i64) -> Result<(), StoreError> {
    let sessions = host_sessions::of_order(tx.db, order)?;
    host_sessions::end_of_order(tx.db, order, tx.now)?;
    for session in &sessions {
        let why = SessionEnd::Administrator;
        let event = Event::SessionEnded {
            session: session.into(),
            why,
        };
        tx.record(Some(&session.login.account), &event)?;
    }
    Ok(())
}

fn find_order(view: &View<'_>, id: i64) -> Result<Option<HostOrder>, StoreError> {
    let Some(found) = host_sessions::order(view.db, id)? else {
        return Ok(None);
    };
    let sessions = host_sessions::of_order(view.db, id)?;
    let OrderRecord {
        id,
        host,
        seen_at,
        confirmed_at,
    } = found;
    Ok(Some(HostOrder {
        id,
        host,
        seen_at,
        confirmed_at,
        sessions,
    }))
}

impl From<&HostSession> for SessionFields {
    fn from(session: &HostSession) -> Self {
        let login = &session.login;
        Self {
            number: session.number,
            of_service: login.service.clone(),
            place: login.remote_host.clone().or_else(|| login.terminal.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
