//! E-mail addresses, as a mail server will take them.

use lettre::Address;

/// The longest path a mail server has to take, without its angle brackets (RFC 5321 §4.5.3.1.3).
const LONGEST: usize = 254;

/// Not an e-mail address. Holds what was written, escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no e-mail address")]
pub struct NoAddress(String);

impl NoAddress {
    pub(super) fn new(text: &str) -> Self {
        Self(text.escape_debug().to_string())
    }
}

/// The e-mail address in `text` as it will be written to: without space around it, its domain in lower case and, where
/// it has letters other than ASCII's, in the form that every mail server takes (RFC 5891). What stands before the `@`
/// belongs to its server and stays as it is.
///
/// ```
/// use twofa_delivery::mail::address;
///
/// assert_eq!(address(" Alice@Bücher.example").unwrap(), "Alice@xn--bcher-kva.example");
/// assert!(address("alice").is_err());
/// ```
pub fn address(text: &str) -> Result<String, NoAddress> {
    parsed(text).map(|address| address.to_string())
}

/// The same, ready to be sent to.
pub(super) fn parsed(text: &str) -> Result<Address, NoAddress> {
    let bad = || NoAddress::new(text);
    let (user, domain) = text.trim().rsplit_once('@').ok_or_else(bad)?;
    // A quoted local part may hold these; no mailbox is called that, and they would end an SMTP command's argument.
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
    if AsRef::<str>::as_ref(&address).len() > LONGEST {
        Err(bad())
    } else {
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_is_brought_into_the_form_that_servers_take() {
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
    fn what_is_no_address_is_refused_and_shown_harmless() {
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
}
