//! The PAM services of this machine.

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;

/// The commands about PAM services.
#[derive(Debug, Subcommand)]
pub enum PamCommand {
    /// Show who gets in with what, by following every path through the PAM stacks
    ///
    /// The files are read as libpam reads them on this machine, and every path is followed for every result that the modules
    /// may return. For services that are named here, it also shows what becomes of a login for each outcome of the first factor
    /// and of the code. Nothing is changed. READING THE TABLE in `twofa-admin(7)` explains the words.
    ///
    /// The exit status is 0 if there is no problem, 1 if there is one, 4 if a service does not exist, and 6 if it is unknown for a
    /// service who gets in.
    #[command(after_help = "\
Examples:
  twofa pam check               all services
  twofa pam check sshd sudo     these two, in detail
  sudo twofa pam check --json   with sshd's own settings, for other programs")]
    Check {
        /// The services, by the names of their files in /etc/pam.d; without any, all
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
    },
    /// List the services, what each gives, and in which phase it asks for a code
    ///
    /// A service that does not ask although another of its kind does is marked: sudo may ask, and 'sudo -i' or pkexec not.
    #[command(after_help = "Examples:\n  twofa pam list\n  twofa pam list --json")]
    List,
    /// Make services ask for a code, without locking anyone out at any point (root)
    ///
    /// Without a name, all services: by the profile of `pam-auth-update` on Debian, of `authselect` on Fedora and EL. With
    /// names, the services' own files; where a service shares its lines with all others, by these and the policy setting
    /// 'services', unless --own-file is given or this is a host of a fleet.
    ///
    /// For sshd, its own settings are part of the change: see --ssh-keys, and CHANGING THE FILES BY COMMAND in
    /// `twofa-admin(7)`.
    ///
    /// The change is shown, and the prover follows every path through the stacks of all services as they would be after each
    /// step. Then the files are replaced, and you log in: a wrong code must be refused, the right one must let you in. If not,
    /// or if this program is killed meanwhile, the old files come back. Copies of those of the last 20 changes are kept in
    /// /var/backups/twofa-pam.
    #[command(after_help = "\
Examples:
  twofa pam enable --dry-run        show what would change for all services
  twofa pam enable                  all services
  twofa pam enable sudo             sudo, and where the policy asks already
  twofa pam enable --own-file sudo  sudo, in its own file
  twofa pam enable sshd             sshd, with a password or a key")]
    Enable(ChangeArguments),
    /// Make services ask for no code, in the same way (root)
    #[command(after_help = "Examples:\n  twofa pam disable\n  twofa pam disable sudo")]
    Disable(ChangeArguments),
    /// Bring back the files from before a change that was interrupted, as by a power failure (root)
    ///
    /// A change that is merely killed brings them back by itself, and twofa-pam-recover.service runs this at boot.
    #[command(after_help = "Examples:\n  twofa pam recover")]
    Recover,
}

/// What changes, and how.
#[derive(Debug, Args)]
pub struct ChangeArguments {
    /// The services, by the names of their files in /etc/pam.d; without any, all
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Show the change and the prover's objections, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Edit the services' own files, even where pam-auth-update would serve
    #[arg(long)]
    pub own_file: bool,
    /// What becomes of logins with an ssh key, where sshd is to ask
    ///
    /// Without this option, 'ask' if sshd is named, and 'trust' if all services are to ask.
    #[arg(long, value_name = "WHAT", value_enum)]
    pub ssh_keys: Option<SshKeys>,
    /// Do not log in: rely on the prover alone
    #[arg(long, conflicts_with = "login_as")]
    pub no_login: bool,
    /// Who logs in; without it, the caller of sudo
    #[arg(long, value_name = "USER")]
    pub login_as: Option<String>,
}

/// What becomes of logins with an ssh key.
#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SshKeys {
    /// A code is asked for after the key; people without one go on with password and code, if sshd takes passwords now
    Ask,
    /// A code is asked for after the key, and nobody gets in without a key
    Require,
    /// A key is enough, without a code
    Trust,
}

impl SshKeys {
    /// The value of the option.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
