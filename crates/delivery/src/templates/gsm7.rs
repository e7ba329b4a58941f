//! Counts the septets and segments of a text message (3GPP TS 23.038 §6.2.1, TS 23.040 §9.2.3.24).

/// The GSM 7-bit default alphabet. Each character takes one septet.
const ALPHABET: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
    ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension table. Each character takes two septets, of which the first is the escape.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The number of septets in a message of one segment, and in each segment of a longer one.
const SEPTETS: (usize, usize) = (160, 153);

/// The number of UTF-16 units in a message of one segment, and in each segment of a longer one.
const UNITS: (usize, usize) = (70, 67);

/// The number of septets that `text` takes in the default alphabet with its extension. `None`: it has characters
/// outside both and must be sent as UCS-2.
pub fn septets(text: &str) -> Option<usize> {
    text.chars().map(septets_of).sum()
}

/// The number of segments in which `text` is sent and billed.
pub fn segments(text: &str) -> usize {
    let (sizes, (whole, part)): (Vec<usize>, _) = match text.chars().map(septets_of).collect() {
        Some(sizes) => (sizes, SEPTETS),
        None => (text.chars().map(char::len_utf16).collect(), UNITS),
    };
    if sizes.iter().sum::<usize>() <= whole {
        return 1;
    }
    // A character of two septets or units is not split between segments.
    let mut segments = 1;
    let mut used = 0;
    for size in sizes {
        if used + size > part {
            segments += 1;
            used = 0;
        }
        used += size;
    }
    segments
}

fn septets_of(c: char) -> Option<usize> {
    if ALPHABET.contains(c) {
        Some(1)
    } else if EXTENSION.contains(c) {
        Some(2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_complete() {
        // 128 code points, of which one is the escape.
        assert_eq!(ALPHABET.chars().count(), 127);
        assert_eq!(EXTENSION.chars().count(), 10);
    }

    #[test]
    fn septets_are_counted_with_the_extension() {
        assert_eq!(septets(""), Some(0));
        assert_eq!(septets("Büro @ 100 £ Ω"), Some(14));
        assert_eq!(septets("[€]"), Some(6));
        assert_eq!(septets("ç"), None, "only the capital is in the alphabet");
        assert_eq!(septets("Ç"), Some(1));
        for c in ["`", "…", "„", "’", "東", "😀", "\t"] {
            assert_eq!(septets(c), None, "{c:?}");
        }
    }

    #[test]
    fn segments_are_counted_as_they_are_sent() {
        assert_eq!(segments(""), 1);
        assert_eq!(segments(&"a".repeat(160)), 1);
        assert_eq!(segments(&"a".repeat(161)), 2);
        assert_eq!(segments(&"€".repeat(80)), 1);
        assert_eq!(segments(&"€".repeat(81)), 2);
        assert_eq!(segments(&"a".repeat(306)), 2);
        assert_eq!(segments(&"a".repeat(307)), 3);
        assert_eq!(
            segments(&format!("{}€{}", "a".repeat(152), "a".repeat(152))),
            3,
            "€ is not split"
        );
        assert_eq!(segments(&"東".repeat(70)), 1);
        assert_eq!(segments(&"東".repeat(71)), 2);
        assert_eq!(segments(&"😀".repeat(35)), 1);
        assert_eq!(segments(&"😀".repeat(36)), 2);
    }
}
