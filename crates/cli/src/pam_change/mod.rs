//! `twofa pam enable` and `twofa pam disable`: changes to PAM files that never lock anybody out.
//!
//! [`plan`] says which files change and what that costs, and asks the prover about the state after every step. [`record`]
//! keeps the old files and knows how to bring them back; it starts a second process that does so if this one dies.
//! [`files`] replaces one file atomically, and [`sshd`] lets PAM ask there. [`trial`] chooses a service at which the
//! [`policy`] asks, and [`login`] then logs the person in who runs the command, with a wrong code and with a right one,
//! through [`pam_sys`], where the unsafe code is. Only then is the change final. [`report`] is what people and programs see.

mod check;
mod diff;
mod files;
mod login;
mod pam_sys;
mod plan;
mod policy;
mod record;
mod report;
mod sshd;
mod step;
mod trial;

use std::fs::File;

use nix::unistd::{geteuid, setsid};
use twofa_broker::admin::pam::Machine;
use twofa_broker::{Failure, privileges};
use twofa_core::service::{ServiceKind, kind};

use crate::error::CommandError;
use login::Trial;
use plan::{Plan, Wish};
use policy::Rules;
use record::{Record, recover_pending};
pub(crate) use report::{ChangeReport, Outcome};
pub(crate) use sshd::Keys;

/// How a change is made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Show the change, and do not make it.
    pub(crate) dry_run: bool,
    /// Edit the services' own files, even where pam-auth-update would serve.
    pub(crate) own_file: bool,
    /// Rely on the prover alone, without a login.
    pub(crate) no_login: bool,
    /// Who logs in to prove the change; `None`: who called sudo, or root.
    pub(crate) login_as: Option<String>,
    /// What becomes of ssh keys; `None`: sshd asks after them if it is named.
    pub(crate) keys: Option<Keys>,
}

/// Makes services ask for a code: those that are named, or all through the profile of pam-auth-update. Tells the report.
/// On an error, the files are as they were.
pub(crate) fn enable(
    services: &[String],
    options: &Options,
    report: &mut ChangeReport,
) -> Result<(), CommandError> {
    change(services, options, true, report)
}

/// Makes services ask for no code any longer; see [`enable`].
pub(crate) fn disable(
    services: &[String],
    options: &Options,
    report: &mut ChangeReport,
) -> Result<(), CommandError> {
    change(services, options, false, report)
}

/// Brings back the old files of a change that was interrupted. Returns whether there was one.
pub(crate) fn recover() -> Result<bool, CommandError> {
    only_root()?;
    // In the process that waits for the end of another: a hang-up of that one's terminal is not for it. Fails in a shell.
    let _ = setsid();
    let _lock = record::lock()?;
    recover_pending()
}

fn only_root() -> Result<(), CommandError> {
    if geteuid().is_root() {
        Ok(())
    } else {
        Err(CommandError::only_root("change PAM files"))
    }
}

fn change(
    services: &[String],
    options: &Options,
    asks: bool,
    report: &mut ChangeReport,
) -> Result<(), CommandError> {
    only_root()?;
    let lock = record::lock()?;
    if options.dry_run && record::is_pending() {
        report.note(
            "An earlier change was interrupted: 'twofa pam recover' brings the files from before it back.",
        )?;
    } else if recover_pending()? {
        report
            .note("An earlier change had been interrupted: the files from before it are back.")?;
    }
    let machine = Machine::this();
    let wish = Wish {
        services,
        asks,
        own_file: options.own_file,
        keys: options.keys,
        person: &trial::person(options),
    };
    let plan = plan::make(&machine, &wish)?;
    for note in &plan.notes {
        report.note(note)?;
    }
    let after = plan.after(&machine, plan.all_steps().count());
    let open = if asks { plan.outcome(&after)? } else { None };
    if let Some(open) = open {
        report.note(&open)?;
    }
    if plan.is_empty() {
        return Ok(());
    }
    plan.check(&machine)?;
    if let Some(policy) = &plan.policy {
        report.policy(policy)?;
    }
    if let Some(selection) = &plan.selection {
        report.selection(selection)?;
    }
    for step in plan.all_steps() {
        report.file(step)?;
    }
    let trial = Trial::of_change(&plan, &after, options, asks)?;
    if asks {
        root_is_not_refused(&plan, &after)?;
    }
    if options.dry_run {
        report.outcome = Outcome::Shown;
        return Ok(());
    }
    report.login(trial.as_ref());
    let backup = carry_out(&plan, trial.as_ref(), asks, &lock)?;
    report.outcome = Outcome::Changed { backup };
    Ok(())
}

/// Makes the change and proves it, or brings the old files back. Returns where those are kept.
fn carry_out(
    plan: &Plan,
    trial: Option<&Trial>,
    asks: bool,
    lock: &File,
) -> Result<String, CommandError> {
    // Modules of others are loaded beside the password of the person who logs in.
    privileges::forbid_core_dumps()?;
    let record = Record::begin(&plan.steps, plan.policy.as_ref(), plan.selection.as_ref())?;
    match make(plan, trial.is_some(), asks, lock).and_then(|()| prove(plan, trial)) {
        Ok(()) => record.commit(),
        Err(error) => Err(match record.roll_back() {
            Ok(()) => error,
            Err(other) => error.and(&other),
        }),
    }
}

fn make(plan: &Plan, is_proved: bool, asks: bool, lock: &File) -> Result<(), CommandError> {
    if let Some(policy) = &plan.policy {
        policy.make(is_proved)?;
    }
    let select = || match &plan.selection {
        Some(selection) => selection.make(lock),
        None => Ok(()),
    };
    // sshd can ask before its stack does, and until it no longer does.
    if !asks {
        select()?;
    }
    for step in &plan.steps {
        files::replace(&step.path, step.new.as_deref(), &step.like)
            .map_err(|error| files::failed(&step.path, &error))?;
        if sshd::owns(&step.path) {
            plan.sshd.apply()?;
        }
    }
    if asks { select() } else { Ok(()) }
}

/// Logs in, where that was not to be left out.
fn prove(plan: &Plan, trial: Option<&Trial>) -> Result<(), CommandError> {
    match trial {
        Some(trial) if trial.service == "sshd" && plan.sshd.can_log_in() => {
            sshd::proof::prove(trial)
        }
        Some(trial) => login::prove(trial),
        None => Ok(()),
    }
}

/// Fails if root has nothing to show at a console that will ask, and could not enrol there.
fn root_is_not_refused(plan: &Plan, after: &Machine) -> Result<(), CommandError> {
    let asks = |service: &String| {
        let checked = after.check(service);
        checked.is_some_and(|checked| !checked.asks.is_empty() && plan.concerns(&checked))
    };
    let services = after.services().into_iter();
    let mut consoles = services
        .filter(|service| kind(service) == ServiceKind::Console && asks(service))
        .peekable();
    if consoles.peek().is_none() {
        return Ok(());
    }
    let rules = Rules::of_user("root")?;
    let is_refused =
        |console: &String| rules.refuse() && rules.include(console, plan.policy.as_ref());
    let Some(console) = consoles.find(is_refused) else {
        return Ok(());
    };
    let message = format!("root could not log in at {console}: {}", rules.why);
    Err(CommandError::new(Failure::Failed, message)
        .hinted("nothing was changed; see 'twofa class test root'"))
}
