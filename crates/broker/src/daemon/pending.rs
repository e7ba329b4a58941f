//! Connections that have not said what they want. They have no thread and take nobody's place: when there are too
//! many, the oldest goes, so that silence keeps nobody out.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use twofa_proto::Stream;
use twofa_proto::codec::holds_message;

use super::deadlines::OPENING_PATIENCE;
use super::owner::Owner;
use crate::identity::authority::Peer;
use crate::process::log::say;

/// Silent connections of one user, of all users but root, and of root.
const MOST_OF_A_USER: usize = 16;
pub(super) const MOST_OF_ALL_USERS: usize = 128;
pub(super) const MOST_OF_ROOT: usize = 512;

/// How often the log is told of too many.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Bytes read at once: more than most requests have.
const CHUNK: usize = 512;

/// A connection whose whole request has been read.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
    pub(super) owner: Owner,
    /// What was read so far: a whole message, and perhaps more.
    pub(super) opening: Vec<u8>,
}

/// A connection that has not said it yet.
#[derive(Debug)]
struct Silent {
    visitor: Visitor,
    until: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Lobby {
    /// The oldest first.
    silent: Vec<Silent>,
    /// When the log was told last that there are too many.
    told: Option<Instant>,
}

/// What a connection has said so far.
enum Heard {
    NotAll,
    All,
    /// It is closed, or says what can be no message.
    Nonsense,
}

impl Lobby {
    /// Takes in a new connection. Gives it back at once if it has said what it wants.
    pub(super) fn admit(
        &mut self,
        stream: Stream,
        peer: Peer,
        owner: Owner,
        now: Instant,
    ) -> Option<Visitor> {
        let mut visitor = Visitor {
            stream,
            peer,
            owner,
            opening: Vec::new(),
        };
        match visitor.listen() {
            Heard::All => return Some(visitor),
            Heard::Nonsense => return None,
            Heard::NotAll => {}
        }
        self.make_room(owner, now);
        self.silent.push(Silent {
            visitor,
            until: now + OPENING_PATIENCE,
        });
        None
    }

    /// Somebody who has said by now what they want, where `ready` are the connections that something happened to, in
    /// the order of [`Self::files`].
    pub(super) fn next(&mut self, ready: &[bool]) -> Option<Visitor> {
        let mut ready = ready.iter();
        let mut is_any_whole = false;
        self.silent.retain_mut(|silent| {
            if ready.next() != Some(&true) || is_any_whole {
                return true;
            }
            match silent.visitor.listen() {
                Heard::NotAll => true,
                Heard::Nonsense => false,
                Heard::All => {
                    is_any_whole = true;
                    true
                }
            }
        });
        let whole = |silent: &Silent| matches!(holds_message(&silent.visitor.opening), Ok(true));
        let index = self.silent.iter().position(whole)?;
        Some(self.silent.remove(index).visitor)
    }

    /// Closes those that have had their time, and all of them at the end.
    pub(super) fn close_late(&mut self, now: Instant) {
        self.silent.retain(|silent| silent.until > now);
    }

    pub(super) fn close(&mut self) {
        self.silent.clear();
    }

    pub(super) fn files(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.silent
            .iter()
            .map(|silent| silent.visitor.stream.as_fd())
    }

    /// When the first of them has had its time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.silent.first().map(|silent| silent.until)
    }

    /// Closes the oldest connection of `owner` if that has as many as it can; else, if all users have, the oldest of
    /// the user who has the most.
    fn make_room(&mut self, owner: Owner, now: Instant) {
        let mut of_each: HashMap<Owner, usize> = HashMap::new();
        for silent in &self.silent {
            *of_each.entry(silent.visitor.owner).or_default() += 1;
        }
        let own = of_each.get(&owner).copied().unwrap_or_default();
        let most = if owner == Owner::ROOT {
            MOST_OF_ROOT
        } else {
            MOST_OF_A_USER
        };
        let of_root = of_each.remove(&Owner::ROOT).unwrap_or_default();
        let is_full = owner != Owner::ROOT && self.silent.len() - of_root >= MOST_OF_ALL_USERS;
        let loses = if own >= most {
            Some(owner)
        } else if is_full {
            of_each
                .into_iter()
                .max_by_key(|(_, count)| *count)
                .map(|(owner, _)| owner)
        } else {
            None
        };
        let Some(owner) = loses else { return };
        if self
            .told
            .is_none_or(|told| now.duration_since(told) >= TELL_EVERY)
        {
            say(&format!(
                "{owner} has too many conversations open and says nothing: the oldest are closed"
            ));
            self.told = Some(now);
        }
        if let Some(index) = self
            .silent
            .iter()
            .position(|silent| silent.visitor.owner == owner)
        {
            self.silent.remove(index);
        }
    }
}

impl Visitor {
    /// Reads what has come, up to the end of one message.
    fn listen(&mut self) -> Heard {
        let mut chunk = [0; CHUNK];
        loop {
            match self.stream.read_now(&mut chunk) {
                Ok(read @ 1..) => self
                    .opening
                    .extend_from_slice(chunk.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Heard::NotAll,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => return Heard::Nonsense,
            }
            match holds_message(&self.opening) {
                Ok(true) => return Heard::All,
                Ok(false) => {}
                Err(_) => return Heard::Nonsense,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn admit(lobby: &mut Lobby, owner: Owner, said: &[u8]) -> (UnixStream, Option<Visitor>) {
        let (mut client, broker) = UnixStream::pair().unwrap();
        client.set_nonblocking(true).unwrap();
        client.write_all(said).unwrap();
        let visitor = lobby.admit(broker.into(), Peer { uid: 1000 }, owner, Instant::now());
        (client, visitor)
    }

    fn is_open(client: &mut UnixStream) -> bool {
        client
            .read(&mut [0])
            .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    const HELLO: &[u8] = &[0, 0, 0, 2, b'h', b'i'];

    #[test]
    fn who_says_at_once_what_they_want_is_served_at_once() {
        let mut lobby = Lobby::default();
        let (_client, visitor) = admit(&mut lobby, Owner::user(1000), HELLO);
        assert_eq!(visitor.unwrap().opening, HELLO);
        assert_eq!(lobby.files().count(), 0);
    }

    #[test]
    fn who_says_it_in_pieces_is_served_with_the_last() {
        let mut lobby = Lobby::default();
        let (mut quiet, _) = admit(&mut lobby, Owner::user(1000), &[]);
        let (mut client, _) = admit(&mut lobby, Owner::user(1000), &HELLO[..1]);
        for byte in &HELLO[1..5] {
            client.write_all(&[*byte]).unwrap();
            assert!(lobby.next(&[false, true]).is_none());
        }
        client.write_all(&HELLO[5..]).unwrap();
        assert_eq!(lobby.next(&[false, true]).unwrap().opening, HELLO);
        assert!(is_open(&mut quiet) && lobby.files().count() == 1);
    }

    #[test]
    fn nonsense_and_a_hang_up_are_not_waited_for() {
        let mut lobby = Lobby::default();
        assert!(
            admit(&mut lobby, Owner::user(1000), &[0, 1, 0, 1])
                .1
                .is_none()
        );
        let (client, _) = admit(&mut lobby, Owner::user(1000), &HELLO[..2]);
        drop(client);
        assert!(lobby.next(&[true]).is_none());
        assert_eq!(lobby.files().count(), 0);
    }

    #[test]
    fn of_4096_silent_connections_of_one_owner_the_last_few_stay_and_others_are_not_touched() {
        let mut lobby = Lobby::default();
        let (mut bob, _) = admit(&mut lobby, Owner::user(1001), &[]);
        let (mut root, _) = admit(&mut lobby, Owner::ROOT, &[]);
        // No more of them are kept open here than a process may.
        let mut clients = VecDeque::new();
        for _ in 0..4096 {
            clients.push_front(admit(&mut lobby, Owner::STRANGER, &HELLO[..1]).0);
            clients.truncate(4 * MOST_OF_A_USER);
        }
        assert!(is_open(&mut bob) && is_open(&mut root));
        let open: Vec<_> = clients.iter_mut().map(is_open).collect();
        assert!(
            open.iter().take(MOST_OF_A_USER).all(|open| *open),
            "the last ones"
        );
        assert_eq!(open.iter().filter(|open| **open).count(), MOST_OF_A_USER);
    }

    #[test]
    fn when_all_users_have_too_many_whoever_has_the_most_loses_the_oldest() {
        let mut lobby = Lobby::default();
        let (mut bob, _) = admit(&mut lobby, Owner::user(1), &[]);
        let mut others: Vec<_> = (0..200)
            .map(|n| admit(&mut lobby, Owner::user(2 + n % 10), &[]).0)
            .collect();
        assert!(is_open(&mut bob), "bob has one, and the others have many");
        assert_eq!(
            others
                .iter_mut()
                .filter_map(|client| is_open(client).then_some(()))
                .count(),
            MOST_OF_ALL_USERS - 1
        );
    }

    #[test]
    fn each_has_its_time_and_no_more() {
        let mut lobby = Lobby::default();
        let (mut client, _) = admit(&mut lobby, Owner::user(1000), &[]);
        let deadline = lobby.deadline().unwrap();
        lobby.close_late(Instant::now());
        assert!(is_open(&mut client));
        lobby.close_late(deadline);
        assert!(!is_open(&mut client) && lobby.deadline().is_none());
    }
}
