//! The rules of a fleet: on a server, those that its hosts are to keep; on a host, the copy that it has.

use twofa_core::{FleetPolicy, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::Origin;
use crate::rules;
use crate::sql::fleet;
use crate::sql::fleet_policy::{self, KnownFleetPolicy};
use crate::tx::Tx;

impl Store {
    /// On a server of `fleet`: its rules, with their version.
    pub fn fleet_policy(&self, fleet: &str) -> Result<FleetPolicy, StoreError> {
        self.read(|view| {
            Ok(FleetPolicy {
                fleet: fleet.to_owned(),
                version: fleet_policy::version(view.db)?,
                rulebook: rules::rulebook(view)?,
            })
        })
    }

    /// The version of the rules of [`Self::fleet_policy`].
    pub fn policy_version(&self) -> Result<i64, StoreError> {
        self.read(|view| fleet_policy::version(view.db))
    }

    /// On a host: puts the fleet's `policy` in force, if it is this host's fleet's, and newer than the one that is. Says whether
    /// it was.
    pub fn adopt_fleet_policy(
        &self,
        policy: &FleetPolicy,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| adopt(tx, policy))
    }
}

/// Puts `policy` in force, unless it is the one that is.
pub(crate) fn adopt(tx: &Tx<'_>, policy: &FleetPolicy) -> Result<bool, StoreError> {
    tx.rules.forget(tx.db)?;
    let joined = fleet::joined(tx.db)?;
    if joined.is_none_or(|joined| joined.fleet != policy.fleet) {
        return Err(StoreError::OtherFleet);
    }
    let known = fleet_policy::known(tx.db)?;
    let text = policy.write();
    if let Some(known) = known {
        if known.version > policy.version || known.version == policy.version && known.text != text {
            return Err(StoreError::OldPolicy {
                version: policy.version,
                seen: known.version,
            });
        }
        if known.version == policy.version {
            return Ok(false);
        }
    }
    let before = rules::rulebook(tx)?;
    let known = KnownFleetPolicy {
        version: policy.version,
        since: tx.now,
        text,
    };
    fleet_policy::set_known(tx.db, &known)?;
    crate::policy::record_changes(tx, &before, &rules::rulebook(tx)?)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, joined_fleet, origin};
    use twofa_core::{Mode, Policy, Rulebook};

    fn policy(version: i64, settings: &[(&str, &str)]) -> FleetPolicy {
        let machine = Policy::from_settings(settings.iter().copied()).unwrap();
        FleetPolicy {
            fleet: "f".into(),
            version,
            rulebook: Rulebook::new(machine, Vec::new()).unwrap(),
        }
    }

    fn join(bench: &Bench, store: &Store, first: &FleetPolicy) {
        let (joined, _) = joined_fleet(bench.now);
        store
            .join_fleet(&joined, first, &origin(), bench.now)
            .unwrap();
    }

    fn mode(store: &Store) -> Mode {
        store.rules_in_force().unwrap().rulebook.machine().mode
    }

    #[test]
    fn each_change_of_the_rules_has_a_greater_version_which_is_not_less_than_the_time() {
        let bench = Bench::new();
        let store = bench.create();
        let mut last = store.policy_version().unwrap();
        for (mode, at) in [
            ("optional", bench.now),
            ("mandatory", bench.now),
            // After a clock that was set back, too.
            ("disabled", bench.now.before(1000)),
        ] {
            store
                .change_policy([("mode", mode)], &origin(), at)
                .unwrap();
            let policy = store.fleet_policy("f").unwrap();
            assert_eq!(policy.version, store.policy_version().unwrap());
            assert!(policy.version > last && policy.version >= at.unix());
            assert_eq!(policy.rulebook.machine().mode.name(), mode);
            last = policy.version;
        }
    }

    #[test]
    fn the_rules_of_the_fleet_are_in_force_on_a_host_and_never_go_back() {
        let bench = Bench::new();
        let store = bench.create();
        store
            .change_policy([("lockout.after", "5")], &origin(), bench.now)
            .unwrap();
        join(
            &bench,
            &store,
            &policy(7, &[("mode", "optional"), ("trust.remote", "1d")]),
        );
        let rules = store.rules_in_force().unwrap();
        let machine = rules.rulebook.machine();
        // What the host had set stays where it is stricter; what it had not set is as the fleet has it.
        assert_eq!((machine.mode, machine.lockout.after), (Mode::Optional, 5));
        assert_eq!(machine.trust.remote.to_string(), "1d");
        assert_eq!(rules.fleet_policy.as_ref().unwrap().version, 7);

        let adopt = |policy: &FleetPolicy| store.adopt_fleet_policy(policy, &origin(), bench.now);
        assert!(adopt(&policy(9, &[("mode", "mandatory")])).unwrap());
        assert_eq!(mode(&store), Mode::Mandatory);
        assert!(!adopt(&policy(9, &[("mode", "mandatory")])).unwrap());
        for other in [policy(8, &[]), policy(9, &[])] {
            let refused = adopt(&other);
            assert!(matches!(
                refused,
                Err(StoreError::OldPolicy { seen: 9, .. })
            ));
        }
        let foreign = FleetPolicy {
            fleet: "g".into(),
            ..policy(10, &[])
        };
        assert!(matches!(adopt(&foreign), Err(StoreError::OtherFleet)));
        assert_eq!(mode(&store), Mode::Mandatory);

        store.leave_fleet(&origin(), bench.now).unwrap();
        let machine = store.rulebook().unwrap();
        assert_eq!(machine.machine().mode, Mode::Disabled);
        assert_eq!(machine.machine().lockout.after, 5);
        assert_eq!(store.rules_in_force().unwrap().fleet_policy, None);
    }

    #[test]
    fn a_host_sets_what_is_stricter_and_is_told_what_is_not() {
        let bench = Bench::new();
        let store = bench.create();
        join(&bench, &store, &policy(7, &[("mode", "optional")]));
        let set = |key: &str, value: &str| {
            let preview = store.preview_policy([(key, value)]);
            let changed = store.change_policy([(key, value)], &origin(), bench.now);
            assert_eq!(preview.is_ok(), changed.is_ok());
            changed
        };
        assert_eq!(set("mode", "mandatory").unwrap().len(), 1);
        assert_eq!(mode(&store), Mode::Mandatory);
        let weaker = set("mode", "disabled");
        assert!(
            matches!(&weaker, Err(StoreError::WeakerThanFleet { key: "mode", value, .. }) if value == "optional"),
            "{weaker:?}"
        );
        let of_fleet = set("phone.country", "DE");
        assert!(matches!(
            of_fleet,
            Err(StoreError::OfFleet("phone.country"))
        ));
        // As the fleet has it, whatever was stricter before.
        assert_eq!(set("mode", "optional").unwrap().len(), 1);
        assert_eq!(mode(&store), Mode::Optional);
        let rulebook = store.rulebook().unwrap();
        let replaced = store.replace_rulebook(Some(&rulebook), &rulebook, &origin(), bench.now);
        assert!(matches!(replaced, Err(StoreError::RulesOfFleet)));
    }
}
