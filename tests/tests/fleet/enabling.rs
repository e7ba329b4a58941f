//! `twofa pam enable` with names of services on a host, whose policy is the fleet's.

use super::{
    assert_in, at_the_code_prompt, host, join, log_in, policy::set, policy::wait_for_setting,
    server,
};
use twofa_e2e::{Machine, SYSTEMCTL, password_of};

/// A host in which no stack names the module, and pam-auth-update has the profile.
fn host_that_does_not_ask() -> Machine {
    let host = host();
    let profile = include_str!("../../../packaging/pam-configs/twofa");
    host.write_file("/usr/share/pam-configs/twofa", profile);
    host.write_file("/usr/local/sbin/systemctl", SYSTEMCTL);
    host.run("chmod +x /usr/local/sbin/systemctl && sed -i /pam_twofa/d /etc/pam.d/*")
        .ok();
    host
}

/// What all files have that a change could touch.
fn state(machine: &Machine) -> String {
    let sum = "cd / && find etc/pam.d etc/ssh -type f -exec sha256sum {} + | sort -k 2";
    machine.run(sum).ok().stdout
}

#[test]
fn services_that_are_named_on_a_host_ask_by_their_own_files_and_a_shared_account_can_prove_it() {
    let (server, phone) = server();
    let web1 = host_that_does_not_ask();
    let _cable = join(&server, &web1, "web1", 1, "");
    let before = state(&web1);
    assert_in(log_in(&web1, "alice"), "alice");

    let enabled = web1.run("twofa pam enable --no-login --ssh-keys trust sshd");
    let enabled = enabled.ok().stdout;
    assert!(
        enabled.contains("sshd gets the line in its own file") && !enabled.contains("services="),
        "{enabled}"
    );
    assert!(!web1.file("/etc/pam.d/common-auth").contains("pam_twofa"));
    let mut terminal = at_the_code_prompt(&web1);
    terminal.type_line(&phone.next_code());
    assert_in(terminal, "alice");
    web1.run("twofa pam disable --no-login sshd").ok();
    assert_eq!(state(&web1), before);

    // What the host knows of alice is not what counts.
    let tested = web1.run("twofa class test alice --json").ok().stdout;
    assert!(tested.contains("by-servers"), "{tested}");
    let mut enable = web1.terminal("twofa pam enable sudo --login-as alice");
    enable.expect("sudo gets the line in its own file");
    enable.expect("assword");
    enable.type_line(&password_of("alice"));
    enable.expect("The wrong code was refused.");
    enable.expect("Verification code");
    enable.expect(": ");
    enable.type_line(&phone.backup_codes[0]);
    enable.expect("Changed.");
    assert!(enable.expect_end().success());

    // Where the fleet does not ask, the host does.
    set(&server, "services=ssh");
    wait_for_setting(&web1, "services=ssh");
    let enabled = web1.run("twofa pam enable --no-login su").ok().stdout;
    assert!(enabled.contains("+services=ssh,su\n"), "{enabled}");
    wait_for_setting(&web1, "services=ssh,su");
    wait_for_setting(&server, "services=ssh");
}
