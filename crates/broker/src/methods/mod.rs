//! The methods of a person: asking for a code of one, and setting one up.
//!
//! [`challenge`] asks for a code. [`choice`] is which method it asks by, [`challenge_state`] what it remembers between two
//! prompts, and [`verify`] the only place where a code is accepted.
//!
//! [`enrolment`] sets up methods: an app ([`app_enrolment`]), an address once it is verified ([`address_verification`],
//! [`inbound_sms`], [`candidate`]), and [`backup_codes`]; [`enrolment_state`] is what it remembers between two prompts. [`change_limit`] counts what is changed without a code, and
//! [`error`] is why something was not set up.

pub mod address_verification;
pub(crate) mod app_enrolment;
mod backup_codes;
mod candidate;
pub mod challenge;
pub(crate) mod challenge_state;
pub(crate) mod change_limit;
mod choice;
pub mod enrolment;
pub(crate) mod enrolment_state;
pub mod error;
mod inbound_sms;
pub mod settling;
mod verify;
