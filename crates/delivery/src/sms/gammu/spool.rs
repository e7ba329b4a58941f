//! The directories in which gammu-smsd keeps messages, and the files of a message in them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::format::{decode_backup, read};
use crate::error::{SendError, Step};

/// The interval at which a directory is polled. A modem takes seconds to send a message.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The settings in the section `[smsd]` of a gammu-smsdrc(5) that matter here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spool {
    pub(super) service: String,
    pub(super) debug_level: String,
    pub(super) inbox: PathBuf,
    outbox: PathBuf,
    sent: PathBuf,
    error: PathBuf,
}

impl Spool {
    /// Parses a configuration of gammu-smsd.
    pub(super) fn parse(text: &str) -> Self {
        let mut spool = Self {
            service: "files".to_owned(),
            debug_level: "0".to_owned(),
            inbox: "/var/spool/gammu/inbox".into(),
            outbox: "/var/spool/gammu/outbox".into(),
            sent: "/var/spool/gammu/sent".into(),
            error: "/var/spool/gammu/error".into(),
        };
        let mut is_smsd = false;
        for line in text.lines().map(str::trim) {
            if let Some(section) = line.strip_prefix('[') {
                let section = section.trim_end_matches(']').trim();
                is_smsd = section.eq_ignore_ascii_case("smsd");
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| is_smsd) else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "service" => spool.service = value.to_ascii_lowercase(),
                "debuglevel" => value.clone_into(&mut spool.debug_level),
                "inboxpath" => spool.inbox = value.into(),
                "outboxpath" => spool.outbox = value.into(),
                "sentsmspath" => spool.sent = value.into(),
                "errorsmspath" => spool.error = value.into(),
                _ => (),
            }
        }
        spool
    }

    /// Checks that the directories of sent messages exist and that nobody else can read them.
    pub(super) fn check(&self) -> Result<(), SendError> {
        [&self.outbox, &self.sent, &self.error]
            .into_iter()
            .try_for_each(|dir| check_dir(dir))
    }

    /// Waits until the daemon has sent the message in the file `name`.
    pub(super) fn wait(&self, name: &str, deadline: Instant) -> Result<(), SendError> {
        // The daemon writes the file to its new directory before it removes the old one.
        while self.outbox.join(name).exists() {
            if Instant::now() >= deadline {
                return Err(SendError::timeout(Step::Program)
                    .after_handover()
                    .hinted("check that gammu-smsd is running and that the modem has a network"));
            }
            thread::sleep(POLL_INTERVAL);
        }
        if self.error != self.sent && self.error.join(name).exists() {
            return Err(
                SendError::new(Step::Message, "the modem could not send it").hinted(
                    "gammu-smsd's log says why: check the SIM card's credit, the network and the number",
                ),
            );
        }
        Ok(())
    }

    /// Removes a message that is queued for `to` and contains `code`, if the name of its file is not known.
    pub(super) fn remove_code(&self, to: &str, code: &str) {
        let Ok(entries) = fs::read_dir(&self.outbox) else {
            return;
        };
        for file in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let is_recipient = file
                .file_name()
                .is_some_and(|name| name.to_string_lossy().contains(to));
            let has_code = || {
                let content = read(&file).unwrap_or_default();
                decode_backup(&String::from_utf8_lossy(&content)).contains(code)
            };
            if is_recipient && has_code() {
                // Fails if the daemon has sent it in the meantime.
                let _ = fs::remove_file(&file);
            }
        }
    }

    /// Removes the file `name` wherever it is.
    pub(super) fn remove(&self, name: &str) {
        for dir in [&self.outbox, &self.sent, &self.error] {
            // Fails in all directories but one, and in all of them if two are the same.
            let _ = fs::remove_file(dir.join(name));
        }
    }
}

/// Checks that `dir` is a directory that only its owner and group can read.
fn check_dir(dir: &Path) -> Result<(), SendError> {
    let failed = |why: &str| SendError::new(Step::Settings, format!("{}: {why}", dir.display()));
    match fs::metadata(dir) {
        Ok(metadata) if !metadata.is_dir() => Err(failed("this is not a directory")
            .hinted("correct its path in gammu-smsd's configuration")),
        Ok(metadata) if metadata.mode() & 0o005 != 0 => Err(failed(
            "everybody can read the messages in this directory",
        )
        .hinted("run chmod o-rwx on it: the messages contain codes")),
        Ok(_) => Ok(()),
        Err(error) => Err(failed(&error.to_string()).hinted(
            "create it or correct its path in gammu-smsd's configuration, and let the user 'twofa' access it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_section_of_the_daemon_is_read() {
        let spool = Spool::parse(
            "# x\n[gammu]\ninboxpath = /no\n[smsd]\nService = FILES\nOutboxPath = \"/o/\"\ninboxpath=/i\n[include_numbers]\nsentsmspath = /no\n",
        );
        assert_eq!(spool.service, "files");
        assert_eq!(spool.outbox, Path::new("/o"));
        assert_eq!(spool.inbox, Path::new("/i"));
        assert_eq!(spool.sent, Path::new("/var/spool/gammu/sent"));
    }
}
