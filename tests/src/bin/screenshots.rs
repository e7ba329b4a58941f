//! `make screenshots`: draws the pictures of the README from real runs on a throwaway machine.
//!
//! Nothing is retouched, so keys, codes and times are different each time. They belong to a machine that no longer
//! exists.

// A picture that cannot be taken fails and says why.
#![allow(clippy::panic, clippy::expect_used)]

use std::path::Path;

use twofa_e2e::{Authenticator, Machine, Terminal, enrol_on, password_of, screenshot};

/// The width of the terminals, in columns.
const COLUMNS: usize = 88;

/// The machine has the PAM stacks of all that is installed on this host, and doctor reads them. The pictures are of a
/// small server.
const ONLY_THE_BASE: &str = "cd /etc/pam.d && ls | grep -vE '^(common-|(login|other|passwd|sshd|su|su-l|sudo|sudo-i)$)' | \
     xargs rm -f && rm -rf /usr/lib/pam.d";

fn main() {
    let folder = std::env::args_os().nth(1);
    let folder = folder.expect("usage: screenshots FOLDER");
    let folder = Path::new(&folder);
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .with_sshd()
        // No words of the distribution's at a login.
        .command("touch /home/alice/.hushlogin")
        .command(ONLY_THE_BASE)
        .build();

    let mut alice = shell(&machine, "alice", "alice@vm:~$ ");
    let phone = enrol(&mut alice);
    save(
        folder,
        "enrol",
        "Setting up an authenticator app",
        &mut alice,
    );

    save(folder, "login", "Logging in", &mut log_in(&machine, &phone));

    let mut alice = shell(&machine, "alice", "alice@vm:~$ ");
    run(&mut alice, "twofa status", "alice@vm:~$ ");
    save(folder, "status", "What a user has enrolled", &mut alice);

    let mut root = shell(&machine, "root", "root@vm:~# ");
    run(&mut root, "twofa doctor", "root@vm:~# ");
    let correction = "echo 'AuthenticationMethods keyboard-interactive' >>/etc/ssh/sshd_config";
    run(&mut root, correction, "root@vm:~# ");
    run(&mut root, "twofa doctor", "root@vm:~# ");
    save(folder, "doctor", "Checking the whole machine", &mut root);
}

/// A shell of this user with a prompt as Debian colours it.
fn shell(machine: &Machine, user: &str, prompt: &str) -> Terminal {
    let (host, end) = prompt.split_once(":~").expect("a prompt");
    let command = format!(
        "stty cols {COLUMNS} rows 50; export LC_ALL=C.UTF-8 TERM=xterm-256color \
         PS1='\\[\\e[1;32m\\]{host}\\[\\e[0m\\]:\\[\\e[1;34m\\]~\\[\\e[0m\\]{end}'; \
         exec bash --norc --noprofile --noediting"
    );
    let mut shell = machine.terminal_as(user, &command);
    shell.expect(prompt);
    shell
}

fn run(shell: &mut Terminal, command: &str, prompt: &str) {
    shell.type_line(command);
    shell.expect(prompt);
}

fn enrol(shell: &mut Terminal) -> Authenticator {
    shell.type_line("twofa enrol app --label phone");
    let phone = enrol_on(shell);
    shell.expect("alice@vm:~$ ");
    phone
}

fn log_in(machine: &Machine, phone: &Authenticator) -> Terminal {
    let mut laptop = shell(machine, "root", "alice@laptop:~$ ");
    laptop.type_line("ssh alice@vm");
    laptop.expect("Password:");
    laptop.type_line(&password_of("alice"));
    laptop.expect("Verification code");
    laptop.expect(": ");
    laptop.type_line(&phone.next_code());
    laptop.expect("alice@vm:~$ ");
    laptop
}

fn save(folder: &Path, name: &str, title: &str, terminal: &mut Terminal) {
    let svg = screenshot(title, COLUMNS, &terminal.output());
    let file = folder.join(format!("{name}.svg"));
    std::fs::write(&file, svg).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
