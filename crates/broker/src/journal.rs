//! The broker's own lines: what an administrator must mend. What concerns one login is the module's to log.

use std::io::{self, Write};

/// Writes a line for the journal. Nothing to be done when nobody reads it.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "twofad: {line}");
}
