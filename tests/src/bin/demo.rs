//! `make demo`: the main job for real, on a throwaway machine, as a person would see it.
//!
//! Nothing here is played: the sshd, the logins and the programs are the real ones, the codes come from
//! oathtool as they would from a phone, and the machine is gone when this ends.

// A demonstration that cannot go on says why by failing.
#![allow(clippy::panic)]

use std::io::Write;

use anstyle::{AnsiColor, Style};
use twofa_e2e::{Authenticator, Machine, Terminal, decode_qr, enrol_on, password_of};

const TITLE: Style = AnsiColor::Cyan.on_default().bold();
const REMARK: Style = Style::new().dimmed();
const COMMAND: Style = Style::new().bold();

fn main() {
    say("A throwaway machine is starting: real sshd, real PAM, twofa installed. It is gone when this ends.");
    let machine = Machine::new().user("alice").with_sshd().build();

    title("1. The administrator asks everybody for a second factor");
    run(&machine, "twofa policy set mode=mandatory");

    title("2. Alice sets up the authenticator app on her phone");
    let phone = enrol(&machine);

    title("3. Alice logs in over ssh, with her password and the code her phone shows");
    let code = phone.next_code();
    let mut ssh = ssh(&machine);
    ssh.expect("Verification code");
    ssh.expect(": ");
    ssh.type_line(&code);
    ssh.expect("alice@vm:~$ ");
    ssh.type_line("exit");
    ssh.expect_end();
    show("alice@laptop:~$ ssh alice@vm", &mut ssh);

    title("4. Somebody saw that code, and the password, and tries both again: refused");
    let mut ssh = self::ssh(&machine);
    ssh.expect("Verification code");
    ssh.expect(": ");
    ssh.type_line(&code);
    ssh.expect("used already");
    ssh.expect("Verification code");
    ssh.expect(": ");
    ssh.type_line("");
    ssh.expect_end();
    show("mallory@elsewhere:~$ ssh alice@vm", &mut ssh);

    title("5. Alice is without her phone and takes a backup code from her drawer");
    let backup_code = phone.backup_codes.first().map_or("", String::as_str);
    let mut ssh = self::ssh(&machine);
    ssh.expect("Verification code");
    ssh.expect(": ");
    ssh.type_line(backup_code);
    ssh.expect("alice@vm:~$ ");
    ssh.type_line("exit");
    ssh.expect_end();
    show("alice@laptop:~$ ssh alice@vm", &mut ssh);

    title("6. The administrator sees all of it");
    run(&machine, "twofa log");
    run(&machine, "twofa status --user alice");

    drop(machine);
    title("That was all of it. The machine is gone and nothing is left behind.");
}

fn enrol(machine: &Machine) -> Authenticator {
    let mut terminal = machine.terminal_as("alice", "twofa enrol app --label phone");
    let phone = enrol_on(&mut terminal);
    terminal.expect_end();
    let scanned = decode_qr(&terminal.screen());
    show("alice@vm:~$ twofa enrol app --label phone", &mut terminal);
    say(&format!("The phone's camera reads: {scanned}"));
    phone
}

/// An ssh login up to where the password is typed.
fn ssh(machine: &Machine) -> Terminal {
    let mut ssh = machine.terminal("ssh -o NumberOfPasswordPrompts=1 alice@vm");
    ssh.expect("Password:");
    ssh.type_line(&password_of("alice"));
    ssh
}

/// Runs `command` on a terminal of the administrator's and shows it.
fn run(machine: &Machine, command: &str) {
    let mut terminal = machine.terminal(command);
    let status = terminal.expect_end();
    show(&format!("root@vm:~# {command}"), &mut terminal);
    assert!(status.success(), "'{command}' failed ({status})");
}

fn show(command: &str, terminal: &mut Terminal) {
    print(&format!("{COMMAND}{command}{COMMAND:#}\n{}\n", terminal.screen().trim_end()));
}

fn title(text: &str) {
    print(&format!("\n{TITLE}{text}{TITLE:#}\n\n"));
}

fn say(text: &str) {
    print(&format!("{REMARK}{text}{REMARK:#}\n"));
}

fn print(text: &str) {
    let mut out = anstream::stdout().lock();
    // Whoever closed the pipe does not want to see more, but the machine is still to be cleaned up.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
