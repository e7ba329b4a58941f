//! Which files change, in which order, and what the prover says of every step.

pub(super) mod authselect;
mod profile;
mod ssh;

use std::collections::{BTreeMap, HashMap};

use twofa_broker::Failure;
use twofa_broker::admin::pam::{Checked, Gives, Machine};
use twofa_core::service::Services;
use twofa_stacks::change::{Goal, additions, keeps_other_lines, objections, removal};
use twofa_stacks::{File, Host, Proof};

use super::check::{self, asking, failure, proof};
use super::files;
use super::policy::{self, PolicyStep};
use super::record::profile_before;
use super::sshd::{self, Keys};
use super::step::{COMMON_AUTH, MODULE, OWN, Step};
use crate::error::CommandError;
use authselect::Selection;

const OTHERS_CHANGE: &str = "lines that are not twofa's would change with those that are";

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
    /// What changes in the policy, before the files.
    pub(super) policy: Option<PolicyStep>,
    /// The profile that authselect selects, with all files that follow from it.
    pub(super) selection: Option<Selection>,
    /// What it will write, in place of steps of our own.
    pub(super) selected: Vec<Step>,
    /// Named services take their lines from those that all share.
    needs_profile: bool,
    /// They do not, because then the policy would have to leave out the others, and it is that of a fleet.
    is_of_fleet: bool,
    /// What changes in sshd's settings.
    pub(super) sshd: sshd::Change,
}

/// What a change is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    /// Without any, all services.
    pub(super) services: &'a [String],
    /// They are to ask; else, they no longer are.
    pub(super) asks: bool,
    /// Their own files change, even where pam-auth-update would serve.
    pub(super) own_file: bool,
    /// `None`: as fits.
    pub(super) keys: Option<Keys>,
    /// Who logs in to prove it.
    pub(super) person: &'a str,
}

/// What must change so that services ask, or do not.
pub(super) fn make(machine: &Machine, wish: &Wish<'_>) -> Result<Plan, CommandError> {
    let Wish {
        services,
        asks,
        own_file,
        ..
    } = *wish;
    if asks && machine.is_installed(MODULE) != Some(true) {
        let message = format!("{MODULE} is not in libpam's directory of modules");
        return Err(CommandError::new(Failure::NotFound, message)
            .hinted("a line that names a missing module refuses everybody"));
    }
    let has_profile = machine.debian() && profile::exists();
    if services.is_empty() {
        return for_all(machine, wish, has_profile);
    }
    let mut plan = Plan {
        is_of_fleet: asks && has_profile && !own_file && policy::is_of_fleet()?,
        ..Plan::default()
    };
    let prefers_profile = has_profile && !own_file && !plan.is_of_fleet;
    for name in services {
        let checked = machine
            .check(name)
            .ok_or_else(|| CommandError::no_service(name))?;
        if asks && checked.gives == Gives::Jobs {
            let message = format!("{} is never asked", checked.service);
            return Err(CommandError::new(Failure::Usage, message).hinted(
                "nothing was changed: it runs jobs for accounts, and nobody is there who could answer",
            ));
        }
        if checked.service == "sshd" {
            plan.add_named_sshd(machine, &checked, wish, prefers_profile)?;
        } else {
            plan.add(machine, &checked, asks, prefers_profile)?;
        }
    }
    if plan.needs_profile {
        plan.steps.extend(profile::steps(true)?);
    }
    if asks {
        plan.ask_by_policy(machine)?;
    }
    Ok(plan)
}

/// What must change so that all services ask, or do not.
fn for_all(machine: &Machine, wish: &Wish<'_>, has_profile: bool) -> Result<Plan, CommandError> {
    let mut plan = Plan::default();
    if has_profile {
        plan.steps = profile::steps(wish.asks)?;
    } else if authselect::exists() {
        if let Some((selection, files)) = authselect::plan(wish.asks, profile_before)? {
            plan.selection = Some(selection);
            plan.selected = files;
        }
    } else {
        let message =
            "neither pam-auth-update nor authselect writes the lines that services share here";
        return Err(CommandError::new(Failure::Usage, message)
            .hinted("name the services: 'twofa pam list' shows them"));
    }
    plan.add_sshd(machine, wish)?;
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
            self.notes.push(as_wished(service, asks));
            return Ok(());
        }
        let path = format!("{OWN}/{service}");
        let own = files::read_own(&path)?;
        let reading = machine.line_reading();
        let is_shared = checked.files.iter().any(|file| file == COMMON_AUTH);
        let is_elsewhere = if asks {
            prefers_profile
        } else {
            let own = own.as_deref();
            own.is_none_or(|text| removal(text, reading).is_none())
        };
        if is_shared && is_elsewhere {
            if asks {
                self.needs_profile = true;
                self.goals.insert(service.clone(), Goal::Asks);
                return Ok(());
            }
            return self.leave_out(machine, service);
        }
        if is_shared && self.is_of_fleet {
            self.notes.push(in_own_file(service));
        }
        let (text, like) = self.text(checked, &path, own.as_deref())?;
        let goal = if asks { Goal::Asks } else { Goal::DoesNotAsk };
        let candidates = if asks {
            additions(&text, reading)
        } else {
            removal(&text, reading).into_iter().collect()
        };
        let mut reason = "its file has no line next to which one of twofa could stand".to_owned();
        for new in candidates {
            if !keeps_other_lines(&text, &new) {
                OTHERS_CHANGE.clone_into(&mut reason);
                continue;
            }
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

    /// The policy must ask at the services that were named, and at no other that would only have the line because of them.
    fn ask_by_policy(&mut self, machine: &Machine) -> Result<(), CommandError> {
        let current = policy::services()?;
        let asking = asking(machine);
        let narrows = self.needs_profile;
        let Some(new) = policy::with(&current, &self.named, &asking, narrows) else {
            return Ok(());
        };
        if narrows && current == Services::All {
            self.notes.push(format!(
                "All services get the line, and the policy asks only at {new}: 'twofa policy set services=all' has all of \
                 them ask."
            ));
        }
        self.set_services(&current, &new);
        Ok(())
    }

    /// The policy leaves out a service whose line is one that all share.
    fn leave_out(&mut self, machine: &Machine, service: &str) -> Result<(), CommandError> {
        let current = match &self.policy {
            Some(step) => Services::read(&step.new),
            None => None,
        };
        let current = current.map_or_else(policy::services, Ok)?;
        let new = policy::without(&current, service, &asking(machine));
        let is_named = current.names().any(|name| name == service);
        match new {
            Some(new) if is_named => {
                self.set_services(&current, &new);
                Ok(())
            }
            _ if !current.include(Some(service), service == "sshd") => {
                self.notes
                    .push(format!("The policy does not ask at {service}."));
                Ok(())
            }
            new => Err(shared(service, &current, new.as_ref())),
        }
    }

    fn set_services(&mut self, current: &Services, new: &Services) {
        let old = self
            .policy
            .take()
            .map_or(current.to_string(), |step| step.old);
        let new = new.to_string();
        self.policy = Some(PolicyStep { old, new });
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
        let last = self.all_steps().count();
        for count in 1..=last {
            let paths: Vec<_> = self
                .all_steps()
                .take(count)
                .map(|step| step.path.as_str())
                .collect();
            check::compare(
                machine,
                &self.after(machine, count),
                &paths,
                |service| match self.goals.get(service) {
                    Some(goal) if count == last => *goal,
                    _ => Goal::Safe,
                },
            )?;
        }
        Ok(())
    }

    /// Fails if no service asks after a change by which services are to ask. Returns what must be said of those that ask,
    /// but not everybody.
    pub(super) fn outcome(&self, after: &Machine) -> Result<Option<String>, CommandError> {
        if asking(after).is_empty() {
            let message = "no service would ask for a code: the files that services share have been changed by hand";
            return Err(CommandError::new(Failure::Failed, message)
                .hinted("nothing was changed; 'twofa pam check' shows who gets in with what"));
        }
        // Of services that were named it is proved.
        Ok(if self.named.is_empty() {
            check::open(after)
        } else {
            None
        })
    }

    /// Whether there is nothing to change.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.selection.is_none() && self.policy.is_none()
    }

    /// The files that change, including those that other programs write.
    pub(super) fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.selected)
    }

    /// The machine after so many of the steps.
    pub(super) fn after(&self, machine: &Machine, count: usize) -> Machine {
        let files = self.all_steps().take(count).map(|step| {
            let file = step.new.clone().map_or(File::Missing, File::Text);
            (step.path.clone(), file)
        });
        machine.overlaid(files.collect())
    }

    /// Whether the change concerns a service: one of its files changes, or it was named.
    pub(super) fn concerns(&self, after: &Checked) -> bool {
        is_changed(self.all_steps(), after) || self.named.contains(&after.service)
    }
}

fn is_changed<'a>(mut steps: impl Iterator<Item = &'a Step>, after: &Checked) -> bool {
    steps.any(|step| after.files.contains(&step.path))
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

/// Of a service that need not change.
fn as_wished(service: &str, asks: bool) -> String {
    if asks {
        format!("{service} has a line that asks for a code already.")
    } else {
        format!("{service} asks for no code.")
    }
}

/// Of a service on a host of a fleet that would have its line from those that all share.
fn in_own_file(service: &str) -> String {
    format!(
        "{service} gets the line in its own file: the policy here is the fleet's, which this host cannot limit to some services."
    )
}

fn conffile(path: &str) -> String {
    format!(
        "{path} belongs to a package, which asks what to do with the change at an upgrade that brings another version of \
         the file."
    )
}

/// Of a service that stops asking only if others do, or if the policy names the others.
fn shared(service: &str, current: &Services, others: Option<&Services>) -> CommandError {
    let message = format!(
        "{service} has its line from common-auth, like all services, and the policy asks there by services={current}"
    );
    CommandError::new(Failure::Failed, message).hinted(match others {
        Some(others) => format!(
            "nothing was changed. 'twofa policy set services={others}' leaves out {service}, and services that are installed \
             later of its kind"
        ),
        None => "nothing was changed. No other service would ask: 'twofa pam disable' takes the line from all".to_owned(),
    })
}
