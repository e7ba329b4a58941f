//! What is known about the programs that use PAM services.

use super::finding::RootService;

/// Services by which people become root, and how that is typed. runuser(1) is root's own.
pub(super) const ROOT_BY: [RootService; 6] = [
    root("sudo", "sudo"),
    root("sudo-i", "sudo -i"),
    root("polkit-1", "pkexec, run0"),
    root("doas", "doas"),
    root("su", "su"),
    root("su-l", "su -"),
];

const fn root(service: &'static str, typed: &'static str) -> RootService {
    RootService { service, typed }
}

/// Programs with a single field, which answer every question with the password that was typed there.
const ONE_FIELD: [&str; 18] = [
    "i3lock",
    "swaylock",
    "waylock",
    "gtklock",
    "physlock",
    "xlock",
    "xsecurelock",
    "sxlock",
    "sddm",
    "lxdm",
    "slim",
    "xdm",
    "xrdp-sesman",
    "vsftpd",
    "proftpd",
    "pure-ftpd",
    "dovecot",
    "smtp",
];

/// Files that others include and no program asks for.
const SHARED: [&str; 10] = [
    "other",
    "postlogin",
    "system-login",
    "system-local-login",
    "system-remote-login",
    "system-services",
    "fingerprint-auth",
    "smartcard-auth",
    "config-util",
    "passkey-auth",
];

/// What editors and package managers leave behind.
const LEFT_OVER: [&str; 10] = [
    "~", ".bak", ".orig", ".old", ".save", ".swp", ".rpmsave", ".rpmnew", ".rpmorig", ".pam-old",
];

pub(super) fn has_one_field(service: &str) -> bool {
    ONE_FIELD.contains(&service)
}

/// Whether a line in this file is one for every service.
pub(super) fn is_shared(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    let begins = ["common-", "system-auth", "password-auth"]
        .iter()
        .any(|begin| name.starts_with(begin));
    begins || SHARED.contains(&name)
}

/// Whether a program could ask for this file as its service.
pub(in crate::admin) fn is_service(name: &str) -> bool {
    let left_over = LEFT_OVER.iter().any(|end| name.ends_with(end))
        || name.contains(".dpkg-")
        || name.contains(".ucf-");
    let reachable =
        !name.starts_with('.') && !name.contains(|letter: char| letter.is_ascii_uppercase());
    reachable && !left_over && !is_shared(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftover_and_shared_files_are_not_services() {
        for name in ["sshd", "sudo-i", "polkit-1", "gdm-password", "vmtoolsd"] {
            assert!(is_service(name), "{name}");
        }
        for name in [
            "sshd.rpmsave",
            "sshd.dpkg-old",
            "su~",
            "sshd.ucf-dist",
            ".sshd.swp",
            "common-auth",
            "system-auth-ac",
            "password-auth",
            "other",
            "SSHD",
        ] {
            assert!(!is_service(name), "{name}");
        }
    }
}
