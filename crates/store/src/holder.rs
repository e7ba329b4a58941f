//! Which process holds the lock on the database that a wait timed out on.
//!
//! The kernel is asked (fcntl(2), `F_GETLK`) rather than `/proc/locks`, which the broker does not see in its systemd unit
//! and which names a file by numbers that some file systems do not show elsewhere.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fmt, fs};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// The byte of the `-shm` file that a writer locks (sqlite.org/walformat.html §2.3.1).
const WRITE_LOCK: libc::off_t = 120;
/// The bytes of the database that are locked by a program that wants it for itself alone, or keeps no write-ahead
/// log (sqlite.org/fileformat2.html §1.3.1: one for "pending", one for "reserved", 510 for "shared").
const PENDING: libc::off_t = 0x4000_0000;
const PENDING_LENGTH: libc::off_t = 512;

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// As this process sees it.
    pid: libc::pid_t,
    /// `/proc/PID/comm`, where it can be read.
    name: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, name } = self;
        write!(f, "process {pid}")?;
        if let Some(name) = name {
            write!(f, " ({})", name.escape_debug())?;
        }
        write!(
            f,
            " has it; if that one hangs, end it with 'kill -9 {pid}': only what it had not finished is undone"
        )
    }
}

impl Holder {
    /// The other process that blocks our writes at this moment, if it can be determined: not if it is in another PID
    /// namespace.
    pub(crate) fn find(database: &Path) -> Option<Self> {
        let mut shared_memory = database.to_owned().into_os_string();
        shared_memory.push("-shm");
        let pid = locker(&PathBuf::from(shared_memory), WRITE_LOCK, 1)
            .or_else(|| locker(database, PENDING, PENDING_LENGTH))?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        Some(Self {
            pid,
            name: name.map(|name| name.trim_end().to_owned()),
        })
    }
}

/// The process that has locked some of these bytes for writing.
fn locker(path: &Path, start: libc::off_t, length: libc::off_t) -> Option<libc::pid_t> {
    /// By device and inode. They are never closed: closing any descriptor of a file takes away all locks that the
    /// process has on it (fcntl(2)), SQLite's too. A file is opened when it was locked for too long, so they are few.
    static OPEN: Mutex<Option<HashMap<(u64, u64), File>>> = Mutex::new(None);

    let found = fs::symlink_metadata(path)
        .ok()
        .filter(fs::Metadata::is_file)?;
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let open = open.get_or_insert_default();
    let id = (found.dev(), found.ino());
    if !open.contains_key(&id) {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .ok()?;
        // Whatever stands there by now. One that was opened twice must not be closed either.
        let Ok(opened) = file.metadata() else {
            std::mem::forget(file);
            return None;
        };
        if let Some(second) = open.insert((opened.dev(), opened.ino()), file) {
            std::mem::forget(second);
        }
    }
    // As a reader: readers are in nobody's way.
    let mut lock = libc::flock {
        l_type: libc::F_RDLCK.try_into().ok()?,
        l_whence: libc::SEEK_SET.try_into().ok()?,
        l_start: start,
        l_len: length,
        l_pid: 0,
    };
    fcntl(open.get(&id)?, FcntlArg::F_GETLK(&mut lock)).ok()?;
    let is_locked = libc::c_int::from(lock.l_type) != libc::F_UNLCK;
    (is_locked && lock.l_pid > 0).then_some(lock.l_pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use crate::{Location, Store, StoreError};
    use std::env;
    use std::io::{self, BufRead, BufReader, Write};
    use std::process::{Child, Command, Stdio};

    const HOLDING: &str = "holder::tests::holding_on_request";
    const REQUEST: &str = "TWOFA_TEST_HOLDS";

    /// In a process of its own: fcntl(2) does not tell a process of its own locks.
    #[test]
    fn holding_on_request() {
        let Some(folder) = env::var_os(REQUEST).map(PathBuf::from) else {
            return;
        };
        let location = Location {
            database: folder.join("state/twofa.db"),
            key: folder.join("etc/secret.key"),
            server: folder.join("etc/database"),
            ..Location::default()
        };
        let store = Store::open(location).unwrap();
        let held: Result<(), StoreError> = store.write_unsynced(|_| {
            writeln!(io::stdout(), "held").unwrap();
            io::stdin().lines().for_each(drop);
            Ok(())
        });
        held.unwrap();
    }

    fn hold(bench: &Bench) -> Child {
        let mut holder = Command::new(env::current_exe().unwrap())
            .args(["--exact", HOLDING, "--nocapture"])
            .env(
                REQUEST,
                bench.location.key.parent().unwrap().parent().unwrap(),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(holder.stdout.take().unwrap()).lines();
        assert!(said.map_while(Result::ok).any(|line| line.contains("held")));
        holder
    }

    #[test]
    fn a_write_that_waits_in_vain_names_the_process_that_it_waited_for() {
        let bench = Bench::on_file();
        let store = bench.create();
        let mut holder = hold(&bench);
        let pid = holder.id();

        // An open store, and one that is opened now: a store that is up to date is opened without the lock.
        let another = Store::open(bench.location.clone()).unwrap();
        for error in [
            store.write_unsynced(|_| Ok(())).unwrap_err(),
            another.write_unsynced(|_| Ok(())).unwrap_err(),
        ] {
            assert!(
                matches!(&error, StoreError::Busy(Some(found)) if found.pid.unsigned_abs() == pid),
                "{error:?}"
            );
            assert!(
                error.to_string().contains(&format!("process {pid} (")),
                "{error}"
            );
        }

        holder.kill().unwrap();
        holder.wait().unwrap();
        store.write_unsynced(|_| Ok(())).unwrap();
    }

    #[test]
    fn asking_who_holds_a_lock_gives_up_none_of_our_own() {
        let bench = Bench::on_file();
        let store = bench.create();
        let held: Result<(), StoreError> = store.write_unsynced(|_| {
            assert_eq!(Holder::find(&bench.location.database), None);
            let locks = fs::read_to_string("/proc/locks").unwrap();
            let ours = format!(" WRITE {} ", std::process::id());
            assert!(
                locks
                    .lines()
                    .any(|line| line.contains(&ours) && line.ends_with(" 120 120")),
                "{locks}"
            );
            Ok(())
        });
        held.unwrap();
    }
}
