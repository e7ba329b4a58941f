//! The shared key of an authenticator app.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The key shared with an authenticator app: wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key(Vec<u8>);

/// 160 bits, as RFC 4226 §4 R6 recommends.
pub const KEY_BYTES: usize = 20;
/// 128 bits, the least RFC 4226 §4 R6 allows.
pub const LEAST_KEY_BYTES: usize = 16;
/// More than the block of SHA-512 would only be hashed down again (RFC 2104 §2).
pub const MOST_KEY_BYTES: usize = 128;

/// Why bytes or text are no usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// RFC 4226 §4 R6.
    #[error("a key needs at least 16 bytes (128 bits); this one has {0}")]
    TooShort(usize),
    /// Longer than any authenticator can use.
    #[error("a key has at most 128 bytes; this one has {0}")]
    TooLong(usize),
}

impl Key {
    /// A key made of `bytes`.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BadKey> {
        let key = Self(bytes);
        match key.0.len() {
            n if n < LEAST_KEY_BYTES => Err(BadKey::TooShort(n)),
            n if n > MOST_KEY_BYTES => Err(BadKey::TooLong(n)),
            _ => Ok(key),
        }
    }

    /// The one way out: the raw key, for sealing and for computing codes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The key as apps want it typed: base32 without padding (RFC 4648 §6).
    pub fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&self.0))
    }

    /// [`Key::base32`] in groups of four, for people.
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
