//! Name lookup within a deadline.
//!
//! The C library's resolver cannot be interrupted. It is therefore called in a thread of its own, which is abandoned if
//! it hangs. All callers that look up the same name at the same time share one answer, whichever provider they belong
//! to. A name whose lookup hangs is looked up again after a while, but occupies no more than a few threads and does not
//! delay the lookup of other names.

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

/// The maximum number of threads that look up one name.
const MAX_THREADS: usize = 4;
/// After this time without an answer, the next caller starts another lookup of the name.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The system's resolver: /etc/hosts, DNS, or whatever else nsswitch.conf configures.
static SYSTEM: LazyLock<Arc<SharedResolver>> = LazyLock::new(|| {
    // The port is filled in when the connection is made.
    SharedResolver::new(RETRY_AFTER, |host| {
        (host, 0).to_socket_addrs().map(Iterator::collect)
    })
});

/// The addresses of `host`. Returns by `deadline`, then with [`ErrorKind::TimedOut`].
pub(crate) fn look_up(host: &str, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let addresses = SYSTEM.look_up(host).wait(deadline)?;
    Ok(addresses
        .into_iter()
        .map(|address| SocketAddr::new(address.ip(), port))
        .collect())
}

/// Whether a lookup of `host` is running, so that a timeout may have happened before its address was known.
pub(crate) fn is_pending(host: &str) -> bool {
    SYSTEM.lock().get(host).is_some_and(|name| name.running > 0)
}

/// Whether a lookup of `host` has ever succeeded in this process.
pub(crate) fn has_succeeded(host: &str) -> bool {
    SYSTEM
        .lock()
        .get(host)
        .is_some_and(|name| name.has_succeeded)
}

/// The resolver for HTTP clients, which drop a lookup that they no longer wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpResolver;

impl Resolve for HttpResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = SYSTEM.look_up(name.as_str());
        Box::pin(async move { Ok(Box::new(lookup.await?.into_iter()) as Addrs) })
    }
}

type LookUp = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Looks up names in threads and shares the answers.
struct SharedResolver {
    /// An entry for each name that was ever looked up: as many as the providers have servers.
    names: Mutex<HashMap<String, NameState>>,
    retry_after: Duration,
    look_up: Box<LookUp>,
}

/// The lookups of one name.
#[derive(Default)]
struct NameState {
    /// The number of threads that are looking it up.
    running: usize,
    /// When the last of them started.
    started_at: Option<Instant>,
    /// The number of answers so far.
    answers: u64,
    /// The last answer.
    last: Option<Result<Vec<SocketAddr>, LookupError>>,
    has_succeeded: bool,
    /// The callers that wait for the next answer, by ID.
    waiting: HashMap<u64, Waker>,
    next_id: u64,
}

/// An error that several callers can receive.
#[derive(Clone)]
struct LookupError(ErrorKind, String);

/// A future of the next answer for a name.
struct Lookup {
    resolver: Arc<SharedResolver>,
    host: String,
    /// The number of answers when the lookup was requested.
    answers_before: u64,
    /// The ID of the caller that waits.
    id: u64,
    not_started: Option<io::Error>,
}

impl SharedResolver {
    fn new(
        retry_after: Duration,
        look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            names: Mutex::default(),
            retry_after,
            look_up: Box::new(look_up),
        })
    }

    /// The next answer for `host`. Starts a lookup unless one is running.
    fn look_up(self: &Arc<Self>, host: &str) -> Lookup {
        let mut names = self.lock();
        let name = names.entry(host.to_owned()).or_default();
        let (answers_before, id) = (name.answers, name.next_id);
        name.next_id += 1;
        let is_slow = name
            .started_at
            .is_none_or(|started_at| started_at.elapsed() >= self.retry_after);
        let mut not_started = None;
        if name.running == 0 || (is_slow && name.running < MAX_THREADS) {
            let job = LookupJob {
                resolver: Arc::clone(self),
                host: host.to_owned(),
                answer: None,
            };
            match thread::Builder::new()
                .name("look-up".to_owned())
                .spawn(move || job.run())
            {
                Ok(_) => {
                    name.running += 1;
                    name.started_at = Some(Instant::now());
                }
                Err(error) => not_started = Some(error).filter(|_| name.running == 0),
            }
        }
        drop(names);
        Lookup {
            resolver: Arc::clone(self),
            host: host.to_owned(),
            answers_before,
            id,
            not_started,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, NameState>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SharedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedResolver").finish_non_exhaustive()
    }
}

/// The work of one thread. Delivers an answer on drop, also after a panic.
struct LookupJob {
    resolver: Arc<SharedResolver>,
    host: String,
    answer: Option<io::Result<Vec<SocketAddr>>>,
}

impl LookupJob {
    fn run(mut self) {
        self.answer = Some((self.resolver.look_up)(&self.host));
    }
}

impl Drop for LookupJob {
    fn drop(&mut self) {
        let Some(answer) = self
            .answer
            .take()
            .or_else(|| thread::panicking().then(aborted))
        else {
            // The thread was never started.
            return;
        };
        let mut names = self.resolver.lock();
        let name = names.entry(self.host.clone()).or_default();
        name.running -= 1;
        name.answers += 1;
        name.has_succeeded |= answer.is_ok();
        name.last = Some(answer.map_err(|error| LookupError(error.kind(), error.to_string())));
        let waiting = std::mem::take(&mut name.waiting);
        drop(names);
        waiting.into_values().for_each(Waker::wake);
    }
}

fn aborted() -> io::Result<Vec<SocketAddr>> {
    Err(io::Error::other("the lookup was aborted"))
}

impl Lookup {
    /// Waits for the answer until `deadline`.
    fn wait(self, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut lookup = pin!(self);
        loop {
            if let Poll::Ready(answer) = lookup.as_mut().poll(&mut context) {
                return answer;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            thread::park_timeout(left);
        }
    }
}

impl Future for Lookup {
    type Output = io::Result<Vec<SocketAddr>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(error) = self.not_started.take() {
            return Poll::Ready(Err(error));
        }
        let mut names = self.resolver.lock();
        let Some(name) = names.get_mut(&self.host) else {
            return Poll::Ready(aborted());
        };
        match &name.last {
            Some(last) if name.answers > self.answers_before => Poll::Ready(
                last.clone()
                    .map_err(|LookupError(kind, text)| io::Error::new(kind, text)),
            ),
            _ => {
                name.waiting.insert(self.id, context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        if let Some(name) = self.resolver.lock().get_mut(&self.host) {
            name.waiting.remove(&self.id);
        }
    }
}

/// Wakes the thread that waits for an answer.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests;
