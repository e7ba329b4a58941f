//! `SIGCHLD` while a child of ours starts or ends.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{SigAction, SigHandler, Signal, raise};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::sys;

/// `SIGCHLD` has its default effect as long as this lives: where the application ignores it the kernel
/// would reap our child before us, and the application's handler would reap it instead of us.
///
/// The disposition is the whole process's, so it is held for as short a time as possible: while a child starts, and while
/// one ends. The first holder saves the application's disposition and the last restores it. If a child of the application
/// exited meanwhile, what the application would have done is done then: its handler is called, or the child is reaped.
pub struct DefaultSigchld(());

struct Saved {
    holders: usize,
    before: Option<SigAction>,
}

static SAVED: Mutex<Saved> = Mutex::new(Saved {
    holders: 0,
    before: None,
});

impl DefaultSigchld {
    /// Holds the default until it is dropped.
    pub fn hold() -> io::Result<Self> {
        let mut saved = saved();
        if saved.holders == 0 {
            saved.before = Some(sys::default_sigchld()?);
        }
        saved.holders += 1;
        Ok(Self(()))
    }
}

impl Drop for DefaultSigchld {
    fn drop(&mut self) {
        let mut saved = saved();
        saved.holders -= 1;
        if saved.holders == 0
            && let Some(before) = saved.before.take()
        {
            sys::restore_sigchld(&before);
            match before.handler() {
                SigHandler::SigDfl => {}
                SigHandler::SigIgn => reap_all(),
                _ if has_unreaped_child() => drop(raise(Signal::SIGCHLD)),
                _ => {}
            }
        }
    }
}

fn saved() -> MutexGuard<'static, Saved> {
    SAVED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reaps all children of this process that have exited, as the kernel does where `SIGCHLD` is ignored.
fn reap_all() {
    while matches!(
        waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG),
        Ok(Some(_))
    ) {}
}

/// Whether a child of this process has exited and has not been reaped.
pub fn has_unreaped_child() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Ok(Some(_)))
}
