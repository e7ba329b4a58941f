//! The application and its user, as far as the module needs them: a trait, so that the conversation can
//! be tested without PAM, and libpam behind it.

use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::MetadataExt;

use pam::constants::{
    PAM_ERROR_MSG, PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON, PAM_SILENT, PAM_TEXT_INFO,
};
use pam::constants::{PamFlag, PamMessageStyle, PamResultCode};
use pam::conv::Conv;
use pam::items::{AuthTok, OldAuthTok, RHost, RUser, Service, Tty, User};
use pam::module::{PamHandle, PamResult};
use twofa_proto::Secret;
use zeroize::Zeroizing;

use crate::sys;

/// What came from a keyboard: bytes, and wiped.
pub type Typed = Zeroizing<Vec<u8>>;

/// Who calls the module, and the terminal behind it.
pub trait Host {
    /// Who wants to log in; the application may ask for it. `None` when there is no such name.
    fn user(&mut self) -> Option<String>;
    /// Whether there is a name after all, one that is not UTF-8: nobody's that the broker knows.
    fn has_unreadable_user(&self) -> bool;
    /// Whether `PAM_USER` is this name still.
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
    /// What sshd says it has proved so far in this login, if this is sshd.
    fn ssh_auth_info(&self) -> Option<String>;
    /// Device and inode of `/etc/pam.d`.
    fn pam_folder(&self) -> Option<(u64, u64)>;
    /// `PAM_AUTHTOK`: the password an earlier module got.
    fn password(&self) -> Option<Typed>;
    /// Sets `PAM_AUTHTOK` for the modules that follow; says whether that worked.
    fn set_password(&mut self, password: &[u8]) -> bool;
    /// Asks; `None` when no answer comes back.
    fn prompt(&mut self, text: &str, echo: bool) -> Option<Typed>;
    /// Shows a text, or does not: an application that wants silence is spared [`Tone::Info`]. That it may not
    /// be seen is no failure.
    fn show(&mut self, tone: Tone, text: &str);
    /// Notes on this PAM handle who has passed; nobody (`""`) at first.
    fn set_passed(&mut self, user: &str);
    /// Who has passed on this PAM handle.
    fn passed(&self) -> Option<&str>;
    /// Whether that was in this very call of `pam_authenticate`, by an earlier line of the stack.
    fn passed_in_this_call(&self) -> bool;
    /// Keeps a code for a later line of the stack, or forgets it (`""`); says whether that worked.
    fn keep_code(&mut self, code: &str) -> bool;
    /// The code that an earlier line kept.
    fn kept_code(&self) -> Option<Secret>;
    /// Writes to the system log.
    fn log(&mut self, level: Level, text: &str);
}

/// How a text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// `PAM_TEXT_INFO`
    Info,
    /// `PAM_ERROR_MSG`
    Error,
}

/// How much a line in the log matters: the numbers of syslog(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `LOG_ERR`: an administrator must do something.
    Error = 3,
    /// `LOG_WARNING`: it went on, but not as it should.
    Warning = 4,
    /// `LOG_NOTICE`: somebody was refused.
    Notice = 5,
    /// `LOG_INFO`: somebody passed.
    Info = 6,
    /// `LOG_DEBUG`: only with `debug`.
    Debug = 7,
}

/// The real one.
pub struct PamHost<'a> {
    handle: &'a mut PamHandle,
    silent: bool,
    debug: bool,
}

impl<'a> PamHost<'a> {
    /// The application that called with this handle and these flags.
    pub fn new(handle: &'a mut PamHandle, flags: PamFlag) -> Self {
        Self {
            handle,
            silent: flags & PAM_SILENT != 0,
            debug: false,
        }
    }

    /// Whether [`Level::Debug`] is written.
    pub fn set_debug(&mut self, debug: bool) {
        self.debug = debug;
    }

    fn send(&self, style: PamMessageStyle, text: &str) -> PamResult<Option<Typed>> {
        let conversation: Conv<'_> = self.handle.get_item()?.ok_or(PamResultCode::PAM_CONV_ERR)?;
        let answer = conversation.send(style, &harmless(text))?;
        Ok(answer.map(|answer| Typed::new(answer.as_bytes().to_vec())))
    }
}

impl Host for PamHost<'_> {
    fn user(&mut self) -> Option<String> {
        self.handle
            .get_user(None)
            .ok()
            .filter(|user| !user.is_empty())
    }

    fn has_unreadable_user(&self) -> bool {
        let name = self.handle.get_item::<User<'_>>().ok().flatten();
        name.is_some_and(|name| std::str::from_utf8(name.to_bytes()).is_err())
    }

    fn user_is_still(&self, user: &str) -> bool {
        matches!(self.handle.get_item::<User<'_>>(), Ok(Some(now)) if now.to_bytes() == user.as_bytes())
    }

    fn service(&self) -> String {
        self.handle
            .get_item::<Service<'_>>()
            .ok()
            .flatten()
            .and_then(|item| text(item.0))
            .unwrap_or_default()
    }

    fn remote_host(&self) -> Option<String> {
        self.handle
            .get_item::<RHost<'_>>()
            .ok()
            .flatten()
            .and_then(|item| text(item.0))
    }

    fn remote_user(&self) -> Option<String> {
        self.handle
            .get_item::<RUser<'_>>()
            .ok()
            .flatten()
            .and_then(|item| text(item.0))
    }

    fn terminal(&self) -> Option<String> {
        self.handle
            .get_item::<Tty<'_>>()
            .ok()
            .flatten()
            .and_then(|item| text(item.0))
    }

    fn cannot_answer(&self) -> bool {
        // sshd asks through a child of its own, which it names "sshd: alice [pam]" (auth-pam.c, sshpam_thread). Its method
        // `password`, and the account phase behind a key, call us without that child and answer nothing.
        self.terminal().as_deref() == Some(TERMINAL_OF_SSHD)
            && is_sshd()
            && !fs::read("/proc/self/cmdline").is_ok_and(|title| has_title(&title, b"[pam]"))
    }

    fn ssh_auth_info(&self) -> Option<String> {
        // Nobody but sshd writes there before a session begins; pam_env(8) does later.
        sys::variable(self.handle, c"SSH_CONNECTION").filter(|_| is_sshd())?;
        sys::variable(self.handle, c"SSH_AUTH_INFO_0").filter(|info| !info.is_empty())
    }

    fn pam_folder(&self) -> Option<(u64, u64)> {
        fs::metadata("/etc/pam.d")
            .ok()
            .map(|folder| (folder.dev(), folder.ino()))
    }

    fn password(&self) -> Option<Typed> {
        let password = self.handle.get_item::<AuthTok<'_>>().ok().flatten()?;
        Some(Typed::new(password.as_bytes().to_vec()))
    }

    fn set_password(&mut self, password: &[u8]) -> bool {
        sys::set_password(self.handle, password)
    }

    fn prompt(&mut self, text: &str, echo: bool) -> Option<Typed> {
        self.send(
            if echo {
                PAM_PROMPT_ECHO_ON
            } else {
                PAM_PROMPT_ECHO_OFF
            },
            text,
        )
        .ok()
        .flatten()
    }

    fn show(&mut self, tone: Tone, text: &str) {
        let style = match tone {
            Tone::Info if self.silent => return,
            Tone::Info => PAM_TEXT_INFO,
            // PAM_SILENT or not. sudo sets it, and a refusal without its reason (locked, not enrolled, no broker)
            // looks like a wrong password. pam_unix and pam_faillock obey it, and leave sudo's users to guess.
            Tone::Error => PAM_ERROR_MSG,
        };
        let _ = self.send(style, text);
    }

    fn set_passed(&mut self, user: &str) {
        sys::set_passed(self.handle, user);
        if !user.is_empty()
            && self
                .handle
                .get_item::<OldAuthTok<'_>>()
                .is_ok_and(|old| old.is_none())
        {
            sys::set_old_password(self.handle, PASSED_IN_THIS_CALL);
        }
    }

    fn passed(&self) -> Option<&str> {
        sys::passed(self.handle)
    }

    fn passed_in_this_call(&self) -> bool {
        let old = self.handle.get_item::<OldAuthTok<'_>>().ok().flatten();
        old.is_some_and(|old| old.as_bytes() == PASSED_IN_THIS_CALL)
    }

    fn keep_code(&mut self, code: &str) -> bool {
        sys::keep_code(self.handle, code)
    }

    fn kept_code(&self) -> Option<Secret> {
        sys::kept_code(self.handle).map(Secret::from)
    }

    fn log(&mut self, level: Level, text: &str) {
        if level != Level::Debug || self.debug {
            sys::log(self.handle, level as i32, one_line(text));
        }
    }
}

/// What sshd sets as `PAM_TTY`.
const TERMINAL_OF_SSHD: &str = "ssh";

/// Stands in `PAM_OLDAUTHTOK` from the line that passed to the end of that call of `pam_authenticate`, when libpam clears
/// it. No application can set it, and modules use it to change passwords only.
const PASSED_IN_THIS_CALL: &[u8] = b"pam_twofa: passed in this call";

/// Whether the program we are in is sshd, which is three programs since 9.8 and 10.0.
fn is_sshd() -> bool {
    let program = fs::read_link("/proc/self/exe").unwrap_or_default();
    let name = program
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    // A program that was replaced since it started (proc(5)).
    matches!(
        name.trim_end_matches(" (deleted)"),
        "sshd" | "sshd-session" | "sshd-auth"
    )
}

/// Whether a process that overwrote its arguments (setproctitle(3)) has a title that ends so.
fn has_title(arguments: &[u8], ending: &[u8]) -> bool {
    arguments
        .split(|byte| *byte == 0)
        .next()
        .is_some_and(|title| title.trim_ascii_end().ends_with(ending))
}

/// An item's text; an empty one says nothing.
fn text(item: &CStr) -> Option<String> {
    (!item.is_empty()).then(|| item.to_string_lossy().into_owned())
}

/// The text without a character that could end a line of the log, or make it read as another.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            line.extend(c.escape_default())
        } else {
            line.push(c)
        }
    }
    line
}

/// The text without a character that could steer a terminal or end a C string. It may hold names that
/// strangers chose, and a key.
fn harmless(text: &str) -> Zeroizing<String> {
    // No character gets longer, so none of it is left behind in a smaller buffer.
    let mut harmless = Zeroizing::new(String::with_capacity(text.len()));
    harmless.extend(text.chars().map(|c| {
        if steers(c) && !matches!(c, '\n' | '\t') {
            '?'
        } else {
            c
        }
    }));
    harmless
}

/// Controls, line separators, and what is not seen but turns or hides what is.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::tests::Application;

    #[test]
    fn nothing_that_is_logged_can_start_a_line_of_its_own() {
        assert_eq!(
            one_line("a\nb\r\0\x1b[2J\u{85}ü"),
            r"a\nb\r\u{0}\u{1b}[2J\u{85}ü"
        );
        assert_eq!(
            one_line("a\u{2028}b\u{202e}c\u{feff}"),
            r"a\u{2028}b\u{202e}c\u{feff}"
        );
    }

    #[test]
    fn nothing_that_is_shown_can_steer_a_terminal_and_a_qr_code_is_left_whole() {
        assert_eq!(
            *harmless("a\0b\x1b[2J\u{9b}1m\r\u{202e}c\u{2066}\u{200b}"),
            "a?b?[2J?1m??c??"
        );
        let qr = "Scan this:\n█▀▄ ü\t•••• 4567\n";
        assert_eq!(*harmless(qr), qr);
    }

    #[test]
    fn an_application_that_wants_silence_is_told_why_it_is_refused_and_nothing_else() {
        for (flags, heard) in [
            (
                0,
                vec![(PAM_TEXT_INFO, "Hello."), (PAM_ERROR_MSG, "Locked.")],
            ),
            (PAM_SILENT, vec![(PAM_ERROR_MSG, "Locked.")]),
        ] {
            let mut application = Application::new();
            let mut host = PamHost::new(application.handle(), flags);
            host.show(Tone::Info, "Hello.");
            host.show(Tone::Error, "Locked.");
            let heard: Vec<_> = heard
                .into_iter()
                .map(|(style, text)| (style, text.to_owned()))
                .collect();
            assert_eq!(application.heard(), heard);
        }
    }

    #[test]
    fn the_child_that_asks_for_sshd_is_told_by_its_title() {
        assert!(has_title(b"sshd: alice [pam]\0\0\0", b"[pam]"));
        assert!(has_title(b"sshd-session: alice [pam]\0-R\0", b"[pam]"));
        assert!(!has_title(b"sshd: alice [priv]\0[pam]\0", b"[pam]"));
        assert!(!has_title(b"", b"[pam]"));
    }

    #[test]
    fn an_empty_item_says_nothing() {
        assert_eq!(text(c""), None);
        assert_eq!(text(c"192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(text(c"\xff").as_deref(), Some("\u{fffd}"));
    }
}
