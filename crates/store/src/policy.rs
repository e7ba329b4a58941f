//! The policy and the classes as they are kept.

use rusqlite::Transaction;
use twofa_core::policy::{KEYS, Policy};
use twofa_core::rulebook::{BadRulebook, Change, Rulebook};
use twofa_core::{Class, Group, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::events::{self, Event, EventKind, Origin};

impl Store {
    /// The policy and the classes in force. Anything stored that does not read is an error, never a default.
    pub fn rulebook(&self) -> Result<Rulebook, StoreError> {
        self.read(load)
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
        self.write(|db| {
            self.forget_rules();
            let after = preview(db, &settings)?;
            save(db, &after, origin, now)
        })
    }

    /// What the rulebook would be with `settings`, without changing it.
    pub fn preview_policy<'a>(
        &self,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Rulebook, StoreError> {
        let settings: Vec<_> = settings.into_iter().collect();
        self.read(|db| preview(db, &settings))
    }

    /// Puts `rulebook` in the place of `before`, wholly, and says what changed. `None`: of whatever is broken there.
    pub fn replace_rulebook(
        &self,
        before: Option<&Rulebook>,
        rulebook: &Rulebook,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<Change>, StoreError> {
        self.write(|db| {
            self.forget_rules();
            let unchanged = match load(db) {
                Ok(stored) => before == Some(&stored),
                Err(StoreError::BrokenPolicy(_)) => before.is_none(),
                Err(error) => return Err(error),
            };
            if !unchanged {
                return Err(StoreError::ChangedMeanwhile);
            }
            save(db, rulebook, origin, now)
        })
    }
}

pub(crate) fn load(db: &Transaction<'_>) -> Result<Rulebook, StoreError> {
    let machine = parse(&settings(db)?).map_err(StoreError::BrokenPolicy)?;
    Rulebook::new(machine, classes(db)?).map_err(StoreError::BrokenPolicy)
}

fn preview(db: &Transaction<'_>, changed: &[(&str, &str)]) -> Result<Rulebook, StoreError> {
    // What is asked for must read by itself, so that a mistake is not blamed on what is stored.
    Policy::from_settings(changed.iter().copied()).map_err(BadRulebook::from)?;
    let mut settings = settings(db)?;
    settings.retain(|(key, _)| !changed.iter().any(|(new, _)| new == key));
    settings.extend(
        changed
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
    );
    let machine = parse(&settings).map_err(StoreError::BrokenPolicy)?;
    Ok(Rulebook::new(machine, classes(db)?)?)
}

fn save(
    db: &Transaction<'_>,
    after: &Rulebook,
    origin: &Origin,
    now: Timestamp,
) -> Result<Vec<Change>, StoreError> {
    // Where what is stored does not read, everything is new.
    let before = match load(db) {
        Err(StoreError::BrokenPolicy(_)) => Rulebook::default(),
        loaded => loaded?,
    };
    let changes = before.changes_to(after);
    db.execute("DELETE FROM setting", [])?;
    for key in &KEYS {
        db.execute(
            "INSERT INTO setting (key, value) VALUES (?1, ?2)",
            (key.name, key.value(after.machine())),
        )?;
    }
    db.execute("DELETE FROM class", [])?;
    for (position, class) in (0_u32..).zip(after.classes()) {
        let sql =
            "INSERT INTO class (name, position, unix_group, unix_gid) VALUES (?1, ?2, ?3, ?4)";
        db.execute(
            sql,
            (&class.name, position, &class.group.name, class.group.gid),
        )?;
        for (key, value) in &class.settings {
            let sql = "INSERT INTO class_setting (class, key, value) VALUES (?1, ?2, ?3)";
            db.execute(sql, (&class.name, key, value))?;
        }
    }
    for Change { what, from, to } in &changes {
        let shown = |value: &Option<String>| {
            value
                .as_ref()
                .map_or("nothing".to_owned(), |value| format!("'{value}'"))
        };
        let detail = Some(format!("{what} from {} to {}", shown(from), shown(to)));
        events::record(
            db,
            &Event {
                kind: EventKind::PolicyChanged,
                user: None,
                detail,
            },
            origin,
            now,
        )?;
    }
    Ok(changes)
}

fn settings(db: &Transaction<'_>) -> Result<Vec<(String, String)>, StoreError> {
    let mut statement = db.prepare_cached("SELECT key, value FROM setting")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn classes(db: &Transaction<'_>) -> Result<Vec<Class>, StoreError> {
    let mut classes: Vec<Class> = Vec::new();
    let mut statement = db.prepare_cached(
        "SELECT name, unix_group, unix_gid, key, value
         FROM class LEFT JOIN class_setting ON class = name ORDER BY position, key",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if classes.last().is_none_or(|class| class.name != name) {
            let group = Group {
                name: row.get(1)?,
                gid: row.get(2)?,
            };
            classes.push(Class {
                name,
                group,
                settings: Vec::new(),
            });
        }
        let setting: Option<String> = row.get(3)?;
        if let (Some(key), Some(class)) = (setting, classes.last_mut()) {
            class.settings.push((key, row.get(4)?));
        }
    }
    Ok(classes)
}

fn parse(settings: &[(String, String)]) -> Result<Policy, BadRulebook> {
    let settings = settings
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    Ok(Policy::from_settings(settings)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, origin};
    use twofa_core::Mode;

    fn change(what: &str, from: &str, to: &str) -> Change {
        Change {
            what: what.into(),
            from: Some(from.into()),
            to: Some(to.into()),
        }
    }

    #[test]
    fn a_policy_changes_wholly_and_says_what_changed() {
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
    fn a_broken_stored_policy_is_an_error_until_it_is_set_right() {
        let bench = Bench::new();
        let store = bench.create();
        store
            .write(|db| Ok(db.execute("INSERT INTO setting VALUES ('mode', 'maybe')", [])?))
            .unwrap();
        assert!(matches!(store.rulebook(), Err(StoreError::BrokenPolicy(_))));
        store
            .change_policy([("mode", "optional")], &origin(), bench.now)
            .unwrap();
        assert_eq!(store.rulebook().unwrap().machine().mode, Mode::Optional);
    }

    #[test]
    fn a_setting_nobody_knows_is_an_error() {
        let bench = Bench::new();
        let store = bench.create();
        store
            .write(|db| Ok(db.execute("INSERT INTO setting VALUES ('nouserok', 'yes')", [])?))
            .unwrap();
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
