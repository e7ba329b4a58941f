//! su and sudo: what is trusted is the terminal, with the process that leads it.

use twofa_e2e::{Authenticator, Machine, Terminal, password_of};

use super::set;

const STACK: &str = "\
auth sufficient pam_rootok.so
auth requisite pam_unix.so
auth required pam_twofa.so
account required pam_twofa.so
account required pam_unix.so
session required pam_permit.so
";

fn machine() -> (Machine, Authenticator) {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .user("carol")
        .user("bob")
        .pam("su", STACK)
        .build();
    let phone = machine.enrol("bob");
    set(&machine, "trust.elevation=15m");
    (machine, phone)
}

/// Types `su` in a shell up to the code, or up to its end.
fn su(shell: &mut Terminal) -> bool {
    shell.type_line("su bob -c 'echo Verified: $(id -un)'");
    shell.expect("Password: ");
    shell.type_line(&password_of("bob"));
    shell.expect("Verif");
    shell.expect(" ") == "ication "
}

/// A shell of `user` that leads its session on a terminal of its own.
fn shell(machine: &Machine, user: &str) -> Terminal {
    let mut shell = machine.terminal_as(user, "PS1='ready> ' exec dash -i");
    shell.expect("ready> ");
    shell
}

fn type_code(shell: &mut Terminal, code: &str) {
    shell.expect("+ at its end: trust this terminal for 15 minutes; ");
    shell.expect("): ");
    shell.type_line(&format!("{code}+"));
    shell.expect("Verified: bob");
    shell.expect("ready> ");
}

#[test]
fn su_is_trusted_in_the_terminal_whose_user_typed_a_code_and_in_no_other() {
    let (machine, phone) = machine();
    let mut first = shell(&machine, "alice");
    assert!(su(&mut first));
    type_code(&mut first, &phone.next_code());
    assert!(!su(&mut first));
    first.expect("ready> ");

    let mut second = shell(&machine, "alice");
    assert!(su(&mut second));

    let list = machine.run("twofa device list --user bob").ok().stdout;
    assert!(list.contains("\tterminal\tterminal of process "), "{list}");
}

/// Debian's with our lines; the one in `account` only confirms, because sudo comes there without authenticating too.
const SUDO: &str = "\
auth requisite pam_unix.so
auth required pam_twofa.so
account required pam_twofa.so confirm
account required pam_unix.so
session required pam_permit.so
";

#[test]
fn sudo_is_trusted_where_a_code_was_typed_and_works_within_its_own_timestamp() {
    let machine = Machine::new()
        .policy("optional")
        .administrator("alice")
        .pam("sudo", SUDO)
        .build();
    let phone = machine.enrol("alice");
    set(&machine, "trust.elevation=15m");
    let mut codes = phone.backup_codes.iter();
    let mut shell = shell(&machine, "alice");
    let mut sudo = |options: &str| {
        shell.type_line(&format!("sudo {options} echo Verified: in"));
        shell.expect("assword for alice: ");
        shell.type_line(&password_of("alice"));
        shell.expect("Verif");
        let is_asked = shell.expect(" ") == "ication ";
        if is_asked {
            shell.expect("): ");
            shell.type_line(codes.next().unwrap());
            shell.expect("Verified: in");
        }
        shell.expect("ready> ");
        // Within the timestamp sudo asks for nothing, and enters the account phase.
        shell.type_line("sudo -n echo Verified: $((20 + 3))");
        shell.expect("Verified: 23");
        shell.expect("ready> ");
        is_asked
    };
    assert!(sudo(""));
    set(&machine, "trust.offer=always");
    assert!(sudo("-k"));
    assert!(!sudo("-k"));
    machine.run("twofa device revoke --all --user alice").ok();
    assert!(sudo("-k"));

    // Without a right password there is neither trust nor a hint of it.
    shell.type_line("sudo -k true");
    shell.expect("assword for alice: ");
    shell.type_line("wrong");
    shell.expect("try again");
    let refused = machine.run("twofa doctor");
    assert!(!refused.stdout.contains("timestamp"), "{refused}");
}

#[test]
fn doas_is_trusted_in_the_terminal_where_a_code_was_typed_and_in_no_other() {
    let machine = Machine::new()
        .policy("optional")
        .administrator("alice")
        .pam("doas", SUDO)
        .file("/etc/doas.conf", "permit alice\n")
        .command("chmod 0400 /etc/doas.conf")
        .build();
    let phone = machine.enrol("alice");
    set(&machine, "trust.elevation=15m trust.offer=always");
    let is_asked = |shell: &mut Terminal, code: &str| {
        shell.type_line("doas echo Verified: in");
        shell.expect("assword");
        shell.expect(": ");
        shell.type_line(&password_of("alice"));
        shell.expect("Verif");
        let is_asked = shell.expect(" ") == "ication ";
        if is_asked {
            shell.expect("): ");
            shell.type_line(code);
            shell.expect("Verified: in");
        }
        shell.expect("ready> ");
        is_asked
    };
    let (mut first, mut second) = (shell(&machine, "alice"), shell(&machine, "alice"));
    assert!(is_asked(&mut first, &phone.backup_codes[0]));
    assert!(!is_asked(&mut first, ""));
    assert!(is_asked(&mut second, &phone.backup_codes[1]));
}

#[test]
fn a_user_who_became_another_in_a_terminal_does_not_share_their_trust() {
    let (machine, phone) = machine();
    let mut terminal = shell(&machine, "alice");
    assert!(su(&mut terminal));
    type_code(&mut terminal, &phone.next_code());
    terminal.type_line("su carol -c 'PS1=carol\\> exec dash -i'");
    terminal.expect("Password: ");
    terminal.type_line(&password_of("carol"));
    terminal.expect("carol>");
    assert!(su(&mut terminal), "carol is not alice");
}

#[test]
fn the_next_login_on_a_terminal_of_the_same_number_is_another_device() {
    let (machine, phone) = machine();
    let mut outer = shell(&machine, "alice");
    let begin = |outer: &mut Terminal| {
        outer.type_line("script -q -c 'PS1=in%ner\\> dash -i' /dev/null");
        outer.expect("in%ner>");
        outer.type_line("tty");
        let tty = outer.expect("in%ner>");
        let mut lines = tty.lines().map(str::trim);
        lines
            .find(|line| line.starts_with("/dev/pts/"))
            .unwrap()
            .to_owned()
    };
    let first = begin(&mut outer);
    assert!(su(&mut outer));
    outer.expect("): ");
    outer.type_line(&format!("{}+", phone.next_code()));
    outer.expect("Verified: bob");
    assert!(!su(&mut outer));
    outer.type_line("exit");
    outer.expect("ready> ");
    assert_eq!(begin(&mut outer), first, "the number comes again");
    assert!(su(&mut outer));
}

#[test]
fn tmux_that_outlives_its_login_has_no_more_than_its_own_panes_earned() {
    let (machine, phone) = machine();
    let mut login = shell(&machine, "alice");
    assert!(su(&mut login));
    type_code(&mut login, &phone.next_code());
    let tmux = |command: &str| machine.run_as("alice", &format!("tmux -L t {command}"));
    tmux("new-session -d 'dash -i'").ok();
    login.hang_up();
    login.expect_end();
    tmux("send-keys \"su bob -c 'echo in'\" Enter").ok();
    let shows = |text: &str| {
        machine.wait_until(&format!(
            "setpriv --reuid alice --regid alice --clear-groups tmux -L t capture-pane -pJ | grep -q {text}"
        ));
    };
    shows("Password:");
    tmux(&format!("send-keys '{}' Enter", password_of("bob"))).ok();
    shows("Verification");
}
