//! The PAM services of this machine, and what the stack prover says of them.
//!
//! Reads what libpam would read, and changes nothing. [`super::doctor`] reads the same files.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use twofa_core::service::{self, ServiceKind};
use twofa_stacks::{Doubt, File, Host, LineReading, Phase, Program, Proof, Service, Unusable};

use super::doctor::services::is_service;

/// The folders that services are looked up in. The first is the administrator's.
pub(super) const FOLDERS: [&str; 4] = [
    "/etc/pam.d",
    "/usr/lib/pam.d",
    "/usr/share/pam/pam.d",
    "/usr/etc/pam.d",
];
/// Exists while a change of PAM files by `twofa pam` is not final, and after one that was interrupted.
pub const PENDING_CHANGE: &str = "/var/backups/twofa-pam/pending";
/// Read where the first two of these do not exist.
const PAM_CONF: &str = "/etc/pam.conf";

/// A service of this machine.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The name that programs pass to `pam_start`.
    pub service: String,
    /// What kind of program it is for.
    pub kind: ServiceKind,
    /// What somebody has who gets in.
    pub gives: Gives,
    /// The phases in which somebody is asked for a code.
    pub asks: Vec<Phase>,
    /// The files that were found and read.
    pub files: Vec<String>,
    /// Who gets in.
    pub result: CheckResult,
}

/// What somebody has who gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// A login, or the use of a server.
    Login,
    /// Root, or the account that was named.
    Root,
    /// The screen back.
    Screen,
    /// A change to an account.
    Change,
    /// Nothing: it runs jobs and services for accounts.
    Jobs,
}

/// Who gets in, or why that cannot be said.
#[derive(Debug, Clone)]
pub enum CheckResult {
    /// What holds for every login.
    Proved(Box<Proof>),
    /// The model may be wrong.
    Unsure(Vec<Doubt>),
    /// libpam cannot use the service: nobody gets in.
    Unusable(Unusable),
}

/// The machine as libpam sees it.
#[derive(Debug)]
pub struct Machine {
    reading: LineReading,
    is_debian: bool,
    /// Where modules are.
    folders: Vec<PathBuf>,
    files: RefCell<HashMap<String, File>>,
    installed: RefCell<HashMap<String, Option<bool>>>,
}

impl Machine {
    /// This machine. Each file is read once.
    pub fn this() -> Self {
        let library = library_folders()
            .iter()
            .find_map(|folder| fs::read(folder.join("libpam.so.0")).ok());
        let is_debian = Path::new("/etc/debian_version").exists();
        let mut folders = module_folders();
        if is_debian {
            // Debian's libpam looks there too.
            folders.push(PathBuf::from("/usr/lib/security"));
        }
        Self {
            reading: library.map_or(LineReading::Unknown, |library| {
                LineReading::of_library(&library)
            }),
            is_debian,
            folders,
            files: RefCell::default(),
            installed: RefCell::default(),
        }
    }

    /// This machine as it would be with other files at some paths.
    #[must_use]
    pub fn overlaid(&self, files: BTreeMap<String, File>) -> Self {
        let mut all = self.files.borrow().clone();
        all.extend(files);
        Self {
            reading: self.reading,
            is_debian: self.is_debian,
            folders: self.folders.clone(),
            files: RefCell::new(all),
            installed: self.installed.clone(),
        }
    }

    /// The names of the services that programs could ask for, in order.
    pub fn services(&self) -> Vec<String> {
        let files = FOLDERS
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .flatten();
        let mut names: BTreeSet<_> = files
            .filter_map(|file| file.file_name().into_string().ok())
            .collect();
        if !FOLDERS[..2].iter().any(|folder| Path::new(folder).exists())
            && let File::Text(text) = self.read(PAM_CONF)
        {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let first = lines.filter_map(|line| line.split_whitespace().next());
            names.extend(first.map(str::to_ascii_lowercase));
        }
        names.into_iter().filter(|name| is_service(name)).collect()
    }

    /// What the prover says of all services that have files.
    pub fn check_all(&self) -> Vec<Checked> {
        let all = self.services();
        all.iter().filter_map(|name| self.check(name)).collect()
    }

    /// What the prover says of a service. `None`: it has no file of its own, and programs that ask for it get `other`.
    pub fn check(&self, service: &str) -> Option<Checked> {
        let read = Service::read(service, self);
        let name = service
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let is_there = |folder: &&str| self.read(&format!("{folder}/{name}")) != File::Missing;
        let in_conf =
            || matches!(&read, Ok(read) if read.files.iter().any(|file| file == PAM_CONF));
        if name.is_empty() || !(FOLDERS.iter().any(is_there) || in_conf()) {
            return None;
        }
        let (asks, files, result) = match read {
            Ok(read) => {
                let files = read.files.iter();
                let found = files.filter(|file| self.read(file) != File::Missing);
                let found: Vec<_> = found.cloned().collect();
                let result = match read.prove(program(&name), &|module| self.is_installed(module)) {
                    Some(proof) => CheckResult::Proved(Box::new(proof)),
                    None => CheckResult::Unsure(read.doubts.clone()),
                };
                (asks(&read), found, result)
            }
            Err(error) => (Vec::new(), Vec::new(), CheckResult::Unusable(error)),
        };
        Some(Checked {
            kind: service::kind(&name),
            gives: Gives::of(&name),
            service: name,
            asks,
            files,
            result,
        })
    }

    /// Whether a module, as it is written in a stack, is installed. `None`: that is unknown.
    pub fn is_installed(&self, module: &str) -> Option<bool> {
        if let Some(known) = self.installed.borrow().get(module) {
            return *known;
        }
        let found = if module.contains('$') || self.folders.is_empty() {
            None
        } else {
            // An absolute path replaces the folder.
            let mut paths = self.folders.iter().map(|folder| folder.join(module));
            Some(paths.any(|path| path.exists()))
        };
        self.installed.borrow_mut().insert(module.to_owned(), found);
        found
    }
}

impl Host for Machine {
    fn read(&self, path: &str) -> File {
        if let Some(known) = self.files.borrow().get(path) {
            return known.clone();
        }
        // Opening a pipe would wait for a process that writes to it.
        let is_pipe = fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
        let read = if is_pipe {
            Err(io::Error::other("a named pipe"))
        } else {
            fs::read(path)
        };
        let found = match read {
            Ok(bytes) => File::Text(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => match error.kind() {
                ErrorKind::IsADirectory => File::Text(String::new()),
                ErrorKind::NotFound | ErrorKind::NotADirectory => File::Missing,
                _ => File::Unreadable,
            },
        };
        let mut files = self.files.borrow_mut();
        files.insert(path.to_owned(), found.clone());
        found
    }

    fn debian(&self) -> bool {
        self.is_debian
    }

    fn line_reading(&self) -> LineReading {
        self.reading
    }
}

/// A service of the same kind that asks for a code, if this one does not and people log in with it.
pub fn neighbour_that_asks<'a>(service: &Checked, all: &'a [Checked]) -> Option<&'a str> {
    let CheckResult::Proved(proof) = &service.result else {
        return None;
    };
    let has_people = proof
        .ways
        .iter()
        .any(|ways| ways.route.has_authentication())
        && !OF_PROGRAMS.iter().any(|end| service.service.ends_with(end));
    if !has_people || !service.asks.is_empty() || service.kind == ServiceKind::Other {
        return None;
    }
    let mut same = all
        .iter()
        .filter(|other| other.kind == service.kind && !other.asks.is_empty());
    same.next().map(|other| other.service.as_str())
}

/// How the services end with which greeters start themselves, or log a user in whom nobody asks.
const OF_PROGRAMS: [&str; 3] = ["-greeter", "-launch-environment", "-autologin"];

impl Gives {
    /// What somebody has who gets in at a service.
    fn of(service: &str) -> Self {
        match service::kind(service) {
            _ if is_jobs(service) => Self::Jobs,
            _ if CHANGES.contains(&service) => Self::Change,
            ServiceKind::Elevation => Self::Root,
            ServiceKind::Unlock => Self::Screen,
            ServiceKind::Ssh | ServiceKind::Console | ServiceKind::Other => Self::Login,
        }
    }
}

/// Programs that change accounts.
const CHANGES: [&str; 10] = [
    "chfn", "chsh", "passwd", "chpasswd", "chage", "newusers", "useradd", "usermod", "userdel",
    "groupmod",
];

/// Whether there is nobody to ask. run0 calls `systemd-run0` for the session alone; polkit asks.
fn is_jobs(service: &str) -> bool {
    service::is_unattended(service) || service == "systemd-run0"
}

fn program(service: &str) -> Program {
    if is_jobs(service) {
        Program::Jobs
    } else if service::is_locker(service) {
        Program::Locker
    } else {
        Program::Other
    }
}

/// The phases in which a service asks somebody for a code.
fn asks(service: &Service) -> Vec<Phase> {
    if is_jobs(&service.name) {
        return Vec::new();
    }
    let lines = service.own_lines().into_iter().filter(|line| line.reached);
    let asking = lines.filter(|line| {
        let has = |option: &str| line.arguments.iter().any(|argument| argument == option);
        line.phase == Phase::Auth || has("challenge")
    });
    let phases: BTreeSet<_> = asking.map(|line| line.phase).collect();
    phases.into_iter().collect()
}

/// Folders of libraries: Debian's, one for each architecture, and the usual ones.
fn library_folders() -> Vec<PathBuf> {
    let of_debian = ["/usr/lib", "/lib"]
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .map(|folder| folder.path());
    let usual = ["/usr/lib64", "/usr/lib", "/lib64", "/lib"].map(PathBuf::from);
    of_debian.chain(usual).collect()
}

/// The folders in which libpam looks for modules: those that have `pam_unix.so`.
pub(super) fn module_folders() -> Vec<PathBuf> {
    let folders = library_folders().into_iter();
    let folders = folders.map(|folder| folder.join("security"));
    folders
        .filter(|folder| folder.join("pam_unix.so").exists())
        .collect()
}
