//! sshd itself: its program, which says what it makes of its files, and the running one, which must read them again.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use twofa_broker::Failure;
use twofa_broker::sshd::config::ConfigError;
use twofa_broker::sshd::connection::Connection;

use super::accounts::is_root;
use super::ways::{Settings, Way};
use crate::error::CommandError;
use crate::pam_change::files;

pub(super) const PROGRAM: &str = "/usr/sbin/sshd";
pub(super) const CLIENT: &str = "/usr/bin/ssh";
/// sshd takes the first value that it reads, and reads these files in the order of their names.
pub(super) const FILE: &str = "/etc/ssh/sshd_config.d/00-twofa.conf";
/// sshd's directory, which its unit makes.
pub(super) const RUN: &str = "/run/sshd";
/// How long sshd may take to listen again.
const RELOAD: Duration = Duration::from_secs(10);

/// Whether a path is one of sshd's.
pub(in crate::pam_change) fn owns(path: &str) -> bool {
    path == FILE
}

/// The ways in that a login of `user` has from this machine, as sshd would read its files now.
pub(super) fn ways_now(user: &str) -> Result<(Settings, Vec<Way>), CommandError> {
    let settings = Settings::read(&ask_for(user).map_err(|said| refused(&said))?);
    let ways = settings.ways(is_root(user));
    Ok((settings, ways))
}

/// The settings for a login of `user` from this machine, by its files as they are.
pub(super) fn ask_for(user: &str) -> Result<String, String> {
    let settings = |port: &str| {
        let connection = Connection::local(user, port).to_string();
        ask(&["-T", "-C", &connection])
    };
    let text = settings("22")?;
    let port = Settings::read(&text).value("port").to_owned();
    if port == "22" {
        return Ok(text);
    }
    settings(&port)
}

/// Has a running sshd read its configuration, and waits until it has.
pub(in crate::pam_change) fn reload() -> Result<(), CommandError> {
    if !is_running() {
        return Ok(());
    }
    let unit = if Path::new("/etc/debian_version").exists() {
        "ssh"
    } else {
        "sshd"
    };
    let before = pid_file();
    let output = run("systemctl", &["reload", unit])?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(refused(&format!("it cannot be reloaded: {}", said.trim())));
    }
    // It writes the file once it listens. Without one (`PidFile` of sshd_config(5)) there is nothing to wait for.
    let end = Instant::now() + RELOAD;
    while before.is_some() && pid_file() == before && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// When sshd wrote the file with its process id.
fn pid_file() -> Option<std::time::SystemTime> {
    fs::metadata("/run/sshd.pid").ok()?.modified().ok()
}

/// Whether systemd starts it when somebody connects. Until then, it lacks its directory and shows no settings.
pub(super) fn starts_on_demand() -> bool {
    ["ssh.socket", "sshd.socket"]
        .iter()
        .any(|unit| is_active(unit))
}

fn is_active(unit: &str) -> bool {
    run("systemctl", &["--quiet", "is-active", unit]).is_ok_and(|it| it.status.success())
}

pub(super) fn is_running() -> bool {
    let has_pid = fs::read_to_string("/run/sshd.pid")
        .is_ok_and(|pid| Path::new("/proc").join(pid.trim()).join("exe").exists());
    // It may keep no such file (`PidFile` of `sshd_config(5)`).
    has_pid || is_active("ssh") || is_active("sshd")
}

/// What sshd prints, or what it complains of.
pub(super) fn ask(arguments: &[&str]) -> Result<String, String> {
    let output = run(PROGRAM, arguments).map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

pub(super) fn refused(said: &str) -> CommandError {
    CommandError::new(Failure::Failed, format!("sshd: {}", said.trim()))
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::File { path, error } => files::failed(&path, &error),
            ConfigError::Refused(said) => refused(&said),
        }
    }
}

pub(super) fn run(program: &str, arguments: &[&str]) -> Result<Output, CommandError> {
    clean(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error: io::Error| files::failed(program, &error))
}

/// A program without this one's environment.
pub(super) fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env(
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    command
}
