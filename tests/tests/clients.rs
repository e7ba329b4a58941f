//! ssh clients other than OpenSSH's with a real sshd: `plink`, `dbclient`, Paramiko.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Client, Machine, Terminal};

const CODE_PROMPT: &str = "Verification code for vm (authenticator app or backup code): ";
const NEXT_PROMPT: &str = "Verification code for vm: ";

fn machine() -> (Machine, Authenticator) {
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .with_sshd()
        .build();
    let phone = machine.enrol("alice");
    (machine, phone)
}

fn at_the_code_prompt(client: Client, machine: &Machine) -> Terminal {
    let mut terminal = client.connect(machine, "alice");
    terminal.expect(CODE_PROMPT);
    terminal
}

fn a_code_lets_in_once(client: Client) {
    let (machine, phone) = machine();
    let code = phone.next_code();
    let mut terminal = at_the_code_prompt(client, &machine);
    terminal.type_line(&code);
    client.expect_login(&mut terminal, "alice");

    forget_the_host(&machine);
    let mut terminal = at_the_code_prompt(client, &machine);
    terminal.type_line(&code);
    terminal.expect("That code has already been used: wait for the next one. (2 tries are left)");
    // And so does a backup code.
    terminal.expect(NEXT_PROMPT);
    terminal.type_line(&phone.backup_codes[0]);
    client.expect_login(&mut terminal, "alice");
    assert!(
        machine
            .run("twofa codes --user alice")
            .ok()
            .stdout
            .contains("left: 4")
    );
}

fn wrong_codes_are_refused_and_counted(client: Client) {
    let (machine, _) = machine();
    let mut terminal = at_the_code_prompt(client, &machine);
    for tries_left in ["2 tries are left", "one try is left"] {
        terminal.type_line("00000000");
        terminal.expect(&format!("Wrong code. ({tries_left})"));
        terminal.expect(NEXT_PROMPT);
    }
    terminal.type_line("00000000");
    client.expect_refusal(&mut terminal);
    assert!(
        machine
            .run("twofa status --user alice --json")
            .ok()
            .stdout
            .contains("\"failures\": 3")
    );
}

/// Makes the client ask about the host key again, as [`Client::connect`] expects.
fn forget_the_host(machine: &Machine) {
    machine
        .run("rm -rf /root/.putty /root/.config/putty /root/.ssh/known_hosts")
        .ok();
}

#[test]
fn putty_logs_in_with_an_apps_code_once_and_with_a_backup_code() {
    a_code_lets_in_once(Client::Plink);
}

#[test]
fn putty_is_refused_with_wrong_codes() {
    wrong_codes_are_refused_and_counted(Client::Plink);
}

#[test]
fn dropbear_logs_in_with_an_apps_code_once_and_with_a_backup_code() {
    a_code_lets_in_once(Client::Dbclient);
}

#[test]
fn dropbear_is_refused_with_wrong_codes() {
    wrong_codes_are_refused_and_counted(Client::Dbclient);
}

#[test]
fn paramiko_logs_in_with_an_apps_code_once_and_with_a_backup_code() {
    a_code_lets_in_once(Client::Paramiko);
}

#[test]
fn paramiko_is_refused_with_wrong_codes() {
    wrong_codes_are_refused_and_counted(Client::Paramiko);
}
