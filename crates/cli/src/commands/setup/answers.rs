//! `twofa setup --answers`: the answers come from a TOML file, for images and for tools such as Ansible.
//!
//! [`plan`] says which commands bring the machine there: none, the second time.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use twofa_core::policy::Policy;
use zeroize::Zeroizing;

use super::apply::apply;
use super::commands;
use super::document::{About, Change, Document};
use super::providers::{Provider, plan as plan_provider};
use super::state::{ADMINISTRATORS, Rules, group_of_administrators};
use crate::arguments::{SetupArguments, SshKeys};
use crate::error::CommandError;
use crate::input;
use crate::messages::pam::NOTHING_TO_CHANGE;
use crate::messages::setup as texts;

/// A file of answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Answers {
    application_name: Option<Spanned<String>>,
    who_must: Option<Spanned<Who>>,
    administrators: Option<Spanned<String>>,
    services: Option<Spanned<Vec<String>>>,
    /// The PAM services that are to ask, or `all`.
    pam: Option<Spanned<Vec<String>>>,
    /// Nobody is there who could log in, which would prove the change.
    #[serde(default)]
    pam_no_login: bool,
    /// What becomes of logins with an ssh key.
    ssh_keys: Option<Spanned<SshKeys>>,
    #[serde(default)]
    provider: Vec<Provider>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Who {
    /// Nobody is asked; the log says what would happen.
    Report,
    Nobody,
    Administrators,
    Everybody,
}

pub(super) fn run(file: &Path, arguments: &SetupArguments) -> Result<(), CommandError> {
    let text = input::read(file)?;
    let document = Document { file, text: &text };
    let changes = plan(&document)?;
    if changes.is_empty() {
        return Ok(writeln!(io::stdout(), "{}", texts::NOTHING_TO_DO)?);
    }
    apply(&document, &changes, arguments)
}

/// What is to be done for the answers to hold.
fn plan(document: &Document<'_>) -> Result<Vec<Change>, CommandError> {
    let answers: Answers = toml::from_str(document.text)
        .map_err(|error| document.wrong(&error.span().unwrap_or_default(), error.message()))?;
    let settings = settings(document, &answers)?;
    let mut changes = Vec::new();
    for provider in &answers.provider {
        changes.extend(plan_provider(document, provider)?);
    }
    let rules = Rules::read()?;
    let class = administrators(document, &answers)?;
    changes.extend(
        class
            .filter(|(group, _)| !rules.require_administrators(group))
            .map(|(group, span)| Change {
                command: [
                    "class",
                    "set",
                    ADMINISTRATORS,
                    "--group",
                    &group,
                    "mode=mandatory",
                ]
                .map(str::to_owned)
                .to_vec(),
                input: Zeroizing::default(),
                span,
                about: About::Rules,
            }),
    );
    changes.extend(plan_policy(&rules, settings));
    let no_class = |who: &&Spanned<Who>| *who.get_ref() != Who::Administrators;
    if let Some(who) = answers.who_must.as_ref().filter(no_class)
        && rules.class(ADMINISTRATORS).is_some()
    {
        changes.push(Change {
            command: ["class", "remove", ADMINISTRATORS]
                .map(str::to_owned)
                .to_vec(),
            input: Zeroizing::default(),
            span: who.span(),
            about: About::Rules,
        });
    }
    changes.extend(plan_pam(document, &answers)?);
    Ok(changes)
}

/// The command that brings all settings of the machine's policy there at once.
fn plan_policy(rules: &Rules, mut settings: Vec<Setting>) -> Option<Change> {
    settings.retain(|(key, value, _)| rules.policy.get(*key) != Some(value));
    let (_, _, span) = settings.first()?;
    let span = span.clone();
    let pairs = settings
        .iter()
        .map(|(key, value, _)| format!("{key}={value}"));
    let command = ["policy", "set"].map(str::to_owned).into_iter();
    Some(Change {
        command: command.chain(pairs).collect(),
        input: Zeroizing::default(),
        span,
        about: About::Rules,
    })
}

/// The command that puts the module into PAM's files, unless it is there.
fn plan_pam(document: &Document<'_>, answers: &Answers) -> Result<Option<Change>, CommandError> {
    let Some(services) = answers.pam.as_ref().filter(|it| !it.get_ref().is_empty()) else {
        return match &answers.ssh_keys {
            Some(keys) => Err(document.wrong(&keys.span(), texts::KEYS_WITHOUT_PAM)),
            None => Ok(None),
        };
    };
    let is_all = services
        .get_ref()
        .iter()
        .any(|service| *service == texts::ALL);
    if is_all && services.get_ref().len() > 1 {
        return Err(document.wrong(
            &services.span(),
            "'all' cannot stand beside names of services",
        ));
    }
    if let Some(option) = services.get_ref().iter().find(|name| name.starts_with('-')) {
        let why = format!("'{option}' is no PAM service");
        return Err(document.wrong(&services.span(), &why));
    }
    if !answers.pam_no_login {
        return Err(document.wrong(&services.span(), texts::NO_LOGIN_PROVES_IT));
    }
    let mut command = ["pam", "enable", "--no-login"].map(str::to_owned).to_vec();
    if let Some(keys) = &answers.ssh_keys {
        command.extend(["--ssh-keys".to_owned(), keys.get_ref().name()]);
    }
    let named = services.get_ref().iter();
    command.extend(named.filter(|service| *service != texts::ALL).cloned());
    let would: Vec<_> = command.iter().map(String::as_str).collect();
    let output = commands::run_with(&[&would[..], &["--dry-run"]].concat(), "")?;
    if !output.status.success() {
        return Err(document.wrong(&services.span(), &commands::message(&output)));
    }
    let is_sshd = |name: &String| is_all || name == "sshd";
    if let Some(keys) = &answers.ssh_keys
        && !services.get_ref().iter().any(is_sshd)
    {
        return Err(document.wrong(&keys.span(), texts::KEYS_WITHOUT_PAM));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let is_done = text.trim_end().ends_with(NOTHING_TO_CHANGE);
    Ok((!is_done).then(|| Change {
        command,
        input: Zeroizing::default(),
        span: services.span(),
        about: About::Pam,
    }))
}

/// A setting of the policy, with the place of its answer.
type Setting = (&'static str, String, Range<usize>);

/// The settings of the machine's policy.
fn settings(document: &Document<'_>, answers: &Answers) -> Result<Vec<Setting>, CommandError> {
    let mut settings = Vec::new();
    if let Some(name) = &answers.application_name {
        settings.push(("application-name", name.get_ref().clone(), name.span()));
    }
    if let Some(services) = &answers.services {
        settings.push(("services", services.get_ref().join(","), services.span()));
    }
    if let Some(who) = &answers.who_must {
        let mode = match who.get_ref() {
            Who::Everybody => "mandatory",
            Who::Administrators | Who::Nobody => "optional",
            Who::Report => "report",
        };
        settings.push(("mode", mode.to_owned(), who.span()));
    }
    for (key, value, span) in &mut settings {
        let policy = Policy::from_settings([(*key, value.as_str())]);
        let policy = policy.map_err(|error| document.wrong(span, &error.to_string()))?;
        // As the policy writes it, to be compared with what is set.
        if let Some(key) = twofa_core::policy::find(key) {
            *value = key.value(&policy);
        }
    }
    Ok(settings)
}

/// The group of the administrators who must have a second factor, with the place of its answer.
fn administrators(
    document: &Document<'_>,
    answers: &Answers,
) -> Result<Option<(String, Range<usize>)>, CommandError> {
    let wanted = answers
        .who_must
        .as_ref()
        .filter(|who| *who.get_ref() == Who::Administrators);
    match (wanted, &answers.administrators) {
        (None, None) => Ok(None),
        (None, Some(group)) => Err(document.wrong(&group.span(), texts::GROUP_WITHOUT_WHO)),
        (Some(_), Some(group)) => Ok(Some((group.get_ref().clone(), group.span()))),
        (Some(who), None) => match group_of_administrators() {
            Some(group) => Ok(Some((group.to_owned(), who.span()))),
            None => Err(document.wrong(&who.span(), texts::NO_GROUP)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        let document = Document {
            file: Path::new("answers.toml"),
            text,
        };
        let answers = toml::from_str::<Answers>(text)
            .map_err(|error| document.wrong(&error.span().unwrap_or_default(), error.message()));
        let checked = answers.and_then(|answers| {
            settings(&document, &answers)?;
            administrators(&document, &answers)
        });
        checked.map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn a_mistake_is_reported_with_file_line_and_column() {
        for (text, place) in [
            ("\n\nname = \"x\"", "answers.toml:3:1: unknown field `name`"),
            ("who-must = 3", "answers.toml:1:12: "),
            (
                "who-must = \"all\"",
                "answers.toml:1:12: unknown variant `all`",
            ),
            ("services = [\"ssh\", 3]", "answers.toml:1:20: invalid type"),
            ("\nservices = [\"a b\"]", "answers.toml:2:12: "),
            ("who-must = [", "answers.toml:1:13: "),
            ("administrators = \"sudo\"", "answers.toml:1:18: "),
            (
                "[[provider]]\nname = \"a\"",
                "answers.toml:1:1: missing field `kind`",
            ),
        ] {
            let message = mistake(text);
            assert!(message.starts_with(place), "{text:?}: {message}");
        }
        assert_eq!(
            mistake("who-must = \"everybody\"\nservices = [\"ssh\"]"),
            ""
        );
    }
}
