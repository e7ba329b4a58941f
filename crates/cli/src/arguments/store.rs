//! The store: in a file, or in a PostgreSQL database.

use clap::{Args, Subcommand};

/// The commands about the store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Move the store to a PostgreSQL database, or back to a file
    ///
    /// The database must exist and be empty. Everything is moved, rows are counted, and what it was moved from is closed: at no
    /// time can a code be used in both. A move that was interrupted is finished by the same command.
    #[command(after_help = MOVE_HELP)]
    Move(MoveArguments),
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
