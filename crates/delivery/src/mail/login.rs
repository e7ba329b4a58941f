//! Logging in to a mail server: PLAIN, LOGIN and XOAUTH2.

use std::time::Instant;

use data_encoding::BASE64;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use zeroize::Zeroizing;

use super::connection::Connection;
use super::refusal::{Trouble, explain};
use super::settings::{Proof, Server};
use crate::error::{SendError, Step};
use crate::secrets::Secrets;

/// Logs in on `connection`, if `server` is to be logged in to.
pub(super) fn log_in(
    connection: &mut Connection,
    server: &Server,
    deadline: Instant,
) -> Result<(), SendError> {
    let Some(login) = &server.login else {
        return Ok(());
    };
    let mechanism = choose(connection, &login.mechanisms)?;
    match &login.proof {
        Proof::Password(password) => {
            prove(connection, server, mechanism, &login.username, password)
        }
        Proof::Token(source) => {
            let token = source.token(deadline)?;
            let answer = prove(connection, server, mechanism, &login.username, &token.value);
            if answer.is_ok() {
                return answer;
            }
            source.forget(&token.value);
            if token.is_fresh || connection.is_broken() {
                return answer;
            }
            // A kept token may have been withdrawn before its time.
            let token = source.token(deadline)?;
            prove(connection, server, mechanism, &login.username, &token.value)
        }
    }
}

/// The first of `ours` that the server offers.
fn choose(connection: &Connection, ours: &[Mechanism]) -> Result<Mechanism, SendError> {
    if let Some(mechanism) = ours.iter().find(|mechanism| connection.offers(**mechanism)) {
        return Ok(*mechanism);
    }
    let Some(offered) = connection.mechanisms() else {
        return Err(
            SendError::at(Step::Login, "the server offers no login here").hinted(
                "logins are usually on port 465 (tls=implicit) or 587 (tls=starttls); \
             or remove the password if this server needs none",
            ),
        );
    };
    let ours: Vec<_> = ours.iter().map(Mechanism::to_string).collect();
    let offered = Secrets::default().strike(&offered.join(", "));
    Err(SendError::at(
        Step::Login,
        format!("the server offers {offered}, not {}", ours.join(" or ")),
    )
    .hinted("set 'auth' to one that the server offers, or leave it out"))
}

fn prove(
    connection: &mut Connection,
    server: &Server,
    mechanism: Mechanism,
    username: &str,
    secret: &str,
) -> Result<(), SendError> {
    let credentials = Credentials::new(username.to_owned(), secret.to_owned());
    let respond = || {
        let response = mechanism.response(&credentials, None);
        response
            .map(Zeroizing::new)
            .map_err(|error| SendError::at(Step::Login, error.to_string()))
    };
    let mut secrets = server.secrets();
    secrets.add(secret);
    let line =
        |response: &str| Zeroizing::new(format!("{}\r\n", BASE64.encode(response.as_bytes())));

    let answer = if mechanism == Mechanism::Login {
        // Servers word the two challenges differently; they always ask for the name first.
        let answer = connection.ask("AUTH LOGIN\r\n");
        let answer = answer.and_then(|_| connection.ask(&line(username)));
        answer.and_then(|_| connection.ask(&line(secret)))
    } else {
        let response = respond()?;
        let response = Zeroizing::new(BASE64.encode(response.as_bytes()));
        connection.ask(&Zeroizing::new(format!(
            "AUTH {mechanism} {}\r\n",
            response.as_str()
        )))
    };
    // A refused token is told of in a challenge, which wants an answer before the refusal comes.
    let (answer, told) = match answer {
        Ok(reply) if reply.code == 334 => (connection.ask("\r\n"), challenge_words(&reply.lines)),
        other => (other, None),
    };
    match answer {
        Ok(reply) if reply.code == 235 => Ok(()),
        Ok(reply) => Err(explain(
            server,
            Step::Login,
            Trouble::Refused(reply),
            &secrets,
        )),
        Err(trouble) => {
            let mut error = explain(server, Step::Login, trouble, &secrets);
            if let Some(told) = told {
                error.reason = secrets.strike(&format!("{} ({told})", error.reason));
            }
            Err(error)
        }
    }
}

/// What a server says about a token it refuses: JSON in base64, such as `{"status":"401", …}`.
fn challenge_words(lines: &[String]) -> Option<String> {
    let decoded = BASE64.decode(lines.first()?.as_bytes()).ok()?;
    let told: serde_json::Value = serde_json::from_slice(&decoded).ok()?;
    let status = told.get("status")?;
    Some(format!(
        "status {}",
        status
            .as_str()
            .map_or_else(|| status.to_string(), str::to_owned)
    ))
}
