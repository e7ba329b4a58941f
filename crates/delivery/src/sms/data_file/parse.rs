//! Parses data files and locates their mistakes.

use std::fmt;

use super::schema::DataFile;
use super::validity;

/// A mistake in a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sms) struct DataFileError {
    /// Its line, counted from 1, if it could be located.
    line: Option<usize>,
    /// What is wrong and what was expected.
    why: String,
}

impl fmt::Display for DataFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

/// Parses the text of a data file.
pub(in crate::sms) fn parse(text: &str) -> Result<DataFile, DataFileError> {
    let data_file: DataFile = toml::from_str(text).map_err(|error| DataFileError {
        line: error.span().map(|span| line_at(text, span.start)),
        why: error.message().trim().replace('\n', ", "),
    })?;
    validity::check(&data_file).map_err(|mistake| DataFileError {
        line: line_with(text, &mistake.near),
        why: mistake.why,
    })?;
    Ok(data_file)
}

/// The line of the byte at `offset`.
fn line_at(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// The first line that begins with `part`, or else the first that contains it.
fn line_with(text: &str, part: &str) -> Option<usize> {
    let begins = text
        .lines()
        .position(|line| line.trim_start().starts_with(part));
    let index = begins.or_else(|| text.lines().position(|line| line.contains(part)));
    index.map(|index| index + 1)
}
