//! Strings with placeholders in data files.
//!
//! They are minijinja templates: `{{ to }}`, `Bearer {{ token }}`, `{{ "unicode" if unicode else "text" }}`. A string
//! that consists of a single placeholder keeps the value's type, and is left out if it has no value. Values are never
//! parsed again: the form, JSON or URL is encoded after they are filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The characters that are percent-encoded in a path segment: all but RFC 3986's unreserved characters, `*` of the
/// mask, and `+`.
const ENCODED_IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'*')
    .remove(b'+');

/// The context of a template, which decides how a value is written into it.
const TEXT: &str = "a text";
const PATH: &str = "a path";
const HOST: &str = "a host name";

/// A string with placeholders. It is well-formed.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::sms) struct Template {
    source: String,
}

/// The values of placeholders. A setting without a value is none.
#[derive(Clone, Default)]
pub(in crate::sms) struct Values(BTreeMap<String, Value>);

impl Template {
    /// Parses a template. The error says what is wrong with it.
    pub(in crate::sms) fn parse(source: impl Into<String>) -> Result<Self, String> {
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
                "'{}' is not a valid template: {}",
                template.source,
                describe(&error)
            )),
        }
    }

    /// The names of all placeholders.
    pub(in crate::sms) fn placeholders(&self) -> BTreeSet<String> {
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

    /// The template as it is written in the data file.
    pub(in crate::sms) fn source(&self) -> &str {
        &self.source
    }

    /// The value with its type; `None` if it has none.
    pub(in crate::sms) fn value(&self, values: &Values) -> Result<Option<Value>, String> {
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

    /// The value as text; `None` if it has none.
    pub(in crate::sms) fn text(&self, values: &Values) -> Result<Option<String>, String> {
        Ok(self.value(values)?.map(|value| value.to_string()))
    }

    /// The template as a path, in which every value is a segment or part of one.
    pub(in crate::sms) fn path(&self, values: &Values) -> Result<String, String> {
        self.render(PATH, values)
    }

    /// The template as the beginning of a URL, in which every value is part of the host name.
    pub(in crate::sms) fn base(&self, values: &Values) -> Result<String, String> {
        self.render(HOST, values)
    }

    fn render(&self, context: &str, values: &Values) -> Result<String, String> {
        let template = environment().template_from_named_str(context, &self.source);
        template
            .and_then(|template| template.render(&values.0))
            .map_err(|error| self.failed(&error))
    }

    /// The expression between the braces, if there is nothing outside them.
    fn expression(&self) -> Option<&str> {
        let inner = self.source.trim().strip_prefix("{{")?.strip_suffix("}}")?;
        (!inner.contains("{{") && !inner.contains("}}")).then_some(inner)
    }

    fn failed(&self, error: &Error) -> String {
        format!("'{}' cannot be filled in: {}", self.source, describe(error))
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
    /// Sets the value of `name`. A hyphen would be a minus sign, so the placeholder of a setting `api-key` is
    /// `{{ api_key }}`.
    pub(in crate::sms) fn set(&mut self, name: &str, value: impl Into<Value>) {
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
        environment.set_formatter(write_value);
        environment
    })
}

/// Writes a value into a template: as part of a path, as part of a host name, or unchanged.
fn write_value(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    if value.is_undefined() || value.is_none() {
        return Err(Error::new(
            ErrorKind::UndefinedError,
            "one of its placeholders has no value",
        ));
    }
    let text = value.to_string();
    let written = match state.name() {
        // `.` and `..` would change the path's other segments.
        PATH if text.is_empty() || text == "." || text == ".." => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "a value is not valid in a path",
            ));
        }
        PATH => out.write_str(&utf8_percent_encode(&text, ENCODED_IN_SEGMENT).to_string()),
        HOST if text.is_empty()
            || text
                .chars()
                .any(|c| !c.is_ascii_alphanumeric() && c != '-' && c != '.') =>
        {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "a value is not valid in a host name",
            ));
        }
        _ => out.write_str(&text),
    };
    written.map_err(|_| Error::new(ErrorKind::WriteFailure, "no room"))
}

/// The error of minijinja, which contains no values.
fn describe(error: &Error) -> String {
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
    fn a_single_placeholder_keeps_its_type_and_is_left_out_without_a_value() {
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
        let mut parent = values();
        parent.set("api-key", "..");
        assert!(template("/a/{{ api_key }}/b").path(&parent).is_err());
    }

    #[test]
    fn a_value_cannot_change_the_host() {
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
    fn a_placeholder_without_a_value_is_an_error_within_a_text_and_an_unknown_one_everywhere() {
        assert!(template("x {{ sender }}").value(&values()).is_err());
        assert!(template("{{ nonsense }}").value(&values()).is_err());
        assert!(template("x {{ nonsense }}").value(&values()).is_err());
    }

    #[test]
    fn errors_contain_no_values() {
        let error = template("{{ api_key + unicode }}")
            .value(&values())
            .unwrap_err();
        assert!(!error.contains("a/b"), "{error}");
    }

    #[test]
    fn a_malformed_template_is_an_error() {
        assert!(
            Template::parse("{{ to")
                .unwrap_err()
                .contains("is not a valid template")
        );
        assert!(
            Template::parse("{{ to to }}")
                .unwrap_err()
                .contains("is not a valid template")
        );
    }
}
