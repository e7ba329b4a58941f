//! sshd itself: its program, which says what it makes of its files, and the running one, which must read them again.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
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
/// Where it writes its process id.
const PID_FILE: &str = "/run/sshd.pid";
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

/// Has a running sshd read its configuration, and waits until it has. Fails if that takes too long.
pub(in crate::pam_change) fn reload() -> Result<(), CommandError> {
    let (unit, listener) = (unit(), listener());
    let before = pid_file();
    match (unit, listener) {
        (Some(unit), _) => {
            let output = run("systemctl", &["reload", unit])?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(refused(&format!("it cannot be reloaded: {}", said.trim())));
            }
        }
        // As its unit does: with settings that it cannot read, it would end.
        (None, Some(pid)) => {
            ask(&["-t"]).map_err(|said| refused(&said))?;
            kill(pid, Signal::SIGHUP)
                .map_err(|error| refused(&format!("it cannot be reloaded: {error}")))?;
        }
        (None, None) => return Ok(()),
    }
    // It writes the file once it listens. Without one (`PidFile` of sshd_config(5)) there is nothing to wait for.
    if listener.is_none() {
        return Ok(());
    }
    let end = Instant::now() + RELOAD;
    while pid_file() == before {
        if Instant::now() > end {
            let seconds = RELOAD.as_secs();
            return Err(refused(&format!(
                "it has not read its settings again within {seconds} seconds"
            )));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// When sshd wrote the file with its process id.
fn pid_file() -> Option<std::time::SystemTime> {
    fs::metadata(PID_FILE).ok()?.modified().ok()
}

/// The sshd that listens, by the file that it writes; `None`: there is none, or another process has the number by now.
fn listener() -> Option<Pid> {
    let pid = fs::read_to_string(PID_FILE).ok()?.trim().parse().ok()?;
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    is_sshd(&program).then_some(Pid::from_raw(pid))
}

/// Whether a process that runs this file is sshd's, as `/proc` has it: also after an upgrade has replaced the file.
fn is_sshd(program: &Path) -> bool {
    let name = program.to_str().unwrap_or_default();
    name.strip_suffix(" (deleted)").unwrap_or(name) == PROGRAM
}

/// The unit of systemd's that runs it.
fn unit() -> Option<&'static str> {
    ["ssh", "sshd"].into_iter().find(|unit| is_active(unit))
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

/// Whether it listens. It may keep no file with its process id (`PidFile` of `sshd_config(5)`).
pub(super) fn is_running() -> bool {
    listener().is_some() || unit().is_some()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_of_sshds_gets_its_signal() {
        for (program, is_its) in [
            ("/usr/sbin/sshd", true),
            ("/usr/sbin/sshd (deleted)", true),
            ("/usr/bin/sleep", false),
            ("/home/alice/sshd", false),
            ("/home/alice/usr/sbin/sshd", false),
        ] {
            assert_eq!(is_sshd(Path::new(program)), is_its, "{program}");
        }
    }
}
