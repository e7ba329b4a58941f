//! Where a mail server runs.

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A place to run a mail server in, as root.
pub trait Place {
    /// The folder for all of its files, which need not be there.
    fn folder(&self) -> String;

    /// Free ports, one for each [`Door`](crate::Door) in their order.
    fn ports(&self) -> [u16; 5];

    /// Runs a bash script with `-eu` that has to succeed, and returns what it writes.
    fn run(&self, script: &str) -> String;

    /// Where this host reaches a path of the place.
    fn reach(&self, path: &str) -> PathBuf;

    /// Whether all that runs in the place ends with it.
    fn ends_by_itself(&self) -> bool;
}

/// This host, its loopback and a temporary folder.
#[derive(Debug)]
pub struct ThisHost(TempDir);

impl ThisHost {
    /// A new folder, cleared away at the end.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        Self(TempDir::with_prefix("mailserver-").expect("a folder for the mail server"))
    }
}

impl Place for ThisHost {
    fn folder(&self) -> String {
        self.0.path().to_str().expect("a path in UTF-8").to_owned()
    }

    fn ports(&self) -> [u16; 5] {
        // Held together, so that they differ.
        let listeners = [(); 5].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        listeners.map(|listener| {
            listener
                .local_addr()
                .expect("a bound socket has an address")
                .port()
        })
    }

    fn run(&self, script: &str) -> String {
        let mut bash = Command::new("bash");
        bash.arg("-eu")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut bash = bash.spawn().expect("bash");
        bash.stdin
            .take()
            .expect("a pipe")
            .write_all(script.as_bytes())
            .expect("bash reads");
        let output = bash.wait_with_output().expect("bash ends");
        assert!(output.status.success(), "this should succeed:\n{script}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn reach(&self, path: &str) -> PathBuf {
        path.into()
    }

    fn ends_by_itself(&self) -> bool {
        false
    }
}
