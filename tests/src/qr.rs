//! The phone's camera: reads the QR code on a screen.

use std::io::Write;
use std::process::Command;

/// Pixels of the picture for each module, so that zbar has edges to find.
const SCALE: usize = 6;

/// Modules of quiet zone around the code (ISO/IEC 18004 §6.3.8), in case the screen has less.
const QUIET: usize = 4;

const BLOCKS: [char; 4] = [' ', '▀', '▄', '█'];

/// The content of the QR code on a screen. It is drawn with half blocks; the blocks are the light modules, because
/// terminals are dark. Text around it, such as a prompt, is ignored.
///
/// # Panics
///
/// If there is none, or zbarimg cannot read it.
#[track_caller]
pub fn decode_qr(screen: &str) -> String {
    let rows = modules(screen);
    assert!(!rows.is_empty(), "no QR code on this screen:\n{screen}");
    let mut picture = tempfile::Builder::new()
        .suffix(".pgm")
        .tempfile()
        .expect("a temporary file");
    picture.write_all(&draw(&rows)).unwrap();
    let output = Command::new("zbarimg")
        .args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"])
        .arg(picture.path())
        .output();
    let output = output.expect("zbarimg is installed");
    let text = String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned();
    assert!(
        output.status.success() && !text.is_empty(),
        "zbarimg cannot read the QR code on this screen:\n{screen}"
    );
    text
}

/// The rows of modules of the longest run of lines made of blocks, `true` for light.
fn modules(screen: &str) -> Vec<Vec<bool>> {
    let lines: Vec<&str> = screen.lines().collect();
    let code = lines
        .split(|line| !is_of_blocks(line))
        .max_by_key(|run| run.len())
        .unwrap_or_default();
    let width = code
        .iter()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0);
    let mut rows = Vec::new();
    for line in code {
        let cells: Vec<char> = line
            .chars()
            .chain(std::iter::repeat(' '))
            .take(width)
            .collect();
        rows.push(cells.iter().map(|cell| matches!(cell, '▀' | '█')).collect());
        rows.push(cells.iter().map(|cell| matches!(cell, '▄' | '█')).collect());
    }
    rows
}

fn is_of_blocks(line: &str) -> bool {
    line.chars().any(|cell| cell != ' ') && line.chars().all(|cell| BLOCKS.contains(&cell))
}

/// A picture in Netpbm's PGM, with a light border.
fn draw(rows: &[Vec<bool>]) -> Vec<u8> {
    let (width, height) = (rows[0].len() + 2 * QUIET, rows.len() + 2 * QUIET);
    let mut picture = format!("P5 {} {} 255\n", width * SCALE, height * SCALE).into_bytes();
    for y in 0..height * SCALE {
        for x in 0..width * SCALE {
            let module = |at: usize| (at / SCALE).checked_sub(QUIET);
            let cell = module(y)
                .zip(module(x))
                .and_then(|(y, x)| rows.get(y)?.get(x));
            picture.push(if cell.copied().unwrap_or(true) {
                0xff
            } else {
                0
            });
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::decode_qr;

    const URL: &str = "otpauth://totp/vm:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=vm";

    fn drawn() -> String {
        let output = Command::new("qrencode")
            .args(["-t", "UTF8", "-m", "2", URL])
            .output();
        String::from_utf8(output.expect("qrencode is installed").stdout).unwrap()
    }

    #[test]
    fn a_code_on_a_dark_terminal_is_read() {
        assert_eq!(decode_qr(&drawn()), URL);
    }

    #[test]
    fn the_words_around_it_do_not_matter() {
        assert_eq!(
            decode_qr(&format!(
                "(alice@vm) Scan this:\n{}\nKey: GEZD GNBV\n\nCode: ",
                drawn()
            )),
            URL
        );
    }

    #[test]
    #[should_panic(expected = "no QR code")]
    fn a_screen_without_a_qr_code_is_reported() {
        decode_qr("Password: ");
    }
}
