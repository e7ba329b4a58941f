//! A local modem, run by `gammu-smsd` with its service `files`.
//!
//! `gammu-smsd-inject` writes a message to the daemon's outbox, and the daemon moves it to `sent` or `error`. All three
//! are directories of files with the code in clear text, so the file of a message is removed whatever happens to the
//! message. [`spool`] is these directories, [`inbox`] the one with the messages that people sent, and [`mod@format`]
//! reads the files.

mod format;
mod inbox;
mod spool;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use twofa_core::{Channel, Timestamp};

use crate::error::{SendError, Step};
use crate::message::Message;
use crate::phone;
use crate::provider::{
    BadProvider, ConfigDirs, InboundSms, Inbox, Provider, ProviderConfig, ProviderKind, Receipt,
    Setting, SmsFeatures,
};
use crate::redaction::Secrets;
use crate::sms::recipient::{NumberFormat, format_number};
use crate::subprocess;
use crate::templates::{Templates, septets};
use spool::Spool;

/// The time reserved for removing the files of a message that was not sent in time.
const CLEANUP_TIME: Duration = Duration::from_millis(100);

/// A modem whose daemon has the configuration file `config`.
#[derive(Debug)]
struct Gammu {
    config: PathBuf,
    /// The path of gammu-smsd-inject.
    program: PathBuf,
    from: Option<String>,
    templates: Templates,
}

/// The kind of provider.
pub(super) fn kind() -> ProviderKind {
    let setting = |name: &str, help: &str, default: Option<&str>| Setting {
        name: name.to_owned(),
        help: help.to_owned(),
        secret: false,
        required: false,
        default: default.map(str::to_owned),
    };
    let settings = vec![
        setting(
            "config",
            "configuration file of gammu-smsd",
            Some("/etc/gammu-smsdrc"),
        ),
        setting(
            "from",
            "number of the SIM card, if people are to send messages to it",
            None,
        ),
        setting(
            "program",
            "path of gammu-smsd-inject",
            Some("/usr/bin/gammu-smsd-inject"),
        ),
    ];
    ProviderKind {
        aliases: vec!["gammu".to_owned()],
        sms: Some(SmsFeatures {
            number: NumberFormat::E164.example(),
            lifetime: false,
            inbox: true,
            check: true,
        }),
        ..ProviderKind::new(
            "gammu-smsd",
            "A local modem (gammu-smsd)",
            Channel::Sms,
            settings,
            open,
        )
    }
}

/// Opens the modem that `config` describes. Reads nothing yet.
fn open(
    kind: &ProviderKind,
    config: &ProviderConfig,
    dirs: &ConfigDirs,
) -> Result<Box<dyn Provider>, BadProvider> {
    let path = |name: &str| match config.value(kind, name).map(PathBuf::from) {
        Some(path) if path.is_absolute() => Ok(path),
        _ => Err(BadProvider::Value {
            setting: name.to_owned(),
            why: "must be an absolute path".to_owned(),
        }),
    };
    Ok(Box::new(Gammu {
        config: path("config")?,
        program: path("program")?,
        from: config.value(kind, "from").map(phone::normalise_sender),
        templates: Templates::load(&dirs.templates),
    }))
}

impl Gammu {
    /// The daemon's directories, read from its configuration.
    fn spool(&self) -> Result<Spool, SendError> {
        let failed = |why: String| {
            SendError::new(Step::Settings, format!("{}: {why}", self.config.display())).hinted(
                "set 'config' to gammu-smsd's configuration file, and let the user 'twofa' read it",
            )
        };
        let text = format::read(&self.config).map_err(|error| failed(error.to_string()))?;
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

    /// Queues `text` for `to`. Returns the name of its file in the outbox.
    fn queue(
        &self,
        to: &str,
        text: &str,
        deadline: Instant,
        secrets: &Secrets,
    ) -> Result<String, SendError> {
        let failed = |why: &str| {
            SendError::new(Step::Program, format!("{}: {why}", self.program.display())).hinted(
                "let the user 'twofa' write to gammu-smsd's outbox: add it to the group 'gammu'",
            )
        };
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&self.config).args(["TEXT", to]);
        if septets(text).is_none() {
            command.arg("-unicode");
        }
        // Standard input is read in the character set of the locale.
        command.env_clear().env("LC_ALL", "C.UTF-8");
        let output = subprocess::run(command, text.as_bytes(), deadline);
        let output = output.map_err(|error| match error.kind() {
            // It may have been queued, and the daemon may send it before it is removed.
            io::ErrorKind::TimedOut => SendError::timeout(Step::Program)
                .hinted("run the program as the user 'twofa' to see what it waits for")
                .after_handover(),
            _ => failed(&error.to_string()),
        })?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let path = stdout
            .lines()
            .find_map(|line| line.strip_prefix("Written message with ID "));
        let name = path
            .and_then(|path| Path::new(path.trim()).file_name())
            .and_then(|name| name.to_str());
        match name {
            Some(name) if output.status.success() => Ok(name.to_owned()),
            _ => {
                let stderr = String::from_utf8_lossy(&output.stderr);
                let last = stdout
                    .lines()
                    .chain(stderr.lines())
                    .rfind(|line| !line.trim().is_empty());
                let message = last.unwrap_or("it failed without an error message");
                Err(failed(&secrets.redact(message)))
            }
        }
    }
}

impl Provider for Gammu {
    fn channel(&self) -> Channel {
        Channel::Sms
    }

    fn send(&self, to: &str, message: &Message, deadline: Instant) -> Result<Receipt, SendError> {
        let to = format_number(to, NumberFormat::E164, &[])?;
        let text = self.templates.sms(message)?;
        let spool = self.spool()?;
        let mut secrets = Secrets::default();
        secrets.add(&text);
        if let Some(code) = message.code() {
            secrets.add(code);
        }
        let deadline = deadline.checked_sub(CLEANUP_TIME).unwrap_or(deadline);
        let name = self
            .queue(&to, &text, deadline, &secrets)
            .inspect_err(|_| {
                // It may have been queued before the program was killed or failed.
                if let Some(code) = message.code() {
                    spool.remove_code(&to, code);
                }
            })?;
        let sent = spool.wait(&name, deadline);
        spool.remove(&name);
        sent.map(|()| Receipt { id: Some(name) })
    }

    fn check(&self, _deadline: Instant) -> Result<(), SendError> {
        let spool = self.spool()?;
        if spool.debug_level != "0" {
            return Err(SendError::new(
                Step::Settings,
                format!("{}: debuglevel is not 0", self.config.display()),
            )
            .hinted("set debuglevel = 0, or gammu-smsd writes the codes to its log"));
        }
        spool.check()?;
        match fs::metadata(&self.program) {
            Ok(program) if program.is_file() => Ok(()),
            Ok(_) => Err(SendError::new(
                Step::Program,
                format!("{} is not a program", self.program.display()),
            )
            .hinted("set 'program' to the path of gammu-smsd-inject")),
            Err(error) => Err(SendError::new(
                Step::Program,
                format!("{}: {error}", self.program.display()),
            )
            .hinted(
                "install the package gammu-smsd, or set 'program' to the path of gammu-smsd-inject",
            )),
        }
    }

    fn sender_address(&self) -> Option<&str> {
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

    fn received(&self, since: Timestamp, _deadline: Instant) -> Result<Vec<InboundSms>, SendError> {
        let dir = self.spool()?.inbox;
        inbox::list(&dir, since).map_err(|error| {
            SendError::new(Step::Program, format!("{}: {error}", dir.display()))
                .hinted("let the user 'twofa' read gammu-smsd's inbox: add it to the group 'gammu'")
        })
    }
}
