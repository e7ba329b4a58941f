//! `twofa setup --answers`: nothing is changed unless everything can be, and what cannot be foreseen is told.

use twofa_e2e::{Machine, MailServer, SYSTEMCTL, password_of};

use super::{builder, machine};

fn answers(server: &MailServer<&Machine>) -> String {
    let (ca, from) = (server.ca_file(), server.username());
    format!(
        "application-name = \"Example\"\n\
         who-must = \"administrators\"\n\
         administrators = \"sudo\"\n\
         services = [\"ssh\", \"elevation\"]\n\
         pam = [\"all\"]\n\
         pam-no-login = true\n\
         ssh-keys = \"trust\"\n\
         [[provider]]\n\
         name = \"mail\"\n\
         kind = \"smtp\"\n\
         settings = {{ host = \"localhost\", from = \"{from}\", ca-file = \"{ca}\" }}\n\
         secrets-file = \"mail.secret\"\n"
    )
}

/// Everything that answers can change.
fn everything(machine: &Machine) -> String {
    let commands = "twofa policy export; twofa provider list; twofa log --json | wc -l; \
                    cat /etc/pam.d/* | sha256sum";
    machine.run(commands).ok().stdout
}

#[test]
fn answers_set_the_machine_up_once_and_a_second_run_has_nothing_to_do() {
    let machine = machine();
    let server = MailServer::start(&machine, &["alice"]);
    machine.write_file("/root/answers.toml", &answers(&server));
    let secret = format!("password={}\n", server.password());
    machine.write_file("/root/mail.secret", &secret);
    let run = |options: &str| {
        let command = format!("twofa setup --answers /root/answers.toml {options} </dev/null");
        machine.run(&command).ok().stdout
    };

    let before = everything(&machine);
    let would = run("--dry-run");
    assert!(would.contains("$ twofa provider add mail smtp"), "{would}");
    assert!(would.contains("mode: 'disabled' → 'optional'"), "{would}");
    assert_eq!(everything(&machine), before);

    let done = run("");
    assert!(done.contains("Added 'mail'."), "{done}");
    assert!(machine.file("/etc/pam.d/common-auth").contains("pam_twofa"));
    assert!(!(would + &done).contains(server.password()));
    let policy = machine.run("twofa policy export").ok().stdout;
    for line in [
        "application-name = \"Example\"",
        "services = [\"ssh\", \"elevation\"]",
        "group = \"sudo\"",
        "mode = \"mandatory\"",
    ] {
        assert!(policy.contains(line), "{line}: {policy}");
    }

    let after = everything(&machine);
    assert_eq!(run(""), "Nothing to do: it is all set up that way.\n");
    assert_eq!(everything(&machine), after);
}

#[test]
fn answers_may_have_sshd_ask_after_a_key() {
    let machine = builder()
        .file("/usr/local/sbin/systemctl", SYSTEMCTL)
        .command("chmod +x /usr/local/sbin/systemctl; rm -f /etc/ssh/sshd_config.d/*")
        .sshd("Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\n")
        .build();
    machine.run("sed -i /pam_twofa/d /etc/pam.d/sshd").ok();
    let answers = "pam = [\"all\"]\npam-no-login = true\nssh-keys = \"ask\"\n";
    machine.write_file("/root/answers.toml", answers);
    let run = || machine.run("twofa setup --answers /root/answers.toml").ok();
    run();
    let methods = machine.run("sshd -T | grep ^authenticationmethods").ok();
    assert!(
        methods.stdout.contains("publickey,keyboard-interactive"),
        "{methods}"
    );
    assert_eq!(run().stdout, "Nothing to do: it is all set up that way.\n");
}

#[test]
fn a_mistake_in_the_answers_is_reported_with_its_line_and_nothing_is_changed() {
    let machine = machine();
    let server = MailServer::start(&machine, &["alice"]);
    machine.write_file("/root/mail.secret", "password=x\n");
    let right = answers(&server);
    let before = everything(&machine);
    for (was, is, place) in [
        ("name = \"mail\"", "name = 7", "9:8: invalid type"),
        ("[\"all\"]", "[\"nosuchservice\"]", "5:7: "),
        ("= true", "= false", "5:7: nobody is there to prove"),
        ("\"trust\"", "\"always\"", "7:12: unknown variant"),
        (
            "pam = [\"all\"]\n",
            "pam = [\"sudo\"]\n",
            "7:12: ssh-keys is used only",
        ),
        ("[[provider]]", "[[provder]]", "8:3: unknown field"),
        ("kind = \"smtp\"", "kind = \"smpt\"", "10:8: "),
        ("kind = \"smtp\"", "sort = \"smtp\"", "10:1: unknown field"),
        ("kind = \"smtp\"", "kind = 8", "10:8: invalid type"),
        ("\"administrators\"\n", "\"all\"\n", "2:12: unknown variant"),
        ("= \"sudo\"", "= \"nogroupofours\"", "3:18: "),
        ("\"elevation\"]", "\"two words\"]", "4:12: "),
        (
            "host =",
            "password = \"x\", host =",
            "11:25: 'password' is a secret",
        ),
        ("mail.secret", "none.secret", "12:16: cannot read"),
    ] {
        let wrong = right.replacen(was, is, 1);
        assert_ne!(wrong, right);
        machine.write_file("/root/answers.toml", &wrong);
        let output = machine.run("twofa setup --answers /root/answers.toml </dev/null");
        assert_eq!(output.code(), 2, "{output}");
        let message = format!("/root/answers.toml:{place}");
        assert!(output.stderr.contains(&message), "{message}: {output}");
        assert_eq!(everything(&machine), before, "{is}");
    }
}

/// Runs setup with the answers, which must not succeed.
fn fails(machine: &Machine, answers: &str) -> (i32, String) {
    machine.write_file("/root/answers.toml", answers);
    let output = machine.run("twofa setup --answers /root/answers.toml </dev/null");
    assert!(!output.status.success(), "{output}");
    (output.code(), output.stderr)
}

#[test]
fn what_can_be_checked_is_checked_before_anything_is_changed() {
    let machine = machine();
    let server = MailServer::start(&machine, &["alice"]);
    let secret = format!("password={}\n", server.password());
    machine.write_file("/root/mail.secret", &secret);
    let right = answers(&server);
    let before = everything(&machine);

    // A provider that does not work.
    let closed = right.replace("host =", "port = 4711, host =");
    let (code, message) = fails(&machine, &closed);
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("answers.toml:9:8: "), "{message}");
    assert!(message.contains("nothing was changed"), "{message}");
    assert_eq!(everything(&machine), before);

    // A rule that could lock people out.
    machine
        .run("twofa policy set enrolment=beforehand --yes")
        .ok();
    let before = everything(&machine);
    let (code, message) = fails(&machine, &right);
    assert_eq!(code, 1, "{message}");
    assert!(
        message.contains("answers.toml:3:18: ")
            && message.contains("class 'administrators' has mode=mandatory"),
        "{message}"
    );
    assert!(
        message.contains("hint: nothing was changed; --yes"),
        "{message}"
    );
    assert_eq!(everything(&machine), before);

    let dry = "twofa setup --answers /root/answers.toml --dry-run </dev/null";
    let dry = machine.run(dry).ok();
    assert!(dry.stdout.contains("The change needs --yes."), "{dry}");
    assert_eq!(everything(&machine), before);
    let run = "twofa setup --answers /root/answers.toml --yes </dev/null";
    machine.run(run).ok();
}

#[test]
fn a_failure_that_could_not_be_foreseen_says_what_was_done_and_what_was_not() {
    let machine = machine();
    let answers = "application-name = \"Example\"\nwho-must = \"nobody\"\npam = [\"all\"]\npam-no-login = true\n";
    machine
        .run("mount --bind /etc/pam.d /etc/pam.d && mount -o remount,bind,ro /etc/pam.d")
        .ok();
    let (code, message) = fails(&machine, answers);
    assert_eq!(code, 1, "{message}");
    let done = "done, and kept: 'twofa policy set application-name=Example mode=optional'";
    assert!(message.contains(done), "{message}");
    assert!(
        message.contains("Not done: 'twofa pam enable --no-login'. Run the same again"),
        "{message}"
    );
    machine.run("umount /etc/pam.d").ok();
    let run = "twofa setup --answers /root/answers.toml </dev/null";
    let again = machine.run(run).ok().stdout;
    assert!(!again.contains("policy set"), "{again}");
    assert!(machine.file("/etc/pam.d/common-auth").contains("pam_twofa"));
}

#[test]
fn files_are_opened_with_the_rights_of_the_caller_of_sudo() {
    let machine = machine();
    let answers = "[[provider]]\nname = \"mail\"\nkind = \"smtp\"\ntest = false\n\
                   settings = { host = \"localhost\", from = \"a@example.org\" }\n\
                   secrets-file = \"mail.secret\"\n";
    machine.write_file("/home/alice/answers.toml", answers);
    machine.write_file("/home/alice/mail.secret", "password=x\n");
    let run = |owner: &str| {
        let secret = "/home/alice/mail.secret";
        machine
            .run(&format!("chown {owner} {secret} && chmod 600 {secret}"))
            .ok();
        let mut terminal = machine.terminal_as("alice", "sudo twofa setup --answers answers.toml");
        terminal.expect("password for alice: ");
        terminal.type_line(&password_of("alice"));
        (terminal.expect_end().success(), terminal.screen())
    };
    let (is_done, screen) = run("root");
    assert!(!is_done, "{screen}");
    for text in [
        "answers.toml:6:16: cannot read mail.secret: Permission denied",
        "opened with the rights of alice",
    ] {
        assert!(screen.contains(text), "{text}: {screen}");
    }
    let (is_done, screen) = run("alice");
    assert!(is_done && screen.contains("Added 'mail'."), "{screen}");
}
