//! Trust in the login session that systemd-logind made: at sudo, at polkit's helper, and for screen lockers.

use twofa_e2e::{Authenticator, Booted, Terminal, password_of};

use super::quoted;

/// Debian's with our lines.
const SUDO: &str = "\
auth requisite pam_unix.so
auth required pam_twofa.so
account required pam_twofa.so confirm
account required pam_unix.so
session required pam_permit.so
";
const SSHD: &str = "\
auth required pam_twofa.so
auth required pam_permit.so
account required pam_twofa.so
account required pam_unix.so
@include common-session
";
const POLKIT: &str = "\
auth requisite pam_unix.so
auth required pam_twofa.so
account required pam_twofa.so
account required pam_unix.so
";
const LOCKER: &str = "\
auth requisite pam_unix.so
auth required pam_twofa.so
";

/// `polkit-agent-helper@.service` of polkit 127 with another program.
const HELPER: &str = "\
[Service]
Type=oneshot
DeviceAllow=/dev/null rw
DeviceAllow=/dev/urandom r
DeviceAllow=char-hidraw rw
DevicePolicy=strict
ExecStart=pamtester -I ruser=alice polkit-1 alice authenticate acct_mgmt
StandardInput=socket
StandardOutput=socket
StandardError=socket
LimitMEMLOCK=0
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateNetwork=yes
PrivateTmp=yes
ProtectControlGroups=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectKernelTunables=yes
ProtectSystem=strict
ProtectClock=yes
ProtectHostname=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077
";
const HELPER_SOCKET: &str = "\
[Socket]
ListenStream=/run/polkit-agent-helper.socket
Accept=yes
";

const ASKED: &str = "Verification code for vm (";
const PROMPT: &str = "alice@vm:~$ ";

/// A system whose administrator alice needs a code for ssh, sudo and polkit, and her backup codes.
struct Office<'a> {
    system: &'a Booted,
    phone: Authenticator,
    used: usize,
}

impl<'a> Office<'a> {
    fn new(system: &'a Booted) -> Self {
        let write = |path: &str, content: &str| {
            let written = format!("printf %s {} >{path}", quoted(content));
            system.run(&written).ok();
        };
        for (service, stack) in [
            ("sudo", SUDO),
            ("sshd", SSHD),
            ("polkit-1", POLKIT),
            ("vlock", LOCKER),
        ] {
            write(&format!("/etc/pam.d/{service}"), stack);
        }
        write("/etc/systemd/system/polkit-agent-helper@.service", HELPER);
        write(
            "/etc/systemd/system/polkit-agent-helper.socket",
            HELPER_SOCKET,
        );
        write(
            "/usr/local/bin/in-terminal",
            "#!/bin/sh\nexec script -qc \"$*\" /dev/null\n",
        );
        write("/usr/local/bin/agent.py", include_str!("agent.py"));
        write(
            "/etc/ssh/sshd_config.d/00-twofa.conf",
            "KbdInteractiveAuthentication yes\nMatch User alice\nAuthenticationMethods publickey,keyboard-interactive\n",
        );
        let password = password_of("alice");
        system
            .run(&format!(
                "echo 'alice:{password}' | chpasswd && usermod -aG sudo alice
                 chmod +x /usr/local/bin/in-terminal
                 echo 'Defaults timestamp_timeout=0,passwd_tries=1,lecture=never' >/etc/sudoers.d/tests
                 twofa policy set mode=optional trust.elevation=15m trust.unlock=12h
                 systemctl daemon-reload && systemctl start polkit-agent-helper.socket && systemctl restart ssh"
            ))
            .ok();
        let phone = system.enrol("alice");
        Self {
            system,
            phone,
            used: 0,
        }
    }

    fn code(&mut self) -> String {
        self.used += 1;
        // For those of the app, time must pass.
        let backup = self.phone.backup_codes.get(self.used - 1).cloned();
        backup.unwrap_or_else(|| self.phone.next_code())
    }

    /// A login of alice's by ssh with a code.
    fn log_in(&mut self) -> Terminal {
        let mut shell = self.system.terminal("ssh -tt alice@vm");
        shell.expect("Verification code for vm");
        shell.expect(": ");
        shell.type_line(&self.code());
        shell.expect(PROMPT);
        shell
    }

    /// Waits until no session of alice's is left.
    fn wait_until_alone(&self) {
        self.system
            .wait_until("! loginctl list-sessions --no-legend | grep -q alice");
    }
}

/// What `command` shows in the shell of a session.
fn shown(shell: &mut Terminal, command: &str) -> String {
    shell.type_line(command);
    shell.expect("\n");
    shell.expect(PROMPT)
}

/// Types `sudo` in a shell up to the code, or up to its end. `within` runs it in its arguments.
fn sudo_asks(shell: &mut Terminal, within: &str) -> bool {
    shell.type_line(&format!("{within} sudo echo Verified: in"));
    shell.expect("assword for alice: ");
    shell.type_line(&password_of("alice"));
    shell.expect("Verif");
    let is_asked = shell.expect(" ") == "ication ";
    if !is_asked {
        shell.expect(PROMPT);
    }
    is_asked
}

/// Types a code at the prompt of sudo, which trusts `what`.
fn trust(shell: &mut Terminal, what: &str, code: &str) {
    shell.expect(&format!("+ at its end: trust {what} for 15 minutes; "));
    shell.expect("): ");
    shell.type_line(&format!("{code}+"));
    shell.expect("Verified: in");
    shell.expect(PROMPT);
}

/// Gives no code until sudo gives up.
fn give_up(shell: &mut Terminal) {
    for _ in 0..3 {
        shell.expect("): ");
        shell.type_line("+");
    }
    shell.expect(PROMPT);
}

#[test]
fn trust_at_sudo_polkit_and_lockers_is_in_the_login_session_and_ends_with_it() {
    let Some(system) = Booted::start() else {
        return;
    };
    let mut office = Office::new(&system);
    let mut first = office.log_in();
    let mut second = office.log_in();
    sudo_is_trusted_in_the_session_and_in_no_other(&mut office, &mut first, &mut second);
    outside_of_the_session_the_terminal_counts(&mut office, &mut first);
    polkit_is_trusted_in_the_session_of_the_agent(&mut office, &mut first, &mut second);
    a_root_locker_is_believed_in_the_very_session(&office, &mut second);
    what_outlives_the_session_is_not_trusted(&office, first);
    drop(second);
    a_session_of_the_same_id_is_not_trusted(&mut office);
}

fn sudo_is_trusted_in_the_session_and_in_no_other(
    office: &mut Office<'_>,
    first: &mut Terminal,
    second: &mut Terminal,
) {
    assert!(sudo_asks(first, ""));
    trust(first, "this session", &office.code());
    assert!(!sudo_asks(first, ""));
    // A terminal of its own within the session changes nothing.
    assert!(!sudo_asks(first, "in-terminal"));
    assert!(sudo_asks(second, ""));
    give_up(second);
}

/// `systemd-run --user --scope` moves a process to where users may make groups of any name.
fn outside_of_the_session_the_terminal_counts(office: &mut Office<'_>, first: &mut Terminal) {
    let outside = "systemd-run --user --scope --quiet";
    assert!(sudo_asks(first, outside));
    trust(first, "this terminal", &office.code());
    assert!(!sudo_asks(first, outside));
    // A group of the session's name proves nothing.
    assert!(!sudo_asks(first, ""));
}

fn polkit_is_trusted_in_the_session_of_the_agent(
    office: &mut Office<'_>,
    first: &mut Terminal,
    second: &mut Terminal,
) {
    let agent = |way: &str, code: &str| {
        let password = password_of("alice");
        format!("python3 /usr/local/bin/agent.py {way} '{password}' {code}")
    };
    // Nothing is trusted at a program before it was seen to come to the account phase for that.
    let code = format!("{}+", office.code());
    let text = shown(first, &agent("socket", &code));
    assert!(text.contains("No code is asked for here until "), "{text}");
    for way in ["socket", "setuid"] {
        let text = shown(first, &agent(way, ""));
        assert!(!text.contains(ASKED), "{way}: trusted at sudo: {text}");
        let text = shown(second, &agent(way, ""));
        let hint = "+ at its end: trust this session for 15 minutes";
        assert!(text.contains(ASKED) && text.contains(hint), "{way}: {text}");
        let outside = format!("systemd-run --user --scope --quiet {}", agent(way, ""));
        let text = shown(first, &outside);
        assert!(text.contains(ASKED), "{way}: {text}");
        assert!(!text.contains("trust this"), "{way}: {text}");
    }
    // The sandbox has no broker of its own: it is a refusal that says so.
    office
        .system
        .run("systemctl stop twofad.socket twofad.service")
        .ok();
    let text = shown(first, &agent("socket", ""));
    assert!(
        text.contains("The second factor cannot be checked now, so this is refused."),
        "{text}"
    );
    office.system.run("systemctl start twofad.socket").ok();
}

fn a_root_locker_is_believed_in_the_very_session(office: &Office<'_>, second: &mut Terminal) {
    let unlocks = |join: &str| {
        let locker = format!(
            "echo '{}' | pamtester vlock alice authenticate",
            password_of("alice")
        );
        let tried = office.system.run(&format!("{join}\n{locker}"));
        tried.status.success()
    };
    let id = shown(second, "echo $XDG_SESSION_ID");
    let scope = format!("session-{}.scope", id.lines().next().unwrap().trim());
    // One group, or one in each hierarchy of cgroup v1.
    let join = format!(
        "set -e; for group in $(find /sys/fs/cgroup -name {scope}); do echo $$ >$group/cgroup.procs; done"
    );
    assert!(unlocks(&join), "{scope}");
    assert!(!unlocks(""), "in no session");
    office.system.run("twofa policy set trust.unlock=0").ok();
    assert!(!unlocks(&join));
}

fn what_outlives_the_session_is_not_trusted(office: &Office<'_>, mut first: Terminal) {
    let system = office.system;
    let tmux = |command: &str| {
        system.run(&format!(
            "setpriv --reuid alice --regid alice --init-groups env HOME=/home/alice tmux -L t {command}"
        ))
    };
    shown(&mut first, "tmux -L t new-session -d dash");
    first.type_line("exit");
    first.expect_end();
    system.wait_until("grep -qxD skip STATE=closing /run/systemd/sessions/*");
    tmux("send-keys 'sudo echo in' Enter").ok();
    let shows = |text: &str| {
        system.wait_until(&format!(
            "setpriv --reuid alice --regid alice --init-groups tmux -L t capture-pane -pJ | grep -q '{text}'"
        ));
    };
    shows("assword for alice:");
    tmux(&format!("send-keys '{}' Enter", password_of("alice"))).ok();
    shows("Verification code");
    tmux("kill-server").ok();
}

/// systemd-logind counts from the beginning when it is restarted, unless the kernel's audit gives the numbers.
fn a_session_of_the_same_id_is_not_trusted(office: &mut Office<'_>) {
    let system = office.system;
    office.wait_until_alone();
    let mut before = office.log_in();
    assert!(sudo_asks(&mut before, ""));
    trust(&mut before, "this session", &office.code());
    let id = shown(&mut before, "echo $XDG_SESSION_ID");
    let id = id.lines().next().unwrap().trim().to_owned();
    before.type_line("exit");
    before.expect_end();
    office.wait_until_alone();
    system.run("systemctl restart systemd-logind").ok();
    let Some(number) = id
        .strip_prefix('c')
        .map(|number| number.parse::<u32>().unwrap())
    else {
        return;
    };
    for _ in 1..number {
        system.run("ssh bob@vm true").ok();
    }
    let mut after = office.log_in();
    let again = shown(&mut after, "echo $XDG_SESSION_ID");
    assert_eq!(again.lines().next().unwrap().trim(), id);
    assert!(sudo_asks(&mut after, ""));
}
