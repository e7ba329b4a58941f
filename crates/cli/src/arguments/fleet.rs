//! The fleet: its servers and hosts.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Subcommand};

use twofa_core::Duration;
use twofa_core::name_pattern::NamePattern;

use super::Confirmation;

/// The commands that make a fleet.
#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Make this machine the first server of a new fleet
    #[command(
        after_help = "Examples:\n  twofa fleet init --address srv1.example.com\n  twofa fleet init --address srv1.example.com --ca /root/company-ca.pem\n  systemctl enable --now twofad-server.service\n\nKeep the key of the fleet's root certificate, /etc/twofa/fleet/root.key, offline. With --ca there is none: twofa-admin(7) shows how the requests are signed."
    )]
    Init {
        /// The certificate of the authority that is to sign the two certificates that issue all others; the first call writes the
        /// requests, the second takes what was signed; without this, the fleet has a root of its own
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// Where hosts reach this server: a host name or a numeric address, with a port if it is not 6238; may be given more
        /// than once
        #[arg(long = "address", value_name = "ADDRESS", required = true)]
        addresses: Vec<String>,
    },
    /// Make a new certificate for this server, valid for 90 days
    #[command(
        after_help = "Examples:\n  twofa fleet renew\n  systemctl restart twofad-server.service\n\nIt needs /etc/twofa/fleet/servers.key, which every server has: put it back first if you keep it elsewhere."
    )]
    Renew,
    /// Go on with a database that has gone back
    ///
    /// Servers and hosts remember marks that the database was given. One that lacks them was restored from a backup, or is an old
    /// primary or a standby that had not got everything, and serves nobody: codes may be unused in it that were used. First find out
    /// that it is the right one, and that no other one takes changes. Then this command has all codes of apps up to now count as
    /// used and all devices as not trusted. People wait for one code or two.
    #[command(
        after_help = "Examples:\n  twofa fleet resume\n  twofa fleet resume --yes\n\nIt lists what it cannot decide: backup codes and tokens that may have been used since, and hosts that may have\nbeen removed. Exemptions and the policy are those of then, too."
    )]
    Resume(ResumeArguments),
    /// Replace a key while logins go on
    #[command(subcommand)]
    Rotate(RotateCommand),
}

/// What is replaced.
#[derive(Debug, Subcommand)]
pub enum RotateCommand {
    /// Replace the key that encrypts the secrets in the store
    ///
    /// This works on a machine of its own as well as in a fleet. The file of keys, /etc/twofa/secret.key, holds both the old
    /// key and the new one until 'finish'. The log is proved, and trusted devices are recognised, with a key that is derived
    /// from the first one and stays.
    #[command(subcommand)]
    Key(RotateKeyCommand),
    /// Replace the certificate authority of the fleet
    ///
    /// Servers and hosts trust both the old certificate authority and the new one until 'finish', and nobody has to log in again or
    /// to restart anything. Rotate it before it ends, or when one of its keys may be known to others. All servers and hosts must
    /// have this version of twofa.
    #[command(subcommand)]
    Ca(RotateCaCommand),
}

/// The steps of replacing the certificate authority.
#[derive(Debug, Subcommand)]
pub enum RotateCaCommand {
    /// Make a new certificate authority, and have servers and hosts trust it
    ///
    /// Where there are other servers, each must have the new certificate authority before hosts get certificates from it: the command
    /// says how, and goes on when it is called again. If it is interrupted, call it again.
    #[command(
        after_help = "Examples:\n  twofa fleet rotate ca start\n  twofa fleet rotate ca start --ca /root/company-ca.pem\n  twofa server add srv2.example.com --again\n  twofa server join\n\nThe last two bring the new certificate authority to another server: run the first of them here and the second there.\nThen run 'start' again."
    )]
    Start(RotateCaStart),
    /// Show which hosts trust the new certificate authority and have a certificate from it
    #[command(
        after_help = "Examples:\n  twofa fleet rotate ca status\n  twofa fleet rotate ca status --json\n\nOn a terminal, the table has the hosts that are not done."
    )]
    Status,
    /// Stop trusting the old certificate authority, and delete its keys from this server
    ///
    /// It refuses while hosts lack a certificate from the new certificate authority, and lists them. Run it on every server.
    #[command(
        after_help = "Examples:\n  twofa fleet rotate ca finish\n  twofa fleet rotate ca finish --leave-behind\n  twofa fleet rotate ca finish --revoke-old --yes"
    )]
    Finish(RotateCaFinish),
}

/// Making a new certificate authority.
#[derive(Debug, Args)]
pub struct RotateCaStart {
    /// The certificate of the authority that is to sign the two certificates that issue all others; the first call writes the
    /// requests, the second takes what was signed; without this, the new certificate authority has a root of its own
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Only find out whether a rotation can begin here.
    #[arg(long, hide = true)]
    pub check: bool,
}

/// Ending the trust in the old certificate authority.
#[derive(Debug, Args)]
pub struct RotateCaFinish {
    /// Go on without the hosts that are not done: until fleet.renewal-grace is over, they can renew their certificates by their
    /// keys, and can do nothing else before; after that they must join again
    #[arg(long, conflicts_with = "revoke_old")]
    pub leave_behind: bool,
    /// Accept nothing from the old certificate authority any longer, because its keys may be known to others: hosts that are not
    /// done must join again
    #[arg(long)]
    pub revoke_old: bool,
    /// Only find out whether it can be finished, and what to warn of; or only end the rotation in the store.
    #[arg(long, hide = true, value_parser = ["check", "record"])]
    pub only: Option<String>,
    /// Whether to go on.
    #[command(flatten)]
    pub confirmation: Confirmation,
}

/// The steps of replacing the sealing key.
#[derive(Debug, Subcommand)]
pub enum RotateKeyCommand {
    /// Make a new key, and encrypt everything with it again
    ///
    /// Where there are other servers, each must have the new key first: the command says how, and goes on when it is called
    /// again. If it is interrupted, call it again.
    #[command(
        after_help = "Examples:\n  twofa fleet rotate key start\n  twofa server add srv2.example.com --again\n  twofa server join\n\nThe last two bring the new key to another server: run the first of them here and the second there. Then run 'start' again."
    )]
    Start,
    /// Show which keys there are and how much each encrypts
    #[command(
        after_help = "Examples:\n  twofa fleet rotate key status\n  twofa fleet rotate key status --json"
    )]
    Status,
    /// Remove the old key from this machine
    ///
    /// It refuses while anything is encrypted with the old key. Backups of the store that were made before 'start' need the
    /// file of then.
    #[command(
        after_help = "Examples:\n  twofa fleet rotate key finish\n  twofa fleet rotate key finish --yes"
    )]
    Finish(FinishArguments),
}

/// Removing the old key.
#[derive(Debug, Args)]
pub struct FinishArguments {
    /// Only find out whether the old key can go.
    #[arg(long, hide = true)]
    pub check: bool,
    /// Whether to go on.
    #[command(flatten)]
    pub confirmation: Confirmation,
}

/// Going on with a database that has gone back.
#[derive(Debug, Args)]
pub struct ResumeArguments {
    /// Whether to go on.
    #[command(flatten)]
    pub confirmation: Confirmation,
}

/// The commands about servers.
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Add a server, and print the token with which it joins within 15 minutes
    #[command(
        after_help = "Examples:\n  twofa server add srv2.example.com\n  twofa server add srv2 --address 2001:db8::2 --address 192.0.2.2\n  twofa server add srv2.example.com --again\n\nIt needs /etc/twofa/fleet/servers.key: put it back first if you keep it elsewhere."
    )]
    Add {
        /// The name of the server: a-z, 0-9, '-' and '.'
        name: String,
        /// Where hosts reach it: a host name or a numeric address, with a port if it is not 6238; may be given more than once;
        /// without this, its name
        #[arg(long = "address", value_name = "ADDRESS")]
        addresses: Vec<String>,
        /// Give a server that has joined new certificates and all keys once more: it goes on serving, and 'twofa server join'
        /// there takes them
        #[arg(long)]
        again: bool,
    },
    /// Make this machine another server of a fleet, over the database that /etc/twofa/database names
    #[command(
        after_help = "Examples:\n  twofa server join\n  twofa server join --token-file /root/token"
    )]
    Join(JoinArguments),
    /// List the servers of the fleet
    #[command(after_help = "Examples:\n  twofa server list\n  twofa server list --json")]
    List,
    /// Remove a server: it stops serving within seconds
    #[command(after_help = "Example:\n  twofa server remove srv2.example.com")]
    Remove {
        /// The name of the server
        name: String,
    },
}

/// The commands about hosts, on a server.
#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// Add a host, and print the token with which it joins within 15 minutes
    #[command(
        after_help = "Examples:\n  twofa host add web1\n  twofa host add web2 --services sshd,sudo\n  twofa host add db1 --people dba\n  twofa host add laptop7 --may-enrol on\n\nA host that has joined before, such as one that was cut off because of a copy, joins again with 'twofa host\nrenew'. Groups of machines that come and go join with one key: 'twofa join-key add'."
    )]
    Add(HostArguments),
    /// List the hosts of the fleet
    #[command(after_help = "Examples:\n  twofa host list\n  twofa host list --json")]
    List,
    /// Show one host
    #[command(after_help = "Example:\n  twofa host show web1")]
    Show {
        /// The name of the host
        name: String,
    },
    /// Let a host ask about everybody again, after it was cut off
    ///
    /// A host is cut off when wrong codes for too many people come from it (fleet.wrong-people-hourly): then only people who
    /// have logged in there with a code before can log in there. Find out first who tried: twofa log --host NAME.
    #[command(
        after_help = "Example:\n  twofa log --host web1 --event refused --last 50\n  twofa host unlock web1"
    )]
    Unlock {
        /// The name of the host
        name: String,
    },
    /// Let a host that has joined before join again, and print the token with which it does within 15 minutes
    ///
    /// That is for a host that was reinstalled or set back to a snapshot, or cut off because there is a copy of it. It keeps its
    /// name and its rights. What it has now works until it joins again; a copy of it works no longer then.
    #[command(
        after_help = "Example:\n  twofa host renew web1\n\nOn the host: 'twofa leave', then 'twofa join'."
    )]
    Renew {
        /// The name of the host
        name: String,
    },
    /// Print a one-time rescue code for a host that reaches no server
    ///
    /// With it, root and the members of fleet.rescue-group log in there once, after their password, without the network. The
    /// log has the reason, and members of fleet.administrators are notified. The code works until it is used, or until the
    /// host reaches a server after fleet.rescue-lifetime (24 hours). Each code is printed once; a host has five.
    #[command(
        after_help = "Example:\n  twofa host rescue web1 --reason 'switch is down, ticket 4711'\n\nRead the code to the person at the console of the host. Anyone who has it needs the password of an account as well."
    )]
    Rescue {
        /// The name of the host
        name: String,
        /// Why, for the log and for other administrators
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Remove a host: its logins are refused from this moment
    #[command(after_help = "Example:\n  twofa host remove web1")]
    Remove {
        /// The name of the host
        name: String,
    },
}

/// A host that is to join.
#[derive(Debug, Args)]
pub struct HostArguments {
    /// The name of the host: a-z, 0-9, '-' and '.'
    pub name: String,
    /// What it may do.
    #[command(flatten)]
    pub rights: RightsArguments,
}

/// What a host may do.
#[derive(Debug, Args)]
pub struct RightsArguments {
    /// The PAM services that it may ask for; without this, all
    #[arg(long, value_name = "SERVICE,...", value_delimiter = ',')]
    pub services: Vec<String>,
    /// The group whose members may log in there, as this server's name service has it; without this, everybody may
    #[arg(long, value_name = "GROUP")]
    pub people: Option<String>,
    /// Whether people without a second factor set one up when they log in there; the server then takes the host's word that
    /// the password was right
    #[arg(long, value_name = "on|off", default_value = "off", action = ArgAction::Set)]
    #[arg(hide_possible_values = true, value_parser = switch())]
    pub may_enrol: bool,
}

/// The commands about keys with which many hosts join, on a server.
#[derive(Debug, Subcommand)]
pub enum JoinKeyCommand {
    /// Make a key with which many hosts join, and print it; it is shown this once
    ///
    /// Each host that joins with it gets a certificate of its own and is listed by 'twofa host list'. It is called by its host
    /// name, which must match --names and be that of no other host. Anyone who has the key can add such hosts, so give it to
    /// 'twofa join --token-file' by a file that only root reads.
    #[command(
        after_help = "Examples:\n  twofa join-key add web --names 'web-*' --services sshd --uses 500 --for 30d --host-lives 24h\n  twofa join-key add build --names 'build-??.example.com' --uses 20\n\nOn each host: twofa join --token-file FILE"
    )]
    Add(JoinKeyArguments),
    /// List the keys, and how often they were used
    #[command(after_help = "Examples:\n  twofa join-key list\n  twofa join-key list --json")]
    List,
    /// Show one key, without its secret
    #[command(after_help = "Example:\n  twofa join-key show web")]
    Show {
        /// The name of the key
        name: String,
    },
    /// Remove a key: no host joins with it from this moment; those that have stay
    #[command(after_help = "Example:\n  twofa join-key remove web")]
    Remove {
        /// The name of the key
        name: String,
    },
}

/// A key with which many hosts join.
#[derive(Debug, Args)]
pub struct JoinKeyArguments {
    /// The name of the key: a-z, 0-9, '-' and '.'
    pub name: String,
    /// What its hosts are called: '*' stands for any characters, '?' for one
    #[arg(long, value_name = "PATTERN")]
    pub names: NamePattern,
    /// What they may do.
    #[command(flatten)]
    pub rights: RightsArguments,
    /// How many hosts may join with it
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub uses: u64,
    /// How many hosts may join with it within an hour
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub hourly: u64,
    /// How long it works, at most 365d
    #[arg(long = "for", value_name = "DURATION", default_value = "30d")]
    pub lifetime: Duration,
    /// Remove a host that joined with it when no server has heard it for this long, at least 1h; without this, hosts stay
    #[arg(long, value_name = "DURATION")]
    pub host_lives: Option<Duration>,
}

/// Joining a fleet.
#[derive(Debug, Args)]
pub struct JoinArguments {
    /// Read the token from this file instead of asking for it; '-' is standard input
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Leaving a fleet.
#[derive(Debug, Args)]
pub struct LeaveArguments {
    /// Before an image is made of this machine: leave if it has joined, succeed if it has not, and say what else an image would
    /// have of it
    #[arg(long)]
    pub image: bool,
    /// Print whom it concerns, one warning a line, and change nothing
    #[arg(long, hide = true)]
    pub count: bool,
    /// Whether to go on.
    #[command(flatten)]
    pub confirmation: Confirmation,
}

/// Takes `on` or `off`.
fn switch() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["on", "off"]).map(|value| value == "on")
}
