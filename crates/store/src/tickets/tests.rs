use super::*;
use crate::attempts::{CodeAttempt, CodeOutcome, CodeProof, Tally};
use crate::event::RefusalReason;
use crate::testing::{Bench, alice, bob, origin};
use crate::{EventFilter, TrustedDevice};
use twofa_core::device::address::DeviceAddress;
use twofa_core::{DeviceKind, User};

const DAY: Duration = Duration::from_minutes(24 * 60);

fn process(pid: u32) -> LoginProcess {
    LoginProcess {
        boot: "boot".into(),
        own: ProcessId { pid, start: 7 },
        parent: None,
    }
}

fn address(text: &str) -> Device {
    Device::Address(DeviceAddress::read(text, 64).unwrap())
}

fn pass<'a>(process: &'a LoginProcess, device: &'a Device, trust: bool) -> Pass<'a> {
    Pass {
        process,
        device: Some(device),
        trust_for: trust.then_some(DAY),
        password: Some("fingerprint"),
        ssh_auth_info: None,
    }
}

fn enrolled(bench: &Bench) -> Store {
    let store = bench.create();
    bench.enrol(&store, &alice(), "phone");
    store
}

/// Types a right code of `step`.
fn type_code(store: &Store, bench: &Bench, step: u64, settlement: Settlement<'_>) {
    let known = store.snapshot(&alice()).unwrap();
    let attempt = CodeAttempt {
        account: &alice(),
        tally: Tally::Proved,
        origin: &origin(),
        known: &known,
        settlement,
    };
    let verify = |user: &User| {
        Ok::<_, RefusalReason>(CodeProof::App {
            app: user.apps[0].id,
            count: step,
        })
    };
    let outcome = store.try_code(attempt, bench.now, verify).unwrap();
    assert!(matches!(outcome, CodeOutcome::Right(_)));
}

/// Logs in from `device` with a right code and trusts it.
fn trust(store: &Store, bench: &Bench, step: u64, device: &Device) -> Confirmation {
    let process = process(1);
    let pass = pass(&process, device, true);
    type_code(store, bench, step, Settlement::InAccount(pass));
    store
        .confirm(&alice(), &process, None, &origin(), bench.now)
        .unwrap()
}

fn grant(store: &Store, device: &Device) -> Option<Grant> {
    store
        .device_grant(&alice(), device, Some("fingerprint"))
        .unwrap()
}

fn kinds(store: &Store) -> Vec<String> {
    let mut kinds = Vec::new();
    let each = |event: crate::LoggedEvent| {
        kinds.push(event.kind);
        true
    };
    store.events(&EventFilter::default(), each).unwrap();
    kinds
}

fn devices(store: &Store, now: Timestamp) -> Vec<TrustedDevice> {
    let mut devices = Vec::new();
    let each = |device| {
        devices.push(device);
        true
    };
    store.devices(None, now, each).unwrap();
    devices
}

#[test]
fn nothing_follows_from_a_right_code_until_the_account_phase_of_that_process_confirms_it() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let device = address("192.0.2.7");
    let refused = Event::Refused {
        why: RefusalReason::WrongCode,
    };
    store
        .record(Some(&alice()), &refused, &origin(), bench.now)
        .unwrap();
    let process = process(1);
    let settlement = Settlement::InAccount(pass(&process, &device, true));
    type_code(&store, &bench, 100, settlement);
    assert_eq!(kinds(&store), ["app-enrolled", "refused"]);
    assert_eq!(grant(&store, &device), None);
    assert!(store.snapshot(&alice()).unwrap().missed.is_some());
    for (account, other) in [
        (bob(), process.clone()),
        (alice(), self::process(2)),
        (
            alice(),
            LoginProcess {
                own: ProcessId { pid: 1, start: 8 },
                ..process.clone()
            },
        ),
        (
            alice(),
            LoginProcess {
                boot: "another".into(),
                ..process.clone()
            },
        ),
    ] {
        let outcome = store.confirm(&account, &other, None, &origin(), bench.now);
        assert_eq!(outcome.unwrap(), Confirmation::Nothing, "{other:?}");
    }
    let outcome = store.confirm(&alice(), &process, None, &origin(), bench.now);
    let Confirmation::Confirmed {
        missed,
        trusted_until,
        ..
    } = outcome.unwrap()
    else {
        panic!("not confirmed");
    };
    assert_eq!(missed.unwrap().count, 1);
    assert_eq!(trusted_until, Some(bench.now.after(DAY.seconds())));
    assert!(grant(&store, &device).is_some());
    assert_eq!(
        kinds(&store),
        ["app-enrolled", "refused", "device-trusted", "passed"]
    );
    let again = store.confirm(&alice(), &process, None, &origin(), bench.now);
    assert_eq!(
        again.unwrap(),
        Confirmation::Nothing,
        "a ticket is for once"
    );
}

#[test]
fn a_ticket_is_too_old_after_ten_minutes() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let (process, device) = (process(1), address("192.0.2.7"));
    let settlement = Settlement::InAccount(pass(&process, &device, true));
    type_code(&store, &bench, 100, settlement);
    let later = bench.now.after(LIFETIME + 1);
    let outcome = store.confirm(&alice(), &process, None, &origin(), later);
    assert_eq!(outcome.unwrap(), Confirmation::Nothing);
}

#[test]
fn a_grant_ends_with_the_methods_the_password_and_the_reset_of_its_user() {
    let device = address("192.0.2.7");
    let enrol = |bench: &Bench, store: &Store| bench.enrol(store, &alice(), "tablet");
    let reset = |bench: &Bench, store: &Store| {
        store.reset(&alice(), &origin(), bench.now).unwrap();
    };
    let remove = |bench: &Bench, store: &Store| {
        store.remove_user(&alice(), &origin(), bench.now).unwrap();
    };
    let revoke = |bench: &Bench, store: &Store| {
        let all = store.revoke_all_devices(Some(&alice()), &origin(), bench.now);
        assert_eq!(all.unwrap(), 1);
    };
    let ends: [fn(&Bench, &Store); 4] = [enrol, reset, remove, revoke];
    for end in ends {
        let bench = Bench::new();
        let store = enrolled(&bench);
        trust(&store, &bench, 100, &device);
        assert!(grant(&store, &device).is_some());
        for password in [Some("another"), None] {
            let found = store.device_grant(&alice(), &device, password).unwrap();
            assert_eq!(found, None, "{password:?}");
        }
        end(&bench, &store);
        assert_eq!(grant(&store, &device), None);
        assert_eq!(devices(&store, bench.now), []);
    }
}

#[test]
fn a_trusted_login_moves_the_last_use_and_not_the_end() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let (process, device) = (process(2), address("192.0.2.7"));
    trust(&store, &bench, 100, &device);
    let later = bench.now.after(3600);
    let pass = pass(&process, &device, false);
    store
        .leave_trusted(&alice(), pass, &device, &origin(), later)
        .unwrap();
    let outcome = store
        .confirm(&alice(), &process, None, &origin(), later)
        .unwrap();
    let Confirmation::Confirmed { by, .. } = outcome else {
        panic!("not confirmed");
    };
    assert!(matches!(by, Proof::TrustedDevice(_)));
    let grant = grant(&store, &device).unwrap();
    assert_eq!(
        (grant.granted_at, grant.used_at, grant.until),
        (bench.now, later, bench.now.after(DAY.seconds()))
    );
}

#[test]
fn a_login_by_trust_that_was_ended_meanwhile_is_not_confirmed() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let (process, device) = (process(2), address("192.0.2.7"));
    trust(&store, &bench, 100, &device);
    let pass = pass(&process, &device, false);
    store
        .leave_trusted(&alice(), pass, &device, &origin(), bench.now)
        .unwrap();
    let id = devices(&store, bench.now)[0].id;
    assert!(
        store
            .revoke_device(&alice(), id, &origin(), bench.now)
            .unwrap()
    );
    let outcome = store.confirm(&alice(), &process, None, &origin(), bench.now);
    assert_eq!(outcome.unwrap(), Confirmation::Nothing);
}

#[test]
fn somebody_elses_device_is_not_revoked() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    trust(&store, &bench, 100, &address("192.0.2.7"));
    let id = devices(&store, bench.now)[0].id;
    bench.enrol(&store, &bob(), "phone");
    for (account, id) in [(bob(), id), (alice(), id + 1), (alice(), -1)] {
        let revoked = store.revoke_device(&account, id, &origin(), bench.now);
        assert!(!revoked.unwrap(), "{account:?} {id}");
    }
    assert_eq!(devices(&store, bench.now).len(), 1);
}

#[test]
fn a_user_has_at_most_twenty_devices_and_hears_of_one_new_address_a_day() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    for step in 0..25 {
        trust(
            &store,
            &bench,
            100 + step,
            &address(&format!("192.0.2.{}", step + 1)),
        );
    }
    let devices = devices(&store, bench.now);
    assert_eq!(devices.len(), 20);
    assert!(
        devices
            .iter()
            .all(|device| device.kind == DeviceKind::Address)
    );
    assert_eq!(
        grant(&store, &address("192.0.2.1")),
        None,
        "the oldest went"
    );
    let told = kinds(&store);
    let told = told.iter().filter(|kind| *kind == "device-trusted");
    assert_eq!(told.count(), 1);
}

#[test]
fn a_session_is_found_by_its_own_process_or_by_the_parent_of_the_one_that_logged_in() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let device = address("192.0.2.7");
    let parent = ProcessId { pid: 90, start: 3 };
    let process = LoginProcess {
        parent: Some(parent),
        ..process(91)
    };
    let settlement = Settlement::InAccount(pass(&process, &device, false));
    type_code(&store, &bench, 100, settlement);
    let redeem = |process| {
        store
            .redeem_ticket("boot", process, &origin(), bench.now)
            .unwrap()
    };
    assert_eq!(redeem(parent), None, "not confirmed");
    store
        .confirm(&alice(), &process, None, &origin(), bench.now)
        .unwrap();
    assert_eq!(redeem(ProcessId { pid: 90, start: 4 }), None);
    let (account, login) = redeem(parent).unwrap();
    assert_eq!(account, alice());
    assert!(matches!(login.by, Proof::App { .. }));
    assert_eq!(redeem(parent), None, "it is known once");
}
