//! An administrator's own data files.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::description::Description;
use crate::provider::{BadProvider, Kind};

/// A data file is a page or two.
const LONGEST: u64 = 64 * 1024;

/// The data files in `folder`, in the order of their names; and what is wrong with those that cannot be used. There
/// need be no such folder.
pub(super) fn load(folder: &Path) -> (Vec<(PathBuf, Description)>, Vec<BadProvider>) {
    let mut good: Vec<(PathBuf, Description)> = Vec::new();
    let mut bad = Vec::new();
    let files = match files(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (good, bad),
        Err(error) => return (good, vec![broken(folder, error.to_string())]),
    };
    if let Some(why) = std::fs::metadata(folder).ok().as_ref().and_then(distrust) {
        return (good, vec![broken(folder, why)]);
    }
    for file in files {
        let (description, why_not) = match read(&file) {
            Ok(read) => read,
            Err(error) => {
                bad.push(error);
                continue;
            }
        };
        if let Some(why) = why_not {
            bad.push(broken(&file, why));
        } else if let Some((other, _)) = good.iter().find(|(_, other)| clashes(other, &description))
        {
            bad.push(broken(
                &file,
                format!("its name or an alias is also in {}", other.display()),
            ));
        } else if let Some(name) = names(&description).find(|name| crate::mail::has_kind(name)) {
            bad.push(broken(
                &file,
                format!("'{name}' is a kind of e-mail provider; choose another name"),
            ));
        } else {
            good.push((file, description));
        }
    }
    (good, bad)
}

/// The data file `file`; and why it would not be used as it lies there, if it would not.
pub(super) fn read(file: &Path) -> Result<(Description, Option<String>), BadProvider> {
    let open = || -> io::Result<(String, Metadata)> {
        // Before it is opened, which a pipe would not come back from.
        if !std::fs::metadata(file)?.is_file() {
            return Err(io::Error::other("this is no file"));
        }
        let open = File::open(file)?;
        let metadata = open.metadata()?;
        let mut text = String::new();
        open.take(LONGEST + 1).read_to_string(&mut text)?;
        if text.len() as u64 > LONGEST {
            return Err(io::Error::other(format!(
                "it is longer than {LONGEST} bytes"
            )));
        }
        Ok((text, metadata))
    };
    let (text, metadata) = open().map_err(|error| broken(file, error.to_string()))?;
    let description = Description::parse(&text).map_err(|wrong| broken(file, wrong.to_string()))?;
    Ok((description, distrust(&metadata)))
}

/// Whether two providers answer to one name.
pub(super) fn clashes(one: &Description, other: &Description) -> bool {
    names(one).any(|name| names(other).any(|taken| taken == name))
}

/// Whether `description` has a name that `kind` has.
pub(super) fn answers_to(description: &Description, kind: &Kind) -> bool {
    names(description)
        .any(|name| kind.name == name || kind.aliases.iter().any(|alias| alias == name))
}

fn names(description: &Description) -> impl Iterator<Item = &str> {
    description
        .aliases
        .iter()
        .chain([&description.name])
        .map(String::as_str)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
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

/// Why somebody other than root could have written this. Whoever writes a data file gets the keys and the codes.
fn distrust(metadata: &Metadata) -> Option<String> {
    if metadata.uid() != 0 {
        return Some(format!(
            "it belongs to uid {}, not to root: chown root it",
            metadata.uid()
        ));
    }
    (metadata.mode() & 0o022 != 0)
        .then(|| "others than root can write to it: chmod go-w it".to_owned())
}

fn broken(file: &Path, why: String) -> BadProvider {
    BadProvider::File {
        file: file.display().to_string(),
        why,
    }
}
