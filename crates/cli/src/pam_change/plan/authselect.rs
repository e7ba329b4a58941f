//! Fedora's and EL's way: a profile of authselect, which writes the lines that services share.
//!
//! authselect replaces its files one after the other and keeps its own record of them, so it makes the change itself. What
//! it would write is known before, and the old profile, selected again, brings back all of what it had written.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::{Deserialize, Serialize};
use twofa_broker::Failure;

use super::super::files;
use super::super::step::{OWN, Step};
use crate::error::CommandError;

const PROGRAM: &str = "authselect";
/// The profile that asks: see packaging/authselect.
const PROFILE: &str = "twofa";
const PROFILES: [&str; 2] = [
    "/usr/share/authselect/vendor",
    "/usr/share/authselect/default",
];
const CUSTOM: &str = "/etc/authselect/custom";
/// What services include for passwords. What these two have by a feature, the profile must have too.
const SHARED: [&str; 2] = ["system-auth", "password-auth"];
/// Those that our profile follows: local users, and those of SSSD.
const ALIKE: [&str; 3] = ["sssd", "local", "minimal"];

/// A change of the profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in super::super) struct Selection {
    /// The profile and its features, as `authselect select` takes them.
    pub(in super::super) old: Vec<String>,
    pub(in super::super) new: Vec<String>,
}

pub(in super::super) fn exists() -> bool {
    run(&["current", "--raw"]).is_ok_and(|output| output.status.success())
}

/// The profile to select, and the files that authselect would write; `None`: it is selected.
/// `earlier` is the profile that the latest change to one replaced.
pub(in super::super) fn plan(
    asks: bool,
    earlier: impl FnOnce(&str) -> Option<String>,
) -> Result<Option<(Selection, Vec<Step>)>, CommandError> {
    let old = current()?;
    if (old[0] == PROFILE) == asks {
        return Ok(None);
    }
    let checked = run(&["check"])?;
    if !checked.status.success() {
        return Err(CommandError::new(
            Failure::Failed,
            "authselect's files have been edited by hand: 'authselect check' says which",
        )
        .hinted("nothing was changed. 'authselect select' with --force writes them again, without these edits"));
    }
    let new = if asks {
        fits(&old)?;
        PROFILE.to_owned()
    } else {
        earlier(PROFILE).unwrap_or_else(default_profile)
    };
    let new: Vec<_> = [new].into_iter().chain(old[1..].iter().cloned()).collect();
    let steps = generated(&new)?;
    Ok(Some((Selection { old, new }, steps)))
}

impl Selection {
    /// Makes the change. authselect holds `lock` until it ends, even if this process is killed meanwhile, so that nobody
    /// selects the old profile at the same time.
    pub(in super::super) fn make(&self, lock: &File) -> Result<(), CommandError> {
        select(&self.new, &["--quiet"], Stdio::from(lock.try_clone()?))
    }

    /// Whatever authselect has written of the new profile. It keeps what it finds, which may be somebody's since, as a backup
    /// of its own.
    pub(in super::super) fn undo(&self) -> Result<(), CommandError> {
        if current().is_ok_and(|now| now != self.old && now != self.new) {
            // Somebody has selected another one since.
            return Ok(());
        }
        let options = ["--quiet", "--force"];
        select(&self.old, &options, Stdio::null())
    }
}

fn select(profile: &[String], options: &[&str], input: Stdio) -> Result<(), CommandError> {
    let words = profile.iter().map(String::as_str);
    let words: Vec<_> = ["select"].into_iter().chain(words).collect();
    said(&run_with(&[&words, options].concat(), input)?)?;
    Ok(())
}

fn current() -> Result<Vec<String>, CommandError> {
    let text = said(&run(&["current", "--raw"])?)?;
    let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() {
        return Err(failed("no profile is selected"));
    }
    Ok(words)
}

/// The profile that a machine without an earlier one would have.
fn default_profile() -> String {
    let found = ALIKE.iter().find(|profile| folder(profile).is_some());
    (*found.unwrap_or(&ALIKE[0])).to_owned()
}

/// Fails if twofa's profile would lack what the present one has.
fn fits(old: &[String]) -> Result<(), CommandError> {
    let (profile, features) = (&old[0], &old[1..]);
    let hint = format!(
        "nothing was changed. 'twofa pam enable' with names of services changes their own files; or put twofa's lines into a \
         custom profile based on {profile}, as twofa's profile ({}/{PROFILE}) has them",
        PROFILES[0]
    );
    let Some(ours) = folder(PROFILE) else {
        let message = format!("authselect has no profile {PROFILE}: the package twofa installs it");
        return Err(failed(&message).hinted(hint));
    };
    if !ALIKE.contains(&profile.as_str()) {
        let message =
            format!("the profile {profile} is selected, which {PROFILE} does not replace");
        return Err(failed(&message).hinted(hint));
    }
    let (mut known, mut of_shared) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(&ours).into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let found = features.iter().filter(|feature| names(&text, feature));
        known.extend(found.clone());
        if SHARED.iter().any(|name| entry.path().ends_with(name)) {
            of_shared.extend(found);
        }
    }
    let has = |feature: &&String| {
        let theirs = folder(profile);
        let texts = SHARED
            .iter()
            .filter_map(|name| fs::read_to_string(theirs.as_ref()?.join(name)).ok());
        let is_shared = texts.into_iter().any(|text| names(&text, feature));
        known.contains(feature) && (!is_shared || of_shared.contains(feature))
    };
    match features.iter().find(|feature| !has(feature)) {
        None => Ok(()),
        Some(feature) => {
            let message =
                format!("the profile {PROFILE} has no feature {feature}, which {profile} has here");
            Err(failed(&message).hinted(hint))
        }
    }
}

/// Whether a template has a line or a word by this feature, see authselect-profiles(5).
fn names(template: &str, feature: &str) -> bool {
    template.contains(&format!("\"{feature}\""))
}

fn folder(profile: &str) -> Option<PathBuf> {
    let path = match profile.strip_prefix("custom/") {
        Some(name) => Path::new(CUSTOM).join(name),
        None => {
            return PROFILES
                .iter()
                .map(|folder| Path::new(folder).join(profile))
                .find(|path| path.exists());
        }
    };
    path.exists().then_some(path)
}

/// The PAM files as `authselect test` prints them: under the line `File PATH:`.
fn generated(profile: &[String]) -> Result<Vec<Step>, CommandError> {
    let words = profile.iter().map(String::as_str);
    let words: Vec<_> = ["test"].into_iter().chain(words).collect();
    let text = said(&run(&words)?)?;
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        let path = line
            .strip_prefix("File ")
            .and_then(|rest| rest.strip_suffix(':'));
        if let Some(name) = path.and_then(|path| path.rsplit('/').next()) {
            let path = format!("{OWN}/{name}");
            steps.push(Step {
                old: fs::read_to_string(&path)
                    .ok()
                    .map(|text| without_comments(&text)),
                new: Some(String::new()),
                like: path.clone(),
                path,
            });
        } else if let Some(Step { new: Some(new), .. }) = steps.last_mut()
            && !line.is_empty()
        {
            new.push_str(line);
            new.push('\n');
        }
    }
    // nsswitch.conf and dconf's files are printed as well; a file that stays as it is needs no step.
    steps.retain(|step| step.old.is_some() && step.old != step.new);
    Ok(steps)
}

/// authselect writes a warning above each file.
fn without_comments(text: &str) -> String {
    let lines = text
        .split_inclusive('\n')
        .filter(|line| !line.trim_end().is_empty() && !line.starts_with('#'));
    lines.collect()
}

fn run(arguments: &[&str]) -> Result<Output, CommandError> {
    run_with(arguments, Stdio::null())
}

fn run_with(arguments: &[&str], input: Stdio) -> Result<Output, CommandError> {
    Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(input)
        .output()
        .map_err(|error: io::Error| files::failed(PROGRAM, &error))
}

fn said(output: &Output) -> Result<String, CommandError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = [&output.stderr[..], &output.stdout[..]].concat();
    Err(failed(String::from_utf8_lossy(&text).trim()))
}

fn failed(why: &str) -> CommandError {
    CommandError::new(Failure::Failed, format!("authselect: {why}"))
}
