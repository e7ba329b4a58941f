//! Every command and option, once.

mod class;
mod policy;
mod provider;
mod self_service;
mod user;
mod values;

use clap::{Args, Parser, Subcommand};

pub use class::ClassCommand;
pub use policy::{Confirmation, PolicyCommand};
pub use provider::{MethodCommand, ProviderCommand, Testing};
pub use self_service::{AddressArguments, AppArguments, CodeType, EnrolCommand};
pub use user::{ExemptArguments, ExemptionCommand, ListArguments, UserCommand, Users};

use self_service::SET_HELP;
use values::{Settings, user_keys};

/// A second factor for Linux logins
///
/// Ordinary users look at and change their own record; root administers the machine. A change of what is
/// enrolled asks for a fresh code first, once something is enrolled.
#[derive(Debug, Parser)]
#[command(
    name = "twofa",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
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
    Enrol(EnrolCommand),
    /// Remove a method: an app by its label, any other method by its name
    #[command(
        after_help = "Examples:\n  twofa remove phone\n  twofa remove sms\n  twofa remove backup"
    )]
    Remove {
        /// The label of an app, or the name of another method
        method: String,
        /// Whose.
        #[command(flatten)]
        user: Whose,
    },
    /// Set when you are asked, by what, and where codes are sent
    #[command(after_help = SET_HELP)]
    Set {
        /// What to set
        #[arg(required = true, value_name = "KEY=VALUE", hide_possible_values = true)]
        #[arg(value_parser = Settings(user_keys))]
        settings: Vec<(String, String)>,
        /// Vouch for the addresses given here: they need no code to prove them (root)
        #[arg(long)]
        verified: bool,
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
    Policy(PolicyCommand),
    /// See or change rules for the members of a Unix group (root)
    #[command(subcommand)]
    Class(ClassCommand),
    /// Administer users (root)
    #[command(subcommand)]
    User(UserCommand),
    /// Connect mail servers and SMS accounts, which carry codes (root)
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// See which methods there are, and say which providers carry their codes (root)
    #[command(subcommand)]
    Method(MethodCommand),
    /// See or end exemptions (root)
    #[command(subcommand)]
    Exemption(ExemptionCommand),
    /// Look for what is wrong, or soon will be (root)
    Doctor,
    /// Show what happened: right and wrong codes, refusals, changes (root)
    ///
    /// "passed" means that the second factor was right. Whether the login succeeded, the application's own log says.
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

#[cfg(test)]
mod tests {
    use super::policy::policy_help;
    use super::values::policy_keys;
    use super::*;
    use clap::CommandFactory;
    use twofa_core::policy::KEYS;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_setting_of_a_provider_is_a_key_and_a_value_or_a_key_that_is_asked_for() {
        let add = [
            "twofa",
            "provider",
            "add",
            "mail",
            "smtp",
            "host=mx.example.org",
            "password",
        ];
        let Command::Provider(ProviderCommand::Add { settings, .. }) =
            Arguments::try_parse_from(add).unwrap().command
        else {
            panic!("something else was read")
        };
        let given =
            |name: &str, value: Option<&str>| twofa_broker::admin::providers::settings::Given {
                name: name.to_owned(),
                value: value.map(str::to_owned),
            };
        assert_eq!(
            settings,
            [
                given("host", Some("mx.example.org")),
                given("password", None)
            ]
        );
    }

    #[test]
    fn the_order_of_providers_is_given_or_emptied_and_not_both() {
        let read = |rest: &[&str]| {
            let line = ["twofa", "method", "set", "email"].iter().chain(rest);
            Arguments::try_parse_from(line).is_ok()
        };
        assert!(read(&["--provider", "a", "--provider", "b"]) && read(&["--none"]));
        assert!(!read(&[]) && !read(&["--none", "--provider", "a"]));
    }

    #[test]
    fn completions_offer_every_setting() {
        let mut script = Vec::new();
        clap_complete::generate(
            clap_complete::Shell::Bash,
            &mut Arguments::command(),
            "twofa",
            &mut script,
        );
        let script = String::from_utf8(script).unwrap();
        for key in policy_keys().into_iter().chain(user_keys()) {
            assert!(script.contains(&format!("{key}=")), "{key}");
        }
    }

    #[test]
    fn a_setting_is_a_key_and_a_value() {
        let read = |text: &str| Arguments::try_parse_from(["twofa", "policy", "set", text]);
        assert!(read("application-name=a=b").is_ok());
        assert!(
            read("mode")
                .unwrap_err()
                .to_string()
                .contains("write KEY=VALUE")
        );
    }

    #[test]
    fn help_explains_every_setting() {
        let help = policy_help();
        for key in &KEYS {
            assert!(
                help.contains(key.name) && help.contains(key.help),
                "{}",
                key.name
            );
        }
    }
}
