//! The namespaces and the overlay a machine is made of; `init.sh` puts the file system together.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use tempfile::TempDir;

const INIT: &str = include_str!("init.sh");

/// What runs first in the machine, and how it sees itself.
const UNSHARE: &str = "unshare --mount --net --pid --uts --ipc --fork --kill-child -- bash -c";

/// File systems whose content belongs to the machine's `/` when the host keeps them apart from its own.
const DISK_FILE_SYSTEMS: [&str; 7] = ["btrfs", "ext3", "ext4", "f2fs", "overlay", "xfs", "zfs"];

/// The folders of the host that a machine sees even where they are file systems of their own.
const SYSTEM_FOLDERS: [&str; 5] = ["/etc", "/opt", "/srv", "/usr", "/var"];

/// A file of the host that is to be in the machine.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) mode: u32,
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
}

/// What the file system is to be like.
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
    /// Process 1 of the machine, as the host numbers it.
    init: u32,
    /// Kept until the machine has ended.
    _disk: Option<TempDir>,
}

impl Namespaces {
    pub(crate) fn new(plan: &Plan) -> Self {
        assert!(rustix::process::geteuid().is_root(), "a throwaway machine needs root: run these tests as root");
        let disk = plan.on_disk.as_ref().map(|folder| {
            tempfile::Builder::new().prefix("twofa-vm-").tempdir_in(folder).expect("the folder for the machine's disk")
        });

        let mut command = Command::new("sh");
        // The shell clears the disk away itself, as this process may be killed.
        let program = format!(r#"{UNSHARE} "$0" init "$@" && status=0 || status=$?; rm -rf -- ${{1:+"$1"}}; exit $status"#);
        command.args(["-c", &program, INIT]);
        command.arg(disk.as_ref().map_or(Path::new(""), TempDir::path));
        for folder in separate_file_systems() {
            command.args(["overlay", &folder]);
        }
        for (folder, size) in &plan.tiny_disks {
            command.args(["tiny", folder, size]);
        }
        for file in &plan.installed {
            command.arg("install").arg(format!("{:04o}", file.mode)).arg(&file.from).arg(&file.to);
        }
        // In a group of its own: an interrupt from the terminal ends the tests, and that ends the machine, in order.
        command.process_group(0).current_dir("/").env_clear().env("PATH", ROOT_PATH);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut unshare = command.spawn().expect("sh starts");

        let life = unshare.stdin.take();
        let mut said = BufReader::new(unshare.stdout.take().unwrap()).lines().map_while(Result::ok);
        let init = said.next().and_then(|line| line.strip_prefix("pid ")?.parse().ok());
        let (Some(init), Some("ready")) = (init, said.next().as_deref()) else {
            let mut trouble = String::new();
            drop(life);
            let _ = unshare.stderr.take().unwrap().read_to_string(&mut trouble);
            let _ = unshare.wait();
            panic!("no throwaway machine could be made here (it needs to mount and to unshare namespaces):\n{trouble}");
        };
        Self { unshare, life, init, _disk: disk }
    }

    /// A command that runs `program` in the machine, as root, with an environment of its own.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.init.to_string(), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "--", program]);
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

    /// The path by which the host reaches `path` of the machine. No part of it may be a symbolic link, which would be
    /// followed on the host.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    /// The machine's network tables, `/proc/net` in it.
    pub(crate) fn network(&self, table: &str) -> String {
        fs::read_to_string(format!("/proc/{}/net/{table}", self.init)).unwrap_or_default()
    }
}

const ROOT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Drop for Namespaces {
    fn drop(&mut self) {
        drop(self.life.take());
        let _ = self.unshare.wait();
    }
}

/// The system folders that are mounted apart from `/` on this host.
fn separate_file_systems() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<String> = mounts
        .lines()
        .filter_map(|line| {
            // proc(5): the fifth field is the mount point, the first after the dash is the file system's type.
            let (mount, source) = line.split_once(" - ")?;
            let point = mount.split(' ').nth(4)?;
            let system = SYSTEM_FOLDERS.iter().any(|folder| Path::new(point).starts_with(folder));
            let wanted = system && DISK_FILE_SYSTEMS.contains(&source.split(' ').next()?);
            (wanted && Path::new(point).is_dir()).then(|| point.to_owned())
        })
        .collect();
    found.sort();
    found.dedup();
    found
}
