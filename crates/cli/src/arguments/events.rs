//! Which events `twofa log` shows.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use ipnet::IpNet;
use twofa_broker::admin::log::EVENT_NAMES;

use super::values::network;

/// What `twofa log` takes.
#[derive(Debug, Args)]
pub struct EventArguments {
    /// Only events about this user
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Only events from this time on, as journalctl(1) takes it: '2026-11-26 12:00', 12:00, yesterday, -1d, '2h ago'
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only events before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// Only these kinds of events, separated by commas; twofad(8) has the list
    #[arg(long = "event", value_name = "KIND", value_delimiter = ',', hide_possible_values = true, value_parser = kinds())]
    pub kinds: Vec<String>,
    /// Only this PAM service, such as sshd; twofa is the command line
    #[arg(long)]
    pub service: Option<String>,
    /// On a fleet server, only events of this host
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Only logins from this address or network
    #[arg(long, value_name = "CIDR", value_parser = network)]
    pub from: Option<IpNet>,
    /// Only the last N events
    #[arg(long, value_name = "N")]
    pub last: Option<u32>,
    /// Go on with new events as they happen, after the last 10; with --json, an object on each line
    #[arg(long, short, conflicts_with = "until")]
    pub follow: bool,
}

fn kinds() -> PossibleValuesParser {
    let kinds = EVENT_NAMES.iter();
    PossibleValuesParser::new(kinds.map(|event| PossibleValue::new(event.name).help(event.help)))
}
