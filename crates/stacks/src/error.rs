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
    /// A module without a name, such as `/lib/security/`.
    #[error("{file}:{line}: the module has no name")]
    NamelessModule {
        /// The file with the line.
        file: String,
        /// The number of that line, from 1.
        line: usize,
    },
    /// `include` without a name, which ends every program with Debian's libpam.
    #[error("{file}:{line}: the name of the file to include is missing")]
    NoName {
        /// The file with the line.
        file: String,
        /// The number of that line, from 1.
        line: usize,
    },
    /// Files that include each other, which ends every program with Linux-PAM up to 1.5.
    #[error("{file}:{line}: an include of a file that includes this one")]
    Loop {
        /// The file with the line.
        file: String,
        /// The number of that line, from 1.
        line: usize,
    },
    /// A continued line of exactly 1023 bytes, at which Linux-PAM up to 1.5 never ends.
    #[error("{file}:{line}: libpam never gets to the end of this line")]
    Endless {
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
    /// Files that include each other.
    #[error("{file}:{line}: an include of a file that includes this one")]
    Loop {
        /// The file with the line.
        file: String,
        /// The number of that line, from 1.
        line: usize,
    },
}

impl Doubt {
    /// The file it is about.
    pub fn file(&self) -> &str {
        match self {
            Self::Unreadable(file)
            | Self::Disputed(file)
            | Self::TooDeep(file)
            | Self::Loop { file, .. } => file,
        }
    }
}
