//! How many conversations there may be, and whose they are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::owner::Owner;

/// Conversations one user may have open. Root has every login of the machine.
pub(super) const MOST_OF_A_USER: usize = 16;
/// Conversations all users but root may have open together: many accounts in one hand must not use up the
/// threads and descriptors that root's logins need.
pub(super) const MOST_OF_ALL_USERS: usize = 256;
pub(super) const MOST_OF_ROOT: usize = 512;

/// Who is here.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    /// None of these is 0.
    by_owner: HashMap<Owner, usize>,
    of_users: usize,
}

/// Why somebody is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("{0} has too many conversations open")]
    OfOwner(Owner),
    #[error("all users together have too many conversations open, and {0} wants another")]
    OfUsers(Owner),
}

/// A place in the crowd, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    owner: Owner,
}

impl Crowd {
    pub(super) fn enter(crowd: &Arc<Self>, owner: Owner) -> Result<Place, Full> {
        let most = if owner == Owner::ROOT {
            MOST_OF_ROOT
        } else {
            MOST_OF_A_USER
        };
        let mut places = crowd.places();
        let taken = places.by_owner.get(&owner).copied().unwrap_or_default();
        if taken >= most {
            return Err(Full::OfOwner(owner));
        }
        if owner != Owner::ROOT {
            if places.of_users >= MOST_OF_ALL_USERS {
                return Err(Full::OfUsers(owner));
            }
            places.of_users += 1;
        }
        places.by_owner.insert(owner, taken + 1);
        Ok(Place {
            crowd: crowd.clone(),
            owner,
        })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.crowd.places();
        if self.owner != Owner::ROOT {
            places.of_users -= 1;
        }
        if let Some(taken) = places.by_owner.get_mut(&self.owner) {
            *taken -= 1;
            if *taken == 0 {
                places.by_owner.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(crowd: &Arc<Crowd>, owner: Owner, places: usize) -> Vec<Place> {
        (0..places)
            .map(|_| Crowd::enter(crowd, owner).unwrap())
            .collect()
    }

    #[test]
    fn a_user_has_sixteen_conversations_and_leaves_room_for_others() {
        let crowd = Arc::new(Crowd::default());
        let alice = Owner::user(1000);
        let mut places = fill(&crowd, alice, MOST_OF_A_USER);
        assert_eq!(
            Crowd::enter(&crowd, alice).unwrap_err(),
            Full::OfOwner(alice)
        );
        assert!(Crowd::enter(&crowd, Owner::user(1001)).is_ok());
        places.pop();
        assert!(Crowd::enter(&crowd, alice).is_ok());
    }

    #[test]
    fn many_users_together_leave_all_of_roots_places_free() {
        let crowd = Arc::new(Crowd::default());
        let mut places: Vec<_> = (0..256)
            .map(|uid| Crowd::enter(&crowd, Owner::user(1000 + uid)).unwrap())
            .collect();
        let late = Owner::user(5000);
        assert_eq!(Crowd::enter(&crowd, late).unwrap_err(), Full::OfUsers(late));
        let logins = fill(&crowd, Owner::ROOT, MOST_OF_ROOT);
        assert_eq!(
            Crowd::enter(&crowd, Owner::ROOT).unwrap_err(),
            Full::OfOwner(Owner::ROOT)
        );
        drop(logins);
        assert_eq!(
            Crowd::enter(&crowd, late).unwrap_err(),
            Full::OfUsers(late),
            "root's places are root's"
        );
        places.pop();
        assert!(Crowd::enter(&crowd, late).is_ok());
    }
}
