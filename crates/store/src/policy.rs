//! The policy and the classes, read and changed.

use std::collections::HashMap;
use std::sync::Arc;

use twofa_core::policy::{Durability, KEYS, Policy, find};
use twofa_core::rulebook::{BadRulebook, Change, Rulebook};
use twofa_core::{DeviceKind, HostRules, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::integrity::{StoredPolicy, stored_policy};
use crate::rules::{self, Rules};
use crate::sql::postgres::pool::Pool;
use crate::sql::postgres::replication;
use crate::sql::postgres::watch::Watch;
use crate::sql::{devices, fleet_policy, policy};
use crate::tx::{Tx, View};

impl Store {
    /// The rules in force.
    #[allow(
        clippy::redundant_closure_for_method_calls,
        reason = "the method is of a view with one lifetime"
    )]
    pub fn rules_in_force(&self) -> Result<Arc<Rules>, StoreError> {
        self.read(|view| view.rules())
    }

    /// The policy and the classes in force. Anything stored that does not read is an error, never a default.
    pub fn rulebook(&self) -> Result<Rulebook, StoreError> {
        self.read(rules::rulebook)
    }

    /// Changes `settings` of the machine's policy, all or none, and says what changed. A stored setting that is
    /// broken can be set right with this.
    pub fn change_policy<'a>(
        &self,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<Change>, StoreError> {
        let settings: Vec<_> = settings.into_iter().collect();
        if settings.contains(&("fleet.durability", Durability::Local.name())) {
            self.write_without_standby();
        }
        self.change(origin, now, |tx| {
            tx.rules.forget(tx.db)?;
            if let Some(fleet) = rules::of_fleet(tx.db)? {
                return tighten(tx, fleet, &settings);
            }
            let after = preview(tx, &settings)?;
            save(tx, &after)
        })
    }

    /// What the rulebook would be with `settings`, without changing it.
    pub fn preview_policy<'a>(
        &self,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Rulebook, StoreError> {
        let settings: Vec<_> = settings.into_iter().collect();
        self.read(|view| preview(view, &settings))
    }

    /// Replaces the whole rulebook `before` by `rulebook`, and returns what changed. `None`: replaces a broken one.
    pub fn replace_rulebook(
        &self,
        before: Option<&Rulebook>,
        rulebook: &Rulebook,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<Change>, StoreError> {
        if rulebook.machine().fleet_durability == Durability::Local {
            self.write_without_standby();
        }
        self.change(origin, now, |tx| {
            tx.rules.forget(tx.db)?;
            if fleet_policy::known(tx.db)?.is_some() {
                return Err(StoreError::RulesOfFleet);
            }
            let unchanged = match rules::rulebook(tx) {
                Ok(stored) => before == Some(&stored),
                Err(StoreError::BrokenPolicy(_) | StoreError::Altered(_)) => before.is_none(),
                Err(error) => return Err(error),
            };
            if !unchanged {
                return Err(StoreError::ChangedMeanwhile);
            }
            save(tx, rulebook)
        })
    }

    /// A policy that demands no standby can be set without one: else none could be where one was demanded.
    fn write_without_standby(&self) {
        let watch = self.server().and_then(Pool::watch);
        watch.inspect(|watch: &&Watch| watch.write_without_standby());
    }
}

fn preview(view: &View<'_>, changed: &[(&str, &str)]) -> Result<Rulebook, StoreError> {
    // What is asked for must read by itself, so that a mistake is not blamed on what is stored.
    Policy::from_settings(changed.iter().copied()).map_err(BadRulebook::from)?;
    if let Some(fleet) = rules::of_fleet(view.db)? {
        return Ok(fleet.clone().on_host(own_rules(view, &fleet, changed)?)?);
    }
    let StoredPolicy { settings, classes } = unchanged(view, changed)?;
    let settings = with_changed(settings, changed);
    let machine = rules::parse(&settings).map_err(StoreError::BrokenPolicy)?;
    Ok(Rulebook::new(machine, classes)?)
}

/// What is stored, of which these are about to be changed: they may be what is wrong with it.
fn unchanged(view: &View<'_>, changed: &[(&str, &str)]) -> Result<StoredPolicy, StoreError> {
    let keys: Vec<_> = changed.iter().map(|(key, _)| *key).collect();
    stored_policy(view, &keys)
}

/// `settings`, with each one that is in `changed` replaced.
fn with_changed(
    mut settings: Vec<(String, String)>,
    changed: &[(&str, &str)],
) -> Vec<(String, String)> {
    settings.retain(|(key, _)| !changed.iter().any(|(new, _)| new == key));
    settings.extend(
        changed
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
    );
    settings
}

/// What a host adds to the rules of its `fleet` once `changed` is set. A value that is weaker than the fleet's is refused; one that
/// is the fleet's need not be kept.
fn own_rules(
    view: &View<'_>,
    fleet: &Rulebook,
    changed: &[(&str, &str)],
) -> Result<HostRules, StoreError> {
    let StoredPolicy { settings, classes } = unchanged(view, changed)?;
    let mut settings = with_changed(settings, changed);
    for (name, value) in changed.iter().copied() {
        let Some(key) = find(name) else { continue };
        let of_fleet = key.value(fleet.machine());
        let wanted = Policy::from_settings([(name, value)]).map_err(BadRulebook::from)?;
        if key.value(&wanted) == of_fleet {
            settings.retain(|(kept, _)| kept != name);
            continue;
        }
        if !key.may_differ_on_host() {
            return Err(StoreError::OfFleet(key.name));
        }
        let both = fleet.machine().tightened([(name, value)]);
        if key.value(&both.map_err(BadRulebook::from)?) != key.value(&wanted) {
            return Err(StoreError::WeakerThanFleet {
                key: key.name,
                wanted: value.to_owned(),
                value: of_fleet,
            });
        }
    }
    Ok(HostRules { settings, classes })
}

/// Sets `changed` on a host of `fleet`, and says what that changes.
fn tighten(
    tx: &Tx<'_>,
    fleet: Rulebook,
    changed: &[(&str, &str)],
) -> Result<Vec<Change>, StoreError> {
    let before = rules::rulebook(tx)?;
    let own = own_rules(tx, &fleet, changed)?;
    let pairs = own.settings.iter();
    policy::replace_settings(tx.db, pairs.map(|(key, value)| (key, value.clone())))?;
    tx.hash_policy()?;
    record_changes(tx, &before, &fleet.on_host(own)?)
}

/// Drops the settings that are as they are by default: on a host they would count as set.
pub(crate) fn drop_defaults(tx: &Tx<'_>) -> Result<(), StoreError> {
    let is_set = |(name, value): &(String, String)| {
        find(name).is_none_or(|key| key.value(&Policy::default()) != *value)
    };
    let StoredPolicy { settings, .. } = stored_policy(tx, &[])?;
    let kept = settings.into_iter().filter(is_set);
    policy::replace_settings(tx.db, kept.collect::<Vec<_>>())?;
    tx.hash_policy()
}

fn save(tx: &Tx<'_>, after: &Rulebook) -> Result<Vec<Change>, StoreError> {
    // Where what is stored does not read, or another program has written it, everything is new.
    let before = match rules::rulebook(tx) {
        Err(StoreError::BrokenPolicy(_) | StoreError::Altered(_)) => Rulebook::default(),
        loaded => loaded?,
    };
    check_standby(tx, &before, after)?;
    let settings = KEYS
        .iter()
        .map(|key| (key.name, key.value(after.machine())));
    policy::replace_settings(tx.db, settings)?;
    policy::replace_classes(tx.db, after.classes())?;
    fleet_policy::raise_version(tx.db, tx.now)?;
    tx.hash_policy()?;
    record_changes(tx, &before, after)
}

/// Fails if `after` demands a synchronous standby, and the database has none: the next change would be refused, as would all
/// logins.
fn check_standby(tx: &Tx<'_>, before: &Rulebook, after: &Rulebook) -> Result<(), StoreError> {
    let demands = |rules: &Rulebook| rules.machine().fleet_durability == Durability::Replicated;
    if !demands(after) || demands(before) || replication::waits_for_standby(tx.db)? {
        return Ok(());
    }
    Err(StoreError::CannotReplicate)
}

/// Records what differs between the rules `before` and `after`, and shortens trust to what it may be now.
pub(crate) fn record_changes(
    tx: &Tx<'_>,
    before: &Rulebook,
    after: &Rulebook,
) -> Result<Vec<Change>, StoreError> {
    let changes = before.changes_to(after);
    shorten_trust(tx, before, after)?;
    for Change { what, from, to } in changes.iter().cloned() {
        tx.record(None, &Event::PolicyChanged { what, from, to })?;
    }
    Ok(changes)
}

/// Shortens what was granted under each class to the duration that it has now, so that a longer one does not bring back later
/// what a shorter one has ended. Members of a class that is removed are under everyone's policy.
fn shorten_trust(tx: &Tx<'_>, before: &Rulebook, after: &Rulebook) -> Result<(), StoreError> {
    let now: HashMap<_, _> = after.policies().collect();
    for (class, policy) in before.policies() {
        let lowered = now.get(class).unwrap_or_else(|| after.machine());
        for kind in DeviceKind::all() {
            let most = kind.duration(&lowered.trust);
            if most < kind.duration(&policy.trust) {
                devices::shorten(tx.db, kind, Some(class), most)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, origin};
    use twofa_core::{Class, Group, Mode};

    fn change(what: &str, from: &str, to: &str) -> Change {
        Change {
            what: what.into(),
            from: Some(from.into()),
            to: Some(to.into()),
        }
    }

    #[test]
    fn a_policy_changes_as_a_whole_and_says_what_changed() {
        let bench = Bench::new();
        let store = bench.create();
        let changes = store.change_policy(
            [("mode", "mandatory"), ("lockout.after", "5")],
            &origin(),
            bench.now,
        );
        assert_eq!(
            changes.unwrap(),
            [
                change("mode", "disabled", "mandatory"),
                change("lockout.after", "10", "5")
            ]
        );
        assert_eq!(store.rulebook().unwrap().machine().mode, Mode::Mandatory);
    }

    #[test]
    fn a_policy_with_one_bad_setting_changes_nothing() {
        let bench = Bench::new();
        let store = bench.create();
        let result = store.change_policy(
            [("mode", "mandatory"), ("lockout.after", "0")],
            &origin(),
            bench.now,
        );
        assert!(matches!(result, Err(StoreError::BadRulebook(_))));
        assert_eq!(store.rulebook().unwrap(), Rulebook::default());
    }

    #[test]
    fn a_broken_stored_policy_is_an_error_until_it_is_corrected() {
        let bench = Bench::new();
        let store = bench.create();
        Bench::execute(
            &store,
            "INSERT INTO setting SELECT 'mode', 'maybe', seal FROM policy_version",
        );
        Bench::hash_rows(&store);
        assert!(matches!(store.rulebook(), Err(StoreError::BrokenPolicy(_))));
        store
            .change_policy([("mode", "optional")], &origin(), bench.now)
            .unwrap();
        assert_eq!(store.rulebook().unwrap().machine().mode, Mode::Optional);
    }

    #[test]
    fn an_unknown_setting_is_an_error() {
        let bench = Bench::new();
        let store = bench.create();
        Bench::execute(
            &store,
            "INSERT INTO setting SELECT 'nouserok', 'yes', seal FROM policy_version",
        );
        Bench::hash_rows(&store);
        assert!(matches!(store.rulebook(), Err(StoreError::BrokenPolicy(_))));
    }

    #[test]
    fn classes_come_back_in_their_order_with_their_settings() {
        let bench = Bench::new();
        let store = bench.create();
        let class = |name: &str, settings: &[(&str, &str)]| Class {
            name: name.into(),
            group: Group {
                name: format!("{name}-group"),
                gid: (name == "zebra").then_some(u32::MAX - 1),
            },
            settings: settings
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        };
        let classes = vec![
            class("zebra", &[("mode", "mandatory"), ("trust.remote", "1d")]),
            class("ant", &[]),
        ];
        let rulebook = Rulebook::new(Policy::default(), classes).unwrap();
        let replace = |before: &Rulebook| {
            store.replace_rulebook(Some(before), &rulebook, &origin(), bench.now)
        };
        assert_eq!(replace(&Rulebook::default()).unwrap().len(), 4);
        assert_eq!(store.rulebook().unwrap(), rulebook);
        assert!(replace(&rulebook).unwrap().is_empty());
        // What somebody else has changed meanwhile is not overwritten.
        assert!(matches!(
            replace(&Rulebook::default()),
            Err(StoreError::ChangedMeanwhile)
        ));
    }

    #[test]
    fn a_preview_changes_nothing() {
        let bench = Bench::new();
        let store = bench.create();
        assert_eq!(
            store
                .preview_policy([("mode", "optional")])
                .unwrap()
                .machine()
                .mode,
            Mode::Optional
        );
        assert_eq!(store.rulebook().unwrap().machine().mode, Mode::Disabled);
    }
}
