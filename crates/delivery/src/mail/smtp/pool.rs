//! Connections that are kept open for the next mail.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::Connection;
use crate::error::{SendError, Step};

/// The connections to one server. Limits their number, and closes each one that has been idle for a while.
#[derive(Debug)]
pub(super) struct Pool {
    max_open: usize,
    idle_timeout: Duration,
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Idle connections with the time they became idle. The one used last is taken first, so that the others can be
    /// closed when little is sent.
    idle: Vec<(Connection, Instant)>,
    /// The number of connections, idle and in use.
    open: usize,
    has_sweeper: bool,
}

/// The right to one open connection, and the connection if there is one.
#[derive(Debug)]
pub(super) struct Slot {
    pool: Arc<Pool>,
    /// A connection stored here is returned to the pool on drop.
    pub(super) connection: Option<Connection>,
}

impl Pool {
    /// A pool of at most `max_open` connections, each of which may be idle for `idle_timeout`.
    pub(super) fn new(max_open: usize, idle_timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            max_open,
            idle_timeout,
            state: Mutex::default(),
            released: Condvar::new(),
        })
    }

    /// An idle connection, or the right to open a new one. Waits for it until `deadline`.
    pub(super) fn take(self: &Arc<Self>, deadline: Instant) -> Result<Slot, SendError> {
        // Closed after the lock is released, because sending QUIT may take a moment.
        let mut unusable = Vec::new();
        let mut has_waited = false;
        let mut state = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if has_waited && left.is_zero() {
                drop(state);
                // The connection that was released may be what woke this thread.
                self.released.notify_one();
                return Err(self.all_in_use());
            }
            while let Some((connection, since)) = state.idle.pop() {
                if since.elapsed() < self.idle_timeout && connection.is_usable() {
                    drop(state);
                    return Ok(Slot {
                        pool: Arc::clone(self),
                        connection: Some(connection),
                    });
                }
                state.open -= 1;
                unusable.push(connection);
            }
            if state.open < self.max_open {
                state.open += 1;
                drop(state);
                return Ok(Slot {
                    pool: Arc::clone(self),
                    connection: None,
                });
            }
            let waited = self
                .released
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
            has_waited = true;
        }
    }

    /// Not marked as timed out: that would make the dispatcher avoid a server that works.
    fn all_in_use(&self) -> SendError {
        let reason = format!(
            "all {} connections were in use until the deadline",
            self.max_open
        );
        SendError::new(Step::Connect, reason).hinted("raise 'connections' if the server allows it")
    }

    fn give_back(self: &Arc<Self>, connection: Option<Connection>) {
        let is_usable = connection.as_ref().is_some_and(Connection::is_usable);
        let (usable, broken) = if is_usable {
            (connection, None)
        } else {
            (None, connection)
        };
        let mut state = self.lock();
        match usable {
            Some(connection) => state.idle.push((connection, Instant::now())),
            None => state.open -= 1,
        }
        if !state.has_sweeper && !state.idle.is_empty() {
            let pool = Arc::downgrade(self);
            let idle_timeout = self.idle_timeout;
            let started = thread::Builder::new()
                .name("mail-idle".into())
                .spawn(move || sweep(&pool, idle_timeout));
            state.has_sweeper = started.is_ok();
        }
        drop(state);
        self.released.notify_one();
        drop(broken);
    }

    /// Closes the connections whose idle time is over. Returns the time until the next one's is; `None` if there is
    /// none.
    fn close_idle(&self) -> Option<Duration> {
        let mut state = self.lock();
        let (expired, idle): (Vec<_>, Vec<_>) = std::mem::take(&mut state.idle)
            .into_iter()
            .partition(|(_, since)| since.elapsed() >= self.idle_timeout);
        state.idle = idle;
        state.open -= expired.len();
        let next = state
            .idle
            .first()
            .map(|(_, since)| self.idle_timeout.saturating_sub(since.elapsed()));
        state.has_sweeper = next.is_some();
        drop(state);
        if !expired.is_empty() {
            self.released.notify_all();
        }
        drop(expired);
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is a single step, so a thread that panicked left it consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.give_back(self.connection.take());
    }
}

/// Closes idle connections until none is left or the pool is dropped.
fn sweep(pool: &Weak<Pool>, idle_timeout: Duration) {
    let mut next = Some(idle_timeout);
    while let Some(wait) = next {
        thread::sleep(wait);
        next = pool.upgrade().and_then(|pool| pool.close_idle());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;

    use zeroize::Zeroizing;

    use super::*;
    use crate::mail::kinds;
    use crate::mail::settings::SettingsReader;
    use crate::mail::smtp::Server;
    use crate::provider::ProviderConfig;

    const TIMEOUT: Duration = Duration::from_secs(10);

    /// A mail server that forwards every line it receives, and its settings.
    fn server() -> (Server, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let (lines, received) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.write_all(b"220 hello\r\n").unwrap();
                let lines = lines.clone();
                thread::spawn(move || {
                    for line in BufReader::new(stream.try_clone().unwrap())
                        .lines()
                        .map_while(Result::ok)
                    {
                        let _ = stream.write_all(b"250 ok\r\n");
                        let _ = lines.send(line);
                    }
                });
            }
        });
        let settings = [("host", "127.0.0.1"), ("port", &port), ("tls", "none")];
        let settings: BTreeMap<_, _> = settings
            .iter()
            .map(|(name, value)| ((*name).into(), Zeroizing::new((*value).into())))
            .collect();
        let configuration = ProviderConfig {
            name: "x".into(),
            kind: "smtp".into(),
            title: None,
            settings,
        };
        let from = "login@example.org".parse().unwrap();
        (
            SettingsReader::new(&kinds::smtp(), &configuration)
                .server(&from)
                .unwrap(),
            received,
        )
    }

    fn soon() -> Instant {
        Instant::now() + TIMEOUT
    }

    #[test]
    fn an_idle_connection_is_closed_with_quit() {
        let (server, received) = server();
        let pool = Pool::new(2, Duration::from_millis(50));
        let mut slot = pool.take(soon()).unwrap();
        slot.connection = Some(Connection::open(&server, soon()).unwrap());
        drop(slot);
        assert!(received.recv_timeout(TIMEOUT).unwrap().starts_with("EHLO "));
        assert_eq!(received.recv_timeout(TIMEOUT).unwrap(), "QUIT");
        let state = pool.lock();
        assert_eq!(
            (state.open, state.idle.len(), state.has_sweeper),
            (0, 0, false)
        );
    }

    #[test]
    fn the_connection_used_last_is_used_next_and_no_more_than_allowed_are_open() {
        let (server, _received) = server();
        let pool = Pool::new(2, TIMEOUT);
        let mut first = pool.take(soon()).unwrap();
        assert!(first.connection.is_none());
        first.connection = Some(Connection::open(&server, soon()).unwrap());
        let second = pool.take(soon()).unwrap();
        let exhausted = pool
            .take(Instant::now() + Duration::from_millis(20))
            .unwrap_err();
        assert!(
            !exhausted.timed_out && exhausted.reason.contains("all 2 connections"),
            "{exhausted}"
        );
        // A slot without a connection is released as well.
        drop(second);
        drop(first);
        assert!(pool.take(soon()).unwrap().connection.is_some());
        assert_eq!(pool.lock().open, 1);
    }

    #[test]
    fn a_released_connection_goes_to_the_one_who_waits() {
        let pool = Pool::new(1, TIMEOUT);
        let slot = pool.take(soon()).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.take(soon()));
            drop(slot);
            waiting.join().unwrap().unwrap();
        });
    }
}
