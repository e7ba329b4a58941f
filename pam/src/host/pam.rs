//! The application behind libpam.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::fs;
use std::io::{self, IsTerminal};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;

use pam::constants::{
    PAM_ERROR_MSG, PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON, PAM_SILENT, PAM_TEXT_INFO,
};
use pam::constants::{PamFlag, PamMessageStyle, PamResultCode};
use pam::conv::Conv;
use pam::items::{AuthTok, Item, OldAuthTok, RHost, RUser, Service, Tty, User};
use pam::module::{PamHandle, PamResult};
use twofa_proto::{Confirm, Evidence, Secret, SessionProcess};

use super::evidence::{self, Asker};
use super::sanitize::{harmless, one_line};
use super::sshd;
use super::{Host, Level, Passed, Tone, Typed};
use crate::session;
use crate::sys;

/// The application that called the module with a PAM handle.
pub struct PamHost<'a> {
    handle: &'a mut PamHandle,
    silent: bool,
    debug: bool,
    is_sshd: OnceCell<bool>,
}

impl<'a> PamHost<'a> {
    /// The application that called with `handle` and `flags`.
    pub fn new(handle: &'a mut PamHandle, flags: PamFlag) -> Self {
        Self {
            handle,
            silent: flags & PAM_SILENT != 0,
            debug: false,
            is_sshd: OnceCell::new(),
        }
    }

    /// Sets whether [`Level::Debug`] is written.
    pub fn set_debug(&mut self, debug: bool) {
        self.debug = debug;
    }

    fn is_sshd(&self) -> bool {
        *self.is_sshd.get_or_init(sshd::is_sshd)
    }

    fn item<'i, T: Item<'i>>(&'i self) -> Option<T> {
        self.handle.get_item().ok().flatten()
    }

    /// The text of an item; `None` for an empty one.
    fn text<'i, T: Item<'i> + Deref<Target = &'i CStr>>(&'i self) -> Option<String> {
        self.item::<T>().and_then(|item| non_empty(&item))
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
        let name = self.item::<User<'_>>();
        name.is_some_and(|name| std::str::from_utf8(name.to_bytes()).is_err())
    }

    fn user_is_still(&self, user: &str) -> bool {
        self.item::<User<'_>>()
            .is_some_and(|now| now.to_bytes() == user.as_bytes())
    }

    fn service(&self) -> String {
        self.text::<Service<'_>>().unwrap_or_default()
    }

    fn remote_host(&self) -> Option<String> {
        self.text::<RHost<'_>>()
    }

    fn remote_user(&self) -> Option<String> {
        self.text::<RUser<'_>>()
    }

    fn terminal(&self) -> Option<String> {
        self.text::<Tty<'_>>()
    }

    fn cannot_answer(&self) -> bool {
        // sshd asks through a child process with the title "sshd: alice [pam]" (auth-pam.c, sshpam_thread). Its method
        // `password`, and the account phase after a public key, call us without that child and answer nothing.
        self.terminal().as_deref() == Some(TERMINAL_OF_SSHD)
            && self.is_sshd()
            && !fs::read("/proc/self/cmdline").is_ok_and(|title| has_title(&title, b"[pam]"))
    }

    fn ssh_auth_info(&self) -> Option<String> {
        // Nobody but sshd writes there before a session begins; pam_env(8) does later.
        sys::variable(self.handle, c"SSH_CONNECTION").filter(|_| self.is_sshd())?;
        sys::variable(self.handle, c"SSH_AUTH_INFO_0").filter(|info| !info.is_empty())
    }

    fn pam_folder(&self) -> Option<(u64, u64)> {
        fs::metadata("/etc/pam.d")
            .ok()
            .map(|folder| (folder.dev(), folder.ino()))
    }

    fn password(&self) -> Option<Typed> {
        let password = self.item::<AuthTok<'_>>()?;
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
            // Even with PAM_SILENT. sudo sets it, and a refusal without its reason (locked, not enrolled, no broker)
            // looks like a wrong password. pam_unix and pam_faillock obey it, and leave users of sudo guessing.
            Tone::Error => PAM_ERROR_MSG,
        };
        let _ = self.send(style, text);
    }

    fn evidence(&self, user: &str, confirms: Confirm) -> Option<Evidence> {
        let connection = self
            .is_sshd()
            .then(|| sys::variable(self.handle, c"SSH_CONNECTION"))
            .flatten();
        let ssh_auth_info = self.ssh_auth_info();
        let asker = Asker {
            user,
            service: &self.service(),
            remote_host: self.remote_host(),
            ssh_connection: connection.as_deref(),
            ssh_auth_info: ssh_auth_info.as_deref(),
            is_sshd: self.is_sshd(),
            confirms,
        };
        evidence::collect(&asker)
    }

    fn session_process(&self) -> Option<SessionProcess> {
        evidence::session_process()
    }

    fn has_terminal(&self) -> bool {
        self.terminal().is_some() && (self.is_sshd() || io::stdin().is_terminal())
    }

    fn limit_session(&mut self, seconds: u64) -> bool {
        let before = sys::session_limit(self.handle);
        let limit = session::lower_limit(before.as_deref(), seconds);
        if let Some(limit) = limit {
            sys::set_session_limit(self.handle, limit);
        }
        limit.is_some()
    }

    fn set_passed(&mut self, passed: Option<Passed>) {
        let is_somebody = passed.is_some();
        sys::set_passed(self.handle, passed);
        if is_somebody
            && self
                .handle
                .get_item::<OldAuthTok<'_>>()
                .is_ok_and(|old| old.is_none())
        {
            sys::set_old_password(self.handle, PASSED_IN_THIS_CALL);
        }
    }

    fn passed(&self) -> Option<&Passed> {
        sys::passed(self.handle)
    }

    fn passed_in_this_call(&self) -> bool {
        self.item::<OldAuthTok<'_>>()
            .is_some_and(|old| old.as_bytes() == PASSED_IN_THIS_CALL)
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

/// The value of `PAM_OLDAUTHTOK` from the line that passed to the end of that call of `pam_authenticate`, when libpam
/// clears it. No application can set it, and modules use it only to change passwords.
const PASSED_IN_THIS_CALL: &[u8] = b"pam_twofa: passed in this call";

/// Whether `arguments`, which setproctitle(3) may have overwritten, are a title with this ending.
fn has_title(arguments: &[u8], ending: &[u8]) -> bool {
    arguments
        .split(|byte| *byte == 0)
        .next()
        .is_some_and(|title| title.trim_ascii_end().ends_with(ending))
}

fn non_empty(item: &CStr) -> Option<String> {
    (!item.is_empty()).then(|| item.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::tests::Application;

    #[test]
    fn an_application_that_wants_silence_shows_why_it_refuses_and_nothing_else() {
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
    fn the_child_that_asks_for_sshd_is_recognised_by_its_title() {
        assert!(has_title(b"sshd: alice [pam]\0\0\0", b"[pam]"));
        assert!(has_title(b"sshd-session: alice [pam]\0-R\0", b"[pam]"));
        assert!(!has_title(b"sshd: alice [priv]\0[pam]\0", b"[pam]"));
        assert!(!has_title(b"", b"[pam]"));
    }

    #[test]
    fn an_empty_item_is_none() {
        assert_eq!(non_empty(c""), None);
        assert_eq!(non_empty(c"192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(non_empty(c"\xff").as_deref(), Some("\u{fffd}"));
    }
}
