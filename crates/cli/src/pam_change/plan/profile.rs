//! Debian's way: the profile in `/usr/share/pam-configs`, by which pam-auth-update writes the lines that services share.
//!
//! pam-auth-update runs on a copy of what it reads and writes. What it makes of that is the plan, and the files are replaced
//! as all others are, so that every step can be proved before and undone after.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use twofa_broker::Failure;
use twofa_stacks::{FileLine, LineReading};

use super::super::files;
use super::super::step::{COMMON_AUTH, FOLDER, Step};
use crate::error::CommandError;

const PROFILE: &str = "/usr/share/pam-configs/twofa";
const PROGRAM: &str = "/usr/sbin/pam-auth-update";
/// What it reads and writes, in the order in which the files are replaced when the profile is enabled.
const FOLDERS: [&str; 3] = ["/etc/pam.d", "/usr/share/pam-configs", "/var/lib/pam"];
/// Replaced in this order, and in the opposite one when the profile is disabled: the line that asks is there before and
/// after the one that confirms.
const FIRST: [&str; 2] = [COMMON_AUTH, "/etc/pam.d/common-account"];

pub(super) fn exists() -> bool {
    Path::new(PROFILE).exists() && Path::new(PROGRAM).exists()
}

/// What pam-auth-update would change.
pub(super) fn steps(enables: bool) -> Result<Vec<Step>, CommandError> {
    let root = PathBuf::from(FOLDER).join("trial");
    let result = run(&root, enables).map_err(|error| files::failed(PROGRAM, &error));
    let steps = result.and_then(|()| changed(&root));
    let _ = fs::remove_dir_all(&root);
    let mut steps = steps?;
    steps.sort_by_key(|step| {
        let place = FIRST.iter().position(|path| *path == step.path);
        match (place, enables) {
            (Some(place), true) => place,
            (Some(place), false) => FIRST.len() - 1 - place,
            (None, _) => FIRST.len(),
        }
    });
    let has_line = fs::read_to_string(COMMON_AUTH).is_ok_and(|text| {
        let lines = FileLine::all(&text, LineReading::Unknown);
        lines.iter().any(FileLine::is_own)
    });
    if !steps.iter().any(|step| step.path == COMMON_AUTH) && has_line != enables {
        let message =
            "pam-auth-update leaves /etc/pam.d/common-* as they are: they have been edited by hand";
        return Err(CommandError::new(Failure::Failed, message)
            .hinted("'pam-auth-update --force' writes them again, without these edits"));
    }
    Ok(steps)
}

fn run(root: &Path, enables: bool) -> io::Result<()> {
    let _ = fs::remove_dir_all(root);
    for folder in FOLDERS {
        let copy = below(root, folder);
        fs::create_dir_all(&copy)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), copy.join(entry.file_name()))?;
            }
        }
    }
    let action = if enables { "--enable" } else { "--disable" };
    let output = Command::new(PROGRAM)
        .arg("--root")
        .arg(root)
        .args([action, "twofa"])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(said.trim().to_owned()))
}

fn changed(root: &Path) -> Result<Vec<Step>, CommandError> {
    let mut steps = Vec::new();
    for folder in [FOLDERS[0], FOLDERS[2]] {
        let copy = below(root, folder);
        let mut names: Vec<_> = fs::read_dir(&copy)
            .map_err(|error| files::failed(folder, &error))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        for name in names {
            let path = format!("{folder}/{name}");
            let new = fs::read(copy.join(&name)).map_err(|error| files::failed(&path, &error))?;
            if fs::read(&path).is_ok_and(|old| old == new) || name.ends_with("-old") {
                continue;
            }
            let old = files::read_own(&path)?;
            let new = String::from_utf8_lossy(&new).into_owned();
            steps.push(Step {
                like: path.clone(),
                path,
                old,
                new: Some(new),
            });
        }
    }
    Ok(steps)
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}
