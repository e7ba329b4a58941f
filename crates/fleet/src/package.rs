//! What only a server that joins may read: its certificate and key, and the key that signs the certificates of servers. An
//! administrator seals it with the secret of the token; the server that passes it on knows no more than a proof of that.
//!
//! PEM: the key that signs, where there is one, the certificate, its key. A program that knows of no key before the certificate
//! finds none that fits its key, and does not join. While the certificate authority of the fleet is rotated, the new one follows:
//! [`NextAuthorities`].

use zeroize::Zeroizing;

use crate::certificate::{Authority, CertificateError, Issued, PrivateKey};
use crate::error::TlsError;
use crate::identity::Id;
use crate::tls::{self, ServerCertificates};

const KEY: &str = "-----BEGIN PRIVATE KEY-----";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// What a server that joins is given.
#[derive(Debug)]
pub struct ServerPackage {
    /// The key of the authority for servers, with which it renews its own certificate and adds servers.
    pub servers_key: Option<PrivateKey>,
    /// Its own certificate and key.
    pub own: Issued,
    /// The certificate authority that the fleet will have, if it is being rotated.
    pub next: Option<Box<NextAuthorities>>,
}

/// The certificate authority that a fleet will have.
#[derive(Debug, Clone)]
pub struct NextAuthorities {
    /// The root's certificate.
    pub root: String,
    /// What signs the certificates of servers.
    pub servers: Issued,
    /// What signs the certificates of hosts.
    pub hosts: Issued,
    /// The server's own certificate below it.
    pub own: Issued,
}

impl NextAuthorities {
    fn parts(&self) -> [&str; 7] {
        let Self {
            root,
            servers,
            hosts,
            own,
        } = self;
        [
            root,
            &servers.certificate,
            servers.key.pem(),
            &hosts.certificate,
            hosts.key.pem(),
            &own.certificate,
            own.key.pem(),
        ]
    }

    fn parse(blocks: &mut Blocks<'_>) -> Result<Self, CertificateError> {
        let root = blocks.certificate()?;
        let mut issued = || blocks.issued();
        Ok(Self {
            root,
            servers: issued()?,
            hosts: issued()?,
            own: issued()?,
        })
    }

    /// Checks that each key is that of its certificate, and that the server's own certificate can be shown.
    pub fn check(&self, fleet: &Id) -> Result<(), TlsError> {
        for authority in [&self.servers, &self.hosts] {
            Authority::new(&authority.certificate, &authority.key)?;
        }
        tls::server(&ServerCertificates {
            chain: &[
                &self.own.certificate,
                &*self.servers.certificate,
                &self.root,
            ]
            .concat(),
            key: &self.own.key,
            hosts: &self.hosts.certificate,
            fleet,
        })
        .map(drop)
    }
}

/// What follows one another in a PEM text.
struct Blocks<'a>(&'a str);

impl<'a> Blocks<'a> {
    fn next(&mut self, begin: &str) -> Result<&'a str, CertificateError> {
        let unreadable = CertificateError::Unreadable;
        if !self.0.starts_with(begin) {
            return Err(unreadable);
        }
        let at = self.0.find(END).ok_or(CertificateError::Unreadable)? + END.len();
        let end = self.0[at..].find(DASHES).ok_or(unreadable)? + at + DASHES.len();
        let (block, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        Ok(block)
    }

    fn certificate(&mut self) -> Result<String, CertificateError> {
        self.next(CERTIFICATE).map(|block| format!("{block}\n"))
    }

    fn key(&mut self) -> Result<PrivateKey, CertificateError> {
        let block = self.next(KEY)?;
        // In one piece, so that no copy is left behind.
        let mut pem = Zeroizing::new(String::with_capacity(block.len() + 1));
        pem.push_str(block);
        pem.push('\n');
        Ok(PrivateKey::new(pem))
    }

    fn issued(&mut self) -> Result<Issued, CertificateError> {
        let certificate = self.certificate()?;
        let key = self.key()?;
        Ok(Issued { certificate, key })
    }
}

impl ServerPackage {
    /// As it is sealed.
    pub fn pem(&self) -> Zeroizing<String> {
        let servers_key = self.servers_key.as_ref().map_or("", PrivateKey::pem);
        let mut parts = vec![servers_key, &self.own.certificate, self.own.key.pem()];
        parts.extend(self.next.iter().flat_map(|next| next.parts()));
        // In one piece, so that no copy is left behind.
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
        let mut blocks = Blocks(text.trim_start());
        let has_key = blocks.0.starts_with(KEY);
        let servers_key = has_key.then(|| blocks.key()).transpose()?;
        let own = blocks.issued()?;
        let is_more = !blocks.0.is_empty();
        let next = is_more.then(|| NextAuthorities::parse(&mut blocks));
        Ok(Self {
            servers_key,
            own,
            next: next.transpose()?.map(Box::new),
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
            next: None,
        };
        (fleet, package)
    }

    #[test]
    fn the_next_certificate_authority_comes_with_it_and_is_checked() {
        let (fleet, mut package) = package(true);
        let now = Timestamp::from_unix(1_800_000_000);
        let next = crate::certificate::make_authorities(fleet.id.clone(), now).unwrap();
        let authority = Authority::new(&next.servers.certificate, &next.servers.key).unwrap();
        let own = authority.issue_server(&fleet.id, &["srv".into()], now);
        package.next = Some(Box::new(NextAuthorities {
            root: next.root.certificate,
            servers: next.servers,
            hosts: next.hosts,
            own: own.unwrap(),
        }));
        let sealed = package.pem();
        let read = ServerPackage::parse(sealed.as_bytes()).unwrap();
        assert_eq!(*read.pem(), *sealed);
        let mut read = *read.next.unwrap();
        read.check(&fleet.id).unwrap();
        std::mem::swap(&mut read.hosts.key, &mut read.servers.key);
        assert!(read.check(&fleet.id).is_err());
        // Half of it is nothing.
        for length in (0..sealed.trim_end().len()).step_by(7) {
            let half = ServerPackage::parse(&sealed.as_bytes()[..length]);
            assert!(half.is_err() || half.is_ok_and(|half| half.next.is_none()));
        }
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
