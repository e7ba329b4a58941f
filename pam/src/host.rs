//! The application and its user, as far as the module needs them: a trait, so that the conversation can
//! be tested without PAM, and libpam behind it.

use std::ffi::CStr;

use pam::constants::{PAM_ERROR_MSG, PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON, PAM_SILENT, PAM_TEXT_INFO};
use pam::constants::{PamFlag, PamMessageStyle, PamResultCode};
use pam::conv::Conv;
use pam::items::{AuthTok, RHost, Service, Tty, User};
use pam::module::{PamHandle, PamResult};
use zeroize::Zeroizing;

use crate::sys;

/// What came from a keyboard: bytes, and wiped.
pub type Typed = Zeroizing<Vec<u8>>;

/// Who calls the module, and the terminal behind it.
pub trait Host {
    /// Who wants to log in; the application may ask for it. `None` when there is no such name.
    fn user(&mut self) -> Option<String>;
    /// Whether `PAM_USER` is this name still.
    fn user_is_still(&self, user: &str) -> bool;
    /// `PAM_SERVICE`
    fn service(&self) -> String;
    /// `PAM_RHOST`, if there is one.
    fn remote_host(&self) -> Option<String>;
    /// `PAM_TTY`, if there is one.
    fn terminal(&self) -> Option<String>;
    /// `PAM_AUTHTOK`: the password an earlier module got.
    fn password(&self) -> Option<Typed>;
    /// Sets `PAM_AUTHTOK` for the modules that follow; says whether that worked.
    fn set_password(&mut self, password: &[u8]) -> bool;
    /// Asks; `None` when no answer comes back.
    fn prompt(&mut self, text: &str, echo: bool) -> Option<Typed>;
    /// Shows a text. That it may not be seen is no failure.
    fn show(&mut self, tone: Tone, text: &str);
    /// Notes on this PAM handle who has passed; nobody (`""`) at first.
    fn set_passed(&mut self, user: &str);
    /// Who has passed on this PAM handle.
    fn passed(&self) -> Option<&str>;
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
        Self { handle, silent: flags & PAM_SILENT != 0, debug: false }
    }

    /// Whether [`Level::Debug`] is written.
    pub fn set_debug(&mut self, debug: bool) {
        self.debug = debug;
    }

    fn send(&self, style: PamMessageStyle, text: &str) -> PamResult<Option<Typed>> {
        let conversation: Conv<'_> = self.handle.get_item()?.ok_or(PamResultCode::PAM_CONV_ERR)?;
        // C text ends at a NUL. The text may hold a key.
        let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| *c != '\0').collect());
        let answer = conversation.send(style, &text)?;
        Ok(answer.map(|answer| Typed::new(answer.as_bytes().to_vec())))
    }
}

impl Host for PamHost<'_> {
    fn user(&mut self) -> Option<String> {
        self.handle.get_user(None).ok().filter(|user| !user.is_empty())
    }

    fn user_is_still(&self, user: &str) -> bool {
        matches!(self.handle.get_item::<User<'_>>(), Ok(Some(now)) if now.to_bytes() == user.as_bytes())
    }

    fn service(&self) -> String {
        self.handle.get_item::<Service<'_>>().ok().flatten().and_then(|item| text(item.0)).unwrap_or_default()
    }

    fn remote_host(&self) -> Option<String> {
        self.handle.get_item::<RHost<'_>>().ok().flatten().and_then(|item| text(item.0))
    }

    fn terminal(&self) -> Option<String> {
        self.handle.get_item::<Tty<'_>>().ok().flatten().and_then(|item| text(item.0))
    }

    fn password(&self) -> Option<Typed> {
        let password = self.handle.get_item::<AuthTok<'_>>().ok().flatten()?;
        Some(Typed::new(password.as_bytes().to_vec()))
    }

    fn set_password(&mut self, password: &[u8]) -> bool {
        sys::set_password(self.handle, password)
    }

    fn prompt(&mut self, text: &str, echo: bool) -> Option<Typed> {
        self.send(if echo { PAM_PROMPT_ECHO_ON } else { PAM_PROMPT_ECHO_OFF }, text).ok().flatten()
    }

    fn show(&mut self, tone: Tone, text: &str) {
        if !self.silent {
            let style = match tone {
                Tone::Info => PAM_TEXT_INFO,
                Tone::Error => PAM_ERROR_MSG,
            };
            let _ = self.send(style, text);
        }
    }

    fn set_passed(&mut self, user: &str) {
        sys::set_passed(self.handle, user);
    }

    fn passed(&self) -> Option<&str> {
        sys::passed(self.handle)
    }

    fn log(&mut self, level: Level, text: &str) {
        if level != Level::Debug || self.debug {
            sys::log(self.handle, level as i32, one_line(text));
        }
    }
}

/// An item's text; an empty one says nothing.
fn text(item: &CStr) -> Option<String> {
    (!item.is_empty()).then(|| item.to_string_lossy().into_owned())
}

/// The text without a character that could end a line of the log, or forge one.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_logged_can_start_a_line_of_its_own() {
        assert_eq!(one_line("a\nb\r\0\x1b[2J\u{85}ü"), r"a\nb\r\u{0}\u{1b}[2J\u{85}ü");
    }

    #[test]
    fn an_empty_item_says_nothing() {
        assert_eq!(text(c""), None);
        assert_eq!(text(c"192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(text(c"\xff").as_deref(), Some("\u{fffd}"));
    }
}
