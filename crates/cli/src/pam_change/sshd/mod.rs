//! sshd's side of a change: what it accepts, and that PAM can ask there.
//!
//! sshd's method `password` can show no prompt, and a login with a key does not come to PAM's `auth` at all unless
//! `AuthenticationMethods` demands it. [`settings`] says what to write for the ways in that sshd has now ([`ways`]), and
//! [`stack`] what PAM needs for people with a key. [`config`] reads the files with all that they include and asks sshd about
//! copies of them, for [`connections`] that stand for each `Match` block; [`checks`] finds those which a change would keep
//! out, or let in with less. [`proof`] logs in, with a key and with a password. [`block`] finds our lines again.

mod block;
mod checks;
mod config;
mod connections;
pub(super) mod proof;
mod settings;
pub(super) mod stack;
mod ways;

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use twofa_broker::Failure;

use self::checks::Check;
use self::connections::Connection;
use self::ways::{Settings, Way};
use super::files;
use super::step::Step;
use crate::error::CommandError;

const PROGRAM: &str = "/usr/sbin/sshd";
/// sshd takes the first value that it reads, and reads these files in the order of their names.
const FILE: &str = "/etc/ssh/sshd_config.d/00-twofa.conf";
/// sshd's directory, which its unit makes.
const RUN: &str = "/run/sshd";
/// How long sshd may take to listen again.
const RELOAD: Duration = Duration::from_secs(10);
const NOT_IN_USE: &str =
    "sshd does not run and does not show its settings: they were not looked at.";

/// What becomes of logins with an ssh key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Keys {
    /// A code is asked for after the key.
    #[default]
    Ask,
    /// The same, and nobody gets in without a key.
    Require,
    /// A key is enough.
    Trust,
}

/// What changes in sshd's settings.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) step: Option<Step>,
    /// What the person must know.
    pub(super) notes: Vec<String>,
    /// PAM's stack must let a key take the place of the password.
    pub(super) needs_key_stack: bool,
    /// There is an sshd whose settings matter.
    is_used: bool,
    /// What must hold when the file is replaced.
    checks: Vec<Check>,
}

/// What must change before sshd's stack asks for codes. `person` logs in, if that is known.
/// `skips`: after a key, PAM asks for no password now.
pub(super) fn enabling(keys: Keys, person: &str, skips: bool) -> Result<Change, CommandError> {
    match unused()? {
        None => checks::enabling(keys, person, skips),
        Some(change) => Ok(change),
    }
}

/// What [`enabling`] has written is taken off, and what others have written stays.
pub(super) fn disabling(person: &str) -> Result<Change, CommandError> {
    let old = files::read_own(FILE)?;
    if !old.as_deref().is_some_and(block::has) {
        return Ok(Change {
            is_used: unused()?.is_none(),
            ..Change::default()
        });
    }
    let rest = settings::rest(old.as_deref().unwrap_or_default());
    let new = (!rest.trim().is_empty()).then_some(rest);
    let is_used = unused()?.is_none();
    let checks = if is_used {
        checks::disabling(old.as_deref(), new.as_deref(), person)?
    } else {
        Vec::new()
    };
    Ok(Change {
        is_used,
        step: Some(Step {
            path: FILE.to_owned(),
            old,
            new,
            like: FILE.to_owned(),
        }),
        checks,
        ..Change::default()
    })
}

/// Where there is no sshd whose settings matter, what is to be said about that.
fn unused() -> Result<Option<Change>, CommandError> {
    if !Path::new(PROGRAM).exists() {
        return Ok(Some(Change::default()));
    }
    let mut shown = ask_for("root");
    if shown.is_err() && starts_on_demand() && fs::create_dir_all(RUN).is_ok() {
        shown = ask_for("root");
    }
    match shown {
        Ok(_) => Ok(None),
        Err(said) if is_running() => Err(refused(&said)),
        Err(_) => Ok(Some(Change {
            notes: vec![NOT_IN_USE.to_owned()],
            ..Change::default()
        })),
    }
}

/// Whether a path is one of sshd's.
pub(super) fn owns(path: &str) -> bool {
    path == FILE
}

impl Change {
    /// Has sshd check the files as they are now, for all connections that were looked at before, and read them again.
    pub(super) fn apply(&self) -> Result<(), CommandError> {
        if !self.is_used {
            return Ok(());
        }
        ask(&["-t"]).map_err(|said| refused(&said))?;
        for check in &self.checks {
            check.repeat()?;
        }
        reload()
    }

    /// Whether there is an sshd, and a client to log in with.
    pub(super) fn can_log_in(&self) -> bool {
        self.is_used && Path::new(proof::CLIENT).exists()
    }
}

/// The ways in that a login of `user` has from this machine, as sshd would read its files now.
fn ways_now(user: &str) -> Result<(Settings, Vec<Way>), CommandError> {
    let settings = Settings::read(&ask_for(user).map_err(|said| refused(&said))?);
    let ways = settings.ways(checks::is_root(user));
    Ok((settings, ways))
}

/// The settings for a login of `user` from this machine, by its files as they are.
fn ask_for(user: &str) -> Result<String, String> {
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
pub(super) fn reload() -> Result<(), CommandError> {
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
fn starts_on_demand() -> bool {
    ["ssh.socket", "sshd.socket"]
        .iter()
        .any(|unit| is_active(unit))
}

fn is_active(unit: &str) -> bool {
    run("systemctl", &["--quiet", "is-active", unit]).is_ok_and(|it| it.status.success())
}

fn is_running() -> bool {
    let has_pid = fs::read_to_string("/run/sshd.pid")
        .is_ok_and(|pid| Path::new("/proc").join(pid.trim()).join("exe").exists());
    // It may keep no such file (`PidFile` of `sshd_config(5)`).
    has_pid || is_active("ssh") || is_active("sshd")
}

/// What sshd prints, or what it complains of.
fn ask(arguments: &[&str]) -> Result<String, String> {
    let output = run(PROGRAM, arguments).map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn refused(said: &str) -> CommandError {
    CommandError::new(Failure::Failed, format!("sshd: {}", said.trim()))
}

fn run(program: &str, arguments: &[&str]) -> Result<Output, CommandError> {
    clean(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error: io::Error| files::failed(program, &error))
}

/// A program without this one's environment.
fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env(
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    command
}
