//! How long a connection waits for its client.
//!
//! A socket's timeout starts again with each byte, so a client that sends one now and then would never time out. Here a
//! whole message has a deadline, and each read waits for what is left of it.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use twofa_proto::Stream;

use super::shutdown::{Shutdown, wait_for_any};
use crate::requests::connection::{ANSWER_TIMEOUT, Connection};

/// How long a client may take to send its request. Programs send it at once.
pub(super) const OPENING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may take to read what the broker sends.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection whose reads end at a deadline, which each write sets again, or when the broker is about to end.
#[derive(Debug)]
pub(super) struct DeadlineStream {
    stream: Stream,
    /// Bytes that were read from it before.
    opening: io::Cursor<Vec<u8>>,
    /// `None`: this process serves one connection and ends with it.
    shutdown: Option<Arc<Shutdown>>,
    answer_timeout: Duration,
    deadline: Instant,
}

impl DeadlineStream {
    /// Wraps a connection from which `opening` was read. Fails if its timeout cannot be set; it must not be served then.
    pub(super) fn new(
        stream: Stream,
        opening: Vec<u8>,
        shutdown: Option<Arc<Shutdown>>,
    ) -> io::Result<Self> {
        stream.set_write_timeout(WRITE_TIMEOUT)?;
        let opening = io::Cursor::new(opening);
        let deadline = Instant::now() + OPENING_TIMEOUT;
        Ok(Self {
            stream,
            opening,
            shutdown,
            answer_timeout: ANSWER_TIMEOUT,
            deadline,
        })
    }

    fn wait(&self) -> io::Result<()> {
        let stream = self.stream.as_fd();
        let happened = match &self.shutdown {
            Some(shutdown) => wait_for_any(&[stream, shutdown.as_fd()], Some(self.deadline))?,
            None => wait_for_any(&[stream], Some(self.deadline))?,
        };
        match happened.as_slice() {
            // What has come is read, whatever else has happened.
            [true, ..] if Instant::now() < self.deadline => Ok(()),
            [_, true] => Err(ErrorKind::ConnectionAborted.into()),
            _ => Err(ErrorKind::TimedOut.into()),
        }
    }
}

impl Connection for DeadlineStream {
    fn set_answer_timeout(&mut self, timeout: Duration) {
        self.answer_timeout = timeout;
    }
}

impl Read for DeadlineStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.opening.read(buffer)?;
        if read > 0 {
            return Ok(read);
        }
        self.wait()?;
        self.stream.read(buffer)
    }
}

impl Write for DeadlineStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(buffer)?;
        // The broker writes first once it has read the request; from then on a person is at the other end.
        self.deadline = Instant::now() + self.answer_timeout;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::thread;
    use twofa_proto::codec::CodecError;
    use twofa_proto::{BrokerEnd, ConnectionError};

    fn pair() -> (UnixStream, DeadlineStream) {
        let (client, broker) = UnixStream::pair().unwrap();
        (
            client,
            DeadlineStream::new(broker.into(), Vec::new(), None).unwrap(),
        )
    }

    #[test]
    fn a_client_that_sends_a_byte_now_and_then_gains_no_time() {
        let (mut client, mut stream) = pair();
        let timeout = Duration::from_millis(100);
        let begun = Instant::now();
        stream.deadline = begun + timeout;
        let drip = thread::spawn(move || {
            // The longest frame that is allowed: a minute and more at this pace.
            client.write_all(&[0, 1, 0, 0]).unwrap();
            client
                .set_read_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            let mut dripped = 0;
            while dripped < 65_536 && client.write_all(&[0]).is_ok() {
                dripped += 1;
                let _ = client.read(&mut [0]);
            }
            dripped
        });
        let mut end = BrokerEnd::new(stream);
        assert!(matches!(
            end.request(),
            Err(ConnectionError::Codec(CodecError::TimedOut))
        ));
        assert!(begun.elapsed() >= timeout);
        drop(end);
        let dripped = drip.join().unwrap();
        assert!((1..65_536).contains(&dripped), "{dripped}");
    }

    #[test]
    fn a_silent_client_has_five_seconds_and_a_person_the_time_that_is_set() {
        let (mut client, mut stream) = pair();
        let left = |stream: &DeadlineStream| stream.deadline.duration_since(Instant::now());
        assert!(left(&stream) <= Duration::from_secs(5));
        client.write_all(b"?").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        assert!(
            left(&stream) <= Duration::from_secs(5),
            "what a client sends gains it nothing"
        );
        stream.write_all(b"!").unwrap();
        assert!((290..=300).contains(&left(&stream).as_secs()));
        stream.set_answer_timeout(Duration::from_secs(900));
        stream.write_all(b"!").unwrap();
        assert!((890..=900).contains(&left(&stream).as_secs()));
    }

    #[test]
    fn what_was_read_before_comes_first() {
        let (mut client, broker) = UnixStream::pair().unwrap();
        let mut stream = DeadlineStream::new(broker.into(), b"one ".to_vec(), None).unwrap();
        client.write_all(b"two").unwrap();
        drop(client);
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        assert_eq!(all, "one two");
    }

    #[test]
    fn after_a_shutdown_what_has_come_is_read_and_nothing_else_is_waited_for() {
        let (mut client, broker) = UnixStream::pair().unwrap();
        let (trigger, shutdown) = Shutdown::new().unwrap();
        let mut stream = DeadlineStream::new(broker.into(), Vec::new(), Some(shutdown)).unwrap();
        client.write_all(b"?").unwrap();
        drop(trigger);
        stream.read_exact(&mut [0]).unwrap();
        // In the middle of a message too.
        assert_eq!(
            stream.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::ConnectionAborted
        );
    }

    #[test]
    fn a_read_that_is_waiting_ends_at_a_shutdown() {
        let (_client, broker) = UnixStream::pair().unwrap();
        let (trigger, shutdown) = Shutdown::new().unwrap();
        let mut stream = DeadlineStream::new(broker.into(), Vec::new(), Some(shutdown)).unwrap();
        let waits = thread::spawn(move || stream.read(&mut [0]).unwrap_err().kind());
        drop(trigger);
        assert_eq!(waits.join().unwrap(), ErrorKind::ConnectionAborted);
    }
}
