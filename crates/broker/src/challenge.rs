//! Asking for a code and believing it: the one place where that happens.
//!
//! The order is [`twofa_store::attempts`]': count, verify, mark used, and only then believe. Nothing is
//! locked while the person types.

use twofa_core::backup::HashError;
use twofa_core::user::EnrolledApp;
use twofa_core::{Account, Answer, BackupCode, Lock, Method, Movement, Timestamp, User, Verification};
use twofa_proto::Prompt;
use twofa_store::{Attempt, Counted, Event, EventKind, Origin, Store, StoreError, Use};

use crate::dialogue::{Dialogue, Gone};
use crate::person::{Person, PersonError};
use crate::words;

/// How many wrong answers a conversation takes.
const TRIES: u32 = 3;

/// A challenge that is about to be made.
#[derive(Debug)]
pub struct Challenge<'a> {
    /// Where attempts are counted.
    pub store: &'a Store,
    /// Whose code is asked for.
    pub account: &'a Account,
    /// From where.
    pub origin: &'a Origin,
    /// What the clock says, each time it matters.
    pub clock: fn() -> Timestamp,
}

/// How a challenge ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
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
    Gone(#[from] Gone),
}

impl From<StoreError> for ChallengeError {
    fn from(error: StoreError) -> Self {
        Self::Person(error.into())
    }
}

/// One answer, judged.
enum Judgement {
    Right { method: Method, backup_codes_left: usize },
    Wrong { why: String, hint: &'static str },
    Locked(Lock),
}

/// A hardware token that ran ahead and whose next code will be asked for (RFC 4226 §7.4).
#[derive(Clone, Copy)]
struct Ahead {
    app: i64,
    count: u64,
}

impl Challenge<'_> {
    /// Asks with `first`, up to [`TRIES`] times.
    pub fn ask(
        &self,
        application: &str,
        first: String,
        dialogue: &mut dyn Dialogue,
    ) -> Result<Outcome, ChallengeError> {
        let mut text = first;
        let mut tries = TRIES;
        let mut ahead = None;
        loop {
            let Some(typed) = dialogue.ask(text)? else { return Ok(Outcome::NoAnswer) };
            let answer = Answer::read(typed.expose());
            drop(typed);
            let (why, hint) = match answer {
                Answer::Empty => return Ok(Outcome::NoAnswer),
                Answer::Help => ("only help was asked for".to_owned(), words::HELP),
                // Not counted against the account: it was no guess. But it does use up a try.
                Answer::NotACode => ("what was typed cannot be a code".to_owned(), words::NOT_A_CODE),
                Answer::Code(_) | Answer::Backup(_) => match self.judge(&answer, &mut ahead)? {
                    Judgement::Right { method, backup_codes_left } => {
                        return Ok(Outcome::Passed { method, backup_codes_left });
                    }
                    Judgement::Locked(lock) => return Ok(Outcome::Locked(lock)),
                    Judgement::Wrong { why, hint } => (why, hint),
                },
            };
            tries -= 1;
            if tries == 0 {
                return Ok(Outcome::TriesUsedUp { why });
            }
            text = words::again(&format!("{hint} ({})", words::tries_left(tries)), application);
        }
    }

    /// Asks once for password and code together, as clients with a single prompt need it. The code has
    /// `digits`.
    pub fn ask_behind_password(
        &self,
        digits: u8,
        dialogue: &mut dyn Dialogue,
    ) -> Result<Outcome, ChallengeError> {
        let prompt = Prompt {
            text: "Password and verification code, one behind the other: ".into(),
            echo: false,
            digits_behind_password: Some(digits),
        };
        let Some(typed) = dialogue.prompt(prompt)? else { return Ok(Outcome::NoAnswer) };
        let answer = Answer::read(typed.expose());
        drop(typed);
        match answer {
            Answer::Empty => Ok(Outcome::NoAnswer),
            Answer::Help | Answer::NotACode => {
                Ok(Outcome::Wrong { why: "there was no code behind the password".to_owned() })
            }
            Answer::Code(_) | Answer::Backup(_) => Ok(match self.judge(&answer, &mut None)? {
                Judgement::Right { method, backup_codes_left } => {
                    Outcome::Passed { method, backup_codes_left }
                }
                Judgement::Locked(lock) => Outcome::Locked(lock),
                Judgement::Wrong { why, .. } => Outcome::Wrong { why },
            }),
        }
    }

    /// Counts, verifies, marks used.
    fn judge(&self, answer: &Answer, ahead: &mut Option<Ahead>) -> Result<Judgement, ChallengeError> {
        let now = (self.clock)();
        let (attempt, situation) = match self.store.count_attempt(self.account, self.origin, now)? {
            Counted::Attempt(attempt, situation) => (attempt, situation),
            Counted::Locked(lock) => return Ok(Judgement::Locked(lock)),
            Counted::Unknown => {
                return self.wrong("the user was removed meanwhile".to_owned(), WRONG_CODE, now);
            }
        };
        let person = Person::in_situation(*situation, self.account)?;
        match answer {
            Answer::Code(code) => self.judge_app_code(attempt, &person, code, ahead, now),
            Answer::Backup(code) => self.judge_backup_code(attempt, &person, code, now),
            Answer::Empty | Answer::Help | Answer::NotACode => {
                self.wrong("nothing to verify".to_owned(), WRONG_CODE, now)
            }
        }
    }

    fn judge_backup_code(
        &self,
        attempt: Attempt,
        person: &Person,
        code: &BackupCode,
        now: Timestamp,
    ) -> Result<Judgement, ChallengeError> {
        let user = &person.situation.user;
        let set = user.backup.as_ref().filter(|_| person.policy.methods.backup);
        let Some(digest) = set.map(|set| set.find(code)).transpose()?.flatten() else {
            return self.wrong("no backup code, or one that was used".to_owned(), WRONG_BACKUP_CODE, now);
        };
        match self.store.use_backup_code(attempt, &digest, now)? {
            Use::First => {
                let backup_codes_left = user.backup_codes_left().saturating_sub(1);
                Ok(Judgement::Right { method: Method::Backup, backup_codes_left })
            }
            Use::Already => self.wrong("a backup code that was just used".to_owned(), WRONG_BACKUP_CODE, now),
        }
    }

    fn judge_app_code(
        &self,
        attempt: Attempt,
        person: &Person,
        code: &str,
        ahead: &mut Option<Ahead>,
        now: Timestamp,
    ) -> Result<Judgement, ChallengeError> {
        let user = &person.situation.user;
        let apps = if person.policy.methods.app { user.apps.as_slice() } else { &[] };
        // Of several apps the best news counts: a right code, else the most helpful reason.
        let mut verdict = Verification::Wrong;
        for enrolled in apps {
            let resumed = ahead.filter(|ahead| ahead.app == enrolled.id);
            let verification = match resumed.map(|ahead| enrolled.app.resync(ahead.count, code)) {
                Some(accepted @ Verification::Accepted { .. }) => accepted,
                _ => enrolled.app.verify(code, now),
            };
            match verification {
                Verification::Accepted { count } => {
                    return match self.store.use_app_code(attempt, enrolled, count, now)? {
                        Use::First => Ok(Judgement::Right {
                            method: Method::App,
                            backup_codes_left: user.backup_codes_left(),
                        }),
                        Use::Already => self.wrong_app_code(Verification::Replayed, apps, now),
                    };
                }
                Verification::Ahead { count } => {
                    *ahead = Some(Ahead { app: enrolled.id, count });
                    verdict = verification;
                }
                Verification::Wrong => {}
                Verification::Replayed | Verification::ClockWentBack | Verification::Drifted { .. } => {
                    verdict = verification;
                }
            }
        }
        self.wrong_app_code(verdict, apps, now)
    }

    fn wrong_app_code(
        &self,
        verification: Verification,
        apps: &[EnrolledApp],
        now: Timestamp,
    ) -> Result<Judgement, ChallengeError> {
        let counts = |app: &EnrolledApp| app.app.parameters.movement() == Movement::Counter;
        // The same words whether a token ran ahead or a code was guessed: they say nothing about the code.
        let wrong = if apps.iter().any(counts) { WRONG_CODE_OF_A_TOKEN } else { WRONG_CODE };
        let (why, hint) = match verification {
            Verification::Replayed => ("a code that was used already".to_owned(), USED_CODE),
            Verification::ClockWentBack => (
                "a code of now after one of the future: the clock of this machine went back".to_owned(),
                CLOCK_WENT_BACK,
            ),
            Verification::Ahead { .. } => ("the token ran ahead, its next code is needed".to_owned(), wrong),
            Verification::Drifted { seconds } => {
                let direction = if seconds < 0 { "behind" } else { "ahead" };
                let off = seconds.unsigned_abs();
                let why = format!(
                    "a code from {off} s {direction}: the clock of the phone or of this machine is wrong"
                );
                (why, wrong)
            }
            Verification::Wrong | Verification::Accepted { .. } => ("a wrong code".to_owned(), wrong),
        };
        self.wrong(why, hint, now)
    }

    fn wrong(&self, why: String, hint: &'static str, now: Timestamp) -> Result<Judgement, ChallengeError> {
        let event = Event { kind: EventKind::Refused, user: Some(self.account), detail: Some(why.clone()) };
        self.store.record(&event, self.origin, now)?;
        Ok(Judgement::Wrong { why, hint })
    }
}

const WRONG_CODE: &str = "Wrong code.";
const WRONG_BACKUP_CODE: &str = "That is none of your unused backup codes.";
const USED_CODE: &str = "That code was used already: wait for the next one.";
const WRONG_CODE_OF_A_TOKEN: &str =
    "Wrong code. With a hardware token, press its button and type the next one.";
const CLOCK_WENT_BACK: &str =
    "The clock of this machine is wrong, so no code can be checked. Tell an administrator.";

/// The most digits a code of `user`'s apps has.
pub fn digits(user: &User) -> u8 {
    user.apps.iter().map(|enrolled| enrolled.app.parameters.digits()).max().unwrap_or(6)
}
