//! The QR code of a key on this terminal.
//!
//! It is drawn black on white whatever the terminal's colours are: in half blocks where the locale has them, else in
//! coloured spaces, two to a module, which take twice the lines and columns.

use std::env;
use std::io::{self, IsTerminal};

use rustix::termios::tcgetwinsize;
use twofa_broker::qr::{Drawn, QrPicture};
use zeroize::Zeroizing;

use crate::messages::enrol as messages;
use crate::output::locale;

/// Black on white (ECMA-48 §8.3.117).
const BLACK_ON_WHITE: &str = "\x1b[30;47m";
const BLACK: &str = "\x1b[40m";
const WHITE: &str = "\x1b[47m";
const RESET: &str = "\x1b[0m\n";

/// The terminal that a picture is drawn on.
#[derive(Debug, Clone, Copy)]
struct Screen {
    columns: usize,
    lines: usize,
    has_blocks: bool,
}

/// `link` as a picture for the terminal at standard output, or why there is none; nothing if that is no terminal.
pub(crate) fn for_terminal(link: &str) -> Zeroizing<String> {
    if !io::stdout().is_terminal() {
        return Zeroizing::default();
    }
    match Screen::of_stdout() {
        Some(screen) => screen.show(link),
        None => Zeroizing::new(messages::NO_COLOURS.to_owned()),
    }
}

impl Screen {
    /// The terminal at standard output; `None`: it shows text only.
    fn of_stdout() -> Option<Self> {
        let kind = env::var("TERM").unwrap_or_default();
        if kind.is_empty() || kind == "dumb" {
            return None;
        }
        let (columns, lines) = tcgetwinsize(io::stdout())
            .map_or((0, 0), |size| (size.ws_col.into(), size.ws_row.into()));
        // Serial lines do not know their size. This one is what terminals have had since the VT100.
        let or = |size, usual| if size == 0 { usual } else { size };
        Some(Self {
            columns: or(columns, 80),
            lines: or(lines, 24),
            has_blocks: locale::is_utf8(),
        })
    }

    fn show(self, link: &str) -> Zeroizing<String> {
        let Some(picture) = QrPicture::new(link) else {
            return Zeroizing::new(messages::TOO_LONG.to_owned());
        };
        let (columns, lines) = if self.has_blocks {
            (picture.side(), picture.lines())
        } else {
            (2 * picture.side(), picture.side())
        };
        // The prompt stands below it.
        if columns > self.columns || lines >= self.lines {
            let (needed, window) = ((columns, lines + 1), (self.columns, self.lines));
            return Zeroizing::new(messages::does_not_fit(needed, window, self.has_blocks));
        }
        if self.has_blocks {
            in_half_blocks(&picture)
        } else {
            in_spaces(&picture)
        }
    }
}

fn in_half_blocks(picture: &QrPicture) -> Zeroizing<String> {
    let mut text = Zeroizing::new(messages::SCAN.to_owned());
    for line in picture.half_blocks(Drawn::Dark).lines() {
        text.push_str(BLACK_ON_WHITE);
        text.push_str(line);
        text.push_str(RESET);
    }
    text
}

fn in_spaces(picture: &QrPicture) -> Zeroizing<String> {
    let mut text = Zeroizing::new(messages::SCAN.to_owned());
    for y in 0..picture.side() {
        for x in 0..picture.side() {
            let is_dark = picture.is_dark(x, y);
            if x == 0 || is_dark != picture.is_dark(x - 1, y) {
                text.push_str(if is_dark { BLACK } else { WHITE });
            }
            text.push_str("  ");
        }
        text.push_str(RESET);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "otpauth://totp/vm:alice@vm?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    const fn screen(columns: usize, lines: usize, has_blocks: bool) -> Screen {
        Screen {
            columns,
            lines,
            has_blocks,
        }
    }

    #[test]
    fn a_picture_that_does_not_fit_above_the_prompt_is_not_drawn() {
        for (columns, lines, has_blocks, fits) in [
            (80, 25, true, true),
            (80, 24, true, true),
            (41, 22, true, true),
            (40, 25, true, false),
            (80, 21, true, false),
            (82, 42, false, true),
            (81, 42, false, false),
            (82, 41, false, false),
        ] {
            let shown = screen(columns, lines, has_blocks).show(LINK);
            assert_eq!(shown.contains("\x1b[0m\n"), fits, "{columns}x{lines}");
            assert_eq!(shown.contains("--qr-file"), !fits, "{columns}x{lines}");
            let is_told = shown.contains("In a UTF-8 locale");
            assert_eq!(is_told, !fits && !has_blocks, "{columns}x{lines}");
            assert!(has_blocks || shown.is_ascii());
        }
    }
}
