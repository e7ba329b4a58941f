//! What can go wrong with the store, in words for an administrator.

use std::io;
use std::path::{Path, PathBuf};

use twofa_core::Channel;
use twofa_core::rulebook::BadRulebook;

use crate::holder::Holder;
use crate::integrity::AlteredRow;
use crate::model::mark::Mark;

/// Why the store could not do what it was asked. Never holds a stored value.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is gone or was never made.
    #[error("the store {} is missing", .0.display())]
    Missing(PathBuf),
    /// The sealing key is gone or was never made.
    #[error("the sealing key {} is missing", .0.display())]
    KeyMissing(PathBuf),
    /// One of database and key exists without the other, so this is no first start.
    #[error("{} exists without {}: refusing to create a new store over it", .present.display(), .absent.display())]
    Halved {
        /// The file that is there.
        present: PathBuf,
        /// The file that is not.
        absent: PathBuf,
    },
    /// There is a store already.
    #[error("a store already exists at {}", .0.display())]
    Exists(PathBuf),
    /// A file has an owner or mode that lets the wrong people at it.
    #[error("{} {why}", .path.display())]
    Exposed {
        /// Of the file.
        path: PathBuf,
        /// What is wrong with it and what it should be.
        why: String,
    },
    /// The key file is not a key.
    #[error("{} is not a sealing key: it must have exactly 32 bytes, or be a list that 'twofa fleet rotate key' wrote", .0.display())]
    BadKey(PathBuf),
    /// A value was sealed with a key that is not in the file.
    #[error("a value in the store was sealed with key {0}, which this machine does not have")]
    NoSealingKey(u32),
    /// A file could not be opened, read or made.
    #[error("cannot {action} {}: {source}", .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// Of the file.
        path: PathBuf,
        /// The system's word on it.
        source: io::Error,
    },
    /// Another database stands where the one that is open stood.
    #[error("the store {} was replaced while this program had it open", .0.display())]
    Replaced(PathBuf),
    /// A newer twofa has used this database.
    #[error(
        "the store was written by a newer twofa (schema {found}, this one knows {known}): upgrade twofa"
    )]
    Newer {
        /// The schema of the database.
        found: i64,
        /// The newest schema this program knows.
        known: i64,
    },
    /// The database is damaged, or something in it is not what we ever write.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// A sealed key does not open: another sealing key, or somebody moved or changed it.
    #[error(
        "a sealed key does not open: the store and the sealing key do not belong together, or it was tampered with"
    )]
    Seal,
    /// No key in the file with the latest sealing key of the journal opens.
    #[error(
        "the latest sealing key of the log is damaged or belongs to another store: checkpoints are not sealed until \
         'twofa log make-key --replace'"
    )]
    JournalKey,
    /// The log has a verification key.
    #[error("the log has a verification key already")]
    JournalKeyExists,
    /// No space left.
    #[error("the disk with the store is full")]
    Full,
    /// The file system or the file is read-only.
    #[error("the store is read-only")]
    ReadOnly,
    /// Another process held the store too long.
    #[error("the store was locked by another process for too long{}", .0.as_ref().map_or_else(String::new, |holder| format!(": {holder}")))]
    Busy(Option<Holder>),
    /// Other transactions were in the way each time that this one was tried.
    #[error("the store was changed by others at the same time, again and again")]
    Conflict,
    /// The conversation has gone on since: this answer was given already, or another with its number.
    #[error("the conversation has gone on meanwhile")]
    AnsweredMeanwhile,
    /// The database on another machine cannot be reached, or is not one that can be used.
    #[error("the database cannot be used: {0}")]
    Unreachable(String),
    /// The database did not say in time that something is done. It counts as not done.
    #[error("the database did not confirm it in time, so that it counts as not done")]
    Unanswered,
    /// The database does not have a mark that it had: it was restored, or it is another one.
    #[error(
        "the database has gone back to an earlier state, or is another one: it lacks mark {}, which this fleet has seen in it", .0.number
    )]
    WentBack(Mark),
    /// This process could not give the database its mark for too long, so that another one may stand in its place.
    #[error("the database has not taken this server's mark for more than 5 seconds")]
    NoMark,
    /// The store is in a file.
    #[error("the store of this machine is in a file, which other machines do not share")]
    NotOnServer,
    /// The policy wants commits on a standby, and the database waits for none.
    #[error(
        "the database has no synchronous standby, and the policy says fleet.durability=replicated"
    )]
    NoStandby,
    /// The policy is to want commits on a standby, and the store waits for none.
    #[error(
        "fleet.durability=replicated needs a store in a PostgreSQL database that waits for a synchronous standby"
    )]
    CannotReplicate,
    /// The clock of the database and of this machine differ by so many seconds, which are too many.
    #[error("the clock of the database is {} seconds {} this machine's", .0.abs(), if *.0 < 0 { "behind" } else { "ahead of" })]
    ClockOff(i64),
    /// It is somewhere else now.
    #[error("the store was moved to {0}; what is left here is closed")]
    Moved(String),
    /// It was exported, and can only be merged into another store.
    #[error("this is an export of a store, which can only be merged into another store")]
    Exported,
    /// A store that is to be merged was not exported.
    #[error("{} is not an export, but a store or a copy of one: its codes would go on working where it is used", .0.display())]
    NotExported(PathBuf),
    /// An export has been merged already, into another store.
    #[error("the export of '{0}' has already been merged into another store")]
    MergedElsewhere(String),
    /// Only a store in a file is exported.
    #[error("the store of this machine is in a database on a server, and is not exported")]
    NotInFile,
    /// The text that says where the database is, is none.
    #[error("{} does not say where the database is: {why}", .path.display())]
    BadAddress {
        /// The file with the text.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A row was written by another program than a server.
    #[error("{0}: its keyed hash is wrong")]
    Altered(AlteredRow),
    /// A stored setting is not one we know or does not read.
    #[error("the stored policy is broken: {0}")]
    BrokenPolicy(BadRulebook),
    /// The copy of the fleet's policy does not read.
    #[error("the stored policy of the fleet is broken: {0}")]
    BrokenFleetPolicy(String),
    /// A policy of another fleet, or of one that this machine is not in.
    #[error("this policy is not of the fleet that this machine has joined")]
    OtherFleet,
    /// A policy of the fleet that is older than one that was seen.
    #[error(
        "this is version {version} of the fleet's policy, and this host has had version {seen}"
    )]
    OldPolicy {
        /// Its version.
        version: i64,
        /// The greatest version that was seen.
        seen: i64,
    },
    /// A host cannot set it.
    #[error("'{0}' is the same on all hosts of the fleet")]
    OfFleet(&'static str),
    /// A host can be stricter than its fleet, not weaker.
    #[error("'{wanted}' is weaker than what the fleet's policy says: {key}={value}")]
    WeakerThanFleet {
        /// The key.
        key: &'static str,
        /// The value that was to be set.
        wanted: String,
        /// The fleet's.
        value: String,
    },
    /// Classes and whole policies are set on a server.
    #[error("classes and whole policies are the fleet's")]
    RulesOfFleet,
    /// A policy that was to be stored has something in it that we do not know or that does not read.
    #[error(transparent)]
    BadRulebook(#[from] BadRulebook),
    /// The user has an app with this label.
    #[error("there is already an app called '{0}'")]
    LabelTaken(String),
    /// The user has as many apps as one can have.
    #[error("{0} apps are already enrolled, which is the maximum")]
    TooManyApps(u32),
    /// The user has as many security keys as one can have.
    #[error("10 security keys are already enrolled, which is the maximum")]
    TooManySecurityKeys,
    /// The security key is enrolled already, under this label.
    #[error("this security key is already enrolled, as '{0}'")]
    KeyTaken(String),
    /// The host of the fleet that asked is not one of it now: it was removed, or its certificate has ended.
    #[error("the host is not, or no longer, one of the fleet")]
    HostRefused,
    /// There is a host of this name.
    #[error("there is already a host called '{0}'")]
    HostExists(String),
    /// There is a join key of this name.
    #[error("there is already a join key called '{0}'")]
    JoinKeyExists(String),
    /// There is a server of this name.
    #[error("there is already a server called '{0}'")]
    ServerExists(String),
    /// The fleet's certificate authority is being rotated.
    #[error("the certificate authority of this fleet is being rotated already: finish that first")]
    CaRotationGoesOn,
    /// The store is that of a fleet, whose first server this is.
    #[error("the store of this machine is that of a fleet already, whose first server is '{0}'")]
    FleetExists(String),
    /// A host cannot be called that.
    #[error("a host or server cannot be called '{}': a name has 1 to 64 of a-z, 0-9, '-' and '.'", .0.escape_debug())]
    BadHostName(String),
    /// This machine has joined a fleet.
    #[error("this machine has already joined a fleet, as '{0}'")]
    Joined(String),
    /// The user's methods changed between permission and change.
    #[error("someone else changed it in the meantime, so nothing was done")]
    ChangedMeanwhile,
    /// The address is a method of another user, and the policy wants that of one user only. Not said of which.
    #[error("that {} already belongs to another user", .0.address_kind().noun())]
    AddressTaken(Channel),
    /// A login cannot begin with backup codes.
    #[error("logins cannot begin with backup codes, which only stand in for another method")]
    NotPreferable,
    /// There is no provider of this name.
    #[error("there is no provider called '{0}'")]
    ProviderUnknown(String),
    /// There is a provider of this name.
    #[error("there is already a provider called '{0}'")]
    ProviderExists(String),
    /// A provider would be tried twice.
    #[error("'{0}' is listed twice")]
    ProviderTwice(String),
    /// A provider cannot be called that.
    #[error("a provider cannot be called '{}': a name has 1 to 32 of a-z, 0-9, '-', '_' and '.'", .0.escape_debug())]
    BadProviderName(String),
    /// A sealed setting of a provider does not open.
    #[error(
        "'{setting}' of the provider '{provider}' does not open: the store and the sealing key do not belong together, \
         or it was tampered with"
    )]
    ProviderSealed {
        /// The provider's name.
        provider: String,
        /// The setting's name.
        setting: String,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes: {0}")]
    NoRandomness(#[from] getrandom::Error),
    /// SQLite could not open, make or write one of the files of the database.
    #[error("the store failed: {0}")]
    Unusable(String),
    /// Anything else that SQLite or the system reports.
    #[error("the store failed: {0}")]
    Other(String),
}

impl StoreError {
    /// What to do next, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Missing(_) | Self::KeyMissing(_) | Self::Halved { .. } => {
                "restore both from a backup; on a machine that never had a store, remove what there is of it and run \
                 'twofad --prepare' as root"
            }
            Self::Replaced(_) => "restart twofad",
            Self::NotExported(_) => {
                "run 'twofa store export DIRECTORY' where the store is used, which closes it there, and merge that directory"
            }
            Self::Damaged(_) => "restore it from a backup",
            Self::Seal => "restore store and sealing key from the same backup",
            Self::Full => "free some space on the disk",
            Self::ReadOnly => {
                "check whether its file system was remounted read-only after an error"
            }
            Self::WentBack(_) => {
                "find out which database is the right one; if it is this one, run 'twofa fleet resume' on a server: it has all \
                 codes up to then count as used"
            }
            Self::NoStandby => {
                "have a standby follow it and name it in synchronous_standby_names (postgresql.conf), or run 'twofa policy set \
                 fleet.durability=local' and accept that codes used last can be used again if the primary is lost"
            }
            Self::CannotReplicate => {
                "have a standby follow the primary and name it in synchronous_standby_names (postgresql.conf) first"
            }
            Self::ClockOff(_) => "set both clocks, for example by chrony",
            Self::Altered(row) => row.remedy(),
            Self::BrokenPolicy(_) => "correct it with 'twofa policy set KEY=VALUE'",
            Self::ChangedMeanwhile => "check the current state, then try again",
            _ => return None,
        })
    }

    /// Whether this may be for a disk that is read-only, full or failing.
    pub(crate) const fn may_be_a_disk_that_takes_nothing(&self) -> bool {
        matches!(self, Self::ReadOnly | Self::Full | Self::Unusable(_))
    }

    /// Adds the process that holds the lock, if this is a wait that timed out.
    pub(crate) fn name_holder(self, database: &Path) -> Self {
        match self {
            Self::Busy(None) => Self::Busy(Holder::find(database)),
            other => other,
        }
    }

    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
