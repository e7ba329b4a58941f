//! `twofa pam enable` and `twofa pam disable`: changes to PAM files that never lock anybody out.
//!
//! [`plan`] says which files change and what that costs, and asks the prover about the state after every step. [`record`]
//! keeps the old files and knows how to bring them back; it starts a second process that does so if this one dies.
//! [`files`] replaces one file atomically, and [`sshd`] lets PAM ask there. [`login`] then logs the person in who runs the command, with a wrong code and
//! with a right one, through [`pam_sys`], where the unsafe code is. Only then is the change final.

mod diff;
mod files;
mod login;
mod pam_sys;
mod plan;
mod record;
mod sshd;
mod step;

use std::io::{self, IsTerminal, Write};

use nix::unistd::{geteuid, setsid};
use twofa_broker::admin::pam::Machine;
use twofa_broker::{Failure, privileges};

use crate::error::CommandError;
use crate::invoker;
use plan::Plan;
use record::{Record, recover_pending};

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
}

/// What has become of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There was nothing to change.
    Unchanged,
    /// It was only shown.
    Shown,
    /// It was made, and proved. The directory has the old files.
    Changed { backup: String },
}

/// Makes services ask for a code: those that are named, or all through the profile of pam-auth-update. Prints what changes.
/// On an error, the files are as they were.
pub(crate) fn enable(services: &[String], options: &Options) -> Result<Outcome, CommandError> {
    change(services, options, true)
}

/// Makes services ask for no code any longer; see [`enable`].
pub(crate) fn disable(services: &[String], options: &Options) -> Result<Outcome, CommandError> {
    change(services, options, false)
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

fn change(services: &[String], options: &Options, asks: bool) -> Result<Outcome, CommandError> {
    only_root()?;
    let _lock = record::lock()?;
    if options.dry_run && record::is_pending() {
        say(
            "An earlier change was interrupted: 'twofa pam recover' brings the files from before it back.",
        )?;
    } else if recover_pending()? {
        say("An earlier change had been interrupted: the files from before it are back.")?;
    }
    let machine = Machine::this();
    let plan = plan::make(&machine, services, asks, options.own_file)?;
    for note in &plan.notes {
        say(note)?;
    }
    if plan.steps.is_empty() {
        return Ok(Outcome::Unchanged);
    }
    plan.check(&machine)?;
    for step in &plan.steps {
        write!(io::stdout(), "{}", diff::unified(step))?;
    }
    if options.dry_run {
        return Ok(Outcome::Shown);
    }
    let person = person(options)?;
    // Modules of others are loaded beside the password of the person who logs in.
    privileges::forbid_core_dumps()?;
    let record = Record::begin(&plan.steps)?;
    let made = make(&plan, person.as_deref()).and_then(|()| match &person {
        Some(person) => login::prove(&plan.login, person, asks),
        None => Ok(()),
    });
    match made {
        Ok(()) => Ok(Outcome::Changed {
            backup: record.commit()?,
        }),
        Err(error) => {
            record.roll_back()?;
            Err(error)
        }
    }
}

fn make(plan: &Plan, person: Option<&str>) -> Result<(), CommandError> {
    for step in &plan.steps {
        files::replace(&step.path, step.new.as_deref(), &step.like)
            .map_err(|error| files::failed(&step.path, &error))?;
        if sshd::owns(&step.path) {
            sshd::apply(person)?;
        }
    }
    Ok(())
}

/// Who logs in. `None`: nobody, as was asked for.
fn person(options: &Options) -> Result<Option<String>, CommandError> {
    if options.no_login {
        return Ok(None);
    }
    if !io::stdin().is_terminal() {
        let message = "a change is proved by a login, for which there is no terminal";
        let hint = "with --no-login it rests on the examination of the files alone";
        return Err(CommandError::new(Failure::Failed, message).hinted(hint));
    }
    let name = options.login_as.clone().or_else(invoker::name);
    Ok(Some(name.unwrap_or_else(|| "root".to_owned())))
}

fn say(text: &str) -> Result<(), CommandError> {
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}
