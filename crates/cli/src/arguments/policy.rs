//! The policy of the machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use twofa_core::policy::KEYS;

use super::values::{Settings, policy_keys};

/// The commands about the policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show every setting, its value and what it means
    #[command(after_help = "Examples:\n  twofa policy show\n  twofa policy show | grep lockout")]
    Show,
    /// Change settings, all of them or none
    #[command(after_help = policy_help())]
    Set {
        /// The settings
        #[arg(required = true, value_name = "KEY=VALUE", hide_possible_values = true)]
        #[arg(value_parser = Settings(policy_keys))]
        settings: Vec<(String, String)>,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Confirmation of the change.
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Print policy and classes as TOML
    #[command(after_help = "Example:\n  twofa policy export > policy.toml")]
    Export,
    /// Replace policy and classes with those of a TOML file, all of it or nothing
    #[command(
        after_help = "Examples:\n  twofa policy apply policy.toml --dry-run\n  twofa policy apply - < policy.toml"
    )]
    Apply {
        /// The file, as printed by 'policy export'; '-' for standard input
        file: PathBuf,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Confirmation of the change.
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

/// Confirmation of a change that could lock people out.
#[derive(Debug, Clone, Copy, Args)]
pub struct Confirmation {
    /// Make the change even if it could leave users unable to log in or without a working method
    #[arg(long)]
    pub yes: bool,
}

pub(super) fn policy_help() -> String {
    let mut help = String::from("Settings:\n");
    for key in &KEYS {
        help.push_str(&format!("  {}\n", key.name));
        help.push_str(&format!("      {} ({})", key.help, key.values()));
        if !key.default().is_empty() {
            help.push_str(&format!(" [default: {}]", key.default()));
        }
        help.push('\n');
    }
    help.push_str(
        "\nExamples:\n  twofa policy set mode=optional\n  twofa policy set lockout.after=5 lockout.for=30m",
    );
    help
}
