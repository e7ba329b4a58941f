//! How a code travels to its owner: e-mail and SMS providers, and their order of fail-over.
//!
//! Only the interface is here until codes are sent. Each provider of text messages will be a data file here.
#![forbid(unsafe_code)]

/// What kind of address a code goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// An e-mail address.
    Email,
    /// A phone number, by text message.
    Sms,
}

/// Sends codes, so that whoever owns an address can type one back.
pub trait Courier: std::fmt::Debug + Send + Sync {
    /// Sends `code` to `address`.
    fn send(&self, channel: Channel, address: &str, code: &str) -> Result<(), DeliveryError>;
}

/// Why a code was not sent. Never holds the code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the code could not be sent: {0}")]
pub struct DeliveryError(pub String);
