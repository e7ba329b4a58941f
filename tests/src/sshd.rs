//! The machine's sshd: the real one, at its real path.

use std::fmt::Write as _;
use std::sync::OnceLock;

use crate::machine::{Machine, quote};

/// A stack for sshd in which a key skips the password, as in `twofa-admin(7)`.
pub const KEY_OR_PASSWORD: &str = "\
auth [success=1 default=ignore] pam_twofa.so proved
auth substack common-auth
auth required pam_permit.so
account required pam_twofa.so challenge
account required pam_unix.so
session required pam_permit.so
";

pub(crate) const LOG: &str = "/var/log/sshd.log";

/// As an administrator sets it up for a second factor, but without limits on simultaneous logins.
const CONFIG: &str = "\
HostKey /etc/ssh/vm_host_key
UsePAM yes
KbdInteractiveAuthentication yes
PasswordAuthentication no
LogLevel VERBOSE
MaxStartups 1000
MaxSessions 1000
UseDNS no
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
";

/// The client knows the host key and has no keys of its own.
const CLIENT_CONFIG: &str = "\
Host *
    StrictHostKeyChecking yes
    UpdateHostKeys no
    GSSAPIAuthentication no
";

/// From 9.8 on, sshd blocks addresses that fail often; older versions do not know the setting.
const START: &str = "\
chmod 0600 /etc/ssh/vm_host_key
if grep -qi PerSourcePenalties /usr/sbin/sshd; then
    sed -i '1i PerSourcePenalties no' /etc/ssh/sshd_config
fi
/usr/sbin/sshd -E /var/log/sshd.log
";

/// Machines have no systemd. This program does what `systemctl reload ssh` does on Debian, and returns when sshd listens
/// again.
pub const SYSTEMCTL: &str = "#!/bin/sh -e
[ \"$*\" = 'reload ssh' ]
/usr/sbin/sshd -t
listening() { grep -c 'Server listening' /var/log/sshd.log || true; }
before=$(listening)
kill -HUP \"$(cat /run/sshd.pid)\"
while [ \"$(listening)\" = \"$before\" ]; do sleep 0.02; done
";

/// Writes the configuration, starts sshd and waits until it accepts connections. `lines` take precedence over ours.
pub(crate) fn start(machine: &Machine, lines: &str) {
    let (private, public) = host_key(machine);
    // sshd uses the first value (sshd_config(5)), and a Match block extends to the next one or to the end.
    let (ahead, matches) = lines.split_at(first_match(lines));
    let config = format!("{ahead}\n{CONFIG}{matches}\n");
    let known_hosts = format!("vm,localhost,127.0.0.1,::1 {public}");
    let files = [
        ("/etc/ssh/sshd_config", &config),
        ("/etc/ssh/vm_host_key", private),
        ("/etc/ssh/ssh_known_hosts", &known_hosts),
        ("/etc/ssh/ssh_config.d/vm.conf", &CLIENT_CONFIG.to_owned()),
    ];
    let mut script = String::from("mkdir -p /etc/ssh/ssh_config.d /run/sshd\n");
    for (path, content) in files {
        let _ = writeln!(script, "printf %s {} >{path}", quote(content));
    }
    script.push_str(START);
    machine.run_with_input("bash -eu", &script).ok();
    machine.wait_for_port(22);
}

/// The host key, generated once for all machines of this process: (private, public).
fn host_key(machine: &Machine) -> &'static (String, String) {
    static KEY: OnceLock<(String, String)> = OnceLock::new();
    KEY.get_or_init(|| {
        machine
            .run("ssh-keygen -q -t ed25519 -N '' -C vm -f /etc/ssh/vm_host_key")
            .ok();
        (
            machine.file("/etc/ssh/vm_host_key"),
            machine.file("/etc/ssh/vm_host_key.pub"),
        )
    })
}

/// The position of the first Match block.
fn first_match(lines: &str) -> usize {
    let mut at = 0;
    for line in lines.split_inclusive('\n') {
        if line.trim_start().to_ascii_lowercase().starts_with("match ") {
            return at;
        }
        at += line.len();
    }
    at
}
