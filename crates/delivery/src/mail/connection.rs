//! One connection to a mail server, from its name to the accepted mail. It carries one mail at a time.
//!
//! The dialogue is ours and not lettre's `SmtpConnection`, because that one holds each read to a time limit and not
//! the whole to a deadline, and does not tell the TLS handshake, the greeting and the first command apart.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Instant;

use lettre::Address;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Quit, Rcpt, Rset, Starttls};
use lettre::transport::smtp::extension::{ClientId, MailParameter};
use zeroize::Zeroizing;

use super::Outgoing;
use super::refusal::{Trouble, explain};
use super::reply::{Line, Reply};
use super::settings::{Server, Tls};
use super::stream::Stream;
use crate::error::{SendError, Step};
use crate::lookup::look_up;
use crate::secrets::Secrets;

/// Lines that a reply may have.
const MOST_LINES: usize = 100;

/// A connection that has said hello, under TLS where that is asked for.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    /// The server's answer to EHLO: what it can do, a line each.
    extensions: Vec<String>,
    /// Nothing more can be asked on it.
    is_broken: bool,
}

/// A mail that was not taken.
pub(super) struct NotTaken {
    pub(super) error: SendError,
    /// The connection was lost before the server had the mail, so that it may be tried on another one.
    pub(super) may_repeat: bool,
}

impl Connection {
    /// Connects to `server`, up to its answer to EHLO under TLS.
    pub(super) fn open(server: &Server, deadline: Instant) -> Result<Self, SendError> {
        let at = |step| move |trouble: Trouble| explain(server, step, trouble, &Secrets::default());
        let tls = server.tls_settings()?;

        let addresses = look_up(&server.host, server.port, deadline);
        let addresses = addresses.map_err(|error| at(Step::Name)(error.into()))?;
        let is_here = addresses.iter().all(|address| is_loopback(address.ip()));
        if server.tls == (Tls::None { anywhere: false }) && !is_here {
            return Err(SendError::at(
                Step::Tls,
                format!("{} is another machine, and tls=none would send the code in the clear", server.host),
            )
            .hinted(
                "set tls=implicit or tls=starttls; tls=none-anywhere if the network in between is trusted",
            ));
        }

        let stream = Stream::connect(&addresses, deadline);
        let stream = stream.map_err(|error| at(Step::Connect)(error.into()))?;
        let mut connection = Self {
            stream,
            extensions: Vec::new(),
            is_broken: false,
        };
        if let (Tls::Implicit, Some(tls)) = (server.tls, &tls) {
            let secured = connection.stream.secure(tls, &server.host);
            secured.map_err(|error| at(Step::Tls)(error.into()))?;
        }
        connection.reply().map_err(at(Step::Greeting))?;
        connection
            .hello(&server.hello)
            .map_err(at(Step::Greeting))?;
        if let (Tls::Starttls, Some(tls)) = (server.tls, &tls) {
            if !connection.can("STARTTLS") {
                return Err(
                    SendError::at(Step::Tls, "the server does not offer STARTTLS").hinted(
                        "use tls=implicit (port 465) if the server has it; \
                     if it did offer STARTTLS before, something on the way may be taking it out",
                    ),
                );
            }
            connection
                .ask(&Starttls.to_string())
                .map_err(at(Step::Tls))?;
            let secured = connection.stream.secure(tls, &server.host);
            secured.map_err(|error| at(Step::Tls)(error.into()))?;
            connection
                .hello(&server.hello)
                .map_err(at(Step::Greeting))?;
        }
        Ok(connection)
    }

    /// Everything asked from now on is answered by `deadline`.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.stream.set_deadline(deadline);
    }

    /// Whether it can carry another mail, as far as one can see without asking.
    pub(super) fn is_well(&self) -> bool {
        !self.is_broken && self.stream.is_quiet()
    }

    /// Hands `mail` over; the server's answer when it has it. `patience` is for the first answer alone, and ends
    /// before `deadline` where the connection may be a dead one.
    pub(super) fn carry(
        &mut self,
        server: &Server,
        from: &Address,
        mail: &Outgoing<'_>,
        patience: Instant,
        deadline: Instant,
    ) -> Result<Reply, NotTaken> {
        let secrets = server.secrets().with(mail.code);
        let not_taken = |connection: &Self, step, trouble: Trouble, may_repeat: bool| NotTaken {
            may_repeat: may_repeat && connection.is_broken,
            error: explain(server, step, trouble, &secrets),
        };
        let mut options = Vec::new();
        if !mail.to.to_string().is_ascii() || !from.to_string().is_ascii() {
            if !self.can("SMTPUTF8") {
                let reason = "the server only takes addresses in ASCII letters";
                return Err(NotTaken {
                    error: SendError::at(Step::Recipient, reason),
                    may_repeat: false,
                });
            }
            options.push(MailParameter::SmtpUtfEight);
        }

        self.set_deadline(patience);
        let answer = self.ask(&Mail::new(Some(from.clone()), options).to_string());
        self.set_deadline(deadline);
        answer.map_err(|trouble| not_taken(self, Step::Sender, trouble, true))?;
        let answer = self.ask(&Rcpt::new(mail.to.clone(), Vec::new()).to_string());
        if let Err(trouble) = answer {
            return Err(
                self.take_back(|connection| not_taken(connection, Step::Recipient, trouble, true))
            );
        }
        let answer = self.ask(&Data.to_string());
        if let Err(trouble) = answer {
            return Err(
                self.take_back(|connection| not_taken(connection, Step::Message, trouble, true))
            );
        }
        // From here on the server may have the mail even if it does not say so: it is not sent a second time.
        self.tell(&transparent(mail.content))
            .map_err(|trouble| not_taken(self, Step::Message, trouble, false))?;
        self.reply().map_err(|trouble| {
            let was_refused = matches!(trouble, Trouble::Refused(_));
            let mut not_taken = not_taken(self, Step::Message, trouble, false);
            not_taken.error.may_have_arrived = !was_refused;
            not_taken
        })
    }

    /// Whether the server takes mail from this sender. Sends nothing.
    pub(super) fn try_sender(&mut self, server: &Server, from: &Address) -> Result<(), SendError> {
        let answer = self.ask(&Mail::new(Some(from.clone()), Vec::new()).to_string());
        answer.map_err(|trouble| explain(server, Step::Sender, trouble, &server.secrets()))?;
        let _ = self.ask(&Rset.to_string());
        Ok(())
    }

    /// The mechanisms it offers for logging in, as it writes them; `None`: it does not know AUTH.
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

    /// Whether it offers `mechanism`.
    pub(super) fn offers(&self, mechanism: Mechanism) -> bool {
        let name = mechanism.to_string();
        self.mechanisms()
            .is_some_and(|offered| offered.iter().any(|it| it.eq_ignore_ascii_case(&name)))
    }

    /// Sends a line of a command and reads the answer; anything but 2xx and 3xx is an error.
    pub(super) fn ask(&mut self, line: &str) -> Result<Reply, Trouble> {
        self.tell(line.as_bytes())?;
        self.reply()
    }

    /// Whether nothing more can be asked on it.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Sends all of `bytes`.
    fn tell(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let Err(error) = self.stream.send(bytes) else {
            return Ok(());
        };
        self.is_broken = true;
        // A server that refuses and hangs up has said why before that.
        let is_late = error.kind() == ErrorKind::TimedOut;
        Err(match self.reply() {
            Err(refused @ Trouble::Refused(_)) if !is_late => refused,
            _ => error.into(),
        })
    }

    fn reply(&mut self) -> Result<Reply, Trouble> {
        let reply = self.read_reply().inspect_err(|_| self.is_broken = true)?;
        // 421 is the server's last word (RFC 5321 §3.8).
        self.is_broken |= reply.code == 421;
        if reply.is_positive() {
            Ok(reply)
        } else {
            Err(Trouble::Refused(reply))
        }
    }

    fn read_reply(&mut self) -> Result<Reply, Trouble> {
        let mut reply = Reply {
            code: 0,
            lines: Vec::new(),
        };
        while reply.lines.len() < MOST_LINES {
            let line = Line::parse(&self.stream.line()?).ok_or(Trouble::Nonsense)?;
            if reply.lines.is_empty() {
                reply.code = line.code;
            } else if line.code != reply.code {
                return Err(Trouble::Nonsense);
            }
            reply.lines.push(line.words);
            if line.is_last {
                return Ok(reply);
            }
        }
        Err(Trouble::Nonsense)
    }

    fn hello(&mut self, name: &ClientId) -> Result<(), Trouble> {
        self.extensions = self.ask(&Ehlo::new(name.clone()).to_string())?.lines;
        Ok(())
    }

    fn can(&self, extension: &str) -> bool {
        let first_word =
            |line: &String| line.split_whitespace().next().map(str::to_ascii_uppercase);
        self.extensions
            .iter()
            .any(|line| first_word(line).as_deref() == Some(extension))
    }

    /// Ends a mail that the server refused half-way, so that the connection can carry another.
    fn take_back(&mut self, not_taken: impl FnOnce(&Self) -> NotTaken) -> NotTaken {
        let not_taken = not_taken(self);
        if !self.is_broken {
            self.is_broken = self.ask(&Rset.to_string()).is_err();
        }
        not_taken
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.is_broken {
            self.stream.end(Quit.to_string().as_bytes());
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Whether what is sent to `address` stays on this machine.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// `mail` as it stands between DATA and its end: a dot at the head of a line is doubled (RFC 5321 §4.5.2).
fn transparent(mail: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut sent = Zeroizing::new(Vec::with_capacity(mail.len() + 64));
    let mut is_head = true;
    for &byte in mail {
        if is_head && byte == b'.' {
            sent.push(b'.');
        }
        sent.push(byte);
        is_head = byte == b'\n';
    }
    if !sent.ends_with(b"\r\n") {
        sent.extend_from_slice(b"\r\n");
    }
    sent.extend_from_slice(b".\r\n");
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_with_a_dot_does_not_end_the_mail() {
        assert_eq!(
            *transparent(b"a\r\n.\r\n..b\r\nc."),
            b"a\r\n..\r\n...b\r\nc.\r\n.\r\n"
        );
        assert_eq!(*transparent(b".\r\n"), b"..\r\n.\r\n");
    }
}
