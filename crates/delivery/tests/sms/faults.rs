//! Servers that hang, misbehave or are not the right ones.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use twofa_delivery::{BadProvider, Provider, SendError, Step};
use twofa_mailserver::{Authority, Identity};
use zeroize::Zeroizing;

use crate::server::{Answer, Server, read};
use crate::support::{CODE, TO, catalogue, configuration, message, open, soon};
use crate::tools::{free_address, until};

const SETTINGS: [(&str, &str); 3] = [
    ("account-sid", "AC1"),
    ("auth-token", "hush"),
    ("from", "+15005550001"),
];

fn twilio(base: &str) -> Box<dyn Provider> {
    open("twilio", base, &SETTINGS)
}

/// A server that handles every connection with `serve`, each in a thread.
pub fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream.unwrap()));
        }
    });
    address
}

/// Reads until the client closes the connection.
fn hang(mut stream: TcpStream) {
    let mut sink = [0; 1024];
    while stream.read(&mut sink).is_ok_and(|count| count > 0) {}
}

/// Writes `start`, and then `again` every 50 ms forever.
fn drip(stream: TcpStream, start: &str, again: &[u8]) {
    let mut writer = stream.try_clone().unwrap();
    read(&mut BufReader::new(stream), 0).unwrap();
    let mut going = writer.write_all(start.as_bytes());
    while going.is_ok() {
        thread::sleep(Duration::from_millis(50));
        going = writer.write_all(again);
    }
}

/// The error for a message with a deadline of a second, which must be kept.
#[track_caller]
fn given_up(base: &str) -> SendError {
    let provider = twilio(base);
    let start = Instant::now();
    let error = provider
        .send(TO, &message(), start + Duration::from_secs(1))
        .unwrap_err();
    drop(provider);
    let took = start.elapsed();
    assert!(error.timed_out, "{error:?}");
    assert!(took < Duration::from_millis(1500), "{took:?}: {error:?}");
    error
}

#[test]
fn a_server_that_never_accepts_the_connection_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // No connection is accepted, so that the queue fills up.
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    given_up(&format!("http://{address}"));
}

#[test]
fn a_server_that_hangs_in_tls_is_given_up() {
    given_up(&format!("https://{}", server(hang)));
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let error = given_up(&format!("http://{}", server(hang)));
    assert_eq!(error.step, Step::Message);
    assert!(error.may_have_arrived);
}

#[test]
fn only_a_message_that_was_handed_over_without_an_answer_may_have_arrived() {
    type Serve = fn(TcpStream);
    fn answer(stream: TcpStream, answer: &str) {
        let mut writer = stream.try_clone().unwrap();
        read(&mut BufReader::new(stream), 0).unwrap();
        writer.write_all(answer.as_bytes()).unwrap();
    }
    let servers: [(Serve, bool); 6] = [
        (|stream| answer(stream, ""), true),
        (
            |stream| answer(stream, "HTTP/1.1 201 X\r\ncontent-length: 50\r\n\r\n{"),
            true,
        ),
        (
            |stream| answer(stream, "HTTP/1.1 504 X\r\ncontent-length: 0\r\n\r\n"),
            true,
        ),
        (
            |stream| answer(stream, "HTTP/1.1 400 X\r\ncontent-length: 0\r\n\r\n"),
            false,
        ),
        (
            |stream| answer(stream, "HTTP/1.1 201 X\r\ncontent-length: 2\r\n\r\n{}"),
            false,
        ),
        (
            |stream| {
                answer(
                    stream,
                    "HTTP/1.1 301 X\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
                );
            },
            false,
        ),
    ];
    for (i, (serve, may_have_arrived)) in servers.into_iter().enumerate() {
        let base = format!("http://{}", server(serve));
        let error = twilio(&base).send(TO, &message(), soon()).unwrap_err();
        assert_eq!(error.may_have_arrived, may_have_arrived, "{i}: {error:?}");
        // A check sends no message that could arrive.
        let check = twilio(&base).check(soon());
        assert!(check.is_ok() || !check.unwrap_err().may_have_arrived, "{i}");
    }
    let nobody = twilio(&format!("http://{}", free_address()))
        .send(TO, &message(), soon())
        .unwrap_err();
    assert!(!nobody.may_have_arrived, "{nobody:?}");
    let late = twilio("http://127.0.0.1:9")
        .send(TO, &message(), Instant::now())
        .unwrap_err();
    assert!(!late.may_have_arrived, "{late:?}");
}

#[test]
fn a_server_that_drips_its_headers_is_given_up() {
    given_up(&format!(
        "http://{}",
        server(|stream| drip(stream, "HTTP/1.1 201 X\r\n", b"x: y\r\n"))
    ));
}

#[test]
fn a_server_that_drips_its_answer_is_given_up() {
    let start = "HTTP/1.1 201 X\r\ncontent-length: 5000\r\n\r\n";
    given_up(&format!(
        "http://{}",
        server(|stream| drip(stream, start, b" "))
    ));
}

#[test]
fn a_server_that_stops_within_its_answer_is_given_up() {
    let start = "HTTP/1.1 201 X\r\ncontent-length: 5000\r\n\r\n{";
    given_up(&format!(
        "http://{}",
        server(|stream| drip(stream, start, b""))
    ));
}

#[test]
fn after_the_deadline_no_request_is_sent() {
    let server = Server::answering(201, "{}");
    let error = twilio(&server.base())
        .send(TO, &message(), Instant::now())
        .unwrap_err();
    assert!(error.timed_out);
    assert!(server.requests().is_empty());
}

#[test]
fn an_answer_without_end_is_an_error() {
    let endless = "HTTP/1.1 201 X\r\ntransfer-encoding: chunked\r\n\r\n";
    let address = server(move |stream| {
        let mut writer = stream.try_clone().unwrap();
        read(&mut BufReader::new(stream), 0).unwrap();
        writer.write_all(endless.as_bytes()).unwrap();
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        while writer.write_all(chunk.as_bytes()).is_ok() {}
    });
    let error = twilio(&format!("http://{address}"))
        .send(TO, &message(), soon())
        .unwrap_err();
    assert_eq!(error.step, Step::Message);
    assert!(error.reason.contains("longer than 65536"), "{error:?}");
}

#[test]
fn a_connection_that_breaks_is_an_error() {
    let address = server(drop);
    let error = twilio(&format!("http://{address}"))
        .send(TO, &message(), soon())
        .unwrap_err();
    assert_eq!(error.step, Step::Message, "{error:?}");
    assert!(!error.timed_out);
}

#[test]
fn a_refused_connection_is_an_error_of_the_connect_step() {
    let error = twilio(&format!("http://{}", free_address()))
        .send(TO, &message(), soon())
        .unwrap_err();
    assert_eq!(error.step, Step::Connect, "{error:?}");
    assert!(error.hint.is_some());
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Server::answering(201, r#"{"sid":"SM1"}"#);
    let to = format!("{}/hush?auth=hush", elsewhere.base());
    for status in [301, 302, 303, 307, 308] {
        let to = to.clone();
        let server = Server::with(move |_| Answer::new(status, "").with("location", &to));
        let error = twilio(&server.base())
            .send(TO, &message(), soon())
            .unwrap_err();
        assert!(error.reason.contains(&elsewhere.base()), "{error:?}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn a_web_page_is_not_a_success() {
    let server = Server::answering(201, "<html><title>Welcome</title></html>");
    let error = twilio(&server.base())
        .send(TO, &message(), soon())
        .unwrap_err();
    assert_eq!(error.step, Step::Message);
    assert!(error.hint.is_some_and(|hint| hint.contains("base")));
}

#[test]
fn a_connection_is_used_again() {
    let server = Server::answering(201, r#"{"sid":"SM1"}"#);
    let provider = twilio(&server.base());
    provider.check(soon()).unwrap();
    for _ in 0..3 {
        provider.send(TO, &message(), soon()).unwrap();
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.connection == 0),
        "{:#?}",
        server.requests()
    );
}

#[test]
fn a_connection_that_the_server_closed_is_replaced() {
    let address = server(|stream| {
        let mut writer = stream.try_clone().unwrap();
        read(&mut BufReader::new(stream), 0).unwrap();
        writer
            .write_all(b"HTTP/1.1 201 X\r\ncontent-length: 13\r\n\r\n{\"sid\":\"SM1\"}")
            .unwrap();
    });
    let provider = twilio(&format!("http://{address}"));
    for _ in 0..20 {
        provider.send(TO, &message(), soon()).unwrap();
        // As between two logins: the end of the connection has arrived.
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_check_authenticates_where_the_provider_has_a_harmless_request() {
    let server = Server::with(|request| {
        assert_eq!(request.method, "GET");
        Answer::new(
            if request.header("authorization").is_some() {
                200
            } else {
                401
            },
            r#"{"messages":[]}"#,
        )
    });
    twilio(&server.base()).check(soon()).unwrap();
    let server = Server::answering(401, r#"{"code":20003,"message":"Authenticate"}"#);
    assert_eq!(
        twilio(&server.base()).check(soon()).unwrap_err().step,
        Step::Login
    );
}

#[test]
fn a_check_only_connects_where_the_provider_has_no_harmless_request() {
    let settings = [("license-key", "hush"), ("from", "15005550001")];
    for status in [200, 302, 404, 500] {
        let server = Server::answering(status, "");
        open("cdyne", &server.base(), &settings)
            .check(soon())
            .unwrap();
        let request = server.only_request();
        assert_eq!(
            (request.method.as_str(), request.header("authorization")),
            ("HEAD", None)
        );
    }
    let nobody = open("cdyne", &format!("http://{}", free_address()), &settings)
        .check(soon())
        .unwrap_err();
    assert_eq!(nobody.step, Step::Connect);
}

/// A server that answers every request with a success, over TLS.
pub fn tls_server(identity: &Identity) -> SocketAddr {
    let config = tls_config(identity);
    server(move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = BufReader::new(StreamOwned::new(tls, stream));
        // A client that refuses the certificate sends no request.
        while read(&mut stream, 0).is_some() {
            let body = r#"{"sid":"SM1"}"#;
            let answer = format!(
                "HTTP/1.1 201 X\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    })
}

/// The TLS configuration of a server with this identity.
pub fn tls_config(identity: &Identity) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    Arc::new(
        config
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap(),
    )
}

fn over_tls(
    address: SocketAddr,
    host: &str,
    ca_file: Option<&Path>,
) -> Result<Option<String>, SendError> {
    let base = format!("https://{host}:{}", address.port());
    let mut settings = SETTINGS.to_vec();
    if let Some(file) = ca_file {
        settings.push(("ca-file", file.to_str().unwrap()));
    }
    open("twilio", &base, &settings)
        .send(TO, &message(), soon())
        .map(|receipt| receipt.id)
}

#[test]
fn a_server_is_trusted_only_by_its_certificate() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, authority.certificate()).unwrap();
    let good = tls_server(&authority.identity(&["localhost", "127.0.0.1"]));
    assert_eq!(
        over_tls(good, "localhost", Some(&ca_file)),
        Ok(Some("SM1".to_owned()))
    );

    let unknown = over_tls(good, "localhost", None).unwrap_err();
    assert_eq!(unknown.step, Step::Tls, "{unknown:?}");
    assert!(unknown.hint.is_some_and(|hint| hint.contains("ca-file")));

    let other = tls_server(&authority.identity(&["sms.example.com"]));
    let wrong_name = over_tls(other, "localhost", Some(&ca_file)).unwrap_err();
    assert_eq!(wrong_name.step, Step::Tls, "{wrong_name:?}");
    assert!(wrong_name.reason.contains("name"), "{wrong_name:?}");

    let old = tls_server(&authority.expired(&["localhost"]));
    let expired = over_tls(old, "localhost", Some(&ca_file)).unwrap_err();
    assert_eq!(expired.step, Step::Tls, "{expired:?}");
    assert!(expired.reason.contains("expired"), "{expired:?}");

    let plain = Server::answering(201, "{}");
    let address = plain.base().trim_start_matches("http://").parse().unwrap();
    let no_tls = over_tls(address, "localhost", Some(&ca_file)).unwrap_err();
    assert_eq!(no_tls.step, Step::Tls, "{no_tls:?}");

    let missing = over_tls(good, "localhost", Some(Path::new("/nonexistent.pem"))).unwrap_err();
    assert_eq!(missing.step, Step::Settings, "{missing:?}");
}

#[test]
fn keys_and_codes_are_sent_unencrypted_only_on_this_machine_or_if_allowed() {
    let catalogue = catalogue(Path::new("/nonexistent")).0;
    let opened = |base: &str, allow: Option<&str>| {
        let mut configuration = configuration("twilio", &SETTINGS);
        let mut set = |name: &str, value: &str| {
            configuration
                .settings
                .insert(name.to_owned(), Zeroizing::new(value.to_owned()));
        };
        set("base", base);
        if let Some(allow) = allow {
            set("allow-plain", allow);
        }
        catalogue.open(&configuration).map(|_| ())
    };
    for base in [
        "https://sms.example.com",
        "http://127.0.0.1:8080/x/",
        "http://[::1]:80",
        "http://localhost",
    ] {
        assert_eq!(opened(base, None), Ok(()), "{base}");
    }
    for base in [
        "http://sms.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "ftp://x",
        "x",
        "http://a@127.0.0.1",
    ] {
        assert!(
            matches!(opened(base, None), Err(BadProvider::Value { .. })),
            "{base}"
        );
    }
    assert_eq!(opened("http://sms.example.com", Some("yes")), Ok(()));
    assert!(opened("https://sms.example.com", Some("maybe")).is_err());
}

#[test]
fn debug_output_and_errors_show_no_key_and_no_code() {
    let server = Server::answering(201, r#"{"sid":"SM1"}"#);
    let provider = twilio(&server.base());
    provider.send(TO, &message(), soon()).unwrap();
    let shown = format!(
        "{provider:?} {:?} {:?}",
        message(),
        configuration("twilio", &SETTINGS)
    );
    assert!(!shown.contains("hush") && !shown.contains(CODE), "{shown}");
    // A key in the URL is not shown when the server cannot be reached either.
    let settings = [("username", "hush"), ("api-key", "hush")];
    let error = open(
        "africastalking",
        &format!("http://{}", free_address()),
        &settings,
    )
    .check(soon())
    .unwrap_err();
    assert!(!format!("{error:?}").contains("hush"), "{error:?}");
}

#[test]
fn a_name_without_an_address_is_an_error_of_the_lookup_step() {
    let error = twilio("https://nobody.invalid").send(
        TO,
        &message(),
        Instant::now() + Duration::from_secs(3),
    );
    let error = error.unwrap_err();
    assert_eq!(error.step, Step::Lookup, "{error:?}");
}

/// Runs alone in a network whose only name server never answers.
#[test]
#[ignore = "run by a_lookup_that_hangs_is_given_up"]
fn inside_a_network_without_names() {
    let error = given_up("https://sms.example.com");
    assert_eq!(error.step, Step::Lookup);
    assert!(!error.may_have_arrived);
}

#[test]
fn a_lookup_that_hangs_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let resolv = folder.path().join("resolv.conf");
    std::fs::write(&resolv, "nameserver 127.0.0.1\noptions timeout:20\n").unwrap();
    // A socket that is bound and never read accepts the queries and never answers.
    let script = "ip link set lo up && mount --bind \"$1\" /etc/resolv.conf && \
                  exec python3 -c 'import os,socket,subprocess,sys\n\
                  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((\"127.0.0.1\", 53))\n\
                  sys.exit(subprocess.run(sys.argv[1:]).returncode)' \"$2\" --ignored --exact \
                  faults::inside_a_network_without_names";
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "sh", "-c", script, "sh"])
        .arg(&resolv)
        .arg(std::env::current_exe().unwrap());
    let Ok(output) = command.output() else {
        return crate::tools::skipped("unshare is not installed");
    };
    let output_text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    if output_text.contains("Operation not permitted") {
        return crate::tools::skipped("a network namespace needs root");
    }
    assert!(
        output.status.success() && output_text.contains("1 passed"),
        "{output_text}"
    );
}

#[test]
fn a_provider_that_is_dropped_while_it_sends_does_not_block() {
    let address = server(hang);
    let provider = twilio(&format!("http://{address}"));
    let provider: Arc<dyn Provider> = Arc::from(provider);
    let sending = {
        let provider = Arc::clone(&provider);
        thread::spawn(move || {
            provider.send(TO, &message(), Instant::now() + Duration::from_millis(300))
        })
    };
    drop(provider);
    let start = Instant::now();
    until("it is done", || sending.is_finished());
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(sending.join().unwrap().unwrap_err().timed_out);
}

/// Runs in an environment that names a proxy.
#[test]
#[ignore = "run by a_proxy_from_the_environment_is_not_used"]
fn inside_an_environment_with_a_proxy() {
    let server = Server::answering(201, r#"{"sid":"SM1"}"#);
    twilio(&server.base()).send(TO, &message(), soon()).unwrap();
    assert_eq!(server.only_request().method, "POST");
}

#[test]
fn a_proxy_from_the_environment_is_not_used() {
    let proxy = Server::answering(500, "");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--ignored",
        "--exact",
        "faults::inside_an_environment_with_a_proxy",
    ]);
    for name in [
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env(name, proxy.base());
    }
    let output = command
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .output()
        .unwrap();
    let output_text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && output_text.contains("1 passed"),
        "{output_text}"
    );
    assert!(proxy.requests().is_empty());
}

#[test]
fn a_provider_that_repeats_the_login_does_not_reveal_it() {
    let server = Server::with(|request| {
        let login = request.header("authorization").unwrap();
        let output_text = serde_json::json!({ "code": 20003, "message": format!("bad header {login} for {}", request.body) });
        Answer::new(401, &output_text.to_string())
    });
    let settings = [
        ("account-sid", "AC1"),
        ("auth-token", "hush/-é&x"),
        ("from", "+15005550001"),
    ];
    let error = open("twilio", &server.base(), &settings)
        .send(TO, &message(), soon())
        .unwrap_err();
    let login = server
        .only_request()
        .header("authorization")
        .unwrap()
        .trim_start_matches("Basic ")
        .to_owned();
    assert_eq!(
        data_encoding::BASE64.decode(login.as_bytes()).unwrap(),
        "AC1:hush/-é&x".as_bytes()
    );
    assert!(
        error
            .reason
            .starts_with("20003: bad header Basic […] for Body=[…]&"),
        "{error:?}"
    );
    for part in login.as_bytes().windows(6).skip(6) {
        assert!(
            !error.reason.contains(std::str::from_utf8(part).unwrap()),
            "{error:?}"
        );
    }
}
