//! Where a token for XOAUTH2 comes from: a program, or the provider of the mail account (RFC 6749 §6).

use std::fmt;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;
use reqwest::blocking::Client;
use reqwest::redirect::Policy;
use zeroize::Zeroizing;

use crate::error::{SendError, Step};
use crate::lookup;
use crate::program::Program;
use crate::secrets::Secrets;
use crate::tls;

/// How long getting a token may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a program's token is kept. The program knows how long it is good for; we do not.
const KEPT: Duration = Duration::from_secs(60);

/// A token is no longer used when it has less than this to live.
const MARGIN: Duration = Duration::from_secs(60);

/// The longest token that is taken, in bytes; some providers' have several thousand.
const LONGEST: usize = 16 * 1024;

/// A source of tokens, and the last one.
pub(super) struct TokenSource {
    way: Way,
    state: Mutex<State>,
    fetched: Condvar,
}

/// How a token is got.
pub(super) enum Way {
    /// What the program prints.
    Program(Program),
    /// What the account's provider gives for a refresh token.
    Refresh(Box<Refresh>),
    /// For a test: nothing but a mistake of ours.
    #[cfg(test)]
    Panic,
}

/// The refresh grant.
pub(super) struct Refresh {
    pub(super) url: Url,
    pub(super) grant: Zeroizing<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<Zeroizing<String>>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) client: OnceLock<Client>,
}

/// A token.
pub(super) struct Token {
    pub(super) value: Zeroizing<String>,
    /// Whether it was got just now.
    pub(super) is_fresh: bool,
}

#[derive(Default)]
struct State {
    token: Option<(Zeroizing<String>, Instant)>,
    /// Somebody gets a token; the others wait for it.
    is_fetching: bool,
}

impl TokenSource {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            state: Mutex::default(),
            fetched: Condvar::new(),
        }
    }

    /// A token, by `deadline`. One that is still good is used again.
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
                return Err(SendError::late(Step::Login));
            }
            state = self
                .fetched
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.is_fetching = true;
        drop(state);

        // Not under the lock: whoever waits for it has a deadline of their own.
        let _turn = Turn(self);
        let fetched = self.way.fetch(deadline.min(Instant::now() + PATIENCE));
        self.lock().token = fetched
            .as_ref()
            .ok()
            .map(|(value, lifetime)| (value.clone(), Instant::now() + *lifetime));
        fetched.map(|(value, _)| Token {
            value,
            is_fresh: true,
        })
    }

    /// Does not use this token again.
    pub(super) fn forget(&self, token: &str) {
        let mut state = self.lock();
        if state
            .token
            .as_ref()
            .is_some_and(|(kept, _)| kept.as_str() == token)
        {
            state.token = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn to get a token. It ends however the getting does, a panic included: nobody waits for ever.
struct Turn<'a>(&'a TokenSource);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().is_fetching = false;
        self.0.fetched.notify_all();
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource(…)")
    }
}

impl Way {
    /// A token and how long to use it.
    fn fetch(&self, deadline: Instant) -> Result<(Zeroizing<String>, Duration), SendError> {
        match self {
            Self::Program(program) => Ok((printed(program, deadline)?, KEPT)),
            Self::Refresh(refresh) => refresh.fetch(deadline),
            #[cfg(test)]
            Self::Panic => panic!("as the test wants it"),
        }
    }
}

/// What `program` prints: a token.
fn printed(program: &Program, deadline: Instant) -> Result<Zeroizing<String>, SendError> {
    let at = |why: String| {
        SendError::at(
            Step::Login,
            format!("token-command {}: {why}", program.path()),
        )
    };
    let ended = program
        .run(&[], &[], deadline)
        .map_err(|error| match error.kind() {
            ErrorKind::TimedOut => SendError {
                timed_out: true,
                ..at("has not ended in time".to_owned())
            },
            _ => at(error.to_string()),
        })?;
    let stdout = std::str::from_utf8(&ended.stdout).unwrap_or_default();
    let first = stdout.lines().next().unwrap_or_default().trim();
    if !ended.status.success() {
        let mut secrets = Secrets::default();
        secrets.add(first);
        let said = String::from_utf8_lossy(&ended.stderr);
        let said = said
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("it wrote no error");
        return Err(
            at(secrets.strike(said)).hinted("run it as the user 'twofa' to see what is wrong")
        );
    }
    if is_token(first) {
        return Ok(Zeroizing::new(first.to_owned()));
    }
    Err(at("printed no token".to_owned())
        .hinted("it has to print an access token and nothing before it"))
}

/// Whether `text` can be a token: it must not break out of the line it is sent in.
fn is_token(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

impl Refresh {
    fn fetch(&self, deadline: Instant) -> Result<(Zeroizing<String>, Duration), SendError> {
        let at = |why: String| SendError::at(Step::Login, format!("token-url: {why}"));
        let late = || SendError {
            timed_out: true,
            ..at("no answer in time".to_owned())
        };
        let secrets = self.secrets();
        let broken = |error: reqwest::Error| {
            if error.is_timeout() {
                late()
            } else {
                at(secrets.strike(&deepest(&error)))
            }
        };

        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late());
        }
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", &self.grant),
        ];
        form.extend(self.client_id.as_deref().map(|id| ("client_id", id)));
        form.extend(
            self.client_secret
                .as_deref()
                .map(|secret| ("client_secret", secret.as_str())),
        );
        let response = self
            .client()?
            .post(self.url.clone())
            .timeout(left)
            .form(&form)
            .send()
            .map_err(broken)?;
        let status = response.status();
        let mut body = Zeroizing::new(Vec::new());
        let limit = u64::try_from(LONGEST * 2).unwrap_or(u64::MAX);
        response
            .take(limit)
            .read_to_end(&mut body)
            .map_err(|error| match error.kind() {
                ErrorKind::TimedOut => late(),
                _ => at(secrets.strike(&error.to_string())),
            })?;

        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let word = |name: &str| answer.get(name).and_then(serde_json::Value::as_str);
        if let Some(token) =
            word("access_token").filter(|token| status.is_success() && is_token(token))
        {
            let lifetime = answer
                .get("expires_in")
                .and_then(seconds)
                .map_or(KEPT, Duration::from_secs);
            return Ok((
                Zeroizing::new(token.to_owned()),
                lifetime.saturating_sub(MARGIN),
            ));
        }
        let words = [word("error"), word("error_description")]
            .map(Option::unwrap_or_default)
            .join(" ");
        let error = at(secrets.strike(&format!("{} {words}", status.as_u16())));
        Err(match word("error") {
            Some("invalid_grant") => {
                error.hinted("the refresh token is no longer good: consent again for a new one")
            }
            Some("invalid_client" | "unauthorized_client") => {
                error.hinted("check client-id and client-secret")
            }
            _ => error.hinted("check token-url"),
        })
    }

    fn client(&self) -> Result<&Client, SendError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls::client(self.ca_file.as_deref())?)
            // A secret goes where the administrator said, and nowhere else.
            .redirect(Policy::none())
            .dns_resolver(Arc::new(lookup::Resolver))
            .https_only(true)
            .build()
            .map_err(|error| {
                SendError::at(Step::Settings, format!("token-url: {}", deepest(&error)))
            })?;
        Ok(self.client.get_or_init(|| client))
    }

    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add(&self.grant);
        secrets.with(self.client_secret.as_deref().map(String::as_str))
    }
}

/// A number of seconds, which some write as a string.
fn seconds(value: &serde_json::Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The error that is behind all others, which is the one that says something.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_panic_while_a_token_is_got_leaves_nobody_waiting() {
        let source = TokenSource::new(Way::Panic);
        let deadline = Instant::now() + Duration::from_secs(5);
        for _ in 0..2 {
            // The second would wait for the first one's token until the deadline, and be late.
            assert!(catch_unwind(AssertUnwindSafe(|| source.token(deadline))).is_err());
        }
        assert!(Instant::now() < deadline);
    }
}
