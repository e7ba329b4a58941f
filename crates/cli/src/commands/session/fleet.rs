//! Sessions on the hosts of a fleet, from one of its servers.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use twofa_broker::Failure;
use twofa_broker::admin::Administration;
use twofa_broker::admin::sessions::{HostOrder, HostSession, HostSessionFilter};
use twofa_core::Timestamp;

use super::{Row, values};
use crate::arguments::EndArguments;
use crate::error::CommandError;
use crate::messages::{rfc3339, session as texts};
use crate::output::Listing;

/// How long the hosts have to confirm.
const TIMEOUT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

/// A session on a host that was to end, as JSON has it.
#[derive(Debug, serde::Serialize)]
pub(super) struct EndedRow<'a> {
    pub(super) host: Option<&'a str>,
    pub(super) id: i64,
    pub(super) user: &'a str,
    pub(super) service: &'a str,
    pub(super) confirmed: bool,
    pub(super) host_last_seen: Option<String>,
}

/// Shows a session on a host.
pub(super) fn list_one(session: &HostSession, listing: &mut Listing) -> io::Result<()> {
    let HostSession {
        host,
        number,
        login,
        method,
        started_at,
        is_to_end,
        ..
    } = session;
    let row = Row {
        id: *number,
        user: &login.account.name,
        state: if *is_to_end { "ending" } else { "open" },
        started_at: rfc3339(*started_at),
        until: None,
        service: &login.service,
        remote_host: login.remote_host.as_deref(),
        remote_user: login.remote_user.as_deref(),
        terminal: login.terminal.as_deref(),
        proof: method.as_deref(),
        login_uid: None,
        pid: None,
        logind_session: None,
        host: Some(host),
    };
    listing.row(&row, || values(&row, *started_at, None))
}

/// The sessions on hosts that `arguments` are about; `None`: they are about this machine alone.
pub(super) fn filter(
    admin: &Administration,
    arguments: &EndArguments,
) -> Result<Option<HostSessionFilter>, CommandError> {
    let EndArguments { chosen, host, .. } = arguments;
    if host.is_empty() && !chosen.id.is_empty() {
        return Ok(None);
    }
    check_hosts(admin, host)?;
    let filter = HostSessionFilter {
        user: chosen.user.clone(),
        hosts: host.clone(),
        numbers: chosen.id.clone(),
    };
    if let ([host, more @ ..], false) = (host.as_slice(), chosen.id.is_empty()) {
        if !more.is_empty() {
            let message = "each host counts its own sessions: give one --host with numbers";
            return Err(CommandError::new(Failure::Usage, message));
        }
        let found = admin.host_sessions(&filter)?;
        let is_missing = |id: &&i64| !found.iter().any(|session| session.number == **id);
        if let Some(missing) = chosen.id.iter().find(is_missing) {
            let message = texts::no_session_on(*missing, host);
            let error = CommandError::new(Failure::NotFound, message);
            return Err(error.hinted(format!("see 'twofa session list --host {host}'")));
        }
    }
    Ok(Some(filter))
}

/// Fails unless all of `names` are hosts of the fleet.
pub(super) fn check_hosts(admin: &Administration, names: &[String]) -> Result<(), CommandError> {
    if names.is_empty() {
        return Ok(());
    }
    let hosts = admin.hosts()?;
    let is_missing = |name: &&String| !hosts.iter().any(|host| host.name == **name);
    names.iter().find(is_missing).map_or(Ok(()), |name| {
        let error = CommandError::new(Failure::NotFound, texts::no_host(name));
        Err(error.hinted("'twofa host list' on a server shows all hosts"))
    })
}

/// Waits until all hosts have confirmed `orders`, five seconds after `since` at most, and returns what has become of them.
pub(super) fn wait(
    admin: &Administration,
    orders: &[HostOrder],
    since: Instant,
) -> Result<Vec<HostOrder>, CommandError> {
    let ids: Vec<_> = orders.iter().map(|order| order.id).collect();
    loop {
        let orders = admin.host_orders(&ids)?;
        let is_done = orders.iter().all(|order| order.confirmed_at.is_some());
        if is_done || since.elapsed() >= TIMEOUT {
            return Ok(orders);
        }
        thread::sleep(POLL);
    }
}

/// Says what has become of `orders`.
pub(super) fn say(orders: &[HostOrder], now: Timestamp) -> io::Result<()> {
    let mut out = io::stdout();
    for order in orders {
        if order.confirmed_at.is_none() {
            writeln!(out, "{}", texts::not_confirmed(order, now))?;
            continue;
        }
        for session in &order.sessions {
            writeln!(out, "{}", texts::ended_on_host(session))?;
        }
    }
    Ok(())
}

/// Shows what has become of `orders`.
pub(super) fn show(orders: &[HostOrder], listing: &mut Listing) -> io::Result<()> {
    for order in orders {
        for session in &order.sessions {
            let row = EndedRow {
                host: Some(&session.host),
                id: session.number,
                user: &session.login.account.name,
                service: &session.login.service,
                confirmed: order.confirmed_at.is_some(),
                host_last_seen: order.seen_at.map(rfc3339),
            };
            listing.row(&row, Vec::new)?;
        }
    }
    Ok(())
}

/// Fails if a host has not confirmed.
pub(super) fn check(orders: &[HostOrder]) -> Result<(), CommandError> {
    let open = |order: &&HostOrder| order.confirmed_at.is_none();
    let mut hosts: Vec<_> = orders.iter().filter(open).map(|it| &*it.host).collect();
    hosts.dedup();
    if hosts.is_empty() {
        return Ok(());
    }
    let error = CommandError::new(Failure::Failed, texts::hosts_not_confirmed(&hosts));
    Err(error.hinted("'twofa session list' shows what is still open"))
}
