//! How long a conversation waits for its client.
//!
//! A socket's timeout starts again with each byte, so that a client which sends one now and then would
//! keep its place for good. Here a whole message has a deadline: each read waits for what is left of it.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use twofa_proto::Stream;

use super::stop::{Stop, wait_for_any};
use crate::requests::connection::{ANSWER_PATIENCE, Connection};

/// How long a client may take to say what it wants. A program says it at once.
pub(super) const OPENING_PATIENCE: Duration = Duration::from_secs(5);
/// How long a client may take to read what we send.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// A connection whose reads end at a deadline, which is set again by whatever we send, and when the broker is
/// about to end.
#[derive(Debug)]
pub(super) struct Patient {
    stream: Stream,
    /// What was read of it before.
    opening: io::Cursor<Vec<u8>>,
    /// `None`: this process has one conversation and ends with it.
    stop: Option<Arc<Stop>>,
    patience: Duration,
    deadline: Instant,
}

impl Patient {
    /// A connection from which `opening` was read. Fails where limits cannot be set; it must not be served then.
    pub(super) fn new(
        stream: Stream,
        opening: Vec<u8>,
        stop: Option<Arc<Stop>>,
    ) -> io::Result<Self> {
        stream.set_write_timeout(WRITE_PATIENCE)?;
        let opening = io::Cursor::new(opening);
        let deadline = Instant::now() + OPENING_PATIENCE;
        Ok(Self {
            stream,
            opening,
            stop,
            patience: ANSWER_PATIENCE,
            deadline,
        })
    }

    fn wait(&self) -> io::Result<()> {
        let stream = self.stream.as_fd();
        let happened = match &self.stop {
            Some(stop) => wait_for_any(&[stream, stop.as_fd()], Some(self.deadline))?,
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

impl Connection for Patient {
    fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.opening.read(buffer)?;
        if read > 0 {
            return Ok(read);
        }
        self.wait()?;
        self.stream.read(buffer)
    }
}

impl Write for Patient {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(buffer)?;
        // We speak first when the request is read, and from then on a person is at the other end.
        self.deadline = Instant::now() + self.patience;
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
    use twofa_proto::{BrokerEnd, ChannelError};

    fn pair() -> (UnixStream, Patient) {
        let (client, broker) = UnixStream::pair().unwrap();
        (
            client,
            Patient::new(broker.into(), Vec::new(), None).unwrap(),
        )
    }

    #[test]
    fn a_client_that_sends_a_byte_now_and_then_gains_no_time() {
        let (mut client, mut patient) = pair();
        let patience = Duration::from_millis(100);
        let begun = Instant::now();
        patient.deadline = begun + patience;
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
        let mut end = BrokerEnd::new(patient);
        assert!(matches!(
            end.request(),
            Err(ChannelError::Codec(CodecError::TimedOut))
        ));
        assert!(begun.elapsed() >= patience);
        drop(end);
        let dripped = drip.join().unwrap();
        assert!((1..65_536).contains(&dripped), "{dripped}");
    }

    #[test]
    fn a_client_that_says_nothing_has_five_seconds_and_a_person_as_long_as_is_set() {
        let (mut client, mut patient) = pair();
        let left = |patient: &Patient| patient.deadline.duration_since(Instant::now());
        assert!(left(&patient) <= Duration::from_secs(5));
        client.write_all(b"?").unwrap();
        patient.read_exact(&mut [0]).unwrap();
        assert!(
            left(&patient) <= Duration::from_secs(5),
            "what a client sends gains it nothing"
        );
        patient.write_all(b"!").unwrap();
        assert!((290..=300).contains(&left(&patient).as_secs()));
        patient.set_patience(Duration::from_secs(900));
        patient.write_all(b"!").unwrap();
        assert!((890..=900).contains(&left(&patient).as_secs()));
    }

    #[test]
    fn what_was_read_before_comes_first() {
        let (mut client, broker) = UnixStream::pair().unwrap();
        let mut patient = Patient::new(broker.into(), b"one ".to_vec(), None).unwrap();
        client.write_all(b"two").unwrap();
        drop(client);
        let mut all = String::new();
        patient.read_to_string(&mut all).unwrap();
        assert_eq!(all, "one two");
    }

    #[test]
    fn a_broker_that_ends_reads_what_has_come_and_waits_for_nothing_else() {
        let (mut client, broker) = UnixStream::pair().unwrap();
        let (stopper, stop) = Stop::new().unwrap();
        let mut patient = Patient::new(broker.into(), Vec::new(), Some(stop)).unwrap();
        client.write_all(b"?").unwrap();
        drop(stopper);
        patient.read_exact(&mut [0]).unwrap();
        // In the middle of a message too.
        assert_eq!(
            patient.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::ConnectionAborted
        );
    }

    #[test]
    fn a_read_that_waits_already_notices_that_the_broker_ends() {
        let (_client, broker) = UnixStream::pair().unwrap();
        let (stopper, stop) = Stop::new().unwrap();
        let mut patient = Patient::new(broker.into(), Vec::new(), Some(stop)).unwrap();
        let waits = thread::spawn(move || patient.read(&mut [0]).unwrap_err().kind());
        drop(stopper);
        assert_eq!(waits.join().unwrap(), ErrorKind::ConnectionAborted);
    }
}
