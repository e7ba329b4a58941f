//! sshd: its settings, and the stack that asks after a key.

use std::collections::BTreeMap;

use twofa_broker::admin::pam::{Checked, Machine};
use twofa_stacks::change::{Goal, keeps_other_lines, removal};
use twofa_stacks::{File, FileLine, Host, LineReading, Service};

use super::super::check::{failure, proof};
use super::super::files;
use super::super::sshd::{self, Keys, stack};
use super::super::step::{OWN, Step};
use super::{OTHERS_CHANGE, Plan, Wish, conffile, objection};
use crate::error::CommandError;

const SERVICE: &str = "sshd";

impl Plan {
    /// sshd, as one of all services. Its own file is edited only if that is asked for.
    pub(super) fn add_sshd(
        &mut self,
        machine: &Machine,
        wish: &Wish<'_>,
    ) -> Result<(), CommandError> {
        let path = path();
        let own = files::read_own(&path)?;
        let is_changed = own.as_deref().is_some_and(stack::is_changed);
        if !wish.asks {
            return self.undo_sshd(machine, own.as_deref(), wish);
        }
        if is_changed && wish.keys.is_none() {
            // 'twofa pam enable sshd' has seen to it.
            return Ok(());
        }
        let change = enabling(wish.keys.unwrap_or(Keys::Trust), own.as_deref(), wish)?;
        let Some(checked) = machine.check(SERVICE).filter(|_| change.needs_key_stack) else {
            self.steps.splice(0..0, change.step.clone());
            self.take(change);
            return Ok(());
        };
        self.add_key_stack(machine, &checked, own, change)
    }

    /// sshd, named.
    pub(super) fn add_named_sshd(
        &mut self,
        machine: &Machine,
        checked: &Checked,
        wish: &Wish<'_>,
        prefers_profile: bool,
    ) -> Result<(), CommandError> {
        let own = files::read_own(&path())?;
        let is_changed = own.as_deref().is_some_and(stack::is_changed);
        if !wish.asks && is_changed {
            self.named.push(SERVICE.to_owned());
            return self.undo_sshd(machine, own.as_deref(), wish);
        }
        if !wish.asks {
            self.add(machine, checked, false, prefers_profile)?;
            let change = sshd::disabling(wish.person)?;
            self.steps.extend(change.step.clone());
            self.take(change);
            return Ok(());
        }
        let change = enabling(wish.keys.unwrap_or_default(), own.as_deref(), wish)?;
        if change.needs_key_stack {
            self.goals.insert(SERVICE.to_owned(), Goal::Asks);
            self.named.push(SERVICE.to_owned());
            return self.add_key_stack(machine, checked, own, change);
        }
        self.add(machine, checked, true, prefers_profile)?;
        self.steps.splice(0..0, change.step.clone());
        self.take(change);
        Ok(())
    }

    fn take(&mut self, change: sshd::Change) {
        self.notes.extend(change.notes.iter().cloned());
        self.sshd = change;
    }

    /// First a key takes the place of the password, then sshd lets PAM ask, and only then PAM asks: nobody is kept out in
    /// between.
    fn add_key_stack(
        &mut self,
        machine: &Machine,
        checked: &Checked,
        own: Option<String>,
        change: sshd::Change,
    ) -> Result<(), CommandError> {
        let path = path();
        let (text, like) = self.text(checked, &path, own.as_deref())?;
        let step = change.step.clone();
        self.take(change);
        if has_key_line(&text) {
            self.steps.splice(0..0, step);
            return Ok(());
        }
        let before = proof(checked).map_err(|error| failure(SERVICE, &error))?;
        let planned: BTreeMap<_, _> = self
            .steps
            .iter()
            .map(|step| {
                (
                    step.path.clone(),
                    File::Text(step.new.clone().unwrap_or_default()),
                )
            })
            .collect();
        // Lines that ask already must not be gone in between.
        let without = removal(&text, machine.line_reading());
        let plain = without.as_deref().unwrap_or(&text);
        if !keeps_other_lines(&text, plain) {
            return Err(failure(SERVICE, OTHERS_CHANGE));
        }
        let mut reason = "its file has no line that asks for the password".to_owned();
        for found in stack::candidates(plain, machine.line_reading()) {
            let mut files = planned.clone();
            files.insert(path.clone(), File::Text(found.asking.clone()));
            let then = machine.overlaid(files);
            if let Some(objection) = objection(before, then.check(SERVICE).as_ref(), Goal::Asks) {
                reason = objection;
                continue;
            }
            if !lets_keys_in(&then) {
                "people with a key would not get in".clone_into(&mut reason);
                continue;
            }
            if own.is_some() {
                self.notes.push(conffile(&path));
            }
            let last = |old: Option<String>, new: String| Step {
                path: path.clone(),
                old,
                new: Some(new),
                like: like.clone(),
            };
            if without.is_some() {
                self.steps.splice(0..0, step);
                self.steps.push(last(own, found.asking));
            } else {
                let first = last(own, found.neutral.clone());
                self.steps.splice(0..0, std::iter::once(first).chain(step));
                self.steps.push(last(Some(found.neutral), found.asking));
            }
            return Ok(());
        }
        Err(failure(SERVICE, &reason))
    }

    /// The opposite, in the opposite order.
    fn undo_sshd(
        &mut self,
        machine: &Machine,
        own: Option<&str>,
        wish: &Wish<'_>,
    ) -> Result<(), CommandError> {
        let change = sshd::disabling(wish.person)?;
        let step = change.step.clone();
        self.take(change);
        let Some(text) = own.filter(|text| stack::is_changed(text)) else {
            self.steps.extend(step);
            return Ok(());
        };
        let back = stack::undo(text);
        let files = BTreeMap::from([(path(), File::Text(back.original.clone()))]);
        let then = machine.overlaid(files).check(SERVICE);
        let still_asks = then.is_some_and(|then| !then.asks.is_empty());
        if still_asks && !wish.services.is_empty() {
            self.leave_out(machine, SERVICE)?;
        }
        let last = |old: &str, new: String| Step {
            path: path(),
            old: Some(old.to_owned()),
            new: Some(new),
            like: path(),
        };
        self.steps.insert(0, last(text, back.neutral.clone()));
        self.steps.extend(step);
        self.steps.push(last(&back.neutral, back.original));
        Ok(())
    }
}

fn enabling(keys: Keys, own: Option<&str>, wish: &Wish<'_>) -> Result<sshd::Change, CommandError> {
    if own.is_some_and(stack::is_changed) && keys == Keys::Trust {
        return Err(failure(SERVICE, "it asks after a key")
            .hinted("'twofa pam disable sshd' first makes it as it was before"));
    }
    sshd::enabling(keys, wish.person, own.is_some_and(has_key_line))
}

fn path() -> String {
    format!("{OWN}/{SERVICE}")
}

/// Whether some line lets a key take the place of the password.
fn has_key_line(text: &str) -> bool {
    let lines = FileLine::all(text, LineReading::Unknown);
    lines
        .iter()
        .any(|line| line.is_own() && line.has_argument("proved"))
}

/// Whether a login with a key succeeds, if a code is asked for and if not.
fn lets_keys_in(machine: &Machine) -> bool {
    let read = Service::read(SERVICE, machine).ok();
    let answers = read.and_then(|service| service.answers());
    answers.is_some_and(|answers| answers.key_succeeds && answers.key_succeeds_unasked)
}
