//! The methods of a person: proving oneself by one of them, and setting one up.
//!
//! [`challenge`] asks for a code and is the one place where somebody is believed; [`choice`] is which method it asks by.
//! [`enrolment`] sets up apps, addresses and backup codes, and [`address_verification`] proves an address.

pub mod address_verification;
pub mod challenge;
pub mod choice;
pub mod enrolment;
