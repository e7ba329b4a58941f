//! Connections on which nothing is being done: at a prompt, or between two logins. They cost a descriptor and their TLS state,
//! and no thread. When something arrives on one, it goes to the [`WorkQueue`].

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::connection::HostConnection;
use super::work::{Job, Task, WorkQueue};
use crate::process::log;

/// How often connections are looked for that have waited for too long, in milliseconds.
const INTERVAL: u16 = 1_000;
/// Connections whose events are fetched at once.
const MOST_EVENTS: usize = 256;
/// How long nothing is fetched where the kernel has failed to.
const RECOVERY_PAUSE: Duration = Duration::from_millis(100);

/// The connections that wait.
#[derive(Debug)]
pub(super) struct Waiting {
    epoll: Epoll,
    connections: Mutex<HashMap<u64, WaitingConnection>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct WaitingConnection {
    connection: HostConnection,
    until: Instant,
}

impl Waiting {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            connections: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Lets `connection` wait for the next message of its host, as long as that may take.
    pub(super) fn add(&self, connection: HostConnection) -> io::Result<()> {
        let until = Instant::now() + connection.timeout();
        self.add_until(connection, until)
    }

    fn add_until(&self, connection: HostConnection, until: Instant) -> io::Result<()> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // It is found as soon as the kernel tells of it.
        let mut connections = self.lock();
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLONESHOT;
        self.epoll
            .add(connection.socket(), EpollEvent::new(flags, id))?;
        connections.insert(id, WaitingConnection { connection, until });
        Ok(())
    }

    fn take(&self, id: u64) -> Option<WaitingConnection> {
        let waiting = self.lock().remove(&id)?;
        // Closing it would do that as well.
        let _ = self.epoll.delete(waiting.connection.socket());
        Some(waiting)
    }

    /// Passes connections on which something has arrived to `queue`, without end.
    pub(super) fn watch(&self, queue: &WorkQueue) {
        let mut events = [EpollEvent::empty(); MOST_EVENTS];
        let mut looked_at = Instant::now();
        loop {
            let found = match self.epoll.wait(&mut events, EpollTimeout::from(INTERVAL)) {
                Ok(found) => found,
                Err(nix::Error::EINTR) => 0,
                Err(error) => {
                    log::warn(&format!("cannot wait for hosts: {error}"));
                    std::thread::sleep(RECOVERY_PAUSE);
                    0
                }
            };
            for event in events.iter().take(found) {
                if let Some(waiting) = self.take(event.data()) {
                    self.pass_on(waiting, queue);
                }
            }
            let now = Instant::now();
            if now.saturating_duration_since(looked_at).as_millis() >= INTERVAL.into() {
                looked_at = now;
                self.time_out(now, queue);
            }
        }
    }

    fn pass_on(&self, waiting: WaitingConnection, queue: &WorkQueue) {
        let WaitingConnection {
            mut connection,
            until,
        } = waiting;
        match connection.has_arrived() {
            Ok(true) => queue.push(Job::new(connection, Task::Message)),
            // Half of a record. Nothing is held for the other half.
            Ok(false) => {
                // Without descriptors or memory, the connection is closed.
                let _ = self.add_until(connection, until);
            }
            // It has ended.
            Err(_) => {}
        }
    }

    fn time_out(&self, now: Instant, queue: &WorkQueue) {
        let is_over = |(id, it): (&u64, &WaitingConnection)| (it.until <= now).then_some(*id);
        let over: Vec<_> = self.lock().iter().filter_map(is_over).collect();
        for id in over {
            if let Some(WaitingConnection { connection, .. }) = self.take(id)
                && connection.is_waited_on()
            {
                queue.push(Job::new(connection, Task::TimeOut));
            }
        }
    }

    /// Whether there is a connection on which a host waits for what it is to do.
    pub(super) fn is_any_watching(&self) -> bool {
        let connections = self.lock();
        connections
            .values()
            .any(|it| it.connection.watcher.is_some())
    }

    /// Takes the connections that `is_wanted` says. A message that arrives meanwhile is found when they wait again.
    pub(super) fn take_if(
        &self,
        is_wanted: impl Fn(&HostConnection) -> bool,
    ) -> Vec<HostConnection> {
        let is_one =
            |(id, it): (&u64, &WaitingConnection)| is_wanted(&it.connection).then_some(*id);
        let wanted: Vec<_> = self.lock().iter().filter_map(is_one).collect();
        let taken = wanted.into_iter().filter_map(|id| self.take(id));
        taken.map(|it| it.connection).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, WaitingConnection>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
