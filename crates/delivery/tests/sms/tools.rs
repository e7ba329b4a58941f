//! Programs that play providers and end with the test.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A program that is killed on drop.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command`, which writes to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let out = fs::File::create(log).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out);
        Self {
            child: command.spawn().unwrap(),
            log: log.to_owned(),
        }
    }

    /// Waits until it accepts connections at `address`.
    pub fn serves(&mut self, address: SocketAddr) {
        until("it accepts connections", || {
            let status = self.child.try_wait().unwrap();
            assert!(
                status.is_none(),
                "it exited: {status:?} {}",
                fs::read_to_string(&self.log).unwrap()
            );
            TcpStream::connect(address).is_ok()
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Waits until a condition holds, and panics after a minute.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// An address on which nothing listens. Each has a loopback host of its own: a port of a shared one could go to another
/// test before the program that it is meant for has taken it.
pub fn free_address() -> SocketAddr {
    static GIVEN: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = process::id().to_be_bytes();
    let last = GIVEN.fetch_add(1, Ordering::Relaxed);
    assert!(last < 255, "as many hosts as a process has addresses");
    TcpListener::bind((Ipv4Addr::new(127, high, low, last), 0))
        .unwrap()
        .local_addr()
        .unwrap()
}

/// The program at `path` in the directory where `tests/install-contract-tools` installs it. `None`: it is missing,
/// which is printed, because the test is skipped then.
pub fn tool(path: &str) -> Option<PathBuf> {
    let folder = env::var_os("TWOFA_TEST_TOOLS").unwrap_or_else(|| "target/contract-tools".into());
    let tool = project().join(folder).join(path);
    if tool.exists() {
        return Some(tool);
    }
    skipped(&format!(
        "{} is missing (tests/install-contract-tools installs it)",
        tool.display()
    ));
    None
}

/// The directory of the whole project.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Prints that a test was skipped, bypassing the capture of the test's output: a skipped test must not look like one
/// that passed.
pub fn skipped(why: &str) {
    writeln!(io::stderr(), "Skipped: {why}.").unwrap();
}
