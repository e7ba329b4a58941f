//! A module of the previous release with today's broker: what the build of that release wrote is sent to it.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use std::fmt::Write;

use twofa_e2e::{Authenticator, Machine};
use twofa_proto::message::FromClient;
use twofa_proto::{Secret, codec};

/// A line for each request: its name and its bytes.
const RECORDED: &str = include_str!("../../crates/proto/tests/versions/recorded/6.wire");
/// The numbers of the verdicts in that version.
const PASSED: u8 = 0;
const DENIED: u8 = 5;
const UNAVAILABLE: u8 = 7;

/// Writes bytes, given in hexadecimal, to the broker's socket, and prints all that comes back in the same way.
const CLIENT: &str = r"
import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect('/run/twofa/twofad.sock')
s.sendall(bytes.fromhex(sys.argv[1])); s.shutdown(socket.SHUT_WR)
data = b''
while chunk := s.recv(65536): data += chunk
print(data.hex())
";

fn machine() -> (Machine, Authenticator) {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam(
            "sshd",
            "auth requisite pam_unix.so\nauth required pam_twofa.so\n",
        )
        .file("/usr/local/bin/client", CLIENT)
        .build();
    let phone = machine.enrol("alice");
    (machine, phone)
}

/// The verdict of the broker over the request `name` that `who` makes, with `answer` to its prompt.
fn verdict(machine: &Machine, who: &str, name: &str, answer: Option<&str>) -> u8 {
    let request = RECORDED
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap();
    let mut bytes = Vec::new();
    // An answer is the same in every version.
    let answer = FromClient::Answer(answer.map(Secret::from));
    codec::write(&mut bytes, &answer).unwrap();
    let answer = bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let client = format!("python3 /usr/local/bin/client {request}{answer}");
    let said = machine.run_as(who, &client).ok().stdout;
    // The end of a login is the last message: 04 00, the verdict, and why.
    let mut rest = said.trim();
    loop {
        let length = usize::from_str_radix(&rest[..8], 16).unwrap();
        let (message, after) = rest[8..].split_at(2 * length);
        if after.is_empty() {
            let number = message.strip_prefix("0400").unwrap();
            return u8::from_str_radix(&number[..2], 16).unwrap();
        }
        rest = after;
    }
}

#[test]
fn a_login_of_the_previous_module_is_asked_and_let_in_by_a_right_code_alone() {
    let (machine, phone) = machine();
    for who in ["root", "alice"] {
        assert_eq!(verdict(&machine, who, "login", None), DENIED);
        assert_eq!(verdict(&machine, who, "login", Some("000000")), DENIED);
        let code = phone.next_code();
        assert_eq!(verdict(&machine, who, "login", Some(&code)), PASSED);
        assert_eq!(verdict(&machine, who, "login", Some(&code)), DENIED);
    }
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert_eq!(log.matches("\tpassed\t").count(), 2, "{log}");
}

#[test]
fn a_login_that_began_before_the_upgrade_is_told_that_it_cannot_be_confirmed() {
    let (machine, phone) = machine();
    let code = phone.next_code();
    assert_eq!(
        verdict(&machine, "root", "account-confirming", Some(&code)),
        UNAVAILABLE
    );
}
