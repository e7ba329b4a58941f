//! Tables in Markdown.

use std::fmt::{self, Write as _};

/// A table whose columns are as wide as they have to be.
pub struct Table(Vec<Vec<String>>);

impl Table {
    /// A table with these headings.
    pub fn new(head: &[&str]) -> Self {
        Self(vec![head.iter().map(ToString::to_string).collect()])
    }

    /// Adds a row with a cell for each heading.
    pub fn row(&mut self, row: Vec<String>) {
        self.0.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.0.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (i, row) in self.0.iter().enumerate() {
            let mut line = String::from("|");
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Words to the left, numbers to the right.
                let _ = if column == 0 {
                    write!(line, " {cell:<width$} |")
                } else {
                    write!(line, " {cell:>width$} |")
                };
            }
            writeln!(f, "{line}")?;
            if i == 0 {
                let rule = |(column, width): (usize, &usize)| match column {
                    0 => format!(" {} |", "-".repeat(*width)),
                    _ => format!(" {}: |", "-".repeat(width.saturating_sub(1))),
                };
                let rules: String = widths.iter().enumerate().map(rule).collect();
                writeln!(f, "|{rules}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["stack", "ms"]);
        table.row(vec!["täglich ≤".into(), "1.25".into()]);
        assert_eq!(
            table.to_string(),
            "| stack     |   ms |\n| --------- | ---: |\n| täglich ≤ | 1.25 |\n"
        );
    }
}
