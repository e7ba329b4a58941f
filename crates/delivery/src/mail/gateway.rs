//! From e-mail to SMS: a gateway that takes a mail to an address made of the phone number.

use std::time::Instant;

use twofa_core::Channel;

use crate::sms::number as phone_number;
use lettre::Address;

use super::{Mailer, address};
use crate::error::{SendError, Step};
use crate::message::Message;
use crate::provider::{Provider, Receipt};

/// Stands for the digits of the number, its country's first.
const NUMBER: &str = "{number}";
/// Stands for the same with the `+` before it.
const E164: &str = "{e164}";

/// How the gateway's addresses are made of phone numbers.
#[derive(Debug, Clone)]
pub(super) struct Pattern(String);

impl Pattern {
    /// Such as `{number}@sms.example.com`; what is wrong with it, starting with a verb.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let pattern = Self(text.trim().to_owned());
        if !text.contains(NUMBER) && !text.contains(E164) {
            return Err(format!(
                "must hold {NUMBER} or {E164}, such as {NUMBER}@sms.example.com"
            ));
        }
        pattern
            .address("+14155552671")
            .map_err(|_| "must make an e-mail address".to_owned())?;
        Ok(pattern)
    }

    fn address(&self, number: &str) -> Result<Address, SendError> {
        let number = phone_number(number, None)
            .map_err(|error| SendError::at(Step::Recipient, error.to_string()))?;
        let address = self
            .0
            .replace(NUMBER, number.trim_start_matches('+'))
            .replace(E164, &number);
        address::parsed(&address).map_err(|error| SendError::at(Step::Recipient, error.to_string()))
    }
}

/// Sends text messages by mail.
#[derive(Debug)]
pub(super) struct Gateway {
    pattern: Pattern,
    mailer: Mailer,
}

impl Gateway {
    pub(super) fn new(pattern: Pattern, mailer: Mailer) -> Self {
        Self { pattern, mailer }
    }
}

impl Provider for Gateway {
    fn channel(&self) -> Channel {
        Channel::Sms
    }

    fn send(&self, to: &str, message: &Message, deadline: Instant) -> Result<Receipt, SendError> {
        let to = self.pattern.address(to)?;
        let text = self.mailer.templates.text_message(message)?;
        let content = self.mailer.author.bare_mail(&to, text, message.at())?;
        self.mailer.hand_over(&to, &content, message, deadline)
    }

    fn check(&self, deadline: Instant) -> Result<(), SendError> {
        self.mailer.check(deadline)
    }

    /// It sends from an address, which is no phone number.
    fn own_address(&self) -> Option<&str> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_made_of_the_number() {
        for (pattern, address) in [
            ("{number}@sms.example.com", "14155552671@sms.example.com"),
            ("{e164}@sms.example.com", "+14155552671@sms.example.com"),
            (" sms-{number}@example.com ", "sms-14155552671@example.com"),
        ] {
            let pattern = Pattern::parse(pattern).unwrap();
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
            assert!(Pattern::parse(pattern).is_err(), "{pattern:?}");
        }
    }
}
