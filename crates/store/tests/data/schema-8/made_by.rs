//! Made the store in this folder (schema 8) with the twofa of commit da40845, as a test of this crate that was run with
//! `OLD_STORE=/some/folder`. It is kept to show what is in the store, and not built any longer.

use std::path::PathBuf;

use twofa_core::app::{Algorithm, App, Movement, Parameters};
use twofa_core::exemption::{Exemption, Subject};
use twofa_core::rulebook::Rulebook;
use twofa_core::user::Verify;
use twofa_core::{
    Account, BackupCode, BackupSet, Class, Group, Key, Method, Policy, Timestamp,
};
use twofa_store::{
    AddressKind, Counted, Event, EventKind, Location, NewApp, Origin, Owner, ProviderRecord,
    SendKind, Settings, Store, Tally, Value,
};
use zeroize::Zeroizing;

const EMAIL: AddressKind = AddressKind::Email;
const PHONE: AddressKind = AddressKind::Phone;

fn account(name: &str, uid: u32) -> Account {
    Account { name: name.into(), uid }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000).after(seconds)
}

fn ssh() -> Origin {
    Origin {
        actor: 0,
        service: Some("sshd".into()),
        remote_host: Some("192.0.2.7".into()),
        remote_user: None,
        terminal: Some("ssh".into()),
    }
}

fn su() -> Origin {
    Origin {
        actor: 0,
        service: Some("su".into()),
        remote_host: None,
        remote_user: Some("bob".into()),
        terminal: Some("/dev/tty2".into()),
    }
}

fn command_line(actor: u32) -> Origin {
    Origin { actor, service: Some("twofa".into()), ..Origin::default() }
}

fn attempt(store: &Store, account: &Account, tally: Tally, now: Timestamp) -> Option<twofa_store::Attempt> {
    match store.count_attempt(account, tally, &ssh(), now).unwrap() {
        Counted::Attempt(attempt, _) => Some(attempt),
        _ => None,
    }
}

fn app(label: &str, seed: u8, parameters: Parameters, used: Option<u64>) -> NewApp {
    let key = Key::new(vec![seed; 20]).unwrap();
    NewApp { label: label.into(), app: App { parameters, key, used } }
}

fn provider(name: &str, kind: &str, title: Option<&str>, password: &str) -> ProviderRecord {
    let settings = [
        ("host", Value::Plain("mail.example.org".into())),
        ("password", Value::Secret(Zeroizing::new(password.into()))),
    ];
    ProviderRecord {
        name: name.into(),
        kind: kind.into(),
        title: title.map(Into::into),
        settings: settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}

fn rules(store: &Store) {
    let machine = [
        ("mode", "mandatory"),
        ("lockout.after", "5"),
        ("notices", "email,sms"),
        ("application-name", "vault"),
        ("methods", "app,email,sms,backup"),
        ("send.sms-daily", "10"),
    ];
    store.change_policy(machine, &command_line(0), at(0)).unwrap();
    let before = store.rulebook().unwrap();
    let class = |name: &str, group: &str, gid, settings: &[(&str, &str)]| Class {
        name: name.into(),
        group: Group { name: group.into(), gid },
        settings: settings.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
    };
    let classes = vec![
        class("admins", "sudo", Some(27), &[("mode", "mandatory"), ("trust.remote", "1d")]),
        class("robots", "robots", None, &[("mode", "disabled")]),
    ];
    let policy: Policy = before.machine().clone();
    let rulebook = Rulebook::new(policy, classes).unwrap();
    store.replace_rulebook(Some(&before), &rulebook, &command_line(0), at(1)).unwrap();
    let exemption = |subject, network: Option<&str>, service: Option<&str>, until| Exemption {
        subject,
        network: network.map(|network| network.parse().unwrap()),
        service: service.map(Into::into),
        reason: "new phone".into(),
        granted_by: 0,
        granted_at: at(2),
        until,
    };
    let bob = Subject::User(account("bob", 1001));
    let robots = Subject::Group(Group { name: "robots".into(), gid: Some(987) });
    let grant = |exemption: &Exemption| store.grant(exemption, &command_line(0), at(2)).unwrap();
    grant(&exemption(bob.clone(), Some("2001:db8::/32"), Some("sshd"), Some(at(86_402))));
    grant(&exemption(robots, None, None, None));
    let ended = grant(&exemption(bob, None, None, None));
    store.revoke_exemption(ended, &command_line(0), at(3)).unwrap();
}

fn providers(store: &Store) {
    let by = command_line(0);
    let relay = provider("relay", "smtp", Some("Our relay"), "swordfish");
    store.add_provider(&relay, EMAIL, &by, at(10)).unwrap();
    store.add_provider(&provider("backup", "smtp", None, "old"), EMAIL, &by, at(11)).unwrap();
    store.add_provider(&provider("texts", "seven", None, "api-key"), PHONE, &by, at(12)).unwrap();
    store.add_provider(&provider("gone", "smtp", None, "gone"), EMAIL, &by, at(13)).unwrap();
    store.change_provider(&provider("backup", "smtp", None, "trout"), &by, at(14)).unwrap();
    store.set_provider_order(EMAIL, &["backup".into(), "relay".into()], &by, at(15)).unwrap();
    store.remove_provider("gone", &by, at(16)).unwrap();
}

/// Has two apps, backup codes, a verified address and one of her own that is not, and passed with each.
fn alice(store: &Store) {
    let alice = account("alice", 1000);
    let by = command_line(1000);
    let generation = || store.situation(&alice).unwrap().generation;
    let totp = Parameters::new(Movement::Time { period: 60 }, Algorithm::Sha512, 8).unwrap();
    let hotp = Parameters::new(Movement::Counter, Algorithm::Sha1, 6).unwrap();
    for new in [
        app("dad's phone', old", 1, totp, Some(29_000_000)),
        app("token", 2, hotp, Some(7)),
        app("lost", 3, Parameters::default(), None),
    ] {
        store.enrol_app(&alice, generation(), &new, &ssh(), at(20)).unwrap();
    }
    store.remove_app(&alice, generation(), "lost", &by, at(21)).unwrap();
    store.enrol_address(&alice, generation(), EMAIL, "alice@example.org", &by, at(22)).unwrap();
    store.enrol_address(&alice, generation(), EMAIL, "Alice@example.com", &by, at(23)).unwrap();
    let phone = Settings { phone: Some(Some("+4930123456".into())), ..Settings::default() };
    store.set_user(&alice, generation(), &phone, &by, at(24)).unwrap();
    let codes = |first: u8| -> Vec<_> { (first..first + 5).map(|n| BackupCode::from_random([n; 10])).collect() };
    for salt in [1, 2] {
        let set = BackupSet::seal(&codes(salt * 10), [salt; 16]).unwrap();
        store.replace_backup_codes(&alice, generation(), &set, &by, at(25)).unwrap();
    }
    let user = store.situation(&alice).unwrap().user;
    let set = user.backup.unwrap();
    let digest = set.find(&BackupCode::from_random([20; 10])).unwrap().unwrap();
    let begun = attempt(store, &alice, Tally::Proved, at(26)).unwrap();
    let _ = store.use_backup_code(begun, &digest, at(26)).unwrap();
    let begun = attempt(store, &alice, Tally::Proved, at(27)).unwrap();
    let _ = store.use_app_code(begun, &user.apps[0], 30_000_000, at(27)).unwrap();
    let begun = attempt(store, &alice, Tally::Proved, at(28)).unwrap();
    let _ = store.use_sent_code(begun, EMAIL, "Alice@example.com", at(28)).unwrap();
    let preferred = Settings {
        verify: Some(Verify::Never),
        preferred: Some(Some(Method::App)),
        ..Settings::default()
    };
    store.set_user(&alice, generation(), &preferred, &by, at(29)).unwrap();
    let always = Settings { verify: Some(Verify::Always), ..Settings::default() };
    store.set_user(&alice, generation(), &always, &by, at(30)).unwrap();
}

/// An administrator attested his number and put an address on file. He was refused twice since he last passed.
fn bob(store: &Store) {
    let bob = account("bob", 1001);
    let root = command_line(0);
    let generation = || store.situation(&bob).unwrap().generation;
    store.add_user(&bob, &root, at(40)).unwrap();
    let number = Settings { phone: Some(Some("+4915112345678".into())), vouched: true, ..Settings::default() };
    store.set_user(&bob, generation(), &number, &root, at(41)).unwrap();
    let address = Settings { email: Some(Some("bob@example.org".into())), ..Settings::default() };
    store.set_user(&bob, generation(), &address, &root, at(42)).unwrap();
    store.record_pass(&bob, generation(), "with codes by text message, just enrolled".into(), &ssh(), at(43)).unwrap();
    for (origin, why) in [(ssh(), "a wrong code"), (su(), "a code that was used already"), (command_line(1001), "a wrong code")] {
        let refused = Event { kind: EventKind::Refused, user: Some(&bob), detail: Some(why.into()) };
        store.record(&refused, &origin, at(44)).unwrap();
    }
}

/// Must enrol, and was shown a key on the console.
fn carol(store: &Store) {
    let carol = account("carol", 1002);
    store.set_required(&carol, true, &command_line(0), at(50)).unwrap();
    let generation = store.situation(&carol).unwrap().generation;
    let shown = app("", 9, Parameters::default(), None).app;
    store.keep_pending_app(&carol, generation, &shown, &su(), at(51)).unwrap();
}

/// Locked, and strangers tried his account.
fn dave(store: &Store) {
    let dave = account("dave", 1003);
    let generation = store.situation(&dave).unwrap().generation;
    store.enrol_address(&dave, generation, EMAIL, "dave@example.org", &ssh(), at(60)).unwrap();
    for _ in 0..3 {
        let _ = attempt(store, &dave, Tally::Unproved, at(61));
    }
    for _ in 0..5 {
        let _ = attempt(store, &dave, Tally::Proved, at(62));
    }
}

/// One who was unlocked, released, reset and had his address removed; and one who was removed altogether.
fn others(store: &Store) {
    let root = command_line(0);
    let erin = account("erin", 1004);
    let generation = |account| store.situation(account).unwrap().generation;
    store.set_required(&erin, true, &root, at(70)).unwrap();
    store.set_required(&erin, false, &root, at(71)).unwrap();
    for which in [EMAIL, PHONE] {
        let address = if which == EMAIL { "erin@example.org" } else { "+4915187654321" };
        store.enrol_address(&erin, generation(&erin), which, address, &ssh(), at(72)).unwrap();
        store.remove_address(&erin, generation(&erin), which, &root, at(73)).unwrap();
        store.enrol_address(&erin, generation(&erin), which, address, &ssh(), at(74)).unwrap();
    }
    let _ = attempt(store, &erin, Tally::Proved, at(75));
    store.unlock(&erin, &root, at(76)).unwrap();
    let set = BackupSet::seal(&[BackupCode::from_random([9; 10])], [9; 16]).unwrap();
    store.replace_backup_codes(&erin, generation(&erin), &set, &root, at(77)).unwrap();
    store.remove_backup_codes(&erin, generation(&erin), &root, at(78)).unwrap();
    store.reset(&erin, &root, at(79)).unwrap();
    let mallory = account("mallory", 1005);
    store.enrol_address(&mallory, generation(&mallory), EMAIL, "mallory@example.org", &ssh(), at(80)).unwrap();
    store.remove_user(&mallory, &root, at(81)).unwrap();
}

fn sends(store: &Store) {
    let (alice, bob) = (account("alice", 1000), account("bob", 1001));
    store.begin_code(EMAIL, &alice, "Alice@example.com", &ssh(), at(90)).unwrap();
    for _ in 0..8 {
        store.begin_code(PHONE, &bob, "+4915112345678", &ssh(), at(91)).unwrap();
    }
    store.begin_send(SendKind::Notice, &bob, "+4915112345678", at(92)).unwrap();
    store.begin_send(SendKind::TextIn, &account("carol", 1002), "text-in", at(93)).unwrap();
    store.raise_sms_alarms(at(94)).unwrap();
    store.begin_unproved_change(&account("carol", 1002), at(95)).unwrap();
    store.begin_unproved_change(&account("carol", 1002), at(96)).unwrap();
    let log = |kind, user, detail: &str| {
        let event = Event { kind, user, detail: Some(detail.into()) };
        store.record(&event, &ssh(), at(97)).unwrap();
    };
    log(EventKind::CodeSent, Some(&alice), "e-mail to A***e@example.com by 'relay' as 250 queued");
    log(EventKind::CodeNotSent, Some(&alice), "text message to +49********56: the limit is reached");
    log(
        EventKind::SmsLimit,
        None,
        "text messages with codes in the last 24 hours: 8, and send.sms-daily=10 is soon reached; see 'twofa log' for \
         whom; if that is right, raise it with 'twofa policy set send.sms-daily=…'",
    );
    // Of the notices in the queue one was tried and put off.
    let tried = store.claim_notices(at(100), 1).unwrap().remove(0);
    store.notice_failed(tried.id, at(100)).unwrap();
}

#[test]
fn make() {
    let Some(folder) = std::env::var_os("OLD_STORE").map(PathBuf::from) else { return };
    let location = Location { database: folder.join("twofa.db"), key: folder.join("secret.key") };
    let owner = Owner { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
    let store = Store::create(location, owner).unwrap();
    rules(&store);
    providers(&store);
    alice(&store);
    bob(&store);
    carol(&store);
    dave(&store);
    others(&store);
    sends(&store);
}
