//! Who is here, by uid, and how many may be.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::authority::Peer;

/// Conversations one uid may have open. Root has every login of the machine.
pub(super) const MOST_OF_A_USER: usize = 16;
/// Conversations all uids but root may have open together: many accounts in one hand must not use up the
/// threads and descriptors that root's logins need.
pub(super) const MOST_OF_ALL_USERS: usize = 256;
pub(super) const MOST_OF_ROOT: usize = 512;

/// Who is here.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    seats: Mutex<Seats>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Seats {
    /// None of these is 0.
    by_uid: HashMap<u32, usize>,
    of_users: usize,
}

/// Why somebody is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("uid {0} has too many conversations open")]
    OfUid(u32),
    #[error("all users together have too many conversations open, and uid {0} wants another")]
    OfUsers(u32),
}

/// A place in the crowd, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    peer: Peer,
}

impl Crowd {
    pub(super) fn enter(crowd: &Arc<Self>, peer: Peer) -> Result<Seat, Full> {
        let most = if peer.is_root() { MOST_OF_ROOT } else { MOST_OF_A_USER };
        let mut seats = crowd.seats();
        let taken = seats.by_uid.get(&peer.uid).copied().unwrap_or_default();
        if taken >= most {
            return Err(Full::OfUid(peer.uid));
        }
        if !peer.is_root() {
            if seats.of_users >= MOST_OF_ALL_USERS {
                return Err(Full::OfUsers(peer.uid));
            }
            seats.of_users += 1;
        }
        seats.by_uid.insert(peer.uid, taken + 1);
        Ok(Seat { crowd: crowd.clone(), peer })
    }

    pub(super) fn wait_for_one_to_leave(&self, patience: Duration) {
        drop(self.left.wait_timeout(self.seats(), patience));
    }

    pub(super) fn wait_for_all_to_leave(&self, patience: Duration) {
        drop(self.left.wait_timeout_while(self.seats(), patience, |seats| !seats.by_uid.is_empty()));
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    pub(super) const fn peer(&self) -> Peer {
        self.peer
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.crowd.seats();
        if !self.peer.is_root() {
            seats.of_users -= 1;
        }
        if let Some(taken) = seats.by_uid.get_mut(&self.peer.uid) {
            *taken -= 1;
            if *taken == 0 {
                seats.by_uid.remove(&self.peer.uid);
            }
        }
        self.crowd.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(crowd: &Arc<Crowd>, peer: Peer, seats: usize) -> Vec<Seat> {
        (0..seats).map(|_| Crowd::enter(crowd, peer).unwrap()).collect()
    }

    #[test]
    fn a_user_has_sixteen_conversations_and_leaves_room_for_others() {
        let crowd = Arc::new(Crowd::default());
        let alice = Peer { uid: 1000 };
        let mut seats = fill(&crowd, alice, MOST_OF_A_USER);
        assert_eq!(Crowd::enter(&crowd, alice).unwrap_err(), Full::OfUid(1000));
        assert!(Crowd::enter(&crowd, Peer { uid: 1001 }).is_ok());
        seats.pop();
        assert!(Crowd::enter(&crowd, alice).is_ok());
    }

    #[test]
    fn many_users_together_leave_all_of_roots_seats_free() {
        let crowd = Arc::new(Crowd::default());
        let mut seats: Vec<_> =
            (0..256).map(|uid| Crowd::enter(&crowd, Peer { uid: 1000 + uid }).unwrap()).collect();
        let late = Peer { uid: 5000 };
        assert_eq!(Crowd::enter(&crowd, late).unwrap_err(), Full::OfUsers(5000));
        let logins = fill(&crowd, Peer::ROOT, MOST_OF_ROOT);
        assert_eq!(Crowd::enter(&crowd, Peer::ROOT).unwrap_err(), Full::OfUid(0));
        drop(logins);
        assert_eq!(Crowd::enter(&crowd, late).unwrap_err(), Full::OfUsers(5000), "root's seats are root's");
        seats.pop();
        assert!(Crowd::enter(&crowd, late).is_ok());
    }

    #[test]
    fn an_empty_crowd_is_not_waited_for() {
        let crowd = Arc::new(Crowd::default());
        drop(Crowd::enter(&crowd, Peer::ROOT));
        drop(Crowd::enter(&crowd, Peer { uid: 1000 }));
        crowd.wait_for_all_to_leave(Duration::from_secs(3600));
    }
}
