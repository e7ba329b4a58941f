//! Enrolling an app as an administrator does. The one place that knows the words of that dialogue.

use crate::codes::Authenticator;
use crate::machine::{Machine, quote};

pub(crate) fn app(machine: &Machine, user: &str) -> Authenticator {
    let mut terminal = machine.terminal(&format!("twofa enrol app --user {}", quote(user)));
    terminal.expect("Key:");
    let key = terminal.expect("\n");
    let mut app = Authenticator::new(&key);
    terminal.expect("code");
    terminal.type_line(&app.next_code());
    terminal.expect("enrolled");
    let status = terminal.expect_end();
    assert!(status.success(), "the enrolment fails at its end ({status}):\n{}", terminal.screen());
    app.backup_codes =
        terminal.screen().split_whitespace().filter(|word| is_backup_code(word)).map(str::to_owned).collect();
    app
}

/// Whether this is of the form `abcd-efgh-ijkm-npqr`.
fn is_backup_code(word: &str) -> bool {
    let groups: Vec<&str> = word.split('-').collect();
    let readable = |group: &&str| {
        group.len() == 4 && group.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
    };
    groups.len() == 4 && groups.iter().all(readable)
}

#[cfg(test)]
mod tests {
    use super::is_backup_code;

    #[test]
    fn a_backup_code_is_told_from_other_words() {
        assert!(is_backup_code("abcd-efgh-ijkm-npqr"));
        assert!(!is_backup_code("abcd-efgh-ijkm"));
        assert!(!is_backup_code("Keep-them-some-safe"));
    }
}
