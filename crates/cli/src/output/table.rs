//! Tables on a terminal: columns where they fit, and one record below the other where they do not.

use std::io::{self, Write};

use anstyle::Style;

use super::Value;
use super::wrap::{longest_part, width, wrap};

/// Columns between two columns.
const GAP: usize = 2;
/// Columns between two settings of a record.
const WIDE_GAP: usize = 3;
/// A row with more lines than this is read more easily as a record.
const MAX_LINES: usize = 5;

/// Rows under headings.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

/// How the rows of a table are laid out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// In columns of these widths.
    Columns(Vec<usize>),
    /// Each as a record in lines of this width.
    Records(usize),
}

impl Table {
    pub(crate) fn new(headings: &'static [&'static str]) -> Self {
        Self {
            headings: headings.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, row: Vec<Value>) {
        self.rows.push(row);
    }

    pub(crate) fn push_texts(&mut self, texts: &[&str]) {
        let texts = texts.iter().map(|text| Value::Text((*text).to_owned()));
        self.push(texts.collect());
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Leaves out the columns that have nothing in any row.
    pub(super) fn drop_empty_columns(&mut self) {
        let has_text = |row: &Vec<Value>, column| {
            row.get(column)
                .is_some_and(|value: &Value| !value.text().is_empty())
        };
        for column in (0..self.headings.len()).rev() {
            if self.rows.iter().all(|row| !has_text(row, column)) {
                self.headings.remove(column);
                for row in &mut self.rows {
                    if column < row.len() {
                        row.remove(column);
                    }
                }
            }
        }
    }

    /// Writes all rows for a terminal of so many `columns`.
    pub(crate) fn write(&self, columns: usize, out: &mut dyn Write) -> io::Result<()> {
        self.begin(columns, out).map(drop)
    }

    /// The same, for a table that goes on. Returns the layout of the rows that follow.
    pub(super) fn begin(&self, columns: usize, out: &mut dyn Write) -> io::Result<Layout> {
        let layout = self.layout(columns);
        self.write_as(&layout, out)?;
        Ok(layout)
    }

    /// The same, with room for rows such as `sample`, which is not written.
    pub(super) fn begin_like(
        &mut self,
        sample: Vec<Value>,
        columns: usize,
        out: &mut dyn Write,
    ) -> io::Result<Layout> {
        self.rows.push(sample);
        let layout = self.layout(columns);
        self.rows.pop();
        self.write_as(&layout, out)?;
        Ok(layout)
    }

    fn write_as(&self, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
        if let Layout::Columns(widths) = layout {
            let bold = Style::new().bold();
            let are_numbers = |column| {
                let first = self.rows.first().and_then(|row| row.get(column));
                first.is_some_and(|value| matches!(value, Value::Number(_)))
            };
            let cells = self
                .headings
                .iter()
                .enumerate()
                .map(|(column, heading)| Cell {
                    lines: wrap(heading, widths.get(column).copied().unwrap_or(0)),
                    style: bold,
                    is_right: are_numbers(column),
                });
            write_cells(&cells.collect::<Vec<_>>(), widths, out)?;
        }
        for row in &self.rows {
            write_row(layout, &self.headings, row, out)?;
        }
        Ok(())
    }

    /// The table in columns if every word fits and no row becomes too high.
    fn layout(&self, columns: usize) -> Layout {
        let texts: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(Value::text).collect())
            .collect();
        let measure = |measure: fn(&str) -> usize, heading: fn(&str) -> usize| -> Vec<usize> {
            let headings = self.headings.iter().enumerate();
            let widths = headings.map(|(column, text)| {
                let cells = texts.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|cell| measure(cell)).max().unwrap_or(0);
                widest.max(heading(text))
            });
            widths.collect()
        };
        let widths = fit(
            &measure(longest_part, longest_part),
            &measure(width, longest_part),
            columns.saturating_sub(GAP * self.headings.len().saturating_sub(1)),
        );
        let is_low = |widths: &Vec<usize>| {
            texts.iter().all(|row| {
                let mut cells = row.iter().zip(widths);
                cells.all(|(cell, width)| wrap(cell, *width).len() <= MAX_LINES)
            })
        };
        match widths.filter(is_low) {
            Some(widths) => Layout::Columns(widths),
            None => Layout::Records(columns),
        }
    }
}

/// Widths between `least` and `wanted` whose sum is at most `columns`: the widest columns give way first. `None`: there
/// are none.
fn fit(least: &[usize], wanted: &[usize], columns: usize) -> Option<Vec<usize>> {
    let limited = |most: usize| -> Vec<usize> {
        let pairs = least.iter().zip(wanted);
        pairs
            .map(|(least, wanted)| *least.max(wanted.min(&most)))
            .collect()
    };
    let mut limits = (0..=columns).rev().map(limited);
    limits.find(|widths| widths.iter().sum::<usize>() <= columns)
}

/// Writes one row in the layout that was found for the rows before it.
pub(super) fn write_row(
    layout: &Layout,
    headings: &[&str],
    row: &[Value],
    out: &mut dyn Write,
) -> io::Result<()> {
    match layout {
        Layout::Columns(widths) => {
            let cells = row.iter().zip(widths).map(|(value, width)| Cell {
                lines: wrap(&value.text(), *width),
                style: value.style(),
                is_right: matches!(value, Value::Number(_)),
            });
            write_cells(&cells.collect::<Vec<_>>(), widths, out)
        }
        Layout::Records(columns) => write_record(headings, row, *columns, out),
    }
}

struct Cell {
    lines: Vec<String>,
    style: Style,
    is_right: bool,
}

fn write_cells(cells: &[Cell], widths: &[usize], out: &mut dyn Write) -> io::Result<()> {
    let height = cells.iter().map(|cell| cell.lines.len()).max().unwrap_or(0);
    for number in 0..height {
        // Blanks are written when something follows them.
        let mut blanks = 0;
        for (cell, column) in cells.iter().zip(widths) {
            let text = cell.lines.get(number).map_or("", String::as_str);
            let free = column.saturating_sub(width(text));
            let (before, behind) = if cell.is_right { (free, 0) } else { (0, free) };
            if text.is_empty() {
                blanks += column + GAP;
                continue;
            }
            let style = cell.style;
            write!(out, "{}{style}{text}{style:#}", " ".repeat(blanks + before))?;
            blanks = behind + GAP;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The first value, and below it the others with their headings, as many in a line as fit.
fn write_record(
    headings: &[&str],
    row: &[Value],
    columns: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut values = headings.iter().zip(row);
    if let Some((heading, first)) = values.next() {
        let (style, text) = (first.style().bold(), first.text());
        // A number alone would not say what it is the number of.
        let heading = match text.parse::<u64>() {
            Ok(_) => format!("{} ", heading.to_lowercase()),
            Err(_) => String::new(),
        };
        writeln!(out, "{style}{heading}{text}{style:#}")?;
    }
    let columns = columns.saturating_sub(GAP);
    let mut used = 0;
    for (heading, value) in values {
        let text = value.text();
        if text.is_empty() || text == "-" {
            continue;
        }
        let heading = match *heading {
            "" => String::new(),
            heading => format!("{}: ", heading.to_lowercase()),
        };
        let needed = width(&heading) + width(&text);
        if used > 0 && used + WIDE_GAP + needed <= columns {
            write!(out, "{}", " ".repeat(WIDE_GAP))?;
            used += WIDE_GAP + needed;
        } else {
            write!(
                out,
                "{}{}",
                if used > 0 { "\n" } else { "" },
                " ".repeat(GAP)
            )?;
            used = needed;
        }
        let style = value.style();
        // The heading is not to be separated from the first word, and further lines are indented.
        let lines = wrap(&format!("{heading}{text}"), columns.saturating_sub(GAP));
        if needed <= columns || lines.len() == 1 {
            write!(out, "{heading}{style}{text}{style:#}")?;
        } else {
            let joined = lines.join(&format!("\n{}", " ".repeat(2 * GAP)));
            write!(out, "{style}{joined}{style:#}")?;
            // The next one begins a line of its own.
            used = columns;
        }
    }
    if used > 0 {
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
