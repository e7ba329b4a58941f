//! Looking up a server's name, held to a deadline.
//!
//! The C library's resolver cannot be interrupted, so it is asked in a thread of its own, and one that hangs is left
//! alone. All who want the same name at the same time wait for one answer, whichever provider they are of. A name that
//! hangs is asked for again after a while, but keeps no more than a few threads, and holds up nobody who wants another
//! name.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Threads that ask for one name at a time.
const MOST: usize = 4;
/// Somebody who wants a name that has been asked for so long without an answer asks again.
const AGAIN: Duration = Duration::from_secs(2);

/// The system's resolver: /etc/hosts, DNS, or what else is set up.
static SYSTEM: LazyLock<Arc<Names>> = LazyLock::new(|| {
    // The port is put in by the one who connects.
    Names::new(AGAIN, |host| {
        (host, 0).to_socket_addrs().map(Iterator::collect)
    })
});

/// The addresses of `host`, by `deadline`; past it, [`ErrorKind::TimedOut`].
pub(crate) fn look_up(host: &str, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = SYSTEM.find(host).wait(deadline)?;
    Ok(found
        .into_iter()
        .map(|address| SocketAddr::new(address.ip(), port))
        .collect())
}

/// Whether `host` is being looked up, so that what ran out of time may never have had an address.
pub(crate) fn is_pending(host: &str) -> bool {
    SYSTEM.lock().get(host).is_some_and(|name| name.running > 0)
}

/// Whether `host` has ever had an address here.
pub(crate) fn has_found(host: &str) -> bool {
    SYSTEM.lock().get(host).is_some_and(|name| name.was_found)
}

/// The same for an HTTP client, which drops what it no longer waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let answer = SYSTEM.find(name.as_str());
        Box::pin(async move { Ok(Box::new(answer.await?.into_iter()) as Addrs) })
    }
}

type Ask = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Names that were looked up. There are as many as providers have servers.
struct Names {
    entries: Mutex<HashMap<String, Entry>>,
    again: Duration,
    ask: Box<Ask>,
}

/// How it stands with one name.
#[derive(Default)]
struct Entry {
    /// Threads that ask for it.
    running: usize,
    /// When the last of them began.
    asked: Option<Instant>,
    /// Answers so far, and the last of them.
    answers: u64,
    last: Option<Result<Vec<SocketAddr>, Failure>>,
    was_found: bool,
    /// Who waits for the next answer, by a number of their own.
    waiting: HashMap<u64, Waker>,
    next_number: u64,
}

/// An error that many can have.
#[derive(Clone)]
struct Failure(ErrorKind, String);

/// The next answer for a name.
struct Answer {
    names: Arc<Names>,
    host: String,
    /// Answers there had been when it was asked for.
    before: u64,
    /// Of the one who waits.
    number: u64,
    not_asked: Option<io::Error>,
}

impl Names {
    fn new(
        again: Duration,
        ask: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            entries: Mutex::default(),
            again,
            ask: Box::new(ask),
        })
    }

    /// The next answer for `host`, which is asked for unless it has just been.
    fn find(self: &Arc<Self>, host: &str) -> Answer {
        let mut names = self.lock();
        let entry = names.entry(host.to_owned()).or_default();
        let (before, number) = (entry.answers, entry.next_number);
        entry.next_number += 1;
        let is_slow = entry
            .asked
            .is_none_or(|asked| asked.elapsed() >= self.again);
        let mut not_asked = None;
        if entry.running == 0 || (is_slow && entry.running < MOST) {
            let asking = Asking {
                names: Arc::clone(self),
                host: host.to_owned(),
                found: None,
            };
            match thread::Builder::new()
                .name("look-up".to_owned())
                .spawn(move || asking.run())
            {
                Ok(_) => {
                    entry.running += 1;
                    entry.asked = Some(Instant::now());
                }
                Err(error) => not_asked = Some(error).filter(|_| entry.running == 0),
            }
        }
        drop(names);
        Answer {
            names: Arc::clone(self),
            host: host.to_owned(),
            before,
            number,
            not_asked,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

/// What a thread does. However it ends, those who wait hear of it.
struct Asking {
    names: Arc<Names>,
    host: String,
    found: Option<io::Result<Vec<SocketAddr>>>,
}

impl Asking {
    fn run(mut self) {
        self.found = Some((self.names.ask)(&self.host));
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let Some(found) = self
            .found
            .take()
            .or_else(|| thread::panicking().then(broken_off))
        else {
            // The thread was never started.
            return;
        };
        let mut names = self.names.lock();
        let entry = names.entry(self.host.clone()).or_default();
        entry.running -= 1;
        entry.answers += 1;
        entry.was_found |= found.is_ok();
        entry.last = Some(found.map_err(|error| Failure(error.kind(), error.to_string())));
        let waiting = std::mem::take(&mut entry.waiting);
        drop(names);
        waiting.into_values().for_each(Waker::wake);
    }
}

fn broken_off() -> io::Result<Vec<SocketAddr>> {
    Err(io::Error::other("the look-up broke off"))
}

impl Answer {
    /// Waits for it until `deadline`.
    fn wait(self, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut answer = pin!(self);
        loop {
            if let Poll::Ready(found) = answer.as_mut().poll(&mut context) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            thread::park_timeout(left);
        }
    }
}

impl Future for Answer {
    type Output = io::Result<Vec<SocketAddr>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(error) = self.not_asked.take() {
            return Poll::Ready(Err(error));
        }
        let mut names = self.names.lock();
        let Some(entry) = names.get_mut(&self.host) else {
            return Poll::Ready(broken_off());
        };
        match &entry.last {
            Some(last) if entry.answers > self.before => Poll::Ready(
                last.clone()
                    .map_err(|Failure(kind, words)| io::Error::new(kind, words)),
            ),
            _ => {
                entry.waiting.insert(self.number, context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(entry) = self.names.lock().get_mut(&self.host) {
            entry.waiting.remove(&self.number);
        }
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn here() -> Vec<SocketAddr> {
        vec![SocketAddr::from(([127, 0, 0, 1], 0))]
    }

    /// Names of which `hang` is answered when the sender is dropped, and a count of who asked for it.
    fn with_one_that_hangs(again: Duration) -> (Arc<Names>, mpsc::Sender<()>, Arc<AtomicUsize>) {
        let (release, held) = mpsc::channel::<()>();
        let held = Mutex::new(Some(held));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let names = Names::new(again, move |host| {
            if host == "hang" {
                count.fetch_add(1, Ordering::SeqCst);
                let first = held.lock().unwrap().take();
                match first {
                    Some(held) => drop(held.recv()),
                    None => thread::sleep(SOON),
                }
            }
            Ok(here())
        });
        (names, release, asked)
    }

    #[test]
    fn many_who_want_a_name_at_once_have_one_answer() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let names = Names::new(AGAIN, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(200));
            Ok(here())
        });
        let answers: Vec<_> = (0..64).map(|_| names.find("mail.example.org")).collect();
        thread::scope(|scope| {
            for answer in answers {
                scope.spawn(|| assert_eq!(answer.wait(Instant::now() + SOON).unwrap(), here()));
            }
        });
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        // What was found is not kept: the next one asks anew.
        names
            .find("mail.example.org")
            .wait(Instant::now() + SOON)
            .unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_name_that_hangs_takes_few_threads_and_holds_up_no_other() {
        let (names, _release, asked) = with_one_that_hangs(Duration::ZERO);
        let deadline = Instant::now() + Duration::from_millis(300);
        thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| {
                    let late = names.find("hang").wait(deadline).unwrap_err();
                    assert_eq!(late.kind(), ErrorKind::TimedOut);
                });
            }
            assert_eq!(
                names.find("mail.example.org").wait(deadline).unwrap(),
                here()
            );
        });
        assert!(
            deadline.elapsed() < Duration::from_secs(5),
            "{:?}",
            deadline.elapsed()
        );
        assert_eq!(asked.load(Ordering::SeqCst), MOST);
        assert!(names.lock().values().all(|entry| entry.waiting.is_empty()));
    }

    #[test]
    fn who_waits_has_whatever_answer_comes_first() {
        let (names, release, asked) = with_one_that_hangs(Duration::ZERO);
        let first = names.find("hang");
        while asked.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        let second = names.find("hang");
        drop(release);
        assert_eq!(first.wait(Instant::now() + SOON).unwrap(), here());
        assert_eq!(second.wait(Instant::now() + SOON).unwrap(), here());
    }

    #[test]
    fn a_failure_is_told_to_all_and_a_panic_leaves_nobody_waiting() {
        let names = Names::new(AGAIN, |host| {
            assert_ne!(host, "panic", "as the test wants it");
            Err(io::Error::new(ErrorKind::NotFound, "no such name"))
        });
        for (host, words) in [("nobody", "no such name"), ("panic", "broke off")] {
            for _ in 0..2 {
                let (one, other) = (names.find(host), names.find(host));
                for answer in [one, other] {
                    let error = answer.wait(Instant::now() + SOON).unwrap_err();
                    assert!(error.to_string().contains(words), "{error}");
                }
            }
        }
    }

    #[test]
    fn an_address_is_its_own_answer() {
        let past = Instant::now();
        let found = look_up("192.0.2.1", 25, past).unwrap();
        assert_eq!(found, [SocketAddr::from(([192, 0, 2, 1], 25))]);
        let found = look_up("localhost", 25, Instant::now() + SOON).unwrap();
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 25),
            "{found:?}"
        );
        assert!(
            has_found("localhost") && !has_found("nobody.invalid") && !is_pending("nobody.invalid")
        );
    }
}
