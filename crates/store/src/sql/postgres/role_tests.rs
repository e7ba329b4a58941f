//! The role that servers log in as: packaging/postgresql/roles.sql.

use std::fs;

use super::session::Session;
use super::tests::{Remote, types};
use crate::Store;
use crate::journal::SystemLog;
use crate::testing::{alice, origin};

/// What it has no right to.
const DENIED: &[&str] = &[
    "DELETE FROM event",
    "UPDATE event SET kind = 'passed'",
    "TRUNCATE event",
    "DELETE FROM new_event",
    "UPDATE new_event SET kind = 'passed'",
    "DELETE FROM checkpoint",
    "UPDATE checkpoint SET root = ''",
    "DELETE FROM journal",
    "UPDATE journal SET id = 'other'",
    "UPDATE twofa_schema SET state = 'moved'",
    "ALTER TABLE event DISABLE TRIGGER ALL",
    "CREATE TABLE other (id bigint)",
    "SET ROLE twofa_owner",
    "SET session_replication_role = replica",
];

/// What functions of the owner do not do, as the rules of the log do not want it: each divides by the number of rows.
const KEPT: &[&str] = &[
    "SELECT 1 / twofa_drop_event((SELECT max(id) FROM event), 1)",
    "SELECT 1 / twofa_drop_event((SELECT min(id) FROM event), (SELECT max(id) FROM event))",
    "SELECT 1 / twofa_delete_checkpoints((SELECT max(number) FROM checkpoint))",
    "SELECT 1 / twofa_delete_pruned(1000)",
    "SELECT 1 / twofa_delete_entered((SELECT json_agg(json_build_object('written', id)) FROM new_event))",
];

#[test]
fn the_role_of_servers_does_all_that_a_server_does_and_can_change_no_table_and_no_event() {
    let remote = Remote::new();
    let database = remote.bench.database.as_ref().unwrap();
    remote
        .admin
        .batch(include_str!(
            "../../../../../packaging/postgresql/roles.sql"
        ))
        .unwrap();
    let address = database.address().replace("postgres@", "twofa@");
    fs::write(&remote.bench.location.server, &address).unwrap();
    let store = Store::open(remote.bench.location.clone()).unwrap();
    let (now, origin) = (remote.bench.now, origin());
    remote.bench.enrol(&store, &alice(), "phone");
    assert!(types(&store, now, &alice(), 1));
    assert!(!types(&store, now, &alice(), 1), "a code works once");
    store
        .change_policy([("log.keep", "1d")], &origin, now)
        .unwrap();
    // More than are kept of one person are summed up, and what is older than a day is removed.
    let refused = format!(
        "INSERT INTO new_event (at, kind, fields, name, uid, actor, source)
         SELECT {} + n, 'refused', '{{\"reason\":\"wrong-code\"}}', 'alice', 1000, 0, 'login' FROM generate_series(1, 5500) AS n",
        now.unix()
    );
    remote.admin.batch(&refused).unwrap();
    while store
        .write_last_checkpoint(now.after(6_000))
        .unwrap()
        .is_some()
    {}
    let later = now.after(3 * 86_400);
    store.set_required(&alice(), true, &origin, later).unwrap();
    while store.write_last_checkpoint(later).unwrap().is_some() {}
    assert!(store.prune_log(&origin, later).unwrap() > 0);
    let verified = store.verify_log(&SystemLog::default(), None).unwrap();
    assert_eq!(verified.findings, []);
    assert_eq!(store.unentered_events().unwrap(), 0);

    store.set_required(&alice(), false, &origin, later).unwrap();
    store.give_mark(now).unwrap();
    let session = Session::connect(&address.parse().unwrap()).unwrap();
    for sql in DENIED {
        let refused = session.batch(sql).unwrap_err().to_string();
        assert!(refused.contains("42501"), "{sql}: {refused}");
    }
    // Nor do the functions of the owner remove what the rules of the log keep.
    for sql in KEPT {
        let divided = session.batch(sql).unwrap_err().to_string();
        assert!(divided.contains("22012"), "{sql}: {divided}");
    }
}
