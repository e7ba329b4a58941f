//! The files of a server while the fleet's certificate authority is rotated, beside those of the one in use.
//!
//! `next` has the new authority until the rotation is finished, `previous` what a server needs of the old one after that: a
//! certificate to show to hosts that slept, and the authority that signed theirs; no key that signs anything. A directory counts
//! when there is a file `complete` in it, which is written last.
//!
//! At the end the files of `next` take the place of those before. While that is being done, `finishing` stands in `next`, and
//! what is there counts as the one in use: at every moment there is one whole set of files.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use twofa_core::Timestamp;
use twofa_fleet::certificate::{CertificateError, Issued, PrivateKey, key_and_end, read_pem};
use twofa_fleet::package::NextAuthorities;

use super::files::{FilesError, FleetDirectory, Readers};

#[cfg(test)]
mod tests;

const NEXT: &str = "next";
const PREVIOUS: &str = "previous";
/// What becomes of `next` when it is no longer needed.
const GONE: &str = "gone";
const COMPLETE: &str = "complete";
const FINISHING: &str = "finishing";
const ROOT_KEY: &str = "root.key";
/// The files of an authority, and who reads each.
const FILES: [(&str, Kind); 7] = [
    ("servers.key", Kind::RootKey),
    ("hosts.key", Kind::ServiceKey),
    ("server.key", Kind::ServiceKey),
    ("root.crt", Kind::Certificate),
    ("servers.crt", Kind::Certificate),
    ("hosts.crt", Kind::Certificate),
    ("server.crt", Kind::Certificate),
];

#[derive(Clone, Copy)]
enum Kind {
    RootKey,
    ServiceKey,
    Certificate,
}

impl Kind {
    const fn readers(self, service: u32) -> Readers {
        match self {
            Self::RootKey => Readers::Root,
            Self::ServiceKey => Readers::Group(service),
            Self::Certificate => Readers::All,
        }
    }
}

/// A certificate authority other than the one in use, as a server has it; certificates as PEM.
#[derive(Debug)]
pub struct OtherAuthority {
    /// The server's own certificate, the authority for servers and the root.
    pub chain: String,
    /// The key of the server's own certificate.
    pub key: PrivateKey,
    /// The authority for servers alone.
    pub servers: String,
    /// The authority for hosts.
    pub hosts: String,
}

/// The state of the files by which it is seen that they have changed.
pub type FilesState = Vec<Option<(u64, i64, i64)>>;

impl FleetDirectory {
    /// Where the files of the authority in use are.
    pub(super) fn current(&self) -> Self {
        let next = self.below(NEXT);
        if next.has(FINISHING) {
            next
        } else {
            self.clone()
        }
    }

    /// The files by which one sees that any of them has changed.
    pub fn state(&self) -> FilesState {
        let names = [
            "server.crt",
            "next/server.crt",
            "next/complete",
            "next/finishing",
            "previous/complete",
        ];
        let state = |name| {
            let found = fs::symlink_metadata(self.0.join(name)).ok()?;
            Some((found.ino(), found.ctime(), found.ctime_nsec()))
        };
        names.iter().map(state).collect()
    }

    /// The authority that is to take the place of the one in use; `None`: there is none.
    pub fn read_next(&self) -> Result<Option<OtherAuthority>, FilesError> {
        let next = self.below(NEXT);
        if !next.has(COMPLETE) || next.has(FINISHING) {
            return Ok(None);
        }
        next.read_other().map(Some)
    }

    /// The authority before the one in use, if anything is kept of it at `now`.
    pub fn read_previous(&self, now: Timestamp) -> Result<Option<OtherAuthority>, FilesError> {
        let previous = self.below(PREVIOUS);
        if !previous.has(COMPLETE) {
            return Ok(None);
        }
        let found = previous.read_other()?;
        let end = first_end(&found.chain);
        let end = end.map_err(|error| self.unusable("previous/server.crt", &error))?;
        Ok((end > now).then_some(found))
    }

    /// The key of the next authority for hosts.
    pub fn read_next_hosts_key(&self) -> Result<PrivateKey, FilesError> {
        self.below(NEXT).read_key("hosts.key")
    }

    /// The next authority with its keys; for root.
    pub fn read_next_keys(&self) -> Result<Option<NextAuthorities>, FilesError> {
        let next = self.below(NEXT);
        if !next.has(COMPLETE) || next.has(FINISHING) {
            return Ok(None);
        }
        let issued = |name: &str| {
            Ok(Issued {
                certificate: next.read(&format!("{name}.crt"))?,
                key: next.read_key(&format!("{name}.key"))?,
            })
        };
        Ok(Some(NextAuthorities {
            root: next.read("root.crt")?,
            servers: issued("servers")?,
            hosts: issued("hosts")?,
            own: issued("server")?,
        }))
    }

    /// Writes the next authority; for root. The group `service` reads what it needs. What an earlier call that was interrupted has
    /// left is replaced: nobody was told of it.
    pub fn write_next(
        &self,
        authority: &NextAuthorities,
        root_key: Option<&PrivateKey>,
        service: u32,
    ) -> Result<(), FilesError> {
        let next = self.below(NEXT);
        if !next.has(COMPLETE) {
            next.remove()?;
        }
        if let Some(key) = root_key {
            next.write(ROOT_KEY, key.pem(), Readers::Root)?;
        }
        let NextAuthorities {
            root,
            servers,
            hosts,
            own,
        } = authority;
        let contents = [
            servers.key.pem(),
            hosts.key.pem(),
            own.key.pem(),
            root,
            &servers.certificate,
            &hosts.certificate,
            &own.certificate,
        ];
        for ((name, kind), content) in FILES.into_iter().zip(contents) {
            next.write(name, content, kind.readers(service))?;
        }
        next.write(COMPLETE, "", Readers::All)
    }

    /// Replaces the server's own certificate below the next authority; for root.
    pub fn write_next_certificate(&self, own: &Issued, service: u32) -> Result<(), FilesError> {
        let next = self.below(NEXT);
        next.write("server.key", own.key.pem(), Readers::Group(service))?;
        next.write("server.crt", &own.certificate, Readers::All)
    }

    /// Whether a rotation is to be finished here: the next authority is there, whether its files are being put in place or not.
    pub fn has_next(&self) -> bool {
        self.below(NEXT).has(COMPLETE)
    }

    /// Whether the files of the next authority are being put in the place of those before.
    pub fn is_finishing(&self) -> bool {
        self.below(NEXT).has(FINISHING)
    }

    /// Puts the next authority in the place of the one in use, whose keys are deleted; for root. `kept` is a certificate of the old
    /// one that the server goes on to show to hosts that slept. An interrupted call goes on.
    pub fn finish_rotation(&self, kept: Option<&Issued>, service: u32) -> Result<(), FilesError> {
        let next = self.below(NEXT);
        if !next.has(FINISHING) {
            self.write_previous(kept, service)?;
            next.write(FINISHING, "", Readers::All)?;
        }
        for (name, kind) in FILES {
            let content = match kind {
                Kind::Certificate => PrivateKey::new(next.read(name)?.into()),
                _ => next.read_key(name)?,
            };
            self.write(name, content.pem(), kind.readers(service))?;
        }
        if next.has(ROOT_KEY) {
            let key = next.read_key(ROOT_KEY)?;
            self.write(ROOT_KEY, key.pem(), Readers::Root)?;
        } else {
            self.remove_file(ROOT_KEY)?;
        }
        let gone = self.below(GONE);
        gone.remove()?;
        fs::rename(&next.0, &gone.0).map_err(|error| FilesError::File {
            path: next.0.clone(),
            error,
        })?;
        gone.remove()
    }

    fn write_previous(&self, kept: Option<&Issued>, service: u32) -> Result<(), FilesError> {
        let previous = self.below(PREVIOUS);
        // `complete` goes first: half of a directory counts for nothing.
        previous.remove_file(COMPLETE)?;
        previous.remove()?;
        let Some(kept) = kept else {
            return Ok(());
        };
        previous.write("server.key", kept.key.pem(), Readers::Group(service))?;
        previous.write("server.crt", &kept.certificate, Readers::All)?;
        for name in ["root.crt", "servers.crt", "hosts.crt"] {
            previous.write(name, &self.read(name)?, Readers::All)?;
        }
        previous.write(COMPLETE, "", Readers::All)
    }

    fn read_other(&self) -> Result<OtherAuthority, FilesError> {
        let servers = self.read("servers.crt")?;
        Ok(OtherAuthority {
            chain: self.read("server.crt")? + &servers + &self.read("root.crt")?,
            key: self.read_key("server.key")?,
            servers,
            hosts: self.read("hosts.crt")?,
        })
    }

    fn below(&self, name: &str) -> Self {
        Self::at(self.0.join(name))
    }

    fn has(&self, name: &str) -> bool {
        self.0.join(name).symlink_metadata().is_ok()
    }

    fn remove(&self) -> Result<(), FilesError> {
        ignore_missing(fs::remove_dir_all(&self.0), &self.0)
    }

    fn remove_file(&self, name: &str) -> Result<(), FilesError> {
        let path = self.0.join(name);
        ignore_missing(fs::remove_file(&path), &path)
    }

    fn unusable(&self, name: &str, error: &CertificateError) -> FilesError {
        FilesError::Damaged {
            path: self.0.join(name),
            why: error.to_string(),
        }
    }
}

/// When the first certificate in a PEM text ends.
fn first_end(pem: &str) -> Result<Timestamp, CertificateError> {
    let certificates = read_pem(pem)?;
    let first = certificates.first().ok_or(CertificateError::Unreadable)?;
    Ok(key_and_end(first)?.1)
}

fn ignore_missing(done: io::Result<()>, path: &std::path::Path) -> Result<(), FilesError> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FilesError::File {
            path: PathBuf::from(path),
            error,
        }),
        _ => Ok(()),
    }
}
