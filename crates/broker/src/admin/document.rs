//! Policy and classes as a TOML document, to be kept and carried to other machines.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use twofa_core::policy::{BadSetting, KEYS, Policy, ValueForm, find};
use twofa_core::rulebook::{BadRulebook, Rulebook};
use twofa_core::{Class, Group};

/// Why a document is not a valid policy. It names lines and settings and quotes nothing, so that permission to apply a
/// policy does not become a way to read any file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDocument {
    /// It does not say the mode.
    #[error("it does not set mode: a policy without it would ask nobody")]
    NoMode,
    /// Something in it is wrong.
    #[error("line {line}: {why}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong or was expected.
        why: String,
    },
}

/// `rulebook` as a document. Groups are in it by name: a gid may be another on another machine.
pub fn write(rulebook: &Rulebook) -> String {
    let mut text = String::from(
        "# The policy of twofa. Check it with 'twofa policy apply FILE --dry-run'.\n\n",
    );
    let machine = rulebook.machine();
    let alone = KEYS.iter().filter(|key| !key.name.contains('.'));
    for key in alone {
        push(&mut text, key.name, key.form, &key.value(machine));
    }
    let mut table = "";
    for key in &KEYS {
        let Some((prefix, name)) = key.name.split_once('.') else {
            continue;
        };
        if prefix != table {
            let _ = writeln!(text, "\n[{prefix}]");
            table = prefix;
        }
        push(&mut text, name, key.form, &key.value(machine));
    }
    for class in rulebook.classes() {
        text.push_str("\n[[class]]\n");
        push(&mut text, NAME, ValueForm::Text, &class.name);
        push(&mut text, GROUP, ValueForm::Text, &class.group.name);
        for (key, value) in &class.settings {
            let form = find(key).map_or(ValueForm::Text, |key| key.form);
            push(&mut text, key, form, value);
        }
    }
    text
}

/// The keys of a class that are not settings.
const NAME: &str = "name";
const GROUP: &str = "group";

fn push(text: &mut String, key: &str, form: ValueForm, value: &str) {
    let quoted = |value: &str| toml::Value::String(value.to_owned()).to_string();
    let value = match (form, value) {
        (ValueForm::Number, number) => number.to_owned(),
        (ValueForm::Switch, "on") => "true".to_owned(),
        (ValueForm::Switch, "off") => "false".to_owned(),
        (ValueForm::List, "" | "none") => "[]".to_owned(),
        (ValueForm::List, list) => {
            let list: Vec<_> = list.split(',').map(quoted).collect();
            format!("[{}]", list.join(", "))
        }
        (ValueForm::Text | ValueForm::Switch, text) => quoted(text),
    };
    let _ = writeln!(text, "{key} = {value}");
}

/// Parses a document into a rulebook. Settings may also stand in a table `policy`, with names such as `"lockout.after"`
/// and with strings for values, as earlier versions wrote them.
pub fn read(text: &str) -> Result<Rulebook, BadDocument> {
    let document = Document { text };
    let root = DeTable::parse(text).map_err(|error| {
        let why = format!("this is not TOML: {}", error.message().replace('\n', ", "));
        document.bad(&error.span().unwrap_or_default(), why)
    })?;
    let (mut settings, mut classes) = (Settings::new(), Vec::new());
    for (key, value) in root.into_inner() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("policy", DeValue::Table(policy)) => document.collect(policy, "", &mut settings)?,
            ("class", DeValue::Array(tables)) => {
                for table in tables {
                    classes.push((table.span(), document.class(table)?));
                }
            }
            ("class", _) => return Err(document.bad(&key.span(), "classes begin with [[class]]")),
            (name, _) => document.collect_one(name, &key.span(), &value, &mut settings)?,
        }
    }
    if !settings.contains_key("mode") {
        return Err(BadDocument::NoMode);
    }
    for (key, (span, value)) in &settings {
        let checked = Policy::from_settings([(*key, value.as_str())]);
        checked.map_err(|error| document.bad_setting(span, error))?;
    }
    let machine = settings
        .iter()
        .map(|(key, (_, value))| (*key, value.as_str()));
    let machine =
        Policy::from_settings(machine).map_err(|error| document.bad_setting(&(0..0), error))?;
    document.rulebook(machine, classes)
}

/// Settings by name, with their byte range in the text.
type Settings = BTreeMap<&'static str, (Range<usize>, String)>;

struct Document<'a> {
    text: &'a str,
}

impl Document<'_> {
    fn collect(
        &self,
        table: &DeTable<'_>,
        prefix: &str,
        settings: &mut Settings,
    ) -> Result<(), BadDocument> {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            self.collect_one(&name, &key.span(), value, settings)?;
        }
        Ok(())
    }

    fn collect_one(
        &self,
        name: &str,
        span: &Range<usize>,
        value: &Spanned<DeValue<'_>>,
        settings: &mut Settings,
    ) -> Result<(), BadDocument> {
        if let DeValue::Table(table) = value.get_ref() {
            return self.collect(table, &format!("{name}."), settings);
        }
        let Some(key) = find(name) else {
            return Err(self.bad(span, "there is no setting of this name"));
        };
        let value = written(value.get_ref()).ok_or_else(|| {
            let why = format!("{}: it must be {}", key.name, key.values());
            self.bad(span, why)
        })?;
        if settings.insert(key.name, (span.clone(), value)).is_some() {
            return Err(self.bad(span, format!("{} is set twice", key.name)));
        }
        Ok(())
    }

    fn class(&self, table: &Spanned<DeValue<'_>>) -> Result<Class, BadDocument> {
        let place = table.span();
        let DeValue::Table(table) = table.get_ref() else {
            return Err(self.bad(&place, "classes begin with [[class]]"));
        };
        let text = |key: &str| match table.get(key).map(Spanned::get_ref) {
            Some(DeValue::String(text)) => Ok(text.clone().into_owned()),
            _ => Err(self.bad(&place, format!("a class needs {key} = \"…\""))),
        };
        let (name, group) = (text(NAME)?, text(GROUP)?);
        let mut settings = Settings::new();
        for (key, value) in table {
            if ![NAME, GROUP].contains(&key.get_ref().as_ref()) {
                self.collect_one(key.get_ref(), &key.span(), value, &mut settings)?;
            }
        }
        for (key, (span, value)) in &settings {
            let checked = Policy::default().overridden([(*key, value.as_str())]);
            checked.map_err(|error| self.bad_setting(span, error))?;
        }
        let settings = settings
            .into_iter()
            .map(|(key, (_, value))| (key.to_owned(), value));
        Ok(Class {
            name,
            group: Group::called(group),
            settings: settings.collect(),
        })
    }

    /// Adds the classes one by one, so that an error is reported with the line of its class.
    fn rulebook(
        &self,
        machine: Policy,
        classes: Vec<(Range<usize>, Class)>,
    ) -> Result<Rulebook, BadDocument> {
        let mut known = Vec::new();
        for (place, class) in classes {
            known.push(class);
            Rulebook::new(machine.clone(), known.clone()).map_err(|error| match error {
                BadRulebook::Setting(error) | BadRulebook::ClassSetting { error, .. } => {
                    self.bad_setting(&place, error)
                }
                BadRulebook::Name(_) => self.bad(
                    &place,
                    "the name of a class has 1 to 32 letters, digits, '-', '_' or '.', and is not 'everyone'",
                ),
                BadRulebook::Twice(_) => self.bad(&place, "an earlier class has this name"),
                BadRulebook::NoGroup(_) => self.bad(&place, "the class needs a Unix group"),
            })?;
        }
        Rulebook::new(machine, known).map_err(|_| BadDocument::NoMode)
    }

    fn bad_setting(&self, place: &Range<usize>, error: BadSetting) -> BadDocument {
        let why = match error {
            BadSetting::Unknown(_) => "there is no setting of this name".to_owned(),
            BadSetting::Value { key, why, .. } => format!("{key}: {why}"),
            error @ BadSetting::NotPerClass(_) => error.to_string(),
        };
        self.bad(place, why)
    }

    fn bad(&self, place: &Range<usize>, why: impl Into<String>) -> BadDocument {
        let before = self.text.bytes().take(place.start);
        BadDocument::Line {
            line: before.filter(|byte| *byte == b'\n').count() + 1,
            why: why.into(),
        }
    }
}

/// A value as it would be written on the command line; `None`: no setting takes values of this type.
fn written(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            let number = i64::from_str_radix(&digits, number.radix()).ok()?;
            Some(number.to_string())
        }
        DeValue::Boolean(on) => Some(if *on { "on" } else { "off" }.to_owned()),
        DeValue::Array(list) => {
            let texts = list.iter().map(|one| match one.get_ref() {
                DeValue::String(text) if !text.contains(',') => Some(text.as_ref()),
                _ => None,
            });
            Some(texts.collect::<Option<Vec<_>>>()?.join(","))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
