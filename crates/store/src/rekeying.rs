//! The sealing key is replaced, while logins go on.
//!
//! A new key is added to the file of each machine. When all have it, it is the one that seals, and everything that was sealed
//! with another is sealed again, in short transactions. Nothing is sealed with the old key then, and it can go.
//!
//! Each step can be interrupted: values carry the number of their key, so that what is left is what carries another.

use twofa_core::Timestamp;

use crate::app_sealing;
use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::host_renewal;
use crate::keys::Keys;
use crate::location::{Location, Owner};
use crate::providers;
use crate::rescue;
use crate::seal::{AssociatedData, number_of};
use crate::sql::rescue::{self as rescue_sets, SealedCodes};
use crate::sql::row_hashes::{EXEMPTION, HOST, JOIN_KEY};
use crate::sql::{Db, sealing, servers};
use crate::tx::View;

/// How many values one transaction seals again.
const BATCH: u32 = 100;

/// How many values are sealed with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedCount {
    /// The number of the key.
    pub key: u32,
    /// How many.
    pub values: u64,
}

/// How far the replacement of the sealing key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rekeying {
    /// The numbers of the keys that this machine has, in order.
    pub keys: Vec<u32>,
    /// The number of the one that seals.
    pub sealing: u32,
    /// What is sealed with which, in the order of the numbers.
    pub counts: Vec<SealedCount>,
    /// The servers of the fleet that do not have the newest key, as far as is known.
    pub without_newest: Vec<String>,
    /// Those that still have an older one.
    pub with_older: Vec<String>,
}

impl Rekeying {
    /// How many values are sealed with another key than the newest.
    pub fn left(&self) -> u64 {
        let newest = self.keys.last().copied();
        let older = self.counts.iter().filter(|it| Some(it.key) != newest);
        older.map(|it| it.values).sum()
    }
}

/// What is sealed, and where.
enum Place<'a> {
    App(&'a sealing::SealedKey),
    Pending(&'a sealing::SealedKey),
    Setting(i64, &'a str),
    Host(&'static str),
    Rescue(&'a SealedCodes),
}

impl Place<'_> {
    fn data(&self) -> AssociatedData<'_> {
        match self {
            Self::App(key) => app_sealing::enrolled(key.row, &key.owner),
            Self::Pending(key) => app_sealing::pending(key.row, &key.owner),
            Self::Setting(provider, name) => providers::associated_data(*provider, name),
            Self::Host(column) => host_renewal::place(column),
            Self::Rescue(codes) => rescue::place(codes.number, &codes.host),
        }
    }

    fn replace(&self, db: &Db<'_>, before: &[u8], sealed: &[u8]) -> Result<bool, StoreError> {
        match self {
            Self::App(key) => sealing::replace_app(db, key.row, before, sealed),
            Self::Pending(key) => sealing::replace_pending(db, key.row, before, sealed),
            Self::Setting(provider, name) => {
                sealing::replace_setting(db, (*provider, name), before, sealed)
            }
            Self::Host(column) => sealing::replace_of_host(db, column, before, sealed),
            Self::Rescue(codes) => rescue_sets::replace_sealed(db, codes.number, before, sealed),
        }
    }
}

/// Up to where the values were looked at.
#[derive(Debug, Clone, Copy)]
enum Cursor {
    Apps(i64),
    Pending(i64),
    Rescue(i64),
    Few,
}

impl Store {
    /// Adds a sealing key to the file of this machine, unless it has several; for root. Returns the number of the newest.
    pub fn add_sealing_key(location: &Location, owner: Owner) -> Result<u32, StoreError> {
        let mut keys = location.read_keys()?;
        if keys.numbers().len() > 1 {
            return Ok(keys.newest());
        }
        let number = keys.add()?;
        location.replace_keys(&keys, owner)?;
        Ok(number)
    }

    /// Drops all sealing keys but the newest from the file of this machine; for root, after [`Self::seal_again`]. Says whether
    /// there were others.
    pub fn drop_sealing_keys(location: &Location, owner: Owner) -> Result<bool, StoreError> {
        let mut keys = location.read_keys()?;
        if !keys.keep_only(keys.newest()) {
            return Ok(false);
        }
        location.replace_keys(&keys, owner).map(|()| true)
    }

    /// Records that sealing key `number` was added.
    pub fn record_sealing_key_added(
        &self,
        number: u32,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let event = Event::SealingKeyAdded { number };
        self.change(origin, now, |tx| tx.record(None, &event).map(drop))
    }

    /// The number of the key that seals.
    pub fn sealing_key(&self) -> Result<u32, StoreError> {
        self.read(|view| sealing::look(view.db))
    }

    /// How far the replacement of the sealing key is.
    pub fn rekeying(&self) -> Result<Rekeying, StoreError> {
        let keys = self.location().read_keys()?;
        let mut counts = std::collections::BTreeMap::<u32, u64>::new();
        let mut cursor = Some(Cursor::Apps(0));
        while let Some(from) = cursor {
            cursor = self.read(|view| {
                each_of_batch(view.db, from, |_, sealed| {
                    *counts.entry(number_of(sealed)).or_default() += 1;
                    Ok(())
                })
            })?;
        }
        self.read(|view| {
            let count = |number| *counts.entry(number).or_default() += 1;
            view.hasher().numbers(count)
        })?;
        let (sealing, servers) =
            self.read(|view| Ok((sealing::look(view.db)?, servers::all(view.db)?)))?;
        let joined = || servers.iter().filter(|server| server.joined_at.is_some());
        let newest = keys.newest();
        let names = |those: &dyn Fn(&[u32]) -> bool| {
            let those = joined().filter(|server| those(&server.keys));
            those.map(|server| server.name.clone()).collect()
        };
        Ok(Rekeying {
            keys: keys.numbers(),
            sealing,
            counts: counts
                .into_iter()
                .map(|(key, values)| SealedCount { key, values })
                .collect(),
            without_newest: names(&|keys| !keys.contains(&newest)),
            with_older: names(&|keys| keys.iter().any(|key| *key < newest)),
        })
    }

    /// Has the newest key of this machine seal, and seals with it what is sealed with another. Every server must have it. If it
    /// is interrupted, it goes on when it is called again. Returns how many values it has sealed.
    pub fn seal_again(&self, origin: &Origin, now: Timestamp) -> Result<u64, StoreError> {
        let newest = self.location().read_keys()?.newest();
        self.write(|view| {
            if sealing::look(view.db)? < newest {
                sealing::set_in_force(view.db, newest)?;
            }
            Ok(())
        })?;
        let mut many = 0;
        let mut cursor = Some(Cursor::Apps(0));
        while let Some(from) = cursor {
            let (next, sealed) = self.write(|view| seal_batch(view, from, newest))?;
            (cursor, many) = (next, many + sealed);
        }
        many += self.hash_again(newest)?;
        self.reseal_log_key()?;
        if many > 0 {
            let event = Event::SealedAgain {
                number: newest,
                values: many,
            };
            self.change(origin, now, |tx| tx.record(None, &event).map(drop))?;
        }
        Ok(many)
    }

    /// Has every keyed hash of a row be one with the key of this `number`.
    fn hash_again(&self, number: u32) -> Result<u64, StoreError> {
        let mut many = self.write(|view| {
            // Nobody changes the policy meanwhile.
            view.rules.forget(view.db)?;
            view.hasher().renew_policy(view, number)
        })?;
        for table in [&EXEMPTION, &JOIN_KEY, &HOST] {
            let mut after = Some(String::new());
            while let Some(from) = after {
                let (last, hashed) =
                    self.write(|view| view.hasher().renew(table, &from, number))?;
                (after, many) = (last, many + hashed);
            }
        }
        Ok(many)
    }

    /// The sealing keys of this machine, which a server that joins is given.
    pub fn sealing_keys(&self) -> Result<Keys, StoreError> {
        self.location().read_keys()
    }
}

fn seal_batch(
    view: &View<'_>,
    from: Cursor,
    newest: u32,
) -> Result<(Option<Cursor>, u64), StoreError> {
    let mut many = 0;
    let next = each_of_batch(view.db, from, |place, sealed| {
        if number_of(sealed) == newest {
            return Ok(());
        }
        let data = place.data();
        let secret = match view.key.open(data, sealed) {
            // It is lost, and was before. `rekeying` still counts it.
            Err(StoreError::Seal) => return Ok(()),
            opened => opened?,
        };
        let again = view.key.seal(newest, data, &secret)?;
        if place.replace(view.db, sealed, &again)? {
            many += 1;
        }
        Ok(())
    })?;
    if matches!(from, Cursor::Few) {
        // What the rules hold of a host's certificate is sealed, too.
        view.rules.forget(view.db)?;
    }
    Ok((next, many))
}

/// Passes the sealed values of the batch that begins at `from` to `each`. Returns where the next one begins.
fn each_of_batch(
    db: &Db<'_>,
    from: Cursor,
    mut each: impl FnMut(&Place<'_>, &[u8]) -> Result<(), StoreError>,
) -> Result<Option<Cursor>, StoreError> {
    match from {
        Cursor::Apps(after) => {
            let apps = sealing::apps(db, after, BATCH)?;
            for app in &apps {
                each(&Place::App(app), &app.sealed)?;
            }
            let last = apps.last().map(|app| Cursor::Apps(app.row));
            Ok(Some(last.unwrap_or(Cursor::Pending(0))))
        }
        Cursor::Pending(after) => {
            let apps = sealing::pending(db, after, BATCH)?;
            for app in &apps {
                each(&Place::Pending(app), &app.sealed)?;
            }
            let last = apps.last().map(|app| Cursor::Pending(app.row));
            Ok(Some(last.unwrap_or(Cursor::Rescue(0))))
        }
        Cursor::Rescue(after) => {
            let sets = rescue_sets::sealed(db, after, BATCH)?;
            for codes in &sets {
                each(&Place::Rescue(codes), &codes.sealed)?;
            }
            let last = sets.last().map(|codes| Cursor::Rescue(codes.number));
            Ok(Some(last.unwrap_or(Cursor::Few)))
        }
        Cursor::Few => {
            for (provider, name, sealed) in &sealing::settings(db)? {
                each(&Place::Setting(*provider, name), sealed)?;
            }
            for (column, sealed) in &sealing::of_host(db)? {
                each(&Place::Host(column), sealed)?;
            }
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests;
