//! What the doctor could not look at.

use std::path::PathBuf;

/// A part of the machine that was to be examined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A file or folder.
    Path(PathBuf),
    /// PAM's stacks, and sshd's settings.
    Stacks,
    /// What sshd demands of these many accounts, where `Match` blocks may make a difference.
    SshdAccounts(usize),
    /// sshd's configuration: its files, or what some of them include.
    SshdConfig,
    /// What the `Match` block at this place (`FILE:LINE`) makes of logins.
    SshdBlock(String),
    /// The broker at the socket.
    Broker,
    /// The program of the broker.
    BrokerProgram,
    /// Owners and modes of files, the disk, and what SELinux denied.
    Environment,
    /// What SELinux denied.
    Selinux,
    /// The store: it cannot be opened.
    Store,
    /// Whether the database is malformed.
    Database,
    /// Whether the log is what was written.
    Log,
    /// Whether the name service answers.
    NameService,
    /// The policy, its classes and exemptions.
    Rules,
    /// Whom the rules keep out.
    People,
    /// What has become of the accounts on record.
    Accounts,
    /// The fleet that this machine is in.
    Fleet,
    /// Accounts that log in without a person.
    Robots,
    /// Trusted devices.
    Devices,
    /// Whether security keys count.
    SecurityKeys,
    /// Providers, templates and notices.
    Delivery,
}
