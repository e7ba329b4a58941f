//! Looking up a server's name, in a thread of its own.
//!
//! The C library's resolver cannot be stopped. The thread it hangs in is left alone: neither a deadline nor the end of
//! a client waits for it.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The system's resolver.
#[derive(Debug, Clone, Default)]
pub(super) struct Lookup {
    /// How many lookups are under way.
    pending: Arc<AtomicUsize>,
    /// Whether one has ever come to something.
    found: Arc<AtomicBool>,
}

/// What came out of a lookup, once it has, and who waits for it.
#[derive(Default)]
struct Outcome {
    found: Option<io::Result<Vec<SocketAddr>>>,
    waits: Option<Waker>,
}

/// A lookup that is waited for.
struct Pending(Arc<Mutex<Outcome>>);

impl Lookup {
    /// Whether a lookup is under way, so that a request that ran out of time may never have had an address.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst) > 0
    }

    /// Whether there has ever been an address to connect to.
    pub(super) fn has_found(&self) -> bool {
        self.found.load(Ordering::SeqCst)
    }

    fn start(&self, host: String) -> Pending {
        let outcome = Arc::new(Mutex::new(Outcome::default()));
        let (pending, done) = (Arc::clone(&self.pending), Arc::clone(&outcome));
        pending.fetch_add(1, Ordering::SeqCst);
        let started = thread::Builder::new().name("lookup".to_owned()).spawn({
            let pending = Arc::clone(&pending);
            let has_found = Arc::clone(&self.found);
            move || {
                // The port is put in by the one who connects.
                let found = (host.as_str(), 0).to_socket_addrs().map(Iterator::collect);
                has_found.fetch_or(found.is_ok(), Ordering::SeqCst);
                pending.fetch_sub(1, Ordering::SeqCst);
                let mut outcome = done.lock().unwrap_or_else(PoisonError::into_inner);
                outcome.found = Some(found);
                if let Some(waker) = outcome.waits.take() {
                    waker.wake();
                }
            }
        });
        if let Err(error) = started {
            pending.fetch_sub(1, Ordering::SeqCst);
            outcome.lock().unwrap_or_else(PoisonError::into_inner).found = Some(Err(error));
        }
        Pending(outcome)
    }
}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = self.start(name.as_str().to_owned());
        Box::pin(async move {
            let found = lookup.await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl Future for Pending {
    type Output = io::Result<Vec<SocketAddr>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut outcome = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = outcome.found.take() else {
            outcome.waits = Some(context.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(found)
    }
}
