//! Verifying what was typed: the only place where a code is accepted.
//!
//! The order is that of [`twofa_store::attempts`]: check the lock, verify, mark used or count, and only then accept.

use std::cell::Cell;

use twofa_core::app::PendingResync;
use twofa_core::backup::HashError;
use twofa_core::sent::SentCodeOutcome;
use twofa_core::{
    Answer, AppCodeOutcome, BackupCode, Duration, Lock, Method, Methods, Policy, Timestamp, User,
    check_app_code,
};
use twofa_store::event::RefusalReason;
use twofa_store::{
    AnswerVerdict, CodeAttempt, CodeOutcome, CodeProof, Counted, Event, MarkUsedOutcome,
    Settlement, StoreError, Tally,
};

use crate::context::Context;
use crate::identity::person::{Person, PersonError};
use crate::methods::challenge_state::{ChallengeState, OutstandingCode};
use crate::text::events;
use crate::text::messages::WrongAnswer;
use crate::text::terminal::TerminalClosed;

/// What a comparison changes about a challenge.
#[derive(Debug, Clone, Copy)]
enum Change {
    None,
    /// The code that was sent was typed.
    CodeTyped,
    Resync(Option<PendingResync>),
}

/// How often a person's record is read for one code, if it changes as often meanwhile.
const READS: u32 = 4;

/// Which of a person's methods a challenge accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The methods that the policy allows.
    Allowed,
    /// Every method that is enrolled: the policy became stricter, and an old method proves the person once more.
    Enrolled,
}

impl Accepted {
    /// The methods that count under `policy`.
    pub const fn methods(self, policy: &Policy) -> Methods {
        match self {
            Self::Allowed => policy.methods,
            Self::Enrolled => Methods::ALL,
        }
    }
}

/// Why a challenge could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// The store or the name service failed; no code was accepted.
    #[error(transparent)]
    Person(#[from] PersonError),
    /// A backup code could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The terminal went away.
    #[error(transparent)]
    Terminal(#[from] TerminalClosed),
}

impl From<StoreError> for ChallengeError {
    fn from(error: StoreError) -> Self {
        Self::Person(error.into())
    }
}

/// The outcome of verifying an answer.
pub(super) enum AnswerOutcome {
    /// The code is right, and marked used on disk.
    Right {
        method: Method,
        backup_codes_left: usize,
        /// The login is on record.
        is_settled: bool,
        /// It has made the device trusted for so long.
        trusted_for: Option<Duration>,
    },
    /// Counted and logged.
    Wrong {
        /// For the log.
        why: String,
        /// For the person.
        hint: &'static str,
    },
    /// Not verified: the account is locked.
    Locked(Lock),
}

/// Verifies the answers of one challenge.
pub(super) struct Verifier<'a> {
    pub(super) context: Context<'a>,
    pub(super) accepted: Accepted,
    pub(super) tally: Tally,
    pub(super) settlement: Settlement<'a>,
    /// The verdict that is on record on the answer: nothing is verified again.
    pub(super) verdict: Option<&'a AnswerVerdict>,
}

impl Verifier<'_> {
    /// Verifies a code, and counts it or marks it used.
    pub(super) fn verify(
        &self,
        answer: &Answer,
        state: &mut ChallengeState,
    ) -> Result<AnswerOutcome, ChallengeError> {
        let now = self.context.now();
        if let Some(verdict) = self.verdict {
            return self.repeat(verdict, state, now);
        }
        match answer {
            Answer::Code(code) => self.verify_code(code, state, now),
            Answer::Backup(code) => self.verify_backup_code(code, now),
            Answer::Empty
            | Answer::Help
            | Answer::Resend
            | Answer::OtherMethod
            | Answer::NotACode => self.record_wrong(WrongAnswer::NO_CODE, now),
        }
    }

    /// The outcome of an answer that was verified before, which nobody has been told yet.
    fn repeat(
        &self,
        verdict: &AnswerVerdict,
        state: &mut ChallengeState,
        now: Timestamp,
    ) -> Result<AnswerOutcome, ChallengeError> {
        let why = match verdict {
            AnswerVerdict::Right(method) | AnswerVerdict::Proved(method) => {
                let unknown = || StoreError::Damaged("an unknown method".to_owned());
                return Ok(AnswerOutcome::Right {
                    method: method.parse().map_err(|_| unknown())?,
                    backup_codes_left: self.context.user().backup_codes_left(),
                    is_settled: self.is_settled(),
                    trusted_for: None,
                });
            }
            AnswerVerdict::Wrong(why) => *why,
            AnswerVerdict::Counted => RefusalReason::UnknownBackupCode,
            // These are verdicts on nothing that a challenge asks for.
            AnswerVerdict::Enrolled(_) | AnswerVerdict::Changed | AnswerVerdict::Begun => {
                return Err(StoreError::AnsweredMeanwhile.into());
            }
        };
        // Of these, the code was right: it was typed, and works no longer.
        let was_typed = [RefusalReason::MethodRemoved, RefusalReason::AddressChanged];
        if was_typed.contains(&why) {
            state.outstanding = None;
        }
        Ok(wrong_outcome(WrongAnswer::on_record(why), now))
    }

    /// Verifies a code of an app, or one that was sent.
    fn verify_code(
        &self,
        code: &str,
        state: &mut ChallengeState,
        now: Timestamp,
    ) -> Result<AnswerOutcome, ChallengeError> {
        let Context {
            account, origin, ..
        } = self.context;
        let store = self.context.store();
        let sent = state.outstanding.as_ref();
        let hash = sent.map(|sent| store.sent_code_hash(&sent.salt, code));
        let mut latest = None;
        for _ in 0..READS {
            let person = latest.as_ref().unwrap_or(self.context.person);
            let attempt = CodeAttempt {
                account,
                tally: self.tally,
                origin,
                known: &person.snapshot,
                settlement: self.settlement,
            };
            // The store may compare more than once; what the last comparison found holds.
            let found = Cell::new(Change::None);
            let compare = |user: &User| {
                let (result, change) =
                    self.compare((code, hash.as_ref()), user, &person.policy, state, now);
                found.set(change);
                result
            };
            let outcome = store.try_code(attempt, now, compare);
            match found.get() {
                Change::None => {}
                // It works once, whatever follows.
                Change::CodeTyped => state.outstanding = None,
                Change::Resync(pending) => state.pending_resync = pending,
            }
            match outcome? {
                CodeOutcome::Right(proof) => {
                    return Ok(AnswerOutcome::Right {
                        method: proof.method(),
                        backup_codes_left: person.snapshot.user.backup_codes_left(),
                        is_settled: self.is_settled(),
                        trusted_for: self.trusted_for(),
                    });
                }
                CodeOutcome::Wrong(wrong) => return Ok(wrong_outcome(wrong, now)),
                CodeOutcome::Locked(lock) => return Ok(AnswerOutcome::Locked(lock)),
                CodeOutcome::Unknown => {
                    return self.record_wrong(WrongAnswer::USER_REMOVED, now);
                }
                // Read here and not in the transaction: it may take the name service.
                CodeOutcome::Outdated => latest = Some(Person::load(store, account)?),
            }
        }
        Err(StoreError::ChangedMeanwhile.into())
    }

    /// Compares a code, of which the `hash` is that of one that is sent, with those of `user`, to whom `policy` applies. Called under the write lock of the store: it only
    /// computes, and says what this challenge must remember.
    fn compare(
        &self,
        (code, hash): (&str, Option<&[u8; 32]>),
        user: &User,
        policy: &Policy,
        state: &ChallengeState,
        now: Timestamp,
    ) -> (Result<CodeProof, WrongAnswer>, Change) {
        if let (Some(sent), Some(hash)) = (&state.outstanding, hash) {
            match sent.code.compare(hash, now) {
                SentCodeOutcome::Right => {
                    return (self.check_sent(sent, user, policy), Change::CodeTyped);
                }
                SentCodeOutcome::Expired => return (Err(WrongAnswer::EXPIRED), Change::None),
                SentCodeOutcome::Wrong => {}
            }
        }
        let is_allowed = self.accepted.methods(policy).contains(Method::App);
        let apps = if is_allowed {
            user.apps.as_slice()
        } else {
            &[]
        };
        match check_app_code(apps, code, state.pending_resync, now) {
            AppCodeOutcome::Accepted { app, count } => {
                (Ok(CodeProof::App { app: app.id, count }), Change::None)
            }
            AppCodeOutcome::Refused { why, pending } => (
                Err(WrongAnswer::app_code(why, apps)),
                Change::Resync(pending),
            ),
        }
    }

    /// Checks whether the address of a code that was typed is still the person's, and its method still allowed.
    fn check_sent(
        &self,
        sent: &OutstandingCode,
        user: &User,
        policy: &Policy,
    ) -> Result<CodeProof, WrongAnswer> {
        let accepted = self.accepted.methods(policy);
        let is_allowed = accepted.contains(sent.method())
            || sent.wanted == Method::Sms
                && accepted.contains(Method::Sms)
                && policy.sms_falls_back_to_email();
        let is_theirs = user.contacts[sent.channel]
            .as_ref()
            .is_some_and(|contact| contact.verified && contact.address == sent.address);
        if !is_allowed {
            Err(WrongAnswer::METHOD_REMOVED)
        } else if !is_theirs {
            Err(WrongAnswer::ADDRESS_CHANGED)
        } else {
            Ok(CodeProof::Sent(sent.channel))
        }
    }

    /// Verifies a backup code outside of any transaction, because that is slow by design: counted before, marked used
    /// after.
    fn verify_backup_code(
        &self,
        code: &BackupCode,
        now: Timestamp,
    ) -> Result<AnswerOutcome, ChallengeError> {
        let Context {
            account, origin, ..
        } = self.context;
        let store = self.context.store();
        let (attempt, snapshot) = match store.count_attempt(account, self.tally, origin, now)? {
            Counted::Attempt(attempt, snapshot) => (attempt, snapshot),
            Counted::Locked(lock) => return Ok(AnswerOutcome::Locked(lock)),
            Counted::Unknown => return self.record_wrong(WrongAnswer::USER_REMOVED, now),
        };
        let person = Person::from_snapshot(*snapshot, account)?;
        let user = &person.snapshot.user;
        let accepted = self.accepted.methods(&person.policy);
        let set = user
            .backup
            .as_ref()
            .filter(|_| accepted.contains(Method::Backup));
        let Some(digest) = set.map(|set| set.find(code)).transpose()?.flatten() else {
            return self.record_wrong(WrongAnswer::BACKUP_CODE, now);
        };
        match store.use_backup_code(attempt, &digest, self.settlement, now)? {
            MarkUsedOutcome::First => Ok(AnswerOutcome::Right {
                method: Method::Backup,
                backup_codes_left: user.backup_codes_left().saturating_sub(1),
                is_settled: self.is_settled(),
                trusted_for: self.trusted_for(),
            }),
            MarkUsedOutcome::Already => self.record_wrong(WrongAnswer::BACKUP_CODE_USED, now),
        }
    }

    const fn is_settled(&self) -> bool {
        !matches!(self.settlement, Settlement::InAccount(_))
    }

    /// For how long a code that was right just now has made the device trusted.
    const fn trusted_for(&self) -> Option<Duration> {
        match self.settlement {
            Settlement::Trusting(trust) => Some(trust.duration),
            Settlement::Now(_) | Settlement::InAccount(_) => None,
        }
    }

    /// Records a wrong answer that the store has not recorded.
    fn record_wrong(
        &self,
        wrong: WrongAnswer,
        now: Timestamp,
    ) -> Result<AnswerOutcome, ChallengeError> {
        let Context {
            account, origin, ..
        } = self.context;
        if self.tally != Tally::Uncounted {
            let event = Event::Refused { why: wrong.why };
            let store = self.context.store();
            store.record(Some(account), &event, origin, now)?;
        }
        Ok(wrong_outcome(wrong, now))
    }
}

/// The outcome of a wrong answer that the store has recorded.
fn wrong_outcome(wrong: WrongAnswer, now: Timestamp) -> AnswerOutcome {
    AnswerOutcome::Wrong {
        why: events::refusal(wrong.why, now),
        hint: wrong.hint,
    }
}
