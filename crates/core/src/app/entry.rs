//! How an authenticator app lists a key, and the `otpauth://` link that says so.
//!
//! Apps tell entries apart by what the link calls them, and some let a second key of the same name replace the first or
//! be lost. The rules, from each app's source or, where that is closed, from reports:
//!
//! - Google Authenticator: the name (the whole label, `issuer:account`) and the parameter `issuer` together. With that
//!   parameter, a second key of both silently replaces the first; without it, nothing is replaced and the second
//!   is called `name(1)` (google-authenticator-android, `otp/AccountDb.java`, `add`).
//! - Microsoft Authenticator: the account alone, whatever the issuer; a second key replaces the first
//!   (MicrosoftDocs/azure-docs#15264). It takes the issuer from the label and ignores the parameter
//!   (RobThree/TwoFactorAuth.Net#17).
//! - `FreeOTP` up to 1.5: issuer and account; the second key is dropped (freeotp-android, `TokenPersistence.java`, `add`).
//!   It shows the issuer of the label only (`Token.java`, `getIssuer`).
//! - `FreeOTP` 2: nothing is replaced, but a label with two colons is refused, escaped or not (`Token.java`, `PATTERN`).
//! - `FreeOTP+`: nothing is replaced; leading slashes are cut off (`OtpTokenFactory.kt`).
//! - Aegis: nothing is replaced; a label with two colons loses its issuer (`otp/GoogleAuthInfo.java`, `parseUri`).
//!
//! So the account must be unique by itself, the issuer stands in the label, where all of them read it, and not in a
//! parameter as well, and the label has exactly one colon. All of them take SHA1, 6 digits and 30 seconds where the
//! link does not say otherwise. HOTP always has its `counter`: Aegis refuses a link without one.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::{Algorithm, App, OtpKind};

/// The label of an app that nobody named.
pub const DEFAULT_LABEL: &str = "app";

/// The parts of the name of an entry in an authenticator app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppEntry<'a> {
    /// The relying application's name.
    pub issuer: &'a str,
    /// The login name.
    pub user: &'a str,
    /// The host name of the machine. Several machines may have one application name.
    pub host: &'a str,
    /// The app's label, unique among the user's apps.
    pub label: &'a str,
}

impl AppEntry<'_> {
    /// The account: `alice@server01`, followed by the app's label unless that is [`DEFAULT_LABEL`]:
    /// `alice@server01 (phone)`.
    fn account(&self) -> String {
        let Self { user, host, .. } = self;
        match self.label {
            DEFAULT_LABEL => format!("{user}@{host}"),
            label => format!("{user}@{host} ({label})"),
        }
    }
}

impl App {
    /// The `otpauth://` link of this key (Key URI Format). What has its default is left out: a shorter link makes a QR code
    /// that fits on a screen.
    pub fn url(&self, entry: &AppEntry<'_>) -> Zeroizing<String> {
        let (issuer, account) = (escaped(entry.issuer), escaped(&entry.account()));
        let (kind, algorithm) = (self.parameters.kind(), self.parameters.algorithm());
        let digits = self.parameters.digits();
        let name = match kind {
            OtpKind::Time { .. } => "totp",
            OtpKind::Counter => "hotp",
        };
        let mut url = Zeroizing::new(format!("otpauth://{name}/{issuer}:{account}?secret="));
        url.push_str(&self.key.base32());
        if algorithm != Algorithm::Sha1 {
            url.push_str("&algorithm=");
            url.push_str(algorithm.name());
        }
        if digits != 6 {
            url.push_str(&format!("&digits={digits}"));
        }
        match kind {
            OtpKind::Time { period: 30 } => {}
            OtpKind::Time { period } => url.push_str(&format!("&period={period}")),
            OtpKind::Counter => {
                let next = self.used.map_or(0, |used| used.saturating_add(1));
                url.push_str(&format!("&counter={next}"));
            }
        }
        url
    }
}

/// `name` as a part of the label. A colon, which only host names of no standard have, becomes a dash.
fn escaped(name: &str) -> String {
    // RFC 3986 §3.3: a path may have these as they are.
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b'@')
        .remove(b'(')
        .remove(b')');
    utf8_percent_encode(&name.replace(':', "-"), ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use percent_encoding::percent_decode_str;

    use super::*;
    use crate::Key;
    use crate::app::Parameters;

    const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn app(kind: OtpKind, algorithm: Algorithm, digits: u8) -> App {
        App {
            parameters: Parameters::new(kind, algorithm, digits).unwrap(),
            key: Key::new(b"12345678901234567890".to_vec()).unwrap(),
            used: None,
        }
    }

    const fn entry<'a>(
        issuer: &'a str,
        user: &'a str,
        host: &'a str,
        label: &'a str,
    ) -> AppEntry<'a> {
        AppEntry {
            issuer,
            user,
            host,
            label,
        }
    }

    fn url(entry: &AppEntry<'_>) -> String {
        let app = app(OtpKind::Time { period: 30 }, Algorithm::Sha1, 6);
        app.url(entry).to_string()
    }

    /// Issuer and account as every app in the list above reads them from the label.
    fn as_read(url: &str) -> (String, String) {
        let path = url.strip_prefix("otpauth://totp/").unwrap();
        let label = path.split_once('?').unwrap().0;
        assert!(!label.contains('/'), "{url}");
        let label = percent_decode_str(label).decode_utf8().unwrap();
        let parts: Vec<&str> = label.split(':').collect();
        let [issuer, account] = parts[..] else {
            panic!("not one colon: {label}");
        };
        (issuer.to_owned(), account.to_owned())
    }

    #[test]
    fn the_link_has_the_issuer_once_and_nothing_that_is_a_default() {
        assert_eq!(
            url(&entry("server01", "alice", "server01", DEFAULT_LABEL)),
            format!("otpauth://totp/server01:alice@server01?secret={KEY}")
        );
    }

    #[test]
    fn names_of_any_kind_are_read_as_they_are() {
        let long = "x".repeat(64);
        for (issuer, user, host, label, account) in [
            ("Büro & Co", "alice", "db", "app", "alice@db"),
            ("50% /off", "alice", "db", "app", "alice@db"),
            (
                "web",
                "alice@corp.example",
                "db",
                "app",
                "alice@corp.example@db",
            ),
            (
                "web",
                "CORP\\alice b",
                "db.example.org",
                "app",
                "CORP\\alice b@db.example.org",
            ),
            ("web", "jürgen", "db", "Büro 1/2", "jürgen@db (Büro 1/2)"),
            ("web", "alice", "db", "100%?#&=+", "alice@db (100%?#&=+)"),
            ("//web", "alice", "fe80::1", "app", "alice@fe80--1"),
            (&long, &long, &long, "app", &format!("{long}@{long}")),
        ] {
            let read = as_read(&url(&entry(issuer, user, host, label)));
            assert_eq!(read, (issuer.to_owned(), account.to_owned()));
        }
        assert_eq!(
            url(&entry("Büro & Co", "alice", "db", "my phone")),
            format!("otpauth://totp/B%C3%BCro%20%26%20Co:alice@db%20(my%20phone)?secret={KEY}")
        );
    }

    /// The rule of each app is a part of the issuer and account, so the account alone, Microsoft's, is the hardest.
    #[test]
    fn two_machines_or_two_apps_never_have_the_same_account() {
        let mut accounts = HashSet::new();
        for issuer in ["web", "ACME"] {
            let mut of_issuer = HashSet::new();
            for user in ["alice", "bob", "alice@web1", "alice@corp"] {
                for host in ["web1", "web2", "web1.example.org", "corp"] {
                    for label in ["app", "app-2", "phone", "Phone"] {
                        let (_, account) = as_read(&url(&entry(issuer, user, host, label)));
                        assert!(of_issuer.insert(account.clone()), "{account}");
                        accounts.insert(account);
                    }
                }
            }
        }
        assert_eq!(accounts.len(), 4 * 4 * 4);
    }

    #[test]
    fn the_link_says_what_differs_from_the_defaults() {
        let ending = |kind, algorithm| {
            let entry = entry("vm", "alice", "vm", DEFAULT_LABEL);
            let url = app(kind, algorithm, 8).url(&entry);
            url.split_once(KEY).unwrap().1.to_owned()
        };
        assert_eq!(
            ending(OtpKind::Time { period: 60 }, Algorithm::Sha256),
            "&algorithm=SHA256&digits=8&period=60"
        );
        assert_eq!(
            ending(OtpKind::Counter, Algorithm::Sha1),
            "&digits=8&counter=0"
        );
    }
}
