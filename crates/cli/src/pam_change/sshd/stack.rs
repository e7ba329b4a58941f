//! sshd's PAM stack in which a key takes the place of the password: the recipe of `twofa-admin(7)` for keys and passwords.
//!
//! It serves where sshd accepts nothing but keys, too. After a key it asks for a code alone; without one, for the password
//! first, so that no setting of sshd's can turn it into a way in without either.

use twofa_stacks::change::logical_lines;

use super::block;

const KEY: &str = "pam_twofa.so proved";
const PERMIT: &str = "auth required pam_permit.so";
const CHALLENGE: &str = "account required pam_twofa.so challenge";

/// A file's text on its way to a stack that asks after a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pam_change) struct KeyStack {
    /// A key takes the place of the password, and no line in it asks for a code: nobody who gets in now is kept out,
    /// whatever sshd's settings are.
    pub(in crate::pam_change) neutral: String,
    /// The same, and a code is asked for.
    pub(in crate::pam_change) asking: String,
}

/// The stacks that a text without lines of twofa's could become, best first.
pub(in crate::pam_change) fn candidates(text: &str) -> Vec<KeyStack> {
    let lines = logical_lines(text);
    let auth: Vec<_> = (0..lines.len()).filter(|&at| is_auth(lines[at])).collect();
    let includes: Vec<_> = auth
        .iter()
        .filter_map(|&at| Some((at, included(lines[at])?)))
        .collect();
    let mut all = Vec::new();
    for (at, file) in &includes {
        let key = key_line(1);
        let instead = format!("{key}\nauth substack {file}\n{PERMIT}\n");
        let was = [lines[*at].replace("\\\n", " ").trim().to_owned()];
        all.push(vec![Edit::replace(*at, block::block(&was, &instead))]);
    }
    if let (true, Some(first), Some(last)) = (includes.is_empty(), auth.first(), auth.last()) {
        let key = format!("{}\n", key_line(auth.len()));
        all.push(vec![
            Edit::before(*first, block::block(&[], &key)),
            Edit::before(last + 1, block::block(&[], &format!("{PERMIT}\n"))),
        ]);
    }
    let first_account = lines.iter().position(|line| is_account(line));
    let Some(first_account) = first_account else {
        return Vec::new();
    };
    let challenge = Edit::before(first_account, block::block(&[], &format!("{CHALLENGE}\n")));
    all.into_iter()
        .map(|edits| KeyStack {
            neutral: edited(&lines, &edits),
            asking: edited(&lines, &[edits, vec![challenge.clone()]].concat()),
        })
        .collect()
}

/// Whether [`candidates`] has made the text what it is.
pub(in crate::pam_change) fn is_changed(text: &str) -> bool {
    block::has(text)
}

/// The way back from a [`KeyStack`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pam_change) struct Undoing {
    /// As [`KeyStack::neutral`].
    pub(in crate::pam_change) neutral: String,
    /// The text from before, with what others have changed since.
    pub(in crate::pam_change) original: String,
}

/// Undoes what [`candidates`] has made of a text.
pub(in crate::pam_change) fn undo(text: &str) -> Undoing {
    let replaced = block::replaced(text);
    let files: Vec<_> = replaced.iter().filter_map(|line| included(line)).collect();
    let is_ours = |line: &str| {
        let substack = line.strip_prefix("auth substack ");
        line == PERMIT
            || line == CHALLENGE
            || line.starts_with("auth [success=") && line.ends_with(KEY)
            || substack.is_some_and(|file| files.iter().any(|known| known == file))
    };
    let asks = |line: &&str| line.trim() != CHALLENGE;
    Undoing {
        neutral: text.split_inclusive('\n').filter(asks).collect(),
        original: block::strip(text, &is_ours),
    }
}

fn key_line(lines: usize) -> String {
    format!("auth [success={lines} default=ignore] {KEY}")
}

/// A place in a list of lines, whether the line there is replaced, and what comes there.
#[derive(Debug, Clone)]
struct Edit {
    at: usize,
    replaces: bool,
    text: String,
}

impl Edit {
    const fn before(at: usize, text: String) -> Self {
        Self {
            at,
            replaces: false,
            text,
        }
    }

    const fn replace(at: usize, text: String) -> Self {
        Self {
            at,
            replaces: true,
            text,
        }
    }
}

fn edited(lines: &[&str], edits: &[Edit]) -> String {
    let mut text = String::new();
    for at in 0..=lines.len() {
        for edit in edits.iter().filter(|edit| edit.at == at) {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&edit.text);
        }
        let is_replaced = edits.iter().any(|edit| edit.at == at && edit.replaces);
        if let (Some(line), false) = (lines.get(at), is_replaced) {
            text.push_str(line);
        }
    }
    text
}

fn first_word(line: &str) -> String {
    let word = line.split_whitespace().next().unwrap_or_default();
    word.trim_start_matches('-').to_ascii_lowercase()
}

fn is_auth(line: &str) -> bool {
    first_word(line) == "auth" || is_include_of(line, "auth")
}

fn is_account(line: &str) -> bool {
    first_word(line) == "account" || is_include_of(line, "account")
}

/// Debian's files for one phase are named after it.
fn is_include_of(line: &str, phase: &str) -> bool {
    let target = line.split_whitespace().nth(1).unwrap_or_default();
    first_word(line) == "@include" && target.ends_with(&format!("-{phase}"))
}

/// The file whose lines of `auth` a line includes.
fn included(line: &str) -> Option<String> {
    if is_include_of(line, "auth") {
        return line.split_whitespace().nth(1).map(str::to_owned);
    }
    let mut words = line.split_whitespace().skip(1);
    let control = words.next()?;
    let is_include = first_word(line) == "auth" && matches!(control, "include" | "substack");
    words.next().filter(|_| is_include).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "# Debian\n@include common-auth\naccount required pam_nologin.so\n@include common-account\n";
    const RED_HAT: &str =
        "auth substack password-auth\nauth include postlogin\naccount required pam_sepermit.so\n";
    const PLAIN: &str =
        "auth required pam_env.so\nauth requisite pam_unix.so\naccount required pam_unix.so\n";

    #[test]
    fn the_password_is_skipped_and_the_code_asked_for_in_account() {
        let found = &candidates(DEBIAN)[0];
        let expected = format!(
            "# Debian\n{}{}account required pam_nologin.so\n@include common-account\n",
            block::block(
                &["@include common-auth".to_owned()],
                "auth [success=1 default=ignore] pam_twofa.so proved\nauth substack common-auth\n\
                 auth required pam_permit.so\n"
            ),
            block::block(&[], "account required pam_twofa.so challenge\n"),
        );
        assert_eq!(found.asking, expected);
        assert!(!found.neutral.contains("challenge"));
        assert!(candidates(PLAIN)[0].asking.contains("[success=2 "));
        assert_eq!(candidates(RED_HAT).len(), 2);
    }

    #[test]
    fn the_way_back_leads_to_the_text_from_before() {
        for text in [DEBIAN, RED_HAT, PLAIN] {
            for there in candidates(text) {
                let back = undo(&there.asking);
                assert_eq!(back.original, text);
                assert!(!back.neutral.contains("challenge"));
            }
        }
    }

    #[test]
    fn lines_that_others_add_meanwhile_stay() {
        let mut text = candidates(DEBIAN)[0].asking.clone();
        text = text.replace("auth substack", "auth optional pam_echo.so\nauth substack");
        text.push_str("session required pam_limits.so\n");
        let expected = DEBIAN.replace(
            "@include common-auth\n",
            "@include common-auth\nauth optional pam_echo.so\n",
        ) + "session required pam_limits.so\n";
        assert_eq!(undo(&text).original, expected);
    }
}
