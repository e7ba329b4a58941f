//! The trusted devices of all users.

use std::collections::{HashMap, HashSet};

use twofa_core::Account;
use twofa_core::policy::Trust;
use twofa_core::user::Verify;
use twofa_proto::DeviceReport;

use super::listing::{effective, rows};
use super::{AdminError, Administration};
use crate::identity::accounts::Directory;
use crate::requests::manage::device_report;

/// A trusted device and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDevice {
    /// The user who trusts the device.
    pub account: Account,
    /// What the protocol reports of the device.
    pub device: DeviceReport,
}

impl Administration {
    /// Passes all devices that stand in for a code now to `each`, in order of user and number, until it returns `false`.
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

    /// What decides how long devices are trusted, for each user who has any. The name service, which can be slow, is asked
    /// after the store has been released.
    fn trust_rules(&self) -> Result<HashMap<Account, (Verify, Trust)>, AdminError> {
        let rulebook = self.rulebook()?;
        let mut directory = Directory::read();
        let owners: HashSet<_> = self.store().device_owners()?.into_iter().collect();
        let mut rules = HashMap::new();
        for row in rows(self.store())? {
            let account = row.account;
            if !owners.contains(&account) {
                continue;
            }
            let trust = effective(&rulebook, &row.summary, &account, &mut directory)?
                .policy
                .trust;
            rules.insert(account, (row.summary.verify, trust));
        }
        Ok(rules)
    }
}
