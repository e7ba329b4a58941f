//! Characters in addresses and numbers that people paste: those that cannot be seen, those that look like others, and how
//! one that is refused is named.

use twofa_core::text::is_unprintable;

/// Whether `c` is an invisible character that is copied together with a text and changes nothing that is seen. U+202E is
/// not among them, because it displays text in another order.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202d}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Whether `c` looks like a hyphen.
pub(crate) fn is_hyphen(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{2d7}' | '\u{2010}'
            ..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}

/// `c` with its code point; the code point alone if it could not be seen or would change how the text around it looks.
pub(crate) fn describe(c: char) -> String {
    let code_point = format!("U+{:04X}", u32::from(c));
    match c {
        '\u{202e}' => format!("{code_point} (shows text backwards)"),
        c if is_unprintable(c) || is_combining(c) => code_point,
        c if c.is_whitespace() => format!("a space ({code_point})"),
        c => format!("'{c}' ({code_point})"),
    }
}

/// Whether `c` is in a block of characters that combine with the one before them.
fn is_combining(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{302a}'..='\u{302f}' | '\u{fe20}'..='\u{fe2f}')
}
