//! Accounts that are renamed, recreated or removed, or share a uid, and those that have no second factor yet.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{FIRST_FACTOR, Machine};

const MODULE: &str = include_str!("directory/nss.c");
const DIFFERENT: &str = "a second factor is registered for a different account";

fn machine() -> Machine {
    let stack = format!("{FIRST_FACTOR}auth required pam_twofa.so\nauth required pam_permit.so\n");
    Machine::new()
        .policy("optional")
        .pam("testapp", &stack)
        .user("alice")
        .user("bob")
        .build()
}

fn uid_of(machine: &Machine, user: &str) -> String {
    let id = machine.run(&format!("id -u {user}")).ok().stdout;
    id.trim().to_owned()
}

/// What the machine says about `user` in status, class test and log, after a login that must be refused.
fn said_about(machine: &Machine, user: &str) -> [String; 3] {
    machine
        .run(&format!("pamtester testapp {user} authenticate"))
        .fails();
    let log = machine.wait_for_log(&format!("user=\"{user}\" service=\"testapp\" verdict="));
    let said = |command: &str| machine.run(command).ok().stdout;
    [
        said(&format!("twofa status --user '{user}'")),
        said(&format!("twofa class test '{user}'")),
        log,
    ]
}

#[test]
fn a_new_uid_under_an_old_name_is_said_in_the_same_words_everywhere() {
    let machine = machine();
    machine.enrol("alice");
    let uid = uid_of(&machine, "alice");
    machine
        .run("userdel alice && useradd --uid 4242 --shell /bin/bash alice")
        .ok();
    let difference = &format!("alice has user ID 4242 now, and {uid} is on record");
    for text in said_about(&machine, "alice") {
        assert!(text.contains(difference), "{text}");
        assert!(
            text.to_lowercase()
                .contains("registered for a different account"),
            "{text}"
        );
    }
    let status = machine.run_as("alice", "twofa status").ok().stdout;
    assert!(
        status.contains("'twofa user add alice'") && !status.contains("twofa enrol"),
        "{status}"
    );
    let list = machine.run("twofa user list").ok().stdout;
    assert!(
        list.contains(difference) && list.contains("different account"),
        "{list}"
    );
    let json = machine.run("twofa user list --json").ok().stdout;
    assert!(
        json.contains(r#""status":"identity-mismatch","account":"differs""#),
        "{json}"
    );
    assert!(json.contains(difference), "{json}");
    let json = machine.run("twofa status --user alice --json").ok().stdout;
    assert!(
        json.contains(r#""status": "identity-mismatch""#) && json.contains(difference),
        "{json}"
    );
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains(difference) && doctor.contains("'twofa user remove alice'"),
        "{doctor}"
    );

    machine.run("twofa user remove alice").ok();
    machine.run("pamtester testapp alice authenticate").ok();
    let doctor = machine.run("twofa doctor").stdout;
    assert!(!doctor.contains("on record"), "{doctor}");
}

#[test]
fn a_renamed_account_and_a_second_name_of_a_uid_are_named() {
    let machine = machine();
    machine.enrol("alice");
    machine.enrol("bob");
    machine.run("usermod --login alicia alice").ok();
    let uid = uid_of(&machine, "alicia");
    let difference = &format!("user ID {uid} is alicia, and alice is on record for it");
    for text in said_about(&machine, "alicia") {
        assert!(text.contains(difference), "{text}");
    }
    let list = machine
        .run("twofa user list --status identity-mismatch")
        .ok()
        .stdout;
    assert!(list.contains(difference) && !list.contains("bob"), "{list}");

    machine
        .run("useradd --non-unique --uid $(id -u bob) --shell /bin/bash rob")
        .ok();
    let [status, test, log] = said_about(&machine, "rob");
    assert!(test.contains(DIFFERENT), "{test}");
    for text in [status, test, log] {
        assert!(
            text.contains("is rob, and bob is on record for it"),
            "{text}"
        );
    }
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains("is shared: bob must show a second factor, and rob has none"),
        "{doctor}"
    );
}

#[test]
fn gone_accounts_are_marked_and_userdel_can_remove_their_records() {
    let machine = machine();
    machine.enrol("alice");
    machine.enrol("bob");
    machine.run("userdel alice").ok();
    let list = machine.run("twofa user list --status gone").ok().stdout;
    assert!(
        list.contains("alice") && list.contains("gone: no such account"),
        "{list}"
    );
    assert!(!list.contains("bob"), "{list}");
    let json = machine.run("twofa user list --json").ok().stdout;
    assert!(
        json.contains(r#""status":"gone","account":"gone""#),
        "{json}"
    );
    let doctor = machine.run("twofa doctor").stdout;
    let gone = doctor
        .lines()
        .find(|line| line.contains("on record without an account"));
    let gone = gone.unwrap_or_default();
    assert!(
        gone.starts_with("notice:") && gone.contains("alice") && !gone.contains("bob"),
        "{doctor}"
    );
    let status = machine.run("twofa status --user alice");
    assert!(
        status.stderr.contains("'twofa user remove alice'"),
        "{status:?}"
    );

    // As twofad(8) says.
    let hook = "#!/bin/sh\nexec twofa user remove \"$1\"\n";
    machine.write_file("/usr/local/sbin/twofa-userdel", hook);
    machine
        .run(
            "chmod 0755 /usr/local/sbin/twofa-userdel && \
              echo 'USERDEL_CMD /usr/local/sbin/twofa-userdel' >>/etc/login.defs",
        )
        .ok();
    machine.run("userdel bob").ok();
    machine
        .run("ln -s twofa-userdel /usr/local/sbin/deluser.local && useradd carol && twofa user add carol && \
              sed -i /USERDEL_CMD/d /etc/login.defs && deluser carol")
        .ok();
    let list = machine.run("twofa user list --json").ok().stdout;
    assert!(
        list.contains("alice") && !list.contains("bob") && !list.contains("carol"),
        "{list}"
    );
}

/// A machine with a directory that has dora and lists nobody.
fn with_directory() -> Machine {
    let lines = "passwd: files directory\ngroup: files directory\nshadow: files\nhosts: files\n";
    Machine::new()
        .file("/etc/directory/nss.c", MODULE)
        .file("/etc/directory/how", "works")
        .file("/etc/directory/group", "")
        .file(
            "/etc/directory/passwd",
            "dora:x:7000:7000::/home/dora:/bin/bash\n",
        )
        .policy("optional")
        .command("cc -shared -fPIC -o /usr/lib/libnss_directory.so.2 /etc/directory/nss.c")
        .command(&format!("printf %s '{lines}' >/etc/nsswitch.conf"))
        .build()
}

#[test]
fn a_directory_that_does_not_answer_makes_no_account_gone() {
    let machine = with_directory();
    machine.run("twofa user require dora").ok();
    let list = |machine: &Machine| machine.run("twofa user list --json").ok().stdout;
    assert!(
        list(&machine).contains(r#""account":"current""#),
        "{}",
        list(&machine)
    );
    machine.write_file("/etc/directory/how", "fails");
    let down = list(&machine);
    assert!(
        down.contains(r#""status":"pending","account":"unsettled""#),
        "{down}"
    );
    let doctor = machine.run("twofa doctor").stdout;
    assert!(
        doctor.contains("cannot be settled whether there are accounts for"),
        "{doctor}"
    );
    assert!(!doctor.contains("without an account"), "{doctor}");
    machine.write_file("/etc/directory/how", "works");
    machine.write_file("/etc/directory/passwd", "");
    assert!(
        list(&machine).contains(r#""account":"gone""#),
        "{}",
        list(&machine)
    );
}

#[test]
fn who_could_log_in_without_a_second_factor_is_listed_and_counted() {
    let machine = machine();
    machine
        .run("chsh -s /usr/sbin/nologin bob && useradd --shell /bin/bash carol")
        .ok();
    // The host may have accounts of its own.
    let names = |machine: &Machine| {
        let list = machine.run("twofa user list --status none").ok();
        assert_eq!(list.stderr, "");
        let lines = list.stdout.lines();
        let names: Vec<_> = lines
            .filter_map(|line| line.split('\t').next())
            .filter(|name| *name != "USER")
            .map(str::to_owned)
            .collect();
        names
    };
    let has = |names: &[String], name: &str| names.iter().any(|it| it == name);
    let before = names(&machine);
    for (name, is_listed) in [
        ("alice", true),
        ("carol", true),
        ("root", true),
        ("bob", false),
        ("daemon", false),
        ("twofa", false),
    ] {
        assert_eq!(has(&before, name), is_listed, "{name}: {before:?}");
    }
    machine.enrol("alice");
    let after = names(&machine);
    assert!(
        !has(&after, "alice") && after.len() == before.len() - 1,
        "{after:?}"
    );
    let set = machine.run("twofa policy set mode=mandatory").ok();
    let counted = format!(
        "{} accounts that can log in have no second factor yet: they are led through enrolment",
        after.len()
    );
    assert!(
        set.stderr.contains(&counted) && set.stderr.contains("twofa user list --status none"),
        "{set:?}"
    );
    // Once, when it becomes so.
    let again = machine.run("twofa policy set lockout.after=7").ok();
    assert!(!again.stderr.contains("second factor yet"), "{again:?}");
    let json = machine
        .run("twofa user list --status none --json")
        .ok()
        .stdout;
    assert!(
        json.contains(r#""user":"carol""#) && json.contains(r#""status":"pending""#),
        "{json}"
    );
}

#[test]
fn thousands_of_accounts_are_one_pass_and_a_directory_that_lists_nobody_is_named() {
    let machine = with_directory();
    machine
        .run("seq 20000 39999 | sed 's|.*|u&:x:&:&::/home/u&:/bin/bash|' >>/etc/passwd")
        .ok();
    let list = machine.run("timeout 20 twofa user list --status none").ok();
    let listed = list.stdout.lines().filter(|line| !line.starts_with("USER"));
    let count = listed.count();
    assert!(count >= 20001, "{count}");
    let note = "accounts of directory are here only as far as";
    assert!(list.stderr.contains(note), "{}", list.stderr);
    let set = machine
        .run("timeout 20 twofa policy set mode=mandatory")
        .ok()
        .stderr;
    let counted = format!("{count} accounts that can log in");
    assert!(
        set.contains(&counted) && set.contains("a directory may have more"),
        "{set}"
    );
}

#[test]
fn codes_that_were_shown_and_not_confirmed_are_said_to_be_void() {
    let machine = machine();
    let phone = machine.enrol("alice");
    let mut codes = machine.terminal_as("alice", "twofa codes --new");
    codes.expect("Verification code");
    codes.expect(": ");
    codes.type_line(&phone.next_code());
    codes.expect("type the last four characters of code ");
    codes.press_ctrl('c');
    assert!(!codes.expect_end().success());

    let void = "were not confirmed and do not work, and your earlier ones still do";
    for command in ["twofa status", "twofa codes"] {
        let shown = machine.run_as("alice", command).ok().stdout;
        assert!(shown.contains(void), "{shown}");
    }
    let login = |code: &str| {
        let mut login = machine.terminal("pamtester testapp alice authenticate");
        login.expect("Verification code");
        login.expect(": ");
        login.type_line(code);
        assert!(login.expect_end().success());
        login.screen().clone()
    };
    assert!(login(&phone.next_code()).contains(void));
    assert!(!login(&phone.next_code()).contains(void));
}
