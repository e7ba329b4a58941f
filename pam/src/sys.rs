//! All that is unsafe: the entry points, what pam-bindings lacks of libpam, and what a child process
//! needs before it may become the broker.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use pam::items::ItemType;
use pam::module::PamHandle;
use zeroize::Zeroizing;

use crate::Module;

pam::pam_hooks!(Module);

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_syslog(handle: *const PamHandle, priority: c_int, format: *const c_char, ...);
    fn pam_set_item(handle: *mut PamHandle, item: c_int, value: *const c_void) -> c_int;
}

const PAM_SUCCESS: c_int = 0;

/// Writes `text` to the system log, as the facility `authpriv`. Ends at a NUL.
pub fn log(handle: &PamHandle, priority: c_int, text: String) {
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: the handle is libpam's own, and the format takes exactly the one C string that it is given.
    unsafe { pam_syslog(handle, priority, c"%s".as_ptr(), text.as_ptr()) };
}

/// Sets `PAM_AUTHTOK`; libpam copies it. pam-bindings can read it only.
pub fn set_password(handle: &mut PamHandle, password: &[u8]) -> bool {
    let mut terminated = Zeroizing::new(Vec::with_capacity(password.len() + 1));
    terminated.extend_from_slice(password);
    terminated.push(0);
    let Ok(password) = CStr::from_bytes_with_nul(&terminated) else { return false };
    // SAFETY: the handle is libpam's own; PAM_AUTHTOK takes a C string, which outlives the call.
    let code = unsafe { pam_set_item(handle, ItemType::AuthTok as c_int, password.as_ptr().cast()) };
    code == PAM_SUCCESS
}

/// Under this name the handle keeps who has passed, as a `String`.
const PASSED: &str = "pam_twofa_passed";

/// Notes on the handle who has passed. A note that cannot be kept is asked for again, so that is no failure.
pub fn set_passed(handle: &mut PamHandle, user: &str) {
    let _ = handle.set_data(PASSED, Box::new(user.to_owned()));
}

/// Who has passed on this handle.
pub fn passed(handle: &PamHandle) -> Option<&str> {
    // SAFETY: only `set_passed` writes under this name, and it writes a `String`.
    unsafe { handle.get_data::<String>(PASSED) }.ok().map(String::as_str)
}

/// `SIGCHLD` has its default effect as long as this lives: where the application ignores it the kernel
/// would reap our child before us, and the application's handler would reap it instead of us.
///
/// The setting is the whole process's. The first that comes keeps the application's and the last that
/// goes puts it back.
pub struct DefaultSigchld(());

struct Kept {
    holders: usize,
    before: Option<SigAction>,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { holders: 0, before: None });

impl DefaultSigchld {
    /// Until it is dropped.
    pub fn hold() -> io::Result<Self> {
        let mut kept = kept();
        if kept.holders == 0 {
            let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
            // SAFETY: SIG_DFL is no handler, so none runs in a context it is not fit for.
            kept.before = Some(unsafe { sigaction(Signal::SIGCHLD, &default) }?);
        }
        kept.holders += 1;
        Ok(Self(()))
    }
}

impl Drop for DefaultSigchld {
    fn drop(&mut self) {
        let mut kept = kept();
        kept.holders -= 1;
        if kept.holders == 0
            && let Some(before) = kept.before.take()
        {
            // SAFETY: this is what the application itself had installed.
            let _ = unsafe { sigaction(Signal::SIGCHLD, &before) };
        }
    }
}

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets `command` start with nothing of the application's: no open file above 2, no signal ignored or
/// blocked, no terminal whose keys reach it (it learns from its socket that the login is over), and a
/// umask that the user has not chosen.
pub fn isolate(command: &mut Command) {
    // SAFETY: what runs between fork and exec must be async-signal-safe, for another thread of the
    // application may have held any lock. `become_clean` makes system calls only and does not allocate.
    unsafe { command.pre_exec(become_clean) };
}

fn become_clean() -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: SIG_DFL is no handler.
        unsafe { sigaction(signal, &default) }?;
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    // Fails for the leader of a group only, which a process just forked is not.
    nix::unistd::setsid()?;
    // SAFETY: umask(2) cannot fail and touches no memory.
    unsafe { libc::umask(0o077) };
    close_on_exec();
    Ok(())
}

/// Marks all files above 2, rather than closing them: the standard library reports through one of them that
/// exec failed.
fn close_on_exec() {
    /// No application has more open, and without a bound an unlimited `RLIMIT_NOFILE` would take minutes.
    const MOST_FILES: libc::c_long = 65_536;

    // SAFETY: close_range(2) takes three numbers and with this flag closes nothing before exec.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done != 0 {
        // A kernel before 5.11.
        // SAFETY: sysconf(3) takes a number.
        let open_max = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) };
        let most = c_int::try_from(open_max.clamp(256, MOST_FILES)).unwrap_or(256);
        for fd in 3..most {
            // SAFETY: F_SETFD takes a number; a file that is not open is an error without effect.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}
