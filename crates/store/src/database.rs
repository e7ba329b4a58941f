//! The store itself: opening and making it, and its transactions.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use twofa_core::Timestamp;

use crate::backing::{Backing, FileBacking};
use crate::error::StoreError;
use crate::event::{Happening, Origin};
use crate::host_in_force::{check_host, host_ahead};
use crate::integrity::{Hasher, NoticedRows};
use crate::journal::JournalState;
use crate::location::{Location, Owner};
use crate::model::device::PruningState;
use crate::model::session::Machine;
use crate::rules::RulesCache;
use crate::seal::SealingKey;
use crate::seen_mark::SeenMark;
use crate::sql::postgres::address::Address;
use crate::sql::postgres::pipeline::{DatabaseCounters, Traffic};
use crate::sql::postgres::pool::Pool;
use crate::sql::postgres::schema::{self, State};
use crate::sql::postgres::watch::Watch;
use crate::sql::sqlite::pragmas::{self, Synchronous};
use crate::sql::sqlite::schema::Schema;
use crate::sql::{Ahead, Db};
use crate::tx::{Tx, View};

/// An open store, shared between threads.
#[derive(Debug)]
pub struct Store {
    location: Location,
    /// What this machine is called in the store.
    machine: String,
    key: SealingKey,
    backing: Backing,
    seen: Arc<SeenMark>,
    rules: RulesCache,
    may_have_notices: AtomicBool,
    listener: Option<Listener>,
    journal: JournalState,
    pruning: PruningState,
    noticed: NoticedRows,
}

/// Gets what has happened, in the order in which it was logged.
pub type Listener = fn(&Happening);

impl Store {
    /// Opens the store at `location`, and brings its schema up to date.
    ///
    /// Nothing is made where nothing is: a missing, unreadable, exposed or foreign file is an error.
    pub fn open(location: Location) -> Result<Self, StoreError> {
        if location.is_vacant()? {
            return Err(StoreError::Missing(location.database));
        }
        if let Some(address) = location.read_server()? {
            return Self::open_on_server(location, address);
        }
        let place = location.clone();
        Self::open_schema(location, Schema::Existing)
            .map_err(|error| error.name_holder(&place.database))
    }

    fn open_schema(location: Location, schema: Schema) -> Result<Self, StoreError> {
        let key = SealingKey::of(&location.read_keys()?, Some(location.clone()));
        let backing = Backing::File(FileBacking::open(&location, schema)?);
        Ok(Self::on(location, key, backing))
    }

    /// Makes the tables of a store in the empty database that `location` names, and a sealing key where there is none.
    pub fn create_on_server(location: Location, owner: Owner) -> Result<Self, StoreError> {
        let address = location.read_server()?;
        let address = address.ok_or_else(|| StoreError::Missing(location.server.clone()))?;
        if !location.key.exists() {
            location.make_key(owner)?;
        }
        let key = SealingKey::of(&location.read_keys()?, None);
        let hash_all = |db: &Db<'_>| Hasher { db, key: &key }.write_all();
        schema::make(&Pool::open(address)?, State::Open, &hash_all)?;
        Self::open(location)
    }

    /// Brings the tables of the database that `location` names up to date with this program.
    pub fn upgrade_on_server(location: &Location) -> Result<(), StoreError> {
        let address = location.read_server()?;
        let address = address.ok_or_else(|| StoreError::Missing(location.server.clone()))?;
        let key = SealingKey::of(&location.read_keys()?, None);
        let hash_all = |db: &Db<'_>| Hasher { db, key: &key }.write_all();
        schema::upgrade(&Pool::open(address)?, &hash_all)
    }

    /// Opens the store that is in a database on a server.
    fn open_on_server(location: Location, address: Address) -> Result<Self, StoreError> {
        let key = SealingKey::of(&location.read_keys()?, Some(location.clone()));
        let pool = Pool::open(address)?;
        pool.view(schema::check)?;
        let seen = Arc::new(SeenMark::new(location.mark()));
        let watch = Watch::new(seen.clone());
        watch.read_without_standby(true);
        let pool = pool.watched_by(watch);
        // One that has gone back is not opened.
        pool.view(|_| Ok(()))?;
        let watch = pool.watch();
        watch.inspect(|watch| watch.read_without_standby(false));
        Ok(Self {
            seen,
            ..Self::on(location, key, Backing::Server(pool))
        })
    }

    pub(crate) fn on(location: Location, key: SealingKey, backing: Backing) -> Self {
        Self {
            seen: Arc::new(SeenMark::new(location.mark())),
            machine: location.machine_name(),
            location,
            key,
            backing,
            rules: RulesCache::default(),
            may_have_notices: AtomicBool::new(true),
            listener: None,
            journal: JournalState::default(),
            pruning: PruningState::default(),
            noticed: NoticedRows::default(),
        }
    }

    /// Has it read although the policy demands a synchronous standby (`fleet.durability`) and there is none. For administrators,
    /// who look for what is wrong and let nobody in.
    pub fn read_without_standby(&self) {
        let watch = self.server().and_then(Pool::watch);
        watch.inspect(|watch| watch.read_without_standby(true));
    }

    /// Has `listener` called for each event after it is committed, with no transaction open.
    pub const fn set_listener(&mut self, listener: Listener) {
        self.listener = Some(listener);
    }

    /// Whether this is the store as it was when it was opened, because nothing can be written where it is. It can be read
    /// for a short time: as soon as somebody else has changed it, every read fails.
    pub fn is_snapshot(&self) -> bool {
        self.backing.as_file().is_some_and(FileBacking::is_snapshot)
    }

    /// Makes a new store at `location`, where there must be none.
    ///
    /// `owner` gets the database and may read the sealing key; giving files away takes root, so that
    /// anybody else can only make a store of their own.
    pub fn create(location: Location, owner: Owner) -> Result<Self, StoreError> {
        Self::make_files(&location, owner)?;
        Self::open_new(location)
    }

    /// Makes the files of [`Store::create`], empty; the first half of it, for root.
    pub fn make_files(location: &Location, owner: Owner) -> Result<(), StoreError> {
        if !location.is_vacant()? {
            return Err(StoreError::Exists(location.database.clone()));
        }
        location.make(owner)
    }

    /// Makes a store of the files of [`Store::make_files`]; the second half, for the owner.
    pub fn open_new(location: Location) -> Result<Self, StoreError> {
        Self::open_schema(location, Schema::New)
    }

    /// Whether there is nothing at `location`, so that this is a first start.
    pub fn is_vacant(location: &Location) -> Result<bool, StoreError> {
        location.is_vacant()
    }

    /// Whether it is in a database on a server, of PostgreSQL's.
    pub const fn is_on_server(&self) -> bool {
        matches!(self.backing, Backing::Server(_))
    }

    /// Leaves the write-ahead log when the store is closed, for the next process, if the log is short. Returns whether
    /// it does. To copy the log back and remove it takes two syncs, and to make a new one at the next opening two more: too
    /// much for a process that serves one login.
    pub fn leave_short_log(&self) -> Result<bool, StoreError> {
        let file = self.backing.as_file();
        file.map_or(Ok(false), FileBacking::leave_short_log)
    }

    /// What is wrong with the database as a file; `None`: nothing. It reads all of it.
    pub fn damage(&self) -> Result<Option<String>, StoreError> {
        let checked = self.read(|view| view.db.as_sqlite().map_or(Ok(None), pragmas::quick_check));
        match checked {
            Err(StoreError::Damaged(why)) => Ok(Some(why)),
            checked => checked,
        }
    }

    /// Runs `work` on one consistent view.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.backing.view(|db| work(&self.view(db)))
    }

    /// The same. A server is asked `ahead` what `work` is going to ask, as far as that is known.
    pub(crate) fn read_ahead<T>(
        &self,
        ahead: impl FnOnce() -> Vec<Ahead>,
        work: impl FnOnce(&View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.backing.view_ahead(ahead, |db| work(&self.view(db)))
    }

    /// What was sent to the database on a server since this was opened, by transactions that have ended.
    pub fn traffic(&self) -> Traffic {
        self.server().map(Pool::traffic).unwrap_or_default()
    }

    /// What has happened between this process and the database on a server since this was opened.
    pub fn database_counters(&self) -> DatabaseCounters {
        self.server().map(Pool::counters).unwrap_or_default()
    }

    /// Whether notices may have been queued since this was asked last, as far as anything was read meanwhile.
    pub fn may_have_notices(&self) -> bool {
        // What other servers queue is not noticed here.
        self.is_on_server() || self.may_have_notices.swap(false, Ordering::Relaxed)
    }

    /// The database on a server, if it is there.
    pub(crate) const fn server(&self) -> Option<&Pool> {
        self.backing.as_server()
    }

    pub(crate) fn seen_mark(&self) -> &SeenMark {
        &self.seen
    }

    pub(crate) const fn location(&self) -> &Location {
        &self.location
    }

    pub(crate) const fn machine(&self) -> Machine<'_> {
        Machine {
            name: self.machine.as_str(),
            is_only: !self.is_on_server(),
        }
    }

    pub(crate) const fn key(&self) -> &SealingKey {
        &self.key
    }

    pub(crate) const fn pruning(&self) -> &PruningState {
        &self.pruning
    }

    pub(crate) const fn noticed(&self) -> &NoticedRows {
        &self.noticed
    }

    pub(crate) const fn journal(&self) -> &JournalState {
        &self.journal
    }

    const fn view<'a>(&'a self, db: &'a Db<'a>) -> View<'a> {
        View {
            db,
            key: &self.key,
            rules: &self.rules,
            may_have_notices: &self.may_have_notices,
            journal: &self.journal,
        }
    }

    /// Runs `work`, which `origin` asked for, as one write transaction. It is on disk when this returns `Ok`; on any error
    /// nothing of it happened.
    pub(crate) fn change<T>(
        &self,
        origin: &Origin,
        now: Timestamp,
        work: impl Fn(&Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.change_ahead(Vec::new, origin, now, work)
    }

    /// The same. A server is asked `ahead` what `work` is going to ask, as far as that is known.
    pub(crate) fn change_ahead<T>(
        &self,
        ahead: impl FnOnce() -> Vec<Ahead>,
        origin: &Origin,
        now: Timestamp,
        work: impl Fn(&Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.log(Synchronous::Full, ahead, origin, now, work)
    }

    /// Like [`Store::change`], but what is committed is on disk only with the next one. Until then everybody sees it, and a
    /// power cut may undo it.
    pub(crate) fn change_unsynced<T>(
        &self,
        origin: &Origin,
        now: Timestamp,
        work: impl Fn(&Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.log(Synchronous::Normal, Vec::new, origin, now, work)
    }

    /// Runs `work`, and tells the listener what it has logged.
    fn log<T>(
        &self,
        synchronous: Synchronous,
        ahead: impl FnOnce() -> Vec<Ahead>,
        origin: &Origin,
        now: Timestamp,
        work: impl Fn(&Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let happened = RefCell::<Vec<Happening>>::default();
        // The host after what is locked, so that it is that of the moment from which on nobody else is in the way.
        let host = origin.host.as_ref();
        let ahead = || {
            let host = host.and_then(|host| host_ahead(host, now));
            ahead().into_iter().chain(host).collect()
        };
        let value = self.transact(synchronous, ahead, |view| {
            // What an earlier try logged did not happen.
            happened.take();
            if let Some(host) = &origin.host {
                check_host(&view, host, now)?;
            }
            work(&Tx {
                view,
                origin,
                now,
                is_synced: synchronous == Synchronous::Full,
                happened: &happened,
            })
        })?;
        if let Some(listener) = self.listener {
            happened.into_inner().iter().for_each(listener);
        }
        Ok(value)
    }

    /// Like [`Store::change`], for bookkeeping that is not logged.
    pub(crate) fn write<T>(
        &self,
        work: impl Fn(&View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.transact(Synchronous::Full, Vec::new, |view| work(&view))
    }

    /// Like [`Store::change_unsynced`], for bookkeeping that is not logged.
    pub(crate) fn write_unsynced<T>(
        &self,
        work: impl Fn(&View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.transact(Synchronous::Normal, Vec::new, |view| work(&view))
    }

    fn transact<T>(
        &self,
        synchronous: Synchronous,
        ahead: impl FnOnce() -> Vec<Ahead>,
        work: impl Fn(View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.backing
            .transact_ahead(synchronous, ahead, |db| work(self.view(db)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backing::LONGEST_LOG_LEFT;
    use crate::sql::sqlite::pragmas::PAGE_BYTES;
    use crate::testing::{Bench, origin};
    use rusqlite::StatementStatus;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::PathBuf;

    #[test]
    fn a_new_store_is_private_and_opens_again() {
        let bench = Bench::on_file();
        drop(bench.create());
        for (path, mode) in [
            (&bench.location.database, 0o600),
            (&bench.location.key, 0o640),
        ] {
            assert_eq!(
                fs::metadata(path).unwrap().mode() & 0o7777,
                mode,
                "{}",
                path.display()
            );
        }
        Store::open(bench.location.clone()).unwrap();
    }

    #[test]
    fn what_is_written_is_on_disk_before_it_returns() {
        let bench = Bench::on_file();
        let store = bench.create();
        let durable = store.change(&origin(), bench.now, |tx| synchronous(tx));
        assert_eq!(durable.unwrap(), 2, "2 is FULL");
    }

    fn synchronous(view: &View<'_>) -> Result<i64, StoreError> {
        let connection = view.db.as_sqlite().unwrap();
        Ok(connection.pragma_query_value(None, "synchronous", |row| row.get(0))?)
    }

    #[test]
    fn after_a_commit_without_a_sync_the_next_one_is_synced_again() {
        let bench = Bench::on_file();
        let store = bench.create();
        for _ in 0..3 {
            let unsynced = store.write_unsynced(synchronous);
            assert_eq!(unsynced.unwrap(), 1, "1 is NORMAL");
            let synced = store.change(&origin(), bench.now, |tx| synchronous(tx));
            assert_eq!(synced.unwrap(), 2, "2 is FULL");
        }
    }

    fn log_of(bench: &Bench) -> PathBuf {
        bench.location.database.with_extension("db-wal")
    }

    #[test]
    fn a_new_store_has_small_pages() {
        let bench = Bench::on_file();
        let store = bench.create();
        let size = store.read(|view| {
            let connection = view.db.as_sqlite().unwrap();
            Ok(connection.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))?)
        });
        assert_eq!(size.unwrap(), PAGE_BYTES);
    }

    #[test]
    fn a_log_that_was_left_is_read_and_one_that_was_not_is_removed() {
        let bench = Bench::on_file();
        let (alice, origin) = (crate::testing::alice(), origin());
        let set_required = |required, leaves: bool| {
            let store = Store::open(bench.location.clone()).unwrap();
            assert!(!leaves || store.leave_short_log().unwrap());
            store
                .set_required(&alice, required, &origin, bench.now)
                .unwrap()
        };
        drop(bench.create());
        for required in [true, false, true] {
            assert!(set_required(required, true));
            assert!(log_of(&bench).metadata().unwrap().len() > 0);
        }
        assert!(set_required(false, false));
        assert!(!log_of(&bench).exists());
    }

    #[test]
    fn a_log_that_is_left_does_not_grow_without_end() {
        let bench = Bench::on_file();
        drop(bench.create());
        let mut lengths = Vec::new();
        for uid in 0..100 {
            let store = Store::open(bench.location.clone()).unwrap();
            let account = twofa_core::Account {
                name: format!("user{uid}"),
                uid,
            };
            store.add_user(&account, &origin(), bench.now).unwrap();
            store.leave_short_log().unwrap();
            drop(store);
            lengths.push(log_of(&bench).metadata().map_or(0, |log| log.len()));
        }
        assert!(
            lengths.iter().all(|length| *length <= LONGEST_LOG_LEFT),
            "{lengths:?}"
        );
        let removed = lengths.iter().filter(|length| **length == 0).count();
        assert!((1..20).contains(&removed), "{lengths:?}");
    }

    #[test]
    fn a_statement_is_compiled_once() {
        let bench = Bench::on_file();
        let store = bench.create();
        let compiled_again = |name: &str| {
            store.read(|view| {
                let sql = "SELECT uid FROM user WHERE name = ?1 AND uid > 0 ORDER BY uid DESC";
                let mut statement = view.db.as_sqlite().unwrap().prepare_cached(sql)?;
                statement.exists([name])?;
                Ok(statement.get_status(StatementStatus::RePrepare))
            })
        };
        for name in ["alice", "bob", "carol"] {
            assert_eq!(compiled_again(name).unwrap(), 0, "{name}");
        }
    }

    #[test]
    fn rules_that_another_process_changed_hold_at_once() {
        let bench = Bench::new();
        let store = bench.create();
        let other = Store::open(bench.location.clone()).unwrap();
        let alice = crate::testing::alice();
        let mode = |store: &Store| {
            store
                .snapshot(&alice)
                .unwrap()
                .rules
                .rulebook
                .machine()
                .mode
        };
        for (changed_by, setting) in [
            (&other, "optional"),
            (&store, "mandatory"),
            (&other, "disabled"),
        ] {
            changed_by
                .change_policy([("mode", setting)], &origin(), bench.now)
                .unwrap();
            assert_eq!(
                (mode(&store).name(), mode(&other).name()),
                (setting, setting)
            );
        }
    }

    #[test]
    fn a_missing_database_is_an_error_and_never_an_empty_store() {
        let bench = Bench::on_file();
        assert!(matches!(
            Store::open(bench.location.clone()),
            Err(StoreError::Missing(_))
        ));
        drop(bench.create());
        fs::remove_file(&bench.location.database).unwrap();
        assert!(matches!(
            Store::open(bench.location.clone()),
            Err(StoreError::Halved { .. })
        ));
        assert!(matches!(
            Store::create(bench.location.clone(), bench.owner),
            Err(StoreError::Halved { .. })
        ));
    }

    #[test]
    fn a_missing_key_is_not_replaced() {
        let bench = Bench::on_file();
        drop(bench.create());
        fs::remove_file(&bench.location.key).unwrap();
        assert!(matches!(
            Store::create(bench.location.clone(), bench.owner),
            Err(StoreError::Halved { .. })
        ));
        assert!(!bench.location.key.exists());
    }

    #[test]
    fn a_key_or_database_that_others_can_read_is_refused() {
        let bench = Bench::on_file();
        drop(bench.create());
        for path in [&bench.location.key, &bench.location.database] {
            let right = fs::metadata(path).unwrap().permissions();
            for mode in [0o644, 0o641, 0o660] {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
                let error = Store::open(bench.location.clone()).unwrap_err();
                assert!(
                    error.to_string().contains(&format!("has mode {mode:04o}")),
                    "{error}"
                );
            }
            fs::set_permissions(path, right).unwrap();
        }
    }

    #[test]
    fn a_linked_key_or_database_is_refused() {
        for pick in [
            |l: &Location| l.key.clone(),
            |l: &Location| l.database.clone(),
        ] {
            let bench = Bench::on_file();
            drop(bench.create());
            let path = pick(&bench.location);
            let moved = path.with_extension("moved");
            fs::rename(&path, &moved).unwrap();
            std::os::unix::fs::symlink(&moved, &path).unwrap();
            assert!(Store::open(bench.location.clone()).is_err());
        }
    }

    /// Keeps SQLite from making the companion of the database with this `ending`, as a read-only disk does.
    fn in_the_way_of(bench: &Bench, ending: &str) {
        let mut companion = bench.location.database.clone().into_os_string();
        companion.push(ending);
        std::os::unix::fs::symlink("nowhere", companion).unwrap();
    }

    #[test]
    fn where_nothing_can_be_written_the_policy_can_be_read_and_nothing_changed() {
        let bench = Bench::on_file();
        let store = bench.create();
        assert!(!store.is_snapshot());
        store
            .change_policy([("mode", "mandatory")], &origin(), bench.now)
            .unwrap();
        drop(store);
        in_the_way_of(&bench, "-shm");
        let store = Store::open(bench.location.clone()).unwrap();
        assert!(store.is_snapshot());
        assert_eq!(store.rulebook().unwrap().machine().mode.name(), "mandatory");
        let changed = store.change_policy([("mode", "disabled")], &origin(), bench.now);
        assert!(matches!(changed, Err(StoreError::ReadOnly)), "{changed:?}");
    }

    #[test]
    fn what_only_the_log_knows_is_not_passed_over() {
        let bench = Bench::on_file();
        drop(bench.create());
        let mut log = bench.location.database.clone().into_os_string();
        log.push("-wal");
        fs::write(&log, [0; 64]).unwrap();
        in_the_way_of(&bench, "-shm");
        assert!(Store::open(bench.location.clone()).is_err());
        // One that came later.
        fs::remove_file(&log).unwrap();
        let store = Store::open(bench.location.clone()).unwrap();
        store.rulebook().unwrap();
        fs::write(&log, [0; 64]).unwrap();
        assert!(matches!(
            store.rulebook(),
            Err(StoreError::ChangedMeanwhile)
        ));
    }

    #[test]
    fn a_snapshot_that_has_changed_since_is_no_longer_read() {
        let bench = Bench::on_file();
        drop(bench.create());
        in_the_way_of(&bench, "-shm");
        let store = Store::open(bench.location.clone()).unwrap();
        store.rulebook().unwrap();
        let file = fs::OpenOptions::new()
            .append(true)
            .open(&bench.location.database)
            .unwrap();
        std::io::Write::write_all(&mut &file, &[0]).unwrap();
        assert!(matches!(
            store.rulebook(),
            Err(StoreError::ChangedMeanwhile)
        ));
    }

    #[test]
    fn an_emptied_database_is_no_new_store() {
        let bench = Bench::on_file();
        drop(bench.create());
        fs::write(&bench.location.database, "").unwrap();
        let error = Store::open(bench.location.clone()).unwrap_err();
        assert_eq!(error.to_string(), "the store is damaged: it was emptied");
    }

    #[test]
    fn a_store_that_could_not_be_made_leaves_nothing_in_the_way() {
        let bench = Bench::on_file();
        // The key cannot be made where its folder should be a file.
        fs::write(bench.location.key.parent().unwrap(), "").unwrap();
        assert!(Store::create(bench.location.clone(), bench.owner).is_err());
        fs::remove_file(bench.location.key.parent().unwrap()).unwrap();
        bench.create();
    }

    #[test]
    fn a_page_that_was_overwritten_is_found() {
        let bench = Bench::on_file();
        let store = bench.create();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'session'";
        let page_of_a_table = usize::try_from(Bench::number(&store, sql)).unwrap();
        drop(store);
        let damaged = |bench: &Bench| {
            let store = Store::open(bench.location.clone()).unwrap();
            store.damage().unwrap().is_some()
        };
        assert!(!damaged(&bench));
        // Header and schema are elsewhere, and the store opens. Pages are counted from 1.
        let mut bytes = fs::read(&bench.location.database).unwrap();
        let page = PAGE_BYTES as usize;
        bytes[(page_of_a_table - 1) * page..][..page].fill(0x5a);
        fs::write(&bench.location.database, bytes).unwrap();
        assert!(damaged(&bench));
    }

    #[test]
    fn garbage_is_refused() {
        let bench = Bench::on_file();
        drop(bench.create());
        fs::write(&bench.location.database, vec![0x5a; 8192]).unwrap();
        assert!(matches!(
            Store::open(bench.location.clone()),
            Err(StoreError::Damaged(_))
        ));
    }

    #[test]
    fn a_store_deleted_under_a_running_broker_stops_answering() {
        let bench = Bench::on_file();
        let store = bench.create();
        assert!(store.rulebook().is_ok());
        fs::remove_file(&bench.location.database).unwrap();
        assert!(matches!(store.rulebook(), Err(StoreError::Missing(_))));
    }

    #[test]
    fn a_store_replaced_under_a_running_broker_stops_answering() {
        let bench = Bench::on_file();
        let store = bench.create();
        let other = Bench::on_file();
        drop(other.create());
        fs::rename(&other.location.database, &bench.location.database).unwrap();
        assert!(matches!(store.rulebook(), Err(StoreError::Replaced(_))));
    }
}
