//! Screenshots of terminals, as SVG.
//!
//! [`grid`] reads a terminal's output into cells; this file draws them. Every run of text has its own position and
//! length, so that the columns stay where they are in whatever font the reader has. Block characters are not text but
//! areas, so that a QR code has sharp edges.

pub(crate) mod grid;

use std::fmt::Write as _;

use grid::{Cell, Colour, Grid, Style};

/// A cell, in pixels. Two half blocks are squares.
const WIDTH: usize = 8;
const HEIGHT: usize = 16;

/// From a line's top to the baseline of its text, in pixels.
const BASELINE: usize = 12;

const FONT: &str = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace";

/// Between the edge of the window and the text, in pixels.
const MARGIN: usize = 16;

/// The height of the window's title bar, in pixels.
const BAR: usize = 32;

/// The terminal's own colours for text and background.
const OWN: [Colour; 2] = [[0xe6, 0xed, 0xf3], [0x0d, 0x11, 0x17]];

/// The 16 colours, dark enough to stand on either background of a page and bright enough to be read on ours.
const PALETTE: [Colour; 16] = [
    [0x00, 0x00, 0x00],
    [0xff, 0x7b, 0x72],
    [0x3f, 0xb9, 0x50],
    [0xd2, 0x99, 0x22],
    [0x58, 0xa6, 0xff],
    [0xbc, 0x8c, 0xff],
    [0x39, 0xc5, 0xcf],
    [0xe6, 0xed, 0xf3],
    [0x6e, 0x76, 0x81],
    [0xff, 0xa1, 0x98],
    [0x56, 0xd3, 0x64],
    [0xe3, 0xb3, 0x41],
    [0x79, 0xc0, 0xff],
    [0xd2, 0xa8, 0xff],
    [0x56, 0xd4, 0xdd],
    [0xff, 0xff, 0xff],
];

/// A picture of a terminal of this width after `output`, called `title`.
///
/// # Panics
///
/// If the output moves the cursor in a way that is not drawn.
pub fn screenshot(title: &str, columns: usize, output: &[u8]) -> String {
    let grid = Grid::new(columns, PALETTE, output);
    let width = grid.columns * WIDTH + 2 * MARGIN;
    let height = BAR + grid.lines.len() * HEIGHT + MARGIN;
    let [text, background] = OWN.map(hex);
    let title = escaped(title);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FONT}\" font-size=\"13\">\n\
         <title>{title}</title>\n\
         <rect x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"{background}\" stroke=\"#3d444d\"/>\n\
         <g fill=\"#3d444d\"><circle cx=\"18\" cy=\"16\" r=\"5\"/><circle cx=\"36\" cy=\"16\" r=\"5\"/>\
         <circle cx=\"54\" cy=\"16\" r=\"5\"/></g>\n\
         <text x=\"{}\" y=\"20\" fill=\"#9aa4af\" text-anchor=\"middle\">{title}</text>\n\
         <g transform=\"translate({MARGIN} {BAR})\" fill=\"{text}\">\n",
        width - 1,
        height - 1,
        width / 2,
    );
    for (colour, path) in areas(&grid) {
        // Antialiasing would leave thin lines between neighbouring areas.
        let _ = writeln!(
            svg,
            "<path shape-rendering=\"crispEdges\" fill=\"{}\" d=\"{path}\"/>",
            hex(colour)
        );
    }
    for (row, line) in grid.lines.iter().enumerate() {
        draw_text(&mut svg, row, line);
    }
    svg + "</g>\n</svg>\n"
}

/// What is drawn as areas: backgrounds that are not the terminal's own, and blocks. One path for each colour.
fn areas(grid: &Grid) -> Vec<(Colour, String)> {
    let mut paths: Vec<(Colour, String)> = Vec::new();
    for (row, line) in grid.lines.iter().enumerate() {
        for half in [0, 1] {
            let colours: Vec<Colour> = line
                .iter()
                .map(|cell| colour_of_half(*cell, half))
                .collect();
            let mut column = 0;
            for run in colours.chunk_by(|one, next| one == next) {
                let (x, width) = (column * WIDTH, run.len() * WIDTH);
                column += run.len();
                if run[0] == OWN[1] {
                    continue;
                }
                let y = row * HEIGHT + half * HEIGHT / 2;
                let area = format!("M{x} {y}h{width}v{}h-{width}z", HEIGHT / 2);
                match paths.iter_mut().find(|(colour, _)| *colour == run[0]) {
                    Some((_, path)) => path.push_str(&area),
                    None => paths.push((run[0], area)),
                }
            }
        }
    }
    paths
}

/// The colour of the upper (0) or lower (1) half of a cell; a letter does not count.
fn colour_of_half(cell: Cell, half: usize) -> Colour {
    let [foreground, background] = cell.style.colours(OWN);
    match (cell.character, half) {
        ('█', _) | ('▀', 0) | ('▄', 1) => foreground,
        _ => background,
    }
}

fn draw_text(svg: &mut String, row: usize, line: &[Cell]) {
    let mut column = 0;
    // Pieces of one style, without two blanks in a row: SVG draws them as one.
    let is_gap = |one: &Cell, next: &Cell| one.character == ' ' && next.character == ' ';
    let runs = line.chunk_by(|one, next| {
        one.style == next.style && is_text(*one) == is_text(*next) && !is_gap(one, next)
    });
    for run in runs {
        let start = column;
        column += run.len();
        let text: String = run.iter().map(|cell| cell.character).collect();
        let blank = text.len() - text.trim_start().len();
        let text = text.trim();
        if text.is_empty() || !is_text(run[0]) {
            continue;
        }
        let length = text.chars().count() * WIDTH;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\"{}>{}</text>",
            (start + blank) * WIDTH,
            row * HEIGHT + BASELINE,
            attributes(run[0].style),
            escaped(text)
        );
    }
}

fn is_text(cell: Cell) -> bool {
    !matches!(cell.character, '█' | '▀' | '▄')
}

fn attributes(style: Style) -> String {
    let mut attributes = String::new();
    let [foreground, _] = style.colours(OWN);
    if foreground != OWN[0] {
        let _ = write!(attributes, " fill=\"{}\"", hex(foreground));
    }
    if style.bold {
        attributes.push_str(" font-weight=\"bold\"");
    }
    if style.dim {
        attributes.push_str(" opacity=\".65\"");
    }
    attributes
}

fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::screenshot;

    #[test]
    fn text_is_placed_by_columns_and_coloured() {
        let svg = screenshot("a & b", 20, b"\x1b[1;31merror:\x1b[0m  <x>\r\n");
        assert!(svg.contains("<title>a &amp; b</title>"), "{svg}");
        assert!(
            svg.contains("<text x=\"0\" y=\"12\" textLength=\"48\" lengthAdjust=\"spacingAndGlyphs\" fill=\"#ff7b72\" font-weight=\"bold\">error:</text>"),
            "{svg}"
        );
        assert!(
            svg.contains("<text x=\"64\" y=\"12\" textLength=\"24\""),
            "{svg}"
        );
        assert!(svg.contains(">&lt;x&gt;</text>"), "{svg}");
    }

    #[test]
    fn blocks_are_areas_and_not_letters() {
        let svg = screenshot("t", 20, "█▀ ▄".as_bytes());
        assert!(
            svg.contains("d=\"M0 0h16v8h-16zM0 8h8v8h-8zM24 8h8v8h-8z\""),
            "{svg}"
        );
        assert!(!svg.contains('█'), "{svg}");
    }
}
