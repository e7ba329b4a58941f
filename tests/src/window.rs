//! A window of a given size and colours, and what it shows of a terminal's output.

use crate::screenshot::grid::{BLANK, Cell, Colour, Grid};

/// Pixels of half a cell on each side; a cell is twice as high as wide.
const SCALE: usize = 6;

/// The 16 colours as the Linux console has the first eight.
const PALETTE: [Colour; 16] = [
    [0x00; 3],
    [0xaa, 0, 0],
    [0, 0xaa, 0],
    [0xaa, 0x55, 0],
    [0, 0, 0xaa],
    [0xaa, 0, 0xaa],
    [0, 0xaa, 0xaa],
    [0xaa; 3],
    [0x55; 3],
    [0xff, 0x55, 0x55],
    [0x55, 0xff, 0x55],
    [0xff, 0xff, 0x55],
    [0x55, 0x55, 0xff],
    [0xff, 0x55, 0xff],
    [0x55, 0xff, 0xff],
    [0xff; 3],
];

/// The terminal's own colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Light text on a dark background.
    Dark,
    /// Dark text on a light background.
    Light,
}

impl Theme {
    /// Text and background.
    const fn colours(self) -> [Colour; 2] {
        match self {
            Self::Dark => [[0xcc; 3], [0x10; 3]],
            Self::Light => [[0x20; 3], [0xf8; 3]],
        }
    }
}

/// The last lines of a terminal.
#[derive(Debug)]
pub(crate) struct Window {
    lines: Vec<Vec<Cell>>,
    theme: Theme,
}

impl Window {
    /// A window of this size after `output`.
    pub(crate) fn after(output: &[u8], columns: usize, lines: usize, theme: Theme) -> Self {
        let mut all = Grid::new(columns, PALETTE, output).lines;
        let mut lines = all.split_off(all.len().saturating_sub(lines));
        for line in &mut lines {
            line.resize(columns, BLANK);
        }
        Self { lines, theme }
    }

    /// The text, each line without the spaces at its end.
    pub(crate) fn text(&self) -> String {
        let line = |cells: &Vec<Cell>| {
            let text: String = cells.iter().map(|cell| cell.character).collect();
            format!("{}\n", text.trim_end())
        };
        self.lines.iter().map(line).collect()
    }

    /// A picture of it in Netpbm's PGM.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let columns = self.lines.first().map_or(0, Vec::len);
        let (width, height) = (columns * SCALE, self.lines.len() * 2 * SCALE);
        let mut picture = format!("P5 {width} {height} 255\n").into_bytes();
        for y in 0..height {
            for x in 0..width {
                let cell = self.lines[y / (2 * SCALE)][x / SCALE];
                let [text, background] = cell.style.colours(self.theme.colours());
                let [_, green, _] = if is_ink(cell.character, x % SCALE, y % (2 * SCALE)) {
                    text
                } else {
                    background
                };
                picture.push(green);
            }
        }
        picture
    }
}

/// Whether the character has the text's colour at this pixel of its cell. Letters are a stroke.
const fn is_ink(character: char, x: usize, y: usize) -> bool {
    match character {
        ' ' => false,
        '█' => true,
        '▀' => y < SCALE,
        '▄' => y >= SCALE,
        _ => x == SCALE / 2 && y > 2,
    }
}

#[cfg(test)]
mod tests {
    use super::{Theme, Window};

    #[test]
    fn long_lines_wrap_and_the_first_scrolls_away() {
        let shown = |output: &str| Window::after(output.as_bytes(), 4, 2, Theme::Dark).text();
        assert_eq!(shown("ab\r\nc"), "ab\nc\n");
        assert_eq!(shown("abcdef"), "abcd\nef\n");
        assert_eq!(shown("a\r\nbcdefg"), "bcde\nfg\n");
    }
}
