//! Connections that wait for the next mail.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::Connection;
use crate::error::{SendError, Step};

/// Connections to one server: so many at most, and each closed when nobody has used it for a while.
#[derive(Debug)]
pub(super) struct Pool {
    most: usize,
    patience: Duration,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Those that wait; the one used last stands last and is taken first, so that few are kept when little is sent.
    idle: Vec<(Connection, Instant)>,
    /// Those that wait and those in use.
    open: usize,
    is_swept: bool,
}

/// The right to have one connection open, and the connection if there is one.
#[derive(Debug)]
pub(super) struct Slot {
    pool: Arc<Pool>,
    /// Put here, a connection goes back to the others afterwards.
    pub(super) connection: Option<Connection>,
}

impl Pool {
    /// Holds `most` connections, unused ones for `patience`.
    pub(super) fn new(most: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            most,
            patience,
            state: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// A connection that waits, or room for a new one; by `deadline`.
    pub(super) fn take(self: &Arc<Self>, deadline: Instant) -> Result<Slot, SendError> {
        // Those are closed when the lock is open again: each goodbye may take a moment.
        let mut unfit = Vec::new();
        let mut state = self.lock();
        loop {
            while let Some((connection, since)) = state.idle.pop() {
                if since.elapsed() < self.patience && connection.is_well() {
                    drop(state);
                    return Ok(Slot {
                        pool: Arc::clone(self),
                        connection: Some(connection),
                    });
                }
                state.open -= 1;
                unfit.push(connection);
            }
            if state.open < self.most {
                state.open += 1;
                drop(state);
                return Ok(Slot {
                    pool: Arc::clone(self),
                    connection: None,
                });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Not a late server's fault, which would be asked last from then on.
                let reason = format!(
                    "too much is sent at once: all {} connections are in use",
                    self.most
                );
                drop(state);
                return Err(SendError::at(Step::Connect, reason)
                    .hinted("set 'connections' higher, if the server allows it"));
            }
            let waited = self
                .freed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
        }
    }

    fn give_back(self: &Arc<Self>, connection: Option<Connection>) {
        let is_well = connection.as_ref().is_some_and(Connection::is_well);
        let (well, broken) = if is_well {
            (connection, None)
        } else {
            (None, connection)
        };
        let mut state = self.lock();
        match well {
            Some(connection) => state.idle.push((connection, Instant::now())),
            None => state.open -= 1,
        }
        if !state.is_swept && !state.idle.is_empty() {
            let pool = Arc::downgrade(self);
            let patience = self.patience;
            let started = thread::Builder::new()
                .name("mail-idle".into())
                .spawn(move || sweep(&pool, patience));
            state.is_swept = started.is_ok();
        }
        drop(state);
        self.freed.notify_one();
        drop(broken);
    }

    /// Closes those that have waited long enough; when the next one will have, if there is one.
    fn close_unused(&self) -> Option<Duration> {
        let mut state = self.lock();
        let (unused, idle): (Vec<_>, Vec<_>) = std::mem::take(&mut state.idle)
            .into_iter()
            .partition(|(_, since)| since.elapsed() >= self.patience);
        state.idle = idle;
        state.open -= unused.len();
        let next = state
            .idle
            .first()
            .map(|(_, since)| self.patience.saturating_sub(since.elapsed()));
        state.is_swept = next.is_some();
        drop(state);
        if !unused.is_empty() {
            self.freed.notify_all();
        }
        drop(unused);
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is counted here is counted in single steps: a thread that died has left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.give_back(self.connection.take());
    }
}

/// Closes unused connections until there is none left, or the pool is gone.
fn sweep(pool: &Weak<Pool>, patience: Duration) {
    let mut next = Some(patience);
    while let Some(wait) = next {
        thread::sleep(wait);
        next = pool.upgrade().and_then(|pool| pool.close_unused());
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
    use crate::mail::settings::{self, Server, Settings};
    use crate::provider::Configuration;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A mail server that tells what it hears, and settings for it.
    fn server() -> (Server, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let (tell, hear) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.write_all(b"220 hello\r\n").unwrap();
                let tell = tell.clone();
                thread::spawn(move || {
                    for line in BufReader::new(stream.try_clone().unwrap())
                        .lines()
                        .map_while(Result::ok)
                    {
                        let _ = stream.write_all(b"250 ok\r\n");
                        let _ = tell.send(line);
                    }
                });
            }
        });
        let settings = [("host", "127.0.0.1"), ("port", &port), ("tls", "none")];
        let settings: BTreeMap<_, _> = settings
            .iter()
            .map(|(name, value)| ((*name).into(), Zeroizing::new((*value).into())))
            .collect();
        let configuration = Configuration {
            name: "x".into(),
            kind: "smtp".into(),
            title: None,
            settings,
        };
        let from = "login@example.org".parse().unwrap();
        (
            Settings::new(&settings::smtp(), &configuration)
                .server(&from)
                .unwrap(),
            hear,
        )
    }

    fn soon() -> Instant {
        Instant::now() + PATIENCE
    }

    #[test]
    fn a_connection_that_nobody_uses_is_closed_with_a_goodbye() {
        let (server, heard) = server();
        let pool = Pool::new(2, Duration::from_millis(50));
        let mut slot = pool.take(soon()).unwrap();
        slot.connection = Some(Connection::open(&server, soon()).unwrap());
        drop(slot);
        assert!(heard.recv_timeout(PATIENCE).unwrap().starts_with("EHLO "));
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "QUIT");
        let state = pool.lock();
        assert_eq!(
            (state.open, state.idle.len(), state.is_swept),
            (0, 0, false)
        );
    }

    #[test]
    fn what_was_used_last_is_used_next_and_no_more_than_allowed_are_open() {
        let (server, _heard) = server();
        let pool = Pool::new(2, PATIENCE);
        let mut first = pool.take(soon()).unwrap();
        assert!(first.connection.is_none());
        first.connection = Some(Connection::open(&server, soon()).unwrap());
        let second = pool.take(soon()).unwrap();
        let crowded = pool
            .take(Instant::now() + Duration::from_millis(20))
            .unwrap_err();
        assert!(
            !crowded.timed_out && crowded.reason.contains("all 2 connections"),
            "{crowded}"
        );
        // One that came to nothing makes room as well.
        drop(second);
        drop(first);
        assert!(pool.take(soon()).unwrap().connection.is_some());
        assert_eq!(pool.lock().open, 1);
    }

    #[test]
    fn who_waits_gets_what_another_gives_back() {
        let pool = Pool::new(1, PATIENCE);
        let slot = pool.take(soon()).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.take(soon()));
            drop(slot);
            waiting.join().unwrap().unwrap();
        });
    }
}
