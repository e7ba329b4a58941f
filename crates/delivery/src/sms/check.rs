//! Checks a data file without using it.

use std::path::Path;

use super::data_file::{built_in, custom};
use super::http;
use super::kinds::kind;
use crate::provider::{BadProvider, ProviderKind, Setting};

/// What a data file describes.
#[derive(Debug, Clone)]
pub struct DataFileReport {
    /// The kind of provider it defines.
    pub kind: ProviderKind,
    /// A request that sends a message, for people. Secrets are masked.
    pub sample: String,
    /// Why the file would not be used where it is now, and which built-in kinds it replaces.
    pub warnings: Vec<String>,
}

/// Reads the data file `file` and builds a sample request from it. Sends nothing.
pub fn check_file(file: &Path) -> Result<DataFileReport, BadProvider> {
    let (data_file, not_used) = custom::read(file)?;
    let settings: Vec<_> = data_file
        .all_settings()
        .iter()
        .map(|setting| (setting.name.clone(), example(setting)))
        .collect();
    let sample = http::sample(&data_file, &settings).map_err(|why| BadProvider::File {
        file: file.display().to_string(),
        why,
    })?;
    let mut warnings: Vec<_> = not_used.into_iter().collect();
    let replaced = built_in::data_files().filter(|built_in| built_in.shares_name(&data_file));
    warnings
        .extend(replaced.map(|replaced| format!("it replaces the built-in '{}'", replaced.name)));
    Ok(DataFileReport {
        kind: kind(data_file),
        sample,
        warnings,
    })
}

/// An example value of `setting`; a mask for a secret.
fn example(setting: &Setting) -> String {
    match (&setting.default, setting.secret) {
        (_, true) => "********".to_owned(),
        (Some(default), false) => default.clone(),
        (None, false) => setting.name.clone(),
    }
}
