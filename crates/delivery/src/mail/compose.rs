//! Builds mails: headers, and the content as plain text and HTML.

use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{From, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, MessageBuilder, MultiPart, SinglePart};
use twofa_core::Timestamp;
use zeroize::Zeroizing;

use crate::error::{SendError, Step};
use crate::templates::MailContent;

/// The last second of the year 9999, the latest time that a `Date` header can express.
const LAST_SECOND: u64 = 253_402_300_799;

/// The sender of mails.
#[derive(Debug, Clone)]
pub(super) struct Author {
    pub(super) from: Mailbox,
    pub(super) reply_to: Option<Mailbox>,
}

impl Author {
    /// `content` as a mail to `to`, with the plain text before the HTML: the preferred form comes last (RFC 2046
    /// §5.1.4).
    pub(super) fn mail(
        &self,
        to: &Address,
        content: &MailContent,
        at: Timestamp,
    ) -> Result<Zeroizing<Vec<u8>>, SendError> {
        let parts = MultiPart::alternative_plain_html(content.text.clone(), content.html.clone());
        let headers = self.headers(to, at)?.subject(content.subject.clone());
        self.serialize(headers.multipart(parts))
    }

    /// A mail without a subject that contains only `text`, for gateways that forward it.
    pub(super) fn plain_mail(
        &self,
        to: &Address,
        text: String,
        at: Timestamp,
    ) -> Result<Zeroizing<Vec<u8>>, SendError> {
        self.serialize(self.headers(to, at)?.singlepart(SinglePart::plain(text)))
    }

    fn headers(&self, to: &Address, at: Timestamp) -> Result<MessageBuilder, SendError> {
        let seconds = u64::try_from(at.unix()).unwrap_or(0).min(LAST_SECOND);
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|error| SendError::new(Step::Message, error.to_string()))?;
        let id = format!("<{}@{}>", HEXLOWER.encode(&id), self.from.email.domain());
        // lettre reads the headers of sender and recipient again, and does not know all forms of addresses that are sent:
        // the envelope is set, and the sender once the mail is complete.
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.clone()])
            .map_err(|error| SendError::new(Step::Message, error.to_string()))?;
        let mut headers = lettre::Message::builder()
            .envelope(envelope)
            .from(Mailbox::new(None, Address::new_dangerous("x", "localhost")))
            .to(Mailbox::new(None, to.clone()))
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .message_id(Some(id))
            .header(AutoSubmitted);
        if let Some(reply_to) = &self.reply_to {
            headers = headers.reply_to(reply_to.clone());
        }
        Ok(headers)
    }

    fn serialize(
        &self,
        mail: Result<lettre::Message, lettre::error::Error>,
    ) -> Result<Zeroizing<Vec<u8>>, SendError> {
        let mut mail = mail.map_err(|error| SendError::new(Step::Message, error.to_string()))?;
        let from = Mailboxes::from(self.from.clone());
        mail.headers_mut().set(From::from(from));
        Ok(Zeroizing::new(mail.formatted()))
    }
}

/// The header that keeps vacation responders and the like from replying (RFC 3834 §5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
