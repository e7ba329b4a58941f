//! A host turns to another server.

use super::*;

/// Serves logins on `listener` by refusing them; returns how many connections it took for `logins`.
fn refuse(
    listener: TcpListener,
    config: Arc<ServerConfigs>,
    logins: usize,
) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        let (mut connections, mut served) = (0, 0);
        while served < logins {
            let (socket, _) = listener.accept().unwrap();
            connections += 1;
            let accepted = stream::accept(&config, socket, Instant::now() + TIME);
            let mut link = accepted.unwrap().link;
            while served < logins {
                let Ok(FromHost::Login(_)) = link.receive() else {
                    break;
                };
                link.send(&FromServer::Accepted(None)).unwrap();
                let why = "no".to_owned();
                let verdict = Verdict::Denied;
                link.send(&FromServer::Done { verdict, why }).unwrap();
                served += 1;
            }
        }
        connections
    })
}

#[test]
fn logins_share_a_connection_and_a_server_that_is_gone_is_passed_over() {
    let fleet = make_fleet(now()).unwrap();
    let (server, host) = (server_of(&fleet, now()), host_of(&fleet, now()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // It accepts connections, and says nothing.
    let address = |listener: &TcpListener| Address {
        name: "localhost".to_owned(),
        port: listener.local_addr().unwrap().port(),
    };
    let servers = vec![address(&gone), address(&listener)];
    let serving = refuse(listener, server_config(&fleet, &server, &fleet), 3);
    let servers = Servers::new(host_config(&fleet, &host), servers);
    for i in 0..3 {
        let begin = Instant::now();
        let mut conversation = servers
            .open(&HostLogin::default(), Instant::now() + TIME)
            .unwrap();
        let waited = begin.elapsed();
        assert_eq!(
            waited > Duration::from_millis(1500),
            i == 0,
            "{i} {waited:?}"
        );
        let message = conversation.receive(Instant::now() + TIME).unwrap();
        assert!(matches!(
            message,
            FromServer::Done {
                verdict: Verdict::Denied,
                ..
            }
        ));
        conversation.finish();
    }
    assert_eq!(serving.join().unwrap(), 1);
}

#[test]
fn a_busy_server_that_is_the_only_one_is_waited_for() {
    let fleet = make_fleet(now()).unwrap();
    let (server, host) = (server_of(&fleet, now()), host_of(&fleet, now()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = Address {
        name: "localhost".to_owned(),
        port: listener.local_addr().unwrap().port(),
    };
    // What serves it begins when another server would have been asked for a second already. A connection waits in the kernel.
    let begun = Instant::now();
    let config = server_config(&fleet, &server, &fleet);
    let serving = thread::spawn(move || {
        thread::sleep(Duration::from_secs(3));
        refuse(listener, config, 1).join().unwrap()
    });
    let servers = Servers::new(host_config(&fleet, &host), vec![address]);
    let mut conversation = servers.open(&HostLogin::default(), begun + TIME).unwrap();
    let message = conversation.receive(begun + TIME).unwrap();
    assert!(matches!(message, FromServer::Done { .. }), "{message:?}");
    assert_eq!(serving.join().unwrap(), 1);
}

#[test]
fn without_a_server_the_reason_is_given_for_each() {
    let fleet = make_fleet(now()).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let name = "127.0.0.1".to_owned();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let servers = vec![Address { name, port }];
    let servers = Servers::new(host_config(&fleet, &host_of(&fleet, now())), servers);
    let opened = servers.open(&HostLogin::default(), Instant::now() + TIME);
    let error = opened.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}: ")), "{error}");
}

/// A server that says each of `replies` to one message, on one connection after the other. Returns the messages.
fn say(
    listener: TcpListener,
    config: Arc<ServerConfigs>,
    replies: Vec<Vec<FromServer>>,
) -> thread::JoinHandle<Vec<FromHost>> {
    thread::spawn(move || {
        let mut heard = Vec::new();
        let mut replies = replies.into_iter().peekable();
        while replies.peek().is_some() {
            let (socket, _) = listener.accept().unwrap();
            let accepted = stream::accept(&config, socket, Instant::now() + TIME);
            let mut link = accepted.unwrap().link;
            while replies.peek().is_some()
                && let Ok(message) = link.receive()
            {
                heard.push(message);
                for message in replies.next().unwrap() {
                    link.send(&message).unwrap();
                }
            }
        }
        heard
    })
}

fn done(verdict: Verdict) -> Vec<FromServer> {
    let why = String::new();
    vec![
        FromServer::Accepted(None),
        FromServer::Error(format!("{verdict:?}")),
        FromServer::Done { verdict, why },
    ]
}

#[test]
fn a_server_that_cannot_decide_is_passed_over_at_the_login_and_at_the_answer() {
    let fleet = make_fleet(now()).unwrap();
    let (server, host) = (server_of(&fleet, now()), host_of(&fleet, now()));
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let addresses = listeners.iter().map(|listener| Address {
        name: "localhost".to_owned(),
        port: listener.local_addr().unwrap().port(),
    });
    let servers = Servers::new(host_config(&fleet, &host), addresses.collect());
    let config = || server_config(&fleet, &server, &fleet);
    let prompt = FromServer::Prompt {
        text: "Code: ".into(),
        echo: true,
        digits_behind_password: None,
        link: None,
    };
    let asked = vec![FromServer::Accepted(None), prompt.clone()];
    let (undecided, passed) = (done(Verdict::Unavailable), done(Verdict::Passed));
    let [first, second] = listeners;
    let first = say(
        first,
        config(),
        vec![undecided.clone(), passed.clone(), undecided.clone()],
    );
    let second = say(
        second,
        config(),
        vec![asked, undecided.clone(), undecided.clone()],
    );

    let until = Instant::now() + TIME;
    let mut conversation = servers.open(&HostLogin::default(), until).unwrap();
    assert_eq!(conversation.receive(until).unwrap(), prompt);
    conversation.answer(Some("123456".into()), until).unwrap();
    for expected in &passed[1..] {
        assert_eq!(&conversation.receive(until).unwrap(), expected);
    }
    conversation.finish();
    // If nobody can decide, the person is told so.
    let mut conversation = servers.open(&HostLogin::default(), until).unwrap();
    for expected in &undecided[1..] {
        assert_eq!(&conversation.receive(until).unwrap(), expected);
    }

    let (first, second) = (first.join().unwrap(), second.join().unwrap());
    let FromHost::Answer(answer) = &second[1] else {
        panic!("{second:?}");
    };
    assert!(
        matches!(&first[1], FromHost::Resume(again) if again.number == answer.number
            && again.conversation == answer.conversation && again.answer == answer.answer),
        "{first:?}"
    );
}
