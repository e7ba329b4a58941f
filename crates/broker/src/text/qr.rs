//! QR codes for terminals and files.

use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

/// Modules of light border that ISO/IEC 18004 §6.3.8 asks for.
pub const QUIET_ZONE: usize = 4;
/// The border that scanners need to read the code from a screen.
const NARROW_QUIET_ZONE: usize = 2;
/// Lines of a picture that fit on a terminal of 24 lines with a prompt below it.
pub const LINES_OF_SCREEN: usize = 23;

/// The modules of a QR code that are drawn in the text's colour; the others have the background's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// The light ones, for terminals whose text is lighter than the background.
    Light,
    /// The dark ones, for terminals whose text is darker than the background.
    Dark,
}

/// A QR code. It reveals the text that it was made from, so it is shown only to its owner.
pub struct QrPicture(QrCode);

impl QrPicture {
    /// `text` with the lowest error correction, which makes the smallest code; `None` when it is too long for one.
    pub fn new(text: &str) -> Option<Self> {
        QrCode::with_error_correction_level(text, EcLevel::L)
            .ok()
            .map(Self)
    }

    /// The code itself, without a quiet zone.
    pub const fn code(&self) -> &QrCode {
        &self.0
    }

    /// Modules on each side, with the quiet zone; as many columns of half blocks.
    pub fn side(&self) -> usize {
        self.0.width() + 2 * self.quiet_zone()
    }

    /// Lines of half blocks that it takes.
    pub fn lines(&self) -> usize {
        self.side().div_ceil(2)
    }

    /// As wide as the standard asks for, unless only a narrower one lets the code fit on a screen.
    fn quiet_zone(&self) -> usize {
        if self.0.width() + 2 * QUIET_ZONE <= 2 * LINES_OF_SCREEN {
            QUIET_ZONE
        } else {
            NARROW_QUIET_ZONE
        }
    }

    /// Whether the module at this place is dark, counted from the quiet zone's corner. Outside everything is light.
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        let place = |at: usize| {
            let at = at.checked_sub(self.quiet_zone())?;
            (at < self.0.width()).then_some(at)
        };
        matches!((place(x), place(y)), (Some(x), Some(y)) if self.0[(x, y)] == Color::Dark)
    }

    /// The picture in half blocks, two modules to a character, each line with its end.
    pub fn half_blocks(&self, drawn: Drawn) -> Zeroizing<String> {
        let is_drawn = |x, y| self.is_dark(x, y) == (drawn == Drawn::Dark);
        let bytes = self.lines() * (self.side() * '█'.len_utf8() + 1);
        let mut picture = Zeroizing::new(String::with_capacity(bytes));
        for line in 0..self.lines() {
            picture.extend((0..self.side()).map(|x| {
                match (is_drawn(x, 2 * line), is_drawn(x, 2 * line + 1)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                }
            }));
            picture.push('\n');
        }
        picture
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link for names of this many letters.
    fn link(letters: usize) -> String {
        let name = "n".repeat(letters);
        let key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        format!("otpauth://totp/{name}:{name}@{name}?secret={key}")
    }

    #[test]
    fn with_names_of_up_to_20_letters_it_fits_above_a_prompt_on_a_24_line_screen() {
        for letters in 1..=20 {
            let picture = QrPicture::new(&link(letters)).unwrap();
            assert!(
                picture.lines() <= LINES_OF_SCREEN,
                "{letters}: {}",
                picture.lines()
            );
            assert!(picture.side() <= 45);
        }
        assert!(QrPicture::new(&link(40)).unwrap().lines() > LINES_OF_SCREEN);
        assert!(QrPicture::new(&link(1000)).is_none());
    }

    #[test]
    fn light_and_dark_pictures_are_negatives_of_each_other() {
        let picture = QrPicture::new(&link(6)).unwrap();
        let (light, dark) = (
            picture.half_blocks(Drawn::Light),
            picture.half_blocks(Drawn::Dark),
        );
        let negative: String = light
            .chars()
            .map(|block| match block {
                '█' => ' ',
                ' ' => '█',
                '▀' => '▄',
                '▄' => '▀',
                other => other,
            })
            .collect();
        assert_eq!(*dark, negative);
        assert_eq!(light.lines().count(), picture.lines());
        assert!(light.starts_with('█') && dark.starts_with(' '));
    }
}
