//! Exporting the store of a host, to have it merged into that of a fleet ([`crate::merging`]), and opening it again when the
//! host joins, for what stays the host's own.
//!
//! No code works in both: the export is under its name only once the store that it comes from is closed with a mark, and
//! nothing but a merge opens it. An export that was interrupted is finished by starting it again.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, absolute};
use std::sync::atomic::AtomicBool;

use nix::unistd::{getegid, geteuid};
use twofa_core::{Account, FleetPolicy, Timestamp};

use crate::backing::{Backing, FileBacking};
use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::fleet::record_joined;
use crate::journal::JournalState;
use crate::location::{Location, Owner};
use crate::moving::{check, counts, remove};
use crate::rules::RulesCache;
use crate::seal::SealingKey;
use crate::sql::copy::{self, Moved};
use crate::sql::fleet::{self, JoinedFleet};
use crate::sql::sqlite::connection;
use crate::sql::sqlite::export::{self, ExportFile};
use crate::sql::sqlite::pragmas::Synchronous;
use crate::sql::sqlite::schema::{self, Schema};
use crate::sql::users;
use crate::tx::{Tx, View};

/// The files of an export in `directory`.
pub(crate) fn place(directory: &Path) -> Location {
    Location {
        database: directory.join("twofa.db"),
        key: directory.join("secret.key"),
        server: directory.join("database"),
        ..Location::default()
    }
}

impl Store {
    /// Exports the store in the file of `location`, which is that of `host`, to `directory`, with its sealing key, and closes it.
    pub fn export(
        location: &Location,
        directory: &Path,
        host: &str,
    ) -> Result<Vec<Moved>, StoreError> {
        if location.read_server()?.is_some() {
            return Err(StoreError::NotInFile);
        }
        let directory =
            &absolute(directory).map_err(StoreError::file("find the path of", directory))?;
        let export = place(directory);
        let draft = Location {
            database: directory.join("twofa.db.part"),
            ..export.clone()
        };
        let mark = format!("the export {}", directory.display());
        match FileBacking::open(location, Schema::Existing) {
            Ok(_) if export.database.exists() => return Err(StoreError::Exists(export.database)),
            Ok(file) => write(&Backing::File(file), location, &draft, host, &mark)?,
            // The last try got as far as this.
            Err(StoreError::Moved(there)) if there == mark => {}
            Err(error) => return Err(error),
        }
        if draft.database.exists() {
            let path = &export.database;
            fs::rename(&draft.database, path).map_err(StoreError::file("replace", path))?;
            export.sync_names()?;
        }
        ExportFile::open(&export)?.view(counts)
    }

    /// Opens the store of a machine that joins a fleet. One that was exported is opened again, joined in the same transaction, and
    /// without those of its users who are the fleet's. Their records are in the export.
    pub fn open_to_join(
        location: Location,
        joined: &JoinedFleet,
        policy: &FleetPolicy,
        is_shared: impl Fn(&Account) -> bool,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        match Self::open(location.clone()) {
            Err(StoreError::Moved(there)) if location.read_server()?.is_none() => {
                let mut closed = connection::open_closed(&location)?;
                let accounts = connection::view_closed(&mut closed, schema::accounts_of_closed)?;
                let mut shared = accounts.ok_or(StoreError::Moved(there))?;
                shared.retain(is_shared);
                let key = SealingKey::of(&location.read_keys()?, None);
                connection::transact_closed(&mut closed, |db| {
                    schema::reopen(db)?;
                    let tx = Tx {
                        view: View {
                            db,
                            key: &key,
                            rules: &RulesCache::default(),
                            may_have_notices: &AtomicBool::new(false),
                            journal: &JournalState::default(),
                        },
                        origin,
                        now,
                        happened: &RefCell::default(),
                        is_synced: true,
                    };
                    shared.iter().try_for_each(|account| forget(&tx, account))?;
                    record_joined(&tx, joined, policy)
                })?;
                drop(closed);
                Self::open(location)
            }
            opened => opened,
        }
    }
}

/// Writes the export as `draft`, and closes the store that it is of.
fn write(
    from: &Backing,
    location: &Location,
    draft: &Location,
    host: &str,
    mark: &str,
) -> Result<(), StoreError> {
    let owner = Owner {
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
    };
    remove(&draft.database)?;
    draft.make_database(owner)?;
    if let Some(kept) = draft.take_over_keys(&location.read_keys()?, owner)? {
        return Err(StoreError::Exists(kept));
    }
    from.transact(Synchronous::Full, |file| {
        if let Some(JoinedFleet { name, .. }) = fleet::joined(file)? {
            return Err(StoreError::Joined(name));
        }
        let to = Backing::File(FileBacking::open(draft, Schema::New)?);
        to.transact(Synchronous::Full, |to| {
            let moved = copy::copy(file, to)?;
            check(&moved, &counts(to)?)?;
            export::seal(to, host)
        })?;
        // All of it is in the one file once that is closed.
        drop(to);
        draft.sync_names()?;
        schema::close_for_export(file, mark)
    })
}

/// Removes a user of the fleet from the store of a host.
fn forget(tx: &Tx<'_>, account: &Account) -> Result<(), StoreError> {
    if let Some(user) = tx.find(account)? {
        users::delete(tx.db, user.id)?;
        tx.record_quietly(Some(account), &Event::UserRemoved)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
