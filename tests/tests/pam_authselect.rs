//! `twofa pam enable` where authselect writes what services share. Debian has no authselect: a program that does what its
//! manual says stands in for it, over a profile as Fedora's and EL's are, and the profile that the package has.

#![allow(clippy::unwrap_used)] // a test says what it expects by failing

use twofa_e2e::{Machine, Terminal, password_of};

const STAND_IN: &str = include_str!("../src/authselect.py");
const OUR_PROFILE: &str = include_str!("../../packaging/authselect/system-auth");

/// Local users' passwords, as in authselect's profiles, with the modules that Debian has.
const LOCAL: &str = r#"
auth        required    pam_env.so
auth        required    pam_faildelay.so delay=2000000
auth        required    pam_faillock.so preauth silent  {include if "with-faillock"}
auth        sufficient  pam_unix.so {if not "without-nullok":nullok}
auth        required    pam_faillock.so authfail        {include if "with-faillock"}
auth        optional    pam_echo.so                     {include if "with-echo"}
auth        required    pam_deny.so
account     required    pam_unix.so
password    required    pam_unix.so
session     required    pam_unix.so
"#;
const POSTLOGIN: &str = "session optional pam_lastlog.so {include if \"with-silent-lastlog\"}\n";
const LOGIN: &str = "\
auth       substack     system-auth
auth       include      postlogin
account    required     pam_nologin.so
account    include      system-auth
session    include      system-auth
";
const SUDO: &str = "\
auth       include      system-auth
account    include      system-auth
session    include      system-auth
";

fn machine(selected: &str) -> Machine {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .command(
            "rm -f /etc/debian_version /etc/pam.d/* /usr/share/pam-configs/twofa /usr/sbin/sshd
             mkdir -p /etc/authselect",
        )
        .build();
    let put = |path: &str, text| machine.write_file(path, text);
    for (profile, text) in [("vendor/twofa", OUR_PROFILE), ("default/local", LOCAL)] {
        let folder = format!("/usr/share/authselect/{profile}");
        put(&format!("{folder}/system-auth"), text);
        put(&format!("{folder}/password-auth"), text);
        put(&format!("{folder}/postlogin"), POSTLOGIN);
    }
    put("/usr/bin/authselect", STAND_IN);
    put("/etc/pam.d/login", LOGIN);
    put("/etc/pam.d/sudo", SUDO);
    machine
        .run(&format!(
            "chmod +x /usr/bin/authselect && authselect select --force {selected}
             for name in system-auth password-auth postlogin; do
                 ln -s /etc/authselect/$name /etc/pam.d/$name
             done"
        ))
        .ok();
    machine
}

fn state(machine: &Machine) -> String {
    machine
        .run("cd /etc && find authselect pam.d -type f -exec sha256sum {} + | sort -k 2; authselect current --raw")
        .ok()
        .stdout
}

fn selected(machine: &Machine) -> String {
    machine
        .run("authselect check && authselect current --raw")
        .ok()
        .stdout
}

fn answer(terminal: &mut Terminal, prompt: &str, answer: &str) {
    terminal.expect(prompt);
    terminal.expect(": ");
    terminal.type_line(answer);
}

#[test]
fn the_profile_is_selected_with_its_features_and_the_old_one_comes_back() {
    let machine = machine("local with-silent-lastlog without-nullok");
    let phone = machine.enrol("alice");
    let before = state(&machine);
    let shown = machine
        .run("twofa pam enable --dry-run --login-as alice")
        .ok();
    for words in [
        "-local with-silent-lastlog without-nullok",
        "+twofa with-silent-lastlog without-nullok",
        "+++ /etc/pam.d/system-auth",
    ] {
        assert!(shown.stdout.contains(words), "{shown}");
    }
    assert_eq!(state(&machine), before);

    // A dead terminal selects the old profile again.
    let mut enable = machine.terminal("twofa pam enable --login-as alice");
    enable.expect("log in at login as alice");
    assert_eq!(
        selected(&machine),
        "twofa with-silent-lastlog without-nullok\n"
    );
    enable.hang_up();
    machine.wait_until("[ ! -e /var/backups/twofa-pam/pending ]");
    assert_eq!(state(&machine), before);

    let mut enable = machine.terminal("twofa pam enable --login-as alice");
    answer(&mut enable, "Password", &password_of("alice"));
    answer(&mut enable, "Verification code", &phone.next_code());
    enable.expect("Changed.");
    assert!(enable.expect_end().success());
    assert_eq!(
        selected(&machine),
        "twofa with-silent-lastlog without-nullok\n"
    );
    let check = machine.run("twofa pam check sudo").ok();
    assert!(check.stdout.contains("password + code"), "{check}");

    machine.run("twofa pam disable --no-login").ok();
    assert_eq!(state(&machine), before);
}

#[test]
fn a_profile_that_has_more_than_ours_is_left_alone() {
    let machine = machine("local with-echo");
    let before = state(&machine);
    let enable = machine.run("twofa pam enable --no-login");
    assert_eq!(enable.code(), 1, "{enable}");
    assert!(enable.stderr.contains("no feature with-echo"), "{enable}");
    assert_eq!(state(&machine), before);

    machine.run("echo '#' >>/etc/authselect/system-auth").ok();
    let enable = machine.run("twofa pam enable --no-login");
    assert_eq!(enable.code(), 1, "{enable}");
    assert!(enable.stderr.contains("edited by hand"), "{enable}");
}

/// Kills authselect once, at the system call that the file says.
const KILLED: &str = r#"#!/bin/sh
if [ "$1" = select ] && [ -e /root/kill-at ]; then
    at=$(cat /root/kill-at)
    rm /root/kill-at
    exec strace -o /dev/null -e trace=rename -e inject=rename:signal=KILL:when=$at /usr/bin/authselect.real "$@"
fi
exec /usr/bin/authselect.real "$@"
"#;

#[test]
fn the_old_profile_comes_back_if_authselect_is_killed_at_any_file() {
    let machine = machine("local");
    let before = state(&machine);
    machine
        .run("mv /usr/bin/authselect /usr/bin/authselect.real")
        .ok();
    machine.write_file("/usr/bin/authselect", KILLED);
    machine.run("chmod +x /usr/bin/authselect").ok();
    for step in 1.. {
        machine.write_file("/root/kill-at", &step.to_string());
        let enable = machine.run("twofa pam enable --no-login");
        if enable.status.success() {
            assert_eq!(selected(&machine), "twofa\n");
            // Each of the three PAM files, and the name of the profile.
            assert_eq!(step, 5);
            break;
        }
        assert_eq!(state(&machine), before);
    }
}
