//! Whether this machine is a host of a fleet. That stands in the store and in files; one without the other denies.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use twofa_fleet::client::Servers;
use twofa_fleet::tls::{self, HostCertificates};
use twofa_store::JoinedFleet;

use super::files::{FilesError, FleetDirectory, HostFiles};

/// What systemd knows the machine by (`machine-id(5)`).
const MACHINE_ID: &str = "/etc/machine-id";

/// Knows whether this machine has joined a fleet, and keeps the connections to its servers.
#[derive(Debug, Default)]
pub struct Membership {
    directory: FleetDirectory,
    known: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    file: FileState,
    fleet: JoinedFleet,
    servers: Arc<Servers>,
}

/// Device, inode, size and times of a file.
type FileState = (u64, u64, u64, i64, i64);

/// Why nobody but root gets in on this machine.
#[derive(Debug, thiserror::Error)]
pub enum NotAMember {
    /// The store says that it has joined, and its files do not.
    #[error(
        "this machine has joined a fleet, and {0} is missing: restore it, or run 'twofa leave' and join again"
    )]
    NoFiles(String),
    /// The files say that it has joined, and the store does not.
    #[error(
        "{0} says that this machine has joined a fleet, and its store does not: run 'twofa leave' and join again"
    )]
    NotInStore(String),
    /// Files and store are of different fleets or hosts.
    #[error(
        "{0} and the store of this machine name different hosts of a fleet: run 'twofa leave' and join again"
    )]
    Different(String),
    /// This machine is a copy of the one that joined.
    #[error(
        "this machine is not the one that joined the fleet (machine-id(5) differs): run 'twofa leave' and join again"
    )]
    Copy,
    /// The files cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The certificates cannot be used.
    #[error("the certificate of this host cannot be used: {0}")]
    Certificates(#[from] tls::TlsError),
}

impl Membership {
    /// What the files in `directory` say.
    pub fn new(directory: FleetDirectory) -> Self {
        let known = Mutex::default();
        Self { directory, known }
    }

    /// The servers of the fleet that this machine has joined, which its store says is `joined`; `None`: it is in none. That costs
    /// one look at a file that is not there.
    pub fn servers(
        &self,
        joined: Option<&JoinedFleet>,
    ) -> Result<Option<Arc<Servers>>, NotAMember> {
        let path = self.directory.host_file();
        let file = state(&path);
        let name = || path.display().to_string();
        let (Some(joined), Some(file)) = (joined, file) else {
            return match (joined, file) {
                (None, None) => Ok(None),
                (Some(_), _) => Err(NotAMember::NoFiles(name())),
                (None, Some(_)) => Err(NotAMember::NotInStore(name())),
            };
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known
            .as_ref()
            .filter(|known| known.file == file && known.fleet == *joined)
        {
            return Ok(Some(known.servers.clone()));
        }
        let files = self.directory.read_host()?;
        if (files.fleet.as_str(), files.host.as_str()) != (&*joined.fleet, &*joined.host) {
            return Err(NotAMember::Different(name()));
        }
        if files.machine != machine_id() {
            return Err(NotAMember::Copy);
        }
        let servers = Arc::new(connect(files)?);
        *known = Some(Known {
            file,
            fleet: joined.clone(),
            servers: servers.clone(),
        });
        Ok(Some(servers))
    }
}

/// The text of `machine-id(5)`; empty: there is none.
pub fn machine_id() -> String {
    fs::read_to_string(MACHINE_ID)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn connect(files: HostFiles) -> Result<Servers, NotAMember> {
    let config = tls::host(&HostCertificates {
        certificate: &files.certificate,
        key: &files.key,
        servers: &files.authority,
        fleet: &files.fleet,
    })?;
    Ok(Servers::new(config, files.servers))
}

fn state(path: &Path) -> Option<FileState> {
    match fs::symlink_metadata(path) {
        Ok(found) => Some((
            found.dev(),
            found.ino(),
            found.size(),
            found.ctime(),
            found.ctime_nsec(),
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        // "Cannot look" is not "is not there".
        Err(_) => Some((0, 0, 0, 0, 0)),
    }
}
