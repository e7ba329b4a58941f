//! One command for many users.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use twofa_broker::Failure;
use twofa_broker::admin::AdminError;
use twofa_broker::admin::users::group_members;
use twofa_core::text::is_unprintable;

use crate::arguments::Users;
use crate::error::CommandError;
use crate::input;
use crate::messages::errors::advice;
use crate::messages::user::incomplete;
use crate::output::can_animate;
use crate::output::wrap::for_stderr;

/// Characters; a login name has at most 32 of them on Linux (useradd(8)), and in directories at most 256.
const LONGEST_NAME: usize = 256;

/// For more users than this there is a progress bar and a total instead of a line each.
const FEW: usize = 20;

/// A login name, and where it stands if that is a file.
#[derive(Debug)]
pub(crate) struct Named {
    name: String,
    /// `names.txt, line 3`
    place: Option<String>,
}

impl Named {
    /// The login name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The login names in `users`, its group and its file, each once.
pub(crate) fn names(
    Users {
        names,
        group,
        from_file,
    }: &Users,
) -> Result<Vec<Named>, CommandError> {
    let plain = |name: &String| Named {
        name: name.clone(),
        place: None,
    };
    let mut all: Vec<_> = names.iter().map(plain).collect();
    if let Some(group) = group {
        let members = group_members(group)?;
        if let Some(warning) = incomplete(group, &members.incomplete) {
            write!(
                io::stderr(),
                "{}",
                for_stderr(&format!("warning: {warning}"))
            )?;
        }
        all.extend(members.names.iter().map(plain));
    }
    if let Some(file) = from_file {
        all.extend(names_in(file, &input::read(file)?)?);
    }
    let mut seen = HashSet::new();
    all.retain(|named| seen.insert(named.name.clone()));
    if all.is_empty() {
        return Err(CommandError::new(
            Failure::NotFound,
            "the group or file names nobody",
        ));
    }
    Ok(all)
}

/// One name on a line; blanks around it, empty lines and what follows a `#` are ignored.
fn names_in(file: &Path, text: &str) -> Result<Vec<Named>, CommandError> {
    let mut all = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let name = line.split('#').next().unwrap_or_default().trim();
        let place = format!("{}, line {number}", file.display());
        if name.chars().count() > LONGEST_NAME || name.chars().any(is_unprintable) {
            let message = format!("{place} is not a login name");
            return Err(CommandError::new(Failure::Usage, message)
                .hinted("write one name on a line; what follows a '#' is ignored"));
        }
        if !name.is_empty() {
            all.push(Named {
                name: name.to_owned(),
                place: Some(place),
            });
        }
    }
    Ok(all)
}

/// Does `act` to each of `names` and says what it answers. One that fails does not keep the others from it; the
/// first error is the command's.
pub(crate) fn each(
    names: &[Named],
    act: impl Fn(&str) -> Result<String, AdminError>,
) -> Result<(), CommandError> {
    let bar = bar(names.len());
    let mut failed: Vec<CommandError> = Vec::new();
    for named in names {
        match act(&named.name) {
            Ok(said) if names.len() <= FEW => writeln!(io::stdout(), "{said}")?,
            Ok(_) => {}
            Err(error) => failed.push(named.failure(error)),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let done = names.len() - failed.len();
    if names.len() > FEW {
        writeln!(io::stdout(), "{done} of {} done.", names.len())?;
    }
    report(failed)
}

/// Reports all errors but the first, which is the command's.
pub(crate) fn report(failed: Vec<CommandError>) -> Result<(), CommandError> {
    let mut failed = failed.into_iter();
    let first = failed.next();
    for error in failed {
        let _ = error.report();
    }
    first.map_or(Ok(()), Err)
}

impl Named {
    /// `error`, which for a line of a file says where it stands and not what it says: it may be anybody's file.
    pub(crate) fn failure(&self, error: AdminError) -> CommandError {
        let Some(place) = &self.place else {
            return error.into();
        };
        let (kind, hint) = advice(&error);
        let why = match error {
            AdminError::NoUser(_) | AdminError::NoAccount(_) => {
                "there is no account of this name".to_owned()
            }
            AdminError::NothingKnown(_) => "there is no record of this name".to_owned(),
            AdminError::NameService(_) => {
                "the name service does not say whether there is an account of this name".to_owned()
            }
            // There is an account of this name.
            error => error.to_string(),
        };
        let error = CommandError::new(kind, format!("{place}: {why}"));
        match hint {
            Some(hint) => error.hinted(hint),
            None => error,
        }
    }
}

fn bar(many: usize) -> ProgressBar {
    if many <= FEW || !can_animate() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} users, {eta} left");
    let bar = ProgressBar::new(many as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let names = names_in(Path::new("list"), text).map_err(|error| error.to_string())?;
        Ok(names.into_iter().map(|named| named.name).collect())
    }

    #[test]
    fn a_list_has_a_name_on_each_line_whatever_the_editor_did_around_it() {
        assert_eq!(
            read("# staff\r\nalice \r\n\r\n\tbob # back soon\r\nDOM\\\\carol\r\n").unwrap(),
            ["alice", "bob", "DOM\\\\carol"]
        );
    }

    #[test]
    fn what_is_not_a_name_is_told_by_its_line_and_not_quoted() {
        for line in [
            "swordfish\u{1b}[2J",
            "swordfish\u{202e}",
            &"swordfish".repeat(40),
        ] {
            let error = read(&format!("alice\n{line}\n")).unwrap_err();
            assert_eq!(error, "list, line 2 is not a login name");
        }
    }

    #[test]
    fn a_name_from_a_file_that_fails_is_told_by_its_line_and_not_quoted() {
        let [named] = names_in(Path::new("list"), "root:swordfish:1")
            .unwrap()
            .try_into()
            .unwrap();
        for error in [
            AdminError::NoUser(named.name.clone()),
            AdminError::NoAccount(named.name.clone()),
            AdminError::NothingKnown(named.name.clone()),
        ] {
            let error = named.failure(error).to_string();
            assert!(error.starts_with("list, line 1: there is no "), "{error}");
            assert!(!error.contains("swordfish"), "{error}");
        }
    }
}
