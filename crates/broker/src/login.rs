//! A login, as the PAM module asks about it.

use twofa_core::{Account, Decision, Denial, Method, Policy, Timestamp, decide};
use twofa_proto::{Done, Login, Request, Verdict};
use twofa_store::{Event, EventKind, Origin, Store, StoreError};

use crate::accounts;
use crate::authority::{Peer, Permission};
use crate::challenge::{self, Challenge, ChallengeError, Outcome};
use crate::dialogue::Dialogue;
use crate::words;

/// What a login came to, and why, for the log.
struct Ruling {
    verdict: Verdict,
    why: String,
}

impl From<Ruling> for Done {
    fn from(Ruling { verdict, why }: Ruling) -> Self {
        Self::Login { verdict, why: words::printable(&why) }
    }
}

/// Serves [`Request::Login`] and [`Request::Account`]. Whatever goes wrong is a refusal.
pub fn serve(
    store: &Store,
    clock: fn() -> Timestamp,
    peer: Peer,
    request: &Request,
    login: &Login,
    dialogue: &mut dyn Dialogue,
) -> Done {
    match rule(store, clock, peer, request, login, dialogue) {
        Ok(ruling) => ruling.into(),
        Err(ChallengeError::Gone(gone)) => {
            Ruling { verdict: Verdict::NoAnswer, why: gone.to_string() }.into()
        }
        Err(error) => {
            let _ = dialogue.error(words::UNAVAILABLE);
            unavailable(&error.to_string())
        }
    }
}

/// The end of a login that cannot be checked.
pub fn unavailable(why: &str) -> Done {
    Ruling { verdict: Verdict::Unavailable, why: why.to_owned() }.into()
}

fn rule(
    store: &Store,
    clock: fn() -> Timestamp,
    peer: Peer,
    request: &Request,
    login: &Login,
    dialogue: &mut dyn Dialogue,
) -> Result<Ruling, ChallengeError> {
    let account = match accounts::find(&login.user) {
        Ok(Some(account)) => account,
        Ok(None) => return Ok(refuse_unknown(&store.policy()?, login)),
        Err(error) => return Ok(Ruling { verdict: Verdict::Unavailable, why: error.to_string() }),
    };
    if peer.may(request, &account) != Permission::Granted {
        let why = format!("uid {} may not ask about {}", peer.uid, account.name);
        return Ok(Ruling { verdict: Verdict::Denied, why });
    }
    let origin = origin(peer, login);
    let situation = store.situation(&account)?;
    let application = words::application_name(&situation.policy);
    match decide(&situation.policy, &situation.user, clock()) {
        Decision::NotRequired => Ok(Ruling {
            verdict: Verdict::NotRequired,
            why: "policy asks no second factor of this user".to_owned(),
        }),
        Decision::Deny(denial) => {
            Ok(deny(store, &account, &origin, denial, &application, clock(), dialogue)?)
        }
        Decision::Challenge if matches!(request, Request::Account(_)) => {
            dialogue.error("This login needs a second factor and was not asked for one.")?;
            let why = "a second factor is needed and was not asked for: for sshd with keys, set \
                       'AuthenticationMethods publickey,keyboard-interactive'";
            Ok(Ruling { verdict: Verdict::Denied, why: why.to_owned() })
        }
        Decision::Challenge => {
            let challenge = Challenge { store, account: &account, origin: &origin, clock };
            let user = &situation.user;
            let outcome = if login.behind_password {
                challenge.ask_behind_password(challenge::digits(user), dialogue)?
            } else {
                let first =
                    words::code_prompt(&application, situation.policy.methods, user.backup_codes_left() > 0);
                challenge.ask(&application, first, dialogue)?
            };
            conclude(outcome, clock(), dialogue)
        }
    }
}

fn refuse_unknown(policy: &Policy, login: &Login) -> Ruling {
    // Where nobody is asked for anything, an account we cannot see is no business of ours.
    if policy.mode == twofa_core::Mode::Disabled {
        return Ruling { verdict: Verdict::NotRequired, why: "the policy is disabled".to_owned() };
    }
    Ruling { verdict: Verdict::Denied, why: format!("there is no account called '{}'", login.user) }
}

fn deny(
    store: &Store,
    account: &Account,
    origin: &Origin,
    denial: Denial,
    application: &str,
    now: Timestamp,
    dialogue: &mut dyn Dialogue,
) -> Result<Ruling, ChallengeError> {
    let (verdict, why, text) = match denial {
        Denial::NotEnrolled => (
            Verdict::Denied,
            "a second factor is required and none is enrolled".to_owned(),
            words::not_enrolled(application, &account.name),
        ),
        Denial::Locked(lock) => (Verdict::TriesUsedUp, words::locked(lock, now), words::locked(lock, now)),
    };
    record_refusal(store, account, origin, &why, now)?;
    dialogue.error(&text)?;
    Ok(Ruling { verdict, why })
}

fn record_refusal(
    store: &Store,
    account: &Account,
    origin: &Origin,
    why: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let event = Event { kind: EventKind::Refused, user: Some(account), detail: Some(why.to_owned()) };
    store.record(&event, origin, now)
}

fn conclude(outcome: Outcome, now: Timestamp, dialogue: &mut dyn Dialogue) -> Result<Ruling, ChallengeError> {
    let (verdict, why) = match outcome {
        Outcome::Passed { method: Method::App, .. } => {
            (Verdict::Passed, "by an authenticator app".to_owned())
        }
        Outcome::Passed { method: Method::Backup, backup_codes_left: left } => {
            // The login stands: a client that does not show this has still logged in.
            let _ = dialogue.info(words::backup_codes_left(left).into());
            (Verdict::Passed, format!("by a backup code, {left} left"))
        }
        Outcome::Wrong { why } => {
            dialogue.error("Wrong code.")?;
            (Verdict::Denied, why)
        }
        Outcome::TriesUsedUp { why } => {
            dialogue.error("Too many wrong answers.")?;
            (Verdict::TriesUsedUp, format!("all tries are used up, the last was {why}"))
        }
        Outcome::Locked(lock) => {
            dialogue.error(&words::locked(lock, now))?;
            (Verdict::TriesUsedUp, words::locked(lock, now))
        }
        Outcome::NoAnswer => {
            dialogue.error("No code was entered.")?;
            (Verdict::NoAnswer, "no code was entered".to_owned())
        }
    };
    Ok(Ruling { verdict, why })
}

fn origin(peer: Peer, login: &Login) -> Origin {
    let clean = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(words::printable);
    Origin {
        actor: peer.uid,
        service: clean(&Some(login.service.clone())),
        remote_host: clean(&login.remote_host),
        terminal: clean(&login.terminal),
    }
}
