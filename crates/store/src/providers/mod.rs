//! Providers as they are kept: what carries codes, the settings of each, and in which order they are tried.
//!
//! What is secret of their settings is sealed to the provider and the setting's name. One provider whose secret does not
//! open is [`Providers::broken`] and takes no other with it: a login can do with those that are left.

use std::collections::{BTreeMap, BTreeSet};

use twofa_core::{Channel, PerChannel, Timestamp};
use zeroize::Zeroizing;

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::seal::{AssociatedData, Owner, SealingKey};
use crate::sql::providers::{self, SettingRow};
use crate::tx::{Tx, View};

mod record;

pub use record::{ProviderRecord, Providers, Value};

/// How many characters a provider's name may have.
const LONGEST_NAME: usize = 32;

impl Store {
    /// All providers and their order, as of one moment.
    pub fn providers(&self) -> Result<Providers, StoreError> {
        self.read(|view| {
            let mut found = Providers {
                version: providers::version(view.db)?,
                order: PerChannel::default(),
                ..Providers::default()
            };
            for channel in Channel::ALL {
                found.order[channel] = providers::order(view.db, channel)?;
            }
            for provider in providers::all(view.db)? {
                match settings(view, provider.id, &provider.name) {
                    Ok(settings) => found.all.push(ProviderRecord {
                        name: provider.name,
                        kind: provider.kind,
                        title: provider.title,
                        settings,
                    }),
                    Err(error @ StoreError::ProviderSealed { .. }) => {
                        found.broken.push((provider.name, error.to_string()));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(found)
        })
    }

    /// A number that rises with every change of providers or their order, for programs that keep them in memory.
    pub fn providers_version(&self) -> Result<u64, StoreError> {
        self.read(|view| providers::version(view.db))
    }

    /// Whether a provider can be called `name`.
    pub fn check_provider_name(name: &str) -> Result<(), StoreError> {
        if is_name(name) {
            Ok(())
        } else {
            Err(StoreError::BadProviderName(name.to_owned()))
        }
    }

    /// Adds a provider, which is the last that is tried for `channel`.
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
        self.change(origin, now, |tx| {
            if providers::find(tx.db, name)?.is_some() {
                return Err(StoreError::ProviderExists(name.clone()));
            }
            let id = providers::insert(tx.db, name, kind, title.as_deref(), now)?;
            providers::replace_settings(tx.db, id, &sealed(tx, id, settings)?)?;
            providers::append_to_order(tx.db, channel, id)?;
            let event = Event::ProviderAdded {
                name: name.clone(),
                of_kind: kind.clone(),
                channel,
            };
            changed(tx, &event)
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
        self.change(origin, now, |tx| {
            let Some(old) = providers::find(tx.db, name)? else {
                return Err(StoreError::ProviderUnknown(name.clone()));
            };
            if old.kind != *kind {
                return Err(StoreError::ChangedMeanwhile);
            }
            let mut what = match settings(tx, old.id, name) {
                Ok(old) => differences(&old, new),
                // This is how one is set right: everything is new.
                Err(StoreError::ProviderSealed { .. }) => new.keys().cloned().collect(),
                Err(error) => return Err(error),
            };
            if old.title != *title {
                what.push("title".to_owned());
            }
            if what.is_empty() {
                return Ok(what);
            }
            providers::set_title(tx.db, old.id, title.as_deref(), now)?;
            providers::replace_settings(tx.db, old.id, &sealed(tx, old.id, new)?)?;
            let event = Event::ProviderChanged {
                name: name.clone(),
                settings: what.clone(),
            };
            changed(tx, &event)?;
            Ok(what)
        })
    }

    /// Removes a provider, also from the order in which they are tried. Returns whether there was one.
    pub fn remove_provider(
        &self,
        name: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            let Some(provider) = providers::find(tx.db, name)? else {
                return Ok(false);
            };
            providers::delete(tx.db, provider.id)?;
            let event = Event::ProviderRemoved {
                name: provider.name,
                of_kind: provider.kind,
            };
            changed(tx, &event)?;
            Ok(true)
        })
    }

    /// Has the providers of these names tried in this order for `channel`, and no others. Returns
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
        self.change(origin, now, |tx| {
            let id = |name: &String| {
                providers::find(tx.db, name)?
                    .map(|provider| provider.id)
                    .ok_or_else(|| StoreError::ProviderUnknown(name.clone()))
            };
            let ids: Vec<_> = names.iter().map(id).collect::<Result<_, _>>()?;
            if providers::order(tx.db, channel)? == names {
                return Ok(false);
            }
            providers::set_order(tx.db, channel, &ids)?;
            let event = Event::ProviderOrderChanged {
                channel,
                order: names.to_vec(),
            };
            changed(tx, &event)?;
            Ok(true)
        })
    }
}

fn is_name(name: &str) -> bool {
    let is_fit =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_fit)
}

/// What a sealed setting is bound to.
pub(crate) const fn associated_data(provider: i64, setting: &str) -> AssociatedData<'_> {
    AssociatedData {
        table: "provider_setting",
        column: "sealed",
        row: provider,
        owner: Owner::Setting(setting),
    }
}

/// The settings of the provider `id`, which is called `name`, opened.
fn settings(view: &View<'_>, id: i64, name: &str) -> Result<BTreeMap<String, Value>, StoreError> {
    let mut settings = BTreeMap::new();
    for SettingRow { key, value, sealed } in providers::settings(view.db, id)? {
        let value = match value {
            Some(text) => Value::Plain(text),
            None => match open(view.key, associated_data(id, &key), sealed) {
                Some(text) => Value::Secret(text),
                None => {
                    return Err(StoreError::ProviderSealed {
                        provider: name.to_owned(),
                        setting: key,
                    });
                }
            },
        };
        settings.insert(key, value);
    }
    Ok(settings)
}

/// The secret that is sealed, if it opens and is text.
fn open(
    key: &SealingKey,
    data: AssociatedData<'_>,
    sealed: Option<Vec<u8>>,
) -> Option<Zeroizing<String>> {
    let bytes = key.open(data, &sealed?).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

/// The settings of the provider `id` as they are stored.
fn sealed(
    view: &View<'_>,
    id: i64,
    settings: &BTreeMap<String, Value>,
) -> Result<Vec<SettingRow>, StoreError> {
    let row = |(name, value): (&String, &Value)| {
        let (plain, sealed) = match value {
            Value::Plain(text) => (Some(text.clone()), None),
            Value::Secret(text) => {
                let sealed = view.seal(associated_data(id, name), text.as_bytes())?;
                (None, Some(sealed))
            }
        };
        Ok(SettingRow {
            key: name.clone(),
            value: plain,
            sealed,
        })
    };
    settings.iter().map(row).collect()
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

/// Tells programs that keep the providers in memory, and the log, that something about them changed.
fn changed(tx: &Tx<'_>, event: &Event) -> Result<(), StoreError> {
    providers::raise_version(tx.db)?;
    tx.record(None, event).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::values;
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
    fn a_removed_provider_is_no_longer_tried() {
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
        // The next one is still the last.
        add(&bench, &store, "another", EMAIL);
        assert_eq!(
            store.providers().unwrap().order[EMAIL],
            ["backup", "another"]
        );
    }

    #[test]
    fn an_order_is_set_as_a_whole_or_not_at_all() {
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
            Bench::log(&store),
            [
                Event::ProviderAdded {
                    name: "relay".into(),
                    of_kind: "smtp".into(),
                    channel: EMAIL
                },
                Event::ProviderChanged {
                    name: "relay".into(),
                    settings: vec!["password".into()]
                },
                Event::ProviderOrderChanged {
                    channel: EMAIL,
                    order: Vec::new()
                },
                Event::ProviderRemoved {
                    name: "relay".into(),
                    of_kind: "smtp".into()
                },
            ]
        );
    }

    #[test]
    fn a_secret_is_nowhere_in_the_files() {
        let bench = Bench::on_file();
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
            let bench = Bench::on_file();
            let store = bench.create();
            add(&bench, &store, "first", EMAIL);
            add(&bench, &store, "second", EMAIL);
            Bench::execute(&store, sql);
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
            // Setting it again sets it right.
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
            .read(|view| view.db.query_one(sql, &[], |row| row.at(0)))
            .unwrap();
        store
            .remove_provider("relay", &origin(), bench.now)
            .unwrap();
        add(&bench, &store, "relay", EMAIL);
        let sql = "UPDATE provider_setting SET sealed = ?1 WHERE sealed IS NOT NULL";
        store
            .write_unsynced(|view| view.db.execute(sql, values![old]))
            .unwrap();
        assert_eq!(store.providers().unwrap().broken.len(), 1);
    }
}
