//! The policy of the machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use twofa_core::policy::KEYS;

use super::values::{Settings, policy_keys};

/// The policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show every setting, its value and what it means
    Show,
    /// Change settings, all or none
    #[command(after_help = policy_help())]
    Set {
        /// What to change
        #[arg(required = true, value_name = "KEY=VALUE", hide_possible_values = true)]
        #[arg(value_parser = Settings(policy_keys))]
        settings: Vec<(String, String)>,
        /// Whether to ask.
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Write policy and classes as TOML
    #[command(after_help = "Example:\n  twofa policy export > policy.toml")]
    Export,
    /// Make policy and classes what a TOML file says, all or nothing
    #[command(
        after_help = "Examples:\n  twofa policy apply policy.toml --dry-run\n  twofa policy apply - < policy.toml"
    )]
    Apply {
        /// The file, as 'policy export' writes it; '-' for standard input
        file: PathBuf,
        /// Show what would change and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Whether to ask.
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

/// What to do about a change that could leave people outside.
#[derive(Debug, Clone, Copy, Args)]
pub struct Confirmation {
    /// Make the change although it could leave people unable to log in, or without a method that works
    #[arg(long)]
    pub yes: bool,
}

pub(super) fn policy_help() -> String {
    let mut help = String::from("Settings:\n");
    for key in &KEYS {
        help.push_str(&format!(
            "  {:<18}{} ({}) [default: {}]\n",
            key.name,
            key.help,
            key.values(),
            key.default()
        ));
    }
    help.push_str(
        "\nExamples:\n  twofa policy set mode=optional\n  twofa policy set lockout.after=5 lockout.for=30m",
    );
    help
}
