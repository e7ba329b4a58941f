//! The connection to the broker: at its socket, or to one started for this login when there is none and the caller is root.
//!
//! While packages are upgraded, either may be of the previous release, and speak the previous version of the protocol only.
//! Such a broker closes the connection without a word, so the module asks again in that version, in which nothing is
//! permitted that today's would refuse. The broker that listens comes first in both versions: one that is started may be
//! newer, and would change the store under it.
//!
//! - `peer`: who may be the broker
//! - `spawned`: a broker started for one login
//! - `child`: its process, of which the application does not know

mod child;
mod peer;
mod spawned;

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;
use twofa_proto::codec::CodecError;
use twofa_proto::{
    ClientEnd, ConnectionError, Done, FromBroker, FromClient, MESSAGE_TIMEOUT, Request,
    SERVICE_USER, Secret, Stream, Version,
};

use crate::deadline::DeadlineStream;
use crate::host::{Host, Level};
use crate::messages;
use spawned::SpawnedBroker;

/// The broker's program, fixed when the module is built.
pub const PROGRAM: &str = match option_env!("TWOFA_BROKER") {
    Some(program) => program,
    None => "/usr/sbin/twofad",
};
const _: () = assert!(
    matches!(PROGRAM.as_bytes(), [b'/', ..]),
    "TWOFA_BROKER must be an absolute path"
);

/// How long the broker at the socket may take to accept the connection, and then to accept the request.
pub const SOCKET_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a broker may take to end a request that was cancelled.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to a broker that has accepted a request.
pub struct Connection {
    end: ClientEnd<DeadlineStream>,
    /// The first message, if it said more than that the request is accepted.
    first: Option<FromBroker>,
    version: Version,
    _spawned: Option<SpawnedBroker>,
}

impl Connection {
    /// Sends `request` to the broker at `socket`, or else, for root, to a broker started for it. Fails with the reason for
    /// the log.
    pub fn open(host: &mut impl Host, socket: &Path, request: &Request) -> Result<Self, String> {
        let connection = Self::find(host, socket, request)?;
        if connection.version == Version::Previous {
            host.log(Level::Warning, messages::PREVIOUS_VERSION);
        }
        Ok(connection)
    }

    fn find(host: &mut impl Host, socket: &Path, request: &Request) -> Result<Self, String> {
        let unreachable = match Self::at_socket(socket, request) {
            Ok(connection) => {
                host.log(Level::Debug, &messages::served_at(&socket.display()));
                return Ok(connection);
            }
            Err(unreachable) => unreachable,
        };
        let no_broker = messages::no_broker_at(&socket.display(), &unreachable);
        if !geteuid().is_root() {
            return Err(no_broker);
        }
        host.log(
            unreachable.level(),
            &messages::starting(&no_broker, PROGRAM),
        );
        Self::to_spawned(Path::new(PROGRAM), request)
            .map_err(|error| messages::not_started(&no_broker, PROGRAM, &error))
    }

    /// Sends `request` to the broker at `socket` and waits for its result, all within `timeout`. No other broker is tried.
    pub fn ask(socket: &Path, request: &Request, timeout: Duration) -> Option<Done> {
        let deadline = Instant::now() + timeout;
        let mut connection = in_either_version(|version| {
            let left = deadline.saturating_duration_since(Instant::now());
            Self::submit(connect(socket, left)?, version, request, left)
        })
        .ok()?;
        let message = match connection.first.take() {
            Some(first) => first,
            None => connection.receive_until(deadline).ok()?,
        };
        match message {
            FromBroker::Done(done) => Some(done),
            _ => None,
        }
    }

    fn at_socket(path: &Path, request: &Request) -> Result<Self, Unreachable> {
        in_either_version(|version| {
            let stream = connect(path, SOCKET_TIMEOUT)?;
            Self::submit(stream, version, request, SOCKET_TIMEOUT)
        })
    }

    fn to_spawned(program: &Path, request: &Request) -> Result<Self, Unreachable> {
        in_either_version(|version| {
            let (stream, spawned) = SpawnedBroker::start(program)?;
            // There is nothing to fall back to if it is slow to start, so it has the longer time.
            let connection = Self::submit(stream, version, request, MESSAGE_TIMEOUT)?;
            Ok(Self {
                _spawned: Some(spawned),
                ..connection
            })
        })
    }

    /// Sends `request` over a fresh connection and waits until the broker accepts it.
    pub fn submit(
        stream: Stream,
        version: Version,
        request: &Request,
        timeout: Duration,
    ) -> Result<Self, Unreachable> {
        let stream = DeadlineStream::new(stream, Instant::now() + timeout);
        let mut end = ClientEnd::open_in(version, stream, request.clone())?;
        let first = match end.receive()? {
            FromBroker::Accepted => None,
            other => Some(other),
        };
        Ok(Self {
            end,
            first,
            version,
            _spawned: None,
        })
    }

    /// The broker's next message.
    pub fn receive(&mut self) -> Result<FromBroker, ConnectionError> {
        self.first
            .take()
            .map_or_else(|| self.receive_until(Instant::now() + MESSAGE_TIMEOUT), Ok)
    }

    /// Answers its prompt.
    pub fn answer(&mut self, answer: Option<Secret>) -> Result<(), ConnectionError> {
        self.end.send(&FromClient::Answer(answer))
    }

    /// Answers its prompt, and any that follow, with nothing, and lets it end in its own way. Returns its result, if it
    /// sends one.
    pub fn cancel(&mut self) -> Option<Done> {
        let deadline = Instant::now() + END_TIMEOUT;
        let mut asked = true;
        loop {
            if asked && self.answer(None).is_err() {
                return None;
            }
            match self.receive_until(deadline) {
                Ok(FromBroker::Done(done)) => return Some(done),
                Err(_) => return None,
                Ok(message) => asked = matches!(message, FromBroker::Prompt(_)),
            }
        }
    }

    fn receive_until(&mut self, deadline: Instant) -> Result<FromBroker, ConnectionError> {
        self.end.stream().set_deadline(deadline);
        self.end.receive()
    }
}

/// Connects to the broker at `socket`, waiting at most `timeout`.
fn connect(socket: &Path, timeout: Duration) -> Result<Stream, Unreachable> {
    let stream = Stream::connect(socket, timeout)?;
    let uid = stream.peer_uid()?;
    if peer::may_be_broker(uid, socket) {
        Ok(stream)
    } else {
        Err(Unreachable::NotTheBroker(uid))
    }
}

/// Makes an attempt in today's version of the protocol and, if the broker closes the connection, in the previous one.
fn in_either_version(
    attempt: impl Fn(Version) -> Result<Connection, Unreachable>,
) -> Result<Connection, Unreachable> {
    match attempt(Version::Current) {
        Err(closed @ Unreachable::NotAccepted(ConnectionError::Codec(CodecError::Closed))) => {
            attempt(Version::Previous).map_err(|_| closed)
        }
        result => result,
    }
}

/// Why no broker accepts a request, at the socket or started. In each case nothing has happened yet.
pub enum Unreachable {
    /// Nothing listens at the socket, or the program cannot be started.
    NoConnection(io::Error),
    /// This user listens there, who may not be the broker.
    NotTheBroker(u32),
    /// The broker closed the connection, or was late.
    NotAccepted(ConnectionError),
}

impl Unreachable {
    fn level(&self) -> Level {
        match self {
            // Without a daemon there is no socket, which is one way to run.
            Self::NoConnection(error) if error.kind() == ErrorKind::NotFound => Level::Debug,
            Self::NoConnection(_) | Self::NotAccepted(_) => Level::Warning,
            Self::NotTheBroker(_) => Level::Error,
        }
    }
}

impl From<io::Error> for Unreachable {
    fn from(error: io::Error) -> Self {
        Self::NoConnection(error)
    }
}

impl From<ConnectionError> for Unreachable {
    fn from(error: ConnectionError) -> Self {
        Self::NotAccepted(error)
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection(error) => error.fmt(f),
            Self::NotTheBroker(uid) => f.write_str(&messages::not_the_broker(*uid, SERVICE_USER)),
            Self::NotAccepted(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;
    use std::{env, fs, process, thread};
    use twofa_proto::{BrokerEnd, Confirm, Login, Ticket, Verdict};

    fn request() -> Request {
        Request::Login(Login::default())
    }

    fn submit(client: UnixStream, timeout: Duration) -> Result<Connection, Unreachable> {
        Connection::submit(client.into(), Version::Current, &request(), timeout)
    }

    fn open(timeout: u64) -> (Result<Connection, Unreachable>, Duration) {
        let (client, _broker) = UnixStream::pair().unwrap();
        let start = Instant::now();
        let connection = submit(client, Duration::from_millis(timeout));
        (connection, start.elapsed())
    }

    #[test]
    fn a_broker_that_sends_nothing_is_given_up() {
        let (broker, took) = open(50);
        assert!(matches!(
            broker,
            Err(Unreachable::NotAccepted(ConnectionError::Codec(
                CodecError::TimedOut
            )))
        ));
        assert!(
            took >= Duration::from_millis(50) && took < Duration::from_secs(1),
            "{took:?}"
        );
    }

    #[test]
    fn a_broker_that_sends_one_byte_at_a_time_is_given_up() {
        let (client, mut broker) = UnixStream::pair().unwrap();
        let drip = thread::spawn(move || {
            broker.write_all(&[0, 0, 0, 99])?;
            (0..99).try_for_each(|_| {
                thread::sleep(Duration::from_millis(20));
                broker.write_all(&[0])
            })
        });
        let start = Instant::now();
        assert!(submit(client, Duration::from_millis(100)).is_err());
        assert!(
            start.elapsed() < Duration::from_millis(500),
            "{:?}",
            start.elapsed()
        );
        assert!(drip.join().unwrap().is_err());
    }

    #[test]
    fn a_broker_that_sends_its_result_at_once_need_not_accept() {
        let (client, broker) = UnixStream::pair().unwrap();
        let done = FromBroker::Done(Done::Login {
            verdict: Verdict::Denied,
            confirm: Confirm::No,
            why: "no".into(),
        });
        let mut broker = BrokerEnd::new(broker);
        let sent = done.clone();
        let broker = thread::spawn(move || {
            broker.request().unwrap();
            broker.send(&sent).unwrap();
        });
        let mut client = submit(client, Duration::from_secs(5)).ok().unwrap();
        assert_eq!(client.receive().unwrap(), done);
        broker.join().unwrap();
    }

    /// A socket at which one broker after another serves a connection, and its folder.
    fn listening(name: &str, brokers: Vec<fn(UnixStream)>) -> (PathBuf, thread::JoinHandle<()>) {
        let socket = env::temp_dir().join(format!("pam_twofa-{}-{name}.sock", process::id()));
        let listener = UnixListener::bind(&socket).unwrap();
        let brokers = thread::spawn(move || {
            for broker in brokers {
                broker(listener.accept().unwrap().0);
            }
        });
        (socket, brokers)
    }

    /// Closes the connection as soon as the request is there, as a broker does that does not know its version.
    fn refuse(stream: UnixStream) {
        BrokerEnd::new(stream).request().unwrap();
    }

    fn trust(stream: UnixStream) {
        let mut broker = BrokerEnd::new(stream);
        broker.request().unwrap();
        broker
            .send(&FromBroker::Done(Done::Login {
                verdict: Verdict::Trusted,
                confirm: Confirm::Trust(Ticket(77)),
                why: "known".into(),
            }))
            .unwrap();
    }

    fn ticket(message: &FromBroker) -> Ticket {
        match message {
            FromBroker::Done(Done::Login {
                confirm: Confirm::Trust(ticket),
                ..
            }) => *ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_broker_that_closes_the_connection_is_asked_again_in_the_previous_version_which_has_no_tickets()
     {
        if !geteuid().is_root() {
            return;
        }
        let (socket, brokers) = listening("previous", vec![trust, refuse, trust, refuse, trust]);
        let mut today = Connection::at_socket(&socket, &request()).ok().unwrap();
        assert_eq!(ticket(&today.receive().unwrap()), Ticket(77));
        let mut previous = Connection::at_socket(&socket, &request()).ok().unwrap();
        assert_eq!(previous.version, Version::Previous);
        assert_ne!(ticket(&previous.receive().unwrap()), Ticket(77));
        let told = Connection::ask(&socket, &request(), Duration::from_secs(5)).unwrap();
        assert_ne!(ticket(&FromBroker::Done(told)), Ticket(77));
        brokers.join().unwrap();
        fs::remove_file(socket).unwrap();
    }

    #[test]
    fn a_broker_that_closes_both_connections_has_not_accepted() {
        if !geteuid().is_root() {
            return;
        }
        let (socket, brokers) = listening("refuses", vec![refuse, refuse]);
        assert!(matches!(
            Connection::at_socket(&socket, &request()),
            Err(Unreachable::NotAccepted(ConnectionError::Codec(
                CodecError::Closed
            )))
        ));
        brokers.join().unwrap();
        fs::remove_file(socket).unwrap();
    }

    #[test]
    fn there_is_no_broker_at_a_path_where_nothing_is() {
        let unreachable = Connection::at_socket(Path::new("/nonexistent/twofad.sock"), &request())
            .err()
            .unwrap();
        assert_eq!(unreachable.level(), Level::Debug);
    }

    #[test]
    fn a_spawned_broker_that_exits_at_once_is_noticed_and_reaped() {
        if !geteuid().is_root() {
            return;
        }
        let program = spawned::tests::StandIn::new("ends", "exit 3");
        let start = Instant::now();
        assert!(matches!(
            Connection::to_spawned(program.path(), &request()),
            Err(Unreachable::NotAccepted(ConnectionError::Codec(
                CodecError::Closed
            )))
        ));
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn a_program_that_does_not_exist_is_an_error() {
        let _alone = spawned::tests::alone();
        assert!(matches!(
            Connection::to_spawned(Path::new("/nonexistent/twofad"), &request()),
            Err(Unreachable::NoConnection(_))
        ));
    }
}
