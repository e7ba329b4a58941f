//! All kinds of SMS providers: built-in data files, an administrator's, and the modem.

use std::path::Path;
use std::sync::Arc;
use twofa_core::Channel;

use super::data_file::{DataFile, built_in, custom};
use super::gammu;
use super::http::HttpProvider;
use crate::provider::{BadProvider, ConfigDirs, Provider, ProviderConfig, ProviderKind};
use crate::templates::Templates;

/// The kinds of SMS providers, and what is wrong with data files in the directory `custom`. The names of the `reserved`
/// kinds are not available to data files.
///
/// A custom file replaces the built-in kind with the same name or alias, so that a change in a provider's interface can
/// be fixed without a release.
pub(crate) fn kinds(
    custom: &Path,
    reserved: &[ProviderKind],
) -> (Vec<ProviderKind>, Vec<BadProvider>) {
    let (custom, bad) = custom::load(custom, reserved);
    let mut kinds: Vec<_> = built_in::data_files()
        .filter(|built_in| !custom.iter().any(|custom| custom.shares_name(built_in)))
        .map(kind)
        .collect();
    let modem = gammu::kind();
    if !custom
        .iter()
        .any(|custom| custom.names().any(|name| modem.is_called(name)))
    {
        kinds.push(modem);
    }
    kinds.extend(custom.into_iter().map(kind));
    (kinds, bad)
}

/// The kind of provider that `data_file` describes.
pub(super) fn kind(data_file: DataFile) -> ProviderKind {
    let data_file = Arc::new(data_file);
    let opened = Arc::clone(&data_file);
    let open = move |kind: &ProviderKind, config: &ProviderConfig, dirs: &ConfigDirs| {
        let templates = Templates::load(&dirs.templates);
        let provider = HttpProvider::open(Arc::clone(&opened), kind, config, templates)?;
        Ok(Box::new(provider) as Box<dyn Provider>)
    };
    ProviderKind {
        aliases: data_file.aliases.clone(),
        account: data_file.account.clone(),
        sms: Some(data_file.features()),
        ..ProviderKind::new(
            &data_file.name,
            &data_file.title,
            Channel::Sms,
            data_file.all_settings(),
            open,
        )
    }
}
