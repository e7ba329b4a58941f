//! Why a service cannot be used, and why the model may be wrong about one.

/// Why no program can use a service: `pam_start` fails, and nobody gets in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Neither the service nor `other` has a file.
    #[error("there is no file for the service, and no 'other'")]
    NoFile,
    /// A file ends in a backslash.
    #[error("{0} ends inside a continued line")]
    Unfinished(String),
    /// `@include` of a file that does not exist.
    #[error("{file}:{line}: @include of a file that is not there")]
    NothingToInclude {
        /// The file with the line.
        file: String,
        /// The number of that line, from 1.
        line: usize,
    },
}

/// Why the model may be wrong. Every question is then answered with the worst case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// A file that could not be read.
    #[error("{0} cannot be read")]
    Unreadable(String),
    /// Versions of Linux-PAM read this file in different ways.
    #[error("{0} has a line that versions of Linux-PAM read in different ways")]
    Disputed(String),
    /// Includes nest too deeply, or the lines are too many.
    #[error("{0} includes too much")]
    TooDeep(String),
}

impl Doubt {
    /// The file it is about.
    pub fn file(&self) -> &str {
        match self {
            Self::Unreadable(file) | Self::Disputed(file) | Self::TooDeep(file) => file,
        }
    }
}
