//! How long a conversation waits for its client.
//!
//! A socket's timeout starts anew with each byte, so that a client which sends one now and then would
//! keep its seat for good. Here a whole message has a deadline: each read waits for what is left of it.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use twofa_proto::Stream;

/// How long a client may take to say what it wants. A program says it at once.
const OPENING_PATIENCE: Duration = Duration::from_secs(5);
/// How long a person may think at a prompt; sshd and login end earlier by themselves.
const ANSWER_PATIENCE: Duration = Duration::from_secs(300);
/// How long a client may take to read what we send.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// A connection whose reads end at a deadline, which is set anew by whatever we send.
#[derive(Debug)]
pub(super) struct Patient {
    stream: Stream,
    deadline: Instant,
}

impl Patient {
    /// A fresh connection. Fails where limits cannot be set; it must not be served then.
    pub(super) fn new(stream: Stream) -> io::Result<Self> {
        stream.set_write_timeout(WRITE_PATIENCE)?;
        Ok(Self { stream, deadline: Instant::now() + OPENING_PATIENCE })
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(left)?;
        self.stream.read(buffer)
    }
}

impl Write for Patient {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(buffer)?;
        // We speak first when the request is read, and from then on a person is at the other end.
        self.deadline = Instant::now() + ANSWER_PATIENCE;
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
        (client, Patient::new(broker.into()).unwrap())
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
            client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let mut dripped = 0;
            while dripped < 65_536 && client.write_all(&[0]).is_ok() {
                dripped += 1;
                let _ = client.read(&mut [0]);
            }
            dripped
        });
        let mut end = BrokerEnd::new(patient);
        assert!(matches!(end.request(), Err(ChannelError::Codec(CodecError::TimedOut))));
        assert!(begun.elapsed() >= patience);
        drop(end);
        let dripped = drip.join().unwrap();
        assert!((1..65_536).contains(&dripped), "{dripped}");
    }

    #[test]
    fn a_client_that_says_nothing_has_five_seconds_and_a_person_five_minutes() {
        let (mut client, mut patient) = pair();
        let left = |patient: &Patient| patient.deadline.duration_since(Instant::now());
        assert!(left(&patient) <= Duration::from_secs(5));
        client.write_all(b"?").unwrap();
        patient.read_exact(&mut [0]).unwrap();
        assert!(left(&patient) <= Duration::from_secs(5), "what a client sends gains it nothing");
        patient.write_all(b"!").unwrap();
        assert!(left(&patient) > Duration::from_secs(290));
    }
}
