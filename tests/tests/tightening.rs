//! Rules that become stricter for users who have enrolled: nobody gets around them, and nobody is locked out without an
//! explanation.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{
    Builder, Machine, MailServer, Terminal, carry_mail, code_in, enrol_on, password_of,
};

const CODE_PROMPT: &str = "Verification code for vm";
const SHELL: &str = "alice@vm:~$ ";
const NO_LONGER: &str = "vm no longer allows the second factor you have set up.";

fn builder(mode: &str) -> Builder {
    Machine::new().policy(mode).user("alice").with_sshd()
}

/// Alice's only method is e-mail, with an address attested by an administrator.
fn with_mail(machine: &Machine) -> MailServer<&Machine> {
    let mail = carry_mail(machine, &["alice"]);
    machine
        .run("twofa user set alice email=alice@example.org --verified")
        .ok();
    mail
}

fn ssh(machine: &Machine) -> Terminal {
    let mut terminal = machine.terminal("LC_ALL=C.UTF-8 ssh -o NumberOfPasswordPrompts=1 alice@vm");
    terminal.expect("Password:");
    terminal.type_line(&password_of("alice"));
    terminal
}

#[test]
fn a_user_with_only_a_method_that_is_no_longer_allowed_proves_it_once_more_and_enrols_another() {
    for mode in ["optional", "mandatory"] {
        let machine = builder(mode).build();
        let mail = with_mail(&machine);
        machine
            .run("twofa policy set methods=app,backup --yes")
            .ok();

        let mut terminal = ssh(&machine);
        terminal.expect(NO_LONGER);
        terminal.expect(CODE_PROMPT);
        terminal.expect(": ");
        assert!(!terminal.screen().contains("Key:"), "{}", terminal.screen());
        terminal.type_line(&code_in(mail.wait_for_mail("alice", 1).last().unwrap()));
        terminal.expect("Now set up one that is allowed.");
        let phone = enrol_on(&mut terminal);
        terminal.expect(SHELL);
        drop(terminal);

        let mut terminal = ssh(&machine);
        terminal.expect(CODE_PROMPT);
        terminal.type_line(&phone.next_code());
        terminal.expect(SHELL);
    }
}

#[test]
fn without_the_old_method_a_password_alone_enrols_nothing() {
    let machine = builder("mandatory").build();
    let _mail = with_mail(&machine);
    machine
        .run("twofa policy set methods=app,backup --yes")
        .ok();
    let mut terminal = ssh(&machine);
    for _ in 0..3 {
        terminal.expect(CODE_PROMPT);
        terminal.expect(": ");
        terminal.type_line("000000000");
    }
    assert!(!terminal.expect_end().success());
    assert!(!terminal.screen().contains("Key:"), "{}", terminal.screen());
    assert!(
        machine
            .run("twofa user list --method app")
            .ok()
            .stdout
            .is_empty()
    );
}

#[test]
fn where_nothing_may_be_enrolled_at_the_login_the_refusal_says_what_is_wrong() {
    let machine = builder("optional").build();
    let mail = with_mail(&machine);
    machine
        .run("twofa policy set methods=app,backup enrolment=beforehand --yes")
        .ok();
    let mut terminal = ssh(&machine);
    assert!(!terminal.expect_end().success());
    let screen = terminal.screen();
    assert!(
        screen.contains("The policy no longer allows the second factor you have set up"),
        "{screen}"
    );
    assert!(mail.mails("alice").is_empty());
    let test = machine.run("twofa class test alice").ok().stdout;
    assert!(test.contains("no longer allowed"), "{test}");
    let status = machine.run("twofa status --user alice").ok().stdout;
    assert!(status.contains("no longer allowed"), "{status}");
}

#[test]
fn joining_a_group_with_stricter_methods_does_not_bypass_them() {
    let machine = builder("optional").build();
    let mail = with_mail(&machine);
    machine
        .run("groupadd ops && twofa class set ops --group ops methods=app,backup")
        .ok();
    machine.run("usermod -a -G ops alice").ok();
    ssh(&machine).expect(NO_LONGER);
    mail.wait_for_mail("alice", 1);
}

#[test]
fn an_address_on_file_comes_before_any_other_first_method() {
    let machine = builder("mandatory").build();
    let mail = carry_mail(&machine, &["alice"]);
    machine
        .run("twofa user set alice email=alice@example.org")
        .ok();

    // The policy allows the app, but the password alone does not show a key.
    let mut terminal = ssh(&machine);
    terminal.expect("a***e@example.org");
    assert!(!terminal.screen().contains("Key:"), "{}", terminal.screen());
    terminal.expect("Type it here");
    terminal.type_line(&code_in(mail.wait_for_mail("alice", 1).last().unwrap()));
    terminal.expect("type the last four characters of code ");
    drop(terminal);

    // Nor does the command line.
    machine.run("twofa user reset alice").ok();
    let mut terminal = machine.terminal_as("alice", "twofa enrol app");
    terminal.expect("first prove it is you");
    assert!(!terminal.screen().contains("Key:"), "{}", terminal.screen());
    terminal.expect("Type it here");
    // The notice of the reset may come before it: twofad looks once a minute for what other programs have queued.
    let is_notice = |mail: &String| mail.contains("reset your second factor");
    let mut mails = mail.wait_for_mail("alice", 2);
    if mails.iter().any(is_notice) {
        mails = mail.wait_for_mail("alice", 3);
    }
    let code = mails[1..].iter().find(|mail| !is_notice(mail));
    let code = code_in(code.unwrap());
    terminal.type_line(&code);
    terminal.expect("Key:");
}

#[test]
fn an_address_on_file_that_cannot_be_reached_cannot_be_bypassed() {
    let machine = builder("mandatory").build();
    machine
        .run("twofa user set alice email=alice@example.org")
        .ok();
    let mut terminal = ssh(&machine);
    assert!(!terminal.expect_end().success());
    let screen = terminal.screen();
    assert!(
        screen.contains("the address on file for you") && !screen.contains("Key:"),
        "{screen}"
    );
    machine.wait_for_log("twofa provider add");
}

#[test]
fn an_address_of_another_kind_does_not_bypass_the_one_on_file() {
    let machine = builder("mandatory").build();
    let _mail = carry_mail(&machine, &["alice"]);
    machine
        .run("twofa user set alice phone=+4917612345678")
        .ok();
    let mut terminal = machine.terminal_as("alice", "twofa enrol email </dev/null");
    assert!(!terminal.expect_end().success());
    let screen = terminal.screen();
    assert!(
        screen.contains("the address on file") && !screen.contains("e-mail address:"),
        "{screen}"
    );
}

/// The refusal of `command` in a pipe, which must not change anything.
fn refused(machine: &Machine, command: &str) -> String {
    let before = machine.run("twofa policy export").ok().stdout;
    let refused = machine.run(command);
    assert_eq!(
        (refused.code(), refused.stdout.as_str()),
        (1, ""),
        "{refused}"
    );
    assert!(
        refused.stderr.contains("nothing was changed") && refused.stderr.contains("--yes"),
        "{refused}"
    );
    assert_eq!(machine.run("twofa policy export").ok().stdout, before);
    refused.stderr
}

const REPLACE: &str =
    "would have no allowed method left: at their next login they use the old one once more";

/// A machine for alice and bob.
fn machine() -> Machine {
    Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .build()
}

/// Makes e-mail the only method of bob.
fn give_bob_mail(machine: &Machine) -> MailServer<&Machine> {
    let mail = carry_mail(machine, &["bob"]);
    machine
        .run("twofa user add alice && twofa user set bob email=bob@example.org --verified")
        .ok();
    mail
}

#[test]
fn a_policy_that_takes_the_last_method_away_counts_and_names_the_people_and_needs_confirmation() {
    let machine = machine();
    let _mail = give_bob_mail(&machine);
    let said = refused(&machine, "twofa policy set methods=app,backup");
    assert!(
        said.contains(&format!("warning: 1 user (bob) {REPLACE}")),
        "{said}"
    );
    let said = refused(
        &machine,
        "twofa policy set methods=app,backup enrolment=beforehand",
    );
    assert!(
        said.contains(
            "1 user (bob) would have no allowed method left: their logins will be refused"
        ),
        "{said}"
    );

    let stricter = "sed 's/^methods = .*/methods = \"app,backup\"/' > /root/policy.toml";
    machine
        .run(&format!("twofa policy export | {stricter}"))
        .ok();
    let dry = machine
        .run("twofa policy apply /root/policy.toml --dry-run")
        .ok();
    assert!(
        dry.stderr.contains(&format!("1 user (bob) {REPLACE}")),
        "{dry}"
    );
    let said = refused(&machine, "twofa policy apply /root/policy.toml");
    assert!(said.contains(&format!("1 user (bob) {REPLACE}")), "{said}");

    assert!(
        !machine
            .run("twofa doctor")
            .stdout
            .contains("without a method")
    );
    let done = machine
        .run("twofa policy set methods=app,backup --yes")
        .ok();
    assert!(
        done.stdout
            .contains("methods: 'app,email,sms,backup' → 'app,backup'"),
        "{done}"
    );
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains("notice: without an allowed method: 1 user (bob); at their next"),
        "{doctor}"
    );
    let listed = machine
        .run("twofa user list --status not-allowed")
        .ok()
        .stdout;
    assert!(
        listed.contains("\nbob\t") && listed.lines().count() == 2,
        "{listed}"
    );
}

#[test]
fn a_login_that_is_refused_from_now_on_is_confirmed_and_one_that_is_as_before_is_not() {
    let machine = machine();
    let _mail = give_bob_mail(&machine);
    machine
        .run("twofa policy set methods=app,backup --yes")
        .ok();
    let said = refused(&machine, "twofa policy set enrolment=beforehand");
    assert!(said.contains("1 user (bob)"), "{said}");
    machine
        .run("twofa policy set enrolment=beforehand --yes")
        .ok();
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains("problem: without an allowed method: 1 user (bob); their logins"),
        "{doctor}"
    );
    assert_eq!(
        machine.run("twofa policy set lockout.after=5").ok().stderr,
        ""
    );
}

#[test]
fn a_class_that_takes_the_last_method_of_its_members_away_counts_them_and_needs_confirmation() {
    let machine = Machine::new()
        .policy("optional")
        .user_in("alice", &["ops"])
        .user("bob")
        .build();
    let _mail = carry_mail(&machine, &["alice"]);
    for name in ["alice", "bob"] {
        machine
            .run(&format!(
                "twofa user set {name} email={name}@example.org --verified"
            ))
            .ok();
    }
    let alice = format!("warning: 1 user (alice) {REPLACE}");

    let said = refused(&machine, "twofa class set ops methods=app,backup");
    assert!(said.contains(&alice), "{said}");
    machine.run("groupadd nobodies").ok();
    let set = machine
        .run("twofa class set apps --group nobodies methods=app,backup")
        .ok();
    assert_eq!(set.stderr, "", "nobody is concerned");
    let said = refused(&machine, "twofa class set apps --group ops");
    assert!(said.contains(&alice), "{said}");

    // Through its position, and through its removal.
    machine.run("twofa class set ops methods=app,email").ok();
    machine.run("twofa class remove apps").ok();
    machine
        .run("twofa class set apps --group ops methods=app,backup")
        .ok();
    let said = refused(&machine, "twofa class set apps --before ops");
    assert!(said.contains(&alice), "{said}");
    let said = refused(&machine, "twofa class remove ops");
    assert!(said.contains(&alice), "{said}");
    machine.run("twofa class remove ops --yes").ok();
    assert_eq!(machine.run("twofa class remove apps").ok().stderr, "");
}

#[test]
fn the_last_provider_of_a_method_that_people_rely_on_is_removed_only_after_confirmation() {
    let machine = Machine::new().policy("optional").user("bob").build();
    let _mail = carry_mail(&machine, &["bob"]);
    machine
        .run("twofa user set bob email=bob@example.org --verified")
        .ok();
    for command in [
        "twofa provider remove mail",
        "twofa method set email --none",
    ] {
        let said = refused(&machine, command);
        assert!(
            said.contains("1 user gets codes by e-mail, and no provider would send them"),
            "{said}"
        );
    }
}

#[test]
fn people_whose_groups_are_not_known_are_counted_as_if_they_were_in_them() {
    let machine = Machine::new()
        .policy("optional")
        .user_in("alice", &["ops"])
        .user("bob")
        .build();
    let _mail = carry_mail(&machine, &["alice"]);
    for name in ["alice", "bob"] {
        machine
            .run(&format!(
                "twofa user set {name} email={name}@example.org --verified"
            ))
            .ok();
    }
    let gone = "sed -i '/^\\(group\\|initgroups\\):/d' /etc/nsswitch.conf && echo 'group: files gone' >>/etc/nsswitch.conf";
    machine.run(gone).ok();
    let said = refused(&machine, "twofa class set ops methods=app,backup");
    let counted =
        format!("up to 2 users (alice and bob; the groups of 1 of them are not known) {REPLACE}");
    assert!(said.contains(&counted), "{said}");
    // A change that affects nobody is not asked about.
    assert_eq!(
        machine.run("twofa policy set lockout.after=5").ok().stderr,
        ""
    );
}
