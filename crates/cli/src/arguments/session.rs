//! Login sessions.

use clap::{Args, Subcommand};

/// The commands about login sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List the login sessions that are open: your own, or with root's rights all of them
    ///
    /// A session is listed for as long as it has processes. "closing" means that its user has logged out and left some
    /// behind. Sessions are recorded where `pam_twofa.so` is in the session lines of a service: see LOGIN SESSIONS in
    /// `twofad(8)`.
    #[command(
        after_help = "Examples:\n  twofa session list\n  twofa session list --user alice --json"
    )]
    List {
        /// Only the sessions of this user (root)
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// End login sessions (root)
    ///
    /// Their processes are told to end, and those that have not ended after three seconds are killed. The session that this
    /// is typed in is left alone without --me, and ended last with it.
    #[command(after_help = "\
Examples:
  twofa session end 12
  twofa session end --user alice --and-trust
  twofa session end --all --me")]
    End(EndArguments),
    /// Record which sessions have ended, and end those that are over their lifetime (root)
    ///
    /// twofad-sessions.timer runs this every minute.
    #[command(after_help = "Example:\n  twofa session sweep")]
    Sweep,
    /// Keep root's rights for 'end' and 'sweep', which start this
    #[command(hide = true)]
    Helper,
}

/// Which sessions to end, and what else.
#[derive(Debug, Args)]
pub struct EndArguments {
    /// Which sessions.
    #[command(flatten)]
    pub chosen: ChosenSessions,
    /// Also the session that this is typed in
    #[arg(long)]
    pub me: bool,
    /// Also end the trust in all devices of these users
    #[arg(long)]
    pub and_trust: bool,
}

/// Which sessions to end: by number, of a user, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ChosenSessions {
    /// Numbers of sessions in the list
    pub id: Vec<i64>,
    /// All sessions of this user
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// All sessions
    #[arg(long)]
    pub all: bool,
}
