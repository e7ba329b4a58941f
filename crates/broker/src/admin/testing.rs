//! An administrator with a store of their own, for tests.

use std::ops::Deref;

use tempfile::TempDir;
use twofa_core::{Account, App, Key, Parameters};
use twofa_store::{Location, NewApp, Owner, Store};

use super::Administration;
use crate::requests::broker::Broker;

/// A new store, and the folder that it is in.
pub(super) struct Bench {
    admin: Administration,
    _folder: TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location {
            database: folder.path().join("db/twofa.db"),
            key: folder.path().join("etc/key"),
            server: folder.path().join("etc/database"),
            ..Location::default()
        };
        let owner = Owner {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
        };
        Store::create(location.clone(), owner).unwrap();
        Self {
            admin: Administration {
                broker: Broker::open(location, |_| ()).unwrap(),
                login_uid: Some(1000),
            },
            _folder: folder,
        }
    }

    /// Sets these settings of the machine's policy.
    pub(super) fn policy(&self, settings: &[(&str, &str)]) {
        let plan = self.admin.plan_settings(&owned(settings)).unwrap();
        self.admin.make_change(&plan).unwrap();
    }
}

impl Bench {
    /// Gives this account an app, whether or not the name service knows the account.
    pub(super) fn enrol_account(&self, name: &str, uid: u32) {
        let account = Account {
            name: name.to_owned(),
            uid,
        };
        let app = App {
            parameters: Parameters::default(),
            key: Key::new(vec![7; 20]).unwrap(),
            used: None,
        };
        let label = "app".to_owned();
        let apps = [(account, NewApp { label, app })];
        let (origin, now) = (self.origin(), self.now());
        self.store().enrol_many(apps, &origin, now).unwrap();
    }
}

impl Deref for Bench {
    type Target = Administration;

    fn deref(&self) -> &Administration {
        &self.admin
    }
}

pub(super) fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
