//! Asking for a code and believing it: the one place where that happens.
//!
//! The order is [`twofa_store::attempts`]': check the lock, verify, mark used or count, and only then believe. Nothing is
//! locked while the person types.

use twofa_core::backup::HashError;
use twofa_core::sent::SentCodeOutcome;
use twofa_core::user::EnrolledApp;
use twofa_core::{
    Account, Answer, AppCodeOutcome, BackupCode, Lock, Method, Methods, OtpKind, PendingResync,
    Policy, Timestamp, User, Verification, check_app_code,
};
use twofa_proto::Prompt;
use twofa_store::event::RefusalReason;
use twofa_store::{
    CodeAttempt, CodeOutcome, CodeProof, Counted, Event, Origin, StoreError, Tally, Use,
};

use crate::context::Services;
use crate::identity::person::{Person, PersonError};
use crate::methods::choice::{Begun, Choice, Sent, Unsent};
use crate::process::log::{self, Priority};
use crate::text::terminal::{Terminal, TerminalClosed};
use crate::text::{events, messages};

/// How many wrong answers a conversation takes.
const TRIES: u32 = 3;
/// How often somebody may ask for help, another code or another method instead. sshd 9.4 to 10.2 drop a login after 32
/// messages.
const WISHES: u32 = 8;
/// How often what is known of a person is read for one code, where it changes as often under us.
const READS: u32 = 4;

/// A challenge that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Challenge<'a> {
    /// Store, sender, clock.
    pub services: Services<'a>,
    /// Whose code is asked for.
    pub account: &'a Account,
    /// From where.
    pub origin: &'a Origin,
    /// What was known of the person when it began.
    pub person: &'a Person,
    /// What it is for, as a message with a code says it.
    pub purpose: &'a str,
    /// Which methods count.
    pub accepted: Accepted,
    /// Where wrong codes are counted.
    pub tally: Tally,
    /// The application is known to answer no prompt: no code is sent for one before it has.
    pub cannot_answer: bool,
}

/// Which of a person's methods a challenge accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Those that the policy allows.
    Allowed,
    /// Those that are enrolled, allowed or not: the policy got stricter, and they prove the person once more.
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

/// How a challenge ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChallengeOutcome {
    /// A right code, marked used on disk.
    Passed {
        /// By which method.
        method: Method,
        /// How many backup codes are left now.
        backup_codes_left: usize,
    },
    /// The last wrong answer of a conversation that allows one.
    Wrong {
        /// For the log.
        why: String,
    },
    /// All tries are used up.
    TriesUsedUp {
        /// What was wrong the last time, for the log.
        why: String,
    },
    /// The account is locked.
    Locked(Lock),
    /// No code could be sent, and there is no other way.
    Unreachable {
        /// For the person.
        text: String,
    },
    /// No more codes are sent for a while, and there is no other way.
    TooManyCodes {
        /// For the person.
        text: String,
    },
    /// The terminal had nothing to say.
    NoAnswer,
}

/// Why a challenge could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// The store or the name service failed; nobody was believed.
    #[error(transparent)]
    Person(#[from] PersonError),
    /// A backup code could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The terminal went away.
    #[error(transparent)]
    TerminalClosed(#[from] TerminalClosed),
}

impl From<StoreError> for ChallengeError {
    fn from(error: StoreError) -> Self {
        Self::Person(error.into())
    }
}

/// One answer, judged.
enum AnswerOutcome {
    Right {
        method: Method,
        backup_codes_left: usize,
    },
    Wrong {
        why: String,
        hint: &'static str,
    },
    Locked(Lock),
}

/// What one conversation knows between two prompts.
#[derive(Default)]
struct ChallengeState {
    sent: Option<Sent>,
    pending_resync: Option<PendingResync>,
}

impl Challenge<'_> {
    /// Asks, up to [`TRIES`] times; `intro` stands before the first question. Whatever code comes is judged by every
    /// method; a code is sent first where the person's first method is one that sends.
    pub fn ask(
        &self,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<ChallengeOutcome, ChallengeError> {
        let mut choice = Choice::of(self);
        let mut state = ChallengeState::default();
        let mut text = match choice.begin(&mut state.sent)? {
            Begun::Asking(question) => format!("{intro}{question}"),
            Begun::NoWay(Unsent {
                text,
                is_limited: true,
            }) => return Ok(ChallengeOutcome::TooManyCodes { text }),
            Begun::NoWay(Unsent {
                text,
                is_limited: false,
            }) => return Ok(ChallengeOutcome::Unreachable { text }),
        };
        let (mut tries, mut wishes) = (TRIES, WISHES);
        loop {
            let Some(typed) = terminal.ask(text)? else {
                return Ok(ChallengeOutcome::NoAnswer);
            };
            let wish = choice.read(typed.expose());
            let answer = Answer::read(typed.expose());
            drop(typed);
            if let Some(wish) = wish {
                wishes -= 1;
                if wishes == 0 {
                    return Ok(ChallengeOutcome::TriesUsedUp {
                        why: "a wish instead of a code".to_owned(),
                    });
                }
                text = choice.grant(wish, &mut state.sent)?;
                continue;
            }
            let (why, hint) = match answer {
                Answer::Empty => return Ok(ChallengeOutcome::NoAnswer),
                // Not counted against the account: it was no guess. But it does use up a try.
                Answer::NotACode | Answer::Help | Answer::Resend | Answer::OtherMethod => (
                    "what was typed cannot be a code".to_owned(),
                    messages::NOT_A_CODE,
                ),
                Answer::Code(_) | Answer::Backup(_) => match self.judge(&answer, &mut state)? {
                    AnswerOutcome::Right {
                        method,
                        backup_codes_left,
                    } => {
                        return Ok(ChallengeOutcome::Passed {
                            method,
                            backup_codes_left,
                        });
                    }
                    AnswerOutcome::Locked(lock) => return Ok(ChallengeOutcome::Locked(lock)),
                    AnswerOutcome::Wrong { why, hint } => (why, hint),
                },
            };
            tries -= 1;
            if tries == 0 {
                return Ok(ChallengeOutcome::TriesUsedUp { why });
            }
            text = choice.again(&format!("{hint} ({})", messages::tries_left(tries)));
        }
    }

    /// Asks once, by this `prompt`, and sends no code: for clients with a single prompt, and for people who may not have
    /// shown the first factor.
    pub fn ask_once(
        &self,
        prompt: Prompt,
        terminal: &mut dyn Terminal,
    ) -> Result<ChallengeOutcome, ChallengeError> {
        let Some(typed) = terminal.prompt(prompt)? else {
            return Ok(ChallengeOutcome::NoAnswer);
        };
        let answer = Answer::read(typed.expose());
        drop(typed);
        match answer {
            Answer::Empty => Ok(ChallengeOutcome::NoAnswer),
            Answer::Help | Answer::Resend | Answer::OtherMethod | Answer::NotACode => {
                Ok(ChallengeOutcome::Wrong {
                    why: "there was no code in the answer".to_owned(),
                })
            }
            Answer::Code(_) | Answer::Backup(_) => {
                Ok(match self.judge(&answer, &mut ChallengeState::default())? {
                    AnswerOutcome::Right {
                        method,
                        backup_codes_left,
                    } => ChallengeOutcome::Passed {
                        method,
                        backup_codes_left,
                    },
                    AnswerOutcome::Locked(lock) => ChallengeOutcome::Locked(lock),
                    AnswerOutcome::Wrong { why, .. } => ChallengeOutcome::Wrong { why },
                })
            }
        }
    }

    /// Counts, verifies, marks used.
    fn judge(
        &self,
        answer: &Answer,
        state: &mut ChallengeState,
    ) -> Result<AnswerOutcome, ChallengeError> {
        let now = self.services.now();
        match answer {
            Answer::Code(code) => self.judge_code(code, state, now),
            Answer::Backup(code) => self.judge_backup_code(code, now),
            Answer::Empty
            | Answer::Help
            | Answer::Resend
            | Answer::OtherMethod
            | Answer::NotACode => {
                self.refuse(Wrong::new(RefusalReason::NothingToVerify, WRONG_CODE), now)
            }
        }
    }

    /// A code of an app, or one that was sent.
    fn judge_code(
        &self,
        code: &str,
        state: &mut ChallengeState,
        now: Timestamp,
    ) -> Result<AnswerOutcome, ChallengeError> {
        let Self {
            services: Services { store, .. },
            account,
            tally,
            origin,
            ..
        } = *self;
        let mut latest = None;
        for _ in 0..READS {
            let person = latest.as_ref().unwrap_or(self.person);
            let attempt = CodeAttempt {
                account,
                tally,
                origin,
                known: &person.situation,
            };
            let verify = |user: &User| self.verify(code, user, &person.policy, state, now);
            match store.try_code(attempt, now, verify)? {
                CodeOutcome::Right(proof) => {
                    return Ok(AnswerOutcome::Right {
                        method: match proof {
                            CodeProof::App { .. } => Method::App,
                            CodeProof::Sent(channel) => channel.method(),
                        },
                        backup_codes_left: person.situation.user.backup_codes_left(),
                    });
                }
                CodeOutcome::Wrong(wrong) => return Ok(self.judged_wrong(wrong, now)),
                CodeOutcome::Locked(lock) => return Ok(AnswerOutcome::Locked(lock)),
                CodeOutcome::Unknown => return self.refuse(Wrong::removed_meanwhile(), now),
                // Read here and not in the transaction: it may take the name service.
                CodeOutcome::Outdated => latest = Some(Person::of(store, account)?),
            }
        }
        Err(StoreError::ChangedMeanwhile.into())
    }

    /// Whether `code` is one of `user`, for whom `policy` holds. Called under the write lock of the store: pure, but for
    /// what it remembers of this conversation.
    fn verify(
        &self,
        code: &str,
        user: &User,
        policy: &Policy,
        state: &mut ChallengeState,
        now: Timestamp,
    ) -> Result<CodeProof, Wrong> {
        let compare = |sent: &Sent| sent.code.compare(code, now);
        // Good once, whatever becomes of it.
        if let Some(sent) = state
            .sent
            .take_if(|sent| compare(sent) == SentCodeOutcome::Right)
        {
            return self.verify_sent(&sent, user, policy);
        }
        if state.sent.as_ref().map(compare) == Some(SentCodeOutcome::Expired) {
            return Err(Wrong::new(RefusalReason::SentCodeExpired, EXPIRED_CODE));
        }
        let is_allowed = self.accepted.methods(policy).contains(Method::App);
        let apps = if is_allowed {
            user.apps.as_slice()
        } else {
            &[]
        };
        match check_app_code(apps, code, state.pending_resync, now) {
            AppCodeOutcome::Accepted { app, count } => Ok(CodeProof::App { app: app.id, count }),
            AppCodeOutcome::Refused { why, pending } => {
                state.pending_resync = pending;
                Err(Wrong::app_code(why, apps))
            }
        }
    }

    /// The code that was sent is right. It passes if the address is still the person's and still allowed.
    fn verify_sent(&self, sent: &Sent, user: &User, policy: &Policy) -> Result<CodeProof, Wrong> {
        let accepted = self.accepted.methods(policy);
        let is_allowed = accepted.contains(sent.method())
            || sent.wanted == Method::Sms
                && accepted.contains(Method::Sms)
                && policy.sms_falls_back_to_email();
        let is_theirs = user.contacts[sent.channel]
            .as_ref()
            .is_some_and(|contact| contact.verified && contact.address == sent.address);
        if !is_allowed {
            let why = RefusalReason::MethodRemoved;
            Err(Wrong::new(why, WRONG_CODE))
        } else if !is_theirs {
            Err(Wrong::new(RefusalReason::AddressChanged, WRONG_CODE))
        } else {
            Ok(CodeProof::Sent(sent.channel))
        }
    }

    /// Verified outside of any transaction, because that is slow by design: counted before, marked used after.
    fn judge_backup_code(
        &self,
        code: &BackupCode,
        now: Timestamp,
    ) -> Result<AnswerOutcome, ChallengeError> {
        let store = self.services.store;
        let (attempt, situation) =
            match store.count_attempt(self.account, self.tally, self.origin, now)? {
                Counted::Attempt(attempt, situation) => (attempt, situation),
                Counted::Locked(lock) => return Ok(AnswerOutcome::Locked(lock)),
                Counted::Unknown => return self.refuse(Wrong::removed_meanwhile(), now),
            };
        let person = Person::in_situation(*situation, self.account)?;
        let user = &person.situation.user;
        let accepted = self.accepted.methods(&person.policy);
        let set = user
            .backup
            .as_ref()
            .filter(|_| accepted.contains(Method::Backup));
        let Some(digest) = set.map(|set| set.find(code)).transpose()?.flatten() else {
            let why = RefusalReason::UnknownBackupCode;
            return self.refuse(Wrong::new(why, WRONG_BACKUP_CODE), now);
        };
        match store.use_backup_code(attempt, &digest, now)? {
            Use::First => Ok(AnswerOutcome::Right {
                method: Method::Backup,
                backup_codes_left: user.backup_codes_left().saturating_sub(1),
            }),
            Use::Already => {
                let why = RefusalReason::BackupCodeJustUsed;
                self.refuse(Wrong::new(why, WRONG_BACKUP_CODE), now)
            }
        }
    }

    /// Logs a wrong answer that the store has not logged yet.
    fn refuse(&self, wrong: Wrong, now: Timestamp) -> Result<AnswerOutcome, ChallengeError> {
        let event = Event::Refused { why: wrong.why };
        let Self {
            account, origin, ..
        } = *self;
        self.services
            .store
            .record(Some(account), &event, origin, now)?;
        Ok(self.judged_wrong(wrong, now))
    }

    /// A wrong answer that the store has logged.
    fn judged_wrong(&self, wrong: Wrong, now: Timestamp) -> AnswerOutcome {
        let Wrong { why, hint } = wrong;
        let why = events::refusal(why, now);
        let line = messages::log_line("wrong", self.origin, self.account, &why);
        log::auth(Priority::Notice, &line);
        AnswerOutcome::Wrong { why, hint }
    }
}

/// What is wrong with an answer.
#[derive(Debug)]
struct Wrong {
    why: RefusalReason,
    /// For the person.
    hint: &'static str,
}

impl AsRef<RefusalReason> for Wrong {
    fn as_ref(&self) -> &RefusalReason {
        &self.why
    }
}

impl Wrong {
    const fn new(why: RefusalReason, hint: &'static str) -> Self {
        Self { why, hint }
    }

    const fn removed_meanwhile() -> Self {
        Self::new(RefusalReason::UserRemoved, WRONG_CODE)
    }

    /// A code that none of `apps` accepts.
    fn app_code(verification: Verification, apps: &[EnrolledApp]) -> Self {
        let counts = |app: &EnrolledApp| app.app.parameters.kind() == OtpKind::Counter;
        // The same words whether a token ran ahead or a code was guessed: they say nothing about the code.
        let wrong = if apps.iter().any(counts) {
            WRONG_CODE_OF_A_TOKEN
        } else {
            WRONG_CODE
        };
        let (why, hint) = match verification {
            Verification::Replayed => (RefusalReason::Replayed, USED_CODE),
            Verification::ClockWentBack => (RefusalReason::ClockWentBack, CLOCK_WENT_BACK),
            Verification::Ahead { .. } => (RefusalReason::TokenAhead, wrong),
            Verification::Drifted { seconds } => (RefusalReason::Drifted { seconds }, wrong),
            Verification::Wrong | Verification::Accepted { .. } => {
                (RefusalReason::WrongCode, wrong)
            }
        };
        Self { why, hint }
    }
}

const EXPIRED_CODE: &str = "That code has expired: type r for a new one.";
const WRONG_CODE: &str = "Wrong code.";
const WRONG_BACKUP_CODE: &str = "That is none of your unused backup codes.";
const USED_CODE: &str = "That code was used already: wait for the next one.";
const WRONG_CODE_OF_A_TOKEN: &str =
    "Wrong code. With a hardware token, press its button and type the next one.";
const CLOCK_WENT_BACK: &str =
    "The clock of this machine is wrong, so no code can be checked. Tell an administrator.";

/// The most digits a code of `user`'s apps has.
pub fn digits(user: &User) -> u8 {
    user.apps
        .iter()
        .map(|enrolled| enrolled.app.parameters.digits())
        .max()
        .unwrap_or(6)
}
