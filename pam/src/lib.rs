//! `pam_twofa.so`: a terminal for the broker, inside the program that somebody logs in with.
//!
//! The module decides nothing. It asks the broker (`twofad`) about a login, shows what it is told to show,
//! returns what is typed, and turns the broker's verdict into a PAM code. Whatever goes wrong on the way is
//! a refusal.
//!
//! - [`conversation`]: what is shown and asked, and the one place where a verdict becomes a code
//! - [`broker`]: its socket, and for root without one, `twofad --stdio`
//! - `child`: that process, which the application may take for its own
//! - [`options`]: the arguments in `/etc/pam.d`; one that cannot be obeyed refuses every login
//! - [`split`]: a password and the code behind it, taken apart
//! - [`host`]: the application, as a trait and as libpam
//! - `sys`: everything unsafe
//!
//! # In other people's programs
//!
//! sshd, su, a display manager: the module starts no thread, prints nothing, reads and sets no environment,
//! keeps no file open, and has `SIGCHLD` its own way only while a broker starts or ends. A panic is caught at the entry points and refuses.
//!
//! # Password and code in one
//!
//! For clients with a single field. With `forward_pass`, `use_first_pass` or `try_first_pass` the code
//! stands behind the password: the module takes it off ([`split`]), leaves the password in `PAM_AUTHTOK` for
//! the modules that follow (`pam_unix.so try_first_pass`), and sends the broker the code only.
//!
//! How many digits a code has comes with the broker's prompt, and it sends that number when the login was
//! opened with `behind_password`. So `forward_pass` and `use_first_pass` open it that way, and
//! `try_first_pass` does only if what `PAM_AUTHTOK` ends in may be a code; if that is refused, it puts
//! `PAM_AUTHTOK` back and opens a second conversation, as it does at once when there is no such ending: a
//! prompt for the code alone. A password of its own that ends in six digits thus costs a counted guess at each
//! login, so `try_first_pass` is for stacks where password and code are expected together.
//!
//! Each prompt that carries the number is answered with what is split off. Where nothing splits off, the
//! broker is sent a dash, which it reads as no code: it refuses or asks again, counts no guess, and no
//! password leaves the process.
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
mod child;
pub mod conversation;
pub mod host;
pub mod options;
pub mod split;
#[allow(unsafe_code)]
mod sys;

use std::ffi::CStr;
use std::panic;
use std::sync::Once;

use pam::constants::{PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};

use crate::broker::Broker;
use crate::host::{Host, Level, PamHost};
use crate::options::Options;

/// The entry points of pam(3).
pub struct Module;

impl PamHooks for Module {
    fn sm_authenticate(
        handle: &mut PamHandle,
        arguments: Vec<&CStr>,
        flags: PamFlag,
    ) -> PamResultCode {
        enter(handle, &arguments, flags, |host, options, line| {
            if options.challenge {
                return refuse(host, "option \"challenge\" belongs to an account line");
            }
            conversation::login(host, options.code, line, |host, request| {
                Broker::reach(host, &options.socket, request)
            })
        })
    }

    /// The account phase, which an application comes to when the first factor was right, or was shown by other means
    /// (sshd by public key).
    fn acct_mgmt(handle: &mut PamHandle, arguments: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        enter(handle, &arguments, flags, |host, options, line| {
            conversation::account(host, options.challenge, line, |host, request| {
                Broker::reach(host, &options.socket, request)
            })
        })
    }

    /// There are no credentials to set; anything but success would fail the login.
    fn sm_setcred(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_SUCCESS
    }

    /// How long a session may live will be set here.
    fn sm_open_session(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_SUCCESS
    }

    fn sm_close_session(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_SUCCESS
    }

    /// Passwords are other modules' business.
    fn sm_chauthtok(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_IGNORE
    }
}

/// Runs `check` with the options, if they can be obeyed.
fn enter(
    handle: &mut PamHandle,
    arguments: &[&CStr],
    flags: PamFlag,
    check: impl FnOnce(&mut PamHost<'_>, &Options, &[String]) -> PamResultCode,
) -> PamResultCode {
    // The module has a standard library of its own, and with it a hook that would print to the
    // application's stderr and read its environment. pam-bindings catches the panic itself.
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| panic::set_hook(Box::new(|_| {})));

    let mut host = PamHost::new(handle, flags);
    let arguments: Vec<_> = arguments
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    match Options::parse(arguments.iter().map(AsRef::as_ref)) {
        Ok(options) => {
            host.set_debug(options.debug);
            check(&mut host, &options, &arguments)
        }
        Err(bad) => refuse(&mut host, &bad.to_string()),
    }
}

/// Refuses for an option that cannot be obeyed.
fn refuse(host: &mut impl Host, why: &str) -> PamResultCode {
    host.log(
        Level::Error,
        &format!("every login is refused until this is put right: {why}"),
    );
    // Not PAM_SERVICE_ERR: stacks with `service_err=ignore` are common, and would let people in.
    PamResultCode::PAM_AUTH_ERR
}
