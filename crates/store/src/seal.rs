//! Sealing: what is secret leaves the program only encrypted and bound to its place.
//!
//! XChaCha20-Poly1305 with a random nonce. The table, column, row and what it belongs to are authenticated with it, so
//! that a sealed key copied to another row, or a row given to another user, does not open.
//!
//! A store can have several keys ([`crate::keys`]). What is sealed with the first begins with the nonce, as it did before there
//! were others; what is sealed with a later one begins with a mark and the key's number, which are authenticated too.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use twofa_core::Account;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::keys::{FIRST, Keys};
use crate::location::Location;

/// The length of a sealing key in bytes.
pub const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// The length of a keyed hash in bytes.
pub(crate) const HASH_BYTES: usize = 32;

/// What a value begins with that carries the number of its key. A random nonce does once in 2^32 times; then the value opens
/// as what it is, since it is authentic in one reading only.
const NUMBERED: [u8; 4] = *b"\0tfk";
const HEADER_BYTES: usize = NUMBERED.len() + 4;

/// The keys that seal, and the one of keyed hashes. All are wiped when dropped.
#[derive(Clone)]
pub struct SealingKey {
    ciphers: Arc<RwLock<Ciphers>>,
    hashing: Zeroizing<[u8; KEY_BYTES]>,
    /// Where the keys are read again if a value has another number.
    location: Option<Location>,
}

type Ciphers = BTreeMap<u32, Cipher>;

/// What is made of a sealing key.
#[derive(Clone)]
struct Cipher {
    sealing: XChaCha20Poly1305,
    /// The key of the keyed hashes of rows.
    rows: Zeroizing<[u8; KEY_BYTES]>,
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
    /// The conversation of this id.
    Conversation(&'a [u8; 16]),
    /// The host of the fleet with this id.
    Host(&'a str),
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User(account) => &account.name,
            Self::Setting(name) | Self::Host(name) => name,
            Self::Conversation(_) => "a conversation",
        })
    }
}

impl SealingKey {
    /// The key that seals what only the holder of `secret` may open. The secret must be a random one.
    pub(crate) fn from_secret(secret: &[u8]) -> Self {
        let purpose = b"twofa: key from a secret".as_slice();
        Self::new(&mac(&[0; KEY_BYTES], &[purpose, secret]))
    }

    /// The first key of a store, which is the only one.
    pub(crate) fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        Self::of(&Keys::first(bytes), None)
    }

    /// These keys, which are read from `location` again as soon as a value was sealed with another.
    pub(crate) fn of(keys: &Keys, location: Option<Location>) -> Self {
        Self {
            ciphers: Arc::new(RwLock::new(ciphers(keys))),
            hashing: keys.hashing.clone(),
            location,
        }
    }

    fn cipher(&self, number: u32) -> Result<Cipher, StoreError> {
        let held = |this: &Self| {
            let ciphers = this.ciphers.read().unwrap_or_else(PoisonError::into_inner);
            ciphers.get(&number).cloned()
        };
        if let Some(cipher) = held(self) {
            return Ok(cipher);
        }
        self.read_again()?;
        held(self).ok_or(StoreError::NoSealingKey(number))
    }

    /// Reads the keys again, if they are in a file.
    fn read_again(&self) -> Result<(), StoreError> {
        if let Some(location) = &self.location {
            let fresh = ciphers(&location.read_keys()?);
            *self.ciphers.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        Ok(())
    }

    /// The numbers of the keys that are held, in order.
    fn numbers(&self) -> Vec<u32> {
        let ciphers = self.ciphers.read().unwrap_or_else(PoisonError::into_inner);
        ciphers.keys().copied().collect()
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

    /// The keyed hash of a row, by the key of this `number`: the number, and HMAC-SHA-256 (RFC 2104) of `row`.
    pub(crate) fn hash_row(&self, number: u32, row: &[u8]) -> Result<Vec<u8>, StoreError> {
        let hash = hmac(&self.cipher(number)?.rows, &[row]);
        Ok([number.to_be_bytes().as_slice(), &hash].concat())
    }

    /// Whether `hash` is one that [`Self::hash_row`] has made of `row`.
    pub(crate) fn is_hash_of_row(&self, hash: &[u8], row: &[u8]) -> Result<bool, StoreError> {
        let Some((number, hash)) = hash.split_first_chunk() else {
            return Ok(false);
        };
        let cipher = self.cipher(u32::from_be_bytes(*number))?;
        let Ok(mut mac) = HmacSha256::new_from_slice(&*cipher.rows) else {
            return Ok(false);
        };
        mac.update(row);
        Ok(mac.verify_slice(hash).is_ok())
    }

    /// Seals `secret` for `data` with the key of this `number`: the number, unless it is the first, nonce, ciphertext, tag.
    pub(crate) fn seal(
        &self,
        number: u32,
        data: AssociatedData<'_>,
        secret: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let header = header(number);
        let sealed = self.encrypt(number, data, &header, secret)?;
        Ok([header, sealed].concat())
    }

    /// Opens what was sealed for `data`, and nothing else.
    pub(crate) fn open(
        &self,
        data: AssociatedData<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        if let Some((number, rest)) = split_number(sealed) {
            let opened = self.decrypt(number, data, &header(number), rest);
            // The nonce of an old value may look like a number.
            return opened.or_else(|error| {
                let old = self.decrypt(FIRST, data, &[], sealed);
                old.map_err(|_| error)
            });
        }
        self.decrypt(FIRST, data, &[], sealed)
    }

    /// Seals with the newest key of this machine, in as many bytes as with the first: see [`Self::open_with_any`].
    pub(crate) fn seal_in_place(
        &self,
        data: AssociatedData<'_>,
        secret: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        self.read_again()?;
        let newest = self.numbers().pop().unwrap_or(FIRST);
        self.encrypt(newest, data, &[], secret)
    }

    /// Opens what [`Self::seal_in_place`] has sealed with any of the keys.
    pub(crate) fn open_with_any(
        &self,
        data: AssociatedData<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let try_all = || {
            let numbers = self.numbers().into_iter().rev();
            let mut opened = numbers.map(|number| self.decrypt(number, data, &[], sealed));
            opened.find_map(Result::ok).ok_or(StoreError::Seal)
        };
        try_all().or_else(|_| {
            self.read_again()?;
            try_all()
        })
    }

    fn encrypt(
        &self,
        number: u32,
        data: AssociatedData<'_>,
        header: &[u8],
        secret: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let payload = Payload {
            msg: secret,
            aad: &[header, &data.bytes()].concat(),
        };
        let sealed = self
            .cipher(number)?
            .sealing
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::Seal)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn decrypt(
        &self,
        number: u32,
        data: AssociatedData<'_>,
        header: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(StoreError::Seal)?;
        let payload = Payload {
            msg: sealed,
            aad: &[header, &data.bytes()].concat(),
        };
        self.cipher(number)?
            .sealing
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| StoreError::Seal)
    }
}

/// The number of the key with which a value was sealed.
pub(crate) fn number_of(sealed: &[u8]) -> u32 {
    split_number(sealed).map_or(FIRST, |(number, _)| number)
}

/// The number of the key of the keyed hash of a row; `None`: it is none.
pub(crate) fn number_of_hash(hash: &[u8]) -> Option<u32> {
    let (number, hash) = hash.split_first_chunk()?;
    (hash.len() == HASH_BYTES).then(|| u32::from_be_bytes(*number))
}

fn split_number(sealed: &[u8]) -> Option<(u32, &[u8])> {
    let rest = sealed.strip_prefix(&NUMBERED)?;
    let (number, rest) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest)).filter(|(number, _)| *number > FIRST)
}

fn header(number: u32) -> Vec<u8> {
    if number == FIRST {
        return Vec::new();
    }
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&NUMBERED);
    header.extend_from_slice(&number.to_be_bytes());
    header
}

fn ciphers(keys: &Keys) -> Ciphers {
    let each = keys.sealing.iter();
    let cipher = |bytes: &Zeroizing<[u8; KEY_BYTES]>| Cipher {
        sealing: XChaCha20Poly1305::new(&Key::from(**bytes)),
        rows: Zeroizing::new(hmac(bytes, &[b"twofa: key of hashes of rows"])),
    };
    each.map(|(number, bytes)| (*number, cipher(bytes)))
        .collect()
}

/// The key of keyed hashes that belongs to the first key of a store.
pub(crate) fn hashing_key(first: &[u8; KEY_BYTES]) -> Zeroizing<[u8; KEY_BYTES]> {
    Zeroizing::new(hmac(first, &[b"twofa: key of keyed hashes"]))
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
            Owner::Setting(name) | Owner::Host(name) => bytes.extend_from_slice(name.as_bytes()),
            Owner::Conversation(id) => bytes.extend_from_slice(id),
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
        let sealed = key.seal(FIRST, place, b"shared key").unwrap();
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

    /// Two keys.
    fn two() -> Keys {
        let mut keys = Keys::first(&[7; KEY_BYTES]);
        keys.add().unwrap();
        keys
    }

    #[test]
    fn what_carries_a_number_opens_with_that_key_and_what_carries_none_with_the_first() {
        let alice = alice();
        let place = AssociatedData {
            table: "app",
            column: "key",
            row: 1,
            owner: Owner::User(&alice),
        };
        let first = SealingKey::new(&[7; KEY_BYTES]);
        let old = first.seal(FIRST, place, b"old").unwrap();
        let mut keys = two();
        let both = SealingKey::of(&keys, None);
        let new = both.seal(2, place, b"new").unwrap();
        assert_eq!((number_of(&old), number_of(&new)), (1, 2));
        assert_eq!(&**both.open(place, &old).unwrap(), b"old");
        assert_eq!(&**both.open(place, &new).unwrap(), b"new");
        let unknown = first.open(place, &new);
        assert!(
            matches!(unknown, Err(StoreError::NoSealingKey(2))),
            "{unknown:?}"
        );
        // A number that was changed opens nothing.
        let mut changed = new.clone();
        changed[7] = 3;
        assert!(both.open(place, &changed).is_err());
        keys.keep_only(2);
        let second = SealingKey::of(&keys, None);
        assert_eq!(&**second.open(place, &new).unwrap(), b"new");
        assert!(second.open(place, &old).is_err());
        let hash = |key: &SealingKey| key.keyed_hash("leaf", &[b"event"]);
        assert_eq!(hash(&second), hash(&first), "hashes outlast the key");
    }

    #[test]
    fn what_is_sealed_in_place_is_as_long_with_each_key_and_opens_with_any() {
        let place = AssociatedData {
            table: "journal",
            column: "key",
            row: 1,
            owner: Owner::Setting("journal"),
        };
        let mut keys = two();
        let both = SealingKey::of(&keys, None);
        let first = SealingKey::new(&[7; KEY_BYTES])
            .seal_in_place(place, b"k")
            .unwrap();
        let second = both.seal_in_place(place, b"k").unwrap();
        assert_eq!(first.len(), second.len());
        for sealed in [&first, &second] {
            assert_eq!(&**both.open_with_any(place, sealed).unwrap(), b"k");
        }
        keys.keep_only(2);
        let second_alone = SealingKey::of(&keys, None);
        assert!(second_alone.open_with_any(place, &second).is_ok());
        assert!(second_alone.open_with_any(place, &first).is_err());
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let keys = two();
        a_changed_byte_is_noticed(&SealingKey::of(&keys, None), 1);
        a_changed_byte_is_noticed(&SealingKey::of(&keys, None), 2);
    }

    fn a_changed_byte_is_noticed(key: &SealingKey, number: u32) {
        let alice = alice();
        let place = AssociatedData {
            table: "app",
            column: "key",
            row: 1,
            owner: Owner::User(&alice),
        };
        let sealed = key.seal(number, place, b"shared key").unwrap();
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
            key.seal(FIRST, place, b"shared key").unwrap(),
            key.seal(FIRST, place, b"shared key").unwrap()
        );
    }
}
