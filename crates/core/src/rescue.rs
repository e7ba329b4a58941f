//! Rescue codes: one-time codes with which root and a rescue group log in to one host of a fleet while no server answers.
//!
//! Servers draw them and keep them sealed; the host has hashes only. Codes have the form of backup codes: 80 random bits
//! (NIST SP 800-63B-4 §3.1.2).

use subtle::ConstantTimeEq;

use crate::backup::{
    BackupCode, CODE_BYTES, COST, Cost, DIGEST_BYTES, HashError, SALT_BYTES, digest,
};

/// How many codes a host has hashes of.
pub const CODES: usize = 5;
/// After so many wrong rescue codes for one account, a host takes none for it until it has new ones.
pub const MOST_WRONG: u32 = 5;

/// The hashes of a host's rescue codes. The host's id is hashed with each code, so that they are of use on no other host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescueSet {
    /// A random number, by which servers and host speak of the set.
    pub number: i64,
    /// Random bytes of this set.
    pub salt: [u8; SALT_BYTES],
    /// The cost of each hash.
    pub cost: Cost,
    /// The hashes, in the order in which servers hand the codes out.
    pub digests: Vec<[u8; DIGEST_BYTES]>,
}

impl RescueSet {
    /// The set of `codes` for the host with the id `host`, hashed with `salt`.
    pub fn hash(
        number: i64,
        codes: &[BackupCode],
        host: &str,
        salt: [u8; SALT_BYTES],
    ) -> Result<Self, HashError> {
        let mut set = Self {
            number,
            salt,
            cost: COST,
            digests: Vec::with_capacity(codes.len()),
        };
        for code in codes {
            let digest = set.digest(code, host)?;
            set.digests.push(digest);
        }
        Ok(set)
    }

    /// Which of the codes was typed on the host with the id `host`; `None`: none of them.
    pub fn find(&self, typed: &BackupCode, host: &str) -> Result<Option<usize>, HashError> {
        let digest = self.digest(typed, host)?;
        // All are compared, so that the time reveals nothing.
        let mut found = None;
        for (position, known) in self.digests.iter().enumerate() {
            if bool::from(known.ct_eq(&digest)) {
                found = Some(position);
            }
        }
        Ok(found)
    }

    fn digest(&self, code: &BackupCode, host: &str) -> Result<[u8; DIGEST_BYTES], HashError> {
        // The salt has a fixed length, so that it and the id cannot be read otherwise.
        let salt = [self.salt.as_slice(), host.as_bytes()].concat();
        digest(code, &salt, self.cost)
    }
}

/// Codes that `random` bytes spell.
pub fn codes(random: &[[u8; CODE_BYTES]; CODES]) -> Vec<BackupCode> {
    random
        .iter()
        .copied()
        .map(BackupCode::from_random)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_of_one_host_are_of_no_use_on_another() {
        let codes = codes(&[[1; 10], [2; 10], [3; 10], [4; 10], [5; 10]]);
        let set = RescueSet::hash(7, &codes, "host-a", [9; SALT_BYTES]).unwrap();
        for (position, code) in codes.iter().enumerate() {
            assert_eq!(set.find(code, "host-a").unwrap(), Some(position));
            assert_eq!(set.find(code, "host-b").unwrap(), None);
        }
        let other = BackupCode::from_random([6; CODE_BYTES]);
        assert_eq!(set.find(&other, "host-a").unwrap(), None);
        let again = RescueSet::hash(7, &codes, "host-a", [8; SALT_BYTES]).unwrap();
        assert!(again.digests.iter().all(|it| !set.digests.contains(it)));
    }
}
