//! What a person does with their own record, over the connection of a host.

use twofa_fleet::wire::{Failure, HostRequest, OwnAct, OwnEnd};

use super::*;

fn request(server: &Server, act: OwnAct) -> HostRequest {
    let login = server.login();
    HostRequest {
        conversation: login.conversation,
        deadline: 15_000,
        user: login.user,
        uid: login.uid,
        act,
        version: "0".into(),
        seen: None,
    }
}

/// What the server says until a prompt or the end.
fn heard_of(link: &mut ToServer) -> FromServer {
    link.set_deadline(Instant::now() + TIME);
    loop {
        match link.receive::<FromServer>().unwrap() {
            FromServer::Accepted(_) | FromServer::Info(_) | FromServer::Error(_) => {}
            message => return message,
        }
    }
}

#[test]
fn a_record_is_shown_and_changed_by_a_code_and_the_connection_goes_on() {
    let server = Server::new();
    let own = server.joined();
    let mut link = server.connect(&own);
    link.send(&FromHost::Own(request(&server, OwnAct::Show)))
        .unwrap();
    let FromServer::Own(OwnEnd::Record(record)) = heard_of(&mut link) else {
        panic!("no record")
    };
    assert!(record.contains(r#""label":"app""#), "{record}");

    let act = OwnAct::Set {
        verify: Some("always".into()),
        email: None,
        phone: None,
        prefer: None,
    };
    let asked = request(&server, act);
    link.send(&FromHost::Own(asked.clone())).unwrap();
    assert!(matches!(heard_of(&mut link), FromServer::Prompt { .. }));
    let answer = HostAnswer {
        conversation: asked.conversation,
        number: 1,
        deadline: 15_000,
        answer: Some(code_of_the_app().as_str().into()),
    };
    link.send(&FromHost::Answer(answer)).unwrap();
    assert_eq!(heard_of(&mut link), FromServer::Own(OwnEnd::Changed));
    let verify = server.store.snapshot(&server.user).unwrap().user.verify;
    assert_eq!(verify, twofa_core::Verify::Always);

    link.send(&FromHost::Login(server.login())).unwrap();
    assert!(is_prompt(&heard(&mut link).0));
}

#[test]
fn a_host_that_is_removed_at_the_prompt_is_refused_and_so_is_its_next_request() {
    let server = Server::new();
    let own = server.joined();
    let (mut link, mut idle) = (server.connect(&own), server.connect(&own));
    let asked = request(&server, OwnAct::NewBackupCodes);
    link.send(&FromHost::Own(asked.clone())).unwrap();
    assert!(matches!(heard_of(&mut link), FromServer::Prompt { .. }));
    let origin = Origin::command_line(0);
    assert!(server.store.remove_host("web1", &origin, now()).unwrap());
    let answer = HostAnswer {
        conversation: asked.conversation,
        number: 1,
        deadline: 15_000,
        answer: Some(code_of_the_app().as_str().into()),
    };
    link.send(&FromHost::Answer(answer)).unwrap();
    idle.send(&FromHost::Own(request(&server, OwnAct::Show)))
        .unwrap();
    for link in [&mut link, &mut idle] {
        assert_eq!(verdict(&heard(link).0), Some(Verdict::Denied));
    }
}

#[test]
fn a_host_asks_for_nothing_of_root_and_nothing_of_another_uid() {
    let server = Server::new();
    let own = server.joined();
    let mut link = server.connect(&own);
    let asked = request(&server, OwnAct::Show);
    for (user, uid) in [
        ("root", 0),
        (&*asked.user, 0),
        (&*asked.user, asked.uid - 1),
    ] {
        let claim = HostRequest {
            user: user.to_owned(),
            uid,
            ..asked.clone()
        };
        link.send(&FromHost::Own(claim)).unwrap();
        let FromServer::Own(OwnEnd::Failed { failure, .. }) = heard_of(&mut link) else {
            panic!("{user} {uid}")
        };
        assert_eq!(failure, Failure::NotPermitted);
    }
}

#[test]
fn a_change_goes_on_at_another_server_and_is_made_once() {
    let server = Server::new();
    let own = server.joined();
    let another = server.another();
    let act = OwnAct::Set {
        verify: Some("always".into()),
        email: None,
        phone: None,
        prefer: None,
    };
    let asked = request(&server, act);
    let mut first = server.connect(&own);
    first.send(&FromHost::Own(asked.clone())).unwrap();
    assert!(matches!(heard_of(&mut first), FromServer::Prompt { .. }));
    drop(first);
    // The answer comes to both servers, several times.
    let mut links: Vec<_> = [&another, &server.address]
        .into_iter()
        .flat_map(|address| [address; 3])
        .map(|address| {
            client::connect(&server.config(&own), address, Instant::now() + TIME).unwrap()
        })
        .collect();
    let answer = HostAnswer {
        conversation: asked.conversation,
        number: 1,
        deadline: 15_000,
        answer: Some(code_of_the_app().as_str().into()),
    };
    for link in &mut links {
        link.send(&FromHost::Resume(answer.clone())).unwrap();
    }
    for link in &mut links {
        assert_eq!(heard_of(link), FromServer::Own(OwnEnd::Changed));
    }
    let mut changes = 0;
    let each = |logged: twofa_store::LoggedEvent| {
        changes += usize::from(logged.kind == "user-changed");
        true
    };
    server.store.events(&EventFilter::default(), each).unwrap();
    assert_eq!(changes, 1);
    // The code that proved the person is on record once.
    assert_eq!(server.passes(), 1);
}
