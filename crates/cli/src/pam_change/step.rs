//! A step of a change: one file.

/// Where files from before a change are kept: root's own. `/var/lib/twofa` is not: it belongs to the user twofa.
pub(super) const FOLDER: &str = "/var/backups/twofa-pam";
/// The administrator's PAM files.
pub(super) const OWN: &str = "/etc/pam.d";
/// What Debian's services share in `auth`.
pub(super) const COMMON_AUTH: &str = "/etc/pam.d/common-auth";
/// The module's file.
pub(super) const MODULE: &str = "pam_twofa.so";

/// A file that changes.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) path: String,
    /// `None`: there is no file.
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
    /// The file whose owner, mode and label the new one gets.
    pub(super) like: String,
}
