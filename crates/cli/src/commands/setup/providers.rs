//! The providers of a file of answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use twofa_broker::admin::providers;
use twofa_broker::admin::providers::settings::{Values, parse_secrets};
use twofa_broker::privileges;
use zeroize::Zeroizing;

use super::commands;
use super::document::{About, Change, Document};
use crate::error::CommandError;
use crate::messages::setup as texts;
use crate::{input, invoker};

/// A provider. Its secrets stand in a file of their own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Provider {
    name: Spanned<String>,
    kind: Spanned<String>,
    #[serde(default)]
    settings: BTreeMap<String, Spanned<toml::Value>>,
    secrets_file: Option<Spanned<PathBuf>>,
    /// Whether it is tested before it is saved; an image may be built where no server is in reach.
    #[serde(default = "yes")]
    test: bool,
}

const fn yes() -> bool {
    true
}

/// As `twofa provider show` prints it.
#[derive(Deserialize)]
struct Stored {
    kind: Option<String>,
    settings: BTreeMap<String, Zeroizing<String>>,
}

#[derive(Deserialize)]
struct Listed {
    provider: String,
}

/// The command that adds or changes the provider; `None`: it is as it should be.
pub(super) fn plan(
    document: &Document<'_>,
    provider: &Provider,
) -> Result<Option<Change>, CommandError> {
    let kind = providers::kind(provider.kind.get_ref())
        .map_err(|error| document.wrong(&provider.kind.span(), &error.to_string()))?;
    let mut wanted = secrets(document, provider)?;
    for name in wanted.keys() {
        if kind.setting(name).is_none()
            && let Some(file) = &provider.secrets_file
        {
            return Err(document.wrong(&file.span(), &texts::unknown_secret(&kind.name)));
        }
    }
    for (name, value) in &provider.settings {
        let wrong = |why: &str| document.wrong(&value.span(), why);
        match kind.setting(name) {
            None => return Err(wrong(&texts::unknown_setting(&kind.name, name))),
            Some(setting) if setting.secret => return Err(wrong(&texts::secret_shown(name))),
            Some(_) => {}
        }
        let text = text(value.get_ref()).ok_or_else(|| wrong(texts::NOT_A_VALUE))?;
        wanted.insert(name.clone(), Zeroizing::new(text));
    }
    let missing = kind.settings.iter().find(|setting| {
        setting.required && setting.default.is_none() && !wanted.contains_key(&setting.name)
    });
    if let Some(missing) = missing {
        let why = texts::missing(&kind.name, &missing.name);
        return Err(document.wrong(&provider.name.span(), &why));
    }
    change(document, provider, &kind.name, &wanted)
}

/// A setting's value as the command line takes it.
fn text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        _ => None,
    }
}

fn secrets(document: &Document<'_>, provider: &Provider) -> Result<Values, CommandError> {
    let Some(file) = &provider.secrets_file else {
        return Ok(Values::new());
    };
    let wrong = |why: &dyn std::fmt::Display| document.wrong(&file.span(), &why.to_string());
    // As in other files of settings, a relative path begins where the file is.
    let folder = document.file.parent().unwrap_or(Path::new(""));
    let path = folder.join(file.get_ref());
    let text = input::read(&path).map_err(|error| match invoker::name() {
        Some(name) => wrong(&error).hinted(texts::secrets_by(&name)),
        None => wrong(&error),
    })?;
    parse_secrets(&text).map_err(|error| wrong(&format!("{}: {error}", path.display())))
}

fn change(
    document: &Document<'_>,
    provider: &Provider,
    kind: &str,
    wanted: &Values,
) -> Result<Option<Change>, CommandError> {
    let name = provider.name.get_ref();
    let listed: Vec<Listed> = commands::read(&["provider", "list"])?;
    let is_known = listed.iter().any(|listed| listed.provider == *name);
    let mut command = vec!["provider".to_owned()];
    if is_known {
        // What is compared holds secrets.
        privileges::harden()?;
        let stored: Stored = commands::read(&["provider", "show", name, "--reveal"])?;
        if stored.kind.as_deref() != Some(kind) {
            return Err(document.wrong(&provider.kind.span(), &texts::other_kind(name)));
        }
        let is_set =
            |(key, value): (&String, &Zeroizing<String>)| stored.settings.get(key) == Some(value);
        if wanted.iter().all(is_set) {
            return Ok(None);
        }
        command.extend(["set".to_owned(), name.clone()]);
    } else {
        command.extend(["add".to_owned(), name.clone(), kind.to_owned()]);
    }
    let mut input = Zeroizing::new(String::new());
    for (key, value) in wanted {
        if provider.settings.contains_key(key) {
            command.push(format!("{key}={}", value.as_str()));
        } else {
            input.push_str(&format!("{key}={}\n", value.as_str()));
        }
    }
    command.extend(["--secrets-from".to_owned(), "-".to_owned()]);
    if !provider.test {
        command.push("--no-test".to_owned());
    }
    Ok(Some(Change {
        command,
        input,
        span: provider.name.span(),
        about: About::Providers,
    }))
}
