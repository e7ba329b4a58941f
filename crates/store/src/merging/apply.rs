//! Writing what was decided.

use std::collections::HashSet;

use twofa_core::exemption::{Exemption, Subject};
use twofa_core::{Account, Channel, Throttle, Timestamp};

use super::fleet_people::{load, load_ahead};
use super::person::{Decision, There, decide};
use super::{Export, Group, MergePlan, MergeRules};
use crate::app_sealing::{enrolled, stored_count};
use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::exemptions::fields;
use crate::sql::apps::NewRow;
use crate::sql::merging::{self, MergedUser};
use crate::sql::row_hashes::EXEMPTION;
use crate::sql::{
    apps, backup_codes, exemptions, invitations, journal, sealing, security_keys, unproved, users,
};
use crate::tx::Tx;

/// How many people are merged in one transaction. Logins wait for one where the store is in a file.
const BATCH: usize = 100;

/// About how many people a database on a server is asked in one round trip: five queries each, which share the time of one.
const ASKED_AT_ONCE: usize = 12;

/// What a merge has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MergedPeople {
    /// How many people.
    pub people: usize,
    /// How many apps were added.
    pub apps: usize,
}

impl Store {
    /// Merges the people of `plan`, which was made of `exports`. `progress` is told after each batch how many are merged.
    pub fn merge(
        &self,
        exports: &mut [Export],
        plan: &MergePlan,
        rules: MergeRules,
        origin: &Origin,
        now: Timestamp,
        mut progress: impl FnMut(usize),
    ) -> Result<MergedPeople, StoreError> {
        let target = self.read(|view| journal::name(view.db))?;
        for export in &mut *exports {
            if !export.file.claim(&target)? {
                return Err(StoreError::MergedElsewhere(export.host.clone()));
            }
        }
        let mut merged = MergedPeople::default();
        for batch in plan.groups.chunks(BATCH) {
            let apps = self.change(origin, now, |tx| merge_batch(tx, exports, batch, rules))?;
            note_merged(exports, batch)?;
            merged.people += batch.len();
            merged.apps += apps;
            progress(merged.people);
        }
        Ok(merged)
    }
}

fn note_merged(exports: &mut [Export], batch: &[Group]) -> Result<(), StoreError> {
    for (number, export) in exports.iter_mut().enumerate() {
        let parts = batch.iter().flat_map(|group| &group.parts);
        let of_this = parts.filter(|(export, _)| *export == number);
        let users: Vec<_> = of_this
            .map(|(_, person)| export.people[*person].id)
            .collect();
        if !users.is_empty() {
            export.file.note_merged(&users)?;
        }
    }
    Ok(())
}

/// Returns how many apps were added.
fn merge_batch(
    tx: &Tx<'_>,
    exports: &[Export],
    batch: &[Group],
    rules: MergeRules,
) -> Result<usize, StoreError> {
    let parts = batch.iter().flat_map(|group| group.parts(exports));
    if rules.exemptions
        && parts
            .into_iter()
            .any(|part| !part.known.exemptions.is_empty())
    {
        tx.rules.forget(tx.db)?;
    }
    // Rows are locked in the same order by everybody who locks several.
    let mut groups: Vec<_> = batch.iter().collect();
    groups.sort_by(|a, b| a.account.cmp(&b.account));
    let people = decide_all(tx, exports, &groups, rules)?;
    // What nothing depends on, PostgreSQL gets with the commit, many statements at once.
    for person in &people {
        write_person(tx, exports, person)?;
    }
    write_apps(tx, &people)
}

/// What becomes of a person.
struct Person<'a> {
    group: &'a Group,
    user: i64,
    is_new: bool,
    there: There,
    decision: Decision,
}

/// Decides about the people of `groups`, and adds those that are new. All is read before anything is written, many people in one
/// round trip.
fn decide_all<'a>(
    tx: &Tx<'_>,
    exports: &[Export],
    groups: &[&'a Group],
    rules: MergeRules,
) -> Result<Vec<Person<'a>>, StoreError> {
    let mut found = Vec::with_capacity(groups.len());
    for groups in groups.chunks(ASKED_AT_ONCE) {
        let ahead = groups.iter().flat_map(|group| load_ahead(&group.account));
        tx.db.ask(&ahead.collect::<Vec<_>>())?;
        for group in groups {
            let there = load(tx, &group.account)?;
            // Since the plan was made, somebody else has got the name or uid.
            if there.is_none() && users::identity_mismatch(tx.db, &group.account)?.is_some() {
                return Err(StoreError::ChangedMeanwhile);
            }
            found.push(there);
        }
    }
    let new = groups.iter().zip(&found);
    let new = new.filter(|(_, there)| there.is_none());
    let new: Vec<_> = new.map(|(group, _)| &group.account).collect();
    let mut added = users::insert_each(tx.db, &new)?.into_iter();
    let is_unique = tx.rules()?.rulebook.machine().unique_addresses;
    let mut taken = HashSet::new();
    let mut people = Vec::with_capacity(groups.len());
    for (&group, found) in groups.iter().zip(found) {
        let is_new = found.is_none();
        let (user, there) = match found {
            Some(found) => found,
            None => (added.next().ok_or(StoreError::Conflict)?, There::default()),
        };
        let mut decision = decide(&there, &group.parts(exports), rules);
        if is_unique {
            drop_taken_addresses(tx, user, &mut decision, &there, &mut taken)?;
        }
        people.push(Person {
            group,
            user,
            is_new,
            there,
            decision,
        });
    }
    Ok(people)
}

/// Writes all of a person but apps.
fn write_person(tx: &Tx<'_>, exports: &[Export], person: &Person<'_>) -> Result<(), StoreError> {
    let Person {
        group,
        user,
        is_new,
        there,
        decision,
    } = person;
    if !is_new {
        invitations::use_up(tx.db, *user, tx.now)?;
        users::raise_generation(tx.db, *user)?;
    }
    write_settings(tx, *user, decision, there)?;
    write_methods(tx, *user, decision)?;
    grant_exemptions(tx, &group.account, &decision.exemptions)?;
    let from = group
        .parts(exports)
        .iter()
        .map(|part| part.host.to_owned())
        .collect();
    let event = Event::UserMerged {
        from,
        apps: u64::try_from(decision.apps.len()).unwrap_or(u64::MAX),
    };
    // The person did nothing, and an administrator announces it.
    tx.record_quietly(Some(&group.account), &event).map(drop)
}

/// Adds the apps of all, and returns how many there were.
fn write_apps(tx: &Tx<'_>, people: &[Person<'_>]) -> Result<usize, StoreError> {
    let mut new = Vec::new();
    for person in people {
        for (app, enrolled_at) in &person.decision.apps {
            new.push((person, app, *enrolled_at));
        }
    }
    let rows = new.iter().map(|(person, new, enrolled_at)| {
        Ok(NewRow {
            user: person.user,
            label: &new.label,
            parameters: new.app.parameters.into(),
            used: new.app.used.map(stored_count).transpose()?,
            enrolled_at: *enrolled_at,
        })
    });
    let rows = rows.collect::<Result<Vec<_>, StoreError>>()?;
    if rows.is_empty() {
        return Ok(0);
    }
    // The keys are sealed to their rows, so the rows must have their numbers first.
    let numbers = apps::insert_each(tx.db, &rows)?;
    let sealing = sealing::in_force(tx.db)?;
    for ((person, new, _), row) in new.iter().zip(&numbers) {
        let place = enrolled(*row, &person.group.account);
        let sealed = tx.key.seal(sealing, place, new.app.key.expose())?;
        apps::set_key(tx.db, *row, &sealed)?;
    }
    Ok(numbers.len())
}

/// Where an address belongs to one person only, has `decision` do without verified ones that another person has, or one of this
/// batch has got.
fn drop_taken_addresses(
    tx: &Tx<'_>,
    user: i64,
    decision: &mut Decision,
    there: &There,
    taken: &mut HashSet<(Channel, String)>,
) -> Result<(), StoreError> {
    for channel in Channel::ALL {
        let contact = &decision.contacts[channel];
        let is_taken = match contact {
            Some(contact)
                if contact.verified
                    && there.user.contacts[channel] != decision.contacts[channel] =>
            {
                // Those of this batch are not in the database yet.
                let address = (channel, contact.address.to_ascii_lowercase());
                users::is_verified_by_another(tx.db, user, channel, &contact.address)?
                    || !taken.insert(address)
            }
            _ => false,
        };
        if is_taken {
            decision.drop_address(channel, there);
        }
    }
    Ok(())
}

fn write_settings(
    tx: &Tx<'_>,
    user: i64,
    decision: &Decision,
    there: &There,
) -> Result<(), StoreError> {
    let settings = MergedUser {
        required: decision.required,
        verify: decision.verify,
        preferred: decision.preferred,
        passed_at: decision.passed_at,
    };
    merging::save_user(tx.db, user, &settings)?;
    if decision.throttle != there.user.throttle {
        users::save_throttle(tx.db, user, decision.throttle)?;
    }
    if decision.unproved != there.unproved && decision.unproved != Throttle::default() {
        unproved::save_throttle(tx.db, user, decision.unproved)?;
    }
    for (channel, contact) in decision.contacts.iter() {
        if let Some(contact) = contact
            && there.user.contacts[channel].as_ref() != Some(contact)
        {
            let address = Some(contact.address.as_str());
            let (verified, by_owner) = (contact.verified, contact.by_owner);
            users::set_contact(tx.db, user, channel, address, verified, by_owner)?;
        }
    }
    Ok(())
}

fn write_methods(tx: &Tx<'_>, user: i64, decision: &Decision) -> Result<(), StoreError> {
    for (app, used) in &decision.used {
        apps::raise_used(tx.db, *app, stored_count(*used)?)?;
    }
    if let Some(set) = &decision.backup {
        backup_codes::insert(tx.db, user, set)?;
    }
    decision
        .keys
        .iter()
        .try_for_each(|key| security_keys::insert(tx.db, user, key))
}

fn grant_exemptions(
    tx: &Tx<'_>,
    account: &Account,
    granted: &[(String, Exemption)],
) -> Result<(), StoreError> {
    if granted.is_empty() {
        return Ok(());
    }
    let known = exemptions::all(tx.db)?;
    for (host, exemption) in granted {
        let exemption = Exemption {
            subject: Subject::User(account.clone()),
            reason: format!("{} ({host})", exemption.reason),
            ..exemption.clone()
        };
        if known.iter().all(|(it, _)| it.exemption != exemption) {
            let id = exemptions::insert(tx.db, &exemption)?;
            tx.hash_row(&EXEMPTION, &id.to_string())?;
            tx.record_quietly(Some(account), &Event::Exempted(fields(id, &exemption)))?;
        }
    }
    Ok(())
}
