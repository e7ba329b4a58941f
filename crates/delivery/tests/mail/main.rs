//! E-mail providers with real mail systems: Postfix, with Dovecot to check passwords and tokens; a sendmail program;
//! and servers that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Measured times, and tests that are skipped.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod appearance;
mod hello;
mod hostile;
mod postfix;
mod reading;
mod scripted;
mod sendmail;
mod settings;
mod tokens;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use twofa_core::Timestamp;
use twofa_delivery::{
    BadProvider, Catalogue, CodeMessage, ConfigDirs, Message, Provider, ProviderConfig, SendError,
    Step,
};
use zeroize::Zeroizing;

/// The code in every message of these tests, which must not appear anywhere else.
const CODE: &str = "918273";

/// More time than any answer takes.
const TIMEOUT: Duration = Duration::from_secs(20);

/// An open provider of `kind`.
fn provider(kind: &str, settings: &[(&str, &str)]) -> Box<dyn Provider> {
    try_provider(kind, settings).unwrap()
}

fn try_provider(kind: &str, settings: &[(&str, &str)]) -> Result<Box<dyn Provider>, BadProvider> {
    let (catalogue, bad) = Catalogue::load(ConfigDirs {
        sms: "/nowhere".into(),
        templates: "/nowhere".into(),
    });
    assert_eq!(bad, []);
    let settings: BTreeMap<_, _> = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())))
        .collect();
    catalogue.open(&ProviderConfig {
        name: "test".into(),
        kind: kind.into(),
        title: None,
        settings,
    })
}

fn message() -> Message {
    message_of("Büro „7“ <x@y> \"東京\"")
}

fn message_of(application: &str) -> Message {
    Message::Code(CodeMessage {
        code: Zeroizing::new(CODE.into()),
        application: application.into(),
        user: "alice".into(),
        purpose: "log in with sshd".into(),
        from: Some("203.0.113.7".into()),
        at: Timestamp::from_unix(1_764_000_000),
        lifetime: 600,
        domain: None,
        in_subject: false,
    })
}

fn soon() -> Instant {
    Instant::now() + TIMEOUT
}

/// Sends a code to `to`, and expects it to fail.
fn send_error(provider: &dyn Provider, to: &str) -> SendError {
    let error = provider.send(to, &message(), soon()).unwrap_err();
    assert_clean(provider, &error);
    error
}

/// Checks what must hold for every error.
fn assert_clean(provider: &dyn Provider, error: &SendError) {
    let all = format!("{error} {error:?} {provider:?}");
    for secret in [CODE, "Mail-server pass", "TWFpbC1zZXJ2ZXI", "hunter2"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    assert!(!error.reason.contains(['\r', '\n']), "{error:?}");
    assert!(error.reason.chars().count() <= 300, "{error:?}");
}

#[track_caller]
fn assert_error(error: &SendError, step: Step, reason: &str, hint: &str) {
    assert_eq!(error.step, step, "{error:?}");
    assert!(error.reason.contains(reason), "{error:?}");
    assert!(
        error.hint.as_deref().unwrap_or_default().contains(hint),
        "{error:?}"
    );
}

/// Whether the tests that start real servers can run. Prints a line if they are skipped.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: starting a mail server needs root");
    }
    root
}
