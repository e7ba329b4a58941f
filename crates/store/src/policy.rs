//! The policy as it is kept: only what differs from the defaults.

use rusqlite::Transaction;
use twofa_core::Timestamp;
use twofa_core::policy::{self, KEYS, Policy};

use crate::database::Store;
use crate::error::StoreError;
use crate::events::{self, Event, EventKind, Origin};

/// One setting that [`Store::change_policy`] changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub key: &'static str,
    /// What it was.
    pub from: String,
    /// What it is.
    pub to: String,
}

impl Store {
    /// The policy in force. A stored setting that does not read is an error, never a default.
    pub fn policy(&self) -> Result<Policy, StoreError> {
        self.read(load)
    }

    /// Changes `settings`, all or none, for the administrator `actor` (a uid), and says what changed.
    pub fn change_policy<'a>(
        &self,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
        actor: u32,
        now: Timestamp,
    ) -> Result<Vec<Change>, StoreError> {
        let settings: Vec<_> = settings.into_iter().collect();
        // What is asked for must read by itself, so that a mistake is not blamed on what is stored.
        Policy::from_settings(settings.iter().copied())?;
        self.write(|db| {
            let before = rows(db)?;
            let changed: Vec<_> =
                settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            // A stored setting that is broken can be set right, so only the new whole must read.
            let kept = before.iter().filter(|(key, _)| !changed.iter().any(|(new, _)| new == key));
            let after = parse(kept.chain(&changed))?;
            let mut changes = Vec::new();
            for key in &KEYS {
                let (from, to) = (stored(&before, key.name), key.value(&after));
                if from == to {
                    continue;
                }
                db.execute("INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)", (key.name, &to))?;
                changes.push(Change { key: key.name, from, to });
            }
            for change in &changes {
                let detail = format!("{} from '{}' to '{}'", change.key, change.from, change.to);
                let origin = Origin { actor, ..Origin::default() };
                events::record(
                    db,
                    &Event { kind: EventKind::PolicyChanged, user: None, detail: Some(detail) },
                    &origin,
                    now,
                )?;
            }
            Ok(changes)
        })
    }
}

pub(crate) fn load(db: &Transaction<'_>) -> Result<Policy, StoreError> {
    parse(&rows(db)?)
}

fn rows(db: &Transaction<'_>) -> Result<Vec<(String, String)>, StoreError> {
    let mut statement = db.prepare_cached("SELECT key, value FROM setting")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn parse<'a>(rows: impl IntoIterator<Item = &'a (String, String)>) -> Result<Policy, StoreError> {
    let settings = rows.into_iter().map(|(key, value)| (key.as_str(), value.as_str()));
    Policy::from_settings(settings).map_err(StoreError::BrokenPolicy)
}

/// A setting as it is stored, readable or not.
fn stored(rows: &[(String, String)], name: &str) -> String {
    let row = rows.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    row.unwrap_or_else(|| policy::find(name).map_or_else(String::new, |key| key.default.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use twofa_core::Mode;

    #[test]
    fn a_policy_changes_wholly_and_says_what_changed() {
        let bench = Bench::new();
        let store = bench.create();
        let changes =
            store.change_policy([("mode", "mandatory"), ("lockout.after", "5")], 0, bench.now).unwrap();
        let change = |key, from: &str, to: &str| Change { key, from: from.into(), to: to.into() };
        assert_eq!(changes, [change("mode", "disabled", "mandatory"), change("lockout.after", "10", "5")]);
        assert_eq!(store.policy().unwrap().mode, Mode::Mandatory);
    }

    #[test]
    fn a_policy_with_one_bad_setting_changes_nothing() {
        let bench = Bench::new();
        let store = bench.create();
        let result = store.change_policy([("mode", "mandatory"), ("lockout.after", "0")], 0, bench.now);
        assert!(matches!(result, Err(StoreError::BadSetting(_))));
        assert_eq!(store.policy().unwrap(), Policy::default());
    }

    #[test]
    fn a_broken_stored_policy_is_an_error_until_it_is_set_right() {
        let bench = Bench::new();
        let store = bench.create();
        store.write(|db| Ok(db.execute("INSERT INTO setting VALUES ('mode', 'maybe')", [])?)).unwrap();
        assert!(matches!(store.policy(), Err(StoreError::BrokenPolicy(_))));
        store.change_policy([("mode", "optional")], 0, bench.now).unwrap();
        assert_eq!(store.policy().unwrap().mode, Mode::Optional);
    }

    #[test]
    fn a_setting_nobody_knows_is_an_error() {
        let bench = Bench::new();
        let store = bench.create();
        store.write(|db| Ok(db.execute("INSERT INTO setting VALUES ('nouserok', 'yes')", [])?)).unwrap();
        assert!(matches!(store.policy(), Err(StoreError::BrokenPolicy(_))));
    }
}
