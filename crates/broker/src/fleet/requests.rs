//! What a company's certificate authority is asked to sign before this machine is the first server of a fleet: keys and requests
//! wait in a directory of their own until the certificates are there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use twofa_fleet::certificate::PrivateKey;
use twofa_fleet::identity::{Id, Signs};
use zeroize::Zeroizing;

use super::files::{FilesError, Readers, write};

/// The longest certificate or key that is read, in bytes.
const LONGEST: u64 = 64 * 1024;
const FLEET: &str = "fleet";

/// The directory of the requests.
#[derive(Debug, Clone)]
pub struct Requests(PathBuf);

impl Requests {
    /// Those beside the files of the fleet in `directory`.
    pub fn beside(directory: &Path) -> Self {
        Self(directory.join("requests"))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The fleet for which requests were written; `None`: there are none.
    pub fn fleet(&self) -> Result<Option<Id>, FilesError> {
        let path = self.0.join(FLEET);
        match read(&path) {
            Ok(text) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|error| FilesError::Damaged {
                    path,
                    why: format!("{error}"),
                }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FilesError::File { path, error }),
        }
    }

    /// Writes a key, which root alone can read, and the request for it.
    pub fn write(
        &self,
        signs: Signs,
        (key, request): (&PrivateKey, &str),
    ) -> Result<(), FilesError> {
        self.put(&file(signs, "key"), key.pem(), Readers::Root)?;
        self.put(&file(signs, "csr"), request, Readers::All)
    }

    /// Notes, last, for which fleet they are.
    pub fn write_fleet(&self, fleet: &Id) -> Result<(), FilesError> {
        self.put(FLEET, &format!("{fleet}\n"), Readers::All)
    }

    /// The key, and the certificate that was signed for it (PEM), if it is there.
    pub fn read(&self, signs: Signs) -> Result<Option<(PrivateKey, String)>, FilesError> {
        let at = |ending| self.0.join(file(signs, ending));
        let failed = |path: PathBuf| move |error| FilesError::File { path, error };
        let certificate = match read(&at("crt")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(failed(at("crt")))?,
        };
        let key = read(&at("key")).map_err(failed(at("key")))?;
        Ok(Some((PrivateKey::new(key), certificate.to_string())))
    }

    /// Removes all of it, when the fleet is made.
    pub fn remove(&self) -> Result<(), FilesError> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FilesError::File {
                path: self.0.clone(),
                error,
            }),
            _ => Ok(()),
        }
    }

    fn put(&self, name: &str, content: &str, readers: Readers) -> Result<(), FilesError> {
        let path = self.0.join(name);
        write(&self.0, &path, content, readers).map_err(|error| FilesError::File { path, error })
    }
}

fn file(signs: Signs, ending: &str) -> String {
    match signs {
        Signs::Hosts => format!("hosts.{ending}"),
        Signs::Servers => format!("servers.{ending}"),
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    super::files::read(path, LONGEST)
}
