//! A store that an earlier twofa made opens with everything that is in it.
//!
//! `data/schema-8` was made by the twofa of commit da40845; `made_by.rs` beside it shows what it holds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects by failing"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;
use twofa_core::app::{Algorithm, OtpKind, Parameters};
use twofa_core::exemption::Subject;
use twofa_core::user::{Contact, Verify};
use twofa_core::{Account, BackupCode, Channel, Lock, Method, Timestamp, User};
use twofa_store::event::{LoginOrigin, NoticeSource, Record};
use twofa_store::{
    Counted, Event, EventFilter, Location, LoggedEvent, Notice, Origin, SendKind, SendLimit,
    SendStart, SmsCount, Store, Tally, Value,
};

const EMAIL: Channel = Channel::Email;
const PHONE: Channel = Channel::Sms;

struct Old {
    location: Location,
    _folder: TempDir,
}

impl Old {
    /// A copy, with the modes that the files of a store have.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schema-8");
        let copy = |name: &str| {
            let path = folder.path().join(name);
            fs::copy(data.join(name), &path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let location = Location {
            database: copy("twofa.db"),
            key: copy("secret.key"),
            server: folder.path().join("database"),
            ..Location::default()
        };
        Self {
            location,
            _folder: folder,
        }
    }

    fn open(&self) -> Store {
        Store::open(self.location.clone()).unwrap()
    }

    /// How many rows each table has, by its name; `providers`: that of the channels' providers, which has another name now.
    fn rows(&self, providers: &str) -> Vec<i64> {
        let db = Connection::open(&self.location.database).unwrap();
        let tables = [
            "app",
            "backup_code",
            "backup_set",
            "class",
            "class_setting",
            "event",
            "exemption",
            providers,
            "notice",
            "pending_app",
            "provider",
            "provider_setting",
            "send",
            "setting",
            "sms_alarm",
            "unproved",
            "unproved_change",
            "user",
        ];
        tables
            .into_iter()
            .map(|table| {
                let sql = format!("SELECT count(*) FROM {table}");
                db.query_one(&sql, [], |row| row.get(0)).unwrap()
            })
            .collect()
    }
}

fn account(name: &str, uid: u32) -> Account {
    Account {
        name: name.into(),
        uid,
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000).after(seconds)
}

fn user(store: &Store, name: &str, uid: u32) -> User {
    store.snapshot(&account(name, uid)).unwrap().user
}

fn contact(address: &str, verified: bool, by_owner: bool) -> Contact {
    Contact {
        address: address.into(),
        verified,
        by_owner,
    }
}

fn events(store: &Store) -> Vec<LoggedEvent> {
    let mut events = Vec::new();
    let each = |event| {
        events.push(event);
        true
    };
    store.events(&EventFilter::default(), each).unwrap();
    events
}

#[test]
fn no_row_is_lost_and_no_number_given_out_again() {
    let old = Old::new();
    let before = old.rows("method_provider");
    drop(old.open());
    assert_eq!(old.rows("channel_provider"), before);
    let db = Connection::open(&old.location.database).unwrap();
    let next = |table: &str| -> i64 {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
        db.query_one(sql, [table], |row| row.get(0)).unwrap()
    };
    assert_eq!(
        ["app", "exemption", "notice", "provider", "user"].map(next),
        [3, 3, 13, 4, 6]
    );
    let broken: i64 = db
        .query_one("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(broken, 0);
}

#[test]
fn users_keep_their_methods_and_settings() {
    let old = Old::new();
    let store = old.open();

    let alice = user(&store, "alice", 1000);
    assert_eq!(
        (alice.verify, alice.preferred),
        (Verify::Always, Some(Method::App))
    );
    assert_eq!(
        alice.contacts[Channel::Email],
        Some(contact("Alice@example.com", true, false))
    );
    assert_eq!(
        alice.contacts[Channel::Sms],
        Some(contact("+4930123456", false, true))
    );
    let apps: Vec<_> = alice
        .apps
        .iter()
        .map(|app| {
            (
                app.label.as_str(),
                app.app.parameters,
                app.app.key.expose()[0],
                app.app.used,
            )
        })
        .collect();
    let totp = Parameters::new(OtpKind::Time { period: 60 }, Algorithm::Sha512, 8).unwrap();
    let hotp = Parameters::new(OtpKind::Counter, Algorithm::Sha1, 6).unwrap();
    assert_eq!(
        apps,
        [
            ("dad's phone', old", totp, 1, Some(30_000_000)),
            ("token", hotp, 2, Some(7))
        ]
    );
    let codes = alice.backup.unwrap();
    let is_unused = |n| codes.find(&BackupCode::from_random([n; 10])).unwrap();
    assert_eq!(codes.unused.len(), 4);
    assert!(is_unused(20).is_none() && is_unused(24).is_some());
}

#[test]
fn users_keep_their_addresses_requirements_and_failures() {
    let old = Old::new();
    let store = old.open();

    let bob = user(&store, "bob", 1001);
    assert_eq!(
        bob.contacts[Channel::Email],
        Some(contact("bob@example.org", false, false))
    );
    assert_eq!(
        bob.contacts[Channel::Sms],
        Some(contact("+4915112345678", true, false))
    );
    let missed = store.snapshot(&account("bob", 1001)).unwrap().missed;
    let missed = missed.unwrap();
    assert_eq!(
        (missed.count, missed.last_from.as_deref()),
        (2, Some("/dev/tty2"))
    );

    assert!(user(&store, "carol", 1002).required);
    let dave = user(&store, "dave", 1003);
    assert_eq!(dave.throttle.failures(), 5);
    assert_eq!(dave.throttle.lock(at(63)), Some(Lock::Until(at(962))));
    let erin = user(&store, "erin", 1004);
    assert!(
        erin.required
            && erin.contacts[Channel::Email] == Some(contact("erin@example.org", false, false))
    );
    assert!(!store.knows(&account("mallory", 1005)).unwrap());
}

#[test]
fn attempts_of_unproved_logins_still_count_separately() {
    let old = Old::new();
    let store = old.open();
    let dave = account("dave", 1003);
    store.unlock(&dave, &by_root(), at(100)).unwrap();
    // Five of the account's own and three of strangers.
    let unlocked = Event::Unlocked { failures: 8 };
    let record = events(&store).pop().unwrap().record;
    assert_eq!(record, Record::Event(Box::new(unlocked)));
    let counted = store.count_attempt(&dave, Tally::Unproved, &by_root(), at(101));
    assert!(matches!(counted, Ok(Counted::Attempt(..))));
}

#[test]
fn a_key_that_was_shown_before_the_upgrade_is_shown_again_where_it_was() {
    let old = Old::new();
    let store = old.open();
    let login = LoginOrigin {
        service: Some("su".into()),
        remote_user: Some("bob".into()),
        terminal: Some("/dev/tty2".into()),
        ..LoginOrigin::default()
    };
    let console = Origin::login(0, login);
    let pending = |origin| {
        let carol = account("carol", 1002);
        store
            .pending_app(&carol, Parameters::default(), origin, at(60))
            .unwrap()
    };
    assert_eq!(pending(&console).unwrap().key.expose(), [9; 20]);
    assert!(pending(&by_root()).is_none());
}

#[test]
fn policy_classes_and_exemptions_are_those_that_were_set() {
    let old = Old::new();
    let store = old.open();
    let rules = store.rules_in_force().unwrap();
    let machine = rules.rulebook.machine();
    assert_eq!(
        (machine.mode.name(), machine.application_name.as_deref()),
        ("mandatory", Some("vault"))
    );
    let classes: Vec<_> = rules
        .rulebook
        .classes()
        .iter()
        .map(|class| (class.name.as_str(), class.group.gid, class.settings.len()))
        .collect();
    assert_eq!(classes, [("admins", Some(27), 2), ("robots", None, 1)]);
    let [bob, robots] = rules.exemptions.as_slice() else {
        panic!("{:?}", rules.exemptions)
    };
    assert_eq!(bob.exemption.subject, Subject::User(account("bob", 1001)));
    assert_eq!(bob.exemption.until, Some(at(86_402)));
    assert!(bob.exemption.network.is_some() && bob.exemption.service.is_some());
    assert!(matches!(&robots.exemption.subject, Subject::Group(group) if group.gid == Some(987)));
    assert_eq!(robots.exemption.until, None);
}

#[test]
fn providers_keep_their_secrets_and_their_order() {
    let old = Old::new();
    let providers = old.open().providers().unwrap();
    assert_eq!(
        (
            providers.order[EMAIL].as_slice(),
            providers.order[PHONE].as_slice()
        ),
        (
            ["backup".to_owned(), "relay".to_owned()].as_slice(),
            ["texts".to_owned()].as_slice()
        )
    );
    let secret = |name| match &providers.find(name).unwrap().settings["password"] {
        Value::Secret(secret) => secret.as_str().to_owned(),
        Value::Plain(_) => panic!("{name} is not sealed"),
    };
    assert_eq!(
        ["relay", "backup", "texts"].map(secret),
        ["swordfish", "trout", "api-key"]
    );
    let relay = providers.find("relay").unwrap();
    assert_eq!(relay.title.as_deref(), Some("Our relay"));
    assert!(providers.broken.is_empty());
}

#[test]
fn what_was_sent_still_counts_and_a_code_is_still_awaited() {
    let old = Old::new();
    let store = old.open();
    let (alice, bob) = (account("alice", 1000), account("bob", 1001));
    let ssh = ssh();
    let awaited = store.code_is_awaited(&alice, &ssh, 30, at(91)).unwrap();
    assert_eq!(awaited, Some(at(120)));
    let count = SmsCount {
        all: 8,
        unverified: 0,
    };
    assert_eq!(store.sms_count(at(100)).unwrap(), count);
    assert_eq!(store.raise_sms_alarms(at(100)).unwrap(), []);
    let sms = SendKind::Code(PHONE);
    let send = || store.begin_send(sms, &bob, "+4915112345678", at(100));
    assert_eq!([send().unwrap(), send().unwrap()], [SendStart::Allowed; 2]);
    let refused = SendStart::TooMany {
        what: SendLimit::Sms,
        next: at(86_491),
    };
    assert_eq!(send().unwrap(), refused);
    let carol = account("carol", 1002);
    for _ in 2..10 {
        assert_eq!(store.begin_unproved_change(&carol, at(100)).unwrap(), None);
    }
    assert!(
        store
            .begin_unproved_change(&carol, at(100))
            .unwrap()
            .is_some()
    );
}

#[test]
fn notices_that_were_queued_are_still_sent() {
    let old = Old::new();
    let store = old.open();
    let mut notices = store.claim_notices(at(100), 100).unwrap();
    assert_eq!(notices.len(), 12, "one was tried and put off");
    notices.extend(store.claim_notices(at(160), 100).unwrap());
    assert_eq!(notices.len(), 13);
    let told = |id| -> &Notice { notices.iter().find(|notice| notice.id == id).unwrap() };
    let locked = told(5);
    assert_eq!(
        (&locked.account, locked.channel, locked.address.as_str()),
        (&account("dave", 1003), EMAIL, "dave@example.org")
    );
    assert_eq!(
        locked.record,
        text("Logins were locked after 5 wrong codes in a row.")
    );
    assert_eq!(locked.source, NoticeSource::Login(Some("192.0.2.7".into())));
    assert_eq!(
        (&told(4).record, &told(4).source),
        (
            &text("Logins no longer ask for a code, where nothing requires it."),
            &NoticeSource::CommandLine
        )
    );
    assert_eq!((told(1).tries, told(9).channel), (2, PHONE));
}

#[test]
fn the_log_reads_as_before() {
    let old = Old::new();
    let events = events(&old.open());
    assert_eq!(events.len(), 62);
    let event = |id: i64| events.iter().find(|event| event.id == id).unwrap();
    let refused = event(41);
    assert_eq!(
        (refused.kind.as_str(), refused.user.as_deref(), refused.at),
        ("refused", Some("bob"), at(44))
    );
    assert_eq!(refused.record, text("a code that was used already"));
    let login = refused.origin.as_login().unwrap();
    assert_eq!(login.remote_user.as_deref(), Some("bob"));
    assert_eq!(
        event(21).record,
        text("'dad's phone', old', TOTP SHA512, 8 digits, 60 s")
    );
    assert_eq!(event(21).origin, ssh());
    assert_eq!(event(33).record, text("verify is never"));
    assert_eq!(event(33).origin, Origin::command_line(1000));
    let without_detail = Record::Event(Box::new(Event::Required));
    assert_eq!(event(43).record, without_detail);
}

fn by_root() -> Origin {
    Origin::command_line(0)
}

fn ssh() -> Origin {
    let login = LoginOrigin {
        service: Some("sshd".into()),
        remote_host: Some("192.0.2.7".into()),
        remote_user: None,
        terminal: Some("ssh".into()),
    };
    Origin::login(0, login)
}

fn text(text: &str) -> Record {
    Record::Text(text.into())
}
