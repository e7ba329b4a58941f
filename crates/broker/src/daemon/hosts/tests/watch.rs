//! Hosts report sessions, and are told to end some.

use twofa_fleet::client::Servers;
use twofa_fleet::client::watch::{News, NotTaken, Watch, WatchError};
use twofa_fleet::wire::{EndOrder, WatchReport};
use twofa_store::HostSessionFilter;

use super::*;

/// How long a host waits here at once.
const MOMENT: Duration = Duration::from_millis(100);

fn watch(server: &Server, own: &Issued) -> Watch {
    let config = tls::host_watching(&HostCertificates {
        certificate: &own.certificate,
        key: &own.key,
        servers: &server.fleet.servers.certificate,
        fleet: &server.fleet.id,
    });
    let servers = Servers::new(server.config(own), vec![server.address.clone()]);
    servers.watch(&config.unwrap()).unwrap()
}

/// Somebody logs in on the host with a code. Returns the conversation.
fn log_in(server: &Server, own: &Issued) -> [u8; 16] {
    let login = server.login();
    let mut link = server.connect(own);
    link.send(&FromHost::Login(login.clone())).unwrap();
    assert!(is_prompt(&heard(&mut link).0));
    let typed = answer(&login, 1, &code_of_the_app());
    link.send(&FromHost::Answer(typed)).unwrap();
    assert_eq!(verdict(&heard(&mut link).0), Some(Verdict::Passed));
    login.conversation
}

fn begun(conversation: [u8; 16], number: i64) -> WatchReport {
    WatchReport {
        begun: vec![(conversation, number)],
        ..WatchReport::default()
    }
}

/// What the server says next; it says something in the end.
fn next(watch: &mut Watch, policy: i64) -> News {
    let until = Instant::now() + TIME;
    while Instant::now() < until {
        if let Some(news) = watch.wait(policy, "0.1", MOMENT).unwrap() {
            return news;
        }
    }
    panic!("the server says nothing");
}

/// Makes the server look whether there is news until the host has some, which its thread otherwise does each second.
fn next_after_looking(server: &Server, watch: &mut Watch, policy: i64) -> News {
    let until = Instant::now() + TIME;
    while Instant::now() < until {
        super::super::watch::look(&server.shared).unwrap();
        if let Some(news) = watch.wait(policy, "0.1", MOMENT).unwrap() {
            return news;
        }
    }
    panic!("the server says nothing");
}

#[test]
fn a_host_reports_its_sessions_and_is_told_once_to_end_them() {
    let server = Server::new();
    let own = server.joined();
    let conversation = log_in(&server, &own);
    let mut host = watch(&server, &own);
    let taken = host.report(&begun(conversation, 7)).unwrap();
    assert_eq!(taken, NotTaken::default());
    let sessions = server.store.host_sessions(&HostSessionFilter::default());
    let sessions = sessions.unwrap();
    assert_eq!((sessions.len(), &*sessions[0].host), (1, "web1"));
    assert_eq!(sessions[0].login.account, server.user);
    assert_eq!(sessions[0].method.as_deref(), Some("app"));

    let policy = next(&mut host, 0).policy;
    assert!(host.wait(policy, "0.1", MOMENT).unwrap().is_none());
    let origin = Origin::command_line(0);
    let orders = server
        .store
        .end_host_sessions(&HostSessionFilter::default(), &origin, now())
        .unwrap();
    let order = EndOrder {
        id: orders[0].id,
        conversations: vec![conversation],
    };
    let news = next_after_looking(&server, &mut host, policy);
    assert_eq!(news.orders, std::slice::from_ref(&order));
    // Not again on this connection, but on the next one.
    assert!(host.wait(policy, "0.1", MOMENT).unwrap().is_none());
    drop(host);
    let mut host = watch(&server, &own);
    assert_eq!(next(&mut host, policy).orders, std::slice::from_ref(&order));

    let done = WatchReport {
        done: vec![order.id],
        ended: vec![conversation],
        ..WatchReport::default()
    };
    assert_eq!(host.report(&done).unwrap(), NotTaken::default());
    let order = &server.store.host_orders(&[order.id]).unwrap()[0];
    assert!(order.confirmed_at.is_some());
}

#[test]
fn a_host_that_waits_is_told_of_other_rules() {
    let server = Server::new();
    let own = server.joined();
    let mut host = watch(&server, &own);
    let policy = next(&mut host, 0).policy;
    assert!(host.wait(policy, "0.1", MOMENT).unwrap().is_none());
    let seen = &server.store.hosts().unwrap()[0];
    assert!(seen.seen_at.is_some() && seen.version.as_deref() == Some("0.1"));
    let mut others: Vec<_> = (0..30).map(|_| watch(&server, &own)).collect();
    for other in &mut others {
        let moment = Duration::from_millis(1);
        assert!(other.wait(policy, "0.1", moment).unwrap().is_none());
    }
    // No thread waits with one.
    assert!(server.shared.queue.workers() < others.len() / 2);
    let origin = Origin::command_line(0);
    let settings = [("mode", "optional")];
    server
        .store
        .change_policy(settings, &origin, now())
        .unwrap();
    assert!(next_after_looking(&server, &mut host, policy).policy > policy);
}

#[test]
fn sessions_of_logins_that_were_not_and_orders_of_others_are_refused() {
    let server = Server::new();
    let own = server.joined();
    let mut host = watch(&server, &own);
    // It waits for its code.
    let waiting = server.login();
    let mut link = server.connect(&own);
    link.send(&FromHost::Login(waiting.clone())).unwrap();
    assert!(is_prompt(&heard(&mut link).0));
    for conversation in [[9; 16], waiting.conversation] {
        let report = WatchReport {
            ended: vec![conversation],
            ..begun(conversation, 1)
        };
        let refused = host.report(&report).unwrap();
        assert_eq!(refused.sessions, [conversation]);
    }
    let report = WatchReport {
        done: vec![1],
        ..WatchReport::default()
    };
    assert_eq!(host.report(&report).unwrap().orders, [1]);
    let sessions = server.store.host_sessions(&HostSessionFilter::default());
    assert!(sessions.unwrap().is_empty());
}

#[test]
fn a_host_that_is_removed_while_it_waits_is_told_nothing() {
    let server = Server::new();
    let own = server.joined();
    let mut host = watch(&server, &own);
    let policy = next(&mut host, 0).policy;
    assert!(host.wait(policy, "0.1", MOMENT).unwrap().is_none());
    let origin = Origin::command_line(0);
    assert!(server.store.remove_host("web1", &origin, now()).unwrap());
    let report = host.report(&begun([1; 16], 1));
    assert!(matches!(report, Err(WatchError::Refused(_))), "{report:?}");
    let mut again = watch(&server, &own);
    let news = again.wait(0, "0.1", TIME);
    assert!(matches!(news, Err(WatchError::Refused(_))), "{news:?}");
}

#[test]
fn a_login_that_nobody_is_asked_at_has_a_session_too() {
    let server = Server::new();
    let own = server.joined();
    let origin = Origin::command_line(0);
    server
        .store
        .change_policy([("mode", "disabled")], &origin, now())
        .unwrap();
    let login = server.login();
    let mut link = server.connect(&own);
    link.send(&FromHost::Login(login.clone())).unwrap();
    assert_eq!(verdict(&heard(&mut link).0), Some(Verdict::NotRequired));
    let mut host = watch(&server, &own);
    let taken = host.report(&begun(login.conversation, 3)).unwrap();
    assert_eq!(taken, NotTaken::default());
    let sessions = server.store.host_sessions(&HostSessionFilter::default());
    assert_eq!(sessions.unwrap()[0].method, None);
}
