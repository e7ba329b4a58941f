//! Which texts go in the alphabet of GSM, and which take Unicode.

/// The basic character set and its extension, 3GPP TS 23.038 §6.2.1.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡\
ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà\u{c}^{}\\[~]|€";

/// Whether `text` has to go as Unicode.
pub(super) fn needs_unicode(text: &str) -> bool {
    !text.chars().all(|c| GSM.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_gsm_alphabet_lacks_needs_unicode() {
        assert!(!needs_unicode("Acme: 123456 (10 min)\n@example.com #123456"));
        assert!(!needs_unicode("Größe à 5 €"));
        assert!(needs_unicode("Köln – 東京"));
        assert!(needs_unicode("ç"));
    }
}
