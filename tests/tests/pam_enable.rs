//! `twofa pam enable` and `disable`: what they change, and that neither a mistake nor a kill leaves anything in between.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Booted, Machine, Terminal, password_of};

/// A machine in which no stack names the module, and pam-auth-update has the profile.
fn machine() -> Machine {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .command("sed -i /pam_twofa/d /etc/pam.d/*")
        .build();
    let profile = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../packaging/pam-configs/twofa"
    );
    let profile = std::fs::read_to_string(profile).unwrap();
    machine.write_file("/usr/share/pam-configs/twofa", &profile);
    machine
}

/// What all files have that a change could touch.
fn state(machine: &Machine) -> String {
    let sum = "cd / && find etc/pam.d var/lib/pam -type f ! -name '*-old' -exec sha256sum {} + | sort -k 2";
    machine.run(sum).ok().stdout
}

fn answer(terminal: &mut Terminal, prompt: &str, answer: &str) {
    terminal.expect(prompt);
    terminal.expect(": ");
    terminal.type_line(answer);
}

#[test]
fn all_services_ask_after_a_login_with_a_wrong_and_a_right_code() {
    let machine = machine();
    let phone = machine.enrol("alice");
    let before = state(&machine);

    let enable = "twofa pam enable --dry-run --login-as alice";
    let dry = machine.run(enable).ok();
    assert!(dry.stdout.contains("+++ /etc/pam.d/common-auth"), "{dry}");
    assert!(
        dry.stdout.contains("+auth\trequired\tpam_twofa.so"),
        "{dry}"
    );
    assert_eq!(state(&machine), before);

    let mut enable = machine.terminal("twofa pam enable --login-as alice");
    answer(&mut enable, "Password", &password_of("alice"));
    enable.expect("The wrong code was refused.");
    answer(&mut enable, "Verification code", &phone.next_code());
    enable.expect("Changed. The old files are in /var/backups/twofa-pam/1.");
    assert!(enable.expect_end().success());
    assert!(machine.file("/etc/pam.d/common-auth").contains("pam_twofa"));
    // pam-auth-update itself finds nothing to do.
    let after = state(&machine);
    machine
        .run("DEBIAN_FRONTEND=noninteractive pam-auth-update --package")
        .ok();
    assert_eq!(state(&machine), after);

    machine.run("twofa pam disable --no-login").ok();
    assert!(!machine.file("/etc/pam.d/common-auth").contains("pam_twofa"));
    let kept = machine.file("/var/backups/twofa-pam/2/etc/pam.d/common-auth");
    assert!(kept.contains("pam_twofa"), "{kept}");
}

#[test]
fn the_old_files_come_back_if_the_login_does_not_prove_the_change() {
    let machine = machine();
    machine.enrol("alice");
    let before = state(&machine);

    let mut enable = machine.terminal("twofa pam enable --own-file sudo --login-as alice");
    answer(&mut enable, "Password", &password_of("alice"));
    enable.expect("The wrong code was refused.");
    for _ in 0..3 {
        answer(&mut enable, "Verification code", "00000000");
    }
    enable.expect("the login did not prove the change");
    assert!(!enable.expect_end().success());
    assert_eq!(state(&machine), before);

    // Root has not enrolled, so nobody can tell that codes are checked.
    let mut enable = machine.terminal("twofa pam enable --own-file su");
    enable.expect("a login of root would not prove that codes are asked for");
    enable.expect("--login-as USER");
    assert!(!enable.expect_end().success());
    assert_eq!(state(&machine), before);
}

#[test]
fn the_login_is_at_a_service_where_the_policy_asks_and_its_wrong_code_is_forgiven() {
    let machine = machine();
    let phone = machine.enrol("alice");
    machine.run("twofa policy set lockout.after=3").ok();
    for (services, place) in [
        ("console", "at login"),
        ("ssh", "over ssh"),
        ("elevation", "at sudo"),
    ] {
        machine
            .run(&format!("twofa policy set --yes services={services}"))
            .ok();
        let mut enable = machine.terminal("twofa pam enable --login-as alice");
        enable.expect(&format!("log in {place} as alice"));
        answer(&mut enable, "Password", &password_of("alice"));
        enable.expect("The wrong code was refused.");
        answer(&mut enable, "Verification code", &phone.next_code());
        enable.expect("Changed.");
        assert!(enable.expect_end().success());

        let mut disable = machine.terminal("twofa pam disable --login-as alice");
        disable.expect("The wrong password was refused.");
        answer(&mut disable, "Password", &password_of("alice"));
        disable.expect("Changed.");
        assert!(disable.expect_end().success());
    }
    // Had the wrong codes counted, the account would be locked by now.
    let mut su = machine.terminal("twofa pam enable --own-file su --login-as alice");
    su.expect("log in at su as alice");
    answer(&mut su, "Password", &password_of("alice"));
    answer(&mut su, "Verification code", &phone.next_code());
    su.expect("Changed.");
    assert!(su.expect_end().success());
}

#[test]
fn a_change_that_no_login_could_prove_is_refused_before_anything_changes() {
    let machine = machine();
    machine.enrol("alice");
    let before = state(&machine);
    for (setting, words) in [
        ("services=unlock", "at no service that the change concerns"),
        (
            "services=all mode=report",
            "would not prove that codes are asked for",
        ),
        ("mode=disabled", "would not prove that codes are asked for"),
    ] {
        machine
            .run(&format!("twofa policy set --yes {setting}"))
            .ok();
        let mut enable = machine.terminal("twofa pam enable --login-as alice");
        enable.expect(words);
        assert!(!enable.expect_end().success());
        assert_eq!(state(&machine), before);
    }
}

#[test]
fn a_change_that_would_keep_root_out_of_the_console_is_refused() {
    let machine = machine();
    machine
        .run("twofa policy set --yes mode=mandatory enrolment=beforehand")
        .ok();
    let before = state(&machine);
    let refused = |options: &str| {
        let enable = machine.run(&format!("twofa pam enable --no-login {options}"));
        assert_eq!(enable.code(), 1, "{enable}");
        assert!(
            enable.stderr.contains("root could not log in at login: "),
            "{enable}"
        );
        assert_eq!(state(&machine), before);
    };
    refused("");
    refused("--dry-run");

    // Root could enrol, but nothing that can be delivered.
    machine
        .run("twofa policy set --yes enrolment=at-login methods=email,backup")
        .ok();
    refused("");
    refused("--dry-run");
    let test = machine.run("twofa class test root").ok();
    assert!(
        test.stdout.contains("A login is refused: ")
            && test
                .stdout
                .contains("but no provider delivers codes of a method that could be enrolled"),
        "{test}"
    );

    machine
        .run("twofa policy set --yes mode=optional methods=app,backup")
        .ok();
    machine
        .run("sed -i '1i auth requisite pam_deny.so' /etc/pam.d/login")
        .ok();
    let before = state(&machine);
    let enable = machine.run("twofa pam enable --no-login");
    assert_eq!(enable.code(), 1, "{enable}");
    assert!(
        enable
            .stderr
            .contains("login: root could not log in at the console"),
        "{enable}"
    );
    assert_eq!(state(&machine), before);
}

#[test]
fn a_change_after_which_nobody_is_asked_is_refused_and_who_is_not_asked_is_said() {
    let machine = machine();
    machine
        .run(
            "sed -i '1i auth sufficient pam_succeed_if.so user ingroup bob quiet' /etc/pam.d/login",
        )
        .ok();
    let enable = machine.run("twofa pam enable --no-login").ok();
    assert!(
        enable.stdout.contains(
            "  login: people get in without a code: /etc/pam.d/login:1 pam_succeed_if.so returns success"
        ),
        "{enable}"
    );
    machine.run("twofa pam disable --no-login").ok();

    // pam-auth-update leaves files alone whose own block has been edited; a comment does not ask.
    machine
        .run("sed -i 's/^auth.*pam_unix.so.*/&\\n# auth required pam_twofa.so (ticket 12)/' /etc/pam.d/common-auth")
        .ok();
    let before = state(&machine);
    let enable = machine.run("twofa pam enable --no-login");
    assert_eq!(enable.code(), 1, "{enable}");
    assert!(enable.stderr.contains("edited by hand"), "{enable}");
    assert_eq!(state(&machine), before);
}

#[test]
fn a_file_that_somebody_has_edited_does_not_keep_the_others_from_coming_back() {
    let machine = machine();
    let read = |file: &str| machine.run(&format!("cat /etc/pam.d/{file}")).ok().stdout;
    let before = read("common-auth");
    machine.run("twofa pam enable --no-login").ok();
    assert_ne!(read("common-auth"), before);
    // As after a power failure at the last step.
    machine
        .run(
            "printf 1 >/var/backups/twofa-pam/pending && echo '# mine' >>/etc/pam.d/common-account",
        )
        .ok();
    let recover = machine.run("twofa pam recover");
    assert_eq!(recover.code(), 1, "{recover}");
    for words in [
        "/etc/pam.d/common-account has been changed since an interrupted change of it",
        "the others were brought back",
        "copy back by hand what you need from /var/backups/twofa-pam/1",
    ] {
        assert!(recover.stderr.contains(words), "{recover}");
    }
    assert_eq!(read("common-auth"), before);
    assert!(read("common-account").ends_with("# mine\n"));
}

#[test]
fn a_dead_terminal_brings_the_old_files_back() {
    let machine = machine();
    machine.enrol("alice");
    let before = state(&machine);
    let mut enable = machine.terminal("twofa pam enable --login-as alice");
    enable.expect("which must be refused.");
    assert_ne!(state(&machine), before);
    enable.hang_up();
    machine.wait_until("[ ! -e /var/backups/twofa-pam/pending ]");
    assert_eq!(state(&machine), before);
}

#[test]
fn a_kill_at_any_step_leaves_the_old_or_the_new_state() {
    let machine = machine();
    // pam-auth-update notes that it has seen the profile, and forgets it no more.
    machine.run("twofa pam enable --no-login").ok();
    let new = state(&machine);
    machine.run("twofa pam disable --no-login").ok();
    let old = state(&machine);

    let mut step = 1;
    loop {
        let run = machine.run(&format!(
            "strace -o /dev/null -e trace=rename,unlink,mkdir,clone3,clone,vfork \
             -e inject=rename,unlink,mkdir,clone3,clone,vfork:signal=KILL:when={step} \
             twofa pam enable --no-login"
        ));
        machine.wait_until("[ ! -e /var/backups/twofa-pam/pending ]");
        let left = state(&machine);
        if run.status.success() {
            assert_eq!(left, new);
            break;
        }
        assert!(left == old || left == new, "after step {step}:\n{left}");
        if left == new {
            machine.run("twofa pam disable --no-login").ok();
        }
        step += 1;
    }
    assert!(step > 20, "{step} steps");
    let rests = machine
        .run("find /etc/pam.d /var/lib/pam -name .twofa-new")
        .ok();
    assert_eq!(rests.stdout, "", "{rests}");
}

#[test]
fn after_a_power_failure_the_old_files_are_back_before_anybody_can_log_in() {
    let Some(mut system) = Booted::start() else {
        return;
    };
    system
        .run("systemctl enable twofa-pam-recover.service && echo alice:first | chpasswd")
        .ok();
    let before = system.run("cat /etc/pam.d/sudo").ok().stdout;
    system.run("twofa policy set mode=optional").ok();
    system.enrol("alice");
    let mut enable = system.terminal("twofa pam enable --own-file sudo --login-as alice");
    enable.expect("Password");
    // Neither the command nor the process that would bring the files back.
    system
        .run("pkill -KILL -f 'pam [r]ecover'; pkill -KILL -f 'pam [e]nable'")
        .ok();
    assert_ne!(system.run("cat /etc/pam.d/sudo").ok().stdout, before);
    let doctor = system.run("twofa doctor");
    assert!(doctor.stdout.contains("twofa pam recover"), "{doctor}");

    system.reboot();
    assert_eq!(system.run("cat /etc/pam.d/sudo").ok().stdout, before);
    let time = |property: &str, unit: &str| {
        let command = format!("systemctl show -P {property}TimestampMonotonic {unit}");
        let time = system.run(&command).ok().stdout;
        time.trim().parse::<u64>().unwrap()
    };
    let recovered = time("ExecMainExit", "twofa-pam-recover");
    assert!(recovered > 0 && recovered < time("ExecMainStart", "ssh"));
    let doctor = system.run("twofa doctor");
    assert!(!doctor.stdout.contains("twofa pam recover"), "{doctor}");
}

const SERVICES: &str = "twofa policy show | grep ^services=";

#[test]
fn a_named_service_asks_by_the_shared_line_and_the_policy() {
    let machine = machine();
    let phone = machine.enrol("alice");
    machine
        .run("sed '$aauth required pam_twofa.so' /etc/pam.d/sudo >/etc/pam.d/special")
        .ok();
    let before = state(&machine);
    let enable = "twofa pam enable --dry-run --login-as alice sudo";
    let shown = machine.run(enable).ok();
    for words in [
        "-services=all",
        "+services=special,sudo",
        "+++ /etc/pam.d/common-auth",
        "'twofa policy set services=all' has all of them ask",
    ] {
        assert!(shown.stdout.contains(words), "{shown}");
    }
    assert_eq!(machine.run(SERVICES).ok().stdout, "services=all\n");

    // A login that proves nothing takes the policy back as well.
    let mut enable = machine.terminal("twofa pam enable sudo --login-as alice");
    enable.expect("log in at sudo as alice");
    assert_eq!(machine.run(SERVICES).ok().stdout, "services=special,sudo\n");
    enable.hang_up();
    machine.wait_until("[ ! -e /var/backups/twofa-pam/pending ]");
    assert_eq!(state(&machine), before);
    assert_eq!(machine.run(SERVICES).ok().stdout, "services=all\n");

    let mut enable = machine.terminal("twofa pam enable sudo --login-as alice");
    answer(&mut enable, "Password", &password_of("alice"));
    answer(&mut enable, "Verification code", &phone.next_code());
    enable.expect("Changed.");
    assert!(enable.expect_end().success());
    assert_eq!(machine.run(SERVICES).ok().stdout, "services=special,sudo\n");

    // The line is there, so another service is a matter of the policy alone.
    let after = state(&machine);
    machine.run("twofa pam enable --no-login su").ok();
    assert_eq!(
        machine.run(SERVICES).ok().stdout,
        "services=special,sudo,su\n"
    );
    machine.run("twofa pam disable --no-login sudo").ok();
    assert_eq!(machine.run(SERVICES).ok().stdout, "services=special,su\n");
    assert_eq!(state(&machine), after);

    machine.run("twofa policy set --yes services=all").ok();
    let disable = machine.run("twofa pam disable --no-login sudo");
    assert_eq!(disable.code(), 1, "{disable}");
    assert!(
        disable
            .stderr
            .contains("'twofa policy set services=ssh,console,"),
        "{disable}"
    );
}

#[test]
fn a_program_gets_the_change_as_json() {
    let machine = machine();
    let report = |command: &str| -> serde_json::Value {
        serde_json::from_str(&machine.run(command).ok().stdout).unwrap()
    };
    let shown = report("twofa --json pam enable --dry-run --no-login sudo");
    assert_eq!(shown["result"], "shown");
    assert_eq!(shown["policy"]["new"], "sudo");
    let changed = report("twofa --json pam enable --no-login");
    assert_eq!(changed["result"], "changed");
    assert_eq!(changed["backup"], "/var/backups/twofa-pam/1");
    let mut files = changed["files"].as_array().unwrap().iter();
    let file = files.find(|file| file["path"] == "/etc/pam.d/common-auth");
    let diff = file.unwrap()["diff"].as_str().unwrap();
    assert!(diff.contains("+auth\trequired\tpam_twofa.so"), "{diff}");
    assert_eq!(
        report("twofa --json pam enable --no-login")["result"],
        "unchanged"
    );
    assert_eq!(report("twofa --json pam recover")["recovered"], false);
}

#[test]
fn an_own_file_is_edited_where_that_is_asked_for() {
    let machine = machine();
    let before = state(&machine);
    let unproved = machine.run("twofa pam enable --own-file sudo");
    assert_eq!(unproved.code(), 1, "{unproved}");
    assert!(unproved.stderr.contains("--no-login"), "{unproved}");
    assert_eq!(state(&machine), before);

    let enable = machine
        .run("twofa pam enable --own-file --no-login sudo")
        .ok();
    assert!(enable.stdout.contains("at an upgrade"), "{enable}");
    assert_eq!(
        machine.run("stat -c %U:%a /etc/pam.d/sudo").ok().stdout,
        "root:644\n"
    );
    let check = machine.run("twofa pam check sudo").ok();
    assert!(check.stdout.contains("password + code"), "{check}");
    let again = machine
        .run("twofa pam enable --own-file --no-login sudo")
        .ok();
    assert!(
        again
            .stdout
            .contains("sudo has a line that asks for a code already."),
        "{again}"
    );
    machine.run("twofa pam disable --no-login sudo").ok();
    assert_eq!(state(&machine), before);
}

#[test]
fn the_files_from_before_the_last_twenty_changes_are_kept() {
    let machine = machine();
    machine
        .run("mkdir -p -m 700 /var/backups/twofa-pam && cd /var/backups/twofa-pam && mkdir $(seq 3 30) notes")
        .ok();
    machine.run("twofa pam enable --no-login").ok();
    let kept = machine.run("ls /var/backups/twofa-pam | sort -n").ok();
    let expected: Vec<_> = (12..=31).map(|number| number.to_string()).collect();
    assert_eq!(
        kept.stdout.trim(),
        format!("lock\nnotes\n{}", expected.join("\n"))
    );
}

#[test]
fn a_vendors_file_is_copied_with_its_owner_mode_and_label_and_the_vendors_stays() {
    let machine = machine();
    machine
        .run(
            "mkdir -p /usr/lib/pam.d && mv /etc/pam.d/sudo /usr/lib/pam.d/vendored
             chgrp adm /usr/lib/pam.d/vendored && chmod 640 /usr/lib/pam.d/vendored",
        )
        .ok();
    let label = "import os; path = '/PATH/pam.d/vendored'";
    let set =
        format!("{label}; os.setxattr(path, 'security.selinux', b'system_u:object_r:etc_t:s0')");
    let get = format!("{label}; print(os.getxattr(path, 'security.selinux').decode())");
    let python = |code: &str, folder: &str| {
        let code = code.replace("/PATH", folder);
        machine.run(&format!("python3 -c \"{code}\"")).ok().stdout
    };
    python(&set, "/usr/lib");
    let vendors = machine.file("/usr/lib/pam.d/vendored");

    let enable = machine
        .run("twofa pam enable --own-file --no-login vendored")
        .ok();
    assert!(enable.stdout.contains("becomes a copy of"), "{enable}");
    let stat = machine.run("stat -c %U:%G:%a /etc/pam.d/vendored").ok();
    assert_eq!(stat.stdout, "root:adm:640\n");
    assert_eq!(python(&get, "/etc"), "system_u:object_r:etc_t:s0\n");
    assert_eq!(machine.file("/usr/lib/pam.d/vendored"), vendors);
    assert!(machine.file("/etc/pam.d/vendored").contains("pam_twofa.so"));
}

#[test]
fn what_cannot_be_changed_safely_is_said_with_file_and_line_and_nothing_is_changed() {
    let machine = machine();
    for (name, text) in [
        ("circle", "auth required pam_unix.so\nauth include circle\n"),
        ("cron", "@include common-auth\n@include common-account\n"),
        (
            "skips",
            "auth [success=done default=ignore] pam_unix.so\nauth required pam_deny.so\n",
        ),
    ] {
        machine.write_file(&format!("/etc/pam.d/{name}"), text);
    }
    machine
        .run("cp /etc/pam.d/sudo /etc/pam.d/foreign && chown alice /etc/pam.d/foreign")
        .ok();
    machine.run("ln -s sudo /etc/pam.d/linked").ok();
    let before = state(&machine);
    for (service, code, words) in [
        ("absent", 4, "there is no PAM service 'absent'"),
        ("cron", 2, "cron is never asked"),
        ("circle", 1, "/etc/pam.d/circle:2: an include of a file"),
        ("foreign", 1, "/etc/pam.d/foreign does not belong to root"),
        ("linked", 1, "/etc/pam.d/linked is a symbolic link"),
        ("skips", 1, "skips: people would get in without a code"),
    ] {
        let enable = machine.run(&format!("twofa pam enable --own-file --no-login {service}"));
        assert_eq!(enable.code(), code, "{enable}");
        assert!(enable.stderr.contains(words), "{enable}");
        assert_eq!(state(&machine), before);
    }
    let as_alice = machine.run_as("alice", "twofa pam enable");
    assert_eq!(as_alice.code(), 3, "{as_alice}");
}
