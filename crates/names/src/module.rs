//! One source of the name service, asked by itself. The one file with unsafe code: a source is a shared library with
//! C functions (`_nss_SOURCE_getgrnam_r` and others: "NSS Modules Interface" in the manual of the GNU C library), and
//! only they return the status that tells "not found" from "cannot tell".

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW, Symbol};
use nix::errno::Errno;
use nix::libc::{self, gid_t, group};

use crate::{Answer, files};

/// `enum nss_status`, nss.h.
const TRYAGAIN: c_int = -2;
const UNAVAIL: c_int = -1;
const NOTFOUND: c_int = 0;
const SUCCESS: c_int = 1;

/// The longest entry that is read: a group of a million members.
const LARGEST_ENTRY: usize = 64 << 20;

type InitgroupsDyn = unsafe extern "C" fn(
    *const c_char,
    gid_t,
    *mut c_long,
    *mut c_long,
    *mut *mut gid_t,
    c_long,
    *mut c_int,
) -> c_int;
type ByName =
    unsafe extern "C" fn(*const c_char, *mut group, *mut c_char, usize, *mut c_int) -> c_int;
type ByGid = unsafe extern "C" fn(gid_t, *mut group, *mut c_char, usize, *mut c_int) -> c_int;

/// A group as a source has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) gid: u32,
    pub(crate) members: Vec<Vec<u8>>,
}

/// How a group is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Name(String),
    Gid(u32),
}

/// What a source answers about the groups of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccountGroups {
    /// Their gids, without the primary one.
    Gids(Vec<u32>),
    /// It has no such function: only the lists of members of its groups tell who is in them.
    Unsupported,
}

/// A source of the name service. Its library is never unloaded: it may have threads and connections.
#[derive(Debug)]
pub(crate) struct Module {
    source: String,
    library: &'static Library,
}

static LOADED: Mutex<Option<HashMap<String, &'static Library>>> = Mutex::new(None);

impl Module {
    /// The module of `source`. `None`: it is not installed, and would have nothing to answer.
    pub(crate) fn load(source: &str) -> Answer<Self> {
        if !source
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        {
            return Err("no module can have this name".to_owned());
        }
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = loaded.get_or_insert_default();
        if let Some(library) = loaded.get(source) {
            return Ok(Some(Self {
                source: source.to_owned(),
                library,
            }));
        }
        // SAFETY: loading runs the library's initialisers. It is the one that libc itself loads for this source, from
        // the same places, whenever anything in this process looks up an account.
        let library =
            unsafe { Library::open(Some(format!("libnss_{source}.so.2")), RTLD_NOW | RTLD_LOCAL) };
        match library {
            Ok(library) => {
                let library: &'static Library = Box::leak(Box::new(library));
                loaded.insert(source.to_owned(), library);
                Ok(Some(Self {
                    source: source.to_owned(),
                    library,
                }))
            }
            Err(_) if has_nothing(source) => Ok(None),
            Err(error) => Err(format!("its module cannot be loaded: {error}")),
        }
    }

    /// The groups of `user`, without `primary`. `None`: it knows of none.
    pub(crate) fn own_groups(&self, user: &str, primary: u32) -> Answer<AccountGroups> {
        let Some(initgroups) = self.function::<InitgroupsDyn>("initgroups_dyn") else {
            return Ok(Some(AccountGroups::Unsupported));
        };
        let Ok(user) = CString::new(user) else {
            return Ok(None);
        };
        let mut list = List::new()?;
        let (mut count, mut errno): (c_long, c_int) = (0, 0);
        // SAFETY: the function has this type (nss.h; `nss_initgroups_dyn` in glibc's grp/initgroups.c). The list is
        // from malloc and has room for `size` entries; the function may realloc it, and then says so.
        let status = unsafe {
            initgroups(
                user.as_ptr(),
                primary,
                &raw mut count,
                &raw mut list.size,
                &raw mut list.start,
                -1,
                &raw mut errno,
            )
        };
        self.answer(status, errno, || AccountGroups::Gids(list.first(count)))
    }

    /// The group that `key` names, with its members.
    pub(crate) fn group(&self, key: &Key) -> Answer<Entry> {
        match key {
            Key::Name(name) => {
                let Ok(name) = CString::new(name.as_str()) else {
                    return Ok(None);
                };
                let Some(get) = self.function::<ByName>("getgrnam_r") else {
                    return Ok(None);
                };
                // SAFETY: the function has this type (getgrnam_r of nss.h), and `read` passes what it promises.
                self.read(|entry, buffer, size, errno| unsafe {
                    get(name.as_ptr(), entry, buffer, size, errno)
                })
            }
            Key::Gid(gid) => {
                let Some(get) = self.function::<ByGid>("getgrgid_r") else {
                    return Ok(None);
                };
                // SAFETY: as above, for getgrgid_r.
                self.read(|entry, buffer, size, errno| unsafe {
                    get(*gid, entry, buffer, size, errno)
                })
            }
        }
    }

    /// Calls `get` with an entry, and a buffer with its size that the entry's pointers will lead into, until the
    /// buffer is large enough.
    fn read(
        &self,
        get: impl Fn(*mut group, *mut c_char, usize, *mut c_int) -> c_int,
    ) -> Answer<Entry> {
        let mut size = 4096;
        loop {
            let mut buffer: Vec<c_char> = vec![0; size];
            // SAFETY: a `group` is two integers and pointers, for which zero is a value.
            let mut entry: group = unsafe { std::mem::zeroed() };
            let mut errno: c_int = 0;
            let status = get(&raw mut entry, buffer.as_mut_ptr(), size, &raw mut errno);
            if status == TRYAGAIN && errno == Errno::ERANGE as c_int && size < LARGEST_ENTRY {
                size *= 4;
                continue;
            }
            return self.answer(status, errno, || Entry {
                gid: entry.gr_gid,
                // SAFETY: on success the members are a list of C strings in `buffer` with a null pointer at its end,
                // or there is no list.
                members: unsafe { strings(entry.gr_mem) },
            });
        }
    }

    fn answer<T>(&self, status: c_int, errno: c_int, found: impl FnOnce() -> T) -> Answer<T> {
        let errno = Errno::from_raw(errno);
        match status {
            SUCCESS => Ok(Some(found())),
            NOTFOUND => self.not_found(),
            // "No such process" is userdb's way to say that nobody provides the record.
            UNAVAIL if self.source == "systemd" && errno == Errno::ESRCH => Ok(None),
            UNAVAIL => Err(format!("it is unavailable ({})", errno.desc())),
            TRYAGAIN => Err(format!("it fails temporarily ({})", errno.desc())),
            other => Err(format!("it returned the unknown status {other}")),
        }
    }

    /// The answer that "not found" stands for.
    fn not_found<T>(&self) -> Answer<T> {
        // Where sssd is built with --enable-sss-default-nss-plugin (Fedora, RHEL), its module says "not found" when
        // its daemon does not run.
        let sssd = Path::new("/var/lib/sss/pipes/nss");
        match (self.source.as_str(), UnixStream::connect(sssd)) {
            ("sss", Err(error)) => Err(format!(
                "sssd does not answer at {}: {error}",
                sssd.display()
            )),
            _ => Ok(None),
        }
    }

    fn function<T>(&self, name: &str) -> Option<Symbol<T>> {
        let symbol = CString::new(format!("_nss_{}_{name}", self.source)).ok()?;
        // SAFETY: the callers name the type that nss.h gives this function.
        unsafe { self.library.get::<T>(symbol.as_bytes_with_nul()) }.ok()
    }
}

/// Whether a source whose module is not installed would have nothing to answer. Distributions list these two even where
/// they are not installed: systemd's asks services at a socket, and that of machines has only groups without members,
/// if it has groups at all (before systemd 246).
fn has_nothing(source: &str) -> bool {
    match source {
        "systemd" => !Path::new("/run/systemd/userdb").exists(),
        "mymachines" => true,
        _ => false,
    }
}

/// A list of gids for C to fill and to move.
struct List {
    start: *mut gid_t,
    size: c_long,
}

impl List {
    const ROOM: u16 = 64;

    fn new() -> Result<Self, String> {
        // SAFETY: calloc may be called with any sizes.
        let start: *mut gid_t =
            unsafe { libc::calloc(Self::ROOM.into(), size_of::<gid_t>()) }.cast();
        if start.is_null() {
            return Err("out of memory".to_owned());
        }
        Ok(Self {
            start,
            size: Self::ROOM.into(),
        })
    }

    /// The first `count` entries.
    fn first(&self, count: c_long) -> Vec<u32> {
        let count = usize::try_from(count.min(self.size)).unwrap_or_default();
        // SAFETY: the list has `size` entries, all of which calloc or the function that moved it has allocated, and
        // the function filled those before `count`.
        unsafe { std::slice::from_raw_parts(self.start, count) }.to_vec()
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: it is from calloc, or from the realloc of a function that was lent it.
        unsafe { libc::free(self.start.cast()) };
    }
}

/// The strings of a list that a null pointer ends.
///
/// # Safety
///
/// `list` is null, or such a list, and its strings are C strings.
unsafe fn strings(list: *mut *mut c_char) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    if list.is_null() {
        return found;
    }
    let mut at = list;
    loop {
        // SAFETY: the null pointer that ends the list has not been passed.
        let string = unsafe { *at };
        if string.is_null() {
            return found;
        }
        // SAFETY: it is a C string, as the caller promises.
        found.push(unsafe { CStr::from_ptr(string) }.to_bytes().to_vec());
        // SAFETY: what follows a string of the list is in it: another string, or its end.
        at = unsafe { at.add(1) };
    }
}

/// Name, ids and shell of every account that the name service lists (getpwent(3)). To be called on one thread at a time.
pub(crate) fn all_accounts() -> Vec<(String, files::Entry, Vec<u8>)> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _only = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut accounts = Vec::new();
    // SAFETY: setpwent, getpwent and endpwent share one buffer of libc, which nothing else in this program uses and which
    // the lock keeps to this thread. What an entry points to is copied before the next call.
    unsafe {
        libc::setpwent();
        while let Some(entry) = libc::getpwent().as_ref() {
            let text = |text: *const c_char| {
                if text.is_null() {
                    Vec::new()
                } else {
                    CStr::from_ptr(text).to_bytes().to_vec()
                }
            };
            let name = String::from_utf8_lossy(&text(entry.pw_name)).into_owned();
            let ids = files::Entry {
                uid: entry.pw_uid,
                gid: entry.pw_gid,
            };
            accounts.push((name, ids, text(entry.pw_shell)));
        }
        libc::endpwent();
    }
    accounts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_not_there_gives_no_answer() {
        let error = Module::load("nosuchsource").unwrap_err();
        assert!(error.contains("cannot be loaded"), "{error}");
        assert_eq!(
            Module::load("../etc/evil").unwrap_err(),
            "no module can have this name"
        );
    }

    #[test]
    fn libcs_own_module_finds_what_is_there_and_says_not_found_of_what_is_not() {
        let files = Module::load("compat").unwrap().unwrap();
        assert_eq!(
            files.group(&Key::Name("root".into())).unwrap().unwrap().gid,
            0
        );
        assert_eq!(files.group(&Key::Name("no-such-group".into())), Ok(None));
        assert_eq!(files.group(&Key::Gid(0)).unwrap().unwrap().gid, 0);
        assert!(matches!(
            files.own_groups("root", 0),
            Ok(None | Some(AccountGroups::Gids(_)))
        ));
    }
}
