//! Who is asking, about whom, and what is known of them.
//!
//! [`authority`] says what a peer may ask for, by its uid, and [`relayed`] what a host of the fleet may. [`accounts`] asks the name service, [`person`] adds what is
//! stored and the policy that applies, and [`standing`] compares the accounts on record with those of today.
//! [`first_factor`] reads from the PAM stack whether the password was right, and [`sshd_options`] from sshd's configuration
//! what is demanded of security keys.

pub mod accounts;
pub mod authority;
pub mod first_factor;
pub(crate) mod fleet_account;
pub mod person;
pub mod relayed;
pub mod sshd_options;
pub mod standing;
