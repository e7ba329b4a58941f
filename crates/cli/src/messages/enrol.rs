//! What `twofa enrol app` says about the QR code of a key.

use std::io;
use std::path::Path;

/// Stands above the picture.
pub(crate) const SCAN: &str = "Or scan this:\n";

/// The terminal has no colours.
pub(crate) const NO_COLOURS: &str =
    "This terminal cannot show a QR code: --qr-file FILE.png writes one to a file.\n";

/// The link is longer than a QR code can be.
pub(crate) const TOO_LONG: &str = "The link is too long for a QR code: enter the key.\n";

/// The picture needs more columns and lines than the window has; `has_blocks`: it is drawn in half blocks.
pub(crate) fn does_not_fit(
    needed: (usize, usize),
    window: (usize, usize),
    has_blocks: bool,
) -> String {
    let ((columns, lines), (width, height)) = (needed, window);
    let half = if has_blocks {
        ""
    } else {
        "In a UTF-8 locale (LC_ALL=C.UTF-8) it takes half as many.\n"
    };
    format!(
        "The QR code needs a window of {columns} columns and {lines} lines; this one has {width} and {height}.\n{half}\
         To see it, press Enter, enlarge the window and run the command again: the key\n\
         stays the same. Or write it to a file with --qr-file FILE.png.\n"
    )
}

/// The name of a file for the picture does not say what it is.
pub(crate) const NEITHER_PNG_NOR_SVG: &str = "the name must end in .png or .svg";

/// Something has the name of the file already.
pub(crate) fn exists(file: &Path) -> String {
    format!("'{}' exists and is left as it is", shown(file))
}

/// What to do about that.
pub(crate) const ANOTHER_NAME: &str = "remove it or give another name";

/// The file cannot be created.
pub(crate) fn not_created(file: &Path, error: &io::Error) -> String {
    format!("cannot create '{}': {error}", shown(file))
}

/// The picture is in the file.
pub(crate) fn written_to(file: &Path) -> String {
    format!(
        "The QR code is in '{}'.\nThat file holds the key: remove it when you have scanned it.\n",
        shown(file)
    )
}

/// The picture is no longer needed.
pub(crate) fn remove(file: &Path) -> String {
    format!("Remove '{}' now: it holds the key.", shown(file))
}

fn shown(file: &Path) -> String {
    twofa_core::text::printable(&file.display().to_string())
}
