//! The store: in a file, or in a PostgreSQL database.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use twofa_broker::admin::merging::{Choice, Source};

use super::Confirmation;

/// The commands about the store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Move the store to a PostgreSQL database, or back to a file
    ///
    /// The database must exist and be empty. Everything is moved, rows are counted, and what it was moved from is closed: at no
    /// time can a code be used in both. A move that was interrupted is finished by the same command.
    #[command(after_help = MOVE_HELP)]
    Move(MoveArguments),
    /// Export the store of this machine to be merged into that of a fleet, and close it
    ///
    /// From then on every login that is to be asked for a code is refused here, root's too, until 'twofa join' opens the store
    /// again for the accounts that are not the fleet's. Stay logged in as root until then. An export that was interrupted is
    /// finished by the same command.
    #[command(after_help = EXPORT_HELP)]
    Export(ExportArguments),
    /// Merge the exported stores of hosts into this machine's, a fleet server's
    ///
    /// Without --yes nothing is changed: a table shows what there is to decide about each user, and what will be done.
    /// Apps and security keys of all hosts are kept, labelled with the host. What is here already stays. The longest lock
    /// holds, and codes that were used stay used. Trusted devices, opt-outs, policy and classes are not merged.
    #[command(after_help = MERGE_HELP)]
    Merge(MergeArguments),
    /// Bring the tables of the database up to date, once all servers run this version or the one before
    #[command(after_help = "Example:\n  twofa store upgrade")]
    Upgrade,
}

const MOVE_HELP: &str = "\
Examples:
  twofa store move --to 'postgres://twofa@db1.example.com,db2.example.com/twofa?ca=/etc/twofa/db.pem&password-file=/etc/twofa/db.password'
  twofa store move --to 'postgres://twofa@%2Frun%2Fpostgresql/twofa'
  twofa store move --to-file

The URL has no password: password-file names a file with it, cert and key those of a client certificate.
Over a network the connection is encrypted, and the name of the host must be in its certificate.";

const EXPORT_HELP: &str = "\
Example:
  twofa store export /root/web1 --yes
  scp -rp /root/web1 root@srv1.example.com:

The directory gets the store and its sealing key: anyone who has both has the keys of all apps. Then, on the server, run
'twofa store merge web1', and here 'twofa join'. Remove the copies afterwards.";

const MERGE_HELP: &str = "\
Examples:
  twofa store merge /root/web1 /root/web2
  twofa store merge /root/web1 /root/web2 --yes
  twofa store merge www=/root/web1 --addresses first --backup-codes none --exemptions

A user is merged if the account is one of the fleet's shared accounts (fleet.accounts) and this machine does not know it
under another user ID (fleet.identity). The others stay in the export; correct what the table says and run it again.
Anyone who has been root on a host could have put any key into its store: merge only stores of hosts that you trust.";

const TO_HELP: &str =
    "To this database: postgres://USER@HOST[:PORT][,HOST...]/DATABASE[?KEY=VALUE&...]";

/// Where the store goes.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct MoveArguments {
    /// The address of the database.
    #[arg(long, value_name = "URL", help = TO_HELP)]
    pub to: Option<String>,
    /// Back to the file /var/lib/twofa/twofa.db
    #[arg(long)]
    pub to_file: bool,
}

/// Where an export goes.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// The directory to write, which is made if it is not there
    pub directory: PathBuf,
    /// What this machine is called in labels of apps [default: its host name]
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Whether to go on.
    #[command(flatten)]
    pub confirmation: Confirmation,
}

/// What is merged, and how.
#[derive(Debug, Args)]
pub struct MergeArguments {
    /// The directories that 'twofa store export' has written, each with another name for its host if there is one
    #[arg(value_name = "[HOST=]DIRECTORY", required = true, value_parser = source)]
    pub sources: Vec<Source>,
    /// Which address of a user is kept who has several: that of the host of the last login, of the first host named, or none
    #[arg(long, value_name = "RULE", default_value = "recent")]
    pub addresses: Rule,
    /// Which backup codes of a user are kept who has several sets
    #[arg(long, value_name = "RULE", default_value = "recent")]
    pub backup_codes: Rule,
    /// Merge the exemptions of single users too
    #[arg(long)]
    pub exemptions: bool,
    /// Only show what would be done, which is the default
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Merge
    #[arg(long)]
    pub yes: bool,
}

/// Which of several is kept.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Rule {
    /// That of the host where the user logged in last
    Recent,
    /// That of the host that was named first
    First,
    /// None of them
    None,
}

impl From<Rule> for Choice {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Recent => Self::Recent,
            Rule::First => Self::First,
            Rule::None => Self::None,
        }
    }
}

fn source(text: &str) -> Result<Source, String> {
    let (host, directory) = match text.split_once('=') {
        Some((host, directory)) if !host.contains('/') => (Some(host), directory),
        _ => (None, text),
    };
    if host.is_some_and(str::is_empty) || directory.is_empty() {
        return Err("it must be a directory, or HOST=DIRECTORY".to_owned());
    }
    Ok(Source {
        host: host.map(str::to_owned),
        directory: directory.into(),
    })
}
