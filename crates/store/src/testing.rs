//! A place for a store in a temporary folder.

use std::sync::atomic::{AtomicU8, Ordering};

use nix::unistd::{getegid, geteuid};
use tempfile::TempDir;
use twofa_core::{Account, App, Channel, Key, Parameters, Timestamp};

use crate::{Generation, Location, NewApp, Origin, Owner, Store};

pub(crate) struct Bench {
    pub location: Location,
    pub owner: Owner,
    pub now: Timestamp,
    _folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location {
            database: folder.path().join("state/twofa.db"),
            key: folder.path().join("etc/secret.key"),
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
        }
    }

    pub(crate) fn create(&self) -> Store {
        Store::create(self.location.clone(), self.owner).unwrap()
    }

    pub(crate) fn generation(store: &Store, account: &Account) -> Generation {
        store.situation(account).unwrap().generation
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

    /// What is waiting to be told, as `address: sentence`. It is forgotten by that.
    pub(crate) fn told(&self, store: &Store) -> Vec<String> {
        let notices = store.claim_notices(self.now.after(86_400), 1_000).unwrap();
        for notice in &notices {
            store.notice_sent(notice.id).unwrap();
        }
        notices
            .into_iter()
            .map(|notice| format!("{}: {}", notice.address, notice.what))
            .collect()
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

pub(crate) fn origin() -> Origin {
    Origin {
        actor: 0,
        service: Some("sshd".into()),
        remote_host: Some("192.0.2.7".into()),
        ..Origin::default()
    }
}
