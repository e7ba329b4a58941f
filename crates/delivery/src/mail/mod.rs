//! E-mail: SMTP, the machine's own `sendmail`, and gateways from e-mail to SMS.
//!
//! A [`mailer`] renders a mail and hands it to a transport:
//!
//! - [`smtp`]: a mail server;
//! - [`sendmail`]: a program on this machine.
//!
//! [`mod@address`] and [`compose`] are what a mail is made of, [`gateway`] sends text messages through a mailer, [`mod@kinds`]
//! declares the kinds of providers with their settings, and [`settings`] reads the values of those settings.

mod address;
mod compose;
mod gateway;
mod kinds;
mod mailer;
mod sendmail;
mod settings;
mod smtp;

pub use address::{BadEmailAddress, address};
pub use kinds::kinds;
