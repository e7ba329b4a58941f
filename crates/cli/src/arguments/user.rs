//! Users, and exemptions.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ipnet::IpNet;
use twofa_broker::admin::users::{MethodFilter, StatusFilter};
use twofa_core::duration::Duration;

use super::self_service::SET_HELP;
use super::values::{Settings, method_filter, network, status_filter, user_keys};

/// The commands about exemptions.
#[derive(Debug, Subcommand)]
pub enum ExemptionCommand {
    /// List all exemptions, including those that have ended
    #[command(after_help = "Examples:\n  twofa exemption list\n  twofa exemption list --json")]
    List,
    /// End an exemption
    #[command(after_help = "Example:\n  twofa exemption remove 2")]
    Remove {
        /// Its number in the list
        id: i64,
    },
}

/// The commands about users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List all users on record
    #[command(
        after_help = "Examples:\n  twofa user list --status pending\n  twofa user list --status none\n  twofa user list --stale 90d --json"
    )]
    List(ListArguments),
    /// Show a user's status
    #[command(after_help = "Example:\n  twofa user show alice")]
    Show {
        /// Login name
        name: String,
    },
    /// Put users on record, so that they are listed
    #[command(
        after_help = "Examples:\n  twofa user add alice bob\n  twofa user add --from-file names.txt"
    )]
    Add(Users),
    /// Set when a user is asked for a code, the preferred method, and where codes are sent
    #[command(after_help = user_set_help())]
    Set {
        /// Login name
        name: String,
        /// The settings
        #[arg(required = true, value_name = "KEY=VALUE", hide_possible_values = true)]
        #[arg(value_parser = Settings(user_keys))]
        settings: Vec<(String, String)>,
        /// Mark the addresses given here as verified, without sending a code
        #[arg(long)]
        verified: bool,
    },
    /// Require a second factor of users; without effect while the mode is disabled
    #[command(after_help = MANY_HELP)]
    Require(Users),
    /// No longer require a second factor of users
    #[command(
        after_help = "Examples:\n  twofa user release alice\n  twofa user release --group staff"
    )]
    Release(Users),
    /// On a fleet server, make users one-time codes with which they set up a second factor in a login on a host
    ///
    /// A server cannot see whether the password was right on a host, so users without a second factor type this code there
    /// first. It is shown once, works until a first method is set up, and takes the place of an earlier one. Users with an
    /// address on file need none: a code is sent there.
    #[command(
        after_help = "Examples:\n  twofa user invite alice\n  twofa user invite --group staff --for 14d\n  twofa user invite --from-file names.txt --json"
    )]
    Invite(InviteArguments),
    /// Unlock users and clear their wrong codes
    #[command(after_help = "Example:\n  twofa user unlock alice")]
    Unlock(EndingUsers),
    /// Remove all methods of users who lost them, and require new ones
    #[command(
        after_help = "Example:\n  twofa user reset alice\n  twofa user reset alice --end-sessions"
    )]
    Reset(EndingUsers),
    /// Exempt users for a time, with a reason; shown in status, log and doctor
    #[command(after_help = "\
Examples:
  twofa user exempt backup --reason 'nightly copies' --until 2027-06-30 --from 192.0.2.0/24
  twofa user exempt --group robots --reason 'unattended' --until never --service sshd")]
    Exempt(ExemptArguments),
    /// Remove users from the record, including those whose account is gone
    #[command(after_help = "Example:\n  twofa user remove alice")]
    Remove(EndingUsers),
}

/// Whom to invite, and for how long.
#[derive(Debug, Args)]
pub struct InviteArguments {
    /// The users.
    #[command(flatten)]
    pub users: Users,
    /// How long the codes work, at most 90d
    #[arg(long = "for", value_name = "DURATION", default_value = "7d")]
    pub lifetime: Duration,
}

/// Which users to list.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only users with this status; none: everybody who could log in and has no second factor, on record or not
    #[arg(long, value_parser = status_filter())]
    pub status: Option<StatusFilter>,
    /// Only users of this class
    #[arg(long)]
    pub class: Option<String>,
    /// Only users who have this method
    #[arg(long, value_parser = method_filter())]
    pub method: Option<MethodFilter>,
    /// Only users who have not entered a correct code for this long, or ever
    #[arg(long, value_name = "DURATION")]
    pub stale: Option<Duration>,
}

/// Who is to be exempt, why and until when.
#[derive(Debug, Args)]
pub struct ExemptArguments {
    /// Login name
    #[arg(required_unless_present = "group", conflicts_with = "group")]
    pub name: Option<String>,
    /// The members of this Unix group, as they are at each login
    #[arg(long)]
    pub group: Option<String>,
    /// Why they are exempt
    #[arg(long)]
    pub reason: String,
    /// Until when: a date (2027-06-30), a length of time (30d), or 'never'
    #[arg(long, value_name = "WHEN")]
    pub until: String,
    /// Only for logins from addresses in this network
    #[arg(long, value_name = "CIDR", value_parser = network)]
    pub from: Option<IpNet>,
    /// Only for this PAM service, such as sshd
    #[arg(long)]
    pub service: Option<String>,
}

/// One user, or many at once.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Users {
    /// Login names
    pub names: Vec<String>,
    /// Also the members of this Unix group
    #[arg(long)]
    pub group: Option<String>,
    /// Also the users named in this file, one per line; '-' for standard input
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
}

/// Users who may have to leave at once.
#[derive(Debug, Args)]
pub struct EndingUsers {
    /// The users.
    #[command(flatten)]
    pub users: Users,
    /// Also end their login sessions
    #[arg(long)]
    pub end_sessions: bool,
}

const MANY_HELP: &str = "\
Examples:
  twofa user require alice bob
  twofa user require --group staff
  twofa user require --from-file names.txt";

fn user_set_help() -> String {
    let keys = SET_HELP.split("\nExamples:").next().unwrap_or_default();
    format!(
        "{keys}
Examples:
  twofa user set alice verify=always
  twofa user set alice email=alice@example.org --verified"
    )
}
