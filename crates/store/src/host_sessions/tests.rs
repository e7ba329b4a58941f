use super::*;
use crate::conversations::NewConversation;
use crate::event::RefusalReason;
use crate::event::{Answering, FleetHost, LoginOrigin};
use crate::testing::{Bench, alice, origin};
use crate::{HostJoin, HostRights, NewHost};
use twofa_core::Method;

const WEB1: [u8; 32] = [1; 32];
const WEB2: [u8; 32] = [2; 32];

fn add_host(bench: &Bench, store: &Store, name: &str, key: [u8; 32]) {
    let new = NewHost {
        id: format!("id of {name}"),
        name: name.into(),
        rights: HostRights::default(),
        token: key,
    };
    store.add_host(&new, &origin(), bench.now).unwrap();
    let join = HostJoin {
        token: key,
        key,
        key_until: bench.now.after(86_400),
    };
    assert!(store.join_host(join, &origin(), bench.now).unwrap());
}

/// A server with two hosts.
fn server(bench: &Bench) -> Store {
    let store = bench.create();
    add_host(bench, &store, "web1", WEB1);
    add_host(bench, &store, "web2", WEB2);
    store
}

fn on(name: &str, key: [u8; 32], answering: Option<Answering>) -> Origin {
    let host = FleetHost::connected(name.into(), key).answering(answering);
    Origin::login(0, LoginOrigin::default()).on_host(host)
}

/// What the tests have on record of a login is its user's name.
fn read(login: &str) -> HostSessionLogin {
    HostSessionLogin {
        account: alice(),
        service: login.to_owned(),
        remote_host: Some("192.0.2.7".into()),
        remote_user: None,
        terminal: None,
    }
}

fn new<'a>(id: &'a [u8; 16], bench: &Bench) -> NewConversation<'a> {
    NewConversation {
        id,
        host: "id of web1",
        account: "alice",
        login: "sshd",
        state: "",
        reply: "[]",
        is_secret: false,
        until: bench.now.after(300),
    }
}

/// A login on web1 that waits for its first answer.
fn begin_login(bench: &Bench, store: &Store, id: [u8; 16]) {
    let begun = store.begin_conversation(new(&id, bench), &on("web1", WEB1, None), bench.now);
    assert!(begun.unwrap());
}

/// The answer to it was right, or wrong.
fn answer(bench: &Bench, store: &Store, id: [u8; 16], is_right: bool) {
    let answering = Answering {
        conversation: id,
        number: 1,
        hash: [0; 32],
        goes_on: false,
    };
    store
        .change(&on("web1", WEB1, Some(answering)), bench.now, |tx| {
            if is_right {
                tx.answer_is_right(Method::App)
            } else {
                tx.answer_is_wrong(RefusalReason::WrongCode)
            }
        })
        .unwrap();
}

fn pass(bench: &Bench, store: &Store, id: [u8; 16]) {
    begin_login(bench, store, id);
    answer(bench, store, id, true);
}

fn report(
    bench: &Bench,
    store: &Store,
    (name, key): (&str, [u8; 32]),
    report: &HostReport,
) -> Result<RefusedReport, StoreError> {
    store.take_host_report(
        &key,
        report,
        |login| Some(read(login)),
        &on(name, key, None),
        bench.now,
    )
}

fn begun(sessions: &[([u8; 16], i64)]) -> HostReport {
    HostReport {
        begun: sessions.to_vec(),
        ..HostReport::default()
    }
}

fn all() -> HostSessionFilter {
    HostSessionFilter::default()
}

const ON_WEB1: (&str, [u8; 32]) = ("web1", WEB1);
const ON_WEB2: (&str, [u8; 32]) = ("web2", WEB2);

#[test]
fn a_host_reports_only_sessions_of_logins_on_it_that_a_server_let_pass() {
    let bench = Bench::new();
    let store = server(&bench);
    let [passed, waits, wrong, unasked, never] = [[1; 16], [2; 16], [3; 16], [4; 16], [5; 16]];
    pass(&bench, &store, passed);
    begin_login(&bench, &store, waits);
    begin_login(&bench, &store, wrong);
    answer(&bench, &store, wrong, false);
    store
        .note_passed_conversation(new(&unasked, &bench), &on("web1", WEB1, None), bench.now)
        .unwrap();

    // Another host's, whatever it says of it.
    for session in [passed, unasked] {
        let refused = report(&bench, &store, ON_WEB2, &begun(&[(session, 7)])).unwrap();
        assert_eq!(refused.sessions, [session]);
    }
    let sessions = [
        (passed, 7),
        (waits, 8),
        (wrong, 9),
        (unasked, 10),
        (never, 11),
    ];
    let refused = report(&bench, &store, ON_WEB1, &begun(&sessions)).unwrap();
    assert_eq!(refused.sessions, [waits, wrong, never]);
    // A report that comes again changes nothing.
    let refused = report(&bench, &store, ON_WEB1, &begun(&[(passed, 12)])).unwrap();
    assert_eq!(refused, RefusedReport::default());

    let sessions = store.host_sessions(&all()).unwrap();
    let listed: Vec<_> = sessions
        .iter()
        .map(|session| (&*session.host, session.number, session.method.as_deref()))
        .collect();
    assert_eq!(listed, [("web1", 7, Some("app")), ("web1", 10, None)]);
    assert_eq!(sessions[0].login.account, alice());
    assert_eq!(sessions[0].login.service, "sshd");

    let ended = HostReport {
        ended: vec![passed],
        ..HostReport::default()
    };
    let refused = report(&bench, &store, ON_WEB2, &ended).unwrap();
    assert_eq!(refused.sessions, [passed]);
    assert_eq!(store.host_sessions(&all()).unwrap().len(), 2);
    report(&bench, &store, ON_WEB1, &ended).unwrap();
    assert_eq!(store.host_sessions(&all()).unwrap().len(), 1);
    let stranger = report(&bench, &store, ("web1", [9; 32]), &ended);
    assert!(matches!(stranger, Err(StoreError::HostRefused)));
}

/// Two logins on web1 have passed, and their sessions have the numbers 7 and 8 there.
fn two_sessions_on_web1(bench: &Bench, store: &Store) -> ([u8; 16], [u8; 16]) {
    let (first, second) = ([1; 16], [2; 16]);
    pass(bench, store, first);
    pass(bench, store, second);
    report(bench, store, ON_WEB1, &begun(&[(first, 7), (second, 8)])).unwrap();
    (first, second)
}

/// The order to end the session with the number 7 on web1.
fn order_to_end_7(bench: &Bench, store: &Store) -> HostOrder {
    let filter = HostSessionFilter {
        hosts: vec!["web1".into()],
        numbers: vec![7],
        ..all()
    };
    let orders = store.end_host_sessions(&filter, &origin(), bench.now);
    let [order] = <[_; 1]>::try_from(orders.unwrap()).unwrap();
    order
}

#[test]
fn an_order_is_made_for_the_sessions_that_are_meant_and_no_others() {
    let bench = Bench::new();
    let store = server(&bench);
    two_sessions_on_web1(&bench, &store);
    for nothing in [
        HostSessionFilter {
            user: Some("bob".into()),
            ..all()
        },
        HostSessionFilter {
            hosts: vec!["web2".into()],
            ..all()
        },
        HostSessionFilter {
            numbers: vec![9],
            ..all()
        },
    ] {
        let orders = store.end_host_sessions(&nothing, &origin(), bench.now);
        assert!(orders.unwrap().is_empty(), "{nothing:?}");
    }
    let order = order_to_end_7(&bench, &store);
    let numbers: Vec<_> = order
        .sessions
        .iter()
        .map(|session| session.number)
        .collect();
    assert_eq!(numbers, [7]);
    assert_eq!(order.confirmed_at, None);
}

#[test]
fn an_order_stays_until_its_host_confirms_it_and_no_other_host_can() {
    let bench = Bench::new();
    let store = server(&bench);
    let (first, _) = two_sessions_on_web1(&bench, &store);
    let order = order_to_end_7(&bench, &store).id;
    assert_eq!(
        store.open_host_orders().unwrap(),
        [("id of web1".into(), order)]
    );
    let told = |key| store.orders_of_host(&key, bench.now).unwrap().1;
    let expected = OrderForHost {
        id: order,
        conversations: vec![first],
    };
    assert_eq!(told(WEB1), [expected]);
    assert_eq!(told(WEB2), []);

    let done = HostReport {
        done: vec![order],
        ..HostReport::default()
    };
    let refused = report(&bench, &store, ON_WEB2, &done).unwrap();
    assert_eq!(refused.orders, [order]);
    assert_eq!(store.host_orders(&[order]).unwrap()[0].confirmed_at, None);
    for _ in 0..2 {
        let refused = report(&bench, &store, ON_WEB1, &done).unwrap();
        assert_eq!(refused, RefusedReport::default());
    }
    let confirmed = store.host_orders(&[order]).unwrap()[0].confirmed_at;
    assert_eq!(confirmed, Some(bench.now));
    assert!(store.open_host_orders().unwrap().is_empty() && told(WEB1).is_empty());
    let left = store.host_sessions(&all()).unwrap();
    assert_eq!(left.iter().map(|it| it.number).collect::<Vec<_>>(), [8]);
    let log = Bench::log(&store);
    let count = |is: fn(&Event) -> bool| log.iter().filter(|event| is(event)).count();
    assert_eq!(
        count(|event| matches!(event, Event::SessionEndAsked { .. })),
        1
    );
    assert_eq!(
        count(|event| matches!(event, Event::SessionEnded { .. })),
        1
    );
}

#[test]
fn with_a_host_its_sessions_and_orders_are_gone() {
    let bench = Bench::new();
    let store = server(&bench);
    pass(&bench, &store, [1; 16]);
    report(&bench, &store, ON_WEB1, &begun(&[([1; 16], 7)])).unwrap();
    let orders = store
        .end_host_sessions(&all(), &origin(), bench.now)
        .unwrap();
    assert!(store.remove_host("web1", &origin(), bench.now).unwrap());
    assert!(store.host_orders(&[orders[0].id]).unwrap().is_empty());
    assert!(store.host_sessions(&all()).unwrap().is_empty());
    assert!(store.open_host_orders().unwrap().is_empty());
    let told = store.orders_of_host(&WEB1, bench.now);
    assert!(matches!(told, Err(StoreError::HostRefused)));
}
