//! Every command and option, once.

use std::error::Error;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// A second factor for Linux logins
///
/// Ordinary users look at and change their own record; root administers the machine. A change of what is
/// enrolled asks for a fresh code first, once something is enrolled.
#[derive(Debug, Parser)]
#[command(name = "twofa", version, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  twofa enrol app                        set up an authenticator app for yourself
  twofa status                           see how you stand
  sudo twofa policy set mode=mandatory   ask everybody for a second factor
  sudo twofa user unlock alice           let alice try again after too many wrong codes

Exit status: 0 done, 1 failed, 2 usage, 3 not permitted, 4 not found, 5 denied or locked,
6 broker or store out of reach.")]
pub struct Arguments {
    /// Print data as JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// Whose record; root may name somebody else.
#[derive(Debug, Args)]
pub struct Whose {
    /// Act for this user (root)
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show how you stand: what is enrolled, and whether logins ask for it
    Status {
        /// Whose.
        #[command(flatten)]
        user: Whose,
    },
    /// Set up a second factor
    #[command(subcommand, visible_alias = "enroll")]
    Enrol(Enrol),
    /// Remove a method: an app by its label, or 'backup' for the backup codes
    #[command(after_help = "Examples:\n  twofa remove phone\n  twofa remove backup")]
    Remove {
        /// The label, or 'backup'
        method: String,
        /// Whose.
        #[command(flatten)]
        user: Whose,
    },
    /// Show how many backup codes are left, or make new ones
    #[command(
        after_help = "Examples:\n  twofa codes          how many are left\n  twofa codes --new    make new ones; the old ones die"
    )]
    Codes {
        /// Make new codes and show them once; the old ones die
        #[arg(long)]
        new: bool,
        /// Whose.
        #[command(flatten)]
        user: Whose,
    },
    /// See or change the policy of this machine (root)
    #[command(subcommand)]
    Policy(Policy),
    /// Administer users (root)
    #[command(subcommand)]
    User(User),
    /// Show what happened: logins, refusals, changes (root)
    #[command(after_help = "Examples:\n  twofa log --last 20\n  twofa log --user alice --json")]
    Log {
        /// Only what concerns this user
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Only the last N events
        #[arg(long, value_name = "N")]
        last: Option<u32>,
    },
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  twofa completions bash > /usr/share/bash-completion/completions/twofa"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What can be enrolled. Codes by e-mail and SMS will be further ones.
#[derive(Debug, Subcommand)]
pub enum Enrol {
    /// Set up an authenticator app: scan a QR code, type the first code
    #[command(after_help = "\
Examples:
  twofa enrol app                  with the settings every app understands
  twofa enrol app --label phone    named, so that you can have several
  twofa enrol app --type hotp      for a hardware token that counts")]
    App(App),
}

/// How the app is to work.
#[derive(Debug, Args)]
pub struct App {
    /// Call it this
    #[arg(long)]
    pub label: Option<String>,
    /// What makes the code change
    #[arg(long = "type", value_name = "TYPE", default_value = "totp")]
    pub kind: Kind,
    /// Hash of the code; many apps only know SHA1 and do not say so
    #[arg(long, default_value = "SHA1", value_parser = ["SHA1", "SHA256", "SHA512"], ignore_case = true)]
    pub algorithm: String,
    /// Digits of a code
    #[arg(long, default_value = "6", value_parser = one_of::<u8>(["6", "8"]))]
    pub digits: u8,
    /// Seconds a code lasts
    #[arg(long, default_value = "30", value_parser = one_of::<u32>(["30", "60"]))]
    pub period: u32,
    /// Whose.
    #[command(flatten)]
    pub user: Whose,
}

/// What makes a code change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The time
    Totp,
    /// Each use
    Hotp,
}

/// The policy.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Show every setting, its value and what it means
    Show,
    /// Change settings, all or none
    #[command(after_help = policy_help())]
    Set {
        /// What to change
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = setting)]
        settings: Vec<(String, String)>,
    },
}

/// Users.
#[derive(Debug, Subcommand)]
pub enum User {
    /// List everybody something is known of
    List,
    /// Show how a user stands
    Show {
        /// Login name
        name: String,
    },
    /// Require a second factor of a user, unless the mode is disabled
    Require {
        /// Login name
        name: String,
    },
    /// No longer require it
    Release {
        /// Login name
        name: String,
    },
    /// Open a lock and forget the wrong codes
    Unlock {
        /// Login name
        name: String,
    },
    /// Remove all methods of a user who lost them; what is required of the user stays
    Reset {
        /// Login name
        name: String,
    },
    /// Forget a user, also one whose account is gone
    Remove {
        /// Login name
        name: String,
    },
}

/// Takes these numbers and no others, and offers them to completions.
fn one_of<T>(numbers: [&'static str; 2]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(numbers).try_map(|number| number.parse())
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a setting is KEY=VALUE, such as mode=mandatory")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

fn policy_help() -> String {
    let mut help = String::from("Settings:\n");
    for key in &twofa_core::policy::KEYS {
        help.push_str(&format!(
            "  {:<18}{} ({}) [default: {}]\n",
            key.name, key.help, key.values, key.default
        ));
    }
    help.push_str(
        "\nExamples:\n  twofa policy set mode=optional\n  twofa policy set lockout.after=5 lockout.for=30m",
    );
    help
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_explains_every_setting() {
        let help = policy_help();
        for key in &twofa_core::policy::KEYS {
            assert!(help.contains(key.name) && help.contains(key.help), "{}", key.name);
        }
    }
}
