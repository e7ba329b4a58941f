//! Files that are named on the command line, of which `-` is standard input. No error quotes their content, so that
//! permission to run one command as root does not become a way to read any file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use twofa_broker::Failure;
use twofa_core::text::decode;
use zeroize::Zeroizing;

use crate::error::CommandError;
use crate::invoker;

/// Bytes; more is not a list of names, a policy or a file of secrets.
const MAX_SIZE: u64 = 16 << 20;

/// All of the text of `file`, without a byte order mark.
pub(crate) fn read(file: &Path) -> Result<Zeroizing<String>, CommandError> {
    let bytes = bytes(file).map_err(|error| unreadable(file, &error))?;
    match decode(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(why) => Err(CommandError::new(
            Failure::Usage,
            format!("{}: {why}", file.display()),
        )),
    }
}

/// Opens `file`, for one that may be larger than what [`read`] takes.
pub(crate) fn open(file: &Path) -> io::Result<Box<dyn BufRead>> {
    Ok(if invoker::is_standard_input(file) {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(invoker::as_invoker(|| File::open(file))?))
    })
}

fn bytes(file: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    open(file)?.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(io::Error::other(format!(
            "it is larger than {MAX_SIZE} bytes"
        )));
    }
    Ok(bytes)
}

/// That `file` cannot be read. It says with whose rights that was tried.
pub(crate) fn unreadable(file: &Path, error: &io::Error) -> CommandError {
    let message = format!("cannot read {}: {error}", file.display());
    let error = CommandError::new(Failure::Failed, message);
    match invoker::name() {
        Some(name) => error.hinted(format!(
            "files are opened with the rights of {name}, who runs this as root; '-' reads standard input"
        )),
        None => error,
    }
}
