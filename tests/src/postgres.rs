//! PostgreSQL in a machine: a primary, and standbys that follow it by streaming replication. All are Debian's, behind Unix
//! sockets.

use crate::machine::Machine;

/// A PostgreSQL server in a machine. It ends with the machine.
#[derive(Debug, Clone, Copy)]
pub struct Postgres<'a> {
    machine: &'a Machine,
    /// Where its data and its socket are.
    folder: &'static str,
}

/// Runs a PostgreSQL program as the user that it insists on.
const AS: &str = "cd / && as='setpriv --reuid=postgres --regid=postgres --clear-groups --' && \
    bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1) &&";

/// What a test does not wait for.
const SETTINGS: &str = "-c listen_addresses= -c wal_keep_size=64MB -c max_wal_senders=4 -c wal_receiver_timeout=2s \
    -c wal_retrieve_retry_interval=100ms -c log_min_messages=warning";

impl Machine {
    /// Starts PostgreSQL with an empty database `twofa` of the user `twofa`, with data and socket in `folder`.
    pub fn postgres(&self, folder: &'static str) -> Postgres<'_> {
        let server = Postgres {
            machine: self,
            folder,
        };
        self.run(&format!(
            "install -d -o postgres {folder} && {AS} \
             $as $bin/initdb --auth=trust --no-sync --locale=C --encoding=UTF8 --username=twofa {folder}/data >/dev/null"
        ))
        .ok();
        server.start();
        self.run(&format!("createdb -h {folder} -U twofa twofa"))
            .ok();
        server
    }
}

impl Postgres<'_> {
    /// Starts a standby of this one in `folder`. From then on no commit here counts before it is there too.
    #[must_use]
    pub fn synchronous_standby(self, folder: &'static str) -> Self {
        let standby = Self { folder, ..self };
        let primary = self.folder;
        self.machine
            .run(&format!(
                "install -d -o postgres {folder} && {AS} \
                 $as $bin/pg_basebackup --no-sync -c fast -R -h {primary} -U twofa -D {folder}/data"
            ))
            .ok();
        // The name by which the primary knows it.
        self.machine
            .run(&format!(
                "echo \"primary_conninfo = 'host={primary} user=twofa application_name=standby'\" \
                 >>{folder}/data/postgresql.auto.conf"
            ))
            .ok();
        standby.start();
        self.wait_for("SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'");
        self.set("synchronous_standby_names = 'standby'");
        self.wait_for("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'");
        standby
    }

    /// Where the store is on the first of these that takes changes.
    pub fn address(servers: &[Self]) -> String {
        let hosts: Vec<_> = servers
            .iter()
            .map(|server| server.folder.replace('/', "%2F"))
            .collect();
        format!("postgres://twofa@{}/twofa", hosts.join(","))
    }

    /// What `sql` gives, said by a database administrator.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn query(self, sql: &str) -> String {
        let output = self.machine.run_with_input(
            &format!(
                "psql -v ON_ERROR_STOP=1 -qAt -h {} -U twofa twofa",
                self.folder
            ),
            sql,
        );
        output.ok().stdout.trim().to_owned()
    }

    /// Waits until `condition`, a query, is true.
    pub fn wait_for(self, condition: &str) {
        self.machine.wait_until(&format!(
            "[ \"$(psql -qAt -h {} -U twofa twofa -c \"{condition}\")\" = t ]",
            self.folder
        ));
    }

    /// Changes a setting of the server, and waits until it is in force.
    pub fn set(self, setting: &str) {
        let (name, value) = setting.split_once(" = ").expect("a setting and its value");
        self.query(&format!("ALTER SYSTEM SET {setting}"));
        self.query("SELECT pg_reload_conf()");
        let value = value.trim_matches('\'');
        self.wait_for(&format!("SELECT current_setting('{name}') = '{value}'"));
    }

    /// Starts it, and waits until it answers.
    pub fn start(self) {
        let folder = self.folder;
        self.machine
            .run(&format!(
                "{AS} $as $bin/pg_ctl -D {folder}/data -o '-k {folder} {SETTINGS}' -l {folder}/log -w start >/dev/null"
            ))
            .ok();
    }

    /// Ends it at once, as a machine that is switched off.
    pub fn stop(self) {
        let folder = self.folder;
        self.machine
            .run(&format!(
                "{AS} $as $bin/pg_ctl -D {folder}/data -m immediate -w stop >/dev/null"
            ))
            .ok();
    }

    /// Makes a standby the primary, and waits until it takes changes. Nobody tells the old one.
    pub fn promote(self) {
        let folder = self.folder;
        self.machine
            .run(&format!(
                "{AS} $as $bin/pg_ctl -D {folder}/data -w promote >/dev/null"
            ))
            .ok();
    }

    /// Freezes all of its processes.
    pub fn freeze(self) {
        self.signal("STOP");
    }

    /// Lets frozen processes go on.
    pub fn thaw(self) {
        self.signal("CONT");
    }

    fn signal(self, signal: &str) {
        let folder = self.folder;
        // Its backends are children of the postmaster, whose number is in the file.
        self.machine
            .run(&format!(
                "pid=$(head -1 {folder}/data/postmaster.pid) && kill -{signal} $pid $(pgrep -P $pid)"
            ))
            .ok();
    }
}
