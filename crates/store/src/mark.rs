//! Nothing goes back: each second, every server gives the database a mark, a number and a random value. Servers and hosts
//! remember the last one that they have seen, here in a file, and a database that does not have it in its history serves
//! nobody: it was restored from a dump, it is an old primary, or a standby that had not got everything. In it, codes would be
//! unused that were used.
//!
//! An administrator who knows that it is the right one says so with `twofa fleet resume` ([`crate::Store::resume`]).

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use twofa_core::Timestamp;

use crate::database::Store;
use crate::error::StoreError;
use crate::sql::postgres::marks;
use crate::sql::postgres::pool::Pool;
use crate::sql::postgres::watch::Watch;

/// The longest file that holds a mark, in bytes.
const LONGEST: u64 = 200;
/// How often a host's last mark is written at most. Servers write each of theirs.
const HOST_INTERVAL: Duration = Duration::from_secs(60);

/// A moment in the history of a database, and of no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Rises with each mark of a database; from 1.
    pub number: u64,
    /// Random.
    pub value: [u8; 16],
    /// When it was given, by the clock of the server that did.
    pub at: Timestamp,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.number, self.at.unix())?;
        self.value
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a mark of a database")]
pub struct BadMark;

impl FromStr for Mark {
    type Err = BadMark;

    fn from_str(text: &str) -> Result<Self, BadMark> {
        let mut words = text.split_whitespace();
        let mut word = || words.next().ok_or(BadMark);
        let number = word()?.parse().ok().filter(|number| *number > 0);
        let at = word()?.parse().map_err(|_| BadMark)?;
        let hex = word()?;
        if words.next().is_some() || hex.len() != 32 || !hex.is_ascii() {
            return Err(BadMark);
        }
        let mut value = [0; 16];
        for (index, byte) in value.iter_mut().enumerate() {
            let digits = &hex[2 * index..2 * index + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| BadMark)?;
        }
        Ok(Self {
            number: number.ok_or(BadMark)?,
            value,
            at: Timestamp::from_unix(at),
        })
    }
}

/// The last mark that this machine has seen, in memory and in a file.
#[derive(Debug)]
pub(crate) struct SeenMark {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_read: bool,
    last: Option<Mark>,
    written: Option<Instant>,
}

impl SeenMark {
    /// The one that is kept in the file `path`.
    pub(crate) const fn new(path: PathBuf) -> Self {
        let state = State {
            is_read: false,
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

impl Store {
    /// Gives the database another mark, at `now`. From the first one on this process serves nobody when it could not give one
    /// for five seconds. In a file there is nothing to do.
    pub fn give_mark(&self, now: Timestamp) -> Result<(), StoreError> {
        let Some(pool) = self.server() else {
            return Ok(());
        };
        let begin = Instant::now();
        let mut value = [0; 16];
        getrandom::fill(&mut value)?;
        let mark = pool.transact_though_silent(true, |db| marks::give(db, value, now))?;
        pool.watch().inspect(|watch| watch.note_given(begin));
        self.seen_mark().remember(&mark, Duration::ZERO)
    }

    /// The last mark that this machine has seen, of the database of its own or of its fleet.
    pub fn last_mark(&self) -> Result<Option<Mark>, StoreError> {
        self.seen_mark().last()
    }

    /// On a host: remembers a mark that a server of its fleet has sent.
    pub fn remember_mark(&self, mark: &Mark) -> Result<(), StoreError> {
        self.seen_mark().remember(mark, HOST_INTERVAL)
    }

    /// Fails unless the database has had `mark`, which a host has seen. A store in a file has no marks.
    pub fn check_mark(&self, mark: &Mark) -> Result<(), StoreError> {
        let is_last = || {
            self.last_mark()
                .is_ok_and(|last| last.as_ref() == Some(mark))
        };
        if !self.is_on_server() || is_last() {
            return Ok(());
        }
        if self.read(|view| marks::is_known(view.db, mark))? {
            Ok(())
        } else {
            Err(StoreError::WentBack(mark.clone()))
        }
    }

    /// Has the clock of the database compared with `clock` at the beginning of each transaction.
    pub fn compare_clock(&self, clock: fn() -> Timestamp) {
        if let Some(watch) = self.server().and_then(Pool::watch) {
            watch.compare_clock(clock);
        }
    }

    /// How many seconds the clock of the database was ahead of ours when that was compared last; negative: behind.
    pub fn clock_ahead(&self) -> i64 {
        let watch = self.server().and_then(Pool::watch);
        watch.map_or(0, Watch::clock_ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark {
            number: 7,
            value: [0xa5; 16],
            at: Timestamp::from_unix(1_800_000_000),
        }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        assert_eq!(mark().to_string().parse(), Ok(mark()));
        for bad in [
            "",
            "7 1",
            "0 1 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5",
            "7 1 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5",
            "7 1 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5ag",
            "7 1 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5 8",
        ] {
            assert_eq!(bad.parse::<Mark>(), Err(BadMark), "{bad}");
        }
    }

    #[test]
    fn the_last_mark_outlives_the_process_and_a_damaged_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet-mark");
        let seen = SeenMark::new(path.clone());
        assert_eq!(seen.last().unwrap(), None);
        seen.remember(&mark(), HOST_INTERVAL).unwrap();
        let next = Mark {
            number: 8,
            ..mark()
        };
        seen.remember(&next, HOST_INTERVAL).unwrap();
        assert_eq!(seen.last().unwrap(), Some(next.clone()));
        let again = || SeenMark::new(path.clone()).last();
        assert_eq!(again().unwrap(), Some(mark()), "a minute is not over");
        seen.remember(&next, Duration::ZERO).unwrap();
        assert_eq!(again().unwrap(), Some(next));
        fs::write(&path, "").unwrap();
        assert!(again().is_err());
    }
}
