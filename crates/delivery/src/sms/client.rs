//! HTTP with an end: everything is done or given up by a deadline, no answer is longer than it may be, and nothing
//! goes where the administrator did not send it.

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
use crate::lookup;
use crate::secrets::Secrets;
use crate::tls;

/// The longest answer to a message.
pub(super) const SHORT: u64 = 64 * 1024;
/// The longest list of received messages.
pub(super) const LONG: u64 = 1024 * 1024;
/// A connection that was not used for so long is made anew: servers close theirs after a while without a word.
const IDLE: Duration = Duration::from_secs(30);

/// A client that keeps its connections.
pub(super) struct Client {
    ca_file: Option<PathBuf>,
    // Made at the first use: making one starts a thread, and most processes that open a provider send nothing.
    made: Mutex<Option<blocking::Client>>,
}

/// What is asked.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
}

/// What was answered.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

impl Client {
    /// A client that trusts the system's roots, and those in `ca_file`.
    pub(super) fn new(ca_file: Option<PathBuf>) -> Self {
        Self {
            ca_file,
            made: Mutex::new(None),
        }
    }

    /// Asks, and reads the answer of at most `longest` bytes, until `deadline`. Errors hold none of the `secrets`, and
    /// say that a message may have arrived where the request may have been read and nothing came of it.
    pub(super) fn exchange(
        &self,
        request: Request,
        longest: u64,
        deadline: Instant,
        secrets: &Secrets,
    ) -> Result<Response, SendError> {
        let response = self.ask(request, deadline, secrets)?;
        if response.status().is_redirection() {
            return Err(redirected(&response));
        }
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let read = response.take(longest + 1).read_to_end(&mut body);
        read.map_err(|error| broken_off(&error, deadline).after_handover())?;
        if body.len() as u64 > longest {
            return Err(SendError::at(
                Step::Message,
                format!("the answer is longer than {longest} bytes"),
            )
            .hinted("is this the provider's interface? Look at 'base'"));
        }
        Ok(Response { status, body })
    }

    /// Comes as far as an answer, whichever, from the server at `url`. Nothing secret is sent.
    pub(super) fn reach(&self, url: Url, deadline: Instant) -> Result<(), SendError> {
        let request = Request {
            method: Method::HEAD,
            url,
            headers: HeaderMap::new(),
            body: None,
        };
        self.ask(request, deadline, &Secrets::default()).map(|_| ())
    }

    fn ask(
        &self,
        request: Request,
        deadline: Instant,
        secrets: &Secrets,
    ) -> Result<blocking::Response, SendError> {
        let client = self.client()?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(SendError::late(Step::Connect));
        }
        let host = request.url.host_str().unwrap_or_default().to_owned();
        // From now until the last byte of the answer.
        let mut builder = client
            .request(request.method, request.url)
            .headers(request.headers)
            .timeout(left);
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        builder
            .send()
            .map_err(|error| failed(&error, &host, secrets))
    }

    fn client(&self) -> Result<blocking::Client, SendError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*made {
            return Ok(client.clone());
        }
        let client = blocking::Client::builder()
            .tls_backend_preconfigured(tls::client(self.ca_file.as_deref())?)
            .user_agent(concat!("twofa/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the secrets elsewhere, and a proxy is no business of the environment's.
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(lookup::Resolver))
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|error| SendError::at(Step::Settings, innermost(&error)))?;
        *made = Some(client.clone());
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

/// Why there is no answer from `host`. A URL is in none of the texts: it may hold a key.
fn failed(error: &reqwest::Error, host: &str, secrets: &Secrets) -> SendError {
    if error.is_timeout() {
        let late = SendError::late(if lookup::is_pending(host) {
            Step::Name
        } else {
            Step::Message
        });
        // The client does not say how far it came. Only where no name was ever found nothing can have been sent.
        let was_sent = !lookup::is_pending(host) || lookup::has_found(host);
        return if was_sent {
            late.after_handover()
        } else {
            late
        };
    }
    let why = secrets.strike(&innermost(error));
    for cause in causes(error) {
        if let Some(tls) = tls_error(cause) {
            let hint = match tls {
                rustls::Error::InvalidCertificate(_) => {
                    "is 'base' the right server? If its certificate is by a CA of your own, name that in 'ca-file'"
                }
                _ => "does the server at 'base' speak TLS 1.2 or 1.3?",
            };
            return SendError::at(Step::Tls, secrets.strike(&tls.to_string())).hinted(hint);
        }
        // It hung up on our first word: before that, there is nothing it could cut short.
        if error.is_connect() && is_end(cause) {
            return SendError::at(Step::Tls, "the server hung up")
                .hinted("does the server at 'base' speak TLS 1.2 or 1.3?");
        }
        // The connector's own word for it; it has no type that could be asked.
        if cause.to_string() == "dns error" {
            return SendError::at(Step::Name, why)
                .hinted("check the name in 'base', and whether this machine can look up names");
        }
    }
    if error.is_connect() {
        return SendError::at(Step::Connect, why)
            .hinted("check the network, and a firewall's rules for this machine");
    }
    SendError::at(
        Step::Message,
        format!("the connection broke before an answer: {why}"),
    )
    .after_handover()
}

fn broken_off(error: &io::Error, deadline: Instant) -> SendError {
    let timed_out = error.kind() == io::ErrorKind::TimedOut
        || error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<reqwest::Error>())
            .is_some_and(reqwest::Error::is_timeout);
    if timed_out || Instant::now() >= deadline {
        return SendError::late(Step::Message);
    }
    SendError::at(Step::Message, "the answer broke off")
}

fn redirected(response: &blocking::Response) -> SendError {
    let to = response
        .headers()
        .get(LOCATION)
        .and_then(|value| response.url().join(value.to_str().ok()?).ok());
    // Only where to: the rest may repeat what was sent.
    let to = to.as_ref().map(|url| url.origin().ascii_serialization());
    let reason = match to {
        Some(to) => format!("HTTP {}: redirected to {to}", response.status().as_u16()),
        None => format!("HTTP {}: redirected", response.status().as_u16()),
    };
    SendError::at(Step::Message, reason).hinted(
        "redirects are not followed, they would carry the secrets elsewhere: set 'base' to the right place",
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

/// The TLS error in `cause`. An I/O error shows what it holds only when asked, not as its source.
fn tls_error<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = cause.downcast_ref() {
        return Some(tls);
    }
    tls_error(cause.downcast_ref::<io::Error>()?.get_ref()?)
}

/// Whether `cause` is the end of a connection.
fn is_end(cause: &(dyn StdError + 'static)) -> bool {
    let Some(error) = cause.downcast_ref::<io::Error>() else {
        return false;
    };
    error.kind() == io::ErrorKind::UnexpectedEof || error.get_ref().is_some_and(|held| is_end(held))
}

fn innermost(error: &reqwest::Error) -> String {
    causes(error)
        .last()
        .map_or_else(|| "the HTTP client failed".to_owned(), ToString::to_string)
}
