//! Why an administrative command failed.

use std::io;
use std::path::PathBuf;

use twofa_core::Channel;
use twofa_core::rulebook::BadRulebook;
use twofa_delivery::BadProvider;
use twofa_delivery::provider::Setting;
use twofa_store::StoreError;

use crate::identity::accounts::NameServiceError;
use crate::identity::person::PersonError;
use crate::process::privileges::PrivilegeError;
use crate::sending::addresses::BadAddress;

/// What failed and why. What to do about it depends on the program that shows it.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// An exported store cannot be merged.
    #[error("{}: {error}", .directory.display())]
    Export {
        /// Where it is.
        directory: PathBuf,
        /// What is wrong with it.
        error: StoreError,
    },
    /// The store of a fleet is not merged into another one.
    #[error("this machine is a fleet server, into whose store others are merged")]
    OnServer,
    /// Stores are merged where the fleet's store is.
    #[error("this machine has joined a fleet, whose store is on its servers")]
    OnHost,
    /// The process does not have the privileges that it must have.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// The name service failed.
    #[error(transparent)]
    NameService(#[from] NameServiceError),
    /// What is known of a user could not be loaded.
    #[error(transparent)]
    Person(#[from] PersonError),
    /// Somebody else changed it since it was looked at.
    #[error(transparent)]
    ChangedMeanwhile(StoreError),
    /// The log has a verification key.
    #[error("the log already has a verification key")]
    LogKeyExists,
    /// The policy or its classes would be invalid.
    #[error(transparent)]
    BadRulebook(#[from] BadRulebook),
    /// On a host of a fleet: its servers have the last word.
    #[error(transparent)]
    OfFleet(StoreError),
    /// There is no such account.
    #[error("there is no account called '{0}'")]
    NoAccount(String),
    /// There is no such account, of which there may still be a record.
    #[error("there is no account called '{0}'")]
    NoUser(String),
    /// A user who has a method is not invited to set one up.
    #[error("'{0}' has a second factor already")]
    Enrolled(String),
    /// There are no random numbers.
    #[error("cannot get random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// There is no record of the name.
    #[error("there is no record of '{0}'")]
    NothingKnown(String),
    /// There is no such group.
    #[error("there is no Unix group called '{0}'")]
    NoGroup(String),
    /// There is no group of the name of a class, which has none of its own.
    #[error("there is no Unix group called '{0}'")]
    NoGroupForClass(String),
    /// There is no such class.
    #[error("there is no class called '{0}'")]
    NoClass(String),
    /// `everyone` is listed like a class, but is the machine's own policy.
    #[error("'everyone' is the policy of the machine")]
    EveryoneIsNoClass,
    /// There is no such exemption.
    #[error("there is no exemption number {0}")]
    NoExemption(i64),
    /// The reason for an exemption cannot be read.
    #[error("a reason must have 1 to 200 visible characters")]
    BadReason,
    /// What was given as the service of an exemption is not a valid service name.
    #[error("that is not the name of a PAM service, such as sshd")]
    BadService,
    /// There is no provider of this name.
    #[error("there is no provider called '{0}'")]
    NoProvider(String),
    /// The settings of a provider do not open.
    #[error("{error}")]
    ProviderSealed {
        /// The provider's name.
        name: String,
        /// The reason, for administrators.
        error: String,
    },
    /// There is a provider of this name.
    #[error("there is already a provider called '{0}'")]
    ProviderExists(String),
    /// A provider is twice in an order.
    #[error("'{0}' is named twice")]
    ProviderTwice(String),
    /// A provider cannot be called that.
    #[error(transparent)]
    BadProviderName(StoreError),
    /// A provider sends by another channel than the one it is wanted for.
    #[error("'{provider}' carries {sends}, not {wanted}")]
    WrongChannel {
        /// The provider's name.
        provider: String,
        /// The channel it sends by.
        sends: Channel,
        /// What it was to send by.
        wanted: Channel,
    },
    /// There is no such kind of provider.
    #[error("there is no kind of provider called '{0}'")]
    NoKind(String),
    /// A provider cannot be made of its settings.
    #[error("{error}")]
    BadProvider {
        /// The name of its kind.
        kind: String,
        /// What is wrong.
        error: BadProvider,
    },
    /// The title of a provider cannot be read.
    #[error("a title must have at most 100 characters, all of them visible")]
    BadTitle,
    /// A change of a provider changes nothing.
    #[error("nothing to change was given")]
    NoChange,
    /// A kind of provider has no such setting.
    #[error("{kind} has no setting called '{setting}'")]
    NoSetting {
        /// The name of the kind of provider.
        kind: String,
        /// The setting's name.
        setting: String,
    },
    /// A file of secrets has a key that is not a setting. The key is not shown, since it may be another program's file.
    #[error("the file of secrets has a key that is no setting of {0}")]
    NoSettingOfFile(String),
    /// A setting is given more than once.
    #[error("'{0}' is given twice")]
    SettingTwice(String),
    /// Settings are missing, and nobody is there to be asked.
    #[error("{kind} needs {}", list(.settings))]
    SettingsMissing {
        /// The kind of provider.
        kind: String,
        /// What is missing: at least one.
        settings: Vec<Setting>,
    },
    /// A secret was given where others can see it.
    #[error("'{0}' is secret, and other users can see command lines")]
    SecretShown(String),
    /// A setting is to be asked for, and nobody is there.
    #[error("'{0}' can only be asked for on a terminal")]
    NobodyToAsk(String),
    /// A setting was asked for, and there was no answer.
    #[error("cannot ask for '{setting}': {error}")]
    NotAsked {
        /// The setting's name.
        setting: String,
        /// The error of the terminal.
        error: io::Error,
    },
    /// The text that holds a whole account cannot be read. It does not hold the text.
    #[error("{0}")]
    BadAccount(String),
    /// That is no address of the provider's channel.
    #[error(transparent)]
    BadAddress(#[from] BadAddress),
    /// A provider has no address of its own to send a test to.
    #[error("'{0}' has no address of its own to send a test to")]
    NoTestAddress(String),
}

fn list(settings: &[Setting]) -> String {
    let settings: Vec<_> = settings
        .iter()
        .map(|Setting { name, help, .. }| format!("'{name}' ({help})"))
        .collect();
    settings.join(", ")
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::ChangedMeanwhile => Self::ChangedMeanwhile(error),
            StoreError::BadRulebook(bad) => Self::BadRulebook(bad),
            StoreError::OfFleet(_)
            | StoreError::WeakerThanFleet { .. }
            | StoreError::RulesOfFleet => Self::OfFleet(error),
            StoreError::ProviderUnknown(name) => Self::NoProvider(name),
            StoreError::ProviderExists(name) => Self::ProviderExists(name),
            StoreError::ProviderTwice(name) => Self::ProviderTwice(name),
            StoreError::BadProviderName(_) => Self::BadProviderName(error),
            error => Self::Store(error),
        }
    }
}
