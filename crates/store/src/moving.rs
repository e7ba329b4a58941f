//! Moving a store from a file to a database on a server, and back: everything in it, under the same numbers, because secrets
//! are sealed to them.
//!
//! Never are both open, so that no code works in both. What arrives is closed until the store that it comes from is closed
//! with a mark, in a transaction that nobody writes beside. A program that has the old one open finds the table of users gone.
//! A move that was interrupted is finished by starting it again.

use std::fs;
use std::path::Path;

use twofa_core::policy::Durability;

use crate::backing::{Backing, FileBacking};
use crate::database::Store;
use crate::error::StoreError;
use crate::integrity::Hasher;
use crate::location::{Location, Owner};
use crate::seal::SealingKey;
use crate::sql::Db;
use crate::sql::copy::{self, Moved, TABLES};
use crate::sql::postgres::address::Address;
use crate::sql::postgres::marks;
use crate::sql::postgres::pool::Pool;
use crate::sql::postgres::schema::{self, State};
use crate::sql::sqlite::pragmas::Synchronous;
use crate::sql::sqlite::schema::{Schema, close};

impl Store {
    /// Moves the store in the file of `location` to the empty database at `address`, and has `location` say that it is there.
    pub fn move_to_server(location: &Location, address: &str) -> Result<Vec<Moved>, StoreError> {
        if location.read_server()?.is_some() {
            return Err(StoreError::Exists(location.server.clone()));
        }
        let parsed: Address = address.parse().map_err(|bad| location.bad_address(&bad))?;
        let to = Pool::open(parsed)?;
        let moved = match FileBacking::open(location, Schema::Existing) {
            Ok(file) => move_file(location, &Backing::File(file), &to, address)?,
            // The last try got as far as this.
            Err(StoreError::Moved(there)) if there == address => to.view(counts)?,
            Err(error) => return Err(error),
        };
        to.transact(true, |server| {
            // What it was moved from is closed: nobody has seen more than what has arrived.
            marks::resume_now(server)?;
            schema::set_state(server, State::Open)
        })?;
        location.write_server(address)?;
        Ok(moved)
    }

    /// Moves the store on the server that `location` names to a file, and has `location` say nothing of a server.
    pub fn move_to_file(location: &Location, owner: Owner) -> Result<Vec<Moved>, StoreError> {
        let Some(address) = location.read_server()? else {
            return Err(StoreError::Missing(location.server.clone()));
        };
        match Self::open(location.clone()) {
            // What is written until then comes into the journal there.
            Ok(store) => {
                if store.rulebook()?.machine().fleet_durability == Durability::Replicated {
                    return Err(StoreError::CannotReplicate);
                }
                store.enter_events().map(drop)?;
            }
            Err(StoreError::Moved(_)) => {}
            Err(error) => return Err(error),
        }
        let draft = Location {
            database: location.database.with_extension("arriving"),
            ..location.clone()
        };
        remove(&draft.database)?;
        draft.make_database(owner)?;
        let file = Backing::File(FileBacking::open(&draft, Schema::New)?);
        let moved = Pool::open(address)?.transact(true, |server| {
            schema::reopen_alone(server)?;
            let moved = file.transact(Synchronous::Full, |file| copy::copy(server, file))?;
            check(&moved, &file.view(counts)?)?;
            schema::close(server)?;
            Ok(moved)
        })?;
        drop(file);
        remove(&location.database)?;
        let path = &location.database;
        fs::rename(&draft.database, path).map_err(StoreError::file("replace", path))?;
        location.sync_names()?;
        fs::remove_file(&location.server).map_err(StoreError::file("remove", &location.server))?;
        Ok(moved)
    }
}

fn move_file(
    location: &Location,
    from: &Backing,
    to: &Pool,
    address: &str,
) -> Result<Vec<Moved>, StoreError> {
    let key = SealingKey::of(&location.read_keys()?, None);
    let hash_all = |db: &Db<'_>| Hasher { db, key: &key }.write_all();
    schema::make(to, State::Arriving, &hash_all)?;
    from.transact(Synchronous::Full, |file| {
        let moved = to.transact(true, |server| {
            let moved = copy::copy(file, server)?;
            hash_all(server)?;
            Ok(moved)
        })?;
        check(&moved, &to.view(counts)?)?;
        close(file, address)?;
        Ok(moved)
    })
}

/// Removes a database file and what SQLite keeps beside it.
pub(crate) fn remove(database: &Path) -> Result<(), StoreError> {
    for companion in ["", "-wal", "-shm"] {
        let mut path = database.to_owned().into_os_string();
        path.push(companion);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::file("remove", Path::new(&path))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn counts(db: &Db<'_>) -> Result<Vec<Moved>, StoreError> {
    let count = |table| copy::count(db, table);
    TABLES.iter().map(count).collect()
}

pub(crate) fn check(moved: &[Moved], arrived: &[Moved]) -> Result<(), StoreError> {
    let mut both = moved.iter().zip(arrived);
    match both.find(|(moved, arrived)| moved != arrived) {
        None => Ok(()),
        Some((moved, arrived)) => Err(StoreError::Other(format!(
            "of {} rows of '{}', {} arrived",
            moved.rows, moved.table, arrived.rows
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::postgres::{Database, Server};
    use crate::testing::{Bench, alice, bob, origin};
    use twofa_core::Channel;

    fn filled(bench: &Bench) -> Store {
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        bench.verify(&store, &bob(), Channel::Email, "bob@example.org");
        store.remove_user(&bob(), &origin(), bench.now).unwrap();
        store
            .change_policy([("mode", "mandatory")], &origin(), bench.now)
            .unwrap();
        store.write_last_checkpoint(bench.now).unwrap().unwrap();
        store
    }

    #[test]
    fn a_store_that_moves_there_and_back_has_everything_and_never_two_are_open() {
        let server = Server::start(&[]);
        let database = Database::create_empty(server.folder.path().to_owned());
        let bench = Bench::on_file();
        let store = filled(&bench);
        let (log, apps_before) = (
            Bench::log(&store),
            format!("{:?}", store.snapshot(&alice()).unwrap().user.apps),
        );
        Store::move_to_server(&bench.location, &database.address()).unwrap();

        let still_open = store.snapshot(&alice());
        assert!(still_open.is_err(), "{still_open:?}");
        store
            .set_required(&alice(), true, &origin(), bench.now)
            .unwrap_err();
        drop(store);
        let there = Store::open(bench.location.clone()).unwrap();
        assert!(there.is_on_server());
        let apps = there.snapshot(&alice()).unwrap().user.apps;
        assert_eq!((apps.len(), format!("{apps:?}")), (1, apps_before));
        assert_eq!(Bench::log(&there), log);
        assert_eq!(
            there
                .verify_log(&crate::journal::SystemLog::default(), None)
                .unwrap()
                .findings,
            []
        );
        there
            .set_required(&alice(), true, &origin(), bench.now)
            .unwrap();
        bench.enrol(&there, &bob(), "phone");

        Store::move_to_file(&bench.location, bench.owner).unwrap();
        there.snapshot(&alice()).unwrap_err();
        drop(there);
        let back = Store::open(bench.location.clone()).unwrap();
        assert!(!back.is_on_server());
        assert!(back.snapshot(&alice()).unwrap().user.required);
        assert_eq!(back.snapshot(&bob()).unwrap().user.apps.len(), 1);
        assert_eq!(Bench::log(&back)[..log.len()], log[..]);
        assert_eq!(
            back.verify_log(&crate::journal::SystemLog::default(), None)
                .unwrap()
                .findings,
            []
        );
        // The old address leads nowhere.
        fs::write(&bench.location.server, database.address()).unwrap();
        assert!(matches!(
            Store::open(bench.location.clone()),
            Err(StoreError::Moved(_))
        ));
    }
}
