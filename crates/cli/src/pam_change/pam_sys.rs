//! A login through libpam, as an application makes one. All unsafe code of the command line is here: libpam has a C interface.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use nix::libc;
use zeroize::Zeroizing;

/// Who answers libpam's questions.
pub(super) trait Conversation {
    /// The answer to a question; `None`: there is none, and the login fails.
    fn answer(&mut self, prompt: &str, echo: bool) -> Option<Zeroizing<String>>;
    /// Shows a text.
    fn show(&mut self, text: &str);
}

const PAM_SUCCESS: c_int = 0;
const PAM_BUF_ERR: c_int = 5;
const PAM_CONV_ERR: c_int = 19;
const PAM_PROMPT_ECHO_OFF: c_int = 1;
const PAM_PROMPT_ECHO_ON: c_int = 2;
/// The least that `PAM_MAX_NUM_MSG` may be.
const MOST_MESSAGES: c_int = 32;

enum Handle {}

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

#[repr(C)]
struct Conv {
    converse:
        unsafe extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int,
    data: *mut c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conv,
        handle: *mut *mut Handle,
    ) -> c_int;
    fn pam_authenticate(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_strerror(handle: *mut Handle, code: c_int) -> *const c_char;
    fn pam_end(handle: *mut Handle, status: c_int) -> c_int;
}

/// Runs `auth` and then `account` of a service. The error is libpam's text.
pub(super) fn log_in(
    service: &str,
    user: &str,
    conversation: &mut dyn Conversation,
) -> Result<(), String> {
    let text = |text: &str| CString::new(text).map_err(|_| "a name has a NUL".to_owned());
    let (service, user) = (text(service)?, text(user)?);
    let mut conversation = conversation;
    let conv = Conv {
        converse,
        data: ptr::from_mut(&mut conversation).cast(),
    };
    let mut handle = ptr::null_mut();
    // SAFETY: the strings are C strings. libpam copies `conv`; what `data` leads to outlives the handle, which ends below.
    let mut code = unsafe {
        pam_start(
            service.as_ptr(),
            user.as_ptr(),
            &raw const conv,
            &raw mut handle,
        )
    };
    if handle.is_null() {
        return Err(format!("libpam cannot start: error {code}"));
    }
    if code == PAM_SUCCESS {
        // SAFETY: the handle is libpam's own, and is not used by anything else.
        code = unsafe { pam_authenticate(handle, 0) };
    }
    if code == PAM_SUCCESS {
        // SAFETY: as above.
        code = unsafe { pam_acct_mgmt(handle, 0) };
    }
    // SAFETY: libpam returns a C string that lasts, or NULL in older versions.
    let error = unsafe {
        let text = pam_strerror(handle, code);
        if text.is_null() {
            format!("error {code}")
        } else {
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    };
    // SAFETY: the handle is used no more.
    unsafe { pam_end(handle, code) };
    if code == PAM_SUCCESS {
        Ok(())
    } else {
        Err(error)
    }
}

/// Called by libpam with `count` messages. The answers are memory of malloc(3), which the modules wipe and free.
unsafe extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    if !(1..=MOST_MESSAGES).contains(&count) || messages.is_null() || responses.is_null() {
        return PAM_CONV_ERR;
    }
    let count = count.unsigned_abs() as usize;
    // SAFETY: `data` is what `log_in` has passed to pam_start, and nothing else uses it while libpam runs.
    let conversation = unsafe { &mut *data.cast::<&mut dyn Conversation>() };
    // SAFETY: calloc(3) returns zeroed room for `count` responses, or NULL.
    let answers = unsafe { libc::calloc(count, size_of::<Response>()) }.cast::<Response>();
    if answers.is_null() {
        return PAM_BUF_ERR;
    }
    for at in 0..count {
        // SAFETY: libpam passes an array of `count` pointers to messages.
        let (style, text) = unsafe {
            let message = &**messages.add(at);
            (message.style, message.text)
        };
        // Other messages, such as PAM_BINARY_PROMPT, have no C string.
        if !(1..=4).contains(&style) || text.is_null() {
            // SAFETY: `answers` has `count` responses, whose texts are NULL or of strndup(3).
            unsafe { free(answers, count) };
            return PAM_CONV_ERR;
        }
        // SAFETY: messages of these four styles are C strings.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
        let is_question = matches!(style, PAM_PROMPT_ECHO_OFF | PAM_PROMPT_ECHO_ON);
        if !is_question {
            conversation.show(&text);
            continue;
        }
        let answer = conversation.answer(&text, style == PAM_PROMPT_ECHO_ON);
        let copy = answer.and_then(|answer| duplicate(&answer));
        let Some(copy) = copy else {
            // SAFETY: `answers` has `count` responses, whose texts are NULL or of strndup(3).
            unsafe { free(answers, count) };
            return PAM_CONV_ERR;
        };
        // SAFETY: `at` is less than `count`.
        unsafe { (*answers.add(at)).text = copy };
    }
    // SAFETY: libpam passes where the answers go, and takes them over.
    unsafe { *responses = answers };
    PAM_SUCCESS
}

/// `answer` as a C string of malloc(3); `None` if it has a NUL, or there is no memory.
fn duplicate(answer: &str) -> Option<*mut c_char> {
    if answer.contains('\0') {
        return None;
    }
    // SAFETY: strndup(3) reads at most that many bytes, all of `answer`, and adds the NUL.
    let copy = unsafe { libc::strndup(answer.as_ptr().cast(), answer.len()) };
    (!copy.is_null()).then_some(copy)
}

/// Wipes and frees what [`converse`] has made.
unsafe fn free(answers: *mut Response, count: usize) {
    for at in 0..count {
        // SAFETY: the caller says that there are `count` responses, with texts of strndup(3) or NULL.
        unsafe {
            let text = (*answers.add(at)).text;
            if !text.is_null() {
                libc::explicit_bzero(text.cast(), libc::strlen(text));
                libc::free(text.cast());
            }
        }
    }
    // SAFETY: of calloc(3), and used no more.
    unsafe { libc::free(answers.cast()) };
}
