//! Enrolling an app, as an administrator or during login. The one place that knows the texts of that conversation.

use crate::codes::Authenticator;
use crate::machine::{Machine, quote};
use crate::terminal::Terminal;

pub(crate) fn app(machine: &Machine, user: &str) -> Authenticator {
    app_on(machine.terminal(&format!("twofa enrol app --user {}", quote(user))))
}

/// Gives `user` a token that counts, and returns `number` of its codes, none of which has been used.
pub(crate) fn token(machine: &Machine, user: &str, number: usize) -> Vec<String> {
    let user = quote(user);
    let mut terminal = machine.terminal(&format!("twofa enrol app --type hotp --user {user}"));
    terminal.expect("Key:");
    let key = terminal.expect("\n").replace(char::is_whitespace, "");
    let codes = format!("oathtool --hotp --window={number} --base32 {key}");
    let codes = machine.run(&codes).ok().stdout;
    let mut codes = codes.lines().map(str::to_owned);
    terminal.expect("code it shows: ");
    terminal.type_line(&codes.next().expect("the first code"));
    save_backup_codes(&mut terminal);
    terminal.expect("enrolled");
    assert!(terminal.expect_end().success(), "{}", terminal.screen());
    codes.collect()
}

/// Completes the enrolment that `terminal` shows.
pub(crate) fn app_on(mut terminal: Terminal) -> Authenticator {
    let app = enrol_on(&mut terminal);
    terminal.expect("enrolled");
    let status = terminal.expect_end();
    assert!(
        status.success(),
        "the enrolment fails at its end ({status}):\n{}",
        terminal.screen()
    );
    app
}

/// Reads the key from the enrolment that `terminal` shows, types the first code, and confirms that the backup codes have
/// been saved.
pub fn enrol_on(terminal: &mut Terminal) -> Authenticator {
    terminal.expect("Key:");
    let key = terminal.expect("\n");
    let mut app = Authenticator::new(&key);
    terminal.expect("code it shows: ");
    terminal.type_line(&app.next_code());
    app.backup_codes = save_backup_codes(terminal);
    app
}

/// Reads the backup codes that `terminal` shows next and confirms that they have been saved.
pub fn save_backup_codes(terminal: &mut Terminal) -> Vec<String> {
    let shown = terminal.expect("type the last four characters of code ");
    let codes: Vec<String> = shown
        .split_whitespace()
        .filter(|word| is_backup_code(word))
        .map(str::to_owned)
        .collect();
    let number: usize = terminal
        .expect(": ")
        .trim_end_matches(": ")
        .parse()
        .unwrap();
    let asked = &codes[number - 1];
    terminal.type_line(&asked[asked.len() - 4..]);
    codes
}

/// Whether this has the form `abcd-efgh-ijkm-npqr`.
fn is_backup_code(word: &str) -> bool {
    let groups: Vec<&str> = word.split('-').collect();
    let readable = |group: &&str| {
        group.len() == 4
            && group
                .bytes()
                .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
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
