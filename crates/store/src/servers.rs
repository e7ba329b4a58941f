//! The servers of a fleet, which share one store.
//!
//! A server that is to join finds its certificate and key in the store, sealed with the secret of its token: an administrator
//! makes them with a key that no server's service can read.

use twofa_core::Timestamp;
use zeroize::Zeroizing;

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::fleet::{TOKEN_LIFETIME, check_name};
use crate::keys::FIRST;
use crate::seal::{AssociatedData, Owner, SealingKey};
use crate::sql::servers::{self, Server};

/// A server that is to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServer {
    /// Its random id.
    pub id: String,
    /// The name that an administrator gives it.
    pub name: String,
    /// Where hosts reach it.
    pub addresses: Vec<String>,
}

/// A server that has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmittedServer {
    /// What the administrator said of it.
    pub server: Server,
    /// What was put into the store for it, sealed: see [`open_package`].
    pub package: Vec<u8>,
}

impl Store {
    /// Records that this machine is the first server of a fleet.
    pub fn record_first_server(
        &self,
        new: &NewServer,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        check_name(&new.name)?;
        let server = Server {
            joined_at: Some(now),
            token_until: None,
            ..row(new, now)
        };
        self.change(origin, now, |tx| {
            if let Some(first) = servers::all(tx.db)?.first() {
                return Err(StoreError::FleetExists(first.name.clone()));
            }
            servers::insert(tx.db, &server, None)?;
            let name = server.name.clone();
            tx.record(None, &Event::ServerJoined { name }).map(drop)
        })
    }

    /// Adds a server, which may join within 15 minutes with `secret`, of which `token` is the SHA-256. One of this name that has
    /// not joined is replaced. It gets `package`.
    pub fn add_server(
        &self,
        new: &NewServer,
        (secret, token): (&[u8], &[u8; 32]),
        package: &[u8],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Server, StoreError> {
        check_name(&new.name)?;
        let server = row(new, now);
        let sealed = SealingKey::from_secret(secret).seal(FIRST, place(&new.id), package)?;
        self.change(origin, now, |tx| {
            match servers::find(tx.db, &new.name)? {
                Some(found) if found.joined_at.is_some() => {
                    return Err(StoreError::ServerExists(new.name.clone()));
                }
                Some(found) => servers::delete(tx.db, &found.id)?,
                None => {}
            }
            servers::insert(tx.db, &server, Some((token, &sealed)))?;
            let name = new.name.clone();
            tx.record(None, &Event::ServerAdded { name })?;
            Ok(server.clone())
        })
    }

    /// Gives the server `name`, which has joined, `package` once more, with what else servers are given: as [`Self::add_server`]
    /// does. It goes on serving. `None`: there is no such server.
    pub fn readmit_server(
        &self,
        name: &str,
        (secret, token): (&[u8], &[u8; 32]),
        package: &[u8],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Server>, StoreError> {
        self.change(origin, now, |tx| {
            let found = servers::find(tx.db, name)?;
            let Some(mut server) = found.filter(|server| server.joined_at.is_some()) else {
                return Ok(None);
            };
            let sealed = SealingKey::from_secret(secret).seal(FIRST, place(&server.id), package)?;
            let until = now.after(TOKEN_LIFETIME);
            servers::set_token(tx.db, &server.id, (token, &sealed), until)?;
            server.token_until = Some(until);
            let name = server.name.clone();
            tx.record(None, &Event::ServerAdded { name })?;
            Ok(Some(server))
        })
    }

    /// Lets the server of the token join. A token works once: a second use returns `None`, and so does one after its time.
    pub fn join_server(
        &self,
        token: &[u8; 32],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<AdmittedServer>, StoreError> {
        self.change(origin, now, |tx| {
            let found = servers::find_by_token(tx.db, token)?;
            let package = servers::package(tx.db, token)?;
            let (Some(server), Some(package)) = (found, package) else {
                return Ok(None);
            };
            if !servers::join(tx.db, token, now)? {
                return Ok(None);
            }
            let name = server.name.clone();
            tx.record(None, &Event::ServerJoined { name })?;
            Ok(Some(AdmittedServer { server, package }))
        })
    }

    /// Every server, in the order in which they were added.
    pub fn servers(&self) -> Result<Vec<Server>, StoreError> {
        self.read(|view| servers::all(view.db))
    }

    /// Whether the server `id` has joined and was not removed. If it has, `now` is noted as when it was seen last,
    /// with the numbers of the sealing keys of this machine, which is it.
    pub fn note_server_seen(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.note_server(id, now, None)
    }

    /// The same, for the process that serves hosts, with what has happened between it and the database.
    pub fn note_server_serves(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let counters = serde_json::to_string(&self.database_counters());
        let unwritable = |error| StoreError::Other(format!("counters cannot be written: {error}"));
        self.note_server(id, now, Some(&counters.map_err(unwritable)?))
    }

    fn note_server(
        &self,
        id: &str,
        now: Timestamp,
        counters: Option<&str>,
    ) -> Result<bool, StoreError> {
        let keys = self.location().read_keys()?.numbers();
        self.write_unsynced(|view| {
            servers::set_seen(view.db, id, now, &keys, counters)?;
            let found = servers::find_by_id(view.db, id)?;
            Ok(found.is_some_and(|server| server.joined_at.is_some()))
        })
    }

    /// Removes the server `name`. Says whether there was one.
    pub fn remove_server(
        &self,
        name: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            let Some(Server { id, name, .. }) = servers::find(tx.db, name)? else {
                return Ok(false);
            };
            servers::delete(tx.db, &id)?;
            tx.record(None, &Event::ServerRemoved { name })?;
            Ok(true)
        })
    }
}

/// Opens the package that was sealed for the server `id` with `secret`.
pub fn open_package(
    id: &str,
    secret: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    SealingKey::from_secret(secret).open(place(id), sealed)
}

const fn place(id: &str) -> AssociatedData<'_> {
    AssociatedData {
        table: "fleet_server",
        column: "package",
        row: 0,
        owner: Owner::Setting(id),
    }
}

fn row(new: &NewServer, now: Timestamp) -> Server {
    Server {
        id: new.id.clone(),
        name: new.name.clone(),
        addresses: new.addresses.clone(),
        added_at: now,
        joined_at: None,
        token_until: Some(now.after(TOKEN_LIFETIME)),
        seen_at: None,
        counters: None,
        keys: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, origin};

    const SECRET: &[u8] = b"0123456789ABCDEF";
    const TOKEN: [u8; 32] = [1; 32];

    fn new(id: &str, name: &str) -> NewServer {
        NewServer {
            id: id.into(),
            name: name.into(),
            addresses: vec![format!("{name}.example.com")],
        }
    }

    fn add(store: &Store, server: &NewServer, now: Timestamp) -> Result<Server, StoreError> {
        store.add_server(server, (SECRET, &TOKEN), b"package", &origin(), now)
    }

    #[test]
    fn a_server_joins_once_with_its_token_and_what_it_gets_opens_with_its_secret_alone() {
        let bench = Bench::new();
        let store = bench.create();
        let now = bench.now;
        let first = new("00", "srv1");
        store.record_first_server(&first, &origin(), now).unwrap();
        let second = store.record_first_server(&new("01", "srv2"), &origin(), now);
        assert!(matches!(second, Err(StoreError::FleetExists(_))));

        add(&store, &new("02", "srv2"), now).unwrap();
        assert!(!store.note_server_seen("02", now).unwrap());
        let late = now.after(TOKEN_LIFETIME);
        assert_eq!(store.join_server(&TOKEN, &origin(), late).unwrap(), None);
        let joined = store.join_server(&TOKEN, &origin(), now).unwrap().unwrap();
        assert_eq!(store.join_server(&TOKEN, &origin(), now).unwrap(), None);
        let opened = open_package("02", SECRET, &joined.package).unwrap();
        assert_eq!(&**opened, b"package");
        assert!(open_package("02", b"another", &joined.package).is_err());
        assert!(open_package("00", SECRET, &joined.package).is_err());

        assert!(store.note_server_seen("02", now).unwrap());
        let counters = |store: &Store| {
            let servers = store.servers().unwrap();
            servers.iter().find(|it| it.id == "02").unwrap().counters
        };
        assert_eq!(counters(&store), None);
        assert!(store.note_server_serves("02", now).unwrap());
        assert_eq!(counters(&store), Some(store.database_counters()));
        // Another process of this machine leaves them.
        assert!(store.note_server_seen("02", now).unwrap());
        assert_eq!(counters(&store), Some(store.database_counters()));
        let again = add(&store, &new("03", "srv2"), now);
        assert!(matches!(again, Err(StoreError::ServerExists(_))));
        let names: Vec<_> = store
            .servers()
            .unwrap()
            .into_iter()
            .map(|it| it.name)
            .collect();
        assert_eq!(names, ["srv1", "srv2"]);
        assert!(store.remove_server("srv2", &origin(), now).unwrap());
        assert!(!store.remove_server("srv2", &origin(), now).unwrap());
        assert!(!store.note_server_seen("02", now).unwrap());
    }

    #[test]
    fn a_server_that_has_joined_gets_its_package_again_and_serves_meanwhile() {
        let bench = Bench::new();
        let store = bench.create();
        let now = bench.now;
        let again = |store: &Store| {
            let admitted = (SECRET, &TOKEN);
            store.readmit_server("srv2", admitted, b"another", &origin(), now)
        };
        add(&store, &new("02", "srv2"), now).unwrap();
        assert_eq!(again(&store).unwrap(), None, "it has not joined");
        store.join_server(&TOKEN, &origin(), now).unwrap().unwrap();
        assert_eq!(again(&store).unwrap().unwrap().id, "02");
        assert!(store.note_server_seen("02", now).unwrap());
        let joined = store.join_server(&TOKEN, &origin(), now).unwrap().unwrap();
        assert_eq!(joined.server.id, "02");
        let opened = open_package("02", SECRET, &joined.package).unwrap();
        assert_eq!(&**opened, b"another");
        assert_eq!(store.join_server(&TOKEN, &origin(), now).unwrap(), None);
    }

    #[test]
    fn a_server_that_has_not_joined_is_replaced_by_one_that_is_added_under_its_name() {
        let bench = Bench::new();
        let store = bench.create();
        add(&store, &new("00", "srv1"), bench.now).unwrap();
        let (secret, token) = (b"another secret".as_slice(), [2; 32]);
        let added = store.add_server(
            &new("01", "srv1"),
            (secret, &token),
            b"",
            &origin(),
            bench.now,
        );
        added.unwrap();
        let old = store.join_server(&TOKEN, &origin(), bench.now).unwrap();
        assert_eq!(old, None);
        assert_eq!(store.servers().unwrap().len(), 1);
    }
}
