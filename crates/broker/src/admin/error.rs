//! Why an administrator's wish could not be fulfilled.

use twofa_core::rulebook::BadRulebook;
use twofa_store::StoreError;

use crate::identity::accounts::NameServiceError;
use crate::identity::person::PersonError;
use crate::process::privileges::PrivilegeError;

/// What failed and why. What to do about it depends on the program that shows it.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// The process is not what it must be.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The name service failed.
    #[error(transparent)]
    NameService(#[from] NameServiceError),
    /// Nothing can be said about a user.
    #[error(transparent)]
    Person(#[from] PersonError),
    /// Somebody else changed it since it was looked at.
    #[error(transparent)]
    ChangedMeanwhile(StoreError),
    /// The rules cannot be like that.
    #[error(transparent)]
    BadRulebook(#[from] BadRulebook),
    /// There is no such account.
    #[error("there is no account called '{0}'")]
    NoAccount(String),
    /// There is no such group.
    #[error("there is no Unix group called '{0}'")]
    NoGroup(String),
    /// There is no group of the name of a class, which has none of its own.
    #[error("there is no Unix group called '{0}'")]
    NoGroupForClass(String),
    /// There is no such class.
    #[error("there is no class called '{0}'")]
    NoClass(String),
    /// The machine's own policy is listed like a class and is none.
    #[error("'everyone' is the policy of the machine")]
    EveryoneIsNoClass,
    /// There is no provider of this name.
    #[error("there is no provider called '{0}'")]
    NoProvider(String),
    /// There is a provider of this name.
    #[error("there is already a provider called '{0}'")]
    ProviderExists(String),
    /// A provider stands twice in an order.
    #[error("'{0}' is named twice")]
    ProviderTwice(String),
    /// A provider cannot be called that.
    #[error(transparent)]
    BadProviderName(StoreError),
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::ChangedMeanwhile => Self::ChangedMeanwhile(error),
            StoreError::BadRulebook(bad) => Self::BadRulebook(bad),
            StoreError::ProviderUnknown(name) => Self::NoProvider(name),
            StoreError::ProviderExists(name) => Self::ProviderExists(name),
            StoreError::ProviderTwice(name) => Self::ProviderTwice(name),
            StoreError::BadProviderName(_) => Self::BadProviderName(error),
            error => Self::Store(error),
        }
    }
}
