//! The namespaces and the overlay a machine is made of; `init.sh` puts the file system together.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::wait;

/// How long a machine may take to end.
const DEADLINE: Duration = Duration::from_secs(20);

const INIT: &str = include_str!("init.sh");

/// Starts the machine's first process, and deletes its disk at the end, because this process may be killed before.
const START: &str = r#"
unshare --mount --net --pid --uts --ipc --fork --kill-child -- bash -s -- "$@"
status=$?
rm -rf -- ${1:+"$1"}
exit $status
"#;

/// Types of file systems that hold system directories: what the host mounts separately appears in the machine's `/`.
const DISK_FILE_SYSTEMS: [&str; 7] = ["btrfs", "ext3", "ext4", "f2fs", "overlay", "xfs", "zfs"];

/// The directories of the host that a machine sees even if they are separate file systems.
const SYSTEM_FOLDERS: [&str; 5] = ["/etc", "/opt", "/srv", "/usr", "/var"];

/// A file of the host to copy into the machine.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) mode: u32,
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
}

/// The description of the file system.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) on_disk: Option<PathBuf>,
    pub(crate) tiny_disks: Vec<(String, String)>,
    pub(crate) installed: Vec<Installed>,
}

/// The machine's namespaces; everything in them ends when this is dropped or when this process ends.
#[derive(Debug)]
pub(crate) struct Namespaces {
    unshare: Child,
    /// The machine lives until this pipe is closed.
    life: Option<ChildStdin>,
    /// The host's process id of the machine's process 1.
    init: u32,
    /// Kept until the machine has ended.
    _disk: Option<TempDir>,
}

impl Namespaces {
    pub(crate) fn new(plan: &Plan) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "a throwaway machine needs root: run these tests as root"
        );
        let disk = plan.on_disk.as_ref().map(|folder| {
            tempfile::Builder::new()
                .prefix("twofa-vm-")
                .tempdir_in(folder)
                .expect("the folder for the machine's disk")
        });

        let mut command = start_command(plan, disk.as_ref());
        // In a process group of its own: an interrupt from the terminal ends the tests, which then end the machine.
        command
            .process_group(0)
            .current_dir("/")
            .env_clear()
            .env("PATH", ROOT_PATH);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut unshare = command.spawn().expect("sh starts");

        let mut life = unshare.stdin.take().unwrap();
        // If the shell has failed, its output says more than this error.
        let _ = life.write_all(INIT.as_bytes());
        let mut said = BufReader::new(unshare.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let init = said
            .next()
            .and_then(|line| line.strip_prefix("pid ")?.parse().ok());
        let (Some(init), Some("ready")) = (init, said.next().as_deref()) else {
            let mut trouble = String::new();
            drop(life);
            let _ = unshare.stderr.take().unwrap().read_to_string(&mut trouble);
            let _ = unshare.wait();
            panic!(
                "no throwaway machine could be made here (it needs to mount and to unshare namespaces):\n{trouble}"
            );
        };
        Self {
            unshare,
            life: Some(life),
            init,
            _disk: disk,
        }
    }

    /// A command that runs `program` in the machine as root, with a new environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "-t",
            &self.init.to_string(),
            "-m",
            "-u",
            "-i",
            "-n",
            "-p",
            "-r",
            "-w",
            "--",
            program,
        ]);
        command.env_clear().envs([
            ("PATH", ROOT_PATH),
            ("HOME", "/root"),
            ("USER", "root"),
            ("LOGNAME", "root"),
            ("SHELL", "/bin/bash"),
            ("LANG", "C.UTF-8"),
            ("TERM", "xterm-256color"),
        ]);
        command
    }

    /// The host's process id of the machine's process 1.
    pub(crate) const fn init(&self) -> u32 {
        self.init
    }

    /// The path by which the host reaches `path` of the machine. No part of it may be a symbolic link, which would be
    /// followed on the host.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    /// Whether somebody accepts connections on this TCP port: proc(5), `/proc/net/tcp`, state 0A.
    pub(crate) fn listens_on_port(&self, port: u16) -> bool {
        let port = format!(":{port:04X}");
        (self.network("tcp") + &self.network("tcp6"))
            .lines()
            .any(|line| {
                let mut fields = line.split_whitespace().skip(1);
                fields.next().is_some_and(|local| local.ends_with(&port))
                    && fields.nth(1) == Some("0A")
            })
    }

    /// Whether somebody accepts connections on this Unix socket: `/proc/net/unix`, flag `__SO_ACCEPTCON`.
    pub(crate) fn listens_at(&self, path: &str) -> bool {
        let accepts = |line: &str| line.split_whitespace().nth(3) == Some("00010000");
        self.network("unix")
            .lines()
            .any(|line| line.ends_with(&format!(" {path}")) && accepts(line))
    }

    /// A table of the machine's `/proc/net`.
    fn network(&self, table: &str) -> String {
        fs::read_to_string(format!("/proc/{}/net/{table}", self.init)).unwrap_or_default()
    }
}

/// The shell that starts the machine's first process, with the arguments of `init.sh`.
fn start_command(plan: &Plan, disk: Option<&TempDir>) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", START, "machine"]);
    command.arg(disk.map_or(Path::new(""), TempDir::path));
    for folder in separate_file_systems() {
        command.args(["overlay", &folder]);
    }
    for (folder, size) in &plan.tiny_disks {
        command.args(["tiny", folder, size]);
    }
    for file in &plan.installed {
        command
            .arg("install")
            .arg(format!("{:04o}", file.mode))
            .arg(&file.from)
            .arg(&file.to);
    }
    command
}

const ROOT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Drop for Namespaces {
    fn drop(&mut self) {
        drop(self.life.take());
        let ended = wait::within(DEADLINE, || self.unshare.try_wait().transpose());
        assert!(
            ended.is_some() || thread::panicking(),
            "the machine has processes that ended and that nobody buries: if this runs in a container, start that with \
             an init (as 'docker run --init' does)"
        );
    }
}

/// The system directories that are separate mounts on this host.
fn separate_file_systems() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<String> = mounts
        .lines()
        .filter_map(|line| {
            // proc(5): the fifth field is the mount point, the first after the dash is the file system's type.
            let (mount, source) = line.split_once(" - ")?;
            let point = mount.split(' ').nth(4)?;
            let system = SYSTEM_FOLDERS
                .iter()
                .any(|folder| Path::new(point).starts_with(folder));
            let wanted = system && DISK_FILE_SYSTEMS.contains(&source.split(' ').next()?);
            (wanted && Path::new(point).is_dir()).then(|| point.to_owned())
        })
        .collect();
    found.sort();
    found.dedup();
    found
}
