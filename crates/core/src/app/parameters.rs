//! How codes are made from a key: what changes from one to the next, their hash and their length.

use std::fmt;
use std::str::FromStr;

/// The hash function of the HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA-1, which every app supports.
    Sha1,
    /// HMAC-SHA-256, which many apps ignore, using SHA-1 instead.
    Sha256,
    /// HMAC-SHA-512, likewise.
    Sha512,
}

impl Algorithm {
    /// The name in the Key URI Format: `SHA1`, `SHA256` or `SHA512`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }
}

/// The text names no [`Algorithm`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an algorithm is SHA1, SHA256 or SHA512")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        [Self::Sha1, Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|a| a.name().eq_ignore_ascii_case(text))
            .ok_or(UnknownAlgorithm)
    }
}

/// What one-time passwords depend on, in addition to the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtpKind {
    /// TOTP (RFC 6238): the time, in steps of `period` seconds.
    Time {
        /// Seconds in a step, 30 or 60.
        period: u32,
    },
    /// HOTP (RFC 4226): a counter that goes up with every code.
    Counter,
}

/// How codes are made from the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    pub(super) kind: OtpKind,
    pub(super) algorithm: Algorithm,
    pub(super) digits: u8,
}

/// Parameters that RFC 4226 §5.3 or common authenticators do not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadParameters {
    /// RFC 4226 §5.3 asks for at least six digits; seven are allowed there, but no authenticator uses them.
    #[error("a code has 6 or 8 digits, not {0}")]
    Digits(u8),
    /// RFC 6238 §5.2 recommends 30 s; some hardware tokens use 60 s.
    #[error("a code changes every 30 or 60 seconds, not every {0}")]
    Period(u32),
}

impl Default for Parameters {
    /// The parameters that every app supports: SHA-1, six digits, 30 seconds.
    fn default() -> Self {
        Self {
            kind: OtpKind::Time { period: 30 },
            algorithm: Algorithm::Sha1,
            digits: 6,
        }
    }
}

impl Parameters {
    /// These parameters, if they are allowed.
    pub fn new(kind: OtpKind, algorithm: Algorithm, digits: u8) -> Result<Self, BadParameters> {
        if digits != 6 && digits != 8 {
            return Err(BadParameters::Digits(digits));
        }
        match kind {
            OtpKind::Time { period } if period != 30 && period != 60 => {
                Err(BadParameters::Period(period))
            }
            OtpKind::Time { .. } | OtpKind::Counter => Ok(Self {
                kind,
                algorithm,
                digits,
            }),
        }
    }

    /// TOTP or HOTP.
    pub const fn kind(&self) -> OtpKind {
        self.kind
    }

    /// The hash function of the HMAC.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How many digits a code has, 6 or 8.
    pub const fn digits(&self) -> u8 {
        self.digits
    }
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            algorithm,
            digits,
        } = self;
        match kind {
            OtpKind::Time { period } => {
                write!(f, "TOTP {}, {digits} digits, {period} s", algorithm.name())
            }
            OtpKind::Counter => write!(f, "HOTP {}, {digits} digits", algorithm.name()),
        }
    }
}
