//! Providers that are reached through an HTTP proxy: tinyproxy, and servers that play one.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConnection, StreamOwned};
use tempfile::TempDir;
use twofa_delivery::{BadProvider, Provider, SendError, Step};
use twofa_mailserver::Authority;

use crate::faults::{server, tls_config, tls_server};
use crate::server::{Answer, Server};
use crate::support::{TO, catalogue, configuration, message, open, soon};
use crate::tools::{Running, free_address, skipped};

const SETTINGS: [(&str, &str); 3] = [
    ("account-sid", "AC1"),
    ("auth-token", "hush"),
    ("from", "+15005550001"),
];
const PASSWORD: &str = "proxy-hush";

/// Twilio at `base`, with `more` settings.
fn twilio(base: &str, more: &[(&str, &str)]) -> Box<dyn Provider> {
    open("twilio", base, &[&SETTINGS, more].concat())
}

/// The error for a message, which is the one for a test as well, and shows no secret.
#[track_caller]
fn refused(base: &str, more: &[(&str, &str)]) -> SendError {
    let provider = twilio(base, more);
    let error = provider.send(TO, &message(), soon()).unwrap_err();
    let checked = provider.check(soon()).unwrap_err();
    assert_eq!((checked.step, &checked.reason), (error.step, &error.reason));
    let shown = format!("{error:?} {provider:?}");
    assert!(!shown.contains("hush"), "{shown}");
    assert!(!error.may_have_arrived, "{error:?}");
    error
}

#[track_caller]
fn assert_error(error: &SendError, step: Step, reason: &str, hint: &str) {
    assert_eq!(error.step, step, "{error:?}");
    assert!(error.reason.contains(reason), "{reason}: {error:?}");
    let shown = error.hint.as_deref().unwrap_or_default();
    assert!(shown.contains(hint), "{hint}: {error:?}");
}

/// A real proxy.
struct Tinyproxy {
    _running: Running,
    _folder: TempDir,
    address: SocketAddr,
    log: PathBuf,
}

impl Tinyproxy {
    /// Starts one with these lines of configuration. `None`: it is not installed.
    fn start(more: &str) -> Option<Self> {
        if Command::new("tinyproxy").arg("-v").output().is_err() {
            skipped("tinyproxy is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (address, log) = (free_address(), folder.path().join("log"));
        let file = folder.path().join("conf");
        let lines = format!(
            "Port {}\nListen {}\nLogLevel Connect\nAllow 127.0.0.0/8\n{more}\n",
            address.port(),
            address.ip()
        );
        fs::write(&file, lines).unwrap();
        let mut command = Command::new("tinyproxy");
        let mut running = Running::start(command.arg("-d").arg("-c").arg(file), &log);
        running.serves(address);
        Some(Self {
            _running: running,
            _folder: folder,
            address,
            log,
        })
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

/// When the certificates of the tests' authority end: 2200-01-01.
const CERTIFICATE_END: i64 = 7_258_118_400;

/// A provider with TLS: its URL, and the file with its CA.
fn provider_with_tls(folder: &Path) -> (String, String) {
    let authority = Authority::new();
    let ca_file = folder.join("ca.pem");
    fs::write(&ca_file, authority.certificate()).unwrap();
    let address = tls_server(&authority.identity(&["localhost"]));
    let base = format!("https://localhost:{}", address.port());
    (base, ca_file.to_str().unwrap().to_owned())
}

#[test]
fn a_check_without_a_proxy_says_when_the_certificate_of_the_server_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (base, ca_file) = provider_with_tls(folder.path());
    let provider = twilio(&base, &[("ca-file", ca_file.as_str())]);
    assert_eq!(provider.certificate_end(), None);
    provider.check(soon()).unwrap();
    let end = provider.certificate_end().map(twofa_core::Timestamp::unix);
    assert_eq!(end, Some(CERTIFICATE_END));
}

#[test]
fn a_message_goes_through_a_real_proxy_with_and_without_a_login() {
    let folder = tempfile::tempdir().unwrap();
    let (base, ca_file) = provider_with_tls(folder.path());
    for (more, user) in [("", ""), ("BasicAuth ann proxy-hush", "ann@")] {
        let Some(proxy) = Tinyproxy::start(more) else {
            return;
        };
        let url = format!("http://{user}{}", proxy.address);
        let mut settings = vec![("proxy", url.as_str()), ("ca-file", &ca_file)];
        if !user.is_empty() {
            settings.push(("proxy-password", PASSWORD));
        }
        let provider = twilio(&base, &settings);
        provider.check(soon()).unwrap();
        // reqwest does not tell of the certificate behind a proxy.
        assert_eq!(provider.certificate_end(), None);
        let receipt = provider.send(TO, &message(), soon()).unwrap();
        assert_eq!(receipt.id.as_deref(), Some("SM1"));
        let connect = format!("CONNECT {}", base.trim_start_matches("https://"));
        let log = proxy.log();
        assert!(log.contains(&connect), "{log}");
        // The connection is kept open.
        assert_eq!(log.matches(&connect).count(), 1, "{log}");

        let plain = Server::answering(201, r#"{"sid":"SM2"}"#);
        let receipt = twilio(&plain.base(), &settings).send(TO, &message(), soon());
        assert_eq!(receipt.unwrap().id.as_deref(), Some("SM2"));
        let request = plain.only_request();
        assert_eq!(request.header("proxy-authorization"), None);
        assert!(
            request
                .header("via")
                .is_some_and(|via| via.contains("tinyproxy"))
        );
    }
}

#[test]
fn what_a_real_proxy_refuses_is_reported_as_its_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let (base, ca_file) = provider_with_tls(folder.path());
    let target = base.trim_start_matches("https://");
    let plain = Server::answering(201, r#"{"sid":"SM1"}"#);
    let Some(proxy) = Tinyproxy::start("BasicAuth ann proxy-hush") else {
        return;
    };
    let name = format!("the proxy {} ", proxy.address);
    let anonymous = format!("http://{}", proxy.address);
    let ann = format!("http://ann@{}", proxy.address);
    for base in [base.as_str(), &plain.base()] {
        let error = refused(base, &[("proxy", &anonymous)]);
        let reason = format!("{name}requires a login");
        assert_error(&error, Step::Login, &reason, "proxy-password");
    }
    let error = refused(&base, &[("proxy", &ann), ("proxy-password", "hushed")]);
    let reason = format!("{name}refuses the login");
    assert_error(&error, Step::Login, &reason, "proxy-password");
    assert!(plain.requests().is_empty());
    let login = [("proxy", ann.as_str()), ("proxy-password", PASSWORD)];
    // The certificate of the server behind it.
    let error = refused(&base, &login);
    let through = format!("through the proxy {}", proxy.address);
    assert_error(&error, Step::Tls, &through, "proxy that decrypts");
    // A server that the proxy cannot reach.
    let nobody = format!("https://{}", free_address());
    let error = refused(&nobody, &login);
    assert_error(
        &error,
        Step::Connect,
        "does not connect to 127.",
        "whether the proxy reaches",
    );
    assert!(error.reason.contains(": 5"), "{error:?}");

    let filter = folder.path().join("filter");
    fs::write(&filter, "^localhost$\n").unwrap();
    let filter = format!("Filter \"{}\"", filter.display());
    let proxy = Tinyproxy::start(&filter).unwrap();
    let url = format!("http://{}", proxy.address);
    let error = refused(&base, &[("proxy", &url), ("ca-file", &ca_file)]);
    let reason = format!(
        "the proxy {} does not connect to {target}: 403",
        proxy.address
    );
    assert_error(
        &error,
        Step::Connect,
        &reason,
        &format!("allow connections to {target}"),
    );
}

#[test]
fn a_proxy_that_cannot_be_reached_or_is_none_is_reported_by_its_name() {
    let base = "https://sms.example.com";
    let address = free_address();
    let url = format!("http://{address}");
    for base in [base, "http://localhost:1"] {
        let error = refused(base, &[("proxy", &url)]);
        let reason = format!("the proxy {address}: ");
        assert_error(&error, Step::Connect, &reason, "check 'proxy'");
        let error = refused(base, &[("proxy", "http://nobody.invalid:3128")]);
        assert_error(
            &error,
            Step::Lookup,
            "the proxy nobody.invalid:3128",
            "in 'proxy'",
        );
    }
    // A web server.
    let other = Server::with(|_| Answer::new(405, ""));
    let error = refused(base, &[("proxy", &other.base())]);
    assert_error(
        &error,
        Step::Connect,
        "sms.example.com:443: 405",
        "names an HTTP proxy",
    );
    let silent = server(drop);
    let url = format!("http://{silent}");
    let error = refused(base, &[("proxy", &url)]);
    assert_error(
        &error,
        Step::Connect,
        &format!("the proxy {silent}"),
        "'proxy'",
    );
    // One that is not reached by TLS.
    let url = other.base().replace("http:", "https:");
    let error = refused(base, &[("proxy", &url)]);
    assert_error(&error, Step::Tls, "the proxy 127.0.0.1:", "expects TLS");
}

#[test]
fn a_proxy_that_does_not_answer_is_given_up_at_the_deadline() {
    let address = server(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let url = format!("http://{address}");
    let provider = twilio("https://sms.example.com", &[("proxy", &url)]);
    let start = Instant::now();
    let error = provider
        .check(start + Duration::from_millis(700))
        .unwrap_err();
    assert!(error.timed_out, "{error:?}");
    assert_error(&error, error.step, "", &format!("the proxy {address}"));
    assert!(start.elapsed() < Duration::from_millis(1500), "{error:?}");
}

/// A proxy that is reached by TLS and wants Ann's login.
fn proxy_with_tls(authority: &Authority) -> SocketAddr {
    let config = tls_config(&authority.identity(&["localhost"]));
    server(move |socket| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut tls = StreamOwned::new(session, socket);
        // A client that does not trust it says nothing.
        let _ = serve_with_tls(&mut tls);
    })
}

fn serve_with_tls(tls: &mut StreamOwned<ServerConnection, TcpStream>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let login = format!(
        "Basic {}",
        data_encoding::BASE64.encode(b"CORP\\ann:proxy-hush")
    );
    let Some(target) = head
        .strip_prefix("CONNECT ")
        .filter(|head| head.contains(&login))
        .and_then(|head| head.split(' ').next())
    else {
        return tls
            .write_all(b"HTTP/1.1 407 No\r\n\r\n")
            .and_then(|()| tls.flush());
    };
    let mut server = TcpStream::connect(target)?;
    tls.write_all(b"HTTP/1.1 200 Go on\r\n\r\n")?;
    let wait = Some(Duration::from_millis(5));
    server.set_read_timeout(wait)?;
    tls.sock.set_read_timeout(wait)?;
    let mut buffer = [0; 4096];
    loop {
        if let Some(count) = read_some(tls, &mut buffer)? {
            server.write_all(&buffer[..count])?;
        }
        if let Some(count) = read_some(&mut server, &mut buffer)? {
            tls.write_all(&buffer[..count])?;
            tls.flush()?;
        }
    }
}

/// The number of bytes that are there; `None`: none yet.
fn read_some(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match from.read(buffer) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

#[test]
fn a_message_goes_through_a_proxy_that_is_reached_by_tls() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    fs::write(&ca_file, authority.certificate()).unwrap();
    let ca_file = ca_file.to_str().unwrap();
    let address = tls_server(&authority.identity(&["localhost"]));
    let base = format!("https://localhost:{}", address.port());
    let proxy = proxy_with_tls(&authority);
    let url = format!("https://CORP%5Cann@localhost:{}", proxy.port());
    let settings = [("proxy", url.as_str()), ("proxy-password", PASSWORD)];
    let receipt = twilio(&base, &[&settings[..], &[("ca-file", ca_file)]].concat()).send(
        TO,
        &message(),
        soon(),
    );
    assert_eq!(receipt.unwrap().id.as_deref(), Some("SM1"));
    let error = refused(&base, &settings);
    let reason = format!("the proxy localhost:{}", proxy.port());
    assert_error(&error, Step::Tls, &reason, "ca-file");
    let wrong = [
        ("proxy", url.as_str()),
        ("proxy-password", "hushed"),
        ("ca-file", ca_file),
    ];
    assert_error(
        &refused(&base, &wrong),
        Step::Login,
        &reason,
        "proxy-password",
    );
}

#[test]
fn a_proxy_is_refused_by_name_without_revealing_its_password() {
    let (catalogue, _) = catalogue(Path::new("/nonexistent"));
    for (settings, setting) in [
        (vec![("proxy", "proxy.corp:3128")], "proxy"),
        (
            vec![("proxy", "http://ann:proxy-hush@proxy.corp:3128")],
            "proxy",
        ),
        (
            vec![("proxy", "http://ann@proxy.corp:3128")],
            "proxy-password",
        ),
        (vec![("proxy-password", PASSWORD)], "proxy"),
        (
            vec![
                ("proxy", "http://proxy.corp:3128"),
                ("proxy-password", PASSWORD),
            ],
            "proxy",
        ),
    ] {
        let settings = [&SETTINGS, &settings[..]].concat();
        let error = catalogue
            .open(&configuration("twilio", &settings))
            .unwrap_err();
        let (BadProvider::Value { setting: named, .. }
        | BadProvider::Missing { setting: named, .. }) = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(named, setting, "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
    let kind = catalogue.find("twilio").unwrap();
    assert!(kind.setting("proxy-password").unwrap().secret);
    assert!(!kind.setting("proxy").unwrap().secret);
}

#[test]
fn no_connection_bypasses_the_proxy() {
    let direct = TcpListener::bind("127.0.0.1:0").unwrap();
    direct.set_nonblocking(true).unwrap();
    let base = format!("https://{}", direct.local_addr().unwrap());
    let url = format!("http://{}", free_address());
    refused(&base, &[("proxy", &url)]);
    assert_eq!(direct.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}
