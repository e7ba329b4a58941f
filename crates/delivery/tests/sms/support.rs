//! What the tests have in common.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use twofa_core::Timestamp;
use twofa_delivery::templates::Templates;
use twofa_delivery::{
    BadProvider, Catalogue, CodeMessage, Configuration, Message, Places, Provider,
};
use zeroize::Zeroizing;

/// The code in [`message`].
pub const CODE: &str = "314159";
/// Where messages go, as it is kept.
pub const TO: &str = "+15005550006";
/// The same for providers that do without the plus sign.
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
    })
}

/// What [`message`] says.
pub fn text() -> String {
    Templates::load(Path::new("/nonexistent"))
        .unwrap()
        .text_message(&message())
        .unwrap()
}

/// Long enough for a server on this machine.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// A catalogue with the administrator's files in `sms`.
pub fn catalogue(sms: &Path) -> (Catalogue, Vec<BadProvider>) {
    Catalogue::load(Places {
        sms: sms.to_owned(),
        templates: "/nonexistent".into(),
    })
}

/// A provider of the kind `kind` with these settings.
pub fn configuration(kind: &str, settings: &[(&str, &str)]) -> Configuration {
    let settings: BTreeMap<_, _> = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())))
        .collect();
    Configuration {
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

/// A client for the tests' own errands.
pub fn client() -> reqwest::blocking::Client {
    // Whoever comes first; all say the same.
    let _done = rustls::crypto::ring::default_provider().install_default();
    reqwest::blocking::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
}
