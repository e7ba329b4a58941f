//! Connections whose request has not arrived. They have no thread and no permit. When there are too many, the oldest is
//! closed, so that silent clients keep nobody out.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use twofa_proto::Stream;
use twofa_proto::codec::holds_message;

use super::deadlines::OPENING_TIMEOUT;
use super::owner::Owner;
use crate::identity::authority::Peer;
use crate::process::log;

/// Pending connections of one user, of all users but root together, and of root.
const MAX_OF_A_USER: usize = 16;
pub(super) const MAX_OF_ALL_USERS: usize = 128;
pub(super) const MAX_OF_ROOT: usize = 512;

/// How often at most the log says that there are too many.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Bytes read at once: more than most requests need.
const CHUNK: usize = 512;

/// A connection whose whole request has been read.
#[derive(Debug)]
pub(super) struct ReadyConnection {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
    pub(super) owner: Owner,
    /// Bytes that were read: one whole message, and perhaps more.
    pub(super) opening: Vec<u8>,
}

/// A connection whose request is not complete.
#[derive(Debug)]
struct Pending {
    connection: ReadyConnection,
    deadline: Instant,
}

/// The connections that wait for their request.
#[derive(Debug, Default)]
pub(super) struct PendingConnections {
    /// Oldest first.
    pending: Vec<Pending>,
    /// When the log last said that there are too many.
    warned_at: Option<Instant>,
}

/// How far the request of a connection has arrived.
enum Progress {
    Incomplete,
    Complete,
    /// The client closed the connection, or sent bytes that cannot be a message.
    Broken,
}

impl PendingConnections {
    /// Adds a new connection. Returns it at once if its request is there already.
    pub(super) fn add(
        &mut self,
        stream: Stream,
        peer: Peer,
        owner: Owner,
        now: Instant,
    ) -> Option<ReadyConnection> {
        let mut connection = ReadyConnection {
            stream,
            peer,
            owner,
            opening: Vec::new(),
        };
        match connection.read_available() {
            Progress::Complete => return Some(connection),
            Progress::Broken => return None,
            Progress::Incomplete => {}
        }
        self.evict_if_full(owner, now);
        self.pending.push(Pending {
            connection,
            deadline: now + OPENING_TIMEOUT,
        });
        None
    }

    /// Removes a connection whose request is complete by now. `readable` says, in the order of [`Self::files`], which
    /// connections can be read.
    pub(super) fn take_ready(&mut self, readable: &[bool]) -> Option<ReadyConnection> {
        let mut readable = readable.iter();
        let mut has_complete = false;
        self.pending.retain_mut(|entry| {
            if readable.next() != Some(&true) || has_complete {
                return true;
            }
            match entry.connection.read_available() {
                Progress::Incomplete => true,
                Progress::Broken => false,
                Progress::Complete => {
                    has_complete = true;
                    true
                }
            }
        });
        let is_complete =
            |entry: &Pending| matches!(holds_message(&entry.connection.opening), Ok(true));
        let index = self.pending.iter().position(is_complete)?;
        Some(self.pending.remove(index).connection)
    }

    /// Closes the connections whose deadline has passed.
    pub(super) fn close_expired(&mut self, now: Instant) {
        self.pending.retain(|entry| entry.deadline > now);
    }

    /// Closes all of them.
    pub(super) fn close(&mut self) {
        self.pending.clear();
    }

    pub(super) fn files(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.pending
            .iter()
            .map(|entry| entry.connection.stream.as_fd())
    }

    /// The earliest deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pending.first().map(|entry| entry.deadline)
    }

    /// Closes the oldest connection of `owner` if that owner is at its limit; else, if all users together are, the oldest
    /// of the user who has the most.
    fn evict_if_full(&mut self, owner: Owner, now: Instant) {
        let mut counts: HashMap<Owner, usize> = HashMap::new();
        for entry in &self.pending {
            *counts.entry(entry.connection.owner).or_default() += 1;
        }
        let count = counts.get(&owner).copied().unwrap_or_default();
        let max = if owner == Owner::ROOT {
            MAX_OF_ROOT
        } else {
            MAX_OF_A_USER
        };
        let root = counts.remove(&Owner::ROOT).unwrap_or_default();
        let is_full = owner != Owner::ROOT && self.pending.len() - root >= MAX_OF_ALL_USERS;
        let evicted = if count >= max {
            Some(owner)
        } else if is_full {
            counts
                .into_iter()
                .max_by_key(|(_, count)| *count)
                .map(|(owner, _)| owner)
        } else {
            None
        };
        let Some(owner) = evicted else { return };
        if self
            .warned_at
            .is_none_or(|warned_at| now.duration_since(warned_at) >= WARNING_INTERVAL)
        {
            log::warn(&format!(
                "{owner} has too many connections without a request; the oldest are closed"
            ));
            self.warned_at = Some(now);
        }
        if let Some(index) = self
            .pending
            .iter()
            .position(|entry| entry.connection.owner == owner)
        {
            self.pending.remove(index);
        }
    }
}

impl ReadyConnection {
    /// Reads what has arrived, up to the end of one message.
    fn read_available(&mut self) -> Progress {
        let mut chunk = [0; CHUNK];
        loop {
            match self.stream.read_now(&mut chunk) {
                Ok(read @ 1..) => self
                    .opening
                    .extend_from_slice(chunk.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Incomplete,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => return Progress::Broken,
            }
            match holds_message(&self.opening) {
                Ok(true) => return Progress::Complete,
                Ok(false) => {}
                Err(_) => return Progress::Broken,
            }
        }
    }
}

#[cfg(test)]
mod tests;
