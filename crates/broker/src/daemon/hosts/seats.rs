//! How many messages of one host about one person are worked on at once. Each of them waits for the ones before it at the
//! person's row in the database, and holds a connection to it meanwhile: without a limit, one host that sends many messages
//! about one person would take the connections from all others.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Messages of one host about one person that are worked on at once; the others wait, without a connection to the database.
const MAX_OF_A_PERSON: usize = 4;

/// Who they are about: the key of the host's certificate, and the name that it says.
type Person = ([u8; 32], String);

/// Counts messages by host and person.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Mutex<HashMap<Person, usize>>,
    freed: Condvar,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    seats: &'a Seats,
    person: Person,
}

impl Seats {
    /// A seat for a message of the host with `key` about `user`, if one is free before `until`.
    pub(super) fn wait(&self, key: [u8; 32], user: &str, until: Instant) -> Option<Seat<'_>> {
        let person = (key, user.to_owned());
        let mut taken = self.lock();
        while taken.get(&person).copied().unwrap_or_default() >= MAX_OF_A_PERSON {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            taken = self
                .freed
                .wait_timeout(taken, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *taken.entry(person.clone()).or_default() += 1;
        Some(Seat {
            seats: self,
            person,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Person, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if let Some(of_person) = taken.get_mut(&self.person) {
            *of_person -= 1;
            if *of_person == 0 {
                taken.remove(&self.person);
            } else if *of_person + 1 == MAX_OF_A_PERSON {
                // Only then may some wait, of this person or another.
                self.seats.freed.notify_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_host_has_few_seats_for_a_person_and_takes_none_from_another_host_or_person() {
        let seats = Seats::default();
        let now = Instant::now();
        let mut taken: Vec<_> = (0..MAX_OF_A_PERSON)
            .map(|_| seats.wait([1; 32], "alice", now).unwrap())
            .collect();
        assert!(seats.wait([1; 32], "alice", now).is_none());
        let others = [([2; 32], "alice"), ([1; 32], "bob")];
        assert!(
            others
                .map(|(key, user)| seats.wait(key, user, now))
                .iter()
                .all(Option::is_some)
        );
        let until = Instant::now() + Duration::from_secs(60);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| seats.wait([1; 32], "alice", until).is_some());
            taken.pop();
            assert!(waiting.join().unwrap());
        });
        drop(taken);
        assert!(seats.lock().is_empty());
    }
}
