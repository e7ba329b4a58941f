//! Explains failures of a mail server: which step failed, why, and what to do about it.

use std::io::{self, ErrorKind};

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::reply::Reply;
use super::server::{Server, Tls};
use crate::error::{SendError, Step};
use crate::redaction::Secrets;

/// Enhanced status codes (RFC 3463) that say that there is no such mailbox, regardless of the sender.
const NO_SUCH_MAILBOX: [&str; 2] = ["5.1.1", "5.1.10"];

/// Why an exchange with a mail server failed.
#[derive(Debug)]
pub(super) enum SmtpFailure {
    /// The connection failed or the deadline passed.
    Io(io::Error),
    /// The server refused the command.
    Refused(Reply),
    /// What was received is not a reply of SMTP.
    Protocol,
}

/// `failure` at `step` as an error without any of the `secrets`.
pub(super) fn explain(
    server: &Server,
    step: Step,
    failure: SmtpFailure,
    secrets: &Secrets,
) -> SendError {
    match failure {
        SmtpFailure::Refused(reply) => refused(server, step, &reply, secrets),
        SmtpFailure::Protocol => SendError::new(
            step,
            format!("{} does not answer like a mail server", server.endpoint()),
        )
        .hinted("check 'host' and 'port'"),
        SmtpFailure::Io(error) => connection_failed(server, step, &error),
    }
}

/// Whether a refusal of a recipient says nothing about mail to others.
pub(super) fn refuses_recipient_alone(reply: &Reply) -> bool {
    // 421: the server closes the connection. 530: it requires a login.
    !matches!(reply.code, 421 | 530) && actual_step(Step::Recipient, reply) == Step::Recipient
}

/// What `reply` at `step` is about: servers check the client's name and address, and the sender, but say so only when the
/// recipient is named (Postfix by default, and Exim's usual configuration).
fn actual_step(step: Step, reply: &Reply) -> Step {
    if is_about_hello(step, reply) {
        return Step::Greeting;
    }
    let is_late = matches!(step, Step::Sender | Step::Recipient);
    match step {
        // Postfix
        _ if is_late && reply.mentions("client host rejected") => Step::Greeting,
        // Postfix; Exim
        Step::Recipient
            if reply.mentions("sender address rejected")
                || reply.mentions("sender verify fail") =>
        {
            Step::Sender
        }
        step => step,
    }
}

/// Whether `reply` refuses the name that this machine gave in EHLO. Every server has its own words, and most of them name
/// the command. 503 is about the order of commands.
fn is_about_hello(step: Step, reply: &Reply) -> bool {
    let is_refusal = matches!(
        step,
        Step::Greeting | Step::Sender | Step::Recipient | Step::Message
    );
    if !is_refusal || reply.code == 503 {
        return false;
    }
    // Sendmail and Exchange, in reply to EHLO itself.
    let is_bad_name = step == Step::Greeting && reply.mentions("invalid domain name");
    is_bad_name || reply.has_word(&["helo", "ehlo"])
}

fn refused(server: &Server, step: Step, reply: &Reply, secrets: &Secrets) -> SendError {
    let step = actual_step(step, reply);
    let mut error = SendError::new(step, secrets.redact(&reply.text()));
    error.hint = match step {
        _ if is_connection_limit(reply) => {
            Some("the server limits the number of connections: lower 'connections'".into())
        }
        Step::Greeting if is_about_hello(step, reply) => Some(
            "the mail server refuses the name that this machine gives in EHLO: set 'hello' to its full name in DNS, such as \
             login.example.org"
                .into(),
        ),
        Step::Greeting => Some(
            "the mail server rejects connections from this machine: ask its administrator to allow them"
                .into(),
        ),
        Step::Tls => Some(
            "the server cannot use TLS right now: try again later, or use tls=implicit (port 465)"
                .into(),
        ),
        Step::Login => Some(login_hint(server, reply)),
        Step::Sender => Some(sender_hint(reply)),
        Step::Recipient => Some(recipient_hint(reply)),
        Step::Message => Some(message_hint(reply)),
        Step::Settings | Step::Lookup | Step::Connect | Step::Program => None,
    };
    let is_unknown = reply
        .enhanced()
        .is_some_and(|code| NO_SUCH_MAILBOX.contains(&code));
    error.stops_failover = step == Step::Recipient && !reply.is_temporary() && is_unknown;
    error
}

/// Whether the server has too many connections from this machine, by the texts of Microsoft, Google and Postfix.
fn is_connection_limit(reply: &Reply) -> bool {
    reply.is_temporary()
        && ["concurrent connections", "too many"]
            .iter()
            .any(|text| reply.mentions(text))
}

fn login_hint(server: &Server, reply: &Reply) -> String {
    let host = server.host.to_ascii_lowercase();
    let is_google = host.ends_with("gmail.com") || host.ends_with("google.com");
    let is_microsoft = ["office365.com", "outlook.com", "office.com"]
        .iter()
        .any(|domain| host.ends_with(domain));
    if reply.is_temporary() {
        "the mail server cannot check logins right now: try again later".into()
    } else if server.uses_token() {
        "the access token was refused: check 'username', the account's consent and the token's scope"
            .into()
    } else if is_google || is_microsoft {
        let provider = if is_google { "Google" } else { "Microsoft" };
        format!(
            "{provider} no longer accepts account passwords: use an app password, or auth=xoauth2 with token-command"
        )
    } else {
        "check 'username' and 'password'; some providers require an app password or auth=xoauth2"
            .into()
    }
}

fn sender_hint(reply: &Reply) -> String {
    if reply.code == 530 || reply.mentions("authenticat") {
        "the server requires a login: set 'username' and 'password'".into()
    } else if reply.is_temporary() {
        greylisting_hint()
    } else {
        "the server does not accept mail from this address: set 'from' to an address that this login may send from"
            .into()
    }
}

fn recipient_hint(reply: &Reply) -> String {
    if reply
        .enhanced()
        .is_some_and(|code| NO_SUCH_MAILBOX.contains(&code))
    {
        "the address does not exist: check its spelling".into()
    } else if reply.is_temporary() {
        greylisting_hint()
    } else if reply.code == 530 || reply.mentions("relay") {
        "the server does not relay mail from this machine: set 'username' and 'password', or have its administrator \
         allow relaying"
            .into()
    } else {
        "the server does not accept mail for this address: check its spelling, or ask the server's administrator".into()
    }
}

fn message_hint(reply: &Reply) -> String {
    match reply.code {
        552 => "the mailbox is full, or the mail is too large for the server".into(),
        554 | 550 => {
            "the server considers the mail spam: have its filter accept mail from the address in 'from'"
                .into()
        }
        _ if reply.is_temporary() => {
            "the mail server cannot accept mail right now: try again later".into()
        }
        _ => "ask the mail server's administrator why it refuses the mail".into(),
    }
}

/// A code cannot wait for the second attempt that greylisting requires.
fn greylisting_hint() -> String {
    "the server defers this mail: exempt this machine from greylisting, or log in".into()
}

fn connection_failed(server: &Server, step: Step, error: &io::Error) -> SendError {
    if error.kind() == ErrorKind::TimedOut {
        return timed_out(server, step);
    }
    if let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TlsError>())
    {
        return tls_failed(server, tls);
    }
    match step {
        Step::Lookup => SendError::new(step, format!("{}: {}", server.host, describe(error)))
            .hinted("check the spelling of 'host', and this machine's DNS resolver"),
        Step::Connect => {
            SendError::new(step, format!("{}: {}", server.endpoint(), describe(error)))
                .hinted("check 'host' and 'port', and whether the mail server is running")
        }
        Step::Tls if error.kind() == ErrorKind::UnexpectedEof => SendError::new(
            step,
            "the server closed the connection during the TLS handshake",
        )
        .hinted(other_tls_hint(server)),
        Step::Greeting
            if server.tls != Tls::Implicit && error.kind() == ErrorKind::UnexpectedEof =>
        {
            SendError::new(step, "the server closed the connection")
                .hinted("the port may expect TLS from the start: try tls=implicit")
        }
        _ if matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ) =>
        {
            SendError::new(step, "the server closed the connection")
                .hinted("try again; if it happens every time, the mail server's log says why")
        }
        _ => SendError::new(step, describe(error))
            .hinted("check 'host', 'port' and 'tls', and the mail server's log"),
    }
}

fn timed_out(server: &Server, step: Step) -> SendError {
    let error = SendError::timeout(step);
    match step {
        Step::Lookup => error.hinted("check this machine's DNS resolver"),
        Step::Connect => error.hinted(format!(
            "check 'host' and 'port'; a firewall may drop connections to {}",
            server.endpoint()
        )),
        Step::Greeting if server.tls != Tls::Implicit => error.hinted(
            "a port that expects TLS from the start sends no greeting: try tls=implicit (port 465)",
        ),
        Step::Tls if server.tls == Tls::Implicit => error.hinted(
            "a port that expects STARTTLS does not answer a TLS handshake: try tls=starttls (port 587)",
        ),
        _ => error.hinted("the mail server may be overloaded: try again later, and see its log"),
    }
}

/// Why the TLS handshake failed.
fn tls_failed(server: &Server, error: &TlsError) -> SendError {
    let at = |reason: String| SendError::new(Step::Tls, Secrets::default().redact(&reason));
    match error {
        TlsError::InvalidCertificate(why) => certificate_refused(server, why),
        TlsError::InvalidMessage(_) => {
            at("the port does not speak TLS".into()).hinted(other_tls_hint(server))
        }
        TlsError::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure,
        )
        | TlsError::PeerIncompatible(_) => at(error.to_string()).hinted(
            "the server supports only TLS versions before 1.2 or insecure ciphers: it must be updated",
        ),
        _ => at(error.to_string()).hinted("check the TLS settings of the mail server, and its log"),
    }
}

fn certificate_refused(server: &Server, why: &CertificateError) -> SendError {
    let at = |reason: String| SendError::new(Step::Tls, Secrets::default().redact(&reason));
    let host = &server.host;
    let expired = |when: String| {
        at(format!("the server's certificate expired{when}"))
            .hinted("have it renewed; if it should still be valid, check this machine's clock")
    };
    let other_name = |names: String| {
        at(format!("the server's certificate is {names}not for {host}"))
            .hinted("if it is the right server, set 'host' to a name in its certificate")
    };
    match why {
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().map(|name| bare_name(name)).collect();
            let names = if names.is_empty() {
                "no name".to_owned()
            } else {
                names.join(", ")
            };
            other_name(format!("for {names}, "))
        }
        CertificateError::NotValidForName => other_name(String::new()),
        CertificateError::ExpiredContext { not_after, .. } => {
            let when = i64::try_from(not_after.as_secs()).ok();
            let when = when.and_then(|seconds| Timestamp::from_second(seconds).ok());
            expired(
                when.map(|when| format!(" on {}", when.strftime("%Y-%m-%d")))
                    .unwrap_or_default(),
            )
        }
        CertificateError::Expired => expired(String::new()),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            at("the server's certificate is not valid yet".into())
                .hinted("check this machine's clock")
        }
        CertificateError::UnknownIssuer => {
            at("the server's certificate was issued by a CA that this machine does not trust".into())
                .hinted("if the CA is your own, name its certificate with ca-file=/path/ca.pem")
        }
        CertificateError::BadSignature => {
            at("the signature of the server's certificate is not from its CA".into())
                .hinted("check that ca-file has the CA's current certificate")
        }
        other => at(format!("the server's certificate: {other}")).hinted(
            "self-signed certificates are not accepted: have a CA issue one, and name the CA's certificate with ca-file",
        ),
    }
}

/// A name without the type that rustls puts around it in errors: `DnsName("mail.example.org")`.
fn bare_name(name: &str) -> &str {
    name.split_once("(\"")
        .and_then(|(_, name)| name.strip_suffix("\")"))
        .unwrap_or(name)
}

fn other_tls_hint(server: &Server) -> &'static str {
    match server.tls {
        Tls::Implicit => "the port may expect STARTTLS: try tls=starttls (port 587)",
        Tls::Starttls | Tls::None { .. } => {
            "the port may expect TLS from the start: try tls=implicit (port 465)"
        }
    }
}

/// The operating system's error text without its number.
fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    Secrets::default().redact(
        text.strip_prefix("failed to lookup address information: ")
            .unwrap_or(text),
    )
}
