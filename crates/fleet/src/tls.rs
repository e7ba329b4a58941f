//! The TLS of both ends: version 1.3 alone, certificates on both sides, nothing resumed and nothing sent early.
//!
//! A resumed session would carry the host's certificate over without checking it again (rustls 0.23.46 copies it from the
//! ticket), so no tickets are given. Connections are kept open instead.

use std::sync::Arc;

use rustls::DistinguishedName;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
pub use rustls::{ClientConfig, ServerConfig};

use crate::certificate::{PrivateKey, fingerprint, read_pem};
pub use crate::error::TlsError;
use crate::identity::Id;
use crate::verifier::{HostVerifier, Lapsed, ServerVerifier, name_of};
use crate::{
    HOST_PROTOCOL, JOIN_PROTOCOL, PREVIOUS_PROTOCOL, PROTOCOL, SERVER_PROTOCOL, WATCH_PROTOCOL,
};

/// What a server shows, and whom it trusts; certificates as PEM.
#[derive(Debug)]
pub struct ServerCertificates<'a> {
    /// Its own certificate, followed by the authority for servers and the root.
    pub chain: &'a str,
    /// Its own key.
    pub key: &'a PrivateKey,
    /// The authority for hosts.
    pub hosts: &'a str,
    /// The fleet.
    pub fleet: &'a Id,
}

/// The same for a server whose fleet has several certificate authorities, as while they are rotated.
#[derive(Debug)]
pub struct RotatingCertificates<'a> {
    /// Its certificates, each followed by the authority for servers and the root, with their keys; the newest first. A client
    /// that does not say whom it trusts is shown the last.
    pub chains: Vec<(&'a str, &'a PrivateKey)>,
    /// The authorities for hosts, one after the other.
    pub hosts: &'a str,
    /// Those of them, and others before them, whose hosts may speak of themselves and of nothing else.
    pub hosts_asleep: &'a str,
    /// The fleet.
    pub fleet: &'a Id,
}

/// The configurations of a server. Which of them serves a connection is chosen by what its client says first.
#[derive(Debug)]
pub struct ServerConfigs {
    /// One for each certificate that it can show, the newest first; never empty.
    pub shown: Vec<Arc<Shown>>,
}

/// A certificate that a server can show, and what serves the connections on which it does.
#[derive(Debug, Clone)]
pub struct Shown {
    /// For all but the next.
    pub usual: Arc<ServerConfig>,
    /// For a host that speaks of nothing but itself ([`HOST_PROTOCOL`]), and whose certificate may have ended.
    pub itself: Arc<ServerConfig>,
    /// The certificate with its authorities, as PEM.
    pub chain: String,
    /// Its key.
    pub key: PrivateKey,
    /// SHA-256 of each of the authorities.
    pub authorities: Vec<[u8; 32]>,
}

impl ServerConfigs {
    /// What a client is shown that trusts the authorities in `names`: RFC 8446 §4.2.4, with the names of [`name_of`]. A host of
    /// an earlier version does not say whom it trusts. It knows of no rotation, so that it trusts the oldest.
    pub(crate) fn choose(&self, names: Option<&[DistinguishedName]>) -> Option<&Arc<Shown>> {
        let Some(names) = names else {
            return self.shown.last();
        };
        let is_trusted = |shown: &&Arc<Shown>| {
            let mut authorities = shown.authorities.iter();
            authorities.any(|it| {
                let name = name_of(it);
                names.iter().any(|said| said.as_ref() == name.as_ref())
            })
        };
        self.shown.iter().find(is_trusted).or(self.shown.first())
    }
}

/// The configurations of a server.
pub fn server(certificates: &ServerCertificates<'_>) -> Result<Arc<ServerConfigs>, TlsError> {
    rotating_server(&RotatingCertificates {
        chains: vec![(certificates.chain, certificates.key)],
        hosts: certificates.hosts,
        hosts_asleep: certificates.hosts,
        fleet: certificates.fleet,
    })
}

/// The configurations of a server that has certificates of several authorities.
pub fn rotating_server(
    certificates: &RotatingCertificates<'_>,
) -> Result<Arc<ServerConfigs>, TlsError> {
    let usual = [
        PROTOCOL,
        PREVIOUS_PROTOCOL,
        HOST_PROTOCOL,
        JOIN_PROTOCOL,
        SERVER_PROTOCOL,
        WATCH_PROTOCOL,
    ];
    let RotatingCertificates {
        chains,
        hosts,
        hosts_asleep,
        fleet,
    } = certificates;
    let mut shown = Vec::new();
    for (chain, key) in chains {
        let own = (*chain, *key);
        shown.push(Arc::new(Shown {
            usual: server_for(own, (hosts, fleet), &usual, Lapsed::Refused)?,
            itself: server_for(
                own,
                (hosts_asleep, fleet),
                &[HOST_PROTOCOL],
                Lapsed::Accepted,
            )?,
            chain: (*chain).to_owned(),
            key: (*key).clone(),
            authorities: read_pem(chain)?
                .iter()
                .skip(1)
                .map(|it| fingerprint(it))
                .collect(),
        }));
    }
    Ok(Arc::new(ServerConfigs { shown }))
}

fn server_for(
    (chain, key): (&str, &PrivateKey),
    (hosts, fleet): (&str, &Id),
    protocols: &[&[u8]],
    lapsed: Lapsed,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let hosts = HostVerifier::new(read_pem(hosts)?, fleet.clone(), lapsed, provider.clone())?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(hosts))
        .with_single_cert(read_pem(chain)?, read_key(key)?)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// What a joined host shows, and whom it trusts; certificates as PEM.
#[derive(Debug)]
pub struct HostCertificates<'a> {
    /// Its own certificate.
    pub certificate: &'a str,
    /// Its own key.
    pub key: &'a PrivateKey,
    /// The authorities for servers, one or more.
    pub servers: &'a str,
    /// The fleet.
    pub fleet: &'a Id,
}

/// The configuration of a joined host, for logins.
pub fn host(certificates: &HostCertificates<'_>) -> Result<Arc<ClientConfig>, TlsError> {
    joined(certificates, &[PROTOCOL, PREVIOUS_PROTOCOL])
}

/// The same for what a host asks about itself.
pub fn host_itself(certificates: &HostCertificates<'_>) -> Result<Arc<ClientConfig>, TlsError> {
    joined(certificates, &[HOST_PROTOCOL])
}

/// The same for the connection on which a host waits for what it is to do.
pub fn host_watching(certificates: &HostCertificates<'_>) -> Result<Arc<ClientConfig>, TlsError> {
    joined(certificates, &[WATCH_PROTOCOL])
}

fn joined(
    certificates: &HostCertificates<'_>,
    protocols: &[&[u8]],
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let servers = read_pem(certificates.servers)?;
    let verifier = ServerVerifier::of_fleet(servers, certificates.fleet.clone(), provider.clone())?;
    let config = client(provider, Arc::new(verifier))?.with_client_auth_cert(
        read_pem(certificates.certificate)?,
        read_key(certificates.key)?,
    )?;
    Ok(finish(config, protocols))
}

/// The configuration of a host that joins the fleet whose root has this SHA-256.
pub fn joining_host(root: [u8; 32]) -> Result<Arc<ClientConfig>, TlsError> {
    joining(root, JOIN_PROTOCOL)
}

/// The configuration of a server that joins the fleet whose root has this SHA-256.
pub fn joining_server(root: [u8; 32]) -> Result<Arc<ClientConfig>, TlsError> {
    joining(root, SERVER_PROTOCOL)
}

fn joining(root: [u8; 32], protocol: &[u8]) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = ServerVerifier::below(root, provider.clone());
    let config = client(provider, Arc::new(verifier))?.with_no_client_auth();
    Ok(finish(config, &[protocol]))
}

fn client(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, TlsError> {
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

fn finish(mut config: ClientConfig, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Arc::new(config)
}

fn read_key(key: &PrivateKey) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(key.pem().as_bytes()).map_err(|_| TlsError::Key)
}
