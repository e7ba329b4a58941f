//! Policy and classes as a TOML document, to be kept and carried to other machines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use twofa_core::policy::{BadSetting, KEYS, Policy};
use twofa_core::rulebook::{BadRulebook, Rulebook};
use twofa_core::{Class, Group};

/// Why a document is not a valid policy.
#[derive(Debug, thiserror::Error)]
pub enum BadDocument {
    /// It is not TOML, or not of this form.
    #[error("{}", .0.to_string().trim())]
    Form(#[from] toml::de::Error),
    /// It does not say the mode.
    #[error("[policy] has no mode: a file without one would ask nobody")]
    NoMode,
    /// A setting of the machine's.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// Something in a class.
    #[error(transparent)]
    Rulebook(#[from] BadRulebook),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    policy: BTreeMap<String, String>,
    #[serde(default, rename = "class", skip_serializing_if = "Vec::is_empty")]
    classes: Vec<ClassDocument>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ClassDocument {
    name: String,
    group: String,
    #[serde(flatten)]
    settings: BTreeMap<String, String>,
}

/// `rulebook` as a document. Groups are in it by name: a gid may be another on another machine.
pub fn write(rulebook: &Rulebook) -> Result<String, toml::ser::Error> {
    let class = |class: &Class| ClassDocument {
        name: class.name.clone(),
        group: class.group.name.clone(),
        settings: class.settings.iter().cloned().collect(),
    };
    toml::to_string(&Document {
        policy: KEYS
            .iter()
            .map(|key| (key.name.to_owned(), key.value(rulebook.machine())))
            .collect(),
        classes: rulebook.classes().iter().map(class).collect(),
    })
}

/// Parses a document into a rulebook.
pub fn read(text: &str) -> Result<Rulebook, BadDocument> {
    let Document { policy, classes } = toml::from_str(text)?;
    if !policy.contains_key("mode") {
        return Err(BadDocument::NoMode);
    }
    let settings = policy
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let machine = Policy::from_settings(settings)?;
    let classes = classes.into_iter().map(|class| Class {
        name: class.name,
        group: Group::called(class.group),
        settings: class.settings.into_iter().collect(),
    });
    Ok(Rulebook::new(machine, classes.collect())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rulebook() -> Rulebook {
        let policy =
            Policy::from_settings([("mode", "optional"), ("application-name", "Büro \"7\"")])
                .unwrap();
        let class = Class {
            name: "admins".into(),
            group: Group::called("sudo"),
            settings: vec![
                ("mode".into(), "mandatory".into()),
                ("trust.remote".into(), "1d".into()),
            ],
        };
        Rulebook::new(policy, vec![class]).unwrap()
    }

    #[test]
    fn what_is_exported_applies_as_it_was() {
        let text = write(&rulebook()).unwrap();
        assert_eq!(read(&text).unwrap(), rulebook());
    }

    #[test]
    fn an_invalid_document_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "missing field `policy`"),
            ("[policy]", "[policy] has no mode"),
            ("[policy]\nmode = \"maybe\"", "mode cannot be 'maybe'"),
            (
                "[policy]\nmode = \"optional\"\nmoed = \"optional\"",
                "no setting called 'moed'",
            ),
            ("[policy]\nmode = 3", "invalid type"),
            (
                "[policy]\nmode = \"optional\"\n[[class]]\nname = \"a\"",
                "missing field `group`",
            ),
            (
                "[policy]\nmode = \"optional\"\n[[class]]\nname = \"a\"\ngroup = \"a\"\nno = \"3\"",
                "no setting called 'no'",
            ),
            (
                "[policy]\nmode = \"optional\"\n[[klass]]",
                "unknown field `klass`",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
