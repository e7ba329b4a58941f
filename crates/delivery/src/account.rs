//! Account strings: the settings of a provider in one text with semicolons, as `PxPlus` writes them.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::provider::ProviderKind;

/// Why a text is not an account string of a kind. No variant contains any part of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAccount {
    /// The kind has no account strings.
    #[error("{0} has no account strings; give its settings one by one")]
    Unsupported(String),
    /// The text has too many fields, or a required one is empty.
    #[error(
        "an account string of {kind} has the form {}, with semicolons between the fields",
        .fields.join(";")
    )]
    Fields {
        /// The kind's name.
        kind: String,
        /// The names of the settings in their order.
        fields: Vec<String>,
    },
}

impl ProviderKind {
    /// Whether the kind has account strings.
    pub fn has_account(&self) -> bool {
        !self.account.is_empty()
    }

    /// The settings in the account string `text`. Fields of settings that are not required may be empty or, at the end,
    /// left out.
    pub fn parse_account(
        &self,
        text: &str,
    ) -> Result<BTreeMap<String, Zeroizing<String>>, BadAccount> {
        if !self.has_account() {
            return Err(BadAccount::Unsupported(self.name.clone()));
        }
        let given: Vec<_> = text.trim().split(';').map(str::trim).collect();
        let is_missing = |(index, name): (usize, &String)| {
            let is_required = self.setting(name).is_some_and(|setting| setting.required);
            is_required && given.get(index).is_none_or(|field| field.is_empty())
        };
        if given.len() > self.account.len() || self.account.iter().enumerate().any(is_missing) {
            return Err(BadAccount::Fields {
                kind: self.name.clone(),
                fields: self.account.clone(),
            });
        }
        let pairs = self.account.iter().zip(given);
        Ok(pairs
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.clone(), Zeroizing::new(value.to_owned())))
            .collect())
    }
}
