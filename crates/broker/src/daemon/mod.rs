//! `twofad` itself: what its arguments ask for, and the serving of a socket.
//!
//! [`server`] listens. Its [`workers`] accept. A connection whose client has said nothing waits in [`pending`]; one that
//! has is served as far as the [`connection_limits`] of its [`owner`] allow, keeps to our [`deadlines`], and ends when the
//! broker must [`stop`].

mod connection_limits;
mod deadlines;
mod owner;
mod pending;
pub mod server;
mod stop;
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
use twofa_store::{Location, Store};

use crate::process::inherited;
use crate::process::log::say;
use crate::process::privileges;

/// The broker of twofa: decides, verifies and records second factors
///
/// Without an option it serves /run/twofa/twofad.sock, or the socket that systemd passed, as the system
/// user 'twofa'. It refuses to serve as root.
#[derive(Debug, Parser)]
#[command(name = "twofad", version)]
pub struct Arguments {
    /// Make the store and its sealing key, where there are none yet (root)
    #[arg(long, conflicts_with = "session")]
    prepare: bool,

    /// Serve one conversation on standard input, as pam_twofa does without a running broker
    #[arg(long)]
    session: bool,

    /// Send the notices to users that are due, and end
    #[arg(long, conflicts_with_all = ["prepare", "session"])]
    notices: bool,
}

/// Why `twofad` ended.
type Failure = Box<dyn std::error::Error>;

/// Runs `twofad`.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = if arguments.prepare {
        prepare()
    } else if arguments.session {
        serve_session()
    } else if arguments.notices {
        send_notices()
    } else {
        serve()
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn prepare() -> Result<(), Failure> {
    if !geteuid().is_root() {
        return Err("--prepare makes files for root and the broker: run it as root".into());
    }
    let owner = privileges::service_owner()?;
    make_runtime_directory(owner)?;
    let location = Location::default();
    let vacant = Store::is_vacant(&location)?;
    if vacant {
        Store::make_files(&location, owner)?;
    }
    // What is in the database is nobody's business but the service's.
    shed();
    privileges::become_service_user()?;
    if vacant {
        Store::open_new(location)?
    } else {
        Store::open(location)?
    };
    Ok(())
}

/// Where the socket will be; tmpfiles.d or the unit does this where there is systemd.
fn make_runtime_directory(owner: twofa_store::Owner) -> Result<(), Failure> {
    let directory = Path::new(SOCKET)
        .parent()
        .ok_or("the socket has no directory")?;
    match fs::create_dir(directory) {
        Ok(()) => {
            // Whatever the umask was: everybody may connect.
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
            Ok(chown(directory, Some(owner.uid), Some(owner.gid))?)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(format!("cannot make {}: {error}", directory.display()).into()),
    }
}

fn serve() -> Result<(), Failure> {
    let passed = inherited::listening_socket()?;
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
    Ok(server::serve(&listener, Location::default())?)
}

fn send_notices() -> Result<(), Failure> {
    shed();
    privileges::become_service_user()?;
    privileges::harden()?;
    Ok(server::serve_notices(Location::default())?)
}

fn serve_session() -> Result<(), Failure> {
    let stream = Stream::from(io::stdin().as_fd().try_clone_to_owned()?);
    inherited::reset_signals();
    shed();
    privileges::become_service_user()?;
    privileges::harden()?;
    Ok(server::serve_session(stream, Location::default())?)
}

/// Gives up what a user may have set for the process, before the store is opened.
fn shed() {
    if let Err(error) = inherited::shed() {
        say(&error.to_string());
    }
}
