//! Backup codes: a few codes on paper, each valid for one login.
//!
//! NIST SP 800-63B-4 §3.1.2 (look-up secrets) and §4.2.1.1 (saved recovery codes): at least 64 random bits, stored only
//! as a salted hash, used once.

use std::fmt;

use argon2::{Argon2, Params, Version};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How many codes there are in a new set.
pub const CODES: usize = 5;
/// Random bytes in a code: 80 bits, more than the 64 that NIST SP 800-63B-4 §4.2.1.1 requires.
pub const CODE_BYTES: usize = 10;
/// Random bytes in the salt of a set.
pub const SALT_BYTES: usize = 16;
/// Bytes in the hash of a code.
pub const DIGEST_BYTES: usize = 32;

const LENGTH: usize = 16;
/// Characters in each group of a code as it is shown.
pub const GROUP: usize = 4;
/// 32 characters that are hard to confuse on paper: no l, o, 0, 1.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// One backup code, in lower case and without dashes. Wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct BackupCode(String);

impl BackupCode {
    /// The code that `random` bytes spell: five bits for each of the 32 characters, so no bias.
    pub fn from_random(random: [u8; CODE_BYTES]) -> Self {
        let random = Zeroizing::new(random);
        let mut text = String::with_capacity(LENGTH);
        for five in random.chunks_exact(5) {
            let bits = five
                .iter()
                .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for letter in (0..8).rev() {
                let index = (bits >> (letter * 5) & 31) as usize;
                text.push(char::from(ALPHABET[index]));
            }
        }
        Self(text)
    }

    /// The code that [`Self::bare`] gave; `None`: it is none.
    pub fn from_bare(bare: &str) -> Option<Self> {
        Self::read(bare)
    }

    /// Reads a code whose spaces and dashes were removed.
    pub(crate) fn read(bare: &str) -> Option<Self> {
        let text = Zeroizing::new(bare.to_ascii_lowercase());
        let right = text.len() == LENGTH && text.bytes().all(|b| ALPHABET.contains(&b));
        right.then(|| Self(text.to_string()))
    }

    /// The code as it is hashed and sealed: in lower case, without dashes.
    pub fn bare(&self) -> &str {
        &self.0
    }

    /// The last group, which a person types to show that the code was written down.
    pub fn last_group(&self) -> &str {
        self.0.get(LENGTH - GROUP..).unwrap_or_default()
    }

    /// The code as it is shown: `abcd-efgh-ijkm-npqr`.
    pub fn grouped(&self) -> Zeroizing<String> {
        let mut grouped = Zeroizing::new(String::with_capacity(LENGTH + LENGTH / GROUP));
        for (i, c) in self.0.chars().enumerate() {
            if i > 0 && i % GROUP == 0 {
                grouped.push('-');
            }
            grouped.push(c);
        }
        grouped
    }
}

impl fmt::Debug for BackupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupCode(…)")
    }
}

/// What hashing a code costs (Argon2id). Stored with the hashes, so that it can be raised later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
}

/// The cost of new hashes. It is low on purpose: 80 random bits cannot be guessed offline at any cost, and an attempt
/// must not be a way to slow the broker down or exhaust its memory.
pub const COST: Cost = Cost {
    memory_kib: 4096,
    passes: 2,
};

/// The hash of a backup code could not be computed.
#[derive(Debug, thiserror::Error)]
#[error("cannot hash a backup code: {0}")]
pub struct HashError(argon2::Error);

/// A user's unused backup codes, as they are stored. The codes of a set share a salt, so that an attempt costs one hash
/// and not five; the codes are random and independent, and no two sets share a salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSet {
    /// Random bytes of this set.
    pub salt: [u8; SALT_BYTES],
    /// The cost of each hash.
    pub cost: Cost,
    /// The hashes of the codes that are not used yet.
    pub unused: Vec<[u8; DIGEST_BYTES]>,
}

impl BackupSet {
    /// The set of `codes`, hashed with `salt`.
    pub fn hash(codes: &[BackupCode], salt: [u8; SALT_BYTES]) -> Result<Self, HashError> {
        let mut set = Self {
            salt,
            cost: COST,
            unused: Vec::with_capacity(codes.len()),
        };
        for code in codes {
            let digest = set.digest(code)?;
            set.unused.push(digest);
        }
        Ok(set)
    }

    /// The hash of the unused code that was typed; `None`: it is not one of them.
    pub fn find(&self, typed: &BackupCode) -> Result<Option<[u8; DIGEST_BYTES]>, HashError> {
        let digest = self.digest(typed)?;
        // All are compared, so that the time reveals nothing.
        let mut found = None;
        for unused in &self.unused {
            if bool::from(unused.ct_eq(&digest)) {
                found = Some(digest);
            }
        }
        Ok(found)
    }

    fn digest(&self, code: &BackupCode) -> Result<[u8; DIGEST_BYTES], HashError> {
        digest(code, &self.salt, self.cost)
    }
}

/// The hash of `code` (Argon2id, RFC 9106) with this salt of at least 8 bytes.
pub(crate) fn digest(
    code: &BackupCode,
    salt: &[u8],
    cost: Cost,
) -> Result<[u8; DIGEST_BYTES], HashError> {
    let Cost { memory_kib, passes } = cost;
    let params = Params::new(memory_kib, passes, 1, Some(DIGEST_BYTES)).map_err(HashError)?;
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, params);
    let mut digest = [0; DIGEST_BYTES];
    argon2
        .hash_password_into(code.0.as_bytes(), salt, &mut digest)
        .map_err(HashError)?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes() -> Vec<BackupCode> {
        (0..5)
            .map(|i| BackupCode::from_random([i; CODE_BYTES]))
            .collect()
    }

    #[test]
    fn a_code_carries_all_of_its_80_random_bits() {
        assert_eq!(
            &**BackupCode::from_random([0; 10]).grouped(),
            "aaaa-aaaa-aaaa-aaaa"
        );
        assert_eq!(
            &**BackupCode::from_random([255; 10]).grouped(),
            "9999-9999-9999-9999"
        );
        let mut seen = std::collections::HashSet::new();
        for bit in 0..80 {
            let mut random = [0_u8; 10];
            random[bit / 8] = 1 << (bit % 8);
            assert!(seen.insert(BackupCode::from_random(random).grouped().to_string()));
        }
    }

    #[test]
    fn each_code_of_a_set_is_found_and_no_other() {
        let set = BackupSet::hash(&codes(), [9; SALT_BYTES]).unwrap();
        for (code, digest) in codes().iter().zip(&set.unused) {
            assert_eq!(set.find(code).unwrap().as_ref(), Some(digest));
        }
        assert_eq!(
            set.find(&BackupCode::from_random([77; CODE_BYTES]))
                .unwrap(),
            None
        );
    }

    #[test]
    fn a_new_set_contains_none_of_the_old_codes() {
        let set = BackupSet::hash(&codes(), [9; SALT_BYTES]).unwrap();
        let other = BackupSet {
            salt: [8; SALT_BYTES],
            ..set
        };
        assert_eq!(other.find(&codes()[0]).unwrap(), None);
    }

    #[test]
    fn the_alphabet_has_32_different_letters() {
        let letters: std::collections::HashSet<_> = ALPHABET.iter().collect();
        assert_eq!(letters.len(), 32);
    }
}
