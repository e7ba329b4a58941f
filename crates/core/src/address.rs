//! Addresses of clients, as applications name them.

use std::net::IpAddr;

/// Parses `text` as an address: in brackets or not, with or without the zone of an IPv6 address (RFC 4007 §11:
/// `fe80::1%eth0`), which names the interface and not the client. An IPv4-mapped address (RFC 4291 §2.5.5.2) is the IPv4 address.
/// `None`: it is a name, even one that looks like a number, as `192.0.2.7.` does.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    let bracketed = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let text = bracketed.unwrap_or(text);
    let address: IpAddr = match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() && address.contains(':') => {
            address.parse().ok()?
        }
        Some(_) => return None,
        None => text.parse().ok()?,
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_parses_to_the_same_address() {
        for (text, address) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::FFFF:c000:207", "192.0.2.7"),
            ("fe80::1", "fe80::1"),
            ("FE80:0::01", "fe80::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("fe80::1%2", "fe80::1"),
            ("::ffff:192.0.2.7%eth0", "192.0.2.7"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[fe80::1%eth0]", "fe80::1"),
        ] {
            assert_eq!(parse_address(text), address.parse().ok(), "{text}");
        }
    }

    #[test]
    fn a_name_is_not_an_address() {
        for text in [
            "",
            "office.example.org",
            "192.0.2.7.",
            "192.0.2.7%eth0",
            "fe80::1%",
            "%eth0",
            "[192.0.2.7",
            "192.0.2.7]",
            "192.0.2",
            "0xc0000207",
            "192.0.2.7 ",
            "192.0.2.7:22",
        ] {
            assert_eq!(parse_address(text), None, "{text}");
        }
    }
}
