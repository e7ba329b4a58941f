//! What administrators have decided, kept in memory as long as it holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use twofa_core::rulebook::{BadRulebook, Rulebook};
use twofa_core::{FleetPolicy, HostRules, Policy};

use crate::error::StoreError;
use crate::integrity::{StoredPolicy, stored_policy};
use crate::sql::Db;
use crate::sql::exemptions::{self, StoredExemption};
use crate::sql::fleet::{self, JoinedFleet};
use crate::sql::fleet_policy::{self, KnownFleetPolicy};
use crate::tx::View;

/// What an administrator has decided: policy, classes, exemptions, and whether the machine is a host of a fleet.
#[derive(Debug, PartialEq, Eq)]
pub struct Rules {
    /// Policy and classes; on a host of a fleet those of the fleet, made stricter by its own.
    pub rulebook: Rulebook,
    /// Every exemption, also those that have ended; but for those that another program has written ([`crate::AlteredRow`]).
    pub exemptions: Vec<StoredExemption>,
    /// The fleet that this machine has joined.
    pub fleet: Option<JoinedFleet>,
    /// On a host of a fleet: the rules that it has from there.
    pub fleet_policy: Option<KnownFleetPolicy>,
}

/// The rules that were read last. They change rarely and every login asks for them.
#[derive(Debug, Default)]
pub(crate) struct RulesCache(Mutex<Option<KnownRules>>);

/// The rules as of one state of the database.
#[derive(Debug)]
struct KnownRules {
    /// Differs as soon as another connection has changed anything.
    data_version: i64,
    rules: Arc<Rules>,
}

impl RulesCache {
    /// The rules in force in `db`. They are read again only when the database has changed under us, or after
    /// [`RulesCache::forget`]. Rules that were read again and have not changed are the same [`Arc`], so that who holds
    /// one can tell. `changed` is set then: another process may have changed anything.
    pub(crate) fn load(
        &self,
        view: &View<'_>,
        changed: &AtomicBool,
    ) -> Result<Arc<Rules>, StoreError> {
        let db = view.db;
        let data_version = db.data_version()?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known
            .as_ref()
            .filter(|known| known.data_version == data_version)
        {
            return Ok(known.rules.clone());
        }
        changed.store(true, Ordering::Relaxed);
        let read = Rules {
            rulebook: rulebook(view)?,
            exemptions: valid_exemptions(view)?,
            fleet: fleet::joined(db)?,
            fleet_policy: fleet_policy::known(db)?,
        };
        let rules = match known.take() {
            Some(known) if *known.rules == read => known.rules,
            _ => Arc::new(read),
        };
        *known = Some(KnownRules {
            data_version,
            rules: rules.clone(),
        });
        Ok(rules)
    }

    /// Forgets the rules, before they are read to be changed in a transaction of ours.
    pub(crate) fn forget(&self, db: &Db<'_>) -> Result<(), StoreError> {
        db.begin_change_of_rules()?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

fn valid_exemptions(view: &View<'_>) -> Result<Vec<StoredExemption>, StoreError> {
    let mut valid = Vec::new();
    for (exemption, hash) in exemptions::all(view.db)? {
        if view.hasher().is_ours(&hash)? {
            valid.push(exemption);
        }
    }
    Ok(valid)
}

/// The policy and the classes in force. Anything stored that does not read is an error, never a default, and so is what another
/// program has written.
pub(crate) fn rulebook(view: &View<'_>) -> Result<Rulebook, StoreError> {
    rulebook_of(view.db, stored_policy(view, &[])?)
}

/// The same, no matter who wrote it: for what keeps nobody out and lets nobody in.
pub(crate) fn rulebook_as_stored(db: &Db<'_>) -> Result<Rulebook, StoreError> {
    rulebook_of(db, StoredPolicy::read(db)?)
}

fn rulebook_of(db: &Db<'_>, stored: StoredPolicy) -> Result<Rulebook, StoreError> {
    let StoredPolicy { settings, classes } = stored;
    let Some(of_fleet) = of_fleet(db)? else {
        let machine = parse(&settings).map_err(StoreError::BrokenPolicy)?;
        return Rulebook::new(machine, classes).map_err(StoreError::BrokenPolicy);
    };
    let own = HostRules { settings, classes };
    of_fleet.on_host(own).map_err(StoreError::BrokenPolicy)
}

/// The rules of the fleet that this machine has joined, as the fleet has them; `None`: it is in none.
pub(crate) fn of_fleet(db: &Db<'_>) -> Result<Option<Rulebook>, StoreError> {
    let Some(known) = fleet_policy::known(db)? else {
        return Ok(None);
    };
    let read = FleetPolicy::read(&known.text);
    let read = read.map_err(|error| StoreError::BrokenFleetPolicy(error.to_string()))?;
    Ok(Some(read.rulebook))
}

pub(crate) fn parse(settings: &[(String, String)]) -> Result<Policy, BadRulebook> {
    let settings = settings
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    Ok(Policy::from_settings(settings)?)
}
