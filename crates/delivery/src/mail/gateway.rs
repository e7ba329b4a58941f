//! Gateways from e-mail to SMS: they forward a mail sent to an address that contains the phone number.

use std::time::Instant;

use lettre::Address;
use twofa_core::{Channel, Timestamp};

use super::address;
use super::mailer::Mailer;
use crate::error::{SendError, Step};
use crate::message::Message;
use crate::phone;
use crate::provider::{Provider, Receipt};

/// Stands for the digits of the number, beginning with the country code.
const NUMBER: &str = "{number}";
/// Stands for the number in E.164 format, which has a `+` before the digits.
const E164: &str = "{e164}";

/// The pattern of a gateway's addresses, such as `{number}@sms.example.com`.
#[derive(Debug, Clone)]
pub(super) struct AddressPattern(String);

impl AddressPattern {
    /// Parses a pattern. The error says what is wrong, beginning with a verb.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let pattern = Self(text.trim().to_owned());
        if !text.contains(NUMBER) && !text.contains(E164) {
            return Err(format!(
                "must contain {NUMBER} or {E164}, such as {NUMBER}@sms.example.com"
            ));
        }
        pattern
            .address("+14155552671")
            .map_err(|_| "must be an e-mail address once the number is filled in".to_owned())?;
        Ok(pattern)
    }

    fn address(&self, number: &str) -> Result<Address, SendError> {
        let number = phone::normalise(number, None)
            .map_err(|error| SendError::new(Step::Recipient, error.to_string()))?;
        let address = self
            .0
            .replace(NUMBER, number.trim_start_matches('+'))
            .replace(E164, &number);
        address::parse(&address).map_err(|error| SendError::new(Step::Recipient, error.to_string()))
    }
}

/// Sends text messages by mail to a gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    pattern: AddressPattern,
    mailer: Mailer,
}

impl Gateway {
    pub(super) fn new(pattern: AddressPattern, mailer: Mailer) -> Self {
        Self { pattern, mailer }
    }
}

impl Provider for Gateway {
    fn channel(&self) -> Channel {
        Channel::Sms
    }

    fn send(&self, to: &str, message: &Message, deadline: Instant) -> Result<Receipt, SendError> {
        let to = self.pattern.address(to)?;
        let text = self.mailer.templates.sms(message)?;
        let author = &self.mailer.author;
        let mail = author.plain_mail(&to, text, message.written_at())?;
        self.mailer.deliver(&to, &mail, message, deadline)
    }

    fn check(&self, deadline: Instant) -> Result<(), SendError> {
        self.mailer.check(deadline)
    }

    fn certificate_end(&self) -> Option<Timestamp> {
        self.mailer.certificate_end()
    }

    /// None: a test message cannot be sent to the e-mail address it comes from, because it needs a phone number.
    fn sender_address(&self) -> Option<&str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_made_from_the_number() {
        for (pattern, address) in [
            ("{number}@sms.example.com", "14155552671@sms.example.com"),
            ("{e164}@sms.example.com", "+14155552671@sms.example.com"),
            (" sms-{number}@example.com ", "sms-14155552671@example.com"),
        ] {
            let pattern = AddressPattern::parse(pattern).unwrap();
            assert_eq!(
                pattern.address("+1 415 555-2671").unwrap().to_string(),
                address
            );
            assert_eq!(
                pattern.address("no number").unwrap_err().step,
                Step::Recipient
            );
        }
        for pattern in [
            "",
            "sms@example.com",
            "{number}",
            "{number} @example.com",
            "{phone}@example.com",
        ] {
            assert!(AddressPattern::parse(pattern).is_err(), "{pattern:?}");
        }
    }
}
