//! Providers as they are kept: what carries codes, what each was told, and in which order they are tried.
//!
//! What is secret of their settings is sealed to the provider and the setting's name. One provider whose secret does not
//! open is [`Providers::broken`] and takes no other with it: a login can do with those that are left.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension, Row, Transaction};
use twofa_core::{Channel, Timestamp};
use zeroize::Zeroizing;

use crate::database::Store;
use crate::error::StoreError;
use crate::events::{self, Event, EventKind, Origin};
use crate::seal::{Place, SealingKey, Whose};

mod record;

pub use record::{ProviderRecord, Providers, Value};

/// How many characters a provider's name may have.
const LONGEST_NAME: usize = 32;

impl Store {
    /// All providers and their order, as of one moment.
    pub fn providers(&self) -> Result<Providers, StoreError> {
        self.read(|db| {
            let mut providers = Providers {
                version: version(db)?,
                ..Providers::default()
            };
            for channel in Channel::ALL {
                providers.order[channel] = order(db, channel)?;
            }
            let mut statement =
                db.prepare_cached("SELECT id, kind, title, name FROM provider ORDER BY name")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let head = Head::of(row)?;
                let name: String = row.get(3)?;
                match settings(db, self.key(), head.id, &name) {
                    Ok(settings) => {
                        let Head { kind, title, .. } = head;
                        providers.all.push(ProviderRecord {
                            name,
                            kind,
                            title,
                            settings,
                        });
                    }
                    Err(error @ StoreError::ProviderSealed { .. }) => {
                        providers.broken.push((name, error.to_string()));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(providers)
        })
    }

    /// A number that rises with every change of providers or their order, for whoever keeps them in memory.
    pub fn providers_version(&self) -> Result<u64, StoreError> {
        self.read(version)
    }

    /// Whether a provider can be called `name`.
    pub fn check_provider_name(name: &str) -> Result<(), StoreError> {
        if is_name(name) {
            Ok(())
        } else {
            Err(StoreError::BadProviderName(name.to_owned()))
        }
    }

    /// Adds a provider, which is the last that is tried for addresses of the kind `channel`.
    pub fn add_provider(
        &self,
        record: &ProviderRecord,
        channel: Channel,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ProviderRecord {
            name,
            kind,
            title,
            settings,
        } = record;
        Self::check_provider_name(name)?;
        self.write(|db| {
            if head(db, name)?.is_some() {
                return Err(StoreError::ProviderExists(name.clone()));
            }
            db.execute(
                "INSERT INTO provider (name, kind, title, created_at, changed_at) VALUES (?1, ?2, ?3, ?4, ?4)",
                (name, kind, title, now.unix()),
            )?;
            let id = db.last_insert_rowid();
            insert_settings(db, self.key(), id, settings)?;
            db.execute(
                "INSERT INTO method_provider (method, position, provider) VALUES (
                     ?1, (SELECT coalesce(max(position) + 1, 0) FROM method_provider WHERE method = ?1), ?2
                 )",
                (channel.name(), id),
            )?;
            let detail = format!("'{name}' ({kind}), for {}", channel.name());
            changed(db, EventKind::ProviderAdded, detail, origin, now)
        })
    }

    /// Puts the title and the settings of `record` in the place of those of the provider of its name, and gives the
    /// names of what changed. A provider does not change its kind.
    pub fn change_provider(
        &self,
        record: &ProviderRecord,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let ProviderRecord {
            name,
            kind,
            title,
            settings: new,
        } = record;
        self.write(|db| {
            let Some(head) = head(db, name)? else {
                return Err(StoreError::ProviderUnknown(name.clone()));
            };
            if head.kind != *kind {
                return Err(StoreError::ChangedMeanwhile);
            }
            let mut what = match settings(db, self.key(), head.id, name) {
                Ok(old) => differences(&old, new),
                // This is how one is set right: everything is new.
                Err(StoreError::ProviderSealed { .. }) => new.keys().cloned().collect(),
                Err(error) => return Err(error),
            };
            if head.title != *title {
                what.push("title".to_owned());
            }
            if what.is_empty() {
                return Ok(what);
            }
            db.execute(
                "UPDATE provider SET title = ?2, changed_at = ?3 WHERE id = ?1",
                (head.id, title, now.unix()),
            )?;
            db.execute(
                "DELETE FROM provider_setting WHERE provider = ?1",
                [head.id],
            )?;
            insert_settings(db, self.key(), head.id, new)?;
            let detail = format!("'{name}': {}", what.join(", "));
            changed(db, EventKind::ProviderChanged, detail, origin, now)?;
            Ok(what)
        })
    }

    /// Removes a provider, also from the order in which they are tried. Answers whether there was one.
    pub fn remove_provider(
        &self,
        name: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| {
            let Some(head) = head(db, name)? else {
                return Ok(false);
            };
            // Its settings and its places in the order go with it.
            db.execute("DELETE FROM provider WHERE id = ?1", [head.id])?;
            let detail = format!("'{name}' ({})", head.kind);
            changed(db, EventKind::ProviderRemoved, detail, origin, now)?;
            Ok(true)
        })
    }

    /// Has the providers of these names tried in this order for addresses of the kind `which`, and no others. Answers
    /// whether that changed anything.
    pub fn set_provider_order(
        &self,
        channel: Channel,
        names: &[String],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(StoreError::ProviderTwice(twice.clone()));
        }
        self.write(|db| {
            let ids: Vec<_> = names
                .iter()
                .map(|name| {
                    head(db, name)?.ok_or_else(|| StoreError::ProviderUnknown(name.clone()))
                })
                .collect::<Result<_, _>>()?;
            if order(db, channel)? == names {
                return Ok(false);
            }
            db.execute(
                "DELETE FROM method_provider WHERE method = ?1",
                [channel.name()],
            )?;
            for (position, head) in (0_u32..).zip(ids) {
                let sql =
                    "INSERT INTO method_provider (method, position, provider) VALUES (?1, ?2, ?3)";
                db.execute(sql, (channel.name(), position, head.id))?;
            }
            let names = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            let detail = format!("{}: {names}", channel.name());
            changed(db, EventKind::ProviderOrderChanged, detail, origin, now)?;
            Ok(true)
        })
    }
}

/// A row of `provider` without its name.
struct Head {
    id: i64,
    kind: String,
    title: Option<String>,
}

impl Head {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            kind: row.get(1)?,
            title: row.get(2)?,
        })
    }
}

fn head(db: &Transaction<'_>, name: &str) -> Result<Option<Head>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT id, kind, title FROM provider WHERE name = ?1")?;
    Ok(statement.query_row([name], Head::of).optional()?)
}

fn is_name(name: &str) -> bool {
    let is_fit =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_fit)
}

fn version(db: &Transaction<'_>) -> Result<u64, StoreError> {
    let sql = "SELECT version FROM provider_version WHERE id = 1";
    let version = db
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))
        .optional()?;
    version.ok_or_else(|| {
        StoreError::Damaged("it does not say which version its providers are".to_owned())
    })
}

fn order(db: &Transaction<'_>, channel: Channel) -> Result<Vec<String>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT name FROM method_provider JOIN provider ON provider.id = provider
         WHERE method = ?1 ORDER BY position",
    )?;
    let names = statement.query_map([channel.name()], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn place(provider: i64, setting: &str) -> Place<'_> {
    Place {
        table: "provider_setting",
        column: "sealed",
        row: provider,
        whose: Whose::Setting(setting),
    }
}

fn settings(
    db: &Transaction<'_>,
    key: &SealingKey,
    id: i64,
    name: &str,
) -> Result<BTreeMap<String, Value>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT key, value, sealed FROM provider_setting WHERE provider = ?1")?;
    let mut rows = statement.query([id])?;
    let mut settings = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let setting: String = row.get(0)?;
        let value = match row.get(1)? {
            Some(text) => Value::Plain(text),
            None => Value::Secret(open(key, place(id, &setting), row).ok_or_else(|| {
                StoreError::ProviderSealed {
                    provider: name.to_owned(),
                    setting: setting.clone(),
                }
            })?),
        };
        settings.insert(setting, value);
    }
    Ok(settings)
}

/// The secret in the third column, if it opens and is text.
fn open(key: &SealingKey, place: Place<'_>, row: &Row<'_>) -> Option<Zeroizing<String>> {
    let bytes = key.open(place, row.get_ref(2).ok()?.as_blob().ok()?).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

fn insert_settings(
    db: &Transaction<'_>,
    key: &SealingKey,
    provider: i64,
    settings: &BTreeMap<String, Value>,
) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(
        "INSERT INTO provider_setting (provider, key, value, sealed) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (setting, value) in settings {
        let (plain, sealed) = match value {
            Value::Plain(text) => (Some(text), None),
            Value::Secret(text) => (
                None,
                Some(key.seal(place(provider, setting), text.as_bytes())?),
            ),
        };
        statement.execute((provider, setting, plain, sealed))?;
    }
    Ok(())
}

/// The names of the settings that only one of them has or whose values differ.
fn differences(old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>) -> Vec<String> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .cloned()
        .collect()
}

/// Says that something about the providers changed, to whoever keeps them in memory and to the log.
fn changed(
    db: &Transaction<'_>,
    kind: EventKind,
    detail: String,
    origin: &Origin,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.execute("UPDATE provider_version SET version = version + 1", [])?;
    events::record(
        db,
        &Event {
            kind,
            user: None,
            detail: Some(detail),
        },
        origin,
        now,
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventFilter;
    use crate::testing::{Bench, origin};

    const EMAIL: Channel = Channel::Email;
    const SMS: Channel = Channel::Sms;
    const PASSWORD: &str = "swordfish-in-the-sea";

    fn plain(text: &str) -> Value {
        Value::Plain(text.into())
    }

    fn secret(text: &str) -> Value {
        Value::Secret(Zeroizing::new(text.into()))
    }

    fn relay(name: &str) -> ProviderRecord {
        let settings = [
            ("host", plain("mail.example.org")),
            ("password", secret(PASSWORD)),
        ];
        let settings = settings
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        ProviderRecord {
            name: name.into(),
            kind: "smtp".into(),
            title: Some("Our relay".into()),
            settings,
        }
    }

    fn add(bench: &Bench, store: &Store, name: &str, channel: Channel) {
        store
            .add_provider(&relay(name), channel, &origin(), bench.now)
            .unwrap();
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn log(store: &Store) -> Vec<String> {
        let mut log = Vec::new();
        let each = |event: crate::LoggedEvent| {
            log.push(format!(
                "{} {}",
                event.kind,
                event.detail.unwrap_or_default()
            ));
            true
        };
        store.events(&EventFilter::default(), each).unwrap();
        log
    }

    #[test]
    fn a_provider_comes_back_as_it_was_added_and_is_tried_last() {
        let bench = Bench::new();
        let store = bench.create();
        for (name, channel) in [("relay", EMAIL), ("backup", EMAIL), ("texts", SMS)] {
            add(&bench, &store, name, channel);
        }
        let providers = store.providers().unwrap();
        assert_eq!(
            providers.all,
            [relay("backup"), relay("relay"), relay("texts")]
        );
        assert_eq!(providers.order[EMAIL], ["relay", "backup"]);
        assert_eq!(providers.order[SMS], ["texts"]);
        assert_eq!(providers.find("relay"), Some(&relay("relay")));
        assert!(providers.find("nobody").is_none() && providers.broken.is_empty());
        let twice = store.add_provider(&relay("relay"), SMS, &origin(), bench.now);
        assert!(matches!(twice, Err(StoreError::ProviderExists(name)) if name == "relay"));
    }

    #[test]
    fn a_name_that_could_be_anything_else_is_refused() {
        let bench = Bench::new();
        let store = bench.create();
        let long = "x".repeat(33);
        for name in [
            "",
            "Relay",
            "my relay",
            "--provider=x/y",
            "é",
            "a\nb",
            &long,
        ] {
            let refused = store.add_provider(&relay(name), EMAIL, &origin(), bench.now);
            assert!(
                matches!(refused, Err(StoreError::BadProviderName(_))),
                "{name:?}"
            );
        }
        add(&bench, &store, &"x".repeat(32), EMAIL);
        add(&bench, &store, "relay-2_b.example", EMAIL);
    }

    #[test]
    fn a_change_replaces_title_and_settings_and_says_what_changed() {
        let bench = Bench::new();
        let store = bench.create();
        add(&bench, &store, "relay", EMAIL);
        let change = |record: &ProviderRecord| store.change_provider(record, &origin(), bench.now);
        assert!(change(&relay("relay")).unwrap().is_empty());
        assert_eq!(store.providers_version().unwrap(), 1, "nothing changed");

        let mut new = relay("relay");
        new.title = None;
        new.settings
            .insert("password".into(), secret("another one"));
        new.settings.insert("port".into(), plain("465"));
        new.settings.remove("host");
        assert_eq!(change(&new).unwrap(), ["host", "password", "port", "title"]);
        assert_eq!(store.providers().unwrap().all, [new]);
        assert!(matches!(
            change(&relay("nobody")),
            Err(StoreError::ProviderUnknown(_))
        ));
        let other = ProviderRecord {
            kind: "twilio".into(),
            ..relay("relay")
        };
        assert!(matches!(change(&other), Err(StoreError::ChangedMeanwhile)));
    }

    #[test]
    fn a_removed_provider_is_not_tried_any_more() {
        let bench = Bench::new();
        let store = bench.create();
        add(&bench, &store, "relay", EMAIL);
        add(&bench, &store, "backup", EMAIL);
        assert!(
            store
                .remove_provider("relay", &origin(), bench.now)
                .unwrap()
        );
        assert!(
            !store
                .remove_provider("relay", &origin(), bench.now)
                .unwrap()
        );
        let providers = store.providers().unwrap();
        assert_eq!(
            (providers.all, providers.order[EMAIL].clone()),
            (vec![relay("backup")], names(&["backup"]))
        );
        // The next one is the last all the same.
        add(&bench, &store, "another", EMAIL);
        assert_eq!(
            store.providers().unwrap().order[EMAIL],
            ["backup", "another"]
        );
    }

    #[test]
    fn an_order_is_set_wholly_or_not_at_all() {
        let bench = Bench::new();
        let store = bench.create();
        for name in ["a", "b", "c"] {
            add(&bench, &store, name, EMAIL);
        }
        let set =
            |order: &[&str]| store.set_provider_order(EMAIL, &names(order), &origin(), bench.now);
        assert!(set(&["c", "a"]).unwrap() && !set(&["c", "a"]).unwrap());
        assert_eq!(store.providers().unwrap().order[EMAIL], ["c", "a"]);
        assert!(
            matches!(set(&["b", "nobody"]), Err(StoreError::ProviderUnknown(name)) if name == "nobody")
        );
        assert!(
            matches!(set(&["b", "c", "b"]), Err(StoreError::ProviderTwice(name)) if name == "b")
        );
        assert_eq!(store.providers().unwrap().order[EMAIL], ["c", "a"]);
        assert!(set(&[]).unwrap());
        assert_eq!(store.providers().unwrap().order[EMAIL], names(&[]));
    }

    #[test]
    fn every_change_raises_the_version_and_is_logged_without_secrets() {
        let bench = Bench::new();
        let store = bench.create();
        let other = Store::open(bench.location.clone()).unwrap();
        let mut versions = vec![other.providers_version().unwrap()];
        let mut note = || versions.push(other.providers_version().unwrap());
        add(&bench, &store, "relay", EMAIL);
        note();
        let mut new = relay("relay");
        new.settings
            .insert("password".into(), secret("swordfish-again"));
        store.change_provider(&new, &origin(), bench.now).unwrap();
        note();
        store
            .set_provider_order(EMAIL, &[], &origin(), bench.now)
            .unwrap();
        note();
        store
            .remove_provider("relay", &origin(), bench.now)
            .unwrap();
        note();
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
        assert_eq!(
            store.providers().unwrap().version,
            *versions.last().unwrap()
        );
        assert_eq!(
            log(&store),
            [
                "provider-added 'relay' (smtp), for email",
                "provider-changed 'relay': password",
                "provider-order-changed email: none",
                "provider-removed 'relay' (smtp)"
            ]
        );
    }

    #[test]
    fn a_secret_is_nowhere_in_the_files() {
        let bench = Bench::new();
        let store = bench.create();
        add(&bench, &store, "relay", EMAIL);
        let looks = |file: &std::path::Path| {
            let bytes = std::fs::read(file).unwrap();
            let has = |text: &str| {
                bytes
                    .windows(text.len())
                    .any(|window| window == text.as_bytes())
            };
            (has("mail.example.org"), has(PASSWORD))
        };
        let wal = bench.location.database.with_extension("db-wal");
        assert_eq!(looks(&wal), (true, false));
        assert!(!looks(&bench.location.database).1);
        drop(store);
        assert_eq!(looks(&bench.location.database), (true, false));
    }

    #[test]
    fn a_secret_moved_elsewhere_does_not_open_and_takes_no_other_provider_with_it() {
        let moves = [
            // To another provider.
            "UPDATE provider_setting SET sealed = (SELECT sealed FROM provider_setting WHERE provider = 1 AND sealed
             IS NOT NULL) WHERE provider = 2 AND sealed IS NOT NULL",
            // To another setting.
            "UPDATE provider_setting SET key = 'token' WHERE provider = 2 AND key = 'password'",
            "UPDATE provider_setting SET sealed = x'00' WHERE provider = 2 AND key = 'password'",
        ];
        for sql in moves {
            let bench = Bench::new();
            let store = bench.create();
            add(&bench, &store, "first", EMAIL);
            add(&bench, &store, "second", EMAIL);
            store.write(|db| Ok(db.execute(sql, [])?)).unwrap();
            let providers = store.providers().unwrap();
            assert_eq!(providers.all, [relay("first")]);
            let [(name, why)] = providers.broken.as_slice() else {
                panic!("{:?}", providers.broken)
            };
            assert!(
                name == "second" && why.contains("of the provider 'second' does not open"),
                "{why}"
            );
            assert_eq!(providers.order[EMAIL], ["first", "second"]);
            // It is set right by setting it anew.
            store
                .change_provider(&relay("second"), &origin(), bench.now)
                .unwrap();
            assert_eq!(
                store.providers().unwrap().all,
                [relay("first"), relay("second")]
            );
        }
    }

    #[test]
    fn a_secret_of_a_removed_provider_does_not_open_for_the_next_one_of_its_name() {
        let bench = Bench::new();
        let store = bench.create();
        add(&bench, &store, "relay", EMAIL);
        let sql = "SELECT sealed FROM provider_setting WHERE sealed IS NOT NULL";
        let old: Vec<u8> = store
            .read(|db| Ok(db.query_one(sql, [], |row| row.get(0))?))
            .unwrap();
        store
            .remove_provider("relay", &origin(), bench.now)
            .unwrap();
        add(&bench, &store, "relay", EMAIL);
        let sql = "UPDATE provider_setting SET sealed = ?1 WHERE sealed IS NOT NULL";
        store.write(|db| Ok(db.execute(sql, [&old])?)).unwrap();
        assert_eq!(store.providers().unwrap().broken.len(), 1);
    }
}
