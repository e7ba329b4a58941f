//! A host of which a part is missing, damaged, or of another time: its store, or one of its files.

use std::fs;
use std::path::PathBuf;

use twofa_core::{FleetPolicy, Policy, Rulebook};
use twofa_fleet::certificate::{Authority, NewFleet, make_fleet, request_certificate};
use twofa_fleet::identity::Id;
use twofa_fleet::signed;
use twofa_store::{JoinedFleet, Origin, Store};

use super::*;
use crate::fleet::files::{FleetDirectory, HostFiles};
use crate::fleet::membership::{Membership, machine_id};
use crate::fleet::policy_copy;
use crate::testing::{Bench, ScriptedTerminal, clock, store_in};

const SHARED: &str = "nobody";
const OWN: &str = "daemon";

/// What the store says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Joined,
    NotJoined,
    Unreadable,
}

/// What has become of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Whole,
    Missing,
    /// There is something else in its place.
    Unreadable,
    Damaged,
    /// It is from an earlier time in the same fleet.
    Earlier,
    /// It is of a host of another fleet.
    Foreign,
}

const FATES: [Fate; 6] = [
    Fate::Whole,
    Fate::Missing,
    Fate::Unreadable,
    Fate::Damaged,
    Fate::Earlier,
    Fate::Foreign,
];
const FILES: [&str; 5] = ["host.toml", "host.crt", "host.key", "servers.crt", "policy"];

/// A host, and the files that it would have had at another time and in another fleet.
struct Host {
    bench: Bench,
    folder: tempfile::TempDir,
}

impl Host {
    fn new(said: Said, [fleet, other]: &[NewFleet; 2]) -> Self {
        let mut bench = Bench::with_local_account();
        let folder = tempfile::tempdir().unwrap();
        bench.store = Store::open(store_in(folder.path())).unwrap();
        let host = Self { bench, folder };
        host.write("earlier", fleet);
        host.write("foreign", other);
        let (joined, policy) = host.write("now", fleet);
        let (origin, store) = (Origin::command_line(0), &host.bench.store);
        if said == Said::NotJoined {
            store
                .change_policy([("mode", "optional")], &origin, clock())
                .unwrap();
        } else {
            store
                .join_fleet(&joined, &policy, &origin, clock())
                .unwrap();
        }
        host
    }

    /// Writes the files of a new host of `fleet` into this folder.
    fn write(&self, folder: &str, fleet: &NewFleet) -> (JoinedFleet, FleetPolicy) {
        let asked = request_certificate().unwrap();
        let hosts = Authority::new(&fleet.hosts.certificate, &fleet.hosts.key).unwrap();
        let host = Id::random().unwrap();
        let certificate = hosts.sign_host(&asked.request, &fleet.id, &host, clock());
        let files = HostFiles {
            fleet: fleet.id.clone(),
            host: host.clone(),
            machine: machine_id(),
            // Nothing listens there.
            servers: vec!["127.0.0.1:1".parse().unwrap()],
            certificate: certificate.unwrap(),
            key: asked.key,
            authority: fleet.servers.certificate.clone(),
        };
        let path = self.folder.path().join(folder);
        let group = nix::unistd::getegid().as_raw();
        FleetDirectory::at(path.clone())
            .write_host(&files, group)
            .unwrap();
        let settings = [("mode", "optional"), ("fleet.accounts", SHARED)];
        let rules = Policy::from_settings(settings).unwrap();
        let policy = FleetPolicy {
            fleet: fleet.id.to_string(),
            version: 7,
            rulebook: Rulebook::new(rules, Vec::new()).unwrap(),
        };
        let servers = Authority::new(&fleet.servers.certificate, &fleet.servers.key).unwrap();
        let server = servers
            .issue_server(&fleet.id, &["srv1".to_owned()], clock())
            .unwrap();
        // What was signed earlier was another version.
        let version = if folder == "earlier" { 6 } else { 7 };
        let text = FleetPolicy {
            version,
            ..policy.clone()
        }
        .write();
        let signed = signed::sign(&text, &server.certificate, &server.key).unwrap();
        policy_copy::save(&path.join("policy"), &signed).unwrap();
        let joined = JoinedFleet {
            fleet: fleet.id.to_string(),
            host: host.to_string(),
            name: "web1".into(),
            joined_at: clock(),
            servers: Vec::new(),
            renewed: None,
            authorities: None,
        };
        (joined, policy)
    }

    fn file(&self, folder: &str, name: &str) -> PathBuf {
        self.folder.path().join(folder).join(name)
    }

    fn membership(&self) -> Membership {
        let directory = self.folder.path().join("now");
        Membership::new(
            FleetDirectory::at(directory.clone()),
            directory.join("policy"),
        )
    }

    fn befall(&self, name: &str, fate: Fate) {
        let path = self.file("now", name);
        match fate {
            Fate::Whole => {}
            Fate::Missing => fs::remove_file(path).unwrap(),
            Fate::Unreadable => {
                fs::remove_file(&path).unwrap();
                fs::create_dir(path).unwrap();
            }
            Fate::Damaged => fs::write(path, "?").unwrap(),
            // As a backup brings it back: another file in its place.
            Fate::Earlier | Fate::Foreign => {
                let folder = if fate == Fate::Earlier {
                    "earlier"
                } else {
                    "foreign"
                };
                fs::rename(self.file(folder, name), path).unwrap();
            }
        }
    }

    fn ruin_store(&self) {
        let database = self.folder.path().join("db/twofa.db");
        for ending in ["db-shm", "db-wal", "db"] {
            let path = database.with_extension(ending);
            let Ok(found) = fs::metadata(&path) else {
                continue;
            };
            let length = usize::try_from(found.len()).unwrap();
            fs::write(&path, vec![b'?'; length]).unwrap();
        }
    }

    fn log_in(&self, name: &str) -> Verdict {
        let login = Login {
            user: name.into(),
            service: "sshd".into(),
            ssh_auth_info: Some("publickey ssh-ed25519 AAAA\n".into()),
            ..Login::default()
        };
        let request = Request::Login(login.clone());
        let mut terminal = ScriptedTerminal::new();
        let services = self.bench.services();
        match serve(services, Peer::ROOT, &request, &login, &mut terminal) {
            Done::Login { verdict, .. } => verdict,
            other => panic!("{other:?}"),
        }
    }
}

/// What becomes of a login to an account of the host's own that has nothing enrolled, which a whole host lets in.
fn own(said: Said, name: &str, fate: Fate, is_warm: bool) -> Verdict {
    let is_certificate = name == "host.crt";
    let refused = match said {
        Said::Unreadable => true,
        // Any trace of a membership that the store knows nothing of.
        Said::NotJoined => !(fate == Fate::Missing && name == "all"),
        Said::Joined => match fate {
            Fate::Whole => false,
            _ if name == "policy" => false,
            _ if name == "all" || name == "host.toml" => true,
            // Connections that were made with the files that were there go on until the host file changes.
            _ if is_warm => false,
            Fate::Missing | Fate::Unreadable | Fate::Damaged => true,
            Fate::Earlier => is_certificate || name == "host.key",
            // An authority names its fleet.
            Fate::Foreign => is_certificate || name == "host.key" || name == "servers.crt",
        },
    };
    if refused {
        Verdict::Unavailable
    } else {
        Verdict::NotRequired
    }
}

/// Checks what becomes of logins when all `names` of the files of a host have met with `fate`: with what a broker keeps in memory,
/// and without.
fn check(said: Said, name: &str, fate: Fate, fleets: &[NewFleet; 2]) {
    let mut host = Host::new(said, fleets);
    host.bench.fleet = host.membership();
    host.log_in(OWN);
    let names = if name == "all" {
        &FILES[..]
    } else {
        &[name][..]
    };
    for name in names {
        host.befall(name, fate);
    }
    if said == Said::Unreadable {
        host.ruin_store();
    }
    // A machine of which nothing says that it is a host is none.
    let is_none = said == Said::NotJoined && name == "all" && fate == Fate::Missing;
    let shared = if is_none {
        Verdict::NotRequired
    } else {
        Verdict::Unavailable
    };
    let root = if said == Said::Unreadable {
        Verdict::Unavailable
    } else {
        Verdict::NotRequired
    };
    for is_warm in [true, false] {
        if !is_warm {
            host.bench.fleet = host.membership();
        }
        let case = format!("{said:?} {name} {fate:?} {is_warm}");
        let own = own(said, name, fate, is_warm);
        assert_eq!(host.log_in(SHARED), shared, "shared: {case}");
        assert_eq!(host.log_in(OWN), own, "own: {case}");
        assert_eq!(host.log_in("root"), root, "root: {case}");
    }
}

#[test]
fn a_host_that_is_not_whole_takes_no_shared_account_for_one_of_its_own() {
    let fleets = [(); 2].map(|()| make_fleet(clock()).unwrap());
    for said in [Said::Joined, Said::NotJoined, Said::Unreadable] {
        for fate in FATES {
            for name in FILES.into_iter().chain(["all"]) {
                // Without a store, the files make no difference.
                if said != Said::Unreadable || name == "all" {
                    check(said, name, fate, &fleets);
                }
            }
        }
    }
}
