//! Mail servers in a machine: a real one, and one that never answers.

use std::path::PathBuf;

use twofa_mailserver::{Host, MailServer, Ports};

use crate::machine::{Machine, quote};
use crate::process::Process;

/// `MailServer::start(&machine, &["alice"])` starts one in a machine, on the usual ports.
impl Host for &Machine {
    fn folder(&self) -> String {
        "/var/lib/mailserver".to_owned()
    }

    fn ports(&self) -> Ports {
        [465, 587, 25, 1465, 2465, 1025]
    }

    fn run(&self, script: &str) -> String {
        self.run_with_input("bash -eu", script).ok().stdout
    }

    fn local_path(&self, path: &str) -> PathBuf {
        self.host_path(path)
    }

    /// The machine ends everything that runs in it.
    fn stops_its_processes(&self) -> bool {
        true
    }
}

/// Starts a mail server with these mailboxes in `machine` and sets it up as the provider `mail`.
pub fn carry_mail<'a>(machine: &'a Machine, users: &[&str]) -> MailServer<&'a Machine> {
    let mail = MailServer::start(machine, users);
    add_mail(machine, &mail);
    mail
}

/// Sets `mail` up as the provider `mail`.
pub fn add_mail(machine: &Machine, mail: &MailServer<&Machine>) {
    let command = format!(
        "twofa provider add mail smtp host={} port={} from=it@example.org username={} ca-file={} --secrets-from -",
        mail.host(),
        mail.port(),
        mail.username(),
        mail.ca_file(),
    );
    machine
        .run_with_input(&command, &format!("password={}\n", mail.password()))
        .ok();
}

/// The six digits that form a word of their own in a message.
///
/// # Panics
///
/// If there are none.
pub fn code_in(message: &str) -> String {
    let mut words = message.split(|c: char| !c.is_ascii_alphanumeric());
    let code = words.find(|word| word.len() == 6 && word.bytes().all(|c| c.is_ascii_digit()));
    code.unwrap_or_else(|| panic!("there is no code in {message}"))
        .to_owned()
}

/// A server in a machine that accepts connections and never answers.
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

    /// Closes all connections.
    pub fn stop(&mut self) {
        self.process.kill();
    }
}
