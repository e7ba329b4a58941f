//! The devices that anybody trusts.

use std::collections::{HashMap, HashSet};

use twofa_core::class;
use twofa_core::policy::Trust;
use twofa_core::user::Verify;
use twofa_core::{Account, Group};
use twofa_proto::DeviceReport;

use super::listing::rows;
use super::{AdminError, Administration};
use crate::identity::accounts::Directory;
use crate::identity::person::PersonError;
use crate::requests::manage::device_report;

/// A device, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDevice {
    /// Whose device it is.
    pub account: Account,
    /// The device.
    pub device: DeviceReport,
}

impl Administration {
    /// Passes everybody's devices that stand in for a code now to `each`, by user and number, until it returns `false`.
    pub fn devices(&self, mut each: impl FnMut(ListedDevice) -> bool) -> Result<(), AdminError> {
        let rules = self.trust_rules()?;
        let now = self.now();
        self.store().devices(None, now, |device| {
            let Some((verify, trust)) = rules.get(&device.account) else {
                return true;
            };
            let until = device.grant.end(verify.trust_duration(device.kind, trust));
            if until <= now {
                return true;
            }
            let listed = device_report(&device, until);
            each(ListedDevice {
                account: device.account,
                device: listed,
            })
        })?;
        Ok(())
    }

    /// Ends the trust in everybody's devices. Returns how many there were.
    pub fn revoke_devices(&self) -> Result<u64, AdminError> {
        let (origin, now) = (self.origin(), self.now());
        Ok(self.store().revoke_all_devices(None, &origin, now)?)
    }

    /// What decides how long the devices of each user who has any are trusted. The name service, which may take its time, is
    /// asked when the store is let go.
    fn trust_rules(&self) -> Result<HashMap<Account, (Verify, Trust)>, AdminError> {
        let rulebook = self.rulebook()?;
        let mut directory = Directory::read();
        let mut owners = HashSet::new();
        self.store().devices(None, self.now(), |device| {
            owners.insert(device.account);
            true
        })?;
        let mut rules = HashMap::new();
        for row in rows(self.store())? {
            let account = row.account;
            if !owners.contains(&account) {
                continue;
            }
            let membership = |group: &Group| directory.membership(&account, group);
            let (machine, classes) = (rulebook.machine(), rulebook.classes());
            let effective = class::effective(machine, classes, &row.summary, membership);
            let trust = effective.map_err(PersonError::from)?.policy.trust;
            rules.insert(account, (row.summary.verify, trust));
        }
        Ok(rules)
    }
}
