//! Whether a host of the fleet may ask for anything at this moment.

use twofa_core::Timestamp;

use crate::error::StoreError;
use crate::event::FleetHost;
use crate::sql::Ahead;
use crate::sql::fleet::{self, Host};
use crate::sql::row_hashes::HOST;
use crate::tx::View;

/// Refuses what `host` asks for unless its key is in force at this moment of this transaction.
pub(crate) fn check_host(
    view: &View<'_>,
    host: &FleetHost,
    now: Timestamp,
) -> Result<(), StoreError> {
    let key = host.key.ok_or(StoreError::HostRefused)?;
    let found = find_in_force(view, &key, now)?;
    if found.name == host.name {
        Ok(())
    } else {
        Err(StoreError::HostRefused)
    }
}

/// What [`check_host`] asks.
pub(crate) fn host_ahead(host: &FleetHost, now: Timestamp) -> Option<Ahead> {
    host.key.map(|key| fleet::find_by_key_ahead(&key, now))
}

/// The host whose key this is, if that is in force. Fails if another program than a server has written its row.
pub(crate) fn find_in_force(
    view: &View<'_>,
    key: &[u8; 32],
    now: Timestamp,
) -> Result<Host, StoreError> {
    let is_in_force =
        |host: &Host| host.copied_at.is_none() && host.key_until.is_some_and(|until| now < until);
    let found = fleet::find_by_key(view.db, key, now)?;
    let found = found.filter(|(host, _)| is_in_force(host));
    let (host, hash) = found.ok_or(StoreError::HostRefused)?;
    view.check_row(&HOST, &host.name, &hash)?;
    Ok(host)
}
