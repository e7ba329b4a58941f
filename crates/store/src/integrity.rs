//! Rows that a server trusts only if a server has written them: policy, classes, exemptions, hosts and join keys carry a keyed hash,
//! which nobody can make who has the database and not a sealing key.
//!
//! A row that was changed, copied or added beside twofa is refused, or passed over where that is stricter: an exemption. A setting
//! or class that is gone is noticed by the hash of the version of the policy, which covers those of all others. What is not noticed
//! is that rows were put back to what they once were, and that an exemption or a host is gone, which lets nobody in.
//!
//! A store in a file has no hashes: who can write the file can read the key as well.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use twofa_core::{Class, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::seal::{SealingKey, number_of_hash};
use crate::sql::fleet_policy::{self, HashedVersion};
use crate::sql::policy::{self, HashedSetting};
use crate::sql::row_hashes::{
    self, EXEMPTION, HOST, HashedRow, HashedTable, JOIN_KEY, RowHash, SETTING, covered,
};
use crate::sql::{Db, Value, sealing};
use crate::tx::View;

/// How often the policy is read until nobody has changed it meanwhile.
const READS: u32 = 5;
/// How many rows are hashed or checked at a time.
const BATCH: u32 = 100;
/// What the version of the policy is called, whose hash covers all others.
const POLICY: &str = "policy_version";
const CLASS: &str = "class";

/// A row that another program than a server has written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlteredRow {
    /// Its table in the database.
    pub table: &'static str,
    /// What an administrator knows it by: a key of the policy, a name or a number. Of the version of the policy it is that version:
    /// then settings or classes are gone, or were put back.
    pub row: String,
}

impl fmt::Display for AlteredRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, row } = self;
        write!(
            f,
            "'{row}' in the table '{table}' of the database was written by a program other than twofa"
        )
    }
}

impl AlteredRow {
    /// What an administrator can do about it.
    pub fn remedy(&self) -> &'static str {
        match self.table {
            "exemption" => "find out who wrote it, then end it with 'twofa exemption remove ID'",
            "host" => {
                "find out who wrote it, then remove the host with 'twofa host remove' and have it join again"
            }
            "join_key" => "find out who wrote it, then remove it with 'twofa join-key remove'",
            "setting" => {
                "find out who wrote it, then set it with 'twofa policy set KEY=VALUE', or apply an exported policy"
            }
            _ => {
                "find out who wrote it, then apply a policy that you exported, with 'twofa policy apply FILE'"
            }
        }
    }
}

/// The rows that were noticed and are in the log.
#[derive(Debug, Default)]
pub(crate) struct NoticedRows(Mutex<BTreeSet<AlteredRow>>);

/// Settings and classes as they are stored.
#[derive(Debug)]
pub(crate) struct StoredPolicy {
    pub settings: Vec<(String, String)>,
    pub classes: Vec<Class>,
}

/// Makes and checks hashes in one transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hasher<'a> {
    pub db: &'a Db<'a>,
    pub key: &'a SealingKey,
}

impl Store {
    /// The rows that another program than a server has written.
    pub fn altered_rows(&self) -> Result<Vec<AlteredRow>, StoreError> {
        self.read(|view| {
            let hasher = view.hasher();
            if !hasher.is_needed() {
                return Ok(Vec::new());
            }
            let mut altered = Vec::new();
            for setting in policy::settings(view.db)? {
                let HashedSetting { key, hash, .. } = setting;
                hasher.note(&mut altered, &SETTING, key, &hash)?;
            }
            for (class, hash) in policy::classes(view.db)? {
                if !hasher.is_ours(&hash)? {
                    altered.push(row(CLASS, class.name));
                }
            }
            if altered.is_empty()
                && let Err(StoreError::Altered(found)) = stored_policy(view, &[])
            {
                altered.push(found);
            }
            for table in [&EXEMPTION, &JOIN_KEY, &HOST] {
                hasher.each(table, |HashedRow { label, hash, .. }| {
                    hasher.note(&mut altered, table, label, &hash)
                })?;
            }
            Ok(altered)
        })
    }

    /// Logs those of [`Self::altered_rows`] that this process has not noticed before, and returns them.
    pub fn note_altered_rows(
        &self,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<AlteredRow>, StoreError> {
        let altered = self.altered_rows()?;
        let noticed = self.noticed();
        let fresh: Vec<_> = altered.iter().filter(|found| !noticed.has(found)).collect();
        for found in &fresh {
            let event = Event::RowAltered {
                table: found.table.to_owned(),
                row: found.row.clone(),
            };
            self.change(origin, now, |tx| tx.record(None, &event).map(drop))?;
        }
        let fresh = fresh.into_iter().cloned().collect();
        noticed.replace(&altered);
        Ok(fresh)
    }
}

impl NoticedRows {
    fn has(&self, row: &AlteredRow) -> bool {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.contains(row)
    }

    fn replace(&self, rows: &[AlteredRow]) {
        let mut noticed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *noticed = rows.iter().cloned().collect();
    }
}

impl View<'_> {
    pub(crate) const fn hasher(&self) -> Hasher<'_> {
        Hasher {
            db: self.db,
            key: self.key,
        }
    }

    /// Fails if another program has written the row of `table` that is known as `label`.
    pub(crate) fn check_row(
        &self,
        table: &HashedTable,
        label: &str,
        hash: &RowHash,
    ) -> Result<(), StoreError> {
        if self.hasher().is_ours(hash)? {
            return Ok(());
        }
        Err(altered(table.name, label))
    }

    /// Has nobody else change the row with this id until the transaction ends, and fails if another program has written it.
    pub(crate) fn lock_row(&self, table: &HashedTable, id: &str) -> Result<(), StoreError> {
        if !self.hasher().is_needed() {
            return Ok(());
        }
        let Some(HashedRow { label, hash, .. }) = row_hashes::lock(self.db, table, id)? else {
            return Ok(());
        };
        self.check_row(table, &label, &hash)
    }

    /// Gives the row with this id, which this transaction has written, its hash.
    pub(crate) fn hash_row(&self, table: &HashedTable, id: &str) -> Result<(), StoreError> {
        let hasher = self.hasher();
        if !hasher.is_needed() {
            return Ok(());
        }
        let Some(found) = row_hashes::lock(self.db, table, id)? else {
            return Ok(());
        };
        hasher.write(table, &found, hasher.number()?)
    }

    /// Gives settings and classes, all of which this transaction has written, their hashes.
    pub(crate) fn hash_policy(&self) -> Result<(), StoreError> {
        let hasher = self.hasher();
        if !hasher.is_needed() {
            return Ok(());
        }
        hasher.write_policy(hasher.number()?)
    }
}

/// Settings and classes, if a server has written them; but for the settings `changed`, which are about to be.
pub(crate) fn stored_policy(view: &View<'_>, changed: &[&str]) -> Result<StoredPolicy, StoreError> {
    let hasher = view.hasher();
    if !hasher.is_needed() {
        return StoredPolicy::read(view.db);
    }
    for _ in 0..READS {
        let version = fleet_policy::hashed_version(view.db)?;
        let parts = Parts::read(view.db)?;
        match parts.check(hasher, &version, changed) {
            Ok(()) => return Ok(parts.into()),
            // A change came in between, of which the one has a part and the other the rest.
            Err(_) if fleet_policy::hashed_version(view.db)? != version => {}
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Conflict)
}

/// What the policy consists of, with the hashes.
struct Parts {
    settings: Vec<HashedSetting>,
    classes: Vec<(Class, RowHash)>,
}

impl Parts {
    fn read(db: &Db<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            settings: policy::settings(db)?,
            classes: policy::classes(db)?,
        })
    }

    fn check(
        &self,
        hasher: Hasher<'_>,
        version: &HashedVersion,
        changed: &[&str],
    ) -> Result<(), StoreError> {
        for HashedSetting { key, hash, .. } in &self.settings {
            if !changed.contains(&key.as_str()) && !hasher.is_ours(hash)? {
                return Err(altered(SETTING.name, key));
            }
        }
        for (class, hash) in &self.classes {
            if !hasher.is_ours(hash)? {
                return Err(altered(CLASS, &class.name));
            }
        }
        let whole = RowHash {
            covered: self.covered(version.version),
            hash: version.hash.clone(),
        };
        if hasher.is_ours(&whole)? {
            return Ok(());
        }
        Err(altered(POLICY, &version.version.to_string()))
    }

    /// What the hash of the version covers: it, and the hashes of all settings and classes.
    fn covered(&self, version: i64) -> Vec<u8> {
        let settings = self.settings.iter();
        let settings = settings.map(|it| (SETTING.name, it.key.as_str(), &it.hash.hash));
        let classes = self.classes.iter();
        let classes = classes.map(|(class, it)| (CLASS, class.name.as_str(), &it.hash));
        let mut all: Vec<_> = settings.chain(classes).collect();
        all.sort_unstable();
        let mut row = vec![Value::Integer(version)];
        for (table, name, hash) in all {
            row.push(Value::Text(table.as_bytes()));
            row.push(Value::Text(name.as_bytes()));
            row.push(Value::Blob(hash));
        }
        covered(POLICY, &row)
    }

    fn hashes(&self) -> impl Iterator<Item = &RowHash> {
        let settings = self.settings.iter().map(|setting| &setting.hash);
        settings.chain(self.classes.iter().map(|(_, hash)| hash))
    }
}

impl StoredPolicy {
    /// What there is, no matter who wrote it.
    pub(crate) fn read(db: &Db<'_>) -> Result<Self, StoreError> {
        Ok(Parts::read(db)?.into())
    }
}

impl From<Parts> for StoredPolicy {
    fn from(parts: Parts) -> Self {
        let settings = parts.settings.into_iter();
        Self {
            settings: settings.map(|it| (it.key, it.value)).collect(),
            classes: parts.classes.into_iter().map(|(class, _)| class).collect(),
        }
    }
}

impl Hasher<'_> {
    /// Whether rows have hashes.
    pub(crate) const fn is_needed(&self) -> bool {
        self.db.as_sqlite().is_none()
    }

    /// Whether a server has written the row that has this hash.
    pub(crate) fn is_ours(&self, hash: &RowHash) -> Result<bool, StoreError> {
        if !self.is_needed() {
            return Ok(true);
        }
        self.key.is_hash_of_row(&hash.hash, &hash.covered)
    }

    /// The number of the key that hashes from now on.
    fn number(&self) -> Result<u32, StoreError> {
        sealing::in_force(self.db)
    }

    fn note(
        &self,
        altered: &mut Vec<AlteredRow>,
        table: &HashedTable,
        label: String,
        hash: &RowHash,
    ) -> Result<(), StoreError> {
        if !self.is_ours(hash)? {
            altered.push(row(table.name, label));
        }
        Ok(())
    }

    /// Passes all rows of `table` to `each`.
    fn each(
        &self,
        table: &HashedTable,
        mut each: impl FnMut(HashedRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let rows = row_hashes::batch(self.db, table, &after, BATCH)?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after.clone_from(&last.id);
            rows.into_iter().try_for_each(&mut each)?;
        }
    }

    fn write(&self, table: &HashedTable, found: &HashedRow, number: u32) -> Result<(), StoreError> {
        let hash = self.key.hash_row(number, &found.hash.covered)?;
        row_hashes::set(self.db, table, &found.id, &found.hash.hash, &hash)
    }

    fn write_policy(&self, number: u32) -> Result<(), StoreError> {
        let mut parts = Parts::read(self.db)?;
        for HashedSetting { key, hash, .. } in &mut parts.settings {
            let fresh = self.key.hash_row(number, &hash.covered)?;
            let before = std::mem::replace(&mut hash.hash, fresh);
            row_hashes::set(self.db, &SETTING, key, &before, &hash.hash)?;
        }
        for (class, hash) in &mut parts.classes {
            hash.hash = self.key.hash_row(number, &hash.covered)?;
            row_hashes::set_of_class(self.db, &class.name, &hash.hash)?;
        }
        let version = fleet_policy::hashed_version(self.db)?;
        let hash = self.key.hash_row(number, &parts.covered(version.version))?;
        row_hashes::set_of_policy(self.db, &hash)
    }

    /// Gives every row its hash, whatever it has now: those of a store that comes from where there are none.
    pub(crate) fn write_all(&self) -> Result<(), StoreError> {
        if !self.is_needed() {
            return Ok(());
        }
        let number = self.number()?;
        self.write_policy(number)?;
        for table in [&EXEMPTION, &JOIN_KEY, &HOST] {
            self.each(table, |found| self.write(table, &found, number))?;
        }
        Ok(())
    }

    /// Passes the number of the key of every hash to `each`.
    pub(crate) fn numbers(&self, mut each: impl FnMut(u32)) -> Result<(), StoreError> {
        if !self.is_needed() {
            return Ok(());
        }
        let mut count = |hash: &RowHash| number_of_hash(&hash.hash).into_iter().for_each(&mut each);
        Parts::read(self.db)?.hashes().for_each(&mut count);
        count(&RowHash {
            hash: fleet_policy::hashed_version(self.db)?.hash,
            ..RowHash::NONE
        });
        for table in [&EXEMPTION, &JOIN_KEY, &HOST] {
            self.each(table, |found| {
                count(&found.hash);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Hashes the policy with the key of this `number`, unless it is already, or another program has written it. Says how many
    /// hashes that are. Nobody else changes it meanwhile.
    pub(crate) fn renew_policy(&self, view: &View<'_>, number: u32) -> Result<u64, StoreError> {
        if !self.is_needed() {
            return Ok(0);
        }
        match stored_policy(view, &[]) {
            // It stays, and is counted as one with the old key.
            Err(StoreError::Altered(_)) => return Ok(0),
            checked => checked?,
        };
        let parts = Parts::read(self.db)?;
        let version = fleet_policy::hashed_version(self.db)?;
        let hashes = parts.hashes().map(|hash| hash.hash.as_slice());
        let old = hashes
            .chain([version.hash.as_slice()])
            .filter(|hash| number_of_hash(hash) != Some(number))
            .count();
        if old > 0 {
            self.write_policy(number)?;
        }
        Ok(u64::try_from(old).unwrap_or(u64::MAX))
    }

    /// The same for a batch of rows of another table, after the one with this id. Returns the id of the last one, if there is any,
    /// and how many hashes it has made.
    pub(crate) fn renew(
        &self,
        table: &HashedTable,
        after: &str,
        number: u32,
    ) -> Result<(Option<String>, u64), StoreError> {
        if !self.is_needed() {
            return Ok((None, 0));
        }
        let mut many = 0;
        let rows = row_hashes::batch(self.db, table, after, BATCH)?;
        for found in &rows {
            let is_old = number_of_hash(&found.hash.hash) != Some(number);
            if is_old && self.is_ours(&found.hash)? {
                self.write(table, found, number)?;
                many += 1;
            }
        }
        Ok((rows.into_iter().next_back().map(|last| last.id), many))
    }
}

fn row(table: &'static str, row: String) -> AlteredRow {
    AlteredRow { table, row }
}

fn altered(table: &'static str, label: &str) -> StoreError {
    StoreError::Altered(row(table, label.to_owned()))
}

#[cfg(test)]
mod tests;
