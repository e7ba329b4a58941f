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

/// How libpam splits a file into lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineReading {
    /// Linux-PAM up to 1.5: a line is cut after 1023 bytes, and what is left of it is a line of its own, even of a comment.
    /// Empty lines and comments do not end a continuation.
    UpTo15,
    /// Linux-PAM since 1.6.
    Since16,
    /// Either. Where the two differ, there is a [`Doubt`](crate::Doubt).
    #[default]
    Unknown,
}

impl LineReading {
    /// That of a `libpam.so.0`: up to 1.5 it reads lines with fgets(3), since 1.6 with getline(3).
    pub fn of_library(library: &[u8]) -> Self {
        let names = |function: &[u8]| {
            let mut parts = library.windows(function.len());
            parts.any(|part| part == function)
        };
        if names(b"\0fgets\0") || names(b"\0__fgets_chk\0") {
            Self::UpTo15
        } else if names(b"\0getline\0") || names(b"\0__getdelim\0") {
            Self::Since16
        } else {
            Self::Unknown
        }
    }
}

/// The machine whose files are read.
pub trait Host {
    /// The file at an absolute path.
    fn read(&self, path: &str) -> File;

    /// Whether libpam has Debian's changes (`/etc/debian_version` exists): `@include`, and included files come from
    /// `/etc/pam.d` alone.
    fn debian(&self) -> bool;

    /// How libpam splits a file into lines.
    fn line_reading(&self) -> LineReading {
        LineReading::Unknown
    }
}
