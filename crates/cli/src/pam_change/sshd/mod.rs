//! sshd must let PAM ask its questions: its method `password` cannot.
//!
//! Only what is needed for passwords is changed here. Logins with a key alone never come to PAM's `auth`, and what is to
//! become of them is for the administrator to say: `twofa-admin(7)` has the recipes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use twofa_broker::Failure;

use crate::error::CommandError;
use crate::pam_change::files;
use crate::pam_change::step::Step;

const PROGRAM: &str = "/usr/sbin/sshd";
/// sshd takes the first value that it reads, and reads these files in the order of their names.
const FILE: &str = "/etc/ssh/sshd_config.d/00-twofa.conf";
const TEXT: &str = "\
# By 'twofa pam enable': PAM asks for the password and for the code.
UsePAM yes
KbdInteractiveAuthentication yes
PasswordAuthentication no
";
const KEYS_ALONE: &str = "A login by an ssh key alone is asked for no code: 'WHERE A CODE IS ASKED FOR' in \
                          twofa-admin(7) has the settings for sshd.";
const NOT_IN_USE: &str =
    "sshd does not run and does not show its settings: they were not looked at.";

/// What must change in sshd's configuration before its PAM stack asks for codes, and what the person must know.
pub(super) fn enabling() -> Result<(Option<Step>, Vec<String>), CommandError> {
    if !Path::new(PROGRAM).exists() {
        return Ok((None, Vec::new()));
    }
    let settings = match settings(&[]) {
        Ok(settings) => settings,
        Err(error) if is_running() => return Err(error),
        Err(_) => return Ok((None, vec![NOT_IN_USE.to_owned()])),
    };
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|found| found == value);
    let mut notes = Vec::new();
    if is("pubkeyauthentication", "yes") && is("authenticationmethods", "any") {
        notes.push(KEYS_ALONE.to_owned());
    }
    if let Some(line) = method_password()? {
        return Err(refused(&format!(
            "{line} has it check passwords without PAM's prompts, so no code could be asked for: remove that line first"
        )));
    }
    // Where sshd takes no passwords, none shall be taken because of twofa.
    if !is("passwordauthentication", "yes") {
        return Ok((None, notes));
    }
    let old = files::read_own(FILE)?;
    if old.as_deref().is_some_and(|text| text != TEXT) {
        return Err(refused(&format!(
            "{FILE} has other settings than twofa's, which stay as they are: add 'PasswordAuthentication no', 'UsePAM yes' \
             and 'KbdInteractiveAuthentication yes' there first"
        )));
    }
    let step = Step {
        path: FILE.to_owned(),
        old,
        new: Some(TEXT.to_owned()),
        like: "/etc/ssh/sshd_config".to_owned(),
    };
    Ok((Some(step), notes))
}

/// The file that [`enabling`] has made, if it is as it was made, is removed.
pub(super) fn disabling() -> Result<Option<Step>, CommandError> {
    let old = files::read_own(FILE)?;
    Ok((old.as_deref() == Some(TEXT)).then(|| Step {
        path: FILE.to_owned(),
        old,
        new: None,
        like: FILE.to_owned(),
    }))
}

/// Whether a path is one of sshd's.
pub(super) fn owns(path: &str) -> bool {
    path == FILE
}

/// Has sshd check its configuration and read it again. If the file is there, it must have the effect that it should, for root
/// and `person` too, whom a `Match` block may concern.
pub(super) fn apply(person: Option<&str>) -> Result<(), CommandError> {
    let tested = run(PROGRAM, &["-t"])?;
    if !tested.status.success() {
        return Err(refused(&String::from_utf8_lossy(&tested.stderr)));
    }
    if Path::new(FILE).exists() {
        let users = ["root"].into_iter().chain(person);
        let connections = users.map(|user| format!("user={user},host=localhost,addr=127.0.0.1"));
        for connection in std::iter::once(None).chain(connections.map(Some)) {
            let which = connection
                .as_deref()
                .map_or(Vec::new(), |which| vec!["-C", which]);
            let found = settings(&which)?;
            for (name, value) in [("usepam", "yes"), ("kbdinteractiveauthentication", "yes")] {
                if found.get(name).is_none_or(|found| found != value) {
                    let place = connection.as_deref().unwrap_or("every login");
                    return Err(refused(&format!(
                        "{name} is not {value} for {place}: another line comes before those of {FILE}, or it is not included"
                    )));
                }
            }
        }
    }
    reload()
}

/// Has a running sshd read its configuration.
pub(super) fn reload() -> Result<(), CommandError> {
    if !is_running() {
        return Ok(());
    }
    let unit = if Path::new("/etc/debian_version").exists() {
        "ssh"
    } else {
        "sshd"
    };
    let output = run("systemctl", &["reload", unit])?;
    if output.status.success() {
        Ok(())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(refused(&format!("it cannot be reloaded: {}", said.trim())))
    }
}

fn is_running() -> bool {
    let has_pid = fs::read_to_string("/run/sshd.pid")
        .is_ok_and(|pid| Path::new("/proc").join(pid.trim()).join("exe").exists());
    // It may keep no such file (`PidFile` of `sshd_config(5)`).
    let is_active = |unit| {
        run("systemctl", &["--quiet", "is-active", unit]).is_ok_and(|it| it.status.success())
    };
    has_pid || is_active("ssh") || is_active("sshd")
}

/// The first line of sshd's files, as `FILE:LINE`, that has some logins use the method `password`, which twofa's own settings
/// cannot turn off: it is in a `Match` block, or an `AuthenticationMethods`.
fn method_password() -> Result<Option<String>, CommandError> {
    let mut paths = vec![PathBuf::from("/etc/ssh/sshd_config")];
    if let Ok(entries) = fs::read_dir("/etc/ssh/sshd_config.d") {
        paths.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    paths.retain(|path| path.is_file() && !path.ends_with("00-twofa.conf"));
    paths.sort();
    for path in paths {
        let shown = path.display().to_string();
        let text = fs::read(&path).map_err(|error| files::failed(&shown, &error))?;
        if let Some(line) = line_with_password(&String::from_utf8_lossy(&text)) {
            return Ok(Some(format!("{shown}:{line}")));
        }
    }
    Ok(None)
}

/// The number of the first such line of a file.
fn line_with_password(text: &str) -> Option<usize> {
    let mut in_match = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.replace('=', " ").to_ascii_lowercase();
        let mut words = line.split_whitespace();
        let found = match words.next() {
            Some("match") => {
                in_match = !words.eq(["all"]);
                false
            }
            Some("passwordauthentication") => in_match && words.next() == Some("yes"),
            Some("authenticationmethods") => {
                words.any(|list| list.split(',').any(|method| method == "password"))
            }
            _ => false,
        };
        if found {
            return Some(index + 1);
        }
    }
    None
}

fn settings(arguments: &[&str]) -> Result<BTreeMap<String, String>, CommandError> {
    let output = run(PROGRAM, &[&["-T"], arguments].concat())?;
    if !output.status.success() {
        return Err(refused(&String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect())
}

fn refused(said: &str) -> CommandError {
    CommandError::new(Failure::Failed, format!("sshd: {}", said.trim()))
}

fn run(program: &str, arguments: &[&str]) -> Result<Output, CommandError> {
    Command::new(program)
        .args(arguments)
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .stdin(Stdio::null())
        .output()
        .map_err(|error: io::Error| files::failed(program, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_by_which_some_use_the_method_password_are_found() {
        for (text, line) in [
            ("PasswordAuthentication yes\n", None),
            ("Match User bob\n  PasswordAuthentication no\n", None),
            ("Match User bob\n  PasswordAuthentication yes\n", Some(2)),
            (
                "Match User bob\nMatch all\nPasswordAuthentication yes\n",
                None,
            ),
            ("#AuthenticationMethods password\n", None),
            (
                "AuthenticationMethods publickey,keyboard-interactive\n",
                None,
            ),
            (
                "\nauthenticationmethods=publickey publickey,password\n",
                Some(2),
            ),
        ] {
            assert_eq!(line_with_password(text), line, "{text}");
        }
    }
}
