//! At which service, and by whom, a login proves a change, and whether there would be anything to see.

use std::io::{self, IsTerminal};

use nix::unistd::{Uid, User};
use twofa_broker::Failure;
use twofa_broker::admin::pam::{CheckResult, Checked, Machine};
use twofa_core::service::{ServiceKind, is_unattended, kind};
use twofa_stacks::{Entry, Factor, Route};

use super::Options;
use super::login::{SOMEBODY_ELSE, Trial};
use super::plan::Plan;
use super::policy::Rules;
use crate::error::CommandError;
use crate::invoker;

const WITHOUT_LOGIN: &str =
    "with --no-login the change rests on the examination of the files alone";

impl Trial {
    /// `None`: nobody is to log in, as was asked for. `after`: the machine as the change will leave it.
    pub(super) fn of_change(
        plan: &Plan,
        after: &Machine,
        options: &Options,
        asks: bool,
    ) -> Result<Option<Self>, CommandError> {
        if options.no_login {
            return Ok(None);
        }
        if !options.dry_run && !io::stdin().is_terminal() {
            let message = "a change is proved by a login, for which there is no terminal";
            return Err(CommandError::new(Failure::Failed, message).hinted(WITHOUT_LOGIN));
        }
        let person = person(options);
        let rules = if asks {
            Some(Rules::of_user(&person)?)
        } else {
            None
        };
        if let Some(rules) = rules.as_ref().filter(|rules| !rules.asks()) {
            return Err(nobody_is_asked(&person, rules, options));
        }
        let Some(found) = services(plan, after, asks).into_iter().find(|checked| {
            let include = |rules: &Rules| rules.include(&checked.service, plan.policy.as_ref());
            rules.as_ref().is_none_or(include)
        }) else {
            let message =
                format!("the policy asks {person} at no service that the change concerns");
            return Err(CommandError::new(Failure::Failed, message).hinted(format!(
                "nothing was changed. 'twofa policy set services=…' says where it asks; {WITHOUT_LOGIN}"
            )));
        };
        Ok(Some(Self {
            caller: caller(&found, &person),
            service: found.service,
            person,
            asks,
            is_root_by_default: is_nobody_known(options),
        }))
    }
}

/// Who logs in.
pub(super) fn person(options: &Options) -> String {
    let name = options.login_as.clone().or_else(invoker::name);
    name.unwrap_or_else(|| "root".to_owned())
}

fn is_nobody_known(options: &Options) -> bool {
    options.login_as.is_none() && invoker::name().is_none()
}

fn nobody_is_asked(person: &str, rules: &Rules, options: &Options) -> CommandError {
    let why = &rules.why;
    let message = format!("a login of {person} would not prove that codes are asked for: {why}");
    let other = if is_nobody_known(options) {
        format!(" {SOMEBODY_ELSE}")
    } else {
        String::new()
    };
    CommandError::new(Failure::Failed, message).hinted(format!(
        "nothing was changed. Enrol ('twofa enrol app') and let the policy ask ('twofa policy set mode=optional') first; or \
         {WITHOUT_LOGIN}.{other}"
    ))
}

/// The services at which a login would show what the change does, the best first: those that were named, or those at which a
/// person has a password to type.
fn services(plan: &Plan, after: &Machine, asks: bool) -> Vec<Checked> {
    let names = if plan.named.is_empty() {
        after.services()
    } else {
        plan.named.clone()
    };
    let checked = names.iter().filter_map(|name| after.check(name));
    let shows = |checked: &Checked| {
        !is_unattended(&checked.service)
            && (checked.asks.is_empty() != asks || (!asks && plan.policy.is_some()))
            && plan.concerns(checked)
            && takes_password(checked)
    };
    let mut found: Vec<_> = checked.filter(shows).collect();
    found.sort_by_key(|checked| rank(&checked.service));
    found
}

/// Whether people log in by the password, and by a code where there is a line that asks.
fn takes_password(checked: &Checked) -> bool {
    let CheckResult::Proved(proof) = &checked.result else {
        return false;
    };
    let fits = |entry: &Entry| {
        entry.shown.has(Factor::Password) && entry.has_code() != checked.asks.is_empty()
    };
    proof
        .ways
        .iter()
        .filter(|way| way.route == Route::Login)
        .any(|way| way.entries.iter().any(fits))
}

/// A console is what must work at any rate; where people come from afar is next. A code may not be asked for in a session
/// that has shown one, so sudo and su come late.
fn rank(service: &str) -> usize {
    match (service, kind(service)) {
        ("login", _) => 0,
        (_, ServiceKind::Console) => 1,
        ("sshd", _) => 2,
        (_, ServiceKind::Ssh) => 3,
        ("sudo", _) => 4,
        (_, ServiceKind::Elevation) => 5,
        (_, ServiceKind::Other) => 6,
        (_, ServiceKind::Unlock) => 7,
    }
}

fn caller(checked: &Checked, person: &str) -> Uid {
    let CheckResult::Proved(proof) = &checked.result else {
        return Uid::from_raw(0);
    };
    let is_callers = proof.ways.iter().any(|way| way.route == Route::Root);
    let user = User::from_name(person).ok().flatten();
    user.filter(|_| is_callers)
        .map_or(Uid::from_raw(0), |user| user.uid)
}
