//! The form of a data file: what one provider's requests and answers look like.
//!
//! Parsing is strict. What has been parsed has no unknown keys, its templates and paths are well-formed and
//! ([`validity`]) it fits together, so that mistakes show when a file is read and not when a code is to be sent.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json_path::JsonPath;
use twofa_core::Channel;

use super::number::Form;
use super::template::Template;
use super::validity;
use crate::error::Step;
use crate::provider::{Kind, Setting};

/// Placeholders that stand for the message, in [`Description::send`].
pub(super) const OF_MESSAGE: [&str; 4] = ["to", "text", "unicode", "lifetime"];
/// Placeholders that stand for the question, in [`Description::inbox`].
pub(super) const OF_LISTING: [&str; 3] = ["since", "since_date", "since_time"];
/// Settings that every provider has.
pub(super) const COMMON: [&str; 3] = ["base", "ca-file", "allow-plain"];

/// One provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Description {
    pub(super) name: String,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    pub(super) title: String,
    /// Where the facts in the file are from.
    pub(super) sources: Vec<String>,
    /// Where the interface is: `https://` and what stands before all paths.
    pub(super) base: Template,
    /// The settings in the order in which `PxPlus` has them in its account strings.
    #[serde(default)]
    pub(super) account: Vec<String>,
    #[serde(default, rename = "setting")]
    pub(super) settings: Vec<SettingEntry>,
    #[serde(default)]
    pub(super) number: NumberEntry,
    #[serde(default)]
    pub(super) auth: Auth,
    pub(super) send: Call,
    /// Where the provider's name for a message is in the answer to [`Self::send`].
    pub(super) id: Option<Path>,
    #[serde(default)]
    pub(super) errors: Errors,
    /// A request that does nothing but needs a login.
    pub(super) check: Option<Call>,
    pub(super) inbox: Option<Listing>,
}

/// A setting.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SettingEntry {
    pub(super) name: String,
    pub(super) help: String,
    #[serde(default)]
    pub(super) secret: bool,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) default: Option<String>,
}

/// How the provider wants to have numbers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct NumberEntry {
    #[serde(default)]
    pub(super) form: Form,
    /// The calling codes it serves; empty: all.
    #[serde(default)]
    pub(super) calling_codes: Vec<String>,
}

/// How a request says whose it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "kebab-case")]
pub(super) enum Auth {
    /// It does not, or in its body.
    #[default]
    None,
    /// RFC 7617.
    Basic { user: Template, password: Template },
    /// RFC 6750.
    Bearer { token: Template },
    /// A header of the provider's own.
    Header { name: String, value: Template },
    /// AWS Signature Version 4.
    #[serde(rename = "sigv4", rename_all = "kebab-case")]
    SigV4 {
        service: String,
        region: Template,
        access_key_id: Template,
        secret_access_key: Template,
        session_token: Option<Template>,
    },
}

/// A request, and when its answer is a success.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Call {
    #[serde(default)]
    pub(super) method: Method,
    pub(super) path: Template,
    #[serde(default)]
    pub(super) query: BTreeMap<String, Template>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Template>,
    pub(super) form: Option<BTreeMap<String, Template>>,
    pub(super) json: Option<Node>,
    #[serde(default)]
    pub(super) answer: AnswerForm,
    #[serde(default)]
    pub(super) success: Success,
}

/// HTTP's methods, as far as they are in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Method {
    #[serde(rename = "GET")]
    Get,
    #[default]
    #[serde(rename = "POST")]
    Post,
    #[serde(rename = "PUT")]
    Put,
}

/// What an answer is written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AnswerForm {
    #[default]
    Json,
    Xml,
    /// Lines of fields with colons in between.
    Lines,
}

/// When an answer is a success: when all of this holds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Success {
    /// One of these; empty: any of 200 to 299.
    #[serde(default)]
    pub(super) status: Vec<u16>,
    #[serde(default)]
    pub(super) every: Vec<Every>,
    /// At each path is something.
    #[serde(default)]
    pub(super) present: Vec<Path>,
    /// At none of the paths is anything but `null`.
    #[serde(default)]
    pub(super) absent: Vec<Path>,
}

/// At a place is something, and nothing but one of these values.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Every {
    pub(super) at: Path,
    pub(super) is: Vec<String>,
}

/// Where the provider says what is wrong, and what is known of that.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Errors {
    /// Its own code: the first that is there.
    #[serde(default)]
    pub(super) code: Vec<Path>,
    /// Its own words: the first that are there.
    #[serde(default)]
    pub(super) words: Vec<Path>,
    #[serde(default)]
    pub(super) known: Vec<KnownError>,
}

/// What some codes mean.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct KnownError {
    /// One of these codes of the provider; empty: whatever the code.
    #[serde(default)]
    pub(super) codes: Vec<String>,
    /// One of these HTTP statuses; empty: whatever the status.
    #[serde(default)]
    pub(super) status: Vec<u16>,
    #[serde(deserialize_with = "step")]
    pub(super) step: Step,
    pub(super) hint: Option<String>,
    /// Every other provider would say the same.
    #[serde(default, rename = "final")]
    pub(super) final_: bool,
}

/// How to list what people sent to us.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Listing {
    pub(super) request: Call,
    /// The messages in the answer.
    pub(super) messages: Path,
    /// In one message: whose it is.
    pub(super) from: Path,
    /// In one message: what it says.
    pub(super) text: Path,
    /// In one message: when it came.
    pub(super) at: Option<Path>,
    /// What a moment is written in.
    #[serde(default)]
    pub(super) time: TimeForm,
    /// Where the next page is.
    pub(super) next: Option<Path>,
    /// A message is told of only once, so it is kept here for a while.
    #[serde(default)]
    pub(super) once: bool,
}

/// How a moment is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum TimeForm {
    #[default]
    Rfc3339,
    Rfc2822,
    /// Seconds since 1970.
    Unix,
    /// As `2026-01-31 23:59:59`, UTC.
    Plain,
    /// As `/Date(1590840267010-0700)/`: milliseconds since 1970, whatever the offset.
    Dotnet,
}

/// A place in an answer: a `JSONPath`, RFC 9535.
#[derive(Debug, Clone)]
pub(super) struct Path(JsonPath);

/// A value in a JSON body.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(Template),
    Fixed(serde_json::Value),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

/// What is wrong with a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Where, counted from 1.
    pub(super) line: Option<usize>,
    /// What, and what was expected.
    pub(super) why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

impl Description {
    /// What the data file `text` says.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let description: Self = toml::from_str(text).map_err(|error| Wrong {
            line: error.span().map(|span| line_at(text, span.start)),
            why: error.message().trim().replace('\n', ", "),
        })?;
        validity::check(&description).map_err(|(about, why)| Wrong {
            line: line_with(text, &about),
            why,
        })?;
        Ok(description)
    }

    /// The same for administrators.
    pub(super) fn kind(&self) -> Kind {
        let mut settings: Vec<_> = self.settings.iter().map(SettingEntry::setting).collect();
        let is_fixed = self.base.placeholders().is_empty();
        let common = [
            (
                "base",
                format!("where its interface is (default: {})", self.base.source()),
            ),
            (
                "ca-file",
                "PEM file with a CA to trust besides the system's".to_owned(),
            ),
            (
                "allow-plain",
                "'yes': a base without TLS may be on another machine".to_owned(),
            ),
        ];
        settings.extend(common.map(|(name, help)| Setting {
            default: (name == "base" && is_fixed).then(|| self.base.source().to_owned()),
            name: name.to_owned(),
            help,
            secret: false,
            required: false,
        }));
        Kind {
            name: self.name.clone(),
            aliases: self.aliases.clone(),
            title: self.title.clone(),
            channel: Channel::Sms,
            settings,
        }
    }
}

impl SettingEntry {
    fn setting(&self) -> Setting {
        Setting {
            name: self.name.clone(),
            help: self.help.clone(),
            secret: self.secret,
            required: self.required,
            default: self.default.clone(),
        }
    }
}

impl Auth {
    pub(super) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::None => Vec::new(),
            Self::Basic { user, password } => vec![user, password],
            Self::Bearer { token: template }
            | Self::Header {
                value: template, ..
            } => vec![template],
            Self::SigV4 {
                region,
                access_key_id,
                secret_access_key,
                session_token,
                ..
            } => {
                let mut templates = vec![region, access_key_id, secret_access_key];
                templates.extend(session_token);
                templates
            }
        }
    }
}

impl Call {
    pub(super) fn templates(&self) -> Vec<&Template> {
        let mut templates = vec![&self.path];
        templates.extend(self.query.values().chain(self.headers.values()));
        templates.extend(self.form.iter().flat_map(BTreeMap::values));
        if let Some(json) = &self.json {
            json.collect(&mut templates);
        }
        templates
    }
}

impl Node {
    fn collect<'a>(&'a self, templates: &mut Vec<&'a Template>) {
        match self {
            Self::Text(template) => templates.push(template),
            Self::Fixed(_) => {}
            Self::List(nodes) => nodes.iter().for_each(|node| node.collect(templates)),
            Self::Table(nodes) => nodes.values().for_each(|node| node.collect(templates)),
        }
    }
}

impl Path {
    /// The path `source`, or what is wrong with it.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        match JsonPath::parse(source) {
            Ok(path) => Ok(Self(path)),
            Err(error) => Err(format!(
                "'{source}' is no JSONPath such as \"$.messages[0].id\": {error}"
            )),
        }
    }

    /// All there is at this place in `answer`.
    pub(super) fn all<'a>(&self, answer: &'a serde_json::Value) -> Vec<&'a serde_json::Value> {
        self.0.query(answer).all()
    }

    /// The first thing there that is a text, a number or a truth value, as text.
    pub(super) fn first(&self, answer: &serde_json::Value) -> Option<String> {
        self.all(answer).into_iter().find_map(scalar)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true or false, a list or a table")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node, E> {
        Template::parse(text).map(Node::Text).map_err(E::custom)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Fixed(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Fixed(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Fixed(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Node, A::Error> {
        let mut nodes = BTreeMap::new();
        while let Some((name, node)) = table.next_entry()? {
            nodes.insert(name, node);
        }
        Ok(Node::Table(nodes))
    }
}

/// A text, a number or a truth value as text.
pub(super) fn scalar(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn step<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Step, D::Error> {
    const STEPS: [Step; 5] = [
        Step::Login,
        Step::Sender,
        Step::Recipient,
        Step::Message,
        Step::Settings,
    ];
    let name = String::deserialize(deserializer)?;
    let expected = || STEPS.map(|step| format!("\"{}\"", step.name())).join(", ");
    STEPS
        .into_iter()
        .find(|step| step.name() == name)
        .ok_or_else(|| {
            D::Error::custom(format!(
                "unknown step \"{name}\", expected one of {}",
                expected()
            ))
        })
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

fn line_with(text: &str, about: &str) -> Option<usize> {
    let begins = text
        .lines()
        .position(|line| line.trim_start().starts_with(about));
    let index = begins.or_else(|| text.lines().position(|line| line.contains(about)));
    index.map(|index| index + 1)
}
