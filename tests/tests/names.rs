//! Real logins with name services that fail, hang, answer late, omit things or do not exist. No answer is neither "not a
//! member" nor a reason to keep out people who can show a code.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Builder, Machine, Terminal, password_of};

const CODE_PROMPT: &str = "Verification code for vm";
/// A source of the name service called `directory`.
const MODULE: &str = include_str!("directory/nss.c");
/// A stack that asks only whether a second factor is required.
const TESTAPP_STACK: &str =
    "auth requisite pam_fprintd.so\nauth required pam_twofa.so\nauth required pam_permit.so\n";

/// A machine with the group `admins` (alice) in a directory; `nsswitch` are the lines for accounts and groups. Only the
/// class of that group is asked: alice, bob and root have an app and chose not to be asked where it is optional.
fn builder(nsswitch: &str) -> Builder {
    let lines = format!("{nsswitch}\nshadow: files\nhosts: files\n");
    let module = "cc -shared -fPIC -o /usr/lib/libnss_directory.so.2 /etc/directory/nss.c";
    Machine::new()
        .file("/etc/directory/nss.c", MODULE)
        .file("/etc/directory/how", "works")
        .file(
            "/etc/directory/group",
            "admins:*:5000:alice,dora\nrobots:*:5001:bob\n",
        )
        .file("/etc/directory/passwd", "")
        .pam("testapp", TESTAPP_STACK)
        .user("alice")
        .user("bob")
        .user("carol")
        .policy("optional")
        .command(module)
        .command(&format!("printf %s '{lines}' >/etc/nsswitch.conf"))
        .command(
            "echo \"root:the password of root\" | chpasswd --crypt-method SHA512 --sha-rounds 1000",
        )
}

const BESIDE_FILES: &str = "passwd: files directory\ngroup: files systemd directory";

/// The machine with its class, and the phones of alice, bob and root.
fn machine() -> (Machine, [Authenticator; 3]) {
    let machine = builder(BESIDE_FILES)
        .command("twofa class set admins mode=mandatory")
        .build();
    let phones = ["alice", "bob", "root"].map(|user| enrol(&machine, user));
    (machine, phones)
}

/// Enrols a user who does not want to be asked.
fn enrol(machine: &Machine, user: &str) -> Authenticator {
    let phone = machine.enrol(user);
    machine
        .run(&format!("twofa user set {user} verify=never"))
        .ok();
    phone
}

fn directory(machine: &Machine, how: &str) {
    machine.write_file("/etc/directory/how", how);
}

fn answer(terminal: &mut Terminal, prompt: &str, answer: &str) {
    terminal.expect(prompt);
    terminal.expect(": ");
    terminal.type_line(answer);
}

/// `su` to `user`, after the password.
fn su(machine: &Machine, user: &str) -> Terminal {
    let mut su = machine.terminal_as("carol", &format!("su {user} -c 'id -un'"));
    answer(&mut su, "Password", &password_of(user));
    su
}

fn is_in(mut su: Terminal, user: &str) {
    su.expect(&format!("{user}\n"));
    assert!(su.expect_end().success(), "{}", su.screen());
}

fn is_asked(machine: &Machine, user: &str, code: &str) {
    let mut su = su(machine, user);
    answer(&mut su, CODE_PROMPT, code);
    is_in(su, user);
}

fn at_the_console(machine: &Machine, user: &str, code: &str) -> Terminal {
    let mut login = machine.terminal("exec login");
    answer(&mut login, "vm login", user);
    answer(&mut login, "Password", &password_of(user));
    answer(&mut login, CODE_PROMPT, code);
    login
}

fn is_not_asked(machine: &Machine, user: &str) {
    let mut su = su(machine, user);
    su.expect(&format!("{user}\n"));
    assert!(
        su.expect_end().success() && !su.screen().contains(CODE_PROMPT),
        "{}",
        su.screen()
    );
}

#[test]
fn an_administrator_of_a_directory_is_asked_whatever_becomes_of_it_and_the_log_says_what_failed() {
    let (machine, [alice, bob, _]) = machine();
    let mut codes = alice.backup_codes.iter();
    for how in ["works", "late 1", "omits", "fails"] {
        directory(&machine, how);
        is_asked(&machine, "alice", codes.next().unwrap());
    }
    directory(&machine, "hangs 7");
    let mut login = at_the_console(&machine, "alice", codes.next().unwrap());
    for doubt in [
        "source 'directory' lists alice in admins",
        "source 'directory' does not report the groups of alice: it is unavailable (Connection refused)",
        "source 'directory' does not report the groups of alice: no answer within 5 s",
    ] {
        let line = machine.wait_for_log(doubt);
        assert!(line.contains("verdict=\"passed\""), "{line}");
    }
    login.hang_up();
    login.expect_end();
    directory(&machine, "works");
    machine.run("rm /usr/lib/libnss_directory.so.2").ok();
    machine.broker().restart();
    is_asked(&machine, "alice", &alice.next_code());
    machine.wait_for_log(
        "source 'directory' does not report the groups of alice: its module cannot be loaded",
    );
    // The strictest rule that could apply also applies to bob, who can show a code.
    is_asked(&machine, "bob", &bob.backup_codes[0]);
}

#[test]
fn a_user_who_is_certainly_in_no_class_is_not_asked() {
    let (machine, _) = machine();
    for how in ["works", "late 1", "omits"] {
        directory(&machine, how);
        is_not_asked(&machine, "bob");
    }
    let listed = machine.run("twofa class test bob").ok().stdout;
    assert!(
        listed.contains("Class of bob: everyone") && !listed.contains("not known for certain"),
        "{listed}"
    );
}

#[test]
fn a_source_that_is_listed_and_not_installed_leaves_memberships_unknown() {
    let machine = builder("passwd: files\ngroup: files\ninitgroups: sss")
        .user_in("dave", &["wheel"])
        .command("twofa class set admins --group wheel mode=mandatory")
        .build();
    let phones = ["alice", "dave"].map(|user| (user, enrol(&machine, user)));
    for (user, phone) in &phones {
        is_asked(&machine, user, &phone.backup_codes[0]);
    }
    let test = machine.run("twofa class test alice").ok().stdout;
    assert!(
        test.contains("not known for certain") && test.contains("source 'sss'"),
        "{test}"
    );
}

#[test]
fn a_real_source_beside_the_files_settles_what_it_tells_and_nothing_when_its_file_is_gone() {
    let machine = builder("passwd: files\ngroup: files extrausers")
        .file("/var/lib/extrausers/group", "wheel:x:4000:dave\n")
        .user("dave")
        .command("twofa class set admins --group wheel mode=mandatory")
        .build();
    let [bob, dave] = ["bob", "dave"].map(|user| enrol(&machine, user));
    is_asked(&machine, "dave", &dave.backup_codes[0]);
    is_not_asked(&machine, "bob");
    machine.run("rm /var/lib/extrausers/group").ok();
    is_asked(&machine, "dave", &dave.backup_codes[1]);
    is_asked(&machine, "bob", &bob.backup_codes[0]);
}

#[test]
fn root_at_the_console_has_a_way_in_by_a_code_while_the_directory_is_down() {
    let (machine, [_, _, root]) = machine();
    for (how, code) in [
        ("fails", &root.backup_codes[0]),
        ("hangs 7", &root.backup_codes[1]),
    ] {
        directory(&machine, how);
        let mut login = at_the_console(&machine, "root", code);
        login.expect("root@vm:~# ");
        login.hang_up();
        login.expect_end();
    }
}

#[test]
fn over_ssh_a_directory_that_is_down_lets_in_who_can_show_a_code_and_nobody_else() {
    let machine = builder(BESIDE_FILES)
        .command("twofa class set admins mode=mandatory")
        .with_sshd()
        .build();
    let alice = enrol(&machine, "alice");
    directory(&machine, "fails");
    let ssh = |user: &str| {
        let mut ssh = machine.terminal(&format!(
            "ssh -o NumberOfPasswordPrompts=1 {user}@vm id -un"
        ));
        answer(&mut ssh, "Password", &password_of(user));
        ssh
    };
    let mut in_time = ssh("alice");
    answer(&mut in_time, CODE_PROMPT, &alice.backup_codes[0]);
    is_in(in_time, "alice");
    let mut refused = ssh("alice");
    for _ in 0..3 {
        answer(&mut refused, CODE_PROMPT, "00000000");
    }
    assert!(!refused.expect_end().success());
}

#[test]
fn a_class_of_a_directorys_group_can_be_made_while_the_directory_is_down() {
    let machine = builder(BESIDE_FILES).build();
    let [alice, bob] = ["alice", "bob"].map(|user| enrol(&machine, user));
    directory(&machine, "fails");
    let made = machine.run("twofa class set admins mode=mandatory").ok();
    assert!(made.to_string().contains("source 'directory'"), "{made}");
    is_asked(&machine, "bob", &bob.backup_codes[0]);
    directory(&machine, "works");
    is_asked(&machine, "alice", &alice.backup_codes[0]);
    is_not_asked(&machine, "bob");
    // A name that no source knows is an error, as always.
    machine.run("twofa class set others mode=mandatory").fails();
}

#[test]
fn an_exemption_of_a_group_spares_nobody_while_it_is_not_settled_who_is_in_it() {
    let machine = builder(BESIDE_FILES)
        .command("twofa policy set mode=mandatory")
        .command("twofa user exempt --group robots --reason copies --until 30d")
        .build();
    let bob = enrol(&machine, "bob");
    is_not_asked(&machine, "bob");
    for (how, code) in [
        ("fails", &bob.backup_codes[0]),
        ("omits", &bob.backup_codes[1]),
    ] {
        directory(&machine, how);
        is_asked(&machine, "bob", code);
    }
}

#[test]
fn a_group_of_a_hundred_thousand_members_keeps_nobody_out() {
    let machine = builder("passwd: files\ngroup: files systemd")
        .command(
            "printf 'crowd:x:4000:%s,alice\\n' \"$(seq -f 'member-number-%.0f' -s, 100000)\" >>/etc/group",
        )
        .command("twofa class set admins --group crowd mode=mandatory")
        .build();
    let [alice, _] = ["alice", "bob"].map(|user| enrol(&machine, user));
    is_asked(&machine, "alice", &alice.backup_codes[0]);
    is_not_asked(&machine, "bob");
}

#[test]
fn a_person_of_the_directory_is_asked_as_its_groups_say() {
    let machine = builder(BESIDE_FILES)
        .file(
            "/etc/directory/passwd",
            "dora:*:7000:7000::/tmp:/bin/bash\nemil:*:7001:7000::/tmp:/bin/bash\n",
        )
        .command("twofa class set admins mode=mandatory")
        .build();
    let dora = enrol(&machine, "dora");
    let mut login = machine.terminal("pamtester testapp dora authenticate");
    answer(&mut login, CODE_PROMPT, &dora.backup_codes[0]);
    login.expect("successfully authenticated");
    machine.run("pamtester testapp emil authenticate").ok();
    directory(&machine, "fails");
    // Nobody knows who they are, so nobody can say that they are not asked.
    machine.run("pamtester testapp emil authenticate").fails();
    machine.wait_for_log("the name service does not answer: account \\\"emil\\\"");
}

#[test]
fn members_of_a_group_that_a_directory_may_keep_to_itself_are_warned_of() {
    let machine = builder(BESIDE_FILES).build();
    machine
        .run("groupadd staff2 && usermod -g staff2 carol && usermod -aG staff2 alice")
        .ok();
    let output = machine.run("twofa user add --group staff2").ok();
    assert_eq!(output.stdout, "Added alice.\nAdded carol.\n");
    assert!(
        output.stderr.contains(
            "warning: people of directory whose primary group is 'staff2' may be missing"
        ),
        "{output}"
    );
    machine
        .run("printf 'passwd: files systemd\\ngroup: files\\n' >/etc/nsswitch.conf")
        .ok();
    let output = machine.run("twofa user add --group staff2").ok();
    assert_eq!(output.stderr, "", "{output}");
}

#[test]
fn where_nobody_is_asked_no_name_service_is_needed_to_say_so() {
    let machine = builder(BESIDE_FILES)
        .command("twofa class set admins mode=disabled")
        .policy("disabled")
        .build();
    directory(&machine, "hangs 600");
    let passes = || {
        machine
            .terminal("pamtester testapp emil authenticate")
            .expect("successfully authenticated")
    };
    passes();
    // Also without a daemon: the broker that root starts switches to the service user without looking up its groups.
    machine.broker().kill();
    passes();
}

#[test]
fn a_service_that_is_not_root_learns_that_nothing_is_asked_and_nothing_else() {
    let machine = Machine::new()
        .policy("disabled")
        .user("alice")
        .user("bob")
        .pam("testapp", TESTAPP_STACK)
        .build();
    machine.enrol("alice");
    let log_in =
        |user: &str| machine.run_as("bob", &format!("pamtester testapp {user} authenticate"));
    log_in("alice").ok();
    machine.run("twofa policy set mode=optional").ok();
    machine.run("twofa user set alice verify=never").ok();
    log_in("alice").ok();
    machine.run("twofa user set alice verify=new-device").ok();
    let refused = log_in("alice").fails();
    assert!(!refused.to_string().contains(CODE_PROMPT), "{refused}");
    machine.wait_for_log("may not ask about alice");
    // For one service only, which a caller that is not root could claim to be.
    machine
        .run("twofa user exempt alice --service testapp --reason x --until 30d")
        .ok();
    log_in("alice").fails();
    machine
        .run("twofa user exempt alice --reason x --until 30d")
        .ok();
    log_in("alice").ok();
}

#[test]
fn a_name_that_is_not_utf_8_is_refused_for_that_and_only_where_somebody_is_asked() {
    let machine = Machine::new()
        .policy("disabled")
        .pam("testapp", TESTAPP_STACK)
        .build();
    let command = "pamtester testapp \"$(printf 'caf\\351')\" authenticate";
    machine.run(command).ok();
    machine.run("twofa policy set mode=mandatory").ok();
    machine.run(command).fails();
    machine.wait_for_log("the user's name is not UTF-8");
}

/// Makes the file system of the store read-only.
fn write_protect(machine: &Machine) {
    machine
        .run(
            "mount --bind /var/lib/twofa /var/lib/twofa && mount -o remount,bind,ro /var/lib/twofa",
        )
        .ok();
    machine.run("touch /var/lib/twofa/x").fails();
}

#[test]
fn on_a_disk_that_cannot_be_written_who_is_not_asked_gets_in_and_who_is_does_not() {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .pam("testapp", TESTAPP_STACK)
        .without_broker()
        .build();
    machine.enrol("alice");
    write_protect(&machine);
    machine.run("pamtester testapp bob authenticate").ok();
    machine
        .run("echo 123456 | pamtester testapp alice authenticate")
        .fails();
    machine.wait_for_log("the store is read-only");
    machine.run("umount /var/lib/twofa").ok();
    machine
        .run("twofa policy set mode=mandatory enrolment=beforehand --yes")
        .ok();
    write_protect(&machine);
    machine.run("pamtester testapp bob authenticate").fails();
}

#[test]
fn a_log_that_a_login_left_is_read_on_a_disk_that_cannot_be_written() {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .pam("testapp", TESTAPP_STACK)
        .tiny_disk("/var/lib/twofa", "1M")
        .without_broker()
        .build();
    let phone = machine.enrol("alice");
    let log_in = || {
        let code = phone.next_code();
        machine.run(&format!(
            "echo {code} | pamtester testapp alice authenticate"
        ))
    };
    log_in().ok();
    machine.run("test -s /var/lib/twofa/twofa.db-wal").ok();
    for (harm, repair) in [
        (
            "mount -o remount,ro /var/lib/twofa",
            "mount -o remount,rw /var/lib/twofa",
        ),
        (
            "! dd if=/dev/zero of=/var/lib/twofa/ballast bs=4k status=none",
            "rm /var/lib/twofa/ballast",
        ),
    ] {
        machine.run(harm).ok();
        machine.run("pamtester testapp bob authenticate").ok();
        log_in().fails();
        machine.run(repair).ok();
    }
    log_in().ok();
}

#[test]
fn what_a_killed_broker_left_in_the_log_of_the_store_counts_on_a_disk_that_cannot_be_written() {
    let machine = Machine::new()
        .policy("disabled")
        .user("bob")
        .pam("testapp", TESTAPP_STACK)
        .build();
    // The broker has the store open, so this remains in its write-ahead log.
    machine.run("pamtester testapp bob authenticate").ok();
    machine
        .run("twofa policy set mode=mandatory enrolment=beforehand --yes")
        .ok();
    machine.broker().kill();
    machine.run("test -s /var/lib/twofa/twofa.db-wal").ok();
    write_protect(&machine);
    machine.run("pamtester testapp bob authenticate").fails();
    machine
        .run("umount /var/lib/twofa && rm /var/lib/twofa/twofa.db-shm")
        .ok();
    write_protect(&machine);
    machine.run("pamtester testapp bob authenticate").fails();
}
