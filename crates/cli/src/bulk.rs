//! One command for many users.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use twofa_broker::Failure;
use twofa_broker::admin::users::group_members;

use crate::arguments::Users;
use crate::error::CommandError;
use crate::input;

/// For more users than this there is a progress bar and a total instead of a line each.
const FEW: usize = 20;

/// The login names in `users`, its group and its file, each once.
pub(crate) fn names(
    Users {
        names,
        group,
        from_file,
    }: &Users,
) -> Result<Vec<String>, CommandError> {
    let mut all = names.clone();
    if let Some(group) = group {
        all.extend(group_members(group)?);
    }
    if let Some(file) = from_file {
        all.extend(names_in(file)?);
    }
    let mut seen = std::collections::HashSet::new();
    all.retain(|name| seen.insert(name.clone()));
    if all.is_empty() {
        return Err(CommandError::new(
            Failure::NotFound,
            "the group or file names nobody",
        ));
    }
    Ok(all)
}

/// One name on a line; empty lines and what follows a `#` are ignored.
fn names_in(file: &Path) -> Result<Vec<String>, CommandError> {
    let lines = input::lines(file)?;
    let names = lines
        .iter()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Does `act` to each of `names` and says what it answers. One that fails does not keep the others from it; the
/// first error is the command's.
pub(crate) fn each(
    names: &[String],
    act: impl Fn(&str) -> Result<String, CommandError>,
) -> Result<(), CommandError> {
    let bar = bar(names.len());
    let mut failed: Vec<CommandError> = Vec::new();
    for name in names {
        match act(name) {
            Ok(said) if names.len() <= FEW => writeln!(io::stdout(), "{said}")?,
            Ok(_) => {}
            Err(error) => failed.push(error),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let done = names.len() - failed.len();
    if names.len() > FEW {
        writeln!(io::stdout(), "{done} of {} done.", names.len())?;
    }
    let mut failed = failed.into_iter();
    let first = failed.next();
    for error in failed {
        let _ = error.report();
    }
    first.map_or(Ok(()), Err)
}

fn bar(many: usize) -> ProgressBar {
    if many <= FEW || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} users, {eta} left");
    let bar = ProgressBar::new(many as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
