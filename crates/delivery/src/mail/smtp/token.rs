//! Access tokens for XOAUTH2: printed by a command, or exchanged for a refresh token (RFC 6749 §6).

use std::fmt;
use std::io::ErrorKind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::{SendError, Step};
use crate::net::http::{Client, Request, Response, form_urlencoded};
use crate::redaction::Secrets;
use crate::subprocess::Program;

/// The time limit for fetching a token.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a token without a stated lifetime is cached, such as one that a command printed.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);

/// A token is not used when less than this is left of its lifetime.
const EXPIRY_MARGIN: Duration = Duration::from_secs(60);

/// The maximum length of a token, in bytes. Those of some providers have several thousand.
const MAX_LENGTH: usize = 16 * 1024;

/// The maximum length of an endpoint's answer, in bytes.
const MAX_ANSWER: u64 = 32 * 1024;

/// Fetches tokens from a source and caches the last one.
pub(in crate::mail) struct TokenCache {
    source: TokenSource,
    state: Mutex<State>,
    fetched: Condvar,
}

/// Where tokens come from.
pub(in crate::mail) enum TokenSource {
    /// The first line that the program prints.
    Command(Program),
    /// The token endpoint of the account's provider.
    Refresh(Box<RefreshGrant>),
    /// Panics, as a defect in this crate could.
    #[cfg(test)]
    Panic,
}

/// A refresh token and the endpoint that exchanges it for an access token.
pub(in crate::mail) struct RefreshGrant {
    url: Url,
    refresh_token: Zeroizing<String>,
    client_id: Option<String>,
    client_secret: Option<Zeroizing<String>>,
    client: Client,
}

/// An access token.
pub(super) struct Token {
    pub(super) value: Zeroizing<String>,
    /// Fetched by this call rather than taken from the cache.
    pub(super) is_fresh: bool,
}

/// A token as it was fetched.
struct Fetched {
    value: Zeroizing<String>,
    /// How long it may be used.
    lifetime: Duration,
}

#[derive(Default)]
struct State {
    /// The cached token and when it expires.
    token: Option<(Zeroizing<String>, Instant)>,
    /// One thread is fetching a token; the others wait for it.
    is_fetching: bool,
}

impl TokenCache {
    pub(in crate::mail) fn new(source: TokenSource) -> Self {
        Self {
            source,
            state: Mutex::default(),
            fetched: Condvar::new(),
        }
    }

    /// The cached token if it is still valid, or a new one. Returns by `deadline`.
    pub(super) fn token(&self, deadline: Instant) -> Result<Token, SendError> {
        let mut state = self.lock();
        loop {
            match &state.token {
                Some((value, until)) if *until > Instant::now() => {
                    return Ok(Token {
                        value: value.clone(),
                        is_fresh: false,
                    });
                }
                _ if !state.is_fetching => break,
                _ => (),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(SendError::timeout(Step::Login));
            }
            state = self
                .fetched
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.is_fetching = true;
        drop(state);

        // Not under the lock: the threads that wait for it have deadlines of their own.
        let _guard = FetchGuard(self);
        let fetched = self
            .source
            .fetch(deadline.min(Instant::now() + FETCH_TIMEOUT));
        self.lock().token = fetched
            .as_ref()
            .ok()
            .map(|token| (token.value.clone(), Instant::now() + token.lifetime));
        fetched.map(|token| Token {
            value: token.value,
            is_fresh: true,
        })
    }

    /// Removes `token` from the cache.
    pub(super) fn discard(&self, token: &str) {
        let mut state = self.lock();
        if state
            .token
            .as_ref()
            .is_some_and(|(cached, _)| cached.as_str() == token)
        {
            state.token = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a fetch as finished on drop, also after a panic, so that no thread waits forever.
struct FetchGuard<'a>(&'a TokenCache);

impl Drop for FetchGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().is_fetching = false;
        self.0.fetched.notify_all();
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache(…)")
    }
}

impl TokenSource {
    fn fetch(&self, deadline: Instant) -> Result<Fetched, SendError> {
        match self {
            Self::Command(program) => Ok(Fetched {
                value: run_token_command(program, deadline)?,
                lifetime: DEFAULT_LIFETIME,
            }),
            Self::Refresh(grant) => grant.fetch(deadline),
            #[cfg(test)]
            Self::Panic => panic!("as the test wants it"),
        }
    }
}

/// The token that `program` prints.
fn run_token_command(program: &Program, deadline: Instant) -> Result<Zeroizing<String>, SendError> {
    let at = |why: String| {
        SendError::new(
            Step::Login,
            format!("token-command {}: {why}", program.path()),
        )
    };
    let output = program
        .run(&[], &[], deadline)
        .map_err(|error| match error.kind() {
            ErrorKind::TimedOut => SendError {
                timed_out: true,
                ..at("it did not finish in time".to_owned())
            }
            .hinted("run it as the user 'twofa' to see what it waits for"),
            _ => {
                at(error.to_string()).hinted("check the path, and that the user 'twofa' may run it")
            }
        })?;
    let stdout = std::str::from_utf8(&output.stdout).unwrap_or_default();
    let first = stdout.lines().next().unwrap_or_default().trim();
    if !output.status.success() {
        let mut secrets = Secrets::default();
        secrets.add(first);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let message = stderr
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("it failed without an error message");
        return Err(
            at(secrets.redact(message)).hinted("run it as the user 'twofa' to see the whole error")
        );
    }
    if is_token(first) {
        return Ok(Zeroizing::new(first.to_owned()));
    }
    Err(at("it printed no token".to_owned())
        .hinted("it must print an access token on the first line of its output"))
}

/// Whether `text` can be a token: it must not end the command line it is sent in.
fn is_token(text: &str) -> bool {
    (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

impl RefreshGrant {
    pub(in crate::mail) fn new(
        url: Url,
        refresh_token: Zeroizing<String>,
        client_id: Option<String>,
        client_secret: Option<Zeroizing<String>>,
        client: Client,
    ) -> Self {
        Self {
            url,
            refresh_token,
            client_id,
            client_secret,
            client,
        }
    }

    fn fetch(&self, deadline: Instant) -> Result<Fetched, SendError> {
        let secrets = self.secrets();
        let Response { status, body } = self
            .client
            .exchange(self.request(), MAX_ANSWER, deadline, &secrets)
            .map_err(at_endpoint)?;
        let body = Zeroizing::new(body);
        let status = StatusCode::from_u16(status).unwrap_or_default();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        parse_answer(status, &answer).ok_or_else(|| refused(status, &answer, &secrets))
    }

    fn request(&self) -> Request {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", self.refresh_token.as_str()),
        ];
        form.extend(self.client_id.as_deref().map(|id| ("client_id", id)));
        let secret = self.client_secret.as_deref();
        form.extend(secret.map(|secret| ("client_secret", secret.as_str())));
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        Request {
            method: Method::POST,
            url: self.url.clone(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, form_type)]),
            body: Some(form_urlencoded(&form).into_bytes()),
        }
    }

    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add(&self.refresh_token);
        secrets.with(self.client_secret.as_deref().map(String::as_str))
    }
}

/// The token in a successful answer (RFC 6749 §5.1).
fn parse_answer(status: StatusCode, answer: &Value) -> Option<Fetched> {
    let token = answer.get("access_token")?.as_str()?;
    if !status.is_success() || !is_token(token) {
        return None;
    }
    let lifetime = answer
        .get("expires_in")
        .and_then(seconds)
        .map_or(DEFAULT_LIFETIME, Duration::from_secs);
    Some(Fetched {
        value: Zeroizing::new(token.to_owned()),
        lifetime: lifetime.saturating_sub(EXPIRY_MARGIN),
    })
}

/// An answer without a token (RFC 6749 §5.2).
fn refused(status: StatusCode, answer: &Value, secrets: &Secrets) -> SendError {
    let field = |name: &str| answer.get(name).and_then(Value::as_str);
    let text = [field("error"), field("error_description")]
        .map(Option::unwrap_or_default)
        .join(" ");
    let error = endpoint_error(&secrets.redact(&format!("{} {text}", status.as_u16())));
    match field("error") {
        Some("invalid_grant") => error
            .hinted("the refresh token is no longer valid: grant consent again to get a new one"),
        Some("invalid_client" | "unauthorized_client") => {
            error.hinted("check 'client-id' and 'client-secret'")
        }
        _ => error.hinted("check 'token-url'"),
    }
}

fn endpoint_error(why: &str) -> SendError {
    SendError::new(Step::Login, format!("token-url: {why}"))
}

/// A failure on the way to the endpoint. No message has been handed over to anybody.
fn at_endpoint(error: SendError) -> SendError {
    SendError {
        step: Step::Login,
        reason: format!("token-url: {}", error.reason),
        may_have_arrived: false,
        ..error
    }
}

/// A number of seconds, which some servers write as a string.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_panic_during_a_fetch_leaves_no_thread_waiting() {
        let tokens = TokenCache::new(TokenSource::Panic);
        let deadline = Instant::now() + Duration::from_secs(5);
        for _ in 0..2 {
            // If the first call left the cache in fetching state, the second would wait until the deadline.
            assert!(catch_unwind(AssertUnwindSafe(|| tokens.token(deadline))).is_err());
        }
        assert!(Instant::now() < deadline);
    }
}
