//! The host that a mail server runs on.

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A port for each [`Listener`](crate::Listener), in their order.
pub type Ports = [u16; 6];

/// A host that a mail server runs on, as root.
pub trait Host {
    /// The directory for all of the server's files. It need not exist.
    fn folder(&self) -> String;

    /// Free ports.
    fn ports(&self) -> Ports;

    /// Runs a script with `bash -eu` and returns its output. Panics if it fails.
    fn run(&self, script: &str) -> String;

    /// The path at which a file of that host is visible on this one.
    fn local_path(&self, path: &str) -> PathBuf;

    /// Whether the host stops the server's processes when it is stopped itself.
    fn stops_its_processes(&self) -> bool;
}

/// This host: its loopback interface and a temporary directory.
#[derive(Debug)]
pub struct LocalHost(TempDir);

impl LocalHost {
    /// Creates a temporary directory. It is removed on drop.
    #[expect(clippy::new_without_default, reason = "it creates a directory")]
    pub fn new() -> Self {
        Self(TempDir::with_prefix("mailserver-").expect("a directory for the mail server"))
    }
}

impl Host for LocalHost {
    fn folder(&self) -> String {
        self.0.path().to_str().expect("a path in UTF-8").to_owned()
    }

    fn ports(&self) -> Ports {
        // All are bound at the same time, so that they differ.
        let listeners = [(); 6].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
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

    fn local_path(&self, path: &str) -> PathBuf {
        path.into()
    }

    fn stops_its_processes(&self) -> bool {
        false
    }
}
