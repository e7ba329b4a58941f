//! Account strings: several settings in one text, as `PxPlus` has them.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroizing;

use super::{built_in, own};

/// A text is no account string of this provider. None of the texts hold a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAccount {
    /// Nobody says what the fields would be.
    #[error("{0} has no account strings; give its settings one by one")]
    None(String),
    /// More or fewer fields than there are.
    #[error("an account string of {kind} is {}, with semicolons in between", .fields.join(";"))]
    Fields {
        /// The provider's kind.
        kind: String,
        /// The settings in their order.
        fields: Vec<String>,
    },
}

/// The settings in the account string `text` of the provider `kind` (a name or an alias). Fields at the end may be
/// left out where the settings may. `own` is the folder with an administrator's data files.
pub fn account(
    kind: &str,
    text: &str,
    own: &Path,
) -> Result<BTreeMap<String, Zeroizing<String>>, BadAccount> {
    let (own, _) = own::load(own);
    let mut all = own.into_iter().map(|(_, own)| own).chain(built_in());
    let description =
        all.find(|one| one.name == kind || one.aliases.iter().any(|alias| alias == kind));
    let description = description.filter(|description| !description.account.is_empty());
    let description = description.ok_or_else(|| BadAccount::None(kind.to_owned()))?;
    let fields = &description.account;
    let given: Vec<_> = text.trim().split(';').map(str::trim).collect();
    let settings = description.kind().settings;
    let is_required = |name: &String| {
        settings
            .iter()
            .any(|setting| setting.name == *name && setting.required)
    };
    let is_missing = |(index, name): (usize, &String)| {
        is_required(name) && given.get(index).is_none_or(|field| field.is_empty())
    };
    if given.len() > fields.len() || fields.iter().enumerate().any(is_missing) {
        return Err(BadAccount::Fields {
            kind: description.name.clone(),
            fields: fields.clone(),
        });
    }
    let pairs = fields
        .iter()
        .zip(given)
        .filter(|(_, value)| !value.is_empty());
    Ok(pairs
        .map(|(name, value)| (name.clone(), Zeroizing::new(value.to_owned())))
        .collect())
}
