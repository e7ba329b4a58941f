//! Compares our requests with those of the vendors' own SDKs, which send the same message to a server that records it, and
//! AWS's with its SDK's model and signatures.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::server::{Request, Server};
use crate::support::{TO, TO_DIGITS, message, open, soon, text};
use crate::tools::tool;

const FROM: &str = "+15005550001";

/// A vendor's SDK, and how it sends the message that we send.
struct Sdk {
    kind: &'static str,
    settings: &'static [(&'static str, &'static str)],
    /// Python that sends `text` to `to` (or `digits`) through the interface at `base`.
    script: &'static str,
    /// The headers in which both requests must agree.
    headers: &'static [&'static str],
    /// Entries of the SDK's request that ours has not, or has otherwise, with the reason.
    apart_from: &'static [&'static str],
}

const SDKS: &[Sdk] = &[
    Sdk {
        kind: "plivo",
        settings: &[
            ("auth-id", "MA1234567890ABCDEFGH"),
            ("auth-token", "hush"),
            ("from", FROM),
        ],
        script: r#"
from plivo.rest import client
client.PLIVO_API_BASE_URI = base + "/v1/Account"
client.Client("MA1234567890ABCDEFGH", "hush").messages.create(
    src="+15005550001", dst=to, text=text, message_expiry=600)
"#,
        headers: &["authorization"],
        // The SDK knows only true and false for the log, and sends three defaults.
        apart_from: &["/log", "/type", "/method", "/trackable"],
    },
    Sdk {
        kind: "messagebird",
        settings: &[("access-key", "hush"), ("from", FROM)],
        script: r#"
from messagebird.client import Client, HttpClient
Client("hush", HttpClient(base, "hush", "")).message_create(
    "15005550001", [digits], text, {"datacoding": "plain", "validity": 600})
"#,
        headers: &["authorization"],
        // Joined with commas; the documents of the interface have a list.
        apart_from: &["/recipients"],
    },
    Sdk {
        kind: "africastalking",
        settings: &[("username", "acme"), ("api-key", "hush"), ("from", "Acme")],
        script: r#"
import africastalking
africastalking.initialize("acme", "hush")
africastalking.SMS._baseUrl = base + "/version1"
africastalking.SMS.send(text, [to], "Acme")
"#,
        headers: &["apikey", "content-type"],
        apart_from: &[],
    },
    Sdk {
        kind: "smsapi",
        settings: &[("token", "hush"), ("from", "Acme")],
        script: r#"
from smsapi.client import Client
Client(base + "/", access_token="hush").sms.send(to=digits, message=text, from_="Acme", encoding="utf-8",
    max_parts="3", expiration_date="1790003900")
"#,
        headers: &["authorization"],
        apart_from: &[],
    },
    Sdk {
        kind: "bird",
        settings: &[("api-key", "bk_eu1_hush"), ("from", FROM)],
        script: r#"
from bird import Bird
Bird(api_key="bk_eu1_hush", base_url=base).sms.send(to=to, from_="+15005550001", text=text, category="authentication")
"#,
        headers: &["authorization"],
        apart_from: &[],
    },
    Sdk {
        kind: "brevo",
        settings: &[("api-key", "xkeysib-hush"), ("from", "Acme")],
        script: r#"
from brevo import Brevo
Brevo(api_key="xkeysib-hush", base_url=base).transactional_sms.send_async_transactional_sms(
    recipient=digits, sender="Acme", content=text, type="transactional", unicode_enabled=False)
"#,
        headers: &["api-key"],
        apart_from: &[],
    },
    Sdk {
        kind: "d7",
        settings: &[("token", "hush"), ("from", "Acme")],
        script: r#"
from direct7 import Client
client = Client(api_token="hush")
client.host(base)
client.sms.send_messages({"recipients": [to], "content": text}, originator="Acme")
"#,
        headers: &["authorization"],
        // The SDK sends every text that is not empty as Unicode.
        apart_from: &["/messages/0/data_coding"],
    },
    Sdk {
        kind: "telesign",
        settings: &[("customer-id", "C1"), ("api-key", "hush=="), ("from", FROM)],
        script: r#"
from telesign.messaging import MessagingClient
MessagingClient("C1", "hush==", rest_endpoint=base, auth_method="Basic").message(
    digits, text, "OTP", sender_id="15005550001")
"#,
        headers: &["authorization", "content-type"],
        apart_from: &[],
    },
    Sdk {
        kind: "bandwidth",
        settings: &[
            ("account-id", "9900000"),
            ("username", "ann"),
            ("password", "hush"),
            ("application-id", "93de2206"),
            ("from", FROM),
        ],
        script: r#"
import bandwidth
client = bandwidth.ApiClient(bandwidth.Configuration(username="ann", password="hush"))
serialize = client.param_serialize
client.param_serialize = lambda **request: serialize(**{**request, "_host": base})
bandwidth.MessagesApi(client).create_message("9900000", bandwidth.MessageRequest(
    application_id="93de2206", to=[to], var_from="+15005550001", text=text, priority="high",
    expiration="2026-09-21T14:23:20Z"))
"#,
        headers: &["authorization"],
        // The same time with +00:00.
        apart_from: &["/expiration"],
    },
    Sdk {
        kind: "signal",
        settings: &[("from", FROM)],
        script: r#"
from pysignalclirestapi import SignalCliRestApi
SignalCliRestApi(base, "+15005550001").send_message(text, [to])
"#,
        headers: &[],
        // False, which is its default.
        apart_from: &["/notify_self"],
    },
];

/// What the SDK sends.
fn request_of(sdk: &Sdk) -> Option<Request> {
    let python = tool("sdks/bin/python")?;
    // What a client of signal-cli-rest-api asks first. Others do not understand it, and need not.
    let server = Server::answering(200, r#"{"versions":["v1","v2"],"mode":"normal"}"#);
    let script = format!(
        "import json, sys\nbase, to, digits, text = sys.argv[1:]\n{}",
        sdk.script
    );
    let output = Command::new(python)
        .args([
            "-W",
            "ignore",
            "-c",
            &script,
            &server.base(),
            TO,
            TO_DIGITS,
            &text(),
        ])
        .output()
        .unwrap();
    let requests = server.requests();
    let sent = requests
        .into_iter()
        .find(|request| request.method == "POST");
    assert!(sent.is_some(), "{}: {output:?}", sdk.kind);
    sent
}

/// The body of a request as JSON, without entries that are null and those at `left_out`.
fn content(request: &Request, left_out: &[&str]) -> Value {
    if !request.body.starts_with('{') {
        return json!(request.form());
    }
    let mut body: Value = serde_json::from_str(&request.body).unwrap();
    for path in left_out {
        let (parent, name) = path.rsplit_once('/').unwrap();
        if let Some(parent) = body.pointer_mut(parent) {
            parent.as_object_mut().unwrap().remove(name);
        }
    }
    without_nulls(body)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(entries) => entries
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        other => other,
    }
}

#[test]
fn the_vendors_own_sdks_send_the_same_requests() {
    for sdk in SDKS {
        let Some(theirs) = request_of(sdk) else {
            return;
        };
        let server = Server::answering(500, "{}");
        let _refused = open(sdk.kind, &server.base(), sdk.settings).send(TO, &message(), soon());
        let ours = server.only_request();
        let about = format!("{}: {theirs:#?}", sdk.kind);
        assert_eq!(ours.method, theirs.method, "{about}");
        assert_eq!(ours.target, theirs.target, "{about}");
        for name in sdk.headers {
            assert_eq!(ours.header(name), theirs.header(name), "{about}");
        }
        assert_eq!(
            content(&ours, sdk.apart_from),
            content(&theirs, sdk.apart_from),
            "{about}"
        );
    }
}

/// Python that reads a request to AWS's `sms-voice`, and exits with 0 if it is the one that AWS's own SDK would send:
/// its target and body fit the service's model, and its signature is the one that the SDK computes.
const AWS: &str = r#"
import json, re, sys
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.validate import ParamValidator

request = json.load(sys.stdin)
headers = request["headers"]
model = botocore.session.get_session().get_service_model("pinpoint-sms-voice-v2")
prefix, name = headers["x-amz-target"].split(".")
assert prefix == model.metadata["targetPrefix"], prefix
assert headers["content-type"] == "application/x-amz-json-" + model.metadata["jsonVersion"]
body = json.loads(request["body"])
shape = model.operation_model(name).input_shape
unknown = set(body) - set(shape.members)
assert not unknown, unknown
report = ParamValidator().validate(body, shape)
assert not report.has_errors(), report.generate_report()
for name, value in body.items():
    member = shape.members[name]
    allowed = getattr(member, "enum", [])
    assert not allowed or value in allowed, (name, value)
    pattern = member.metadata.get("pattern")
    assert not pattern or re.fullmatch(pattern, value, re.DOTALL), (name, value, pattern)

scheme, fields = headers["authorization"].split(" ", 1)
fields = dict(field.split("=", 1) for field in fields.split(", "))
key, day, region, service, _ = fields["Credential"].split("/")
assert (scheme, service) == ("AWS4-HMAC-SHA256", model.signing_name), (scheme, service)
signed = {name: headers[name] for name in fields["SignedHeaders"].split(";")}
assert {"host", "x-amz-date", "x-amz-target"} <= set(signed), signed
repeated = AWSRequest(method="POST", url=request["url"], data=request["body"], headers=signed)
repeated.context["timestamp"] = headers["x-amz-date"]
signer = SigV4Auth(Credentials(key, "hush"), service, region)
canonical = signer.canonical_request(repeated)
signature = signer.signature(signer.string_to_sign(repeated, canonical), repeated)
assert signature == fields["Signature"], canonical
"#;

#[test]
fn a_request_to_aws_end_user_messaging_fits_its_model_and_its_signature_is_that_of_its_sdk() {
    let Some(python) = tool("venv/bin/python") else {
        return;
    };
    let server = Server::answering(200, r#"{"MessageId":"m1"}"#);
    let settings = [
        ("access-key-id", "AKIA1"),
        ("secret-access-key", "hush"),
        ("region", "eu-west-1"),
        ("from", FROM),
        ("max-price", "0.25"),
    ];
    let provider = open("aws-eum", &server.base(), &settings);
    provider.send(TO, &message(), soon()).unwrap();
    let _not_an_answer_to_it = provider.check(soon());
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        let headers: serde_json::Map<_, _> = request
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let url = format!("{}{}", server.base(), request.target);
        let request = json!({"url": url, "headers": headers, "body": request.body});
        let mut child = Command::new(&python)
            .args(["-c", AWS])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(request.to_string().as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{request:#}\n{error}");
    }
}
