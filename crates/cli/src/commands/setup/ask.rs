//! Questions on a terminal: lists by dialoguer, and lines that the terminal itself has edited.
//!
//! Ctrl-C is held back for as long as setup runs ([`hold_interrupts`]). It ends the command that runs, and setup itself
//! where it next asks or waits, with the terminal as it was.

use std::io::{self, BufRead, Write};
use std::os::fd::{AsFd, BorrowedFd};

use anstyle::{AnsiColor, Style};
use dialoguer::Select;
use dialoguer::console::{Term, style};
use dialoguer::theme::ColorfulTheme;
use nix::errno::Errno;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use twofa_broker::Failure;

use super::screen::{in_locale, item, say};
use crate::error::CommandError;
use crate::interrupts;
use crate::messages::setup as texts;
use crate::output::wrap::wrap;
use crate::output::{can_animate, terminal_width};

/// Has one of `items` chosen; `at` is offered.
pub(super) fn choose(question: &str, items: &[String], at: usize) -> Result<usize, CommandError> {
    let shown: Vec<_> = items.iter().map(|text| item(text)).collect();
    let chosen = select(question, &shown, at)?;
    say(&format!("✔ {question} · {}", items[chosen]))?;
    Ok(chosen)
}

/// The same for a list that is shown again and again: the choice does not stay on the screen. The items fit already.
pub(super) fn choose_step(
    question: &str,
    items: &[String],
    at: usize,
) -> Result<usize, CommandError> {
    select(question, items, at)
}

fn select(question: &str, items: &[String], at: usize) -> Result<usize, CommandError> {
    check_interrupt()?;
    if !can_animate() {
        return select_by_number(question, items, at);
    }
    let theme = theme();
    let tallest = items.iter().map(|item| item.lines().count()).max();
    // All items of a page are on the screen, with the question; dialoguer takes two off.
    let lines = usize::from(Term::stderr().size().0).saturating_sub(3);
    let page = (lines / tallest.unwrap_or(1).max(1)).max(1) + 2;
    let select = Select::with_theme(&theme)
        .with_prompt(question)
        .report(false)
        .items(items)
        .max_length(page)
        .default(at);
    let keys = Keys::of_input().map_err(unanswerable)?;
    let answer = select.interact();
    drop(keys);
    check_interrupt()?;
    answer.map_err(|dialoguer::Error::IO(error)| unreadable(&error))
}

/// For a terminal that cannot write over what it shows.
fn select_by_number(question: &str, items: &[String], at: usize) -> Result<usize, CommandError> {
    let mut out = io::stdout().lock();
    for (number, item) in (1..).zip(items) {
        writeln!(out, "{number:2} {item}")?;
    }
    drop(out);
    loop {
        let typed = line(question, &(at + 1).to_string())?;
        if let Ok(number) = typed.parse::<usize>()
            && (1..=items.len()).contains(&number)
        {
            return Ok(number - 1);
        }
    }
}

/// Asks for a line of text; `offered` is what Enter alone means.
pub(super) fn line(question: &str, offered: &str) -> Result<String, CommandError> {
    let offer = match offered {
        "" => String::new(),
        offered => format!(" [{offered}]"),
    };
    let typed = typed(&format!("{question}{offer}:"))?;
    Ok(if typed.is_empty() {
        offered.to_owned()
    } else {
        typed
    })
}

/// The names in a list that was typed: blanks separate them as well as commas.
pub(super) fn words(typed: &str) -> Vec<&str> {
    let words = typed.split(|letter: char| letter == ',' || letter.is_whitespace());
    words.filter(|word| !word.is_empty()).collect()
}

/// Asks whether to go on; `offered` is what Enter alone means.
pub(super) fn agree(question: &str, offered: bool) -> Result<bool, CommandError> {
    let hint = if offered { "[Y/n]" } else { "[y/N]" };
    loop {
        match typed(&format!("{question} {hint}"))?
            .to_ascii_lowercase()
            .as_str()
        {
            "" => return Ok(offered),
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => {}
        }
    }
}

/// Shows `question`, and returns the line that is typed.
fn typed(question: &str) -> Result<String, CommandError> {
    const SIGN: Style = AnsiColor::Yellow.on_default();
    const BOLD: Style = Style::new().bold();
    let mut out = anstream::stderr().lock();
    let text = wrap(&in_locale(&format!("? {question}")), terminal_width()).join("\n");
    let text = text.trim_start_matches("? ");
    write!(out, "{SIGN}?{SIGN:#} {BOLD}{text}{BOLD:#} ")?;
    out.flush()?;
    drop(out);
    wait_for([io::stdin().as_fd()])?;
    let mut typed = String::new();
    match io::stdin().lock().read_line(&mut typed) {
        Ok(0) => Err(left()),
        Ok(_) => Ok(typed.trim().to_owned()),
        Err(error) => Err(unreadable(&error)),
    }
}

/// Waits until one of `files` can be read, and says which can. Ctrl-C ends it with an error.
pub(super) fn wait_for<const N: usize>(
    files: [BorrowedFd<'_>; N],
) -> Result<[bool; N], CommandError> {
    let ready = interrupts::wait_for(files).map_err(unanswerable)?;
    ready.ok_or_else(left)
}

/// Holds Ctrl-C back in this process: commands that it starts [release](interrupts::release) it.
pub(super) fn hold_interrupts() -> Result<(), CommandError> {
    interrupts::hold().map_err(unanswerable)
}

/// An error if Ctrl-C was pressed.
pub(super) fn check_interrupt() -> Result<(), CommandError> {
    if interrupts::take().map_err(unanswerable)? {
        return Err(left());
    }
    Ok(())
}

/// dialoguer's own colours, in signs that the locale has.
fn theme() -> ColorfulTheme {
    let usual = ColorfulTheme::default();
    ColorfulTheme {
        prompt_suffix: style(in_locale("›")).for_stderr().black().bright(),
        active_item_prefix: style(in_locale("❯")).for_stderr().green(),
        ..usual
    }
}

/// Standard input by single keys, for as long as this lives. The library switches to them only while it waits for one;
/// what is typed in between would spoil the picture.
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
        let _ = Term::stderr().show_cursor();
    }
}

fn unanswerable(error: Errno) -> CommandError {
    unreadable(&error.into())
}

fn unreadable(error: &io::Error) -> CommandError {
    match error.kind() {
        io::ErrorKind::Interrupted => left(),
        io::ErrorKind::UnexpectedEof => ended("the terminal was closed"),
        _ => ended(&format!("the terminal cannot be read: {error}")),
    }
}

/// The cursor is after a question.
fn left() -> CommandError {
    let _ = writeln!(io::stderr());
    ended("setup was left")
}

fn ended(why: &str) -> CommandError {
    CommandError::new(Failure::Failed, why).hinted(texts::GO_ON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_blanks_or_commas_between_them_stay_names_of_their_own() {
        for typed in ["ssh sudo", "ssh,sudo", "ssh, sudo", " ssh ,\tsudo,"] {
            assert_eq!(words(typed), ["ssh", "sudo"], "{typed:?}");
        }
        assert_eq!(words("all"), ["all"]);
    }
}
