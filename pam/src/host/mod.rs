//! The application and its user, as far as the module needs them: a trait, so that logins can be tested without PAM.
//!
//! - [`pam`]: the application behind libpam
//! - `evidence`: what root knows of the process that the login happens in
//! - `sshd`: whether that is sshd, and with which configuration
//! - `process_stat`: what the kernel says of a process
//! - `sanitize`: what may be shown and logged

mod evidence;
mod own_address;
pub mod pam;
mod process_stat;
mod sanitize;
mod sshd;

use twofa_proto::{Confirm, Evidence, Secret, SessionProcess, Verdict};
use zeroize::Zeroizing;

/// What a user typed: bytes, wiped when dropped.
pub type Typed = Zeroizing<Vec<u8>>;

/// The application that calls the module, and the terminal behind it.
pub trait Host {
    /// `PAM_USER`: who wants to log in; the application may ask for the name. `None` when there is none.
    fn user(&mut self) -> Option<String>;
    /// Whether there is a name that is not UTF-8, which no user known to the broker has.
    fn has_unreadable_user(&self) -> bool;
    /// Whether `PAM_USER` is still this name.
    fn user_is_still(&self, user: &str) -> bool;
    /// `PAM_SERVICE`
    fn service(&self) -> String;
    /// `PAM_RHOST`, if there is one.
    fn remote_host(&self) -> Option<String>;
    /// `PAM_RUSER`, if there is one.
    fn remote_user(&self) -> Option<String>;
    /// `PAM_TTY`, if there is one.
    fn terminal(&self) -> Option<String>;
    /// Whether the application is known to answer no prompt.
    fn cannot_answer(&self) -> bool;
    /// If this is sshd: what it has proved in this login (`SSH_AUTH_INFO_0`).
    fn ssh_auth_info(&self) -> Option<String>;
    /// Device and inode of `/etc/pam.d`.
    fn pam_folder(&self) -> Option<(u64, u64)>;
    /// `PAM_AUTHTOK`: the password an earlier module got.
    fn password(&self) -> Option<Typed>;
    /// Sets `PAM_AUTHTOK` for the modules that follow. Returns whether that worked.
    fn set_password(&mut self, password: &[u8]) -> bool;
    /// Asks the user; `None` when no answer comes back.
    fn prompt(&mut self, text: &str, echo: bool) -> Option<Typed>;
    /// Shows a text; [`Tone::Info`] is suppressed where the application asks for silence. A text that cannot be shown is no
    /// error.
    fn show(&mut self, tone: Tone, text: &str);
    /// What is known about the process that the login happens in; `None` where the application is not root. Less where the
    /// account phase only `confirms` what a login in `auth` has left.
    fn evidence(&self, user: &str, confirms: Confirm) -> Option<Evidence>;
    /// The process that opens or closes a session; `None` where the application is not root.
    fn session_process(&self) -> Option<SessionProcess>;
    /// Whether what is shown in the session phase reaches a terminal. sshd shows it if a shell is started on one.
    fn has_terminal(&self) -> bool;
    /// Lets the session that is about to begin last this many seconds at most. Returns whether that is the limit now, and no
    /// other module has set a shorter one.
    fn limit_session(&mut self, seconds: u64) -> bool;
    /// Records on this PAM handle who has passed; `None` for nobody.
    fn set_passed(&mut self, passed: Option<Passed>);
    /// Who has passed on this PAM handle.
    fn passed(&self) -> Option<&Passed>;
    /// Whether they passed in this call of `pam_authenticate`, at an earlier line of the stack.
    fn passed_in_this_call(&self) -> bool;
    /// Keeps a code for a later line of the stack, or drops it (`""`). Returns whether that worked.
    fn keep_code(&mut self, code: &str) -> bool;
    /// The code that an earlier line kept.
    fn kept_code(&self) -> Option<Secret>;
    /// Writes to the system log.
    fn log(&mut self, level: Level, text: &str);
}

/// Who has passed on a PAM handle, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The user.
    pub user: String,
    /// [`Verdict::Passed`], or [`Verdict::Trusted`].
    pub verdict: Verdict,
    /// Whether the account phase must ask the broker once more.
    pub confirm: Confirm,
}

/// The style of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// `PAM_TEXT_INFO`
    Info,
    /// `PAM_ERROR_MSG`
    Error,
}

/// The priority of a line in the log, by the numbers of syslog(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `LOG_ERR`: an administrator must do something.
    Error = 3,
    /// `LOG_WARNING`: the login continued, but something is wrong.
    Warning = 4,
    /// `LOG_NOTICE`: a user was refused.
    Notice = 5,
    /// `LOG_INFO`: a user passed.
    Info = 6,
    /// `LOG_DEBUG`: written with the option `debug` only.
    Debug = 7,
}
