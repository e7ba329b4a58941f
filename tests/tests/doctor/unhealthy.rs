//! The doctor where a name service, the store or the broker does not answer.

use twofa_e2e::Machine;

use super::{BEHIND, CONTENT, builder, diagnosis, finds, put};

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
        .file("/etc/directory/nss.c", include_str!("../directory/nss.c"))
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
