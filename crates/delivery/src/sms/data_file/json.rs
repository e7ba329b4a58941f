//! JSON in data files: templates of a request's body, and paths into an answer.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::template::Template;

/// A JSON value whose strings are templates.
#[derive(Debug, Clone)]
pub(in crate::sms) enum JsonTemplate {
    String(Template),
    /// A number or a truth value.
    Fixed(Value),
    Array(Vec<JsonTemplate>),
    Object(BTreeMap<String, JsonTemplate>),
}

impl JsonTemplate {
    /// Adds all templates in the value to `templates`.
    pub(super) fn collect<'a>(&'a self, templates: &mut Vec<&'a Template>) {
        match self {
            Self::String(template) => templates.push(template),
            Self::Fixed(_) => {}
            Self::Array(items) => items.iter().for_each(|item| item.collect(templates)),
            Self::Object(entries) => entries.values().for_each(|entry| entry.collect(templates)),
        }
    }
}

impl<'de> Deserialize<'de> for JsonTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonTemplateVisitor)
    }
}

struct JsonTemplateVisitor;

impl<'de> Visitor<'de> for JsonTemplateVisitor {
    type Value = JsonTemplate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number, true or false, a list or a table")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<JsonTemplate, E> {
        Template::parse(text)
            .map(JsonTemplate::String)
            .map_err(E::custom)
    }

    fn visit_bool<E>(self, value: bool) -> Result<JsonTemplate, E> {
        Ok(JsonTemplate::Fixed(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<JsonTemplate, E> {
        Ok(JsonTemplate::Fixed(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<JsonTemplate, E> {
        Ok(JsonTemplate::Fixed(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<JsonTemplate, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(JsonTemplate::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<JsonTemplate, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((name, entry)) = table.next_entry()? {
            entries.insert(name, entry);
        }
        Ok(JsonTemplate::Object(entries))
    }
}

/// A path into an answer: a `JSONPath` (RFC 9535).
#[derive(Debug, Clone)]
pub(in crate::sms) struct Path(JsonPath);

impl Path {
    /// Parses a path. The error says what is wrong with it.
    pub(in crate::sms) fn parse(source: &str) -> Result<Self, String> {
        match JsonPath::parse(source) {
            Ok(path) => Ok(Self(path)),
            Err(error) => Err(format!(
                "'{source}' is not a JSONPath such as \"$.messages[0].id\": {error}"
            )),
        }
    }

    /// All values at this path in `answer`.
    pub(in crate::sms) fn all<'a>(&self, answer: &'a Value) -> Vec<&'a Value> {
        self.0.query(answer).all()
    }

    /// The first string, number or truth value at this path, as text.
    pub(in crate::sms) fn first(&self, answer: &Value) -> Option<String> {
        self.all(answer).into_iter().find_map(scalar)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A string, a number or a truth value as text.
pub(in crate::sms) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
