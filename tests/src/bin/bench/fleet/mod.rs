//! `make bench-fleet`: what a server of a fleet can do over PostgreSQL, and what a fleet adds to a login.
//!
//! [`server`] is a machine with both, [`people`] fill its store, and [`hosts`] are up to a thousand in one process, which speak to
//! the server as real ones do.

pub mod hosts;
mod people;
mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use twofa_core::Account;

use self::server::{Hosts, Server};
use crate::concurrent;
use crate::facts::{self, Facts};
use crate::machines;
use crate::statistics::{grouped, median};
use crate::stopwatch::{Codes, Stopwatch, run_rounds};
use crate::stores;
use crate::table::Table;
use crate::users::{User, Users};

const AT_ONCE: usize = 64;
/// Logins of each user who logs in again and again, in one measurement.
const TURNS: usize = 40;
const SMALL: usize = 60;
const LARGE: usize = 100_000;
const HOSTS: usize = 1_000;
const CONVERSATIONS: usize = 10_000;
/// People who are enough for [`many`].
const MANY: usize = 31_000;
const RATE: f64 = 1500.0;

/// Measures, and returns the report. `is_quick`: only one login, and the rates among few people.
pub fn measure(disk: &Path, rounds: usize, is_quick: bool, progress: &dyn Fn(&str)) -> String {
    let load = facts::load();
    let users = Users::make();
    let mut figures = Figures(Table::new(&["figure", "measured", "wanted", ""]));
    added(&mut figures, disk, &users, rounds, progress);
    rates(&mut figures, disk, &users, SMALL, progress);
    two_servers(&mut figures, disk, &users, progress);
    if !is_quick {
        let mut large = rates(&mut figures, disk, &users, LARGE, progress);
        // Their names are given once more.
        let remove = format!("for i in $(seq {AT_ONCE}); do twofa host remove h$i; done");
        large.machine.run(&remove).ok();
        many(&mut figures, &mut large, progress);
    }
    let mut report = String::from("# twofa: a fleet over PostgreSQL\n\n");
    for (name, value) in Facts::gather(disk, &load).0 {
        report += &format!("- {name}: {value}\n");
    }
    report + &format!("\n{}", figures.0)
}

/// Measures only a thousand hosts and ten thousand conversations.
pub fn measure_many(disk: &Path, progress: &dyn Fn(&str)) -> String {
    let load = facts::load();
    let users = Users::make();
    let mut figures = Figures(Table::new(&["figure", "measured", "wanted", ""]));
    progress("enrolling people and moving them to PostgreSQL");
    let folder = tempfile::tempdir_in(disk).expect("a folder for a store");
    let store = people::fill(folder.path(), MANY, &[]);
    let mut server = Server::make(disk, &users, &store, "127.0.0.1");
    many(&mut figures, &mut server, progress);
    let mut report = String::from("# twofa: many hosts of a fleet over PostgreSQL\n\n");
    for (name, value) in Facts::gather(disk, &load).0 {
        report += &format!("- {name}: {value}\n");
    }
    report + &format!("\n{}", figures.0)
}

struct Figures(Table);

impl Figures {
    fn at_most(&mut self, what: &str, measured: f64, digits: usize, most: f64) {
        self.add(
            what,
            measured,
            digits,
            &format!("≤ {most}"),
            measured <= most,
        );
    }

    fn at_least(&mut self, what: &str, measured: f64, digits: usize, least: f64) {
        self.add(
            what,
            measured,
            digits,
            &format!("≥ {least}"),
            measured >= least,
        );
    }

    fn note(&mut self, what: &str, measured: f64, digits: usize) {
        let row = [what, &format!("{measured:.digits$}"), "", ""];
        eprintln!("{}", row.join("  "));
        self.0.row(row.map(str::to_owned).to_vec());
    }

    fn add(&mut self, what: &str, measured: f64, digits: usize, wanted: &str, is_met: bool) {
        let met = if is_met { "PASS" } else { "MISS" };
        let row = [what, &format!("{measured:.digits$}"), wanted, met];
        eprintln!("{}", row.join("  "));
        self.0.row(row.map(str::to_owned).to_vec());
    }
}

/// One login with pamtester: on a machine of its own, and on a host of a fleet.
fn added(
    figures: &mut Figures,
    disk: &Path,
    users: &Users,
    rounds: usize,
    progress: &dyn Fn(&str),
) {
    progress("one login, alone and in a fleet");
    let folder = tempfile::tempdir_in(disk).expect("a folder for a store");
    let store = stores::fill(folder.path(), SMALL, &users.timed, &users.concurrent[0]);
    let alone = machines::machine_with_store(disk, users, &store);
    alone.start_broker();
    let server = Server::make(disk, users, &store, "10.77.1.1");
    let host = machines::machine(disk, users);
    let shared = users.timed.iter().map(|user| user.account.name.as_str());
    let shared: Vec<&str> = shared.collect();
    let shared = format!("twofa policy set fleet.accounts={}", shared.join(","));
    server.machine.run(&shared).ok();
    let _cable = server
        .machine
        .connect(&host, "web1", "10.77.1.1/24", "10.77.1.2/24");
    let token = server.machine.run("twofa host add web1").ok().stdout;
    let token = token.lines().find(|line| line.starts_with("twofa1/"));
    host.run_with_input("twofa join --token-file -", token.expect("a token"))
        .ok();
    host.start_broker();
    let login = || "pamtester bench-twofa -".to_owned();
    let mut stopwatches = [&alone, &host].map(|machine| Stopwatch::start(machine, login()));
    let times = run_rounds(
        &mut stopwatches,
        rounds,
        &mut Codes::new(&users.timed),
        disk,
    );
    let differences: Vec<f64> = times[1]
        .iter()
        .zip(&times[0])
        .map(|(host, alone)| host - alone)
        .collect();
    figures.note(
        "one login, machine of its own, SQLite, median ms",
        median(&times[0]),
        2,
    );
    figures.note(
        "one login, host of a fleet, PostgreSQL, median ms",
        median(&times[1]),
        2,
    );
    figures.at_most(
        "added by the fleet to a warm login, median ms",
        median(&differences),
        2,
        1.5,
    );
}

/// Verified logins a second among so many people.
fn rates(
    figures: &mut Figures,
    disk: &Path,
    users: &Users,
    size: usize,
    progress: &dyn Fn(&str),
) -> Server {
    let name = grouped(size);
    progress(&format!(
        "enrolling {name} people and moving them to PostgreSQL"
    ));
    let folder = tempfile::tempdir_in(disk).expect("a folder for a store");
    let often = &users.concurrent[..AT_ONCE.min(size)];
    let store = people::fill(folder.path(), size, often);
    let server = Server::make(disk, users, &store, "127.0.0.1");
    server.machine.start_broker();
    let codes = |from, user: &User| user.codes(Some(from), TURNS);
    progress("logging in at a broker");
    let turns = often.iter().map(|user| (user, codes(0, user)));
    let (whole, _) = concurrent::log_in(&server.machine, often.len(), turns);
    let rate = |logins: usize, nanoseconds: f64| logins as f64 / nanoseconds * 1e9;
    let local = rate(often.len() * TURNS, whole.as_nanos() as f64);
    figures.note(
        &format!(
            "verified logins a second, {} at once, {name} people, a broker's own",
            often.len()
        ),
        local,
        0,
    );
    let mut hosts = Hosts::join(&server, often.len());
    progress("logging in on hosts");
    for round in 1..=2 {
        let lines = often.iter().map(|user| {
            let (account, codes) = (&user.account, codes(round * TURNS, user));
            format!("{} {} {}", account.name, account.uid, codes.join(" "))
        });
        let begun = server.begin_counting();
        let answer = hosts.order(&format!("log-in {}", often.len()), lines);
        let cost = server.count(&begun, often.len() * TURNS);
        let [nanoseconds, median] = answer[..] else {
            panic!("{answer:?}")
        };
        let what = format!(
            "verified logins a second, {} at once, {name} people, from hosts, round {round}",
            often.len()
        );
        figures.at_least(&what, rate(often.len() * TURNS, nanoseconds), 0, RATE);
        figures.note("of these one login, median ms", median, 1);
        figures.note("statements of one login", cost.statements, 1);
        figures.note("processor of one login, server, ms", cost.server, 3);
        figures.note("processor of one login, PostgreSQL, ms", cost.database, 3);
        figures.note("processor of one login, hosts, ms", cost.hosts, 3);
    }
    if size == SMALL {
        with_standby(figures, disk, users, &server, &mut hosts, progress);
    }
    server
}

/// Verified logins a second where each commit waits for a standby, each packet to which takes a millisecond.
fn with_standby(
    figures: &mut Figures,
    disk: &Path,
    users: &Users,
    server: &Server,
    hosts: &mut Hosts,
    progress: &dyn Fn(&str),
) {
    progress("logging in with a synchronous standby behind 1 ms");
    let standby = machines::machine(disk, users);
    let _cable = server.connect_standby(&standby);
    let often = &users.concurrent[..AT_ONCE.min(SMALL)];
    let lines = often.iter().map(|user| {
        let (account, codes) = (&user.account, user.codes(Some(3 * TURNS), TURNS));
        format!("{} {} {}", account.name, account.uid, codes.join(" "))
    });
    let answer = hosts.order(&format!("log-in {}", often.len()), lines);
    let rate = (often.len() * TURNS) as f64 / answer[0] * 1e9;
    figures.note(
        "verified logins a second, a synchronous standby behind 1 ms each way",
        rate,
        0,
    );
    figures.note("of these one login, median ms", answer[1], 1);
    server.disconnect_standby();
}

/// Verified logins a second through two servers over one database, each of which half of the hosts prefer.
fn two_servers(figures: &mut Figures, disk: &Path, users: &Users, progress: &dyn Fn(&str)) {
    progress("logging in through two servers");
    let folder = tempfile::tempdir_in(disk).expect("a folder for a store");
    let often = &users.concurrent[..AT_ONCE.min(SMALL)];
    let store = people::fill(folder.path(), SMALL, often);
    let server = Server::make(disk, users, &store, "10.78.0.1");
    let second = machines::machine(disk, users);
    server.connect_second(&second);
    let mut hosts = Hosts::join(&server, often.len());
    let lines = often.iter().map(|user| {
        let (account, codes) = (&user.account, user.codes(Some(0), TURNS));
        format!("{} {} {}", account.name, account.uid, codes.join(" "))
    });
    let answer = hosts.order(&format!("log-in {}", often.len()), lines);
    let rate = (often.len() * TURNS) as f64 / answer[0] * 1e9;
    let what = "verified logins a second, two servers on the same two processors, one of them over TLS to the database";
    figures.note(what, rate, 0);
    figures.note("of these one login, median ms", answer[1], 1);
}

/// The first code of everybody who logs in once.
fn first_code() -> String {
    let account = Account {
        name: String::new(),
        uid: 0,
    };
    let key = people::shared_key();
    User { account, key }.codes(Some(0), 1).remove(0)
}

/// A thousand hosts and ten thousand conversations.
fn many(figures: &mut Figures, server: &mut Server, progress: &dyn Fn(&str)) {
    let code = first_code();
    progress("a thousand hosts join");
    let joining = Instant::now();
    server.kill();
    server.start();
    let mut hosts = Hosts::join(server, HOSTS);
    figures.note(
        "a thousand hosts added and joined, s",
        joining.elapsed().as_secs_f64(),
        1,
    );
    let nobody = std::iter::empty;
    hosts.order(&format!("wait {HOSTS} 0"), nobody());
    figures.at_most(
        "1 000 hosts with a connection each, server resident MB",
        server.status("VmRSS") / 1000.0,
        0,
        150.0,
    );
    hosts.order(&format!("answer {code}"), nobody());
    progress("ten thousand conversations");
    let waiting = hosts.order(&format!("wait {CONVERSATIONS} 1000"), nobody());
    figures.at_least(
        "conversations at their prompts",
        waiting[0],
        0,
        CONVERSATIONS as f64,
    );
    figures.at_most(
        "threads of the server meanwhile",
        server.status("Threads"),
        0,
        200.0,
    );
    figures.note(
        "descriptors of the server meanwhile",
        server.descriptors(),
        0,
    );
    figures.note(
        "server resident meanwhile, MB",
        server.status("VmRSS") / 1000.0,
        0,
    );
    let answered = hosts.order(&format!("answer {code}"), nobody());
    figures.at_least("of them let in", answered[0], 0, CONVERSATIONS as f64);
    figures.note("answering them took, s", answered[2] / 1e9, 1);
    burst(figures, server, &mut hosts, &code, progress);
}

/// As many people log in as a server was restarted.
fn burst(
    figures: &mut Figures,
    server: &Server,
    hosts: &mut Hosts,
    code: &str,
    progress: &dyn Fn(&str),
) {
    let nobody = std::iter::empty;
    progress("ten thousand at once after a restart");
    server.kill();
    server.start();
    let burst = format!("burst {CONVERSATIONS} 20000 {code}");
    let [at_first, served, _, nanoseconds] = hosts.order(&burst, nobody())[..] else {
        panic!("no burst")
    };
    figures.at_least(
        "of 10 000 at once let in at the first try",
        at_first,
        0,
        CONVERSATIONS as f64,
    );
    figures.at_least("let in", served, 0, CONVERSATIONS as f64);
    figures.at_most(
        "the last of them after, s",
        nanoseconds / 1e9,
        1,
        Duration::from_secs(30).as_secs_f64(),
    );
}
