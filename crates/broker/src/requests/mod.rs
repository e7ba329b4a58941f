//! The requests of clients, each from its first message to its end.
//!
//! [`connection`] reads the request, and shows and asks on its connection what [`login`] (for the PAM module) or
//! [`manage`] (for the command line) wants. [`ending`] is for those that wait at a prompt too long, [`unproved`] asks where
//! the password may be wrong, and [`login_outcome`] and [`error`] are how the two kinds of request end.

pub mod connection;
mod ending;
mod error;
pub mod login;
mod login_outcome;
pub mod manage;
mod unproved;
