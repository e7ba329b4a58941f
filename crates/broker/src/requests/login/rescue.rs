//! Rescue codes: root and the members of `fleet.rescue-group` log in to a host of a fleet with a code that `twofa host rescue`
//! has shown on a server, where no server decides about them, or this host would refuse them.
//!
//! Whatever is in doubt, nobody is asked, and the login is refused as it is without this: only root's programs ask, once the
//! first factor was right, and while the machine is a whole member of its fleet.

use twofa_core::{Account, Answer, BackupCode, Decision, Denial, Membership};
use twofa_proto::{Login, Request, Verdict};
use twofa_store::event::RefusalReason;
use twofa_store::{Event, Origin, RescueStart, Rules, StoreError};

use super::origin;
use super::outcome::LoginOutcome;
use super::request::{LoginError, refuse};
use crate::context::Services;
use crate::identity::accounts::{self, Groups};
use crate::identity::authority::Peer;
use crate::identity::first_factor::FirstFactor;
use crate::identity::relayed::Asker;
use crate::methods::challenge::ChallengeError;
use crate::text::messages::{self, reasons};
use crate::text::terminal::Terminal;

/// How often a code may be typed in one login.
const TRIES: u32 = 3;

/// A login that might be one with a rescue code.
#[derive(Clone, Copy)]
pub(super) struct RescueLogin<'a> {
    pub(super) services: Services<'a>,
    pub(super) rules: &'a Rules,
    pub(super) peer: Peer,
    pub(super) request: &'a Request,
    pub(super) login: &'a Login,
    pub(super) account: &'a Account,
    pub(super) first_factor: FirstFactor,
}

/// What became of a code.
enum Tried {
    Right,
    Wrong,
    /// None is compared any longer.
    Refused,
}

impl RescueLogin<'_> {
    /// Asks for a rescue code in place of the refusal that was decided about one of this host's own accounts. `None`: the login
    /// goes on as decided.
    pub(super) fn before_refusal(
        &self,
        decision: Decision,
        terminal: &mut dyn Terminal,
    ) -> Result<Option<LoginOutcome>, LoginError> {
        match decision {
            Decision::Deny(Denial::NotEnrolled | Denial::NotAllowed | Denial::Locked(_)) => {
                self.ask(messages::RESCUE_NO_FACTOR, terminal)
            }
            // Of another account with this name or uid, nothing is known.
            _ => Ok(None),
        }
    }

    /// Asks for a rescue code, after saying why. `None`: nobody may use one here, or none was typed.
    pub(super) fn ask(
        &self,
        why: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Option<LoginOutcome>, LoginError> {
        let Some(host) = self.host_of_code() else {
            return Ok(None);
        };
        let mut text = messages::rescue(why, host);
        for _ in 0..TRIES {
            let typed = terminal.ask(text)?;
            let answer = typed.map_or(Answer::Empty, |typed| Answer::read(typed.expose()));
            let tried = match answer {
                Answer::Empty => return Ok(None),
                Answer::Backup(code) => self.try_code(&code)?,
                // What cannot be a code is not counted.
                _ => Tried::Wrong,
            };
            text = match tried {
                Tried::Right => {
                    let outcome = LoginOutcome::new(Verdict::Passed, reasons::RESCUE_CODE);
                    return Ok(Some(outcome));
                }
                Tried::Refused => {
                    let outcome = LoginOutcome::new(Verdict::TriesUsedUp, reasons::RESCUE_LOCKED);
                    return refuse(messages::RESCUE_LOCKED, outcome, terminal).map(Some);
                }
                Tried::Wrong => messages::rescue(messages::RESCUE_WRONG, host),
            };
        }
        let outcome = LoginOutcome::new(Verdict::TriesUsedUp, reasons::RESCUE_WRONG);
        refuse(messages::TOO_MANY_WRONG_ANSWERS, outcome, terminal).map(Some)
    }

    /// The name of this host in its fleet, if this login may use a rescue code.
    fn host_of_code(&self) -> Option<&str> {
        let Self {
            services,
            rules,
            login,
            ..
        } = self;
        let store = services.store;
        let joined = rules.fleet.as_ref()?;
        let is_account = matches!(self.request, Request::Account(_));
        let can_ask =
            !login.cannot_answer && !login.behind_password && (login.may_ask || !is_account);
        let is_proved = self.peer.is_root() && self.first_factor == FirstFactor::Shown;
        if !can_ask || !is_proved || !self.may_use_codes() {
            return None;
        }
        // A copy of the machine, or half a member, takes none.
        let is_member = services.fleet.servers(Some(joined), store);
        let is_open = store.may_try_rescue_code(self.account);
        let may = matches!(is_member, Ok(Some(_))) && matches!(is_open, Ok(true));
        may.then_some(&*joined.name)
    }

    /// Whether it is root, or known to be a member of the group that a server has signed.
    fn may_use_codes(&self) -> bool {
        if self.account.uid == 0 {
            return true;
        }
        let Some(name) = &self.rules.rulebook.machine().rescue_group else {
            return false;
        };
        let fleet = self.services.fleet;
        if fleet.check_policy(self.rules, self.services.store).is_err() {
            return false;
        }
        let Ok(Some(group)) = accounts::group(name) else {
            return false;
        };
        Groups::new(self.account).membership(&group) == Membership::Member
    }

    fn try_code(&self, code: &BackupCode) -> Result<Tried, LoginError> {
        let (store, now) = (self.services.store, self.services.now());
        let origin = origin::for_log(Asker::Process(self.peer), self.login);
        let attempt = match store.begin_rescue(self.account, &origin, now)? {
            RescueStart::Attempt(attempt) => attempt,
            RescueStart::Refused => return Ok(Tried::Refused),
        };
        let Some(found) = attempt.find(code).map_err(ChallengeError::from)? else {
            self.record_wrong(&origin)?;
            return Ok(Tried::Wrong);
        };
        Ok(
            if store.use_rescue_code(self.account, found, &origin, now)? {
                Tried::Right
            } else {
                Tried::Wrong
            },
        )
    }

    fn record_wrong(&self, origin: &Origin) -> Result<(), StoreError> {
        let why = RefusalReason::WrongRescueCode;
        let event = Event::Refused { why };
        let (store, now) = (self.services.store, self.services.now());
        store.record(Some(self.account), &event, origin, now)
    }
}

#[cfg(test)]
mod tests;
