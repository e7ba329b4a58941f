//! The code of an invitation: 80 random bits, as an administrator passes it on and a person types it.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

/// The random bytes in a code.
pub const BYTES: usize = 10;
/// Characters between two hyphens.
const GROUP: usize = 4;

/// The code made of these random bytes: four groups of four letters and digits, `ABCD-EFGH-2345-6789`.
pub fn code(bytes: [u8; BYTES]) -> String {
    let encoded = BASE32_NOPAD.encode(&bytes);
    let mut code = String::with_capacity(encoded.len() + encoded.len() / GROUP);
    for (number, c) in encoded.chars().enumerate() {
        if number > 0 && number.is_multiple_of(GROUP) {
            code.push('-');
        }
        code.push(c);
    }
    code
}

/// SHA-256 of the code that was typed, whatever its hyphens, blanks and case. A key is not needed: nobody tries 2^80 codes.
pub fn digest(typed: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for c in typed.chars().filter(char::is_ascii_alphanumeric) {
        hash.update([c.to_ascii_uppercase() as u8]);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_recognised_however_it_is_typed_and_another_is_not() {
        let made = code([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(made, "AAAQ-EAYE-AUDA-OCAJ");
        for typed in ["aaaq-eaye-auda-ocaj", " AAAQEAYE AUDAOCAJ\n"] {
            assert_eq!(digest(typed), digest(&made));
        }
        assert_ne!(digest("AAAQ-EAYE-AUDA-OCAK"), digest(&made));
    }
}
