//! `twofa store`.

use std::io::{self, Write};

use twofa_broker::admin::store;

use crate::arguments::{MoveArguments, StoreCommand};
use crate::client;
use crate::error::CommandError;
use crate::messages::store as words;

pub(crate) fn run(command: StoreCommand) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("move or upgrade the store"));
    }
    let text = match command {
        StoreCommand::Move(MoveArguments { to: Some(url), .. }) => {
            words::moved(&store::move_to_server(&url)?)
        }
        StoreCommand::Move(_) => words::moved(&store::move_to_file()?),
        StoreCommand::Upgrade => {
            store::upgrade()?;
            words::UPGRADED.to_owned()
        }
    };
    Ok(write!(io::stdout(), "{text}")?)
}
