//! How many connections are served at once, for each owner and for all users together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::owner::Owner;

/// Connections of one user that are served at once. Root has more: every login of the machine is one of its.
pub(super) const MAX_OF_A_USER: usize = 16;
/// Connections of all users but root together: someone who controls many accounts must not use up the threads and
/// descriptors that root's logins need.
pub(super) const MAX_OF_ALL_USERS: usize = 256;
pub(super) const MAX_OF_ROOT: usize = 512;

/// Counts the connections that are being served.
#[derive(Debug, Default)]
pub(super) struct ConnectionLimits(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// No count here is 0.
    by_owner: HashMap<Owner, usize>,
    all_users: usize,
}

/// Why a connection is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LimitReached {
    #[error("{0} has too many connections")]
    Owner(Owner),
    #[error("all users together have too many connections, and {0} asked for another")]
    AllUsers(Owner),
}

/// The right to serve one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    limits: Arc<ConnectionLimits>,
    owner: Owner,
}

impl ConnectionLimits {
    pub(super) fn acquire(limits: &Arc<Self>, owner: Owner) -> Result<Permit, LimitReached> {
        let max = if owner == Owner::ROOT {
            MAX_OF_ROOT
        } else {
            MAX_OF_A_USER
        };
        let mut counts = limits.counts();
        let taken = counts.by_owner.get(&owner).copied().unwrap_or_default();
        if taken >= max {
            return Err(LimitReached::Owner(owner));
        }
        if owner != Owner::ROOT {
            if counts.all_users >= MAX_OF_ALL_USERS {
                return Err(LimitReached::AllUsers(owner));
            }
            counts.all_users += 1;
        }
        counts.by_owner.insert(owner, taken + 1);
        Ok(Permit {
            limits: limits.clone(),
            owner,
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.limits.counts();
        if self.owner != Owner::ROOT {
            counts.all_users -= 1;
        }
        if let Some(taken) = counts.by_owner.get_mut(&self.owner) {
            *taken -= 1;
            if *taken == 0 {
                counts.by_owner.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(limits: &Arc<ConnectionLimits>, owner: Owner, permits: usize) -> Vec<Permit> {
        (0..permits)
            .map(|_| ConnectionLimits::acquire(limits, owner).unwrap())
            .collect()
    }

    #[test]
    fn a_user_is_limited_to_sixteen_connections_and_takes_none_from_others() {
        let limits = Arc::new(ConnectionLimits::default());
        let alice = Owner::user(1000);
        let mut permits = fill(&limits, alice, MAX_OF_A_USER);
        assert_eq!(
            ConnectionLimits::acquire(&limits, alice).unwrap_err(),
            LimitReached::Owner(alice)
        );
        assert!(ConnectionLimits::acquire(&limits, Owner::user(1001)).is_ok());
        permits.pop();
        assert!(ConnectionLimits::acquire(&limits, alice).is_ok());
    }

    #[test]
    fn many_users_together_take_no_permit_from_root() {
        let limits = Arc::new(ConnectionLimits::default());
        let mut permits: Vec<_> = (0..256)
            .map(|uid| ConnectionLimits::acquire(&limits, Owner::user(1000 + uid)).unwrap())
            .collect();
        let late = Owner::user(5000);
        assert_eq!(
            ConnectionLimits::acquire(&limits, late).unwrap_err(),
            LimitReached::AllUsers(late)
        );
        let logins = fill(&limits, Owner::ROOT, MAX_OF_ROOT);
        assert_eq!(
            ConnectionLimits::acquire(&limits, Owner::ROOT).unwrap_err(),
            LimitReached::Owner(Owner::ROOT)
        );
        drop(logins);
        assert_eq!(
            ConnectionLimits::acquire(&limits, late).unwrap_err(),
            LimitReached::AllUsers(late),
            "root's permits count for root alone"
        );
        permits.pop();
        assert!(ConnectionLimits::acquire(&limits, late).is_ok());
    }
}
