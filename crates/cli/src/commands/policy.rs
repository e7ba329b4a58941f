//! `twofa policy`.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use twofa_broker::{Broker, accounts, clock};
use twofa_core::policy::{KEYS, Policy};
use twofa_core::rulebook::{BadRulebook, Change, Rulebook};
use twofa_core::{Class, Group};
use twofa_delivery::sms;
use twofa_proto::Failure;
use twofa_store::StoreError;

use super::checks;
use super::{by_root, confirm, losses};
use crate::arguments::{Confirmation, PolicyCommand};
use crate::error::CommandError;
use crate::output::Output;
use crate::{client, output};

pub(crate) fn run(command: &PolicyCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("see or change the policy"));
    }
    // A file is opened as root, before the store is opened as the service.
    match command {
        PolicyCommand::Show => show(&client::open()?, output),
        PolicyCommand::Set {
            settings,
            confirmation,
        } => set(&client::open()?, settings, *confirmation),
        PolicyCommand::Export => export(&client::open()?),
        PolicyCommand::Apply {
            file,
            dry_run,
            confirmation,
        } => {
            let wanted = read(file)?;
            let broker = client::open()?;
            let before = in_force(&broker)?;
            let wanted = with_gids(wanted, before.as_ref());
            if *dry_run {
                confirm::warn(&new_warnings(&broker, before.as_ref(), &wanted)?)?;
                confirm::warn(&new_remarks(before.as_ref(), &wanted))?;
                let changes = before.unwrap_or_default().changes_to(&wanted);
                return tell(
                    &changes,
                    "Nothing would change: the policy is that already.",
                );
            }
            replace(&broker, before.as_ref(), &wanted, *confirmation)
        }
    }
}

fn show(broker: &Broker, output: Output) -> Result<(), CommandError> {
    let rulebook = broker.store().rulebook()?;
    let policy = rulebook.machine();
    let object: BTreeMap<_, _> = KEYS
        .iter()
        .map(|key| (key.name, key.value(policy)))
        .collect();
    output.object(&object, |out| {
        if !output.is_terminal() {
            // What 'policy set' takes.
            return KEYS
                .iter()
                .try_for_each(|key| writeln!(out, "{}={}", key.name, key.value(policy)));
        }
        let mut table = output::table(&["SETTING", "VALUE", "MEANING"]);
        for key in &KEYS {
            let value = key.value(policy);
            let value = match (value.as_str(), key.name) {
                ("", "application-name") => "(host name)",
                ("", "fallback.sms-to-email") => "(as methods)",
                ("", "phone.countries") => "(as phone.country)",
                ("", _) => "(none)",
                (value, _) => value,
            };
            table.add_row([key.name, value, &format!("{} ({})", key.help, key.values())]);
        }
        writeln!(out, "{}", table.trim_fmt())?;
        match rulebook.classes().len() {
            0 => Ok(()),
            1 => writeln!(
                out,
                "\n1 class has settings of its own: see 'twofa class list'."
            ),
            n => writeln!(
                out,
                "\n{n} classes have settings of their own: see 'twofa class list'."
            ),
        }
    })
}

fn set(
    broker: &Broker,
    settings: &[(String, String)],
    confirmation: Confirmation,
) -> Result<(), CommandError> {
    let settings = || {
        settings
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    };
    let wanted = broker.store().preview_policy(settings())?;
    agree(broker, in_force(broker)?.as_ref(), &wanted, confirmation)?;
    let changes = broker
        .store()
        .change_policy(settings(), &by_root(), clock::now())?;
    tell(&changes, "Nothing to change: the policy is that already.")
}

/// The rulebook in force; `None`: what is stored is broken, and may be replaced by one that is not.
fn in_force(broker: &Broker) -> Result<Option<Rulebook>, CommandError> {
    match broker.store().rulebook() {
        Ok(rulebook) => Ok(Some(rulebook)),
        Err(StoreError::BrokenPolicy(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// `wanted` with the gids of its groups: as the name service has them now, else as they were known `before`.
fn with_gids(wanted: Rulebook, before: Option<&Rulebook>) -> Rulebook {
    let before: Vec<_> = before
        .into_iter()
        .flat_map(Rulebook::classes)
        .map(|class| class.group.clone())
        .collect();
    wanted.with_groups(|group| match accounts::group(&group.name) {
        Ok(found) => found.unwrap_or_else(|| group.clone()),
        Err(_) => known(&before, &group.name),
    })
}

/// The group called `name` as one of `groups`, or without a gid.
pub(crate) fn known(groups: &[Group], name: &str) -> Group {
    groups
        .iter()
        .find(|group| group.name == name)
        .cloned()
        .unwrap_or_else(|| Group::called(name))
}

/// Puts `wanted` in the place of `before`, if nobody minds, and tells what changed.
pub(crate) fn replace(
    broker: &Broker,
    before: Option<&Rulebook>,
    wanted: &Rulebook,
    confirmation: Confirmation,
) -> Result<(), CommandError> {
    agree(broker, before, wanted, confirmation)?;
    let changes = broker
        .store()
        .replace_rulebook(before, wanted, &by_root(), clock::now())?;
    tell(&changes, "Nothing to change: the policy is that already.")
}

/// What `wanted` could do to people that `before` does not.
fn new_warnings(
    broker: &Broker,
    before: Option<&Rulebook>,
    wanted: &Rulebook,
) -> Result<Vec<String>, CommandError> {
    let carried = checks::carried(&broker.store().providers()?);
    let warnings =
        |rulebook: &Rulebook| [rulebook.warnings(), checks::warnings(carried, rulebook)].concat();
    let known = before.map(warnings).unwrap_or_default();
    let mut warnings = warnings(wanted);
    warnings.retain(|warning| !known.contains(warning));
    warnings.extend(losses::warnings(broker, before, wanted)?);
    for Class { name, group, .. } in wanted.classes() {
        // Nothing of it is new; 'doctor' tells.
        let is_kept = |class: &Class| class.name == *name && class.group.name == group.name;
        if before.is_some_and(|before| before.classes().iter().any(is_kept)) {
            continue;
        }
        // A name service that fails is no reason to ask; logins take the strictest class that could apply meanwhile.
        if matches!(accounts::group(&group.name), Ok(None)) {
            warnings.push(format!(
                "class '{name}' holds for nobody: there is no group '{group}'"
            ));
        }
    }
    Ok(warnings)
}

/// What of `wanted` means more than it seems to, or less, and was not so before.
fn new_remarks(before: Option<&Rulebook>, wanted: &Rulebook) -> Vec<String> {
    let known = before.map(remarks).unwrap_or_default();
    remarks(wanted)
        .into_iter()
        .filter(|remark| !known.contains(remark))
        .collect()
}

fn remarks(rulebook: &Rulebook) -> Vec<String> {
    let policies = rulebook.policies().map(|(_, policy)| policy);
    let mut unknown: Vec<_> = policies
        .flat_map(|policy| {
            policy
                .phone_country
                .into_iter()
                .chain(policy.phone_countries)
        })
        .filter(|country| !sms::is_country(country))
        .map(|country| format!("'{country}' is no country: no phone number is one of it"))
        .collect();
    unknown.sort();
    unknown.dedup();
    [rulebook.remarks(), unknown].concat()
}

/// Warns of what `wanted` could do, and asks whether to go on.
fn agree(
    broker: &Broker,
    before: Option<&Rulebook>,
    wanted: &Rulebook,
    confirmation: Confirmation,
) -> Result<(), CommandError> {
    confirm::warn(&new_remarks(before, wanted))?;
    confirm::agree(&new_warnings(broker, before, wanted)?, confirmation)
}

/// Tells `changes` one by one.
fn tell(changes: &[Change], nothing: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    if changes.is_empty() {
        writeln!(out, "{nothing}")?;
    }
    let shown = |value: &Option<String>| {
        value
            .as_ref()
            .map_or("nothing".to_owned(), |value| format!("'{value}'"))
    };
    for Change { what, from, to } in changes {
        writeln!(out, "{what}: {} → {}", shown(from), shown(to))?;
    }
    Ok(())
}

/// Policy and classes as a TOML document.
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

fn export(broker: &Broker) -> Result<(), CommandError> {
    let text = to_toml(&broker.store().rulebook()?)?;
    Ok(io::stdout().write_all(text.as_bytes())?)
}

fn to_toml(rulebook: &Rulebook) -> Result<String, CommandError> {
    let class = |class: &Class| ClassDocument {
        name: class.name.clone(),
        // Not its gid, which may be another on another machine.
        group: class.group.name.clone(),
        settings: class.settings.iter().cloned().collect(),
    };
    let document = Document {
        policy: KEYS
            .iter()
            .map(|key| (key.name.to_owned(), key.value(rulebook.machine())))
            .collect(),
        classes: rulebook.classes().iter().map(class).collect(),
    };
    toml::to_string(&document)
        .map_err(|error| CommandError::new(Failure::Failed, format!("cannot write TOML: {error}")))
}

fn read(file: &Path) -> Result<Rulebook, CommandError> {
    let mut text = String::new();
    let result = if file == Path::new("-") {
        io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    result.map_err(|error| {
        CommandError::new(
            Failure::Failed,
            format!("cannot read {}: {error}", file.display()),
        )
    })?;
    from_toml(&text).map_err(|why| {
        CommandError::new(Failure::Usage, format!("{}: {why}", file.display()))
            .hinted("see 'twofa policy export' for the form")
    })
}

fn from_toml(text: &str) -> Result<Rulebook, String> {
    let document: Document =
        toml::from_str(text).map_err(|error| error.to_string().trim().to_owned())?;
    if !document.policy.contains_key("mode") {
        return Err("[policy] has no mode: a file without one would ask nobody".to_owned());
    }
    let settings = document
        .policy
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let machine = Policy::from_settings(settings).map_err(|error| error.to_string())?;
    let classes = document.classes.into_iter().map(
        |ClassDocument {
             name,
             group,
             settings,
         }| Class {
            name,
            group: Group::called(group),
            settings: settings.into_iter().collect(),
        },
    );
    Rulebook::new(machine, classes.collect()).map_err(|error: BadRulebook| error.to_string())
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
        let text = to_toml(&rulebook()).unwrap();
        assert_eq!(from_toml(&text).unwrap(), rulebook());
    }

    #[test]
    fn a_document_with_anything_wrong_says_what() {
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
            let error = from_toml(text).unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
