use super::*;
use crate::testing::{Bench, alice, bob, joined_fleet, origin};

fn host() -> (Bench, Store) {
    let bench = Bench::on_file();
    let store = bench.create();
    bench.enrol(&store, &alice(), "phone");
    bench.enrol(&store, &bob(), "phone");
    (bench, store)
}

fn directory(bench: &Bench) -> std::path::PathBuf {
    let folder = bench.location.key.parent().unwrap().parent().unwrap();
    folder.join("export")
}

#[test]
fn an_exported_store_is_closed_and_its_export_is_opened_by_nothing_but_a_merge() {
    let (bench, store) = host();
    let directory = directory(&bench);
    let moved = Store::export(&bench.location, &directory, "web1").unwrap();
    let users = moved.iter().find(|moved| moved.table == "user").unwrap();
    assert_eq!(users.rows, 2);

    store.snapshot(&alice()).unwrap_err();
    store
        .set_required(&alice(), true, &origin(), bench.now)
        .unwrap_err();
    drop(store);
    let closed = Store::open(bench.location.clone());
    assert!(matches!(closed, Err(StoreError::Moved(_))), "{closed:?}");
    let export = Store::open(place(&directory));
    assert!(matches!(export, Err(StoreError::Exported)), "{export:?}");
    ExportFile::open(&place(&directory)).unwrap();
    // One file and the key are all that has to be copied.
    let mut files: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    files.sort();
    assert_eq!(files, ["secret.key", "twofa.db"]);
}

#[test]
fn an_export_that_was_interrupted_is_finished_by_the_same_command_wherever_it_was() {
    let (bench, store) = host();
    drop(store);
    let directory = directory(&bench);
    let export = |directory: &Path| Store::export(&bench.location, directory, "web1");
    let draft = directory.join("twofa.db.part");

    // Before the store was closed: what there is of the export is of no use, and made again.
    fs::create_dir(&directory).unwrap();
    fs::write(&draft, "begun").unwrap();
    assert!(matches!(
        ExportFile::open(&place(&directory)),
        Err(StoreError::Missing(_))
    ));
    assert_eq!(export(&directory).unwrap()[4].rows, 2);

    // After it.
    fs::rename(directory.join("twofa.db"), &draft).unwrap();
    assert_eq!(export(&directory).unwrap()[4].rows, 2);
    assert_eq!(export(&directory).unwrap()[4].rows, 2);

    let elsewhere = export(&directory.with_extension("other"));
    assert!(
        matches!(elsewhere, Err(StoreError::Moved(_))),
        "{elsewhere:?}"
    );
}

#[test]
fn a_copy_of_a_store_in_use_is_no_export() {
    let (bench, store) = host();
    drop(store);
    let copy = ExportFile::open(&bench.location);
    assert!(matches!(copy, Err(StoreError::NotExported(_))), "{copy:?}");
}

#[test]
fn a_host_that_has_joined_is_not_exported() {
    let (bench, store) = host();
    let (joined, policy) = joined_fleet(bench.now);
    store
        .join_fleet(&joined, &policy, &origin(), bench.now)
        .unwrap();
    let exported = Store::export(&bench.location, &directory(&bench), "web1");
    assert!(
        matches!(exported, Err(StoreError::Joined(_))),
        "{exported:?}"
    );
    store.snapshot(&alice()).unwrap();
}

#[test]
fn a_host_that_joins_after_an_export_has_its_own_accounts_again_and_none_of_the_fleet_s() {
    let (bench, store) = host();
    drop(store);
    Store::export(&bench.location, &directory(&bench), "web1").unwrap();
    let (joined, policy) = joined_fleet(bench.now);
    let join = |location: Location| {
        let is_shared = |account: &Account| *account == alice();
        Store::open_to_join(location, &joined, &policy, is_shared, &origin(), bench.now)
    };
    let store = join(bench.location.clone()).unwrap();
    assert!(!store.knows(&alice()).unwrap());
    assert_eq!(store.snapshot(&bob()).unwrap().user.apps.len(), 1);
    assert_eq!(
        store.rules_in_force().unwrap().fleet.as_ref().unwrap().name,
        joined.name
    );
    assert!(Bench::log(&store).contains(&Event::UserRemoved));
    let log = store.verify_log(&crate::journal::SystemLog::default(), None);
    assert_eq!(log.unwrap().findings, []);
    drop(store);
    // One that is open is opened as it is.
    assert!(
        !join(bench.location.clone())
            .unwrap()
            .knows(&alice())
            .unwrap()
    );
}
