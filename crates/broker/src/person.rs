//! A person as a request finds them: what is stored, which policy holds, what spares them.

use twofa_core::class::{self, ClassError, Effective};
use twofa_core::decision::{Device, Facts};
use twofa_core::exemption::{self, Exemption, Source};
use twofa_core::{Account, Decision, Policy, Status, Timestamp, decide};
use twofa_store::{Situation, Store, StoreError, StoredExemption};

use crate::accounts::{Groups, NameServiceError};

/// Why nothing can be said about a person. Either way nobody gets in.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name service failed.
    #[error(transparent)]
    Names(#[from] NameServiceError),
    /// A class is broken.
    #[error("{0}")]
    Class(String),
}

impl From<ClassError<NameServiceError>> for PersonError {
    fn from(error: ClassError<NameServiceError>) -> Self {
        match error {
            ClassError::Membership(error) => error.into(),
            broken @ ClassError::Broken { .. } => Self::Class(broken.to_string()),
        }
    }
}

/// A person at one moment.
#[derive(Debug)]
pub struct Person {
    /// What is stored.
    pub situation: Situation,
    /// The policy that holds for them.
    pub policy: Policy,
    /// The class that it comes from.
    pub class: String,
}

impl Person {
    /// What is known of `account` now.
    pub fn of(store: &Store, account: &Account) -> Result<Self, PersonError> {
        Self::in_situation(store.situation(account)?, account)
    }

    /// The person whose `situation` this is.
    pub fn in_situation(situation: Situation, account: &Account) -> Result<Self, PersonError> {
        let Effective { policy, class } = effective(&situation, account)?;
        let class = class.map_or_else(|| class::EVERYONE.to_owned(), |class| class.name.clone());
        Ok(Self { situation, policy, class })
    }

    /// Whether there are methods, and none that the policy allows.
    pub fn has_only_what_is_not_allowed(&self) -> bool {
        let user = &self.situation.user;
        !user.enrolled().is_empty() && !user.is_enrolled(self.policy.methods)
    }

    /// The exemption that covers a login of `account` from `source` at `now`.
    pub fn exemption(
        &self,
        account: &Account,
        source: Source<'_>,
        now: Timestamp,
    ) -> Result<Option<Exemption>, PersonError> {
        let exemptions: Vec<_> =
            self.situation.rules.exemptions.iter().map(|stored| stored.exemption.clone()).collect();
        let mut groups = Groups::of(account);
        let covering =
            exemption::covering(&exemptions, account, source, now, |group| groups.contains(group))?;
        Ok(covering.cloned())
    }

    /// Decides about a login of `account` from `source` at `now`, and says which exemption had its part in it.
    pub fn decide(
        &self,
        account: &Account,
        source: Source<'_>,
        now: Timestamp,
    ) -> Result<(Decision, Option<Exemption>), PersonError> {
        let exemption = self.exemption(account, source, now)?;
        let decision = decide(Facts {
            policy: &self.policy,
            user: &self.situation.user,
            exemption: exemption.as_ref(),
            // Devices will be known here.
            device: Device::Unknown,
            has_namesake: self.situation.has_namesake,
            now,
        });
        Ok((decision, exemption))
    }

    /// The exemptions in force that can cover `account` at `now`, from wherever.
    pub fn exemptions(
        &self,
        account: &Account,
        now: Timestamp,
    ) -> Result<Vec<&StoredExemption>, PersonError> {
        let mut groups = Groups::of(account);
        let mut found = Vec::new();
        for stored in &self.situation.rules.exemptions {
            let covers = match &stored.exemption.subject {
                exemption::Subject::User(exempt) => exempt == account,
                exemption::Subject::Group(group) => groups.contains(group)?,
            };
            if covers && stored.exemption.is_in_force(now) {
                found.push(stored);
            }
        }
        Ok(found)
    }

    /// Where the person stands at `now`, wherever a login may come from.
    pub fn status(&self, account: &Account, now: Timestamp) -> Result<Status, PersonError> {
        let exemption = self.exemption(account, Source::default(), now)?;
        Ok(self.situation.user.summary().status(&self.policy, exemption.as_ref(), now))
    }
}

fn effective<'a>(situation: &'a Situation, account: &Account) -> Result<Effective<'a>, PersonError> {
    let rulebook = &situation.rules.rulebook;
    let mut groups = Groups::of(account);
    Ok(class::effective(rulebook.machine(), rulebook.classes(), |group| groups.contains(group))?)
}
