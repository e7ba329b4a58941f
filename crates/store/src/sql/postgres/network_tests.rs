//! Reaching a server over TCP: under its name and with TLS, or not at all.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

use super::session::Session;
use crate::StoreError;
use crate::testing::postgres::{Server, give_to_server};

/// How often a server that was told to read its settings is tried, and how long between.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// A certificate and its key, valid until this year.
    fn issue(&self, name: &str, until: i32) -> (String, String) {
        let (params, key) = params(name, until);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

fn params(name: &str, until: i32) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    (params, KeyPair::generate().unwrap())
}

/// A server that listens on the loopback address, and a folder of ours.
struct Network {
    server: Server,
    admin: Session,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Network {
    fn new() -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let server = Server::start_at(port, &["listen_addresses=127.0.0.1"]);
        let admin = Session::connect(&server.address("postgres").parse().unwrap()).unwrap();
        let network = Self {
            server,
            admin,
            authority: Authority::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        network.file("ca.pem", &network.authority.certificate);
        network
    }

    /// A file that only we can read.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Has the server speak TLS with this certificate from now on.
    fn present(&self, (certificate, key): &(String, String)) {
        for (name, text) in [
            ("server.crt", certificate),
            ("server.key", key),
            ("root.crt", &self.authority.certificate),
        ] {
            let path = self.server.folder.path().join("data").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            give_to_server(&path);
        }
        self.set("ssl_ca_file = 'root.crt'");
        self.set("ssl = on");
    }

    fn set(&self, setting: &str) {
        for sql in [
            &*format!("ALTER SYSTEM SET {setting}"),
            "SELECT pg_reload_conf()",
        ] {
            self.admin.batch(sql).unwrap();
        }
    }

    /// Connects to `host`, with `query` behind the address.
    fn connect(&self, host: &str, query: &str) -> Result<Session, StoreError> {
        let port = self.server.port;
        let user = query.split_once('@').map_or("postgres", |(user, _)| user);
        let query = query.split_once('@').map_or(query, |(_, query)| query);
        let address = format!("postgres://{user}@{host}:{port}/postgres?{query}");
        Session::connect(&address.parse().unwrap())
    }

    fn ca(&self) -> String {
        format!("ca={}", self.folder.path().join("ca.pem").display())
    }

    /// Tries until the server, which was told to read its settings, refuses us with `why`.
    fn is_refused(&self, host: &str, query: &str, why: &str) {
        let mut last = None;
        for _ in 0..TRIES {
            match self.connect(host, query) {
                Err(error) if error.to_string().contains(why) => return,
                refused => last = Some(refused.map(drop)),
            }
            thread::sleep(PAUSE);
        }
        panic!("{why}: {last:?}");
    }

    fn is_let_in(&self, host: &str, query: &str) {
        let mut last = None;
        for _ in 0..TRIES {
            match self.connect(host, query) {
                Ok(_) => return,
                Err(error) => last = Some(error),
            }
            thread::sleep(PAUSE);
        }
        panic!("{last:?}");
    }
}

#[test]
fn a_server_is_used_over_tcp_only_with_tls_and_a_certificate_of_its_name() {
    let network = Network::new();
    let ca = network.ca();
    network.is_refused("localhost", &ca, "does not support TLS");
    network.present(&network.authority.issue("localhost", 2200));
    network.is_let_in("localhost", &ca);
    network.is_refused("127.0.0.1", &ca, "is for another name");
    let no_authority = "no certificate authority that is trusted here";
    network.is_refused("localhost", "", no_authority);
    let other = network.file("other.pem", &Authority::new().certificate);
    let other = format!("ca={}", other.display());
    network.is_refused("localhost", &other, no_authority);

    network.present(&network.authority.issue("localhost", 2001));
    network.is_refused("localhost", &ca, "has expired");
    let (params, key) = params("localhost", 2200);
    let itself = params.self_signed(&key).unwrap().pem();
    network.present(&(itself, key.serialize_pem()));
    network.is_refused("localhost", &ca, no_authority);
    network.set("ssl = off");
    network.is_refused("localhost", &ca, "does not support TLS");
}

#[test]
fn a_role_logs_in_with_a_password_from_a_file_or_a_certificate() {
    let network = Network::new();
    network.present(&network.authority.issue("localhost", 2200));
    for sql in [
        "SET password_encryption = 'scram-sha-256'",
        "CREATE ROLE secretive LOGIN PASSWORD 'right'",
        "CREATE ROLE certified LOGIN",
    ] {
        network.admin.batch(sql).unwrap();
    }
    let rules = "local all all trust\nhostssl all secretive 127.0.0.1/32 scram-sha-256\n\
                 hostssl all certified 127.0.0.1/32 cert\n";
    let file = network.server.folder.path().join("data/pg_hba.conf");
    fs::write(file, rules).unwrap();
    network.admin.batch("SELECT pg_reload_conf()").unwrap();

    let ca = network.ca();
    let with = |name: &str, text: &str| network.file(name, text).display().to_string();
    let password = |text: &str| format!("secretive@{ca}&password-file={}", with("password", text));
    network.is_let_in("localhost", &password("right\n"));
    network.is_refused(
        "localhost",
        &password("wrong\n"),
        "password authentication failed",
    );
    network.is_refused("localhost", &format!("secretive@{ca}"), "password missing");
    let exposed = Path::new(&with("exposed", "right\n")).to_owned();
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = format!("secretive@{ca}&password-file={}", exposed.display());
    let refused = network.connect("localhost", &exposed).unwrap_err();
    assert!(matches!(refused, StoreError::Exposed { .. }), "{refused}");

    let certificate = |name: &str| {
        let (certificate, key) = network.authority.issue(name, 2200);
        let (certificate, key) = (with("me.pem", &certificate), with("me.key", &key));
        format!("certified@{ca}&cert={certificate}&key={key}")
    };
    network.is_let_in("localhost", &certificate("certified"));
    network.is_refused(
        "localhost",
        &certificate("other"),
        "certificate authentication failed",
    );
    let without = format!("certified@{ca}");
    network.is_refused("localhost", &without, "valid client certificate");
}

#[test]
fn of_several_hosts_the_first_that_takes_changes_is_used() {
    let primary = Server::start(&[]);
    let standby = primary.start_standby();
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let dead = nobody.local_addr().unwrap().port();
    drop(nobody);
    let hosts = |hosts: &[&str]| {
        let address = format!("postgres://postgres@{}/postgres", hosts.join(","));
        Session::connect(&address.parse().unwrap())
    };
    let dead = format!("127.0.0.1:{dead}");
    let (first, second) = (primary.host(), standby.host());
    let session = hosts(&[&dead, &second, &first]).unwrap();
    assert_eq!(session.host(), primary.folder.path().to_str().unwrap());
    let refused = hosts(&[&dead, &second]).unwrap_err().to_string();
    for why in [&*dead, "refused", "takes no changes"] {
        assert!(refused.contains(why), "{why}: {refused}");
    }
}
