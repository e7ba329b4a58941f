//! Questions on a terminal.

use std::io::{self, Write};

use dialoguer::theme::ColorfulTheme;
use dialoguer::{Confirm, Input, Select};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use twofa_broker::Failure;

use crate::error::CommandError;
use crate::output::wrap::wrap;
use crate::output::{terminal_width, wrap_lines};

/// Shows paragraphs, and lists whose lines are indented.
pub(super) fn say(text: &str) -> Result<(), CommandError> {
    let (mut out, columns) = (io::stdout().lock(), terminal_width());
    for line in text.lines() {
        if line.starts_with(' ') {
            write!(out, "{}", wrap_lines(line, columns))?;
        } else {
            writeln!(out, "{}", wrap(line, columns).join("\n"))?;
        }
    }
    Ok(())
}

/// Has one of `items` chosen; `at` is offered.
pub(super) fn choose(question: &str, items: &[String], at: usize) -> Result<usize, CommandError> {
    select(question, items, at, true)
}

/// The same for a list that is shown again and again: the choice does not stay on the screen.
pub(super) fn choose_step(
    question: &str,
    items: &[String],
    at: usize,
) -> Result<usize, CommandError> {
    select(question, items, at, false)
}

fn select(
    question: &str,
    items: &[String],
    at: usize,
    is_reported: bool,
) -> Result<usize, CommandError> {
    // A line that is broken by the terminal is not removed as one.
    let widest = terminal_width().saturating_sub(4);
    let items = items
        .iter()
        .map(|item| item.chars().take(widest).collect::<String>());
    let theme = ColorfulTheme::default();
    let select = Select::with_theme(&theme)
        .with_prompt(question)
        .report(is_reported)
        .items(items)
        .default(at);
    answered(|| select.interact())
}

/// Asks for a line of text; `offered` is what Enter alone means.
pub(super) fn line(question: &str, offered: &str) -> Result<String, CommandError> {
    let theme = ColorfulTheme::default();
    let mut input = Input::<String>::with_theme(&theme)
        .with_prompt(question)
        .allow_empty(true);
    if !offered.is_empty() {
        input = input.default(offered.to_owned());
    }
    Ok(answered(|| input.interact_text())?.trim().to_owned())
}

/// Asks whether to go on; `offered` is what Enter alone means.
pub(super) fn agree(question: &str, offered: bool) -> Result<bool, CommandError> {
    let theme = ColorfulTheme::default();
    let confirm = Confirm::with_theme(&theme)
        .with_prompt(question)
        .default(offered);
    answered(|| confirm.interact())
}

/// The answer to `prompt`. Ctrl-C is held back meanwhile: it would end this process with the cursor hidden.
fn answered<T>(prompt: impl FnOnce() -> dialoguer::Result<T>) -> Result<T, CommandError> {
    let mut interrupt = SigSet::empty();
    interrupt.add(Signal::SIGINT);
    let before = interrupt
        .thread_swap_mask(SigmaskHow::SIG_BLOCK)
        .map_err(unanswerable)?;
    let keys = Keys::of_input().map_err(unanswerable)?;
    let answer = prompt().map_err(|error| console_error(&error))?;
    drop(keys);
    before.thread_set_mask().map_err(unanswerable)?;
    Ok(answer)
}

/// Standard input by single keys, for as long as this lives. The library switches to them only while it waits for one;
/// Ctrl-C in between would be a signal that nobody waits for.
struct Keys(Termios);

impl Keys {
    fn of_input() -> nix::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut keys = before.clone();
        keys.local_flags
            .remove(LocalFlags::ISIG | LocalFlags::ICANON | LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &keys)?;
        Ok(Self(before))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

fn unanswerable(error: Errno) -> CommandError {
    io::Error::from(error).into()
}

fn console_error(dialoguer::Error::IO(error): &dialoguer::Error) -> CommandError {
    let _ = dialoguer::console::Term::stderr().show_cursor();
    let why = match error.kind() {
        io::ErrorKind::Interrupted => "setup was left".to_owned(),
        io::ErrorKind::UnexpectedEof => "the terminal was closed".to_owned(),
        _ => format!("the terminal cannot be read: {error}"),
    };
    CommandError::new(Failure::Failed, why)
        .hinted("what was done is kept; 'twofa setup' goes on from there")
}
