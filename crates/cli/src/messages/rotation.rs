//! Words about keys that are replaced.

use twofa_broker::admin::rotation::KeyRotation;

pub(crate) const NOT_FINISHED: &str = "the old key is still needed; nothing was changed";
pub(crate) const BACKUPS: &str = "backups of the store that were made before the rotation can be opened only with \
                                  /etc/twofa/secret.key of then: keep the copy that was made with them";
pub(crate) const DROPPED: &str = "\
    The old key was removed from this machine. Back up /etc/twofa/secret.key.\n\
    Next: systemctl try-restart twofad.service twofad-server.service, so that running programs forget it; and run this \
    command on every other server.\n";
pub(crate) const NOTHING_TO_DROP: &str =
    "This machine has one key only: there is nothing to remove.\n";

pub(crate) fn added(number: u32) -> String {
    format!("Added key {number} to /etc/twofa/secret.key. Back up that file now.\n")
}

pub(crate) fn sealed(many: u64, number: u32) -> String {
    format!(
        "Everything is encrypted with key {number} ({many} values were not).\nNext: twofa fleet rotate key finish\n"
    )
}

pub(crate) fn other_servers(names: &[String]) -> String {
    let mut text = String::from(
        "Other servers must have the key before it is used. For each of them, run the first command here and the second \
         there:\n",
    );
    for name in names {
        text.push_str("  twofa server add ");
        text.push_str(name);
        text.push_str(" --again\n  twofa server join\n");
    }
    text.push_str("Then run 'twofa fleet rotate key start' again.\n");
    text
}

pub(crate) const fn yes_or_no(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// Which servers lack the newest key or have an old one; empty: none.
pub(crate) fn servers(found: &KeyRotation) -> String {
    let mut text = String::new();
    for (names, what) in [
        (&found.without_newest, "do not have the newest key"),
        (&found.with_older, "still have an old key"),
    ] {
        if !names.is_empty() {
            text.push_str("Servers that ");
            text.push_str(what);
            text.push_str(": ");
            text.push_str(&names.join(", "));
            text.push('\n');
        }
    }
    text
}

pub(crate) fn not_in_force(number: u32, without: &[String]) -> String {
    if without.is_empty() {
        format!("key {number} is not used yet")
    } else {
        format!("servers do not have key {number}: {}", without.join(", "))
    }
}

pub(crate) fn left(values: u64) -> String {
    format!("{values} values are encrypted with an old key")
}
