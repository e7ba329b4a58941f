//! Rules for the members of a Unix group.

use clap::Subcommand;

use super::policy::Confirmation;
use super::values::{Settings, class_keys};

/// Classes.
#[derive(Debug, Subcommand)]
pub enum ClassCommand {
    /// List the classes in the order in which they are tried
    List,
    /// Make a class or change its settings; KEY= takes a setting away
    #[command(after_help = "\
Examples:
  twofa class set admins --group sudo mode=mandatory
  twofa class set robots --group svc --before admins mode=disabled
  twofa class set admins trust.remote=       as everyone has it")]
    Set {
        /// The class
        name: String,
        /// The Unix group whose members it holds for; a new class has its own name's
        #[arg(long)]
        group: Option<String>,
        /// Try it before this class; a new class comes last, before everyone
        #[arg(long, value_name = "CLASS")]
        before: Option<String>,
        /// What it has of its own
        #[arg(value_name = "KEY=VALUE", hide_possible_values = true, value_parser = Settings(class_keys))]
        settings: Vec<(String, String)>,
        /// Whether to ask.
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Remove a class
    Remove {
        /// The class
        name: String,
        /// Whether to ask.
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Say which class holds for a user and what a login would be asked now, and why
    #[command(after_help = "Example:\n  twofa class test alice")]
    Test {
        /// Login name
        user: String,
    },
}
