//! Hosts and servers with right and wrong certificates, over real connections. [`failover`] is what a host does when a server
//! is gone or cannot decide, [`rotation`] how hosts and servers of several certificate authorities meet.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod failover;
mod rotation;

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustls::{ClientConfig, ServerConfig};
use twofa_core::Timestamp;
use twofa_fleet::certificate::{
    Authority, Issued, LIFETIME, NewFleet, fingerprint, issued_at, make_authorities, make_fleet,
    name_in_request, read_pem, request_certificate, request_to_join,
};
use twofa_fleet::client::{self, Servers};
use twofa_fleet::identity::{Id, Identity, Role};
use twofa_fleet::stream::{self, Protocol};
use twofa_fleet::tls::{
    self, HostCertificates, RotatingCertificates, ServerCertificates, ServerConfigs, Shown,
};
use twofa_fleet::token::Address;
use twofa_fleet::wire::{FromHost, FromServer, HostLogin, Verdict};

const TIME: Duration = Duration::from_secs(10);

#[allow(clippy::disallowed_methods, reason = "rustls compares with the clock")]
fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_unix(i64::try_from(now.unwrap().as_secs()).unwrap())
}

fn host_of(fleet: &NewFleet, at: Timestamp) -> Issued {
    let asked = request_certificate().unwrap();
    let authority = Authority::new(&fleet.hosts.certificate, &fleet.hosts.key).unwrap();
    let host = Id::random().unwrap();
    let certificate = authority.sign_host(&asked.request, &fleet.id, &host, at);
    Issued {
        certificate: certificate.unwrap(),
        key: asked.key,
    }
}

fn server_of(fleet: &NewFleet, at: Timestamp) -> Issued {
    let authority = Authority::new(&fleet.servers.certificate, &fleet.servers.key).unwrap();
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    authority.issue_server(&fleet.id, &names, at).unwrap()
}

/// The configuration of a server of `fleet` that shows `own`, signed by an authority of `signer`.
fn server_config(fleet: &NewFleet, own: &Issued, signer: &NewFleet) -> Arc<ServerConfigs> {
    let chain = [
        &own.certificate,
        &signer.servers.certificate,
        &signer.root.certificate,
    ];
    tls::server(&ServerCertificates {
        chain: &chain.map(String::as_str).concat(),
        key: &own.key,
        hosts: &fleet.hosts.certificate,
        fleet: &fleet.id,
    })
    .unwrap()
}

fn host_config(fleet: &NewFleet, own: &Issued) -> Arc<ClientConfig> {
    tls::host(&HostCertificates {
        certificate: &own.certificate,
        key: &own.key,
        servers: &fleet.servers.certificate,
        fleet: &fleet.id,
    })
    .unwrap()
}

fn root_of(fleet: &NewFleet) -> [u8; 32] {
    fingerprint(&read_pem(&fleet.root.certificate).unwrap()[0])
}

/// What a host and a server have to say after a handshake, and one message from the server: what was agreed and the host's
/// certificate, or whose side refused.
fn meet(
    server: Arc<ServerConfigs>,
    host: &Arc<ClientConfig>,
) -> Result<(Protocol, Option<Identity>), String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = Address {
        name: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
    };
    let serving = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut accepted = stream::accept(&server, socket, Instant::now() + TIME)?;
        accepted.link.send(&FromServer::Accepted(None)).unwrap();
        Ok::<_, std::io::Error>((accepted.protocol, accepted.certificate))
    });
    let received = client::connect(host, &address, Instant::now() + TIME)
        .map_err(|error| error.to_string())
        .and_then(|mut link| {
            let message = link.receive::<FromServer>();
            message.map_err(|error| error.to_string())
        });
    let served = serving.join().unwrap();
    let (protocol, certificate) = served.map_err(|error| format!("server: {error}"))?;
    received.map_err(|error| format!("host: {error}"))?;
    let identity = certificate.map(|der| Identity::of_certificate(&der).unwrap());
    Ok((protocol, identity))
}

#[test]
fn a_host_and_a_server_of_one_fleet_meet_and_know_each_other() {
    let fleet = make_fleet(now()).unwrap();
    let (server, host) = (server_of(&fleet, now()), host_of(&fleet, now()));
    let met = meet(
        server_config(&fleet, &server, &fleet),
        &host_config(&fleet, &host),
    );
    let (protocol, identity) = met.unwrap();
    assert_eq!(protocol, Protocol::Fleet);
    let Identity { fleet: id, role } = identity.unwrap();
    assert_eq!(id, fleet.id);
    assert!(matches!(role, Role::Host(_)));
}

#[test]
fn a_host_that_joins_knows_the_server_by_the_root_and_shows_no_certificate() {
    let (fleet, other) = (make_fleet(now()).unwrap(), make_fleet(now()).unwrap());
    let config = || server_config(&fleet, &server_of(&fleet, now()), &fleet);
    let joining = tls::joining_host(root_of(&fleet)).unwrap();
    assert_eq!(meet(config(), &joining), Ok((Protocol::Join, None)));
    let pinned_to_another = tls::joining_host(root_of(&other)).unwrap();
    assert!(meet(config(), &pinned_to_another).is_err());
}

#[test]
fn a_host_s_certificate_is_not_good_for_a_server() {
    let fleet = make_fleet(now()).unwrap();
    let (false_server, host) = (host_of(&fleet, now()), host_of(&fleet, now()));
    // It shows the right authority for its own certificate, and then the one for servers.
    for chain in [
        [&false_server.certificate, &fleet.hosts.certificate],
        [&false_server.certificate, &fleet.servers.certificate],
    ] {
        let config = tls::server(&ServerCertificates {
            chain: &(chain.map(String::as_str).concat() + &fleet.root.certificate),
            key: &false_server.key,
            hosts: &fleet.hosts.certificate,
            fleet: &fleet.id,
        })
        .unwrap();
        assert!(meet(config.clone(), &host_config(&fleet, &host)).is_err());
        let joining = tls::joining_host(root_of(&fleet)).unwrap();
        assert!(meet(config, &joining).is_err());
    }
}

#[test]
fn a_server_s_certificate_is_not_good_for_a_host() {
    let fleet = make_fleet(now()).unwrap();
    let (server, false_host) = (server_of(&fleet, now()), server_of(&fleet, now()));
    let config = server_config(&fleet, &server, &fleet);
    assert!(meet(config, &host_config(&fleet, &false_host)).is_err());
}

#[test]
fn an_authority_s_signature_under_another_role_is_not_enough() {
    let fleet = make_fleet(now()).unwrap();
    // The authority for hosts has signed a server, and the one for servers a host: each of its chain, but with the wrong role.
    let confused = NewFleet {
        id: fleet.id.clone(),
        root: fleet.root.clone(),
        hosts: fleet.servers.clone(),
        servers: fleet.hosts.clone(),
    };
    let (server, host) = (server_of(&fleet, now()), host_of(&fleet, now()));
    let (false_server, false_host) = (server_of(&confused, now()), host_of(&confused, now()));
    let config = server_config(&fleet, &server, &fleet);
    assert!(meet(config, &host_config(&fleet, &false_host)).is_err());
    let config = server_config(&fleet, &false_server, &confused);
    assert!(meet(config, &host_config(&fleet, &host)).is_err());
}

#[test]
fn members_of_another_fleet_are_strangers_even_if_they_claim_this_one() {
    let (fleet, other) = (make_fleet(now()).unwrap(), make_fleet(now()).unwrap());
    let claiming = NewFleet {
        id: fleet.id.clone(),
        ..make_fleet(now()).unwrap()
    };
    let (server, host) = (server_of(&fleet, now()), host_of(&fleet, now()));
    for stranger in [&other, &claiming] {
        let false_host = host_of(stranger, now());
        let config = server_config(&fleet, &server, &fleet);
        assert!(meet(config, &host_config(&fleet, &false_host)).is_err());
        let false_server = server_of(stranger, now());
        let config = server_config(&fleet, &false_server, stranger);
        assert!(meet(config, &host_config(&fleet, &host)).is_err());
    }
    // The same authority, and another fleet in the certificate.
    let renamed = NewFleet {
        id: other.id.clone(),
        root: fleet.root.clone(),
        hosts: fleet.hosts.clone(),
        servers: fleet.servers.clone(),
    };
    let config = server_config(&fleet, &server, &fleet);
    let false_host = host_of(&renamed, now());
    assert!(meet(config, &host_config(&fleet, &false_host)).is_err());
    let false_server = server_of(&renamed, now());
    let config = server_config(&fleet, &false_server, &fleet);
    assert!(meet(config, &host_config(&fleet, &host)).is_err());
}

#[test]
fn a_certificate_that_has_ended_is_refused() {
    let fleet = make_fleet(now().before(2 * LIFETIME)).unwrap();
    let (server, host) = (server_of(&fleet, now()), host_of(&fleet, now()));
    let long_ago = now().before(LIFETIME + 60);
    let (old_server, old_host) = (server_of(&fleet, long_ago), host_of(&fleet, long_ago));
    let config = server_config(&fleet, &server, &fleet);
    assert!(meet(config, &host_config(&fleet, &old_host)).is_err());
    let config = server_config(&fleet, &old_server, &fleet);
    assert!(meet(config, &host_config(&fleet, &host)).is_err());
}

#[test]
fn a_host_whose_certificate_has_ended_can_speak_of_itself_and_of_nothing_else() {
    let (fleet, other) = (make_fleet(now()).unwrap(), make_fleet(now()).unwrap());
    let server = server_of(&fleet, now());
    let config = || server_config(&fleet, &server, &fleet);
    let itself = |own: &Issued| {
        let config = tls::host_itself(&HostCertificates {
            certificate: &own.certificate,
            key: &own.key,
            servers: &fleet.servers.certificate,
            fleet: &fleet.id,
        });
        config.unwrap()
    };
    let lapsed = host_of(&fleet, now().before(LIFETIME + 1));
    assert!(meet(config(), &host_config(&fleet, &lapsed)).is_err());
    let (protocol, identity) = meet(config(), &itself(&lapsed)).unwrap();
    assert_eq!(protocol, Protocol::Host);
    assert!(matches!(identity.unwrap().role, Role::Host(_)));
    // One that also speaks of other things is refused, whichever it names first.
    for protocols in [
        [twofa_fleet::HOST_PROTOCOL, twofa_fleet::PROTOCOL],
        [twofa_fleet::PROTOCOL, twofa_fleet::HOST_PROTOCOL],
    ] {
        let mut both = (*itself(&lapsed)).clone();
        both.alpn_protocols = protocols.map(<[u8]>::to_vec).to_vec();
        assert!(meet(config(), &Arc::new(both)).is_err());
    }
    // It must have been good until then.
    let foreign = host_of(&other, now().before(LIFETIME + 1));
    assert!(meet(config(), &itself(&foreign)).is_err());
    let early = host_of(&fleet, now().after(86_400));
    assert!(meet(config(), &itself(&early)).is_err());
}

#[test]
fn a_host_that_joins_says_what_it_would_like_to_be_called() {
    let name = |request: &[u8]| name_in_request(request).unwrap();
    let asked = request_to_join("web-1").unwrap();
    assert_eq!(name(&asked.request).as_deref(), Some("web-1"));
    assert!(name_in_request(b"").is_err());
    // It is no part of what is signed.
    let fleet = make_fleet(now()).unwrap();
    let authority = Authority::new(&fleet.hosts.certificate, &fleet.hosts.key).unwrap();
    let id = Id::random().unwrap();
    let at = now();
    let signed = authority.sign_host(&asked.request, &fleet.id, &id, at);
    let der = &read_pem(&signed.unwrap()).unwrap()[0];
    assert!(!der.windows(5).any(|part| part == b"web-1"));
    assert_eq!(issued_at(der).unwrap(), at);
}

#[test]
fn a_server_is_known_by_its_name() {
    let fleet = make_fleet(now()).unwrap();
    let authority = Authority::new(&fleet.servers.certificate, &fleet.servers.key).unwrap();
    let elsewhere = authority.issue_server(&fleet.id, &["srv2.example.com".to_owned()], now());
    let config = server_config(&fleet, &elsewhere.unwrap(), &fleet);
    let host = host_of(&fleet, now());
    assert!(meet(config, &host_config(&fleet, &host)).is_err());
}

#[test]
fn a_request_whose_signature_is_not_its_key_s_is_not_signed() {
    let fleet = make_fleet(now()).unwrap();
    let authority = Authority::new(&fleet.hosts.certificate, &fleet.hosts.key).unwrap();
    let mut request = request_certificate().unwrap().request;
    let last = request.len() - 1;
    request[last] ^= 1;
    let id = Id::random().unwrap();
    assert!(
        authority
            .sign_host(&request, &fleet.id, &id, now())
            .is_err()
    );
    assert!(authority.sign_host(b"", &fleet.id, &id, now()).is_err());
}

/// A client that takes whatever a server gives it to resume a session with.
fn greedy(own: &Arc<ClientConfig>) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(own);
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    config.enable_early_data = true;
    Arc::new(config)
}

#[test]
fn no_session_is_resumed_so_that_each_connection_has_its_certificate_checked() {
    let fleet = make_fleet(now()).unwrap();
    let (server, host) = (server_of(&fleet, now()), host_of(&fleet, now()));
    let config = server_config(&fleet, &server, &fleet);
    let host = greedy(&host_config(&fleet, &host));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        for _ in 0..3 {
            let (socket, _) = listener.accept().unwrap();
            let accepted = stream::accept(&config, socket, Instant::now() + TIME);
            let mut link = accepted.unwrap().link;
            link.send(&FromServer::Accepted(None)).unwrap();
            let _: Result<FromHost, _> = link.receive();
        }
    });
    for _ in 0..3 {
        let name = "localhost".try_into().unwrap();
        let connection = rustls::ClientConnection::new(host.clone(), name).unwrap();
        let socket = TcpStream::connect(address).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, socket);
        // A ticket would have come before the first byte.
        stream.read_exact(&mut [0]).unwrap();
        let handshake = stream.conn.handshake_kind();
        assert_eq!(handshake, Some(rustls::HandshakeKind::Full));
        assert_eq!(stream.conn.tls13_tickets_received(), 0);
        assert!(!stream.conn.is_early_data_accepted());
    }
    serving.join().unwrap();
}

#[test]
fn an_older_protocol_or_none_is_refused_by_both_ends() {
    let fleet = make_fleet(now()).unwrap();
    let (server, host) = (server_of(&fleet, now()), host_of(&fleet, now()));
    let (server, host) = (
        server_config(&fleet, &server, &fleet),
        host_config(&fleet, &host),
    );
    assert!(meet(server.clone(), &host).is_ok());
    for protocols in [
        vec![],
        vec![b"twofa/0".to_vec()],
        vec![b"http/1.1".to_vec()],
    ] {
        let mut old_host = ClientConfig::clone(&host);
        old_host.alpn_protocols.clone_from(&protocols);
        assert!(meet(server.clone(), &Arc::new(old_host)).is_err());
        let old = |config: &Arc<ServerConfig>| {
            let mut config = ServerConfig::clone(config);
            config.alpn_protocols.clone_from(&protocols);
            Arc::new(config)
        };
        let shown = &*server.shown[0];
        let old_server = ServerConfigs {
            shown: vec![Arc::new(Shown {
                usual: old(&shown.usual),
                itself: old(&shown.itself),
                ..shown.clone()
            })],
        };
        assert!(meet(Arc::new(old_server), &host).is_err());
    }
    // Who offers both gets the one that is known.
    let mut both = ClientConfig::clone(&host);
    both.alpn_protocols.insert(0, b"twofa/0".to_vec());
    assert!(matches!(
        meet(server, &Arc::new(both)),
        Ok((Protocol::Fleet, _))
    ));
}
