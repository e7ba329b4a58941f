//! `twofa log` and the commands below it.

use std::path::PathBuf;

use clap::Subcommand;
use twofa_broker::admin::log::Anchor;

/// What can be done with the log, other than show it.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Check that nobody changed the log: altered, missing, inserted, cut-off and lost events
    ///
    /// Every event has a keyed hash, and checkpoints chain them. The system log has each checkpoint as anchor="..." and
    /// each event as leaf="...": with the lines of a log server, an older database that was put back is found as well,
    /// everything that root wrote again, and what a power failure took. twofad(8) says what is proved against whom. The exit status is 1 if anything is wrong.
    #[command(
        after_help = "Examples:\n  twofa log verify\n  journalctl -t twofad | twofa log verify --anchors -\n  twofa log verify --key"
    )]
    Verify {
        /// Ask for the key that 'twofa log make-key' showed, and verify the seals since then
        #[arg(long)]
        key: bool,
        /// A checkpoint that the log must contain, as the system log has it
        #[arg(long = "anchor", value_name = "ANCHOR")]
        anchors: Vec<Anchor>,
        /// Lines of a system log, whose events and checkpoints the log must contain; - is standard input
        #[arg(long = "anchors", value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Make a key that verifies the log from now on, and show it once
    ///
    /// Keep it away from this machine. Checkpoints are sealed with keys that are derived from it, each erased after use:
    /// an intruder cannot forge what was sealed before.
    #[command(after_help = "Example:\n  twofa log make-key")]
    MakeKey {
        /// Make another key in place of the one there is
        #[arg(long)]
        replace: bool,
    },
}
