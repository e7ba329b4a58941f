//! Behind `PgBouncer`, which gives out its connections to PostgreSQL for one transaction each.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::session::Session;
use super::tests::{person, types};
use crate::Store;
use crate::journal::SystemLog;
use crate::testing::postgres::{Database, Server, as_server, give_to_server};
use crate::testing::{Bench, app, origin};

/// `PgBouncer` in front of `server`, with three connections to it, behind a socket in the same folder.
struct Pooler(Child);

const PORT: u16 = 6432;

impl Pooler {
    fn start(server: &Server, more: &str) -> Self {
        let folder = server.folder.path();
        let path = folder.join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = host={0} port={1}\n[pgbouncer]\npool_mode = transaction\ndefault_pool_size = 3\n\
             max_client_conn = 200\nauth_type = trust\nauth_file = {0}/users\nlisten_port = {PORT}\nunix_socket_dir = {0}\n{more}",
            folder.display(),
            server.port
        );
        fs::write(&path, settings).unwrap();
        fs::write(folder.join("users"), "\"postgres\" \"\"\n").unwrap();
        give_to_server(&path);
        let mut command = as_server(Path::new("/usr/sbin/pgbouncer"));
        let process = command.arg("-q").arg(&path).stderr(Stdio::null()).spawn();
        Self(process.expect("the package is pgbouncer"))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let process = Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ = kill(process, Signal::SIGINT);
        let _ = self.0.wait();
    }
}

fn works_behind_a_pooler(more: &str) {
    let server = Server::start(&[]);
    let database = Database::create(server.folder.path().to_owned());
    let (direct, name) = (database.address(), database.name().to_owned());
    assert!(
        !Session::connect(&direct.parse().unwrap())
            .unwrap()
            .is_pooled()
    );
    let _pooler = Pooler::start(&server, more);
    let host = server
        .host()
        .replace(&format!(":{}", server.port), &format!(":{PORT}"));
    let pooled = format!("postgres://postgres@{host}/{name}?connections=32");
    let socket = server.folder.path().join(format!(".s.PGSQL.{PORT}"));
    while UnixStream::connect(&socket).is_err() {
        thread::yield_now();
    }
    assert!(
        Session::connect(&pooled.parse().unwrap())
            .unwrap()
            .is_pooled()
    );

    let bench = Bench::in_database(database);
    drop(bench.create());
    fs::write(&bench.location.server, &pooled).unwrap();
    // As many processes have it open.
    let stores = [(), ()].map(|()| Store::open(bench.location.clone()).unwrap());
    let people = (0..6).map(|number| (person(number), app("phone")));
    stores[0].enrol_many(people, &origin(), bench.now).unwrap();
    let passed = AtomicU32::new(0);
    thread::scope(|scope| {
        for store in stores.iter().cycle().take(16) {
            scope.spawn(|| {
                for number in 0..6 {
                    if types(store, bench.now, &person(number), 1) {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 6, "one with each code");
    for store in &stores {
        store.give_mark(bench.now).unwrap();
        // With a cursor.
        assert!(Bench::log(store).len() > 6);
        let verified = store.verify_log(&SystemLog::default(), None).unwrap();
        assert_eq!(verified.findings, []);
    }
}

#[test]
fn a_pooler_that_lends_connections_for_a_transaction_is_noticed_and_served() {
    works_behind_a_pooler("");
}

#[test]
fn so_is_one_that_drops_what_it_does_not_pass_on() {
    works_behind_a_pooler("ignore_startup_parameters = options\n");
}
