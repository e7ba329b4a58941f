//! The one list of characters that must not reach a terminal or a log as they are, and the one form of lines in the system
//! log ([`mod@log_line`]). It is a crate of its own because the module, which depends on little, needs it as well as everything
//! else. It has no dependency.
#![forbid(unsafe_code)]

mod log_line;

pub use log_line::log_line;

/// Whether `c` could control a terminal, end or reorder a line, or hide in a name so that two names look the same: control
/// characters, C1 among them (general category Cc), format characters (Cf), line and paragraph separators (Zl, Zp), and
/// characters that a terminal may not draw at all (the property `Default_Ignorable_Code_Point`, which has variation selectors, tags
/// and Hangul fillers). As of Unicode 17.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_reorders_or_hides_is_unprintable() {
        for (what, characters) in [
            ("C0", "\0\u{7}\u{8}\t\n\r\u{1b}\u{7f}"),
            ("C1", "\u{80}\u{85}\u{8d}\u{90}\u{9b}\u{9c}\u{9d}\u{9f}"),
            ("separators", "\u{2028}\u{2029}"),
            (
                "direction",
                "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}",
            ),
            (
                "zero width",
                "\u{ad}\u{34f}\u{180e}\u{200b}\u{200c}\u{200d}\u{2060}\u{2064}\u{feff}",
            ),
            ("fillers", "\u{115f}\u{1160}\u{3164}\u{ffa0}"),
            (
                "variation selectors",
                "\u{180b}\u{fe00}\u{fe0e}\u{fe0f}\u{e0100}\u{e01ef}",
            ),
            ("tags", "\u{e0001}\u{e0020}\u{e0041}\u{e007f}"),
            ("annotations", "\u{fff9}\u{fffa}\u{fffb}"),
            (
                "signs of other scripts",
                "\u{600}\u{6dd}\u{70f}\u{8e2}\u{110bd}\u{13430}\u{1bca0}\u{1d173}",
            ),
        ] {
            for c in characters.chars() {
                assert!(is_unprintable(c), "{what}: {}", c.escape_unicode());
            }
        }
    }

    #[test]
    fn letters_of_all_scripts_spaces_and_a_qr_code_are_printable() {
        for c in "Büro 7 – 東京 é e\u{301} Ελλάδα עברית عربى हिन्दी 한국 •… →✓ █▀▄ 🙂\u{a0}\u{3000}"
            .chars()
        {
            assert!(!is_unprintable(c), "{}", c.escape_unicode());
        }
    }
}
