//! What the doctor says of files, programs, rules and providers.

use super::{BEHIND, CONTENT, SSHD, builder, diagnosis, finds, put};

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
