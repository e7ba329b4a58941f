//! What is known of programs by the names of their services.

/// Services whose programs run with the real user of the person who asks. Elsewhere, a call by root means nothing: sshd
/// and login run as root for everyone.
const ASKS_FOR_ITSELF: [&str; 17] = [
    "su",
    "su-l",
    "runuser",
    "runuser-l",
    "sudo",
    "sudo-i",
    "doas",
    "chfn",
    "chsh",
    "passwd",
    "chpasswd",
    "chage",
    "newusers",
    "useradd",
    "usermod",
    "userdel",
    "groupmod",
];

/// Whether the program of a service runs with the real user of the person who asks.
pub(crate) fn asks_for_itself(service: &str) -> bool {
    ASKS_FOR_ITSELF.contains(&service)
}
