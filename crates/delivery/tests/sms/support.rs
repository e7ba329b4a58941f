//! What the tests have in common.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use twofa_core::Timestamp;
use twofa_delivery::templates::Templates;
use twofa_delivery::{
    BadProvider, Catalogue, CodeMessage, ConfigDirs, Message, Provider, ProviderConfig,
};
use zeroize::Zeroizing;

/// The code in [`message`].
pub const CODE: &str = "314159";
/// The recipient of messages, as it is stored.
pub const TO: &str = "+15005550006";
/// The recipient for providers that take numbers without the plus sign.
pub const TO_DIGITS: &str = "15005550006";

/// A message with a code.
pub fn message() -> Message {
    Message::Code(CodeMessage {
        code: Zeroizing::new(CODE.to_owned()),
        application: "Acme".to_owned(),
        user: "alice".to_owned(),
        purpose: "log in with sshd".to_owned(),
        from: Some("192.0.2.7".to_owned()),
        at: Timestamp::from_unix(1_790_000_000),
        lifetime: 600,
        domain: None,
        in_subject: false,
    })
}

/// The text of [`message`].
pub fn text() -> String {
    Templates::load(Path::new("/nonexistent"))
        .sms(&message())
        .unwrap()
}

/// A deadline that a server on this machine always meets.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// A catalogue with the administrator's files in `sms`.
pub fn catalogue(sms: &Path) -> (Catalogue, Vec<BadProvider>) {
    Catalogue::load(ConfigDirs {
        sms: sms.to_owned(),
        templates: "/nonexistent".into(),
    })
}

/// A provider of the kind `kind` with these settings.
pub fn configuration(kind: &str, settings: &[(&str, &str)]) -> ProviderConfig {
    let settings: BTreeMap<_, _> = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())))
        .collect();
    ProviderConfig {
        name: kind.to_owned(),
        kind: kind.to_owned(),
        title: None,
        settings,
    }
}

/// Opens a built-in provider whose interface is at `base`.
pub fn open(kind: &str, base: &str, settings: &[(&str, &str)]) -> Box<dyn Provider> {
    let mut configuration = configuration(kind, settings);
    configuration
        .settings
        .insert("base".to_owned(), Zeroizing::new(base.to_owned()));
    catalogue(Path::new("/nonexistent"))
        .0
        .open(&configuration)
        .unwrap()
}

/// A client for requests of the tests themselves.
pub fn client() -> reqwest::blocking::Client {
    // Fails if another test has done it; all install the same provider.
    let _done = rustls::crypto::ring::default_provider().install_default();
    reqwest::blocking::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
}
