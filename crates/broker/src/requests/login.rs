//! A login, as the PAM module asks about it.

use std::net::IpAddr;

use twofa_core::decision::Reason;
use twofa_core::exemption::{Exemption, LoginSource};
use twofa_core::text::printable;
use twofa_core::{Account, Decision, Denial, Method, Timestamp};
use twofa_proto::{Done, Login, Request, Verdict};
use twofa_store::event::{LoginOrigin, RefusalReason};
use twofa_store::{Event, Origin, StoreError, Tally};

use crate::context::Services;
use crate::identity::accounts;
use crate::identity::authority::{Peer, Permission};
use crate::identity::first_factor::FirstFactor;
use crate::identity::person::{Person, PersonError};
use crate::methods::challenge::{Accepted, Challenge, ChallengeError, ChallengeOutcome};
use crate::methods::choice::Unsent;
use crate::methods::enrolment::{Enrolment, EnrolmentError, FirstMethod};
use crate::process::log::{self, Priority};
use crate::requests::login_outcome::LoginOutcome;
use crate::requests::unproved::{self, Who};
use crate::text::terminal::Terminal;
use crate::text::{events, messages};

/// The longest that what an application says of a login is kept, in characters.
const LONGEST_CLAIM: usize = 128;
/// From so few backup codes on, every login says how many are left.
const FEW_BACKUP_CODES: usize = 2;

/// Why somebody cannot be helped where the password may be wrong; `doubt` is why that is not known.
fn not_here(doubt: Option<String>) -> String {
    let (why, what) = match doubt {
        None => (
            "nothing shows that the first factor was right when this line of the PAM stack asks"
                .to_owned(),
            "use 'account required pam_twofa.so challenge', see pam_twofa(8)",
        ),
        Some(doubt) => (
            format!(
                "it is not known whether this PAM stack goes on after a wrong password ({doubt})"
            ),
            "see THE FIRST FACTOR in twofad(8)",
        ),
    };
    format!("{why}, so nothing can be sent, set up or explained here: {what}")
}

/// Why there is no outcome; whatever it is, it ends in a refusal.
#[derive(Debug, thiserror::Error)]
enum LoginError {
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
}

impl<E: Into<PersonError>> From<E> for LoginError {
    fn from(error: E) -> Self {
        Self::Challenge(ChallengeError::Person(error.into()))
    }
}

/// Serves [`Request::Login`] and [`Request::Account`]. Whatever goes wrong is a refusal.
pub fn serve(
    services: Services<'_>,
    peer: Peer,
    request: &Request,
    login: &Login,
    terminal: &mut dyn Terminal,
) -> Done {
    match rule(services, peer, request, login, terminal) {
        Ok(outcome) => outcome.into(),
        Err(
            LoginError::Challenge(ChallengeError::TerminalClosed(closed))
            | LoginError::Enrolment(EnrolmentError::TerminalClosed(closed)),
        ) => LoginOutcome::new(Verdict::NoAnswer, closed.to_string()).into(),
        Err(error) => {
            let _ = terminal.error(messages::UNAVAILABLE);
            unavailable(&error.to_string())
        }
    }
}

/// The end of a login that cannot be checked.
pub fn unavailable(why: &str) -> Done {
    LoginOutcome::new(Verdict::Unavailable, why).into()
}

fn rule(
    services: Services<'_>,
    peer: Peer,
    request: &Request,
    login: &Login,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    // Where nobody is asked for anything, nothing that can fail is needed to say so.
    let rulebook = &services.store.rules_in_force()?.rulebook;
    if rulebook.asks_nobody() {
        return Ok(LoginOutcome::new(
            Verdict::NotRequired,
            "the policy is disabled",
        ));
    }
    let first_factor = services.stacks.first_factor(peer, request, login);
    let application = messages::application_name(rulebook.machine());
    let is_account = matches!(request, Request::Account(_));
    let Some(account) = accounts::find(&login.user)? else {
        const WHY: &str = "there is no such account";
        if is_account || first_factor == FirstFactor::Shown {
            return Ok(LoginOutcome::new(Verdict::Denied, WHY));
        }
        return unproved_or_later(
            first_factor,
            login,
            &application,
            Who::Refused(WHY.to_owned()),
            terminal,
        );
    };
    let person = Person::of(services.store, &account)?;
    let now = services.now();
    let (decision, exemption) = person.decide(&account, source(peer, login), now);
    if peer.may(request, &account) != Permission::Granted {
        return Ok(for_stranger(peer, &account, decision));
    }
    let request_ = LoginRequest {
        services,
        peer,
        login,
        account: &account,
        person: &person,
        origin: origin(peer, login),
    };
    let can_ask = login.may_ask && !login.cannot_answer || login.behind_password;
    let outcome = match (decision, first_factor) {
        (Decision::NotRequired(reason), first_factor)
            if is_account || first_factor == FirstFactor::Shown =>
        {
            Ok(not_required(reason, exemption.as_ref(), &person))
        }
        // A refusal has reasons of its own, which need no question.
        (Decision::Deny(denial), FirstFactor::Shown) => request_.deny(denial, now, terminal),
        _ if is_account && !can_ask => request_.was_not_asked(terminal),
        (decision, FirstFactor::Shown) => request_
            .decided(decision, terminal)
            .inspect_err(|error| request_.was_left(error)),
        (decision, first_factor) => {
            let who = match decision {
                Decision::NotRequired(reason) => {
                    Who::NotAsked(not_required(reason, exemption.as_ref(), &person))
                }
                Decision::Trusted => {
                    Who::NotAsked(LoginOutcome::new(Verdict::Passed, "by a trusted device"))
                }
                Decision::Challenge if request_.has_something_at_hand() => {
                    Who::Asked(request_.as_challenge("", Accepted::Allowed, Tally::Unproved))
                }
                Decision::Deny(Denial::Locked(lock)) => Who::Refused(messages::locked(lock, now)),
                Decision::Challenge | Decision::Enrol | Decision::Replace | Decision::Deny(_) => {
                    Who::Refused(not_here(services.stacks.doubt(login)))
                }
            };
            unproved_or_later(first_factor, login, &application, who, terminal)
        }
    }?;
    Ok(match person.doubts() {
        Some(doubts) => outcome.under_doubts(&doubts),
        None => outcome,
    })
}

/// The answer to a peer that may not ask about `account`. A service that is not root and lets people in must learn that
/// policy asks nothing of them; it learns nothing else.
fn for_stranger(peer: Peer, account: &Account, decision: Decision) -> LoginOutcome {
    match decision {
        Decision::NotRequired(_) => {
            LoginOutcome::new(Verdict::NotRequired, "nothing is asked of this user")
        }
        _ => LoginOutcome::new(
            Verdict::Denied,
            format!("uid {} may not ask about {}", peer.uid, account.name),
        ),
    }
}

/// Asks where the first factor may be wrong, or leaves that to the line that comes when it is right.
fn unproved_or_later(
    first_factor: FirstFactor,
    login: &Login,
    application: &str,
    who: Who<'_>,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    if first_factor != FirstFactor::LaterLine {
        return Ok(unproved::ask(login, application, who, terminal)?);
    }
    if login.behind_password {
        terminal
            .prompt(unproved::prompt(login, application, &who))
            .map_err(ChallengeError::from)?;
    }
    Ok(LoginOutcome::new(
        Verdict::Later,
        "a line of the stack that comes later asks",
    ))
}

fn not_required(reason: Reason, exemption: Option<&Exemption>, person: &Person) -> LoginOutcome {
    let verdict = if reason == Reason::Exempt {
        Verdict::Exempt
    } else {
        Verdict::NotRequired
    };
    let why = match reason {
        Reason::Disabled => format!("the policy of class '{}' is disabled", person.class),
        Reason::NotEnrolled => "it is optional and nothing is enrolled".to_owned(),
        Reason::OptedOut => "it is optional and the user chose not to be asked".to_owned(),
        Reason::Exempt => format!(
            "exempt: {}",
            exemption.map_or("", |exemption| &exemption.reason)
        ),
    };
    LoginOutcome::new(verdict, why)
}

/// A login of somebody who is known and may be asked.
struct LoginRequest<'a> {
    services: Services<'a>,
    peer: Peer,
    login: &'a Login,
    account: &'a Account,
    person: &'a Person,
    origin: Origin,
}

impl LoginRequest<'_> {
    fn application(&self) -> String {
        messages::application_name(&self.person.policy)
    }

    /// Carries out what was decided about somebody who has shown the first factor.
    fn decided(
        &self,
        decision: Decision,
        terminal: &mut dyn Terminal,
    ) -> Result<LoginOutcome, LoginError> {
        let enrols = matches!(decision, Decision::Enrol | Decision::Replace);
        if enrols && self.login.cannot_answer && !self.login.behind_password {
            // Most likely nothing comes back, and then nothing is begun.
            let probe = messages::enrolment_probe(&self.application());
            if terminal.ask(probe).map_err(ChallengeError::from)?.is_none() {
                return self.conclude(ChallengeOutcome::NoAnswer, terminal);
            }
        }
        match decision {
            Decision::NotRequired(reason) => Ok(not_required(reason, None, self.person)),
            Decision::Trusted => Ok(LoginOutcome::new(Verdict::Passed, "by a trusted device")),
            Decision::Deny(denial) => self.deny(denial, self.services.now(), terminal),
            Decision::Enrol => {
                self.enrol(false, &messages::must_enrol(&self.application()), terminal)
            }
            Decision::Replace => self.replace(terminal),
            Decision::Challenge => self.challenge(terminal),
        }
    }

    /// A login that comes to the account phase without a code, where none can be asked for.
    fn was_not_asked(&self, terminal: &mut dyn Terminal) -> Result<LoginOutcome, LoginError> {
        let advice = messages::not_asked(self.origin.service(), self.login.cannot_answer);
        terminal
            .error(advice.person)
            .map_err(ChallengeError::from)?;
        let why = self.record_refusal(advice.why)?;
        Ok(LoginOutcome::new(Verdict::Denied, why))
    }

    /// Somebody with the right password went away at the prompt: that may be the sign of a stolen one.
    fn was_left(&self, error: &LoginError) {
        if !matches!(
            error,
            LoginError::Challenge(ChallengeError::TerminalClosed(_))
                | LoginError::Enrolment(EnrolmentError::TerminalClosed(_))
        ) {
            return;
        }
        let why = events::refusal(RefusalReason::GivenUp, self.services.now());
        log::auth(
            Priority::Notice,
            &messages::log_line("given up", &self.origin, self.account, &why),
        );
        if let Err(error) = self.record_giving_up(RefusalReason::GivenUp) {
            log::warn(&format!(
                "cannot record that {} gave up a login: {error}",
                self.account.name
            ));
        }
    }

    /// Records that a login ended without a code. One in which a wrong code was typed is on record already.
    fn record_giving_up(&self, why: RefusalReason) -> Result<(), StoreError> {
        let attempts = self
            .services
            .store
            .snapshot(self.account)?
            .user
            .throttle
            .attempts;
        if attempts != self.person.situation.user.throttle.attempts {
            return Ok(());
        }
        self.record_refusal(why).map(drop)
    }

    fn as_challenge<'b>(
        &'b self,
        purpose: &'b str,
        accepted: Accepted,
        tally: Tally,
    ) -> Challenge<'b> {
        let Self {
            services,
            account,
            person,
            origin,
            login,
            ..
        } = self;
        let cannot_answer = login.cannot_answer;
        Challenge {
            services: *services,
            account,
            origin,
            person,
            purpose,
            accepted,
            tally,
            cannot_answer,
        }
    }

    /// Whether the person can show a code without one being sent.
    fn has_something_at_hand(&self) -> bool {
        let user = &self.person.situation.user;
        let is_at_hand = |method: Method| method.channel().is_none();
        user.enrolled().iter().any(is_at_hand) || user.backup_codes_left() > 0
    }

    fn challenge(&self, terminal: &mut dyn Terminal) -> Result<LoginOutcome, LoginError> {
        let purpose = messages::purpose_of_login(self.origin.service());
        let challenge = self.as_challenge(&purpose, Accepted::Allowed, Tally::Proved);
        if self.login.behind_password && !self.has_something_at_hand() {
            terminal
                .error(messages::NO_ROOM_FOR_SENT)
                .map_err(ChallengeError::from)?;
            let why = "codes are sent to this user, and this client has one prompt only";
            return Ok(LoginOutcome::new(Verdict::Denied, why));
        }
        let outcome = if self.login.behind_password {
            challenge.ask_once(
                unproved::prompt(self.login, "", &Who::Asked(challenge)),
                terminal,
            )?
        } else {
            challenge.ask("", terminal)?
        };
        self.conclude(outcome, terminal)
    }

    /// Asks for a code of a method that the policy no longer allows, then leads through enrolling one that it does.
    fn replace(&self, terminal: &mut dyn Terminal) -> Result<LoginOutcome, LoginError> {
        let Self {
            services,
            account,
            person,
            origin,
            ..
        } = self;
        if self.login.behind_password {
            terminal
                .error(messages::NO_ROOM_TO_ENROL)
                .map_err(ChallengeError::from)?;
            let why =
                "the enrolled method is no longer allowed, and this client has one prompt only";
            return Ok(LoginOutcome::new(Verdict::Denied, why));
        }
        let purpose = messages::purpose_of_login(origin.service());
        let challenge = self.as_challenge(&purpose, Accepted::Enrolled, Tally::Proved);
        match challenge.ask(&messages::prove_first(&self.application()), terminal)? {
            ChallengeOutcome::Passed { .. } => {}
            outcome => return self.conclude(outcome, terminal),
        }
        let fresh = Person::of(services.store, account)?;
        let Self { peer, login, .. } = *self;
        let (decision, _) = fresh.decide(account, source(peer, login), services.now());
        // Nothing is enrolled by what was decided before the code was typed.
        if fresh.situation.generation != person.situation.generation
            || decision != Decision::Replace
        {
            return self.changed_meanwhile(terminal);
        }
        LoginRequest {
            services: *services,
            peer,
            login,
            account,
            person: &fresh,
            origin: origin.clone(),
        }
        .enrol(true, "Now set up one that is allowed.", terminal)
    }

    /// Leads somebody who must have a second factor and has none through setting one up; `intro` stands before it.
    /// Their first code is the one that lets them in.
    fn enrol(
        &self,
        is_proved: bool,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<LoginOutcome, LoginError> {
        let Self {
            services,
            account,
            person,
            origin,
            ..
        } = self;
        if self.login.behind_password {
            terminal
                .error(messages::NO_ROOM_TO_ENROL)
                .map_err(ChallengeError::from)?;
            return Ok(LoginOutcome::new(
                Verdict::Denied,
                "nothing is enrolled, and this client has one prompt only",
            ));
        }
        let enrolment = Enrolment {
            services: *services,
            account,
            origin,
            policy: &person.policy,
        };
        match enrolment.of_a_first_method(&person.situation, is_proved, intro, terminal) {
            Ok(FirstMethod {
                by,
                is_recorded: true,
                ..
            }) => Ok(LoginOutcome::new(Verdict::Passed, events::proof(&by))),
            Ok(FirstMethod {
                by,
                generation,
                is_recorded: false,
            }) => {
                let why = events::proof(&by);
                match services
                    .store
                    .record_pass(account, generation, by, origin, services.now())
                {
                    Ok(()) => Ok(LoginOutcome::new(Verdict::Passed, why)),
                    Err(StoreError::ChangedMeanwhile) => self.changed_meanwhile(terminal),
                    Err(error) => Err(error.into()),
                }
            }
            Err(EnrolmentError::NotConfirmed) => {
                let why = self.record_refusal(RefusalReason::NotConfirmed)?;
                terminal
                    .error("No second factor was set up, so this login is refused.")
                    .map_err(ChallengeError::from)?;
                Ok(LoginOutcome::new(Verdict::Denied, why))
            }
            Err(EnrolmentError::Locked(lock)) => {
                self.deny(Denial::Locked(lock), services.now(), terminal)
            }
            Err(EnrolmentError::NoMethod) => {
                terminal
                    .error(messages::NO_METHOD)
                    .map_err(ChallengeError::from)?;
                let why = events::refusal(RefusalReason::NoMethod, services.now());
                Ok(LoginOutcome::new(Verdict::Unavailable, why))
            }
            Err(EnrolmentError::OutOfReach) => {
                terminal
                    .error(messages::OUT_OF_REACH)
                    .map_err(ChallengeError::from)?;
                let why = self.record_refusal(RefusalReason::OutOfReach)?;
                Ok(LoginOutcome::new(Verdict::Unavailable, why))
            }
            Err(EnrolmentError::NotSent(Unsent { text, is_limited })) => {
                terminal.error(&text).map_err(ChallengeError::from)?;
                Ok(if is_limited {
                    LoginOutcome::new(
                        Verdict::TriesUsedUp,
                        "the limit on codes to enrol with is reached",
                    )
                } else {
                    LoginOutcome::new(
                        Verdict::Unavailable,
                        "no code could be sent to enrol with: see 'twofa log'",
                    )
                })
            }
            Err(EnrolmentError::Store(StoreError::ChangedMeanwhile)) => {
                self.changed_meanwhile(terminal)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn changed_meanwhile(&self, terminal: &mut dyn Terminal) -> Result<LoginOutcome, LoginError> {
        let text = "Your second factor was set up or changed meanwhile: log in again.";
        terminal.error(text).map_err(ChallengeError::from)?;
        let why = self.record_refusal(RefusalReason::MethodsChanged)?;
        Ok(LoginOutcome::new(Verdict::Denied, why))
    }

    fn deny(
        &self,
        denial: Denial,
        now: Timestamp,
        terminal: &mut dyn Terminal,
    ) -> Result<LoginOutcome, LoginError> {
        let (verdict, why, text) = match denial {
            Denial::NotEnrolled => (
                Verdict::Denied,
                RefusalReason::NotEnrolled,
                messages::not_enrolled(&self.application(), &self.account.name),
            ),
            Denial::NotAllowed => (
                Verdict::Denied,
                RefusalReason::NotAllowed,
                messages::NOT_ALLOWED.to_owned(),
            ),
            Denial::Locked(lock) => (
                Verdict::TriesUsedUp,
                lock.into(),
                messages::locked(lock, now),
            ),
            Denial::IdentityMismatch => (
                Verdict::Denied,
                RefusalReason::IdentityMismatch,
                messages::NAMESAKE.to_owned(),
            ),
        };
        let why = self.record_refusal(why)?;
        terminal.error(&text).map_err(ChallengeError::from)?;
        Ok(LoginOutcome::new(verdict, why))
    }

    /// Records a refusal for which nothing was typed, and says it in words. A user can ask about themselves as often as
    /// they like, and must not fill the disk with it.
    fn record_refusal(&self, why: RefusalReason) -> Result<String, StoreError> {
        let (store, now) = (self.services.store, self.services.now());
        if self.peer.is_root() {
            let event = Event::Refused { why };
            store.record(Some(self.account), &event, &self.origin, now)?;
        }
        Ok(events::refusal(why, now))
    }

    fn conclude(
        &self,
        outcome: ChallengeOutcome,
        terminal: &mut dyn Terminal,
    ) -> Result<LoginOutcome, LoginError> {
        let now = self.services.now();
        let (outcome, text) = match outcome {
            ChallengeOutcome::Passed {
                method,
                backup_codes_left,
            } => {
                self.welcome(method, backup_codes_left, terminal);
                let mut why = format!("by {}", method.info().noun);
                if method == Method::Backup {
                    why.push_str(&format!(", {backup_codes_left} left"));
                }
                return Ok(LoginOutcome::new(Verdict::Passed, why));
            }
            ChallengeOutcome::Wrong { why } => (
                LoginOutcome::new(Verdict::Denied, why),
                "Wrong code.".to_owned(),
            ),
            ChallengeOutcome::TriesUsedUp { why } => {
                let why = format!("all tries are used up, the last was {why}");
                (
                    LoginOutcome::new(Verdict::TriesUsedUp, why),
                    "Too many wrong answers.".to_owned(),
                )
            }
            ChallengeOutcome::Locked(lock) => (
                LoginOutcome::new(Verdict::TriesUsedUp, messages::locked(lock, now)),
                messages::locked(lock, now),
            ),
            ChallengeOutcome::Unreachable { text } => {
                let why = "no code could be sent and there is no other way: see 'twofa log'";
                (LoginOutcome::new(Verdict::Unavailable, why), text)
            }
            ChallengeOutcome::TooManyCodes { text } => {
                let why = "the limit on codes is reached and there is no other way: see 'send.*' in 'twofa policy show'";
                (LoginOutcome::new(Verdict::TriesUsedUp, why), text)
            }
            ChallengeOutcome::NoAnswer => {
                let why = RefusalReason::NoCodeEntered;
                self.record_giving_up(why)?;
                (
                    LoginOutcome::new(Verdict::NoAnswer, events::refusal(why, now)),
                    "No code was entered.".to_owned(),
                )
            }
        };
        terminal.error(&text).map_err(ChallengeError::from)?;
        Ok(outcome)
    }

    /// What somebody who is in should know. A client that does not show it has still logged in.
    fn welcome(&self, method: Method, backup_codes_left: usize, terminal: &mut dyn Terminal) {
        if let Some(missed) = &self.person.situation.missed {
            let _ = terminal.info(messages::missed(missed, self.services.now()).into());
        }
        let few = self.person.policy.methods.contains(Method::Backup)
            && backup_codes_left <= FEW_BACKUP_CODES;
        if few || method == Method::Backup {
            let _ = terminal.info(messages::backup_codes_left(backup_codes_left).into());
        }
    }
}

/// Where the login comes from, as far as it can be believed: root's module repeats what sshd and login say,
/// anybody else's can say anything.
fn source(peer: Peer, login: &Login) -> LoginSource<'_> {
    if !peer.is_root() {
        return LoginSource::default();
    }
    let address = login
        .remote_host
        .as_deref()
        .and_then(|host| host.parse::<IpAddr>().ok());
    LoginSource {
        service: Some(&login.service),
        address,
    }
}

/// The same for the audit log.
fn origin(peer: Peer, login: &Login) -> Origin {
    if !peer.is_root() {
        return Origin::login(peer.uid, LoginOrigin::default());
    }
    let claim = |text: &str| {
        let text: String = printable(text).chars().take(LONGEST_CLAIM).collect();
        Some(text).filter(|text| !text.is_empty())
    };
    let source = LoginOrigin {
        service: claim(&login.service),
        remote_host: login.remote_host.as_deref().and_then(claim),
        remote_user: login.remote_user.as_deref().and_then(claim),
        terminal: login.terminal.as_deref().and_then(claim),
    };
    Origin::login(peer.uid, source)
}
