//! Signs requests with AWS Signature Version 4.

use std::time::SystemTime;

use crate::net::http::Request;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SigningSettings, sign as sign_request,
};
use aws_sigv4::sign::v4;

const NOT_SIGNED: &str = "the request cannot be signed with this key";

/// An access key.
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) session: Option<String>,
}

/// The headers that authenticate `request`: names and values.
pub(super) fn sign(
    request: &Request,
    key: &Key,
    service: &str,
    region: &str,
) -> Result<Vec<(String, String)>, String> {
    let identity =
        Credentials::new(&key.id, &key.secret, key.session.clone(), None, "twofa").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| NOT_SIGNED.to_owned())?
        .into();
    let headers: Vec<_> = request
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let signable = SignableRequest::new(
        request.method.as_str(),
        request.url.as_str(),
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
        SignableBody::Bytes(request.body.as_deref().unwrap_or_default()),
    );
    let signed = signable
        .and_then(|signable| sign_request(signable, &parameters))
        .map_err(|_| NOT_SIGNED.to_owned())?;
    let (instructions, _) = signed.into_parts();
    Ok(instructions
        .headers()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// The time of the signature. It is valid for minutes from then, whenever the message was written.
#[expect(
    clippy::disallowed_methods,
    reason = "AWS compares the time of a signature with its own clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
