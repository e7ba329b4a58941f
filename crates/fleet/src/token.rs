//! What an administrator carries from a server to a host that is to join, on one line.
//!
//! `twofa1/SERVER,…/ROOT/SECRET`: where servers are, SHA-256 of the fleet's root certificate in hexadecimal digits, and a
//! secret that works once.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};
use twofa_proto::Secret;
use zeroize::Zeroizing;

use crate::PORT;

const PREFIX: &str = "twofa1";
const SECRET_BYTES: usize = 16;
const ROOT_BYTES: usize = 32;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A host name, or a numeric address without brackets.
    pub name: String,
    /// The TCP port.
    pub port: u16,
}

/// A token as it is printed and typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The servers; at least one.
    pub servers: Vec<Address>,
    /// SHA-256 of the root certificate.
    pub root: [u8; ROOT_BYTES],
    /// What the server recognises it by.
    pub secret: Secret,
}

/// A text is no address, or no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It is no token at all.
    #[error(
        "that is not what 'twofa host add', 'twofa join-key add' or 'twofa server add' printed; copy the whole line"
    )]
    Unreadable,
    /// A server in it has no valid address.
    #[error(
        "a server's address must be a host name or a numeric address, and may end in a port as in [2001:db8::1]:6238"
    )]
    Address,
}

impl FromStr for Address {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let port = |text: &str| text.parse().ok().filter(|port| *port != 0);
        let (name, port) = if let Some(rest) = text.strip_prefix('[') {
            let (name, rest) = rest.split_once(']').ok_or(BadToken::Address)?;
            name.parse::<Ipv6Addr>().map_err(|_| BadToken::Address)?;
            let number = match rest {
                "" => Some(PORT),
                rest => rest.strip_prefix(':').and_then(port),
            };
            (name, number)
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (text, Some(PORT))
        } else {
            match text.split_once(':') {
                Some((name, number)) => (name, port(number)),
                None => (text, Some(PORT)),
            }
        };
        let port = port.ok_or(BadToken::Address)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        let is_good = name.parse::<IpAddr>().is_ok() || name.chars().all(is_name);
        if name.is_empty() || name.starts_with('-') || !is_good {
            return Err(BadToken::Address);
        }
        let name = name.to_ascii_lowercase();
        Ok(Self { name, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.parse::<Ipv6Addr>() {
            Ok(_) => write!(f, "[{}]", self.name)?,
            Err(_) => f.write_str(&self.name)?,
        }
        if self.port == PORT {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

impl Token {
    /// A token with a new secret.
    pub fn new(servers: Vec<Address>, root: [u8; ROOT_BYTES]) -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        getrandom::fill(&mut *bytes)?;
        let secret = BASE32_NOPAD.encode(&*bytes).into();
        Ok(Self {
            servers,
            root,
            secret,
        })
    }

    /// The line.
    pub fn line(&self) -> Secret {
        let servers: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
        let (servers, root) = (servers.join(","), HEXLOWER.encode(&self.root));
        format!("{PREFIX}/{servers}/{root}/{}", self.secret.expose()).into()
    }
}

impl FromStr for Token {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let parts: Vec<_> = text.trim().split('/').collect();
        let [PREFIX, servers, root, secret] = parts.as_slice() else {
            return Err(BadToken::Unreadable);
        };
        let decoded = HEXLOWER.decode(root.as_bytes());
        let root = decoded.ok().and_then(|root| root.try_into().ok());
        let secret_bytes = BASE32_NOPAD.decode(secret.as_bytes()).map(Zeroizing::new);
        if secret_bytes.is_ok_and(|bytes| bytes.len() == SECRET_BYTES) {
            Ok(Self {
                servers: servers
                    .split(',')
                    .map(str::parse)
                    .collect::<Result<_, _>>()?,
                root: root.ok_or(BadToken::Unreadable)?,
                secret: (*secret).into(),
            })
        } else {
            Err(BadToken::Unreadable)
        }
    }
}

/// What a server that joins sends in the place of its token's secret. The secret opens what was sealed for it, which the server
/// at the other end cannot.
pub fn proof(secret: &Secret) -> Secret {
    let mut hash = Sha256::new();
    hash.update(b"twofa: a server joins\0");
    hash.update(secret.expose().as_bytes());
    HEXLOWER.encode(&hash.finalize()).into()
}

/// What the store keeps of a token's secret. It has 128 random bits, so that no slow hash is needed.
pub fn digest(secret: &Secret) -> [u8; 32] {
    Sha256::digest(secret.expose().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(name: &str, port: u16) -> Address {
        Address {
            name: name.to_owned(),
            port,
        }
    }

    #[test]
    fn an_address_is_a_name_or_a_numeric_address_and_perhaps_a_port() {
        for (text, expected) in [
            ("srv1.example.com", address("srv1.example.com", PORT)),
            ("SRV1:7000", address("srv1", 7000)),
            ("192.0.2.1", address("192.0.2.1", PORT)),
            ("192.0.2.1:7000", address("192.0.2.1", 7000)),
            ("2001:db8::1", address("2001:db8::1", PORT)),
            ("[2001:db8::1]", address("2001:db8::1", PORT)),
            ("[2001:db8::1]:7000", address("2001:db8::1", 7000)),
        ] {
            let read: Address = text.parse().unwrap();
            assert_eq!(read, expected);
            assert_eq!(read.to_string().parse(), Ok(read));
        }
        for text in [
            "", ":1", "a:", "a:0", "a:65536", "a b", "a/b", "-a", "[a]", "[::1", "[::1]x", "a,b",
        ] {
            assert_eq!(text.parse::<Address>(), Err(BadToken::Address), "{text}");
        }
    }

    #[test]
    fn a_token_is_read_as_it_is_printed_and_prints_no_secret_elsewhere() {
        let servers = vec![
            address("srv1.example.com", PORT),
            address("2001:db8::1", 7000),
        ];
        let token = Token::new(servers, [7; 32]).unwrap();
        let line = token.line();
        assert_eq!(format!("{}\n", line.expose()).parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains(token.secret.expose()));
    }

    #[test]
    fn a_token_that_was_cut_or_changed_in_form_is_refused() {
        let token = Token::new(vec![address("a", PORT)], [7; 32]).unwrap();
        let line = token.line();
        let line = line.expose();
        for cut in 0..line.len() {
            assert!(line[..cut].parse::<Token>().is_err(), "{cut}");
        }
        let doubled = format!("{line}/x");
        for text in [line.to_uppercase(), format!("{line}A"), doubled] {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
    }
}
