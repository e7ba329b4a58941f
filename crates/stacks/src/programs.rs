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

/// Screen lockers: some of them never call `account`, or ignore its result.
const LOCKERS: [&str; 17] = [
    "i3lock",
    "swaylock",
    "waylock",
    "gtklock",
    "hyprlock",
    "physlock",
    "xlock",
    "xsecurelock",
    "sxlock",
    "vlock",
    "kde",
    "xscreensaver",
    "xfce4-screensaver",
    "mate-screensaver",
    "cinnamon-screensaver",
    "gnome-screensaver",
    "light-locker",
];

/// Whether a service is a screen locker's, so that `auth` alone counts.
pub fn is_locker(service: &str) -> bool {
    LOCKERS.contains(&service)
}

/// Whether the program of a service runs with the real user of the person who asks.
pub(crate) fn asks_for_itself(service: &str) -> bool {
    ASKS_FOR_ITSELF.contains(&service)
}
