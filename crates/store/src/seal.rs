//! Sealing: what is secret leaves the program only encrypted and bound to its place.
//!
//! XChaCha20-Poly1305 with a random nonce. The table, column, row and what it belongs to are authenticated with it, so
//! that a sealed key copied to another row, or a row given to another user, does not open.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use twofa_core::Account;
use zeroize::Zeroizing;

use crate::error::StoreError;

/// The length of a sealing key in bytes.
pub const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// The length of a keyed hash in bytes.
pub(crate) const HASH_BYTES: usize = 32;

/// The key that seals, and one derived from it for keyed hashes. Both are wiped when dropped.
#[derive(Clone)]
pub struct SealingKey {
    cipher: XChaCha20Poly1305,
    hashing: Zeroizing<[u8; KEY_BYTES]>,
}

type HmacSha256 = Hmac<Sha256>;

/// Where a sealed value stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AssociatedData<'a> {
    pub table: &'static str,
    pub column: &'static str,
    /// A number that is never given to another row.
    pub row: i64,
    pub owner: Owner<'a>,
}

/// What a sealed value belongs to. A column holds values of one of these kinds only.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner<'a> {
    /// A user, by name and uid.
    User(&'a Account),
    /// The setting of this name, of the provider that is the row.
    Setting(&'a str),
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User(account) => &account.name,
            Self::Setting(name) => name,
        })
    }
}

impl SealingKey {
    /// The key that seals what only the holder of `secret` may open. The secret must be a random one.
    pub(crate) fn from_secret(secret: &[u8]) -> Self {
        let purpose = b"twofa: key from a secret".as_slice();
        Self::new(&mac(&[0; KEY_BYTES], &[purpose, secret]))
    }

    pub(crate) fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(&Key::from(*bytes)),
            hashing: Zeroizing::new(hmac(bytes, &[b"twofa: key of keyed hashes"])),
        }
    }

    /// HMAC-SHA-256 (RFC 2104) of `parts`, for `purpose`. Each part is preceded by its length, so that no two lists of parts
    /// give the same.
    pub(crate) fn keyed_hash(&self, purpose: &str, parts: &[&[u8]]) -> [u8; HASH_BYTES] {
        let mut framed = Zeroizing::new(Vec::new());
        for part in [purpose.as_bytes()].iter().chain(parts) {
            framed.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            framed.extend_from_slice(part);
        }
        hmac(&self.hashing, &[&framed])
    }

    /// Seals `secret` for `data`: nonce, ciphertext, tag.
    pub(crate) fn seal(
        &self,
        data: AssociatedData<'_>,
        secret: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let payload = Payload {
            msg: secret,
            aad: &data.bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::Seal)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for `data`, and nothing else.
    pub(crate) fn open(
        &self,
        data: AssociatedData<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(StoreError::Seal)?;
        let payload = Payload {
            msg: sealed,
            aad: &data.bytes(),
        };
        self.cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| StoreError::Seal)
    }
}

/// HMAC-SHA-256 of `parts` with a key that is no sealing key. Each part is preceded by its length.
pub(crate) fn mac(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    let mut framed = Vec::new();
    for part in parts {
        framed.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        framed.extend_from_slice(part);
    }
    hmac(key, &[&framed])
}

fn hmac(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    // A key of any length is taken.
    let Ok(mut mac) = HmacSha256::new_from_slice(key) else {
        return [0; HASH_BYTES];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

impl AssociatedData<'_> {
    /// One spelling for one place: numbers have a fixed width and the name, the only part of free
    /// length that is not ours, stands last. The column tells whose it is.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}.{}\0", self.table, self.column).into_bytes();
        bytes.extend_from_slice(&self.row.to_be_bytes());
        match self.owner {
            Owner::User(account) => {
                bytes.extend_from_slice(&account.uid.to_be_bytes());
                bytes.extend_from_slice(account.name.as_bytes());
            }
            Owner::Setting(name) => bytes.extend_from_slice(name.as_bytes()),
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Account {
        Account {
            name: "alice".into(),
            uid: 1000,
        }
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_and_nowhere_else() {
        let key = SealingKey::new(&[7; KEY_BYTES]);
        let alice = alice();
        let place = AssociatedData {
            table: "app",
            column: "key",
            row: 1,
            owner: Owner::User(&alice),
        };
        let sealed = key.seal(place, b"shared key").unwrap();
        assert_eq!(&**key.open(place, &sealed).unwrap(), b"shared key");

        let bob = Account {
            name: "bob".into(),
            uid: 1001,
        };
        let alice_again = Account {
            uid: 1002,
            ..alice.clone()
        };
        for elsewhere in [
            AssociatedData {
                table: "provider",
                ..place
            },
            AssociatedData {
                column: "label",
                ..place
            },
            AssociatedData { row: 2, ..place },
            AssociatedData {
                owner: Owner::User(&bob),
                ..place
            },
            AssociatedData {
                owner: Owner::User(&alice_again),
                ..place
            },
        ] {
            assert!(
                matches!(key.open(elsewhere, &sealed), Err(StoreError::Seal)),
                "{elsewhere:?}"
            );
        }
        assert!(matches!(
            SealingKey::new(&[8; KEY_BYTES]).open(place, &sealed),
            Err(StoreError::Seal)
        ));
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let key = SealingKey::new(&[7; KEY_BYTES]);
        let alice = alice();
        let place = AssociatedData {
            table: "app",
            column: "key",
            row: 1,
            owner: Owner::User(&alice),
        };
        let sealed = key.seal(place, b"shared key").unwrap();
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(key.open(place, &changed).is_err(), "byte {i}");
            assert!(key.open(place, &sealed[..i]).is_err(), "cut at {i}");
        }
    }

    #[test]
    fn the_same_secret_never_looks_the_same() {
        let key = SealingKey::new(&[7; KEY_BYTES]);
        let alice = alice();
        let place = AssociatedData {
            table: "app",
            column: "key",
            row: 1,
            owner: Owner::User(&alice),
        };
        assert_ne!(
            key.seal(place, b"shared key").unwrap(),
            key.seal(place, b"shared key").unwrap()
        );
    }
}
