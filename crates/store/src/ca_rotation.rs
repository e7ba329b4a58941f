//! The certificate authority of a fleet is rotated: how far that is, and who knows of it.
//!
//! Which authorities there are stands in the files of each server, which root alone writes, and not here: who can write to the
//! database could otherwise have all hosts trust servers of their own. The store has numbers and moments only.
//!
//! 1. It is *started*: servers and hosts are given the new authority, and trust both.
//! 2. It is *opened* when every server has it: hosts get certificates of the new one.
//! 3. It is *finished*: hosts trust the new one alone.

use twofa_core::Timestamp;

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::sql::ca_rotation::{self, CaRotation, HostCa};
use crate::sql::fleet::{self, KnownAuthorities};

/// How many versions of what hosts know belong to one rotation.
const VERSIONS: i64 = 4;

impl CaRotation {
    /// The version of the authorities that hosts are told now.
    pub fn version(&self) -> i64 {
        let phase = match (self.opened_at, self.finished_at) {
            (_, Some(_)) => 2,
            (Some(_), None) => 1,
            (None, None) => 0,
        };
        self.started_version() + phase
    }

    /// The first version with the new authority.
    pub const fn started_version(&self) -> i64 {
        self.id * VERSIONS
    }
}

/// How far a rotation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaProgress {
    /// The rotation.
    pub rotation: CaRotation,
    /// The hosts that have joined, by name.
    pub hosts: Vec<HostCa>,
    /// The servers that do not have the new authority, as far as is known.
    pub servers_without: Vec<String>,
    /// Those that use the old one still.
    pub servers_with_old: Vec<String>,
}

impl CaProgress {
    /// Whether the host trusts the new authority.
    pub fn knows(&self, host: &HostCa) -> bool {
        host.version >= Some(self.rotation.started_version())
    }

    /// Whether the certificate of the host is of the new authority.
    pub fn has_renewed(&self, host: &HostCa) -> bool {
        host.issuer.as_deref() == Some(&self.rotation.hosts)
    }

    /// The hosts that would be left behind: those that do not know the new authority, or have no certificate of it.
    pub fn behind(&self) -> impl Iterator<Item = &HostCa> {
        let is_behind = |host: &&HostCa| !(self.knows(host) && self.has_renewed(host));
        self.hosts.iter().filter(is_behind)
    }
}

impl Store {
    /// The last rotation.
    pub fn ca_rotation(&self) -> Result<Option<CaRotation>, StoreError> {
        self.read(|view| ca_rotation::latest(view.db))
    }

    /// The same, and how many hosts have joined.
    pub fn ca_rotation_and_hosts(&self) -> Result<Option<(CaRotation, u64)>, StoreError> {
        self.read(|view| {
            let Some(rotation) = ca_rotation::latest(view.db)? else {
                return Ok(None);
            };
            Ok(Some((rotation, ca_rotation::count_hosts(view.db)?)))
        })
    }

    /// How far the last rotation is.
    pub fn ca_progress(&self) -> Result<Option<CaProgress>, StoreError> {
        self.read(|view| {
            let Some(rotation) = ca_rotation::latest(view.db)? else {
                return Ok(None);
            };
            let servers = ca_rotation::servers(view.db)?;
            let names = |those: &dyn Fn(&[String]) -> bool| {
                let those = servers.iter().filter(|(_, has)| those(has));
                those.map(|(name, _)| name.clone()).collect()
            };
            Ok(Some(CaProgress {
                hosts: ca_rotation::hosts(view.db)?,
                servers_without: names(&|has| !has.contains(&rotation.servers)),
                servers_with_old: names(&|has| has.first() != Some(&rotation.servers)),
                rotation,
            }))
        })
    }

    /// Begins a rotation to the authorities with these SHA-256, for servers and for hosts, or goes on with it.
    pub fn start_ca_rotation(
        &self,
        (servers, hosts): (&str, &str),
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(origin, now, |tx| {
            // One of several that begin at once.
            tx.db.lock("ca_rotation", "")?;
            if let Some(last) = ca_rotation::latest(tx.db)? {
                if last.servers == servers {
                    return Ok(());
                }
                if last.finished_at.is_none() {
                    return Err(StoreError::CaRotationGoesOn);
                }
            }
            ca_rotation::insert(tx.db, (servers, hosts), now)?;
            tx.record(
                None,
                &Event::CaRotationStarted {
                    authority: servers.to_owned(),
                },
            )?;
            Ok(())
        })
    }

    /// Has the new authority sign the certificates of hosts, if every server has it. Returns the servers that lack it.
    pub fn open_ca_rotation(
        &self,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        self.change(origin, now, |tx| {
            let Some(rotation) = ca_rotation::latest(tx.db)? else {
                return Ok(Vec::new());
            };
            let servers = ca_rotation::servers(tx.db)?.into_iter();
            let without = servers.filter(|(_, has)| !has.contains(&rotation.servers));
            let without: Vec<_> = without.map(|(name, _)| name).collect();
            if without.is_empty() && ca_rotation::set_opened(tx.db, rotation.id, now)? {
                let authority = rotation.servers;
                tx.record(None, &Event::CaRotationOpened { authority })?;
            }
            Ok(without)
        })
    }

    /// Ends the rotation: hosts trust the new authority alone. Until `kept_until`, a host that slept can renew a certificate of the
    /// old one; `hosts` of them have not. Says whether it was not finished before.
    pub fn finish_ca_rotation(
        &self,
        id: i64,
        (hosts, kept_until): (u64, Option<Timestamp>),
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            let is_first = ca_rotation::set_finished(tx.db, id, now, kept_until)?;
            if is_first {
                tx.record(None, &Event::CaRotationFinished { hosts })?;
            }
            Ok(is_first)
        })
    }

    /// Notes that the host whose certificate has this key knows `version` of the authorities, and that `issuer` (SHA-256) signed the
    /// certificate. Its own word for what it knows counts for nobody else.
    pub fn note_host_ca(
        &self,
        key: &[u8; 32],
        version: i64,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let host = self.host_by_key(key, now)?;
        if self.read(|view| ca_rotation::is_noted(view.db, &host.id, version, issuer))? {
            return Ok(());
        }
        self.write(|view| ca_rotation::note_host(view.db, &host.id, version, issuer))
    }

    /// Notes which authorities for servers (SHA-256) the server of this id has, the one in use first.
    pub fn note_server_authorities(
        &self,
        id: &str,
        authorities: &[String],
    ) -> Result<(), StoreError> {
        self.write(|view| ca_rotation::note_server(view.db, id, authorities))
    }

    /// On a host: notes the certificate authorities of the fleet, unless it has known a later version.
    pub fn note_authorities(&self, known: &KnownAuthorities) -> Result<(), StoreError> {
        self.write(|view| {
            view.rules.forget(view.db)?;
            let before = fleet::joined(view.db)?.and_then(|joined| joined.authorities);
            if before.is_some_and(|before| before.version >= known.version) {
                return Ok(());
            }
            fleet::set_authorities(view.db, known)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{HostJoin, NewHost};
    use crate::sql::fleet::HostRights;
    use crate::testing::{Bench, joined_fleet, origin};

    const KEY: [u8; 32] = [2; 32];

    fn progress(store: &Store) -> CaProgress {
        store.ca_progress().unwrap().unwrap()
    }

    fn join(bench: &Bench, store: &Store) {
        let new = NewHost {
            id: "00".into(),
            name: "web1".into(),
            rights: HostRights::default(),
            token: [1; 32],
        };
        store.add_host(&new, &origin(), bench.now).unwrap();
        let join = HostJoin {
            token: [1; 32],
            key: KEY,
            key_until: bench.now.after(1000),
        };
        assert!(store.join_host(join, &origin(), bench.now).unwrap());
    }

    #[test]
    fn a_rotation_goes_through_its_phases_once_and_hosts_are_told_of_each() {
        let bench = Bench::new();
        let store = bench.create();
        join(&bench, &store);
        assert_eq!(store.ca_progress().unwrap(), None);
        let start = |servers| store.start_ca_rotation((servers, "h"), &origin(), bench.now);
        start("s").unwrap();
        start("s").unwrap();
        assert!(matches!(start("other"), Err(StoreError::CaRotationGoesOn)));
        let first = progress(&store).rotation.version();
        assert_eq!(progress(&store).behind().count(), 1);

        let opened = store.open_ca_rotation(&origin(), bench.now).unwrap();
        assert_eq!(opened, Vec::<String>::new());
        let second = progress(&store).rotation.version();
        let note = |version, issuer| {
            let noted = store.note_host_ca(&KEY, version, issuer, bench.now);
            noted.unwrap();
        };
        note(first - 1, Some("h"));
        assert_eq!(progress(&store).behind().count(), 1);
        note(first, Some("old"));
        assert_eq!(progress(&store).behind().count(), 1);
        note(second, Some("h"));
        assert_eq!(progress(&store).behind().count(), 0);
        let stranger = store.note_host_ca(&[9; 32], second, None, bench.now);
        assert!(matches!(stranger, Err(StoreError::HostRefused)));

        let id = progress(&store).rotation.id;
        let finish = || {
            store
                .finish_ca_rotation(id, (0, None), &origin(), bench.now)
                .unwrap()
        };
        assert!(finish());
        assert!(!finish());
        let third = progress(&store).rotation.version();
        assert!(first < second && second < third);
        start("other").unwrap();
        assert!(progress(&store).rotation.version() > third);
        assert_eq!(progress(&store).behind().count(), 1);
    }

    #[test]
    fn a_host_that_joins_again_is_not_known_to_know_anything() {
        let bench = Bench::new();
        let store = bench.create();
        join(&bench, &store);
        store
            .start_ca_rotation(("s", "h"), &origin(), bench.now)
            .unwrap();
        let version = progress(&store).rotation.version();
        store
            .note_host_ca(&KEY, version, Some("h"), bench.now)
            .unwrap();
        assert_eq!(progress(&store).behind().count(), 0);
        let again = store.readmit_host("web1", &[3; 32], &origin(), bench.now);
        assert!(again.unwrap().is_some());
        let join = HostJoin {
            token: [3; 32],
            key: [4; 32],
            key_until: bench.now.after(1000),
        };
        assert!(store.join_host(join, &origin(), bench.now).unwrap());
        assert_eq!(progress(&store).behind().count(), 1);
    }

    #[test]
    fn what_a_host_knows_of_the_authorities_never_goes_back() {
        let bench = Bench::new();
        let store = bench.create();
        let (joined, policy) = joined_fleet(bench.now);
        store
            .join_fleet(&joined, &policy, &origin(), bench.now)
            .unwrap();
        let known = |version, servers: &str| KnownAuthorities {
            version,
            servers: servers.into(),
            hosts: Some("h".into()),
            renew_at: bench.now,
        };
        store.note_authorities(&known(5, "new")).unwrap();
        store.note_authorities(&known(4, "old")).unwrap();
        store.note_authorities(&known(5, "other")).unwrap();
        let rules = store.rules_in_force().unwrap();
        let authorities = rules.fleet.as_ref().unwrap().authorities.clone();
        assert_eq!(authorities, Some(known(5, "new")));
    }
}
