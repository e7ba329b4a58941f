//! The shared key of an authenticator app.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The key shared with an authenticator app. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key(Vec<u8>);

/// Bytes in a new key: 160 bits, as RFC 4226 §4 R6 recommends.
pub const KEY_BYTES: usize = 20;
/// The fewest bytes of a key: 128 bits (RFC 4226 §4 R6).
pub const MIN_KEY_BYTES: usize = 16;
/// The most bytes of a key. Beyond the block size of SHA-512 they would only be hashed down again (RFC 2104 §2).
pub const MAX_KEY_BYTES: usize = 128;

/// Why bytes are not a usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Shorter than RFC 4226 §4 R6 allows.
    #[error("a key needs at least 16 bytes (128 bits); this one has {0}")]
    TooShort(usize),
    /// Longer than any authenticator uses.
    #[error("a key has at most 128 bytes; this one has {0}")]
    TooLong(usize),
}

impl Key {
    /// The key of these `bytes`.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BadKey> {
        let key = Self(bytes);
        match key.0.len() {
            n if n < MIN_KEY_BYTES => Err(BadKey::TooShort(n)),
            n if n > MAX_KEY_BYTES => Err(BadKey::TooLong(n)),
            _ => Ok(key),
        }
    }

    /// The raw key, for sealing and for computing codes. There is no other way to read it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The key as it is typed into an app: base32 without padding (RFC 4648 §6).
    pub fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&self.0))
    }

    /// [`Key::base32`] in groups of four, to be read by people.
    pub fn grouped(&self) -> Zeroizing<String> {
        let text = self.base32();
        let mut grouped = Zeroizing::new(String::with_capacity(text.len() * 5 / 4 + 1));
        for (i, c) in text.chars().enumerate() {
            if i > 0 && i % 4 == 0 {
                grouped.push(' ');
            }
            grouped.push(c);
        }
        grouped
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed() {
        let key = Key::new(b"12345678901234567890".to_vec()).unwrap();
        assert_eq!(format!("{key:?}"), "Key(…)");
    }

    #[test]
    fn a_key_is_shown_in_groups_of_four() {
        let key = Key::new(b"12345678901234567890".to_vec()).unwrap();
        assert_eq!(&**key.grouped(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
    }

    #[test]
    fn a_key_under_128_bits_is_refused() {
        assert_eq!(Key::new(vec![7; 15]).err(), Some(BadKey::TooShort(15)));
        assert_eq!(Key::new(vec![7; 129]).err(), Some(BadKey::TooLong(129)));
    }
}
