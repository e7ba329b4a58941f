//! Tables and colour on a terminal, tab-separated lines in a pipe, JSON when asked for.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::error::CommandError;

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

    /// Prints one object: JSON, or the lines `people` writes.
    pub(crate) fn object(
        self,
        object: &impl Serialize,
        people: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), CommandError> {
        let mut out = anstream::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, object).map_err(io::Error::from)?;
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

    /// A listing whose rows are printed as they come, except on a terminal, where columns must line up.
    pub(crate) fn listing(self, headings: &'static [&'static str]) -> Listing {
        let out = BufWriter::new(io::stdout());
        let form = if self.json {
            Form::Json { first: true }
        } else if self.terminal {
            Form::Table(Box::new(table(headings)))
        } else {
            Form::Plain
        };
        Listing { out, form }
    }
}

/// A listing that is being printed.
pub(crate) struct Listing {
    out: BufWriter<io::Stdout>,
    form: Form,
}

enum Form {
    Json {
        first: bool,
    },
    Plain,
    Table(Box<Table>),
    /// A table that grew too long to hold back: its columns stay as wide as they were.
    Stream(Vec<u16>),
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
                serde_json::to_writer(&mut self.out, object)?;
                Ok(())
            }
            Form::Plain => {
                let values: Vec<_> = values().into_iter().map(Value::into_text).collect();
                writeln!(self.out, "{}", values.join("\t"))
            }
            Form::Table(table) => {
                table.add_row(values().into_iter().map(Value::into_cell));
                if table.row_count() == HELD_BACK {
                    writeln!(self.out, "{}", table.trim_fmt())?;
                    self.form = Form::Stream(table.column_max_content_widths());
                }
                Ok(())
            }
            Form::Stream(widths) => {
                for (value, width) in values().into_iter().zip(&*widths) {
                    value.write(&mut self.out, usize::from(*width))?;
                }
                writeln!(self.out)
            }
        }
    }

    /// Ends the listing; prints `nothing` on a terminal if it had no rows.
    pub(crate) fn end(mut self, nothing: &str) -> Result<(), CommandError> {
        match self.form {
            Form::Json { first: true } => writeln!(self.out, "[]")?,
            Form::Json { first: false } => writeln!(self.out, "\n]")?,
            Form::Plain | Form::Stream(_) => {}
            Form::Table(table) if table.row_count() == 0 => writeln!(self.out, "{nothing}")?,
            Form::Table(table) => writeln!(self.out, "{}", table.trim_fmt())?,
        }
        Ok(self.out.flush()?)
    }
}

/// A spinner on a terminal, with `what` is going on.
pub(crate) fn spinner(what: String) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    match ProgressStyle::with_template("{spinner} {msg} … {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A table without lines.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(
        headings
            .iter()
            .map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)),
    );
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

impl Value {
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::Good(text) | Self::Warning(text) | Self::Bad(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }

    /// Writes the value as wide as [`table`] would, followed by two spaces.
    fn write(self, out: &mut impl Write, width: usize) -> io::Result<()> {
        let colour = match &self {
            Self::Text(_) | Self::Number(_) => Style::new(),
            Self::Good(_) => AnsiColor::Green.on_default(),
            Self::Warning(_) => AnsiColor::Yellow.on_default(),
            Self::Bad(_) => AnsiColor::Red.on_default(),
        };
        let is_number = matches!(self, Self::Number(_));
        let text = self.into_text();
        let padding = " ".repeat(width.saturating_sub(text.chars().count()));
        let (before, behind) = if is_number {
            (padding.as_str(), "")
        } else {
            ("", padding.as_str())
        };
        write!(out, "{before}{colour}{text}{colour:#}{behind}  ")
    }

    pub(crate) fn into_cell(self) -> Cell {
        match self {
            Self::Text(text) => Cell::new(text),
            Self::Number(number) => Cell::new(number).set_alignment(CellAlignment::Right),
            Self::Good(text) => Cell::new(text).fg(Color::Green),
            Self::Warning(text) => Cell::new(text).fg(Color::Yellow),
            Self::Bad(text) => Cell::new(text).fg(Color::Red),
        }
    }
}
