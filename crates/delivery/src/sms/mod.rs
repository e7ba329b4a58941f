//! Text messages: one engine, and a data file for each provider.

use std::path::Path;

use crate::provider::{BadProvider, Configuration, Kind, Places, Provider};

/// The kinds of SMS providers, the built-in ones and those in the folder `own`; and what is wrong with files there.
pub fn kinds(_own: &Path) -> (Vec<Kind>, Vec<BadProvider>) {
    (Vec::new(), Vec::new())
}

/// Opens an SMS provider of this `kind`.
pub(crate) fn open(
    kind: &Kind,
    _configuration: &Configuration,
    _places: &Places,
) -> Result<Box<dyn Provider>, BadProvider> {
    Err(BadProvider::UnknownKind(kind.name.clone()))
}
