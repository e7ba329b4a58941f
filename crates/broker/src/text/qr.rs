//! A QR code as text.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use zeroize::Zeroizing;

/// `text` as a QR code in half blocks, two modules to a character, with its quiet zone; `None` when it is
/// too long for one.
///
/// Light modules are drawn and dark ones left blank, because most terminals are light on dark. Scanners read inverted codes
/// as well.
pub(crate) fn half_blocks(text: &str) -> Option<Zeroizing<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let image = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Some(Zeroizing::new(image))
}
