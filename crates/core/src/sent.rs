//! Codes that are sent: each is valid for one login, and for a limited time.
//!
//! NIST SP 800-63B-4 §3.1.3.2 (out-of-band verifiers): at least six digits, at most ten minutes, used once. A code exists
//! only in the memory of the login that asked for it, so that no other login accepts it. Where a login goes on elsewhere, a
//! keyed hash of the code goes with it ([`HashedCode`]).

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::policy::Codes;
use crate::time::Timestamp;

/// How far the clock may go back, in seconds, before a code no longer counts as recent.
const CLOCK_SLIP: i64 = 60;

/// A code that was sent. Never printed, wiped when dropped.
#[derive(Clone)]
pub struct SentCode {
    digits: Zeroizing<String>,
    sent_at: Timestamp,
    rules: Codes,
}

/// A code that was sent, of which only a keyed hash is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashedCode {
    /// The keyed hash of its digits.
    pub hash: [u8; 32],
    /// When it was sent.
    pub sent_at: Timestamp,
    /// From when on it is not accepted.
    pub until: Timestamp,
}

/// The result of comparing what was typed with a code that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentCodeOutcome {
    /// It is the code, in time.
    Right,
    /// It is not the code.
    Wrong,
    /// It is the code, but too late, or too long before it was sent: the clock went back.
    Expired,
}

impl SentCode {
    /// A new code of as many digits as `rules` say, made of the bytes that `random` gives. Bytes of 250 and above are drawn
    /// again, so that no digit is more likely than another.
    pub fn generate<E>(
        rules: Codes,
        now: Timestamp,
        mut random: impl FnMut() -> Result<u8, E>,
    ) -> Result<Self, E> {
        let wanted = usize::from(rules.digits);
        let mut digits = Zeroizing::new(String::with_capacity(wanted));
        while digits.len() < wanted {
            let byte = Zeroizing::new(random()?);
            if *byte < 250 {
                digits.push(char::from(b'0' + *byte % 10));
            }
        }
        Ok(Self {
            digits,
            sent_at: now,
            rules,
        })
    }

    /// The code, to be sent.
    pub const fn digits(&self) -> &Zeroizing<String> {
        &self.digits
    }

    /// Compares what was typed, in constant time.
    pub fn compare(&self, typed: &str, now: Timestamp) -> SentCodeOutcome {
        let is_same = self.digits.as_bytes().ct_eq(typed.as_bytes());
        compared(is_same.into(), self.sent_at, self.until(), now)
    }

    /// The code as the `hash` of its digits, which is to be keyed: it has a million values.
    pub fn hashed(&self, hash: impl FnOnce(&str) -> [u8; 32]) -> HashedCode {
        HashedCode {
            hash: hash(&self.digits),
            sent_at: self.sent_at,
            until: self.until(),
        }
    }

    fn until(&self) -> Timestamp {
        self.sent_at.after(self.rules.lifetime.seconds())
    }

    /// The time from which another code may be sent.
    pub fn next_at(&self) -> Timestamp {
        self.sent_at.after(self.rules.cooldown.seconds())
    }
}

impl HashedCode {
    /// Compares what was typed by its keyed hash, in constant time.
    pub fn compare(&self, typed: &[u8; 32], now: Timestamp) -> SentCodeOutcome {
        let is_same = self.hash.ct_eq(typed);
        compared(is_same.into(), self.sent_at, self.until, now)
    }
}

fn compared(
    is_same: bool,
    sent_at: Timestamp,
    until: Timestamp,
    now: Timestamp,
) -> SentCodeOutcome {
    if !is_same {
        SentCodeOutcome::Wrong
    } else if now.unix().saturating_add(CLOCK_SLIP) < sent_at.unix() || now >= until {
        SentCodeOutcome::Expired
    } else {
        SentCodeOutcome::Right
    }
}

impl fmt::Debug for SentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SentCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn code(digits: u8, bytes: &[u8]) -> SentCode {
        let mut bytes = bytes.iter().copied().cycle();
        let rules = Codes {
            digits,
            ..Policy::default().codes
        };
        SentCode::generate(rules, NOW, || bytes.next().ok_or(())).unwrap()
    }

    #[test]
    fn a_code_is_valid_for_its_lifetime_and_not_before_it_was_sent() {
        let code = code(6, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(code.digits().as_str(), "123456");
        for (at, comparison) in [
            (NOW, SentCodeOutcome::Right),
            (NOW.after(599), SentCodeOutcome::Right),
            (NOW.after(600), SentCodeOutcome::Expired),
            (
                Timestamp::from_unix(NOW.unix() - 60),
                SentCodeOutcome::Right,
            ),
            (
                Timestamp::from_unix(NOW.unix() - 61),
                SentCodeOutcome::Expired,
            ),
        ] {
            assert_eq!(code.compare("123456", at), comparison);
            assert_eq!(code.compare("123457", at), SentCodeOutcome::Wrong);
            let hashed = code.hashed(|digits| [u8::try_from(digits.len()).unwrap(); 32]);
            assert_eq!(hashed.compare(&[6; 32], at), comparison);
            assert_eq!(hashed.compare(&[7; 32], at), SentCodeOutcome::Wrong);
        }
        assert_eq!(
            (code.compare("12345", NOW), code.compare("", NOW)),
            (SentCodeOutcome::Wrong, SentCodeOutcome::Wrong)
        );
        assert_eq!(code.next_at(), NOW.after(30));
    }

    #[test]
    fn bytes_that_would_make_a_digit_more_likely_are_drawn_again() {
        assert_eq!(code(6, &[250, 251, 255, 249]).digits().as_str(), "999999");
    }

    #[test]
    fn without_randomness_there_is_no_code() {
        assert!(
            SentCode::generate(Policy::default().codes, NOW, || Err::<u8, _>("no entropy"))
                .is_err()
        );
    }

    #[test]
    fn a_code_is_never_printed() {
        assert_eq!(format!("{:?}", code(6, &[1])), "SentCode(…)");
    }

    proptest! {
        #[test]
        fn a_code_has_its_digits(digits in 6_u8..=9, bytes in proptest::collection::vec(0_u8..250, 1..20)) {
            let code = code(digits, &bytes);
            prop_assert_eq!(code.digits().len(), usize::from(digits));
            prop_assert!(code.digits().bytes().all(|b| b.is_ascii_digit()));
        }
    }
}
