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
    ///
    /// On a server of a fleet, root also sees the sessions of shared accounts on its hosts. Each host counts its own: a
    /// session is named by its number and its host. "ending" means that its host was told to end it and has not confirmed.
    #[command(
        after_help = "Examples:\n  twofa session list\n  twofa session list --user alice --json\n  twofa session list --host web1"
    )]
    List {
        /// Only the sessions of this user (root)
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Only the sessions on this host of the fleet (root, on a server)
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
    },
    /// End login sessions (root)
    ///
    /// Their processes are told to end, and those that have not ended after three seconds are killed. The session that this
    /// is typed in is left alone without --me, and ended last with it.
    ///
    /// On a server of a fleet, --user and --all also end sessions on its hosts, and --host ends only sessions there. The hosts
    /// have five seconds to confirm. One that has not is listed: it ends the sessions when it is back. The exit status is 0
    /// only if all hosts have confirmed.
    #[command(after_help = "\
Examples:
  twofa session end 12
  twofa session end --user alice --and-trust
  twofa session end --all --me
  twofa session end 7 --host web1
  twofa session end --user alice --host web1 --host web2")]
    End(EndArguments),
    /// Record which sessions have ended, and end those that are over their lifetime (root)
    ///
    /// twofad-sessions.timer runs this every minute, and twofad-sessions.path when a server of the fleet wants sessions of
    /// this host ended.
    #[command(after_help = "Examples:\n  twofa session sweep\n  twofa session sweep --watch")]
    Sweep {
        /// Stay, and do so every minute and whenever a server wants sessions ended: for systems without systemd
        #[arg(long)]
        watch: bool,
    },
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
    #[arg(long, conflicts_with = "host")]
    pub me: bool,
    /// Only sessions on this host of the fleet (on a server); can be given several times, but with numbers only once
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
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
