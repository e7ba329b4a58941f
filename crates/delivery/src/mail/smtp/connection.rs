//! One connection to a mail server, from looking up its name to the accepted mail. It sends one mail at a time.
//!
//! lettre's `SmtpConnection` is not used because it applies a timeout to each read instead of a deadline to the whole
//! exchange, and does not distinguish the TLS handshake, the greeting and the first command.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Instant;

use lettre::Address;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Quit, Rcpt, Rset, Starttls};
use lettre::transport::smtp::extension::{ClientId, MailParameter};
use zeroize::Zeroizing;

use super::error::{SmtpFailure, explain, refuses_recipient_alone};
use super::hello::own_name;
use super::reply::{Reply, ReplyLine};
use super::server::{Server, Tls};
use crate::error::{SendError, Step};
use crate::mail::mailer::Outgoing;
use crate::net::lookup::look_up;
use crate::net::stream::Stream;
use crate::redaction::Secrets;

/// The maximum number of lines in a reply.
const MAX_LINES: usize = 100;

/// A connection after EHLO, encrypted where that is configured.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    /// The server's reply to EHLO: its extensions, one on each line.
    extensions: Vec<String>,
    /// No further command can be sent.
    is_broken: bool,
}

/// Why a mail was not accepted.
pub(super) struct SendFailure {
    pub(super) error: SendError,
    /// The connection was lost before the server had the mail, so that it can be sent again on another connection.
    pub(super) is_retryable: bool,
}

impl Connection {
    /// Connects to `server` and says EHLO, after switching to TLS where that is configured.
    pub(super) fn open(server: &Server, deadline: Instant) -> Result<Self, SendError> {
        let at =
            |step| move |failure: SmtpFailure| explain(server, step, failure, &Secrets::default());
        let tls = server.tls_config()?;

        let addresses = look_up(&server.host, server.port, deadline);
        let addresses = addresses.map_err(|error| at(Step::Lookup)(error.into()))?;
        let is_local = addresses.iter().all(|address| is_loopback(address.ip()));
        if server.tls == (Tls::None { anywhere: false }) && !is_local {
            return Err(SendError::new(
                Step::Tls,
                format!("{} is another machine, and tls=none would send the code unencrypted", server.host),
            )
            .hinted(
                "set tls=implicit or tls=starttls, or tls=none-anywhere if the network in between is trusted",
            ));
        }

        let stream = Stream::connect(&addresses, deadline);
        let stream = stream.map_err(|error| at(Step::Connect)(error.into()))?;
        let local = stream.local_address();
        let local = local.map_err(|error| at(Step::Connect)(error.into()))?;
        let hello = server.hello.clone().unwrap_or_else(|| own_name(local));
        let mut connection = Self {
            stream,
            extensions: Vec::new(),
            is_broken: false,
        };
        if let (Tls::Implicit, Some(tls)) = (server.tls, &tls) {
            let handshake = connection.stream.start_tls(tls, &server.host);
            handshake.map_err(|error| at(Step::Tls)(error.into()))?;
        }
        connection.read_reply().map_err(at(Step::Greeting))?;
        connection.hello(&hello).map_err(at(Step::Greeting))?;
        if let (Tls::Starttls, Some(tls)) = (server.tls, &tls) {
            connection.check_starttls()?;
            connection
                .command(&Starttls.to_string())
                .map_err(at(Step::Tls))?;
            let handshake = connection.stream.start_tls(tls, &server.host);
            handshake.map_err(|error| at(Step::Tls)(error.into()))?;
            connection.hello(&hello).map_err(at(Step::Greeting))?;
        }
        Ok(connection)
    }

    /// The server's certificate, as DER. `None`: there is no TLS.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.stream.certificate()
    }

    /// Sets the deadline for all further commands.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.stream.set_deadline(deadline);
    }

    /// Whether it can send another mail, as far as can be seen without asking the server.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_broken && self.stream.is_quiet()
    }

    /// Sends `mail` and returns the server's reply to it. `first_reply_by` is the deadline for the first reply alone;
    /// it is earlier than `deadline` where the server may have dropped the connection.
    pub(super) fn send_mail(
        &mut self,
        server: &Server,
        from: &Address,
        mail: &Outgoing<'_>,
        first_reply_by: Instant,
        deadline: Instant,
    ) -> Result<Reply, SendFailure> {
        let secrets = server.secrets().with(mail.code);
        let failed = |connection: &Self, step, failure: SmtpFailure| SendFailure {
            is_retryable: connection.is_broken,
            error: explain(server, step, failure, &secrets),
        };
        let options = self.mail_parameters(from, mail.to)?;

        self.set_deadline(first_reply_by);
        let reply = self.command(&Mail::new(Some(from.clone()), options).to_string());
        self.set_deadline(deadline);
        reply.map_err(|failure| failed(self, Step::Sender, failure))?;
        let reply = self.command(&Rcpt::new(mail.to.clone(), Vec::new()).to_string());
        if let Err(failure) = reply {
            let failure = failed(self, Step::Recipient, failure);
            self.reset();
            return Err(failure);
        }
        let reply = self.command(&Data.to_string());
        if let Err(failure) = reply {
            let failure = failed(self, Step::Message, failure);
            self.reset();
            return Err(failure);
        }
        // From here on the server may have the mail even if it does not say so, and the mail is not sent a second time.
        self.write(&dot_stuffed(mail.content))
            .map_err(|failure| SendFailure {
                is_retryable: false,
                ..failed(self, Step::Message, failure)
            })?;
        self.read_reply().map_err(|failure| {
            let was_refused = matches!(failure, SmtpFailure::Refused(_));
            let mut error = explain(server, Step::Message, failure, &secrets);
            error.may_have_arrived = !was_refused;
            SendFailure {
                error,
                is_retryable: false,
            }
        })
    }

    /// Checks that the server accepts mail from this sender. Sends no mail: it goes as far as naming a recipient, because
    /// many servers refuse clients, their names and senders only then. The recipient is the sender itself, the one address
    /// that is known to exist, and it is no fault if the server refuses that one alone.
    pub(super) fn check_sender(
        &mut self,
        server: &Server,
        from: &Address,
    ) -> Result<(), SendError> {
        let options = self
            .mail_parameters(from, from)
            .map_err(|failure| failure.error)?;
        let secrets = server.secrets();
        self.command(&Mail::new(Some(from.clone()), options).to_string())
            .map_err(|failure| explain(server, Step::Sender, failure, &secrets))?;
        let reply = self.command(&Rcpt::new(from.clone(), Vec::new()).to_string());
        self.reset();
        match reply {
            Err(SmtpFailure::Refused(reply)) if refuses_recipient_alone(&reply) => Ok(()),
            Err(failure) => Err(explain(server, Step::Recipient, failure, &secrets)),
            Ok(_) => Ok(()),
        }
    }

    /// The login mechanisms that the server offers, as it writes them. `None`: it offers no login.
    pub(super) fn mechanisms(&self) -> Option<Vec<&str>> {
        let offered = self.extensions.iter().find_map(|line| {
            let mut words = line.split([' ', '=', '\t']).filter(|word| !word.is_empty());
            words
                .next()
                .filter(|word| word.eq_ignore_ascii_case("AUTH"))
                .map(|_| words.collect::<Vec<_>>())
        });
        offered.filter(|offered| !offered.is_empty())
    }

    /// Whether the server offers the login `mechanism`.
    pub(super) fn offers(&self, mechanism: Mechanism) -> bool {
        let name = mechanism.to_string();
        self.mechanisms()
            .is_some_and(|offered| offered.iter().any(|it| it.eq_ignore_ascii_case(&name)))
    }

    /// Sends a command line and reads the reply. Any reply but 2xx and 3xx is an error.
    pub(super) fn command(&mut self, line: &str) -> Result<Reply, SmtpFailure> {
        self.write(line.as_bytes())?;
        self.read_reply()
    }

    /// Whether no further command can be sent.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SmtpFailure> {
        let Err(error) = self.stream.write(bytes) else {
            return Ok(());
        };
        self.is_broken = true;
        // A server that refuses something and closes the connection sends its reply before that.
        let has_timed_out = error.kind() == ErrorKind::TimedOut;
        Err(match self.read_reply() {
            Err(refused @ SmtpFailure::Refused(_)) if !has_timed_out => refused,
            _ => error.into(),
        })
    }

    fn read_reply(&mut self) -> Result<Reply, SmtpFailure> {
        let reply = self.parse_reply().inspect_err(|_| self.is_broken = true)?;
        // The server closes the connection after 421 (RFC 5321 §3.8).
        self.is_broken |= reply.code == 421;
        if reply.is_positive() {
            Ok(reply)
        } else {
            Err(SmtpFailure::Refused(reply))
        }
    }

    fn parse_reply(&mut self) -> Result<Reply, SmtpFailure> {
        let mut reply = Reply {
            code: 0,
            lines: Vec::new(),
        };
        while reply.lines.len() < MAX_LINES {
            let line = self.stream.read_line()?;
            let line = ReplyLine::parse(&line).ok_or(SmtpFailure::Protocol)?;
            if reply.lines.is_empty() {
                reply.code = line.code;
            } else if line.code != reply.code {
                return Err(SmtpFailure::Protocol);
            }
            reply.lines.push(line.text);
            if line.is_last {
                return Ok(reply);
            }
        }
        Err(SmtpFailure::Protocol)
    }

    fn hello(&mut self, name: &ClientId) -> Result<(), SmtpFailure> {
        self.extensions = self.command(&Ehlo::new(name.clone()).to_string())?.lines;
        Ok(())
    }

    fn check_starttls(&self) -> Result<(), SendError> {
        if self.has_extension("STARTTLS") {
            return Ok(());
        }
        Err(
            SendError::new(Step::Tls, "the server does not offer STARTTLS").hinted(
                "use tls=implicit (port 465) if the server supports it; if it offered STARTTLS before, someone on the \
                 network may be removing it from the server's replies",
            ),
        )
    }

    /// The parameters of MAIL FROM that these addresses need.
    fn mail_parameters(
        &self,
        from: &Address,
        to: &Address,
    ) -> Result<Vec<MailParameter>, SendFailure> {
        if to.to_string().is_ascii() && from.to_string().is_ascii() {
            return Ok(Vec::new());
        }
        if self.has_extension("SMTPUTF8") {
            return Ok(vec![MailParameter::SmtpUtfEight]);
        }
        let reason = "the server only accepts addresses in ASCII, and this one has other characters before the @";
        Err(SendFailure {
            error: SendError::new(Step::Recipient, reason)
                .hinted("use a mail server that supports SMTPUTF8, or another address"),
            is_retryable: false,
        })
    }

    fn has_extension(&self, extension: &str) -> bool {
        let first_word =
            |line: &String| line.split_whitespace().next().map(str::to_ascii_uppercase);
        self.extensions
            .iter()
            .any(|line| first_word(line).as_deref() == Some(extension))
    }

    /// Aborts the mail that the server refused, so that the connection can send another.
    fn reset(&mut self) {
        if !self.is_broken {
            self.is_broken = self.command(&Rset.to_string()).is_err();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.is_broken {
            self.stream.close(Quit.to_string().as_bytes());
        }
    }
}

impl From<io::Error> for SmtpFailure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Whether data sent to `address` stays on this machine.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// `mail` as it is sent after DATA, with its end: a dot at the beginning of a line is doubled (RFC 5321 §4.5.2).
fn dot_stuffed(mail: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut stuffed = Zeroizing::new(Vec::with_capacity(mail.len() + 64));
    let mut is_line_start = true;
    for &byte in mail {
        if is_line_start && byte == b'.' {
            stuffed.push(b'.');
        }
        stuffed.push(byte);
        is_line_start = byte == b'\n';
    }
    if !stuffed.ends_with(b"\r\n") {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_with_a_dot_does_not_end_the_mail() {
        assert_eq!(
            *dot_stuffed(b"a\r\n.\r\n..b\r\nc."),
            b"a\r\n..\r\n...b\r\nc.\r\n.\r\n"
        );
        assert_eq!(*dot_stuffed(b".\r\n"), b"..\r\n.\r\n");
    }
}
