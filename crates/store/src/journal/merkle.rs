//! The root over the leaves of a checkpoint, as certificate transparency builds it (RFC 6962 §2.1): a later version can
//! prove one event of a checkpoint without the others.

use sha2::{Digest, Sha256};

use crate::seal::HASH_BYTES;

/// The root over `leaves`; that of none is the hash of nothing.
pub(super) fn root(leaves: &[impl AsRef<[u8]>]) -> [u8; HASH_BYTES] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => hash(0, leaf.as_ref(), &[]),
        leaves => {
            // The largest power of two below their number.
            let middle = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(middle);
            hash(1, &root(left), &root(right))
        }
    }
}

/// `kind` keeps leaves and nodes apart, so that neither can stand for the other.
fn hash(kind: u8, left: &[u8], right: &[u8]) -> [u8; HASH_BYTES] {
    let mut hash = Sha256::new();
    hash.update([kind]);
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.concat()
    }

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        // The test vectors of certificate-transparency-go, merkle/rfc6962.
        let leaves: [&[u8]; 4] = [&[], &[0x00], &[0x10], &[0x20, 0x21]];
        let expected = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ];
        for (n, expected) in expected.iter().enumerate() {
            assert_eq!(&hex(&root(&leaves[..n])), expected, "{n} leaves");
        }
    }
}
