use std::fs;

use twofa_core::rescue::{RescueSet, codes};
use twofa_core::{FleetPolicy, Policy, Rulebook};
use twofa_fleet::certificate::{Authority, make_fleet, request_certificate};
use twofa_fleet::identity::Id;
use twofa_fleet::signed;
use twofa_proto::Done;
use twofa_store::{JoinedFleet, Store};

use super::super::serve;
use super::*;
use crate::fleet::files::{FleetDirectory, HostFiles};
use crate::fleet::membership::{Membership, machine_id};
use crate::fleet::policy_copy;
use crate::testing::{Bench, ScriptedTerminal, clock, store_in};

/// Shared with the fleet.
const SHARED: &str = "nobody";
/// What the rules say in any case.
const ALWAYS: [(&str, &str); 3] = [
    ("mode", "mandatory"),
    ("enrolment", "beforehand"),
    ("fleet.accounts", SHARED),
];
const PROMPT: &str = "Rescue code for web1";

/// The host web1, which reaches no server, with the hashes of these codes.
struct Host {
    bench: Bench,
    folder: tempfile::TempDir,
    codes: Vec<String>,
}

impl Host {
    /// With these rules of the fleet, in addition to those that all tests need.
    fn new(settings: &[(&str, &str)]) -> Self {
        let fleet = make_fleet(clock()).unwrap();
        let mut bench = Bench::with_local_account();
        let folder = tempfile::tempdir().unwrap();
        bench.store = Store::open(store_in(folder.path())).unwrap();
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
        let group = nix::unistd::getegid().as_raw();
        let directory = FleetDirectory::at(folder.path().join("fleet"));
        directory.write_host(&files, group).unwrap();
        let rules = Policy::from_settings(ALWAYS.iter().chain(settings).copied()).unwrap();
        let policy = FleetPolicy {
            fleet: fleet.id.to_string(),
            version: 7,
            rulebook: Rulebook::new(rules, Vec::new()).unwrap(),
        };
        let servers = Authority::new(&fleet.servers.certificate, &fleet.servers.key).unwrap();
        let server = servers.issue_server(&fleet.id, &["srv.example.com".to_owned()], clock());
        let server = server.unwrap();
        let text = signed::sign(&policy.write(), &server.certificate, &server.key);
        let copy = folder.path().join("policy");
        policy_copy::save(&copy, &text.unwrap()).unwrap();
        let joined = JoinedFleet {
            fleet: fleet.id.to_string(),
            host: host.to_string(),
            name: "web1".into(),
            joined_at: clock(),
            servers: Vec::new(),
            renewed: None,
            authorities: None,
        };
        let origin = Origin::command_line(0);
        let stored = bench.store.join_fleet(&joined, &policy, &origin, clock());
        stored.unwrap();
        bench.fleet = Membership::new(directory, copy);
        let codes = codes(&[1, 2, 3, 4, 5].map(|it| [it; 10]));
        let set = RescueSet::hash(7, &codes, &joined.host, [9; 16]).unwrap();
        let told = bench.store.own_rescue().unwrap();
        bench
            .store
            .take_rescue_news(&told, None, Some(&set))
            .unwrap();
        Self {
            bench,
            folder,
            codes: codes.iter().map(|it| it.grouped().to_string()).collect(),
        }
    }

    /// With the primary group of the shared account as the rescue group.
    fn with_group() -> Self {
        let gid = nix::unistd::User::from_name(SHARED).unwrap().unwrap().gid;
        let group = nix::unistd::Group::from_gid(gid).unwrap().unwrap();
        Self::new(&[("fleet.rescue-group", &group.name)])
    }

    fn log_in(
        &self,
        (peer, login, is_account): (Peer, &Login, bool),
        answers: &[&str],
    ) -> (Verdict, Vec<String>) {
        let request = if is_account {
            Request::Account(login.clone())
        } else {
            Request::Login(login.clone())
        };
        let mut terminal = ScriptedTerminal::new();
        for answer in answers {
            terminal = terminal.types(answer);
        }
        let services = self.bench.services();
        match serve(services, peer, &request, login, &mut terminal) {
            Done::Login { verdict, .. } => (verdict, terminal.shown),
            other => panic!("{other:?}"),
        }
    }

    /// A login whose password was right, with what was shown.
    fn proved(&self, user: &str, answers: &[&str]) -> (Verdict, Vec<String>) {
        self.log_in((Peer::ROOT, &login(user), false), answers)
    }

    fn asks(&self, login: (Peer, &Login, bool)) -> bool {
        let (verdict, shown) = self.log_in(login, &[&self.codes[0]]);
        let asks = shown.iter().any(|it| it.contains(PROMPT));
        assert!(asks || verdict != Verdict::Passed, "{shown:?}");
        asks
    }
}

fn login(user: &str) -> Login {
    Login {
        user: user.into(),
        service: "no-such-service".into(),
        ssh_auth_info: Some("publickey ssh-ed25519 AAAA\n".into()),
        ..Login::default()
    }
}

#[test]
fn root_with_nothing_enrolled_gets_in_once_with_a_code() {
    let host = Host::new(&[]);
    let (verdict, shown) = host.proved("root", &[&host.codes[0]]);
    assert_eq!(verdict, Verdict::Passed, "{shown:?}");
    assert!(shown[0].contains(PROMPT), "{shown:?}");
    let (verdict, shown) = host.proved("root", &[&host.codes[0], ""]);
    assert_eq!(verdict, Verdict::Denied);
    assert!(
        shown[1].contains("not a rescue code for this host"),
        "{shown:?}"
    );
    // Who has none is refused as without it.
    let (verdict, shown) = host.proved("root", &[""]);
    assert_eq!(verdict, Verdict::Denied);
    assert!(shown[1].contains("none is set up for root"), "{shown:?}");
    // The other codes still work, typed in any way.
    let typed = host.codes[4].to_uppercase().replace('-', " ");
    let (verdict, _) = host.proved("root", &["no code", &typed]);
    assert_eq!(verdict, Verdict::Passed);
}

#[test]
fn without_a_server_a_member_of_the_group_gets_in_and_nobody_else_is_asked() {
    let host = Host::new(&[]);
    let (verdict, shown) = host.proved(SHARED, &[&host.codes[0]]);
    assert_eq!(verdict, Verdict::Unavailable);
    assert!(shown.iter().all(|it| !it.contains(PROMPT)), "{shown:?}");

    let host = Host::with_group();
    let (verdict, shown) = host.proved(SHARED, &[&host.codes[0]]);
    assert_eq!(verdict, Verdict::Passed, "{shown:?}");
    assert!(
        shown[0].starts_with("No server of the fleet answers"),
        "{shown:?}"
    );
    let (verdict, shown) = host.proved(SHARED, &[""]);
    assert_eq!(verdict, Verdict::Unavailable);
    assert!(
        shown[1].starts_with("No server of the fleet can be reached"),
        "{shown:?}"
    );
}

#[test]
fn a_code_is_asked_for_only_where_the_first_factor_was_right_and_root_asks() {
    let host = Host::with_group();
    for user in ["root", SHARED] {
        let proved = login(user);
        let unproved = Login {
            ssh_auth_info: None,
            ..login(user)
        };
        assert!(!host.asks((Peer::ROOT, &unproved, false)), "{user}");
        let own = accounts::find(user).unwrap().unwrap().uid;
        if own != 0 {
            assert!(!host.asks((Peer::new(own), &proved, false)), "{user}");
        }
        assert!(!host.asks((Peer::new(1), &proved, false)), "{user}");
        let one_prompt = Login {
            behind_password: true,
            ..login(user)
        };
        assert!(!host.asks((Peer::ROOT, &one_prompt, false)), "{user}");
        let mute = Login {
            cannot_answer: true,
            ..login(user)
        };
        assert!(!host.asks((Peer::ROOT, &mute, false)), "{user}");
        assert!(!host.asks((Peer::ROOT, &proved, true)), "{user}");
        let may_ask = Login {
            may_ask: true,
            ..login(user)
        };
        assert!(host.asks((Peer::ROOT, &may_ask, true)), "{user}");
        // Used by the last one.
        assert!(host.asks((Peer::ROOT, &proved, false)), "{user}");
    }
}

#[test]
fn an_error_lets_nobody_in() {
    let missing = Host::new(&[("fleet.rescue-group", "no-such-group")]);
    assert!(!missing.asks((Peer::ROOT, &login(SHARED), false)));

    let host = Host::with_group();
    fs::remove_file(host.folder.path().join("policy")).unwrap();
    assert!(!host.asks((Peer::ROOT, &login(SHARED), false)));
    // Root's right follows from no policy.
    assert!(host.asks((Peer::ROOT, &login("root"), false)));
    fs::remove_file(host.folder.path().join("fleet/host.toml")).unwrap();
    assert!(!host.asks((Peer::ROOT, &login("root"), false)));

    let host = Host::with_group();
    let told = host.bench.store.own_rescue().unwrap();
    for code in &host.codes {
        assert_eq!(host.proved("root", &[code]).0, Verdict::Passed);
    }
    assert!(told.report.held.is_some());
    for user in ["root", SHARED] {
        assert!(
            !host.asks((Peer::ROOT, &login(user), false)),
            "none is left"
        );
    }
}

#[test]
fn wrong_codes_are_counted_and_lock_and_the_log_has_them() {
    let host = Host::new(&[]);
    let wrong = "aaaa-aaaa-aaaa-aaaa";
    let (verdict, _) = host.proved("root", &[wrong, wrong, wrong]);
    assert_eq!(verdict, Verdict::TriesUsedUp);
    let (verdict, shown) = host.proved("root", &[wrong, wrong, &host.codes[0]]);
    assert_eq!(verdict, Verdict::TriesUsedUp);
    assert!(
        shown[3].starts_with("Too many wrong rescue codes."),
        "{shown:?}"
    );
    assert!(!host.asks((Peer::ROOT, &login("root"), false)));
    let mut refused = 0;
    let each = |logged: twofa_store::LoggedEvent| {
        refused += usize::from(logged.kind == "refused");
        true
    };
    let filter = twofa_store::EventFilter::default();
    host.bench.store.events(&filter, each).unwrap();
    // Five wrong ones, and that the last login was refused.
    assert_eq!(refused, 6);
}

#[test]
fn root_with_a_method_of_its_own_is_asked_for_that_as_before() {
    let mut host = Host::new(&[]);
    host.bench.alice = accounts::find("root").unwrap().unwrap();
    host.bench = host.bench.with_token();
    let (verdict, shown) = host.proved("root", &[crate::testing::TOKEN_CODES[0]]);
    assert_eq!(verdict, Verdict::Passed, "{shown:?}");
    assert!(!shown[0].contains(PROMPT), "{shown:?}");
}
