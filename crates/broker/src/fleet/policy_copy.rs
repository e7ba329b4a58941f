//! A host's copy of the rules of its fleet: a file with the text that a server has signed, beside the store.
//!
//! The store has the rules themselves, under which the host's own accounts log in, and the version below which it takes none.
//! The file proves that they are a server's. Where file and store differ, no shared account gets in.
//!
//! The file's time of change is when a server last said that its version is the one in force.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;
use twofa_core::fleet_policy::BadFleetPolicy;
use twofa_core::{FleetPolicy, Timestamp};
use twofa_fleet::identity::Id;
use twofa_fleet::signed::{self, BadSignature};
use twofa_store::{KnownFleetPolicy, Location, Origin, Store, StoreError};

use super::files::{Readers, write};

/// The longest text that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// The copy, or what a server has sent, is not the rules of this host's fleet.
#[derive(Debug, thiserror::Error)]
pub enum BadCopy {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// No server has signed it as it is.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// It was signed, and does not read.
    #[error(transparent)]
    Text(#[from] BadFleetPolicy),
    /// It is of another fleet.
    #[error("it is of another fleet")]
    OtherFleet,
    /// It is older than one that this host has had.
    #[error("it is version {version}, and this host has had version {seen}")]
    Old {
        /// Its version.
        version: i64,
        /// The greatest that was seen.
        seen: i64,
    },
    /// It is not what the store has under the same version.
    #[error("the store has other rules under its version")]
    Different,
    /// The store could not be read or changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whose signature counts.
#[derive(Debug, Clone)]
pub struct Signers {
    /// The authority for the servers of the fleet, as PEM.
    pub authority: String,
    /// The fleet.
    pub fleet: Id,
}

/// Where the copy is on this machine.
pub fn default_path() -> std::path::PathBuf {
    Location::default().database.with_file_name("fleet-policy")
}

/// Checks that the copy at `path` is what the store has as `known`.
pub fn check(path: &Path, signers: &Signers, known: &KnownFleetPolicy) -> Result<(), BadCopy> {
    let text = read(path)?;
    // It was valid when it came. A certificate that has ended since then makes no rules wrong.
    let policy = parse(&text, signers, known.since)?;
    check_version(&policy, known)?;
    if policy.version == known.version && policy.write() != known.text {
        return Err(BadCopy::Different);
    }
    Ok(())
}

/// The rules in `signed`, if a server of the fleet has signed them, with a certificate that is valid at `at`.
pub fn parse(signed: &str, signers: &Signers, at: Timestamp) -> Result<FleetPolicy, BadCopy> {
    let text = signed::verify(signed, &signers.authority, &signers.fleet, at)?;
    let policy = FleetPolicy::read(text)?;
    if policy.fleet == signers.fleet.as_str() {
        Ok(policy)
    } else {
        Err(BadCopy::OtherFleet)
    }
}

/// Puts the rules in `signed`, which a server has sent, in force and writes them to `path`. Says whether they were not yet.
pub fn adopt(
    path: &Path,
    signers: &Signers,
    store: &Store,
    signed: &str,
    now: Timestamp,
) -> Result<bool, BadCopy> {
    let policy = parse(signed, signers, now)?;
    if let Some(known) = &store.rules_in_force()?.fleet_policy {
        check_version(&policy, known)?;
    }
    // If this process ends in between, the file is newer than the store, which is no harm.
    save(path, signed)?;
    let origin = Origin::command_line(nix::unistd::geteuid().as_raw());
    Ok(store.adopt_fleet_policy(&policy, &origin, now)?)
}

/// Writes the copy, which only the service reads.
pub fn save(path: &Path, signed: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    write(directory, path, signed, Readers::Root)
}

/// Notes that a server has confirmed the copy at `now`.
pub fn confirm(path: &Path, now: Timestamp) -> io::Result<()> {
    let seconds = u64::try_from(now.unix()).unwrap_or_default();
    let time = UNIX_EPOCH + Duration::from_secs(seconds);
    OpenOptions::new()
        .append(true)
        .open(path)?
        .set_modified(time)
}

/// When a server last confirmed the copy; `None`: there is none.
pub fn confirmed_at(path: &Path) -> Option<Timestamp> {
    let modified: SystemTime = std::fs::symlink_metadata(path).ok()?.modified().ok()?;
    let since = modified.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs())
        .ok()
        .map(Timestamp::from_unix)
}

fn check_version(policy: &FleetPolicy, known: &KnownFleetPolicy) -> Result<(), BadCopy> {
    if policy.version < known.version {
        return Err(BadCopy::Old {
            version: policy.version,
            seen: known.version,
        });
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<String> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)?;
    read_text(file)
}

fn read_text(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}
