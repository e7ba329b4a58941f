//! Mail servers in a machine: a real one, and one that never says a word.

use std::path::PathBuf;

use twofa_mailserver::Place;

use crate::machine::{Machine, quote};
use crate::process::Process;

/// `MailServer::start(&machine, &["alice"])` starts one in a machine, on the ports that such servers have.
impl Place for &Machine {
    fn folder(&self) -> String {
        "/var/lib/mailserver".to_owned()
    }

    fn ports(&self) -> [u16; 5] {
        [465, 587, 25, 1465, 2465]
    }

    fn run(&self, script: &str) -> String {
        self.run_with_input("bash -eu", script).ok().stdout
    }

    fn reach(&self, path: &str) -> PathBuf {
        self.host_path(path)
    }

    /// A machine ends all that runs in it.
    fn ends_by_itself(&self) -> bool {
        true
    }
}

/// A server in a machine that takes connections and never says a word.
#[derive(Debug)]
pub struct HangingServer {
    process: Process,
}

impl HangingServer {
    /// Starts it on this port of the machine's loopback.
    pub fn start(machine: &Machine, port: u16) -> Self {
        let script = format!(
            "import socket\n\
             server = socket.create_server(('127.0.0.1', {port}), backlog=1000)\n\
             held = []\n\
             while True: held.append(server.accept())\n"
        );
        let process = machine.spawn(&format!("exec python3 -c {}", quote(&script)));
        machine.wait_for_port(port);
        Self { process }
    }

    /// Hangs up on everybody.
    pub fn stop(&mut self) {
        self.process.kill();
    }
}
