//! Providers, and which of them carry a method's codes.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use twofa_broker::admin::providers::settings::Given;
use twofa_core::Channel;

use super::policy::Confirmation;
use super::values::{channel, given};

/// Providers.
#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// List the kinds of providers, or what one of them wants to know (everybody)
    #[command(after_help = "Examples:\n  twofa provider kinds\n  twofa provider kinds smtp")]
    Kinds {
        /// The kind whose settings to show
        kind: Option<String>,
    },
    /// Connect a provider: it is tried first, and kept if it works
    ///
    /// It comes last in the order in which its method's providers are tried. Secrets, such as passwords, are asked for
    /// without showing them, or read from a file; never from the command line, where other users would see them.
    #[command(after_help = "\
Examples:
  twofa provider add mail smtp host=mail.example.org from=login@example.org
  twofa provider add relay smtp host=127.0.0.1 tls=none from=login@example.org
  twofa provider add sms twilio account
  twofa provider add sms twilio from=+15550006789 --secrets-from secrets.txt")]
    Add {
        /// What to call it: small letters, digits, '-', '_' and '.'
        name: String,
        /// Its kind, of 'twofa provider kinds'
        kind: String,
        /// What it is told; a name alone is asked for
        #[arg(value_name = "KEY=VALUE", value_parser = given)]
        settings: Vec<Given>,
        /// What to call it in front of people
        #[arg(long)]
        title: Option<String>,
        /// How it is tried.
        #[command(flatten)]
        testing: Testing,
    },
    /// List the providers and the order in which they are tried
    List,
    /// Show what a provider was told
    Show {
        /// The provider
        name: String,
        /// Show its secrets too
        #[arg(long)]
        reveal: bool,
    },
    /// Change what a provider is told: it is tried first, and changed if it works
    #[command(after_help = "\
Examples:
  twofa provider set mail host=mail2.example.org
  twofa provider set mail password               asks for the new one
  twofa provider set mail --unset reply-to --title 'Post office'")]
    Set {
        /// The provider
        name: String,
        /// What it is told; a name alone is asked for
        #[arg(value_name = "KEY=VALUE", value_parser = given)]
        settings: Vec<Given>,
        /// Forget this setting
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
        /// What to call it in front of people; empty for its kind's title
        #[arg(long)]
        title: Option<String>,
        /// How it is tried.
        #[command(flatten)]
        testing: Testing,
    },
    /// Remove a provider, its secrets and its place in the order
    Remove {
        /// The provider
        name: String,
        /// Whether to ask.
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Try a provider: connect, log in, send a test message
    #[command(after_help = "\
Examples:
  twofa provider test mail
  twofa provider test sms --to '+49 1512 3456789'")]
    Test {
        /// The provider
        name: String,
        /// Where to; the address it sends from, where it has one
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
    },
    /// Check a data file of an SMS provider of your own, and show the request it makes (everybody)
    #[command(after_help = "Example:\n  twofa provider check /etc/twofa/sms.d/acme.toml")]
    Check {
        /// The file, as twofa-sms(5) has it
        file: PathBuf,
    },
}

/// How a provider is tried before it is kept.
#[derive(Debug, Args)]
pub struct Testing {
    /// Read secrets from this file, KEY=VALUE one on a line; '-' for standard input
    #[arg(long, value_name = "FILE")]
    pub secrets_from: Option<PathBuf>,
    /// Do not try it first
    #[arg(long)]
    pub no_test: bool,
}

/// Methods.
#[derive(Debug, Subcommand)]
pub enum MethodCommand {
    /// List the methods, whether the policy allows them, and who carries their codes
    List,
    /// Say which providers carry a method's codes, in the order in which they are tried
    #[command(after_help = "\
Examples:
  twofa method set email --provider mail --provider relay
  twofa method set sms --none")]
    Set {
        /// The method
        #[arg(value_parser = channel())]
        method: Channel,
        /// The next one to try
        #[arg(
            long = "provider",
            value_name = "NAME",
            required_unless_present = "none"
        )]
        providers: Vec<String>,
        /// Try none: no codes are sent
        #[arg(long, conflicts_with = "providers")]
        none: bool,
        /// Whether to ask.
        #[command(flatten)]
        confirmation: Confirmation,
    },
}
