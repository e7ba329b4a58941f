use super::*;
use crate::attempts::{CodeAttempt, CodeOutcome, CodeProof};
use crate::event::{FleetHost, LoginOrigin, RefusalReason};
use crate::testing::{Bench, alice, origin};
use crate::tickets::tests::address;
use crate::{HostJoin, HostRenewal, HostRights, NewHost, NewTrust, RenewalOutcome, Settlement};
use twofa_core::Device;
use twofa_core::device::ssh_key::ProvedKeys;

const WEB1: [u8; 32] = [1; 32];
const WEB2: [u8; 32] = [2; 32];
const HOUR: Duration = Duration::from_minutes(60);
const KEY: &str =
    "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMc9QHWWikJ/8eQq47yZ2vh7LGgthe7BBNz2ZSy5wtOW";

fn key() -> Device {
    Device::UserKey(ProvedKeys::read(KEY).user.remove(0))
}

/// A store with two hosts, where alice has an app.
fn fleet(bench: &Bench) -> Store {
    let store = bench.create();
    for (name, key) in [("web1", WEB1), ("web2", WEB2)] {
        let new = NewHost {
            id: format!("id of {name}"),
            name: name.into(),
            rights: HostRights::default(),
            token: key,
        };
        store.add_host(&new, &origin(), bench.now).unwrap();
        join(&store, key, bench.now);
    }
    bench.enrol(&store, &alice(), "phone");
    store
}

fn join(store: &Store, key: [u8; 32], now: Timestamp) {
    let join = HostJoin {
        token: key,
        key,
        key_until: now.after(86_400),
    };
    assert!(store.join_host(join, &origin(), now).unwrap());
}

fn on(host: [u8; 32]) -> Origin {
    let name = if host == WEB1 { "web1" } else { "web2" };
    let host = FleetHost::connected(name.into(), host);
    Origin::login(0, LoginOrigin::default()).on_host(host)
}

fn reported(device: &Device) -> ReportedDevice<'_> {
    ReportedDevice {
        device,
        is_for_fleet: false,
        password: None,
    }
}

/// Types a code on `host`, which makes the device trusted there.
fn trust(store: &Store, now: Timestamp, host: [u8; 32], reported: ReportedDevice<'_>) {
    let known = store.snapshot(&alice()).unwrap();
    let enrolled = &known.user.apps[0];
    let (app, count) = (enrolled.id, enrolled.app.used.map_or(100, |used| used + 1));
    let origin = on(host);
    let attempt = CodeAttempt {
        account: &alice(),
        tally: Tally::Proved,
        origin: &origin,
        known: &known,
        settlement: Settlement::Trusting(NewTrust {
            reported,
            duration: HOUR,
            class: "everyone",
        }),
    };
    let right = |_: &_| Ok::<_, RefusalReason>(CodeProof::App { app, count });
    let outcome = store.try_code(attempt, now, right).unwrap();
    assert!(matches!(outcome, CodeOutcome::Right(_)));
}

/// Whether a login on `host` passes by the device.
fn passes(store: &Store, now: Timestamp, host: [u8; 32], reported: ReportedDevice<'_>) -> bool {
    let known = store.snapshot(&alice()).unwrap();
    let grant = store.reported_grant(&host, &alice(), reported, now);
    let is_found = grant
        .unwrap()
        .is_some_and(|grant| grant.is_believed(HOUR, now));
    let trust = (reported, HOUR);
    let passed = store.pass_by_reported(&alice(), &known, trust, &on(host), now);
    let is_passed = matches!(passed.unwrap(), ReportedPass::Passed(_));
    assert_eq!(is_found, is_passed);
    is_passed
}

fn listed(store: &Store, now: Timestamp) -> Vec<(String, Option<String>)> {
    let mut listed = Vec::new();
    let each = |device: crate::TrustedDevice| {
        listed.push((device.label, device.host));
        true
    };
    store.devices(None, now, each).unwrap();
    listed
}

#[test]
fn a_device_is_trusted_on_the_host_that_reported_it_and_neither_on_another_nor_here() {
    let bench = Bench::new();
    let store = fleet(&bench);
    for device in [address("192.0.2.7"), Device::Seat("seat0".into()), key()] {
        let reported = reported(&device);
        trust(&store, bench.now, WEB1, reported);
        assert!(passes(&store, bench.now, WEB1, reported), "{device:?}");
        assert!(!passes(&store, bench.now, WEB2, reported), "{device:?}");
        let here = store.device_grant(&alice(), &device, None).unwrap();
        assert_eq!(here, None, "{device:?}");
        assert!(!passes(&store, bench.now.after(3600), WEB1, reported));
    }
    let listed = listed(&store, bench.now);
    assert!(
        listed
            .iter()
            .all(|(_, host)| host.as_deref() == Some("web1"))
    );
    assert_eq!(listed.len(), 3);
}

#[test]
fn what_is_trusted_here_is_trusted_on_no_host() {
    let bench = Bench::new();
    let store = fleet(&bench);
    let device = address("192.0.2.7");
    crate::tickets::tests::trust(&store, &bench, 100, &device);
    assert_eq!(listed(&store, bench.now), [("192.0.2.7".into(), None)]);
    for is_for_fleet in [false, true] {
        let reported = ReportedDevice {
            is_for_fleet,
            ..reported(&device)
        };
        assert!(!passes(&store, bench.now, WEB1, reported));
    }
}

#[test]
fn a_key_for_the_fleet_is_trusted_on_all_hosts_and_apart_from_one_for_a_host() {
    let bench = Bench::new();
    let store = fleet(&bench);
    let (key, now) = (key(), bench.now);
    let for_fleet = ReportedDevice {
        is_for_fleet: true,
        ..reported(&key)
    };
    trust(&store, now, WEB1, for_fleet);
    assert!(passes(&store, now, WEB2, for_fleet) && passes(&store, now, WEB1, for_fleet));
    // When the policy says host again, nothing is left of it.
    assert!(!passes(&store, now, WEB1, reported(&key)));
    assert_eq!(store.device_grant(&alice(), &key, None).unwrap(), None);
    // It was made on web1, and ends with it.
    store.remove_host("web1", &origin(), now).unwrap();
    assert!(!passes(&store, now, WEB2, for_fleet));
}

#[test]
fn another_password_ends_it() {
    let bench = Bench::new();
    let store = fleet(&bench);
    let (device, now) = (address("192.0.2.7"), bench.now);
    let with = |password| ReportedDevice {
        password,
        ..reported(&device)
    };
    trust(&store, now, WEB1, with(Some(&[7; 32])));
    assert!(passes(&store, now, WEB1, with(Some(&[7; 32]))));
    assert!(!passes(&store, now, WEB1, with(Some(&[8; 32]))));
    assert!(!passes(&store, now, WEB1, with(None)));
}

#[test]
fn a_revoked_device_or_another_method_ends_it_in_the_next_login() {
    let bench = Bench::new();
    let store = fleet(&bench);
    let (device, now) = (address("192.0.2.7"), bench.now);
    trust(&store, now, WEB1, reported(&device));
    let mut id = 0;
    let each = |device: crate::TrustedDevice| {
        id = device.id;
        true
    };
    store.devices(Some(&alice()), now, each).unwrap();
    let revoked = store.revoke_device(&alice(), id, &origin(), now);
    assert!(revoked.unwrap());
    assert!(!passes(&store, now, WEB1, reported(&device)));
    trust(&store, now, WEB1, reported(&device));
    bench.enrol(&store, &alice(), "tablet");
    assert!(!passes(&store, now, WEB1, reported(&device)));
    trust(&store, now, WEB1, reported(&device));
    store.revoke_all_devices(None, &origin(), now).unwrap();
    assert!(!passes(&store, now, WEB1, reported(&device)));
}

#[test]
fn it_ends_when_its_host_is_removed_joins_again_or_renews_a_certificate_that_had_ended() {
    let bench = Bench::new();
    let store = fleet(&bench);
    let (device, now) = (address("192.0.2.7"), bench.now);
    let device = reported(&device);
    trust(&store, now, WEB1, device);
    let readmitted = store.readmit_host("web1", &WEB1, &origin(), now);
    assert!(readmitted.unwrap().is_some());
    assert!(passes_nowhere(&store, now));
    join(&store, WEB1, now);
    assert!(!passes(&store, now, WEB1, device));

    trust(&store, now, WEB1, device);
    let late = now.after(86_400);
    let renewal = HostRenewal {
        id: "id of web1".into(),
        shown: WEB1,
        issued_at: now,
        grace: 86_400,
        key: [9; 32],
        key_until: late.after(86_400),
        is_of_old_ca: false,
    };
    let renewed = store.renew_host(&renewal, &origin(), late);
    assert_eq!(renewed.unwrap(), RenewalOutcome::Renewed);
    assert!(passes_nowhere(&store, now));

    trust(&store, now, WEB2, device);
    assert!(store.remove_host("web2", &origin(), now).unwrap());
    assert!(passes_nowhere(&store, now));
}

fn passes_nowhere(store: &Store, now: Timestamp) -> bool {
    listed(store, now).is_empty()
}

#[test]
fn a_host_that_is_removed_meanwhile_neither_makes_nor_uses_trust() {
    let bench = Bench::new();
    let store = fleet(&bench);
    let (device, now) = (address("192.0.2.7"), bench.now);
    let device = reported(&device);
    trust(&store, now, WEB1, device);
    let known = store.snapshot(&alice()).unwrap();
    store.remove_host("web1", &origin(), now).unwrap();
    let passed = store.pass_by_reported(&alice(), &known, (device, HOUR), &on(WEB1), now);
    assert!(matches!(passed, Err(StoreError::HostRefused)));
    let grant = store.reported_grant(&WEB1, &alice(), device, now);
    assert!(matches!(grant, Err(StoreError::HostRefused)));
}

#[test]
fn one_host_cannot_push_out_what_another_has_reported() {
    let bench = Bench::new();
    let store = fleet(&bench);
    let now = bench.now;
    let kept = address("192.0.2.7");
    trust(&store, now, WEB1, reported(&kept));
    for number in 0..25 {
        let device = address(&format!("198.51.100.{number}"));
        trust(&store, now, WEB2, reported(&device));
    }
    assert!(passes(&store, now, WEB1, reported(&kept)));
    assert_eq!(listed(&store, now).len(), 21);
}
