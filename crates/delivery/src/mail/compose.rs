//! What a mail looks like: its headers, and its words as text and as HTML.

use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use lettre::Address;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, MultiPart, SinglePart};
use twofa_core::Timestamp;
use zeroize::Zeroizing;

use crate::error::{SendError, Step};
use crate::templates::Letter;

/// The last second of the year 9999, the last one that a `Date` header can say.
const LAST_SECOND: u64 = 253_402_300_799;

/// Who writes.
#[derive(Debug, Clone)]
pub(super) struct Author {
    pub(super) from: Mailbox,
    pub(super) reply_to: Option<Mailbox>,
}

impl Author {
    /// `letter` as a mail to `to`: the text first, then the same in HTML (RFC 2046 §5.1.4: the best comes last).
    pub(super) fn mail(
        &self,
        to: &Address,
        letter: &Letter,
        at: Timestamp,
    ) -> Result<Zeroizing<Vec<u8>>, SendError> {
        let subject = letter.subject.clone();
        let parts = MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone());
        finished(self.head(to, at)?.subject(subject).multipart(parts))
    }

    /// A mail of nothing but `text`, for machines that read it.
    pub(super) fn bare_mail(
        &self,
        to: &Address,
        text: String,
        at: Timestamp,
    ) -> Result<Zeroizing<Vec<u8>>, SendError> {
        finished(self.head(to, at)?.singlepart(SinglePart::plain(text)))
    }

    fn head(&self, to: &Address, at: Timestamp) -> Result<MessageBuilder, SendError> {
        let seconds = u64::try_from(at.unix()).unwrap_or(0).min(LAST_SECOND);
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|error| SendError::at(Step::Message, error.to_string()))?;
        let id = format!("<{}@{}>", HEXLOWER.encode(&id), self.from.email.domain());
        let mut head = lettre::Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .message_id(Some(id))
            .header(AutoSubmitted);
        if let Some(reply_to) = &self.reply_to {
            head = head.reply_to(reply_to.clone());
        }
        Ok(head)
    }
}

fn finished(
    mail: Result<lettre::Message, lettre::error::Error>,
) -> Result<Zeroizing<Vec<u8>>, SendError> {
    let mail = mail.map_err(|error| SendError::at(Step::Message, error.to_string()))?;
    Ok(Zeroizing::new(mail.formatted()))
}

/// Keeps vacation responders and the like from answering (RFC 3834 §5).
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
