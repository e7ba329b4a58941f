//! Every command and option, once.

mod class;
mod device;
mod events;
mod fleet;
pub(crate) mod log;
mod pam;
mod policy;
mod provider;
mod self_service;
mod session;
mod setup;
mod store;
mod user;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use class::ClassCommand;
pub use device::{DeviceCommand, Devices};
pub use events::EventArguments;
pub use fleet::{
    FinishArguments, FleetCommand, HostArguments, HostCommand, JoinArguments, JoinKeyArguments,
    JoinKeyCommand, LeaveArguments, ResumeArguments, RightsArguments, RotateCaCommand,
    RotateCaFinish, RotateCaStart, RotateCommand, RotateKeyCommand, ServerCommand,
};
pub use log::LogCommand;
pub use pam::{ChangeArguments, PamCommand, SshKeys};
pub use policy::{Confirmation, PolicyCommand};
pub use provider::{MethodCommand, ProviderCommand, Testing};
pub use self_service::{AddressArguments, AppArguments, CodeType, EnrolCommand, KeyArguments};
pub use session::{ChosenSessions, EndArguments, SessionCommand};
pub use setup::SetupArguments;
pub use store::{ExportArguments, MergeArguments, MoveArguments, StoreCommand};
pub use user::{
    EndingUsers, ExemptArguments, ExemptionCommand, InviteArguments, ListArguments, UserCommand,
    Users,
};

use self_service::SET_HELP;
use setup::SETUP_HELP;
use values::{Settings, user_keys};

/// A second factor for Linux logins
///
/// Users see and change their own settings; root administers the machine. Once a method is enrolled, changes to
/// enrolled methods ask for a new code first.
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
  twofa status                           see your own status
  twofa device list                      see where you are not asked for a code
  sudo twofa policy set mode=mandatory   require a second factor of everybody
  sudo twofa user unlock alice           unlock alice after too many wrong codes

Exit status: 0 done, 1 failed, 2 usage, 3 not permitted, 4 not found, 5 denied or locked,
6 broker or store unavailable.")]
pub struct Arguments {
    /// Print data as JSON, for other programs
    #[arg(long, global = true)]
    pub json: bool,

    /// The command
    #[command(subcommand)]
    pub command: Command,
}

/// The user that a command is about; only root may name another.
#[derive(Debug, Args)]
pub struct Whose {
    /// Act for this user (root); with sudo, say so for yourself too
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show your status: what is enrolled, and whether logins ask for it
    #[command(
        after_help = "On a server or host of a fleet, root also sees which version of the policy is in force.\n\n\
                      Examples:\n  twofa status\n  twofa status --json"
    )]
    Status {
        /// The user it is about.
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
        /// The user it is about.
        #[command(flatten)]
        user: Whose,
    },
    /// Set when you are asked for a code, your preferred method, and where codes are sent
    #[command(after_help = SET_HELP)]
    Set {
        /// The settings
        #[arg(required = true, value_name = "KEY=VALUE", hide_possible_values = true)]
        #[arg(value_parser = Settings(user_keys))]
        settings: Vec<(String, String)>,
        /// Mark the addresses given here as verified, without sending a code (root)
        #[arg(long)]
        verified: bool,
        /// The user it is about.
        #[command(flatten)]
        user: Whose,
    },
    /// Show how many backup codes are left, or make new ones
    #[command(
        after_help = "Examples:\n  twofa codes          show how many are left\n  twofa codes --new    make new ones; the old ones stop working"
    )]
    Codes {
        /// Make new codes and show them once; the old ones stop working
        #[arg(long)]
        new: bool,
        /// The user it is about.
        #[command(flatten)]
        user: Whose,
    },
    /// Show which devices are trusted, or end that
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Show or change the policy of this machine (root)
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Show or change rules for the members of a Unix group (root)
    #[command(subcommand)]
    Class(ClassCommand),
    /// Manage users (root)
    #[command(subcommand)]
    User(UserCommand),
    /// Manage the mail servers and SMS accounts that send codes (root)
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// Show the methods, and set which providers send their codes (root)
    #[command(subcommand)]
    Method(MethodCommand),
    /// Show or end exemptions (root)
    #[command(subcommand)]
    Exemption(ExemptionCommand),
    /// List login sessions, your own or all (root), and end them (root)
    #[command(subcommand)]
    Session(SessionCommand),
    /// Make this machine the first server of a fleet of hosts (root)
    #[command(subcommand)]
    Fleet(FleetCommand),
    /// Add, list and remove the hosts of the fleet, on a server (root)
    #[command(subcommand)]
    Host(HostCommand),
    /// Make, list and remove keys with which many hosts join the fleet, on a server (root)
    #[command(subcommand)]
    JoinKey(JoinKeyCommand),
    /// Add, list and remove the servers of the fleet, on a server, and have this machine join as one (root)
    #[command(subcommand)]
    Server(ServerCommand),
    /// Have this machine join a fleet, whose servers then decide about shared accounts (root)
    #[command(
        after_help = "Examples:\n  twofa join\n  twofa join --token-file /root/token\n\nThe token is what 'twofa host add' or 'twofa join-key add' printed on a server. It is never given on a\ncommand line, which others can see."
    )]
    Join(JoinArguments),
    /// Have this machine leave its fleet (root)
    ///
    /// It says first how many accounts that concerns, and what this machine's own policy has for them from then on.
    #[command(
        after_help = "Examples:\n  twofa leave\n  twofa leave --image --yes\n\nMachines that are made from an image of a joined machine would all be that host: the servers notice and cut\nthem off. Have it leave first, and every machine join by itself, with a token or a key of 'twofa join-key add'."
    )]
    Leave(LeaveArguments),
    /// Move the store to a PostgreSQL database, or merge the stores of hosts into it (root)
    #[command(subcommand)]
    Store(StoreCommand),
    /// Show and change at which PAM services a code is asked for, and prove who gets in
    #[command(subcommand)]
    Pam(PamCommand),
    /// Set this machine up, step by step (root)
    ///
    /// Each step asks, shows the plain command that it runs, and can be left and repeated. What is set up already is shown. With
    /// --answers nothing is asked: SETTING UP in twofa-admin(7) describes the file.
    #[command(after_help = SETUP_HELP)]
    Setup(SetupArguments),
    /// Check this machine for current and upcoming problems (root)
    ///
    /// A finding is a problem if somebody is kept out or gets in without a code, or soon will, or if something could not be
    /// examined. It is a notice if it may be meant or will pass. The exit status is 1 if there is a problem, 6 if the store
    /// cannot be opened, and 0 otherwise: notices, such as an exemption in force, do not change it. With --json each finding
    /// has an id, which twofad(8) lists, and its severity.
    ///
    /// It ends within two minutes, whatever hangs, and says what it could not examine.
    #[command(after_help = "Examples:\n  twofa doctor\n  twofa doctor --json")]
    Doctor,
    /// Show the log: correct and wrong codes, refusals, changes (root)
    ///
    /// "passed" means that the second factor was correct. Whether the login succeeded is in the application's own log.
    #[command(args_conflicts_with_subcommands = true)]
    #[command(after_help = "\
Examples:
  twofa log --last 20
  twofa log --user alice --since yesterday
  twofa log --event refused,locked --from 192.0.2.0/24 --since -1d
  twofa log --since '2026-11-26 12:00' --until '2026-11-26 13:00' --json
  twofa log --follow")]
    Log {
        /// What to do other than show it.
        #[command(subcommand)]
        command: Option<LogCommand>,
        /// Which events, and whether to go on.
        #[command(flatten)]
        events: EventArguments,
    },
    /// Count users, logins, refusals and sent codes (root)
    ///
    /// Users are counted as they are now; the rest over the last 30 days, with a bar for each of them on a terminal. With
    /// --prometheus it is the last 24 hours, for the textfile collector of Prometheus's node exporter.
    #[command(after_help = "\
Examples:
  twofa stats
  twofa stats --json
  twofa stats --report
  twofa stats --prometheus --output /var/lib/prometheus/node-exporter/twofa.prom")]
    Stats {
        /// Print metrics for Prometheus
        #[arg(long, conflicts_with = "json")]
        prometheus: bool,
        /// Print what 'mode=mandatory' would do to users and would have done to logins, see 'mode=report'
        #[arg(long, conflicts_with_all = ["prometheus", "output"])]
        report: bool,
        /// Write to this file instead, which is replaced at once when it is complete
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
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
