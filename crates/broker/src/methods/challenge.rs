//! Asking for a code and believing it: the one place where that happens.
//!
//! The order is [`twofa_store::attempts`]': count, verify, mark used, and only then believe. Nothing is
//! locked while the person types.

use twofa_core::backup::HashError;
use twofa_core::policy::Methods;
use twofa_core::sent::Comparison;
use twofa_core::user::EnrolledApp;
use twofa_core::{
    Account, Answer, BackupCode, Lock, Method, Movement, Policy, Timestamp, User, Verification,
};
use twofa_proto::Prompt;
use twofa_store::{Attempt, Counted, Event, EventKind, Origin, StoreError, Tally, Use};

use crate::context::Services;
use crate::identity::person::{Person, PersonError};
use crate::methods::choice::{Begun, Choice, Sent, Unsent};
use crate::process::log::{self, Priority};
use crate::text::messages;
use crate::text::terminal::{Dialogue, Gone};

/// How many wrong answers a conversation takes.
const TRIES: u32 = 3;
/// How often somebody may ask for help, another code or another method instead. sshd 9.4 to 10.2 drop a login after 32
/// messages.
const WISHES: u32 = 8;

/// A challenge that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Challenge<'a> {
    /// Store, courier, clock.
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
    Gone(#[from] Gone),
}

impl From<StoreError> for ChallengeError {
    fn from(error: StoreError) -> Self {
        Self::Person(error.into())
    }
}

/// One answer, judged.
enum Judgement {
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

/// A hardware token that ran ahead and whose next code will be asked for (RFC 4226 §7.4).
#[derive(Clone, Copy)]
struct Ahead {
    app: i64,
    count: u64,
}

/// What one conversation knows between two prompts.
#[derive(Default)]
struct Memory {
    sent: Option<Sent>,
    ahead: Option<Ahead>,
}

impl Challenge<'_> {
    /// Asks, up to [`TRIES`] times; `intro` stands before the first question. Whatever code comes is judged by every
    /// method; a code is sent first where the person's first method is one that sends.
    pub fn ask(&self, intro: &str, dialogue: &mut dyn Dialogue) -> Result<Outcome, ChallengeError> {
        let mut choice = Choice::of(self);
        let mut memory = Memory::default();
        let mut text = match choice.begin(&mut memory.sent)? {
            Begun::Asking(question) => format!("{intro}{question}"),
            Begun::NoWay(Unsent {
                text,
                is_limited: true,
            }) => return Ok(Outcome::TooManyCodes { text }),
            Begun::NoWay(Unsent {
                text,
                is_limited: false,
            }) => return Ok(Outcome::Unreachable { text }),
        };
        let (mut tries, mut wishes) = (TRIES, WISHES);
        loop {
            let Some(typed) = dialogue.ask(text)? else {
                return Ok(Outcome::NoAnswer);
            };
            let wish = choice.read(typed.expose());
            let answer = Answer::read(typed.expose());
            drop(typed);
            if let Some(wish) = wish {
                wishes -= 1;
                if wishes == 0 {
                    return Ok(Outcome::TriesUsedUp {
                        why: "a wish instead of a code".to_owned(),
                    });
                }
                text = choice.grant(wish, &mut memory.sent)?;
                continue;
            }
            let (why, hint) = match answer {
                Answer::Empty => return Ok(Outcome::NoAnswer),
                // Not counted against the account: it was no guess. But it does use up a try.
                Answer::NotACode | Answer::Help | Answer::Resend | Answer::OtherMethod => (
                    "what was typed cannot be a code".to_owned(),
                    messages::NOT_A_CODE,
                ),
                Answer::Code(_) | Answer::Backup(_) => match self.judge(&answer, &mut memory)? {
                    Judgement::Right {
                        method,
                        backup_codes_left,
                    } => {
                        return Ok(Outcome::Passed {
                            method,
                            backup_codes_left,
                        });
                    }
                    Judgement::Locked(lock) => return Ok(Outcome::Locked(lock)),
                    Judgement::Wrong { why, hint } => (why, hint),
                },
            };
            tries -= 1;
            if tries == 0 {
                return Ok(Outcome::TriesUsedUp { why });
            }
            text = choice.again(&format!("{hint} ({})", messages::tries_left(tries)));
        }
    }

    /// Asks once, by this `prompt`, and sends no code: for clients with a single prompt, and for people who may not have
    /// shown the first factor.
    pub fn ask_once(
        &self,
        prompt: Prompt,
        dialogue: &mut dyn Dialogue,
    ) -> Result<Outcome, ChallengeError> {
        let Some(typed) = dialogue.prompt(prompt)? else {
            return Ok(Outcome::NoAnswer);
        };
        let answer = Answer::read(typed.expose());
        drop(typed);
        match answer {
            Answer::Empty => Ok(Outcome::NoAnswer),
            Answer::Help | Answer::Resend | Answer::OtherMethod | Answer::NotACode => {
                Ok(Outcome::Wrong {
                    why: "there was no code in the answer".to_owned(),
                })
            }
            Answer::Code(_) | Answer::Backup(_) => {
                Ok(match self.judge(&answer, &mut Memory::default())? {
                    Judgement::Right {
                        method,
                        backup_codes_left,
                    } => Outcome::Passed {
                        method,
                        backup_codes_left,
                    },
                    Judgement::Locked(lock) => Outcome::Locked(lock),
                    Judgement::Wrong { why, .. } => Outcome::Wrong { why },
                })
            }
        }
    }

    /// Counts, verifies, marks used.
    fn judge(&self, answer: &Answer, memory: &mut Memory) -> Result<Judgement, ChallengeError> {
        let now = self.services.now();
        let counted =
            self.services
                .store
                .count_attempt(self.account, self.tally, self.origin, now)?;
        let (attempt, situation) = match counted {
            Counted::Attempt(attempt, situation) => (attempt, situation),
            Counted::Locked(lock) => return Ok(Judgement::Locked(lock)),
            Counted::Unknown => {
                return self.wrong("the user was removed meanwhile".to_owned(), WRONG_CODE, now);
            }
        };
        let person = Person::in_situation(*situation, self.account)?;
        match answer {
            Answer::Code(code) => {
                let comparison = memory
                    .sent
                    .as_ref()
                    .map(|sent| sent.code.compare(code, now));
                match (&memory.sent, comparison) {
                    (Some(sent), Some(Comparison::Same)) => {
                        let judgement = self.judge_sent_code(attempt, &person, sent, now)?;
                        // Good once, whatever became of it.
                        memory.sent = None;
                        Ok(judgement)
                    }
                    (Some(_), Some(Comparison::Expired)) => self.wrong(
                        "a code that was sent too long ago".to_owned(),
                        EXPIRED_CODE,
                        now,
                    ),
                    _ => self.judge_app_code(attempt, &person, code, &mut memory.ahead, now),
                }
            }
            Answer::Backup(code) => self.judge_backup_code(attempt, &person, code, now),
            Answer::Empty
            | Answer::Help
            | Answer::Resend
            | Answer::OtherMethod
            | Answer::NotACode => self.wrong("nothing to verify".to_owned(), WRONG_CODE, now),
        }
    }

    /// The code that was sent is right. It passes if the address is still the person's and still allowed.
    fn judge_sent_code(
        &self,
        attempt: Attempt,
        person: &Person,
        sent: &Sent,
        now: Timestamp,
    ) -> Result<Judgement, ChallengeError> {
        let method = sent.method();
        let accepted = self.accepted.methods(&person.policy);
        let is_allowed = accepted.allows(method)
            || sent.wanted == Method::Sms
                && accepted.sms
                && person.policy.sms_falls_back_to_email();
        if !is_allowed {
            return self.wrong(
                "a code by a method that was taken away meanwhile".to_owned(),
                WRONG_CODE,
                now,
            );
        }
        match self
            .services
            .store
            .use_sent_code(attempt, sent.which, &sent.address, now)?
        {
            Use::First => {
                let backup_codes_left = person.situation.user.backup_codes_left();
                Ok(Judgement::Right {
                    method,
                    backup_codes_left,
                })
            }
            Use::Already => self.wrong(
                "the address was changed meanwhile".to_owned(),
                WRONG_CODE,
                now,
            ),
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
        let set = user
            .backup
            .as_ref()
            .filter(|_| self.accepted.methods(&person.policy).backup);
        let Some(digest) = set.map(|set| set.find(code)).transpose()?.flatten() else {
            return self.wrong(
                "no backup code, or one that was used".to_owned(),
                WRONG_BACKUP_CODE,
                now,
            );
        };
        match self.services.store.use_backup_code(attempt, &digest, now)? {
            Use::First => {
                let backup_codes_left = user.backup_codes_left().saturating_sub(1);
                Ok(Judgement::Right {
                    method: Method::Backup,
                    backup_codes_left,
                })
            }
            Use::Already => self.wrong(
                "a backup code that was just used".to_owned(),
                WRONG_BACKUP_CODE,
                now,
            ),
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
        let apps = if self.accepted.methods(&person.policy).app {
            user.apps.as_slice()
        } else {
            &[]
        };
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
                    return match self
                        .services
                        .store
                        .use_app_code(attempt, enrolled, count, now)?
                    {
                        Use::First => Ok(Judgement::Right {
                            method: Method::App,
                            backup_codes_left: user.backup_codes_left(),
                        }),
                        Use::Already => self.wrong_app_code(Verification::Replayed, apps, now),
                    };
                }
                Verification::Ahead { count } => {
                    *ahead = Some(Ahead {
                        app: enrolled.id,
                        count,
                    });
                    verdict = verification;
                }
                Verification::Wrong => {}
                Verification::Replayed
                | Verification::ClockWentBack
                | Verification::Drifted { .. } => {
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
        let wrong = if apps.iter().any(counts) {
            WRONG_CODE_OF_A_TOKEN
        } else {
            WRONG_CODE
        };
        let (why, hint) = match verification {
            Verification::Replayed => ("a code that was used already".to_owned(), USED_CODE),
            Verification::ClockWentBack => (
                "a code of now after one of the future: the clock of this machine went back"
                    .to_owned(),
                CLOCK_WENT_BACK,
            ),
            Verification::Ahead { .. } => (
                "the token ran ahead, its next code is needed".to_owned(),
                wrong,
            ),
            Verification::Drifted { seconds } => {
                let direction = if seconds < 0 { "behind" } else { "ahead" };
                let off = seconds.unsigned_abs();
                let why = format!(
                    "a code from {off} s {direction}: the clock of the phone or of this machine is wrong"
                );
                (why, wrong)
            }
            Verification::Wrong | Verification::Accepted { .. } => {
                ("a wrong code".to_owned(), wrong)
            }
        };
        self.wrong(why, hint, now)
    }

    fn wrong(
        &self,
        why: String,
        hint: &'static str,
        now: Timestamp,
    ) -> Result<Judgement, ChallengeError> {
        let event = Event {
            kind: EventKind::Refused,
            user: Some(self.account),
            detail: Some(why.clone()),
        };
        self.services.store.record(&event, self.origin, now)?;
        log::auth(
            Priority::Notice,
            &messages::log_line("wrong", self.origin, self.account, &why),
        );
        Ok(Judgement::Wrong { why, hint })
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
