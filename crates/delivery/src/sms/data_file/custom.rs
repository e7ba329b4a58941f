//! An administrator's data files.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use twofa_core::text::decode;

use super::parse::parse;
use super::schema::DataFile;
use crate::provider::{BadProvider, ProviderKind};

/// The maximum size of a data file, in bytes. The built-in ones have a page or two.
const MAX_SIZE: u64 = 64 * 1024;

/// Loads the data files in `dir`, in the order of their file names, and returns what is wrong with those that cannot be
/// used. The directory need not exist. The names of the `reserved` kinds are not available.
pub(in crate::sms) fn load(
    dir: &Path,
    reserved: &[ProviderKind],
) -> (Vec<DataFile>, Vec<BadProvider>) {
    let files = match list(dir) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Vec::new(), Vec::new()),
        Err(error) => return (Vec::new(), vec![bad_file(dir, error.to_string())]),
    };
    if let Some(why) = std::fs::metadata(dir).ok().as_ref().and_then(distrust) {
        return (Vec::new(), vec![bad_file(dir, why)]);
    }
    let mut good: Vec<(PathBuf, DataFile)> = Vec::new();
    let mut bad = Vec::new();
    for path in files {
        match load_one(&path, &good, reserved) {
            Ok(data_file) => good.push((path, data_file)),
            Err(error) => bad.push(error),
        }
    }
    (
        good.into_iter().map(|(_, data_file)| data_file).collect(),
        bad,
    )
}

/// Loads a data file, unless its names are taken by the `earlier` ones or by a `reserved` kind.
fn load_one(
    path: &Path,
    earlier: &[(PathBuf, DataFile)],
    reserved: &[ProviderKind],
) -> Result<DataFile, BadProvider> {
    let (data_file, not_used) = read(path)?;
    if let Some(why) = not_used {
        return Err(bad_file(path, why));
    }
    if let Some((other, _)) = earlier
        .iter()
        .find(|(_, other)| other.shares_name(&data_file))
    {
        let why = format!("its name or an alias is also in {}", other.display());
        return Err(bad_file(path, why));
    }
    let is_reserved = |name: &&str| reserved.iter().any(|kind| kind.name == **name);
    if let Some(name) = data_file.names().find(is_reserved) {
        let why = format!("'{name}' is a kind of e-mail provider; choose another name");
        return Err(bad_file(path, why));
    }
    Ok(data_file)
}

/// Reads the data file `path`. Also returns why it would not be used where it is now, if that is so.
pub(in crate::sms) fn read(path: &Path) -> Result<(DataFile, Option<String>), BadProvider> {
    let open = || -> io::Result<(String, Metadata)> {
        // Checked before opening, because opening a FIFO would block.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("this is not a regular file"));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut bytes = Vec::new();
        file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_SIZE {
            return Err(io::Error::other(format!(
                "the file is larger than {MAX_SIZE} bytes"
            )));
        }
        let text = decode(&bytes).map_err(io::Error::other)?;
        Ok((text.to_owned(), metadata))
    };
    let (text, metadata) = open().map_err(|error| bad_file(path, error.to_string()))?;
    let data_file = parse(&text).map_err(|error| bad_file(path, error.to_string()))?;
    Ok((data_file, distrust(&metadata)))
}

/// The paths of the data files in `dir`, sorted.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && !is_hidden
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Why a file or directory may have been written by somebody other than root. The author of a data file can have keys
/// and codes sent anywhere.
fn distrust(metadata: &Metadata) -> Option<String> {
    if metadata.uid() != 0 {
        return Some(format!(
            "it belongs to uid {}, not to root: run chown root on it",
            metadata.uid()
        ));
    }
    (metadata.mode() & 0o022 != 0)
        .then(|| "users other than root can write to it: run chmod go-w on it".to_owned())
}

fn bad_file(path: &Path, why: String) -> BadProvider {
    BadProvider::File {
        file: path.display().to_string(),
        why,
    }
}
