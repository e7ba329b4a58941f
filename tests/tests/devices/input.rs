//! What must not work, and what must.

use super::{STACK, expect_shell, is_asked, log_in_from, machine, machine_with_sshd, set, trust};
use twofa_e2e::{Machine, password_of};
use twofa_proto::message::FromClient;
use twofa_proto::{Confirm, Evidence, Login, ProcessId, Request, Secret, Ticket, codec};

#[test]
fn a_plus_without_a_code_is_no_code_and_counts_as_no_wrong_one() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d");
    let code = phone.code();
    for three in [
        ["+", "++", "r+"],
        ["m+", "?+", "\u{ff0b}"],
        ["+-+", "12345+", "12345+6"],
    ] {
        let mut login = log_in_from(&machine, 7, &password_of("alice"));
        for typed in three {
            login.expect("Verification code for vm");
            login.expect(": ");
            login.type_line(typed);
        }
        login.expect("Too many wrong answers.");
        login.expect_end();
    }
    let mut login = log_in_from(&machine, 7, &password_of("alice"));
    for typed in [format!("{code}++"), format!("+{code}+")] {
        login.expect("Verification code for vm");
        login.expect(": ");
        login.type_line(&typed);
    }
    login.expect("Verification code for vm");
    let status = machine.run("twofa status --user alice --json").ok().stdout;
    assert!(status.contains("\"failures\": 0"), "{status}");
    assert!(is_asked(&machine, 7));
}

#[test]
fn a_plus_is_read_before_the_code_and_in_the_width_of_east_asia() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d");
    let wide = |text: &str| -> String {
        text.chars()
            .filter_map(|c| char::from_u32(u32::from(c) + 0xfee0))
            .collect()
    };
    let typed = [
        format!("+{}", phone.next_code()),
        wide(&format!("{}+", phone.next_code())),
        format!("{} +", phone.backup_codes[0].to_uppercase()),
    ];
    for typed in typed {
        let mut login = log_in_from(&machine, 7, &password_of("alice"));
        login.expect("Verification code for vm");
        login.expect("): ");
        login.type_line(&typed);
        login.expect("No code is asked for here until ");
        expect_shell(login);
        assert!(!is_asked(&machine, 7), "{typed}");
        machine.run("twofa device revoke --all --user alice").ok();
    }
}

#[test]
fn a_duration_is_at_most_99999_days_of_whole_minutes() {
    let (machine, _phone) = machine(STACK);
    for bad in [
        "100000d",
        "-1d",
        "90s",
        "1w",
        "30",
        "99999999999999999999d",
        "\u{ff11}d",
    ] {
        let refused = machine
            .run(&format!("twofa policy set trust.remote={bad}"))
            .fails();
        assert_eq!(refused.code(), 2, "{refused}");
        assert!(refused.stderr.contains("trust.remote"), "{refused}");
    }
    set(&machine, "trust.remote=99999d trust.address=1m");
}

/// Writes messages to the broker's socket, given in hexadecimal, and prints all that comes back.
const FORGER: &str = r"
import socket, struct, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect('/run/twofa/twofad.sock')
for message in sys.argv[1:]: s.sendall(bytes.fromhex(message))
s.shutdown(socket.SHUT_WR)
data = b''
try:
    while chunk := s.recv(65536): data += chunk
except ConnectionResetError: pass
sys.stdout.write(data.decode('utf-8', 'replace'))
";

fn message(message: &FromClient) -> String {
    let mut bytes = Vec::new();
    codec::write(&mut bytes, message).unwrap();
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// What the broker answers to `request` of `who`, and to these answers.
fn forge(machine: &Machine, who: &str, request: Request, answers: &[&str]) -> String {
    let open = FromClient::Open {
        version: twofa_proto::VERSION,
        request,
        login_uid: Some(0),
    };
    let answers = answers
        .iter()
        .map(|answer| FromClient::Answer(Some(Secret::from(*answer))));
    let words: Vec<_> = [open]
        .into_iter()
        .chain(answers)
        .map(|m| message(&m))
        .collect();
    let command = format!("python3 /usr/local/bin/forge {}", words.join(" "));
    machine.run_as(who, &command).ok().stdout
}

/// A login of `user` from the device that alice trusts, as root's module would describe it.
fn forged(user: &str, confirms: Confirm) -> Login {
    Login {
        user: user.to_owned(),
        service: "sshd".to_owned(),
        remote_host: Some("192.0.2.7".to_owned()),
        remote_user: Some(user.to_owned()),
        ssh_auth_info: Some("publickey ssh-ed25519 AAAA".to_owned()),
        may_ask: true,
        evidence: Some(Box::new(Evidence {
            boot: "boot".to_owned(),
            process: ProcessId { pid: 1, start: 1 },
            ssh_client: Some("192.0.2.7".to_owned()),
            login_uid: Some(0),
            confirms,
            ..Evidence::default()
        })),
        ..Login::default()
    }
}

#[test]
fn nobody_but_root_is_believed_what_they_say_of_their_login() {
    let (machine, phone) = machine(STACK);
    set(&machine, "trust.remote=30d trust.offer=always");
    trust(&machine, 7, &phone.next_code());
    machine.write_file("/usr/local/bin/forge", FORGER);
    let log = || machine.run("twofa log --user alice").ok().stdout;
    let passes = log().matches("\tpassed\t").count();
    let forge =
        |who: &str, request: Request, answers: &[&str]| forge(&machine, who, request, answers);
    // Alice herself, as malware in a session of hers would ask: she is asked as anywhere else, and nothing is confirmed.
    let said = forge("alice", Request::Login(forged("alice", Confirm::No)), &[]);
    assert!(said.contains("Verification code for vm"), "{said}");
    forge(
        "alice",
        Request::Account(forged("alice", Confirm::Record(Ticket(1)))),
        &[],
    );
    let code = format!("{}+", phone.backup_codes[0]);
    machine.run("twofa device revoke --all --everybody").ok();
    let said = forge(
        "alice",
        Request::Login(forged("alice", Confirm::No)),
        &[&code],
    );
    assert!(!said.contains("No code is asked for here"), "{said}");
    let list = machine
        .run_as("alice", "twofa device list --json")
        .ok()
        .stdout;
    assert_eq!(list, "[]\n", "a locker or malware makes no device trusted");
    // Somebody else learns nothing.
    for request in [
        Request::Login(forged("alice", Confirm::No)),
        Request::Account(forged("alice", Confirm::Record(Ticket(1)))),
        Request::Devices {
            user: "alice".to_owned(),
        },
        Request::RevokeDevices {
            user: "alice".to_owned(),
            id: None,
        },
    ] {
        let said = forge("bob", request, &[]);
        assert!(
            !said.contains("192.0.2.7") && !said.contains("Verification"),
            "{said}"
        );
    }
    assert_eq!(log().matches("\tpassed\t").count(), passes, "{}", log());
    assert_eq!(
        log().matches("\tbackup-code-used\t").count(),
        1,
        "{}",
        log()
    );
}

#[test]
fn nobody_but_root_is_believed_that_sshd_verified_a_security_key() {
    const KEY: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo=";
    let machine = machine_with_sshd(STACK, "PubkeyAuthOptions verify-required");
    machine.enrol("alice");
    set(&machine, "methods=app,backup,security-key");
    machine.write_file("/usr/local/bin/forge", FORGER);
    machine.write_file("/root/key.pub", KEY);
    machine
        .run("twofa enrol security-key /root/key.pub --user alice")
        .ok();
    let folder = machine.run("stat -c '%d %i' /etc/pam.d").ok().stdout;
    let mut numbers = folder.split_whitespace().map(|n| n.parse().unwrap());
    let mut login = forged("alice", Confirm::No);
    login.ssh_auth_info = Some(format!("publickey {KEY}"));
    login.pam_folder = Some((numbers.next().unwrap(), numbers.next().unwrap()));
    login.evidence.as_mut().unwrap().has_default_sshd_config = true;
    let said = forge(&machine, "alice", Request::Login(login.clone()), &[]);
    assert!(said.contains("Verification code for vm"), "{said}");
    let bob = forge(&machine, "bob", Request::Login(login.clone()), &[]);
    assert!(!bob.contains("Verification code for vm"), "{bob}");
    assert!(!bob.contains("security key"), "{bob}");
    let root = forge(&machine, "root", Request::Login(login.clone()), &[]);
    assert!(root.contains("security key"), "{root}");
    assert!(!root.contains("Verification code for vm"), "{root}");
    // Root's own module, in an sshd of whose configuration nothing is known.
    login.evidence.as_mut().unwrap().has_default_sshd_config = false;
    let unknown = forge(&machine, "root", Request::Login(login), &[]);
    assert!(unknown.contains("Verification code for vm"), "{unknown}");
}
