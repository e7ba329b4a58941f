//! A file of answers as text, and the changes that follow from it.

use std::ops::Range;
use std::path::Path;

use twofa_broker::Failure;
use zeroize::Zeroizing;

use crate::error::CommandError;

/// A command that brings the machine closer to the answers. It takes `--dry-run`.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) command: Vec<String>,
    /// Secrets, for its standard input.
    pub(super) input: Zeroizing<String>,
    /// The answer that it follows from, in bytes of the file.
    pub(super) span: Range<usize>,
    pub(super) about: About,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Its commands take `--yes`.
    Rules,
    Pam,
    /// Its commands take `--no-test`.
    Providers,
}

/// The text of a file of answers, in which mistakes have a place.
pub(super) struct Document<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

impl Document<'_> {
    /// A mistake at `span`, with file, line and column.
    pub(super) fn wrong(&self, span: &Range<usize>, why: &str) -> CommandError {
        self.failed(Failure::Usage, span, why)
    }

    /// Why what is asked for at `span` cannot be done.
    pub(super) fn failed(&self, kind: Failure, span: &Range<usize>, why: &str) -> CommandError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        let why = why.trim_end().replace('\n', ", ");
        let place = if self.file == Path::new("-") {
            "standard input".into()
        } else {
            self.file.to_string_lossy()
        };
        CommandError::new(kind, format!("{place}:{line}:{column}: {why}"))
            .hinted("nothing was changed; SETTING UP in twofa-admin(7) describes the file")
    }
}
