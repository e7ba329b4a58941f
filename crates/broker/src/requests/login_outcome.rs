//! What a login comes to.

use twofa_core::text::printable;
use twofa_proto::{Done, Verdict};

/// What a login came to, and why, for the log.
#[derive(Debug)]
pub(crate) struct LoginOutcome {
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
}

impl LoginOutcome {
    pub(crate) fn new(verdict: Verdict, why: impl Into<String>) -> Self {
        Self {
            verdict,
            why: why.into(),
        }
    }

    /// The same, where it was not settled which rules hold.
    pub(crate) fn under_doubts(self, doubts: &str) -> Self {
        let why = format!(
            "{}; the strictest rules that could apply hold: {doubts}",
            self.why
        );
        Self { why, ..self }
    }
}

impl From<LoginOutcome> for Done {
    fn from(LoginOutcome { verdict, why }: LoginOutcome) -> Self {
        Self::Login {
            verdict,
            why: printable(&why),
        }
    }
}
