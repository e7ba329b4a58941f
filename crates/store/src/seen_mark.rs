//! The last mark of a database that this machine has seen, which outlives the process in a file.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use crate::error::StoreError;
use crate::model::mark::{BadMark, Mark};

/// The longest file that holds a mark, in bytes.
const LONGEST: u64 = 200;

/// The last mark that this machine has seen, in memory and in a file.
#[derive(Debug)]
pub(crate) struct SeenMark {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_read: bool,
    /// One was read from the file or written into it.
    is_on_disk: bool,
    last: Option<Mark>,
    written: Option<Instant>,
}

impl SeenMark {
    /// The one that is kept in the file `path`.
    pub(crate) const fn new(path: PathBuf) -> Self {
        let state = State {
            is_read: false,
            is_on_disk: false,
            last: None,
            written: None,
        };
        Self {
            path,
            state: Mutex::new(state),
        }
    }

    /// The last mark; `None`: none was seen yet. A file that cannot be read is an error, since nobody knows then what must not
    /// have gone back.
    pub(crate) fn last(&self) -> Result<Option<Mark>, StoreError> {
        let mut state = self.lock();
        if !state.is_read {
            state.last = read(&self.path)?;
            state.is_on_disk = state.last.is_some();
            state.is_read = true;
        }
        Ok(state.last.clone())
    }

    /// Remembers `mark`, and on disk if nothing was written there within `interval`.
    pub(crate) fn remember(&self, mark: &Mark, interval: Duration) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.last = Some(mark.clone());
        state.is_read = true;
        let now = Instant::now();
        let is_due = |written| now.saturating_duration_since(written) >= interval;
        if state.written.is_none_or(is_due) {
            state.written = Some(now);
            write(&self.path, mark).map_err(StoreError::file("write", &self.path))?;
            state.is_on_disk = true;
        }
        Ok(())
    }

    /// Forgets the mark, here and on disk.
    pub(crate) fn forget(&self) -> Result<(), StoreError> {
        let mut state = self.lock();
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::file("remove", &self.path)(error));
            }
            _ => *state = State::default(),
        }
        Ok(())
    }

    /// Forgets the mark here if another process has on disk.
    pub(crate) fn forget_if_gone(&self) -> Result<(), StoreError> {
        let mut state = self.lock();
        if !state.is_on_disk {
            return Ok(());
        }
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => *state = State::default(),
            Err(error) => return Err(StoreError::file("open", &self.path)(error)),
            Ok(_) => {}
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> Result<Option<Mark>, StoreError> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(StoreError::file("open", path))?,
    };
    let mut text = String::new();
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(StoreError::file("read", path))?;
    let bad = |bad: BadMark| StoreError::Damaged(format!("{}: {bad}", path.display()));
    text.parse().map(Some).map_err(bad)
}

fn write(path: &Path, mark: &Mark) -> io::Result<()> {
    // Several processes may write at once.
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_file(&draft);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    writeln!(file, "{mark}")?;
    file.sync_data()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use twofa_core::Timestamp;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    fn mark() -> Mark {
        Mark {
            number: 7,
            value: [0xa5; 16],
            at: Timestamp::from_unix(1_800_000_000),
        }
    }

    #[test]
    fn the_last_mark_outlives_the_process_and_a_damaged_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet-mark");
        let seen = SeenMark::new(path.clone());
        assert_eq!(seen.last().unwrap(), None);
        seen.remember(&mark(), INTERVAL).unwrap();
        let next = Mark {
            number: 8,
            ..mark()
        };
        seen.remember(&next, INTERVAL).unwrap();
        assert_eq!(seen.last().unwrap(), Some(next.clone()));
        let again = || SeenMark::new(path.clone()).last();
        assert_eq!(again().unwrap(), Some(mark()), "a minute is not over");
        seen.remember(&next, Duration::ZERO).unwrap();
        assert_eq!(again().unwrap(), Some(next));
        fs::write(&path, "").unwrap();
        assert!(again().is_err());
    }

    #[test]
    fn a_mark_that_another_process_forgets_is_forgotten_and_one_that_could_not_be_written_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet-mark");
        let (host, command) = (SeenMark::new(path.clone()), SeenMark::new(path.clone()));
        host.remember(&mark(), INTERVAL).unwrap();
        command.forget().unwrap();
        host.forget_if_gone().unwrap();
        assert_eq!(host.last().unwrap(), None);
        host.remember(&mark(), INTERVAL).unwrap();
        let again = SeenMark::new(path).last();
        assert_eq!(
            again.unwrap(),
            Some(mark()),
            "that of the next fleet is written at once"
        );

        let unwritable = SeenMark::new(folder.path().join("missing/fleet-mark"));
        assert!(unwritable.remember(&mark(), INTERVAL).is_err());
        unwritable.forget_if_gone().unwrap();
        assert_eq!(unwritable.last().unwrap(), Some(mark()));
    }
}
