//! The broker: it decides, verifies and records. The PAM module and the CLI are its terminals.
//!
//! One connection is one conversation ([`conversation`]): what is asked for, by which peer, is checked
//! against a table ([`authority`]), then served by [`login`] or [`manage`] over a [`Dialogue`], which is
//! the socket for the module and users, and the terminal itself for root's CLI. Both verify codes in
//! [`challenge`], the one place where somebody is believed. [`ending`] is for those that wait at a prompt too long.
//!
//! [`program`] is `twofad` itself: [`server`] listens, [`inherited`] and [`cgroup`] free it from the program that started
//! it, [`privileges`] gives root up, [`clock`] is where the time comes from.
//!
//! [`first_factor`] tells whether the password was right when a login is asked about, and [`unproved`] asks where that is
//! not known.
//!
//! [`person`] finds out which policy holds for somebody, from their groups ([`accounts`]); [`enrolment`] sets up methods, for both, and
//! [`verification`]
//! the addresses among them. [`choice`] is what a challenge asks for first and offers besides; codes go out by
//! [`sending`], through the [`providers`] of the store; [`notices`] tell people afterwards what happened. [`losses`] tells an
//! administrator beforehand what a change takes from people.

pub mod accounts;
pub mod addresses;
pub mod authority;
mod cgroup;
pub mod challenge;
pub mod choice;
pub mod clock;
pub mod conversation;
pub mod dialogue;
mod ending;
pub mod enrolment;
pub mod first_factor;
pub mod inherited;
pub mod journal;
pub mod login;
pub mod losses;
pub mod manage;
pub mod notices;
pub mod person;
pub mod privileges;
pub mod program;
pub mod providers;
mod qr;
mod refusal;
mod ruling;
pub mod sending;
pub mod server;
pub mod services;
#[cfg(test)]
mod testing;
mod unproved;
pub mod verification;
pub mod words;

pub use authority::Peer;
pub use conversation::Broker;
pub use dialogue::{Dialogue, Gone};
