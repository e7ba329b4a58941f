//! Writing what was decided.

use twofa_core::exemption::{Exemption, Subject};
use twofa_core::{Account, Channel, Throttle, Timestamp};

use super::fleet_people::load;
use super::person::{Decision, There, decide};
use super::{Export, Group, MergePlan, MergeRules};
use crate::app_sealing::{enrolled, stored_count};
use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::exemptions::fields;
use crate::sql::merging::{self, MergedUser};
use crate::sql::row_hashes::EXEMPTION;
use crate::sql::{
    apps, backup_codes, exemptions, invitations, journal, security_keys, unproved, users,
};
use crate::tx::Tx;

/// How many people are merged in one transaction. Logins wait for one where the store is in a file.
const BATCH: usize = 100;

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
    let mut apps = 0;
    for group in groups {
        apps += merge_person(tx, exports, group, rules)?;
    }
    Ok(apps)
}

fn merge_person(
    tx: &Tx<'_>,
    exports: &[Export],
    group: &Group,
    rules: MergeRules,
) -> Result<usize, StoreError> {
    let account = &group.account;
    let (user, is_new, there) = match load(tx, account)? {
        Some((user, there)) => (user, false, there),
        // Since the plan was made, somebody else has got the name or uid.
        None if users::identity_mismatch(tx.db, account)?.is_some() => {
            return Err(StoreError::ChangedMeanwhile);
        }
        None => (users::insert(tx.db, account)?, true, There::default()),
    };
    let mut decision = decide(&there, &group.parts(exports), rules);
    drop_taken_addresses(tx, user, &mut decision, &there)?;
    if !is_new {
        invitations::use_up(tx.db, user, tx.now)?;
        users::raise_generation(tx.db, user)?;
    }
    write_settings(tx, user, &decision, &there)?;
    write_methods(tx, account, user, &decision)?;
    grant_exemptions(tx, account, &decision.exemptions)?;
    let from = group
        .parts(exports)
        .iter()
        .map(|part| part.host.to_owned())
        .collect();
    let apps = decision.apps.len();
    let event = Event::UserMerged {
        from,
        apps: u64::try_from(apps).unwrap_or(u64::MAX),
    };
    // The person did nothing, and an administrator announces it.
    tx.record_quietly(Some(account), &event)?;
    Ok(apps)
}

fn drop_taken_addresses(
    tx: &Tx<'_>,
    user: i64,
    decision: &mut Decision,
    there: &There,
) -> Result<(), StoreError> {
    if !tx.rules()?.rulebook.machine().unique_addresses {
        return Ok(());
    }
    for channel in Channel::ALL {
        let contact = &decision.contacts[channel];
        let is_taken = match contact {
            Some(contact)
                if contact.verified
                    && there.user.contacts[channel] != decision.contacts[channel] =>
            {
                users::is_verified_by_another(tx.db, user, channel, &contact.address)?
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

fn write_methods(
    tx: &Tx<'_>,
    account: &Account,
    user: i64,
    decision: &Decision,
) -> Result<(), StoreError> {
    for (new, enrolled_at) in &decision.apps {
        let used = new.app.used.map(stored_count).transpose()?;
        let parameters = new.app.parameters.into();
        // The key is sealed to its row, so the row must have its number first.
        let row = apps::insert(tx.db, user, &new.label, &parameters, used, *enrolled_at)?;
        let sealed = tx.seal(enrolled(row, account), new.app.key.expose())?;
        apps::set_key(tx.db, row, &sealed)?;
    }
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
