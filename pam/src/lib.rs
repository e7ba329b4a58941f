//! `pam_twofa.so`: a terminal for the broker, inside the program that somebody logs in with.
//!
//! The module decides nothing. It asks the broker (`twofad`) about a login, shows the texts and prompts that the broker
//! sends, returns the answers, and turns the broker's verdict into a PAM code. Any error is a refusal.
//!
//! - [`login`]: logins and account checks, and the one place where a verdict becomes a code
//! - [`broker`]: the connection to the broker: its socket, and for root without one, `twofad --stdio`
//! - [`host`]: the application, as a trait and behind libpam
//! - [`session`]: tells the broker when a login session begins and ends, and passes on how long it may last
//! - [`password`]: tells the broker of a new password
//! - [`options`]: the arguments in `/etc/pam.d`; one that cannot be obeyed refuses every login
//! - [`split`]: splits what was typed into a password and the code behind it
//! - [`messages`]: every sentence that people read
//! - `deadline`: waiting for the broker; `sigchld`: `SIGCHLD` while a broker starts or exits; `sys`: everything unsafe
//!
//! # In other programs
//!
//! The module runs in sshd, su, display managers and others. It starts no thread, prints nothing, neither reads nor sets
//! the environment, keeps no file open, and changes `SIGCHLD` only while a broker starts or exits. A panic is caught at the
//! entry points and refuses.
//!
//! # Password and code in one
//!
//! For clients with a single field. With `forward_pass`, `use_first_pass` or `try_first_pass` the code is typed behind the
//! password: the module splits it off ([`split`]), leaves the password in `PAM_AUTHTOK` for the modules that follow
//! (`pam_unix.so try_first_pass`), and sends the broker only the code.
//!
//! The broker's prompt says how many digits a code has when the login was opened with `behind_password`. `forward_pass` and
//! `use_first_pass` open it that way, and `try_first_pass` only if `PAM_AUTHTOK` ends in what may be a code. If that is
//! refused, it restores `PAM_AUTHTOK` and opens a second exchange with a prompt for the code alone, as it does at once when
//! there is no such ending. A password that itself ends in six digits thus costs a counted guess at each login, so
//! `try_first_pass` is for stacks where password and code are expected together.
//!
//! Each prompt that carries the number is answered with what is split off. Where nothing can be split off, the broker is
//! sent a dash, which is no code: it refuses or asks again, counts no guess, and no password leaves the process.
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::exit,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_in_result
    )
)]

pub mod broker;
mod deadline;
pub mod host;
pub mod login;
pub mod messages;
pub mod options;
pub mod password;
pub mod session;
mod sigchld;
pub mod split;
#[allow(unsafe_code)]
mod sys;

use std::ffi::CStr;
use std::fmt::Display;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use pam::constants::{PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};

use crate::broker::Connection;
use crate::host::pam::PamHost;
use crate::host::{Host, Level};
use crate::options::{AccountDuty, Options};
use crate::session::Ask;
pub use crate::sys::Module;

impl PamHooks for Module {
    fn sm_authenticate(
        handle: &mut PamHandle,
        arguments: Vec<&CStr>,
        flags: PamFlag,
    ) -> PamResultCode {
        enter(handle, &arguments, flags, |host, options, line| {
            match options.account {
                AccountDuty::Check => {}
                AccountDuty::Challenge => return refuse(host, &messages::CHALLENGE_IN_AUTH),
                AccountDuty::Confirm => return refuse(host, &messages::CONFIRM_IN_AUTH),
            }
            if options.proved {
                return login::find_proved_key(host);
            }
            login::authenticate(host, options.code, line, |host, request| {
                Connection::open(host, &options.socket, &request)
            })
        })
    }

    /// The account phase, which an application reaches when the first factor was right, or was proved by other means
    /// (sshd by public key).
    fn acct_mgmt(handle: &mut PamHandle, arguments: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        enter(handle, &arguments, flags, |host, options, line| {
            if options.proved {
                return refuse(host, &messages::PROVED_IN_ACCOUNT);
            }
            if options.account == AccountDuty::Confirm && host.passed().is_none() {
                return PamResultCode::PAM_IGNORE;
            }
            let challenge = options.account == AccountDuty::Challenge;
            login::check_account(host, challenge, line, |host, request| {
                Connection::open(host, &options.socket, &request)
            })
        })
    }

    /// There are no credentials to set; anything but success would fail the login. But a line with `proved` may jump, and sshd
    /// calls this on a handle that authenticated nobody: success would then take the jump for every user.
    fn sm_setcred(_: &mut PamHandle, arguments: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        if arguments.contains(&c"proved") {
            PamResultCode::PAM_IGNORE
        } else {
            PamResultCode::PAM_SUCCESS
        }
    }

    /// A session is put on record. That never fails a login, whatever happens.
    fn sm_open_session(
        handle: &mut PamHandle,
        arguments: Vec<&CStr>,
        flags: PamFlag,
    ) -> PamResultCode {
        tell(
            handle,
            &arguments,
            flags,
            &messages::session_not_recorded,
            session::open,
        );
        PamResultCode::PAM_SUCCESS
    }

    fn sm_close_session(
        handle: &mut PamHandle,
        arguments: Vec<&CStr>,
        flags: PamFlag,
    ) -> PamResultCode {
        tell(
            handle,
            &arguments,
            flags,
            &messages::session_not_recorded,
            session::close,
        );
        PamResultCode::PAM_SUCCESS
    }

    /// Passwords belong to other modules. This one only ends the trust in devices, and never fails the change.
    fn sm_chauthtok(
        handle: &mut PamHandle,
        arguments: Vec<&CStr>,
        flags: PamFlag,
    ) -> PamResultCode {
        if flags & PAM_UPDATE_AUTHTOK != 0 {
            tell(
                handle,
                &arguments,
                flags,
                &messages::password_not_told,
                password::tell,
            );
        }
        PamResultCode::PAM_IGNORE
    }
}

/// `pam_sm_chauthtok(3)`: the password is to be changed now, and no longer only to be checked whether that is possible.
const PAM_UPDATE_AUTHTOK: PamFlag = 0x2000;

/// Runs `check` with the options on the line, if they can be obeyed.
fn enter(
    handle: &mut PamHandle,
    arguments: &[&CStr],
    flags: PamFlag,
    check: impl FnOnce(&mut PamHost<'_>, &Options, &[String]) -> PamResultCode,
) -> PamResultCode {
    silence_panics();
    let mut host = PamHost::new(handle, flags);
    let arguments = texts(arguments);
    match Options::parse(arguments.iter().map(AsRef::as_ref)) {
        Ok(options) => {
            host.set_debug(options.debug);
            check(&mut host, &options, &arguments)
        }
        Err(bad) => refuse(&mut host, &bad),
    }
}

/// Has `what` tell the broker at the socket of the line something on which no login depends. `not_told` is the line in the
/// log for an option that cannot be obeyed.
fn tell(
    handle: &mut PamHandle,
    arguments: &[&CStr],
    flags: PamFlag,
    not_told: &dyn Fn(&dyn Display) -> String,
    what: fn(&mut dyn Host, Ask<'_>),
) {
    silence_panics();
    let mut host = PamHost::new(handle, flags);
    let arguments = texts(arguments);
    match Options::parse(arguments.iter().map(AsRef::as_ref)) {
        Ok(options) => {
            let ask = |request| Connection::ask(&options.socket, &request, session::TIMEOUT);
            // pam-bindings would make a failed login of it.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| what(&mut host, &ask)));
        }
        Err(bad) => host.log(Level::Error, &not_told(&bad)),
    }
}

/// The module has its own copy of the standard library, whose panic hook would print to the application's stderr and read
/// its environment. pam-bindings catches the panic itself.
fn silence_panics() {
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| panic::set_hook(Box::new(|_| {})));
}

fn texts(arguments: &[&CStr]) -> Vec<String> {
    arguments
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect()
}

/// Refuses because of an option that cannot be obeyed.
fn refuse(host: &mut impl Host, why: &dyn Display) -> PamResultCode {
    host.log(Level::Error, &messages::refused_for_options(why));
    // Not PAM_SERVICE_ERR: stacks with `service_err=ignore` are common, and would let people in.
    PamResultCode::PAM_AUTH_ERR
}
