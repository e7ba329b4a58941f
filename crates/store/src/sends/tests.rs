use super::*;
use crate::testing::{Bench, alice, bob, origin};
use crate::{Counted, SmsCount, Tally};
use std::sync::Barrier;

const A: &str = "alice@example.org";

fn limited(bench: &Bench, limits: [(&str, &str); 3]) -> Store {
    let store = bench.create();
    // What is not verified has limits that would be met first.
    let others = [
        "send.unverified-hourly",
        "send.unverified-daily",
        "send.sms-daily",
    ]
    .map(|key| (key, "1000000"));
    store
        .change_policy(limits.into_iter().chain(others), &origin(), bench.now)
        .unwrap();
    store
}

fn limits<'a>(user: &'a str, address: &'a str, machine: &'a str) -> [(&'a str, &'a str); 3] {
    [
        ("send.user-hourly", user),
        ("send.address-daily", address),
        ("send.machine-hourly", machine),
    ]
}

fn too_many(what: SendLimit, next: Timestamp) -> SendStart {
    SendStart::TooMany { what, next }
}

fn waiting(store: &Store) -> i64 {
    Bench::number(store, "SELECT count(*) FROM send")
}

#[test]
fn a_code_that_was_not_typed_is_expected_for_a_while_where_it_was_requested() {
    let bench = Bench::new();
    let store = bench.create();
    bench.verify(&store, &alice(), Channel::Email, A);
    let awaited = |origin: &Origin, after| {
        store
            .code_is_awaited(&alice(), origin, 30, bench.now.after(after))
            .unwrap()
    };
    assert_eq!(awaited(&origin(), 0), None);
    store
        .begin_code(Channel::Email, &alice(), A, &origin(), bench.now)
        .unwrap();
    assert_eq!(awaited(&origin(), 29), Some(bench.now.after(30)));
    assert_eq!(awaited(&origin(), 30), None);
    let elsewhere = Origin::command_line(1000);
    assert_eq!(awaited(&elsewhere, 1), None);
    let counted = store
        .count_attempt(&alice(), Tally::Proved, &origin(), bench.now)
        .unwrap();
    let Counted::Attempt(attempt, _) = counted else {
        panic!("{counted:?}")
    };
    store
        .use_confirming_code(attempt, Channel::Email, A, bench.now)
        .unwrap();
    assert_eq!(awaited(&origin(), 1), None, "it was typed");
    store
        .begin_code(Channel::Email, &alice(), A, &origin(), bench.now)
        .unwrap();
    bench.verify(&store, &alice(), Channel::Email, A);
    assert_eq!(awaited(&origin(), 1), None, "it was typed to enrol");
}

#[test]
fn codes_of_one_user_are_limited_in_a_rolling_hour() {
    let bench = Bench::new();
    let store = limited(&bench, limits("2", "100", "100"));
    let send = |after, address| {
        store
            .begin_send(
                SendKind::Code(Channel::Email),
                &alice(),
                address,
                bench.now.after(after),
            )
            .unwrap()
    };
    assert_eq!(send(0, A), SendStart::Allowed);
    assert_eq!(send(600, "+4930123456"), SendStart::Allowed);
    assert_eq!(
        send(601, A),
        too_many(SendLimit::User, bench.now.after(3_600))
    );
    assert_eq!(
        send(3_599, A),
        too_many(SendLimit::User, bench.now.after(3_600))
    );
    assert_eq!(send(3_600, A), SendStart::Allowed);
    assert_eq!(
        send(3_600, A),
        too_many(SendLimit::User, bench.now.after(4_200))
    );
    // Another user is not held up, nor another with the same name.
    for other in [
        bob(),
        Account {
            uid: 2000,
            ..alice()
        },
    ] {
        assert_eq!(
            store
                .begin_send(
                    SendKind::Code(Channel::Email),
                    &other,
                    A,
                    bench.now.after(3_600)
                )
                .unwrap(),
            SendStart::Allowed
        );
    }
}

#[test]
fn asking_for_codes_to_an_address_of_somebody_else_takes_none_of_its_owners_codes() {
    let bench = Bench::new();
    let store = limited(&bench, limits("100", "2", "100"));
    bench.verify(&store, &alice(), Channel::Email, A);
    let send = |account: &Account| {
        store
            .begin_send(SendKind::Code(Channel::Email), account, A, bench.now)
            .unwrap()
    };
    assert_eq!([send(&bob()), send(&bob())], [SendStart::Allowed; 2]);
    assert_eq!(
        send(&bob()),
        too_many(SendLimit::Address, bench.now.after(86_400))
    );
    assert_eq!([send(&alice()), send(&alice())], [SendStart::Allowed; 2]);
    assert_eq!(
        send(&alice()),
        too_many(SendLimit::Address, bench.now.after(86_400))
    );
}

#[test]
fn codes_to_one_address_are_limited_in_a_day_for_all_users_and_spellings() {
    let bench = Bench::new();
    let store = limited(&bench, limits("100", "2", "100"));
    let send = |account: &Account, address, after| {
        store
            .begin_send(
                SendKind::Code(Channel::Email),
                account,
                address,
                bench.now.after(after),
            )
            .unwrap()
    };
    assert_eq!(send(&alice(), A, 0), SendStart::Allowed);
    assert_eq!(send(&bob(), "Alice@EXAMPLE.org", 10), SendStart::Allowed);
    for account in [alice(), bob()] {
        assert_eq!(
            send(&account, A, 86_399),
            too_many(SendLimit::Address, bench.now.after(86_400))
        );
        assert_eq!(send(&account, "other@example.org", 20), SendStart::Allowed);
    }
}

#[test]
fn codes_of_the_machine_are_limited_in_an_hour() {
    let bench = Bench::new();
    let store = limited(&bench, limits("100", "100", "3"));
    for i in 0..3 {
        let account = Account {
            name: format!("user{i}"),
            uid: 1000 + i,
        };
        let start = store.begin_send(
            SendKind::Code(Channel::Email),
            &account,
            &format!("{i}@example.org"),
            bench.now.after(u64::from(i)),
        );
        assert_eq!(start.unwrap(), SendStart::Allowed);
    }
    let next = |after| {
        store
            .begin_send(
                SendKind::Code(Channel::Email),
                &bob(),
                A,
                bench.now.after(after),
            )
            .unwrap()
    };
    assert_eq!(
        next(3),
        too_many(SendLimit::Machine, bench.now.after(3_600))
    );
    assert_eq!(next(3_600), SendStart::Allowed);
    assert_eq!(
        next(3_600),
        too_many(SendLimit::Machine, bench.now.after(3_601))
    );
}

#[test]
fn of_several_limits_the_one_that_holds_longest_is_reported() {
    let bench = Bench::new();
    let store = limited(&bench, limits("1", "1", "1"));
    let send = |address| {
        store
            .begin_send(SendKind::Code(Channel::Email), &alice(), address, bench.now)
            .unwrap()
    };
    assert_eq!(send(A), SendStart::Allowed);
    assert_eq!(
        send(A),
        too_many(SendLimit::Address, bench.now.after(86_400))
    );
    assert!(
        matches!(send("other@example.org"), SendStart::TooMany { next, .. } if next == bench.now.after(3_600))
    );
}

#[test]
fn what_is_refused_does_not_count() {
    let bench = Bench::new();
    let store = limited(&bench, limits("1", "100", "100"));
    for after in [0, 1, 3_599] {
        store
            .begin_send(
                SendKind::Code(Channel::Email),
                &alice(),
                A,
                bench.now.after(after),
            )
            .unwrap();
    }
    assert_eq!(waiting(&store), 1);
    assert_eq!(
        store
            .begin_send(
                SendKind::Code(Channel::Email),
                &alice(),
                A,
                bench.now.after(3_600)
            )
            .unwrap(),
        SendStart::Allowed
    );
}

#[test]
fn of_64_sends_at_once_as_many_succeed_as_the_limit_allows() {
    for limit in [
        limits("10", "1000", "1000"),
        limits("1000", "10", "1000"),
        limits("1000", "1000", "10"),
    ] {
        let bench = Bench::new();
        let stores = [
            limited(&bench, limit),
            Store::open(bench.location.clone()).unwrap(),
        ];
        let start = Barrier::new(64);
        let racer = |i: usize| {
            start.wait();
            stores[i % 2]
                .begin_send(SendKind::Code(Channel::Email), &alice(), A, bench.now)
                .unwrap()
                == SendStart::Allowed
        };
        let allowed = std::thread::scope(|scope| {
            let racer = &racer;
            let racers: Vec<_> = (0..64).map(|i| scope.spawn(move || racer(i))).collect();
            racers
                .into_iter()
                .map(|racer| racer.join().unwrap())
                .filter(|allowed| *allowed)
                .count()
        });
        assert_eq!(allowed, 10, "{limit:?}");
    }
}

#[test]
fn a_clock_that_went_back_neither_lifts_a_limit_nor_extends_one() {
    let bench = Bench::on_file();
    let store = limited(&bench, limits("2", "100", "100"));
    let send = |now| {
        store
            .begin_send(SendKind::Code(Channel::Email), &alice(), A, now)
            .unwrap()
    };
    // Once while the clock was right, once while it was ten years ahead.
    send(bench.now);
    let ahead = bench.now.after(10 * 365 * 86_400);
    assert_eq!(send(ahead), SendStart::Allowed);
    assert_eq!(send(ahead), SendStart::Allowed);
    let back = bench.now.after(60);
    assert_eq!(send(back), too_many(SendLimit::User, back.after(3_600)));
    assert_eq!(send(back.after(3_600)), SendStart::Allowed);
    // And a second or two.
    send(back.after(3_600));
    assert_eq!(
        send(back.after(3_598)),
        too_many(SendLimit::User, back.after(3_598 + 3_600))
    );
}

#[test]
fn sends_that_no_limit_counts_are_removed_a_few_at_a_time() {
    let bench = Bench::new();
    let store = limited(&bench, limits("1000", "1000", "1000"));
    for i in 0..200 {
        store
            .begin_send(
                SendKind::Code(Channel::Email),
                &alice(),
                A,
                bench.now.after(i),
            )
            .unwrap();
    }
    let later = bench.now.after(86_400 + 99);
    store
        .begin_send(SendKind::Code(Channel::Email), &alice(), A, later)
        .unwrap();
    assert_eq!(waiting(&store), 200 - 64 + 1);
    for _ in 0..3 {
        store
            .begin_send(SendKind::Code(Channel::Email), &alice(), A, later)
            .unwrap();
    }
    assert_eq!(
        waiting(&store),
        100 + 4,
        "the last hundred are younger than a day"
    );
}

#[test]
fn notices_take_nothing_from_codes() {
    let bench = Bench::new();
    let store = limited(&bench, limits("1", "1", "100"));
    let send = |what| store.begin_send(what, &alice(), A, bench.now).unwrap();
    assert_eq!(send(SendKind::Notice), SendStart::Allowed);
    assert_eq!(
        send(SendKind::Notice),
        too_many(SendLimit::Address, bench.now.after(86_400))
    );
    assert_eq!(send(SendKind::Code(Channel::Email)), SendStart::Allowed);
}

#[test]
fn a_limit_does_not_need_a_record() {
    let bench = Bench::new();
    let store = bench.create();
    assert_eq!(
        store
            .begin_send(SendKind::Code(Channel::Email), &alice(), A, bench.now)
            .unwrap(),
        SendStart::Allowed
    );
    assert!(!store.knows(&alice()).unwrap());
}

const CODE: SendKind = SendKind::Code(Channel::Sms);

fn somebody(uid: u32) -> Account {
    Account {
        name: format!("user{uid}"),
        uid,
    }
}

#[test]
fn until_an_address_is_verified_few_codes_go_to_it_and_none_of_them_counts_afterwards() {
    let bench = Bench::new();
    let store = bench.create();
    let send = |kind, address: &str, after| {
        store
            .begin_send(kind, &alice(), address, bench.now.after(after))
            .unwrap()
    };
    // By whatever way, and to however many addresses.
    let mail = SendKind::Code(Channel::Email);
    assert_eq!(
        [
            send(mail, A, 0),
            send(CODE, "+4915112345678", 1),
            send(SendKind::TextIn, "text-in", 2)
        ],
        [SendStart::Allowed; 3]
    );
    for (kind, address) in [
        (mail, A),
        (CODE, "+4915187654321"),
        (SendKind::TextIn, "text-in"),
    ] {
        let hour = bench.now.after(3_600);
        assert_eq!(
            send(kind, address, 3),
            too_many(SendLimit::Unverified, hour)
        );
    }
    assert_eq!(
        [send(mail, A, 3_600), send(mail, A, 3_601)],
        [SendStart::Allowed; 2]
    );
    assert_eq!(
        send(mail, A, 9_000),
        too_many(SendLimit::Unverified, bench.now.after(86_400))
    );
    // Neither another user nor a notice is held up, nor a code to an address that is verified.
    assert_eq!(
        store
            .begin_send(mail, &bob(), A, bench.now.after(9_000))
            .unwrap(),
        SendStart::Allowed
    );
    assert_eq!(
        send(SendKind::Notice, "+4915112345678", 9_000),
        SendStart::Allowed
    );
    bench.verify(&store, &alice(), Channel::Email, A);
    for _ in 0..10 {
        assert_eq!(send(mail, A, 9_000), SendStart::Allowed);
    }
}

#[test]
fn text_messages_to_numbers_that_are_not_verified_leave_the_most_to_those_that_are() {
    let bench = Bench::new();
    let store = bench.create();
    store
        .change_policy([("send.sms-daily", "10")], &origin(), bench.now)
        .unwrap();
    bench.verify(&store, &alice(), Channel::Sms, "+4915112345678");
    let send = |account: &Account, after| {
        store
            .begin_send(CODE, account, "+4915112345678", bench.now.after(after))
            .unwrap()
    };
    assert_eq!(
        [send(&somebody(1), 0), send(&somebody(2), 0)],
        [SendStart::Allowed; 2]
    );
    let tomorrow = bench.now.after(86_400);
    assert_eq!(
        send(&somebody(3), 1),
        too_many(SendLimit::UnverifiedSms, tomorrow)
    );
    for _ in 0..8 {
        assert_eq!(send(&alice(), 1), SendStart::Allowed);
    }
    assert_eq!(send(&alice(), 2), too_many(SendLimit::Sms, tomorrow));
    // Mail costs nothing, and notices have limits of their own.
    let mail = store.begin_send(
        SendKind::Code(Channel::Email),
        &alice(),
        A,
        bench.now.after(2),
    );
    assert_eq!(mail.unwrap(), SendStart::Allowed);
    let notice = store.begin_send(
        SendKind::Notice,
        &alice(),
        "+4915112345678",
        bench.now.after(2),
    );
    assert_eq!(notice.unwrap(), SendStart::Allowed);
    let count = SmsCount {
        all: 10,
        unverified: 2,
    };
    assert_eq!(store.sms_count(bench.now.after(2)).unwrap(), count);
    assert_eq!(
        store.sms_count(tomorrow).unwrap(),
        SmsCount {
            all: 8,
            unverified: 0
        }
    );
    assert_eq!(send(&alice(), 86_400), SendStart::Allowed);
}

#[test]
fn notices_and_codes_take_nothing_of_the_machines_limit_from_each_other() {
    let bench = Bench::new();
    let store = limited(&bench, limits("100", "100", "1"));
    for what in [SendKind::Notice, SendKind::Code(Channel::Email)] {
        assert_eq!(
            store.begin_send(what, &alice(), A, bench.now).unwrap(),
            SendStart::Allowed
        );
        let start = store.begin_send(what, &alice(), A, bench.now).unwrap();
        assert_eq!(start, too_many(SendLimit::Machine, bench.now.after(3_600)));
    }
}
