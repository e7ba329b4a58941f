//! Files that are named on the command line, of which `-` is standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::CommandError;

/// All of the text of `file`.
pub(crate) fn read(file: &Path) -> Result<Zeroizing<String>, CommandError> {
    let mut text = Zeroizing::new(String::new());
    open(file)
        .and_then(|mut reader| reader.read_to_string(&mut text))
        .map_err(|error| unreadable(file, &error))?;
    Ok(text)
}

/// The lines of `file`.
pub(crate) fn lines(file: &Path) -> Result<Vec<String>, CommandError> {
    open(file)
        .and_then(|reader| reader.lines().collect())
        .map_err(|error| unreadable(file, &error))
}

fn open(file: &Path) -> io::Result<Box<dyn BufRead>> {
    Ok(if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(file)?))
    })
}

fn unreadable(file: &Path, error: &io::Error) -> CommandError {
    let message = format!("cannot read {}: {error}", file.display());
    CommandError::new(twofa_broker::Failure::Failed, message)
}
