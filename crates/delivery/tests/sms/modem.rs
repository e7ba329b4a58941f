//! A local modem: gammu-smsd with a dummy modem that is a directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use twofa_core::Timestamp;
use twofa_delivery::{Message, Provider, Step};

use crate::support::{CODE, TO, catalogue, configuration, message, soon};
use crate::tools::{Running, skipped, until};

const NUMBER: &str = "+15005550001";

/// The modem. Its daemon is not started yet.
struct Modem {
    folder: tempfile::TempDir,
}

impl Modem {
    fn new() -> Option<Self> {
        if !Path::new("/usr/bin/gammu-smsd-inject").exists() {
            skipped("gammu-smsd is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let modem = Self { folder };
        for name in ["phone", "inbox", "outbox", "sent", "error"] {
            let path = modem.path(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
        }
        modem.configure("unicode");
        Some(modem)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, inbox_format: &str) {
        let all = self.folder.path().display();
        let text = format!(
            "[gammu]\nmodel = dummy\nconnection = none\nport = {all}/phone\ndevice = {all}/phone\n\
             [smsd]\nservice = files\nlogfile = {all}/log\ndebuglevel = 0\nloopsleep = 1\nreceivefrequency = 1\n\
             inboxpath = {all}/inbox/\noutboxpath = {all}/outbox/\nsentsmspath = {all}/sent/\n\
             errorsmspath = {all}/error/\ninboxformat = {inbox_format}\n"
        );
        fs::write(self.path("smsdrc"), text).unwrap();
    }

    fn daemon(&self) -> Running {
        let mut command = Command::new("/usr/bin/gammu-smsd");
        // Some formats are written in the character set of the locale.
        command
            .env("LC_ALL", "C.UTF-8")
            .arg("-c")
            .arg(self.path("smsdrc"));
        Running::start(&mut command, &self.path("daemon"))
    }

    fn open(&self) -> Box<dyn Provider> {
        self.open_with(&[])
    }

    fn open_with(&self, more: &[(&str, &str)]) -> Box<dyn Provider> {
        let config = self.path("smsdrc");
        let mut settings = vec![("config", config.to_str().unwrap()), ("from", NUMBER)];
        settings.extend(more);
        catalogue(Path::new("/nonexistent"))
            .0
            .open(&configuration("gammu", &settings))
            .unwrap()
    }

    /// The modem receives a message.
    fn receives(&self, from: &str, text: &str) {
        let mut command = Command::new("/usr/bin/gammu");
        command
            .env("LC_ALL", "C.UTF-8")
            .arg("-c")
            .arg(self.path("smsdrc"));
        command.args([
            "savesms", "TEXT", "-folder", "1", "-unread", "-text", text, "-sender", from,
        ]);
        assert!(command.output().unwrap().status.success());
    }

    /// Checks that no file contains the code.
    fn assert_no_code(&self) {
        // The code in UTF-16, written in hexadecimal.
        let wide = CODE.split("").collect::<Vec<_>>().join("003");
        let wide = wide.trim_end_matches("003");
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let content = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                assert!(
                    !content.contains(CODE) && !content.contains(wide),
                    "{}: {content}",
                    path.display()
                );
            }
        }
    }

    fn queued(&self) -> Option<String> {
        let entry = fs::read_dir(self.path("outbox")).unwrap().next()?;
        Some(entry.unwrap().file_name().into_string().unwrap())
    }
}

#[test]
fn a_message_is_sent_through_the_modem_and_no_file_keeps_the_code() {
    let Some(modem) = Modem::new() else { return };
    let _daemon = modem.daemon();
    let provider = modem.open();
    provider.check(soon()).unwrap();
    let receipt = provider.send(TO, &message(), soon()).unwrap();
    assert!(receipt.id.is_some_and(|id| id.contains(TO)));
    modem.assert_no_code();
    assert!(
        fs::read_to_string(modem.path("log"))
            .unwrap()
            .contains("Transmitted")
    );
}

#[test]
fn a_text_beyond_the_gsm_alphabet_is_sent_as_unicode() {
    let Some(modem) = Modem::new() else { return };
    let provider = modem.open();
    let Message::Code(mut code) = message() else {
        unreachable!()
    };
    code.application = "東京".to_owned();
    let sending = std::thread::spawn(move || provider.send(TO, &Message::Code(code), soon()));
    until("the message is queued", || modem.queued().is_some());
    let queued = modem.path("outbox").join(modem.queued().unwrap());
    until("it is written", || {
        fs::read_to_string(&queued).unwrap().contains("Coding")
    });
    let content = fs::read_to_string(&queued).unwrap();
    assert!(
        content.contains("Unicode") && content.contains("67714EAC"),
        "{content}"
    );
    let _daemon = modem.daemon();
    sending.join().unwrap().unwrap();
    modem.assert_no_code();
}

#[test]
fn a_message_that_the_modem_cannot_send_is_an_error_and_no_file_keeps_the_code() {
    let Some(modem) = Modem::new() else { return };
    let provider = modem.open();
    let sending = std::thread::spawn(move || provider.send(TO, &message(), soon()));
    until("the message is queued", || modem.queued().is_some());
    // A directory of that name makes the daemon move the message to the error directory.
    fs::create_dir(modem.path("sent").join(modem.queued().unwrap())).unwrap();
    let _daemon = modem.daemon();
    let error = sending.join().unwrap().unwrap_err();
    assert_eq!(error.step, Step::Message, "{error:?}");
    modem.assert_no_code();
}

#[test]
fn a_message_that_is_not_sent_in_time_is_removed() {
    let Some(modem) = Modem::new() else { return };
    let start = Instant::now();
    let error = modem
        .open()
        .send(TO, &message(), start + Duration::from_secs(2))
        .unwrap_err();
    assert!(error.timed_out, "{error:?}");
    assert!(start.elapsed() < Duration::from_millis(2500));
    assert_eq!(modem.queued(), None);
    modem.assert_no_code();
}

#[test]
fn a_program_that_hangs_is_killed_at_the_deadline() {
    let Some(modem) = Modem::new() else { return };
    let program = modem.path("inject");
    let pid = modem.path("pid");
    fs::write(
        &program,
        format!("#!/bin/sh\necho $$ > {}\nexec sleep 1000\n", pid.display()),
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let start = Instant::now();
    let provider = modem.open_with(&[("program", program.to_str().unwrap())]);
    let error = provider
        .send(TO, &message(), start + Duration::from_secs(1))
        .unwrap_err();
    assert!(error.timed_out, "{error:?}");
    assert!(start.elapsed() < Duration::from_millis(1500));
    let pid = fs::read_to_string(pid).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

#[test]
fn after_a_program_that_queued_the_message_hangs_no_file_keeps_the_code() {
    let Some(modem) = Modem::new() else { return };
    let program = modem.path("inject");
    fs::write(
        &program,
        "#!/bin/sh\n/usr/bin/gammu-smsd-inject \"$@\"\nexec /bin/sleep 1000\n",
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let provider = modem.open_with(&[("program", program.to_str().unwrap())]);
    let sending = std::thread::spawn(move || {
        provider.send(TO, &message(), Instant::now() + Duration::from_secs(2))
    });
    until("the message is queued", || modem.queued().is_some());
    assert!(sending.join().unwrap().unwrap_err().timed_out);
    assert_eq!(modem.queued(), None);
    modem.assert_no_code();
}

#[test]
fn neither_code_nor_text_is_ever_an_argument() {
    let Some(modem) = Modem::new() else { return };
    let program = modem.path("inject");
    let seen = modem.path("seen");
    let script = format!(
        "#!/bin/sh\necho \"$@\" > {}\n/bin/cat > /dev/null\nexit 1\n",
        seen.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let provider = modem.open_with(&[("program", program.to_str().unwrap())]);
    let error = provider.send(TO, &message(), soon()).unwrap_err();
    assert_eq!(error.step, Step::Program, "{error:?}");
    let arguments = fs::read_to_string(seen).unwrap();
    assert_eq!(
        arguments.trim(),
        format!("-c {} TEXT {TO}", modem.path("smsdrc").display())
    );
}

#[test]
fn received_messages_are_read_in_every_format() {
    for format in ["unicode", "standard", "detail"] {
        let Some(modem) = Modem::new() else { return };
        modem.configure(format);
        let _daemon = modem.daemon();
        let provider = modem.open();
        let inbox = provider.inbox().unwrap();
        assert_eq!(inbox.number(), NUMBER);
        modem.receives("+4915112345678", "Réponse 271828");
        let mut received = Vec::new();
        until("the message is there", || {
            received = inbox.received(Timestamp::from_unix(0), soon()).unwrap();
            received
                .iter()
                .any(|message| message.text.contains("271828"))
        });
        assert_eq!(received.len(), 1);
        assert_eq!(
            (received[0].from.as_str(), received[0].text.as_str()),
            ("+4915112345678", "Réponse 271828"),
            "{format}"
        );
        assert!(received[0].at.is_some());
        let later = received[0].at.unwrap().after(3600);
        assert_eq!(inbox.received(later, soon()).unwrap(), []);
    }
}

#[test]
fn a_modem_whose_directories_or_log_reveal_codes_is_refused() {
    let Some(modem) = Modem::new() else { return };
    fs::set_permissions(modem.path("sent"), fs::Permissions::from_mode(0o755)).unwrap();
    let error = modem.open().check(soon()).unwrap_err();
    assert!(error.reason.contains("everybody can read"), "{error:?}");
    fs::set_permissions(modem.path("sent"), fs::Permissions::from_mode(0o770)).unwrap();
    let config = modem.path("smsdrc");
    let text = fs::read_to_string(&config)
        .unwrap()
        .replace("debuglevel = 0", "debuglevel = 255");
    fs::write(config, text).unwrap();
    let error = modem.open().check(soon()).unwrap_err();
    assert!(error.reason.contains("debuglevel"), "{error:?}");
}
