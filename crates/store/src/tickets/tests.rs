use super::*;
use crate::attempts::{CodeAttempt, CodeOutcome, CodeProof, Tally};
use crate::event::RefusalReason;
use crate::model::ticket::{LoginProcess, Settlement, TicketNumber};
use crate::testing::{Bench, alice, bob, origin};
use crate::{EventFilter, TrustedDevice};
use twofa_core::class::EVERYONE;
use twofa_core::device::LoginSession;
use twofa_core::device::address::DeviceAddress;
use twofa_core::{Channel, Class, DeviceKind, Group, Policy, Rulebook, User};

const DAY: Duration = Duration::from_minutes(24 * 60);

fn process(pid: u32) -> LoginProcess {
    LoginProcess {
        boot: "boot".into(),
        own: ProcessId { pid, start: 7 },
        parent: None,
    }
}

/// The ticket that the login of this process leaves.
fn ticket(process: &LoginProcess) -> TicketNumber {
    TicketNumber(process.own.pid.into())
}

fn account_phase(process: &LoginProcess) -> AccountPhase<'_> {
    AccountPhase {
        ticket: ticket(process),
        process,
        key: None,
        ssh_auth_info: None,
    }
}

pub(crate) fn address(text: &str) -> Device {
    Device::Address(DeviceAddress::read(text, 64).unwrap())
}

fn pass<'a>(process: &'a LoginProcess, device: &'a Device, trust: bool) -> Pass<'a> {
    Pass {
        ticket: ticket(process),
        process,
        device: Some(device),
        trust_for: trust.then_some(DAY),
        class: EVERYONE,
        password: Some("fingerprint"),
        ssh_auth_info: None,
    }
}

pub(crate) fn enrolled(bench: &Bench) -> Store {
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
pub(crate) fn trust(store: &Store, bench: &Bench, step: u64, device: &Device) -> Confirmation {
    let process = process(1000 + u32::try_from(step).unwrap());
    let pass = pass(&process, device, true);
    type_code(store, bench, step, Settlement::InAccount(pass));
    store
        .confirm(&alice(), account_phase(&process), &origin(), bench.now)
        .unwrap()
}

pub(crate) fn grant(store: &Store, device: &Device) -> Option<Grant> {
    store
        .device_grant(&alice(), device, Some("fingerprint"))
        .unwrap()
}

pub(crate) fn kinds(store: &Store) -> Vec<String> {
    let mut kinds = Vec::new();
    let each = |event: crate::LoggedEvent| {
        kinds.push(event.kind);
        true
    };
    store.events(&EventFilter::default(), each).unwrap();
    kinds
}

pub(crate) fn devices(store: &Store, now: Timestamp) -> Vec<TrustedDevice> {
    let mut devices = Vec::new();
    let each = |device| {
        devices.push(device);
        true
    };
    store.devices(None, now, each).unwrap();
    devices
}

#[test]
fn nothing_follows_from_a_right_code_until_the_account_phase_of_that_login_confirms_it() {
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
    for (account, other) in [(bob(), process.clone()), (alice(), self::process(2))] {
        let outcome = store.confirm(&account, account_phase(&other), &origin(), bench.now);
        assert_eq!(outcome.unwrap(), Confirmation::NoTicket, "{other:?}");
    }
    let outcome = store.confirm(&alice(), account_phase(&process), &origin(), bench.now);
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
    let again = store.confirm(&alice(), account_phase(&process), &origin(), bench.now);
    assert_eq!(
        again.unwrap(),
        Confirmation::NoTicket,
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
    let outcome = store.confirm(&alice(), account_phase(&process), &origin(), later);
    assert_eq!(outcome.unwrap(), Confirmation::NoTicket);
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
    let password = |bench: &Bench, store: &Store| {
        let ended = store.end_trust_with_password(&alice(), &origin(), bench.now);
        assert_eq!(ended.unwrap(), 1);
        assert_eq!(kinds(store).last().unwrap(), "password-changed");
        let ended = store.end_trust_with_password(&alice(), &origin(), bench.now);
        assert_eq!(ended.unwrap(), 0, "nothing is left to end or to record");
        let all = kinds(store);
        let recorded = all.iter().filter(|kind| *kind == "password-changed");
        assert_eq!(recorded.count(), 1);
    };
    let ends: [fn(&Bench, &Store); 5] = [enrol, reset, remove, revoke, password];
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
        .confirm(&alice(), account_phase(&process), &origin(), later)
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
    let redeemed = store.redeem_ticket("boot", process.own, &origin(), later);
    let (_, login) = redeemed.unwrap().unwrap();
    assert_eq!(login.code_at, Some(bench.now.unix()), "the code is as old");
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
    let outcome = store.confirm(&alice(), account_phase(&process), &origin(), bench.now);
    assert_eq!(outcome.unwrap(), Confirmation::TrustEnded);
}

#[test]
fn a_code_of_a_method_that_changed_before_the_account_phase_trusts_nothing() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let (process, device) = (process(1), address("192.0.2.7"));
    let settlement = Settlement::InAccount(pass(&process, &device, true));
    type_code(&store, &bench, 100, settlement);
    bench.enrol(&store, &alice(), "tablet");
    let outcome = store.confirm(&alice(), account_phase(&process), &origin(), bench.now);
    let Confirmation::Confirmed { trusted_until, .. } = outcome.unwrap() else {
        panic!("not confirmed");
    };
    assert_eq!(trusted_until, None);
    assert_eq!(grant(&store, &device), None);
}

#[test]
fn a_password_that_changes_before_the_account_phase_leaves_nothing_to_trust() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let (process, device) = (process(1), address("192.0.2.7"));
    let mut pass = pass(&process, &device, true);
    pass.password = None;
    type_code(&store, &bench, 100, Settlement::InAccount(pass));
    store
        .end_trust_with_password(&alice(), &origin(), bench.now)
        .unwrap();
    store
        .confirm(&alice(), account_phase(&process), &origin(), bench.now)
        .unwrap();
    assert_eq!(devices(&store, bench.now), []);
}

#[test]
fn the_device_just_trusted_stays_while_the_clock_is_wrong() {
    let mut bench = Bench::new();
    let store = enrolled(&bench);
    let device = |number: u64| address(&format!("192.0.2.{number}"));
    for step in 1..=20 {
        bench.now = bench.now.after(60);
        trust(&store, &bench, 100 + step, &device(step));
    }
    // A board without a battery starts in the past until it asks for the time.
    bench.now = bench.now.before(30 * 24 * 60 * 60);
    trust(&store, &bench, 200, &device(21));
    let kept: Vec<_> = (1..=21)
        .filter(|step| grant(&store, &device(*step)).is_some())
        .collect();
    assert_eq!(kept, (2..=21).collect::<Vec<_>>(), "the oldest went");
}

#[test]
fn a_device_of_another_user_is_not_revoked() {
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
fn a_user_has_at_most_twenty_devices() {
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
}

#[test]
fn two_logins_of_one_process_do_not_take_each_others_ticket() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let process = process(1);
    let devices = [address("192.0.2.7"), address("192.0.2.8")];
    for (number, device) in (1..).zip(&devices) {
        let pass = Pass {
            ticket: TicketNumber(number),
            ..pass(&process, device, true)
        };
        let step = 100 + u64::try_from(number).unwrap();
        type_code(&store, &bench, step, Settlement::InAccount(pass));
    }
    let phase = AccountPhase {
        ticket: TicketNumber(1),
        ..account_phase(&process)
    };
    store
        .confirm(&alice(), phase, &origin(), bench.now)
        .unwrap();
    let trusted = devices.map(|device| grant(&store, &device).is_some());
    assert_eq!(trusted, [true, false]);
}

#[test]
fn a_session_belongs_to_the_process_that_came_to_the_account_phase() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let (before, after) = (process(1), process(2));
    let device = address("192.0.2.7");
    let settlement = Settlement::InAccount(pass(&before, &device, false));
    type_code(&store, &bench, 100, settlement);
    let phase = AccountPhase {
        ticket: ticket(&before),
        ..account_phase(&after)
    };
    store
        .confirm(&alice(), phase, &origin(), bench.now)
        .unwrap();
    let redeem = |process: &LoginProcess| {
        store
            .redeem_ticket("boot", process.own, &origin(), bench.now)
            .unwrap()
    };
    assert_eq!(redeem(&before), None);
    assert!(redeem(&after).is_some());
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
        .confirm(&alice(), account_phase(&process), &origin(), bench.now)
        .unwrap();
    assert_eq!(redeem(ProcessId { pid: 90, start: 4 }), None);
    let (account, login) = redeem(parent).unwrap();
    assert_eq!(account, alice());
    assert!(matches!(login.by, Proof::App { .. }));
    assert_eq!(login.code_at, Some(bench.now.unix()));
    assert_eq!(redeem(parent), None, "it is known once");
}

#[test]
fn a_user_is_notified_of_a_new_device_and_not_of_a_renewal() {
    let mut bench = Bench::new();
    let store = enrolled(&bench);
    bench.verify(&store, &alice(), Channel::Email, "alice@example.org");
    bench.take_notices(&store);
    let told = |bench: &Bench| -> Vec<String> {
        let events = bench.take_notices(&store).into_iter();
        events
            .map(|(to, event)| match event {
                Event::DeviceTrusted { device, .. } => format!("{to} {}", device.label),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    trust(&store, &bench, 100, &address("192.0.2.7"));
    assert_eq!(told(&bench), ["alice@example.org 192.0.2.7"]);
    trust(&store, &bench, 101, &address("192.0.2.7"));
    assert_eq!(told(&bench), [""; 0], "a renewal");
    trust(&store, &bench, 102, &address("192.0.2.8"));
    assert_eq!(told(&bench), [""; 0], "one address a day");
    trust(&store, &bench, 103, &Device::Seat("seat0".into()));
    assert_eq!(told(&bench), ["alice@example.org seat0"]);
    let session = LoginSession {
        boot: "boot".into(),
        id: "c1".into(),
        start: 7,
    };
    trust(&store, &bench, 104, &Device::Session(session));
    assert_eq!(told(&bench), [""; 0], "nothing new to its user");
    bench.now = bench.now.after(2 * DAY.seconds());
    trust(&store, &bench, 105, &address("192.0.2.7"));
    assert_eq!(
        told(&bench),
        [""; 0],
        "it is known, though its trust had ended"
    );
    trust(&store, &bench, 106, &address("192.0.2.9"));
    assert_eq!(told(&bench), [""; 0], "one address a day");
    bench.now = bench.now.after(DAY.seconds() + 1);
    trust(&store, &bench, 107, &address("192.0.2.10"));
    assert_eq!(told(&bench), ["alice@example.org 192.0.2.10"]);
}

#[test]
fn a_policy_that_lowers_a_duration_shortens_what_is_stored_to_the_longest_that_a_class_still_has() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let device = address("192.0.2.7");
    let set = |settings: &[(&str, &str)]| {
        let changed = store.change_policy(settings.iter().copied(), &origin(), bench.now);
        changed.unwrap();
    };
    set(&[("trust.remote", "30d"), ("trust.address", "1d")]);
    trust(&store, &bench, 100, &device);
    let until = || grant(&store, &device).unwrap().until;
    assert_eq!(until(), bench.now.after(DAY.seconds()));
    set(&[("lockout.after", "5")]);
    assert_eq!(until(), bench.now.after(DAY.seconds()));
    set(&[("trust.address", "2h")]);
    set(&[("trust.address", "5d")]);
    assert_eq!(until(), bench.now.after(2 * 3600));
    set(&[("trust.identity", "key")]);
    set(&[("trust.identity", "key-or-address")]);
    assert_eq!(
        grant(&store, &device),
        None,
        "addresses were no devices in between"
    );
    trust(&store, &bench, 101, &device);
    assert_eq!(until(), bench.now.after(DAY.seconds()), "a new grant");
}

#[test]
fn lowerings_end_earlier_grants_whatever_the_clock_said_and_rewrite_none() {
    let mut bench = Bench::new();
    let store = enrolled(&bench);
    let device = address("192.0.2.7");
    let set = |bench: &Bench, address: &str| {
        let settings = [("trust.remote", "30d"), ("trust.address", address)];
        store.change_policy(settings, &origin(), bench.now).unwrap();
    };
    set(&bench, "1d");
    let until = |bench: &Bench| {
        let found = grant(&store, &device).unwrap().until;
        let listed = devices(&store, bench.now);
        assert!(listed.iter().all(|listed| listed.grant.until == found));
        found
    };
    trust(&store, &bench, 100, &device);
    let granted_at = bench.now;
    // The clock was ahead.
    bench.now = bench.now.before(3600);
    for (lowered, hours) in [("3h", 3), ("4h", 3), ("2h", 2), ("3h", 2), ("1h", 1)] {
        set(&bench, "1d");
        set(&bench, lowered);
        assert_eq!(until(&bench), granted_at.after(hours * 3600), "{lowered}");
    }
    let rewritten = "SELECT count(*) FROM device WHERE until <> granted_at + 86400";
    assert_eq!(Bench::number(&store, rewritten), 0);
    let left = "SELECT count(*) FROM trust_lowering WHERE kind = 'address'";
    assert_eq!(Bench::number(&store, left), 1);
}

#[test]
fn a_duration_that_is_lowered_for_one_class_stays_lowered_while_another_has_a_longer_one() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let device = address("192.0.2.7");
    let set = |everyones: &str, own: Option<&str>| {
        let settings = [("trust.remote", "30d"), ("trust.address", everyones)];
        let machine = Policy::from_settings(settings).unwrap();
        let class = own.map(|own| Class {
            name: "ops".into(),
            group: Group::called("ops".to_owned()),
            settings: vec![("trust.address".to_owned(), own.to_owned())],
        });
        let after = Rulebook::new(machine, class.into_iter().collect()).unwrap();
        let before = store.rulebook().unwrap();
        store
            .replace_rulebook(Some(&before), &after, &origin(), bench.now)
            .unwrap();
    };
    let until = || grant(&store, &device).unwrap().until;
    set("1d", Some("1d"));
    trust(&store, &bench, 100, &device);
    set("1d", Some("1h"));
    assert_eq!(until(), bench.now.after(DAY.seconds()), "that was ops's");
    set("2h", Some("1d"));
    set("1d", Some("1d"));
    assert_eq!(until(), bench.now.after(2 * 3600));
    set("1h", None);
    set("1d", None);
    assert_eq!(until(), bench.now.after(3600));
    store
        .revoke_all_devices(None, &origin(), bench.now)
        .unwrap();
    assert_eq!(grant(&store, &device), None);
}

#[test]
fn an_address_that_several_users_trust_is_counted_while_they_do() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let device = address("192.0.2.7");
    trust(&store, &bench, 100, &device);
    let shared = |now| store.shared_addresses(now).unwrap();
    assert_eq!(shared(bench.now), []);
    bench.enrol(&store, &bob(), "phone");
    Bench::execute(
        &store,
        "INSERT INTO device (user, kind, hash, label, service, generation, granted_at, until, used_at)
         SELECT user.id, kind, hash, label, service, user.generation, granted_at, until, used_at
         FROM device, user WHERE name = 'bob'",
    );
    assert_eq!(shared(bench.now), [("192.0.2.7".to_owned(), 2)]);
    assert_eq!(devices(&store, bench.now)[0].users, 2);
    let of_everybody = || {
        let mut users = Vec::new();
        let each = |device: TrustedDevice| {
            users.push(device.users);
            true
        };
        store.devices(None, bench.now, each).unwrap();
        users
    };
    assert_eq!(of_everybody(), [2, 2]);
    trust(&store, &bench, 101, &address("192.0.2.8"));
    assert_eq!(of_everybody(), [2, 1, 2]);
    assert_eq!(shared(bench.now.after(DAY.seconds())), []);
    assert_eq!(devices(&store, bench.now.after(DAY.seconds())), []);
    bench.enrol(&store, &bob(), "tablet");
    assert_eq!(shared(bench.now), [], "bob's trust ended with his methods");
}

#[test]
fn the_devices_of_one_user_are_found_without_reading_those_of_others() {
    let bench = Bench::on_file();
    let store = enrolled(&bench);
    let plan = Bench::plan(&store, devices::OF_USER);
    assert!(!plan.contains("SCAN"), "{plan}");
    trust(&store, &bench, 100, &address("192.0.2.7"));
    let count = |account: &Account| {
        let mut count = 0;
        let each = |_| {
            count += 1;
            true
        };
        store.devices(Some(account), bench.now, each).unwrap();
        count
    };
    assert_eq!((count(&alice()), count(&bob())), (1, 0));
}

#[test]
fn a_session_has_the_keys_that_its_login_proved_even_if_only_the_account_phase_knows_them() {
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMc9QHWWikJ/8eQq47yZ2vh7LGgthe7BBNz2ZSy5wtOW";
    let bench = Bench::new();
    let store = enrolled(&bench);
    let device = address("192.0.2.7");
    let process = process(91);
    let settlement = Settlement::InAccount(pass(&process, &device, false));
    type_code(&store, &bench, 100, settlement);
    let info = format!("publickey {KEY}\nhostbased {KEY}\npassword\n");
    let phase = AccountPhase {
        ssh_auth_info: Some(&info),
        ..account_phase(&process)
    };
    store
        .confirm(&alice(), phase, &origin(), bench.now)
        .unwrap();
    let new = crate::NewSession {
        account: &alice(),
        boot: "boot",
        process: process.own,
        login_uid: None,
        is_login: true,
    };
    let id = store.open_session(&new, &origin(), bench.now).unwrap();
    let session = store.session(id.unwrap()).unwrap().unwrap();
    assert_eq!(session.keys, [KEY]);
}

#[test]
fn a_login_that_was_under_way_while_trust_was_revoked_makes_no_device_trusted() {
    type Revoke = fn(&Store, &Bench);
    let revocations: [Revoke; 3] = [
        |store, bench| {
            let id = devices(store, bench.now)[0].id;
            let revoked = store.revoke_device(&alice(), id, &origin(), bench.now);
            assert!(revoked.unwrap());
        },
        |store, bench| {
            let revoked = store.revoke_all_devices(Some(&alice()), &origin(), bench.now);
            assert_eq!(revoked.unwrap(), 1);
        },
        |store, bench| {
            let revoked = store.revoke_all_devices(None, &origin(), bench.now);
            assert_eq!(revoked.unwrap(), 1);
        },
    ];
    for revoke in revocations {
        let bench = Bench::new();
        let store = enrolled(&bench);
        let device = address("192.0.2.7");
        trust(&store, &bench, 100, &device);
        let process = process(2);
        let settlement = Settlement::InAccount(pass(&process, &device, true));
        type_code(&store, &bench, 101, settlement);
        revoke(&store, &bench);
        let confirmed = store
            .confirm(&alice(), account_phase(&process), &origin(), bench.now)
            .unwrap();
        // The code was right: it is a login, and no more.
        assert!(
            matches!(
                confirmed,
                Confirmation::Confirmed {
                    trusted_until: None,
                    ..
                }
            ),
            "{confirmed:?}"
        );
        assert_eq!(grant(&store, &device), None);
        // One that rests on the trust is none.
        trust(&store, &bench, 102, &device);
        let process = self::process(3);
        let pass = pass(&process, &device, false);
        store
            .leave_trusted(&alice(), pass, &device, &origin(), bench.now)
            .unwrap();
        revoke(&store, &bench);
        let confirmed = store
            .confirm(&alice(), account_phase(&process), &origin(), bench.now)
            .unwrap();
        assert_eq!(confirmed, Confirmation::TrustEnded);
    }
}

#[test]
fn a_duration_that_was_lowered_while_a_login_was_under_way_does_not_come_back_when_it_is_raised() {
    let bench = Bench::new();
    let store = enrolled(&bench);
    let set = |duration: &str| {
        let settings = [("trust.remote", "30d"), ("trust.address", duration)];
        store.change_policy(settings, &origin(), bench.now).unwrap();
    };
    set("1d");
    let (device, process) = (address("192.0.2.7"), process(2));
    let settlement = Settlement::InAccount(pass(&process, &device, true));
    type_code(&store, &bench, 100, settlement);
    set("2h");
    store
        .confirm(&alice(), account_phase(&process), &origin(), bench.now)
        .unwrap();
    set("1d");
    let until = grant(&store, &device).unwrap().until;
    assert_eq!(until, bench.now.after(2 * 3600));
}
