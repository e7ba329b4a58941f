//! Providers, and which of them carry a method's codes.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use twofa_broker::admin::providers::settings::Given;
use twofa_core::Channel;

use super::policy::Confirmation;
use super::values::{channel, given};

/// The commands about providers.
#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// List the kinds of providers, or the settings of one kind (everybody)
    #[command(after_help = "Examples:\n  twofa provider kinds\n  twofa provider kinds smtp")]
    Kinds {
        /// The kind whose settings to show
        kind: Option<String>,
    },
    /// Add a provider: it is tested first, and saved if it works
    ///
    /// It comes last in the order in which the providers of its method are tried. Secrets, such as passwords, are asked
    /// for without showing what is typed, or read from a file. They are never taken from the command line, where other
    /// users could see them.
    #[command(after_help = "\
Examples:
  twofa provider add mail smtp host=mail.example.org from=login@example.org
  twofa provider add relay smtp host=127.0.0.1 tls=none from=login@example.org
  twofa provider add relay smtp host=127.0.0.1 tls=none from=login@example.org --dry-run
  twofa provider add sms twilio account
  twofa provider add sms twilio from=+15550006789 --secrets-from secrets.txt")]
    Add {
        /// A name for it: lower-case letters, digits, '-', '_' and '.'
        name: String,
        /// Its kind; see 'twofa provider kinds'
        kind: String,
        /// Its settings; you are asked for the value of a key without one
        #[arg(value_name = "KEY=VALUE", value_parser = given)]
        settings: Vec<Given>,
        /// The name that users see
        #[arg(long)]
        title: Option<String>,
        /// How it is tested.
        #[command(flatten)]
        testing: Testing,
    },
    /// List the providers and the order in which they are tried
    #[command(after_help = "Example:\n  twofa provider list")]
    List,
    /// Show a provider's settings
    #[command(
        after_help = "Examples:\n  twofa provider show mail\n  twofa provider show mail --reveal"
    )]
    Show {
        /// The provider
        name: String,
        /// Show secrets too
        #[arg(long)]
        reveal: bool,
    },
    /// Change a provider's settings: they are tested first, and saved if they work
    #[command(after_help = "\
Examples:
  twofa provider set mail host=mail2.example.org
  twofa provider set mail password               asks for the new one
  twofa provider set mail --unset reply-to --title 'Post office'")]
    Set {
        /// The provider
        name: String,
        /// Its settings; you are asked for the value of a key without one
        #[arg(value_name = "KEY=VALUE", value_parser = given)]
        settings: Vec<Given>,
        /// Remove this setting
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
        /// The name that users see; empty for the title of its kind
        #[arg(long)]
        title: Option<String>,
        /// How it is tested.
        #[command(flatten)]
        testing: Testing,
    },
    /// Remove a provider with its secrets and its place in the order
    #[command(after_help = "Example:\n  twofa provider remove mail")]
    Remove {
        /// The provider
        name: String,
        /// Confirmation of the change.
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Test a provider: connect, log in, send a test message
    #[command(after_help = "\
Examples:
  twofa provider test mail
  twofa provider test sms --to '+49 1512 3456789'")]
    Test {
        /// The provider
        name: String,
        /// Where to send the message; by default to the provider's own sender address
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
    },
    /// Check your own data file for an SMS provider, and show the request it makes (everybody)
    #[command(after_help = "Example:\n  twofa provider check /etc/twofa/sms.d/acme.toml")]
    Check {
        /// The file, in the form of twofa-sms(5)
        file: PathBuf,
    },
}

/// How a provider is tested before it is saved.
#[derive(Debug, Args)]
pub struct Testing {
    /// Read secrets from this file, one KEY=VALUE per line; '-' for standard input
    #[arg(long, value_name = "FILE")]
    pub secrets_from: Option<PathBuf>,
    /// Save it without a test
    #[arg(long)]
    pub no_test: bool,
    /// Check the settings and test them, and save nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// The commands about methods.
#[derive(Debug, Subcommand)]
pub enum MethodCommand {
    /// List the methods, whether the policy allows them, and which providers send their codes
    #[command(after_help = "Example:\n  twofa method list")]
    List,
    /// Set which providers send a method's codes, in the order in which they are tried
    #[command(after_help = "\
Examples:
  twofa method set email --provider mail --provider relay
  twofa method set sms --none")]
    Set {
        /// The method
        #[arg(value_parser = channel())]
        method: Channel,
        /// A provider; repeat this for more, in order
        #[arg(
            long = "provider",
            value_name = "NAME",
            required_unless_present = "none"
        )]
        providers: Vec<String>,
        /// Use no provider: no codes are sent
        #[arg(long, conflicts_with = "providers")]
        none: bool,
        /// Confirmation of the change.
        #[command(flatten)]
        confirmation: Confirmation,
    },
}
