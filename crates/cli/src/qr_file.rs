//! The QR code of a key in a file (`--qr-file`).

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use png::{BitDepth, ColorType, Encoder};
use qrcode::render::svg;
use twofa_broker::Failure;
use twofa_broker::qr::{QUIET_ZONE, QrPicture};

use crate::error::CommandError;
use crate::invoker::as_invoker;
use crate::messages::enrol as messages;

/// Pixels of a module on each side.
const SCALE: usize = 8;

/// Where a picture goes, and as what.
#[derive(Debug, Clone)]
pub struct QrPath {
    path: PathBuf,
    format: Format,
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Png,
    Svg,
}

/// A file for a picture. One that is not written is removed.
#[derive(Debug)]
pub(crate) struct QrFile {
    target: QrPath,
    file: File,
    is_written: bool,
}

impl QrPath {
    /// The file called `name`, which says by its end what it is.
    pub(crate) fn read(name: OsString) -> Result<Self, &'static str> {
        let path = PathBuf::from(name);
        let end = path.extension().and_then(|end| end.to_str());
        let format = match end.map(str::to_ascii_lowercase).as_deref() {
            Some("png") => Format::Png,
            Some("svg") => Format::Svg,
            _ => return Err(messages::NEITHER_PNG_NOR_SVG),
        };
        Ok(Self { path, format })
    }

    /// Creates the file, for the person who runs this alone, with their rights. What is there already is not touched, and a link is not followed.
    pub(crate) fn create(self) -> Result<QrFile, CommandError> {
        let create = || {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            options.open(&self.path)
        };
        match as_invoker(create) {
            Ok(file) => Ok(QrFile {
                target: self,
                file,
                is_written: false,
            }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let message = messages::exists(&self.path);
                Err(CommandError::new(Failure::Failed, message).hinted(messages::ANOTHER_NAME))
            }
            Err(error) => {
                let message = messages::not_created(&self.path, &error);
                Err(CommandError::new(Failure::Failed, message))
            }
        }
    }
}

impl QrFile {
    pub(crate) fn path(&self) -> &Path {
        &self.target.path
    }

    pub(crate) const fn is_written(&self) -> bool {
        self.is_written
    }

    /// Writes `link` as a picture; `false`: it is too long for one.
    pub(crate) fn write(&mut self, link: &str) -> io::Result<bool> {
        let Some(picture) = QrPicture::new(link) else {
            return Ok(false);
        };
        match self.target.format {
            Format::Png => write_png(&picture, &mut self.file)?,
            Format::Svg => write_svg(&picture, &mut self.file)?,
        }
        self.file.flush()?;
        self.is_written = true;
        Ok(true)
    }
}

impl Drop for QrFile {
    fn drop(&mut self) {
        if !self.is_written {
            // Root without a broker has become the service's user by now and may not be able to. The file is empty.
            let _ = as_invoker(|| fs::remove_file(&self.target.path));
        }
    }
}

/// One bit for each pixel, 1 for white.
fn write_png(picture: &QrPicture, file: &mut File) -> io::Result<()> {
    let code = picture.code();
    let side = (code.width() + 2 * QUIET_ZONE) * SCALE;
    let pixels = u32::try_from(side).map_err(io::Error::other)?;
    let is_dark = |x: usize, y: usize| {
        let module = |at: usize| (at / SCALE).checked_sub(QUIET_ZONE);
        let inside = |at: &usize| *at < code.width();
        let place = module(x).filter(inside).zip(module(y).filter(inside));
        place.is_some_and(|place| code[place] == qrcode::Color::Dark)
    };
    let mut rows = Vec::with_capacity(side * side.div_ceil(8));
    for y in 0..side {
        for first in (0..side).step_by(8) {
            rows.push(
                (first..first + 8).fold(0_u8, |byte, x| byte << 1 | u8::from(!is_dark(x, y))),
            );
        }
    }
    let mut encoder = Encoder::new(file, pixels, pixels);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    let mut writer = encoder.write_header().map_err(io::Error::other)?;
    writer.write_image_data(&rows).map_err(io::Error::other)?;
    writer.finish().map_err(io::Error::other)
}

fn write_svg(picture: &QrPicture, file: &mut File) -> io::Result<()> {
    let mut renderer = picture.code().render::<svg::Color<'_>>();
    let scale = u32::try_from(SCALE).map_err(io::Error::other)?;
    renderer.quiet_zone(true).module_dimensions(scale, scale);
    file.write_all(renderer.build().as_bytes())
}
