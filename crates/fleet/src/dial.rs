//! Connecting to one server: of its addresses, the first that answers is used (RFC 8305).

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long an address is waited for until the next one is tried beside it (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses that are tried at most.
const MAX_ADDRESSES: usize = 6;

/// Connects to one of `addresses`, until `deadline`.
pub(crate) fn connect_to_any(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    if let [address] = addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        return TcpStream::connect_timeout(address, left);
    }
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut waiting = in_order(addresses)
        .into_iter()
        .take(MAX_ADDRESSES)
        .peekable();
    let (sender, receiver) = mpsc::channel();
    let mut running = 0_usize;
    loop {
        if let Some(address) = waiting.next() {
            let sender = sender.clone();
            thread::Builder::new().spawn(move || {
                let left = deadline.saturating_duration_since(Instant::now());
                let connected = if left.is_zero() {
                    Err(io::ErrorKind::TimedOut.into())
                } else {
                    TcpStream::connect_timeout(&address, left)
                };
                // Another one may have been faster.
                let _ = sender.send(connected);
            })?;
            running += 1;
        }
        if running == 0 {
            return Err(failure);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let is_last = waiting.peek().is_none();
        let patience = if is_last { left } else { left.min(STAGGER) };
        match receiver.recv_timeout(patience) {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => {
                running -= 1;
                failure = error;
            }
            Err(RecvTimeoutError::Timeout) if !is_last && !left.is_zero() => {}
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// IPv6 first, and then one of each kind in turn, else as the resolver has them (RFC 8305 §4).
fn in_order(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.iter().partition(|address| address.is_ipv6());
    let mut four = four.into_iter();
    let mut ordered = Vec::with_capacity(addresses.len());
    for address in six {
        ordered.push(address);
        ordered.extend(four.next());
    }
    ordered.extend(four);
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn in_time() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn addresses_of_both_kinds_take_turns_and_ipv6_is_first() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let given = [
            "192.0.2.1:1",
            "192.0.2.2:1",
            "[2001:db8::1]:1",
            "[2001:db8::2]:1",
            "192.0.2.3:1",
        ];
        let expected = [
            "[2001:db8::1]:1",
            "192.0.2.1:1",
            "[2001:db8::2]:1",
            "192.0.2.2:1",
            "192.0.2.3:1",
        ];
        assert_eq!(in_order(&given.map(parse)), expected.map(parse));
    }

    #[test]
    fn an_address_that_is_silent_or_refuses_keeps_nobody_from_the_one_that_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let answers = listener.local_addr().unwrap();
        // Its queue of one is full, so that the kernel answers nothing more.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        nix::sys::socket::listen(&silent, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
        let silent_address = silent.local_addr().unwrap();
        let _full = TcpStream::connect(silent_address).unwrap();
        let closed = {
            let gone = TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap()
        };
        let connected = connect_to_any(&[closed, silent_address, answers], in_time()).unwrap();
        assert_eq!(connected.peer_addr().unwrap(), answers);
    }

    #[test]
    fn without_an_address_that_answers_the_last_error_is_returned_and_nothing_outlasts_the_deadline()
     {
        let closed = {
            let gone = TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap()
        };
        let refused = connect_to_any(&[closed], in_time()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let none = connect_to_any(&[], in_time()).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
        let late = connect_to_any(&[closed], Instant::now()).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }
}
