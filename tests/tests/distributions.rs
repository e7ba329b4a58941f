//! The recipes of `twofa-admin(7)` for Red Hat's family and SUSE: their commands are taken out of the manual and run on the
//! files of these distributions, under the libpam of this machine. Of their modules, those that Debian lacks are stood in
//! for: `pam_sss` and `pam_winbind` check the passwords of a directory's users, who are not in `/etc/passwd`.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use std::fs;

use twofa_e2e::{Machine, password_of};

const MANUAL: &str = include_str!("../../man/twofa-admin.7");
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stacks/distributions");
const CODE_PROMPT: &str = "Verification code for vm";
const PROFILES: [&str; 5] = [
    "el-local",
    "el-local-faillock",
    "el-sssd",
    "el-sssd-faillock",
    "el-winbind",
];
const NAMES: &str =
    "passwd: files extrausers\ngroup: files extrausers\nshadow: files extrausers\nhosts: files\n";
/// Dora moves into the directory. `pam_selinux_permit` is another name of `pam_sepermit`.
const SET_UP: &str = "mkdir -p /var/lib/extrausers
    for file in passwd shadow; do
        grep ^dora: /etc/$file >/var/lib/extrausers/$file && sed -i /^dora:/d /etc/$file
    done
    cd $(dirname $(find /usr/lib /lib -name pam_unix.so -print -quit))
    cp pam_unix.so pam_sss.so && cp pam_unix.so pam_winbind.so && ln -s pam_sepermit.so pam_selinux_permit.so
    sed -i -E 's/delay=[0-9]+/delay=20000/; s/preauth silent|authfail/& deny=50/' /etc/pam.d/*";

/// The commands, or lines of a file, in the manual behind the mark `test: NAME`.
fn recipe(name: &str) -> String {
    let block = MANUAL.split(&format!(".\\\" test: {name}\n.EX\n")).nth(1);
    let block = block.unwrap_or_else(|| panic!("the manual has no recipe {name:?}"));
    let block = block.split(".EE").next().unwrap();
    block.replace("\\-", "-").replace("\\e", "\\")
}

/// A machine with the files of these folders, on which the recipe was followed for these services.
fn machine(folders: &[&str], services: &[&str]) -> Machine {
    let commands = commands_for(services);
    machine_after(&commands, folders, "keyboard-interactive")
}

/// The commands of the recipe, for these services.
fn commands_for(services: &[&str]) -> String {
    let named = "sshd login gdm-password cockpit sudo polkit-1 su";
    let commands = recipe("before the include");
    assert!(commands.contains(named), "{commands}");
    commands.replace(named, &services.join(" "))
}

/// A machine with the files of these folders, on which commands were run, and with these methods of sshd.
fn machine_after(commands: &str, folders: &[&str], methods: &str) -> Machine {
    let mut builder = Machine::new()
        .policy("optional")
        .administrator("alice")
        .user("bob")
        .user("dora")
        .file("/etc/nsswitch.conf", NAMES)
        .command("sed -i /pam_twofa/d /etc/pam.d/*");
    for folder in folders {
        for file in fs::read_dir(format!("{FILES}/{folder}")).unwrap().flatten() {
            let service = file.file_name().into_string().unwrap();
            builder = builder.pam(&service, &fs::read_to_string(file.path()).unwrap());
        }
    }
    builder
        .sshd(&format!("AuthenticationMethods {methods}\n"))
        .command(&format!("({SET_UP})"))
        .command(&format!("(\n{commands}\n)"))
        .build()
}

/// The prover finds that the services need password and code, and that strangers are kept out.
#[track_caller]
fn proved(machine: &Machine, services: &[&str]) {
    let check = machine.run(&format!("twofa pam check {}", services.join(" ")));
    assert_eq!(check.code(), 0, "{check}");
    for service in services {
        let row = format!("{service}\tlogin\tpassword + code\tkept out\n");
        assert!(check.stdout.contains(&row), "{service}: {check}");
    }
}

/// What libpam does: a code is asked for behind the right password only, and only the right one lets in.
#[track_caller]
fn tried(machine: &Machine, service: &str, user: &str, code: &str) {
    let log_in = |user: &str, answers: &[&str]| {
        let command = format!("pamtester {service} {user} authenticate acct_mgmt");
        let mut terminal = machine.terminal(&command);
        terminal.expect("Password:");
        terminal.type_line(answers[0]);
        for code in &answers[1..] {
            terminal.expect(CODE_PROMPT);
            terminal.expect(": ");
            terminal.type_line(code);
        }
        let gets_in = terminal.expect_end().success();
        (gets_in, terminal.screen())
    };
    let password = password_of(user);
    let (gets_in, screen) = log_in(user, &["wrong"]);
    assert!(!gets_in && !screen.contains("code"), "{service}: {screen}");
    let (gets_in, screen) = log_in(user, &[&password, ""]);
    assert!(!gets_in, "{service}, {user}: {screen}");
    let (gets_in, screen) = log_in(user, &[&password, code]);
    assert!(gets_in, "{service}, {user}: {screen}");
    assert_eq!(screen.matches(CODE_PROMPT).count(), 1, "{screen}");
    let (gets_in, screen) = log_in("bob", &[&password_of("bob")]);
    assert!(gets_in && !screen.contains("code"), "{service}: {screen}");
}

fn red_hat(profile: &str, in_directory: bool) {
    let lines = ["sshd", "login", "gdm-password", "sudo", "polkit-1", "su"];
    let machine = machine(&["el-services", profile], &lines);
    let with_includes = [
        "sshd",
        "login",
        "gdm-password",
        "sudo",
        "sudo-i",
        "polkit-1",
    ];
    proved(&machine, &with_includes);
    proved(&machine, &["su"]);
    assert!(machine.file("/etc/pam.d/sshd").contains("challenge"));
    tried_at(&machine, "alice", &with_includes);
    if in_directory {
        tried_at(&machine, "dora", &["sshd", "sudo"]);
    }
}

/// The user logs in at each service, and at `su`.
fn tried_at(machine: &Machine, user: &str, services: &[&str]) {
    let phone = machine.enrol(user);
    let mut backup_codes = phone.backup_codes.iter().cloned();
    let mut code = || backup_codes.next().unwrap_or_else(|| phone.next_code());
    for service in services {
        tried(machine, service, user, &code());
    }
    su_asks_everybody_but_root(machine, user, &code());
}

fn su_asks_everybody_but_root(machine: &Machine, user: &str, code: &str) {
    let command = format!("su {user} -c 'id -un'");
    let mut su = machine.terminal_as("bob", &command);
    su.expect("Password:");
    su.type_line(&password_of(user));
    su.expect(CODE_PROMPT);
    su.expect(": ");
    su.type_line(code);
    su.expect(&format!("{user}\n"));
    let mut su = machine.terminal(&command);
    assert!(su.expect_end().success(), "{}", su.screen());
    assert!(!su.screen().contains("code"), "{}", su.screen());
}

#[test]
fn the_recipe_holds_on_red_hats_files_with_local_users() {
    for profile in &PROFILES[..2] {
        red_hat(profile, false);
    }
}

#[test]
fn the_recipe_holds_on_red_hats_files_with_sssd() {
    for profile in &PROFILES[2..4] {
        red_hat(profile, true);
    }
}

#[test]
fn the_recipe_holds_on_red_hats_files_with_winbind() {
    red_hat(PROFILES[4], true);
}

#[test]
fn the_recipe_holds_on_the_files_of_suse_and_arch() {
    let suse = machine(&["suse"], &["sshd", "login", "sudo", "su"]);
    proved(&suse, &["sshd", "login", "sudo", "su"]);
    tried_at(&suse, "alice", &["sshd", "login", "sudo"]);

    let arch = machine(&["arch"], &["sshd"]);
    proved(&arch, &["sshd"]);
    let phone = arch.enrol("alice");
    tried(&arch, "sshd", "alice", &phone.next_code());
}

#[test]
fn sshd_of_red_hat_reads_as_the_manual_says_and_asks_over_ssh() {
    let machine = machine(&["el-services", "el-sssd"], &["sshd"]);
    let phone = machine.enrol("alice");
    let file = machine.file("/etc/pam.d/sshd");
    let words = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|line| line.starts_with("auth") || line.starts_with("account"))
            .collect()
    };
    assert_eq!(words(&file), words(&recipe("Red Hat's sshd")));

    ssh(&machine, Some(&password_of("alice")), &phone.next_code());
}

/// What Debian and Ubuntu install for `sssd`, without sessions and passwords.
const SSS: &str = "Name: SSS authentication\nDefault: yes\nPriority: 128\nAuth-Type: Primary\nAuth:\n\
    \t[success=end default=ignore]\tpam_sss.so use_first_pass\nAuth-Initial:\n\
    \t[success=end default=ignore]\tpam_sss.so forward_pass\nAccount-Type: Additional\nAccount:\n\
    \tsufficient\tpam_localuser.so\n\t[default=bad success=ok user_unknown=ignore]\tpam_sss.so\n";
const PROFILE: &str = include_str!("../../packaging/pam-configs/twofa");

#[test]
fn the_profile_holds_beside_the_one_that_debian_and_ubuntu_have_for_sssd() {
    let profiles = format!(
        "cd /usr/share/pam-configs && printf %s '{SSS}' >sss && printf %s '{PROFILE}' >twofa &&
         DEBIAN_FRONTEND=noninteractive pam-auth-update --force --enable sss twofa"
    );
    let machine = machine_after(&profiles, &[], "keyboard-interactive");
    assert!(machine.file("/etc/pam.d/common-auth").contains("pam_sss"));
    let services = ["sshd", "login", "sudo"];
    proved(&machine, &services);
    for user in ["alice", "dora"] {
        tried_at(&machine, user, &services);
    }
}

/// A login over ssh of alice, who is asked for a password or, with a key, is not.
fn ssh(machine: &Machine, password: Option<&str>, code: &str) {
    let mut ssh = machine.terminal("ssh alice@vm");
    if let Some(password) = password {
        ssh.expect("Password:");
        ssh.type_line(password);
    }
    ssh.expect(CODE_PROMPT);
    ssh.expect(": ");
    ssh.type_line(code);
    ssh.expect("alice@vm:~$ ");
    let screen = ssh.screen();
    assert_eq!(screen.contains("Password:"), password.is_some(), "{screen}");
}

#[test]
fn on_red_hats_files_a_key_takes_the_place_of_the_password_as_the_manual_says() {
    let lines = recipe("key or password").replace("common-auth", "password-auth");
    let commands = format!(
        "cd /etc/pam.d && sed -i /^auth/d sshd && printf %s '{lines}' | cat - sshd >sshd.new && mv sshd.new sshd"
    );
    let methods = "publickey,keyboard-interactive keyboard-interactive";
    let machine = machine_after(&commands, &["el-services", "el-sssd"], methods);
    let phone = machine.enrol("alice");
    ssh(&machine, Some(&password_of("alice")), &phone.next_code());
    machine
        .run(
            "mkdir -p /root/.ssh /home/alice/.ssh && ssh-keygen -q -N '' -t ed25519 -f /root/.ssh/id_ed25519 &&
             cp /root/.ssh/id_ed25519.pub /home/alice/.ssh/authorized_keys && chown -R alice /home/alice/.ssh",
        )
        .ok();
    ssh(&machine, None, &phone.backup_codes[0]);
    let options = "-o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1";
    let mut wrong = machine.terminal(&format!("ssh {options} alice@vm"));
    wrong.expect("Password:");
    wrong.type_line("wrong");
    assert!(!wrong.expect_end().success());
    assert!(!wrong.screen().contains("code"), "{}", wrong.screen());
}
