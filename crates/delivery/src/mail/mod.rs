//! E-mail: SMTP, the machine's own `sendmail`, and what a mail looks like.

use crate::provider::{BadProvider, Configuration, Kind, Places, Provider};

/// The kinds of providers that are reached by e-mail; a gateway from e-mail to SMS among them.
pub fn kinds() -> Vec<Kind> {
    Vec::new()
}

/// Whether the kind `name` is one of [`kinds`].
pub(crate) fn has_kind(name: &str) -> bool {
    kinds().iter().any(|kind| kind.name == name)
}

/// Opens an e-mail provider of this `kind`.
pub(crate) fn open(
    kind: &Kind,
    _configuration: &Configuration,
    _places: &Places,
) -> Result<Box<dyn Provider>, BadProvider> {
    Err(BadProvider::UnknownKind(kind.name.clone()))
}
