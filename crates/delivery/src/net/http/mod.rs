//! An HTTP client that keeps deadlines, limits the length of answers, and sends nothing to a server that the
//! administrator did not name. [`failure`] explains what goes wrong.

mod failure;

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::blocking;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::tls::TlsInfo;
use reqwest::{Method, StatusCode, Url};
use twofa_core::Timestamp;

use crate::error::{SendError, Step};
use crate::net::certificate::ServerCertificate;
use crate::net::proxy::Proxy;
use crate::net::{lookup, tls};
use crate::redaction::Secrets;
use failure::{login_refused, root_cause};

/// How long an unused connection is kept open. Servers close theirs after a while, and not always properly.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What to do about a provider that did not answer, or not completely.
const RETRY_HINT: &str = "try again later; if it happens again, check the provider's status page";

/// A client that keeps its connections open.
pub(crate) struct Client {
    ca_file: Option<PathBuf>,
    proxy: Option<Proxy>,
    /// The setting that names the server, for hints.
    url_setting: &'static str,
    // Made at the first use, because making one starts a thread, and most processes that open a provider send nothing.
    cached: Mutex<Option<blocking::Client>>,
    certificate: ServerCertificate,
}

/// An HTTP request.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

/// An HTTP response.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// A client for the server that the setting `url_setting` names. It trusts the system's roots and those in `ca_file`,
    /// and connects through `proxy` if there is one.
    pub(crate) fn new(
        ca_file: Option<PathBuf>,
        proxy: Option<Proxy>,
        url_setting: &'static str,
    ) -> Self {
        Self {
            ca_file,
            proxy,
            url_setting,
            cached: Mutex::new(None),
            certificate: ServerCertificate::default(),
        }
    }

    /// When the certificate of the server ends, as far as there was a connection with TLS.
    pub(crate) fn certificate_end(&self) -> Option<Timestamp> {
        self.certificate.end()
    }

    /// Sends `request` and reads an answer of at most `max_length` bytes, by `deadline`. Errors contain none of the
    /// `secrets`. They say that a message may have arrived if the server may have read the request.
    pub(crate) fn exchange(
        &self,
        request: Request,
        max_length: u64,
        deadline: Instant,
        secrets: &Secrets,
    ) -> Result<Response, SendError> {
        let response = self.send(request, deadline, secrets)?;
        if response.status().is_redirection() {
            return Err(self.redirected(&response));
        }
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let read = response.take(max_length + 1).read_to_end(&mut body);
        read.map_err(|error| body_failed(&error, deadline).after_handover())?;
        if body.len() as u64 > max_length {
            return Err(SendError::new(
                Step::Message,
                format!("the answer is longer than {max_length} bytes"),
            )
            .hinted(format!(
                "check that '{}' is the URL of the provider's interface",
                self.url_setting
            )));
        }
        Ok(Response { status, body })
    }

    /// Checks that the server at `url` answers, whatever it answers. No secret is sent.
    pub(crate) fn reach(&self, url: Url, deadline: Instant) -> Result<(), SendError> {
        let request = Request {
            method: Method::HEAD,
            url,
            headers: HeaderMap::new(),
            body: None,
        };
        self.send(request, deadline, &Secrets::default())
            .map(|_| ())
    }

    fn send(
        &self,
        request: Request,
        deadline: Instant,
        secrets: &Secrets,
    ) -> Result<blocking::Response, SendError> {
        let client = self.client()?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(SendError::timeout(Step::Connect));
        }
        let url = request.url.clone();
        // The timeout lasts until the last byte of the answer.
        let mut builder = client
            .request(request.method, request.url)
            .headers(request.headers)
            .timeout(left);
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let response = builder.send().map_err(|error| {
            let secrets = self.with_proxy(secrets);
            self.proxy
                .as_ref()
                .and_then(|proxy| self.proxy_failed(proxy, &error, &url, deadline, &secrets))
                .unwrap_or_else(|| self.request_failed(&error, &url, &secrets))
        })?;
        let tls = response.extensions().get::<TlsInfo>();
        self.certificate
            .note(tls.and_then(TlsInfo::peer_certificate));
        match &self.proxy {
            // Without TLS there is no tunnel, and the proxy answers in the server's place.
            Some(proxy) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(login_refused(proxy, "407"))
            }
            _ => Ok(response),
        }
    }

    fn client(&self) -> Result<blocking::Client, SendError> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*cached {
            return Ok(client.clone());
        }
        let builder = blocking::Client::builder()
            .tls_backend_preconfigured(tls::client_config(self.ca_file.as_deref())?)
            .tls_info(true)
            .user_agent(concat!("twofa/", env!("CARGO_PKG_VERSION")))
            // A redirect or a proxy from the environment would send the secrets to another server.
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(lookup::HttpResolver))
            .pool_idle_timeout(IDLE_TIMEOUT);
        let proxy = self.proxy.as_ref().map(Proxy::for_client).transpose();
        let client = proxy
            .and_then(|proxy| match proxy {
                Some(proxy) => builder.proxy(proxy).build(),
                None => builder.build(),
            })
            .map_err(|error| SendError::new(Step::Settings, root_cause(&error)))?;
        *cached = Some(client.clone());
        Ok(client)
    }

    fn with_proxy(&self, secrets: &Secrets) -> Secrets {
        let mut secrets = secrets.clone();
        if let Some(proxy) = &self.proxy {
            proxy.add_secrets(&mut secrets);
        }
        secrets
    }

    fn redirected(&self, response: &blocking::Response) -> SendError {
        let to = response
            .headers()
            .get(LOCATION)
            .and_then(|value| response.url().join(value.to_str().ok()?).ok());
        // Only the server: the rest of the URL may repeat what was sent.
        let to = to.as_ref().map(|url| url.origin().ascii_serialization());
        let reason = match to {
            Some(to) => format!("HTTP {}: redirected to {to}", response.status().as_u16()),
            None => format!("HTTP {}: redirected", response.status().as_u16()),
        };
        SendError::new(Step::Message, reason).hinted(format!(
            "redirects are not followed, because that would send the keys to another server: set '{}' to the URL of the interface",
            self.url_setting
        ))
    }
}

/// Encodes `pairs` as `application/x-www-form-urlencoded` (URL standard).
pub(crate) fn form_urlencoded<T: AsRef<str>>(pairs: &[(T, T)]) -> String {
    // The URL parser encodes a query this way. Another encoder would be another dependency.
    Url::parse_with_params("x:", pairs)
        .ok()
        .and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default()
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("ca_file", &self.ca_file)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

fn body_failed(error: &io::Error, deadline: Instant) -> SendError {
    let timed_out = error.kind() == io::ErrorKind::TimedOut
        || error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<reqwest::Error>())
            .is_some_and(reqwest::Error::is_timeout);
    if timed_out || Instant::now() >= deadline {
        return SendError::timeout(Step::Message).hinted(RETRY_HINT);
    }
    SendError::new(
        Step::Message,
        "the connection broke in the middle of the provider's answer",
    )
    .hinted(RETRY_HINT)
}
