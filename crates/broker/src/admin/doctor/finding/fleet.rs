//! What the doctor finds about the fleet.

use twofa_core::{Account, Timestamp};
use twofa_store::{AlteredRow, Place, ServerPlace};

/// What this machine is in a fleet, and what is wrong with that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetFinding {
    /// It is a server. Nothing is wrong with that.
    Server {
        /// The version of the policy that its hosts are given.
        version: i64,
        /// Where the store is, and on what.
        place: Box<Place>,
        /// The number of the key that encrypts secrets in the store.
        sealing_key: u32,
    },
    /// The certificate of this server ends soon, or has ended.
    ServerCertificateEnds {
        /// When.
        until: Timestamp,
    },
    /// It is a server, and certificates of hosts end soon, which have not been renewed.
    HostCertificatesEnd {
        /// The names of the hosts; never empty.
        hosts: Vec<String>,
    },
    /// It is a server, and a host as well: logins to it depend on servers, which may be itself.
    ServerIsHost,
    /// It is a server, and its database commits without waiting for a standby.
    NoStandby {
        /// The database.
        place: Box<ServerPlace>,
        /// Whether the policy demands one, so that nobody gets in.
        is_demanded: bool,
    },
    /// It is a server, and of the standbys that its database names, none is there that a commit could wait for.
    StandbyGone {
        /// The database.
        place: Box<ServerPlace>,
    },
    /// It is a server, and a row of its database was written by another program.
    RowAltered {
        /// The row.
        row: AlteredRow,
    },
    /// It is a host, and a server confirms that its policy is the one in force. Nothing is wrong with that.
    Host {
        /// The name that it has in the fleet.
        name: String,
        /// The server that was asked.
        server: String,
        /// The version of the policy.
        version: i64,
        /// Since when it is in force here.
        since: Timestamp,
        /// When the certificate of this host ends.
        certificate_until: Timestamp,
    },
    /// It is a host, and it is not known whether its policy is the one in force.
    Stale {
        /// The version of the policy.
        version: i64,
        /// When a server last confirmed it; `None`: not known.
        confirmed: Option<Timestamp>,
        /// Why that is not known now.
        error: String,
    },
    /// It is a host, and shared accounts are refused.
    NotAMember {
        /// Why.
        error: String,
    },
    /// The certificate of this host ends soon, or has ended.
    CertificateEnds {
        /// When.
        until: Timestamp,
    },
    /// It is a server, and a certificate authority of the fleet ends soon, or has ended.
    AuthorityEnds {
        /// The name of its file.
        file: &'static str,
        /// When.
        until: Timestamp,
    },
    /// The clock differs from the server's.
    Clock {
        /// By so many seconds; more than zero: it is ahead.
        seconds: i64,
    },
    /// Where people are known by name: somebody has another uid here than the servers have on record. Nothing is wrong with that.
    OtherUid {
        /// The account here.
        here: Account,
        /// The uid on record.
        recorded: u32,
    },
    /// Accounts of this machine have the uid of one that is shared with the fleet.
    SameUid {
        /// The shared account.
        shared: Account,
        /// The names of the others; never empty.
        own: Vec<String>,
    },
}

impl FleetFinding {
    pub(super) const fn may_be_meant(&self) -> bool {
        matches!(
            self,
            Self::Server { .. }
                | Self::Host { .. }
                | Self::OtherUid { .. }
                | Self::HostCertificatesEnd { .. }
                | Self::NoStandby {
                    is_demanded: false,
                    ..
                }
        )
    }
}
