//! The file of the sealing keys.
//!
//! A new store has one key, number 1: its 32 bytes are the file. While keys are being replaced, and from then on, the file is a
//! text with a number before each key. Keyed hashes have a key of their own then, which stays when sealing keys go: the log
//! is proved with it, and devices are recognised by it. It was derived from the first key, which cannot be computed from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::seal::{KEY_BYTES, hashing_key};

/// The number of the only key of a new store, and of every value that was sealed without a number.
pub(crate) const FIRST: u32 = 1;
/// The number under which the key of keyed hashes travels beside sealing keys.
const HASHING: u32 = 0;
const HEADER: &str = "twofa sealing keys 1";
/// The last line, without which the file is not whole.
const END: &str = "end";

/// A sealing key and its number.
pub type NumberedKey = (u32, Zeroizing<[u8; KEY_BYTES]>);

/// The sealing keys of a store, by number, and the key of its keyed hashes.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub(crate) sealing: BTreeMap<u32, Zeroizing<[u8; KEY_BYTES]>>,
    pub(crate) hashing: Zeroizing<[u8; KEY_BYTES]>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<_> = self.sealing.keys().collect();
        write!(f, "Keys({numbers:?})")
    }
}

impl Keys {
    /// Those of a store whose first key this is.
    pub(crate) fn first(bytes: &[u8; KEY_BYTES]) -> Self {
        Self {
            sealing: BTreeMap::from([(FIRST, Zeroizing::new(*bytes))]),
            hashing: hashing_key(bytes),
        }
    }

    /// What the file says; `None`: it is none of ours.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if let Ok(first) = <&[u8; KEY_BYTES]>::try_from(bytes)
            && !bytes.starts_with(HEADER.as_bytes())
        {
            return Some(Self::first(first));
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.strip_suffix('\n')?.lines();
        if lines.next() != Some(HEADER) {
            return None;
        }
        if lines.next_back() != Some(END) {
            return None;
        }
        let mut keys = Vec::new();
        for line in lines {
            let (number, key) = line.split_once(' ')?;
            let key = Zeroizing::new(HEXLOWER.decode(key.as_bytes()).ok()?);
            let key = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(key.as_slice()).ok()?);
            keys.push((number.parse().ok()?, key));
        }
        Self::from_numbered(keys)
    }

    /// What the file is to say.
    pub(crate) fn write(&self) -> Zeroizing<Vec<u8>> {
        let numbered = self.numbered();
        if let [(FIRST, first)] = numbered.as_slice() {
            return Zeroizing::new(first.to_vec());
        }
        let length = HEADER.len() + END.len() + 2 + numbered.len() * (2 * KEY_BYTES + 12);
        let mut text = Zeroizing::new(String::with_capacity(length));
        let _ = writeln!(text, "{HEADER}");
        for (number, key) in &numbered {
            let digits = Zeroizing::new(HEXLOWER.encode(&**key));
            let _ = writeln!(text, "{number} {}", *digits);
        }
        let _ = writeln!(text, "{END}");
        Zeroizing::new(text.as_bytes().to_vec())
    }

    /// The keys as they travel between servers: the first alone, or the key of keyed hashes, as number 0, and all others.
    pub fn numbered(&self) -> Vec<NumberedKey> {
        let all = self
            .sealing
            .iter()
            .map(|(number, key)| (*number, key.clone()));
        if self.sealing.len() == 1 && self.sealing.contains_key(&FIRST) {
            return all.collect();
        }
        let hashing = (HASHING, self.hashing.clone());
        std::iter::once(hashing).chain(all).collect()
    }

    /// What [`Self::numbered`] gave; `None`: that is not what it was.
    pub fn from_numbered(keys: Vec<NumberedKey>) -> Option<Self> {
        let count = keys.len();
        let mut sealing: BTreeMap<_, _> = keys.into_iter().collect();
        if sealing.len() != count {
            return None;
        }
        let hashing = match (sealing.remove(&HASHING), sealing.get(&FIRST)) {
            (Some(hashing), _) => hashing,
            (None, Some(first)) if count == 1 => hashing_key(first),
            _ => return None,
        };
        (!sealing.is_empty()).then_some(Self { sealing, hashing })
    }

    /// The numbers, in order.
    pub fn numbers(&self) -> Vec<u32> {
        self.sealing.keys().copied().collect()
    }

    /// The number of the newest key.
    pub(crate) fn newest(&self) -> u32 {
        self.sealing.keys().next_back().copied().unwrap_or(FIRST)
    }

    /// Adds a random key. Returns its number.
    pub(crate) fn add(&mut self) -> Result<u32, getrandom::Error> {
        let number = self.newest() + 1;
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *bytes)?;
        self.sealing.insert(number, bytes);
        Ok(number)
    }

    /// Drops all keys but `number`. Says whether that is here, and another was.
    pub(crate) fn keep_only(&mut self, number: u32) -> bool {
        let many = self.sealing.len();
        if self.sealing.contains_key(&number) {
            self.sealing.retain(|it, _| *it == number);
        }
        self.sealing.len() < many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_the_file_as_it_always_was_and_several_are_read_as_they_are_written() {
        let mut keys = Keys::first(&[7; KEY_BYTES]);
        assert_eq!(**keys.write(), [7; KEY_BYTES]);
        let hashing = keys.hashing.clone();
        assert_eq!(keys.add().unwrap(), 2);
        for _ in 0..2 {
            assert_eq!(keys.hashing, hashing);
            assert_eq!(Keys::parse(&keys.write()).as_ref(), Some(&keys));
            let travelled = Keys::from_numbered(keys.numbered());
            assert_eq!(travelled.as_ref(), Some(&keys));
            keys.keep_only(2);
        }
        assert_eq!((keys.numbers(), keys.newest()), (vec![2], 2));
        assert!(
            !keys.keep_only(3),
            "a key that is not here takes no other away"
        );
        assert_eq!(format!("{keys:?}"), "Keys([2])");
    }

    #[test]
    fn a_file_that_is_not_whole_is_no_file_of_keys() {
        let mut keys = Keys::first(&[7; KEY_BYTES]);
        keys.add().unwrap();
        let whole = keys.write();
        let lines: Vec<_> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        for length in 0..whole.len() {
            assert_eq!(Keys::parse(&whole[..length]), None, "{length}");
        }
        let twice = [lines[0], lines[1], lines[2], lines[2], lines[4]].concat();
        assert_eq!(Keys::parse(&twice), None);
        let without_hashing = [lines[0], lines[2], lines[3], lines[4]].concat();
        assert_eq!(Keys::parse(&without_hashing), None);
        assert_eq!(Keys::parse(&[7; KEY_BYTES + 1]), None);
        assert_eq!(Keys::parse(b""), None);
    }
}
