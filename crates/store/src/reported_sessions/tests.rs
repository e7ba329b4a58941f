use super::*;
use crate::event::SessionEnd;
use crate::testing::{Bench, alice, joined_fleet, origin};
use crate::{FleetLogin, LoginProcess, NewSession, ProcessId, SessionFilter, StoredSession};

fn process(pid: u32) -> ProcessId {
    ProcessId { pid, start: 7 }
}

/// A session of alice's, by a login that a server let pass in this conversation, if any did.
fn open(bench: &Bench, store: &Store, pid: u32, fleet: Option<FleetLogin>) -> StoredSession {
    if let Some(fleet) = fleet {
        let process = LoginProcess {
            boot: "boot".into(),
            own: process(pid),
            parent: None,
        };
        store
            .leave_fleet_ticket(&alice(), &process, fleet, None, &origin(), bench.now)
            .unwrap();
    }
    let new = NewSession {
        account: &alice(),
        boot: "boot",
        process: process(pid),
        login_uid: None,
        is_login: true,
    };
    let id = store.open_session(&new, &origin(), bench.now).unwrap();
    store.session(id.unwrap()).unwrap().unwrap()
}

const fn through_a_server(conversation: [u8; 16], is_asked: bool) -> FleetLogin {
    FleetLogin {
        conversation,
        is_asked,
    }
}

fn taken(store: &Store, report: &HostReport) {
    let refused = RefusedReport::default();
    store.report_was_taken(report, &refused).unwrap();
}

#[test]
fn a_session_of_a_login_through_a_server_is_reported_until_that_is_taken() {
    let bench = Bench::new();
    let store = bench.create();
    let (asked, unasked) = ([1; 16], [2; 16]);
    let first = open(&bench, &store, 1, Some(through_a_server(asked, true)));
    let second = open(&bench, &store, 2, Some(through_a_server(unasked, false)));
    let own = open(&bench, &store, 3, None);
    assert!(first.proof.is_some() && second.proof.is_none() && own.proof.is_none());

    let work = || store.session_work().unwrap();
    let report = work().report;
    assert_eq!(report.begun, [(asked, first.id), (unasked, second.id)]);
    assert_eq!((report.ended.len(), report.done.len()), (0, 0));
    assert_eq!(work().report, report);
    taken(&store, &report);
    assert!(work().report.is_empty());

    store.close_session("boot", process(1), bench.now).unwrap();
    assert_eq!(work().closing, [first.id]);
    store
        .sessions_are_gone(&[first.id, second.id, own.id], bench.now)
        .unwrap();
    let report = work().report;
    assert_eq!(report.ended, [asked, unasked]);
    taken(&store, &report);
    assert_eq!(work(), SessionWork::default());
}

#[test]
fn what_a_server_refuses_is_not_reported_again() {
    let bench = Bench::new();
    let store = bench.create();
    open(&bench, &store, 1, Some(through_a_server([1; 16], true)));
    let report = store.session_work().unwrap().report;
    let refused = RefusedReport {
        sessions: vec![[1; 16]],
        orders: Vec::new(),
    };
    store.report_was_taken(&report, &refused).unwrap();
    store.sessions_are_gone(&[1], bench.now).unwrap();
    assert_eq!(store.session_work().unwrap(), SessionWork::default());
}

#[test]
fn an_order_is_done_when_its_sessions_have_ended() {
    let bench = Bench::new();
    let store = bench.create();
    let first = open(&bench, &store, 1, Some(through_a_server([1; 16], true)));
    let second = open(&bench, &store, 2, Some(through_a_server([2; 16], true)));
    taken(&store, &store.session_work().unwrap().report);
    let order = OrderForHost {
        id: 40,
        // Of one of them this host knows nothing any longer.
        conversations: vec![[1; 16], [9; 16]],
    };
    for _ in 0..2 {
        store
            .take_orders(std::slice::from_ref(&order), bench.now)
            .unwrap();
    }
    let work = store.session_work().unwrap();
    assert!(work.is_any_to_end && work.report.is_empty());
    let mut to_end = Vec::new();
    store
        .sessions(&SessionFilter::default(), |session| {
            to_end.push((session.id, session.is_to_end));
            true
        })
        .unwrap();
    assert_eq!(to_end, [(first.id, true), (second.id, false)]);

    let why = SessionEnd::Fleet;
    store
        .sessions_were_ended(&[first.id], why, &origin(), bench.now)
        .unwrap();
    let work = store.session_work().unwrap();
    assert!(!work.is_any_to_end);
    assert_eq!(
        (&*work.report.done, &*work.report.ended),
        (&[40][..], &[[1; 16]][..])
    );
    taken(&store, &work.report);
    assert!(store.session_work().unwrap().report.is_empty());
}

#[test]
fn a_host_that_leaves_its_fleet_owes_no_server_anything() {
    let bench = Bench::new();
    let store = bench.create();
    let (joined, policy) = joined_fleet(bench.now);
    store
        .join_fleet(&joined, &policy, &origin(), bench.now)
        .unwrap();
    open(&bench, &store, 1, Some(through_a_server([1; 16], true)));
    let order = OrderForHost {
        id: 40,
        conversations: vec![[1; 16]],
    };
    store.take_orders(&[order], bench.now).unwrap();
    store.leave_fleet(&origin(), bench.now).unwrap();
    assert_eq!(store.session_work().unwrap(), SessionWork::default());
}
