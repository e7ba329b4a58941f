//! What people do with their own record.

use clap::{Args, Subcommand, ValueEnum};

use super::Whose;
use super::values::one_of;

/// What can be enrolled.
#[derive(Debug, Subcommand)]
pub enum EnrolCommand {
    /// Set up an authenticator app: scan a QR code, type the first code
    #[command(after_help = "\
Examples:
  twofa enrol app                  with the settings every app understands
  twofa enrol app --label phone    named, so that you can have several
  twofa enrol app --type hotp      for a hardware token that counts")]
    App(AppArguments),
    /// Have codes sent by e-mail: type back the one that comes
    #[command(after_help = "\
Examples:
  twofa enrol email                      to the address that is on file, or asks for one
  twofa enrol email alice@example.org    to this one")]
    Email(AddressArguments),
    /// Have codes sent by text message: type back the one that comes
    #[command(after_help = "\
Examples:
  twofa enrol sms                       to the number that is on file, or asks for one
  twofa enrol sms '+49 1512 3456789'    to this one, written with its country")]
    Sms(AddressArguments),
}

/// Where codes are to be sent.
#[derive(Debug, Args)]
pub struct AddressArguments {
    /// The e-mail address or phone number
    pub address: Option<String>,
    /// Whose.
    #[command(flatten)]
    pub user: Whose,
}

/// How the app is to work.
#[derive(Debug, Args)]
pub struct AppArguments {
    /// Call it this
    #[arg(long)]
    pub label: Option<String>,
    /// What makes the code change
    #[arg(long = "type", value_name = "TYPE", default_value = "totp")]
    pub kind: CodeType,
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
pub enum CodeType {
    /// The time
    Totp,
    /// Each use
    Hotp,
}

pub(super) const SET_HELP: &str = "\
Keys:
  verify  never, new-device or always: when you are asked, as far as policy leaves it to you
  prefer  app, email or sms: which one a login begins with; empty to forget it
  email   an e-mail address; empty to remove it
  phone   a phone number with its country; empty to remove it
A user's address is proved by a code that is sent there. What root sets waits for that, or is vouched for.

Examples:
  twofa set verify=always prefer=sms
  twofa set email=alice@example.org phone='+49 1512 3456789'";
