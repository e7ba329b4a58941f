//! The command line for users and administrators. It owns all terminal I/O of the project.
//!
//! [`mod@arguments`] defines the commands; help, completions and the manual follow from it. What people do with their own
//! record is a request to the broker ([`client`]): over the socket for users, in this process for root, with the same
//! code behind it and the same [`terminal`] in front, which shows a key as a [`picture`] or writes it to a [`qr_file`];
//! [`subject`] is whose record that is; [`sessions`] finds and ends the processes of
//! login sessions. What only administrators do is the library [`twofa_broker::admin`]: [`commands`]
//! call it, ask for confirmation and print ([`output`]), and decide nothing. [`pam_change`] edits PAM files for `twofa pam enable`. [`messages`] has every sentence,
//! [`error`] the exit statuses, and [`when`] how people write times.
#![deny(unsafe_code)]

pub mod arguments;
mod bulk;
mod client;
mod commands;
mod error;
mod input;
mod interrupts;
mod invoker;
mod messages;
mod output;
mod pam_change;
mod picture;
mod qr_file;
mod sessions;
mod subject;
mod terminal;
mod when;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::arguments::{Arguments, Command};
use crate::error::CommandError;

/// Runs `twofa`.
pub fn main() -> ExitCode {
    // `twofa setup` starts commands of this program.
    let _ = interrupts::release();
    match run(arguments()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

/// What was typed. Help, and mistakes, end the program.
fn arguments() -> Arguments {
    let mut command = Arguments::command();
    if io::stdout().is_terminal() {
        // clap takes a terminal that does not know its width for one of 100 columns.
        command = command.term_width(output::terminal_width());
    }
    let matches = command.get_matches();
    Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn run(Arguments { json, command }: Arguments) -> Result<(), CommandError> {
    let output = output::Output::new(json);
    match command {
        Command::Status { user } => commands::self_service::status(user.user, output),
        Command::Enrol(what) => commands::self_service::enrol(what),
        Command::Remove { method, user } => commands::self_service::remove(method, user.user),
        Command::Codes { new, user } => commands::self_service::codes(new, user.user, output),
        Command::Set {
            settings,
            verified,
            user,
        } => commands::self_service::set(settings, verified, user.user),
        Command::Device(command) => commands::device::run(command, output),
        Command::Policy(command) => commands::policy::run(&command, output),
        Command::Class(command) => commands::class::run(&command, output),
        Command::User(command) => commands::user::run(&command, output),
        Command::Provider(command) => commands::provider::run(&command, output),
        Command::Method(command) => commands::method::run(&command, output),
        Command::Exemption(command) => commands::exemption::run(&command, output),
        Command::Session(command) => commands::session::run(command, output),
        Command::Fleet(command) => commands::server::fleet(command, output),
        Command::Server(command) => commands::server::run(command, output),
        Command::Host(command) => commands::fleet::host(command, output),
        Command::JoinKey(command) => commands::join_keys::run(command, output),
        Command::Join(arguments) => commands::fleet::join(&arguments),
        Command::Leave(arguments) => commands::fleet::leave(&arguments),
        Command::Store(command) => commands::store::run(command, output),
        Command::Pam(command) => commands::pam::run(&command, output),
        Command::Setup(arguments) => commands::setup::run(&arguments),
        Command::Doctor => commands::doctor::run(output),
        Command::Stats {
            prometheus,
            report,
            output: file,
        } => commands::stats::run(prometheus, report, file.as_deref(), output),
        Command::Log {
            command: Some(command),
            ..
        } => commands::log_proof::run(command, output),
        Command::Log { events, .. } => commands::log::run(events, output),
        Command::Completions { shell } => commands::completions::run(shell),
    }
}
