//! Keys that step forward, as in journald's forward secure sealing: each checkpoint is sealed with a key of its own, from
//! which the next one is derived before it is erased. The holder of the first one can verify all seals; an intruder
//! finds only the latest, with which no seal of the past can be made.
//!
//! The first key is shown once, to be kept away from the machine. The latest one is in a file of its own, not in
//! the database: a database keeps copies of what was overwritten, in its write-ahead log and in backups. The file has two
//! places that are used in turn, so that a crash leaves one of them whole. The old key is overwritten in place; a
//! copy-on-write file system or the spare blocks of a flash disk may still keep it.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::location::Location;
use crate::seal::{AssociatedData, HASH_BYTES, KEY_BYTES, Owner, SealingKey, mac};
use crate::sql::journal;
use twofa_core::Timestamp;

/// The key of checkpoint `number`.
pub(super) struct ForwardKey {
    pub(super) number: i64,
    key: Zeroizing<[u8; KEY_BYTES]>,
}

impl ForwardKey {
    /// The key of a later checkpoint, `number`; this one, if it is not later.
    pub(super) fn step_to(mut self, number: i64) -> Self {
        while self.number < number {
            let mut hash = Sha256::new();
            hash.update(b"twofa: next key of the journal");
            hash.update(*self.key);
            self.key = Zeroizing::new(hash.finalize().into());
            self.number += 1;
        }
        self
    }

    /// The seal of a checkpoint with this `link`.
    pub(super) fn seal(&self, link: &[u8]) -> [u8; HASH_BYTES] {
        mac(&self.key, &[b"seal of a checkpoint", link])
    }
}

/// The first key, with which all seals from a checkpoint on are verified.
pub struct VerificationKey {
    pub(super) journal: String,
    pub(super) first: i64,
    key: Zeroizing<[u8; KEY_BYTES]>,
}

/// Why a text is no verification key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadVerificationKey {
    /// It has another form.
    #[error("it is not of the form JOURNAL/NUMBER/…")]
    Form,
    /// A digit is wrong or missing.
    #[error("a digit of it is wrong or missing")]
    Check,
}

/// Digits between two hyphens.
const GROUP: usize = 8;
/// Digits that are compared with what the others say.
const CHECK_DIGITS: usize = 8;

impl VerificationKey {
    /// The key as it is shown: `JOURNAL/CHECKPOINT/KEY`, the key in hexadecimal with a check at its end.
    pub fn expose(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new([hex(&*self.key).as_str(), &self.check()].concat());
        let mut text = Zeroizing::new(format!("{}/{}/", self.journal, self.first));
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && i % GROUP == 0 {
                text.push('-');
            }
            text.push(digit);
        }
        text
    }

    fn check(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.journal.as_bytes());
        hash.update(self.first.to_be_bytes());
        hash.update(*self.key);
        hex(&hash.finalize())[..CHECK_DIGITS].to_owned()
    }

    pub(super) fn start(&self) -> ForwardKey {
        ForwardKey {
            number: self.first,
            key: self.key.clone(),
        }
    }
}

impl FromStr for VerificationKey {
    type Err = BadVerificationKey;

    fn from_str(text: &str) -> Result<Self, BadVerificationKey> {
        let mut parts = text.trim().splitn(3, '/');
        let mut part = || parts.next().ok_or(BadVerificationKey::Form);
        let (journal, first, digits) = (part()?, part()?, part()?);
        let first = first.parse().map_err(|_| BadVerificationKey::Form)?;
        let digits: Zeroizing<String> = Zeroizing::new(
            digits
                .chars()
                .filter(|c| *c != '-' && !c.is_whitespace())
                .flat_map(char::to_lowercase)
                .collect(),
        );
        let (key, check) = digits
            .split_at_checked(2 * KEY_BYTES)
            .ok_or(BadVerificationKey::Check)?;
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        for (i, byte) in bytes.iter_mut().enumerate() {
            let digits = key.get(2 * i..2 * i + 2);
            let parsed = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            *byte = parsed.ok_or(BadVerificationKey::Form)?;
        }
        let key = Self {
            journal: journal.to_owned(),
            first,
            key: bytes,
        };
        if key.check() == check {
            Ok(key)
        } else {
            Err(BadVerificationKey::Check)
        }
    }
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl std::fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerificationKey({}/{}/…)", self.journal, self.first)
    }
}

/// The file with the latest key.
pub(super) struct KeyFile<'a> {
    pub(super) location: &'a Location,
    pub(super) key: &'a SealingKey,
    pub(super) journal: &'a str,
}

const NUMBER_BYTES: usize = 8;
/// A number, and the key, sealed.
const PLACE_BYTES: usize = NUMBER_BYTES + 24 + KEY_BYTES + 16;

impl KeyFile<'_> {
    /// The latest key; `None`: none was made.
    pub(super) fn read(&self) -> Result<Option<ForwardKey>, StoreError> {
        let Some(file) = self.location.open_journal_key()? else {
            return Ok(None);
        };
        let keys = [0, 1].map(|place| self.read_place(&file, place));
        let latest = keys.into_iter().flatten().max_by_key(|key| key.number);
        latest.ok_or(StoreError::JournalKey).map(Some)
    }

    fn read_place(&self, file: &File, place: u64) -> Option<ForwardKey> {
        let mut bytes = [0; PLACE_BYTES];
        file.read_exact_at(&mut bytes, place * PLACE_BYTES as u64)
            .ok()?;
        let (number, sealed) = bytes.split_first_chunk()?;
        let number = i64::from_be_bytes(*number);
        let opened = self.key.open_with_any(self.data(number), sealed).ok()?;
        let key = <[u8; KEY_BYTES]>::try_from(opened.as_slice()).ok()?;
        Some(ForwardKey {
            number,
            key: Zeroizing::new(key),
        })
    }

    /// Steps the latest key on to that of checkpoint `number`, and erases the one before. The caller has the write lock of
    /// the database, so that no other process steps or replaces it meanwhile.
    pub(super) fn step_to(&self, number: i64) -> Result<(), StoreError> {
        let Some(key) = self.read()?.filter(|key| key.number < number) else {
            return Ok(());
        };
        let key = key.step_to(number);
        let file = self.location.open_journal_key()?;
        let file = file.ok_or(StoreError::JournalKey)?;
        let place = key.number.rem_euclid(2).unsigned_abs();
        let bytes = self.place_bytes(&key)?;
        write_place(&file, place, &bytes)
            .and_then(|()| write_place(&file, 1 - place, &[0; PLACE_BYTES]))
            .map_err(StoreError::file("write", &self.location.journal_key()))
    }

    /// Writes `key` to a file beside, on disk, which [`Self::put_in_place`] makes the latest.
    fn draft(&self, key: &ForwardKey) -> Result<(), StoreError> {
        let place = key.number.rem_euclid(2).unsigned_abs();
        let bytes = self.place_bytes(key)?;
        let file = self.location.make_journal_key_draft()?;
        write_place(&file, 1 - place, &[0; PLACE_BYTES])
            .and_then(|()| write_place(&file, place, &bytes))
            .map_err(StoreError::file(
                "write",
                &self.location.journal_key_draft(),
            ))
    }

    /// Makes the draft the latest key, and erases the one before.
    fn put_in_place(&self) -> Result<(), StoreError> {
        let replaced = self.location.open_journal_key()?;
        self.location.put_journal_key_in_place()?;
        let Some(file) = replaced else { return Ok(()) };
        write_place(&file, 0, &[0; 2 * PLACE_BYTES])
            .map_err(StoreError::file("erase", &self.location.journal_key()))
    }

    fn place_bytes(&self, key: &ForwardKey) -> Result<Vec<u8>, StoreError> {
        let data = self.data(key.number);
        let sealed = self.key.seal_in_place(data, &*key.key)?;
        Ok([key.number.to_be_bytes().as_slice(), &sealed].concat())
    }

    fn data(&self, number: i64) -> AssociatedData<'_> {
        AssociatedData {
            table: "journal",
            column: "key",
            row: number,
            owner: Owner::Setting(self.journal),
        }
    }
}

fn write_place(file: &File, place: u64, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, place * PLACE_BYTES as u64)?;
    file.sync_data()
}

impl Store {
    /// Seals the file with the latest key again, with the newest sealing key of this machine.
    pub(crate) fn reseal_log_key(&self) -> Result<(), StoreError> {
        self.write(|view| {
            let file = KeyFile {
                location: self.location(),
                key: self.key(),
                journal: view.journal.name(view.db)?,
            };
            view.db.lock("journal", "")?;
            let Some(key) = file.read()? else {
                return Ok(());
            };
            file.draft(&key)?;
            file.put_in_place()
        })
    }

    /// Makes a verification key, which seals every checkpoint from the next one on. It exists only in what this
    /// returns. `replace`: also where there is one already, which then verifies nothing that is sealed from now on.
    ///
    /// After an error, and after a crash at any point, the key there was is whole and in force, or the new one is.
    pub fn make_log_key(
        &self,
        replace: bool,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<VerificationKey, StoreError> {
        let recorded = self.change(origin, now, |tx| {
            let file = KeyFile {
                location: self.location(),
                key: self.key(),
                journal: tx.journal.name(tx.db)?,
            };
            if !replace && self.location().open_journal_key()?.is_some() {
                return Err(StoreError::JournalKeyExists);
            }
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            getrandom::fill(&mut *key)?;
            let after = file.read().ok().flatten().map_or(0, |key| key.number);
            let first = after.max(journal::last_checkpoint(tx.db)?.number + 1);
            let made = VerificationKey {
                journal: file.journal.to_owned(),
                first,
                key,
            };
            file.draft(&made.start())?;
            tx.record(None, &Event::LogKeyMade { checkpoint: first })?;
            Ok(made)
        });
        recorded
            .and_then(|made| self.put_key_in_place(made))
            .inspect_err(|_| self.location().remove_journal_key_draft())
    }

    /// Makes `made` seal the next checkpoint. Nobody writes one meanwhile.
    fn put_key_in_place(&self, mut made: VerificationKey) -> Result<VerificationKey, StoreError> {
        made.first = self.write(|view| {
            let file = KeyFile {
                location: self.location(),
                key: self.key(),
                journal: &made.journal,
            };
            let next = journal::last_checkpoint(view.db)?.number + 1;
            if made.first < next {
                // One was written since, with the key before.
                let key = made.start();
                file.draft(&ForwardKey {
                    number: next,
                    ..key
                })?;
            }
            file.put_in_place()?;
            Ok(made.first.max(next))
        })?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> VerificationKey {
        VerificationKey {
            journal: "0123456789abcdef".into(),
            first: 17,
            key: Zeroizing::new([0xa5; KEY_BYTES]),
        }
    }

    #[test]
    fn a_key_is_read_as_it_was_shown_and_a_wrong_digit_is_noticed() {
        let shown = key().expose();
        let read: VerificationKey = shown.parse().unwrap();
        assert_eq!(
            (read.journal.as_str(), read.first),
            ("0123456789abcdef", 17)
        );
        assert_eq!(read.key, key().key);
        let typed = format!(" {}\n", shown.replace('-', " ").to_uppercase());
        assert!(
            typed
                .replacen("0123456789ABCDEF", "0123456789abcdef", 1)
                .parse::<VerificationKey>()
                .is_ok()
        );
        for i in 0..shown.len() {
            let mut wrong = shown.clone();
            let digit = if wrong.as_bytes()[i] == b'1' {
                "2"
            } else {
                "1"
            };
            wrong.replace_range(i..=i, digit);
            let is_hyphen = shown.as_bytes()[i] == b'-';
            assert!(
                is_hyphen || wrong.parse::<VerificationKey>().is_err(),
                "{i}"
            );
            assert!(
                is_hyphen || shown[..i].parse::<VerificationKey>().is_err(),
                "cut at {i}"
            );
        }
        assert_eq!(
            "".parse::<VerificationKey>().unwrap_err(),
            BadVerificationKey::Form
        );
        assert!(!format!("{read:?}").contains("a5a5"));
    }

    #[test]
    fn keys_step_forward_one_by_one() {
        let at = |number| key().start().step_to(number);
        assert_eq!(*at(18).key, *at(17).step_to(18).key);
        assert_eq!(*at(20).key, *at(18).step_to(20).key);
        assert_ne!(at(17).seal(b"link"), at(18).seal(b"link"));
        assert_eq!(at(18).step_to(17).number, 18, "there is no way back");
    }
}
