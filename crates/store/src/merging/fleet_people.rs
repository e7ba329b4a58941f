//! Who is in the store that is merged into.

use std::collections::{HashMap, HashSet};

use twofa_core::user::User;
use twofa_core::{Account, Channel};

use super::Matter;
use super::person::{Decision, There};
use crate::error::StoreError;
use crate::snapshot::methods_ahead;
use crate::sql::Ahead;
use crate::sql::users::{self, ListedUser};
use crate::sql::{backup_codes, security_keys, unproved};
use crate::tx::View;

/// Those in the store, by what two people cannot share.
#[derive(Debug, Default)]
pub(super) struct FleetPeople {
    /// Those of whom anything is known.
    known: HashSet<Account>,
    /// Of those with a method or a requirement.
    uids: HashMap<String, u32>,
    names: HashMap<u32, String>,
    /// Verified ones, in lower case.
    addresses: HashMap<(Channel, String), Account>,
    /// An address belongs to one person only.
    is_unique: bool,
}

impl FleetPeople {
    pub(super) fn read(view: &View<'_>) -> Result<Self, StoreError> {
        let mut all = Self {
            is_unique: view.rules()?.rulebook.machine().unique_addresses,
            ..Self::default()
        };
        users::each(view.db, |user| {
            all.add(user);
            true
        })?;
        Ok(all)
    }

    fn add(
        &mut self,
        ListedUser {
            account,
            record,
            apps,
            ..
        }: ListedUser,
    ) {
        let mut has_method = apps > 0;
        for channel in Channel::ALL {
            let Some(address) = record.verified(channel) else {
                continue;
            };
            has_method = true;
            let address = address.to_ascii_lowercase();
            self.addresses.insert((channel, address), account.clone());
        }
        if has_method || record.required {
            self.uids.insert(account.name.clone(), account.uid);
            self.names.insert(account.uid, account.name.clone());
        }
        self.known.insert(account);
    }

    pub(super) fn other_uid(&self, account: &Account) -> Option<u32> {
        let uid = self.uids.get(&account.name).copied();
        uid.filter(|uid| *uid != account.uid)
    }

    pub(super) fn other_name(&self, account: &Account) -> Option<&String> {
        let name = self.names.get(&account.uid);
        name.filter(|name| **name != account.name)
    }

    pub(super) fn load(&self, view: &View<'_>, account: &Account) -> Result<There, StoreError> {
        if self.known.contains(account) {
            load(view, account).map(|found| found.map_or_else(There::default, |(_, there)| there))
        } else {
            Ok(There::default())
        }
    }

    /// Has `decision` do without the verified addresses that another person has, where the policy wants that, and others without
    /// those that it takes.
    pub(super) fn claim_addresses(
        &mut self,
        account: &Account,
        decision: &mut Decision,
        there: &There,
    ) {
        for channel in Channel::ALL {
            let contact = decision.contacts[channel].as_ref().filter(|it| it.verified);
            let Some(address) = contact.map(|it| it.address.to_ascii_lowercase()) else {
                continue;
            };
            let owner = self
                .addresses
                .entry((channel, address))
                .or_insert_with(|| account.clone());
            if owner == account {
                continue;
            }
            if self.is_unique {
                decision.drop_address(channel, there);
            } else {
                decision.matters.push(Matter::AddressOfAnother {
                    channel,
                    left_out: false,
                });
            }
        }
    }
}

/// What [`load`] asks, and whether another account has the name or uid of one that is not there.
pub(super) fn load_ahead(account: &Account) -> Vec<Ahead> {
    let mut ahead = methods_ahead(account);
    ahead.push(users::identity_mismatch_ahead(account));
    ahead
}

/// What the store knows of `account`, with its number there. In a change, its row is locked.
pub(super) fn load(view: &View<'_>, account: &Account) -> Result<Option<(i64, There)>, StoreError> {
    let Some(record) = view.find(account)? else {
        return Ok(None);
    };
    let user = User {
        backup: backup_codes::find(view.db, account)?,
        security_keys: security_keys::all(view.db, account)?,
        ..view.user_with_apps(account, &record)?
    };
    let unproved = unproved::throttle(view.db, record.id)?;
    Ok(Some((record.id, There { user, unproved })))
}
