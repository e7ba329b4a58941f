//! A CA and an issuer of access tokens, for tests.

use std::io::Write;
use std::process::{Command, Stdio};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// A private CA.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its key, both in PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, in PEM.
    pub certificate: String,
    /// Its private key, in PEM.
    pub key: String,
}

impl Authority {
    /// A new CA with a new key.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Strict clients refuse certificates without this and the key identifier below (RFC 5280 §4.2.1.3, §4.2.1.1).
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "A test's own CA");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// The CA's own certificate, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for these names that is valid now.
    pub fn identity(&self, names: &[&str]) -> Identity {
        self.issue(names, 2000, 2200)
    }

    /// A certificate for these names that expired in 2001.
    pub fn expired(&self, names: &[&str]) -> Identity {
        self.issue(names, 2000, 2001)
    }

    fn issue(&self, names: &[&str], from: i32, until: i32) -> Identity {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.use_authority_key_identifier_extension = true;
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("a certificate")
            .pem();
        Identity {
            certificate,
            key: key.serialize_pem(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A token for `user` (a JWT, RFC 7519) that is valid for years, signed by openssl with `key`.
pub(super) fn token(user: &str, key: &str) -> String {
    let claims =
        format!(r#"{{"email":"{user}","sub":"{user}","iat":1700000000,"exp":7000000000}}"#);
    let signed = format!(
        "{}.{}",
        base64url(br#"{"alg":"HS256","typ":"JWT"}"#),
        base64url(claims.as_bytes())
    );
    let signature = piped(
        &["dgst", "-sha256", "-hmac", key, "-binary"],
        signed.as_bytes(),
    );
    format!("{signed}.{}", base64url(&signature))
}

fn base64url(bytes: &[u8]) -> String {
    let text = String::from_utf8(piped(&["base64", "-A"], bytes)).expect("base64 is ASCII");
    text.trim_end_matches(['=', '\n'])
        .replace('+', "-")
        .replace('/', "_")
}

fn piped(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut openssl = Command::new("openssl");
    openssl
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut openssl = openssl.spawn().expect("openssl");
    openssl
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input)
        .expect("openssl reads");
    let output = openssl.wait_with_output().expect("openssl ends");
    assert!(output.status.success(), "openssl {arguments:?}");
    output.stdout
}
