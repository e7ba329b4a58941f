//! The cells of a terminal: what its output has left on it, with colours.

use crate::screen::piece;

/// How a cell is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) foreground: Option<Colour>,
    pub(crate) background: Option<Colour>,
    pub(crate) bold: bool,
    pub(crate) dim: bool,
    reversed: bool,
}

impl Style {
    /// The colours as they are seen: exchanged if the cell is reversed. `None` is the terminal's own.
    pub(crate) fn colours(self, own: [Colour; 2]) -> [Colour; 2] {
        let [foreground, background] = [
            self.foreground.unwrap_or(own[0]),
            self.background.unwrap_or(own[1]),
        ];
        if self.reversed {
            [background, foreground]
        } else {
            [foreground, background]
        }
    }
}

/// Red, green and blue.
pub(crate) type Colour = [u8; 3];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) character: char,
    pub(crate) style: Style,
}

/// A blank cell in the terminal's own colours.
pub(crate) const BLANK: Cell = Cell {
    character: ' ',
    style: Style {
        foreground: None,
        background: None,
        bold: false,
        dim: false,
        reversed: false,
    },
};

/// The lines of a terminal, scrolled back to the first.
#[derive(Debug)]
pub(crate) struct Grid {
    pub(crate) columns: usize,
    pub(crate) lines: Vec<Vec<Cell>>,
    row: usize,
    column: usize,
    style: Style,
    palette: [Colour; 16],
}

impl Grid {
    /// A terminal of this width after `output`.
    ///
    /// # Panics
    ///
    /// At a control sequence that changes the picture in a way that is not drawn.
    pub(crate) fn new(columns: usize, palette: [Colour; 16], output: &[u8]) -> Self {
        let mut grid = Self {
            columns,
            lines: vec![Vec::new()],
            row: 0,
            column: 0,
            style: Style::default(),
            palette,
        };
        let mut rest = output;
        while let Some(length) = (!rest.is_empty()).then(|| piece(rest)).flatten() {
            let (this, later) = rest.split_at(length);
            rest = later;
            match this[0] {
                b'\r' => grid.column = 0,
                b'\n' => grid.go_to_line(grid.row + 1),
                0x08 => grid.column = grid.column.saturating_sub(1),
                0x07 => {}
                0x1b => grid.escape(this),
                _ => String::from_utf8_lossy(this)
                    .chars()
                    .for_each(|character| grid.put(character)),
            }
        }
        while grid.lines.last().is_some_and(Vec::is_empty) {
            grid.lines.pop();
        }
        grid
    }

    fn go_to_line(&mut self, row: usize) {
        self.row = row;
        if self.lines.len() <= row {
            self.lines.resize(row + 1, Vec::new());
        }
    }

    fn put(&mut self, character: char) {
        if self.column == self.columns {
            self.column = 0;
            self.go_to_line(self.row + 1);
        }
        let line = &mut self.lines[self.row];
        if line.len() <= self.column {
            line.resize(self.column + 1, BLANK);
        }
        line[self.column] = Cell {
            character,
            style: self.style,
        };
        self.column += 1;
    }

    fn escape(&mut self, sequence: &[u8]) {
        let Some((&end, numbers)) = sequence.strip_prefix(b"\x1b[").and_then(<[u8]>::split_last)
        else {
            return;
        };
        match (end, numbers) {
            (b'm', _) => self.select_rendition(numbers),
            (b'K', b"" | b"0") => self.lines[self.row].truncate(self.column),
            (b'K', b"2") => self.lines[self.row].clear(),
            (b'J', b"" | b"0") => {
                self.lines[self.row].truncate(self.column);
                self.lines.truncate(self.row + 1);
            }
            (b'A', _) => self.row = self.row.saturating_sub(count(numbers)),
            (b'B', _) => self.go_to_line(self.row + count(numbers)),
            (b'C', _) => self.column = (self.column + count(numbers)).min(self.columns - 1),
            (b'D', _) => self.column = self.column.saturating_sub(count(numbers)),
            // Modes of the keyboard and the cursor's shape.
            (b'h' | b'l' | b'q' | b'n', _) => {}
            _ => panic!(
                "this control sequence is not drawn: {:?}",
                String::from_utf8_lossy(sequence)
            ),
        }
    }

    /// ECMA-48 §8.3.117 (SGR).
    fn select_rendition(&mut self, numbers: &[u8]) {
        let text = String::from_utf8_lossy(numbers);
        let mut numbers = text
            .split([';', ':'])
            .map(|number| number.parse::<u8>().unwrap_or(0));
        while let Some(number) = numbers.next() {
            let style = &mut self.style;
            match number {
                0 => *style = Style::default(),
                1 => style.bold = true,
                2 => style.dim = true,
                22 => (style.bold, style.dim) = (false, false),
                7 => style.reversed = true,
                27 => style.reversed = false,
                30..=37 => style.foreground = Some(self.palette[usize::from(number - 30)]),
                90..=97 => style.foreground = Some(self.palette[usize::from(number - 82)]),
                40..=47 => style.background = Some(self.palette[usize::from(number - 40)]),
                100..=107 => style.background = Some(self.palette[usize::from(number - 92)]),
                38 => style.foreground = extended(&mut numbers, &self.palette),
                48 => style.background = extended(&mut numbers, &self.palette),
                39 => style.foreground = None,
                49 => style.background = None,
                _ => {}
            }
        }
    }
}

/// How far a sequence moves the cursor: one cell or line if it does not say.
fn count(numbers: &[u8]) -> usize {
    let number = String::from_utf8_lossy(numbers).parse();
    number.unwrap_or(1).max(1)
}

/// A colour of 256 (`5;n`) or of all (`2;r;g;b`), as xterm has them.
fn extended(numbers: &mut impl Iterator<Item = u8>, palette: &[Colour; 16]) -> Option<Colour> {
    if numbers.next()? == 2 {
        return Some([numbers.next()?, numbers.next()?, numbers.next()?]);
    }
    let number = numbers.next()?;
    Some(match number {
        0..=15 => palette[usize::from(number)],
        16..=231 => {
            let cube = number - 16;
            [cube / 36, cube / 6 % 6, cube % 6].map(|step| match step {
                0 => 0,
                step => 55 + 40 * step,
            })
        }
        232..=255 => [8 + 10 * (number - 232); 3],
    })
}

#[cfg(test)]
mod tests {
    use super::{Grid, Style};

    fn grid(output: &str) -> Grid {
        let mut palette = [[0; 3]; 16];
        palette[2] = [1, 2, 3];
        Grid::new(10, palette, output.as_bytes())
    }

    fn text(output: &str) -> Vec<String> {
        let lines = grid(output).lines;
        lines
            .iter()
            .map(|line| line.iter().map(|cell| cell.character).collect())
            .collect()
    }

    #[test]
    fn lines_are_wrapped_and_overwritten_as_on_a_terminal() {
        assert_eq!(text("0123456789ab\r\nx"), ["0123456789", "ab", "x"]);
        assert_eq!(
            text("abc\rx\x1b[K\r\n..\x1b[2K\ry\x08z\r\n\r\n"),
            ["x", "z"]
        );
    }

    #[test]
    fn colours_last_until_they_are_reset() {
        let cells = &grid("\x1b[1;32ma\x1b[0mb\x1b[48;5;231mc").lines[0];
        assert_eq!(cells[0].style.foreground, Some([1, 2, 3]));
        assert!(cells[0].style.bold);
        assert_eq!(cells[1].style, Style::default());
        assert_eq!(cells[2].style.background, Some([255, 255, 255]));
    }

    #[test]
    fn a_list_is_drawn_again_over_itself() {
        assert_eq!(
            text("a\r\nb\r\nc\x1b[2A\x1b[D\x1b[1Cd\x1b[B\re\x1b[J"),
            ["ad", "e"]
        );
    }

    #[test]
    #[should_panic(expected = "not drawn")]
    fn a_cursor_that_moves_elsewhere_is_reported() {
        grid("\x1b[5;1H");
    }
}
