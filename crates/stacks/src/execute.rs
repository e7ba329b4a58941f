//! Runs a stack whose modules' results are known, as libpam does.
//!
//! This is the model without its assumptions: given what each module returns, the calls and the result are libpam's
//! own. The end-to-end tests hold it against libpam on thousands of generated stacks.

use crate::code::Code;
use crate::control::Action;
use crate::dispatch::{Counted, Returned};
use crate::phase::Phase;
use crate::rule::{Rule, RuleKind};
use crate::service::Service;
use crate::tally::Status;

/// A function of libpam that a program calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// `pam_authenticate`.
    Authenticate,
    /// `pam_setcred`. It has the lines of `auth`, and after [`Call::Authenticate`] takes the path of that.
    SetCredentials,
    /// `pam_acct_mgmt`.
    Account,
    /// `pam_open_session`.
    OpenSession,
    /// `pam_close_session`. After [`Call::OpenSession`] it takes the path of that.
    CloseSession,
    /// The first half of `pam_chauthtok`: may the password be changed?
    CheckToken,
    /// The second half, in which it is.
    ChangeToken,
}

impl Call {
    const fn phase(self) -> Phase {
        match self {
            Self::Authenticate | Self::SetCredentials => Phase::Auth,
            Self::Account => Phase::Account,
            Self::OpenSession | Self::CloseSession => Phase::Session,
            Self::CheckToken | Self::ChangeToken => Phase::Password,
        }
    }

    /// Whether earlier results of the same lines decide the path.
    const fn is_frozen(self) -> bool {
        matches!(self, Self::SetCredentials | Self::CloseSession)
    }
}

/// What a program has after `pam_start`.
#[derive(Debug)]
pub struct Handle<'a> {
    service: &'a Service,
    /// By phase: what each line returned in the last call that no earlier one decided.
    cached: [Vec<Option<i32>>; 4],
}

impl<'a> Handle<'a> {
    /// Begins a conversation about a service.
    pub fn new(service: &'a Service) -> Self {
        let none = |phase| vec![None; service.rules(phase).len()];
        Self {
            service,
            cached: Phase::ALL.map(none),
        }
    }

    /// Makes a call and returns what the program gets. `module` says what a line returns that names a module; 28
    /// (`PAM_MODULE_UNKNOWN`) where it is missing or has no such function.
    pub fn call(&mut self, call: Call, mut module: impl FnMut(&Rule) -> i32) -> i32 {
        let phase = call.phase();
        let rules = self.service.rules(phase);
        let cached = &mut self.cached[phase as usize];
        let mut counted = Counted::START;
        let mut at = 0;
        while let Some(rule) = rules.get(at) {
            counted.enter(rule);
            let code = match &rule.kind {
                RuleKind::Substack => {
                    at += 1;
                    continue;
                }
                RuleKind::Broken => i32::DENIED,
                RuleKind::Module { .. } => module(rule),
            };
            if code == INCOMPLETE {
                return code;
            }
            let frozen = call.is_frozen().then_some(cached[at]).flatten();
            if !call.is_frozen() {
                // Not a code of its own: libpam takes it for one that was never returned.
                cached[at] = (code != NEVER_RETURNED).then_some(code);
            }
            let returned = self.service.returned(rule, code, frozen, call.is_frozen());
            at = counted.advance(rules, at, &returned);
        }
        counted.tally.result()
    }
}

/// `PAM_INCOMPLETE`.
const INCOMPLETE: i32 = 31;
/// `_PAM_INVALID_RETVAL`.
const NEVER_RETURNED: i32 = -1;

impl Service {
    /// What a line's control makes of `code`, or of the code that was returned `earlier` in the login.
    fn returned(
        &self,
        rule: &Rule,
        code: i32,
        earlier: Option<i32>,
        is_frozen: bool,
    ) -> Returned<i32> {
        let deciding = earlier.unwrap_or(code);
        let known = u8::try_from(deciding).ok().and_then(Code::from_number);
        let (action, status) = known.map_or((Action::Bad, i32::DENIED), |known| {
            (rule.control.action(known), code)
        });
        Returned {
            action,
            status,
            is_ignored: code == IGNORE && deciding != code,
            jump_counts: is_frozen && !self.is_debian,
        }
    }
}

/// `PAM_IGNORE`.
const IGNORE: i32 = 25;
