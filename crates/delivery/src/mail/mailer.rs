//! The provider that sends e-mail: it renders a message as a mail and hands it to a transport.

use std::fmt;
use std::time::Instant;

use lettre::Address;
use twofa_core::{Channel, Timestamp};
use zeroize::Zeroizing;

use super::address;
use super::compose::Author;
use crate::error::{SendError, Step};
use crate::message::Message;
use crate::provider::{Provider, Receipt};
use crate::templates::Templates;

/// Hands finished mails to a mail system.
pub(super) trait Transport: fmt::Debug + Send + Sync {
    /// Hands over `mail`. Returns by `deadline`, with an error if it was not accepted by then.
    fn deliver(&self, mail: &Outgoing<'_>, deadline: Instant) -> Result<Receipt, SendError>;

    /// Connects and logs in, as far as that is possible without sending a mail.
    fn check(&self, deadline: Instant) -> Result<(), SendError>;

    /// When the certificate ends that the server showed last, as in [`Provider`].
    fn certificate_end(&self) -> Option<Timestamp> {
        None
    }
}

/// A finished mail.
pub(super) struct Outgoing<'a> {
    pub(super) to: &'a Address,
    /// Headers and body; lines end in CR LF.
    pub(super) content: &'a [u8],
    /// The code in the mail, to be redacted from errors.
    pub(super) code: Option<&'a str>,
}

/// Renders messages as mails and sends them.
#[derive(Debug)]
pub(super) struct Mailer {
    pub(super) author: Author,
    pub(super) templates: Templates,
    pub(super) transport: Box<dyn Transport>,
}

impl Mailer {
    /// Hands over `content`, which is `message` as a mail to `to`.
    pub(super) fn deliver(
        &self,
        to: &Address,
        content: &Zeroizing<Vec<u8>>,
        message: &Message,
        deadline: Instant,
    ) -> Result<Receipt, SendError> {
        let mail = Outgoing {
            to,
            content,
            code: message.code(),
        };
        self.transport.deliver(&mail, deadline)
    }
}

impl Provider for Mailer {
    fn channel(&self) -> Channel {
        Channel::Email
    }

    fn send(&self, to: &str, message: &Message, deadline: Instant) -> Result<Receipt, SendError> {
        let to = address::parse(to)
            .map_err(|error| SendError::new(Step::Recipient, error.to_string()))?;
        let content = self.templates.mail(message)?;
        let mail = self.author.mail(&to, &content, message.written_at())?;
        self.deliver(&to, &mail, message, deadline)
    }

    fn check(&self, deadline: Instant) -> Result<(), SendError> {
        self.transport.check(deadline)
    }

    fn certificate_end(&self) -> Option<Timestamp> {
        self.transport.certificate_end()
    }

    fn sender_address(&self) -> Option<&str> {
        Some(self.author.from.email.as_ref())
    }
}
