//! The command line for users and administrators. It owns all terminal I/O of the project.
//!
//! [`arguments`] is the one definition of commands; help, completions and the manual follow from it. What
//! people do with their own record is a conversation with the broker ([`session`]): over the socket for
//! users, in this process for root, with the same code behind it and the same [`terminal`] in front.
//! What only administrators do goes to the store itself ([`commands`]). [`failure`] gives errors their
//! words, hints and exit codes, [`output`] decides between tables, plain lines and JSON.
#![forbid(unsafe_code)]

pub mod arguments;
mod commands;
mod failure;
mod many;
mod output;
mod session;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

/// Runs `twofa`.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(Arguments { json, command }: Arguments) -> Result<(), Failure> {
    let output = output::Output::new(json);
    match command {
        Command::Status { user } => commands::own::status(user.user, output),
        Command::Enrol(what) => commands::own::enrol(what),
        Command::Remove { method, user } => commands::own::remove(method, user.user),
        Command::Codes { new, user } => commands::own::codes(new, user.user, output),
        Command::Set {
            settings,
            verified,
            user,
        } => commands::own::set(settings, verified, user.user),
        Command::Policy(command) => commands::policy::run(&command, output),
        Command::Class(command) => commands::class::run(&command, output),
        Command::User(command) => commands::user::run(&command, output),
        Command::Provider(command) => commands::provider::run(&command, output),
        Command::Method(command) => commands::method::run(&command, output),
        Command::Exemption(command) => commands::exemption::run(&command, output),
        Command::Doctor => commands::doctor::run(output),
        Command::Log { user, last } => commands::log::run(user, last, output),
        Command::Completions { shell } => commands::completions::run(shell),
    }
}
