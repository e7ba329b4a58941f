//! Which files change, in which order, and what the prover says of every step.

mod profile;

use std::collections::{BTreeMap, HashMap};

use twofa_broker::Failure;
use twofa_broker::admin::pam::{CheckResult, Checked, Machine};
use twofa_stacks::change::{Goal, additions, lets_in, objections, removal};
use twofa_stacks::{File, Host, Proof};

use super::step::{COMMON_AUTH, MODULE, OWN, Step};
use super::{files, sshd};
use crate::error::CommandError;
use crate::messages::pam;

/// Where root logs in when nothing else works.
const CONSOLE: &str = "login";

/// A change.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order in which they are made: after each of them, nobody is locked out.
    pub(super) steps: Vec<Step>,
    /// What the person must know: what is as it should be already, and what the change costs.
    pub(super) notes: Vec<String>,
    /// The services that the change is for, and what it is for.
    goals: HashMap<String, Goal>,
    /// The services that were named, in that order; empty: all.
    pub(super) named: Vec<String>,
}

/// What must change so that these services ask, or do not; without any, all.
pub(super) fn make(
    machine: &Machine,
    services: &[String],
    asks: bool,
    own_file: bool,
) -> Result<Plan, CommandError> {
    if asks && machine.is_installed(MODULE) != Some(true) {
        let message = format!("{MODULE} is not in libpam's directory of modules");
        return Err(CommandError::new(Failure::NotFound, message)
            .hinted("a line that names a missing module refuses everybody"));
    }
    let has_profile = machine.debian() && profile::exists();
    if services.is_empty() {
        if !has_profile {
            let message = "there is no profile of pam-auth-update for all services here";
            return Err(CommandError::new(Failure::Usage, message)
                .hinted("name the services: 'twofa pam list' shows them"));
        }
        let mut plan = Plan {
            steps: profile::steps(asks)?,
            ..Plan::default()
        };
        plan.add_sshd(asks)?;
        return Ok(plan);
    }
    let mut plan = Plan::default();
    for name in services {
        let checked = machine
            .check(name)
            .ok_or_else(|| CommandError::no_service(name))?;
        plan.add(machine, &checked, asks, has_profile && !own_file)?;
        if checked.service == "sshd" {
            plan.add_sshd(asks)?;
        }
    }
    Ok(plan)
}

impl Plan {
    fn add(
        &mut self,
        machine: &Machine,
        checked: &Checked,
        asks: bool,
        prefers_profile: bool,
    ) -> Result<(), CommandError> {
        let service = &checked.service;
        self.named.push(service.clone());
        let before = proof(checked).map_err(|error| failure(service, &error))?;
        if checked.asks.is_empty() != asks {
            self.notes.push(if asks {
                format!("{service} asks for a code already.")
            } else {
                format!("{service} asks for no code.")
            });
            return Ok(());
        }
        let path = format!("{OWN}/{service}");
        let own = files::read_own(&path)?;
        let is_shared = checked.files.iter().any(|file| file == COMMON_AUTH);
        let is_elsewhere = if asks {
            prefers_profile
        } else {
            own.as_deref().and_then(removal).is_none()
        };
        if is_shared && is_elsewhere {
            return Err(by_policy(service, asks));
        }
        let (text, like) = self.text(checked, &path, own.as_deref())?;
        let goal = if asks { Goal::Asks } else { Goal::DoesNotAsk };
        let candidates = if asks {
            additions(&text)
        } else {
            removal(&text).into_iter().collect()
        };
        let mut reason = "its file has no line next to which one of twofa could stand".to_owned();
        for new in candidates {
            let changed = BTreeMap::from([(path.clone(), File::Text(new.clone()))]);
            let after = machine.overlaid(changed).check(service);
            let Some(objection) = objection(before, after.as_ref(), goal) else {
                if own.is_some() {
                    self.notes.push(conffile(&path));
                }
                self.goals.insert(service.clone(), goal);
                self.steps.push(Step {
                    path,
                    old: own,
                    new: Some(new),
                    like,
                });
                return Ok(());
            };
            reason = objection;
        }
        Err(failure(service, &reason))
    }

    /// sshd can ask before its stack does, and until it no longer does.
    fn add_sshd(&mut self, asks: bool) -> Result<(), CommandError> {
        if asks {
            let (step, notes) = sshd::enabling()?;
            self.notes.extend(notes);
            self.steps.splice(0..0, step);
        } else {
            self.steps.extend(sshd::disabling()?);
        }
        Ok(())
    }

    /// The text that a service's file has, and the file it is from: its own, or the vendor's.
    fn text(
        &mut self,
        checked: &Checked,
        path: &str,
        own: Option<&str>,
    ) -> Result<(String, String), CommandError> {
        if let Some(text) = own {
            return Ok((text.to_owned(), path.to_owned()));
        }
        let name = format!("/{}", checked.service);
        let Some(vendor) = checked.files.iter().find(|file| file.ends_with(&name)) else {
            return Err(CommandError::no_service(&checked.service));
        };
        let text = files::read_own(vendor)?.unwrap_or_default();
        self.notes.push(format!(
            "{path} becomes a copy of {vendor}: later changes of that file have no effect."
        ));
        Ok((text, vendor.clone()))
    }

    /// Asks the prover about every service that a step concerns, after every step.
    pub(super) fn check(&self, machine: &Machine) -> Result<(), CommandError> {
        let services = machine.services();
        for count in 1..=self.steps.len() {
            let then = self.after(machine, count);
            for service in &services {
                let goal = match self.goals.get(service) {
                    Some(goal) if count == self.steps.len() => *goal,
                    _ => Goal::Safe,
                };
                let (Some(before), Some(after)) = (machine.check(service), then.check(service))
                else {
                    continue;
                };
                if !is_changed(&self.steps[..count], &after) {
                    continue;
                }
                if service == CONSOLE {
                    root_gets_in(&after)?;
                }
                // What was broken before is not made worse.
                let Ok(before) = proof(&before) else {
                    continue;
                };
                let after = proof(&after).map_err(|error| failure(service, &error))?;
                if let Some(objection) = objections(before, after, goal).first() {
                    return Err(failure(service, &objection.to_string()));
                }
            }
        }
        Ok(())
    }

    /// The machine after so many of the steps.
    pub(super) fn after(&self, machine: &Machine, count: usize) -> Machine {
        let files = self.steps[..count].iter().map(|step| {
            let file = step.new.clone().map_or(File::Missing, File::Text);
            (step.path.clone(), file)
        });
        machine.overlaid(files.collect())
    }

    /// Whether the change concerns a service: one of its files changes, or it was named.
    pub(super) fn concerns(&self, after: &Checked) -> bool {
        is_changed(&self.steps, after) || self.named.contains(&after.service)
    }
}

fn is_changed(steps: &[Step], after: &Checked) -> bool {
    steps.iter().any(|step| after.files.contains(&step.path))
}

/// The way back for root must be there, whatever there was before.
fn root_gets_in(console: &Checked) -> Result<(), CommandError> {
    let service = &console.service;
    let after = proof(console).map_err(|error| failure(service, &error))?;
    if lets_in(after) {
        Ok(())
    } else {
        Err(failure(service, "root could not log in at the console"))
    }
}

/// What the prover has against a service as it would be.
fn objection(before: &Proof, after: Option<&Checked>, goal: Goal) -> Option<String> {
    match after.map(proof) {
        Some(Ok(after)) => objections(before, after, goal)
            .first()
            .map(ToString::to_string),
        Some(Err(error)) => Some(error),
        None => Some("it would have no file".to_owned()),
    }
}

fn conffile(path: &str) -> String {
    format!(
        "{path} belongs to a package, which asks what to do with the change at an upgrade that brings another version of \
         the file."
    )
}

fn proof(checked: &Checked) -> Result<&Proof, String> {
    match &checked.result {
        CheckResult::Proved(proof) => Ok(proof),
        result => Err(pam::error(result).unwrap_or_default()),
    }
}

fn failure(service: &str, reason: &str) -> CommandError {
    CommandError::new(Failure::Failed, format!("{service}: {reason}"))
        .hinted("nothing was changed; see 'twofa pam check'")
}

fn by_policy(service: &str, asks: bool) -> CommandError {
    let message = format!(
        "{service} takes its lines from common-auth, which pam-auth-update writes for all services"
    );
    let hint = if asks {
        format!(
            "'twofa policy set services={service}' makes the policy ask at {service} only, and 'twofa pam enable' without \
             a name adds the line. --own-file changes /etc/pam.d/{service} instead"
        )
    } else {
        format!("leave {service} out of the policy setting 'services'")
    };
    CommandError::new(Failure::Failed, message).hinted(hint)
}
