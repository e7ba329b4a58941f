//! E-mail: SMTP, the machine's own `sendmail`, and what a mail looks like.
//!
//! A [`Mailer`] writes the mail and hands it to a [`Transport`], which is one of two:
//!
//! - [`smtp`]: a mail server. [`pool`] keeps connections to it, [`connection`] is one of them, from its name to the
//!   accepted mail; [`stream`] holds every read and write to the deadline, [`reply`] reads what the server says,
//!   [`login`] and [`token`] are what logging in takes, [`refusal`] turns all that can go wrong into words;
//! - [`sendmail`]: a program of this machine, run by [`crate::program`].
//!
//! [`compose`] makes the mail, [`gateway`] is a way from e-mail to SMS, and [`settings`] is what an administrator
//! can set.

mod address;
mod compose;
mod connection;
mod gateway;
mod login;
mod pool;
mod refusal;
mod reply;
mod sendmail;
mod settings;
mod smtp;
mod stream;
mod token;

use std::fmt;
use std::time::Instant;

use lettre::Address;
use lettre::message::Mailbox;
use twofa_core::Channel;
use zeroize::Zeroizing;

pub use address::{NoAddress, address};

use crate::error::{SendError, Step};
use crate::message::Message;
use crate::provider::{BadProvider, Configuration, Kind, Places, Provider, Receipt};
use crate::templates::Templates;
use compose::Author;
use gateway::Gateway;
use settings::Settings;

/// The kinds of providers that are reached by e-mail; a gateway from e-mail to SMS among them.
pub fn kinds() -> Vec<Kind> {
    vec![settings::smtp(), settings::sendmail(), settings::gateway()]
}

/// Whether the kind `name` is one of [`kinds`].
pub(crate) fn has_kind(name: &str) -> bool {
    matches!(
        name,
        settings::SMTP | settings::SENDMAIL | settings::GATEWAY
    )
}

/// Opens an e-mail provider of this `kind`.
pub(crate) fn open(
    kind: &Kind,
    configuration: &Configuration,
    places: &Places,
) -> Result<Box<dyn Provider>, BadProvider> {
    let settings = Settings::new(kind, configuration);
    let templates = Templates::load(&places.templates).map_err(|error| BadProvider::File {
        file: places.templates.display().to_string(),
        why: error.reason,
    })?;
    let author = settings.author()?;
    let transport = settings.transport(author.from.email.clone())?;
    let mailer = Mailer {
        author,
        templates,
        transport,
    };
    if kind.name == settings::GATEWAY {
        return Ok(Box::new(Gateway::new(settings.pattern()?, mailer)));
    }
    Ok(Box::new(mailer))
}

/// What takes a finished mail.
trait Transport: fmt::Debug + Send + Sync {
    /// Hands `mail` over, or gives up by its deadline.
    fn deliver(&self, mail: &Outgoing<'_>, deadline: Instant) -> Result<Receipt, SendError>;

    /// Goes as far as it can without sending anything.
    fn check(&self, deadline: Instant) -> Result<(), SendError>;
}

/// A finished mail.
struct Outgoing<'a> {
    to: &'a Address,
    /// Headers and body, lines ending in CR LF.
    content: &'a [u8],
    /// The code in it, which must not come back in an error.
    code: Option<&'a str>,
}

/// Writes mails and sends them.
#[derive(Debug)]
struct Mailer {
    author: Author,
    templates: Templates,
    transport: Box<dyn Transport>,
}

impl Provider for Mailer {
    fn channel(&self) -> Channel {
        Channel::Email
    }

    fn send(&self, to: &str, message: &Message, deadline: Instant) -> Result<Receipt, SendError> {
        let to = recipient(to)?;
        let letter = self.templates.letter(message)?;
        let content = self.author.mail(&to, &letter, message.at())?;
        self.hand_over(&to, &content, message, deadline)
    }

    fn check(&self, deadline: Instant) -> Result<(), SendError> {
        self.transport.check(deadline)
    }

    fn own_address(&self) -> Option<&str> {
        Some(self.author.from.email.as_ref())
    }
}

impl Mailer {
    fn hand_over(
        &self,
        to: &Address,
        content: &Zeroizing<Vec<u8>>,
        message: &Message,
        deadline: Instant,
    ) -> Result<Receipt, SendError> {
        self.transport.deliver(
            &Outgoing {
                to,
                content,
                code: message.code(),
            },
            deadline,
        )
    }
}

/// The address of a person, which somebody outside may have typed.
fn recipient(to: &str) -> Result<Address, SendError> {
    address::parsed(to).map_err(|error| SendError::at(Step::Recipient, error.to_string()))
}

impl Message {
    /// The code in it.
    fn code(&self) -> Option<&str> {
        match self {
            Self::Code(message) => Some(&message.code),
            Self::Notice(_) | Self::Test { .. } => None,
        }
    }

    /// When it was written.
    fn at(&self) -> twofa_core::Timestamp {
        match self {
            Self::Code(message) => message.at,
            Self::Notice(message) => message.at,
            Self::Test { at, .. } => *at,
        }
    }
}

/// A mailbox as an administrator writes it: `Name <address>`, or the address alone.
fn mailbox(text: &str) -> Result<Mailbox, NoAddress> {
    let text = text.trim();
    let Some((name, address)) = text
        .strip_suffix('>')
        .and_then(|text| text.rsplit_once('<'))
    else {
        return Ok(Mailbox::new(None, address::parsed(text)?));
    };
    let name = name.trim();
    let name = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .unwrap_or(name)
        .trim();
    if name.chars().any(twofa_core::text::is_unprintable) {
        return Err(NoAddress::new(text));
    }
    let name = (!name.is_empty()).then(|| name.to_owned());
    Ok(Mailbox::new(name, address::parsed(address)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        let plain = mailbox(" login@example.org ").unwrap();
        assert_eq!(
            (plain.name, plain.email.to_string()),
            (None, "login@example.org".to_owned())
        );
        for (text, name) in [
            ("Büro 7 <login@example.org>", "Büro 7"),
            ("\"Logins, all\" <login@example.org>", "Logins, all"),
            ("東京 <login@example.org>", "東京"),
        ] {
            let named = mailbox(text).unwrap();
            assert_eq!(named.name.as_deref(), Some(name));
            assert_eq!(named.email.to_string(), "login@example.org");
        }
        for text in [
            "",
            "login",
            "Name <login@example.org",
            "a\nb <login@example.org>",
            "<>",
        ] {
            assert!(mailbox(text).is_err(), "{text:?}");
        }
    }
}
