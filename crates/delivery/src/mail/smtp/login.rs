//! Authenticates to a mail server with PLAIN, LOGIN or XOAUTH2.

use std::time::Instant;

use data_encoding::BASE64;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use zeroize::Zeroizing;

use super::connection::Connection;
use super::error::{SmtpFailure, explain};
use super::server::{Credential, Server};
use crate::error::{SendError, Step};
use crate::redaction::Secrets;

/// Logs in on `connection`, if `server` has a login.
pub(super) fn log_in(
    connection: &mut Connection,
    server: &Server,
    deadline: Instant,
) -> Result<(), SendError> {
    let Some(authentication) = &server.authentication else {
        return Ok(());
    };
    let username = &authentication.username;
    let mechanism = choose_mechanism(connection, &authentication.mechanisms)?;
    match &authentication.credential {
        Credential::Password(password) => {
            authenticate(connection, server, mechanism, username, password)
        }
        Credential::Token(tokens) => {
            let token = tokens.token(deadline)?;
            let result = authenticate(connection, server, mechanism, username, &token.value);
            if result.is_ok() {
                return result;
            }
            tokens.discard(&token.value);
            if token.is_fresh || connection.is_broken() {
                return result;
            }
            // A cached token may have been revoked before it expired.
            let token = tokens.token(deadline)?;
            authenticate(connection, server, mechanism, username, &token.value)
        }
    }
}

/// The first of the `allowed` mechanisms that the server offers.
fn choose_mechanism(
    connection: &Connection,
    allowed: &[Mechanism],
) -> Result<Mechanism, SendError> {
    if let Some(mechanism) = allowed
        .iter()
        .find(|mechanism| connection.offers(**mechanism))
    {
        return Ok(*mechanism);
    }
    let Some(offered) = connection.mechanisms() else {
        return Err(
            SendError::new(Step::Login, "the server offers no login on this port").hinted(
                "logins are usually on port 465 (tls=implicit) or 587 (tls=starttls); \
                 if this server needs no login, unset the password or token",
            ),
        );
    };
    let allowed: Vec<_> = allowed.iter().map(Mechanism::to_string).collect();
    let offered = Secrets::default().redact(&offered.join(", "));
    Err(SendError::new(
        Step::Login,
        format!("the server offers {offered}, not {}", allowed.join(" or ")),
    )
    .hinted("set 'auth' to a mechanism that the server offers, or unset it"))
}

fn authenticate(
    connection: &mut Connection,
    server: &Server,
    mechanism: Mechanism,
    username: &str,
    secret: &str,
) -> Result<(), SendError> {
    let mut secrets = server.secrets();
    secrets.add(secret);
    let reply = if mechanism == Mechanism::Login {
        // The text of the two challenges varies between servers; the user name always comes first.
        let line = |text: &str| Zeroizing::new(format!("{}\r\n", BASE64.encode(text.as_bytes())));
        let reply = connection.command("AUTH LOGIN\r\n");
        let reply = reply.and_then(|_| connection.command(&line(username)));
        reply.and_then(|_| connection.command(&line(secret)))
    } else {
        let credentials = Credentials::new(username.to_owned(), secret.to_owned());
        let response = mechanism.response(&credentials, None).map(Zeroizing::new);
        let response = response.map_err(|error| SendError::new(Step::Login, error.to_string()))?;
        let response = Zeroizing::new(BASE64.encode(response.as_bytes()));
        connection.command(&Zeroizing::new(format!(
            "AUTH {mechanism} {}\r\n",
            response.as_str()
        )))
    };
    // The reason why a token is refused comes in a challenge, which has to be answered before the refusal itself comes.
    let (reply, reason) = match reply {
        Ok(reply) if reply.code == 334 => {
            (connection.command("\r\n"), challenge_status(&reply.lines))
        }
        other => (other, None),
    };
    let failure = match reply {
        Ok(reply) if reply.code == 235 => return Ok(()),
        Ok(reply) => {
            return Err(explain(
                server,
                Step::Login,
                SmtpFailure::Refused(reply),
                &secrets,
            ));
        }
        Err(failure) => failure,
    };
    let mut error = explain(server, Step::Login, failure, &secrets);
    if let Some(reason) = reason {
        error.reason = secrets.redact(&format!("{} ({reason})", error.reason));
    }
    Err(error)
}

/// The status in the challenge by which a server refuses a token: JSON in base64, such as `{"status":"401", …}`.
fn challenge_status(lines: &[String]) -> Option<String> {
    let decoded = BASE64.decode(lines.first()?.as_bytes()).ok()?;
    let challenge: serde_json::Value = serde_json::from_slice(&decoded).ok()?;
    let status = challenge.get("status")?;
    Some(format!(
        "status {}",
        status
            .as_str()
            .map_or_else(|| status.to_string(), str::to_owned)
    ))
}
