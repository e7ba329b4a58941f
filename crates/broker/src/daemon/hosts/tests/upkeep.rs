//! A host renews its certificate, and so does a copy of it.

use twofa_core::{FleetPolicy, Rulebook};
use twofa_fleet::certificate::LIFETIME;
use twofa_fleet::identity::{Identity, Role};
use twofa_fleet::wire::{FromServer, MemberAnswer, MemberRequest};
use twofa_store::{JoinedFleet, NewServer};

use super::*;
use crate::fleet::files::HostFiles;
use crate::fleet::membership::{Membership, machine_id};
use crate::fleet::upkeep::{Upkeep, UpkeepError, keep_up, people_on_record};

const DAY: u64 = 86_400;

/// A machine that has joined the fleet of a server.
pub(super) struct Host {
    own: Issued,
    pub(super) store: Store,
    pub(super) membership: Membership,
    _folder: tempfile::TempDir,
}

impl Host {
    /// One with the certificate and key `own`.
    pub(super) fn new(server: &Server, own: &Issued) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(store_in(folder.path())).unwrap();
        let directory = FleetDirectory::at(folder.path().join("fleet"));
        let der = &read_pem(&own.certificate).unwrap()[0];
        let Identity {
            fleet,
            role: Role::Host(host),
        } = Identity::of_certificate(der).unwrap()
        else {
            panic!("not a host's");
        };
        let joined = JoinedFleet {
            fleet: fleet.to_string(),
            host: host.to_string(),
            name: "web1".into(),
            joined_at: now(),
            servers: Vec::new(),
            renewed: None,
            authorities: None,
        };
        let files = HostFiles {
            fleet,
            host,
            machine: machine_id(),
            servers: vec![server.address.clone()],
            certificate: own.certificate.clone(),
            key: own.key.clone(),
            authority: server.fleet.servers.certificate.clone(),
        };
        let group = nix::unistd::getegid().as_raw();
        directory.write_host(&files, group).unwrap();
        let origin = Origin::command_line(0);
        let policy = FleetPolicy {
            fleet: joined.fleet.clone(),
            version: 1,
            rulebook: Rulebook::default(),
        };
        store.join_fleet(&joined, &policy, &origin, now()).unwrap();
        Self {
            own: own.clone(),
            store,
            membership: Membership::new(directory, folder.path().join("policy")),
            _folder: folder,
        }
    }

    /// Keeps it up as if it were so many days later there.
    pub(super) fn keep_up(&self, days: u64) -> Result<bool, UpkeepError> {
        let later = now().after(days * DAY);
        keep_up(&self.store, &self.membership, later, Upkeep::Everything)
    }

    pub(super) fn joined(&self) -> JoinedFleet {
        let rules = self.store.rules_in_force().unwrap();
        rules.fleet.clone().unwrap()
    }

    /// Whether a login is asked for a code.
    pub(super) fn is_served(&self, server: &Server) -> bool {
        let joined = self.joined();
        let servers = self.membership.servers(Some(&joined), &self.store);
        let servers = servers.unwrap().unwrap();
        let deadline = Instant::now() + TIME;
        let mut conversation = servers.open(&server.login(), deadline).unwrap();
        loop {
            match conversation.receive(deadline).unwrap() {
                FromServer::Prompt { .. } => return true,
                FromServer::Done { .. } => return false,
                _ => {}
            }
        }
    }
}

#[test]
fn a_host_learns_where_servers_are_and_renews_its_certificate_after_two_thirds_of_its_life() {
    let server = Server::new();
    let first = NewServer {
        id: Id::random().unwrap().to_string(),
        name: "srv1".into(),
        addresses: vec![server.address.to_string()],
    };
    let origin = Origin::command_line(0);
    server
        .store
        .record_first_server(&first, &origin, now())
        .unwrap();
    let host = Host::new(&server, &server.joined());

    assert!(!host.keep_up(59).unwrap());
    assert_eq!(host.joined().servers, first.addresses);
    assert_eq!(host.joined().renewed, None);
    assert!(host.keep_up(61).unwrap());
    let renewals = |expected| {
        let hosts = server.store.hosts().unwrap();
        assert_eq!(hosts[0].renewals, expected);
        assert!(host.is_served(&server));
    };
    renewals(1);
    assert!(host.keep_up(61).unwrap());
    renewals(2);
}

#[test]
fn a_copy_that_renews_after_the_host_did_cuts_off_both() {
    let server = Server::new();
    let own = server.joined();
    let (host, copy) = (Host::new(&server, &own), Host::new(&server, &own));
    assert!(host.keep_up(61).unwrap());
    assert!(host.is_served(&server) && copy.is_served(&server));
    let refused = copy.keep_up(61).unwrap_err().to_string();
    assert!(refused.contains("a copy of it"), "{refused}");
    assert!(!host.is_served(&server) && !copy.is_served(&server));
    let refused = host.keep_up(0).unwrap_err();
    assert!(matches!(refused, UpkeepError::Refused { .. }));
    assert!(server.store.hosts().unwrap()[0].copied_at.is_some());
}

#[test]
fn a_host_that_joins_again_works_and_a_copy_from_before_is_refused_and_cuts_nobody_off() {
    let server = Server::new();
    let own = server.joined();
    let (host, copy) = (Host::new(&server, &own), Host::new(&server, &own));
    assert!(host.keep_up(61).unwrap());
    assert!(copy.keep_up(61).is_err());
    let id = server.store.hosts().unwrap()[0].id.clone();
    let later = now().after(1);
    let again = server.rejoined(&id.parse().unwrap(), later);
    let host = Host::new(&server, &again);
    assert!(host.is_served(&server));
    for copy in [&copy, &Host::new(&server, &own)] {
        let refused = copy.keep_up(61).unwrap_err();
        assert!(matches!(refused, UpkeepError::Refused { .. }), "{refused}");
    }
    assert!(host.is_served(&server));
    assert_eq!(server.store.hosts().unwrap()[0].copied_at, None);
}

/// A server on which a host has joined whose certificate ended so many seconds ago, and the host.
fn lapsed(seconds: u64) -> (Server, Host) {
    let server = Server::new();
    let own = server.joined_at(now().before(LIFETIME + seconds));
    let host = Host::new(&server, &own);
    (server, host)
}

#[test]
fn a_host_that_slept_past_its_certificate_renews_it_and_can_do_nothing_before() {
    let (server, host) = lapsed(DAY);
    let joined = host.joined();
    let log_in = || {
        let servers = host.membership.servers(Some(&joined), &host.store);
        let servers = servers.unwrap().unwrap();
        servers.open(&server.login(), Instant::now() + TIME).is_ok()
    };
    assert!(!log_in());
    // Nor is it told where servers are.
    let asked = client::connect(
        &tls::host_itself(&HostCertificates {
            certificate: &host.own.certificate,
            key: &host.own.key,
            servers: &server.fleet.servers.certificate,
            fleet: &server.fleet.id,
        })
        .unwrap(),
        &server.address,
        Instant::now() + TIME,
    );
    let mut link = asked.unwrap();
    link.send(&MemberRequest::Servers).unwrap();
    let answer: MemberAnswer = link.receive().unwrap();
    assert!(matches!(answer, MemberAnswer::Refused(_)), "{answer:?}");

    assert!(host.keep_up(0).unwrap());
    assert!(host.is_served(&server));
}

#[test]
fn a_lapsed_certificate_is_not_renewed_after_the_grace_or_for_a_host_that_was_removed() {
    let origin = Origin::command_line(0);
    let (server, late) = lapsed(366 * DAY);
    assert!(matches!(
        late.keep_up(0).unwrap_err(),
        UpkeepError::Refused { .. }
    ));
    let longer = [("fleet.renewal-grace", "500d")];
    server.store.change_policy(longer, &origin, now()).unwrap();
    assert!(late.keep_up(0).unwrap());

    let (server, removed) = lapsed(DAY);
    server.store.remove_host("web1", &origin, now()).unwrap();
    assert!(matches!(
        removed.keep_up(0).unwrap_err(),
        UpkeepError::Refused { .. }
    ));
}

#[test]
fn a_copy_of_a_lapsed_host_that_has_renewed_cuts_off_both() {
    let (server, host) = lapsed(DAY);
    let copy = Host::new(&server, &host.own);
    assert!(host.keep_up(0).unwrap());
    assert!(copy.keep_up(0).is_err());
    assert!(server.store.hosts().unwrap()[0].copied_at.is_some());
    assert!(!host.is_served(&server));
}

#[test]
fn a_host_that_was_removed_renews_nothing() {
    let server = Server::new();
    let host = Host::new(&server, &server.joined());
    let origin = Origin::command_line(0);
    server.store.remove_host("web1", &origin, now()).unwrap();
    for days in [0, 61] {
        let refused = host.keep_up(days).unwrap_err();
        assert!(matches!(refused, UpkeepError::Refused { .. }), "{refused}");
    }
    assert_eq!(host.joined().renewed, None);
}

#[test]
fn a_host_is_told_the_uids_of_people_who_have_passed_on_it_and_of_nobody_else() {
    let server = Server::new();
    let own = server.joined();
    let host = Host::new(&server, &own);
    let on_record = || {
        let files = host.membership.files(&host.joined(), &host.store).unwrap();
        people_on_record(&files)
    };
    assert_eq!(on_record().unwrap(), []);
    let mut link = server.connect(&own);
    let (_, verdict) = converse(&server, &mut link, &server.login(), Some(&right_code()));
    assert_eq!(verdict, Verdict::Passed);
    assert_eq!(on_record().unwrap(), std::slice::from_ref(&server.user));
    let origin = Origin::command_line(0);
    server.store.remove_host("web1", &origin, now()).unwrap();
    assert!(matches!(on_record(), Err(UpkeepError::Refused { .. })));
}
