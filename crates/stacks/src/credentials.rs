//! Whether `pam_setcred` can succeed: where its failure ends a login (su, login, sshd after a code), nobody gets in
//! otherwise.
//!
//! After `pam_authenticate` it follows the results of that, and its value is made of its own: both are followed together,
//! line by line. Without it (sshd by key, cron) its own results decide.

use crate::code::{Code, Codes};
use crate::dispatch::{Counted, Returned};
use crate::module::{self, Behaviour, Caller, behaviour, name};
use crate::paths::Ending;
use crate::phase::Phase;
use crate::programs::asks_for_itself;
use crate::rule::{Rule, RuleKind};
use crate::service::Service;

/// Whether `pam_setcred` can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// After a login, in the same conversation.
    pub after_login: bool,
    /// In a conversation without one: sshd by key, and also by keyboard-interactive, which authenticates in a process
    /// of its own.
    pub without_login: bool,
}

/// How far both calls have come.
#[derive(Clone, Copy, PartialEq)]
struct Both {
    auth: (usize, Counted<Ending>),
    credentials: (usize, Counted<Ending>),
}

impl Service {
    pub(crate) fn credentials(&self, is_installed: &dyn Fn(&str) -> Option<bool>) -> Credentials {
        let asks_for_itself = asks_for_itself(&self.name);
        let callers = if asks_for_itself {
            &[false][..]
        } else {
            &[false, true]
        };
        let can_succeed = |has_login| {
            callers.iter().any(|&root| {
                let caller = Caller {
                    root,
                    asks_for_itself,
                };
                self.can_set_credentials(has_login, caller, is_installed)
            })
        };
        Credentials {
            after_login: can_succeed(true),
            without_login: can_succeed(false),
        }
    }

    fn can_set_credentials(
        &self,
        has_login: bool,
        caller: Caller,
        is_installed: &dyn Fn(&str) -> Option<bool>,
    ) -> bool {
        let rules = &self.auth;
        // Without a login, the other call is at the end before it begins.
        let begin = if has_login { 0 } else { rules.len() };
        let mut states = vec![Both {
            auth: (begin, Counted::START),
            credentials: (0, Counted::START),
        }];
        for (at, rule) in rules.iter().enumerate() {
            let codes = Line::new(rule, caller, is_installed);
            let mut next: Vec<Both> = Vec::new();
            for state in states {
                for new in self.step(at, state, &codes) {
                    if !next.contains(&new) {
                        next.push(new);
                    }
                }
            }
            states = next;
        }
        states.iter().any(|Both { auth, credentials }| {
            let is_success = |counted: &Counted<Ending>| counted.tally.result() == Ending::Success;
            is_success(&credentials.1) && (!has_login || is_success(&auth.1))
        })
    }

    /// What both calls have counted after a line, if they come by it.
    fn step(&self, at: usize, mut state: Both, line: &Line<'_>) -> Vec<Both> {
        let rules = &self.auth;
        let (in_auth, in_credentials) = (state.auth.0 == at, state.credentials.0 == at);
        for (is_here, counted) in [
            (in_auth, &mut state.auth.1),
            (in_credentials, &mut state.credentials.1),
        ] {
            if is_here {
                counted.enter(line.rule);
            }
        }
        if line.rule.kind == RuleKind::Substack {
            state.auth.0 += usize::from(in_auth);
            state.credentials.0 += usize::from(in_credentials);
            return vec![state];
        }
        let earlier: Vec<_> = if in_auth {
            line.auth.iter().copied().map(Some).collect()
        } else {
            vec![None]
        };
        let mut found = Vec::new();
        for earlier in earlier {
            let mut state = state;
            if let Some(code) = earlier {
                let returned =
                    Returned::new(line.rule.control.action(code), Ending::from_code(code));
                state.auth.0 = state.auth.1.advance(rules, at, &returned);
            }
            if !in_credentials {
                found.push(state);
                continue;
            }
            for &code in &line.credentials {
                let mut state = state;
                let deciding = earlier.unwrap_or(code);
                let returned = Returned {
                    is_ignored: code == Code::IGNORE && deciding != code,
                    jump_counts: !self.is_debian,
                    ..Returned::new(line.rule.control.action(deciding), Ending::from_code(code))
                };
                state.credentials.0 = state.credentials.1.advance(rules, at, &returned);
                found.push(state);
            }
        }
        found
    }
}

/// A line, and what it may return in either call, one code for each that makes a difference.
struct Line<'a> {
    rule: &'a Rule,
    auth: Vec<Code>,
    credentials: Vec<Code>,
}

impl<'a> Line<'a> {
    fn new(rule: &'a Rule, caller: Caller, is_installed: &dyn Fn(&str) -> Option<bool>) -> Self {
        let (auth, credentials) = match &rule.kind {
            RuleKind::Module { module, .. }
                if !module::is_own(module) && is_installed(module) == Some(false) =>
            {
                let missing = Codes::only(Code::MODULE_UNKNOWN);
                (missing, missing)
            }
            RuleKind::Module { module, arguments } => {
                let Behaviour { codes, .. } = behaviour(module, arguments, Phase::Auth, caller);
                (codes, setcred_codes(module, arguments, codes))
            }
            RuleKind::Broken | RuleKind::Substack => {
                let denied = Codes::only(Code::PERM_DENIED);
                (denied, denied)
            }
        };
        Self {
            rule,
            auth: distinct(rule, auth),
            credentials: distinct(rule, credentials),
        }
    }
}

/// The first of each kind of code.
fn distinct(rule: &Rule, codes: Codes) -> Vec<Code> {
    let kind = |code: Code| {
        (
            rule.control.action(code),
            Ending::from_code(code),
            code == Code::IGNORE,
        )
    };
    let mut found: Vec<Code> = Vec::new();
    for code in codes.iter().filter(|code| *code != Code::INCOMPLETE) {
        if !found.iter().any(|known| kind(*known) == kind(code)) {
            found.push(code);
        }
    }
    found
}

/// What `pam_sm_setcred` of a module may return.
fn setcred_codes(module: &str, arguments: &[String], auth: Codes) -> Codes {
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    match name(module) {
        "pam_twofa" if has("proved") => Codes::only(Code::IGNORE),
        "pam_deny" => Codes::from_numbers(&[17]),
        "pam_unix" if has("likeauth") => auth,
        "pam_debug" => Codes::only(module::debug_code(arguments, "cred=")),
        "pam_twofa"
        | "pam_unix"
        | "pam_permit"
        | "pam_rootok"
        | "pam_wheel"
        | "pam_localuser"
        | "pam_listfile"
        | "pam_securetty"
        | "pam_shells"
        | "pam_faillock"
        | "pam_google_authenticator"
        | "pam_oath"
        | "pam_u2f"
        | "pam_fprintd"
        | "pam_userdb"
        | "pam_timestamp"
        | "pam_selinux"
        | "pam_gnome_keyring"
        | "pam_kwallet5" => Codes::only(Code::SUCCESS),
        "pam_succeed_if" | "pam_usertype" | "pam_access" | "pam_nologin" => {
            Codes::only(Code::IGNORE)
        }
        "pam_faildelay" | "pam_group" | "pam_keyinit" | "pam_mail" | "pam_warn" | "pam_lastlog"
        | "pam_env" => Codes::from_numbers(&[0, 25]),
        _ => Codes::ALL,
    }
}
