//! The lines of one file as libpam reads them, and where each is, for those who change the file.

use std::ops::Range;

use crate::host::LineReading;
use crate::module::is_own;
use crate::text::{Words, lines};

/// A line of a file in `/etc/pam.d`: its continuations are joined, and comments are no part of its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    /// The words of the line; what brackets hold together is one.
    pub words: Vec<String>,
    /// The bytes of the file that the line is read from, its last newline included.
    pub bytes: Range<usize>,
}

impl FileLine {
    /// The lines of a file, in order. Comments and empty lines are none.
    pub fn all(text: &str, reading: LineReading) -> Vec<Self> {
        let all = lines(text, reading).all.into_iter();
        all.map(|line| Self {
            words: Words::new(&line.text).collect(),
            bytes: line.bytes,
        })
        .collect()
    }

    /// The type of the line in lower case, without a `-` before it, or `@include`.
    pub fn kind(&self) -> String {
        let kind = self.words.first().map_or("", String::as_str);
        kind.strip_prefix('-').unwrap_or(kind).to_ascii_lowercase()
    }

    /// The file of which Debian's `@include` takes all lines.
    pub fn included_by_debian(&self) -> Option<&str> {
        let file = self.words.get(1)?;
        (self.kind() == "@include").then_some(file)
    }

    /// The file of which `include` or `substack` takes the lines of this type.
    pub fn included(&self) -> Option<&str> {
        let control = self.words.get(1)?.to_ascii_lowercase();
        let file = self.words.get(2)?;
        matches!(control.as_str(), "include" | "substack").then_some(file)
    }

    /// Whether the line calls twofa's module.
    pub fn is_own(&self) -> bool {
        let module = self.words.get(2);
        self.included().is_none() && module.is_some_and(|module| is_own(module))
    }

    /// Whether an argument of the module is this one.
    pub fn has_argument(&self, argument: &str) -> bool {
        self.words.iter().skip(3).any(|word| word == argument)
    }
}
