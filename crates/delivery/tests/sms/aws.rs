//! Amazon SNS, played by moto, which checks signatures for real.

use std::net::SocketAddr;
use std::process::Command;

use twofa_delivery::{Provider, Step};

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
