//! Why a request got no answer: which step failed, at the server or at the proxy, and what to do about it.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use reqwest::Url;

use super::{Client, RETRY_HINT};
use crate::error::{SendError, Step};
use crate::net::proxy::Proxy;
use crate::net::{lookup, tls};
use crate::redaction::Secrets;

/// What to do about a server in the place of a proxy that does not answer like one.
const NO_PROXY_HINT: &str =
    "check that 'proxy' names an HTTP proxy that allows CONNECT, with its port";

impl Client {
    /// Why there is no answer from the server at `url`. The error never contains the URL, because that may contain a key.
    pub(super) fn request_failed(
        &self,
        error: &reqwest::Error,
        url: &Url,
        secrets: &Secrets,
    ) -> SendError {
        // A proxy looks up the name of the server itself.
        let host = match &self.proxy {
            Some(proxy) => proxy.host(),
            None => url.host_str().unwrap_or_default(),
        };
        if error.is_timeout() {
            return self.timed_out(host);
        }
        let setting = self.url_setting;
        let why = secrets.redact(&root_cause(error));
        let causes = causes(error);
        if let Some(reason) = causes.iter().find_map(|cause| tls_failure(error, *cause)) {
            let through = self.proxy.as_ref().map_or_else(String::new, |proxy| {
                format!("through the proxy {}: ", proxy.endpoint())
            });
            let reason = secrets.redact(&format!("{through}{reason}"));
            return SendError::new(Step::Tls, reason).hinted(self.tls_hint(&causes));
        }
        // The connector's error of a failed lookup has no type that could be matched.
        if causes.iter().any(|cause| cause.to_string() == "dns error") {
            return SendError::new(Step::Lookup, why).hinted(format!(
                "check the host name in '{setting}', and this machine's DNS resolver"
            ));
        }
        if error.is_connect() {
            return SendError::new(Step::Connect, why).hinted(format!(
                "check '{setting}', the network, and firewall rules for this machine"
            ));
        }
        SendError::new(
            Step::Message,
            format!("the connection broke before the provider answered: {why}"),
        )
        .hinted(RETRY_HINT)
        .after_handover()
    }

    /// No answer by the deadline. `host` is what this machine looks up and connects to.
    fn timed_out(&self, host: &str) -> SendError {
        let is_pending = lookup::is_pending(host);
        let error = match &self.proxy {
            _ if is_pending => {
                SendError::timeout(Step::Lookup).hinted("check this machine's DNS resolver")
            }
            Some(proxy) => SendError::timeout(Step::Message).hinted(format!(
                "check that the proxy {} answers and reaches the provider; {RETRY_HINT}",
                proxy.endpoint()
            )),
            None => SendError::timeout(Step::Message).hinted(RETRY_HINT),
        };
        // The client does not say at which step it timed out. Only if the name was never found, nothing can have been
        // sent.
        if !is_pending || lookup::has_succeeded(host) {
            error.after_handover()
        } else {
            error
        }
    }

    /// What to do about a TLS handshake with the server that failed.
    fn tls_hint(&self, causes: &[&(dyn StdError + 'static)]) -> String {
        let setting = self.url_setting;
        let is_certificate = |cause: &&(dyn StdError + 'static)| {
            matches!(
                tls_error(*cause),
                Some(rustls::Error::InvalidCertificate(_))
            )
        };
        if !causes.iter().any(is_certificate) {
            return format!("check that the server at '{setting}' supports TLS 1.2 or 1.3");
        }
        let whose = match &self.proxy {
            Some(_) => ", or from that of a proxy that decrypts,",
            None => "",
        };
        format!(
            "check that '{setting}' names the right server; if its certificate is from a CA of your own{whose} name that in 'ca-file'"
        )
    }

    /// What failed between this machine and the server behind `proxy`. `None`: not the proxy.
    pub(super) fn proxy_failed(
        &self,
        proxy: &Proxy,
        error: &reqwest::Error,
        url: &Url,
        deadline: Instant,
        secrets: &Secrets,
    ) -> Option<SendError> {
        if error.is_timeout() || !error.is_connect() {
            return None;
        }
        let name = proxy.endpoint();
        let at = |step, why: &str| {
            SendError::new(step, secrets.redact(&format!("the proxy {name}: {why}")))
        };
        let causes = causes(error);
        // The connector's errors have no type that could be matched.
        let tunnel = causes.iter().find_map(|cause| {
            cause
                .to_string()
                .strip_prefix("tunnel error: ")
                .map(str::to_owned)
        });
        match tunnel.as_deref() {
            Some("proxy authorization required") => return Some(login_refused(proxy, "407")),
            Some("unsuccessful") => {
                return Some(self.connection_refused(proxy, url, deadline, secrets));
            }
            Some("failed to create underlying connection") => (),
            Some(_) => {
                return Some(at(Step::Connect, "it closed the connection").hinted(NO_PROXY_HINT));
            }
            // The tunnel was there, so that what failed is behind it.
            None if url.scheme() == "https" => return None,
            None => (),
        }
        if let Some(why) = causes.iter().find_map(|cause| tls_failure(error, *cause)) {
            return Some(at(Step::Tls, &why).hinted(
                "check that 'proxy' names the right server, and whether it expects TLS (https://); if its certificate is \
                 from a CA of your own, name that in 'ca-file'",
            ));
        }
        let why = root_cause(error);
        if causes.iter().any(|cause| cause.to_string() == "dns error") {
            return Some(
                at(Step::Lookup, &why)
                    .hinted("check the host name in 'proxy', and this machine's DNS resolver"),
            );
        }
        Some(
            at(Step::Connect, &why)
                .hinted("check 'proxy', the network, and firewall rules for this machine"),
        )
    }

    /// That `proxy` does not connect to the server at `url`.
    fn connection_refused(
        &self,
        proxy: &Proxy,
        url: &Url,
        deadline: Instant,
        secrets: &Secrets,
    ) -> SendError {
        let host = url.host_str().unwrap_or_default();
        let target = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        let status = tls::client_config(self.ca_file.as_deref())
            .ok()
            .and_then(|tls| proxy.ask_status(&target, &Arc::new(tls), deadline).ok())
            .filter(|status| !status.starts_with("200"));
        let said = status
            .as_deref()
            .map_or_else(String::new, |status| format!(": {status}"));
        let reason = format!(
            "the proxy {} does not connect to {target}{said}",
            proxy.endpoint()
        );
        let hint = match status.as_deref().and_then(|status| status.get(..3)) {
            // tinyproxy's answer to a wrong password.
            Some("401") => return login_refused(proxy, "401"),
            Some("403") => format!("have the proxy's administrator allow connections to {target}"),
            Some(code) if code.starts_with('5') => format!(
                "check the host name in '{}', and whether the proxy reaches that server",
                self.url_setting
            ),
            _ => NO_PROXY_HINT.to_owned(),
        };
        SendError::new(Step::Connect, secrets.redact(&reason)).hinted(hint)
    }
}

/// That `proxy` wants a login, or another one; it answered with the status `code`.
pub(super) fn login_refused(proxy: &Proxy, code: &str) -> SendError {
    let (verb, hint) = if proxy.has_login() {
        (
            "refuses the login",
            "check the user in 'proxy', and 'proxy-password'; the proxy must accept Basic authentication",
        )
    } else {
        (
            "requires a login",
            "name the user in 'proxy', as in http://user@proxy.example.com:3128, and set 'proxy-password'",
        )
    };
    let reason = format!("the proxy {} {verb} (HTTP {code})", proxy.endpoint());
    SendError::new(Step::Login, reason).hinted(hint)
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

/// The reason why a TLS handshake failed, if that is `cause`.
fn tls_failure(error: &reqwest::Error, cause: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(tls) = tls_error(cause) {
        return Some(tls.to_string());
    }
    // Before the request, the handshake is the only exchange that the server can break off.
    (error.is_connect() && is_eof(cause))
        .then(|| "the server closed the connection during the TLS handshake".to_owned())
}

/// Whether `cause` is a closed connection.
fn is_eof(cause: &(dyn StdError + 'static)) -> bool {
    let Some(error) = cause.downcast_ref::<io::Error>() else {
        return false;
    };
    error.kind() == io::ErrorKind::UnexpectedEof
        || error.get_ref().is_some_and(|inner| is_eof(inner))
}

pub(super) fn root_cause(error: &reqwest::Error) -> String {
    causes(error)
        .last()
        .map_or_else(|| "the HTTP client failed".to_owned(), ToString::to_string)
}
