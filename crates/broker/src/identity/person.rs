//! A person at the time of a request: what is stored, which policy applies, which exemptions cover them.

use std::cell::RefCell;

use twofa_core::class::BrokenClass;
use twofa_core::decision::DecisionFacts;
use twofa_core::exemption::{self, Exemption, LoginSource};
use twofa_core::forecast::{LockedOut, Means};
use twofa_core::{
    Account, Channel, Decision, DeviceKind, Duration, Group, Membership, Methods, Policy, Status,
    Timestamp, decide,
};
use twofa_store::{Store, StoreError, StoredExemption, UserSnapshot};

use crate::identity::accounts::{Groups, NameServiceError};

/// Why a person could not be loaded. Nobody gets in then.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name service failed.
    #[error(transparent)]
    Names(#[from] NameServiceError),
    /// A class is broken.
    #[error(transparent)]
    Class(#[from] BrokenClass),
}

/// A person at one moment.
#[derive(Debug)]
pub struct Person {
    /// What is stored.
    pub snapshot: UserSnapshot,
    /// The policy that applies to them.
    pub policy: Policy,
    /// The class that it comes from.
    pub class: String,
    groups: RefCell<Groups>,
}

impl Person {
    /// Loads what is known of `account` now.
    pub fn load(store: &Store, account: &Account) -> Result<Self, PersonError> {
        Self::from_snapshot(store.snapshot(account)?, account)
    }

    /// The person with this `snapshot`.
    pub fn from_snapshot(snapshot: UserSnapshot, account: &Account) -> Result<Self, PersonError> {
        let mut groups = Groups::new(account);
        let rulebook = &snapshot.rules.rulebook;
        let user = snapshot.user.summary();
        let membership = |group: &Group| groups.membership(group);
        let effective = rulebook.effective(&user, membership)?;
        let (class, policy) = (effective.class_name().to_owned(), effective.policy);
        Ok(Self {
            snapshot,
            policy,
            class,
            groups: RefCell::new(groups),
        })
    }

    /// Why it is not settled which rules apply to them, so that the strictest do; `None`: it is settled. Names the source of
    /// the name service that does not answer, for the system log.
    pub fn doubts(&self) -> Option<String> {
        let groups = self.groups.borrow();
        (!groups.doubts().is_empty()).then(|| groups.doubts().join("; "))
    }

    /// Whether an address for `channel` is on file that an administrator put there or that was verified once: a code sent
    /// there proves the person.
    pub fn is_on_file(&self, channel: Channel) -> bool {
        self.snapshot.user.contacts[channel]
            .as_ref()
            .is_some_and(|contact| !contact.by_owner)
    }

    /// Whether there is such an address for any channel.
    pub fn has_address_on_file(&self) -> bool {
        Channel::ALL
            .into_iter()
            .any(|channel| self.is_on_file(channel))
    }

    /// For how long a code makes a device of this `kind` trusted; zero: a code is asked for every time.
    pub fn trust_duration(&self, kind: DeviceKind) -> Duration {
        let verify = self.snapshot.user.verify;
        verify.trust_duration(kind, &self.policy.trust)
    }

    /// The kinds of devices that a code makes trusted, and for how long.
    pub fn trusted_kinds(&self) -> Vec<(DeviceKind, Duration)> {
        let kinds = DeviceKind::all().map(|kind| (kind, self.trust_duration(kind)));
        kinds.filter(|(_, time)| time.seconds() > 0).collect()
    }

    /// Whether there are methods, and none that the policy allows.
    pub fn has_only_what_is_not_allowed(&self) -> bool {
        let user = &self.snapshot.user;
        !user.enrolled().is_empty() && !user.is_enrolled(self.policy.methods)
    }

    /// The exemption that covers a login of `account` from `source` at `now`.
    pub fn exemption(
        &self,
        account: &Account,
        source: LoginSource<'_>,
        now: Timestamp,
    ) -> Option<Exemption> {
        let exemptions: Vec<_> = self
            .snapshot
            .rules
            .exemptions
            .iter()
            .map(|stored| stored.exemption.clone())
            .collect();
        let mut groups = self.groups.borrow_mut();
        exemption::find_covering(&exemptions, account, source, now, |group| {
            groups.membership(group)
        })
        .cloned()
    }

    /// Decides about a login of `account` from `source` at `now`; `has_trusted_device`: a device stands in for a code. Also
    /// returns the exemption that covers the login.
    pub fn decide(
        &self,
        account: &Account,
        source: LoginSource<'_>,
        has_trusted_device: bool,
        now: Timestamp,
    ) -> (Decision, Option<Exemption>) {
        // Where nobody is asked, there is nothing to be exempt from, and no need to look up groups.
        let is_asked = self.policy.mode.asks();
        let exemption = is_asked
            .then(|| self.exemption(account, source, now))
            .flatten();
        let decision = decide(DecisionFacts {
            policy: &self.policy,
            user: &self.snapshot.user,
            exemption: exemption.as_ref(),
            source,
            has_trusted_device,
            has_identity_mismatch: self.snapshot.identity_mismatch.is_some(),
            now,
        });
        (decision, exemption)
    }

    /// The exemptions in force at `now` that can cover `account`, wherever a login comes from.
    pub fn exemptions(&self, account: &Account, now: Timestamp) -> Vec<&StoredExemption> {
        let mut groups = self.groups.borrow_mut();
        let mut covers = |stored: &&StoredExemption| match &stored.exemption.subject {
            exemption::Subject::User(exempt) => exempt == account,
            exemption::Subject::Group(group) => groups.membership(group) == Membership::Member,
        };
        let stored = self.snapshot.rules.exemptions.iter();
        stored
            .filter(|stored| stored.exemption.is_in_force(now) && covers(stored))
            .collect()
    }

    /// Why the person is kept out at `now`, by the decision or because it asks for what cannot be shown or enrolled. `carried`:
    /// as in [`Means`].
    pub fn locked_out(
        &self,
        account: &Account,
        carried: Methods,
        now: Timestamp,
    ) -> Option<LockedOut> {
        let user = &self.snapshot.user;
        let means = Means {
            policy: &self.policy,
            enrolled: user.enrolled(),
            has_backup_codes: user.backup_codes_left() > 0,
            carried,
        };
        means.locked_out(self.status(account, now))
    }

    /// The status of the person at `now`, wherever a login comes from.
    pub fn status(&self, account: &Account, now: Timestamp) -> Status {
        let exemption = self.exemption(account, LoginSource::default(), now);
        let summary = self.snapshot.user.summary();
        let status = summary.status(&self.policy, exemption.as_ref(), now);
        match self.snapshot.identity_mismatch {
            Some(_) => status.with_identity_mismatch(&self.policy),
            None => status,
        }
    }
}
