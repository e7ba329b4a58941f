//! Whether a request is served now, within the limits of those who may make it.

use std::sync::{Arc, Mutex, PoisonError};

use twofa_proto::Request;

use super::connection_limits::{ConnectionLimits, Permit};
use super::owner::{Owner, Owners};
use crate::identity::accounts;
use crate::identity::authority::{Peer, Permission};
use crate::process::log;

/// Gives permits to requests.
#[derive(Debug)]
pub(super) struct Admission {
    owners: Arc<Mutex<Owners>>,
    /// Peers that are being looked up, which may hang with the name service, and peers that are being refused.
    unchecked: Arc<ConnectionLimits>,
    /// Peers that may make their request.
    served: Arc<ConnectionLimits>,
}

impl Admission {
    pub(super) fn new(owners: Arc<Mutex<Owners>>) -> Self {
        Self {
            owners,
            unchecked: Arc::default(),
            served: Arc::default(),
        }
    }

    /// A permit for `request`, if one is free. A peer that may not make the request takes no permit from peers that may:
    /// it is served only its refusal.
    pub(super) fn admit(&self, peer: Peer, owner: Owner, request: &Request) -> Option<Permit> {
        let acquire = |limits, owner| {
            ConnectionLimits::acquire(limits, owner)
                .inspect_err(|limit| log::warn(&format!("{limit}: refused")))
                .ok()
        };
        if peer.is_root() {
            return acquire(&self.served, owner);
        }
        let unchecked = acquire(&self.unchecked, owner)?;
        let account = accounts::find(request.user()).ok().flatten();
        if account.is_none_or(|account| peer.may(request, &account) == Permission::Refused) {
            return Some(unchecked);
        }
        if owner != Owner::UNKNOWN {
            return acquire(&self.served, owner);
        }
        self.owners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remember(peer.uid);
        acquire(&self.served, Owner::user(peer.uid))
    }
}
