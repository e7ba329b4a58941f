//! An HTTP client that keeps deadlines, limits the length of answers, and sends nothing to a server that the
//! administrator did not name.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::blocking;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Method, Url};

use crate::error::{SendError, Step};
use crate::net::{lookup, tls};
use crate::redaction::Secrets;

/// How long an unused connection is kept open. Servers close theirs after a while, and not always properly.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What to do about a provider that did not answer, or not completely.
const RETRY_HINT: &str = "try again later; if it happens again, check the provider's status page";
/// What to do about a server that does not complete a TLS handshake.
const NO_TLS_HINT: &str = "check that the server at 'base' supports TLS 1.2 or 1.3";

/// A client that keeps its connections open.
pub(crate) struct Client {
    ca_file: Option<PathBuf>,
    // Made at the first use, because making one starts a thread, and most processes that open a provider send nothing.
    client: Mutex<Option<blocking::Client>>,
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
    /// A client that trusts the system's roots and those in `ca_file`.
    pub(crate) fn new(ca_file: Option<PathBuf>) -> Self {
        Self {
            ca_file,
            client: Mutex::new(None),
        }
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
            return Err(redirected(&response));
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
            .hinted("check that 'base' is the URL of the provider's interface"));
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
        let host = request.url.host_str().unwrap_or_default().to_owned();
        // The timeout lasts until the last byte of the answer.
        let mut builder = client
            .request(request.method, request.url)
            .headers(request.headers)
            .timeout(left);
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        builder
            .send()
            .map_err(|error| request_failed(&error, &host, secrets))
    }

    fn client(&self) -> Result<blocking::Client, SendError> {
        let mut cached = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*cached {
            return Ok(client.clone());
        }
        let client = blocking::Client::builder()
            .tls_backend_preconfigured(tls::client_config(self.ca_file.as_deref())?)
            .user_agent(concat!("twofa/", env!("CARGO_PKG_VERSION")))
            // A redirect or a proxy from the environment would send the secrets to another server.
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(lookup::HttpResolver))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build()
            .map_err(|error| SendError::new(Step::Settings, root_cause(&error)))?;
        *cached = Some(client.clone());
        Ok(client)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("ca_file", &self.ca_file)
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

/// Why there is no answer from `host`. The error never contains the URL, because that may contain a key.
fn request_failed(error: &reqwest::Error, host: &str, secrets: &Secrets) -> SendError {
    if error.is_timeout() {
        let is_pending = lookup::is_pending(host);
        let error = if is_pending {
            SendError::timeout(Step::Lookup).hinted("check this machine's DNS resolver")
        } else {
            SendError::timeout(Step::Message).hinted(RETRY_HINT)
        };
        // The client does not say at which step it timed out. Only if the name was never found, nothing can have been
        // sent.
        let may_be_sent = !is_pending || lookup::has_succeeded(host);
        return if may_be_sent {
            error.after_handover()
        } else {
            error
        };
    }
    let why = secrets.redact(&root_cause(error));
    for cause in causes(error) {
        if let Some(tls) = tls_error(cause) {
            let hint = match tls {
                rustls::Error::InvalidCertificate(_) => {
                    "check that 'base' names the right server; if its certificate is from a CA of your own, name that in 'ca-file'"
                }
                _ => NO_TLS_HINT,
            };
            return SendError::new(Step::Tls, secrets.redact(&tls.to_string())).hinted(hint);
        }
        // Before the request, the handshake is the only exchange that the server can break off.
        if error.is_connect() && is_eof(cause) {
            return SendError::new(
                Step::Tls,
                "the server closed the connection during the TLS handshake",
            )
            .hinted(NO_TLS_HINT);
        }
        // The connector's error of a failed lookup has no type that could be matched.
        if cause.to_string() == "dns error" {
            return SendError::new(Step::Lookup, why)
                .hinted("check the host name in 'base', and this machine's DNS resolver");
        }
    }
    if error.is_connect() {
        return SendError::new(Step::Connect, why)
            .hinted("check 'base', the network, and firewall rules for this machine");
    }
    SendError::new(
        Step::Message,
        format!("the connection broke before the provider answered: {why}"),
    )
    .hinted(RETRY_HINT)
    .after_handover()
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

fn redirected(response: &blocking::Response) -> SendError {
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
    SendError::new(Step::Message, reason).hinted(
        "redirects are not followed, because that would send the keys to another server: set 'base' to the URL of the interface",
    )
}

fn causes(error: &reqwest::Error) -> Vec<&(dyn StdError + 'static)> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    causes
}

/// The TLS error in `cause`. An I/O error returns the error it wraps by `get_ref`, not as its source.
fn tls_error<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = cause.downcast_ref() {
        return Some(tls);
    }
    tls_error(cause.downcast_ref::<io::Error>()?.get_ref()?)
}

/// Whether `cause` is a closed connection.
fn is_eof(cause: &(dyn StdError + 'static)) -> bool {
    let Some(error) = cause.downcast_ref::<io::Error>() else {
        return false;
    };
    error.kind() == io::ErrorKind::UnexpectedEof
        || error.get_ref().is_some_and(|inner| is_eof(inner))
}

fn root_cause(error: &reqwest::Error) -> String {
    causes(error)
        .last()
        .map_or_else(|| "the HTTP client failed".to_owned(), ToString::to_string)
}
