//! The README's commands, taken out of it and typed as they stand there, by a user with sudo on a machine on which twofa
//! has been built and not installed. Packages are left to `packaging/tests/test_readme.py`: `make` takes their place.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, CHECKOUT, Machine, SYSTEMCTL, Terminal, enrol_on, password_of};

const README: &str = include_str!("../../README.md");
/// The commands about packages, and what has the same effect in a checkout that has been built.
const PACKAGES: [(&str, &str); 2] = [
    ("sudo apt install ", "sudo make install"),
    ("sudo apt remove ", "sudo make uninstall"),
];
const CODE_PROMPT: &str = "Verification code for vm";
const SSH: &str = "LC_ALL=C.UTF-8 ssh -o StrictHostKeyChecking=accept-new";

/// Debian 13's own, without comments. It turns keyboard-interactive off further down.
const SSHD_CONFIG: &str = "Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\n\
    X11Forwarding yes\nPrintMotd no\nAcceptEnv LANG LC_*\nSubsystem sftp internal-sftp\n";

const START_SSHD: &str = "chmod +x /usr/local/sbin/systemctl && ssh-keygen -A >&2 \
    && if grep -qi PerSourcePenalties /usr/sbin/sshd; then \
       echo PerSourcePenalties no >/etc/ssh/sshd_config.d/99-test.conf; fi \
    && /usr/sbin/sshd -E /var/log/sshd.log";

/// What `make build` writes and the programs' own build does not.
const BUILT: &str = "cd /usr/src/twofa/target/release && mkdir man completions \
    && touch man/twofa.1 man/twofa-policy.5 completions/bash completions/zsh completions/fish && chown -R alice /usr/src/twofa";

/// The blocks of commands under `heading` whose paragraph before begins with `first`.
fn block(heading: &str, first: &str) -> String {
    let section = README.split(&format!("\n{heading}\n")).nth(1);
    let section = section.unwrap_or_else(|| panic!("the README has no {heading:?}"));
    let section = section.split("\n#").next().unwrap();
    let before = section
        .find(&format!("\n{first}"))
        .unwrap_or_else(|| panic!("{heading:?} has no paragraph {first:?}"));
    let block = section[before..].split("```sh\n").nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// The commands of a block, each with its here-document.
fn commands(block: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut inside = false;
    for line in block.lines() {
        if inside {
            let command = commands.last_mut().unwrap();
            command.push('\n');
            command.push_str(line);
            inside = line != "end";
        } else {
            commands.push(line.to_owned());
            inside = line.contains("<<end");
        }
    }
    commands
}

/// The machine, and the app of alice, after all commands of the README's chapter.
struct Protected {
    machine: Machine,
    phone: Authenticator,
}

/// Types a command as alice, who has sudo, in the checkout.
fn start(machine: &Machine, command: &str) -> Terminal {
    let of_packages = PACKAGES
        .iter()
        .find(|(begin, _)| command.starts_with(begin));
    let command = of_packages.map_or(command, |(_, make)| make);
    let mut terminal = machine.terminal_as("alice", &format!("cd {CHECKOUT}\n{command}\n"));
    if command.contains("sudo ") {
        terminal.expect("[sudo] password for alice:");
        terminal.type_line(&password_of("alice"));
    }
    terminal
}

#[track_caller]
fn type_command(machine: &Machine, command: &str) -> String {
    let mut terminal = start(machine, command);
    let status = terminal.expect_end();
    assert!(status.success(), "{command}\n{}", terminal.screen());
    terminal.screen()
}

/// Follows the README, with its block for `choice`.
fn follow(choice: &str) -> Protected {
    let machine = Machine::new()
        .administrator("alice")
        .user("bob")
        .checkout()
        .file("/etc/ssh/sshd_config", SSHD_CONFIG)
        .file("/usr/local/sbin/systemctl", SYSTEMCTL)
        .command("rm -f /etc/ssh/sshd_config.d/*")
        .command(START_SSHD)
        .command(BUILT)
        .build();
    let mut phone = None;
    let first = commands(&block("## Protect ssh", "Nobody publishes"));
    let chosen = commands(&block("## Protect ssh", choice));
    assert!(first.len() + chosen.len() <= 5, "{first:#?} {chosen:#?}");
    for command in first.iter().chain(&chosen) {
        if command.starts_with(PACKAGES[0].0) {
            type_command(&machine, command);
            // In place of systemd's socket.
            machine.start_broker();
        } else if command.starts_with("twofa enrol app") {
            let mut terminal = start(&machine, command);
            phone = Some(enrol_on(&mut terminal));
            assert!(terminal.expect_end().success(), "{}", terminal.screen());
        } else {
            type_command(&machine, command);
        }
    }
    for command in commands(&block("## Protect ssh", "Then look")) {
        let screen = type_command(&machine, &command);
        // The clock is the host's.
        let of_ours = screen.replace("notice: this machine's clock is not synchronised", "");
        let is_content = !["notice:", "problem:"]
            .iter()
            .any(|kind| of_ours.contains(kind));
        assert!(is_content, "{screen}");
    }
    Protected {
        machine,
        phone: phone.unwrap(),
    }
}

/// Gives alice and bob a key, which root's agent holds.
const KEYS: &str = "mkdir -p /root/.ssh && ssh-keygen -q -N '' -t ed25519 -f /root/key \
    && for user in alice bob; do mkdir /home/$user/.ssh && cp /root/key.pub /home/$user/.ssh/authorized_keys \
    && chown -R $user /home/$user/.ssh; done";

/// A login with the key in the agent.
fn with_key(machine: &Machine, user: &str) -> Terminal {
    machine.terminal(&format!(
        "ssh-agent sh -c 'ssh-add -q /root/key && {SSH} {user}@vm'"
    ))
}

fn without_key(machine: &Machine, user: &str) -> Terminal {
    machine.terminal(&format!("{SSH} {user}@vm"))
}

/// The ways in which a user with a key logs in.
const WAYS: [fn(&Machine, &str) -> Terminal; 2] = [without_key, with_key];

fn type_password(terminal: &mut Terminal, user: &str) {
    terminal.expect("Password:");
    terminal.type_line(&password_of(user));
}

fn type_code(terminal: &mut Terminal, code: &str) {
    terminal.expect(CODE_PROMPT);
    terminal.type_line(code);
    terminal.expect("alice@vm:~$ ");
}

#[test]
fn for_passwords_the_readme_leads_to_password_and_code_with_a_key_in_the_agent_or_without() {
    let Protected { machine, phone } = follow("Passwords:");
    machine.run(KEYS).ok();
    // Backup codes, because the app has one code in 30 seconds.
    for (log_in, code) in WAYS.into_iter().zip(&phone.backup_codes) {
        let mut ssh = log_in(&machine, "alice");
        type_password(&mut ssh, "alice");
        type_code(&mut ssh, code);
        let mut ssh = log_in(&machine, "bob");
        type_password(&mut ssh, "bob");
        ssh.expect("bob@vm:~$ ");
    }
    let mut ssh = without_key(&machine, "alice");
    ssh.expect("Password:");
    ssh.type_line("wrong");
    assert!(!ssh.expect("Password:").contains(CODE_PROMPT));
    takes_it_off(&machine);
}

#[test]
fn for_keys_the_readme_leads_to_key_and_code() {
    let Protected { machine, phone } = follow("Keys:");
    machine.run(KEYS).ok();
    assert!(!without_key(&machine, "alice").expect_end().success());
    let mut ssh = with_key(&machine, "alice");
    type_code(&mut ssh, &phone.backup_codes[0]);
    assert!(!ssh.screen().contains("Password:"), "{}", ssh.screen());
    with_key(&machine, "bob").expect("bob@vm:~$ ");
    takes_it_off(&machine);
}

#[test]
fn for_both_the_readme_leads_to_password_and_code_whether_a_key_is_offered_or_not() {
    let Protected { machine, phone } = follow("Both:");
    machine.run(KEYS).ok();
    // Backup codes, because the app has one code in 30 seconds.
    for (log_in, code) in WAYS.into_iter().zip(&phone.backup_codes) {
        let mut ssh = log_in(&machine, "alice");
        type_password(&mut ssh, "alice");
        type_code(&mut ssh, code);
    }
    takes_it_off(&machine);
}

/// Types the README's commands against a machine on which nobody gets in, and those that remove everything.
fn takes_it_off(machine: &Machine) {
    let mut too_early = start(machine, "sudo make uninstall");
    too_early.expect("Nothing was removed.");
    too_early.expect("/etc/pam.d/sshd\n");
    assert!(!too_early.expect_end().success());
    assert!(
        machine
            .run("twofa status --user alice")
            .ok()
            .stdout
            .contains("app")
    );

    for command in commands(&block("### Take it off again", "PAM first")) {
        type_command(machine, &command);
    }
    let left =
        machine.run("find /usr -path /usr/src -prune -o -newer /etc/hostname ! -type d -print");
    let left = left.ok().stdout.replace("/usr/local/sbin/systemctl\n", "");
    assert_eq!(left, "");
    machine
        .run("test -s /var/lib/twofa/twofa.db -a -s /etc/twofa/secret.key")
        .ok();
    machine
        .run("grep -q '^@include common-auth' /etc/pam.d/sshd && ! grep -rq pam_twofa /etc/pam.d")
        .ok();
    let mut ssh = without_key(machine, "alice");
    ssh.expect("password:");
    ssh.type_line("anything else");
    ssh.expect("password:");
    ssh.type_line(&password_of("alice"));
    ssh.expect("alice@vm:~$ ");
}
