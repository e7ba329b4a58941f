//! How data is shown: tables and colour on a terminal ([`table`], [`wrap`]), lines of tab-separated values under a line of
//! headings in a pipe, JSON when asked for.

mod json;
pub(crate) mod locale;
mod table;
pub(crate) mod wrap;

use std::env;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::time::Duration;

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use twofa_core::text::printable;

use crate::error::CommandError;
pub(crate) use table::Table;
use table::{Layout, write_row};
pub(crate) use wrap::{terminal_width, wrap_lines};

/// How data is printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    terminal: bool,
}

/// A value in a table.
#[derive(Debug)]
pub(crate) enum Value {
    Text(String),
    Number(u64),
    Good(String),
    Warning(String),
    Bad(String),
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Prints one object: JSON, or the lines `people` writes, broken between words on a terminal.
    pub(crate) fn object(
        self,
        object: &impl Serialize,
        people: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), CommandError> {
        self.verbatim(object, |out| {
            if !self.terminal {
                return people(out);
            }
            let mut text = Vec::new();
            people(&mut text)?;
            let text = String::from_utf8_lossy(&text);
            write!(out, "{}", wrap_lines(&text, terminal_width()))
        })
    }

    /// Prints one object: JSON, or the lines `people` writes, as they are.
    pub(crate) fn verbatim(
        self,
        object: &impl Serialize,
        people: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), CommandError> {
        let mut out = anstream::stdout().lock();
        if self.json {
            json::write_pretty(&mut out, object)?;
            writeln!(out)?;
        } else {
            people(&mut out)?;
        }
        Ok(out.flush()?)
    }

    /// Whether standard output is a terminal.
    pub(crate) const fn is_terminal(self) -> bool {
        self.terminal
    }

    /// Whether JSON is asked for.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// A listing that goes on: of JSON, each object is on a line of its own.
    pub(crate) fn endless_listing(self, headings: &'static [&'static str]) -> Listing {
        let mut listing = self.listing(headings);
        if self.json {
            listing.form = Form::JsonLines;
        }
        listing
    }

    /// A listing whose rows are printed as they come, except on a terminal, where columns must line up.
    pub(crate) fn listing(self, headings: &'static [&'static str]) -> Listing {
        let out = BufWriter::new(anstream::stdout().lock());
        let form = if self.json {
            Form::Json { first: true }
        } else if self.terminal {
            Form::Table(Table::new(headings))
        } else {
            Form::Plain { first: true }
        };
        Listing {
            out,
            headings,
            form,
        }
    }
}

/// A listing that is being printed.
pub(crate) struct Listing {
    out: BufWriter<AutoStream<StdoutLock<'static>>>,
    headings: &'static [&'static str],
    form: Form,
}

enum Form {
    Json {
        first: bool,
    },
    /// An object on each line.
    JsonLines,
    /// A line for each row, with tabs between its values, for other programs.
    Plain {
        first: bool,
    },
    Table(Table),
    /// A table that grew too long to hold back: its layout stays as it was.
    Stream(Layout),
}

/// How many rows are held back on a terminal to find out the widths of the columns.
const HELD_BACK: usize = 500;

impl Listing {
    /// Adds a row: `object` for JSON, `values` for people.
    pub(crate) fn row(
        &mut self,
        object: &impl Serialize,
        values: impl FnOnce() -> Vec<Value>,
    ) -> io::Result<()> {
        match &mut self.form {
            Form::Json { first } => {
                self.out
                    .write_all(if *first { b"[\n  " } else { b",\n  " })?;
                *first = false;
                json::write(&mut self.out, object)
            }
            Form::JsonLines => {
                json::write(&mut self.out, object)?;
                writeln!(self.out)
            }
            Form::Plain { first } => {
                if *first {
                    writeln!(self.out, "{}", self.headings.join("\t"))?;
                }
                *first = false;
                let values: Vec<_> = values().iter().map(Value::text).collect();
                writeln!(self.out, "{}", values.join("\t"))
            }
            Form::Table(table) => {
                table.push(values());
                if table.len() == HELD_BACK {
                    let layout = table.begin(terminal_width(), &mut self.out)?;
                    self.form = Form::Stream(layout);
                }
                Ok(())
            }
            Form::Stream(layout) => write_row(layout, self.headings, &values(), &mut self.out),
        }
    }

    /// Prints what was held back. From now on every row is printed when this is called, in columns that have room for
    /// rows such as `sample`.
    pub(crate) fn flush(&mut self, sample: impl FnOnce() -> Vec<Value>) -> io::Result<()> {
        if let Form::Table(table) = &mut self.form {
            let layout = table.begin_like(sample(), terminal_width(), &mut self.out)?;
            self.form = Form::Stream(layout);
        }
        self.out.flush()
    }

    /// Ends the listing; prints `nothing` on a terminal if it had no rows.
    pub(crate) fn end(mut self, nothing: &str) -> Result<(), CommandError> {
        match self.form {
            Form::Json { first: true } => writeln!(self.out, "[]")?,
            Form::Json { first: false } => writeln!(self.out, "\n]")?,
            Form::Plain { .. } | Form::Stream(_) | Form::JsonLines => {}
            Form::Table(table) if table.len() == 0 => {
                write!(self.out, "{}", wrap_lines(nothing, terminal_width()))?;
            }
            Form::Table(mut table) => {
                table.drop_empty_columns();
                table.write(terminal_width(), &mut self.out)?;
            }
        }
        Ok(self.out.flush()?)
    }
}

/// A spinner on a terminal, with `what` is going on.
pub(crate) fn spinner(what: String) -> ProgressBar {
    if !can_animate() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    match ProgressStyle::with_template("{spinner} {msg} … {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Whether standard error is a terminal that can write over what it shows.
pub(crate) fn can_animate() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

impl Value {
    /// The value without characters that steer a terminal or end a line.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Good(text) | Self::Warning(text) | Self::Bad(text) => {
                printable(text)
            }
            Self::Number(number) => number.to_string(),
        }
    }

    const fn style(&self) -> Style {
        match self {
            Self::Text(_) | Self::Number(_) => Style::new(),
            Self::Good(_) => AnsiColor::Green.on_default(),
            Self::Warning(_) => AnsiColor::Yellow.on_default(),
            Self::Bad(_) => AnsiColor::Red.on_default(),
        }
    }
}
