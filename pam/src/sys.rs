//! Everything unsafe: the entry points, the functions of libpam that pam-bindings lacks, signal dispositions, and what
//! prepares a child process to become the broker.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask,
};
use pam::items::ItemType;
use pam::module::PamHandle;
use zeroize::Zeroizing;

use crate::host::Passed;

/// What libpam calls: the functions of `pam_sm_authenticate(3)` and its like, which this macro exports.
pub struct Module;

pam::pam_hooks!(Module);

/// An ELF note (elf(5)) with the version of this file, by which `twofa doctor` compares installed modules without loading
/// them. Other notes of the module are the linker's.
#[repr(C, align(4))]
struct VersionNote {
    name_size: u32,
    text_size: u32,
    kind: u32,
    name: [u8; 8],
    text: [u8; VERSION_SIZE],
}

/// Of the version with a NUL, rounded up to words.
const VERSION_SIZE: usize = (env!("CARGO_PKG_VERSION").len() + 1).next_multiple_of(4);

// SAFETY: the section is one for notes, and this is one: `Nhdr`, its name and its text, each of whole words.
#[allow(clippy::cast_possible_truncation)] // a version has a few characters
#[used]
#[unsafe(link_section = ".note.twofa.version")]
static VERSION_NOTE: VersionNote = VersionNote {
    name_size: 6,
    text_size: VERSION_SIZE as u32,
    kind: 1,
    name: *b"twofa\0\0\0",
    text: padded(env!("CARGO_PKG_VERSION").as_bytes()),
};

const fn padded(version: &[u8]) -> [u8; VERSION_SIZE] {
    let mut text = [0; VERSION_SIZE];
    let (start, _) = text.split_at_mut(version.len());
    start.copy_from_slice(version);
    text
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_syslog(handle: *const PamHandle, priority: c_int, format: *const c_char, ...);
    fn pam_set_item(handle: *mut PamHandle, item: c_int, value: *const c_void) -> c_int;
    fn pam_getenv(handle: *mut PamHandle, name: *const c_char) -> *const c_char;
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
    set_secret(handle, ItemType::AuthTok, password)
}

/// Sets `PAM_OLDAUTHTOK`, which libpam clears when `pam_authenticate` begins and ends (`_pam_sanitize` in `pam_auth.c`).
pub fn set_old_password(handle: &mut PamHandle, text: &[u8]) -> bool {
    set_secret(handle, ItemType::OldAuthTok, text)
}

fn set_secret(handle: &mut PamHandle, item: ItemType, secret: &[u8]) -> bool {
    let mut terminated = Zeroizing::new(Vec::with_capacity(secret.len() + 1));
    terminated.extend_from_slice(secret);
    terminated.push(0);
    let Ok(secret) = CStr::from_bytes_with_nul(&terminated) else {
        return false;
    };
    // SAFETY: the handle is libpam's own; the two items this is called with take a C string, which outlives the call.
    let code = unsafe { pam_set_item(handle, item as c_int, secret.as_ptr().cast()) };
    code == PAM_SUCCESS
}

/// A variable of the PAM environment, which is not that of the process.
pub fn variable(handle: &PamHandle, name: &CStr) -> Option<String> {
    let handle = std::ptr::from_ref(handle).cast_mut();
    // SAFETY: the handle is libpam's own, and pam_getenv(3) only reads it; the name is a C string.
    let value = unsafe { pam_getenv(handle, name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: a C string that stands until the variable changes, which nothing does here.
    let value = unsafe { CStr::from_ptr(value) };
    Some(value.to_string_lossy().into_owned())
}

/// The name under which the handle keeps who has passed, as an `Option<Passed>`.
const PASSED: &str = "pam_twofa_passed";

/// Records on the handle who has passed. Failing to is no error: the user is asked once more.
pub fn set_passed(handle: &mut PamHandle, passed: Option<Passed>) {
    let _ = handle.set_data(PASSED, Box::new(passed));
}

/// Who has passed on this handle.
pub fn passed(handle: &PamHandle) -> Option<&Passed> {
    // SAFETY: only `set_passed` writes under this name, and it writes an `Option<Passed>`.
    unsafe { handle.get_data::<Option<Passed>>(PASSED) }
        .ok()
        .and_then(Option::as_ref)
}

/// Under this name the handle keeps the code that came with a password, as a `Zeroizing<String>`.
const CODE: &str = "pam_twofa_code";

/// Keeps a code for a later line of the stack; an empty one means none. It is wiped with the handle.
pub fn keep_code(handle: &mut PamHandle, code: &str) -> bool {
    handle
        .set_data(CODE, Box::new(Zeroizing::new(code.to_owned())))
        .is_ok()
}

/// The code that was kept.
pub fn kept_code(handle: &PamHandle) -> Option<&str> {
    // SAFETY: only `keep_code` writes under this name, and it writes a `Zeroizing<String>`.
    let code = unsafe { handle.get_data::<Zeroizing<String>>(CODE) }.ok()?;
    Some(code.as_str()).filter(|code| !code.is_empty())
}

/// The name under which `pam_systemd(8)` finds how long a session may last, as a C string.
const SESSION_LIMIT: &str = "systemd.runtime_max_sec";
/// Room for the digits of a number of seconds and a NUL.
const LIMIT_BYTES: usize = 21;

/// What a module before this one has set as the limit of the session.
pub fn session_limit(handle: &PamHandle) -> Option<String> {
    // SAFETY: pam_systemd(8) reads what is stored under this name as a C string, so every writer stores one. Its
    // first byte is there even if it is empty.
    let first: &c_char = unsafe { handle.get_data(SESSION_LIMIT) }.ok()?;
    // SAFETY: as above; it stays valid until it is replaced, and it is copied before that.
    let limit = unsafe { CStr::from_ptr(first) };
    Some(limit.to_string_lossy().into_owned())
}

/// Sets the limit of the session. A failure is not an error, because the sweep ends the session.
pub fn set_session_limit(handle: &mut PamHandle, seconds: u64) {
    let mut text = Box::new([0_u8; LIMIT_BYTES]);
    for (byte, digit) in text.iter_mut().zip(seconds.to_string().bytes()) {
        *byte = digit;
    }
    let _ = handle.set_data(SESSION_LIMIT, text);
}

/// Gives `SIGCHLD` its default effect, and returns what the application had installed.
pub fn default_sigchld() -> nix::Result<SigAction> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: SIG_DFL is no handler, so none runs in a context it is not fit for.
    unsafe { sigaction(Signal::SIGCHLD, &default) }
}

/// Gives `SIGCHLD` the effect that [`default_sigchld`] returned.
pub fn restore_sigchld(before: &SigAction) {
    // SAFETY: this is what the application itself had installed.
    let _ = unsafe { sigaction(Signal::SIGCHLD, before) };
}

/// Lets `command` start with nothing of the application's: no open file above 2, no signal ignored or
/// blocked, no terminal whose keys reach it (its socket tells it that the login is over), and a
/// umask that the user has not chosen.
pub fn isolate(command: &mut Command) {
    // SAFETY: what runs between fork and exec must be async-signal-safe, for another thread of the
    // application may have held any lock. `become_clean` makes system calls only and does not allocate.
    unsafe { command.pre_exec(become_clean) };
}

fn become_clean() -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in
        Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP))
    {
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

/// Marks all files above 2 instead of closing them: through one of them the standard library reports that exec
/// failed.
fn close_on_exec() {
    /// Files above this number stay open in the broker. Only a program that has raised its limit can have some,
    /// and trying every number below an unlimited `RLIMIT_NOFILE` would take minutes; listing /proc/self/fd
    /// would allocate.
    const MOST_FILES: libc::c_long = 65_536;

    // SAFETY: close_range(2) takes three numbers and with this flag closes nothing before exec.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if done != 0 {
        // A kernel before 5.11, or a sandbox that knows none later.
        // SAFETY: sysconf(3) takes a number.
        let open_max = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) };
        let most = c_int::try_from(open_max.clamp(256, MOST_FILES)).unwrap_or(256);
        for fd in 3..most {
            // SAFETY: F_SETFD takes a number; a file that is not open is an error without effect.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use pam::constants::{PamFlag, PamMessageStyle, PamResultCode};
    use std::process::Stdio;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, OnceLock};
    use std::{env, fs, ptr};

    #[link(name = "pam")]
    unsafe extern "C" {
        fn pam_start_confdir(
            service: *const c_char,
            user: *const c_char,
            conversation: *const Conversation,
            directory: *const c_char,
            handle: *mut *mut PamHandle,
        ) -> c_int;
        fn pam_end(handle: *mut PamHandle, status: c_int) -> c_int;
    }

    /// `struct pam_message`
    #[repr(C)]
    struct Message {
        style: c_int,
        text: *const c_char,
    }

    /// `struct pam_conv`
    #[repr(C)]
    struct Conversation {
        converse: unsafe extern "C" fn(
            c_int,
            *const *const Message,
            *mut *mut c_void,
            *mut c_void,
        ) -> c_int,
        /// A `Mutex<Heard>`.
        heard: *const c_void,
    }

    type Heard = Vec<(PamMessageStyle, String)>;

    /// An application of the real libpam; it records what it is given to show.
    pub struct Application {
        handle: *mut PamHandle,
        heard: Box<Mutex<Heard>>,
    }

    impl Application {
        pub fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            fs::write(
                directory.path().join("service"),
                "auth required pam_permit.so\n",
            )
            .unwrap();
            let path = CString::new(directory.path().to_str().unwrap()).unwrap();
            let heard = Box::new(Mutex::new(Vec::new()));
            let conversation = Conversation {
                converse,
                heard: (&raw const *heard).cast(),
            };
            let mut handle = ptr::null_mut();
            // SAFETY: all are C strings and places that outlive the call, and libpam copies the conversation. What
            // that points to is in a box that goes after the handle.
            let code = unsafe {
                let (service, alice) = (c"service".as_ptr(), c"alice".as_ptr());
                pam_start_confdir(
                    service,
                    alice,
                    &raw const conversation,
                    path.as_ptr(),
                    &raw mut handle,
                )
            };
            assert_eq!(code, PAM_SUCCESS);
            Self { handle, heard }
        }

        pub fn handle(&mut self) -> &mut PamHandle {
            // SAFETY: pam_start has made it, it lives until `drop`, and nothing else has it.
            unsafe { &mut *self.handle }
        }

        pub fn heard(&self) -> Heard {
            self.heard.lock().unwrap().clone()
        }
    }

    impl Drop for Application {
        fn drop(&mut self) {
            // SAFETY: pam_start has made it, and this is its end.
            unsafe { pam_end(self.handle, PAM_SUCCESS) };
        }
    }

    unsafe extern "C" fn converse(
        count: c_int,
        messages: *const *const Message,
        responses: *mut *mut c_void,
        heard: *mut c_void,
    ) -> c_int {
        assert_eq!(count, 1);
        // SAFETY: libpam hands over one message, a place for the responses, and what `new` put beside us.
        unsafe {
            let message = &**messages;
            let text = CStr::from_ptr(message.text).to_str().unwrap().to_owned();
            (*heard.cast::<Mutex<Heard>>())
                .lock()
                .unwrap()
                .push((message.style, text));
            *responses = ptr::null_mut();
        }
        PAM_SUCCESS
    }

    /// What an application does that does not care about its children.
    pub fn ignore_sigchld() {
        let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        // SAFETY: SIG_IGN is no handler.
        unsafe { sigaction(Signal::SIGCHLD, &ignore) }.unwrap();
    }

    /// What an application does that has a handler; `heard` counts its calls.
    pub fn handle_sigchld(heard: &'static AtomicUsize) {
        static HEARD: OnceLock<&AtomicUsize> = OnceLock::new();
        extern "C" fn count(_signal: c_int) {
            if let Some(heard) = HEARD.get() {
                heard.fetch_add(1, Ordering::Relaxed);
            }
        }
        HEARD.set(heard).unwrap();
        let handle = SigAction::new(
            SigHandler::Handler(count),
            SaFlags::SA_RESTART,
            SigSet::empty(),
        );
        // SAFETY: the handler only reads what was set before and counts, which is async-signal-safe.
        unsafe { sigaction(Signal::SIGCHLD, &handle) }.unwrap();
    }

    /// In a process of its own, because it silences panics.
    const PANICKING: &str = "sys::tests::panicking_on_request";
    const REQUEST: &str = "PAM_TWOFA_TEST_PANICS";

    #[test]
    fn panicking_on_request() {
        if env::var_os(REQUEST).is_none() {
            return;
        }
        let mut application = Application::new();
        let handle: *mut PamHandle = application.handle();
        // SAFETY: the handle is libpam's own and there are no arguments.
        let code = unsafe {
            pam::macros::invoke_hook(handle, 0, ptr::null(), |handle, arguments| {
                crate::enter(handle, &arguments, PamFlag::default(), |_, _, _| {
                    panic!("this must not be seen")
                })
            })
        };
        assert_eq!(code, PamResultCode::PAM_ABORT);
    }

    #[test]
    fn a_panic_refuses_and_prints_nothing() {
        let run = Command::new(env::current_exe().unwrap())
            .args(["--exact", PANICKING, "--nocapture"])
            .env(REQUEST, "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
        assert!(
            !said.contains("this must not be seen") && run.stderr.is_empty(),
            "{said}"
        );
    }
}
