//! What is limited, so that neither a host nor a stranger keeps others waiting.

use std::io::Read;
use std::net::TcpStream;

use super::*;

#[test]
fn of_two_hundred_logins_of_one_person_64_wait_at_a_prompt_and_none_of_them_takes_a_thread() {
    let server = Server::new();
    let own = server.joined();
    let mut links: Vec<_> = (0..200).map(|_| server.connect(&own)).collect();
    let waiting = links.iter_mut().filter_map(|link| {
        link.send(&FromHost::Login(server.login())).unwrap();
        let (heard, _) = heard(link);
        is_prompt(&heard).then_some(()).or_else(|| {
            assert_eq!(verdict(&heard), Some(Verdict::Unavailable));
            None
        })
    });
    assert_eq!(waiting.count(), 64);
    assert!(server.shared.queue.workers() < 10);
}

#[test]
fn while_one_host_has_all_its_seats_for_a_person_another_logs_the_same_person_in() {
    let server = Server::new();
    let own = server.joined();
    let login = server.login();
    let until = Instant::now() + TIME;
    let taken: Vec<_> = (0..4)
        .map(|_| server.shared.seats.wait([9; 32], &login.user, until))
        .collect();
    let mut link = server.connect(&own);
    link.send(&FromHost::Login(login)).unwrap();
    assert!(is_prompt(&heard(&mut link).0));
    drop(taken);

    // With its own taken, it waits as long as its host does, and is told so.
    let der = &read_pem(&own.certificate).unwrap()[0];
    let (key, _) = certificate::key_and_end(der).unwrap();
    let login = HostLogin {
        deadline: 100,
        ..server.login()
    };
    let taken: Vec<_> = (0..4)
        .map(|_| server.shared.seats.wait(key, &login.user, until))
        .collect();
    let mut link = server.connect(&own);
    link.send(&FromHost::Login(login)).unwrap();
    assert_eq!(verdict(&heard(&mut link).0), Some(Verdict::Unavailable));
    drop(taken);
}

#[test]
fn strangers_take_every_handshake_and_no_login_of_a_connected_host() {
    let server = Server::new();
    let own = server.joined();
    let mut connected = server.connect(&own);
    // Its own handshake is over when it is served.
    connected
        .send(&FromHost::Policy { known: i64::MAX })
        .unwrap();
    connected.set_deadline(Instant::now() + TIME);
    connected.receive::<FromServer>().unwrap();
    let taken: Vec<_> = std::iter::from_fn(|| server.shared.permits.acquire(Purpose::Handshake))
        .take(1_000)
        .collect();
    assert_eq!(taken.len(), 64);
    let address = (server.address.name.as_str(), server.address.port);
    let mut refused = TcpStream::connect(address).unwrap();
    connected.send(&FromHost::Login(server.login())).unwrap();
    assert!(is_prompt(&heard(&mut connected).0));
    // It is turned away, and tries another server.
    refused.set_read_timeout(Some(TIME)).unwrap();
    assert_eq!(refused.read(&mut [0; 1]).unwrap(), 0);
    drop(taken);
    server.connect(&own);
}

#[test]
fn who_connects_and_says_nothing_is_cut_off_and_gives_the_handshake_back() {
    let server = Server::new();
    let address = (server.address.name.as_str(), server.address.port);
    let mut silent: Vec<_> = (0..64)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    for socket in &mut silent {
        socket.set_read_timeout(Some(TIME)).unwrap();
        assert_eq!(socket.read(&mut [0; 1]).unwrap(), 0);
    }
    let free = std::iter::from_fn(|| server.shared.permits.acquire(Purpose::Handshake));
    assert!(free.take(1).next().is_some());
}
