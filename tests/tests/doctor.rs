//! `twofa doctor` on machines with correct and with faulty PAM stacks.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Builder, Machine};

const CONTENT: &str = "No problems found.\n";

/// The doctor's output; its exit code says whether there is a problem.
#[track_caller]
fn diagnosis(machine: &Machine) -> String {
    let doctor = machine.run("twofa doctor");
    assert_eq!(
        doctor.code(),
        i32::from(doctor.stdout.contains("problem: ")),
        "{doctor}"
    );
    doctor.stdout
}

#[track_caller]
fn finds(machine: &Machine, words: &str) {
    let doctor = diagnosis(machine);
    assert!(doctor.contains(words), "{words:?} in {doctor}");
}

/// A machine on which no stack has our module yet.
fn builder() -> Builder {
    Machine::new()
        .policy("optional")
        .command("sed -i /pam_twofa/d /etc/pam.d/*")
}

fn put(machine: &Machine, service: &str, stack: &str) {
    machine.write_file(&format!("/etc/pam.d/{service}"), stack);
}

const BEHIND: &str = "@include common-auth\nauth required pam_twofa.so\n@include common-account\n";

/// As authselect writes them, for local accounts and sssd.
const EL: &str = "auth required pam_env.so
auth required pam_faildelay.so delay=2000000
auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
auth [default=1 ignore=ignore success=ok] pam_localuser.so
auth sufficient pam_unix.so nullok
auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
auth sufficient pam_sss.so forward_pass
auth required pam_deny.so
account required pam_unix.so
account sufficient pam_localuser.so
account sufficient pam_usertype.so issystem
account [default=bad success=ok user_unknown=ignore] pam_sss.so
account required pam_permit.so
";
const EL_SSHD: &str = "auth substack password-auth
auth include postlogin
account required pam_nologin.so
account required pam_twofa.so challenge
account include password-auth
";
const EL_SUDO: &str = "auth include system-auth
account required pam_twofa.so challenge
account include system-auth
";
const EL_SU: &str = "auth sufficient pam_rootok.so
auth substack system-auth
account sufficient pam_succeed_if.so uid = 0 use_uid quiet
account required pam_twofa.so challenge
account include system-auth
";

/// A machine with EL's shared stacks beside Debian's.
fn el() -> Machine {
    let machine = builder().build();
    for shared in ["password-auth", "system-auth"] {
        put(&machine, shared, EL);
    }
    put(
        &machine,
        "postlogin",
        "session optional pam_umask.so silent\n",
    );
    machine
}

#[test]
fn the_stacks_in_the_manual_have_no_findings() {
    // Where a package puts it: after common-auth, for every service.
    let machine = Machine::new().policy("optional").build();
    assert_eq!(diagnosis(&machine), CONTENT);

    let machine = builder().build();
    for service in ["sshd", "login"] {
        put(&machine, service, BEHIND);
        assert_eq!(diagnosis(&machine), CONTENT, "{service}");
    }
    put(&machine, "sudo", BEHIND);
    put(&machine, "sudo-i", BEHIND);
    put(&machine, "polkit-1", BEHIND);
    machine.run("usermod --lock root").ok();
    assert_eq!(diagnosis(&machine), CONTENT);

    let machine = el();
    for (service, stack) in [
        ("sshd", EL_SSHD),
        ("login", EL_SSHD),
        ("gdm-password", EL_SSHD),
        ("su", EL_SU),
    ] {
        put(&machine, service, stack);
    }
    for service in ["sudo", "sudo-i", "polkit-1"] {
        put(&machine, service, EL_SUDO);
    }
    put(&machine, "swaylock", "auth include system-auth\n");
    // Debian has no module for sssd, which the prover says once for each file.
    assert_eq!(
        diagnosis(&machine),
        "notice: /etc/pam.d/password-auth:12: pam_sss.so is not installed, so the line fails\n\
         notice: /etc/pam.d/system-auth:12: pam_sss.so is not installed, so the line fails\n"
    );
}

#[test]
fn the_doctor_shows_what_the_prover_finds_and_names_it_for_scripts() {
    let machine = builder().build();
    put(&machine, "sshd", BEHIND);
    put(
        &machine,
        "testapp",
        "auth required pam_gone.so\n@include common-auth\n@include common-account\n",
    );
    let words = "/etc/pam.d/testapp:1: pam_gone.so is not installed, so the line fails";
    finds(&machine, &format!("problem: {words}"));
    let json = machine.run("twofa doctor --json");
    assert_eq!(json.code(), 1, "{json}");
    let expected =
        format!(r#""id":"pam-module-not-installed","severity":"problem","finding":"{words}""#);
    let compact = json.stdout.replace("\": \"", "\":\"").replace(",\n", ",");
    let compact = compact.replace(",    ", ",");
    assert!(compact.contains(&expected), "{json}");
}

#[test]
fn a_store_that_does_not_open_is_an_entry_of_the_json_and_has_its_exit_status() {
    let machine = builder().build();
    put(&machine, "sshd", BEHIND);
    for (harm, id, repair) in [
        (
            "chmod o+r /etc/twofa/secret.key",
            "key-exposed",
            "chmod o-r /etc/twofa/secret.key",
        ),
        (
            "mv /var/lib/twofa/twofa.db /var/lib/twofa/away",
            "store-unavailable",
            "mv /var/lib/twofa/away /var/lib/twofa/twofa.db",
        ),
    ] {
        machine.run(harm).ok();
        let json = machine.run("twofa doctor --json");
        assert_eq!(json.code(), 6, "{json}");
        assert!(json.stdout.contains(&format!("\"{id}\"")), "{json}");
        machine.run(repair).ok();
        let json = machine.run("twofa doctor --json");
        assert!(!json.stdout.contains(id), "{json}");
    }
}

#[test]
fn services_of_the_policy_that_have_no_line_are_a_problem() {
    let machine = builder().build();
    put(&machine, "sshd", BEHIND);
    machine.run("twofa policy set services=sshsudo").ok();
    finds(
        &machine,
        "problem: services=sshsudo names no PAM service that has the line of pam_twofa: nobody is asked for a code",
    );
    machine.run("twofa policy set services=ssh").ok();
    assert_eq!(diagnosis(&machine), CONTENT);
}

#[test]
fn the_doctor_names_files_that_others_can_change_and_a_disk_without_room() {
    let machine = builder().build();
    put(&machine, "sshd", BEHIND);
    machine.run("chmod o+w /etc/pam.d/sshd").ok();
    finds(
        &machine,
        "problem: /etc/pam.d/sshd can be written by others than its owner (mode 0646)",
    );
    machine
        .run("chmod 0644 /etc/pam.d/sshd && chown daemon /etc/pam.d/sshd")
        .ok();
    finds(
        &machine,
        "problem: /etc/pam.d/sshd is owned by user ID 1, who could use it to change who can log in",
    );
    machine.run("chown root /etc/pam.d/sshd").ok();
    assert_eq!(diagnosis(&machine), CONTENT);

    let machine = builder().tiny_disk("/var/lib/twofa", "8M").build();
    put(&machine, "sshd", BEHIND);
    finds(&machine, "problem: /var/lib/twofa has ");
}

#[test]
fn the_doctor_names_a_broker_whose_program_was_replaced() {
    let machine = builder().build();
    put(&machine, "sshd", BEHIND);
    machine
        .run("cp /usr/sbin/twofad /usr/sbin/twofad.new && mv /usr/sbin/twofad.new /usr/sbin/twofad")
        .ok();
    finds(
        &machine,
        "notice: twofad was upgraded but is still running the old version",
    );
}

#[test]
fn the_doctor_names_a_rule_that_refuses_root_and_limits_that_are_too_short_to_enrol() {
    let machine = builder()
        .sshd("LoginGraceTime 20\nAuthenticationMethods keyboard-interactive")
        .build();
    put(&machine, "sshd", SSHD);
    assert_eq!(diagnosis(&machine), CONTENT);
    machine.run("twofa policy set mode=mandatory").ok();
    finds(
        &machine,
        "notice: logins time out after 20 seconds, which is too short to enrol: set 'LoginGraceTime 300'",
    );
    machine
        .run("twofa policy set --yes enrolment=beforehand")
        .ok();
    finds(
        &machine,
        "problem: the rules refuse root, which must show a second factor and has none",
    );
    finds(
        &machine,
        "problem: these users are refused, because they must use a second factor, have none, and cannot enrol at login: ",
    );
}

#[test]
fn the_doctor_names_a_certificate_of_a_provider_that_ends_soon() {
    let machine = builder().build();
    put(&machine, "sshd", BEHIND);
    let certificate = |days: u32| {
        machine
            .run(&format!(
                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -days {days} \
                 -keyout /root/ca.key -out /etc/twofa/ca.pem"
            ))
            .ok();
    };
    certificate(20);
    machine
        .run_with_input(
            "twofa provider add mail smtp host=localhost username=u from=a@example.org ca-file=/etc/twofa/ca.pem --no-test \
             --secrets-from -",
            "password=x\n",
        )
        .ok();
    let words =
        "notice: a certificate in /etc/twofa/ca.pem, by which provider 'mail' is trusted, ends";
    finds(&machine, words);
    certificate(40);
    assert!(!diagnosis(&machine).contains(words));
}

#[test]
fn the_doctor_names_what_selinux_denied() {
    let machine = builder().build();
    put(&machine, "sshd", BEHIND);
    machine
        .run(
            "mkdir -p /var/log/audit && echo \"type=AVC msg=audit($(date +%s).1:7): avc:  denied  { write } for  pid=7 \
             comm=\\\"twofad\\\" permissive=0\" >/var/log/audit/audit.log",
        )
        .ok();
    finds(
        &machine,
        "problem: SELinux denied twofa something in the last 24 hours (denials: 1; the latest: ",
    );
}

#[test]
fn the_doctor_asks_for_denials_where_auditd_keeps_no_log() {
    let machine = builder().build();
    put(&machine, "sshd", BEHIND);
    let denial = "avc:  denied  { write } for  pid=7 comm=\\\"twofad\\\" permissive=0";
    let program = |name: &str, line: &str| {
        machine.write_file(
            &format!("/usr/bin/{name}"),
            &format!("#!/bin/sh\necho \"{line}\"\n"),
        );
        machine.run(&format!("chmod +x /usr/bin/{name}")).ok();
    };
    let words =
        "problem: SELinux denied twofa something in the last 24 hours (denials: 1; the latest: ";
    program(
        "journalctl",
        &format!("$(date +%s).1 vm audit: AVC {denial}"),
    );
    finds(&machine, words);
    program("journalctl", "nothing");
    program(
        "ausearch",
        &format!("type=AVC msg=audit($(date +%s).1:7): {denial}"),
    );
    finds(&machine, words);
    program("ausearch", "nothing");
    assert_eq!(diagnosis(&machine), CONTENT);
}

#[test]
fn the_doctor_names_a_module_or_a_broker_of_another_version_and_one_for_other_programs() {
    let machine = builder().build();
    put(&machine, "sshd", BEHIND);
    let module = machine
        .run("ls /usr/lib/*/security/pam_twofa.so /usr/lib64/security/pam_twofa.so 2>/dev/null")
        .stdout;
    let module = module.trim();
    let version = env!("CARGO_PKG_VERSION");
    // The version is in a note: its owner, and the text.
    machine
        .run(&format!(
            "cp {module} /root && LC_ALL=C sed -i 's/twofa\\x00\\x00\\x00{version}/twofa\\x00\\x00\\x009.9.9/' {module}"
        ))
        .ok();
    finds(
        &machine,
        &format!("problem: {module} is of version 9.9.9, and twofa of version {version}: "),
    );
    machine.run(&format!("cp /bin/sh {module}")).ok();
    finds(
        &machine,
        &format!("problem: {module} is of an unknown version, and twofa of version {version}: "),
    );
    // 32 bits.
    machine
        .run(&format!(
            "printf '\\001' | dd of={module} bs=1 seek=4 conv=notrunc status=none"
        ))
        .ok();
    finds(
        &machine,
        &format!("problem: {module} is not for the architecture of the modules beside it"),
    );
    machine.run(&format!("cp /root/pam_twofa.so {module}")).ok();
    machine
        .run("mkdir -p /usr/lib/i386-linux-gnu/security && touch /usr/lib/i386-linux-gnu/security/pam_unix.so")
        .ok();
    finds(
        &machine,
        "notice: pam_twofa.so is missing from /usr/lib/i386-linux-gnu/security: programs of that architecture refuse everybody",
    );
    machine.run("rm -r /usr/lib/i386-linux-gnu").ok();

    let broker = |script: &str| {
        machine.run("rm -f /usr/sbin/twofad").ok();
        machine.write_file("/usr/sbin/twofad", script);
        machine.run("chmod +x /usr/sbin/twofad").ok();
    };
    machine.run("cp /usr/sbin/twofad /root").ok();
    broker("#!/bin/sh\necho twofad 9.9.9\n");
    finds(
        &machine,
        &format!("problem: /usr/sbin/twofad is of version 9.9.9, and twofa of version {version}: "),
    );
    broker("#!/bin/sh\nexec sleep 1000\n");
    finds(
        &machine,
        "problem: /usr/sbin/twofad does not run (timed out)",
    );
    machine.run("rm /usr/sbin/twofad").ok();
    finds(
        &machine,
        "problem: /usr/sbin/twofad does not run (No such file",
    );
}

#[test]
fn the_doctor_ends_and_says_what_it_could_not_examine() {
    let machine = builder()
        .with_sshd()
        .tiny_disk("/var/lib/twofa", "8M")
        .build();
    put(&machine, "sshd", BEHIND);
    // A service that nobody can read, and a folder of ours that is none.
    machine
        .run("mkfifo /etc/pam.d/testapp && rm -rf /etc/twofa/templates && ln -s templates /etc/twofa/templates")
        .ok();
    machine
        .run("mv /usr/sbin/sshd /usr/sbin/sshd.real && printf '#!/bin/sh\\nexec sleep 1000\\n' >/usr/sbin/sshd && chmod +x /usr/sbin/sshd")
        .ok();
    machine
        .run("dd if=/dev/zero of=/var/lib/twofa/full bs=64k; true")
        .ok();
    machine.broker().stop();
    let begun = std::time::Instant::now();
    let doctor = machine.run("twofa doctor");
    let taken = begun.elapsed();
    machine.broker().cont();
    assert!(taken < std::time::Duration::from_secs(60), "{taken:?}");
    assert_eq!(doctor.code(), 1, "{doctor}");
    for words in [
        "problem: testapp: ",
        "problem: cannot examine /etc/twofa/templates: ",
        "problem: sshd does not report its settings: timed out",
        "problem: /var/lib/twofa has 0 MiB of room left",
        "problem: no broker answers at /run/twofa/twofad.sock (the peer did not answer in time)",
    ] {
        assert!(doctor.stdout.contains(words), "{words}: {doctor}");
    }
}

#[test]
fn the_doctor_ends_and_says_that_the_name_service_does_not_answer() {
    let machine = builder()
        .file("/etc/directory/nss.c", include_str!("directory/nss.c"))
        .file("/etc/directory/how", "works")
        .file("/etc/directory/passwd", "")
        .file("/etc/directory/group", "")
        .command("cc -shared -fPIC -o /usr/lib/libnss_directory.so.2 /etc/directory/nss.c")
        .command("printf 'passwd: files directory\ngroup: files directory\n' >/etc/nsswitch.conf")
        .build();
    put(&machine, "sshd", BEHIND);
    machine.run("twofa class set root mode=mandatory").ok();
    for (how, seconds) in [("fails", 20), ("hangs 600", 60)] {
        machine.write_file("/etc/directory/how", how);
        let begun = std::time::Instant::now();
        finds(&machine, "problem: the name service ");
        let taken = begun.elapsed();
        assert!(
            taken < std::time::Duration::from_secs(seconds),
            "{how}: {taken:?}"
        );
    }
}

#[test]
fn what_is_wrong_outside_of_the_store_is_shown_while_the_store_is_missing() {
    let machine = builder().build();
    put(&machine, "testapp", "auth sufficient pam_twofa.so\n");
    machine.run("mv /var/lib/twofa/twofa.db /root").ok();
    let doctor = machine.run("twofa doctor");
    assert_eq!(doctor.code(), 6, "{doctor}");
    let words = "'auth sufficient pam_twofa.so' lets people in";
    assert!(doctor.stdout.contains(words), "{doctor}");
    assert!(doctor.stderr.contains("twofa.db"), "{doctor}");
}

#[test]
fn the_doctor_names_every_stack_that_lets_people_in_without_a_code() {
    let machine = el();
    let unix = "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n";
    for (stack, words) in [
        (
            "auth include system-auth\nauth required pam_twofa.so\n",
            "people get in without a code: /etc/pam.d/system-auth:5 pam_unix.so",
        ),
        (
            "auth [success=1 default=die] pam_unix.so\nauth required pam_twofa.so\nauth required pam_permit.so\n",
            "testapp:1 pam_unix.so",
        ),
        (
            "auth [success=done default=die] pam_unix.so\nauth required pam_twofa.so\n",
            "testapp:1 pam_unix.so",
        ),
        (
            "auth sufficient pam_unix.so\nauth required pam_twofa.so\n",
            "testapp:1 pam_unix.so",
        ),
        (
            "auth requisite pam_unix.so\nauth sufficient pam_localuser.so\nauth required pam_twofa.so\n",
            "testapp:2 pam_localuser.so",
        ),
        (
            "auth requisite pam_unix.so\nauth sufficient pam_exec.so /bin/x\nauth required pam_twofa.so\n",
            "testapp:2 pam_exec.so",
        ),
        (
            "auth substack password-auth\naccount include password-auth\naccount required pam_twofa.so challenge\n",
            "pam_localuser.so",
        ),
    ] {
        put(&machine, "testapp", stack);
        finds(&machine, words);
    }
    for control in [
        "sufficient",
        "optional",
        "[success=1 default=ignore]",
        "[success=ok ignore=ignore authinfo_unavail=ignore default=bad]",
        "[success=ok ignore=ignore maxtries=ignore default=bad]",
        "[success=ok ignore=ignore auth_err=ignore default=die]",
    ] {
        put(
            &machine,
            "testapp",
            &format!("{unix}auth {control} pam_twofa.so\nauth optional pam_permit.so\n"),
        );
        finds(
            &machine,
            &format!("problem: /etc/pam.d/testapp: 'auth {control} pam_twofa.so' lets people in"),
        );
    }
    put(&machine, "testapp", "auth sufficient pam_twofa.so\n");
    finds(
        &machine,
        "problem: /etc/pam.d/testapp: 'auth sufficient pam_twofa.so' lets people in",
    );
}

#[test]
fn the_doctor_names_lines_that_are_reached_with_a_wrong_password() {
    let machine = el();
    for stack in [
        "auth substack password-auth\nauth required pam_twofa.so\naccount include password-auth\n",
        "auth required pam_unix.so\nauth required pam_twofa.so\n",
        "auth required pam_twofa.so\nauth required pam_permit.so\n",
    ] {
        put(&machine, "testapp", stack);
        finds(&machine, "is reached without a correct password");
        finds(&machine, "account required pam_twofa.so challenge");
    }
    put(
        &machine,
        "testapp",
        "auth required pam_twofa.so forward_pass\nauth required pam_unix.so try_first_pass\n",
    );
    finds(&machine, "no pam_twofa line follows the check");
    put(
        &machine,
        "testapp",
        "auth required pam_twofa.so forward_pass\nauth requisite pam_unix.so try_first_pass\nauth required pam_twofa.so\n",
    );
    assert_eq!(diagnosis(&machine), CONTENT);
}

#[test]
fn the_doctor_reads_what_libpam_would_read_and_nothing_else() {
    let machine = builder().build();
    put(&machine, "sshd.rpmsave", BEHIND);
    put(
        &machine,
        "testapp",
        "session optional pam_twofa.so\n# auth required pam_twofa.so\n",
    );
    finds(
        &machine,
        "problem: no PAM service calls pam_twofa in its auth stack",
    );
    put(
        &machine,
        "testapp",
        "account required pam_twofa.so\naccount required pam_permit.so\n",
    );
    finds(
        &machine,
        "problem: no PAM service calls pam_twofa in its auth stack",
    );
    put(
        &machine,
        "testapp",
        "@include common-auth\nAUTH Required \\\n    pam_twofa.so\n@include common-account\n",
    );
    assert_eq!(diagnosis(&machine), CONTENT);
    put(
        &machine,
        "testapp",
        "@include common-auth\nauth required pam_twofa.so\n@include gone\n",
    );
    finds(
        &machine,
        "problem: testapp: nobody gets in: /etc/pam.d/testapp:3: @include of a file that is not there",
    );
}

#[test]
fn the_doctor_names_the_ways_to_root_that_do_not_ask() {
    let machine = builder().build();
    machine.write_file(
        "/usr/lib/pam.d/polkit-1",
        "@include common-auth\n@include common-account\n",
    );
    put(&machine, "sudo", BEHIND);
    machine.run("usermod --lock root").ok();
    let open = "people can become root";
    finds(
        &machine,
        "problem: sudo asks for a code, sudo-i (sudo -i) and polkit-1 (pkexec, run0) do not: people can become root",
    );
    put(&machine, "sudo-i", BEHIND);
    finds(
        &machine,
        "problem: sudo and sudo-i ask for a code, polkit-1 (pkexec, run0) does not",
    );
    put(&machine, "polkit-1", BEHIND);
    assert_eq!(diagnosis(&machine), CONTENT);
    machine.run("echo root:secret | chpasswd").ok();
    finds(&machine, "su and su-l (su -) do not");
    put(
        &machine,
        "su",
        &format!("auth sufficient pam_rootok.so\n{BEHIND}"),
    );
    assert!(!diagnosis(&machine).contains(open));
}

#[test]
fn the_doctor_names_account_lines_that_keep_people_out() {
    let machine = builder().build();
    let plain = "@include common-auth\nauth required pam_twofa.so\naccount required pam_twofa.so\n@include common-account\n";
    for service in ["sudo", "sudo-i", "polkit-1"] {
        put(&machine, service, plain);
    }
    finds(
        &machine,
        "problem: sudo and sudo-i: the account line refuses users who need no password",
    );
    machine.run("cp /etc/pam.d/common-account /root && echo 'account required pam_twofa.so challenge' >>/etc/pam.d/common-account").ok();
    finds(
        &machine,
        "problem: /etc/pam.d/common-account: pam_twofa in a shared account stack refuses root's su",
    );
    machine.run("cp /root/common-account /etc/pam.d").ok();
}

#[test]
fn the_doctor_names_lockers_with_one_field_and_what_happens_to_lockers_without_a_broker() {
    let machine = builder().build();
    put(&machine, "login", BEHIND);
    put(&machine, "i3lock", "auth include login\n");
    put(&machine, "swaylock", "auth include login\n");
    finds(
        &machine,
        "problem: i3lock and swaylock: it has a single field and answers every question with the password",
    );
    machine.broker().terminate();
    finds(
        &machine,
        "screen lockers (i3lock and swaylock) refuse everybody",
    );
}

#[test]
fn the_doctor_finds_a_problem_while_nobody_can_be_checked() {
    let machine = builder().build();
    put(&machine, "sshd", BEHIND);
    let module = machine
        .run("ls /usr/lib/*/security/pam_twofa.so /usr/lib64/security/pam_twofa.so 2>/dev/null")
        .stdout;
    machine.run(&format!("mv {} /root", module.trim())).ok();
    finds(&machine, "problem: pam_twofa.so is missing from /");
    machine
        .run(&format!("mv /root/pam_twofa.so {}", module.trim()))
        .ok();
    assert_eq!(diagnosis(&machine), CONTENT);

    // The broker cannot judge what it cannot read.
    machine.run("chmod 0600 /etc/pam.d/common-auth").ok();
    finds(
        &machine,
        "problem: the broker cannot read /etc/pam.d/common-auth",
    );
    machine.run("chmod 0644 /etc/pam.d/common-auth").ok();

    // Somebody has the socket open and never answers.
    machine.broker().stop();
    finds(
        &machine,
        "problem: no broker answers at /run/twofa/twofad.sock (the peer did not answer in time)",
    );
    machine.broker().cont();
    machine.broker().terminate();
    finds(
        &machine,
        "problem: no broker answers at /run/twofa/twofad.sock (Connection refused",
    );
}

#[test]
fn users_are_told_that_nobody_serves_the_socket() {
    let machine = Machine::new().policy("optional").user("alice").build();
    machine.broker().stop();
    let status = machine.run_as("alice", "twofa status");
    assert_eq!(status.code(), 6, "{status}");
    assert!(
        status.stderr.contains("did not answer within 5 seconds"),
        "{status}"
    );
    assert!(
        status.stderr.contains("systemctl restart twofad.socket"),
        "{status}"
    );
    machine.broker().cont();
}

/// The manual's stack for passwords and codes, with the line that refuses a key alone.
const SSHD: &str = "@include common-auth
auth required pam_twofa.so
account required pam_nologin.so
account required pam_twofa.so
@include common-account
";

#[test]
fn the_doctor_reads_what_sshd_does_with_keys() {
    for methods in [
        "AuthenticationMethods keyboard-interactive",
        "PubkeyAuthentication no",
    ] {
        let machine = builder().sshd(methods).build();
        put(&machine, "sshd", SSHD);
        assert_eq!(diagnosis(&machine), CONTENT, "{methods}");
    }
    let machine = builder().sshd("").build();
    put(&machine, "sshd", SSHD);
    finds(
        &machine,
        "problem: sshd: users who need a code and offer a key are disconnected",
    );
    put(&machine, "sshd", BEHIND);
    finds(
        &machine,
        "problem: sshd: a key alone lets people in without a code",
    );

    let key_then_code = "auth required pam_twofa.so\nauth required pam_permit.so\naccount required pam_twofa.so\n@include common-account\n";
    put(&machine, "sshd", key_then_code);
    finds(&machine, "is reached without a correct password");
    let machine = builder()
        .sshd("AuthenticationMethods publickey,keyboard-interactive")
        .build();
    put(&machine, "sshd", key_then_code);
    assert_eq!(diagnosis(&machine), CONTENT);
}

#[test]
fn the_doctor_looks_at_each_match_block_of_sshd_with_all_that_is_included() {
    let key_then_code =
        "auth required pam_twofa.so\nauth required pam_permit.so\n@include common-account\n";
    let machine = builder()
        .user("bob")
        .sshd(
            "AuthenticationMethods publickey,keyboard-interactive\nInclude /etc/ssh/custom/*.conf",
        )
        .build();
    put(&machine, "sshd", key_then_code);
    assert_eq!(diagnosis(&machine), CONTENT);
    for (block, words) in [
        (
            "Match Address 10.0.0.0/8\nAuthenticationMethods publickey\n",
            "problem: sshd: in the Match blocks at /etc/ssh/custom/a.conf:1, a key alone lets people in",
        ),
        (
            "Match User bob\nAuthenticationMethods publickey\n",
            "problem: sshd: in a Match block, a key alone lets people in without a code (bob)",
        ),
        (
            "Match Address 10.0.0.0/8\nPasswordAuthentication yes\nAuthenticationMethods password\n",
            "notice: sshd: in the Match blocks at /etc/ssh/custom/a.conf:1, sshd's 'password' method",
        ),
        (
            "Match Address 10.0.0.0/8\nKbdInteractiveAuthentication no\n",
            "problem: sshd: in the Match blocks at /etc/ssh/custom/a.conf:1, sshd cannot ask for a code",
        ),
        (
            "Match LocalPort 2222\nAuthenticationMethods publickey\n",
            "problem: sshd: in the Match blocks at /etc/ssh/custom/a.conf:1, a key alone lets people in",
        ),
        (
            "Match Group nobody-here\nAuthenticationMethods publickey\n",
            "problem: cannot examine the Match block at /etc/ssh/custom/a.conf:1: no login was found",
        ),
    ] {
        machine.run("mkdir -p /etc/ssh/custom").ok();
        machine.write_file("/etc/ssh/custom/a.conf", block);
        finds(&machine, words);
    }
}

#[test]
fn the_doctor_reads_the_settings_of_an_sshd_that_does_not_run_but_does_not_judge_them() {
    let machine = builder().build();
    machine
        .run("echo 'KbdInteractiveAuthentication no' >/etc/ssh/sshd_config")
        .ok();
    put(&machine, "sshd", SSHD);
    assert_eq!(diagnosis(&machine), CONTENT);
    put(
        &machine,
        "sshd",
        "auth required pam_twofa.so\nauth required pam_permit.so\n@include common-account\n",
    );
    finds(&machine, "is reached without a correct password");
    let methods =
        "KbdInteractiveAuthentication yes\nAuthenticationMethods publickey,keyboard-interactive\n";
    machine.write_file("/etc/ssh/sshd_config", methods);
    assert_eq!(diagnosis(&machine), CONTENT);
    // For an sshd that runs, `sshd -T` reports what is wrong with its file.
    machine.run("/usr/sbin/sshd -p 2222").ok();
    machine.run("echo Nonsense >>/etc/ssh/sshd_config").ok();
    finds(&machine, "problem: sshd does not report its settings: ");
}

#[test]
fn the_doctor_reads_whether_sshd_can_ask_at_all() {
    for (lines, words) in [
        (
            "KbdInteractiveAuthentication no",
            "problem: sshd: sshd cannot ask for a code",
        ),
        ("UsePAM no", "problem: sshd: sshd_config has 'UsePAM no'"),
        (
            "PasswordAuthentication yes\nPubkeyAuthentication no",
            "notice: sshd: sshd's 'password' method",
        ),
    ] {
        let machine = builder().sshd(lines).build();
        put(&machine, "sshd", SSHD);
        finds(&machine, words);
    }
}
