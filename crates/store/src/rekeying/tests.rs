use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use twofa_core::{Account, Channel, Parameters};

use super::*;
use crate::journal::SystemLog;
use crate::testing::{Bench, alice, app, origin};
use crate::{NewServer, ProviderRecord, Value};

/// Tells the process that is to die where the store is.
const FOLDER: &str = "TWOFA_TEST_STORE_OF_A_PROCESS_THAT_DIES";

fn person(number: u32) -> Account {
    Account {
        name: format!("person{number}"),
        uid: 10_000 + number,
    }
}

/// A store in which so many people have an app.
fn with_people(bench: &Bench, many: u32) -> Store {
    let store = bench.create();
    for number in 0..many {
        bench.enrol(&store, &person(number), "phone");
    }
    store
}

/// The hashes in a store whose rules are those by default: that of the policy, on a server.
fn hashes(store: &Store) -> u64 {
    store.is_on_server().into()
}

/// Their keys.
fn keys(store: &Store, many: u32) -> Vec<Vec<u8>> {
    let key = |number| {
        let snapshot = store.snapshot(&person(number)).unwrap();
        snapshot.user.apps[0].app.key.expose().to_vec()
    };
    (0..many).map(key).collect()
}

fn start(bench: &Bench) -> u32 {
    Store::add_sealing_key(&bench.location, bench.owner).unwrap()
}

fn finish(bench: &Bench) -> bool {
    Store::drop_sealing_keys(&bench.location, bench.owner).unwrap()
}

fn open(bench: &Bench) -> Store {
    Store::open(bench.location.clone()).unwrap()
}

#[test]
fn a_new_key_takes_the_place_of_the_old_one_and_everything_opens_as_before() {
    let bench = Bench::new();
    let store = with_people(&bench, 3);
    let generation = Bench::generation(&store, &alice());
    let pending = app("phone").app;
    store
        .keep_pending_app(&alice(), generation, &pending, &origin(), bench.now)
        .unwrap();
    let settings = BTreeMap::from([(
        "password".to_owned(),
        Value::Secret("hunter2".to_owned().into()),
    )]);
    let provider = ProviderRecord {
        name: "mail".into(),
        kind: "smtp".into(),
        title: None,
        settings,
    };
    store
        .add_provider(&provider, Channel::Email, &origin(), bench.now)
        .unwrap();
    let verification = store.make_log_key(false, &origin(), bench.now).unwrap();
    let before = keys(&store, 3);

    assert_eq!((start(&bench), start(&bench)), (2, 2), "one at a time");
    let found = store.rekeying().unwrap();
    let all = 5 + hashes(&store);
    assert_eq!(
        (found.keys.as_slice(), found.sealing, found.left()),
        ([1, 2].as_slice(), 1, all)
    );
    // The store that was opened before the key came reads it when it meets it.
    assert_eq!(store.seal_again(&origin(), bench.now).unwrap(), all);
    assert_eq!(store.seal_again(&origin(), bench.now).unwrap(), 0);
    let found = store.rekeying().unwrap();
    let counted = SealedCount {
        key: 2,
        values: all,
    };
    assert_eq!(found.counts, [counted]);
    bench.enrol(&store, &person(3), "phone");
    let found = store.rekeying().unwrap();
    assert_eq!((found.sealing, found.left()), (2, 0));

    assert!(finish(&bench));
    assert!(!finish(&bench));
    drop(store);
    let store = open(&bench);
    assert_eq!(keys(&store, 3), before);
    let shown = store.pending_app(&alice(), Parameters::default(), &origin(), bench.now);
    let shown = shown.unwrap().map(|app| app.key.expose().to_vec());
    assert_eq!(shown.as_deref(), Some(pending.key.expose()));
    assert_eq!(store.providers().unwrap().all, [provider]);
    // The log is proved as before, and its seals go on.
    store.write_checkpoint(bench.now).unwrap();
    let verified = store
        .verify_log(&SystemLog::default(), Some(&verification))
        .unwrap();
    assert_eq!(verified.findings, []);
    let event = Event::SealedAgain {
        number: 2,
        values: all,
    };
    assert!(Bench::log(&store).contains(&event));
}

#[test]
fn what_the_first_key_has_sealed_is_as_a_program_that_knows_of_no_numbers_writes_it() {
    let bench = Bench::on_file();
    let store = with_people(&bench, 1);
    let sealed = store.read(|view| sealing::apps(view.db, 0, 10)).unwrap();
    // Nonce, key, tag, and nothing before them.
    let length = keys(&store, 1)[0].len();
    assert_eq!(sealed[0].sealed.len(), 24 + length + 16);
    assert_eq!(std::fs::read(&bench.location.key).unwrap().len(), 32);
}

#[test]
fn people_enrol_while_everything_is_sealed_again_and_none_is_sealed_with_the_old_key() {
    let bench = Bench::new();
    let store = with_people(&bench, 250);
    start(&bench);
    thread::scope(|scope| {
        for first in [1000, 2000, 3000] {
            let bench = &bench;
            scope.spawn(move || {
                let store = open(bench);
                for number in first..first + 40 {
                    bench.enrol(&store, &person(number), "phone");
                }
            });
        }
        assert!(store.seal_again(&origin(), bench.now).unwrap() >= 250);
    });
    let found = store.rekeying().unwrap();
    assert_eq!(
        found.counts,
        [SealedCount {
            key: 2,
            values: 370 + hashes(&store)
        }]
    );
    finish(&bench);
    let store = open(&bench);
    for number in (0..250)
        .chain(1000..1040)
        .chain(2000..2040)
        .chain(3000..3040)
    {
        assert_eq!(store.snapshot(&person(number)).unwrap().user.apps.len(), 1);
    }
}

#[test]
fn after_kill_9_in_the_middle_the_rest_is_sealed_when_it_is_started_again() {
    let bench = Bench::new();
    let store = with_people(&bench, 350);
    let before = keys(&store, 350);
    start(&bench);
    let folder = bench.location.key.parent().unwrap().parent().unwrap();
    let died = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "rekeying::tests::a_process_that_dies",
            "--ignored",
        ])
        .env(FOLDER, folder)
        .status()
        .unwrap();
    assert!(!died.success());
    let counts = store.rekeying().unwrap().counts;
    let count = |key, values| SealedCount { key, values };
    assert_eq!(counts, [count(1, 150 + hashes(&store)), count(2, 200)]);
    assert_eq!(keys(&store, 350), before);

    let left = 150 + hashes(&store);
    assert_eq!(store.seal_again(&origin(), bench.now).unwrap(), left);
    finish(&bench);
    assert_eq!(keys(&open(&bench), 350), before);
}

/// The process that [`after_kill_9_in_the_middle_the_rest_is_sealed_when_it_is_started_again`] starts: it ends within the third batch.
#[test]
#[ignore = "started by another test, see its name there"]
fn a_process_that_dies() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let location = Location {
        database: folder.join("state/twofa.db"),
        key: folder.join("etc/secret.key"),
        server: folder.join("etc/database"),
        ..Location::default()
    };
    let store = Store::open(location).unwrap();
    store
        .write(|view| sealing::set_in_force(view.db, 2))
        .unwrap();
    let mut from = Cursor::Apps(0);
    for _ in 0..2 {
        let (next, many) = store.write(|view| seal_batch(view, from, 2)).unwrap();
        assert_eq!(many, 100);
        from = next.unwrap();
    }
    let _: Result<(), _> = store.write(|view| {
        seal_batch(view, from, 2)?;
        let pid = nix::unistd::getpid();
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        Ok(())
    });
}

#[test]
fn a_server_that_does_not_have_the_new_key_is_named() {
    let bench = Bench::new();
    let store = bench.create();
    let new = |id: &str, name: &str| NewServer {
        id: id.into(),
        name: name.into(),
        addresses: vec![name.into()],
    };
    store
        .record_first_server(&new("00", "srv1"), &origin(), bench.now)
        .unwrap();
    store.note_server_seen("00", bench.now).unwrap();
    start(&bench);
    assert_eq!(store.rekeying().unwrap().without_newest, ["srv1"]);
    store.note_server_seen("00", bench.now).unwrap();
    let found = store.rekeying().unwrap();
    assert_eq!(
        (found.without_newest.len(), found.with_older),
        (0, vec!["srv1".to_owned()])
    );
    store.seal_again(&origin(), bench.now).unwrap();
    finish(&bench);
    store.note_server_seen("00", bench.now).unwrap();
    assert_eq!(store.rekeying().unwrap().with_older.len(), 0);
}
