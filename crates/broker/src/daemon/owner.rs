//! Which account a uid belongs to, as far as the files of this machine say. This is looked up for each connection, so the
//! name service, which may hang, is not asked.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many accounts that only the name service knows are remembered at most.
const MAX_KNOWN: usize = 16_384;

/// The account that a connection is counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Owner(u32);

impl Owner {
    pub(super) const ROOT: Self = Self(0);
    /// All uids together that are in neither `/etc/passwd` nor `/etc/subuid`. No account has (uid_t)-1.
    pub(super) const UNKNOWN: Self = Self(u32::MAX);

    pub(super) const fn user(uid: u32) -> Self {
        Self(uid)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UNKNOWN => f.write_str("a user without an account on this machine"),
            Self(uid) => write!(f, "uid {uid}"),
        }
    }
}

/// Finds the owner of each uid.
#[derive(Debug)]
pub(super) struct Owners {
    passwd: Cached<HashMap<String, u32>>,
    subuid: Cached<Vec<Subordinates>>,
    local: HashSet<u32>,
    /// Accounts that only the name service knows and that have connected before.
    known: HashSet<u32>,
}

/// A line of `/etc/subuid` (subuid(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Subordinates {
    /// Login name, or uid.
    owner: String,
    uids: Range<u32>,
}

impl Owners {
    pub(super) fn of_this_machine() -> Self {
        Self::from_files(Path::new("/etc/passwd"), Path::new("/etc/subuid"))
    }

    fn from_files(passwd: &Path, subuid: &Path) -> Self {
        Self {
            passwd: Cached::new(passwd),
            subuid: Cached::new(subuid),
            local: HashSet::new(),
            known: HashSet::new(),
        }
    }

    /// The account that a connection of `uid` is counted against.
    pub(super) fn owner(&mut self, uid: u32) -> Owner {
        if uid == 0 {
            return Owner::ROOT;
        }
        if self
            .passwd
            .refresh(|text| text.lines().filter_map(account).collect())
        {
            self.local = self.passwd.value.values().copied().collect();
        }
        if self.local.contains(&uid) || self.known.contains(&uid) {
            return Owner(uid);
        }
        self.subuid
            .refresh(|text| text.lines().filter_map(subordinates).collect());
        let line = self
            .subuid
            .value
            .iter()
            .find(|line| line.uids.contains(&uid));
        let owner = line.and_then(|line| {
            let by_name = self.passwd.value.get(&line.owner).copied();
            // An account that only the name service knows goes by the first of its uids.
            let first = || {
                self.subuid
                    .value
                    .iter()
                    .find(|other| other.owner == line.owner)
            };
            by_name
                .or_else(|| line.owner.parse().ok())
                .or_else(|| first().map(|line| line.uids.start))
        });
        // Root's subordinate uids are those of containers and must not count as root.
        owner
            .filter(|owner| *owner != 0)
            .map_or(Owner::UNKNOWN, Owner)
    }

    /// Remembers that `uid` belongs to an account.
    pub(super) fn remember(&mut self, uid: u32) {
        if self.known.len() < MAX_KNOWN {
            self.known.insert(uid);
        }
    }
}

/// Name and uid of a line of `/etc/passwd` (passwd(5)).
fn account(line: &str) -> Option<(String, u32)> {
    let mut fields = line.split(':');
    Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
}

fn subordinates(line: &str) -> Option<Subordinates> {
    let mut fields = line.split(':');
    let owner = fields.next()?.trim().to_owned();
    let start: u32 = fields.next()?.trim().parse().ok()?;
    let count: u32 = fields.next()?.trim().parse().ok()?;
    Some(Subordinates {
        owner,
        uids: start..start.saturating_add(count),
    })
}

/// A value read from a file, and read again when the file changes. A file that cannot be read counts as empty: its
/// accounts are then counted as unknown, and are still served.
#[derive(Debug)]
struct Cached<T> {
    path: PathBuf,
    seen: Option<(u64, u64, SystemTime)>,
    value: T,
}

impl<T: Default> Cached<T> {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            seen: None,
            value: T::default(),
        }
    }

    /// Reads the file again if it has changed. Returns whether it has.
    fn refresh(&mut self, make: impl FnOnce(&str) -> T) -> bool {
        let found = fs::metadata(&self.path)
            .and_then(|found| Ok((found.ino(), found.size(), found.modified()?)))
            .ok();
        if found == self.seen {
            return false;
        }
        self.seen = found;
        self.value = fs::read(&self.path).map_or_else(
            |_| T::default(),
            |text| make(&String::from_utf8_lossy(&text)),
        );
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new(passwd: &str, subuid: &str) -> (Self, Owners) {
            let files = Self(tempfile::tempdir().unwrap());
            let [p, s] = ["passwd", "subuid"].map(|name| files.0.path().join(name));
            fs::write(&p, passwd).unwrap();
            fs::write(&s, subuid).unwrap();
            (files, Owners::from_files(&p, &s))
        }
    }

    const PASSWD: &str =
        "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n";

    #[test]
    fn subordinate_uids_belong_to_their_owners() {
        let subuid = "alice:100000:65536\n1001:200000:65536\nldap:300000:65536\nldap:400000:65536\nroot:500000:65536\n";
        let (_files, mut owners) = Files::new(PASSWD, subuid);
        for (uid, owner) in [
            (0, Owner::ROOT),
            (1000, Owner(1000)),
            (100_000, Owner(1000)),
            (165_535, Owner(1000)),
            (165_536, Owner::UNKNOWN),
            (200_001, Owner(1001)),
            (300_001, Owner(300_000)),
            (400_001, Owner(300_000)),
            (500_001, Owner::UNKNOWN),
            (7_000, Owner::UNKNOWN),
        ] {
            assert_eq!(owners.owner(uid), owner, "{uid}");
        }
    }

    #[test]
    fn an_account_of_the_name_service_is_unknown_until_it_is_remembered() {
        let (_files, mut owners) = Files::new(PASSWD, "");
        assert_eq!(owners.owner(9_000), Owner::UNKNOWN);
        owners.remember(9_000);
        assert_eq!(owners.owner(9_000), Owner(9_000));
    }

    #[test]
    fn an_added_account_is_seen_and_without_the_file_every_uid_is_unknown() {
        let (files, mut owners) = Files::new(PASSWD, "");
        assert_eq!(owners.owner(1002), Owner::UNKNOWN);
        let passwd = files.0.path().join("passwd");
        fs::write(&passwd, format!("{PASSWD}carol:x:1002:1002::/:/bin/sh\n")).unwrap();
        assert_eq!(owners.owner(1002), Owner(1002));
        fs::remove_file(passwd).unwrap();
        assert_eq!(owners.owner(1002), Owner::UNKNOWN);
    }

    #[test]
    fn malformed_lines_are_skipped() {
        let (_files, mut owners) =
            Files::new("", "\n#x\nalice\nalice:x:1\nalice:4294967290:4294967295\n");
        assert_eq!(owners.owner(1), Owner::UNKNOWN);
        assert_eq!(owners.owner(4_294_967_290), Owner(4_294_967_290));
    }
}
