//! What people do with their own record.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand, ValueEnum};
use twofa_core::{Channel, Method, Methods};

use super::Whose;
use super::values::{one_of, qr_path};
use crate::qr_file::QrPath;

/// What can be enrolled: an app with its parameters, a security key, or any other method that can stand alone.
#[derive(Debug)]
pub enum EnrolCommand {
    /// An authenticator app.
    App(AppArguments),
    /// A security key.
    SecurityKey(KeyArguments),
    /// Another method.
    Other(Method, AddressArguments),
}

impl Subcommand for EnrolCommand {
    fn augment_subcommands(command: Command) -> Command {
        let methods = Methods::standing_alone().with(Method::SecurityKey);
        methods.iter().fold(command, |command, method| {
            command.subcommand(enrol_command(method))
        })
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        name.parse::<Method>()
            .is_ok_and(|method| method.info().stands_alone || method == Method::SecurityKey)
    }
}

impl FromArgMatches for EnrolCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Some((name, arguments)) = matches.subcommand() else {
            return Err(clap::Error::new(ErrorKind::MissingSubcommand));
        };
        match name.parse() {
            Ok(Method::App) => Ok(Self::App(AppArguments::from_arg_matches(arguments)?)),
            Ok(Method::SecurityKey) => Ok(Self::SecurityKey(KeyArguments::from_arg_matches(
                arguments,
            )?)),
            Ok(method) => {
                let address = match method.channel() {
                    Some(_) => AddressArguments::from_arg_matches(arguments)?,
                    None => AddressArguments {
                        address: None,
                        user: Whose::from_arg_matches(arguments)?,
                    },
                };
                Ok(Self::Other(method, address))
            }
            Err(unknown) => Err(clap::Error::raw(ErrorKind::InvalidSubcommand, unknown)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn enrol_command(method: Method) -> Command {
    let (name, noun) = (method.name(), method.info().noun);
    let command = Command::new(name);
    match (method, method.channel()) {
        (Method::App, _) => AppArguments::augment_args(command)
            .about("Set up an authenticator app: scan a QR code and type the first code")
            .after_help(APP_EXAMPLES),
        (Method::SecurityKey, _) => KeyArguments::augment_args(command)
            .about("Set up a security key that you log in with by ssh")
            .after_help(KEY_EXAMPLES),
        (_, Some(channel)) => AddressArguments::augment_args(command)
            .mut_arg("address", |arg| {
                arg.help(format!("The {}", channel.info().address.noun()))
            })
            .about(format!(
                "Set up {noun}s: type in the code that is sent to you"
            ))
            .after_help(address_examples(channel)),
        (_, None) => Whose::augment_args(command).about(format!("Set up {noun}s")),
    }
}

const APP_EXAMPLES: &str = "\
Examples:
  twofa enrol app                    with the settings every app understands
  twofa enrol app --label phone      with a label, so that you can have several
  twofa enrol app --type hotp        for a hardware token that counts uses
  twofa enrol app --qr-file qr.png   with the QR code in a file";

const KEY_EXAMPLES: &str = "\
A login with the key is not asked for a code. That takes 'PubkeyAuthOptions touch-required' in sshd_config.

Examples:
  ssh-keygen -t ed25519-sk                            make a key in the authenticator that is plugged in
  twofa enrol security-key                            set up the key that you are logged in with by ssh
  twofa enrol security-key .ssh/id_ed25519_sk.pub     set up one that you have not logged in with yet
  twofa enrol security-key blue.pub --label blue      with a label, so that you can have several";

fn address_examples(channel: Channel) -> String {
    let example = channel.address_kind().example();
    let quote = if example.contains(' ') { "'" } else { "" };
    let to_this = format!("twofa enrol {channel} {quote}{example}{quote}");
    let width = to_this.len() + 4;
    let to_known = format!("twofa enrol {channel}");
    format!(
        "Examples:\n  {to_known:width$}use the address on record, or ask for one\n  {to_this:width$}use this address"
    )
}

/// Where codes are to be sent, and for whom.
#[derive(Debug, Args)]
pub struct AddressArguments {
    /// The e-mail address or phone number
    pub address: Option<String>,
    /// The user it is about.
    #[command(flatten)]
    pub user: Whose,
}

/// A security key.
#[derive(Debug, Args)]
pub struct KeyArguments {
    /// The public key, as ssh-keygen wrote it; without it, a key that you are logged in with
    #[arg(value_name = "FILE.pub", value_hint = clap::ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Label for the key
    #[arg(long)]
    pub label: Option<String>,
    /// The user it is about.
    #[command(flatten)]
    pub user: Whose,
}

/// The parameters of an app.
#[derive(Debug, Args)]
pub struct AppArguments {
    /// Label for the app
    #[arg(long)]
    pub label: Option<String>,
    /// Whether codes change with time or with each use
    #[arg(long = "type", value_name = "TYPE", default_value = "totp")]
    pub kind: CodeType,
    /// Hash function; many apps ignore this and always use SHA1
    #[arg(long, default_value = "SHA1", value_parser = ["SHA1", "SHA256", "SHA512"], ignore_case = true)]
    pub algorithm: String,
    /// Number of digits in a code; some apps ignore this and always show 6
    #[arg(long, default_value = "6", value_parser = one_of::<u8>(["6", "8"]))]
    pub digits: u8,
    /// Seconds for which a code is valid; some apps ignore this and always use 30
    #[arg(long, default_value = "30", value_parser = one_of::<u32>(["30", "60"]))]
    pub period: u32,
    /// Write the QR code to FILE, a new .png or .svg that only you can read, instead of showing it
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, value_parser = qr_path())]
    pub qr_file: Option<QrPath>,
    /// The user it is about.
    #[command(flatten)]
    pub user: Whose,
}

/// What makes a code change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CodeType {
    /// With time
    Totp,
    /// With each use
    Hotp,
}

pub(super) const SET_HELP: &str = "\
Keys:
  verify  never, new-device or always: when you are asked, where the policy leaves it to you
  prefer  the method that logins begin with, such as sms; empty for no preference
  email   an e-mail address; empty to remove it
  phone   a phone number with its country; empty to remove it
A user verifies an address with a code that is sent to it. An address that root sets is not verified until then, unless
--verified is given.

Examples:
  twofa set verify=always prefer=sms
  twofa set email=alice@example.org phone='+49 1512 3456789'";
