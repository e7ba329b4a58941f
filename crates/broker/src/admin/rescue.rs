//! Rescue codes of hosts, as administrators have them shown.

use twofa_core::text::printable;
use twofa_core::{Account, BackupCode, Policy};
use twofa_store::ShownRescueCode;

use super::Administration;
use super::fleet::FleetError;
use crate::fleet::files::FleetDirectory;
use crate::identity::accounts;
use crate::process::log;
use crate::text::messages::log_lines;

/// The longest reason, in characters.
const LONGEST_REASON: usize = 256;

/// A code that is shown once.
#[derive(Debug)]
pub struct RescueCode {
    /// The code.
    pub code: BackupCode,
    /// The name of its host.
    pub host: String,
    /// The administrators who are told, at their verified addresses.
    pub told: Vec<Account>,
}

impl Administration {
    /// Has a rescue code of the host `name` shown, for this `reason`. `None`: there is no such host.
    pub fn rescue_host(&self, name: &str, reason: &str) -> Result<Option<RescueCode>, FleetError> {
        if !FleetDirectory::default().is_server() {
            return Err(FleetError::NoServer);
        }
        let reason = printable(reason.trim());
        if reason.is_empty() || reason.chars().count() > LONGEST_REASON {
            return Err(FleetError::BadReason);
        }
        let rules = self.store().rules_in_force().map_err(FleetError::from)?;
        let told = administrators(rules.rulebook.machine());
        let (origin, now) = (self.origin(), self.now());
        let shown = self
            .store()
            .show_rescue_code(name, &reason, &told, &origin, now)?;
        match shown {
            ShownRescueCode::Code(code) => Ok(Some(RescueCode {
                code,
                host: name.to_owned(),
                told,
            })),
            ShownRescueCode::NoHost => Ok(None),
            ShownRescueCode::NoCodes => Err(FleetError::NoRescueCodes(name.to_owned())),
            ShownRescueCode::AllShown => Err(FleetError::RescueCodesShown(name.to_owned())),
        }
    }
}

/// The members of `fleet.administrators`. That some could not be looked up keeps nobody from a rescue, and is logged.
pub(crate) fn administrators(policy: &Policy) -> Vec<Account> {
    let Some(group) = &policy.fleet_administrators else {
        return Vec::new();
    };
    let found = accounts::members(group).map(|members| members.map(|it| it.names));
    let names = match found {
        Ok(Some(names)) => names,
        Ok(None) => {
            log::warn(&log_lines::administrators_unknown(
                group,
                &"there is no such group",
            ));
            return Vec::new();
        }
        Err(error) => {
            log::warn(&log_lines::administrators_unknown(group, &error));
            return Vec::new();
        }
    };
    let mut told = Vec::new();
    for name in names {
        match accounts::find(&name) {
            Ok(account) => told.extend(account),
            Err(error) => log::warn(&log_lines::administrators_unknown(group, &error)),
        }
    }
    told
}
