//! What went wrong with a mail server, in words: where, why, and what to do about it.

use std::io::{self, ErrorKind};

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::reply::Reply;
use super::settings::{Server, Tls};
use crate::error::{SendError, Step};
use crate::secrets::Secrets;

/// Enhanced codes (RFC 3463) that say there is no such mailbox, whoever sends.
const NO_SUCH_MAILBOX: [&str; 2] = ["5.1.1", "5.1.10"];

/// What stops a dialogue with a mail server.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection failed or was late.
    Io(io::Error),
    /// The server said no.
    Refused(Reply),
    /// What came is not what a mail server says.
    Nonsense,
}

/// `trouble` at `step`, without the `secrets`.
pub(super) fn explain(
    server: &Server,
    step: Step,
    trouble: Trouble,
    secrets: &Secrets,
) -> SendError {
    match trouble {
        Trouble::Refused(reply) => refused(server, step, &reply, secrets),
        Trouble::Nonsense => SendError::at(step, "what answers there is no mail server")
            .hinted(format!("check host and port: {}", server.place())),
        Trouble::Io(error) => broken(server, step, &error),
    }
}

fn refused(server: &Server, step: Step, reply: &Reply, secrets: &Secrets) -> SendError {
    let mut error = SendError::at(step, secrets.strike(&reply.text()));
    error.hint = match step {
        _ if is_crowded(reply) => {
            Some("the server limits connections: set 'connections' lower".into())
        }
        Step::Greeting => {
            Some("the mail server turns this machine away: its administrator knows why".into())
        }
        Step::Tls => {
            Some("the server cannot do TLS right now, or use tls=implicit (port 465)".into())
        }
        Step::Login => Some(login_hint(server, reply)),
        Step::Sender => Some(sender_hint(reply)),
        Step::Recipient => Some(recipient_hint(reply)),
        Step::Message => message_hint(reply),
        Step::Settings | Step::Name | Step::Connect | Step::Program => None,
    };
    let is_unknown = reply
        .enhanced()
        .is_some_and(|code| NO_SUCH_MAILBOX.contains(&code));
    error.final_ = step == Step::Recipient && !reply.is_temporary() && is_unknown;
    error
}

/// Whether the server has too many connections from us, in the words of Microsoft, Google and Postfix.
fn is_crowded(reply: &Reply) -> bool {
    reply.is_temporary()
        && ["concurrent connections", "too many"]
            .iter()
            .any(|words| reply.mentions(words))
}

fn login_hint(server: &Server, reply: &Reply) -> String {
    let host = server.host.to_ascii_lowercase();
    let is_google = host.ends_with("gmail.com") || host.ends_with("google.com");
    let is_microsoft = ["office365.com", "outlook.com", "office.com"]
        .iter()
        .any(|domain| host.ends_with(domain));
    if reply.is_temporary() {
        "the mail server cannot check logins right now".into()
    } else if server.uses_token() {
        "the token was refused: check username, the account's consent and the scope the token was made for"
            .into()
    } else if is_google || is_microsoft {
        let who = if is_google { "Google" } else { "Microsoft" };
        format!(
            "{who} no longer takes account passwords: use an app password, or auth=xoauth2 with token-command"
        )
    } else {
        "check username and password; some providers want an app password or auth=xoauth2".into()
    }
}

fn sender_hint(reply: &Reply) -> String {
    if reply.code == 530 || reply.mentions("authenticat") {
        "the server wants a login first: set username and password".into()
    } else if reply.is_temporary() {
        put_off()
    } else {
        "the server does not take mail from this address: set 'from' to one that this login may send as"
            .into()
    }
}

fn recipient_hint(reply: &Reply) -> String {
    if reply
        .enhanced()
        .is_some_and(|code| NO_SUCH_MAILBOX.contains(&code))
    {
        "the address does not exist: check how it is written".into()
    } else if reply.is_temporary() {
        put_off()
    } else if reply.code == 530 || reply.mentions("relay") {
        "the server does not send on mail from this machine: set username and password, or let it relay"
            .into()
    } else {
        "the server does not take mail for this address".into()
    }
}

fn message_hint(reply: &Reply) -> Option<String> {
    match reply.code {
        552 => Some("the mailbox is full or the mail too large for the server".into()),
        554 | 550 => Some(
            "the server takes the mail for unwanted: let its filter pass mail from 'from'".into(),
        ),
        _ if reply.is_temporary() => Some("the mail server cannot take mail right now".into()),
        _ => None,
    }
}

/// A login cannot wait for the second try that greylisting wants.
fn put_off() -> String {
    "the server puts this mail off: exempt this machine from greylisting, or log in".into()
}

fn broken(server: &Server, step: Step, error: &io::Error) -> SendError {
    if error.kind() == ErrorKind::TimedOut {
        let late = SendError::late(step);
        return match step {
            Step::Name => late.hinted("check the machine's resolver"),
            Step::Connect => late.hinted(format!(
                "a firewall may drop connections to {}",
                server.place()
            )),
            Step::Greeting if server.tls != Tls::Implicit => {
                late.hinted("a server that waits for TLS says nothing: try tls=implicit (port 465)")
            }
            Step::Tls if server.tls == Tls::Implicit => late.hinted(
                "a server that waits for a plain hello says nothing: try tls=starttls (port 587)",
            ),
            _ => late,
        };
    }
    if let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TlsError>())
    {
        return untrusted(server, tls);
    }
    match step {
        Step::Name => SendError::at(step, format!("{}: {}", server.host, words(error)))
            .hinted("check how 'host' is written, and the machine's resolver"),
        Step::Connect => SendError::at(step, format!("{}: {}", server.place(), words(error)))
            .hinted("check host and port, and whether the mail server runs"),
        Step::Tls if error.kind() == ErrorKind::UnexpectedEof => {
            let hung_up = SendError::at(step, "the server hung up during the handshake");
            hung_up.hinted(other_tls(server))
        }
        Step::Greeting
            if server.tls != Tls::Implicit && error.kind() == ErrorKind::UnexpectedEof =>
        {
            SendError::at(step, "the server hung up")
                .hinted("it may want TLS from the start: tls=implicit")
        }
        _ if matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ) =>
        {
            SendError::at(step, "the server hung up")
        }
        _ => SendError::at(step, words(error)),
    }
}

/// What rustls has against the server.
fn untrusted(server: &Server, error: &TlsError) -> SendError {
    let at = |reason: String| SendError::at(Step::Tls, Secrets::default().strike(&reason));
    match error {
        TlsError::InvalidCertificate(why) => uncertified(server, why),
        TlsError::InvalidMessage(_) => {
            at("what answers does not speak TLS".into()).hinted(other_tls(server))
        }
        TlsError::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure,
        )
        | TlsError::PeerIncompatible(_) => at(error.to_string())
            .hinted("the server only knows TLS older than 1.2 or broken ciphers: renew it"),
        _ => at(error.to_string()),
    }
}

fn uncertified(server: &Server, why: &CertificateError) -> SendError {
    let at = |reason: String| SendError::at(Step::Tls, Secrets::default().strike(&reason));
    let host = &server.host;
    let expired = |when: String| {
        at(format!("the server's certificate expired{when}"))
            .hinted("have it renewed; if it should be good, check this machine's clock")
    };
    match why {
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().map(|name| bare_name(name)).collect();
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            at(format!("the server's certificate is for {names}, not for {host}"))
                .hinted("set 'host' to a name that the certificate has, if that is the right server")
        }
        CertificateError::NotValidForName => at(format!("the server's certificate is not for {host}"))
            .hinted("set 'host' to a name that the certificate has, if that is the right server"),
        CertificateError::ExpiredContext { not_after, .. } => {
            let when = i64::try_from(not_after.as_secs()).ok();
            let when = when.and_then(|seconds| Timestamp::from_second(seconds).ok());
            expired(when.map(|when| format!(" on {}", when.strftime("%Y-%m-%d"))).unwrap_or_default())
        }
        CertificateError::Expired => expired(String::new()),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            at("the server's certificate is not valid yet".into()).hinted("check this machine's clock")
        }
        CertificateError::UnknownIssuer => at("the server's certificate is from a CA that is not known".into())
            .hinted("if the CA is one of your own, name its certificate with ca-file=/path/ca.pem"),
        CertificateError::BadSignature => at("the server's certificate has a bad signature".into())
            .hinted("a CA of that name is known, but it did not sign this: check ca-file"),
        other => at(format!("the server's certificate: {other}")).hinted(
            "a certificate that signs itself is not taken: give the server one of a CA, and name it with ca-file",
        ),
    }
}

/// A name as rustls writes it in errors, `DnsName("mail.example.org")`, without what is around it.
fn bare_name(name: &str) -> &str {
    name.split_once("(\"")
        .and_then(|(_, name)| name.strip_suffix("\")"))
        .unwrap_or(name)
}

fn other_tls(server: &Server) -> &'static str {
    match server.tls {
        Tls::Implicit => "the port may want STARTTLS: tls=starttls (port 587)",
        Tls::Starttls | Tls::None { .. } => {
            "the port may want TLS from the start: tls=implicit (port 465)"
        }
    }
}

/// The system's words, without its numbers.
fn words(error: &io::Error) -> String {
    let words = error.to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    Secrets::default().strike(
        words
            .strip_prefix("failed to lookup address information: ")
            .unwrap_or(words),
    )
}
