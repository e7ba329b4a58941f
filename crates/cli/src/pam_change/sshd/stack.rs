//! sshd's PAM stack in which a key takes the place of the password: the recipe of `twofa-admin(7)` for keys and passwords.
//!
//! It serves where sshd accepts nothing but keys, too. After a key it asks for a code alone; without one, for the password
//! first, so that no setting of sshd's can turn it into a way in without either.

use twofa_stacks::change::{Edit, edited};
use twofa_stacks::{FileLine, LineReading};

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
pub(in crate::pam_change) fn candidates(text: &str, reading: LineReading) -> Vec<KeyStack> {
    let lines = FileLine::all(text, reading);
    let auth: Vec<_> = lines.iter().filter(|line| is_of(line, "auth")).collect();
    let includes: Vec<_> = auth
        .iter()
        .filter_map(|line| Some((line, included_file(line)?)))
        .collect();
    let mut all = Vec::new();
    for (line, file) in &includes {
        let instead = format!("{}\nauth substack {file}\n{PERMIT}\n", key_line(1));
        let raw = text[line.bytes.clone()].trim();
        let was = if raw.contains('\n') {
            line.words.join(" ")
        } else {
            raw.to_owned()
        };
        let block = block::block(&[was], &instead);
        all.push(vec![Edit::replace(line.bytes.clone(), block)]);
    }
    if let (true, Some(first), Some(last)) = (includes.is_empty(), auth.first(), auth.last()) {
        let key = format!("{}\n", key_line(auth.len()));
        let permit = format!("{PERMIT}\n");
        all.push(vec![
            Edit::insert(first.bytes.start, block::block(&[], &key)),
            Edit::insert(last.bytes.end, block::block(&[], &permit)),
        ]);
    }
    let Some(first_account) = lines.iter().find(|line| is_of(line, "account")) else {
        return Vec::new();
    };
    let challenge = block::block(&[], &format!("{CHALLENGE}\n"));
    let challenge = Edit::insert(first_account.bytes.start, challenge);
    all.into_iter()
        .map(|edits| KeyStack {
            neutral: edited(text, edits.clone()),
            asking: edited(text, [edits, vec![challenge.clone()]].concat()),
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
    let replaced = FileLine::all(&replaced.join("\n"), LineReading::Unknown);
    let files: Vec<_> = replaced.iter().filter_map(included_file).collect();
    let is_ours = |line: &str| {
        let substack = line.strip_prefix("auth substack ");
        line == PERMIT
            || line == CHALLENGE
            || line.starts_with("auth [success=") && line.ends_with(KEY)
            || substack.is_some_and(|file| files.contains(&file))
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

/// Whether a line is of a phase: by its type, or because it includes one of Debian's files, which are named after theirs.
fn is_of(line: &FileLine, phase: &str) -> bool {
    let shared = line.included_by_debian();
    line.kind() == phase || shared.is_some_and(|file| file.ends_with(&format!("-{phase}")))
}

/// The file whose lines of `auth` a line includes.
fn included_file(line: &FileLine) -> Option<&str> {
    if !is_of(line, "auth") {
        return None;
    }
    line.included_by_debian().or_else(|| line.included())
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
        let found = &candidates(DEBIAN, LineReading::Unknown)[0];
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
        assert!(
            candidates(PLAIN, LineReading::Unknown)[0]
                .asking
                .contains("[success=2 ")
        );
        assert_eq!(candidates(RED_HAT, LineReading::Unknown).len(), 2);
    }

    #[test]
    fn the_way_back_leads_to_the_text_from_before() {
        for text in [DEBIAN, RED_HAT, PLAIN] {
            for there in candidates(text, LineReading::Unknown) {
                let back = undo(&there.asking);
                assert_eq!(back.original, text);
                assert!(!back.neutral.contains("challenge"));
            }
        }
    }

    #[test]
    fn lines_that_others_add_meanwhile_stay() {
        let mut text = candidates(DEBIAN, LineReading::Unknown)[0].asking.clone();
        text = text.replace("auth substack", "auth optional pam_echo.so\nauth substack");
        text.push_str("session required pam_limits.so\n");
        let expected = DEBIAN.replace(
            "@include common-auth\n",
            "@include common-auth\nauth optional pam_echo.so\n",
        ) + "session required pam_limits.so\n";
        assert_eq!(undo(&text).original, expected);
    }

    #[test]
    fn a_backslash_in_a_comment_continues_no_line() {
        for (lines, skip) in [(PLAIN, "[success=2 "), (DEBIAN, "[success=1 ")] {
            let text = format!("# \\\n{}", lines.replace('\n', " # \\\n"));
            for reading in [LineReading::UpTo15, LineReading::Since16] {
                let found = &candidates(&text, reading)[0];
                assert!(found.neutral.contains(skip), "{}", found.neutral);
                assert_eq!(undo(&found.asking).original, text);
            }
        }
    }
}
