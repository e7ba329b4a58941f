//! The TLS of both ends: version 1.3 alone, certificates on both sides, nothing resumed and nothing sent early.
//!
//! A resumed session would carry the host's certificate over without checking it again (rustls 0.23.46 copies it from the
//! ticket), so no tickets are given. Connections are kept open instead.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
pub use rustls::{ClientConfig, ServerConfig};

use crate::certificate::{CertificateError, PrivateKey, read_pem};
pub use crate::error::TlsError;
use crate::identity::Id;
use crate::verifier::{HostVerifier, Lapsed, ServerVerifier};
use crate::{HOST_PROTOCOL, JOIN_PROTOCOL, PROTOCOL, SERVER_PROTOCOL, WATCH_PROTOCOL};

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

/// The configurations of a server. Which of them serves a connection is chosen by what its client says first.
#[derive(Debug)]
pub struct ServerConfigs {
    /// For all but the next.
    pub usual: Arc<ServerConfig>,
    /// For a host that speaks of nothing but itself ([`HOST_PROTOCOL`]), and whose certificate may have ended.
    pub itself: Arc<ServerConfig>,
}

/// The configurations of a server.
pub fn server(certificates: &ServerCertificates<'_>) -> Result<Arc<ServerConfigs>, TlsError> {
    let usual = [
        PROTOCOL,
        HOST_PROTOCOL,
        JOIN_PROTOCOL,
        SERVER_PROTOCOL,
        WATCH_PROTOCOL,
    ];
    Ok(Arc::new(ServerConfigs {
        usual: server_for(certificates, &usual, Lapsed::Refused)?,
        itself: server_for(certificates, &[HOST_PROTOCOL], Lapsed::Accepted)?,
    }))
}

fn server_for(
    certificates: &ServerCertificates<'_>,
    protocols: &[&[u8]],
    lapsed: Lapsed,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let hosts = HostVerifier::new(
        only(certificates.hosts)?,
        certificates.fleet.clone(),
        lapsed,
        provider.clone(),
    )?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(hosts))
        .with_single_cert(read_pem(certificates.chain)?, read_key(certificates.key)?)?;
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
    /// The authority for servers.
    pub servers: &'a str,
    /// The fleet.
    pub fleet: &'a Id,
}

/// The configuration of a joined host, for logins.
pub fn host(certificates: &HostCertificates<'_>) -> Result<Arc<ClientConfig>, TlsError> {
    joined(certificates, PROTOCOL)
}

/// The same for what a host asks about itself.
pub fn host_itself(certificates: &HostCertificates<'_>) -> Result<Arc<ClientConfig>, TlsError> {
    joined(certificates, HOST_PROTOCOL)
}

/// The same for the connection on which a host waits for what it is to do.
pub fn host_watching(certificates: &HostCertificates<'_>) -> Result<Arc<ClientConfig>, TlsError> {
    joined(certificates, WATCH_PROTOCOL)
}

fn joined(
    certificates: &HostCertificates<'_>,
    protocol: &[u8],
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let servers = only(certificates.servers)?;
    let verifier = ServerVerifier::of_fleet(servers, certificates.fleet.clone(), provider.clone())?;
    let config = client(provider, Arc::new(verifier))?.with_client_auth_cert(
        read_pem(certificates.certificate)?,
        read_key(certificates.key)?,
    )?;
    Ok(finish(config, protocol))
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
    Ok(finish(config, protocol))
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

fn finish(mut config: ClientConfig, protocol: &[u8]) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Arc::new(config)
}

fn only(pem: &str) -> Result<CertificateDer<'static>, TlsError> {
    let mut certificates = read_pem(pem)?;
    match (certificates.pop(), certificates.is_empty()) {
        (Some(certificate), true) => Ok(certificate),
        _ => Err(CertificateError::Unreadable.into()),
    }
}

fn read_key(key: &PrivateKey) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(key.pem().as_bytes()).map_err(|_| TlsError::Key)
}
