//! Reads QR codes, as the camera of a phone does. Decoding is left to zbarimg, which, as some apps do, reads no inverted
//! code.

use std::io::Write;
use std::process::Command;

/// The content of the QR code in a picture in Netpbm's PGM, if there is one that can be read.
pub(crate) fn read_pgm(picture: &[u8]) -> Option<String> {
    let mut file = tempfile::Builder::new()
        .suffix(".pgm")
        .tempfile()
        .expect("a temporary file");
    file.write_all(picture).unwrap();
    let output = Command::new("zbarimg")
        .args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"])
        .arg(file.path())
        .output();
    let output = output.expect("zbarimg is installed");
    let text = String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use crate::window::{Theme, Window};

    const LINK: &str = "otpauth://totp/vm:alice@vm?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn read(output: &str, theme: Theme) -> Option<String> {
        super::read_pgm(&Window::after(output.as_bytes(), 80, 30, theme).picture())
    }

    /// The code as qrencode draws it for dark terminals.
    fn drawn() -> String {
        let output = Command::new("qrencode")
            .args(["-t", "UTF8", "-m", "2", LINK])
            .output();
        let drawn = output.expect("qrencode is installed").stdout;
        String::from_utf8(drawn).unwrap().replace('\n', "\r\n")
    }

    #[test]
    fn a_code_is_read_whatever_words_are_around_it() {
        let screen = format!("(alice@vm) Scan this:\r\n{}Code: ", drawn());
        assert_eq!(read(&screen, Theme::Dark).as_deref(), Some(LINK));
    }

    #[test]
    fn an_inverted_code_and_no_code_are_not_read() {
        assert_eq!(read(&drawn(), Theme::Light), None);
        assert_eq!(read("Password: ", Theme::Dark), None);
    }
}
