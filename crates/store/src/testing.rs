//! A place for a store in a temporary folder, on the engine of this run.

pub(crate) mod postgres;

use std::fs;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::unistd::{getegid, geteuid};
use tempfile::TempDir;
use twofa_core::{Account, App, Channel, FleetPolicy, Key, Parameters, Rulebook, Timestamp};

use crate::event::{LoginOrigin, Record};
use crate::sql::Sql;
use crate::{Event, EventFilter, Generation, JoinedFleet, Location, NewApp, Origin, Owner, Store};

pub(crate) struct Bench {
    pub location: Location,
    pub owner: Owner,
    pub now: Timestamp,
    _folder: TempDir,
    pub database: Option<postgres::Database>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            database: postgres::Database::of_this_run(),
            ..Self::on_file()
        }
    }

    /// For a store in this database, whatever the engine of this run.
    pub(crate) fn in_database(database: postgres::Database) -> Self {
        Self {
            database: Some(database),
            ..Self::on_file()
        }
    }

    /// For a store in a file, whatever the engine of this run: what is tested is about files or about SQLite, or is tampered
    /// with in its words.
    pub(crate) fn on_file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location {
            database: folder.path().join("state/twofa.db"),
            key: folder.path().join("etc/secret.key"),
            server: folder.path().join("etc/database"),
            ..Location::default()
        };
        let owner = Owner {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
        };
        Self {
            location,
            owner,
            now: Timestamp::from_unix(1_800_000_000),
            _folder: folder,
            database: None,
        }
    }

    pub(crate) fn create(&self) -> Store {
        if let Some(database) = &self.database {
            // The first has the key of the journal's seals.
            for file in [&self.location.database, &self.location.key] {
                fs::create_dir(file.parent().unwrap()).unwrap();
            }
            fs::write(&self.location.server, database.address()).unwrap();
            self.location.make_key(self.owner).unwrap();
            let store = Store::open(self.location.clone()).unwrap();
            Self::hash_rows(&store);
            return store;
        }
        Store::create(self.location.clone(), self.owner).unwrap()
    }

    pub(crate) fn generation(store: &Store, account: &Account) -> Generation {
        store.snapshot(account).unwrap().generation
    }

    pub(crate) fn enrol(&self, store: &Store, account: &Account, label: &str) {
        let generation = Self::generation(store, account);
        store
            .enrol_app(account, generation, &app(label), &origin(), self.now)
            .unwrap();
    }

    /// Enrols `address` as if a code that was sent there had come back.
    pub(crate) fn verify(&self, store: &Store, account: &Account, channel: Channel, address: &str) {
        let generation = Self::generation(store, account);
        store
            .enrol_address(account, generation, channel, address, &origin(), self.now)
            .unwrap();
    }

    /// Takes all waiting notices out of the queue, as address and event.
    pub(crate) fn take_notices(&self, store: &Store) -> Vec<(String, Event)> {
        let notices = store.claim_notices(self.now.after(86_400), 1_000).unwrap();
        for notice in &notices {
            store.notice_sent(notice.id).unwrap();
        }
        notices
            .into_iter()
            .map(|notice| match notice.record {
                Record::Event(event) => (notice.address, *event),
                Record::Text(text) => panic!("{text}"),
            })
            .collect()
    }

    /// The events of the log, oldest first.
    pub(crate) fn log(store: &Store) -> Vec<Event> {
        let mut log = Vec::new();
        store
            .events(&EventFilter::default(), |logged| {
                match logged.record {
                    Record::Event(event) => log.push(*event),
                    Record::Text(text) => panic!("{text}"),
                }
                true
            })
            .unwrap();
        log
    }

    /// How SQLite carries out `sql`.
    pub(crate) fn plan<'s>(store: &Store, sql: impl Into<Sql<'s>>) -> String {
        let sql = sql.into().sqlite();
        store
            .read(|view| {
                let connection = view.db.as_sqlite().unwrap();
                let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let steps = statement
                    .raw_query()
                    .mapped(|row| row.get::<_, String>("detail"));
                Ok(steps.collect::<Result<Vec<_>, _>>()?.join("; "))
            })
            .unwrap()
    }

    /// The number that `sql` selects.
    pub(crate) fn number(store: &Store, sql: &str) -> i64 {
        let found = store.read(|view| view.db.query_one(sql, &[], |row| row.at(0)));
        found.unwrap()
    }

    /// Gives all rows the hashes that a server gives them.
    pub(crate) fn hash_rows(store: &Store) {
        store
            .write_unsynced(|view| view.hasher().write_all())
            .unwrap();
    }

    /// Carries out `sql` beside all rules.
    pub(crate) fn execute(store: &Store, sql: &str) {
        store.enter_events().unwrap();
        store
            .write_unsynced(|view| view.db.run_migration(&view.db.in_its_words(sql)))
            .unwrap();
    }
}

pub(crate) fn alice() -> Account {
    Account {
        name: "alice".into(),
        uid: 1000,
    }
}

pub(crate) fn bob() -> Account {
    Account {
        name: "bob".into(),
        uid: 1001,
    }
}

pub(crate) fn app(label: &str) -> NewApp {
    static SEED: AtomicU8 = AtomicU8::new(1);
    let key = Key::new(vec![SEED.fetch_add(1, Ordering::Relaxed); 20]).unwrap();
    NewApp {
        label: label.into(),
        app: App {
            parameters: Parameters::default(),
            key,
            used: None,
        },
    }
}

/// A fleet that a machine joined at `now` as web1, and its policy.
pub(crate) fn joined_fleet(now: Timestamp) -> (JoinedFleet, FleetPolicy) {
    let joined = JoinedFleet {
        fleet: "f".into(),
        host: "h".into(),
        name: "web1".into(),
        joined_at: now,
        servers: Vec::new(),
        renewed: None,
        authorities: None,
    };
    let policy = FleetPolicy {
        fleet: "f".into(),
        version: 1,
        rulebook: Rulebook::default(),
    };
    (joined, policy)
}

pub(crate) fn origin() -> Origin {
    Origin::login(
        0,
        LoginOrigin {
            service: Some("sshd".into()),
            remote_host: Some("192.0.2.7".into()),
            ..LoginOrigin::default()
        },
    )
}
