//! What tells one device from another, each proof through the real program.

use super::{STACK, expect_shell, log_in_from, machine_with_sshd, needs_code, set};
use twofa_e2e::{Machine, Terminal, password_of};

/// For keys without a password, as `twofa-admin(7)` has it.
const KEYS: &str = "\
auth required pam_twofa.so
auth required pam_permit.so
account required pam_twofa.so
account required pam_unix.so
session required pam_permit.so
";

/// A machine whose sshd asks for a proof of its own before PAM, and keys `one` and `other` of alice's in /root.
fn machine_with_keys(lines: &str) -> Machine {
    let machine = machine_with_sshd(KEYS, lines);
    machine
        .run(
            "for key in one other; do ssh-keygen -q -t ed25519 -N '' -C $key -f /root/$key; done
             mkdir -m 0700 /home/alice/.ssh && cat /root/*.pub >/home/alice/.ssh/authorized_keys
             chown -R alice: /home/alice/.ssh",
        )
        .ok();
    set(&machine, "trust.remote=30d trust.address=0");
    machine
}

/// A login with these options of ssh up to the prompt, which offers to trust `what`.
fn offer(machine: &Machine, host: u8, options: &str, what: &str) -> Terminal {
    let mut terminal = machine.terminal(&format!(
        "ip netns exec client{host} ssh {options} alice@192.0.2.1"
    ));
    terminal.expect(&format!(
        "Verification code for vm (+ at its end: trust {what} for 30 days; "
    ));
    terminal.expect("): ");
    terminal
}

fn trust(mut login: Terminal, code: &str) {
    login.type_line(&format!("{code}+"));
    login.expect("No code is asked for here until ");
    expect_shell(login);
}

const KEY_FIRST: &str = "AuthenticationMethods publickey,keyboard-interactive";

#[test]
fn a_key_is_one_device_from_two_addresses_and_two_keys_are_two_from_one() {
    let machine = machine_with_keys(KEY_FIRST);
    let phone = machine.enrol("alice");
    let asked = |host, options: &str| needs_code(&machine, host, "alice", options, false);
    let login = offer(&machine, 7, "-i /root/one", "this key");
    trust(login, &phone.next_code());
    assert!(!asked(7, "-i /root/one"));
    assert!(!asked(8, "-i /root/one"));
    assert!(asked(7, "-i /root/other"));
    let list = machine.run("twofa device list --user alice").ok().stdout;
    let fingerprint = machine.run("ssh-keygen -lf /root/one | cut -d' ' -f2").ok();
    let label = format!("\tkey\tssh-ed25519 {}\t", fingerprint.stdout.trim());
    assert!(list.contains(&label), "{list}");

    // What another program says of a key is not what sshd verified, whatever the program calls itself.
    let key = machine.file("/root/one.pub");
    machine
        .run("cp /usr/bin/pamtester /usr/local/bin/my-sshd")
        .ok();
    let mut forger = machine.terminal(&format!(
        "my-sshd -E SSH_AUTH_INFO_0='publickey {}' -E SSH_CONNECTION='192.0.2.7 1 192.0.2.1 22' -I rhost=192.0.2.7 sshd \
         alice authenticate",
        key.trim()
    ));
    forger.expect("Verification code for vm");

    // A login by a key is the user's own proof, so that it needs no more of the stack.
    machine.write_file(
        "/etc/pam.d/sshd",
        &KEYS.replace("auth required pam_permit.so\n", ""),
    );
    assert!(!asked(8, "-i /root/one"));
}

#[test]
fn a_renewed_certificate_is_the_same_device_and_another_key_of_the_same_id_is_not() {
    let lines = format!("{KEY_FIRST}\nTrustedUserCAKeys /etc/ssh/ca.pub");
    let machine = machine_with_keys(&lines);
    machine
        .run(
            "ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ca && rm /home/alice/.ssh/authorized_keys
             certify() { ssh-keygen -q -s /etc/ssh/ca -I alice -n alice -z $2 -V +1d /root/$1.pub; }
             certify one 1 && certify other 1",
        )
        .ok();
    let phone = machine.enrol("alice");
    let asked = |key: &str| needs_code(&machine, 7, "alice", &format!("-i /root/{key}"), false);
    let login = offer(&machine, 7, "-i /root/one", "this key");
    trust(login, &phone.next_code());
    machine
        .run("ssh-keygen -q -s /etc/ssh/ca -I alice -n alice -z 2 -V +2d /root/one.pub")
        .ok();
    assert!(!asked("one"));
    assert!(asked("other"));
    let list = machine.run("twofa device list --user alice").ok().stdout;
    assert!(list.contains(" (certificate alice)\t"), "{list}");
}

#[test]
fn a_client_machine_is_known_by_its_host_key() {
    let machine = machine_with_keys(
        "AuthenticationMethods hostbased,keyboard-interactive
         HostbasedAuthentication yes
         HostbasedUsesNameFromPacketOnly yes
         IgnoreUserKnownHosts yes",
    );
    machine
        .run(
            "rm -f /etc/ssh/ssh_host_*
             ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
             sed 's/^/vm /' /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f1-3 >>/etc/ssh/ssh_known_hosts
             echo vm >/etc/ssh/shosts.equiv
             printf 'Host *\n HostbasedAuthentication yes\n EnableSSHKeysign yes\n' >/etc/ssh/ssh_config.d/hostbased.conf",
        )
        .ok();
    let phone = machine.enrol("alice");
    let client =
        "setpriv --reuid alice --regid alice --init-groups env HOME=/home/alice ssh -o User=alice";
    let login = |host: u8| {
        machine.terminal(&format!(
            "ip netns exec client{host} {client} 192.0.2.1 'echo Verified: in'"
        ))
    };
    let mut first = login(7);
    first.expect("Verification code for vm (+ at its end: trust this client machine for 30 days; ");
    first.expect("): ");
    first.type_line(&format!("{}+", phone.next_code()));
    first.expect("Verified: in");
    let mut next = login(8);
    next.expect("Verified: in");
    assert!(!next.screen().contains("Verification"), "{}", next.screen());
    let list = machine.run("twofa device list --user alice").ok().stdout;
    assert!(list.contains("\thost\tssh-ed25519 "), "{list}");
}

#[test]
fn two_users_behind_one_address_each_trust_it_for_themselves_and_it_is_said_to_be_shared() {
    let machine = machine_with_sshd(STACK, "");
    let (alice, bob) = (machine.enrol("alice"), machine.enrol("bob"));
    set(&machine, "trust.remote=30d");
    let trust_as = |user: &str, code: &str| {
        let mut login = machine.terminal(&format!("ip netns exec client7 ssh {user}@192.0.2.1"));
        login.expect("Password:");
        login.type_line(&password_of(user));
        login.expect("Verification code for vm");
        login.expect("): ");
        login.type_line(&format!("{code}+"));
        login.expect("No code is asked for here until ");
        login.expect(&format!("{user}@vm:~$"));
    };
    trust_as("alice", &alice.next_code());
    assert!(needs_code(&machine, 7, "bob", "", true));
    trust_as("bob", &bob.next_code());
    for user in ["alice", "bob"] {
        assert!(!needs_code(&machine, 7, user, "", true));
        let list = machine.run_as(user, "twofa device list").ok().stdout;
        assert!(list.contains("\tshared by 2 users\n"), "{list}");
    }
    let doctor = machine.run("twofa doctor");
    assert!(
        doctor
            .stdout
            .contains("one address is trusted by several users each (192.0.2.7: 2 users)"),
        "{doctor}"
    );
    // Without a line in account nothing is trusted any longer, and the doctor says so.
    machine.write_file(
        "/etc/pam.d/sshd",
        &STACK.replace("account required pam_twofa.so\n", ""),
    );
    assert!(needs_code(&machine, 7, "bob", "", true));
    let doctor = machine.run("twofa doctor");
    assert!(
        doctor.stdout.contains(
            "devices are never trusted at sshd: put 'account required pam_twofa.so' before the other account lines"
        ),
        "{doctor}"
    );
}

#[test]
fn sshds_own_address_counts_where_pam_gets_a_name() {
    let machine = machine_with_sshd(STACK, "UseDNS yes");
    let phone = machine.enrol("alice");
    machine
        .run("echo '192.0.2.7 client7.example.org' >>/etc/hosts")
        .ok();
    set(&machine, "trust.remote=30d");
    let mut login = log_in_from(&machine, 7, &password_of("alice"));
    login.expect("+ at its end: trust 192.0.2.7 for 12 hours");
    login.expect("): ");
    login.type_line(&format!("{}+", phone.next_code()));
    expect_shell(login);
    let log = machine.run("twofa log --user alice").ok().stdout;
    assert!(log.contains("client7.example.org"), "PAM got a name: {log}");
    machine
        .run("twofa user exempt bob --reason office --until 30d --from 192.0.2.0/24")
        .ok();
    assert!(
        !needs_code(&machine, 7, "bob", "", true),
        "an exemption fits the address too"
    );
    assert!(!needs_code(&machine, 7, "alice", "", true));
}

#[test]
fn addresses_of_this_machine_and_keys_only_policies_trust_no_address() {
    let machine = machine_with_sshd(STACK, "");
    machine.enrol("alice");
    set(&machine, "trust.remote=30d");
    let prompt = |terminal: &mut Terminal| {
        terminal.expect("Password:");
        terminal.type_line(&password_of("alice"));
        terminal.expect("Verification code for vm (");
        terminal.expect("): ")
    };
    for local in ["127.0.0.1", "192.0.2.1"] {
        let mut login = machine.terminal(&format!("ssh alice@{local}"));
        let text = prompt(&mut login);
        assert!(!text.contains("trust"), "{local}: {text}");
    }
    set(&machine, "trust.identity=key");
    let mut login = machine.terminal("ip netns exec client7 ssh alice@192.0.2.1");
    let text = prompt(&mut login);
    assert!(!text.contains("trust"), "{text}");
}

/// In the account phase after a key alone, sshd says nothing of the key.
#[test]
fn a_key_alone_from_a_trusted_address_is_refused_as_from_any_other() {
    let machine = machine_with_sshd(STACK, "PubkeyAuthentication yes");
    let phone = machine.enrol("alice");
    set(&machine, "trust.remote=30d");
    super::trust(&machine, 7, &phone.next_code());
    assert!(!super::is_asked(&machine, 7), "the address is trusted");
    machine
        .run(
            "ssh-keygen -q -t ed25519 -N '' -f /root/one && mkdir -m 0700 /home/alice/.ssh &&
             cp /root/one.pub /home/alice/.ssh/authorized_keys && chown -R alice: /home/alice/.ssh",
        )
        .ok();
    let login = "ip netns exec client7 ssh -i /root/one -o BatchMode=yes alice@192.0.2.1 true";
    assert!(!machine.run(login).status.success());
    machine.wait_for_log("sshd cannot ask for one after a key alone");
}

/// sshd 9.2 says only in the account phase which key a login by `publickey,password` has shown.
#[test]
fn a_key_that_sshd_names_only_in_the_account_phase_is_trusted_there() {
    let machine =
        machine_with_keys("PasswordAuthentication yes\nAuthenticationMethods publickey,password");
    let stack = "\
auth required pam_twofa.so forward_pass
auth requisite pam_unix.so use_first_pass
auth required pam_twofa.so
account required pam_twofa.so
account required pam_unix.so
session required pam_permit.so
";
    machine.write_file("/etc/pam.d/sshd", stack);
    let phone = machine.enrol("alice");
    set(&machine, "trust.address=30d trust.offer=always");
    let mut login = machine.terminal("ip netns exec client7 ssh -i /root/one alice@192.0.2.1");
    login.expect("password: ");
    login.type_line(&format!("{}{}", password_of("alice"), phone.next_code()));
    login.expect("alice@vm:~$");
    let list = machine.run("twofa device list --user alice").ok().stdout;
    assert!(
        list.contains("\tkey\t") && !list.contains("\taddress\t"),
        "{list}"
    );
}

#[test]
fn what_users_write_into_the_environment_proves_no_key() {
    let machine = machine_with_keys(&format!(
        "{KEY_FIRST}\nAcceptEnv *\nPermitUserEnvironment yes"
    ));
    let stack = format!(
        "auth required pam_env.so user_readenv=1\n{KEYS}session required pam_env.so user_readenv=1\n"
    );
    machine.write_file("/etc/pam.d/sshd", &stack);
    let phone = machine.enrol("alice");
    trust(
        offer(&machine, 7, "-i /root/one", "this key"),
        &phone.next_code(),
    );
    let proof = format!("publickey {}", machine.file("/root/one.pub").trim());
    machine.write_file(
        "/home/alice/.pam_environment",
        &format!("SSH_AUTH_INFO_0 DEFAULT=\"{proof}\"\n"),
    );
    machine.write_file(
        "/home/alice/.ssh/environment",
        &format!("SSH_AUTH_INFO_0={proof}\n"),
    );
    let options = format!("-i /root/other -o SetEnv=\"SSH_AUTH_INFO_0='{proof}'\"");
    for _ in 0..2 {
        assert!(needs_code(&machine, 7, "alice", &options, false));
    }
    assert!(!needs_code(&machine, 7, "alice", "-i /root/one", false));
}
