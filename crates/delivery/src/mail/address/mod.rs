//! E-mail addresses in the form that mail servers accept.

use std::net::IpAddr;

use lettre::Address;
use lettre::message::Mailbox;
use percent_encoding::percent_decode_str;
use twofa_core::text::is_unprintable;

use crate::characters::{describe, is_hyphen, is_invisible};

/// The longest path that a mail server has to accept, in bytes without its angle brackets (RFC 5321 §4.5.3.1.3).
const MAX_LENGTH: usize = 254;
/// The longest part before the `@`, in bytes (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// What begins a link to an address (RFC 6068).
const LINK: &str = "mailto:";
/// The part of a refused text that an error repeats, in characters.
const MAX_REPEATED: usize = 100;

/// Not an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not an e-mail address: {why}")]
pub struct BadEmailAddress {
    /// Escaped.
    text: String,
    why: String,
}

impl BadEmailAddress {
    fn new(text: &str, why: impl Into<String>) -> Self {
        let mut shown: String = text.chars().take(MAX_REPEATED).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self {
            text: shown.escape_debug().to_string(),
            why: why.into(),
        }
    }
}

/// The e-mail address in `text`, normalised: without what was pasted around it (blanks, `mailto:`, angle brackets and a
/// name before them) and invisible characters in it, the domain in lower case and, if it has letters beyond ASCII, in the
/// ASCII form that every mail server accepts (RFC 5891). The part before the `@` is kept as it is, because only its own
/// server knows how to read it, but without quotes that it does not need to be written.
///
/// ```
/// use twofa_delivery::mail::address;
///
/// assert_eq!(address(" Alice@Bücher.example").unwrap(), "Alice@xn--bcher-kva.example");
/// assert_eq!(address("\"a..b\"@example.org").unwrap(), "a..b@example.org");
/// assert!(address("alice").is_err());
/// ```
pub fn address(text: &str) -> Result<String, BadEmailAddress> {
    split(text).map(|(local, domain)| format!("{local}@{domain}"))
}

/// Like [`address()`], as it is sent: a part before the `@` with dots where RFC 5321 §4.1.2 has none (`a..b`, `.ab`, `ab.`;
/// some Japanese carriers have issued such addresses) is quoted, which names the same mailbox.
pub(super) fn parse(text: &str) -> Result<Address, BadEmailAddress> {
    let (local, domain) = split(text)?;
    let has_odd_dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    let local = if has_odd_dots && !local.starts_with('"') {
        format!("\"{local}\"")
    } else {
        local
    };
    // Both parts have been checked. lettre refuses quoted parts that are as long as they may be.
    Ok(Address::new_dangerous(local, domain))
}

/// A mailbox as an administrator writes it: `Name <address>`, or the address alone.
pub(super) fn parse_mailbox(text: &str) -> Result<Mailbox, BadEmailAddress> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
    // Unlike in what is pasted, a name may have angle brackets of its own.
    let (name, address) = text
        .strip_suffix('>')
        .and_then(|text| text.rsplit_once('<'))
        .unwrap_or(("", text));
    let email = parse(address)?;
    let name = name.trim();
    let name = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .unwrap_or(name)
        .trim();
    if let Some(c) = name.chars().find(|c| is_unprintable(*c)) {
        return Err(misplaced(text, c));
    }
    Ok(Mailbox::new(
        (!name.is_empty()).then(|| name.to_owned()),
        email,
    ))
}

/// The parts of the address in `text` before and after the `@`.
fn split(text: &str) -> Result<(String, String), BadEmailAddress> {
    let bare = unwrap(text)?;
    let (local, domain) = bare
        .rsplit_once('@')
        .ok_or_else(|| BadEmailAddress::new(text, "it has no '@'"))?;
    let local = read_local(local).map_err(|c| misplaced(text, c))?;
    if local.is_empty() {
        return Err(BadEmailAddress::new(text, "nothing is before the '@'"));
    }
    if let Some(c) = domain
        .chars()
        .find(|c| c.is_whitespace() || (is_unprintable(*c) && !is_joiner(*c)))
    {
        return Err(misplaced(text, c));
    }
    let domain = read_domain(domain).ok_or_else(|| {
        let domain = domain.escape_debug();
        BadEmailAddress::new(text, format!("'{domain}' is not a domain"))
    })?;
    if local.len() > MAX_LOCAL {
        let why = format!("the part before the '@' is longer than {MAX_LOCAL} bytes");
        return Err(BadEmailAddress::new(text, why));
    }
    if local.len() + 1 + domain.len() > MAX_LENGTH {
        let why = format!("it is longer than {MAX_LENGTH} bytes");
        return Err(BadEmailAddress::new(text, why));
    }
    Ok((local, domain))
}

fn misplaced(text: &str, c: char) -> BadEmailAddress {
    BadEmailAddress::new(text, format!("{} does not belong there", describe(c)))
}

/// Whether some scripts need the invisible `c` within words.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// The address in `text` without what a program copied together with it, and with ASCII characters in place of those that
/// look like them.
fn unwrap(text: &str) -> Result<String, BadEmailAddress> {
    let is_foreign = text.chars().any(|c| {
        c.is_alphabetic() && !c.is_ascii() && !matches!(c, '\u{ff01}'..='\u{ff5e}' | '\u{2bc}')
    });
    let text = text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
    let plain: String = text
        .chars()
        .filter(|c| !is_invisible(*c) || (is_foreign && is_joiner(*c)))
        .map(look_alike)
        .collect();
    let mut bare = plain.trim();
    if let Some((name, inner)) = bare
        .strip_suffix('>')
        .and_then(|rest| rest.rsplit_once('<'))
    {
        if let Some(c) = name
            .chars()
            .find(|c| c.is_control() || matches!(c, '<' | '>'))
        {
            return Err(misplaced(text, c));
        }
        bare = inner.trim();
    }
    match bare.get(..LINK.len()) {
        Some(start) if start.eq_ignore_ascii_case(LINK) => {
            let link = bare.get(LINK.len()..).unwrap_or_default();
            let address = link.split('?').next().unwrap_or_default();
            let address = percent_decode_str(address).decode_utf8_lossy();
            Ok(address.trim().to_owned())
        }
        _ => Ok(bare.to_owned()),
    }
}

/// The character of ASCII that `c` looks like in an address.
fn look_alike(c: char) -> char {
    match c {
        c if is_hyphen(c) => '-',
        '\u{2bc}' | '\u{2019}' => '\'',
        '\u{fe6b}' => '@',
        '\u{3002}' | '\u{ff61}' => '.',
        // The full-width forms of ASCII.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    }
}

/// The part before the `@`, without quotes if it can be written without them. Or the first character that does not belong
/// there. RFC 5321 allows blanks and angle brackets in quotes. No real mailbox has them, and they would end the argument of
/// an SMTP command.
fn read_local(written: &str) -> Result<String, char> {
    let Some(quoted) = written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return match written.chars().find(|c| !is_local(*c)) {
            Some(c) => Err(c),
            None => Ok(written.to_owned()),
        };
    };
    let mut local = String::new();
    let mut characters = quoted.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => local.push(characters.next().ok_or('\\')?),
            '"' => return Err('"'),
            c => local.push(c),
        }
    }
    let is_bad = |c: &char| c.is_whitespace() || matches!(c, '<' | '>') || is_unprintable(*c);
    if let Some(c) = local.chars().find(is_bad) {
        return Err(c);
    }
    if local.chars().all(is_local) {
        return Ok(local);
    }
    let escaped = local.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(format!("\"{escaped}\""))
}

/// Whether `c` needs no quotes before the `@`: a dot, or `atext` of RFC 5322 §3.2.3 and RFC 6532 §3.2.
fn is_local(c: char) -> bool {
    match c {
        c if c.is_ascii() => c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c),
        c => !c.is_whitespace() && !is_unprintable(c),
    }
}

/// The domain, or an address in brackets (RFC 5321 §4.1.3), in the form that is sent.
fn read_domain(written: &str) -> Option<String> {
    if let Some(literal) = written.strip_prefix('[') {
        let literal = literal.strip_suffix(']')?;
        let tag = "IPv6:";
        let untagged = literal
            .get(..tag.len())
            .filter(|start| start.eq_ignore_ascii_case(tag));
        let address = untagged.map_or(literal, |tag| &literal[tag.len()..]);
        return match address.parse().ok()? {
            IpAddr::V4(address) => Some(format!("[{address}]")),
            IpAddr::V6(address) => Some(format!("[IPv6:{address}]")),
        };
    }
    let domain = idna::domain_to_ascii(written).ok()?;
    // The dot of the root is not written in mail.
    let domain = domain.strip_suffix('.').unwrap_or(&domain);
    Address::new("a", domain).ok()?;
    Some(domain.to_owned())
}

#[cfg(test)]
mod tests;
