//! A fleet below a company's certificate authority, which is openssl's.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustls::ClientConfig;
use tempfile::TempDir;
use twofa_core::Timestamp;
use twofa_fleet::certificate::{
    Authority, Issued, PrivateKey, fingerprint, read_pem, request_certificate,
};
use twofa_fleet::client;
use twofa_fleet::company::{BadAuthority, check_authority, request_authority};
use twofa_fleet::identity::{Id, Signs};
use twofa_fleet::stream;
use twofa_fleet::tls::{self, HostCertificates, ServerCertificates, ServerConfigs};
use twofa_fleet::token::Address;
use twofa_fleet::wire::FromServer;
use zeroize::Zeroizing;

const TIME: Duration = Duration::from_secs(10);
/// What a company signs a web server's certificate with: as much as it ever could.
const BOTH: &str = "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=IP:127.0.0.1";

#[allow(clippy::disallowed_methods, reason = "rustls compares with the clock")]
fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_unix(i64::try_from(now.unwrap().as_secs()).unwrap())
}

fn openssl(folder: &Path, arguments: &str) -> String {
    let ran = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(ran.status.success(), "openssl {arguments}: {ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

/// A company's authority, and a fleet below it.
struct Company {
    folder: TempDir,
    fleet: Id,
    hosts: Issued,
    servers: Issued,
}

impl Company {
    /// One whose key is of this kind.
    fn with_key(kind: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        openssl(
            path,
            &format!(
                "req -x509 -newkey {kind} -nodes -keyout ca.key -out ca.crt -subj /O=Company/CN=CA -addext keyUsage=critical,keyCertSign,cRLSign -days 3650"
            ),
        );
        let fleet = Id::random().unwrap();
        let [hosts, servers] = [Signs::Hosts, Signs::Servers].map(|signs| {
            let (key, request) = request_authority(signs, &fleet).unwrap();
            fs::write(path.join("authority.csr"), request).unwrap();
            let sign = "x509 -req -in authority.csr -CA ca.crt -CAkey ca.key -copy_extensions copy -days 3650";
            let certificate = openssl(path, sign);
            Issued { certificate, key }
        });
        Self {
            folder,
            fleet,
            hosts,
            servers,
        }
    }

    fn new() -> Self {
        Self::with_key("ec -pkeyopt ec_paramgen_curve:P-256")
    }

    fn ca(&self) -> String {
        fs::read_to_string(self.folder.path().join("ca.crt")).unwrap()
    }

    fn check(&self, signs: Signs, authority: &Issued) -> Result<(), BadAuthority> {
        let authority = (authority.certificate.as_str(), &authority.key);
        check_authority(signs, &self.fleet, authority, &self.ca(), now())
    }

    /// A certificate that the company's authority signed itself, with these extensions.
    fn signs(&self, extensions: &str) -> Issued {
        let path = self.folder.path();
        fs::write(path.join("extensions"), extensions).unwrap();
        openssl(
            path,
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr -subj /CN=www",
        );
        let certificate = openssl(
            path,
            "x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -extfile extensions -days 30",
        );
        let key = fs::read_to_string(path.join("leaf.key")).unwrap();
        Issued {
            certificate,
            key: PrivateKey::new(Zeroizing::new(key)),
        }
    }

    fn server(&self) -> Issued {
        let authority = Authority::new(&self.servers.certificate, &self.servers.key).unwrap();
        let names = ["127.0.0.1".to_owned()];
        authority.issue_server(&self.fleet, &names, now()).unwrap()
    }

    fn host(&self) -> Issued {
        let authority = Authority::new(&self.hosts.certificate, &self.hosts.key).unwrap();
        let asked = request_certificate().unwrap();
        let id = Id::random().unwrap();
        let certificate = authority.sign_host(&asked.request, &self.fleet, &id, now());
        Issued {
            certificate: certificate.unwrap(),
            key: asked.key,
        }
    }

    /// A server that shows `own` and, behind it, these certificates.
    fn serving(&self, own: &Issued, behind: &[&str]) -> Arc<ServerConfigs> {
        tls::server(&ServerCertificates {
            chain: &(own.certificate.clone() + &behind.concat()),
            key: &own.key,
            hosts: &self.hosts.certificate,
            fleet: &self.fleet,
        })
        .unwrap()
    }

    fn joined(&self, own: &Issued) -> Arc<ClientConfig> {
        tls::host(&HostCertificates {
            certificate: &own.certificate,
            key: &own.key,
            servers: &self.servers.certificate,
            fleet: &self.fleet,
        })
        .unwrap()
    }

    fn joining(&self) -> Arc<ClientConfig> {
        tls::joining_host(fingerprint(&read_pem(&self.ca()).unwrap()[0])).unwrap()
    }
}

/// Whether the two ends accept each other: a message gets from one to the other.
fn meet(server: Arc<ServerConfigs>, host: &Arc<ClientConfig>) -> Result<(), String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = Address {
        name: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
    };
    let serving = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut accepted = stream::accept(&server, socket, Instant::now() + TIME)?;
        accepted.link.send(&FromServer::Accepted(None)).unwrap();
        Ok::<_, std::io::Error>(())
    });
    let received = client::connect(host, &address, Instant::now() + TIME)
        .map_err(|error| format!("host: {error}"))
        .and_then(|mut link| {
            let message = link.receive::<FromServer>();
            message.map_err(|error| format!("host: {error}"))
        });
    let served = serving.join().unwrap();
    served.map_err(|error| format!("server: {error}"))?;
    received.map(drop)
}

#[test]
fn hosts_and_servers_below_a_companys_authority_meet_and_openssl_finds_their_chains_good() {
    for kind in ["ec -pkeyopt ec_paramgen_curve:P-384", "rsa:2048"] {
        let company = Company::with_key(kind);
        company.check(Signs::Hosts, &company.hosts).unwrap();
        company.check(Signs::Servers, &company.servers).unwrap();
        let (server, host) = (company.server(), company.host());
        let ca = company.ca();
        let behind = [company.servers.certificate.as_str(), &ca];
        let serving = || company.serving(&server, &behind);
        meet(serving(), &company.joined(&host)).unwrap();
        meet(serving(), &company.joining()).unwrap();

        let path = company.folder.path();
        for (own, authority, purpose, signs) in [
            (&server, &company.servers, "sslserver", Signs::Servers),
            (&host, &company.hosts, "sslclient", Signs::Hosts),
        ] {
            fs::write(path.join("own.crt"), &own.certificate).unwrap();
            fs::write(path.join("authority.crt"), &authority.certificate).unwrap();
            let verify = format!(
                "verify -x509_strict -purpose {purpose} -CAfile ca.crt -untrusted authority.crt own.crt"
            );
            assert!(openssl(path, &verify).contains("own.crt: OK"));
            let text = openssl(path, "x509 -in authority.crt -noout -text");
            let uri = format!("URI:{}", signs.uri(&company.fleet));
            for part in ["CA:TRUE, pathlen:0", &uri, "Certificate Sign"] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
    }
}

#[test]
fn what_the_companys_authority_has_signed_itself_is_neither_a_server_nor_a_host_whatever_it_says() {
    let company = Company::new();
    let (fleet, ca) = (&company.fleet, company.ca());
    let host = company.host();
    let id = Id::random().unwrap();
    let server_uri = format!("{BOTH},URI:twofa://{fleet}/server");
    let host_uri = format!("{BOTH},URI:twofa://{fleet}/host/{id}");
    for extensions in [BOTH, "subjectAltName=IP:127.0.0.1", &server_uri, &host_uri] {
        let web = company.signs(extensions);
        for behind in [
            vec![ca.as_str()],
            vec![company.servers.certificate.as_str(), &ca],
        ] {
            for client in [company.joined(&host), company.joining()] {
                let refused = meet(company.serving(&web, &behind), &client);
                assert!(refused.is_err(), "as a server: {extensions}");
            }
        }
        let behind = [company.servers.certificate.as_str(), &ca];
        let serving = company.serving(&company.server(), &behind);
        let refused = meet(serving, &company.joined(&web)).unwrap_err();
        assert!(refused.starts_with("server: "), "as a host: {refused}");
    }
}

#[test]
fn a_host_is_no_server_and_a_server_no_host_below_a_companys_authority() {
    let company = Company::new();
    let ca = company.ca();
    let (server, host) = (company.server(), company.host());
    for authority in [&company.hosts, &company.servers] {
        let behind = [authority.certificate.as_str(), &ca];
        for client in [company.joined(&host), company.joining()] {
            let refused = meet(company.serving(&host, &behind), &client);
            assert!(refused.is_err(), "a host as a server");
        }
    }
    let behind = [company.servers.certificate.as_str(), &ca];
    let refused = meet(company.serving(&server, &behind), &company.joined(&server));
    assert!(refused.is_err(), "a server as a host");
}

#[test]
fn a_certificate_that_is_not_what_was_asked_for_is_refused_with_the_reason() {
    let company = Company::new();
    // Of the other role, of another fleet, of another company.
    let swapped = company.check(Signs::Servers, &company.hosts);
    assert!(
        matches!(swapped, Err(BadAuthority::Usage("serverAuth"))),
        "{swapped:?}"
    );
    let other = Company::new();
    let of_other = company.check(Signs::Hosts, &other.hosts);
    assert!(
        matches!(of_other, Err(BadAuthority::Name(_))),
        "{of_other:?}"
    );
    let ca = other.ca();
    let hosts = (company.hosts.certificate.as_str(), &company.hosts.key);
    let below = check_authority(Signs::Hosts, &company.fleet, hosts, &ca, now());
    assert!(matches!(below, Err(BadAuthority::Chain(_))), "{below:?}");
    let key = Issued {
        key: other.hosts.key.clone(),
        ..company.hosts.clone()
    };
    let of_other_key = company.check(Signs::Hosts, &key);
    assert!(
        matches!(of_other_key, Err(BadAuthority::Certificate(_))),
        "{of_other_key:?}"
    );
    // What a company signs by its habit, without the extensions of the request.
    let uri = Signs::Hosts.uri(&company.fleet);
    for (extensions, is_no_authority) in [
        (BOTH.to_owned(), true),
        (
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign".to_owned(),
            false,
        ),
        (
            format!(
                "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nextendedKeyUsage=clientAuth,serverAuth\nsubjectAltName=URI:{uri}"
            ),
            false,
        ),
    ] {
        let signed = company.check(Signs::Hosts, &company.signs(&extensions));
        match signed {
            Err(BadAuthority::NoAuthority) => assert!(is_no_authority),
            Err(BadAuthority::Usage("clientAuth")) => assert!(!is_no_authority),
            other => panic!("{extensions}: {other:?}"),
        }
    }
}
