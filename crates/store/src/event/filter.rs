//! Which events are wanted.

use ipnet::IpNet;
use twofa_core::Timestamp;

/// Which events [`crate::Store::events`] gives.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// The login name of the user they happened to; `None`: of all users and of none.
    pub user: Option<String>,
    /// How many of the latest events; `None`: all.
    pub last: Option<u32>,
    /// Only those with a higher number.
    pub after: Option<i64>,
    /// Only those of this time and later.
    pub since: Option<Timestamp>,
    /// Only those before this time.
    pub until: Option<Timestamp>,
    /// The names of their kinds; empty: all.
    pub kinds: Vec<String>,
    /// The PAM service, or `twofa` for the command line.
    pub service: Option<String>,
    /// The name of the host of the fleet on which it was; empty: this machine.
    pub host: Option<String>,
    /// The network of the remote host.
    pub from: Option<IpNet>,
}
