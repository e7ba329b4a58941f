//! Trusted devices.

use clap::{ArgGroup, Args, Subcommand};

use super::Whose;

/// The commands about trusted devices.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// List the devices that are not asked for a code now
    #[command(
        after_help = "Examples:\n  twofa device list\n  sudo twofa device list --user alice\n  sudo twofa device list --everybody --json"
    )]
    List {
        /// Whose devices they are.
        #[command(flatten)]
        whose: Devices,
    },
    /// No longer trust a device, or all of them: the next login there needs a code
    #[command(
        group(ArgGroup::new("which").required(true)),
        after_help = "Examples:\n  twofa device revoke 3\n  twofa device revoke --all\n  sudo twofa device revoke --all --user alice\n  sudo twofa device revoke --all --everybody"
    )]
    Revoke {
        /// Its number in the list
        #[arg(
            group = "which",
            conflicts_with = "everybody",
            allow_negative_numbers = true,
            value_parser = number
        )]
        id: Option<i64>,
        /// All devices
        #[arg(long, group = "which")]
        all: bool,
        /// Whose devices they are.
        #[command(flatten)]
        whose: Devices,
    },
}

/// Whose devices a command is about: one's own, another user's or everybody's.
#[derive(Debug, Args)]
pub struct Devices {
    /// The user it is about.
    #[command(flatten)]
    pub user: Whose,
    /// The devices of all users (root)
    #[arg(long, conflicts_with = "user")]
    pub everybody: bool,
}

/// The number of a device.
fn number(text: &str) -> Result<i64, &'static str> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or("a device has a number, which 'twofa device list' shows")
}
