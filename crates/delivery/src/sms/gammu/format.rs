//! The formats of gammu-smsd's message files.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use data_encoding::HEXUPPER_PERMISSIVE;

/// The maximum size of a file that is read, in bytes.
const MAX_SIZE: u64 = 64 * 1024;

/// The content of `file`, up to the maximum size.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(file)?
        .take(MAX_SIZE)
        .read_to_end(&mut content)?;
    Ok(content)
}

/// A text file: UTF-16 with a byte order mark (`inboxformat = unicode`), otherwise in the daemon's character set.
pub(super) fn decode_text(content: &[u8]) -> String {
    match content.strip_prefix(&[0xfe, 0xff]) {
        Some(wide) => utf16(wide),
        None => String::from_utf8_lossy(content).into_owned(),
    }
}

/// The text in a file of Gammu's backup format (`inboxformat = detail`), where it is in hexadecimal and in parts.
pub(super) fn decode_backup(content: &str) -> String {
    let parts = content.lines().filter_map(|line| line.split_once('='));
    let parts = parts.filter(|(key, _)| {
        key.trim()
            .strip_prefix("Text")
            .is_some_and(|digits| digits.chars().all(|c| c.is_ascii_digit()))
    });
    parts
        .filter_map(|(_, hex)| HEXUPPER_PERMISSIVE.decode(hex.trim().as_bytes()).ok())
        .map(|wide| utf16(&wide))
        .collect()
}

fn utf16(wide: &[u8]) -> String {
    let units = wide
        .chunks_exact(2)
        .filter_map(|pair| <[u8; 2]>::try_from(pair).ok())
        .map(u16::from_be_bytes);
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_received_message_is_read_in_each_of_the_three_formats() {
        assert_eq!(decode_text(b"\xfe\xff\0R\0\xe9\x67\x71"), "Ré東");
        assert_eq!(decode_text("Ré".as_bytes()), "Ré");
        assert_eq!(
            decode_backup("[SMSBackup000]\nText00 = 00520065\nText01 = 0071\nTextX = 0071\n"),
            "Req"
        );
    }
}
