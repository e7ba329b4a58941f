//! Accounts in `/etc/passwd`: sshd has settings of its own for root.

use std::fs;

use twofa_broker::identity::accounts::is_person;

pub(super) fn is_root(user: &str) -> bool {
    roots().iter().any(|name| name == user)
}

/// The first account of a person that is not `person`.
pub(super) fn somebody_else(person: &str) -> Option<String> {
    let mut names = account_names(is_person).into_iter();
    names.find(|name| name != person)
}

/// The names of uid 0.
pub(super) fn roots() -> Vec<String> {
    let names = account_names(|uid| uid == 0);
    if names.is_empty() {
        vec!["root".to_owned()]
    } else {
        names
    }
}

/// The names in `/etc/passwd` whose uid is meant.
fn account_names(is_meant: impl Fn(u32) -> bool) -> Vec<String> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        is_meant(fields.nth(1)?.parse().ok()?).then(|| name.to_owned())
    };
    passwd.lines().filter_map(name).collect()
}
