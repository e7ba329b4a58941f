//! The old files, and the way back to them.
//!
//! A directory a change has the old files under their own paths, for people, and `steps.json`, for [`recover_pending`]. While
//! a change is not final, the file `pending` names its directory. Both are on disk before the first file changes.
//!
//! If this process dies before that, a second one, which waits for its lock, brings the old files back. If both die, as when
//! the power fails, `twofa-pam-recover.service` does at boot, or the next `twofa pam enable`, `disable` or `recover`. Until
//! then the machine is in a state that the prover has accepted.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use twofa_broker::admin::pam::PENDING_CHANGE;

use super::files;
use super::plan::authselect::Selection;
use super::policy::PolicyStep;
use super::sshd;
use super::step::{FOLDER, Step};
use crate::error::CommandError;

const STEPS: &str = "steps.json";
/// So many changes can be looked at afterwards.
const KEPT: usize = 20;

/// A file that a change has replaced, or made.
#[derive(Debug, Serialize, Deserialize)]
struct Old {
    path: String,
    /// It was there before the first change of it.
    existed: bool,
    /// What the change made of it; `None`: it was removed.
    new: Option<String>,
}

/// A change, as it is kept with the old files.
#[derive(Debug, Serialize, Deserialize)]
struct Steps {
    policy: Option<PolicyStep>,
    selection: Option<Selection>,
    files: Vec<Old>,
}

/// A change that is not final yet.
pub(super) struct Record {
    folder: PathBuf,
    watcher: Child,
}

impl Record {
    /// Keeps the old files of these steps, and starts the process that brings them back if this one dies.
    pub(super) fn begin(
        all: &[Step],
        policy: Option<&PolicyStep>,
        selection: Option<&Selection>,
    ) -> Result<Self, CommandError> {
        let folder = new_folder().map_err(|error| files::failed(FOLDER, &error))?;
        let keep = || -> io::Result<Child> {
            let mut old_files = Vec::new();
            for (at, step) in all.iter().enumerate() {
                // A file that changes twice is kept as it was at first.
                let is_first = all[..at].iter().all(|known| known.path != step.path);
                if let (true, Some(text)) = (is_first, &step.old) {
                    let copy = copy(&folder, &step.path);
                    if let Some(above) = copy.parent() {
                        private_folder(above)?;
                    }
                    files::write(&copy, text, Path::new(&step.path))?;
                    sync_up_to(&copy, &folder)?;
                }
                old_files.push(Old {
                    path: step.path.clone(),
                    existed: step.old.is_some(),
                    new: step.new.clone(),
                });
            }
            let steps = Steps {
                policy: policy.cloned(),
                selection: selection.cloned(),
                files: old_files,
            };
            let text = serde_json::to_string_pretty(&steps)?;
            let none = "/nonexistent";
            files::replace(&folder.join(STEPS).display().to_string(), Some(&text), none)?;
            File::open(FOLDER)?.sync_all()?;
            let watcher = watcher()?;
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            files::replace(PENDING_CHANGE, Some(&name), none)?;
            Ok(watcher)
        };
        let watcher =
            keep().map_err(|error| files::failed(&folder.display().to_string(), &error))?;
        Ok(Self { folder, watcher })
    }

    /// Makes the change final. Returns where the old files are.
    pub(super) fn commit(self) -> Result<String, CommandError> {
        let folder = self.folder.display().to_string();
        // If it fails, the second process brings the old files back when this one ends.
        files::replace(PENDING_CHANGE, None, "")
            .map_err(|error| files::failed(PENDING_CHANGE, &error))?;
        self.dismiss();
        Ok(folder)
    }

    /// Brings the old files back.
    pub(super) fn roll_back(self) -> Result<(), CommandError> {
        // If it fails, the second process tries once more when this one ends.
        recover_pending()?;
        self.dismiss();
        Ok(())
    }

    /// The second process has nothing left to do.
    fn dismiss(mut self) {
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
    }
}

/// Held while PAM files are changed, until it is dropped. Waits for other processes that do so.
pub(super) fn lock() -> Result<File, CommandError> {
    let path = Path::new(FOLDER).join("lock");
    let take = || -> io::Result<File> {
        private_folder(Path::new(FOLDER))?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        file.lock()?;
        Ok(file)
    };
    take().map_err(|error| files::failed(&path.display().to_string(), &error))
}

/// Brings back the files from before a change that is not final. Returns whether there was one.
pub(super) fn recover_pending() -> Result<bool, CommandError> {
    let name = match fs::read_to_string(PENDING_CHANGE) {
        Ok(name) => name,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(files::failed(PENDING_CHANGE, &error)),
    };
    let folder = Path::new(FOLDER).join(name);
    let failed = |error: io::Error| files::failed(&folder.display().to_string(), &error);
    let text = fs::read_to_string(folder.join(STEPS)).map_err(failed)?;
    let steps: Steps = serde_json::from_str(&text).map_err(|error| failed(error.into()))?;
    // sshd asks for as long as its stack does, so its file waits for the profile. The policy waits for neither.
    let selected = steps.selection.as_ref().map_or(Ok(()), Selection::undo);
    let restored = selected.and_then(|()| restore_files(&folder, &steps.files).map_err(failed));
    let policy = steps.policy.as_ref().map_or(Ok(()), PolicyStep::undo);
    restored.and(policy)?;
    files::replace(PENDING_CHANGE, None, "").map_err(failed)?;
    Ok(true)
}

fn restore_files(folder: &Path, all: &[Old]) -> io::Result<()> {
    for old in all {
        old.check(folder, all)?;
    }
    for (at, old) in all.iter().enumerate().rev() {
        if all[..at].iter().any(|known| known.path == old.path) {
            continue;
        }
        files::remove_rest(&old.path)?;
        let copy = copy(folder, &old.path);
        let text = if old.existed {
            Some(fs::read_to_string(&copy)?)
        } else {
            None
        };
        files::replace(&old.path, text.as_deref(), &copy.display().to_string())?;
        if sshd::owns(&old.path) {
            // The old file is there, and nothing better can be done if sshd does not read it.
            let _ = sshd::reload();
        }
    }
    Ok(())
}

/// The profile of authselect that the latest change to `new` replaced.
pub(super) fn profile_before(new: &str) -> Option<String> {
    let found = numbers().ok()?.into_iter().rev().find_map(|number| {
        let text = fs::read_to_string(numbered(number).join(STEPS)).ok()?;
        let selection = serde_json::from_str::<Steps>(&text).ok()?.selection?;
        (selection.new.first()? == new).then_some(selection.old)
    });
    found?.into_iter().next()
}

/// Whether a change is not final.
pub(super) fn is_pending() -> bool {
    Path::new(PENDING_CHANGE).exists()
}

impl Old {
    /// Fails if somebody else has changed the file since: what they did must not be lost.
    fn check(&self, folder: &Path, all: &[Self]) -> io::Result<()> {
        let read = |path: &Path| match fs::read(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let now = read(Path::new(&self.path))?;
        let old = read(&copy(folder, &self.path))?;
        let mut steps = all.iter().filter(|step| step.path == self.path);
        if now == old || steps.any(|step| now.as_deref() == step.new.as_deref().map(str::as_bytes))
        {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{} has been changed since an interrupted change of it: put back by hand what you need of this directory, then \
             remove {}",
            self.path, PENDING_CHANGE
        )))
    }
}

/// This program once more. It waits for the lock, and so for the end of this process.
fn watcher() -> io::Result<Child> {
    Command::new("/proc/self/exe")
        .args(["pam", "recover"])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn copy(folder: &Path, path: &str) -> PathBuf {
    folder.join(path.trim_start_matches('/'))
}

/// A directory that no earlier change has: 1, 2, 3 … Of the earlier ones, the oldest make room for it. None of them is that
/// of a pending change: a new change begins when no other is pending.
fn new_folder() -> io::Result<PathBuf> {
    let numbers = numbers()?;
    let new = numbered(numbers.last().map_or(1, |last| last.saturating_add(1)));
    let surplus = (numbers.len() + 1).saturating_sub(KEPT);
    for old in &numbers[..surplus] {
        fs::remove_dir_all(numbered(*old))?;
    }
    DirBuilder::new().mode(0o700).create(&new)?;
    Ok(new)
}

/// The numbers of the changes that are kept, in order.
fn numbers() -> io::Result<Vec<u32>> {
    let names =
        fs::read_dir(FOLDER)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut numbers: Vec<u32> = names.filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn numbered(number: u32) -> PathBuf {
    Path::new(FOLDER).join(number.to_string())
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}

/// Syncs the directories from that of `file` up to `top`.
fn sync_up_to(file: &Path, top: &Path) -> io::Result<()> {
    for folder in file.ancestors().skip(1) {
        File::open(folder)?.sync_all()?;
        if folder == top {
            break;
        }
    }
    Ok(())
}
