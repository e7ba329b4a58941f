//! The way to the broker: its socket, and where that is dead and the caller is root, a broker of our own.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{User, geteuid};
use twofa_proto::{
    ClientEnd, ConnectionError, Done, FromBroker, FromClient, MESSAGE_TIMEOUT, Request,
    SERVICE_USER, SOCKET, Secret, Stream,
};

use crate::child::Child;
use crate::host::{Host, Level};
use crate::sys;

/// The broker's program, fixed when the module is built.
pub const PROGRAM: &str = match option_env!("TWOFA_BROKER") {
    Some(program) => program,
    None => "/usr/sbin/twofad",
};
const _: () = assert!(
    matches!(PROGRAM.as_bytes(), [b'/', ..]),
    "TWOFA_BROKER must be an absolute path"
);

/// How long a socket may take to let us in, and then to say that we are served.
pub const SOCKET_PATIENCE: Duration = Duration::from_secs(2);
/// How long a broker may take to end a conversation that we have broken off.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// A conversation with a broker that serves it.
pub struct Broker {
    end: ClientEnd<Timed>,
    /// What it said at once, if that was more than that it serves us.
    first: Option<FromBroker>,
    _session: Option<Session>,
}

impl Broker {
    /// Opens a conversation at the socket, or else, for root, with a broker started for it. Fails with the
    /// reason for the log.
    pub fn reach(host: &mut impl Host, socket: &Path, request: Request) -> Result<Self, String> {
        let dead = match Self::at_socket(socket, request.clone()) {
            Ok(broker) => {
                host.log(
                    Level::Debug,
                    &format!("served by the broker at {}", socket.display()),
                );
                return Ok(broker);
            }
            Err(dead) => dead,
        };
        let dead_socket = format!("no broker at {}: {dead}", socket.display());
        if !geteuid().is_root() {
            return Err(dead_socket);
        }
        host.log(dead.level(), &format!("{dead_socket}; starting {PROGRAM}"));
        Self::of_our_own(Path::new(PROGRAM), request)
            .map_err(|error| format!("{dead_socket}; nor is one to be had from {PROGRAM}: {error}"))
    }

    fn at_socket(path: &Path, request: Request) -> Result<Self, Dead> {
        let stream = Stream::connect(path, SOCKET_PATIENCE)?;
        let uid = stream.peer_uid()?;
        if !may_be_the_broker(uid, path) {
            return Err(Dead::Impostor(uid));
        }
        Ok(Self::open(stream, request, SOCKET_PATIENCE)?)
    }

    fn of_our_own(program: &Path, request: Request) -> Result<Self, Dead> {
        let (stream, session) = Session::start(program)?;
        // Nothing is left to turn to if it is slow to start, so it has the longer time.
        let broker = Self::open(stream, request, MESSAGE_TIMEOUT)?;
        Ok(Self {
            _session: Some(session),
            ..broker
        })
    }

    /// Opens a conversation on a fresh connection and waits until the broker says that it is served.
    pub fn open(
        stream: Stream,
        request: Request,
        patience: Duration,
    ) -> Result<Self, ConnectionError> {
        let mut end = ClientEnd::open(
            Timed {
                stream,
                until: Cell::new(Instant::now() + patience),
            },
            request,
        )?;
        let first = match end.receive()? {
            FromBroker::Accepted => None,
            other => Some(other),
        };
        Ok(Self {
            end,
            first,
            _session: None,
        })
    }

    /// What the broker says next.
    pub fn receive(&mut self) -> Result<FromBroker, ConnectionError> {
        self.first
            .take()
            .map_or_else(|| self.receive_until(Instant::now() + MESSAGE_TIMEOUT), Ok)
    }

    /// Answers its prompt.
    pub fn answer(&mut self, answer: Option<Secret>) -> Result<(), ConnectionError> {
        self.end.send(&FromClient::Answer(answer))
    }

    /// Answers its prompt, and any that follow, with nothing, and lets it come to its end in its own way: that end, if
    /// it comes.
    pub fn break_off(&mut self) -> Option<Done> {
        let until = Instant::now() + END_PATIENCE;
        let mut asked = true;
        loop {
            if asked && self.answer(None).is_err() {
                return None;
            }
            match self.receive_until(until) {
                Ok(FromBroker::Done(done)) => return Some(done),
                Err(_) => return None,
                Ok(message) => asked = matches!(message, FromBroker::Prompt(_)),
            }
        }
    }

    fn receive_until(&mut self, until: Instant) -> Result<FromBroker, ConnectionError> {
        self.end.stream().until.set(until);
        self.end.receive()
    }
}

/// Why nobody serves us, at the socket or started. In each case nothing has happened yet.
enum Dead {
    NoConnection(io::Error),
    Impostor(u32),
    NotServed(ConnectionError),
}

impl Dead {
    fn level(&self) -> Level {
        match self {
            // Without a daemon there is no socket, and that is one way to run.
            Self::NoConnection(error) if error.kind() == ErrorKind::NotFound => Level::Debug,
            Self::NoConnection(_) | Self::NotServed(_) => Level::Warning,
            Self::Impostor(_) => Level::Error,
        }
    }
}

impl From<io::Error> for Dead {
    fn from(error: io::Error) -> Self {
        Self::NoConnection(error)
    }
}

impl From<ConnectionError> for Dead {
    fn from(error: ConnectionError) -> Self {
        Self::NotServed(error)
    }
}

impl fmt::Display for Dead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection(error) => error.fmt(f),
            Self::Impostor(uid) => {
                write!(
                    f,
                    "uid {uid} listens there, which is neither root nor {SERVICE_USER}"
                )
            }
            Self::NotServed(error) => error.fmt(f),
        }
    }
}

/// Whether a broker may run as `uid`: as root, who is there when systemd holds the socket, as the owner whom
/// root gave the socket's directory, or as the service user.
///
/// The directory says so in two system calls where the name service may take longer than all the rest. It is
/// asked at the built-in place only, because a directory made for something else says nothing about brokers:
/// with `socket=` below somebody's home, its owner is not believed.
fn may_be_the_broker(uid: u32, socket: &Path) -> bool {
    uid == 0
        || (socket == Path::new(SOCKET) && appointed(socket) == Some(uid))
        || matches!(User::from_name(SERVICE_USER), Ok(Some(user)) if user.uid.as_raw() == uid)
}

/// The owner of the socket's directory, if only root can have made that theirs: what is above it belongs to
/// root, and nobody else can write there. Not even with a sticky bit: anybody can make a directory in /tmp.
fn appointed(socket: &Path) -> Option<u32> {
    let directory = socket.parent()?;
    let above = fs::symlink_metadata(directory.parent()?)
        .ok()
        .filter(is_kept_by_owner)?;
    let directory = fs::symlink_metadata(directory)
        .ok()
        .filter(is_kept_by_owner)?;
    (above.uid() == 0).then(|| directory.uid())
}

/// A real directory that nobody but its owner can write to (the group's bits also bound all ACL entries).
fn is_kept_by_owner(found: &fs::Metadata) -> bool {
    found.is_dir() && found.mode() & 0o022 == 0
}

/// A stream that gives up at a point in time, however little comes at once and however often a signal
/// interrupts.
struct Timed {
    stream: Stream,
    until: Cell<Instant>,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        wait_for(&self.stream, PollFlags::POLLIN, self.until.get())?;
        self.stream.read(buffer)
    }
}

/// Waits for one of `events`, or a hang-up, on `file`.
pub(crate) fn wait_for(file: &impl AsFd, events: PollFlags, until: Instant) -> io::Result<()> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // Rounded up, lest the last millisecond be spent spinning.
        let left = PollTimeout::try_from(left.as_millis() + u128::from(!left.is_zero()))
            .map_err(|_| ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(file.as_fd(), events)], left) {
            Ok(0) => return Err(ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A broker that serves one conversation, started here. When dropped it is told that the conversation is
/// over, and waited for.
struct Session {
    child: Child,
    /// Our end of the stream.
    stream: UnixStream,
}

impl Session {
    fn start(program: &Path) -> io::Result<(Stream, Self)> {
        let (ours, theirs) = UnixStream::pair()?;
        let stream = Stream::from(ours.try_clone()?);
        stream.set_write_timeout(SOCKET_PATIENCE)?;
        let mut command = Command::new(program);
        // From su the real uid is the user's still, who could send it signals.
        command
            .arg("--stdio")
            .env_clear()
            .current_dir("/")
            .uid(0)
            .gid(0);
        command
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        sys::isolate(&mut command);
        // The command holds their end; both must be gone before the child's end can be noticed.
        Ok((
            stream,
            Self {
                child: Child::spawn(command)?,
                stream: ours,
            },
        ))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // From before it ends, so that the application neither hears of it nor reaps it.
        let _sigchld = sys::DefaultSigchld::hold();
        // No more than an end of file to the broker, which may have something to write yet.
        let _ = self.stream.shutdown(Shutdown::Write);
        // The broker's end is its standard input, which closes when it has exited.
        let _ = wait_for(
            &self.stream,
            PollFlags::empty(),
            Instant::now() + END_PATIENCE,
        );
        // Reaches only one that has not exited: it is late, or it has closed its standard input.
        self.child.kill();
        self.child.reap(Instant::now() + END_PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{SigmaskHow, Signal, sigprocmask};
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::path::PathBuf;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::thread;
    use twofa_proto::codec::CodecError;
    use twofa_proto::{BrokerEnd, Done, Login, Verdict};

    fn request() -> Request {
        Request::Login(Login::default())
    }

    fn open(patience: u64) -> (Result<Broker, ConnectionError>, Duration) {
        let (client, _broker) = UnixStream::pair().unwrap();
        let start = Instant::now();
        let broker = Broker::open(client.into(), request(), Duration::from_millis(patience));
        (broker, start.elapsed())
    }

    #[test]
    fn a_broker_that_says_nothing_is_given_up() {
        let (broker, took) = open(50);
        assert!(matches!(
            broker,
            Err(ConnectionError::Codec(CodecError::TimedOut))
        ));
        assert!(
            took >= Duration::from_millis(50) && took < Duration::from_secs(1),
            "{took:?}"
        );
    }

    #[test]
    fn a_broker_that_speaks_a_byte_at_a_time_is_given_up_all_the_same() {
        let (client, mut broker) = UnixStream::pair().unwrap();
        let drip = thread::spawn(move || {
            broker.write_all(&[0, 0, 0, 99])?;
            (0..99).try_for_each(|_| {
                thread::sleep(Duration::from_millis(20));
                broker.write_all(&[0])
            })
        });
        let start = Instant::now();
        assert!(Broker::open(client.into(), request(), Duration::from_millis(100)).is_err());
        assert!(
            start.elapsed() < Duration::from_millis(500),
            "{:?}",
            start.elapsed()
        );
        assert!(drip.join().unwrap().is_err());
    }

    #[test]
    fn a_broker_that_is_done_at_once_need_not_accept() {
        let (client, broker) = UnixStream::pair().unwrap();
        let done = FromBroker::Done(Done::Login {
            verdict: Verdict::Denied,
            why: "no".into(),
        });
        let mut broker = BrokerEnd::new(broker);
        let said = done.clone();
        let broker = thread::spawn(move || {
            broker.request().unwrap();
            broker.send(&said).unwrap();
        });
        let mut client = Broker::open(client.into(), request(), Duration::from_secs(5)).unwrap();
        assert_eq!(client.receive().unwrap(), done);
        broker.join().unwrap();
    }

    #[test]
    fn there_is_no_broker_at_a_path_where_nothing_is() {
        let dead = Broker::at_socket(Path::new("/nonexistent/twofad.sock"), request())
            .err()
            .unwrap();
        assert_eq!(dead.level(), Level::Debug);
    }

    #[test]
    fn a_stranger_may_not_be_the_broker() {
        for socket in [
            SOCKET,
            "/run/elsewhere.sock",
            "/tmp/twofad.sock",
            "/nonexistent/twofad.sock",
            "/",
        ] {
            assert!(may_be_the_broker(0, Path::new(socket)));
            assert!(!may_be_the_broker(65_534, Path::new(socket)), "{socket}");
        }
    }

    #[test]
    fn a_directory_has_an_owner_appointed_by_root_only_if_nobody_else_could_have_made_or_changed_it()
     {
        const SOMEBODY: u32 = 65_534;
        if !is_root() {
            return;
        }
        let above = tempfile::tempdir().unwrap();
        let directory = above.path().join("twofa");
        fs::create_dir(&directory).unwrap();
        let socket = directory.join("twofad.sock");
        let appointed_with = |modes: [u32; 2], owners: [u32; 2]| {
            for (path, (mode, owner)) in [above.path(), &directory]
                .into_iter()
                .zip(modes.into_iter().zip(owners))
            {
                chown(path, Some(owner), None).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
            appointed(&socket)
        };
        assert_eq!(
            appointed_with([0o755, 0o755], [0, SOMEBODY]),
            Some(SOMEBODY)
        );
        assert_eq!(appointed_with([0o755, 0o755], [0, 0]), Some(0));
        for modes in [
            [0o755, 0o775],
            [0o755, 0o757],
            [0o775, 0o755],
            [0o757, 0o755],
            [0o1777, 0o755],
        ] {
            assert_eq!(appointed_with(modes, [0, SOMEBODY]), None, "{modes:?}");
        }
        assert_eq!(appointed_with([0o755, 0o755], [SOMEBODY, SOMEBODY]), None);

        assert!(appointed_with([0o755, 0o755], [0, SOMEBODY]).is_some());
        symlink("twofa", above.path().join("link")).unwrap();
        assert_eq!(appointed(&above.path().join("link/twofad.sock")), None);
        assert_eq!(appointed(&above.path().join("nothing/twofad.sock")), None);
    }

    /// One at a time: a child just forked holds the next script open for writing, which then cannot start.
    static SPAWNS: Mutex<()> = Mutex::new(());

    fn alone() -> MutexGuard<'static, ()> {
        SPAWNS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An executable that stands in for the broker.
    struct StandIn(
        PathBuf,
        #[expect(dead_code, reason = "held")] MutexGuard<'static, ()>,
    );

    impl StandIn {
        fn new(name: &str, script: &str) -> Self {
            let alone = alone();
            let path =
                std::env::temp_dir().join(format!("pam_twofa-{}-{name}", std::process::id()));
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            Self(path, alone)
        }
    }

    impl Drop for StandIn {
        fn drop(&mut self) {
            fs::remove_file(&self.0).unwrap();
        }
    }

    fn is_root() -> bool {
        geteuid().is_root()
    }

    #[test]
    fn a_started_broker_has_nothing_of_the_application() {
        if !is_root() {
            return;
        }
        let report = std::env::temp_dir().join(format!("pam_twofa-{}-said", std::process::id()));
        // As other people's libraries leave them behind; all that std opens is closed on exec.
        let (leaked, _peer) = socketpair(
            AddressFamily::Unix,
            SockType::Stream,
            None,
            SockFlag::empty(),
        )
        .unwrap();
        let name = fs::read_link(format!("/proc/self/fd/{}", leaked.as_raw_fd())).unwrap();
        // What the shell was started with is read from /proc: a shell adds variables of its own.
        let script = format!(
            "{{ echo \"$@\"; tr '\\0' '\\n' </proc/$$/environ; echo end; pwd; umask; ls -l /proc/$$/fd; \
             grep -E '^(Uid|Gid|Groups)' /proc/$$/status; }} >{0}.tmp; mv {0}.tmp {0}; cat >/dev/null",
            report.display()
        );
        let program = StandIn::new("report", &script);
        let (stream, session) = Session::start(&program.0).unwrap();
        while !report.exists() {
            thread::sleep(Duration::from_millis(5));
        }
        drop((stream, session));
        let report_text = fs::read_to_string(&report).unwrap();
        fs::remove_file(report).unwrap();
        assert!(
            report_text.starts_with("--stdio\nend\n/\n0077\n"),
            "{report_text}"
        );
        assert!(
            !report_text.contains(name.to_str().unwrap()),
            "{report_text}"
        );
        assert!(report_text.contains(" 2 -> /dev/null"), "{report_text}");
        assert!(report_text.contains("Uid:\t0\t0\t0\t0"), "{report_text}");
    }

    #[test]
    fn a_started_broker_has_no_signal_blocked_or_ignored() {
        if !is_root() {
            return;
        }
        let _alone = alone();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&Signal::SIGINT.into()), None).unwrap();
        // Not a shell, which changes its mask itself. Once dead and not reaped it changes nothing any more.
        let (_stream, session) = Session::start(Path::new("/bin/true")).unwrap();
        let status = loop {
            let status =
                fs::read_to_string(format!("/proc/{}/status", session.child.pid())).unwrap();
            if status.contains("State:\tZ") {
                break status;
            }
            thread::sleep(Duration::from_millis(1));
        };
        for set in ["SigBlk:\t", "SigIgn:\t"] {
            let set = status
                .lines()
                .find_map(|line| line.strip_prefix(set))
                .unwrap();
            // Signals above 31 are glibc's own business.
            assert_eq!(
                u64::from_str_radix(set, 16).unwrap() & 0x7fff_ffff,
                0,
                "{status}"
            );
        }
    }

    #[test]
    fn a_started_broker_that_ends_at_once_is_noticed_and_reaped() {
        if !is_root() {
            return;
        }
        let program = StandIn::new("ends", "exit 3");
        let start = Instant::now();
        assert!(matches!(
            Broker::of_our_own(&program.0, request()),
            Err(Dead::NotServed(ConnectionError::Codec(CodecError::Closed)))
        ));
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn a_started_broker_that_does_not_end_is_killed() {
        if !is_root() {
            return;
        }
        let program = StandIn::new("stays", "exec sleep 1000");
        let (stream, session) = Session::start(&program.0).unwrap();
        let pid = session.child.pid();
        let start = Instant::now();
        drop((stream, session));
        assert!(start.elapsed() >= END_PATIENCE && start.elapsed() < END_PATIENCE * 2);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_started_broker_that_closes_its_input_and_stays_is_not_waited_for() {
        if !is_root() {
            return;
        }
        let program = StandIn::new("lingers", "exec sleep 1000 <&-");
        let (stream, session) = Session::start(&program.0).unwrap();
        let pid = session.child.pid();
        let start = Instant::now();
        drop((stream, session));
        assert!(start.elapsed() < END_PATIENCE, "{:?}", start.elapsed());
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_started_broker_comes_to_its_own_end_and_can_say_so() {
        if !is_root() {
            return;
        }
        let done = std::env::temp_dir().join(format!("pam_twofa-{}-done", std::process::id()));
        let script = format!(
            "cat >/dev/null; sleep 0.1; echo written >&0; echo $? >{}",
            done.display()
        );
        let program = StandIn::new("writes", &script);
        drop(Session::start(&program.0).unwrap());
        let status = fs::read_to_string(&done).unwrap();
        fs::remove_file(done).unwrap();
        assert_eq!(status.trim(), "0");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let _alone = alone();
        assert!(matches!(
            Broker::of_our_own(Path::new("/nonexistent/twofad"), request()),
            Err(Dead::NoConnection(_))
        ));
    }
}
