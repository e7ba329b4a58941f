//! AWS: SNS, played by moto, which checks signatures for real, and End User Messaging against the model and the signatures
//! of AWS's own SDK.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::json;
use twofa_delivery::{Provider, Step};

use crate::server::Server;
use crate::support::{TO, client, message, open, soon};
use crate::tools::{Running, free_address, tool};

/// SNS with one user who may do everything.
struct Sns {
    address: SocketAddr,
    key: String,
    secret: String,
    _server: Running,
    _folder: tempfile::TempDir,
}

impl Sns {
    fn start() -> Option<Self> {
        let moto = tool("venv/bin/moto_server")?;
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut command = Command::new(moto);
        command.args([
            "-H",
            &address.ip().to_string(),
            "-p",
            &address.port().to_string(),
        ]);
        let mut server = Running::start(&mut command, &folder.path().join("log"));
        server.serves(address);
        let iam = |form: &[(&str, &str)]| ask_iam(address, form);
        iam(&[
            ("Action", "CreateUser"),
            ("UserName", "twofa"),
            ("Version", "2010-05-08"),
        ]);
        let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sns:*","Resource":"*"}]}"#;
        iam(&[
            ("Action", "PutUserPolicy"),
            ("UserName", "twofa"),
            ("PolicyName", "sns"),
            ("PolicyDocument", policy),
            ("Version", "2010-05-08"),
        ]);
        let made = iam(&[
            ("Action", "CreateAccessKey"),
            ("UserName", "twofa"),
            ("Version", "2010-05-08"),
        ]);
        let made = roxmltree::Document::parse(&made).unwrap();
        let text = |name: &str| {
            let node = made
                .descendants()
                .find(|node| node.tag_name().name() == name);
            node.and_then(|node| node.text()).unwrap().to_owned()
        };
        let (key, secret) = (text("AccessKeyId"), text("SecretAccessKey"));
        let client = client();
        let reset = client
            .post(format!("http://{address}/moto-api/reset-auth"))
            .header("content-type", "text/plain");
        reset.body("0").send().unwrap().error_for_status().unwrap();
        Some(Self {
            address,
            key,
            secret,
            _server: server,
            _folder: folder,
        })
    }

    fn open(&self, secret: &str) -> Box<dyn Provider> {
        let settings = [
            ("access-key-id", self.key.as_str()),
            ("secret-access-key", secret),
            ("region", "us-east-1"),
            ("sender-id", "Acme"),
        ];
        open("aws-sns", &format!("http://{}", self.address), &settings)
    }
}

/// Sends a request to the service for users and keys, and returns its answer, in XML.
fn ask_iam(address: SocketAddr, form: &[(&str, &str)]) -> String {
    let client = client();
    // Until it is told to check, anything in the form of a signature is one; the service's name is read from it.
    let request = client.post(format!("http://{address}/")).form(form).header(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0",
    );
    request
        .send()
        .unwrap()
        .error_for_status()
        .unwrap()
        .text()
        .unwrap()
}

#[test]
fn amazon_accepts_our_signature_and_refuses_one_with_a_wrong_key() {
    let Some(sns) = Sns::start() else { return };
    let receipt = sns.open(&sns.secret).send(TO, &message(), soon()).unwrap();
    assert!(receipt.id.is_some_and(|id| !id.is_empty()));
    sns.open(&sns.secret).check(soon()).unwrap();

    let wrong = sns.open("wrongwrongwrongwrongwrongwrongwrongwrong");
    let refused = [
        wrong.send(TO, &message(), soon()).unwrap_err(),
        wrong.check(soon()).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.step, Step::Login, "{error:?}");
        assert!(
            error.reason.starts_with("SignatureDoesNotMatch"),
            "{error:?}"
        );
        assert!(!format!("{error:?}").contains("wrongwrong"));
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
        ("from", "+15005550001"),
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
