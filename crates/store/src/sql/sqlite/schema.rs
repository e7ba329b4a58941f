//! The schema of the database, and how older ones are brought up to date.

use rusqlite::Connection;
use twofa_core::Account;

use super::pragmas::{self, APPLICATION_ID, Header};
use super::transaction::Transaction;
use crate::error::StoreError;
use crate::sql::{Db, values};

/// Each runs once, in order; the number of those that ran is the schema version ([`Header::schema`]).
static MIGRATIONS: [&str; 33] = [
    include_str!("../../../migrations/0001_first.sql"),
    include_str!("../../../migrations/0002_people.sql"),
    include_str!("../../../migrations/0003_codes.sql"),
    include_str!("../../../migrations/0004_first_factor.sql"),
    include_str!("../../../migrations/0005_groups.sql"),
    include_str!("../../../migrations/0006_limits.sql"),
    include_str!("../../../migrations/0007_unproved_changes.sql"),
    include_str!("../../../migrations/0008_addresses.sql"),
    include_str!("../../../migrations/0009_events_as_data.sql"),
    include_str!("../../../migrations/0010_codes_shown.sql"),
    include_str!("../../../migrations/0011_devices.sql"),
    include_str!("../../../migrations/0012_sessions.sql"),
    include_str!("../../../migrations/0013_journal.sql"),
    include_str!("../../../migrations/0014_security_keys.sql"),
    include_str!("../../../migrations/0015_login_uid.sql"),
    include_str!("../../../migrations/0016_session_keys.sql"),
    include_str!("../../../migrations/0017_session_codes.sql"),
    include_str!("../../../migrations/0018_tickets.sql"),
    include_str!("../../../migrations/0019_fleet.sql"),
    include_str!("../../../migrations/0020_host_attempts.sql"),
    include_str!("../../../migrations/0021_servers.sql"),
    include_str!("../../../migrations/0022_host_limits.sql"),
    include_str!("../../../migrations/0023_conversations.sql"),
    include_str!("../../../migrations/0024_invitations.sql"),
    include_str!("../../../migrations/0025_join_keys.sql"),
    include_str!("../../../migrations/0026_sealing_keys.sql"),
    include_str!("../../../migrations/0027_host_sessions.sql"),
    include_str!("../../../migrations/0028_machine_of_session.sql"),
    include_str!("../../../migrations/0029_row_hashes.sql"),
    include_str!("../../../migrations/0030_rescue_codes.sql"),
    include_str!("../../../migrations/0031_ca_rotation.sql"),
    include_str!("../../../migrations/0032_device_hosts.sql"),
    include_str!("../../../migrations/0033_server_counters.sql"),
];

/// The number of a schema that no program uses: the store was moved away.
const MOVED: i64 = 1_000_000;
/// Likewise of a store that was exported to be merged into another one, which [`super::export`] alone reads.
pub(super) const EXPORTED: i64 = 1_000_001;

/// What the database is expected to hold already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Nothing: it was made just now.
    New,
    /// At least the first schema. An emptied file is not a new store.
    Existing,
}

/// Brings the schema up to date. Where it is already, which is nearly always, nothing is locked and nothing written.
pub(crate) fn migrate(connection: &mut Connection, schema: Schema) -> Result<(), StoreError> {
    if schema == Schema::Existing && is_newest(connection)? {
        return Ok(());
    }
    let transaction = Transaction::begin_change(connection)?;
    let outstanding = outstanding(&transaction, schema)?;
    if outstanding.is_empty() {
        return Ok(());
    }
    for migration in outstanding {
        transaction.execute_batch(migration)?;
    }
    let header = Header {
        application: APPLICATION_ID,
        schema: newest_schema(),
    };
    pragmas::set_header(&transaction, header)?;
    transaction.commit()
}

/// Whether there is nothing to bring up to date.
pub(crate) fn is_newest(connection: &mut Connection) -> Result<bool, StoreError> {
    Ok(outstanding(&Transaction::begin_view(connection)?, Schema::Existing)?.is_empty())
}

/// Fails if a newer program has changed the schema since the database was opened.
pub(super) fn check_known(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let found = pragmas::schema_number(transaction)?;
    let known = newest_schema();
    if found > known {
        return Err(too_new(transaction, found, known));
    }
    Ok(())
}

/// Closes a store that was moved to `address`. Programs that have it open find no users.
pub(crate) fn close(db: &Db<'_>, address: &str) -> Result<(), StoreError> {
    let Some(connection) = db.as_sqlite() else {
        return Ok(());
    };
    connection.execute_batch(
        "CREATE TABLE moved (address TEXT NOT NULL) STRICT; ALTER TABLE user RENAME TO moved_user;",
    )?;
    connection.execute("INSERT INTO moved VALUES (?1)", [address])?;
    let header = Header {
        application: APPLICATION_ID,
        schema: MOVED,
    };
    pragmas::set_header(connection, header)
}

/// Closes a store that was exported to `place`. It can be opened again for what is not the fleet's ([`reopen`]).
pub(crate) fn close_for_export(db: &Db<'_>, place: &str) -> Result<(), StoreError> {
    close(db, place)?;
    let Some(connection) = db.as_sqlite() else {
        return Ok(());
    };
    connection.execute_batch("CREATE TABLE reopening (schema INTEGER NOT NULL) STRICT")?;
    connection.execute("INSERT INTO reopening VALUES (?1)", [newest_schema()])?;
    Ok(())
}

/// Opens a store that [`close_for_export`] has closed. Says whether it was one.
pub(crate) fn reopen(db: &Db<'_>) -> Result<bool, StoreError> {
    let Some(connection) = db.as_sqlite() else {
        return Ok(false);
    };
    if pragmas::schema_number(connection)? != MOVED || !has_table(connection, "reopening")? {
        return Ok(false);
    }
    let schema = connection.query_one("SELECT schema FROM reopening", [], |row| row.get(0))?;
    connection.execute_batch(
        "DROP TABLE reopening; DROP TABLE moved; ALTER TABLE moved_user RENAME TO user;",
    )?;
    bring_up_to_date(connection, schema, newest_schema()).map(|()| true)
}

/// The accounts in a store that [`close_for_export`] has closed; `None`: this is none.
pub(crate) fn accounts_of_closed(db: &Db<'_>) -> Result<Option<Vec<Account>>, StoreError> {
    let Some(connection) = db.as_sqlite() else {
        return Ok(None);
    };
    if pragmas::schema_number(connection)? != MOVED || !has_table(connection, "reopening")? {
        return Ok(None);
    }
    let sql = "SELECT name, uid FROM moved_user ORDER BY id";
    let accounts = db.query_all(sql, values![], |row| {
        Ok(Account {
            name: row.get("name")?,
            uid: row.get("uid")?,
        })
    });
    accounts.map(Some)
}

fn has_table(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
    Ok(connection.query_one(sql, [name], |row| row.get(0))?)
}

/// Runs the migrations after number `from`, and has the header say `schema`.
pub(super) fn bring_up_to_date(
    connection: &Connection,
    from: i64,
    schema: i64,
) -> Result<(), StoreError> {
    for migration in migrations_after(from)? {
        connection.execute_batch(migration)?;
    }
    let header = Header {
        application: APPLICATION_ID,
        schema,
    };
    pragmas::set_header(connection, header)
}

fn migrations_after(found: i64) -> Result<&'static [&'static str], StoreError> {
    let known = newest_schema();
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    usize::try_from(found)
        .ok()
        .and_then(|found| MIGRATIONS.get(found..))
        .ok_or_else(|| StoreError::Damaged("its schema has no number we ever gave".to_owned()))
}

/// Why a database with the schema `found` cannot be used.
fn too_new(transaction: &Transaction<'_>, found: i64, known: i64) -> StoreError {
    if found == EXPORTED {
        return StoreError::Exported;
    }
    if found != MOVED {
        return StoreError::Newer { found, known };
    }
    let address = transaction.query_one("SELECT address FROM moved", [], |row| row.get(0));
    address.map_or_else(StoreError::from, StoreError::Moved)
}

pub(super) fn newest_schema() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The migrations that have not run, if this is a database of ours.
fn outstanding(
    transaction: &Transaction<'_>,
    schema: Schema,
) -> Result<&'static [&'static str], StoreError> {
    let Header {
        application,
        schema: found,
    } = pragmas::header(transaction)?;
    let tables: i64 =
        transaction.query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, found, tables, schema) {
        (APPLICATION_ID, 1.., 1.., Schema::Existing) | (0, 0, 0, Schema::New) => {}
        (0, 0, 0, Schema::Existing) => {
            return Err(StoreError::Damaged("it was emptied".to_owned()));
        }
        _ => {
            return Err(StoreError::Damaged(
                "it is a database of another program".to_owned(),
            ));
        }
    }
    if found == MOVED {
        let sql = "SELECT address FROM moved";
        return Err(StoreError::Moved(transaction.query_one(
            sql,
            [],
            |row| row.get(0),
        )?));
    }
    if found == EXPORTED {
        return Err(StoreError::Exported);
    }
    migrations_after(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use crate::{Store, StoreError};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use twofa_core::Channel;

    #[test]
    fn a_database_of_another_program_is_refused() {
        let bench = Bench::on_file();
        drop(bench.create());
        fs::remove_file(&bench.location.database).unwrap();
        let other = Connection::open(&bench.location.database).unwrap();
        other.execute_batch("CREATE TABLE theirs (x)").unwrap();
        drop(other);
        fs::set_permissions(&bench.location.database, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(
            Store::open(bench.location.clone()),
            Err(StoreError::Damaged(_))
        ));
    }

    #[test]
    fn a_database_of_the_first_schema_is_brought_up_to_date_and_keeps_its_people() {
        let bench = Bench::on_file();
        drop(bench.create());
        fs::remove_file(&bench.location.database).unwrap();
        let old = Connection::open(&bench.location.database).unwrap();
        old.execute_batch(MIGRATIONS[0]).unwrap();
        old.execute_batch("INSERT INTO user (name, uid, required) VALUES ('alice', 1000, 1)")
            .unwrap();
        old.pragma_update(None, "application_id", APPLICATION_ID)
            .unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        drop(old);
        fs::set_permissions(&bench.location.database, fs::Permissions::from_mode(0o600)).unwrap();

        for _ in 0..2 {
            let store = Store::open(bench.location.clone()).unwrap();
            let alice = crate::testing::alice();
            assert!(store.snapshot(&alice).unwrap().user.required);
        }
    }

    #[test]
    fn a_database_of_the_second_schema_is_brought_up_to_date_and_keeps_what_is_in_it() {
        let bench = Bench::on_file();
        drop(bench.create());
        fs::remove_file(&bench.location.database).unwrap();
        let old = Connection::open(&bench.location.database).unwrap();
        old.execute_batch(MIGRATIONS[0]).unwrap();
        old.execute_batch(MIGRATIONS[1]).unwrap();
        old.execute_batch(
            "INSERT INTO user (name, uid, verify, email, email_verified, phone, counted, forgiven, generation)
             VALUES ('alice', 1000, 'always', 'alice@example.org', 1, '+4930123456', 7, 5, 3);
             INSERT INTO backup_set VALUES (1, zeroblob(16), 8, 1);
             INSERT INTO backup_code VALUES (1, zeroblob(32));
             INSERT INTO setting VALUES ('mode', 'mandatory');
             INSERT INTO class VALUES ('admins', 0, 'sudo');
             INSERT INTO event (at, kind, name, uid, actor) VALUES (1, 'app-enrolled', 'alice', 1000, 0);
             INSERT INTO exemption (unix_group, reason, granted_by, granted_at) VALUES ('robots', 'backups', 0, 1);",
        )
        .unwrap();
        old.pragma_update(None, "application_id", APPLICATION_ID)
            .unwrap();
        old.pragma_update(None, "user_version", 2).unwrap();
        drop(old);
        fs::set_permissions(&bench.location.database, fs::Permissions::from_mode(0o600)).unwrap();

        for _ in 0..2 {
            holds_what_the_second_schema_had(&Store::open(bench.location.clone()).unwrap());
        }
    }

    fn holds_what_the_second_schema_had(store: &Store) {
        let snapshot = store.snapshot(&crate::testing::alice()).unwrap();
        let user = snapshot.user;
        let (email, phone) = (
            user.contacts[Channel::Email].clone().unwrap(),
            user.contacts[Channel::Sms].clone().unwrap(),
        );
        assert_eq!(
            (email.address.as_str(), email.verified),
            ("alice@example.org", true)
        );
        assert_eq!(
            (phone.address.as_str(), phone.verified),
            ("+4930123456", false)
        );
        assert_eq!(
            (user.preferred, user.verify.to_string().as_str()),
            (None, "always")
        );
        assert_eq!(
            (user.throttle.failures(), user.backup.unwrap().unused.len()),
            (2, 1)
        );
        let rules = snapshot.rules;
        assert_eq!(
            (
                rules.rulebook.machine().mode.name(),
                rules.rulebook.classes().len()
            ),
            ("mandatory", 1)
        );
        assert_eq!(rules.exemptions.len(), 1);
        let mut events = 0;
        store
            .events(&crate::EventFilter::default(), |_| {
                events += 1;
                true
            })
            .unwrap();
        assert_eq!(events, 1);
        assert_eq!(store.providers().unwrap(), crate::Providers::default());
        assert_eq!(store.next_notice_due().unwrap(), None);
    }

    #[test]
    fn a_database_of_the_third_schema_falls_back_to_mail_where_methods_allows_it() {
        let bench = Bench::on_file();
        drop(bench.create());
        fs::remove_file(&bench.location.database).unwrap();
        let old = Connection::open(&bench.location.database).unwrap();
        MIGRATIONS[..3]
            .iter()
            .for_each(|migration| old.execute_batch(migration).unwrap());
        old.execute_batch(
            "INSERT INTO setting VALUES ('methods', 'app,sms'), ('fallback.sms-to-email', 'on');
             INSERT INTO class VALUES ('admins', 0, 'sudo');
             INSERT INTO class_setting VALUES ('admins', 'fallback.sms-to-email', 'on');",
        )
        .unwrap();
        old.pragma_update(None, "application_id", APPLICATION_ID)
            .unwrap();
        old.pragma_update(None, "user_version", 3).unwrap();
        drop(old);
        fs::set_permissions(&bench.location.database, fs::Permissions::from_mode(0o600)).unwrap();

        let rulebook = Store::open(bench.location.clone())
            .unwrap()
            .rulebook()
            .unwrap();
        assert!(!rulebook.machine().sms_falls_back_to_email());
        let class = rulebook.classes()[0].policy(rulebook.machine()).unwrap();
        assert!(
            class.sms_falls_back_to_email(),
            "what a class has of its own was somebody's word"
        );
    }

    #[test]
    fn events_from_before_the_journal_are_counted_and_not_hashed() {
        brings_up_to_date_in_time(10_000);
    }

    #[test]
    #[ignore = "only a release build says anything"]
    fn a_million_events_from_before_the_journal_keep_nobody_waiting() {
        brings_up_to_date_in_time(1_000_000);
    }

    fn brings_up_to_date_in_time(events: i64) {
        let bench = Bench::on_file();
        drop(bench.create());
        fs::remove_file(&bench.location.database).unwrap();
        let old = Connection::open(&bench.location.database).unwrap();
        MIGRATIONS[..11]
            .iter()
            .for_each(|migration| old.execute_batch(migration).unwrap());
        old.execute(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
             INSERT INTO event (at, kind, name, uid, actor, remote_host)
             SELECT 1800000000 + n, 'passed', 'user' || (n % 1000), 1000 + n % 1000, 0, '192.0.2.7' FROM number",
            [events],
        )
        .unwrap();
        old.pragma_update(None, "application_id", APPLICATION_ID)
            .unwrap();
        old.pragma_update(None, "user_version", 11).unwrap();
        drop(old);
        fs::set_permissions(&bench.location.database, fs::Permissions::from_mode(0o600)).unwrap();

        let begin = std::time::Instant::now();
        let store = Store::open(bench.location.clone()).unwrap();
        let took = begin.elapsed();
        assert!(took < std::time::Duration::from_secs(5), "{took:?}");
        let user = crate::testing::alice();
        let required = store.set_required(&user, true, &crate::testing::origin(), bench.now);
        assert!(required.unwrap());
        store.write_last_checkpoint(bench.now).unwrap().unwrap();
        let verification = store
            .verify_log(&crate::journal::SystemLog::default(), None)
            .unwrap();
        assert_eq!(
            (
                verification.findings,
                verification.older,
                verification.proved
            ),
            (vec![], events.unsigned_abs(), 1)
        );
        Bench::execute(&store, "DELETE FROM event WHERE id = 5000");
        let found = store
            .verify_log(&crate::journal::SystemLog::default(), None)
            .unwrap()
            .findings;
        let missing = crate::journal::Finding::OlderCount {
            expected: events,
            found: events - 1,
        };
        assert_eq!(found, [missing]);
    }

    #[test]
    fn a_database_from_a_newer_version_is_refused_and_left_alone() {
        let bench = Bench::on_file();
        let store = bench.create();
        Bench::execute(&store, "PRAGMA user_version = 99");
        drop(store);
        let error = Store::open(bench.location.clone()).unwrap_err();
        assert!(
            matches!(error, StoreError::Newer { found: 99, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("newer twofa"));
    }

    #[test]
    fn a_store_that_a_newer_version_brings_up_to_date_is_neither_read_nor_written_by_those_who_have_it_open()
     {
        let bench = Bench::on_file();
        let store = bench.create();
        store.rulebook().unwrap();
        let newer = Connection::open(&bench.location.database).unwrap();
        newer.execute_batch("PRAGMA user_version = 99").unwrap();
        assert!(matches!(
            store.rulebook(),
            Err(StoreError::Newer { found: 99, .. })
        ));
        assert!(matches!(
            store.write(|_| Ok(())),
            Err(StoreError::Newer { found: 99, .. })
        ));
    }
}
