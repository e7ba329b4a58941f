//! `twofa provider`: [`change`] adds, changes and removes, [`show`] lists, [`mod@test`] tests.

mod change;
mod show;
mod test;

use crate::arguments::ProviderCommand;
use crate::client;
use crate::error::CommandError;
use crate::output::Output;

pub(crate) fn run(command: &ProviderCommand, output: Output) -> Result<(), CommandError> {
    match command {
        ProviderCommand::Kinds { kind } => return show::kinds(kind.as_deref(), output),
        ProviderCommand::Check { file } => return show::check(file, output),
        _ => {}
    }
    if !client::is_root() {
        return Err(CommandError::only_root("see or change providers"));
    }
    match command {
        ProviderCommand::Add {
            name,
            kind,
            settings,
            title,
            testing,
        } => {
            let input = change::input(settings, title.as_deref(), &[], testing)?;
            change::add(&client::open()?, name, kind, input, testing)
        }
        ProviderCommand::Set {
            name,
            settings,
            unset,
            title,
            testing,
        } => {
            let input = change::input(settings, title.as_deref(), unset, testing)?;
            change::set(&client::open()?, name, input, testing)
        }
        ProviderCommand::Remove { name, confirmation } => {
            change::remove(&client::open()?, name, *confirmation)
        }
        ProviderCommand::Show { name, reveal } => {
            show::details(&client::open()?, name, *reveal, output)
        }
        ProviderCommand::Test { name, to } => {
            test::run(&client::open()?, name, to.as_deref(), output)
        }
        ProviderCommand::List | ProviderCommand::Kinds { .. } | ProviderCommand::Check { .. } => {
            show::list(&client::open()?, output)
        }
    }
}
