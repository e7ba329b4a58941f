//! The outcome of a login: the verdict, and the reason for the log.

use twofa_core::Timestamp;
use twofa_core::text::printable;
use twofa_proto::{Confirm, Done, Ticket, Verdict};
use twofa_store::event::{Missed, UnprovedReason};

use crate::text::messages::{self, reasons};
use crate::text::terminal::Terminal;

/// What a login ends with, and why, for the log.
#[derive(Debug)]
pub(super) struct LoginOutcome {
    pub(super) verdict: Verdict,
    pub(super) why: String,
    /// Whether the account phase must ask once more.
    pub(super) confirm: Confirm,
    /// Why somebody was refused whose first factor may have been wrong.
    pub(super) unproved: Option<UnprovedReason>,
    /// What was refused before, of which the user is to be told.
    pub(super) missed: Option<Missed>,
}

impl LoginOutcome {
    pub(super) fn new(verdict: Verdict, why: impl Into<String>) -> Self {
        Self {
            verdict,
            why: why.into(),
            confirm: Confirm::No,
            unproved: None,
            missed: None,
        }
    }

    /// A refusal where the first factor was not proved.
    pub(super) fn unproved(reason: UnprovedReason, why: impl Into<String>) -> Self {
        Self {
            unproved: Some(reason),
            ..Self::new(Verdict::Denied, why)
        }
    }

    /// The outcome where a code was right. `unsettled`: the ticket, if the account phase must still settle the login.
    pub(super) fn passed(why: String, unsettled: Option<Ticket>) -> Self {
        let outcome = Self::new(Verdict::Passed, why);
        match unsettled {
            None => outcome,
            Some(ticket) => outcome.awaiting(Confirm::Record(ticket)),
        }
    }

    /// The same, where the account phase must confirm it.
    pub(super) fn awaiting(self, confirm: Confirm) -> Self {
        Self { confirm, ..self }
    }

    /// Tells what was refused before, if that is still to be told.
    pub(super) fn tell_missed(&self, now: Timestamp, terminal: &mut dyn Terminal) {
        if let Some(missed) = &self.missed {
            // The login is settled: a client that cannot show this does not undo it.
            let _ = terminal.info(messages::missed(missed, now).into());
        }
    }

    /// The same, where it is not settled which rules apply.
    pub(super) fn under_doubts(self, doubts: &str) -> Self {
        let why = reasons::under_doubts(&self.why, doubts);
        Self { why, ..self }
    }
}

impl From<LoginOutcome> for Done {
    fn from(outcome: LoginOutcome) -> Self {
        Self::Login {
            verdict: outcome.verdict,
            why: printable(&outcome.why),
            confirm: outcome.confirm,
        }
    }
}
