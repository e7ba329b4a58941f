//! The requests of clients, each from its first message to its end.
//!
//! [`connection`] reads a request and is its terminal; [`broker`] hands it to [`login`] or [`session`] (for the PAM
//! module) or [`manage`] (for the command line). [`ending`] is for requests that wait at a prompt too long, and [`error`] is
//! why a command is not carried out.

pub mod broker;
pub mod connection;
mod ending;
mod error;
pub mod login;
pub mod manage;
pub mod session;
