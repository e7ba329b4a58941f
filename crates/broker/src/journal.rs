//! Keeps the audit log verifiable: checkpoints are written when they are due, each is anchored in the system log, and events
//! older than `log.keep` are deleted.
//!
//! The daemon does this once a minute and after many events. A broker that serves one login has another process do it, and
//! root's command line does it at its end.

use nix::unistd::geteuid;
use twofa_core::Timestamp;
use twofa_store::journal::Written;
use twofa_store::{Origin, Store, StoreError};

use crate::process::log;

/// Where anchors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchored {
    /// To the system log, or standard error where there is none.
    AsLines,
    /// To the system log alone: standard error is somebody's terminal.
    Quietly,
}

/// Does what is due at `now`.
pub(crate) fn keep_up(store: &Store, now: Timestamp, to: Anchored) -> Result<(), StoreError> {
    while let Some(written) = store.write_checkpoint(now)? {
        write(&written, to);
    }
    prune(store, now)
}

/// Does what is due at `now`, and also seals events that are less than a minute old.
pub(crate) fn catch_up(store: &Store, now: Timestamp, to: Anchored) -> Result<(), StoreError> {
    while let Some(written) = store.write_last_checkpoint(now)? {
        write(&written, to);
    }
    prune(store, now)
}

fn prune(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let origin = Origin::command_line(geteuid().as_raw());
    store.prune_log(&origin, now).map(drop)
}

fn write(written: &Written, to: Anchored) {
    if let Some(error) = &written.trouble {
        log::warn(&error.to_string());
    }
    match to {
        Anchored::AsLines => log::anchor(&written.anchor),
        Anchored::Quietly => log::anchor_of_command(&written.anchor),
    }
}
