//! Adding, changing and removing providers.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use twofa_broker::Failure;
use twofa_broker::admin::Administration;
use twofa_broker::admin::providers::draft::{ProviderDraft, ProviderInput};
use twofa_broker::admin::providers::settings::{Ask, Given, Question, Values, parse_secrets};
use zeroize::Zeroizing;

use crate::arguments::{Confirmation, Testing};
use crate::commands::confirm;
use crate::error::CommandError;
use crate::messages::{policy, provider as texts};
use crate::output::spinner;
use crate::{input, terminal};

/// What is given for a provider. The file of secrets is read here, as root.
pub(super) fn input(
    given: &[Given],
    title: Option<&str>,
    unset: &[String],
    testing: &Testing,
) -> Result<ProviderInput, CommandError> {
    let file = testing.secrets_from.as_deref();
    Ok(ProviderInput {
        given: given.to_vec(),
        secrets: file.map(read_secrets).transpose()?,
        title: title.map(str::to_owned),
        unset: unset.to_vec(),
    })
}

pub(super) fn add(
    admin: &Administration,
    name: &str,
    kind: &str,
    input: ProviderInput,
    testing: &Testing,
) -> Result<(), CommandError> {
    let draft = admin.draft_provider(name, kind, input, asker())?;
    if !testing.no_test {
        test(name, &draft, "; nothing was saved")?;
    }
    if testing.dry_run {
        return Ok(writeln!(io::stdout(), "{}", texts::would_add(name))?);
    }
    let order = admin.add_provider(&draft)?;
    let mut out = io::stdout().lock();
    let channel = draft.channel();
    writeln!(out, "Added '{name}'. {}", texts::order(channel, &order))?;
    Ok(writeln!(out, "{}", texts::how_to_test(name, channel))?)
}

pub(super) fn set(
    admin: &Administration,
    name: &str,
    input: ProviderInput,
    testing: &Testing,
) -> Result<(), CommandError> {
    let draft = admin.draft_provider_change(name, input, asker())?;
    if !testing.no_test && draft.is_different {
        test(name, &draft, "; nothing was changed")?;
    }
    if testing.dry_run {
        return Ok(writeln!(io::stdout(), "{}", texts::would_change(name))?);
    }
    let changed = admin.change_provider(&draft)?;
    let mut out = io::stdout().lock();
    match changed.as_slice() {
        [] => writeln!(out, "Nothing to change: it is already set that way.")?,
        changed => writeln!(out, "Changed '{name}': {}.", changed.join(", "))?,
    }
    Ok(())
}

pub(super) fn remove(
    admin: &Administration,
    name: &str,
    confirmation: Confirmation,
) -> Result<(), CommandError> {
    let plan = admin.plan_removal(name)?;
    confirm::confirm(plan.concerns.iter().map(policy::concern), confirmation)?;
    let orders = admin.remove_provider(&plan)?;
    let mut out = io::stdout().lock();
    writeln!(out, "Removed '{name}'.")?;
    for (channel, order) in orders {
        writeln!(out, "{}", texts::order(channel, &order))?;
    }
    Ok(())
}

/// Tests a provider before it is saved. `consequence` is what a failure means.
fn test(name: &str, draft: &ProviderDraft, consequence: &str) -> Result<(), CommandError> {
    let waiting = spinner(format!("Testing '{name}'"));
    let result = draft.check();
    waiting.finish_and_clear();
    let instead = Some("--no-test saves it anyway");
    result
        .map(drop)
        .map_err(|failure| CommandError::provider_failed(name, &failure, consequence, instead))
}

/// How to ask for a setting, if there is a terminal.
fn asker() -> Ask<'static> {
    if io::stdin().is_terminal() {
        Some(&ask)
    } else {
        None
    }
}

fn ask(question: &Question<'_>) -> io::Result<Zeroizing<String>> {
    let text = texts::question(question);
    if question.is_secret {
        return Ok(Zeroizing::new(terminal::ask_hidden(&text)?));
    }
    let mut out = io::stderr().lock();
    write!(out, "{text}")?;
    out.flush()?;
    let mut line = Zeroizing::new(String::new());
    io::stdin().lock().read_line(&mut line)?;
    Ok(Zeroizing::new(line.trim().to_owned()))
}

fn read_secrets(file: &Path) -> Result<Values, CommandError> {
    parse_secrets(&input::read(file)?)
        .map_err(|why| CommandError::new(Failure::Usage, format!("{}: {why}", file.display())))
}
