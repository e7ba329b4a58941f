use twofa_core::exemption::{Exemption, Subject};
use twofa_core::{Group, Policy, Rulebook};

use super::*;
use crate::sql::postgres::pool::Pool;
use crate::sql::postgres::schema;
use crate::testing::{Bench, alice, origin};
use crate::{HostJoin, HostRights, KeyJoin, KeyJoinOutcome, NewHost, NewJoinKey};

const KEY: [u8; 32] = [2; 32];
const DAY: u64 = 86_400;

/// A store with policy, class, exemption, host and join key, on a server; `None`: this run has files, whose rows have no hashes.
fn fleet(bench: &Bench) -> Option<Store> {
    bench.database.as_ref()?;
    let store = bench.create();
    let (own, now) = (origin(), bench.now);
    let machine = Policy::from_settings([("mode", "mandatory"), ("trust.remote", "1d")]).unwrap();
    let class = Class {
        name: "staff".into(),
        group: Group {
            name: "staff".into(),
            gid: None,
        },
        settings: vec![("mode".into(), "optional".into())],
    };
    let rulebook = Rulebook::new(machine, vec![class]).unwrap();
    let before = Rulebook::default();
    store
        .replace_rulebook(Some(&before), &rulebook, &own, now)
        .unwrap();
    let exemption = Exemption {
        subject: Subject::User(alice()),
        network: None,
        service: Some("sshd".into()),
        reason: "backups".into(),
        granted_by: 0,
        granted_at: now,
        until: Some(now.after(DAY)),
    };
    store.grant(&exemption, &own, now).unwrap();
    let new = NewHost {
        id: "h1".into(),
        name: "web1".into(),
        rights: HostRights {
            services: vec!["sshd".into()],
            ..HostRights::default()
        },
        token: [1; 32],
    };
    store.add_host(&new, &own, now).unwrap();
    let join = HostJoin {
        token: [1; 32],
        key: KEY,
        key_until: now.after(DAY),
    };
    assert!(store.join_host(join, &own, now).unwrap());
    let key = NewJoinKey {
        name: "web".into(),
        names: "web-*".parse().unwrap(),
        rights: HostRights::default(),
        uses: 5,
        hourly: 5,
        host_lives: None,
        until: now.after(DAY),
        digest: [7; 32],
    };
    store.add_join_key(&key, &own, now).unwrap();
    assert_eq!(store.altered_rows().unwrap(), []);
    Some(store)
}

fn names(rows: &[AlteredRow]) -> Vec<(&'static str, &str)> {
    rows.iter()
        .map(|found| (found.table, found.row.as_str()))
        .collect()
}

fn join(bench: &Bench, store: &Store, digest: [u8; 32]) -> Result<KeyJoinOutcome, StoreError> {
    let join = KeyJoin {
        digest,
        id: "h2",
        name: "web-2",
        key: [5; 32],
        key_until: bench.now.after(DAY),
    };
    store.join_with_key(&join, &origin(), bench.now)
}

/// What a superuser does, and the row that is named then.
const ALTERED_POLICIES: [(&str, &str, &str); 8] = [
    (
        "UPDATE setting SET value = 'disabled' WHERE key = 'mode'",
        "setting",
        "mode",
    ),
    (
        "DELETE FROM setting WHERE key = 'mode';
         INSERT INTO setting (key, value, seal) SELECT 'mode', value, seal FROM setting WHERE key = 'services'",
        "setting",
        "mode",
    ),
    (
        "INSERT INTO setting (key, value, seal) VALUES ('trust.never', '1d', '')",
        "setting",
        "trust.never",
    ),
    (
        "UPDATE class SET unix_group = 'users'",
        "class",
        "staff",
    ),
    (
        "UPDATE class_setting SET value = 'disabled'",
        "class",
        "staff",
    ),
    (
        "INSERT INTO class_setting (class, key, value) VALUES ('staff', 'trust.remote', '30d')",
        "class",
        "staff",
    ),
    (
        "INSERT INTO class (name, position, unix_group, seal) SELECT 'all', 7, unix_group, seal FROM class",
        "class",
        "all",
    ),
    (
        "UPDATE setting SET seal = '\\x00000001'",
        "setting",
        "",
    ),
];

#[test]
fn settings_and_classes_that_another_program_wrote_put_no_policy_in_force_and_are_named() {
    for (sql, table, row) in ALTERED_POLICIES {
        let bench = Bench::new();
        let Some(store) = fleet(&bench) else { return };
        Bench::execute(&store, sql);
        // A server that has read the rules before goes on with those.
        let fresh = Store::open(bench.location.clone()).unwrap();
        let refused = fresh.rules_in_force().unwrap_err();
        let StoreError::Altered(found) = &refused else {
            panic!("{sql}: {refused}");
        };
        assert_eq!(found.table, table, "{sql}");
        let said = format!("{refused} {:?}", refused.hint());
        assert!(
            said.contains(row) && said.contains("twofa policy"),
            "{said}"
        );
        let found = store.altered_rows().unwrap();
        assert!(
            names(&found)
                .iter()
                .any(|(in_table, name)| *in_table == table && name.contains(row)),
            "{sql}: {found:?}"
        );
        // Nobody hides it by a change of something else.
        let other = fresh.change_policy([("lockout.after", "9")], &origin(), bench.now);
        assert!(matches!(other, Err(StoreError::Altered(_))), "{sql}");
    }
}

#[test]
fn a_setting_or_class_that_is_gone_or_put_back_alone_is_noticed() {
    for sql in [
        "DELETE FROM setting WHERE key = 'mode'",
        "DELETE FROM setting",
        "DELETE FROM class",
        "UPDATE policy_version SET version = version + 1",
        "DELETE FROM setting; DELETE FROM class; UPDATE policy_version SET seal = ''",
    ] {
        let bench = Bench::new();
        let Some(store) = fleet(&bench) else { return };
        Bench::execute(&store, sql);
        let fresh = Store::open(bench.location.clone()).unwrap();
        let refused = fresh.rulebook();
        assert!(
            matches!(&refused, Err(StoreError::Altered(found)) if found.table == "policy_version"),
            "{sql}: {refused:?}"
        );
        assert_eq!(names(&store.altered_rows().unwrap())[0].0, "policy_version");
        // The whole policy sets it right.
        fresh
            .replace_rulebook(None, &Rulebook::default(), &origin(), bench.now)
            .unwrap();
        assert_eq!(store.altered_rows().unwrap(), []);
        assert_eq!(fresh.rulebook().unwrap(), Rulebook::default());
    }
}

#[test]
fn the_setting_that_was_changed_is_set_right_by_setting_it() {
    let bench = Bench::new();
    let Some(store) = fleet(&bench) else { return };
    Bench::execute(
        &store,
        "UPDATE setting SET value = 'disabled' WHERE key = 'mode'",
    );
    store
        .change_policy([("mode", "mandatory")], &origin(), bench.now)
        .unwrap();
    assert_eq!(store.altered_rows().unwrap(), []);
    assert_eq!(store.rulebook().unwrap().machine().mode.name(), "mandatory");
}

#[test]
fn an_exemption_that_another_program_wrote_spares_nobody() {
    let columns = "uid, network, service, reason, granted_by, granted_at, until, seal";
    for (sql, left) in [
        ("UPDATE exemption SET until = NULL".to_owned(), 0),
        ("UPDATE exemption SET service = NULL".to_owned(), 0),
        (
            format!("INSERT INTO exemption (name, {columns}) SELECT 'bob', {columns} FROM exemption"),
            1,
        ),
        (
            format!("INSERT INTO exemption (name, {columns}) SELECT name, {columns} FROM exemption"),
            1,
        ),
        (
            "INSERT INTO exemption (unix_group, reason, granted_by, granted_at, seal) VALUES ('users', 'x', 0, 0, '')".to_owned(),
            1,
        ),
    ] {
        let bench = Bench::new();
        let Some(store) = fleet(&bench) else { return };
        Bench::execute(&store, &sql);
        let fresh = Store::open(bench.location.clone()).unwrap();
        assert_eq!(fresh.rules_in_force().unwrap().exemptions.len(), left, "{sql}");
        let found = fresh.altered_rows().unwrap();
        let [AlteredRow { table: "exemption", row }] = found.as_slice() else {
            panic!("{sql}: {found:?}");
        };
        let id = row.parse().unwrap();
        assert!(fresh.revoke_exemption(id, &origin(), bench.now).unwrap().is_some());
        assert_eq!(fresh.altered_rows().unwrap(), []);
    }
}

#[test]
fn a_host_that_another_program_wrote_is_refused_and_cannot_be_renewed_but_removed() {
    let a_copy = "INSERT INTO host (id, name, services, may_enrol, added_at, key, key_until, joined_at, seal)
                  SELECT 'h9', 'db1', services, may_enrol, added_at, decode(repeat('09', 32), 'hex'), key_until, joined_at";
    for (sql, key, name) in [
        ("UPDATE host SET services = ''".to_owned(), KEY, "web1"),
        ("UPDATE host SET may_enrol = 1".to_owned(), KEY, "web1"),
        (
            "UPDATE host SET key_until = key_until + 1".to_owned(),
            KEY,
            "web1",
        ),
        ("UPDATE host SET name = 'db1'".to_owned(), KEY, "db1"),
        (format!("{a_copy}, seal FROM host"), [9; 32], "db1"),
        (format!("{a_copy}, '' FROM host"), [9; 32], "db1"),
    ] {
        let bench = Bench::new();
        let Some(store) = fleet(&bench) else { return };
        Bench::execute(&store, &sql);
        let refused = store.host_by_key(&key, bench.now);
        assert!(
            matches!(&refused, Err(StoreError::Altered(found)) if found.table == "host" && found.row == name),
            "{sql}: {refused:?}"
        );
        let login = store.read_for_login(&key, &alice(), None, bench.now);
        assert!(matches!(login, Err(StoreError::Altered(_))), "{sql}");
        let again = store.readmit_host(name, &[8; 32], &origin(), bench.now);
        assert!(matches!(again, Err(StoreError::Altered(_))), "{sql}");
        assert_eq!(names(&store.altered_rows().unwrap()), [("host", name)]);
        assert!(store.remove_host(name, &origin(), bench.now).unwrap());
        assert_eq!(store.altered_rows().unwrap(), []);
    }
}

#[test]
fn with_a_join_key_that_another_program_wrote_no_host_joins() {
    let columns = "names, services, may_enrol, uses, hourly, added_at, until, seal";
    for (sql, digest, name) in [
        ("UPDATE join_key SET names = '*'".to_owned(), [7; 32], "web"),
        ("UPDATE join_key SET uses = 500".to_owned(), [7; 32], "web"),
        (
            format!(
                "INSERT INTO join_key (name, digest, {columns})
                 SELECT 'own', decode(repeat('08', 32), 'hex'), {columns} FROM join_key"
            ),
            [8; 32],
            "own",
        ),
    ] {
        let bench = Bench::new();
        let Some(store) = fleet(&bench) else { return };
        Bench::execute(&store, &sql);
        let refused = join(&bench, &store, digest);
        assert!(
            matches!(&refused, Err(StoreError::Altered(found)) if found.table == "join_key" && found.row == name),
            "{sql}: {refused:?}"
        );
        assert_eq!(names(&store.altered_rows().unwrap()), [("join_key", name)]);
        assert!(store.remove_join_key(name, &origin(), bench.now).unwrap());
        assert_eq!(store.altered_rows().unwrap(), []);
    }
}

#[test]
fn what_was_noticed_is_logged_once() {
    let bench = Bench::new();
    let Some(store) = fleet(&bench) else { return };
    let alarms = || {
        store.enter_events().unwrap();
        let is_alarm = |event: &Event| matches!(event, Event::RowAltered { .. });
        Bench::log(&store)
            .iter()
            .filter(|event| is_alarm(event))
            .count()
    };
    let note = || store.note_altered_rows(&origin(), bench.now).unwrap().len();
    assert_eq!((note(), alarms()), (0, 0));
    Bench::execute(
        &store,
        "UPDATE setting SET value = 'disabled' WHERE key = 'mode'",
    );
    assert_eq!((note(), note(), alarms()), (1, 0, 1));
    Bench::execute(&store, "UPDATE host SET services = ''");
    assert_eq!((note(), alarms()), (1, 2));
}

#[test]
fn another_sealing_key_hashes_all_rows_again_but_those_that_another_program_wrote() {
    let bench = Bench::new();
    let Some(store) = fleet(&bench) else { return };
    Bench::execute(&store, "UPDATE exemption SET until = NULL");
    assert_eq!(
        Store::add_sealing_key(&bench.location, bench.owner).unwrap(),
        2
    );
    let made = store.seal_again(&origin(), bench.now).unwrap();
    // Of the settings, the class, the version, the host and the join key.
    let settings = u64::try_from(twofa_core::policy::KEYS.len()).unwrap();
    assert_eq!(made, settings + 4);
    assert_eq!(store.rekeying().unwrap().left(), 1, "the exemption");
    assert_eq!(store.seal_again(&origin(), bench.now).unwrap(), 0);
    store.revoke_exemption(1, &origin(), bench.now).unwrap();
    assert_eq!(store.rekeying().unwrap().left(), 0);
    assert!(Store::drop_sealing_keys(&bench.location, bench.owner).unwrap());
    let store = Store::open(bench.location.clone()).unwrap();
    assert_eq!(store.altered_rows().unwrap(), []);
    assert_eq!(store.rulebook().unwrap().machine().mode.name(), "mandatory");
    assert!(store.host_by_key(&KEY, bench.now).is_ok());
    assert_eq!(
        join(&bench, &store, [7; 32]).unwrap(),
        KeyJoinOutcome::Joined
    );
}

#[test]
fn an_upgrade_hashes_what_there_is_and_then_a_server_of_the_release_before_adds_no_row() {
    let bench = Bench::new();
    if bench.database.is_none() {
        return;
    }
    let store = bench.create();
    Bench::execute(&store, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    drop(store);
    let pool = Pool::open(bench.location.read_server().unwrap().unwrap()).unwrap();
    schema::make_old(&pool, 6).unwrap();
    let rows = format!(
        "INSERT INTO setting (key, value) VALUES ('mode', 'mandatory');
         INSERT INTO class (name, position, unix_group) VALUES ('staff', 0, 'staff');
         INSERT INTO exemption (name, uid, reason, granted_by, granted_at) VALUES ('alice', 1000, 'backups', 0, 0);
         INSERT INTO host (id, name, services, may_enrol, added_at, joined_at, key, key_until)
             VALUES ('h1', 'web1', '', 0, 0, 0, decode(repeat('02', 32), 'hex'), {})",
        bench.now.after(DAY).unix()
    );
    pool.transact(true, |db| db.run_migration(&rows)).unwrap();
    let old = Store::open(bench.location.clone());
    assert!(matches!(old, Err(StoreError::Unreachable(_))), "{old:?}");
    Store::upgrade_on_server(&bench.location).unwrap();
    let store = Store::open(bench.location.clone()).unwrap();
    assert_eq!(store.altered_rows().unwrap(), []);
    assert_eq!(store.rules_in_force().unwrap().exemptions.len(), 1);
    assert!(store.host_by_key(&KEY, bench.now).is_ok());
    let is_refused = |sql: &str| {
        let run = store.write_unsynced(|view| view.db.run_migration(sql));
        run.is_err()
    };
    for sql in [
        "INSERT INTO setting (key, value) VALUES ('x', '1')",
        "INSERT INTO host (id, name, services, may_enrol, added_at) VALUES ('x', 'x', '', 0, 0)",
        "UPDATE host SET token = decode(repeat('03', 32), 'hex'), token_until = 9999999999",
        "UPDATE host SET key = decode(repeat('03', 32), 'hex'), renewals = renewals + 1",
    ] {
        assert!(is_refused(sql), "{sql}");
    }
    assert!(!is_refused("UPDATE host SET seen_at = 1, version = '0'"));
    assert_eq!(store.altered_rows().unwrap(), []);
}
