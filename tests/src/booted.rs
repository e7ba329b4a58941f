//! A booted system: the host's own, with systemd as its first process, systemd-logind and sshd, in systemd-nspawn.
//!
//! For what only a running systemd shows. It takes a second or two to start, where the machine allows it at all.

#![allow(clippy::print_stderr, reason = "says what is skipped, and why")]

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::artefacts;
use crate::process::{Output, Process};
use crate::wait;

const BOOT: &str = include_str!("boot.sh");
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long systemd may take to start.
const DEADLINE: Duration = Duration::from_secs(40);
/// Without these no system is booted.
const NEEDED: [&str; 4] = [
    "/usr/bin/systemd-nspawn",
    "/lib/systemd/systemd-logind",
    "/usr/bin/dbus-daemon",
    "/usr/sbin/sshd",
];

/// A booted system with our programs and units, and a store. It ends when this is dropped.
#[derive(Debug)]
pub struct Booted {
    nspawn: Child,
    /// The host's process id of the system's process 1.
    init: u32,
    _folder: TempDir,
}

impl Booted {
    /// Boots, unless this machine cannot: then the test is to be skipped, and standard error says why.
    pub fn start() -> Option<Self> {
        let missing = NEEDED.iter().find(|file| fs::metadata(file).is_err());
        if let Some(missing) = missing {
            eprintln!("Skipped: no system can be booted here, because {missing} is not installed.");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder for the system");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation"]);
        command.args(["private", "sh", "-c", BOOT, "boot"]);
        command.arg(folder.path());
        for file in artefacts::installed().into_iter().chain(artefacts::units()) {
            command.arg(format!("{:04o}", file.mode));
            command.arg(&file.from).arg(&file.to);
        }
        let log = fs::File::create(folder.path().with_extension("log")).expect("a log");
        command
            .process_group(0)
            .current_dir("/")
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        let mut nspawn = command.spawn().expect("setpriv starts");
        let init = wait::within(DEADLINE, || first_process(nspawn.id()));
        let log = folder.path().with_extension("log");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let Some(init) = init else {
            eprintln!("Skipped: no system can be booted here:\n{}", said());
            let _ = nspawn.kill();
            let _ = nspawn.wait();
            return None;
        };
        let _ = fs::remove_file(&log);
        let booted = Self {
            nspawn,
            init,
            _folder: folder,
        };
        if wait::within(DEADLINE, || booted.succeeds(IS_RUNNING)).is_none() {
            eprintln!("Skipped: a system that is booted here does not come up.");
            return None;
        }
        booted.run(SET_UP).ok();
        Some(booted)
    }

    /// Runs a shell command as root.
    #[must_use = "a command that failed is only noticed by ok()"]
    pub fn run(&self, command: &str) -> Output {
        let mut program = Command::new("nsenter");
        program.args([
            "-t",
            &self.init.to_string(),
            "-a",
            "--",
            "bash",
            "-c",
            command,
        ]);
        program
            .env_clear()
            .envs([("PATH", PATH), ("HOME", "/root"), ("LANG", "C.UTF-8")]);
        Process::piped(command, program, "").wait()
    }

    /// Waits until the shell command `condition` succeeds.
    ///
    /// # Panics
    ///
    /// If it does not within 40 seconds.
    pub fn wait_until(&self, condition: &str) {
        wait::until(condition, DEADLINE, || self.succeeds(condition));
    }

    fn succeeds(&self, condition: &str) -> Option<()> {
        self.run(condition).status.success().then_some(())
    }
}

const IS_RUNNING: &str = "systemctl is-system-running | grep -qE 'running|degraded'";

const SET_UP: &str = "set -eux
ip link set lo up
useradd --system --user-group --home-dir /var/lib/twofa --shell /usr/sbin/nologin twofa
mkdir -p /var/lib/twofa /run/twofa /etc/twofa
chown twofa:twofa /var/lib/twofa /run/twofa
chmod 0700 /var/lib/twofa
twofad --prepare
systemctl start twofad.socket
for user in alice bob; do useradd --create-home --shell /bin/bash $user; done
mkdir -p /root/.ssh
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
for home in /root /home/alice /home/bob; do
    mkdir -p $home/.ssh
    cp /root/.ssh/id_ed25519.pub $home/.ssh/authorized_keys
    chown -R $(stat -c %u:%g $home) $home/.ssh
done
printf 'StrictHostKeyChecking no\\nLogLevel ERROR\\n' >/root/.ssh/config
sed -i '/pam_systemd/i session optional pam_twofa.so' /etc/pam.d/common-session
grep -q pam_twofa /etc/pam.d/common-session
systemctl restart ssh
";

/// The first process of the system that the process `nspawn` has started, once it is systemd.
fn first_process(nspawn: u32) -> Option<u32> {
    let children = format!("/proc/{nspawn}/task/{nspawn}/children");
    let children = fs::read_to_string(children).ok()?;
    let child: u32 = children.split_whitespace().next()?.parse().ok()?;
    let program = fs::read_link(format!("/proc/{child}/exe")).ok()?;
    program.ends_with("systemd").then_some(child)
}

impl Drop for Booted {
    fn drop(&mut self) {
        // systemd-nspawn ends its system with itself.
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}
