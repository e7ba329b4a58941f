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

use twofa_broker::Failure;
use twofa_broker::admin::pam::{Machine, PENDING_CHANGE};
use twofa_stacks::File as PamFile;
use twofa_stacks::change::Goal;

use super::check;
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
    let restored = selected.and_then(|()| restore_files(&folder, &steps.files));
    let policy = steps.policy.as_ref().map_or(Ok(()), PolicyStep::undo);
    match (restored, policy) {
        (Err(files), Err(policy)) => return Err(files.and(&policy)),
        (files, policy) => files.and(policy)?,
    }
    files::replace(PENDING_CHANGE, None, "").map_err(failed)?;
    Ok(true)
}

/// Brings back those of the files that nobody else has changed since, if that is safe beside the others. Fails if there are
/// others, which stay as they are.
fn restore_files(folder: &Path, all: &[Old]) -> Result<(), CommandError> {
    let first = all.iter().enumerate();
    let first = first.filter(|(at, old)| all[..*at].iter().all(|known| known.path != old.path));
    let (mut restored, mut edited) = (Vec::new(), None);
    for (_, old) in first {
        let failed = |error| files::failed(&old.path, &error);
        if old.is_edited(folder, all).map_err(failed)? {
            edited = edited.or(Some(&old.path));
        } else {
            restored.push((old, old.text(folder).map_err(failed)?));
        }
    }
    if let Some(edited) = edited {
        prove_mixture(&restored)
            .map_err(|error| error.and(&kept(edited, folder, "no file was")))?;
    }
    let mut reloaded = Ok(());
    for (old, text) in restored.into_iter().rev() {
        let failed = |error| files::failed(&old.path, &error);
        let copy = copy(folder, &old.path).display().to_string();
        files::remove_rest(&old.path).map_err(failed)?;
        files::replace(&old.path, text.as_deref(), &copy).map_err(failed)?;
        if sshd::owns(&old.path) {
            // The other files need not wait for sshd.
            reloaded = sshd::reload();
        }
    }
    let kept = edited.map(|edited| kept(edited, folder, "the others were"));
    match (kept, reloaded) {
        (Some(kept), Ok(())) => Err(kept),
        (Some(kept), Err(error)) => Err(error.and(&kept)),
        (None, reloaded) => reloaded,
    }
}

/// Asks the prover about files as they were before the change, beside the others as they are now.
fn prove_mixture(restored: &[(&Old, Option<String>)]) -> Result<(), CommandError> {
    let now = Machine::this();
    let old = restored.iter().map(|(old, text)| {
        let file = text.clone().map_or(PamFile::Missing, PamFile::Text);
        (old.path.clone(), file)
    });
    let paths: Vec<_> = restored.iter().map(|(old, _)| old.path.as_str()).collect();
    check::compare(&now, &now.overlaid(old.collect()), &paths, |_| Goal::Safe)
}

/// Of a file that somebody else has changed: what they did must not be lost.
fn kept(edited: &str, folder: &Path, others: &str) -> CommandError {
    let message = format!(
        "{edited} has been changed since an interrupted change of it, and stays as it is; {others} brought back"
    );
    CommandError::new(Failure::Failed, message).hinted(format!(
        "copy back by hand what you need from {}, then remove {PENDING_CHANGE}",
        folder.display()
    ))
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
    /// The text from before the change; `None`: there was no file.
    fn text(&self, folder: &Path) -> io::Result<Option<String>> {
        let copy = copy(folder, &self.path);
        self.existed.then(|| fs::read_to_string(copy)).transpose()
    }

    /// Whether somebody else has changed the file since.
    fn is_edited(&self, folder: &Path, all: &[Self]) -> io::Result<bool> {
        let read = |path: &Path| match fs::read(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let now = read(Path::new(&self.path))?;
        let old = read(&copy(folder, &self.path))?;
        let mut steps = all.iter().filter(|step| step.path == self.path);
        let is_known = now == old
            || steps.any(|step| now.as_deref() == step.new.as_deref().map(str::as_bytes));
        Ok(!is_known)
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
