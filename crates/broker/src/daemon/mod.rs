//! `twofad` itself: its arguments, and serving a socket.
//!
//! [`server`] listens, and its [`workers`] accept. A connection waits in [`pending`] until its request has arrived. Then
//! [`admission`] serves it within the [`connection_limits`] of its [`owner`]. Its reads have [`deadlines`] and end at a
//! [`shutdown`]. [`hosts`] is the same for the hosts of a fleet. The store is opened when it is needed ([`lazy_store`]), and [`checkpoints`] keeps its log verifiable.

mod admission;
mod checkpoints;
mod connection_limits;
mod deadlines;
mod fleet_policy;
mod fleet_sessions;
mod hosts;
mod lazy_store;
mod marks;
mod owner;
mod pending;
mod records;
mod rescue_codes;
pub mod server;
mod shutdown;
mod upkeep;
mod watchdog;
mod workers;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use clap::Parser;
use nix::unistd::geteuid;
use twofa_proto::{SOCKET, Stream};
use twofa_store::Store;

use crate::process::location::location;
use crate::process::{log, privileges, reset, socket_activation};

/// The broker of twofa: decides, verifies and records second factors
///
/// Without an option it serves /run/twofa/twofad.sock, or the socket that systemd passed, as the system
/// user 'twofa'. It refuses to serve as root.
#[derive(Debug, Parser)]
#[command(name = "twofad", version)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "options, at most one of which is given"
)]
pub struct Arguments {
    /// Create the store and its sealing key unless they exist (root)
    #[arg(long, conflicts_with = "stdio")]
    prepare: bool,

    /// Serve the one connection that is standard input: pam_twofa starts it so when no broker is running
    #[arg(long)]
    stdio: bool,

    /// Serve the hosts of the fleet, on TCP port 6238: 'twofa fleet init' makes this machine a server
    #[arg(long, conflicts_with_all = ["prepare", "stdio", "notices"])]
    server: bool,

    /// Send the notices and write the checkpoint of the log that are due, then exit
    #[arg(long, conflicts_with_all = ["prepare", "stdio"])]
    notices: bool,
}

/// Why `twofad` ended.
type Failure = Box<dyn std::error::Error>;

/// Runs `twofad`.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = if arguments.prepare {
        prepare()
    } else if arguments.stdio {
        serve_stdio()
    } else if arguments.notices {
        send_notices()
    } else if arguments.server {
        serve_hosts()
    } else {
        serve()
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::warn(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn prepare() -> Result<(), Failure> {
    if !geteuid().is_root() {
        return Err("--prepare creates files for root and the broker: run it as root".into());
    }
    let owner = privileges::service_owner()?;
    make_runtime_directory(owner)?;
    let location = location();
    let vacant = Store::is_vacant(&location)?;
    if vacant {
        Store::make_files(&location, owner)?;
    }
    // From here on as the service: only it reads the database.
    reset_limits();
    privileges::become_service_user()?;
    if vacant {
        Store::open_new(location)?
    } else {
        Store::open(location)?
    };
    Ok(())
}

/// Creates the directory of the socket. Where there is systemd, tmpfiles.d or the unit does this.
fn make_runtime_directory(owner: twofa_store::Owner) -> Result<(), Failure> {
    let directory = Path::new(SOCKET)
        .parent()
        .ok_or("the socket has no directory")?;
    match fs::create_dir(directory) {
        Ok(()) => {
            // Whatever the umask is, every user may connect.
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
            Ok(chown(directory, Some(owner.uid), Some(owner.gid))?)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(format!("cannot make {}: {error}", directory.display()).into()),
    }
}

fn serve() -> Result<(), Failure> {
    let passed = socket_activation::listening_socket()?;
    if geteuid().is_root() {
        return Err(
            "refusing to serve as root: start it as user 'twofa', as its systemd unit does \
                    (setpriv --reuid twofa --regid twofa --init-groups twofad)"
                .into(),
        );
    }
    privileges::harden()?;
    let listener = match passed {
        Some(listener) => listener,
        None => server::bind(Path::new(SOCKET))
            .map_err(|error| format!("cannot listen at {SOCKET}: {error}"))?,
    };
    env::set_current_dir("/")?;
    Ok(server::serve(&listener, location())?)
}

fn serve_hosts() -> Result<(), Failure> {
    if geteuid().is_root() {
        return Err(
            "refusing to serve as root: start it as user 'twofa', as its systemd unit does".into(),
        );
    }
    privileges::harden()?;
    env::set_current_dir("/")?;
    hosts::serve(location())
}

fn send_notices() -> Result<(), Failure> {
    reset_limits();
    privileges::become_service_user()?;
    privileges::harden()?;
    Ok(server::serve_notices(location())?)
}

fn serve_stdio() -> Result<(), Failure> {
    let stream = Stream::from(io::stdin().as_fd().try_clone_to_owned()?);
    reset::reset_signals();
    reset_limits();
    privileges::become_service_user()?;
    privileges::harden()?;
    Ok(server::serve_stdio(stream, location())?)
}

/// Undoes what a user may have set for the process, before the store is opened.
fn reset_limits() {
    if let Err(error) = reset::reset_limits() {
        log::warn(&error.to_string());
    }
}
