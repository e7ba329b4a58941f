//! Who the holder of a certificate is: a URI among its subject alternative names (RFC 5280 §4.2.1.6).

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

const SCHEME: &str = "twofa://";
const HOST: &str = "host";
const SERVER: &str = "server";
const ID_BYTES: usize = 16;

/// The random name of a fleet or a host: 32 hexadecimal digits. Unlike the name that people give, it is never used again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id(String);

/// Who the holder of a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The fleet that it belongs to.
    pub fleet: Id,
    /// What it is there.
    pub role: Role,
}

/// What the holder of a certificate is in its fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The host of this id.
    Host(Id),
    /// A server.
    Server,
}

/// What an issuing authority of a fleet signs. It stands in a URI among the authority's subject alternative names, which names
/// no member of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signs {
    /// The certificates of hosts.
    Hosts,
    /// The certificates of servers.
    Servers,
}

/// The text is no id, or no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that does not name a member of a fleet")]
pub struct BadIdentity;

impl Id {
    /// A new one.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; ID_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(HEXLOWER.encode(&bytes)))
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = BadIdentity;

    fn from_str(text: &str) -> Result<Self, BadIdentity> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| BadIdentity)?;
        if bytes.len() == ID_BYTES {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadIdentity)
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/", self.fleet)?;
        match &self.role {
            Role::Host(id) => write!(f, "{HOST}/{id}"),
            Role::Server => f.write_str(SERVER),
        }
    }
}

impl FromStr for Identity {
    type Err = BadIdentity;

    fn from_str(text: &str) -> Result<Self, BadIdentity> {
        let text = text.strip_prefix(SCHEME).ok_or(BadIdentity)?;
        let (fleet, role) = text.split_once('/').ok_or(BadIdentity)?;
        let role = match role.split_once('/') {
            Some((HOST, id)) => Role::Host(id.parse()?),
            None if role == SERVER => Role::Server,
            _ => return Err(BadIdentity),
        };
        let fleet = fleet.parse()?;
        Ok(Self { fleet, role })
    }
}

impl Signs {
    /// The URI of the authority that signs this in `fleet`.
    pub fn uri(self, fleet: &Id) -> String {
        let signs = match self {
            Self::Hosts => "hosts",
            Self::Servers => "servers",
        };
        format!("{SCHEME}{fleet}/ca/{signs}")
    }

    /// Whether a certificate (DER) is that of the authority that signs this in `fleet`.
    pub fn is_of(self, fleet: &Id, der: &[u8]) -> bool {
        single_uri(der).is_ok_and(|uri| uri.as_deref() == Some(&*self.uri(fleet)))
    }

    /// The same, or it is one of a fleet that was made when authorities had no URI.
    pub fn may_be_of(self, fleet: &Id, der: &[u8]) -> bool {
        self.is_of(fleet, der) || single_uri(der).is_ok_and(|uri| uri.is_none())
    }
}

/// The URI among the names of a certificate (DER), if it has one; an error: it has several, or is none.
fn single_uri(der: &[u8]) -> Result<Option<String>, BadIdentity> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| BadIdentity)?;
    if !rest.is_empty() {
        return Err(BadIdentity);
    }
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| BadIdentity)?;
    let names = names
        .iter()
        .flat_map(|names| names.value.general_names.iter());
    let mut uris = names.filter_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (uri, None) => Ok(uri),
        _ => Err(BadIdentity),
    }
}

impl Identity {
    /// The identity in a certificate (DER). It must have exactly one URI, which must be that.
    pub fn of_certificate(der: &[u8]) -> Result<Self, BadIdentity> {
        single_uri(der)?.ok_or(BadIdentity)?.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_it_is_written_and_nothing_else_is() {
        let (fleet, id) = (Id::random().unwrap(), Id::random().unwrap());
        for role in [Role::Host(id.clone()), Role::Server] {
            let fleet = fleet.clone();
            let identity = Identity { fleet, role };
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
        for text in [
            String::new(),
            format!("twofa://{fleet}"),
            format!("twofa://{fleet}/"),
            format!("twofa://{fleet}/host"),
            format!("twofa://{fleet}/host/web1"),
            format!("twofa://{fleet}/server/"),
            format!("twofa://{fleet}/server/{id}"),
            format!("twofa://{fleet}/host/{id}/"),
            format!("https://{fleet}/server"),
            format!("twofa://{}/server", fleet.as_str().to_uppercase()),
            "twofa://00/server".to_owned(),
            // What signs certificates is no member.
            Signs::Hosts.uri(&fleet),
            Signs::Servers.uri(&fleet),
        ] {
            assert_eq!(text.parse::<Identity>(), Err(BadIdentity), "{text}");
        }
    }
}
