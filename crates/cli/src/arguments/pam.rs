//! The PAM services of this machine.

use clap::Subcommand;

/// The commands about PAM services.
#[derive(Debug, Subcommand)]
pub enum PamCommand {
    /// Show who gets in with what, by following every path through the PAM stacks
    ///
    /// The files are read as libpam reads them on this machine, and every path is followed for every result that the modules
    /// may return. For services that are named here, it also shows what becomes of a login for each outcome of the first factor
    /// and of the code. Nothing is changed. READING THE TABLE in `twofa-admin(7)` explains the words.
    ///
    /// The exit status is 0 if there is no problem, 1 if there is one, 4 if a service does not exist, and 6 if it cannot be told
    /// who gets in.
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
}
