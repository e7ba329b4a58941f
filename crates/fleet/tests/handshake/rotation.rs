//! Hosts and servers while the certificate authority of their fleet is rotated, and after that.

use super::*;

/// The authorities of a fleet before and after.
struct Rotation {
    old: NewFleet,
    new: NewFleet,
}

/// Whose hosts a server accepts.
enum Phase {
    /// Those of both, for everything.
    Rotating,
    /// Those of the new one; of the old one, to speak of themselves.
    Finished,
}

impl Rotation {
    fn new() -> Self {
        let old = make_fleet(now()).unwrap();
        let new = make_authorities(old.id.clone(), now()).unwrap();
        Self { old, new }
    }

    fn server(&self, phase: &Phase) -> Arc<ServerConfigs> {
        let chain = |fleet: &NewFleet| {
            let own = server_of(fleet, now());
            let (servers, root) = (&fleet.servers.certificate, &fleet.root.certificate);
            (own.certificate + servers + root, own.key)
        };
        let (old, new) = (chain(&self.old), chain(&self.new));
        let both = self.old.hosts.certificate.clone() + &self.new.hosts.certificate;
        tls::rotating_server(&RotatingCertificates {
            chains: vec![(&new.0, &new.1), (&old.0, &old.1)],
            hosts: match phase {
                Phase::Rotating => &both,
                Phase::Finished => &self.new.hosts.certificate,
            },
            hosts_asleep: &both,
            fleet: &self.old.id,
        })
        .unwrap()
    }

    /// A host with a certificate of `own` that trusts the servers of `trusted`.
    fn host(
        &self,
        own: &NewFleet,
        trusted: &[&NewFleet],
        of: fn(&HostCertificates<'_>) -> Result<Arc<ClientConfig>, tls::TlsError>,
    ) -> Arc<ClientConfig> {
        let own = host_of(own, now());
        let servers: String = trusted
            .iter()
            .map(|fleet| fleet.servers.certificate.as_str())
            .collect();
        of(&HostCertificates {
            certificate: &own.certificate,
            key: &own.key,
            servers: &servers,
            fleet: &self.old.id,
        })
        .unwrap()
    }
}

#[test]
fn while_the_authority_is_rotated_hosts_of_both_meet_servers_whichever_they_trust() {
    let fleet = Rotation::new();
    let Rotation { old, new } = &fleet;
    for own in [old, new] {
        for trusted in [&[old][..], &[new], &[old, new], &[new, old]] {
            let host = fleet.host(own, trusted, tls::host);
            let met = meet(fleet.server(&Phase::Rotating), &host);
            assert!(matches!(met, Ok((Protocol::Fleet, Some(_)))), "{met:?}");
        }
    }
}

#[test]
fn after_the_rotation_a_host_that_slept_can_speak_of_itself_and_of_nothing_else() {
    let fleet = Rotation::new();
    let Rotation { old, new } = &fleet;
    let server = || fleet.server(&Phase::Finished);
    let slept = fleet.host(old, &[old], tls::host_itself);
    assert!(matches!(meet(server(), &slept), Ok((Protocol::Host, _))));
    for of in [tls::host, tls::host_watching] {
        assert!(meet(server(), &fleet.host(old, &[old], of)).is_err());
        assert!(meet(server(), &fleet.host(old, &[new], of)).is_err());
        assert!(meet(server(), &fleet.host(new, &[new], of)).is_ok());
    }
}

#[test]
fn a_host_is_shown_the_newest_certificate_that_it_trusts_and_one_that_does_not_say_the_oldest() {
    let fleet = Rotation::new();
    let Rotation { old, new } = &fleet;
    let other = make_authorities(old.id.clone(), now()).unwrap();
    let shown = |host: &Arc<ClientConfig>| {
        let server = fleet.server(&Phase::Rotating);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = Address {
            name: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
        };
        let serving = thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let accepted = stream::accept(&server, socket, Instant::now() + TIME);
            accepted.map(|accepted| accepted.shown.authorities.clone())
        });
        let met = client::connect(host, &address, Instant::now() + TIME);
        let served = serving.join().unwrap();
        met.ok().and(served.ok())
    };
    let root = |fleet| Some(root_of(fleet));
    let last = |host: &Arc<ClientConfig>| shown(host).and_then(|all| all.last().copied());
    let host = |trusted: &[&NewFleet]| fleet.host(old, trusted, tls::host);
    assert_eq!(last(&host(&[old])), root(old));
    assert_eq!(last(&host(&[new])), root(new));
    assert_eq!(last(&host(&[old, new])), root(new));
    assert_eq!(last(&host(&[&other])), None);
    // One that joins says which root is on its token.
    for fleet in [old, new] {
        let joining = tls::joining_host(root_of(fleet)).unwrap();
        assert_eq!(last(&joining), root(fleet));
        let joining = tls::joining_server(root_of(fleet)).unwrap();
        assert_eq!(last(&joining), root(fleet));
    }
    // A host of an earlier version.
    let silent = silent::host(&fleet);
    assert_eq!(last(&silent), root(old));
}

/// A host that does not say whom it trusts.
mod silent {
    use super::*;
    use rustls::client::WebPkiServerVerifier;
    use rustls::crypto::ring;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::version::TLS13;

    pub(super) fn host(fleet: &Rotation) -> Arc<ClientConfig> {
        let own = host_of(&fleet.old, now());
        let provider = Arc::new(ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        for authority in read_pem(&fleet.old.servers.certificate).unwrap() {
            roots.add(authority).unwrap();
        }
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let key = PrivateKeyDer::from_pem_slice(own.key.pem().as_bytes()).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_webpki_verifier(verifier.build().unwrap())
            .with_client_auth_cert(read_pem(&own.certificate).unwrap(), key)
            .unwrap();
        config.alpn_protocols = vec![twofa_fleet::PROTOCOL.to_vec()];
        Arc::new(config)
    }
}

#[test]
fn a_host_knows_which_authority_signed_its_certificate() {
    let Rotation { old, new } = Rotation::new();
    let own = host_of(&old, now().before(LIFETIME * 2));
    let is_of = |fleet: &NewFleet| {
        let authority = &fleet.hosts.certificate;
        twofa_fleet::verifier::is_host_of(authority, &fleet.id, &own.certificate, now()).unwrap()
    };
    assert!(is_of(&old) && !is_of(&new));
}
