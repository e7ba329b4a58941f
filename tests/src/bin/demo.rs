//! `make demo`: the main job for real, on a throwaway machine, as a person would see it.
//!
//! Nothing here is simulated: the sshd, the logins and the programs are the real ones, the codes come from
//! oathtool as they would from a phone, and the machine is gone when this ends.

// A demonstration that cannot continue fails and says why.
#![allow(clippy::panic)]

use std::io::Write;

use anstyle::{AnsiColor, Style};
use twofa_e2e::{
    Authenticator, Machine, MailServer, Terminal, Theme, code_in, enrol_on, password_of,
    save_backup_codes,
};

const TITLE: Style = AnsiColor::Cyan.on_default().bold();
const REMARK: Style = Style::new().dimmed();
const COMMAND: Style = Style::new().bold();

fn main() {
    say(
        "A throwaway machine is starting: real sshd, real PAM, twofa installed. It is gone when this ends.",
    );
    let machine = Machine::new().user("alice").user("bob").with_sshd().build();

    title("1. The administrator requires a second factor of every user");
    run(&machine, "twofa policy set mode=mandatory");

    title("2. Alice sets up the authenticator app on her phone");
    let phone = enrol(&machine);

    title("3. Alice logs in over ssh, with her password and the code her phone shows");
    let code = phone.next_code();
    log_in(&machine, "alice@laptop:~$ ssh alice@vm", &code);

    title("4. Someone saw that code, and the password, and tries both again: refused");
    try_again(&machine, &code);

    title("5. Alice does not have her phone with her and uses a backup code");
    let backup_code = phone.backup_codes.first().map_or("", String::as_str);
    log_in(&machine, "alice@laptop:~$ ssh alice@vm", backup_code);

    title("6. The administrator connects the company's mail server, and a test message arrives");
    let mail = MailServer::start(&machine, &["bob"]);
    add_provider(&machine, &mail);
    run(&machine, "twofa provider test mail --to bob@example.org");
    show_mail(&mail, 1);

    title(
        "7. Bob has no app. At his next login he chooses e-mail, and logs in with the code that was sent to him",
    );
    enrol_by_mail(&machine, &mail);

    title("8. The administrator sees all of it");
    run(&machine, "twofa log");
    run(&machine, "twofa user list");

    drop(mail);
    drop(machine);
    title("That is all. The machine is gone and nothing is left behind.");
}

/// Alice logs in with her password and `code`, and leaves.
fn log_in(machine: &Machine, command: &str, code: &str) {
    let mut ssh = ssh_as(machine, "alice");
    answer(&mut ssh, "Verification code", code);
    ssh.expect("alice@vm:~$ ");
    ssh.type_line("exit");
    ssh.expect_end();
    show(command, &mut ssh);
}

/// Someone who knows Alice's password tries a `code` that was used.
fn try_again(machine: &Machine, code: &str) {
    let mut ssh = ssh_as(machine, "alice");
    answer(&mut ssh, "Verification code", code);
    ssh.expect("already been used");
    answer(&mut ssh, "Verification code", "");
    ssh.expect_end();
    show("mallory@elsewhere:~$ ssh alice@vm", &mut ssh);
}

/// Bob chooses codes by e-mail while he logs in.
fn enrol_by_mail(machine: &Machine, mail: &MailServer<&Machine>) {
    let mut ssh = ssh_as(machine, "bob");
    answer(&mut ssh, "2  a code by e-mail", "2");
    answer(&mut ssh, "Your e-mail address", "bob@example.org");
    ssh.expect("Type it here");
    ssh.expect(": ");
    ssh.type_line(&code_in(&show_mail(mail, 2)));
    save_backup_codes(&mut ssh);
    ssh.expect("bob@vm:~$ ");
    ssh.type_line("exit");
    ssh.expect_end();
    show("bob@laptop:~$ ssh bob@vm", &mut ssh);
}

fn enrol(machine: &Machine) -> Authenticator {
    let mut terminal = machine.terminal_as("alice", "twofa enrol app --label phone");
    let phone = enrol_on(&mut terminal);
    terminal.expect_end();
    let scanned = terminal.read_qr_of(120, 60, Theme::Dark);
    let output = terminal.output();
    // With its colours, which the QR code is made of.
    show_text(
        "alice@vm:~$ twofa enrol app --label phone",
        &String::from_utf8_lossy(&output),
    );
    let scanned = scanned.unwrap_or_else(|| "nothing".to_owned());
    say(&format!("The phone's camera reads: {scanned}"));
    phone
}

/// An ssh login up to where the password has been typed.
fn ssh_as(machine: &Machine, user: &str) -> Terminal {
    let mut ssh = machine.terminal(&format!(
        "LC_ALL=C.UTF-8 ssh -o NumberOfPasswordPrompts=1 {user}@vm"
    ));
    ssh.expect("Password:");
    ssh.type_line(&password_of(user));
    ssh
}

fn answer(terminal: &mut Terminal, question: &str, answer: &str) {
    terminal.expect(question);
    terminal.expect(": ");
    terminal.type_line(answer);
}

/// Adds the mail server as an administrator does, who is asked for its password.
fn add_provider(machine: &Machine, mail: &MailServer<&Machine>) {
    let command = format!(
        "twofa provider add mail smtp host={} from=it@example.org username={} ca-file={}",
        mail.host(),
        mail.username(),
        mail.ca_file()
    );
    let mut terminal = machine.terminal(&command);
    answer(&mut terminal, "password", mail.password());
    let status = terminal.expect_end();
    show(&format!("root@vm:~# {command}"), &mut terminal);
    assert!(status.success(), "'{command}' failed ({status})");
}

/// Shows the plain text of the `n`th mail that bob has got, and gives it.
fn show_mail(mail: &MailServer<&Machine>, n: usize) -> String {
    let mails = mail.wait_for_mail("bob", n);
    let mail = mails.last().map_or("", String::as_str);
    let header = |name: &str| {
        mail.lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default()
            .to_owned()
    };
    let text = mail.split_once("text/plain").map_or("", |(_, rest)| rest);
    let text = text.split_once("\n\n").map_or("", |(_, text)| text);
    let text = text
        .split("\n--")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let letter = format!("{}\n{}\n\n{text}", header("From:"), header("Subject:"));
    print(&format!(
        "{REMARK}In bob's mailbox:{REMARK:#}\n{}\n\n",
        indented(&letter)
    ));
    text
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Runs `command` on a terminal of the administrator's and shows it.
fn run(machine: &Machine, command: &str) {
    let mut terminal = machine.terminal(command);
    let status = terminal.expect_end();
    show(&format!("root@vm:~# {command}"), &mut terminal);
    assert!(status.success(), "'{command}' failed ({status})");
}

fn show(command: &str, terminal: &mut Terminal) {
    show_text(command, &terminal.screen());
}

fn show_text(command: &str, text: &str) {
    print(&format!(
        "{COMMAND}{command}{COMMAND:#}\n{}\n",
        text.trim_end()
    ));
}

fn title(text: &str) {
    print(&format!("\n{TITLE}{text}{TITLE:#}\n\n"));
}

fn say(text: &str) {
    print(&format!("{REMARK}{text}{REMARK:#}\n"));
}

fn print(text: &str) {
    let mut out = anstream::stdout().lock();
    // A closed pipe is no error: the machine still has to be cleaned up.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
