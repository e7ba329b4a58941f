//! What libpam has counted up to some point of a stack.

use crate::code::Code;
use crate::phase::Phase;

/// What a stack would return if it ended here. libpam has more codes; only these make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Status {
    Success,
    /// `PAM_NEW_AUTHTOK_REQD`: in `account`, the way in once the password is changed.
    NewToken,
    #[default]
    Other,
}

impl Status {
    pub(crate) const fn from_code(code: Code) -> Self {
        match code {
            Code::SUCCESS => Self::Success,
            Code::NEW_AUTHTOK_REQD => Self::NewToken,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Impression {
    #[default]
    Undefined,
    Positive,
    Negative,
}

/// What libpam has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) impression: Impression,
    pub(crate) status: Status,
}

impl Tally {
    pub(crate) const fn failed(status: Status) -> Self {
        // A failure without a code of its own is PAM_PERM_DENIED in the end.
        let status = if matches!(status, Status::Success) {
            Status::Other
        } else {
            status
        };
        Self {
            impression: Impression::Negative,
            status,
        }
    }

    pub(crate) fn counts(self) -> bool {
        match self.impression {
            Impression::Undefined => true,
            Impression::Positive => self.status == Status::Success,
            Impression::Negative => false,
        }
    }

    /// Four bits, saved for a `reset`.
    pub(crate) const fn packed(self) -> u64 {
        self.impression as u64 * 3 + self.status as u64
    }

    pub(crate) const fn unpacked(packed: u64) -> Self {
        let impression = match packed / 3 {
            0 => Impression::Undefined,
            1 => Impression::Positive,
            _ => Impression::Negative,
        };
        let status = match packed % 3 {
            0 => Status::Success,
            1 => Status::NewToken,
            _ => Status::Other,
        };
        Self { impression, status }
    }

    pub(crate) fn lets_in(self, phase: Phase) -> bool {
        match self.status {
            Status::Success => self.impression == Impression::Positive,
            Status::NewToken => phase == Phase::Account,
            Status::Other => false,
        }
    }
}
