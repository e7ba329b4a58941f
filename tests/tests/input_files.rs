//! Files that are named on the command line: whose rights open them, what editors did to them, and what errors say.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::Machine;

/// What only root may read.
const SECRET: &str = "swordfish";

/// A machine on which `alice` may run twofa as root, and nothing else.
fn machine() -> Machine {
    let machine = Machine::new()
        .policy("optional")
        .user_in("alice", &["staff"])
        .user("bob")
        .pam(
            "sudo",
            "auth required pam_permit.so\naccount required pam_permit.so\n",
        )
        .file(
            "/etc/sudoers.d/twofa",
            "alice ALL=(root) NOPASSWD: /usr/bin/twofa\n",
        )
        .build();
    machine.run("chmod 440 /etc/sudoers.d/twofa").ok();
    machine
}

#[test]
fn a_command_by_sudo_opens_files_with_the_callers_rights_and_quotes_none() {
    let machine = machine();
    machine.run("install -d -m 755 /srv/lists").ok();
    machine.write_file("/srv/lists/secret", &format!("{SECRET}:{SECRET}\n"));
    machine.run("chmod 600 /srv/lists/secret").ok();
    let commands = [
        "user unlock --from-file",
        "policy apply",
        "provider check",
        "provider add mail smtp --secrets-from",
    ];
    for command in commands {
        let output = machine.run_as("alice", &format!("sudo twofa {command} /srv/lists/secret"));
        assert_ne!(output.code(), 0, "{command}: {output}");
        assert!(
            output.stderr.contains("Permission denied"),
            "{command}: {output}"
        );
    }
    // The person's own files, and those of a group, can be used, and are not quoted either.
    for mode in [
        "chown alice /srv/lists/secret",
        "chown root:staff /srv/lists/secret && chmod 640 /srv/lists/secret",
    ] {
        machine.run(mode).ok();
        for command in commands {
            let output =
                machine.run_as("alice", &format!("sudo twofa {command} /srv/lists/secret"));
            assert_ne!(output.code(), 0, "{command}: {output}");
            let all = format!("{}{}", output.stdout, output.stderr);
            assert!(
                !all.contains("Permission denied") && !all.contains(SECRET),
                "{command}: {output}"
            );
            assert!(
                all.contains("/srv/lists/secret") && all.contains("line 1"),
                "{command}: {output}"
            );
        }
    }
}

#[test]
fn root_reads_its_own_files_and_a_shell_by_sudo_is_root() {
    let machine = machine();
    machine.write_file("/root/names", "bob\n");
    machine.run("chmod 600 /root/names").ok();
    machine.run("twofa user add --from-file /root/names").ok();
    for shell in ["SUDO_COMMAND=/bin/sh", "SUDO_COMMAND='/usr/bin/su -'"] {
        machine
            .run(&format!(
                "SUDO_UID=1000 {shell} twofa user require --from-file /root/names"
            ))
            .ok();
    }
    let output = machine
        .run("SUDO_UID=99999 SUDO_COMMAND=/usr/bin/twofa twofa user add --from-file /root/names");
    assert_ne!(output.code(), 0, "{output}");
    let through_stdin = "sh -c 'SUDO_UID=99999 twofa user add --from-file /dev/stdin </root/names'";
    machine.run(through_stdin).ok();
}

#[test]
fn a_list_or_policy_that_was_saved_on_windows_is_read_and_utf_16_is_named() {
    let machine = machine();
    machine.write_file("/root/names", "\u{feff}alice \r\n# bob\r\nbob\r\nalice\r\n");
    let output = machine.run("twofa user add --from-file /root/names").ok();
    assert_eq!(output.stdout, "Added alice.\nAdded bob.\n");
    machine.write_file(
        "/root/policy",
        "\u{feff}[policy]\r\nmode = \"mandatory\"\r\n",
    );
    let output = machine
        .run("twofa policy apply /root/policy --dry-run")
        .ok();
    assert!(output.stdout.contains("'mandatory'"), "{output}");
    machine.run("printf 'a\\0l\\0' >/root/names").ok();
    for command in ["user add --from-file", "policy apply"] {
        let output = machine.run(&format!("twofa {command} /root/names"));
        assert!(output.stderr.contains("UTF-16"), "{output}");
    }
}
