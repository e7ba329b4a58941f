//! E-mail addresses in the form that mail servers accept.

use lettre::Address;
use lettre::message::Mailbox;

/// The longest path that a mail server has to accept, in bytes without its angle brackets (RFC 5321 §4.5.3.1.3).
const MAX_LENGTH: usize = 254;

/// Not an e-mail address. Contains the text, escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an e-mail address")]
pub struct BadEmailAddress(String);

impl BadEmailAddress {
    fn new(text: &str) -> Self {
        Self(text.escape_debug().to_string())
    }
}

/// The e-mail address in `text`, normalised: without surrounding space, the domain in lower case and, if it has letters
/// beyond ASCII, in the ASCII form that every mail server accepts (RFC 5891). The part before the `@` is kept as it is:
/// only its own server knows how to read it.
///
/// ```
/// use twofa_delivery::mail::address;
///
/// assert_eq!(address(" Alice@Bücher.example").unwrap(), "Alice@xn--bcher-kva.example");
/// assert!(address("alice").is_err());
/// ```
pub fn address(text: &str) -> Result<String, BadEmailAddress> {
    parse(text).map(|address| address.to_string())
}

/// Like [`address()`], as lettre's type.
pub(super) fn parse(text: &str) -> Result<Address, BadEmailAddress> {
    let bad = || BadEmailAddress::new(text);
    let (user, domain) = text.trim().rsplit_once('@').ok_or_else(bad)?;
    // RFC 5321 allows these in a quoted local part. No real mailbox has them, and they would end the argument of an
    // SMTP command.
    if user
        .chars()
        .any(|c| c.is_whitespace() || matches!(c, '<' | '>') || twofa_core::text::is_unprintable(c))
    {
        return Err(bad());
    }
    let domain = if domain.starts_with('[') {
        domain.to_owned()
    } else {
        idna::domain_to_ascii(domain).map_err(|_| bad())?
    };
    let address = Address::new(user, domain).map_err(|_| bad())?;
    if AsRef::<str>::as_ref(&address).len() > MAX_LENGTH {
        Err(bad())
    } else {
        Ok(address)
    }
}

/// A mailbox as an administrator writes it: `Name <address>`, or the address alone.
pub(super) fn parse_mailbox(text: &str) -> Result<Mailbox, BadEmailAddress> {
    let text = text.trim();
    let Some((name, address)) = text
        .strip_suffix('>')
        .and_then(|text| text.rsplit_once('<'))
    else {
        return Ok(Mailbox::new(None, parse(text)?));
    };
    let name = name.trim();
    let name = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .unwrap_or(name)
        .trim();
    if name.chars().any(twofa_core::text::is_unprintable) {
        return Err(BadEmailAddress::new(text));
    }
    let name = (!name.is_empty()).then(|| name.to_owned());
    Ok(Mailbox::new(name, parse(address)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_normalised_to_the_form_that_servers_accept() {
        for (text, expected) in [
            (" alice@example.org\n", "alice@example.org"),
            (
                "Alice.Smith+login@EXAMPLE.org",
                "Alice.Smith+login@example.org",
            ),
            ("alice@bücher.example", "alice@xn--bcher-kva.example"),
            ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
            ("o'hara@example.org", "o'hara@example.org"),
            ("root@[192.0.2.1]", "root@[192.0.2.1]"),
        ] {
            assert_eq!(address(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused_and_escaped_in_the_error() {
        let long = format!("a@{}.example", "b.".repeat(130));
        for text in [
            "",
            "alice",
            "@example.org",
            "alice@",
            "a b@example.org",
            "alice@exa mple.org",
            "alice@example.org>\r\nRCPT TO:<bob@example.org",
            "\"a> b\"@example.org",
            "alice\u{202e}@example.org",
            "alice@example.org, bob@example.org",
            &long,
        ] {
            let error = address(text).expect_err(text);
            assert!(
                !error.to_string().contains(['\r', '\n', '\u{202e}']),
                "{error}"
            );
        }
    }

    #[test]
    fn a_mailbox_is_an_address_with_or_without_a_name() {
        let plain = parse_mailbox(" login@example.org ").unwrap();
        assert_eq!(
            (plain.name, plain.email.to_string()),
            (None, "login@example.org".to_owned())
        );
        for (text, name) in [
            ("Büro 7 <login@example.org>", "Büro 7"),
            ("\"Logins, all\" <login@example.org>", "Logins, all"),
            ("東京 <login@example.org>", "東京"),
        ] {
            let named = parse_mailbox(text).unwrap();
            assert_eq!(named.name.as_deref(), Some(name));
            assert_eq!(named.email.to_string(), "login@example.org");
        }
        for text in [
            "",
            "login",
            "Name <login@example.org",
            "a\nb <login@example.org>",
            "<>",
        ] {
            assert!(parse_mailbox(text).is_err(), "{text:?}");
        }
    }
}
