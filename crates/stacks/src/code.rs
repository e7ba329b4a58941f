//! The codes that a PAM module returns (`_pam_types.h`), and sets of them.

use std::fmt;

/// The names that the controls of pam.conf(5) have for the codes, in the codes' order.
pub const NAMES: [&str; 32] = [
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
    "bad_item",
    "conv_again",
    "incomplete",
];

/// A PAM return code, 0 to 31.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u8);

impl Code {
    /// `PAM_SUCCESS`.
    pub const SUCCESS: Self = Self(0);
    pub(crate) const PERM_DENIED: Self = Self(6);
    pub(crate) const AUTH_ERR: Self = Self(7);
    pub(crate) const NEW_AUTHTOK_REQD: Self = Self(12);
    pub(crate) const IGNORE: Self = Self(25);
    pub(crate) const MODULE_UNKNOWN: Self = Self(28);
    pub(crate) const INCOMPLETE: Self = Self(31);

    /// The code that pam.conf(5) calls `name`.
    pub fn named(name: &str) -> Option<Self> {
        let number = NAMES.iter().position(|known| *known == name)?;
        u8::try_from(number).ok().map(Self)
    }

    /// The code with this number; `None` from 32.
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        if number < 32 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number, 0 to 31.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its name in pam.conf(5).
    pub fn name(self) -> &'static str {
        NAMES.get(self.index()).copied().unwrap_or("?")
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codes(u32);

impl Codes {
    /// Every code there is.
    pub(crate) const ALL: Self = Self(u32::MAX);

    /// The set of these numbers, each below 32.
    pub(crate) const fn from_numbers(numbers: &[u8]) -> Self {
        let (mut bits, mut next) = (0, 0);
        while next < numbers.len() {
            bits |= 1 << numbers[next];
            next += 1;
        }
        Self(bits)
    }

    pub(crate) const fn only(code: Code) -> Self {
        Self(1 << code.0)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The codes that are also in `other`.
    pub(crate) const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The codes in it, in their order.
    pub fn iter(self) -> impl Iterator<Item = Code> {
        (0..32)
            .filter(move |number| self.0 >> number & 1 == 1)
            .map(Code)
    }
}
