//! The files of a server and of a host in `/etc/twofa/fleet`. Root writes them; the service's group reads what it needs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use twofa_fleet::certificate::{Issued, PrivateKey};
use twofa_fleet::identity::Id;
use twofa_fleet::token::Address;
use zeroize::Zeroizing;

/// Where the files are.
pub const DIRECTORY: &str = "/etc/twofa/fleet";
/// The longest file that is read, in bytes.
const LONGEST: u64 = 64 * 1024;
/// What may not be allowed to others than the owner and the group of a private key, and to its group.
const OTHERS: u32 = 0o007;
const GROUP_WRITES: u32 = 0o020;

const HOST: &str = "host.toml";
const SERVER: &str = "server.toml";

/// A file of the fleet cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// It cannot be opened, read or written.
    #[error("cannot use {}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's word on it.
        error: io::Error,
    },
    /// It says nothing that can be understood.
    #[error("{} is damaged: {why}", .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Others could read or change it.
    #[error("{} is a private key, and its mode {mode:04o} lets others at it: make it 0640 or less", .path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

/// The directory of the files.
#[derive(Debug, Clone)]
pub struct FleetDirectory(pub(super) PathBuf);

impl FleetDirectory {
    /// The files in `path`.
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Default for FleetDirectory {
    fn default() -> Self {
        Self(DIRECTORY.into())
    }
}

/// What a server's files say.
#[derive(Debug)]
pub struct ServerFiles {
    /// The fleet.
    pub fleet: Id,
    /// Where hosts reach its servers.
    pub addresses: Vec<Address>,
    /// The id of this one.
    pub id: Id,
    /// The server's own certificate, the authority for servers and the root, as PEM.
    pub chain: String,
    /// The authority for servers alone.
    pub servers: String,
    /// The root alone.
    pub root: String,
    /// The server's own key.
    pub key: PrivateKey,
    /// The authority for hosts.
    pub hosts: String,
}

/// What a host's files say.
#[derive(Debug)]
pub struct HostFiles {
    /// The fleet.
    pub fleet: Id,
    /// The host's id there.
    pub host: Id,
    /// The `machine-id(5)` with which it joined.
    pub machine: String,
    /// Where its servers are.
    pub servers: Vec<Address>,
    /// Its certificate, as PEM.
    pub certificate: String,
    /// Its key.
    pub key: PrivateKey,
    /// The authorities for servers that it trusts, as PEM.
    pub authority: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerToml {
    fleet: String,
    server: String,
    addresses: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostToml {
    fleet: String,
    host: String,
    machine: String,
    servers: Vec<String>,
}

/// Who may read a file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Root alone.
    Root,
    /// Root and this group.
    Group(u32),
    /// Everybody.
    All,
}

impl FleetDirectory {
    /// The file that a joined host has, and by which it is known as one.
    pub fn host_file(&self) -> PathBuf {
        self.0.join(HOST)
    }

    /// The certificate of a joined host, which it has as well.
    pub fn host_certificate(&self) -> PathBuf {
        self.0.join("host.crt")
    }

    /// Whether there is anything of a joined host, whole or not.
    pub fn has_host_files(&self) -> bool {
        [self.host_file(), self.host_certificate()]
            .iter()
            .any(|path| path.symlink_metadata().is_ok())
    }

    /// Whether this machine is a server.
    pub fn is_server(&self) -> bool {
        self.0.join(SERVER).exists()
    }

    /// Reads a server's files.
    pub fn read_server(&self) -> Result<ServerFiles, FilesError> {
        let ServerToml {
            fleet,
            server,
            addresses,
        } = self.read_toml(SERVER)?;
        let current = self.current();
        let [own, servers, root] =
            ["server.crt", "servers.crt", "root.crt"].map(|name| current.read(name));
        let (servers, root) = (servers?, root?);
        Ok(ServerFiles {
            fleet: self.parse(SERVER, &fleet)?,
            id: self.parse(SERVER, &server)?,
            addresses: self.parse_all(SERVER, &addresses)?,
            chain: own? + &servers + &root,
            servers,
            root,
            key: current.read_key("server.key")?,
            hosts: current.read("hosts.crt")?,
        })
    }

    /// Reads the key of the authority for hosts.
    pub fn read_hosts_key(&self) -> Result<PrivateKey, FilesError> {
        self.current().read_key("hosts.key")
    }

    /// Reads the authority for servers and its key; for root.
    pub fn read_servers_authority(&self) -> Result<(String, PrivateKey), FilesError> {
        let current = self.current();
        Ok((
            current.read("servers.crt")?,
            current.read_key("servers.key")?,
        ))
    }

    /// Replaces the server's own certificate and key, which the group `service` reads.
    pub fn write_server_certificate(&self, own: &Issued, service: u32) -> Result<(), FilesError> {
        let current = self.current();
        current.write("server.key", own.key.pem(), Readers::Group(service))?;
        current.write("server.crt", &own.certificate, Readers::All)
    }

    /// Reads a host's files.
    pub fn read_host(&self) -> Result<HostFiles, FilesError> {
        let HostToml {
            fleet,
            host,
            machine,
            servers,
        } = self.read_toml(HOST)?;
        Ok(HostFiles {
            fleet: self.parse(HOST, &fleet)?,
            host: self.parse(HOST, &host)?,
            machine,
            servers: self.parse_all(HOST, &servers)?,
            certificate: self.read("host.crt")?,
            key: self.read_key("host.key")?,
            authority: self.read("servers.crt")?,
        })
    }

    /// Writes what makes this machine a server; the file that says so last.
    pub fn write_server(&self, files: &NewServerFiles<'_>) -> Result<(), FilesError> {
        let service = Readers::Group(files.service);
        let root_key = files
            .root_key
            .map(|key| ("root.key", key.pem(), Readers::Root));
        let servers_key = files
            .servers_key
            .map(|key| ("servers.key", key.pem(), Readers::Root));
        let both = root_key.into_iter().chain(servers_key);
        for (name, content, readers) in both.chain([
            ("hosts.key", files.hosts_key.pem(), service),
            ("server.key", files.key.pem(), service),
            ("root.crt", files.root, Readers::All),
            ("servers.crt", files.servers, Readers::All),
            ("hosts.crt", files.hosts, Readers::All),
            ("server.crt", files.certificate, Readers::All),
        ]) {
            self.write(name, content, readers)?;
        }
        let toml = ServerToml {
            fleet: files.fleet.to_string(),
            server: files.id.to_string(),
            addresses: files.addresses.iter().map(ToString::to_string).collect(),
        };
        self.write_toml(SERVER, &toml)
    }

    /// Writes what makes this machine a host; the file that says so last. The group `service` reads the key.
    pub fn write_host(&self, files: &HostFiles, service: u32) -> Result<(), FilesError> {
        self.write("host.key", files.key.pem(), Readers::Group(service))?;
        self.write("host.crt", &files.certificate, Readers::All)?;
        self.write("servers.crt", &files.authority, Readers::All)?;
        let toml = HostToml {
            fleet: files.fleet.to_string(),
            host: files.host.to_string(),
            machine: files.machine.clone(),
            servers: files.servers.iter().map(ToString::to_string).collect(),
        };
        self.write_toml(HOST, &toml)
    }

    /// Removes what makes this machine a host; the file that says so first.
    pub fn remove_host(&self) -> Result<(), FilesError> {
        for name in [HOST, "host.key", "host.crt", "servers.crt"] {
            let path = self.0.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(FilesError::File { path, error });
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn read(&self, name: &str) -> Result<String, FilesError> {
        let path = self.0.join(name);
        read(&path, LONGEST)
            .map(|text| text.to_string())
            .map_err(|error| FilesError::File { path, error })
    }

    pub(super) fn read_key(&self, name: &str) -> Result<PrivateKey, FilesError> {
        let path = self.0.join(name);
        let mode = fs::symlink_metadata(&path).map(|found| found.mode() & 0o7777);
        match mode {
            Ok(mode) if mode & (OTHERS | GROUP_WRITES) != 0 => {
                return Err(FilesError::Exposed { path, mode });
            }
            Ok(_) => {}
            Err(error) => return Err(FilesError::File { path, error }),
        }
        read(&path, LONGEST)
            .map(PrivateKey::new)
            .map_err(|error| FilesError::File { path, error })
    }

    fn read_toml<T: DeserializeOwned>(&self, name: &str) -> Result<T, FilesError> {
        let text = self.read(name)?;
        toml::from_str(&text).map_err(|error| self.damaged(name, error.message()))
    }

    fn parse<T: std::str::FromStr>(&self, name: &str, text: &str) -> Result<T, FilesError>
    where
        T::Err: std::fmt::Display,
    {
        text.parse()
            .map_err(|error: T::Err| self.damaged(name, &error.to_string()))
    }

    fn parse_all<T: std::str::FromStr>(
        &self,
        name: &str,
        texts: &[String],
    ) -> Result<Vec<T>, FilesError>
    where
        T::Err: std::fmt::Display,
    {
        texts.iter().map(|text| self.parse(name, text)).collect()
    }

    fn damaged(&self, name: &str, why: &str) -> FilesError {
        FilesError::Damaged {
            path: self.0.join(name),
            why: why.to_owned(),
        }
    }

    fn write_toml(&self, name: &str, value: &impl Serialize) -> Result<(), FilesError> {
        let text =
            toml::to_string(value).map_err(|error| self.damaged(name, &error.to_string()))?;
        self.write(name, &text, Readers::All)
    }

    pub(super) fn write(
        &self,
        name: &str,
        content: &str,
        readers: Readers,
    ) -> Result<(), FilesError> {
        let path = self.0.join(name);
        write(&self.0, &path, content, readers).map_err(|error| FilesError::File { path, error })
    }
}

/// What makes a machine a server of a fleet; certificates as PEM.
#[derive(Debug)]
pub struct NewServerFiles<'a> {
    /// The fleet.
    pub fleet: &'a Id,
    /// The server's id.
    pub id: &'a Id,
    /// Where hosts reach it.
    pub addresses: &'a [Address],
    /// The root.
    pub root: &'a str,
    /// Its key, on the first server.
    pub root_key: Option<&'a PrivateKey>,
    /// The authority for servers.
    pub servers: &'a str,
    /// Its key, unless the server that this one joined by did not have it.
    pub servers_key: Option<&'a PrivateKey>,
    /// The authority for hosts.
    pub hosts: &'a str,
    /// Its key.
    pub hosts_key: &'a PrivateKey,
    /// The server's own certificate.
    pub certificate: &'a str,
    /// Its key.
    pub key: &'a PrivateKey,
    /// The gid of the service, which reads the keys of hosts and of the server.
    pub service: u32,
}

/// Reads a file of at most `longest` bytes, of which nothing is left in memory.
pub(super) fn read(path: &Path, longest: u64) -> io::Result<Zeroizing<String>> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let mut text = Zeroizing::new(String::with_capacity(8 * 1024));
    file.take(longest).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a file that is not there, or in the place of one that is, so that there is never half of it.
pub(super) fn write(
    directory: &Path,
    path: &Path,
    content: &str,
    readers: Readers,
) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)?;
    let mut draft = path.as_os_str().to_owned();
    // Two processes may write one file at once.
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let _ = fs::remove_file(&draft);
    let mode = match readers {
        Readers::Root => 0o600,
        Readers::Group(_) => 0o640,
        Readers::All => 0o644,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    if let Readers::Group(gid) = readers {
        fchown(&file, None, Some(gid))?;
    }
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(directory)?.sync_all()
}
