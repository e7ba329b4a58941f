//! The tests of this crate once more, on PostgreSQL: [`all_tests_pass_on_postgresql_as_well`] starts a server of its own and runs
//! this program again, which then finds it in the environment. Tests that are about a file say so ([`Bench::on_file`]).
//!
//! [`Bench::on_file`]: super::Bench::on_file

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{env, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;

use crate::StoreError;
use crate::sql::postgres::address::Address;
use crate::sql::postgres::pool::Pool;
use crate::sql::postgres::schema::{self, State};
use crate::sql::postgres::session::Session;

/// Says in which folder the socket of the server is.
const FOLDER: &str = "TWOFA_TEST_POSTGRES";
const USER: &str = "postgres";

/// A server in a temporary folder, stopped when it is dropped.
pub(crate) struct Server {
    process: Child,
    pub folder: TempDir,
    /// Of its socket, and where it is told to listen.
    pub port: u16,
}

impl Server {
    /// Debian's PostgreSQL, with `settings` in addition.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_at(5432, settings)
    }

    /// The same, on another port.
    pub(crate) fn start_at(port: u16, settings: &[&str]) -> Self {
        let folder = Self::new_folder();
        let data = folder.path().join("data");
        let made = program("initdb")
            .args([
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                "--wal-segsize=4",
            ])
            .args(["--username", USER, "--pgdata"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        Self::run(folder, port, settings)
    }

    /// A standby that follows this server.
    pub(crate) fn start_standby(&self) -> Self {
        let folder = Self::new_folder();
        let copied = program("pg_basebackup")
            .args(["--no-sync", "-c", "fast", "-R", "-U", USER, "-h"])
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string(), "-D"])
            .arg(folder.path().join("data"))
            .status();
        assert!(copied.unwrap().success());
        Self::run(folder, self.port, &[])
    }

    /// In memory, because each commit waits for a disk, and there are many.
    fn new_folder() -> TempDir {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            memory.to_owned()
        } else {
            env::temp_dir()
        };
        let folder = tempfile::tempdir_in(folder).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        give_to_server(&data);
        give_to_server(folder.path());
        folder
    }

    fn run(folder: TempDir, port: u16, settings: &[&str]) -> Self {
        let data = folder.path().join("data");
        let mut server = program("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(folder.path());
        server.args(["-p", &port.to_string()]);
        server.args(["-c", "listen_addresses=", "-c", "max_connections=300"]);
        server.args(["-c", "max_wal_size=64MB", "-c", "log_min_messages=fatal"]);
        for setting in settings {
            server.args(["-c", setting]);
        }
        let process = server.stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self {
            process,
            folder,
            port,
        };
        let address = server.address("postgres").parse().unwrap();
        loop {
            match Session::connect(&address) {
                Ok(_) => return server,
                // A standby is there.
                Err(StoreError::Unreachable(why)) if why.contains("takes no changes") => {
                    return server;
                }
                Err(_) => {
                    let ended = server.process.try_wait().unwrap();
                    assert!(ended.is_none(), "PostgreSQL ended: {ended:?}");
                    thread::yield_now();
                }
            }
        }
    }

    /// Where the socket is, as it stands in an address.
    pub(crate) fn host(&self) -> String {
        let folder = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("{folder}:{}", self.port)
    }

    /// A database of it.
    pub(crate) fn address(&self, database: &str) -> String {
        format!(
            "postgres://{USER}@{}/{database}?connections=64",
            self.host()
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A fast shutdown: it waits for nobody.
        let process = Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        let _ = kill(process, Signal::SIGINT);
        let _ = self.process.wait();
    }
}

/// Has `path` belong to the user that the server runs as.
pub(crate) fn give_to_server(path: &Path) {
    if geteuid().is_root() {
        let given = Command::new("chown").arg("postgres").arg(path).status();
        assert!(given.unwrap().success());
    }
}

/// Where one of the server's own programs is: Debian has a folder for each version.
fn installed(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut paths: Vec<_> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin").join(name)))
        .filter(|path| path.exists())
        .collect();
    paths.sort();
    paths.extend(Some(Path::new("/usr/bin").join(name)).filter(|path| path.exists()));
    assert!(
        !paths.is_empty(),
        "PostgreSQL's {name} is not installed: the package is postgresql, or postgresql-server"
    );
    paths.pop().unwrap()
}

/// One of the server's own programs, as a user that it runs as.
fn program(name: &str) -> Command {
    as_server(&installed(name))
}

/// A program as the user that the server runs as.
pub(crate) fn as_server(path: &Path) -> Command {
    if !geteuid().is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        "--",
    ]);
    command.arg(path).current_dir("/");
    command
}

fn address(folder: &Path, database: &str) -> Address {
    text(folder, database).parse().unwrap()
}

fn text(folder: &Path, database: &str) -> String {
    let folder = folder.to_str().unwrap().replace('/', "%2F");
    format!("postgres://{USER}@{folder}/{database}?connections=64")
}

/// A database of its own for one test, removed when it is dropped.
pub(crate) struct Database {
    name: String,
    folder: PathBuf,
}

impl Database {
    /// An empty store, on the server that the environment names; `None`: this run is not about PostgreSQL.
    pub(crate) fn of_this_run() -> Option<Self> {
        let folder = PathBuf::from(env::var_os(FOLDER)?);
        Some(Self::create(folder))
    }

    /// One without any tables.
    pub(crate) fn create_empty(folder: PathBuf) -> Self {
        let admin = Session::connect(&address(&folder, "postgres")).unwrap();
        let name = format!("empty{}", std::process::id());
        admin.batch(&format!("CREATE DATABASE {name}")).unwrap();
        Self { name, folder }
    }

    pub(crate) fn create(folder: PathBuf) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        /// The servers that have a template.
        static PREPARED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
        // PostgreSQL copies a database only while nobody is in it.
        let mut prepared = PREPARED.lock().unwrap_or_else(PoisonError::into_inner);
        let admin = Session::connect(&address(&folder, "postgres")).unwrap();
        let template = format!("template{}", std::process::id());
        if !prepared.contains(&folder) {
            admin.batch(&format!("CREATE DATABASE {template}")).unwrap();
            let pool = Pool::open(address(&folder, &template)).unwrap();
            // Each store that is made of it has a key of its own, and hashes rows with that.
            schema::make(&pool, State::Open, &|_| Ok(())).unwrap();
            prepared.push(folder.clone());
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("test{}_{number}", std::process::id());
        // Its last connection may still be about to end.
        while admin
            .batch(&format!("CREATE DATABASE {name} TEMPLATE {template}"))
            .is_err()
        {
            thread::yield_now();
        }
        let database = Self { name, folder };
        // Else all have the journal of the template.
        let session = Session::connect(&database.address().parse().unwrap()).unwrap();
        let another = "UPDATE journal SET id = substr(md5(random()::text), 1, 16)";
        session.batch(another).unwrap();
        database
    }

    /// Copies what is in it to another database, as a dump does, while nobody is connected to it.
    pub(crate) fn back_up(&self) {
        self.copy(&self.name, &self.backup());
    }

    /// Puts what was copied in its place, as one restores a dump.
    pub(crate) fn restore(&self) {
        self.copy(&self.backup(), &self.name);
    }

    fn backup(&self) -> String {
        format!("{}_backup", self.name)
    }

    fn copy(&self, from: &str, to: &str) {
        let admin = Session::connect(&address(&self.folder, "postgres")).unwrap();
        admin
            .batch(&format!("DROP DATABASE IF EXISTS {to} WITH (FORCE)"))
            .unwrap();
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'"
        );
        let copy = format!("CREATE DATABASE {to} TEMPLATE {from}");
        while admin.batch(&end).and_then(|()| admin.batch(&copy)).is_err() {
            thread::yield_now();
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// As it stands in the file that says where the store is.
    pub(crate) fn address(&self) -> String {
        text(&self.folder, &self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Ok(admin) = Session::connect(&address(&self.folder, "postgres")) {
            let _ = admin.batch(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

#[test]
fn all_tests_pass_on_postgresql_as_well() {
    if env::var_os(FOLDER).is_some() {
        return;
    }
    let server = Server::start(&[]);
    let run = Command::new(env::current_exe().unwrap())
        .env(FOLDER, server.folder.path())
        // These have servers of their own.
        .args(["--skip", "sql::postgres", "--skip", "moving::tests"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let complained = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}{complained}");
    assert!(said.contains("test result: ok"), "{said}");
}
