//! Strings with placeholders, as the data files have them.
//!
//! They are minijinja templates: `{{ to }}`, `Bearer {{ token }}`, `{{ "unicode" if unicode else "text" }}`. A string
//! that is nothing but one placeholder keeps the value's type, and is left out where there is no value. What is put in
//! is never parsed again: the form, the JSON or the URL is made around it afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// What is not put into a segment of a path as it is: all but RFC 3986's unreserved characters, and the mask.
const NOT_IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'*')
    .remove(b'+');

/// Where a template stands, which decides what a value may look like there.
const TEXT: &str = "a text";
const PATH: &str = "a path";
const HOST: &str = "a host name";

/// A string with placeholders that parses.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Template {
    source: String,
}

/// What the placeholders stand for. `None`: a setting that is not set.
#[derive(Clone, Default)]
pub(super) struct Values(BTreeMap<String, Value>);

impl Template {
    /// The template `source`, or what is wrong with it.
    pub(super) fn parse(source: impl Into<String>) -> Result<Self, String> {
        let template = Self {
            source: source.into(),
        };
        let parsed = match template.expression() {
            Some(expression) => environment().compile_expression(expression).map(|_| ()),
            None => environment()
                .template_from_str(&template.source)
                .map(|_| ()),
        };
        match parsed {
            Ok(()) => Ok(template),
            Err(error) => Err(format!(
                "'{}' is no template: {}",
                template.source,
                words(&error)
            )),
        }
    }

    /// The names of all placeholders.
    pub(super) fn placeholders(&self) -> BTreeSet<String> {
        let names = match self.expression() {
            Some(expression) => environment()
                .compile_expression(expression)
                .map(|e| e.undeclared_variables(false)),
            None => environment()
                .template_from_str(&self.source)
                .map(|t| t.undeclared_variables(false)),
        };
        names.unwrap_or_default().into_iter().collect()
    }

    /// What stands in the file.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The value, with the type it has; `None` where there is none.
    pub(super) fn value(&self, values: &Values) -> Result<Option<Value>, String> {
        match self.expression() {
            Some(expression) => {
                let value = environment()
                    .compile_expression(expression)
                    .and_then(|e| e.eval(&values.0));
                let value = value.map_err(|error| self.failed(&error))?;
                if value.is_undefined() {
                    return Err(format!("'{}' has no value", self.source));
                }
                Ok(if value.is_none() { None } else { Some(value) })
            }
            None => self
                .render(TEXT, values)
                .map(|text| Some(Value::from(text))),
        }
    }

    /// The value as text; `None` where there is none.
    pub(super) fn text(&self, values: &Values) -> Result<Option<String>, String> {
        Ok(self.value(values)?.map(|value| value.to_string()))
    }

    /// The path, in which every value is one segment or a part of one.
    pub(super) fn path(&self, values: &Values) -> Result<String, String> {
        self.render(PATH, values)
    }

    /// The start of a URL, in which values are parts of the host's name.
    pub(super) fn base(&self, values: &Values) -> Result<String, String> {
        self.render(HOST, values)
    }

    fn render(&self, place: &str, values: &Values) -> Result<String, String> {
        let template = environment().template_from_named_str(place, &self.source);
        template
            .and_then(|template| template.render(&values.0))
            .map_err(|error| self.failed(&error))
    }

    /// What stands between the braces, where nothing stands outside.
    fn expression(&self) -> Option<&str> {
        let inner = self.source.trim().strip_prefix("{{")?.strip_suffix("}}")?;
        (!inner.contains("{{") && !inner.contains("}}")).then_some(inner)
    }

    fn failed(&self, error: &Error) -> String {
        format!("'{}' cannot be filled in: {}", self.source, words(error))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Values {
    /// Lets `name` stand for `value`. Hyphens would be minus signs, so a setting `api-key` is `{{ api_key }}`.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(placeholder(name), value.into());
    }
}

/// The placeholder of the setting `name`.
pub(super) fn placeholder(name: &str) -> String {
    name.replace('-', "_")
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_formatter(put);
        environment
    })
}

/// Writes one value into a template: as a part of a path, of a host's name, or as it is.
fn put(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() || value.is_none() {
        return Err(Error::new(
            ErrorKind::UndefinedError,
            "a placeholder in it has no value",
        ));
    }
    let text = value.to_string();
    let written = match state.name() {
        // `.` and `..` would climb the path.
        PATH if text.is_empty() || text == "." || text == ".." => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "a value does not fit into a path",
            ));
        }
        PATH => out.write_str(&utf8_percent_encode(&text, NOT_IN_SEGMENT).to_string()),
        HOST if text.is_empty()
            || text
                .chars()
                .any(|c| !c.is_ascii_alphanumeric() && c != '-' && c != '.') =>
        {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "a value does not fit into a host name",
            ));
        }
        _ => out.write_str(&text),
    };
    written.map_err(|_| Error::new(ErrorKind::WriteFailure, "no room"))
}

/// What minijinja found, without the values it had at hand.
fn words(error: &Error) -> String {
    error.detail().map_or_else(
        || error.kind().to_string(),
        |detail| format!("{} ({detail})", error.kind()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let mut values = Values::default();
        values.set("api-key", "a/b ?#&=é");
        values.set("unicode", true);
        values.set("sender", ());
        values.set("region", "eu-west-1");
        values
    }

    fn template(source: &str) -> Template {
        Template::parse(source).unwrap()
    }

    #[test]
    fn a_lone_placeholder_keeps_its_type_and_vanishes_without_a_value() {
        assert!(
            template("{{ unicode }}")
                .value(&values())
                .unwrap()
                .unwrap()
                .is_true()
        );
        assert_eq!(template("{{ sender }}").value(&values()), Ok(None));
        assert_eq!(
            template("{{ 'u' if unicode else 't' }}")
                .text(&values())
                .unwrap()
                .as_deref(),
            Some("u")
        );
    }

    #[test]
    fn a_value_in_a_path_stays_one_segment() {
        assert_eq!(
            template("/a/{{ api_key }}.json").path(&values()).unwrap(),
            "/a/a%2Fb%20%3F%23%26%3D%C3%A9.json"
        );
        let mut climbing = values();
        climbing.set("api-key", "..");
        assert!(template("/a/{{ api_key }}/b").path(&climbing).is_err());
    }

    #[test]
    fn a_value_cannot_lead_to_another_host() {
        assert_eq!(
            template("https://sns.{{ region }}.example")
                .base(&values())
                .unwrap(),
            "https://sns.eu-west-1.example"
        );
        for evil in ["evil.example/", "x@evil", "a:1", "a#", ""] {
            let mut values = values();
            values.set("region", evil);
            assert!(
                template("https://sns.{{ region }}.example")
                    .base(&values)
                    .is_err(),
                "{evil}"
            );
        }
    }

    #[test]
    fn what_has_no_value_is_an_error_inside_a_text_and_unknown_is_an_error_anywhere() {
        assert!(template("x {{ sender }}").value(&values()).is_err());
        assert!(template("{{ nonsense }}").value(&values()).is_err());
        assert!(template("x {{ nonsense }}").value(&values()).is_err());
    }

    #[test]
    fn errors_do_not_show_values() {
        let error = template("{{ api_key + unicode }}")
            .value(&values())
            .unwrap_err();
        assert!(!error.contains("a/b"), "{error}");
    }

    #[test]
    fn what_does_not_parse_says_so() {
        assert!(
            Template::parse("{{ to")
                .unwrap_err()
                .contains("is no template")
        );
        assert!(
            Template::parse("{{ to to }}")
                .unwrap_err()
                .contains("is no template")
        );
    }
}
