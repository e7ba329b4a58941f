use std::process::Command;

use super::*;
use crate::attempts::{CodeAttempt, CodeOutcome, CodeProof, Tally};
use crate::event::RefusalReason;
use crate::model::ticket::Settlement;
use crate::testing::{Bench, alice, app, bob, origin};
use crate::{Event, Generation, NewApp, Settings};
use twofa_core::app::{AppCodeOutcome, check_app_code};
use twofa_core::exemption::{Exemption, Subject};
use twofa_core::user::Verify;
use twofa_core::{BackupCode, BackupSet, Lock, PerChannel, Timestamp};

/// A machine that becomes a host.
struct Host {
    bench: Bench,
    store: Store,
    name: &'static str,
}

impl Host {
    fn new(name: &'static str) -> Self {
        let bench = Bench::on_file();
        let store = bench.create();
        Self { bench, store, name }
    }

    fn generation(&self, account: &Account) -> Generation {
        Bench::generation(&self.store, account)
    }

    fn enrol(&self, account: &Account, new: &NewApp) {
        let generation = self.generation(account);
        let now = self.bench.now;
        self.store
            .enrol_app(account, generation, new, &origin(), now)
            .unwrap();
    }

    fn directory(&self) -> std::path::PathBuf {
        self.bench.location.database.with_file_name("export")
    }

    fn export(&self) -> Export {
        Store::export(&self.bench.location, &self.directory(), self.name).unwrap();
        self.open()
    }

    fn open(&self) -> Export {
        Export::open(&self.directory(), None, self.bench.now).unwrap()
    }
}

#[test]
fn people_are_merged_in_few_round_trips_to_a_database() {
    const PEOPLE: u32 = 120;
    let fleet = Bench::new();
    let store = fleet.create();
    let host = Host::new("web1");
    for number in 0..PEOPLE {
        let account = Account {
            name: format!("user{number}"),
            uid: 5_000 + number,
        };
        host.enrol(&account, &app("phone"));
        let address = format!("user{number}@example.org");
        host.bench
            .verify(&host.store, &account, Channel::Email, &address);
        let codes = BackupSet::hash(&[BackupCode::from_random([1; 10])], [3; 16]).unwrap();
        let generation = host.generation(&account);
        let made = host.store.replace_backup_codes(
            &account,
            generation,
            &codes,
            &origin(),
            host.bench.now,
        );
        made.unwrap();
    }
    let mut exports = [host.export()];
    let standings = all_shared(&exports);
    let rules = MergeRules::default();
    let plan = store.plan_merge(&exports, &standings, rules).unwrap();
    let before = store.traffic();
    let merged = store.merge(&mut exports, &plan, rules, &origin(), fleet.now, |_| ());
    assert_eq!(merged.unwrap().people, 120);
    let after = store.traffic();
    let round_trips = after.round_trips - before.round_trips;
    let statements = after.statements - before.statements;
    assert!(
        round_trips < u64::from(PEOPLE) / 2,
        "{round_trips} round trips, {statements} statements"
    );
}

fn all_shared(exports: &[Export]) -> HashMap<Account, Standing> {
    let accounts = exports.iter().flat_map(Export::accounts);
    accounts
        .map(|account| (account.clone(), Standing::Shared(account.clone())))
        .collect()
}

fn merge(store: &Store, exports: &mut [Export], rules: MergeRules) -> MergePlan {
    let plan = store
        .plan_merge(exports, &all_shared(exports), rules)
        .unwrap();
    let now = Bench::on_file().now;
    let merged = store
        .merge(exports, &plan, rules, &origin(), now, |_| {})
        .unwrap();
    assert_eq!((merged.people, merged.apps), (plan.people(), plan.apps));
    plan
}

fn matters<'a>(plan: &'a MergePlan, account: &Account) -> Vec<&'a Matter> {
    let of_account = plan.findings.iter().filter(|it| it.account == *account);
    of_account.map(|it| &it.matter).collect()
}

/// The code that another program computes for `new` at `now`.
fn code(new: &NewApp, now: Timestamp) -> String {
    let output = Command::new("oathtool")
        .args(["--totp", "--base32", "--now", &format!("@{}", now.unix())])
        .arg(new.app.key.base32().as_str())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Whether `account` passes with `code`.
fn passes(
    store: &Store,
    account: &Account,
    code: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (known, origin) = (store.snapshot(account)?, origin());
    let attempt = CodeAttempt {
        account,
        tally: Tally::Proved,
        origin: &origin,
        known: &known,
        settlement: Settlement::Now(None),
    };
    let tried = store.try_code(attempt, now, |user| {
        match check_app_code(&user.apps, code, None, now) {
            AppCodeOutcome::Accepted { app, count } => Ok(CodeProof::App { app: app.id, count }),
            AppCodeOutcome::Refused { .. } => Err(RefusalReason::WrongCode),
        }
    })?;
    Ok(matches!(tried, CodeOutcome::Right(_)))
}

fn set(salt: u8) -> BackupSet {
    let code = BackupCode::from_random([salt; 10]);
    BackupSet::hash(&[code], [salt; 16]).unwrap()
}

#[test]
fn codes_of_the_apps_of_two_hosts_pass_once_where_they_were_merged_and_no_longer_on_the_hosts() {
    let (one, two) = (Host::new("web1"), Host::new("web2"));
    let (phone, tablet) = (app("phone"), app("phone"));
    one.enrol(&alice(), &phone);
    two.enrol(&alice(), &tablet);
    two.enrol(&bob(), &app("phone"));
    let now = one.bench.now;
    // A code that was used on a host before.
    let used = code(&phone, now);
    assert!(passes(&one.store, &alice(), &used, now).unwrap());

    let bench = Bench::new();
    let fleet = bench.create();
    let mut exports = [one.export(), two.export()];
    let plan = merge(&fleet, &mut exports, MergeRules::default());
    assert_eq!(plan.people(), 2);
    assert_eq!(matters(&plan, &alice()), [&Matter::SeveralApps { apps: 2 }]);
    assert_eq!(matters(&plan, &bob()), Vec::<&Matter>::new());

    let user = fleet.snapshot(&alice()).unwrap().user;
    let mut labels: Vec<_> = user.apps.iter().map(|app| app.label.as_str()).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["phone (web1)", "phone (web2)"]);
    assert!(
        !passes(&fleet, &alice(), &used, now).unwrap(),
        "it was used on the host"
    );
    for (new, host) in [(&phone, &one), (&tablet, &two)] {
        let later = now.after(60);
        let code = code(new, later);
        passes(&host.store, &alice(), &code, later).unwrap_err();
        assert!(passes(&fleet, &alice(), &code, later).unwrap());
        assert!(!passes(&fleet, &alice(), &code, later).unwrap());
    }
    let merged = Event::UserMerged {
        from: vec!["web1".into(), "web2".into()],
        apps: 2,
    };
    assert!(Bench::log(&fleet).contains(&merged));
}

#[test]
fn merging_again_changes_nothing_whether_the_export_has_noted_it_or_not() {
    let host = Host::new("web1");
    host.enrol(&alice(), &app("phone"));
    let codes = set(7);
    let generation = host.generation(&alice());
    let now = host.bench.now;
    host.store
        .replace_backup_codes(&alice(), generation, &codes, &origin(), now)
        .unwrap();
    let bench = Bench::new();
    let fleet = bench.create();
    let mut exports = [host.export()];
    merge(&fleet, &mut exports, MergeRules::default());
    Bench::execute(&fleet, "DELETE FROM backup_code");

    // As if the process had been killed before it could note what it had done.
    merge(&fleet, &mut exports, MergeRules::default());
    let after = fleet.snapshot(&alice()).unwrap().user;
    assert_eq!(after.apps.len(), 1);
    assert_eq!(
        after.backup.unwrap().unused.len(),
        0,
        "a used code stays used"
    );
    drop(exports);
    let export = host.open();
    assert_eq!((export.accounts().count(), export.merged), (0, 1));
}

#[test]
fn an_export_is_merged_into_one_store_only() {
    let host = Host::new("web1");
    host.enrol(&alice(), &app("phone"));
    let (here, elsewhere) = (Bench::new(), Bench::on_file());
    let mut exports = [host.export()];
    merge(&here.create(), &mut exports, MergeRules::default());
    let store = elsewhere.create();
    let rules = MergeRules::default();
    let plan = store.plan_merge(&exports, &all_shared(&exports), rules);
    let merged = store.merge(
        &mut exports,
        &plan.unwrap(),
        rules,
        &origin(),
        here.now,
        |_| {},
    );
    assert!(
        matches!(merged, Err(StoreError::MergedElsewhere(_))),
        "{merged:?}"
    );
    assert!(!store.knows(&alice()).unwrap());
}

#[test]
fn root_and_accounts_that_are_not_known_or_somebody_else_s_are_left_out() {
    let account = |name: &str, uid| Account {
        name: name.into(),
        uid,
    };
    let (one, two) = (Host::new("web1"), Host::new("web2"));
    let bench = Bench::new();
    let fleet = bench.create();
    bench.enrol(&fleet, &account("carol", 1003), "phone");
    let people = [
        (account("root", 0), Matter::Own),
        (account("own", 1500), Matter::Own),
        (account("stranger", 1600), Matter::Unknown),
        (account("carol", 2003), Matter::OtherUid { uid: 1003 }),
        (
            account("caroline", 1003),
            Matter::UidOfAnother {
                name: "carol".into(),
            },
        ),
        (account("dave", 1004), Matter::OtherUid { uid: 1005 }),
        (account("erin", 1006), Matter::OtherUid { uid: 7 }),
    ];
    for (account, _) in &people {
        one.enrol(account, &app("phone"));
    }
    two.enrol(&account("dave", 1005), &app("phone"));
    let exports = [one.export(), two.export()];
    let mut standings = all_shared(&exports);
    standings.insert(account("own", 1500), Standing::Own);
    standings.insert(account("stranger", 1600), Standing::Unknown);
    standings.insert(account("erin", 1006), Standing::OtherUid(7));
    let plan = fleet
        .plan_merge(&exports, &standings, MergeRules::default())
        .unwrap();
    assert_eq!(plan.people(), 0);
    for (account, matter) in &people {
        assert_eq!(matters(&plan, account), [matter], "{}", account.name);
        assert!(matter.leaves_out());
    }
}

#[test]
fn the_same_entry_is_kept_once_with_the_highest_step_and_nobody_has_more_than_ten() {
    let (one, two) = (Host::new("web1"), Host::new("web2"));
    let shared = app("phone");
    let with = |used| {
        let mut new = shared.clone();
        new.app.used = used;
        new
    };
    one.enrol(&alice(), &with(Some(60_000_001)));
    two.enrol(&alice(), &with(Some(60_000_000)));
    let bench = Bench::new();
    let fleet = bench.create();
    // The fleet has it too.
    let generation = Bench::generation(&fleet, &bob());
    fleet
        .enrol_app(&bob(), generation, &with(None), &origin(), bench.now)
        .unwrap();
    two.enrol(&bob(), &with(Some(60_000_002)));
    for number in 0..10 {
        one.enrol(&bob(), &app(&format!("app {number}")));
    }
    let plan = merge(
        &fleet,
        &mut [one.export(), two.export()],
        MergeRules::default(),
    );
    assert_eq!(matters(&plan, &alice()), [&Matter::SameApp { apps: 1 }]);
    let used = |account: &Account| {
        let apps = fleet.snapshot(account).unwrap().user.apps;
        (apps.len(), apps[0].app.used)
    };
    assert_eq!(used(&alice()), (1, Some(60_000_001)));
    assert_eq!(used(&bob()), (10, Some(60_000_002)));
    assert!(matters(&plan, &bob()).contains(&&Matter::TooManyApps { apps: 1 }));
}

#[test]
fn one_address_and_one_set_of_backup_codes_are_kept_by_the_rule_that_was_chosen() {
    let (channel, rules) = (Channel::Email, MergeRules::default());
    let kept = |rules: MergeRules| {
        let (one, two) = (Host::new("web1"), Host::new("web2"));
        let phone = app("phone");
        for (host, address, salt) in [(&one, "a@example.org", 1), (&two, "b@example.org", 2)] {
            host.enrol(&alice(), &phone);
            host.bench.verify(&host.store, &alice(), channel, address);
            let generation = host.generation(&alice());
            host.store
                .replace_backup_codes(&alice(), generation, &set(salt), &origin(), host.bench.now)
                .unwrap();
        }
        // She logged in last at the second.
        let later = two.bench.now.after(60);
        assert!(passes(&two.store, &alice(), &code(&phone, later), later).unwrap());
        let bench = Bench::new();
        let fleet = bench.create();
        let plan = merge(&fleet, &mut [one.export(), two.export()], rules);
        let user = fleet.snapshot(&alice()).unwrap().user;
        let address = user.contacts[channel].as_ref().map(|it| it.address.clone());
        let of = user.backup.map(|set| set.salt[0]);
        let told = matters(&plan, &alice()).len();
        assert_eq!(told, 3, "{:?}", plan.findings);
        (address, of)
    };
    let address = |address: &str| Some(address.to_owned());
    assert_eq!(kept(rules), (address("b@example.org"), Some(2)));
    let first = MergeRules {
        addresses: Choice::First,
        backup_codes: Choice::None,
        ..rules
    };
    assert_eq!(kept(first), (address("a@example.org"), None));
}

#[test]
fn an_address_that_another_person_has_is_left_out_and_who_has_nothing_else_must_set_up_a_method() {
    let (one, two) = (Host::new("web1"), Host::new("web2"));
    let bench = Bench::new();
    let fleet = bench.create();
    fleet
        .change_policy([("addresses.unique", "on")], &origin(), bench.now)
        .unwrap();
    bench.verify(&fleet, &bob(), Channel::Email, "Team@example.org");
    one.bench
        .verify(&one.store, &alice(), Channel::Email, "team@example.org");
    two.bench
        .verify(&two.store, &alice(), Channel::Email, "team@example.org");
    let plan = merge(
        &fleet,
        &mut [one.export(), two.export()],
        MergeRules::default(),
    );
    let channel = Channel::Email;
    assert_eq!(
        matters(&plan, &alice()),
        [
            &Matter::AddressOfAnother {
                channel,
                left_out: true
            },
            &Matter::NothingLeft
        ]
    );
    let user = fleet.snapshot(&alice()).unwrap().user;
    assert!(user.required && user.contacts[channel].is_none());
}

#[test]
fn the_stricter_lock_and_setting_holds_and_nothing_lets_more_people_in() {
    let (one, two) = (Host::new("web1"), Host::new("web2"));
    let now = one.bench.now;
    one.enrol(&alice(), &app("phone"));
    two.enrol(&alice(), &app("phone"));
    for _ in 0..12 {
        assert!(!passes(&one.store, &alice(), "wrong", now).unwrap());
    }
    let settings = Settings {
        verify: Some(Verify::Never),
        addresses: PerChannel::default(),
        ..Settings::default()
    };
    let generation = two.generation(&alice());
    two.store
        .set_user(&alice(), generation, &settings, &origin(), now)
        .unwrap();
    let exemption = Exemption {
        subject: Subject::User(alice()),
        network: None,
        service: None,
        reason: "travels".into(),
        granted_by: 0,
        granted_at: now,
        until: None,
    };
    two.store.grant(&exemption, &origin(), now).unwrap();
    let lock = one
        .store
        .snapshot(&alice())
        .unwrap()
        .user
        .throttle
        .lock(now);
    assert!(matches!(lock, Some(Lock::Until(_))), "{lock:?}");

    let bench = Bench::new();
    let fleet = bench.create();
    let mut exports = [one.export(), two.export()];
    let plan = merge(&fleet, &mut exports, MergeRules::default());
    let snapshot = fleet.snapshot(&alice()).unwrap();
    assert_eq!(snapshot.user.throttle.lock(now), lock);
    assert_eq!(snapshot.user.verify, Verify::NewDevice);
    assert!(fleet.exemptions().unwrap().is_empty());
    assert!(matters(&plan, &alice()).contains(&&Matter::Exemptions {
        exemptions: 1,
        merged: false
    }));

    let with = MergeRules {
        exemptions: true,
        ..MergeRules::default()
    };
    merge(&fleet, &mut exports, with);
    merge(&fleet, &mut exports, with);
    let [granted] = fleet.exemptions().unwrap().try_into().unwrap();
    assert_eq!(granted.exemption.reason, "travels (web2)");
    assert_eq!(
        fleet.snapshot(&alice()).unwrap().user.throttle.lock(now),
        lock
    );
}

#[test]
fn who_is_here_keeps_everything_and_gets_the_rest() {
    let host = Host::new("web1");
    host.enrol(&alice(), &app("phone"));
    host.bench
        .verify(&host.store, &alice(), Channel::Email, "old@example.org");
    host.bench
        .verify(&host.store, &alice(), Channel::Sms, "+4930123456");
    let bench = Bench::new();
    let fleet = bench.create();
    bench.enrol(&fleet, &alice(), "phone");
    bench.verify(&fleet, &alice(), Channel::Email, "new@example.org");
    let before = Bench::generation(&fleet, &alice());
    merge(&fleet, &mut [host.export()], MergeRules::default());
    let user = fleet.snapshot(&alice()).unwrap().user;
    let address = |channel| {
        user.contacts[channel]
            .as_ref()
            .map(|it| it.address.as_str())
    };
    assert_eq!(
        (
            address(Channel::Email),
            address(Channel::Sms),
            user.apps.len()
        ),
        (Some("new@example.org"), Some("+4930123456"), 2)
    );
    // A change that was allowed before is not made after.
    assert_ne!(Bench::generation(&fleet, &alice()), before);
}

/// Measured in a release build: `cargo test --release -p twofa-store --lib thirty_hosts -- --ignored --nocapture`
#[test]
#[ignore = "only a release build says anything"]
fn thirty_hosts_with_a_thousand_people_each_are_merged_within_a_minute() {
    let bench = Bench::new();
    let fleet = bench.create();
    let hosts: Vec<_> = (0..30).map(|_| Host::new("web")).collect();
    for (number, host) in (0..).zip(&hosts) {
        let people = (0..1000).map(|person| {
            let uid = 10_000 + number * 700 + person;
            let account = Account {
                name: format!("user{uid}"),
                uid,
            };
            (account, app("phone"))
        });
        host.store.enrol_many(people, &origin(), bench.now).unwrap();
        Bench::execute(
            &host.store,
            "INSERT INTO backup_set SELECT id, zeroblob(16), 19456, 2 FROM user;
             WITH n (n) AS (VALUES (1), (2), (3), (4), (5))
             INSERT INTO backup_code SELECT id, randomblob(32) FROM user, n;
             UPDATE user SET email = name || '@example.org', email_verified = 1;",
        );
    }
    let begin = std::time::Instant::now();
    let mut exports: Vec<_> = hosts.iter().map(Host::export).collect();
    let exported = begin.elapsed();
    let begin = std::time::Instant::now();
    let plan = merge(&fleet, &mut exports, MergeRules::default());
    let (took, people) = (begin.elapsed(), plan.people());
    let figures = format!(
        "{people} people, {} apps: exported in {exported:?}, merged in {took:?}",
        plan.apps
    );
    std::io::Write::write_all(&mut std::io::stderr(), figures.as_bytes()).unwrap();
    assert!(took < std::time::Duration::from_secs(60), "{took:?}");
}
