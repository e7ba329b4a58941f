//! The machine whose files are read.

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    /// A file with this text. A directory counts as an empty file, as it does for libpam.
    Text(String),
    /// Nothing, or a dangling link.
    Missing,
    /// A file that the caller may not read. libpam, in another process, perhaps may.
    Unreadable,
}

/// The machine whose files are read.
pub trait Host {
    /// The file at an absolute path.
    fn read(&self, path: &str) -> File;

    /// Whether libpam has Debian's changes (`/etc/debian_version` exists): `@include`, and included files come from
    /// `/etc/pam.d` alone.
    fn debian(&self) -> bool;
}
