//! The certificate authority of the fleet is rotated, while hosts are awake, asleep, or join.

use twofa_fleet::certificate::{LIFETIME, fingerprint, make_authorities};
use twofa_fleet::package::NextAuthorities;
use twofa_store::CaProgress;

use super::upkeep::Host;
use super::*;
use crate::daemon::hosts::loaded::digest;

const DAY: u64 = 86_400;
/// How many hosts there are where there are many: this variable, or fewer than a fleet has.
const MANY: &str = "TWOFA_ROTATION_HOSTS";

fn service() -> u32 {
    nix::unistd::getegid().as_raw()
}

impl Server {
    /// Begins a rotation, of which hosts are told.
    fn start_rotation(&self) -> NewFleet {
        let new = make_authorities(self.fleet.id.clone(), now()).unwrap();
        let authority = Authority::new(&new.servers.certificate, &new.servers.key).unwrap();
        let own = authority.issue_server(&self.fleet.id, &["127.0.0.1".to_owned()], now());
        let next = NextAuthorities {
            root: new.root.certificate.clone(),
            servers: new.servers.clone(),
            hosts: new.hosts.clone(),
            own: own.unwrap(),
        };
        let directory = &self.shared.directory;
        let written = directory.write_next(&next, Some(&new.root.key), service());
        written.unwrap();
        self.shared.reload(now()).unwrap();
        let both = [&new.servers, &new.hosts].map(|it| digest(&it.certificate).unwrap());
        let origin = Origin::command_line(0);
        let started = self
            .store
            .start_ca_rotation((&both[0], &both[1]), &origin, now());
        started.unwrap();
        new
    }

    /// Has hosts get certificates of the new authority.
    fn open_rotation(&self) {
        let origin = Origin::command_line(0);
        let without = self.store.open_ca_rotation(&origin, now()).unwrap();
        assert_eq!(without, Vec::<String>::new());
    }

    /// Ends the rotation; for so many seconds, hosts that slept can renew.
    fn finish_rotation(&self, kept: Option<u64>) {
        let id = self.progress().rotation.id;
        let origin = Origin::command_line(0);
        let until = kept.map(|kept| now().after(kept));
        let finished = self
            .store
            .finish_ca_rotation(id, (0, until), &origin, now());
        assert!(finished.unwrap());
        let directory = &self.shared.directory;
        let (certificate, key) = directory.read_servers_authority().unwrap();
        let authority = Authority::new(&certificate, &key).unwrap();
        let kept = kept.map(|kept| {
            let names = ["127.0.0.1".to_owned()];
            let issued = authority.issue_server_for(&self.fleet.id, &names, now(), kept);
            issued.unwrap()
        });
        // The server notices by itself.
        directory.finish_rotation(kept.as_ref(), service()).unwrap();
    }

    fn progress(&self) -> CaProgress {
        self.store.ca_progress().unwrap().unwrap()
    }

    fn behind(&self) -> Vec<String> {
        let progress = self.progress();
        progress.behind().map(|host| host.name.clone()).collect()
    }
}

impl Host {
    /// Gets the rules of the fleet, as a host does all the time, and says whether they are good.
    fn has_policy(&self) -> bool {
        let deadline = Instant::now() + TIME;
        let fetched = self.membership.refresh_policy(&self.store, now(), deadline);
        let rules = self.store.rules_in_force().unwrap();
        fetched.is_ok() && self.membership.check_policy(&rules, &self.store).is_ok()
    }

    fn trusts(&self, fleet: &NewFleet) -> bool {
        let known = self.joined().authorities.unwrap().servers;
        known.contains(fleet.servers.certificate.trim())
    }
}

#[test]
fn a_host_that_is_awake_trusts_both_authorities_and_then_the_new_one_and_logs_people_in_all_the_time()
 {
    let server = Server::new();
    let host = Host::new(&server, &server.joined());
    let works = || host.has_policy() && host.is_served(&server);
    assert!(!host.keep_up(0).unwrap());
    assert_eq!(host.joined().authorities, None);
    assert!(works());

    let new = server.start_rotation();
    assert!(works());
    // It is told, and has no other certificate yet.
    assert!(!host.keep_up(0).unwrap());
    assert!(host.trusts(&server.fleet) && host.trusts(&new));
    assert!(works());
    assert!(!host.keep_up(0).unwrap());
    assert!(
        server
            .progress()
            .hosts
            .iter()
            .all(|host| server.progress().knows(host))
    );
    assert_eq!(server.behind(), ["web1"]);

    server.open_rotation();
    assert!(works());
    assert!(host.keep_up(0).unwrap());
    assert_eq!(server.behind(), Vec::<String>::new());
    assert!(works());
    assert!(!host.keep_up(0).unwrap());

    server.finish_rotation(None);
    assert!(works());
    assert!(!host.keep_up(0).unwrap());
    assert!(!host.trusts(&server.fleet) && host.trusts(&new));
    assert!(works());
    assert!(host.keep_up(61).unwrap());
    assert!(works());
    assert_eq!(server.store.hosts().unwrap()[0].renewals, 2);

    // And once more.
    let newest = server.start_rotation();
    server.open_rotation();
    assert!(host.keep_up(0).unwrap());
    server.finish_rotation(None);
    assert!(!host.keep_up(0).unwrap());
    assert!(!host.trusts(&new) && host.trusts(&newest));
    assert!(works());
}

#[test]
fn a_host_that_slept_through_a_rotation_renews_by_its_key_and_can_do_nothing_before() {
    for lapsed in [false, true] {
        let server = Server::new();
        let joined = now().before(if lapsed { LIFETIME + DAY } else { 0 });
        let own = server.joined_at(joined);
        let host = Host::new(&server, &own);
        let had_policy = host.has_policy();
        assert_eq!(had_policy, !lapsed);
        let new = server.start_rotation();
        server.open_rotation();
        server.finish_rotation(Some(DAY));
        let log_in = || {
            let mut link = server.connect(&own);
            link.send(&FromHost::Policy { known: 0 }).unwrap();
            link.receive::<FromServer>().is_ok()
        };
        assert!(!log_in());
        assert!(host.keep_up(0).unwrap());
        assert!(host.has_policy() && host.is_served(&server));
        assert!(host.trusts(&new) && !host.trusts(&server.fleet), "{lapsed}");
        assert_eq!(server.behind(), Vec::<String>::new());
    }
}

#[test]
fn a_host_that_comes_back_before_the_server_has_noticed_the_end_renews_at_once() {
    let server = Server::new();
    let host = Host::new(&server, &server.joined());
    server.start_rotation();
    server.open_rotation();
    server.finish_rotation(Some(DAY));
    assert!(host.keep_up(0).unwrap());
    assert!(host.has_policy() && host.is_served(&server));
    assert_eq!(server.behind(), Vec::<String>::new());
}

#[test]
fn a_host_that_knew_the_new_authority_and_slept_since_renews_as_well() {
    let server = Server::new();
    let host = Host::new(&server, &server.joined());
    assert!(host.has_policy());
    let new = server.start_rotation();
    assert!(!host.keep_up(0).unwrap());
    server.open_rotation();
    server.finish_rotation(Some(DAY));
    assert!(host.keep_up(0).unwrap());
    assert!(host.has_policy() && host.is_served(&server));
    assert!(host.trusts(&new) && !host.trusts(&server.fleet));
}

#[test]
fn who_has_the_old_authoritys_key_can_cut_no_host_off_after_the_rotation() {
    let server = Server::new();
    let host = Host::new(&server, &server.joined());
    server.start_rotation();
    server.open_rotation();
    assert!(host.keep_up(0).unwrap());
    server.finish_rotation(Some(DAY));
    host.keep_up(0).unwrap();
    let id: Id = server.store.hosts().unwrap()[0].id.parse().unwrap();
    let forged = Host::new(&server, &server.signed_for(&id, now().after(1)));
    assert!(forged.keep_up(0).is_err());
    assert!(host.is_served(&server));
    assert_eq!(server.store.hosts().unwrap()[0].copied_at, None);
}

#[test]
fn where_nothing_of_the_old_authority_is_kept_a_host_that_slept_has_to_join_again() {
    let server = Server::new();
    let host = Host::new(&server, &server.joined());
    let new = server.start_rotation();
    server.open_rotation();
    server.finish_rotation(None);
    assert!(host.keep_up(0).is_err());
    assert!(!host.has_policy());
    assert_eq!(server.behind(), ["web1"]);
    assert_eq!(host.joined().authorities, None);
    // Nor does the server issue anything of the old one.
    let signer = server
        .shared
        .loaded()
        .signer(&server.shared.directory, None);
    let asked = request_certificate().unwrap();
    let id = Id::random().unwrap();
    let signed = signer
        .unwrap()
        .sign_host(&asked.request, &server.fleet.id, &id, now());
    let signed = signed.unwrap();
    let is_of = |hosts: &str| {
        twofa_fleet::verifier::is_host_of(hosts, &server.fleet.id, &signed, now()).unwrap()
    };
    assert!(is_of(&new.hosts.certificate) && !is_of(&server.fleet.hosts.certificate));
}

#[test]
fn a_host_joins_in_every_phase_by_a_token_from_before_and_by_one_from_after() {
    let server = Server::new();
    let root = |fleet: &NewFleet| fingerprint(&read_pem(&fleet.root.certificate).unwrap()[0]);
    let tokens = AtomicU64::new(0);
    let join = |root: [u8; 32]| {
        let number = tokens.fetch_add(1, Ordering::Relaxed);
        let secret = Secret::from(format!("secret {number}"));
        let new = NewHost {
            id: Id::random().unwrap().to_string(),
            name: format!("web{number}"),
            rights: HostRights::default(),
            token: twofa_fleet::token::digest(&secret),
        };
        let origin = Origin::command_line(0);
        server.store.add_host(&new, &origin, now()).unwrap();
        let config = tls::joining_host(root).unwrap();
        let deadline = Instant::now() + TIME;
        let mut link = client::connect(&config, &server.address, deadline)?;
        let asked = request_certificate().unwrap();
        let request = twofa_fleet::wire::JoinRequest {
            secret,
            request: asked.request,
        };
        link.send(&request).unwrap();
        let answer = link.receive().unwrap();
        let twofa_fleet::wire::JoinAnswer::Joined { certificate, .. } = answer else {
            panic!("{answer:?}");
        };
        let authority = certificate::write_pem(&link.certificates()[1]);
        let config = tls::host(&HostCertificates {
            certificate: &certificate,
            key: &asked.key,
            servers: &authority,
            fleet: &server.fleet.id,
        });
        client::connect(&config.unwrap(), &server.address, deadline).map(drop)
    };
    let (old, strange) = (root(&server.fleet), [9; 32]);
    join(old).unwrap();
    let new = root(&server.start_rotation());
    for token in [old, new] {
        join(token).unwrap();
    }
    server.open_rotation();
    for token in [old, new] {
        join(token).unwrap();
    }
    server.finish_rotation(Some(DAY));
    // A join key from before the rotation works as long as the old authority is kept.
    for token in [old, new] {
        join(token).unwrap();
    }
    assert!(join(strange).is_err());
}

#[test]
fn of_many_hosts_of_which_some_sleep_through_a_rotation_none_is_lost() {
    let many = std::env::var(MANY).ok().and_then(|many| many.parse().ok());
    let many: usize = many.unwrap_or(20);
    let server = Server::new();
    let hosts: Vec<_> = (0..many)
        .map(|number| {
            let mut token = [0; 32];
            token[..8].copy_from_slice(&number.to_be_bytes());
            let own = server.joined_as(&format!("h{number}"), token);
            Host::new(&server, &own)
        })
        .collect();
    let all = |work: &(dyn Fn(usize, &Host) + Sync)| {
        let each = |half: usize| {
            for (number, host) in hosts.iter().enumerate().skip(half).step_by(2) {
                work(number, host);
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| each(0));
            each(1);
        });
    };
    let sleeps = |number: usize| number % 20 == 7;
    let asleep = (0..many).filter(|number| sleeps(*number)).count();
    let awake = |work: &(dyn Fn(&Host) + Sync)| {
        all(&|number, host| {
            if !sleeps(number) {
                work(host);
            }
        });
    };
    all(&|_, host| assert!(host.has_policy()));
    server.start_rotation();
    awake(&|host| assert!(!host.keep_up(0).unwrap()));
    server.open_rotation();
    awake(&|host| {
        // Their turns are spread; tomorrow all have had theirs.
        host.keep_up(0).unwrap();
        host.keep_up(1).unwrap();
    });
    assert_eq!(server.behind().len(), asleep);
    server.finish_rotation(Some(DAY));
    awake(&|host| assert!(!host.keep_up(1).unwrap()));
    awake(&|host| assert!(host.has_policy()));
    all(&|number, host| {
        if sleeps(number) {
            assert!(host.keep_up(0).unwrap());
            assert!(host.has_policy());
        }
    });
    // One that was awake, and one that slept. To one account, only so many logins wait for a code.
    assert!(hosts[0].is_served(&server) && hosts[7].is_served(&server));
    assert_eq!(server.behind(), Vec::<String>::new());
}
