//! A booted system: the host's own, with systemd as its first process, systemd-logind and sshd, in systemd-nspawn.
//!
//! For what only a running systemd shows. It takes a second or two to start, where the machine allows it at all.

#![allow(clippy::print_stderr, reason = "says what is skipped, and why")]

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::artefacts;
use crate::codes::Authenticator;
use crate::enrol;
use crate::machine::Account;
use crate::process::{Output, Process};
use crate::terminal::Terminal;
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
    /// `unshare`, which takes everything below with it when it is killed.
    unshare: Child,
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
        command.args(["private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["sh", "-c", BOOT, "boot"]);
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
        let mut unshare = command.spawn().expect("setpriv starts");
        let init = wait::within(DEADLINE, || first_process(unshare.id()));
        let log = folder.path().with_extension("log");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let Some(init) = init else {
            eprintln!("Skipped: no system can be booted here:\n{}", said());
            let _ = unshare.kill();
            let _ = unshare.wait();
            return None;
        };
        let _ = fs::remove_file(&log);
        let booted = Self {
            unshare,
            init,
            _folder: folder,
        };
        if wait::within(DEADLINE, || booted.succeeds(IS_RUNNING)).is_none() {
            eprintln!("Skipped: a system that is booted here does not come up.");
            return None;
        }
        booted.run(SET_UP).ok();
        booted.run(START).ok();
        Some(booted)
    }

    /// Restarts the system.
    ///
    /// # Panics
    ///
    /// If it does not come up again.
    pub fn reboot(&mut self) {
        let before = self.init;
        // The system may end before the command does.
        let _ = self.run("systemctl --no-block reboot");
        self.init = wait::until("another first process", DEADLINE, || {
            first_process(self.unshare.id()).filter(|init| *init != before)
        });
        wait::until("a running system", DEADLINE, || self.succeeds(IS_RUNNING));
        self.run(START).ok();
    }

    /// The host's process id of the system's process 1.
    pub(crate) const fn init(&self) -> u32 {
        self.init
    }

    /// Runs a shell command as root.
    #[must_use = "a command that failed is only noticed by ok()"]
    pub fn run(&self, command: &str) -> Output {
        Process::piped(command, self.program(&["bash", "-c", command]), "").wait()
    }

    /// A program of the system for root to start.
    fn program(&self, words: &[&str]) -> Command {
        let mut program = Command::new("nsenter");
        program.args(["-t", &self.init.to_string(), "-a", "--"]);
        program.args(words).env_clear().envs([
            ("PATH", PATH),
            ("HOME", "/root"),
            ("LANG", "C.UTF-8"),
        ]);
        program
    }

    /// Starts a shell command as root on a terminal of the system.
    pub fn terminal(&self, command: &str) -> Terminal {
        let mut program = self.program(&["setsid", "--ctty", "bash", "-c", command]);
        program.env("TERM", "xterm");
        let ptmx = format!("/proc/{}/root/dev/pts/ptmx", self.init);
        let root = Account { uid: 0, gid: 0 };
        Terminal::open(Path::new(&ptmx), &root, command, program)
    }

    /// Enrols an authenticator app for `user`, as an administrator does.
    pub fn enrol(&self, user: &str) -> Authenticator {
        enrol::app_on(self.terminal(&format!("twofa enrol app --user {user}")))
    }

    /// Waits until the shell command `condition` succeeds.
    ///
    /// # Panics
    ///
    /// If it does not within 40 seconds.
    pub fn wait_until(&self, condition: &str) {
        self.wait_within(DEADLINE, condition);
    }

    /// The same for something that takes longer.
    ///
    /// # Panics
    ///
    /// If it does not succeed within `deadline`.
    pub fn wait_within(&self, deadline: Duration, condition: &str) {
        wait::until(condition, deadline, || self.succeeds(condition));
    }

    fn succeeds(&self, condition: &str) -> Option<()> {
        self.run(condition).status.success().then_some(())
    }
}

const IS_RUNNING: &str = "systemctl is-system-running | grep -qE 'running|degraded'";

/// After every start.
const START: &str = "set -eux
ip link set lo up
install -d -o twofa -g twofa -m 755 /run/twofa
systemctl start twofad.socket
";

const SET_UP: &str = "set -eux
useradd --system --user-group --home-dir /var/lib/twofa --shell /usr/sbin/nologin twofa
mkdir -p /var/lib/twofa /etc/twofa
chown twofa:twofa /var/lib/twofa
chmod 0700 /var/lib/twofa
twofad --prepare
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

/// The first process of the system, once it is systemd: below `unshare` are the shell, systemd-nspawn, and this.
fn first_process(unshare: u32) -> Option<u32> {
    let init = first_child(first_child(first_child(unshare)?)?)?;
    let program = fs::read_link(format!("/proc/{init}/exe")).ok()?;
    program.ends_with("systemd").then_some(init)
}

fn first_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

impl Drop for Booted {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}
