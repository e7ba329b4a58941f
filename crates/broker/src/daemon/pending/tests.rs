use super::*;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

fn add(
    pending: &mut PendingConnections,
    owner: Owner,
    sent: &[u8],
) -> (UnixStream, Option<ReadyConnection>) {
    let (mut client, broker) = UnixStream::pair().unwrap();
    client.set_nonblocking(true).unwrap();
    client.write_all(sent).unwrap();
    let connection = pending.add(broker.into(), Peer::new(1000), owner, Instant::now());
    (client, connection)
}

fn is_open(client: &mut UnixStream) -> bool {
    client
        .read(&mut [0])
        .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

const HELLO: &[u8] = &[0, 0, 0, 2, b'h', b'i'];

#[test]
fn a_request_that_comes_at_once_is_served_at_once() {
    let mut pending = PendingConnections::default();
    let (_client, connection) = add(&mut pending, Owner::user(1000), HELLO);
    assert_eq!(connection.unwrap().opening, HELLO);
    assert_eq!(pending.files().count(), 0);
}

#[test]
fn a_request_in_pieces_is_served_with_its_last_byte() {
    let mut pending = PendingConnections::default();
    let (mut quiet, _) = add(&mut pending, Owner::user(1000), &[]);
    let (mut client, _) = add(&mut pending, Owner::user(1000), &HELLO[..1]);
    for byte in &HELLO[1..5] {
        client.write_all(&[*byte]).unwrap();
        assert!(pending.take_ready(&[false, true]).is_none());
    }
    client.write_all(&HELLO[5..]).unwrap();
    assert_eq!(pending.take_ready(&[false, true]).unwrap().opening, HELLO);
    assert!(is_open(&mut quiet) && pending.files().count() == 1);
}

#[test]
fn garbage_and_a_closed_connection_are_not_waited_for() {
    let mut pending = PendingConnections::default();
    assert!(
        add(&mut pending, Owner::user(1000), &[0, 1, 0, 1])
            .1
            .is_none()
    );
    let (client, _) = add(&mut pending, Owner::user(1000), &HELLO[..2]);
    drop(client);
    assert!(pending.take_ready(&[true]).is_none());
    assert_eq!(pending.files().count(), 0);
}

#[test]
fn of_4096_silent_connections_of_one_owner_the_last_sixteen_stay_and_other_owners_lose_none() {
    let mut pending = PendingConnections::default();
    let (mut bob, _) = add(&mut pending, Owner::user(1001), &[]);
    let (mut root, _) = add(&mut pending, Owner::ROOT, &[]);
    // Few are kept open here: a process has a limit.
    let mut clients = VecDeque::new();
    for _ in 0..4096 {
        clients.push_front(add(&mut pending, Owner::UNKNOWN, &HELLO[..1]).0);
        clients.truncate(4 * MAX_OF_A_USER);
    }
    assert!(is_open(&mut bob) && is_open(&mut root));
    let open: Vec<_> = clients.iter_mut().map(is_open).collect();
    assert!(
        open.iter().take(MAX_OF_A_USER).all(|open| *open),
        "the last ones"
    );
    assert_eq!(open.iter().filter(|open| **open).count(), MAX_OF_A_USER);
}

#[test]
fn when_all_users_have_too_many_the_user_with_the_most_loses_the_oldest() {
    let mut pending = PendingConnections::default();
    let (mut bob, _) = add(&mut pending, Owner::user(1), &[]);
    let mut others: Vec<_> = (0..200)
        .map(|n| add(&mut pending, Owner::user(2 + n % 10), &[]).0)
        .collect();
    assert!(is_open(&mut bob), "bob has one, and the others have many");
    assert_eq!(
        others
            .iter_mut()
            .filter_map(|client| is_open(client).then_some(()))
            .count(),
        MAX_OF_ALL_USERS - 1
    );
}

#[test]
fn a_connection_is_closed_at_its_deadline_and_not_before() {
    let mut pending = PendingConnections::default();
    let (mut client, _) = add(&mut pending, Owner::user(1000), &[]);
    let deadline = pending.deadline().unwrap();
    pending.close_expired(Instant::now());
    assert!(is_open(&mut client));
    pending.close_expired(deadline);
    assert!(!is_open(&mut client) && pending.deadline().is_none());
}
