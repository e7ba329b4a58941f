//! What only a server that joins may read: its certificate and key, and the key that signs the certificates of servers. An
//! administrator seals it with the secret of the token; the server that passes it on knows no more than a proof of that.
//!
//! PEM: the key that signs, where there is one, the certificate, its key. A program that knows of no key before the certificate
//! finds none that fits its key, and does not join.

use zeroize::Zeroizing;

use crate::certificate::{Authority, CertificateError, Issued, PrivateKey};

const KEY: &str = "-----BEGIN PRIVATE KEY-----";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// What a server that joins is given.
#[derive(Debug)]
pub struct ServerPackage {
    /// The key of the authority for servers, with which it renews its own certificate and adds servers.
    pub servers_key: Option<PrivateKey>,
    /// Its own certificate and key.
    pub own: Issued,
}

impl ServerPackage {
    /// As it is sealed.
    pub fn pem(&self) -> Zeroizing<String> {
        let servers_key = self.servers_key.as_ref().map_or("", PrivateKey::pem);
        // In one piece, so that no copy is left behind.
        let parts = [servers_key, &self.own.certificate, self.own.key.pem()];
        let mut text = Zeroizing::new(String::with_capacity(
            parts.iter().map(|part| part.len() + 1).sum(),
        ));
        for part in parts {
            text.push_str(part);
            if !part.is_empty() && !part.ends_with('\n') {
                text.push('\n');
            }
        }
        text
    }

    /// Reads what was sealed.
    pub fn parse(bytes: &[u8]) -> Result<Self, CertificateError> {
        let text = std::str::from_utf8(bytes).map_err(|_| CertificateError::Unreadable)?;
        let (before, rest) = text
            .find(CERTIFICATE)
            .map(|at| text.split_at(at))
            .ok_or(CertificateError::Unreadable)?;
        let (certificate, key) = rest
            .find(KEY)
            .map(|at| rest.split_at(at))
            .ok_or(CertificateError::Unreadable)?;
        let key_of = |pem: &str| PrivateKey::new(Zeroizing::new(pem.to_owned()));
        Ok(Self {
            servers_key: (!before.is_empty()).then(|| key_of(before)),
            own: Issued {
                certificate: certificate.to_owned(),
                key: key_of(key),
            },
        })
    }

    /// Checks that the key of the authority is that of the certificate `servers` (PEM).
    pub fn check_servers_key(&self, servers: &str) -> Result<(), CertificateError> {
        self.servers_key
            .as_ref()
            .map_or(Ok(()), |key| Authority::new(servers, key).map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{NewFleet, make_fleet};
    use twofa_core::Timestamp;

    fn package(with_key: bool) -> (NewFleet, ServerPackage) {
        let now = Timestamp::from_unix(1_800_000_000);
        let fleet = make_fleet(now).unwrap();
        let authority = Authority::new(&fleet.servers.certificate, &fleet.servers.key).unwrap();
        let own = authority.issue_server(&fleet.id, &["srv".into()], now);
        let package = ServerPackage {
            servers_key: with_key.then(|| fleet.servers.key.clone()),
            own: own.unwrap(),
        };
        (fleet, package)
    }

    #[test]
    fn a_package_is_read_as_it_was_sealed_with_the_key_that_signs_servers_and_without() {
        for with_key in [true, false] {
            let (fleet, package) = package(with_key);
            let read = ServerPackage::parse(package.pem().as_bytes()).unwrap();
            let key = |package: &ServerPackage| {
                let key = package.servers_key.as_ref();
                key.map(|key| key.pem().trim().to_owned())
            };
            assert_eq!(key(&read), key(&package));
            assert_eq!(read.own.certificate, package.own.certificate);
            assert_eq!(read.own.key.pem().trim(), package.own.key.pem().trim());
            read.check_servers_key(&fleet.servers.certificate).unwrap();
            assert!(!format!("{read:?}").contains("BEGIN PRIVATE"));
        }
    }

    #[test]
    fn a_key_that_is_not_the_authoritys_is_noticed() {
        let (_, package) = package(true);
        let other = make_fleet(Timestamp::from_unix(1_800_000_000)).unwrap();
        let checked = package.check_servers_key(&other.servers.certificate);
        assert!(checked.is_err());
        for bad in ["", "-----BEGIN CERTIFICATE-----", "\u{1f511}"] {
            assert!(ServerPackage::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
