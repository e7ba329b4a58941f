//! Programs that stand in for providers, ended with the test.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A program that runs until this value goes.
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

    /// Waits until it takes connections at `address`.
    pub fn serves(&mut self, address: SocketAddr) {
        until("it takes connections", || {
            let status = self.child.try_wait().unwrap();
            assert!(
                status.is_none(),
                "it ended: {status:?} {}",
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

/// Waits until something holds, and fails when it does not for a minute.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// An address nobody listens at.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// The program at `path` in the folder where `tests/install-contract-tools` put it. `None`: it is not there, which is
/// said, because then a test is left out.
pub fn tool(path: &str) -> Option<PathBuf> {
    let folder = env::var_os("TWOFA_TEST_TOOLS").unwrap_or_else(|| "target/contract-tools".into());
    let tool = project().join(folder).join(path);
    if tool.exists() {
        return Some(tool);
    }
    left_out(&format!(
        "{} is missing (tests/install-contract-tools installs it)",
        tool.display()
    ));
    None
}

/// The folder of the whole project.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Says that a test was left out, past the capture of what tests say: one that does nothing must not look like one that
/// passed.
pub fn left_out(why: &str) {
    writeln!(io::stderr(), "Left out: {why}.").unwrap();
}
