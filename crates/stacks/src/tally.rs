//! What libpam has counted up to some point of a stack.

/// What a stack would return if it ended here: a number as libpam has it, or as much of it as a question needs.
pub(crate) trait Status: Copy + PartialEq {
    /// `PAM_PERM_DENIED`, with which every stack begins.
    const DENIED: Self;

    fn is_success(self) -> bool;

    /// It, as the status of a stack that failed: success and `PAM_IGNORE` are then `PAM_PERM_DENIED`.
    fn as_failure(self) -> Self;
}

/// Every code, and every number that is none.
impl Status for i32 {
    const DENIED: Self = 6;

    fn is_success(self) -> bool {
        self == 0
    }

    fn as_failure(self) -> Self {
        if matches!(self, 0 | 25) {
            Self::DENIED
        } else {
            self
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally<S> {
    pub(crate) impression: Impression,
    pub(crate) status: S,
}

impl<S: Status> Tally<S> {
    pub(crate) const START: Self = Self {
        impression: Impression::Undefined,
        status: S::DENIED,
    };

    pub(crate) fn failed(status: S) -> Self {
        Self {
            impression: Impression::Negative,
            status: status.as_failure(),
        }
    }

    fn counts(self) -> bool {
        match self.impression {
            Impression::Undefined => true,
            Impression::Positive => self.status.is_success(),
            Impression::Negative => false,
        }
    }

    /// Counts a result, unless something failed before.
    pub(crate) fn count(&mut self, status: S) {
        if self.counts() {
            *self = Self {
                impression: Impression::Positive,
                status,
            };
        }
    }

    /// Counts a failure, unless something failed before.
    pub(crate) fn fail(&mut self, status: S) {
        if self.impression != Impression::Negative {
            *self = Self::failed(status);
        }
    }

    /// What the stack returns if it ends here.
    pub(crate) fn result(self) -> S {
        if self.status.is_success() && self.impression != Impression::Positive {
            S::DENIED
        } else {
            self.status
        }
    }
}
