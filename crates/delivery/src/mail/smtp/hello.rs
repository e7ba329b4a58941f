//! The name by which this machine introduces itself in EHLO: a fully qualified one, or else its address in brackets
//! (RFC 5321 §4.1.4). Many servers refuse anything else, some of them only when the recipient is named.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use lettre::transport::smtp::extension::ClientId;

/// The system's table of host names. Asking the resolver could take as long as sending the mail.
const HOSTS: &str = "/etc/hosts";

/// The name of this machine, whose end of the connection is `local`.
pub(super) fn own_name(local: SocketAddr) -> ClientId {
    let name = match ClientId::default() {
        ClientId::Domain(name) => name,
        other => other.to_string(),
    };
    let name = if is_full(&name) {
        Some(name)
    } else {
        full_name(&name, &fs::read_to_string(HOSTS).unwrap_or_default())
    };
    match (name, local.ip().to_canonical()) {
        (Some(name), _) => ClientId::Domain(name),
        (None, IpAddr::V4(address)) => ClientId::Ipv4(address),
        (None, IpAddr::V6(address)) => ClientId::Ipv6(address),
    }
}

/// The fully qualified form of the host name `short` in `hosts`, a table like /etc/hosts.
fn full_name(short: &str, hosts: &str) -> Option<String> {
    let lines = hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let mut names = lines
        .map(|line| line.split_whitespace().skip(1))
        .filter(|names| names.clone().any(|name| name.eq_ignore_ascii_case(short)))
        .flatten();
    let is_form = |name: &&str| {
        let rest = name
            .get(..short.len())
            .filter(|start| start.eq_ignore_ascii_case(short));
        rest.is_some() && name[short.len()..].starts_with('.') && is_full(name)
    };
    names.find(is_form).map(str::to_owned)
}

/// Whether `name` is fully qualified and can be sent (RFC 5321 §2.3.5).
fn is_full(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    // What installers write for a machine that has no name is the same everywhere.
    let is_placeholder = name.eq_ignore_ascii_case("localhost.localdomain")
        || last.eq_ignore_ascii_case("localdomain")
        || last.eq_ignore_ascii_case("localhost");
    name.contains('.')
        && name.len() <= 253
        && name.split('.').all(is_label)
        && !last.bytes().all(|b| b.is_ascii_digit())
        && !is_placeholder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_name_that_every_server_accepts_is_one() {
        for name in [
            "server01.example.com",
            "a.b",
            "xn--bcher-kva.example",
            "1.example.org",
        ] {
            assert!(is_full(name), "{name}");
        }
        let long = format!("{}.example.org", "a".repeat(64));
        for name in [
            "server01",
            "localhost",
            "localhost.localdomain",
            "server01.localdomain",
            "web_1.example.org",
            "-a.example.org",
            "a..example.org",
            "example.org.",
            ".example.org",
            "192.0.2.1",
            "büro.example",
            "a b.example",
            "",
            &long,
        ] {
            assert!(!is_full(name), "{name}");
        }
    }

    #[test]
    fn the_full_name_of_a_machine_is_read_from_the_table_of_hosts() {
        let hosts = "127.0.0.1 localhost\n\
                     # 192.0.2.9 server01.wrong.example server01\n\
                     127.0.1.1\tServer01.example.com server01 # this one\n\
                     192.0.2.7 mail.example.com mail server02\n\
                     192.0.2.8 server03\n\
                     192.0.2.8 server03.example.com\n";
        assert_eq!(
            full_name("server01", hosts).as_deref(),
            Some("Server01.example.com")
        );
        assert_eq!(
            full_name("server02", hosts),
            None,
            "a name of another machine"
        );
        assert_eq!(
            full_name("server03", hosts),
            None,
            "not said to be the same"
        );
        assert_eq!(full_name("server", hosts), None);
        assert_eq!(full_name("", hosts), None);
        assert_eq!(full_name("server01", ""), None);
    }

    #[test]
    fn a_machine_without_a_full_name_gives_the_address_of_its_end_of_the_connection() {
        // The name of the machine that runs the test is not known.
        let is_literal = |local: &str, literal: &str| match own_name(local.parse().unwrap()) {
            ClientId::Domain(name) => is_full(&name),
            other => other.to_string() == literal,
        };
        assert!(is_literal("192.0.2.1:40000", "[192.0.2.1]"));
        assert!(is_literal("[::ffff:192.0.2.1]:40000", "[192.0.2.1]"));
        assert!(is_literal("[2001:db8::1]:40000", "[IPv6:2001:db8::1]"));
    }
}
