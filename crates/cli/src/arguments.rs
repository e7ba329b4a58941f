//! Every command and option, once.

use std::error::Error;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use twofa_core::duration::Duration;
use twofa_core::policy::KEYS;

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
    /// Set when you are asked, and where codes could be sent
    #[command(after_help = SET_HELP)]
    Set {
        /// What to set
        #[arg(required = true, value_name = "KEY=VALUE", hide_possible_values = true)]
        #[arg(value_parser = Settings(user_keys))]
        settings: Vec<(String, String)>,
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
    /// See or change rules for the members of a Unix group (root)
    #[command(subcommand)]
    Class(Class),
    /// Administer users (root)
    #[command(subcommand)]
    User(User),
    /// See or end exemptions (root)
    #[command(subcommand)]
    Exemption(Exemption),
    /// Look for what is wrong, or soon will be (root)
    Doctor,
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
        #[arg(required = true, value_name = "KEY=VALUE", hide_possible_values = true)]
        #[arg(value_parser = Settings(policy_keys))]
        settings: Vec<(String, String)>,
        /// Whether to ask.
        #[command(flatten)]
        consent: Consent,
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
        consent: Consent,
    },
}

/// What to do about a change that could leave people outside.
#[derive(Debug, Clone, Copy, Args)]
pub struct Consent {
    /// Make the change although it could leave people unable to log in
    #[arg(long)]
    pub yes: bool,
}

/// Classes.
#[derive(Debug, Subcommand)]
pub enum Class {
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
        consent: Consent,
    },
    /// Remove a class
    Remove {
        /// The class
        name: String,
    },
    /// Say which class holds for a user and what a login would be asked now, and why
    #[command(after_help = "Example:\n  twofa class test alice")]
    Test {
        /// Login name
        user: String,
    },
}

/// Exemptions.
#[derive(Debug, Subcommand)]
pub enum Exemption {
    /// List them all, those that have ended too
    List,
    /// End one
    Remove {
        /// Its number
        id: i64,
    },
}

/// Users.
#[derive(Debug, Subcommand)]
pub enum User {
    /// List everybody something is known of
    #[command(
        after_help = "Examples:\n  twofa user list --status pending\n  twofa user list --stale 90d --json"
    )]
    List {
        /// Only those who stand so
        #[arg(long, value_enum)]
        status: Option<StatusFilter>,
        /// Only those of this class
        #[arg(long)]
        class: Option<String>,
        /// Only those who have this method
        #[arg(long, value_enum)]
        method: Option<MethodFilter>,
        /// Only those who have not passed for this long, or never
        #[arg(long, value_name = "DURATION")]
        stale: Option<Duration>,
    },
    /// Show how a user stands
    Show {
        /// Login name
        name: String,
    },
    /// Make records of users, so that they are listed
    Add(Users),
    /// Set when a user is asked, and where codes could be sent
    #[command(after_help = SET_HELP)]
    Set {
        /// Login name
        name: String,
        /// What to set
        #[arg(required = true, value_name = "KEY=VALUE", hide_possible_values = true)]
        #[arg(value_parser = Settings(user_keys))]
        settings: Vec<(String, String)>,
    },
    /// Require a second factor of users, unless the mode is disabled
    #[command(after_help = MANY_HELP)]
    Require(Users),
    /// No longer require it
    Release(Users),
    /// Open a lock and forget the wrong codes
    Unlock(Users),
    /// Remove all methods of users who lost them; what is required of them stays
    Reset(Users),
    /// Exempt users for a time, with a reason; shown in status, log and doctor
    #[command(after_help = "\
Examples:
  twofa user exempt backup --reason 'nightly copies' --until 2027-06-30 --from 192.0.2.0/24
  twofa user exempt --group robots --reason 'no hands' --until never --service sshd")]
    Exempt {
        /// Login name
        #[arg(required_unless_present = "group", conflicts_with = "group")]
        name: Option<String>,
        /// The members of this Unix group, whoever they are at the time
        #[arg(long)]
        group: Option<String>,
        /// Why
        #[arg(long)]
        reason: String,
        /// Until when: a day (2027-06-30), a length of time (30d), or 'never'
        #[arg(long, value_name = "WHEN")]
        until: String,
        /// Only from addresses in this network
        #[arg(long, value_name = "CIDR")]
        from: Option<IpNet>,
        /// Only at this PAM service, such as sshd
        #[arg(long)]
        service: Option<String>,
    },
    /// Forget users, also those whose account is gone
    Remove(Users),
}

/// One user, or many at once.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Users {
    /// Login names
    pub names: Vec<String>,
    /// And the members of this Unix group
    #[arg(long)]
    pub group: Option<String>,
    /// And those named in this file, one on a line; '-' for standard input
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
}

/// Where somebody stands, as a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusFilter {
    /// Not asked
    Off,
    /// Must enrol
    Pending,
    /// Asked
    Enabled,
    /// Refused for wrong codes
    Locked,
    /// Exempt
    Exempt,
}

/// A method, as a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MethodFilter {
    /// An authenticator app
    App,
    /// Backup codes
    Backup,
    /// None at all
    None,
}

const SET_HELP: &str = "\
Keys:
  verify  never, new-device or always: when you are asked, as far as policy leaves it to you
  email   an e-mail address; empty to remove it
  phone   a phone number with its country; empty to remove it

Examples:
  twofa set verify=always
  twofa set email=alice@example.org phone='+49 30 123456'";

const MANY_HELP: &str = "\
Examples:
  twofa user require alice bob
  twofa user require --group staff
  twofa user require --from-file names.txt";

/// Takes these numbers and no others, and offers them to completions.
fn one_of<T>(numbers: [&'static str; 2]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(numbers).try_map(|number| number.parse())
}

/// Reads `KEY=VALUE`, and offers the keys to completions. Which keys there are is checked where they are set, with
/// better words.
#[derive(Clone)]
struct Settings(fn() -> Vec<&'static str>);

fn policy_keys() -> Vec<&'static str> {
    KEYS.iter().map(|key| key.name).collect()
}

fn class_keys() -> Vec<&'static str> {
    KEYS.iter().filter(|key| key.per_class).map(|key| key.name).collect()
}

fn user_keys() -> Vec<&'static str> {
    vec!["verify", "email", "phone"]
}

impl TypedValueParser for Settings {
    type Value = (String, String);

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<(String, String), clap::Error> {
        let setting = value.to_str().and_then(|text| text.split_once('='));
        let (key, value) = setting.ok_or_else(|| {
            let words =
                format!("'{}' is no setting: write KEY=VALUE, such as mode=mandatory\n", value.display());
            clap::Error::raw(ErrorKind::ValueValidation, words).with_cmd(command)
        })?;
        Ok((key.trim().to_owned(), value.to_owned()))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.0)().into_iter().map(|key| PossibleValue::new(format!("{key}=")))))
    }
}

fn policy_help() -> String {
    let mut help = String::from("Settings:\n");
    for key in &KEYS {
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
    fn completions_offer_every_setting() {
        let mut script = Vec::new();
        clap_complete::generate(clap_complete::Shell::Bash, &mut Arguments::command(), "twofa", &mut script);
        let script = String::from_utf8(script).unwrap();
        for key in policy_keys().into_iter().chain(user_keys()) {
            assert!(script.contains(&format!("{key}=")), "{key}");
        }
    }

    #[test]
    fn a_setting_is_a_key_and_a_value() {
        let read = |text: &str| Arguments::try_parse_from(["twofa", "policy", "set", text]);
        assert!(read("application-name=a=b").is_ok());
        assert!(read("mode").unwrap_err().to_string().contains("write KEY=VALUE"));
    }

    #[test]
    fn help_explains_every_setting() {
        let help = policy_help();
        for key in &KEYS {
            assert!(help.contains(key.name) && help.contains(key.help), "{}", key.name);
        }
    }
}
