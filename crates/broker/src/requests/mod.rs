//! The requests of clients, each from its first message to its end.
//!
//! [`connection`] reads a request and is its terminal; [`broker`] hands it to [`login`] (for the PAM module) or [`manage`]
//! (for the command line). [`ending`] is for those that wait at a prompt too long, [`unproved`] asks where
//! the password may be wrong, and [`login_outcome`] and [`error`] are how the two kinds of request end.

pub mod broker;
pub mod connection;
mod ending;
mod error;
pub mod login;
mod login_outcome;
pub mod manage;
mod unproved;
