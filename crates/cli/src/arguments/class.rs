//! Rules for the members of a Unix group.

use clap::Subcommand;

use super::policy::Confirmation;
use super::values::{Settings, class_keys};

/// The commands about classes.
#[derive(Debug, Subcommand)]
pub enum ClassCommand {
    /// List the classes in the order in which they are tried
    #[command(after_help = "Example:\n  twofa class list")]
    List,
    /// Create a class or change its settings; KEY= removes a setting
    #[command(after_help = "\
Examples:
  twofa class set admins --group sudo mode=mandatory
  twofa class set robots --group svc --before admins mode=disabled
  twofa class set admins trust.remote=       use the setting of everyone")]
    Set {
        /// The class
        name: String,
        /// The Unix group it applies to; for a new class, the group of the same name if not given
        #[arg(long)]
        group: Option<String>,
        /// Try it before this class; by default, a new class is tried last
        #[arg(long, value_name = "CLASS")]
        before: Option<String>,
        /// Settings that differ from the policy of the machine
        #[arg(value_name = "KEY=VALUE", hide_possible_values = true, value_parser = Settings(class_keys))]
        settings: Vec<(String, String)>,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Confirmation of the change.
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Remove a class
    #[command(after_help = "Example:\n  twofa class remove admins")]
    Remove {
        /// The class
        name: String,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Confirmation of the change.
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Show which class applies to a user, what a login would require now, and why
    #[command(after_help = "Example:\n  twofa class test alice")]
    Test {
        /// Login name
        user: String,
    },
}
