//! Where the files are, and who may see them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::keys::Keys;
use crate::private_file::{GROUP, GROUP_WRITES, OTHERS, OTHERS_WRITE, check_private, parent};
use crate::seal::{KEY_BYTES, mac};
use crate::sql::postgres::address::{Address, BadAddress};

/// The longest file of sealing keys that is read, in bytes.
const LONGEST_KEYS: usize = 4096;

/// The files of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The SQLite database.
    pub database: PathBuf,
    /// The keys that seal what is secret in it.
    pub key: PathBuf,
    /// The file that says which PostgreSQL database is the store. Without it, the store is [`Self::database`].
    pub server: PathBuf,
    /// What tells this machine from others that use the same store: machine-id(5).
    pub machine: PathBuf,
}

/// The system user and group that the broker runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The uid that owns the database.
    pub uid: u32,
    /// The gid whose members may read the sealing key.
    pub gid: u32,
}

impl Default for Location {
    fn default() -> Self {
        Self {
            database: "/var/lib/twofa/twofa.db".into(),
            key: "/etc/twofa/secret.key".into(),
            server: "/etc/twofa/database".into(),
            machine: "/etc/machine-id".into(),
        }
    }
}

impl Location {
    /// Whether there is a file that says that the store is in a database on a server, or may be one.
    pub fn names_server(&self) -> bool {
        !matches!(exists(&self.server), Ok(false))
    }

    /// Where the database on a server is, if the store is there.
    pub(crate) fn read_server(&self) -> Result<Option<Address>, StoreError> {
        let path = &self.server;
        let mut file = match open_nofollow(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(StoreError::file("open", path))?,
        };
        let metadata = file.metadata().map_err(StoreError::file("look at", path))?;
        check_private(path, &metadata, OTHERS_WRITE | GROUP_WRITES)?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(StoreError::file("read", path))?;
        let mut lines = text.lines().map(str::trim);
        let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
        let address = line.unwrap_or_default().parse();
        address.map(Some).map_err(|bad| self.bad_address(&bad))
    }

    pub(crate) fn bad_address(&self, bad: &BadAddress) -> StoreError {
        StoreError::BadAddress {
            path: self.server.clone(),
            why: bad.to_string(),
        }
    }

    /// Whether the store is in a database on a server.
    pub fn is_on_server(&self) -> Result<bool, StoreError> {
        Ok(self.read_server()?.is_some())
    }

    /// Says that the store is in the database at `address`. Everybody may read that; no secret is in it.
    pub(crate) fn write_server(&self, address: &str) -> Result<(), StoreError> {
        let path = &self.server;
        make_directory(path, 0o755)?;
        let mut file = create_new(path, 0o644)?;
        writeln!(
            file,
            "# The PostgreSQL database that the store is in, see twofad(8).\n{address}"
        )
        .and_then(|()| file.sync_all())
        .map_err(StoreError::file("write", path))?;
        sync_directory(path)
    }

    /// Whether this is a first start: neither file is there. One without the other is an error.
    pub(crate) fn is_vacant(&self) -> Result<bool, StoreError> {
        if exists(&self.server)? {
            return Ok(false);
        }
        match (exists(&self.database)?, exists(&self.key)?) {
            (false, false) => Ok(true),
            (true, true) => Ok(false),
            (true, false) => Err(StoreError::Halved {
                present: self.database.clone(),
                absent: self.key.clone(),
            }),
            (false, true) => Err(StoreError::Halved {
                present: self.key.clone(),
                absent: self.database.clone(),
            }),
        }
    }

    /// Reads the sealing keys, if only their owner and group can.
    pub fn read_keys(&self) -> Result<Keys, StoreError> {
        let path = &self.key;
        let mut file = open_nofollow(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::KeyMissing(path.clone()),
            _ => StoreError::file("open", path)(error),
        })?;
        let metadata = file.metadata().map_err(StoreError::file("look at", path))?;
        check_private(path, &metadata, OTHERS | GROUP_WRITES)?;
        self.check_key_group(&metadata)?;
        let mut bytes = Zeroizing::new([0; LONGEST_KEYS]);
        let length = read_up_to(&mut file, &mut *bytes).map_err(StoreError::file("read", path))?;
        Keys::parse(&bytes[..length]).ok_or_else(|| StoreError::BadKey(path.clone()))
    }

    /// Checks that the key's group, which can read it, is the one the database belongs to, or root's.
    fn check_key_group(&self, key: &fs::Metadata) -> Result<(), StoreError> {
        let service = fs::symlink_metadata(&self.database)
            .map(|database| database.gid())
            .ok();
        if key.gid() == 0
            || key.mode() & GROUP == 0
            || service.is_none_or(|service| service == key.gid())
        {
            return Ok(());
        }
        let why = format!(
            "can be read by group {}, which is not the service's",
            key.gid()
        );
        Err(StoreError::Exposed {
            path: self.key.clone(),
            why,
        })
    }

    /// Makes both files. What this call made is removed again when it cannot make both.
    ///
    /// The key comes first: a database without one would be in the way of the next try.
    pub(crate) fn make(&self, owner: Owner) -> Result<(), StoreError> {
        self.make_key(owner)?;
        self.make_database(owner).inspect_err(|_| {
            // The error that is on its way says more than one from here would.
            let _ = fs::remove_file(&self.key);
        })
    }

    /// Makes a fresh sealing key, readable by root (or the user who runs this) and the service's group.
    pub(crate) fn make_key(&self, owner: Owner) -> Result<(), StoreError> {
        let path = &self.key;
        make_directory(path, 0o755)?;
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *bytes)?;
        let mut file = create_new(path, 0o640)?;
        let written = write_keys(path, &mut file, &Keys::first(&bytes), owner)
            .and_then(|()| sync_directory(path));
        written.inspect_err(|_| {
            let _ = fs::remove_file(path);
        })
    }

    /// Takes over the sealing keys of a store that other machines use too. Others that are here are kept beside them; where
    /// they are then is returned. Keys that are here and some of those that come are no others.
    pub fn take_over_keys(&self, keys: &Keys, owner: Owner) -> Result<Option<PathBuf>, StoreError> {
        let path = &self.key;
        let mut kept = None;
        if exists(path)? {
            let here = self.read_keys()?;
            if here == *keys {
                return Ok(None);
            }
            if here.hashing != keys.hashing {
                let beside = path.with_extension("key.before-joining");
                fs::copy(path, &beside).map_err(StoreError::file("copy", path))?;
                kept = Some(beside);
            }
        } else {
            make_directory(path, 0o755)?;
        }
        self.replace_keys(keys, owner).map(|()| kept)
    }

    /// Puts `keys` in the place of those that are in the file, at once and on disk; for root.
    pub(crate) fn replace_keys(&self, keys: &Keys, owner: Owner) -> Result<(), StoreError> {
        let path = &self.key;
        let draft = path.with_extension("key.new");
        // One that a crash left.
        let _ = fs::remove_file(&draft);
        let mut file = create_new(&draft, 0o640)?;
        let replaced = write_keys(&draft, &mut file, keys, owner)
            .and_then(|()| fs::rename(&draft, path).map_err(StoreError::file("replace", path)))
            .and_then(|()| sync_directory(path));
        replaced.inspect_err(|_| {
            let _ = fs::remove_file(&draft);
        })
    }

    /// Makes an empty database file that belongs to the service alone. SQLite gives its companions the
    /// same owner and mode.
    pub(crate) fn make_database(&self, owner: Owner) -> Result<(), StoreError> {
        let path = &self.database;
        make_directory(path, 0o700)?;
        let directory = parent(path);
        let handle = File::open(directory).map_err(StoreError::file("open", directory))?;
        fchown(&handle, Some(owner.uid), Some(owner.gid))
            .map_err(StoreError::file("give away", directory))?;
        let file = create_new(path, 0o600)?;
        let given = fchown(&file, Some(owner.uid), Some(owner.gid))
            .map_err(StoreError::file("give away", path));
        given.and_then(|()| sync_directory(path)).inspect_err(|_| {
            let _ = fs::remove_file(path);
        })
    }

    /// What this machine is called in a store that others use too. The id itself is nobody else's business, says machine-id(5),
    /// so it is hashed. Machines without one have one name together.
    pub(crate) fn machine_name(&self) -> String {
        let id = fs::read(&self.machine).unwrap_or_default();
        let id = id.trim_ascii();
        if id.is_empty() {
            return String::new();
        }
        let hash = mac(&[0; KEY_BYTES], &[b"twofa: machine", id]);
        data_encoding::HEXLOWER.encode(&hash[..16])
    }

    /// The file with the last mark of a database that this machine has seen, beside its own database.
    pub(crate) fn mark(&self) -> PathBuf {
        self.database.with_file_name("fleet-mark")
    }

    /// The file with the latest sealing key of the journal, beside the database.
    pub(crate) fn journal_key(&self) -> PathBuf {
        self.database.with_file_name("journal.key")
    }

    /// Opens the file with the latest sealing key of the journal, if it is there, to read and to overwrite it.
    pub(crate) fn open_journal_key(&self) -> Result<Option<File>, StoreError> {
        let path = self.journal_key();
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(&path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(StoreError::file("open", &path))?,
        };
        let metadata = file
            .metadata()
            .map_err(StoreError::file("look at", &path))?;
        check_private(&path, &metadata, OTHERS | GROUP)?;
        Ok(Some(file))
    }

    /// Where the file that takes the place of [`Self::journal_key`] is written first.
    pub(crate) fn journal_key_draft(&self) -> PathBuf {
        self.database.with_file_name("journal.key.new")
    }

    /// Makes the draft, empty, with the owner of the database, in the place of one that a crash left.
    pub(crate) fn make_journal_key_draft(&self) -> Result<File, StoreError> {
        self.remove_journal_key_draft();
        create_new(&self.journal_key_draft(), 0o600)
    }

    /// Puts the draft in its place, at once and on disk.
    pub(crate) fn put_journal_key_in_place(&self) -> Result<(), StoreError> {
        let path = self.journal_key();
        fs::rename(self.journal_key_draft(), &path).map_err(StoreError::file("replace", &path))?;
        sync_directory(&path)
    }

    /// Removes the draft, if there is one.
    pub(crate) fn remove_journal_key_draft(&self) {
        // What cannot be removed is in the way of the next draft, and reported then.
        let _ = fs::remove_file(self.journal_key_draft());
    }

    /// Checks that the database is a file that only its owner can see, and says which file it is.
    pub(crate) fn inspect_database(&self) -> Result<FileId, StoreError> {
        let path = &self.database;
        let metadata = fs::symlink_metadata(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Missing(path.clone()),
            _ => StoreError::file("look at", path)(error),
        })?;
        check_private(path, &metadata, OTHERS | GROUP)?;
        Ok(FileId::from_metadata(&metadata))
    }
}

fn write_keys(path: &Path, file: &mut File, keys: &Keys, owner: Owner) -> Result<(), StoreError> {
    fchown(&*file, None, Some(owner.gid))
        .and_then(|()| file.write_all(&keys.write()))
        .and_then(|()| file.sync_all())
        .map_err(StoreError::file("write", path))
}

/// Tells whether the database has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    database: FileState,
    /// The write-ahead log, if there is anything in it.
    log: Option<FileState>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileState {
    file: FileId,
    length: u64,
    changed: (i64, i64),
}

impl Snapshot {
    /// Whether all is in the database itself.
    pub(crate) const fn has_empty_log(&self) -> bool {
        self.log.is_none()
    }

    /// Whether the log has content in both, and is the same file.
    pub(crate) fn has_log_of(&self, other: &Self) -> bool {
        let log = |snapshot: &Self| snapshot.log.as_ref().map(|log| log.file);
        log(self).is_some() && log(self) == log(other)
    }
}

impl FileState {
    fn from_metadata(metadata: &fs::Metadata) -> Self {
        Self {
            file: FileId::from_metadata(metadata),
            length: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl Location {
    /// The state of the database and its write-ahead log now; `None`: it cannot be determined.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let database = FileState::from_metadata(&fs::symlink_metadata(&self.database).ok()?);
        let log = self.log().ok()?.filter(|log| log.length > 0);
        Some(Snapshot { database, log })
    }

    /// The length of the write-ahead log in bytes.
    pub(crate) fn log_length(&self) -> Result<u64, StoreError> {
        let log = self
            .log()
            .map_err(StoreError::file("look for the log of", &self.database))?;
        Ok(log.map_or(0, |log| log.length))
    }

    fn log(&self) -> io::Result<Option<FileState>> {
        let mut log = self.database.clone().into_os_string();
        log.push("-wal");
        match fs::symlink_metadata(Path::new(&log)) {
            Ok(metadata) => Ok(Some(FileState::from_metadata(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until the names of the files beside the database are on disk. A disk that fails at this takes no changes, like
    /// one that fails at a write.
    pub(crate) fn sync_names(&self) -> Result<(), StoreError> {
        sync_directory(&self.database).map_err(|error| StoreError::Unusable(error.to_string()))
    }
}

/// Tells one file from another of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn from_metadata(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

fn exists(path: &Path) -> Result<bool, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::file("look for", path)(error)),
    }
}

fn open_nofollow(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)
}

fn create_new(path: &Path, mode: u32) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let file = file.map_err(StoreError::file("make", path))?;
    // Whatever the umask was.
    file.set_permissions(fs::Permissions::from_mode(mode))
        .map_err(StoreError::file("set the mode of", path))?;
    Ok(file)
}

fn make_directory(file: &Path, mode: u32) -> Result<(), StoreError> {
    let directory = parent(file);
    match fs::DirBuilder::new().mode(mode).create(directory) {
        // Whatever the umask was.
        Ok(()) => fs::set_permissions(directory, fs::Permissions::from_mode(mode))
            .map_err(StoreError::file("set the mode of", directory)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::file("make", directory)(error)),
    }
}

fn sync_directory(file: &Path) -> Result<(), StoreError> {
    let directory = parent(file);
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(StoreError::file("write", directory))
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_synced_is_a_disk_that_takes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location {
            database: folder.path().join("not there").join("twofa.db"),
            key: folder.path().join("secret.key"),
            server: folder.path().join("database"),
            ..Location::default()
        };
        let error = location.sync_names().unwrap_err();
        assert!(error.may_be_a_disk_that_takes_nothing(), "{error}");
    }
}
