//! Who is asking, about whom, and what is known of them.
//!
//! [`authority`] says what a peer may ask for, by its uid. [`accounts`] asks the name service, [`person`] adds what is
//! stored and the policy that applies, [`standing`] is what has become of the accounts on record, and [`first_factor`] reads from the PAM stack whether the password was right.

pub mod accounts;
pub mod authority;
pub mod first_factor;
pub mod person;
pub mod sshd_options;
pub mod standing;
