//! A modem of one's own, run by `gammu-smsd` with its service `files`.
//!
//! `gammu-smsd-inject` puts a message into the daemon's outbox, the daemon moves it to `sent` or to `error`. All three
//! are files with the code in clear text, so whatever becomes of a message, its file is removed. What people send is
//! in the inbox, one file for each message.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use data_encoding::HEXUPPER_PERMISSIVE;
use jiff::tz::TimeZone;
use twofa_core::{Channel, Timestamp};

use super::number::{Form, in_form};
use crate::error::{SendError, Step};
use crate::message::Message;
use crate::program;
use crate::provider::{
    BadProvider, Configuration, Inbox, Kind, Provider, Receipt, Received, Setting,
};
use crate::secrets::Secrets;
use crate::templates::{Templates, septets};

/// The kind's name.
pub(super) const NAME: &str = "gammu-smsd";

/// How often a folder is looked at. A modem takes seconds.
const PAUSE: Duration = Duration::from_millis(10);
/// What is kept back for removing the files of a message that did not go in time.
const FOR_CLEANING: Duration = Duration::from_millis(100);
/// So many files of an inbox are read, the newest first, and no more.
const MOST_FILES: usize = 500;
/// The longest file that is a message.
const LONGEST: u64 = 64 * 1024;

/// The modem's daemon, as its configuration describes it.
#[derive(Debug)]
pub(super) struct Gammu {
    config: PathBuf,
    program: PathBuf,
    from: Option<String>,
    templates: Templates,
}

/// What matters in the section `[smsd]` of a gammu-smsdrc(5).
#[derive(Debug, PartialEq, Eq)]
struct Spool {
    service: String,
    debug_level: String,
    inbox: PathBuf,
    outbox: PathBuf,
    sent: PathBuf,
    error: PathBuf,
}

/// For administrators.
pub(super) fn kind() -> Kind {
    let setting = |name: &str, help: &str, default: Option<&str>| Setting {
        name: name.to_owned(),
        help: help.to_owned(),
        secret: false,
        required: false,
        default: default.map(str::to_owned),
    };
    Kind {
        name: NAME.to_owned(),
        aliases: vec!["gammu".to_owned()],
        title: "Modem of one's own (gammu-smsd)".to_owned(),
        channel: Channel::Sms,
        settings: vec![
            setting(
                "config",
                "gammu-smsd's configuration",
                Some("/etc/gammu-smsdrc"),
            ),
            setting(
                "from",
                "number of the SIM card, for people who write to it",
                None,
            ),
            setting(
                "program",
                "gammu-smsd-inject",
                Some("/usr/bin/gammu-smsd-inject"),
            ),
        ],
    }
}

impl Gammu {
    /// Opens the modem that `configuration` describes. Nothing is read yet.
    pub(super) fn open(
        kind: &Kind,
        configuration: &Configuration,
        templates: Templates,
    ) -> Result<Self, BadProvider> {
        let path = |name: &str| match configuration.value(kind, name).map(PathBuf::from) {
            Some(path) if path.is_absolute() => Ok(path),
            _ => Err(BadProvider::Value {
                setting: name.to_owned(),
                why: "must be a path that starts with /".to_owned(),
            }),
        };
        Ok(Self {
            config: path("config")?,
            program: path("program")?,
            from: configuration.value(kind, "from").map(str::to_owned),
            templates,
        })
    }

    /// Where the daemon has its files.
    fn spool(&self) -> Result<Spool, SendError> {
        let failed = |why: String| {
            SendError::at(Step::Settings, format!("{}: {why}", self.config.display())).hinted(
                "'config' must be gammu-smsd's configuration, and the user 'twofa' must be able to read it",
            )
        };
        let text = read(&self.config).map_err(|error| failed(error.to_string()))?;
        let spool = Spool::parse(&String::from_utf8_lossy(&text));
        if spool.service != "files" {
            let why = format!(
                "its service is '{}'; only 'files' is supported",
                spool.service
            );
            return Err(failed(why));
        }
        Ok(spool)
    }

    /// Queues `text` for `to`; the name of its file in the outbox.
    fn queue(
        &self,
        to: &str,
        text: &str,
        deadline: Instant,
        secrets: &Secrets,
    ) -> Result<String, SendError> {
        let failed = |why: &str| {
            SendError::at(Step::Program, format!("{}: {why}", self.program.display())).hinted(
                "may the user 'twofa' write to gammu-smsd's outbox? Put it into the group 'gammu'",
            )
        };
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&self.config).args(["TEXT", to]);
        if septets(text).is_none() {
            command.arg("-unicode");
        }
        // What is read from stdin is taken in the character set of the locale.
        command.env_clear().env("LC_ALL", "C.UTF-8");
        let output = program::run(command, text.as_bytes(), deadline).map_err(|error| {
            match error.kind() {
                // It may have been queued, and the daemon may have seen it before it is taken back.
                io::ErrorKind::TimedOut => SendError::late(Step::Program).after_handover(),
                _ => failed(&error.to_string()),
            }
        })?;
        let said = String::from_utf8_lossy(&output.stdout);
        let path = said
            .lines()
            .find_map(|line| line.strip_prefix("Written message with ID "));
        let name = path
            .and_then(|path| Path::new(path.trim()).file_name())
            .and_then(|name| name.to_str());
        match name {
            Some(name) if output.status.success() => Ok(name.to_owned()),
            _ => {
                let errors = String::from_utf8_lossy(&output.stderr);
                let last = said
                    .lines()
                    .chain(errors.lines())
                    .rfind(|line| !line.trim().is_empty());
                Err(failed(&secrets.strike(last.unwrap_or("it said nothing"))))
            }
        }
    }
}

impl Provider for Gammu {
    fn channel(&self) -> Channel {
        Channel::Sms
    }

    fn send(&self, to: &str, message: &Message, deadline: Instant) -> Result<Receipt, SendError> {
        let to = in_form(to, Form::E164, &[])?;
        let text = self.templates.text_message(message)?;
        let spool = self.spool()?;
        let mut secrets = Secrets::default();
        secrets.add(&text);
        if let Message::Code(code) = message {
            secrets.add(&code.code);
        }
        let deadline = deadline.checked_sub(FOR_CLEANING).unwrap_or(deadline);
        let name = self
            .queue(&to, &text, deadline, &secrets)
            .inspect_err(|_| {
                // It may have been queued before the program was killed, or failed.
                if let Message::Code(code) = message {
                    spool.forget_code(&to, &code.code);
                }
            })?;
        let outcome = spool.wait(&name, deadline);
        spool.forget(&name);
        outcome.map(|()| Receipt { id: Some(name) })
    }

    fn check(&self, _deadline: Instant) -> Result<(), SendError> {
        let spool = self.spool()?;
        if spool.debug_level != "0" {
            return Err(SendError::at(
                Step::Settings,
                format!("{}: debuglevel is not 0", self.config.display()),
            )
            .hinted("gammu-smsd would write the codes to its log: set debuglevel = 0"));
        }
        for folder in [&spool.outbox, &spool.sent, &spool.error] {
            check_folder(folder)?;
        }
        match fs::metadata(&self.program) {
            Ok(program) if program.is_file() => Ok(()),
            Ok(_) => Err(SendError::at(
                Step::Program,
                format!("{} is no program", self.program.display()),
            )),
            Err(error) => Err(SendError::at(
                Step::Program,
                format!("{}: {error}", self.program.display()),
            )
            .hinted("install the package gammu-smsd")),
        }
    }

    fn own_address(&self) -> Option<&str> {
        self.from.as_deref()
    }

    fn inbox(&self) -> Option<&dyn Inbox> {
        self.from.is_some().then_some(self)
    }
}

impl Inbox for Gammu {
    fn number(&self) -> &str {
        self.from.as_deref().unwrap_or_default()
    }

    fn received(&self, since: Timestamp, _deadline: Instant) -> Result<Vec<Received>, SendError> {
        let folder = self.spool()?.inbox;
        let failed = |error: io::Error| {
            SendError::at(Step::Program, format!("{}: {error}", folder.display())).hinted(
                "may the user 'twofa' read gammu-smsd's inbox? Put it into the group 'gammu'",
            )
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // One that went in between is none of ours.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let changed = metadata.modified().ok().and_then(unix);
            if metadata.is_file() && changed.is_none_or(|changed| changed >= since.unix()) {
                files.push((changed, entry.path()));
            }
        }
        files.sort_by(|one, other| other.cmp(one));
        files.truncate(MOST_FILES);
        Ok(files
            .iter()
            .filter_map(|(changed, file)| message(file, changed.map(Timestamp::from_unix)))
            .collect())
    }
}

impl Spool {
    fn parse(text: &str) -> Self {
        let mut spool = Self {
            service: "files".to_owned(),
            debug_level: "0".to_owned(),
            inbox: "/var/spool/gammu/inbox".into(),
            outbox: "/var/spool/gammu/outbox".into(),
            sent: "/var/spool/gammu/sent".into(),
            error: "/var/spool/gammu/error".into(),
        };
        let mut is_ours = false;
        for line in text.lines().map(str::trim) {
            if let Some(section) = line.strip_prefix('[') {
                is_ours = section
                    .trim_end_matches(']')
                    .trim()
                    .eq_ignore_ascii_case("smsd");
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| is_ours) else {
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

    /// Waits until the daemon has sent the message `name`.
    fn wait(&self, name: &str, deadline: Instant) -> Result<(), SendError> {
        // The daemon writes the file at its new place before it removes the old one.
        while self.outbox.join(name).exists() {
            if Instant::now() >= deadline {
                return Err(SendError::late(Step::Program)
                    .after_handover()
                    .hinted("is gammu-smsd running, and has the modem a network?"));
            }
            thread::sleep(PAUSE);
        }
        if self.error != self.sent && self.error.join(name).exists() {
            return Err(SendError::at(Step::Message, "the modem did not send it").hinted(
                "gammu-smsd's log says why: look at the SIM card's credit, the network and the number",
            ));
        }
        Ok(())
    }

    /// Removes what is queued for `to` and holds `code`, where the name of the file is not known.
    fn forget_code(&self, to: &str, code: &str) {
        let Ok(folder) = fs::read_dir(&self.outbox) else {
            return;
        };
        for file in folder.filter_map(|entry| Some(entry.ok()?.path())) {
            let is_for = file
                .file_name()
                .is_some_and(|name| name.to_string_lossy().contains(to));
            let holds = || {
                backup(&String::from_utf8_lossy(&read(&file).unwrap_or_default())).contains(code)
            };
            if is_for && holds() {
                let _sent_by_now = fs::remove_file(&file);
            }
        }
    }

    /// Removes what is left of the message `name`.
    fn forget(&self, name: &str) {
        for folder in [&self.outbox, &self.sent, &self.error] {
            // It is in one of them at most; where gammu-smsd has the same folder for two, in none.
            let _gone = fs::remove_file(folder.join(name));
        }
    }
}

/// Whether messages are safe in `folder`.
fn check_folder(folder: &Path) -> Result<(), SendError> {
    let failed = |why: &str| SendError::at(Step::Settings, format!("{}: {why}", folder.display()));
    match fs::metadata(folder) {
        Ok(metadata) if !metadata.is_dir() => Err(failed("this is no folder")),
        Ok(metadata) if metadata.mode() & 0o005 != 0 => {
            Err(failed("everybody can read the messages in it").hinted("chmod o-rwx it: they hold codes"))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(failed(&error.to_string()).hinted(
            "create it, or set its path in gammu-smsd's configuration; may the user 'twofa' see it?",
        )),
    }
}

/// The message in `file`, such as `IN20260131_235959_00_+4915112345678_00.txt`.
fn message(file: &Path, changed: Option<Timestamp>) -> Option<Received> {
    let name = file.file_stem()?.to_str()?;
    let mut parts = name.strip_prefix("IN")?.split('_');
    let (date, time) = (parts.next()?, parts.next()?);
    let _number_of_that_second = parts.next()?;
    let from = parts.next()?.to_owned();
    let content = read(file).ok()?;
    if file.extension()? != "txt" && file.extension()? != "smsbackup" {
        return None;
    }
    let text = plain(&content);
    let text = if text.contains("[SMSBackup") {
        backup(&text)
    } else {
        text
    };
    // In local time.
    let at = jiff::civil::DateTime::strptime("%Y%m%d_%H%M%S", format!("{date}_{time}")).ok();
    let at = at.and_then(|at| at.to_zoned(TimeZone::system()).ok());
    let at = at
        .map(|at| Timestamp::from_unix(at.timestamp().as_second()))
        .or(changed);
    Some(Received {
        from,
        text: text.trim_end_matches('\0').to_owned(),
        at,
    })
}

/// A text file: UTF-16 where it says so (`inboxformat = unicode`), otherwise in the daemon's character set.
fn plain(content: &[u8]) -> String {
    match content.strip_prefix(&[0xfe, 0xff]) {
        Some(wide) => utf16(wide),
        None => String::from_utf8_lossy(content).into_owned(),
    }
}

/// A file in Gammu's backup format (`inboxformat = detail`): the text is in hexadecimal, in parts.
fn backup(content: &str) -> String {
    let parts = content.lines().filter_map(|line| line.split_once('='));
    let parts = parts.filter(|(key, _)| {
        key.trim()
            .strip_prefix("Text")
            .is_some_and(|digits| digits.chars().all(|c| c.is_ascii_digit()))
    });
    parts
        .filter_map(|(_, hex)| HEXUPPER_PERMISSIVE.decode(hex.trim().as_bytes()).ok())
        .map(|wide| utf16(&wide))
        .collect()
}

fn utf16(wide: &[u8]) -> String {
    let units = wide
        .chunks_exact(2)
        .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
        .map(u16::from_be_bytes);
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(file)?
        .take(LONGEST)
        .read_to_end(&mut content)?;
    Ok(content)
}

fn unix(at: SystemTime) -> Option<i64> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_section_of_the_daemon_counts() {
        let spool = Spool::parse(
            "# x\n[gammu]\ninboxpath = /no\n[smsd]\nService = FILES\nOutboxPath = \"/o/\"\ninboxpath=/i\n[include_numbers]\nsentsmspath = /no\n",
        );
        assert_eq!(spool.service, "files");
        assert_eq!(spool.outbox, Path::new("/o"));
        assert_eq!(spool.inbox, Path::new("/i"));
        assert_eq!(spool.sent, Path::new("/var/spool/gammu/sent"));
    }

    #[test]
    fn a_received_message_is_read_in_each_of_the_three_formats() {
        assert_eq!(plain(b"\xfe\xff\0R\0\xe9\x67\x71"), "Ré東");
        assert_eq!(plain("Ré".as_bytes()), "Ré");
        assert_eq!(
            backup("[SMSBackup000]\nText00 = 00520065\nText01 = 0071\nTextX = 0071\n"),
            "Req"
        );
    }
}
