//! A login of a known user about whom the peer may ask.

use twofa_core::decision::Reason;
use twofa_core::{Decision, Denial, Duration, Exemption};
use twofa_proto::{Confirm, Login, Prompt, Verdict};
use twofa_store::event::RefusalReason;
use twofa_store::{Event, ReportedDevice, ReportedPass, Settlement, StoreError, Tally};

use super::device::LoginDevice;
use super::outcome::LoginOutcome;
use crate::context::Context;
use crate::identity::person::PersonError;
use crate::identity::relayed::Asker;
use crate::methods::challenge::{Accepted, Challenge, ChallengeError};
use crate::methods::error::EnrolmentError;
use crate::methods::settling::Settling;
use crate::process::log;
use crate::text::events;
use crate::text::explain::{self, Grounds};
use crate::text::messages::{self, log_lines, reasons};
use crate::text::terminal::{Terminal, TerminalClosed};

/// Why a login has no outcome. It is refused then.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    #[error(transparent)]
    Terminal(#[from] TerminalClosed),
}

impl LoginError {
    /// The error of the terminal, if that went away.
    pub(super) const fn closed(&self) -> Option<&TerminalClosed> {
        match self {
            Self::Terminal(closed)
            | Self::Challenge(ChallengeError::Terminal(closed))
            | Self::Enrolment(EnrolmentError::Terminal(closed)) => Some(closed),
            Self::Challenge(_) | Self::Enrolment(_) => None,
        }
    }
}

impl LoginError {
    /// Whether the answer was given to another server, or another answer with its number was.
    pub(super) const fn is_answered_meanwhile(&self) -> bool {
        matches!(
            self,
            Self::Challenge(ChallengeError::Person(PersonError::Store(
                StoreError::AnsweredMeanwhile
            ))) | Self::Enrolment(EnrolmentError::Person(PersonError::Store(
                StoreError::AnsweredMeanwhile
            )))
        )
    }
}

impl<E: Into<PersonError>> From<E> for LoginError {
    fn from(error: E) -> Self {
        Self::Challenge(ChallengeError::Person(error.into()))
    }
}

/// A login to an existing account, by a peer that may ask about it.
pub(super) struct LoginRequest<'a> {
    pub(super) context: Context<'a>,
    pub(super) asker: Asker<'a>,
    pub(super) login: &'a Login,
    /// What was decided when the login began.
    pub(super) decision: Decision,
    /// The exemption that covers the login.
    pub(super) exemption: Option<&'a Exemption>,
    /// The device behind the login.
    pub(super) device: &'a LoginDevice,
    /// Whether this is the account phase.
    pub(super) is_account: bool,
    /// Whether an invitation comes before a first method can be set up.
    pub(super) needs_invitation: bool,
    /// What a `+` at the end of a code does, for the prompt.
    pub(super) trust_hint: Option<&'a str>,
}

impl LoginRequest<'_> {
    /// Whether the person can show a code without one being sent.
    pub(super) fn has_code_at_hand(&self) -> bool {
        let user = self.context.user();
        !user.apps.is_empty() || user.backup_codes_left() > 0
    }

    pub(super) fn challenge(&self, accepted: Accepted, tally: Tally) -> Challenge<'_> {
        Challenge {
            context: self.context,
            accepted,
            tally,
            cannot_answer: self.login.cannot_answer,
            settling: self.settling(matches!(tally, Tally::Proved)),
            trust_hint: self.trust_hint,
            verdict: self.asker.turn().and_then(|turn| turn.verdict.as_ref()),
        }
    }

    fn settling(&self, is_first_factor_shown: bool) -> Option<Settling<'_>> {
        self.device.settling(self.login, is_first_factor_shown)
    }

    /// When a login by a method that it has just enrolled is settled; `trusts_device`: its first code was typed with a `+`.
    pub(super) fn settlement(&self, trusts_device: bool) -> Settlement<'_> {
        let settling = self.settling(true);
        settling.map_or(Settlement::Now(None), |settling| {
            settling.settlement(trusts_device)
        })
    }

    /// When a login by a security key is settled: the password may still be wrong.
    pub(super) fn settlement_of_key(&self) -> Settlement<'_> {
        let settling = self.settling(false);
        settling.map_or(Settlement::Now(None), |settling| settling.settlement(false))
    }

    /// Why the login is treated as it is, for the log.
    pub(super) fn explain(&self) -> String {
        self.explain_decision(self.decision)
    }

    pub(super) fn explain_decision(&self, decision: Decision) -> String {
        let grounds = Grounds {
            mode: self.context.policy().mode,
            required: self.context.user().required,
            exemption: self.exemption,
            mismatch: self
                .context
                .person
                .snapshot
                .identity_mismatch
                .as_ref()
                .map(|record| (self.context.account, record)),
            now: self.context.now(),
        };
        explain::decision(decision, &grounds)
    }

    /// The outcome where the policy asks for no code.
    pub(super) fn not_required(&self, reason: Reason) -> LoginOutcome {
        let verdict = match reason {
            Reason::Exempt => Verdict::Exempt,
            _ => Verdict::NotRequired,
        };
        LoginOutcome::new(verdict, self.explain())
    }

    /// The outcome where the device stands in for a code. It is settled in the account phase.
    pub(super) fn trusted(&self) -> Result<LoginOutcome, LoginError> {
        if self.device.is_unlocking {
            // Not on record: users can ask this about themselves as often as they like.
            return Ok(LoginOutcome::new(Verdict::Trusted, reasons::UNLOCKING));
        }
        if let Some(reported) = self.device.reported() {
            return self.trusted_on_host(reported);
        }
        let Some((device, pass)) = self.device.trusted(self.login) else {
            return Ok(LoginOutcome::new(Verdict::Denied, self.explain()));
        };
        let Context {
            account, origin, ..
        } = self.context;
        let (store, now) = (self.context.store(), self.context.now());
        store.leave_trusted(account, pass, device, origin, now)?;
        Ok(LoginOutcome::new(self.verdict_of_trust(), self.explain())
            .awaiting(Confirm::Trust(self.device.ticket())))
    }

    /// The same on a host of the fleet, where it is settled at once.
    fn trusted_on_host(
        &self,
        reported: (ReportedDevice<'_>, Duration),
    ) -> Result<LoginOutcome, LoginError> {
        let Context {
            account,
            origin,
            person,
            ..
        } = self.context;
        let (store, now) = (self.context.store(), self.context.now());
        let known = &person.snapshot;
        let missed = match store.pass_by_reported(account, known, reported, origin, now)? {
            ReportedPass::Passed(missed) => missed,
            ReportedPass::TrustEnded => {
                let why = self.record_refusal(RefusalReason::TrustEnded)?;
                return Ok(LoginOutcome::new(Verdict::Denied, why));
            }
        };
        let outcome = LoginOutcome::new(self.verdict_of_trust(), self.explain());
        Ok(LoginOutcome { missed, ..outcome })
    }

    /// The verdict where the device stands in for a code.
    pub(super) fn verdict_of_trust(&self) -> Verdict {
        // Not success: a `sufficient` in the wrong place would let users in without a secret of their own.
        if self.device.is_users_own_proof() {
            Verdict::Passed
        } else {
            Verdict::Trusted
        }
    }

    /// The outcome where a code was right; `is_settled`: the login is on record already.
    pub(super) fn passed(&self, why: String, is_settled: bool) -> LoginOutcome {
        let unsettled = (!is_settled).then(|| self.device.ticket());
        LoginOutcome::passed(why, unsettled)
    }

    /// Refuses before anything is asked.
    pub(super) fn deny(
        &self,
        denial: Denial,
        terminal: &mut dyn Terminal,
    ) -> Result<LoginOutcome, LoginError> {
        let now = self.context.now();
        let (reason, text) = match denial {
            Denial::NotEnrolled => {
                let application = self.context.application();
                let text = messages::not_enrolled(&application, &self.context.account.name);
                (RefusalReason::NotEnrolled, text)
            }
            Denial::NotAllowed => (RefusalReason::NotAllowed, messages::NOT_ALLOWED.to_owned()),
            Denial::Locked(lock) => (lock.into(), messages::locked(lock, now)),
            Denial::IdentityMismatch => (
                RefusalReason::IdentityMismatch,
                messages::IDENTITY_MISMATCH.to_owned(),
            ),
        };
        let verdict = match denial {
            Denial::Locked(_) => Verdict::TriesUsedUp,
            _ => Verdict::Denied,
        };
        self.record_refusal(reason)?;
        let why = self.explain_decision(Decision::Deny(denial));
        refuse(&text, LoginOutcome::new(verdict, why), terminal)
    }

    /// Refuses a login that came to the account phase without a code, where none can be asked for.
    pub(super) fn could_not_ask(
        &self,
        terminal: &mut dyn Terminal,
    ) -> Result<LoginOutcome, LoginError> {
        let service = self.context.origin.service();
        let advice = messages::not_asked(service, self.login.cannot_answer);
        terminal.error(advice.person)?;
        let why = self.record_refusal(advice.why)?;
        Ok(LoginOutcome::new(Verdict::Denied, why))
    }

    /// Logs that somebody with the right password went away at the prompt: it may be the sign of a stolen password.
    pub(super) fn log_given_up(&self, error: &LoginError) {
        if error.closed().is_none() {
            return;
        }
        if let Err(error) = self.record_giving_up(RefusalReason::GivenUp) {
            log::warn(&log_lines::not_recorded(self.context.account, &error));
        }
    }

    /// Records that a login was given up, before a code was typed or after a right one. If the last code was wrong, the login
    /// is already on record as refused.
    pub(super) fn record_giving_up(&self, why: RefusalReason) -> Result<(), StoreError> {
        if self.asker.turn().is_some_and(|turn| turn.has_failed) {
            return Ok(());
        }
        let store = self.context.store();
        let throttle = store.snapshot(self.context.account)?.user.throttle;
        if throttle.failures() > self.context.user().throttle.failures() {
            return Ok(());
        }
        self.record_refusal(why).map(drop)
    }

    /// Records a refusal for which nothing was typed, and returns it in words for the log. A user can ask about themselves as
    /// often as they like, and must not fill the disk with it.
    pub(super) fn record_refusal(&self, why: RefusalReason) -> Result<String, StoreError> {
        let now = self.context.now();
        if self.asker.is_root() {
            let Context {
                account, origin, ..
            } = self.context;
            let event = Event::Refused { why };
            let store = self.context.store();
            store.record(Some(account), &event, origin, now)?;
        }
        Ok(events::refusal(why, now))
    }
}

/// Ends with `outcome`, and tells the person why.
pub(super) fn refuse(
    text: &str,
    outcome: LoginOutcome,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    terminal.error(text)?;
    Ok(outcome)
}

/// The prompt for password and code in one answer, where the code has this many `digits`.
pub(super) fn password_and_code(digits: u8) -> Prompt {
    Prompt {
        text: messages::PASSWORD_AND_CODE.into(),
        echo: false,
        digits_behind_password: Some(digits),
        link: None,
    }
}
