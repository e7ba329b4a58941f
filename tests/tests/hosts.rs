//! The recipes of `twofa-admin(7)`, one for each kind of program: their commands are taken out of the manual and run on the
//! files that Debian ships, and users log in with the programs. Where a program cannot run here (a greeter, a locker, polkit,
//! xrdp), pamtester takes its place with the file of Debian 13's package.

#![allow(clippy::print_stderr)] // a test that is skipped says so
#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Builder, Machine, SYSTEMCTL, Terminal, password_of};

const MANUAL: &str = include_str!("../../man/twofa-admin.7");
const CODE_PROMPT: &str = "Verification code for vm";
const ONE_PROMPT: &str = "Password, followed directly by the verification code";

/// Debian 13's files without their lines of `session`: (package and version, service, text).
const SHIPPED: [(&str, &str, &str); 11] = [
    (
        "gdm3 48.0-2",
        "gdm-password",
        "auth requisite pam_nologin.so\nauth required pam_succeed_if.so user != root quiet_success\n\
         @include common-auth\nauth optional pam_gnome_keyring.so\n@include common-account\n",
    ),
    (
        "lightdm 1.32.0-6",
        "lightdm",
        "auth requisite pam_nologin.so\n@include common-auth\n-auth optional pam_gnome_keyring.so\n@include common-account\n",
    ),
    (
        "sddm 0.21.0+git20250502",
        "sddm",
        "auth requisite pam_nologin.so\nauth required pam_succeed_if.so user != root quiet_success\n\
         @include common-auth\n-auth optional pam_gnome_keyring.so\n@include common-account\n",
    ),
    (
        "xrdp 0.10.1-3.1",
        "xrdp-sesman",
        "auth required pam_env.so readenv=1\n@include common-auth\n-auth optional pam_gnome_keyring.so\n\
         @include common-account\n",
    ),
    (
        "vsftpd 3.0.5-0.2",
        "vsftpd",
        "auth required pam_listfile.so item=user sense=deny file=/etc/ftpusers onerr=succeed\n\
         @include common-account\n@include common-auth\nauth required pam_shells.so\n",
    ),
    (
        "dovecot-core 1:2.4.1+dfsg1-6",
        "dovecot",
        "@include common-auth\n@include common-account\n",
    ),
    (
        "cockpit-ws 337-1",
        "cockpit",
        "auth required pam_sepermit.so\nauth substack common-auth\nauth optional pam_ssh_add.so\n\
         account required pam_listfile.so item=user sense=deny file=/etc/cockpit/disallowed-users onerr=succeed\n\
         account required pam_nologin.so\naccount include common-account\n",
    ),
    ("i3lock 2.15-2", "i3lock", "auth include login\n"),
    ("swaylock 1.8.2-1", "swaylock", "auth include login\n"),
    (
        "xscreensaver 6.09",
        "xscreensaver",
        "@include common-auth\n@include common-account\n",
    ),
    (
        "polkitd 126-2",
        "/usr/lib/pam.d/polkit-1",
        "@include common-auth\n@include common-account\n",
    ),
];

/// The commands, or lines of a file, in the manual behind the mark `test: NAME`.
fn recipe(name: &str) -> String {
    let block = MANUAL.split(&format!(".\\\" test: {name}\n.EX\n")).nth(1);
    let block = block.unwrap_or_else(|| panic!("the manual has no recipe {name:?}"));
    let block = block.split(".EE").next().unwrap();
    block.replace("\\-", "-").replace("\\e", "\\")
}

/// A machine on which no stack has our module yet.
fn builder() -> Builder {
    let mut builder = Machine::new()
        .policy("optional")
        .administrator("alice")
        .user("bob")
        .command("sed -i /pam_twofa/d /etc/pam.d/*")
        .command(ABSENT);
    for (_, service, text) in SHIPPED {
        let path = if service.starts_with('/') {
            service.to_owned()
        } else {
            format!("/etc/pam.d/{service}")
        };
        builder = builder.file(&path, text);
    }
    builder.command("rm -f /etc/pam.d/polkit-1 /etc/pam.d/doas")
}

/// A machine on which these recipes were followed, on which the doctor finds nothing, and the app of alice.
fn machine(recipes: &[&str]) -> (Machine, Authenticator) {
    let mut builder = builder();
    for name in recipes {
        builder = builder.command(&format!("(\n{}\n)", recipe(name)));
    }
    let machine = builder.build();
    let phone = machine.enrol("alice");
    let doctor = machine.run("twofa doctor");
    // The clock is the host's.
    let mut findings = doctor
        .stdout
        .lines()
        .filter(|line| !line.contains("clock is not synchronised"));
    let is_content = findings.all(|line| line == "No problems found.");
    assert!(is_content, "{doctor}");
    (machine, phone)
}

fn answer(terminal: &mut Terminal, prompt: &str, answer: &str) {
    terminal.expect(prompt);
    terminal.expect(": ");
    terminal.type_line(answer);
}

/// Types alice's password and a backup code: the app has one code in 30 seconds.
fn password_and_code(terminal: &mut Terminal, code: &str) {
    answer(terminal, "assword", &password_of("alice"));
    answer(terminal, CODE_PROMPT, code);
}

/// Asserts that the program ends without having asked for a code.
#[track_caller]
fn ends_without_a_code(mut terminal: Terminal) {
    let status = terminal.expect_end();
    let screen = terminal.screen();
    assert!(
        status.success() && !screen.contains(CODE_PROMPT),
        "{screen}"
    );
}

#[test]
fn the_console_and_greeters_ask_after_the_password_and_lockers_with_one_field_do_not() {
    let (machine, phone) = machine(&["lockers without a code", "console and greeters"]);
    let mut codes = phone.backup_codes.iter();
    let mut login = machine.terminal("exec login");
    answer(&mut login, "vm login", "alice");
    password_and_code(&mut login, codes.next().unwrap());
    login.expect("alice@vm:~$ ");
    for service in ["gdm-password", "lightdm"] {
        let mut greeter =
            machine.terminal(&format!("pamtester {service} alice authenticate acct_mgmt"));
        password_and_code(&mut greeter, codes.next().unwrap());
        assert!(greeter.expect_end().success(), "{}", greeter.screen());
    }
    for service in ["i3lock", "swaylock"] {
        let command = format!("pamtester {service} alice authenticate");
        let mut locker = machine.terminal_as("alice", &command);
        answer(&mut locker, "assword", &password_of("alice"));
        ends_without_a_code(locker);
    }
}

#[test]
fn lockers_take_password_and_code_in_one_field_or_ask_for_each() {
    let (machine, phone) = machine(&["lockers with a code", "lockers with prompts"]);
    let mut codes = phone.backup_codes.iter();
    for service in ["i3lock", "swaylock"] {
        let command = format!("pamtester {service} alice authenticate");
        let typed = password_of("alice") + codes.next().unwrap();
        let mut locker = machine.terminal_as("alice", &command);
        answer(&mut locker, ONE_PROMPT, &typed);
        assert!(locker.expect_end().success(), "{}", locker.screen());
    }
    for service in ["xscreensaver", "vlock"] {
        let command = format!("pamtester {service} alice authenticate acct_mgmt");
        let mut locker = machine.terminal_as("alice", &command);
        password_and_code(&mut locker, codes.next().unwrap());
        assert!(locker.expect_end().success(), "{}", locker.screen());
    }
}

#[test]
fn everything_that_gives_root_asks_and_what_needs_no_password_needs_no_code() {
    let (machine, phone) = machine(&["root"]);
    let mut codes = phone.backup_codes.iter();
    for command in ["sudo id -un", "sudo -i id -un"] {
        let mut sudo = machine.terminal_as("alice", command);
        password_and_code(&mut sudo, codes.next().unwrap());
        sudo.expect("root\n");
        assert!(sudo.expect_end().success());
    }
    let mut su = machine.terminal_as("bob", "su - alice -c 'id -un'");
    password_and_code(&mut su, codes.next().unwrap());
    su.expect("alice\n");
    let mut polkit = machine.terminal("pamtester polkit-1 alice authenticate acct_mgmt");
    password_and_code(&mut polkit, codes.next().unwrap());
    assert!(polkit.expect_end().success(), "{}", polkit.screen());

    let mut twice = machine.terminal_as("alice", "sudo true && sudo id -un");
    password_and_code(&mut twice, codes.next().unwrap());
    twice.expect("root\n");
    ends_without_a_code(machine.terminal("su alice -c true"));
    let rule = "echo 'alice ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/alice";
    machine.run(rule).ok();
    ends_without_a_code(machine.terminal_as("alice", "sudo true"));
}

#[test]
fn cockpit_asks_for_the_code_after_a_right_password_alone() {
    let (machine, phone) = machine(&["cockpit"]);
    let command = "pamtester cockpit alice authenticate acct_mgmt";
    let mut wrong = machine.terminal(command);
    answer(&mut wrong, "assword", "wrong");
    assert!(!wrong.expect_end().success());
    assert!(!wrong.screen().contains(CODE_PROMPT), "{}", wrong.screen());
    let mut right = machine.terminal(command);
    password_and_code(&mut right, &phone.backup_codes[0]);
    assert!(right.expect_end().success(), "{}", right.screen());
}

/// Modules that are not installed here, and check no password.
const ABSENT: &str = "sed -i -E '/pam_(gnome_keyring|ssh_add|sepermit)/d' /etc/pam.d/*";

const FTP: &str = "import ftplib, sys\nftp = ftplib.FTP('127.0.0.1')\ntry:\n    print(ftp.login('alice', sys.argv[1]))\n\
    except ftplib.error_perm as error:\n    print(error)\n";
const VSFTPD: &str = "listen=YES\nlocal_enable=YES\nanonymous_enable=NO\nsecure_chroot_dir=/var/run\n\
    seccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\n";

#[test]
fn programs_with_one_prompt_take_password_and_code_together() {
    let (machine, phone) = machine(&["one prompt", "dovecot"]);
    let mut codes = phone.backup_codes.iter();
    for service in ["xrdp-sesman", "sddm"] {
        let mut greeter =
            machine.terminal(&format!("pamtester {service} alice authenticate acct_mgmt"));
        let typed = password_of("alice") + codes.next().unwrap();
        answer(&mut greeter, ONE_PROMPT, &typed);
        assert!(greeter.expect_end().success(), "{}", greeter.screen());
    }

    machine.write_file("/root/ftp.py", FTP);
    machine.write_file("/etc/vsftpd.conf", VSFTPD);
    let _server = machine.spawn("exec vsftpd /etc/vsftpd.conf");
    machine.wait_for_port(21);
    let both = password_of("alice") + codes.next().unwrap();
    let ftp = |typed: &str| {
        machine
            .run(&format!("python3 /root/ftp.py '{typed}'"))
            .ok()
            .stdout
    };
    assert_eq!(ftp(&password_of("alice")), "530 Login incorrect.\n");
    assert_eq!(ftp(&both), "230 Login successful.\n");
    assert_eq!(ftp(&both), "530 Login incorrect.\n", "a code works once");
}

/// An authentication server of Dovecot alone: no mail, no other processes of its own.
const DOVECOT: &str = "base_dir = /run/dovecot\nprotocols =\nssl = no\nlog_path = /var/log/dovecot.log\n\
    passdb {\n  driver = pam\n}\nuserdb {\n  driver = passwd\n}\n";

#[test]
fn dovecot_takes_password_and_code_together_and_a_saved_password_only_once() {
    let (machine, phone) = machine(&["dovecot"]);
    machine.write_file("/etc/dovecot/twofa.conf", DOVECOT);
    let _server = machine.spawn("exec dovecot -F -c /etc/dovecot/twofa.conf");
    machine.wait_until("doveadm -c /etc/dovecot/twofa.conf who");
    let both = password_of("alice") + &phone.backup_codes[0];
    let imap = |typed: &str| {
        let command =
            format!("doveadm -c /etc/dovecot/twofa.conf auth test -x service=imap alice '{typed}'");
        machine.run(&command)
    };
    imap(&password_of("alice")).fails();
    imap(&both).ok();
    imap(&both).fails();
}

/// What the README writes into a file of `sshd_config.d`, for passwords.
const PASSWORDS: &str = "KbdInteractiveAuthentication yes\nPasswordAuthentication no\nAuthenticationMethods keyboard-interactive\n";
const TO_SSHD: &str = "chmod +x /usr/local/bin/systemctl \
    && sed -i '/^@include common-auth/a auth required pam_twofa.so' /etc/pam.d/sshd";
/// An account without a password, and a key that opens it and bob's.
const ROBOT: &str = "groupadd robots && useradd -m -s /bin/bash -G robots copies && mkdir -p /root/.ssh \
    && ssh-keygen -q -N '' -t ed25519 -f /root/.ssh/id_ed25519 && for user in copies bob; do mkdir /home/$user/.ssh \
    && cp /root/.ssh/id_ed25519.pub /home/$user/.ssh/authorized_keys && chown -R $user /home/$user/.ssh; done";

#[test]
fn an_exempt_robot_gets_in_by_its_key_alone_and_the_doctor_sees_what_is_missing() {
    let machine = builder()
        .file("/etc/ssh/sshd_config.d/00-twofa.conf", PASSWORDS)
        .file("/usr/local/bin/systemctl", SYSTEMCTL)
        .command(TO_SSHD)
        .command(ROBOT)
        .sshd("Include /etc/ssh/sshd_config.d/*.conf\n")
        .build();
    let ssh = |user: &str| machine.run(&format!("ssh -o BatchMode=yes {user}@vm id -un"));
    let doctor = |words: &str| {
        let found = machine.run("twofa doctor").stdout;
        assert!(found.contains(words), "{words:?} in {found}");
    };
    let recipe = recipe("robots");
    let line_in_account = recipe
        .lines()
        .find(|line| line.contains("account required"))
        .unwrap();
    let (exempt, others) = recipe.split_once('\n').unwrap();

    machine.run(exempt).ok();
    ssh("copies").fails();
    doctor("notice: no code is asked of copies, but sshd asks for more than a key");
    machine.run(&others.replace(line_in_account, "")).ok();
    assert_eq!(ssh("copies").ok().stdout, "copies\n");
    ssh("bob").fails();
    doctor("problem: sshd: in a Match block, a key alone lets people in without a code (copies)");
    machine.run(line_in_account).ok();
    let found = machine.run("twofa doctor").ok().stdout;
    assert_eq!(found.lines().count(), 1, "only the exemption: {found}");
    assert_eq!(ssh("copies").ok().stdout, "copies\n");

    machine
        .run("twofa exemption remove 1 && twofa user require copies")
        .ok();
    ssh("copies").fails();
}

#[test]
fn from_the_office_a_key_is_enough_and_elsewhere_it_takes_password_and_code() {
    let machine = builder()
        .file("/etc/ssh/sshd_config.d/00-twofa.conf", PASSWORDS)
        .file("/usr/local/bin/systemctl", SYSTEMCTL)
        .command(TO_SSHD)
        .command(ROBOT)
        .command("gpasswd -a bob staff >/dev/null && twofa policy set mode=mandatory")
        .command("for host in 192.0.2.7 198.51.100.7; do ip addr add $host/32 dev lo; done")
        .sshd("Include /etc/ssh/sshd_config.d/*.conf\n")
        .build();
    machine.run(&recipe("office")).ok();
    let ssh = |from: &str, options: &str| {
        machine.run(&format!(
            "ssh -o BatchMode=yes -b {from} {options} bob@vm id -un"
        ))
    };
    assert_eq!(ssh("192.0.2.7", "").ok().stdout, "bob\n");
    ssh("192.0.2.7", "-o PubkeyAuthentication=no").fails();
    ssh("198.51.100.7", "").fails();
    machine.run("twofa exemption remove 1").ok();
    ssh("192.0.2.7", "").fails();

    let phone = machine.enrol("bob");
    let mut ssh = machine.terminal("ssh -b 198.51.100.7 bob@vm id -un");
    answer(&mut ssh, "assword", &password_of("bob"));
    answer(&mut ssh, CODE_PROMPT, &phone.backup_codes[0]);
    ssh.expect("bob\n");
}

const VPN: &str = "local 127.0.0.1\ndev tun\nserver 10.9.0.0 255.255.255.0\ntopology subnet\nca /root/vpn.crt\n\
    cert /root/vpn.crt\nkey /root/vpn.key\ndh none\nverify-client-cert none\nusername-as-common-name\nverb 3\n";
const VPN_KEY: &str = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=vpn \
    -keyout /root/vpn.key -out /root/vpn.crt && mkdir -p /dev/net && mknod /dev/net/tun c 10 200";
const VPN_CLIENT: &str = "exec openvpn --client --dev tun --remote 127.0.0.1 --ca /root/vpn.crt --nobind \
    --auth-user-pass --static-challenge Code 1 --reneg-sec 3 --verb 3";

#[test]
fn openvpn_asks_for_the_code_in_a_field_of_its_own_and_its_token_serves_for_the_renewal_of_keys() {
    if !std::path::Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: the kernel has no tun devices");
        return;
    }
    let (machine, phone) = machine(&["openvpn"]);
    machine.run(VPN_KEY).ok();
    machine.write_file(
        "/root/vpn.conf",
        &format!("{VPN}{}", recipe("openvpn server")),
    );
    let log_in = |code: &str| {
        let mut client = machine.terminal(VPN_CLIENT);
        client.expect("Enter Auth Username:");
        client.type_line("alice");
        client.expect("Enter Auth Password:");
        client.type_hidden(&password_of("alice"));
        client.expect("CHALLENGE: Code");
        client.type_line(code);
        client
    };
    let _server = machine.spawn("exec openvpn --config /root/vpn.conf >/var/log/vpn.log 2>&1");
    machine.wait_until("grep -q 'Initialization Sequence Completed' /var/log/vpn.log");
    log_in("00000000").expect("AUTH_FAILED");
    let mut client = log_in(&phone.backup_codes[0]);
    client.expect("Initialization Sequence Completed");
    // Keys are renewed twice with the token: the code has been used.
    client.expect("TLS: soft reset");
    client.expect("Control Channel: TLS");
    client.expect("TLS: soft reset");
    client.expect("Control Channel: TLS");
    assert!(
        !client.screen().contains("AUTH_FAILED"),
        "{}",
        client.screen()
    );
}
