//! Logins in which a method is set up, over the connections of a host and at several servers.

use super::*;
use crate::testing::{app_code_at, saved};

/// A server on which nothing is enrolled, and a host that may have methods set up.
fn with_host() -> (Server, Issued) {
    let server = Server::new();
    let origin = Origin::command_line(0);
    server.store.reset(&server.user, &origin, now()).unwrap();
    let rights = HostRights {
        may_enrol: true,
        ..HostRights::default()
    };
    let own = server.add_with("web1", [1; 32], rights, now());
    (server, own)
}

fn prompted(link: &mut ToServer) -> String {
    let (said, _) = heard(link);
    match said.last() {
        Some(FromServer::Prompt { text, .. }) => text.expose().to_owned(),
        _ => panic!("no prompt: {said:?}"),
    }
}

/// Several connections to each of these servers.
fn links(server: &Server, own: &Issued, addresses: &[&Address]) -> Vec<ToServer> {
    let of_each = addresses.iter().flat_map(|address| [*address; 3]);
    let connect = |address: &Address| {
        client::connect(&server.config(own), address, Instant::now() + TIME).unwrap()
    };
    of_each.map(connect).collect()
}

#[test]
fn an_app_is_set_up_at_one_server_confirmed_at_another_and_each_answer_counts_once() {
    let (server, own) = with_host();
    let another = server.another();
    let login = server.login();
    let mut first = server.connect(&own);
    first.send(&FromHost::Login(login.clone())).unwrap();
    let key = prompted(&mut first);
    drop(first);
    // The answer comes to both servers, several times.
    let code = app_code_at(&key, now());
    let mut links = links(&server, &own, &[&another, &server.address]);
    let send = |links: &mut [ToServer], number, typed: &str| {
        for link in links {
            let answer = FromHost::Resume(answer(&login, number, typed));
            link.send(&answer).unwrap();
        }
    };
    send(&mut links, 1, &code);
    let shown: Vec<_> = links.iter_mut().map(prompted).collect();
    assert!(shown[0].contains("Backup codes"), "{}", shown[0]);
    assert!(shown.iter().all(|codes| *codes == shown[0]));
    let end = saved(&shown[0]);
    let answers = links.iter_mut();
    for link in answers {
        let answer = FromHost::Answer(answer(&login, 2, &end));
        link.send(&answer).unwrap();
    }
    for link in &mut links {
        assert_eq!(verdict(&heard(link).0), Some(Verdict::Passed));
    }
    assert_eq!(server.passes(), 1);
    let user = server.store.snapshot(&server.user).unwrap().user;
    assert_eq!((user.apps.len(), user.backup_codes_left()), (1, 5));
}

#[test]
fn logins_in_which_a_method_is_set_up_hold_no_thread_while_they_wait() {
    let (server, own) = with_host();
    let mut links: Vec<_> = (0..40).map(|_| server.connect(&own)).collect();
    let logins: Vec<_> = links
        .iter_mut()
        .map(|link| {
            let login = server.login();
            link.send(&FromHost::Login(login.clone())).unwrap();
            assert!(prompted(link).contains("Key:"));
            login
        })
        .collect();
    let workers = server.shared.queue.workers();
    assert!(workers < 10, "{workers}");
    for (link, login) in links.iter_mut().zip(&logins) {
        link.send(&FromHost::Answer(answer(login, 1, ""))).unwrap();
        assert_eq!(verdict(&heard(link).0), Some(Verdict::Denied));
    }
}
