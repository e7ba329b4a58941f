//! The first set-up.

use std::path::PathBuf;

use clap::Args;

pub(super) const SETUP_HELP: &str = "\
Examples:
  twofa setup
  twofa setup --answers answers.toml --dry-run   see what would change
  twofa setup --answers answers.toml             ask nothing

A file of answers; every line may be left out:
  application-name = \"Example\"
  who-must = \"administrators\"      # report, nobody, administrators, everybody
  administrators = \"sudo\"          # their Unix group
  services = [\"ssh\", \"console\"]  # or [\"all\"]
  pam = [\"all\"]                   # or PAM services, as 'twofa pam enable'
  pam-no-login = true             # needed with pam: no login proves the change
  ssh-keys = \"ask\"               # or trust, require: as 'twofa pam enable'
  [[provider]]
  name = \"mail\"
  kind = \"smtp\"                    # see 'twofa provider kinds'
  settings = { host = \"mail.example.org\", from = \"login@example.org\" }
  secrets-file = \"mail.secret\"    # lines such as password=…, beside this file

Both files are opened with the rights of the caller of sudo, doas or pkexec.";

/// What `twofa setup` takes.
#[derive(Debug, Args)]
pub struct SetupArguments {
    /// Take the answers from this TOML file and ask nothing; '-' for standard input
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// Show what would change, and change nothing
    #[arg(long, requires = "answers")]
    pub dry_run: bool,
    /// Make the changes even if they could leave users unable to log in or without a working method
    #[arg(long, requires = "answers")]
    pub yes: bool,
}
