//! Whether this machine is a host of a fleet. That stands in the store and in files; one without the other denies.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use twofa_core::Timestamp;
use twofa_fleet::certificate::{PrivateKey, read_pem};
use twofa_fleet::client::policy::PolicyAnswer;
use twofa_fleet::client::{Servers, Unreached};
use twofa_fleet::identity::{Identity, Role};
use twofa_fleet::tls::{self, ClientConfig, HostCertificates};
use twofa_store::{JoinedFleet, Rules, Store, StoreError};

use super::files::{FilesError, FleetDirectory, HostFiles};
use super::policy_copy::{self, BadCopy, Signers};

/// What systemd knows the machine by (`machine-id(5)`).
const MACHINE_ID: &str = "/etc/machine-id";

/// Knows whether this machine has joined a fleet, and keeps the connections to its servers.
#[derive(Debug)]
pub struct Membership {
    directory: FleetDirectory,
    /// The copy of the fleet's rules.
    copy: PathBuf,
    known: Mutex<Option<Known>>,
}

impl Default for Membership {
    fn default() -> Self {
        Self::new(FleetDirectory::default(), policy_copy::default_path())
    }
}

#[derive(Debug)]
struct Known {
    file: FileState,
    fleet: JoinedFleet,
    servers: Arc<Servers>,
    /// For the connection on which this host waits for what it is to do.
    watching: Arc<ClientConfig>,
    signers: Signers,
    /// The copy that was found to be good, and the version of the store with which it was.
    good_copy: Option<(FileState, i64)>,
}

/// The servers, and how to connect to one in order to wait for what is to be done.
#[derive(Debug)]
pub struct Watching {
    /// The servers.
    pub servers: Arc<Servers>,
    /// The configuration of such a connection.
    pub config: Arc<ClientConfig>,
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
    /// This machine is a copy of the one that joined under this name.
    #[error(
        "this machine is a copy of the one that joined the fleet as {0}, or was made from an image of it (machine-id(5) differs), \
         and does not use its certificate: run 'twofa leave' and join again"
    )]
    Copy(String),
    /// The files cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The store does not give the renewed key.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificates cannot be used.
    #[error("the certificate of this host cannot be used: {0}")]
    Certificates(#[from] tls::TlsError),
    /// The store has no rules of the fleet.
    #[error(
        "the store of this machine has no policy of its fleet: run 'twofa leave' and join again"
    )]
    NoPolicy,
    /// The copy of the fleet's rules is not what a server has signed, or not what the store has.
    #[error("{}, the copy of the fleet's policy, cannot be used: {error}", .path.display())]
    Copied {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: BadCopy,
    },
}

/// Why it is not known which rules are in force in the fleet.
#[derive(Debug, thiserror::Error)]
pub enum NotRefreshed {
    /// This machine is no good member.
    #[error(transparent)]
    NotAMember(#[from] NotAMember),
    /// No server answers.
    #[error(transparent)]
    Unreached(#[from] Unreached),
    /// What a server has sent is not good.
    #[error("the policy that {server} sent cannot be used: {error}")]
    BadPolicy {
        /// The server.
        server: String,
        /// What is wrong with it.
        error: BadCopy,
    },
    /// The server has an older one.
    #[error(
        "{server} has version {version} of the fleet's policy, and this host has had version {seen}: change any setting on a \
         server to give it a newer one"
    )]
    OlderServer {
        /// The server.
        server: String,
        /// Its version.
        version: i64,
        /// The one of this host.
        seen: i64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Membership {
    /// What the files in `directory` say.
    pub fn new(directory: FleetDirectory, copy: PathBuf) -> Self {
        Self {
            directory,
            copy,
            known: Mutex::default(),
        }
    }

    /// The file with the copy of the fleet's rules.
    pub fn policy_copy(&self) -> &Path {
        &self.copy
    }

    /// The servers of the fleet that this machine has joined, which its store says is `joined`; `None`: it is in none. That costs
    /// a look at two files that are not there.
    pub fn servers(
        &self,
        joined: Option<&JoinedFleet>,
        store: &Store,
    ) -> Result<Option<Arc<Servers>>, NotAMember> {
        let path = self.directory.host_file();
        let file = state(&path);
        let name = || path.display().to_string();
        let (Some(joined), Some(file)) = (joined, file) else {
            return match (joined, file) {
                (None, None) => match state(&self.directory.host_certificate()) {
                    None => Ok(None),
                    // What is left of a host.
                    Some(_) => Err(NotAMember::NotInStore(
                        self.directory.host_certificate().display().to_string(),
                    )),
                },
                (Some(_), _) => Err(NotAMember::NoFiles(name())),
                (None, Some(_)) => Err(NotAMember::NotInStore(name())),
            };
        };
        let mut known = self.lock();
        if let Some(known) = known
            .as_ref()
            .filter(|known| known.file == file && known.fleet == *joined)
        {
            return Ok(Some(known.servers.clone()));
        }
        let files = self.files(joined, store)?;
        let signers = signers(&files);
        let watching = tls::host_watching(&certificates(&files))?;
        let servers = Arc::new(connect(files)?);
        *known = Some(Known {
            file,
            fleet: joined.clone(),
            servers: servers.clone(),
            watching,
            signers,
            good_copy: None,
        });
        Ok(Some(servers))
    }

    /// The servers, as [`Self::servers`], and the configuration for the connection on which this host waits for what it is to do.
    pub fn watching(
        &self,
        joined: Option<&JoinedFleet>,
        store: &Store,
    ) -> Result<Option<Watching>, NotAMember> {
        let servers = self.servers(joined, store)?;
        let known = self.lock();
        let config = known.as_ref().map(|known| known.watching.clone());
        let both = servers.zip(config);
        Ok(both.map(|(servers, config)| Watching { servers, config }))
    }

    /// The files of this host, which its store says is `joined`, with what it was given since.
    pub(crate) fn files(
        &self,
        joined: &JoinedFleet,
        store: &Store,
    ) -> Result<HostFiles, NotAMember> {
        let name = || self.directory.host_file().display().to_string();
        let mut files = self.directory.read_host()?;
        if (files.fleet.as_str(), files.host.as_str()) != (&*joined.fleet, &*joined.host) {
            return Err(NotAMember::Different(name()));
        }
        if files.machine != machine_id() {
            return Err(NotAMember::Copy(joined.name.clone()));
        }
        if let Some(key) = store.renewed_key(joined)? {
            files.key = PrivateKey::new(key);
        }
        if let Some(renewed) = &joined.renewed {
            files.certificate.clone_from(&renewed.certificate);
        }
        if let Some(known) = &joined.authorities {
            files.authority.clone_from(&known.servers);
        }
        let certificates = read_pem(&files.certificate).map_err(tls::TlsError::from)?;
        let own = certificates
            .first()
            .map(|der| Identity::of_certificate(der));
        let expected = Identity {
            fleet: files.fleet.clone(),
            role: Role::Host(files.host.clone()),
        };
        if own != Some(Ok(expected)) {
            return Err(NotAMember::Different(name()));
        }
        let told: Result<Vec<_>, _> = joined.servers.iter().map(|it| it.parse()).collect();
        if let Ok(told) = told
            && !told.is_empty()
        {
            files.servers = told;
        }
        Ok(files)
    }

    /// Checks that the rules of the fleet that `rules` have are those that a server has signed. That costs one look at a file
    /// that has not changed.
    pub fn check_policy(&self, rules: &Rules, store: &Store) -> Result<(), NotAMember> {
        self.servers(rules.fleet.as_ref(), store)?;
        let policy = rules.fleet_policy.as_ref().ok_or(NotAMember::NoPolicy)?;
        let file = state(&self.copy);
        let mut known = self.lock();
        let Some(known) = known.as_mut() else {
            return Ok(());
        };
        let found = file.map(|file| (file, policy.version));
        if found.is_some() && known.good_copy == found {
            return Ok(());
        }
        policy_copy::check(&self.copy, &known.signers, policy).map_err(|error| {
            NotAMember::Copied {
                path: self.copy.clone(),
                error,
            }
        })?;
        known.good_copy = found;
        Ok(())
    }

    /// Asks a server, until `deadline`, which rules are in force, and puts those in force here. Returns what it said; `None`: this
    /// machine is in no fleet.
    pub fn refresh_policy(
        &self,
        store: &Store,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Option<PolicyAnswer>, NotRefreshed> {
        let rules = store.rules_in_force()?;
        let Some(servers) = self.servers(rules.fleet.as_ref(), store)? else {
            return Ok(None);
        };
        let Some(signers) = self.lock().as_ref().map(|known| known.signers.clone()) else {
            return Ok(None);
        };
        let seen = rules.fleet_policy.as_ref().map_or(0, |it| it.version);
        // A copy that is damaged is fetched again.
        let is_good = self.check_policy(&rules, store).is_ok();
        let answer = servers.fetch_policy(if is_good { seen } else { 0 }, deadline)?;
        if answer.version < seen {
            return Err(NotRefreshed::OlderServer {
                server: answer.server,
                version: answer.version,
                seen,
            });
        }
        let kept = match &answer.signed {
            Some(signed) => policy_copy::adopt(&self.copy, &signers, store, signed, now).map(drop),
            None => Ok(()),
        };
        let confirmed = kept.and_then(|()| Ok(policy_copy::confirm(&self.copy, now)?));
        confirmed.map_err(|error| NotRefreshed::BadPolicy {
            server: answer.server.clone(),
            error,
        })?;
        Ok(Some(answer))
    }

    /// Whether the copy of the rules is one that the authorities in `files` stand behind, or there is none.
    pub(super) fn is_policy_of(&self, rules: &Rules, files: &HostFiles) -> bool {
        let Some(policy) = rules.fleet_policy.as_ref() else {
            return true;
        };
        policy_copy::check(&self.copy, &signers(files), policy).is_ok()
    }

    /// Gets a copy of the rules from a server that the authorities in `files` stand behind.
    pub(super) fn fetch_policy(
        &self,
        store: &Store,
        files: &HostFiles,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<(), NotRefreshed> {
        let config = tls::host(&certificates(files)).map_err(NotAMember::from)?;
        let servers = Servers::new(config, files.servers.clone());
        let answer = servers.fetch_policy(0, deadline)?;
        let Some(signed) = &answer.signed else {
            return Ok(());
        };
        let adopted = policy_copy::adopt(&self.copy, &signers(files), store, signed, now);
        let confirmed = adopted.and_then(|_| Ok(policy_copy::confirm(&self.copy, now)?));
        confirmed.map_err(|error| NotRefreshed::BadPolicy {
            server: answer.server,
            error,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
    let config = tls::host(&certificates(&files))?;
    Ok(Servers::new(config, files.servers))
}

fn signers(files: &HostFiles) -> Signers {
    Signers {
        authority: files.authority.clone(),
        fleet: files.fleet.clone(),
    }
}

fn certificates(files: &HostFiles) -> HostCertificates<'_> {
    HostCertificates {
        certificate: &files.certificate,
        key: &files.key,
        servers: &files.authority,
        fleet: &files.fleet,
    }
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
