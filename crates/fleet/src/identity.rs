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

impl Identity {
    /// The identity in a certificate (DER). It must have exactly one URI, which must be that.
    pub fn of_certificate(der: &[u8]) -> Result<Self, BadIdentity> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| BadIdentity)?;
        if !rest.is_empty() {
            return Err(BadIdentity);
        }
        let names = certificate
            .subject_alternative_name()
            .ok()
            .flatten()
            .ok_or(BadIdentity)?;
        let uris = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            });
        match uris.collect::<Vec<_>>().as_slice() {
            [uri] => uri.parse(),
            _ => Err(BadIdentity),
        }
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
        ] {
            assert_eq!(text.parse::<Identity>(), Err(BadIdentity), "{text}");
        }
    }
}
