//! A machine with PostgreSQL and a server of the fleet, and the process in it that is many hosts.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use twofa_e2e::{Machine, SlowCable};
use twofa_store::Location;

use crate::machines;
use crate::stopwatch::copy_into;
use crate::users::Users;

const PORT: u16 = 6238;

/// Debian's PostgreSQL as it is installed, with a database for a store, behind a socket, and for a second server with TLS.
const DATABASE: &str = "install -d -o postgres /srv/db && cd /srv/db &&
    new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes' &&
    openssl req -x509 $new -keyout ca.key -out ca.crt -subj /CN=ca -days 10 2>&1 &&
    openssl req $new -keyout server.key -out server.csr -subj /CN=db 2>&1 &&
    echo subjectAltName=DNS:db.example.com >names &&
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 10 -extfile names -out server.crt 2>&1 &&
    chown postgres server.key && chmod 600 server.key && cd / &&
    as='setpriv --reuid=postgres --regid=postgres --clear-groups --' && bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1) &&
    $as $bin/initdb --auth=trust --locale=C --encoding=UTF8 --username=twofa /srv/db/data >/dev/null &&
    printf 'host replication all 10.79.1.0/24 trust\nhostssl all all 10.78.0.0/24 trust\n' >>/srv/db/data/pg_hba.conf &&
    $as $bin/pg_ctl -D /srv/db/data -o '-k /srv/db -c listen_addresses=* -c max_connections=200 -c ssl=on \
        -c ssl_cert_file=/srv/db/server.crt -c ssl_key_file=/srv/db/server.key -c shared_preload_libraries=pg_stat_statements' -l /srv/db/log -w start \
        >/dev/null && $bin/createdb -h /srv/db -U twofa twofa &&
    psql -q -h /srv/db -U twofa twofa -c 'CREATE SCHEMA counting; CREATE EXTENSION pg_stat_statements SCHEMA counting'";
/// A standby of it, on a machine that is connected to it.
const STANDBY: &str = "install -d -o postgres /srv/db && cd / &&
    as='setpriv --reuid=postgres --regid=postgres --clear-groups --' && bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1) &&
    $as $bin/pg_basebackup --no-sync -c fast -R -h 10.79.1.1 -U twofa -D /srv/db/data &&
    echo \"primary_conninfo = 'host=10.79.1.1 user=twofa application_name=standby'\" >>/srv/db/data/postgresql.auto.conf &&
    $as $bin/pg_ctl -D /srv/db/data -o '-k /srv/db -c listen_addresses= -c max_connections=200' -l /srv/db/log -w start >/dev/null";
const MOVE: &str = "twofa store move --to 'postgres://twofa@%2Fsrv%2Fdb/twofa'";

/// A server.
pub struct Server {
    /// Its machine.
    pub machine: Machine,
}

impl Server {
    /// One whose store was made at `store`, and is then moved to PostgreSQL.
    pub fn make(disk: &Path, users: &Users, store: &Location, address: &str) -> Self {
        let machine = machines::machine_with_store(disk, users, store);
        machine.run(DATABASE).ok();
        // It takes longer than a command of a test may.
        let moved = machine.program("sh").args(["-c", MOVE]).output();
        let moved = moved.expect("nsenter starts");
        assert!(moved.status.success(), "{moved:?}");
        let server = Self { machine };
        server
            .machine
            .run(&format!("twofa fleet init --address {address}"))
            .ok();
        server.start();
        server
    }

    /// Starts `twofad --server`, as its unit does.
    pub fn start(&self) {
        start(&self.machine);
    }

    /// Kills it.
    pub fn kill(&self) {
        self.machine.run("kill -9 $(cat /run/server.pid)").ok();
        self.machine.wait_until("! kill -0 $(cat /run/server.pid)");
    }

    /// Starts a standby of the database on another machine, each packet to which takes a millisecond, and has each commit wait
    /// for it.
    pub fn connect_standby(&self, other: &Machine) -> SlowCable {
        let slow = [1, 0];
        let cable =
            self.machine
                .connect_slowly(other, "standby", slow, "10.79.1.1/24", "10.79.1.2/24");
        other.run(STANDBY).ok();
        self.query("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
        self.query("SELECT pg_reload_conf()");
        let is_in_sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        self.machine.wait_until(&format!(
            "[ \"$(psql -h /srv/db -U twofa -At twofa -c \"{is_in_sync}\")\" = 1 ]"
        ));
        cable
    }

    /// Makes another machine a server over the same database, which it reaches over a cable.
    pub fn connect_second(&self, other: &Machine) {
        let first = &self.machine;
        first.connect(other, "second", "10.78.0.1/24", "10.78.0.2/24");
        other
            .run("echo '10.78.0.1 db.example.com' >>/etc/hosts")
            .ok();
        other.write_file("/etc/twofa/db.crt", &first.file("/srv/db/ca.crt"));
        let address = "postgres://twofa@db.example.com/twofa?ca=/etc/twofa/db.crt\n";
        other.write_file("/etc/twofa/database", address);
        let added = first.run("twofa server add 10.78.0.2").ok().stdout;
        let token = added.lines().find(|line| line.starts_with("twofa1/"));
        other
            .run_with_input("twofa server join --token-file -", token.expect("a token"))
            .ok();
        start(other);
    }

    /// Has commits wait for no standby again.
    pub fn disconnect_standby(&self) {
        self.query("ALTER SYSTEM RESET synchronous_standby_names");
        self.query("SELECT pg_reload_conf()");
    }

    /// Counts from here on.
    pub fn begin_counting(&self) -> Cost {
        self.query("SELECT counting.pg_stat_statements_reset()");
        self.processor_time()
    }

    /// What was counted, for each of so many logins.
    pub fn count(&self, begun: &Cost, logins: usize) -> Cost {
        let now = self.processor_time();
        let each = |now: f64, begun: f64| (now - begun) / logins as f64;
        let calls = self.query("SELECT sum(calls) FROM counting.pg_stat_statements");
        // Milliseconds of all calls together, then how many there were.
        let top = "SELECT round(total_exec_time + total_plan_time), calls, left(regexp_replace(query, '\\s+', ' ', 'g'), 110) FROM counting.pg_stat_statements ORDER BY total_exec_time + total_plan_time DESC";
        eprintln!("{}", self.query(&format!("{top} LIMIT 40")));
        Cost {
            statements: calls.trim().parse::<f64>().expect("a number") / logins as f64,
            server: each(now.server, begun.server),
            database: each(now.database, begun.database),
            hosts: each(now.hosts, begun.hosts),
        }
    }

    fn query(&self, sql: &str) -> String {
        let psql = format!("psql -h /srv/db -U twofa -At twofa -c \"{sql}\"");
        self.machine.run(&psql).ok().stdout
    }

    /// The time that processes have had a processor, in milliseconds: proc(5), `stat`, a hundred ticks a second.
    fn processor_time(&self) -> Cost {
        let time = |pids: &str| {
            let sum = format!(
                "for pid in {pids}; do cat /proc/$pid/stat 2>/dev/null; done | sed 's/.*) //' | \
                 awk '{{ sum += $12 + $13 }} END {{ print sum * 10 }}'"
            );
            let ticks = self.machine.run(&sum).ok().stdout;
            ticks.trim().parse().expect("a number")
        };
        Cost {
            statements: 0.0,
            server: time("$(cat /run/server.pid)"),
            database: time("$(pgrep -x postgres)"),
            hosts: time("$(pgrep -f -- '--inside hosts')"),
        }
    }

    /// A line of its `/proc/PID/status`, without the unit.
    pub fn status(&self, field: &str) -> f64 {
        let status = self
            .machine
            .run("cat /proc/$(cat /run/server.pid)/status")
            .ok();
        let line = status
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .expect("a field of proc(5)")
    }

    /// The descriptors that it has open.
    pub fn descriptors(&self) -> f64 {
        let count = self
            .machine
            .run("ls /proc/$(cat /run/server.pid)/fd | wc -l");
        count.ok().stdout.trim().parse().expect("a number")
    }
}

fn start(machine: &Machine) {
    machine
        .run(
            "ulimit -n 20000; setsid setpriv --reuid twofa --regid twofa --init-groups --inh-caps=-all --reset-env \
             /usr/sbin/twofad --server </dev/null >>/var/log/twofad-server.log 2>&1 & echo $! >/run/server.pid",
        )
        .ok();
    machine.wait_for_port(PORT);
}

/// What a login costs.
pub struct Cost {
    /// Statements that PostgreSQL carries out, `BEGIN` and `COMMIT` among them.
    pub statements: f64,
    /// Milliseconds of a processor that `twofad --server` takes.
    pub server: f64,
    /// Milliseconds of a processor that PostgreSQL takes.
    pub database: f64,
    /// Milliseconds of a processor that the hosts take, all of them one process.
    pub hosts: f64,
}

/// Hosts that have joined, in one process on the machine of their server.
pub struct Hosts {
    nsenter: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Hosts {
    /// So many that have joined.
    pub fn join(server: &Server, number: usize) -> Self {
        let machine = &server.machine;
        let add = format!("for i in $(seq {number}); do twofa host add h$i; done");
        let added = machine.program("sh").args(["-c", &add]).output();
        let added = added.expect("nsenter starts");
        let said = String::from_utf8_lossy(&added.stdout);
        let tokens = said.lines().filter(|line| line.starts_with("twofa1/"));
        let mut program = machine.program(copy_into(machine));
        program
            .args(["--inside", "hosts"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut nsenter = program.spawn().expect("nsenter starts");
        let answers = BufReader::new(nsenter.stdout.take().expect("a pipe"));
        let mut hosts = Self {
            orders: nsenter.stdin.take(),
            nsenter,
            answers,
        };
        let joined = hosts.order("join", tokens.map(str::to_owned));
        assert_eq!(joined, [number as f64], "hosts joined");
        hosts
    }

    /// Has them do something; the numbers of the answer.
    pub fn order(&mut self, order: &str, lines: impl Iterator<Item = String>) -> Vec<f64> {
        let lines: Vec<String> = lines.collect();
        let mut text = format!("{order}\n");
        if !lines.is_empty() {
            text += &(lines.join("\n") + "\n\n");
        }
        let orders = self.orders.as_mut().expect("open until dropped");
        orders.write_all(text.as_bytes()).expect("hosts read");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("hosts answer");
        answer
            .split_whitespace()
            .map(|number| number.parse().expect("a number"))
            .collect()
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.nsenter.wait();
    }
}
