//! `twofa pam enable sshd` and `disable sshd`: what sshd accepts afterwards, with a key and without, in `Match` blocks and for
//! root, and that neither a mistake nor a kill leaves anything in between.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Builder, Machine, Output, SYSTEMCTL, Terminal, password_of};

/// As Debian's own file begins and ends.
const SSHD: &str = "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n";
const OWN: &str = "/etc/ssh/sshd_config.d/00-twofa.conf";
const ENABLE: &str = "twofa pam enable sshd --no-login";
const DISABLE: &str = "twofa pam disable sshd --no-login";
const MAKE_KEYS: &str = "mkdir -p /root/.ssh && ssh-keygen -q -N '' -t ed25519 -f /root/.ssh/id_ed25519 && \
    for user in alice bob root; do home=$(getent passwd $user | cut -d: -f6); mkdir -p $home/.ssh; \
    cp /root/.ssh/id_ed25519.pub $home/.ssh/authorized_keys; chown -R $user $home/.ssh; done";

/// A machine in which nothing asks, and everybody has a key.
fn builder() -> Builder {
    Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .command("sed -i /pam_twofa/d /etc/pam.d/*; rm -f /etc/ssh/sshd_config.d/*")
        .command(MAKE_KEYS)
        .file("/usr/local/sbin/systemctl", SYSTEMCTL)
        .command("chmod +x /usr/local/sbin/systemctl")
}

fn machine(sshd: &str) -> Machine {
    let machine = builder().sshd(sshd).build();
    // The machine's sshd is started with our line in its stack.
    machine.run("sed -i /pam_twofa/d /etc/pam.d/sshd").ok();
    machine
}

/// What all files have that a change could touch.
fn state(machine: &Machine) -> String {
    let sum = "cd / && find etc/pam.d etc/ssh -type f -exec sha256sum {} + | sort -k 2";
    machine.run(sum).ok().stdout
}

fn answer(terminal: &mut Terminal, prompt: &str, answer: &str) {
    terminal.expect(prompt);
    terminal.expect(": ");
    terminal.type_line(answer);
}

/// Waits until sshd accepts connections: when it reads its settings again, it does not for a moment.
fn wait_for_sshd(machine: &Machine) {
    machine.wait_until("bash -c 'exec 3<>/dev/tcp/vm/22' 2>/dev/null");
}

fn with_key(machine: &Machine, user: &str) -> Terminal {
    wait_for_sshd(machine);
    machine.terminal(&format!("ssh {user}@vm id -un"))
}

fn with_password(machine: &Machine, user: &str) -> Terminal {
    wait_for_sshd(machine);
    let mut ssh = machine.terminal(&format!("ssh -o PubkeyAuthentication=no {user}@vm id -un"));
    answer(&mut ssh, "assword", &password_of(user));
    ssh
}

#[test]
fn after_a_key_a_code_is_asked_for_and_without_one_the_password_too() {
    let machine = machine(SSHD);
    let before = state(&machine);
    let phone = machine.enrol("alice");
    let enable = machine.run(ENABLE).ok();
    for line in [
        "  a key and a code\n",
        "  a password and a code\n",
        "  root: a key and a code\n",
        "BatchMode",
    ] {
        assert!(enable.stdout.contains(line), "{enable}");
    }
    let mut ssh = with_key(&machine, "alice");
    answer(&mut ssh, "Verification code", &phone.next_code());
    ssh.expect("alice\n");
    assert!(!ssh.screen().contains("assword"), "{}", ssh.screen());
    let mut ssh = with_password(&machine, "alice");
    answer(&mut ssh, "Verification code", &phone.next_code());
    ssh.expect("alice\n");
    // Those of whom the policy asks nothing get in as before, root by a key only.
    with_key(&machine, "bob").expect("bob\n");
    with_password(&machine, "bob").expect("bob\n");
    with_key(&machine, "root").expect("root\n");
    machine.run("printf 'root:secret\\n' | chpasswd").ok();
    let mut root = machine
        .terminal("ssh -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 root@vm id -un");
    assert!(!root.expect_end().success(), "{}", root.screen());
    let check = machine.run("twofa doctor").ok();
    assert!(!check.stdout.contains("sshd"), "{check}");

    let again = machine.run(ENABLE).ok();
    assert!(!again.stdout.contains("+++"), "{again}");
    machine.run(DISABLE).ok();
    assert_eq!(state(&machine), before);
    with_key(&machine, "alice").expect("alice\n");
    with_password(&machine, "alice").expect("alice\n");
}

#[test]
fn where_sshd_takes_no_passwords_a_key_and_a_code_are_the_only_way() {
    let keys = SSHD.replace("PasswordAuthentication yes", "PasswordAuthentication no");
    let machine = machine(&keys);
    let before = state(&machine);
    let phone = machine.enrol("alice");
    let enable = machine.run(ENABLE).ok();
    assert!(!enable.stdout.contains("password and a code"), "{enable}");
    let mut ssh = with_key(&machine, "alice");
    answer(&mut ssh, "Verification code", &phone.next_code());
    ssh.expect("alice\n");
    refuses_passwords(&machine);
    machine.run(DISABLE).ok();
    assert_eq!(state(&machine), before);
}

#[test]
fn a_key_can_be_required_or_trusted() {
    let machine = machine(SSHD);
    let before = state(&machine);
    let phone = machine.enrol("alice");
    machine.run(&format!("{ENABLE} --ssh-keys require")).ok();
    let mut ssh = with_key(&machine, "alice");
    answer(&mut ssh, "Verification code", &phone.next_code());
    ssh.expect("alice\n");
    refuses_passwords(&machine);
    machine.run(DISABLE).ok();
    assert_eq!(state(&machine), before);

    let trust = machine
        .run(&format!("{ENABLE} --own-file --ssh-keys trust"))
        .ok();
    assert!(
        trust
            .stdout
            .contains("A login with an ssh key alone is asked for no code."),
        "{trust}"
    );
    with_key(&machine, "alice").expect("alice\n");
    let mut ssh = with_password(&machine, "alice");
    answer(&mut ssh, "Verification code", &phone.next_code());
    ssh.expect("alice\n");
    machine.run(DISABLE).ok();
    assert_eq!(state(&machine), before);
}

fn refuses_passwords(machine: &Machine) {
    let ssh = machine
        .run("ssh -o PubkeyAuthentication=no alice@vm id -un")
        .fails();
    assert!(
        ssh.stderr.contains("Permission denied (publickey)"),
        "{ssh}"
    );
}

/// What the command says, with everything on one line.
fn said(output: &Output) -> String {
    let text = format!("{} {}", output.stdout, output.stderr);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn match_blocks_are_examined_with_what_they_include() {
    let blocks = "Match Group robots\n    AuthenticationMethods publickey\n\
        Match Address 10.0.0.0/8,!10.1.0.0/16 User !root,*\n    Include extra.conf\n\
        Match Host *.example.org LocalPort 2222\n    AuthenticationMethods publickey\n\
        Match Group nobodys\n    AuthenticationMethods publickey\n";
    let machine = machine(&format!("{SSHD}{blocks}"));
    machine
        .run("groupadd nobodys; groupadd robots; usermod -aG robots bob")
        .ok();
    machine.write_file(
        "/etc/ssh/extra.conf",
        "\nAuthenticationMethods hostbased publickey\n",
    );
    let dry = machine.run(&format!("{ENABLE} --dry-run")).ok();
    let text = said(&dry);
    for (place, words) in [
        (
            "('AuthenticationMethods publickey'): 'Match Group robots'",
            "a key alone",
        ),
        (
            "/etc/ssh/extra.conf:2 ('AuthenticationMethods hostbased publickey')",
            "a key alone",
        ),
        (
            "'Match Host *.example.org LocalPort 2222' lets people in with",
            "a key alone",
        ),
        (
            "no login was found to which 'Match Group nobodys' applies",
            "look at this block",
        ),
    ] {
        assert!(
            text.contains(place) && text.contains(words),
            "{place}\n{text}"
        );
    }
}

#[test]
fn a_match_block_that_would_keep_somebody_out_is_named_and_nothing_changes() {
    let machine = machine(SSHD);
    let before = state(&machine);
    for (block, words) in [
        (
            "Match User alice\n    KbdInteractiveAuthentication no\n",
            "after the change, alice could not log in with a key as now",
        ),
        (
            "Match User alice\n    PasswordAuthentication yes\n    AuthenticationMethods password\n",
            "has it check passwords without PAM's prompts",
        ),
        (
            "Match User alice Address 192.0.2.0/24\n    PubkeyAuthentication no\n    KbdInteractiveAuthentication no\n",
            "after the change, alice could not log in with a password as now",
        ),
        // sshd (9.2) itself does not allow this where AuthenticationMethods is set outside of the block.
        (
            "Match User alice\n    AuthenticationMethods any\n",
            "\"any\" must appear alone in AuthenticationMethods",
        ),
    ] {
        machine.write_file("/etc/ssh/sshd_config.d/10-block.conf", block);
        let enable = machine.run(ENABLE);
        assert_eq!(enable.code(), 1, "{enable}");
        let text = said(&enable);
        assert!(
            text.contains("/etc/ssh/sshd_config.d/10-block.conf:2")
                || text.contains("/etc/ssh/sshd_config.d/10-block.conf line 2:"),
            "{text}"
        );
        assert!(text.contains(words), "{text}");
        machine.run("rm /etc/ssh/sshd_config.d/10-block.conf").ok();
        assert_eq!(state(&machine), before);
    }
}

#[test]
fn where_sshd_does_not_read_our_file_nothing_changes() {
    let ignoring = machine("PasswordAuthentication yes\nKbdInteractiveAuthentication no\n");
    let before = state(&ignoring);
    let enable = ignoring.run(ENABLE);
    assert_eq!(enable.code(), 1, "{enable}");
    assert!(said(&enable).contains("it is not included"), "{enable}");
    assert_eq!(state(&ignoring), before);
}

#[test]
fn what_others_write_into_the_same_files_stays() {
    let machine = machine(SSHD);
    machine.write_file(
        OWN,
        "Banner none\nMatch Group robots\n    X11Forwarding no\n",
    );
    let before = state(&machine);
    machine.run(ENABLE).ok();
    // The robots' block does not extend to the lines after it, nor ours to theirs.
    let settings = machine
        .run("sshd -T -C user=bob,host=h,addr=192.0.2.1")
        .ok()
        .stdout;
    assert!(
        settings.contains("permitrootlogin without-password"),
        "{settings}"
    );
    machine
        .run(&format!(
            "sed -i '/^UsePAM/i LoginGraceTime 60' {OWN}; \
             sed -i '/^auth substack/i auth optional pam_echo.so' /etc/pam.d/sshd; \
             echo 'session optional pam_echo.so' >>/etc/pam.d/sshd"
        ))
        .ok();
    machine.run(DISABLE).ok();
    let own = machine.file(OWN);
    assert_eq!(
        own,
        "LoginGraceTime 60\nBanner none\nMatch Group robots\n    X11Forwarding no\n"
    );
    let stack = machine.file("/etc/pam.d/sshd");
    assert!(!stack.contains("twofa"), "{stack}");
    assert!(stack.contains("auth optional pam_echo.so\n"), "{stack}");
    assert!(stack.ends_with("session optional pam_echo.so\n"), "{stack}");
    machine
        .run(&format!(
            "sed -i '/^LoginGraceTime/d' {OWN}; sed -i '/pam_echo/d' /etc/pam.d/sshd"
        ))
        .ok();
    assert_eq!(state(&machine), before);
}

#[test]
fn a_login_over_ssh_proves_that_codes_are_asked_for_and_checked() {
    let machine = machine(SSHD);
    let before = state(&machine);
    let phone = machine.enrol("alice");
    let mut enable = machine.terminal("twofa pam enable sshd --login-as alice");
    enable.expect("With a key made for this, a wrong code is tried");
    enable.expect("The wrong code was refused.");
    answer(&mut enable, "Verification code", &phone.next_code());
    enable.expect("The login succeeded.");
    enable.expect("With the password, a wrong code is tried");
    answer(&mut enable, "assword", &password_of("alice"));
    enable.expect("The wrong code was refused.");
    enable.expect("Changed. The old files are in");
    assert!(enable.expect_end().success());
    let log = machine.sshd_log();
    assert!(log.contains("Accepted") || log.contains("alice"), "{log}");
    machine.run("[ ! -e /run/twofa-pam-* ]").ok();

    let mut disable = machine.terminal("twofa pam disable sshd --login-as alice");
    disable.expect("Now the login with a key made for this:");
    disable.expect("The login succeeded.");
    disable.expect("The wrong password was refused.");
    answer(&mut disable, "assword", &password_of("alice"));
    disable.expect("The login succeeded.");
    disable.expect("Changed.");
    assert!(disable.expect_end().success());
    assert_eq!(state(&machine), before);

    // Root has not enrolled, so nobody can tell that codes are checked.
    let mut enable = machine.terminal("twofa pam enable sshd");
    enable.expect("a login of root would not prove");
    enable.expect("--login-as USER");
    assert!(!enable.expect_end().success());
    assert_eq!(state(&machine), before);
    with_key(&machine, "alice").expect("alice\n");
}

#[test]
fn a_dead_terminal_brings_the_old_settings_back() {
    let machine = machine(SSHD);
    machine.enrol("alice");
    let before = state(&machine);
    let mut enable = machine.terminal("twofa pam enable sshd --login-as alice");
    enable.expect("The wrong code was refused.");
    assert_ne!(state(&machine), before);
    enable.hang_up();
    machine.wait_until("[ ! -e /var/backups/twofa-pam/pending ]");
    assert_eq!(state(&machine), before);
    with_key(&machine, "alice").expect("alice\n");
}

#[test]
fn a_kill_at_any_step_leaves_the_old_or_the_new_state() {
    let machine = machine(SSHD);
    let old = state(&machine);
    machine.run(ENABLE).ok();
    let new = state(&machine);
    for (command, from, to, back) in [(DISABLE, &new, &old, ENABLE), (ENABLE, &old, &new, DISABLE)]
    {
        let mut step = 1;
        loop {
            let run = machine.run(&format!(
                "strace -o /dev/null -e trace=rename,unlink,kill -e inject=rename,unlink,kill:signal=KILL:when={step} \
                 {command}"
            ));
            machine.wait_until("[ ! -e /var/backups/twofa-pam/pending ]");
            let left = state(&machine);
            if run.status.success() {
                assert_eq!(&left, to, "{command}");
                break;
            }
            assert!(
                &left == from || &left == to,
                "{command}, after step {step}:\n{left}"
            );
            with_key(&machine, "bob").expect("bob\n");
            if &left == to {
                machine.run(back).ok();
            }
            step += 1;
        }
        assert!(step > 5, "{command}: {step} steps");
    }
    let rests = machine
        .run("find /etc/pam.d /etc/ssh -name .twofa-new; ls -d /var/backups/twofa-pam/sshd-* 2>/dev/null || true")
        .ok();
    assert_eq!(rests.stdout, "", "{rests}");
}

#[test]
fn where_all_services_ask_keys_are_left_alone_until_that_is_asked_for() {
    let machine = machine(SSHD);
    let profile = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../packaging/pam-configs/twofa"
    );
    let profile = std::fs::read_to_string(profile).unwrap();
    machine.write_file("/usr/share/pam-configs/twofa", &profile);
    let phone = machine.enrol("alice");
    let before = machine.file("/etc/pam.d/sshd");

    let all = machine.run("twofa pam enable --no-login").ok();
    assert!(
        all.stdout
            .contains("A login with an ssh key alone is asked for no code."),
        "{all}"
    );
    assert_eq!(machine.file("/etc/pam.d/sshd"), before);
    with_key(&machine, "alice").expect("alice\n");

    machine.run(ENABLE).ok();
    let mut ssh = with_key(&machine, "alice");
    answer(&mut ssh, "Verification code", &phone.next_code());
    ssh.expect("alice\n");
    let mut ssh = with_password(&machine, "alice");
    answer(&mut ssh, "Verification code", &phone.next_code());
    ssh.expect("alice\n");
    assert!(ssh.screen().matches("Verification code").count() == 1);
    // That stays when all are enabled once more.
    machine.run("twofa pam enable --no-login").ok();
    let mut ssh = with_key(&machine, "alice");
    answer(&mut ssh, "Verification code", &phone.next_code());
    ssh.expect("alice\n");

    machine.run("twofa pam disable --no-login").ok();
    assert_eq!(machine.file("/etc/pam.d/sshd"), before);
    machine.run(&format!("[ ! -e {OWN} ]")).ok();
    with_key(&machine, "alice").expect("alice\n");
    with_password(&machine, "alice").expect("alice\n");

    // Both at once.
    machine
        .run("twofa pam enable --ssh-keys ask --no-login")
        .ok();
    let mut ssh = with_key(&machine, "alice");
    answer(&mut ssh, "Verification code", &phone.next_code());
    ssh.expect("alice\n");
}

#[test]
fn a_root_without_a_password_and_a_robot_still_get_in_with_their_keys() {
    let machine = machine(&format!(
        "{SSHD}Match Group robots\n    AuthenticationMethods publickey\n"
    ));
    machine
        .run("groupadd robots; usermod -aG robots bob; passwd --lock root; passwd --lock bob")
        .ok();
    let phone = machine.enrol("root");
    machine.run(ENABLE).ok();
    let mut ssh = with_key(&machine, "root");
    answer(&mut ssh, "Verification code", &phone.next_code());
    ssh.expect("root\n");
    machine.run("ssh -o BatchMode=yes bob@vm id -un").ok();
    // In a mandatory policy, a robot that is not exempt is refused, and not let in without a code.
    machine.run("twofa policy set mode=mandatory --yes").ok();
    machine.run("ssh -o BatchMode=yes bob@vm id -un").fails();
}
