//! The format of a data file. Each structure here is a table of twofa-sms(5).

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::json::{JsonTemplate, Path};
use super::template::Template;
use crate::error::Step;
use crate::net::proxy;
use crate::provider::{Setting, SmsFeatures};
use crate::sms::recipient::NumberFormat;

/// The placeholders for the message, in [`DataFile::send`].
pub(super) const MESSAGE_PLACEHOLDERS: [&str; 7] = [
    "to",
    "text",
    "unicode",
    "lifetime",
    "expires",
    "expires_time",
    "uuid",
];
/// Those that say when a code expires.
const VALIDITY_PLACEHOLDERS: [&str; 3] = ["lifetime", "expires", "expires_time"];
/// The placeholders for the start of the period to list, in [`DataFile::inbox`].
pub(super) const INBOX_PLACEHOLDERS: [&str; 3] = ["since", "since_date", "since_time"];
/// The settings that every provider has.
pub(in crate::sms) const COMMON_SETTINGS: [&str; 5] =
    ["base", "ca-file", "allow-plain", "proxy", "proxy-password"];

/// A data file: one provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::sms) struct DataFile {
    pub(in crate::sms) name: String,
    #[serde(default)]
    pub(in crate::sms) aliases: Vec<String>,
    pub(in crate::sms) title: String,
    /// The documents that the file was written from.
    pub(super) sources: Vec<String>,
    /// The URL of the interface, without the paths of the requests.
    pub(in crate::sms) base: Template,
    /// The names of settings in the order of a `PxPlus` account string.
    #[serde(default)]
    pub(in crate::sms) account: Vec<String>,
    #[serde(default, rename = "setting")]
    pub(super) settings: Vec<SettingSpec>,
    #[serde(default)]
    pub(in crate::sms) number: NumberSpec,
    #[serde(default)]
    pub(in crate::sms) auth: Auth,
    /// The request that sends a message.
    pub(in crate::sms) send: RequestSpec,
    /// The path of the message's ID in the answer to [`Self::send`].
    pub(in crate::sms) id: Option<Path>,
    #[serde(default)]
    pub(in crate::sms) errors: Errors,
    /// A request that changes nothing but requires authentication.
    pub(in crate::sms) check: Option<RequestSpec>,
    pub(in crate::sms) inbox: Option<InboxSpec>,
}

/// A setting of the provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SettingSpec {
    pub(super) name: String,
    pub(super) help: String,
    #[serde(default)]
    pub(super) secret: bool,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) default: Option<String>,
}

/// Which numbers the provider serves, and their format.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::sms) struct NumberSpec {
    #[serde(default, rename = "form")]
    pub(in crate::sms) format: NumberFormat,
    /// The calling codes it serves; empty: all.
    #[serde(default)]
    pub(in crate::sms) calling_codes: Vec<String>,
}

/// How a request is authenticated.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::sms) enum Auth {
    /// Not at all, or in its body.
    #[default]
    None,
    /// HTTP Basic authentication (RFC 7617).
    Basic { user: Template, password: Template },
    /// A bearer token (RFC 6750).
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

/// A request, and what a successful answer to it looks like.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::sms) struct RequestSpec {
    #[serde(default)]
    pub(in crate::sms) method: HttpMethod,
    pub(in crate::sms) path: Template,
    #[serde(default)]
    pub(in crate::sms) query: BTreeMap<String, Template>,
    #[serde(default)]
    pub(in crate::sms) headers: BTreeMap<String, Template>,
    pub(in crate::sms) form: Option<BTreeMap<String, Template>>,
    pub(in crate::sms) json: Option<JsonTemplate>,
    #[serde(default)]
    pub(in crate::sms) answer: AnswerFormat,
    #[serde(default)]
    pub(in crate::sms) success: Success,
}

/// The HTTP methods that providers use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(in crate::sms) enum HttpMethod {
    Get,
    #[default]
    Post,
    Put,
}

/// The format of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::sms) enum AnswerFormat {
    #[default]
    Json,
    Xml,
    /// Lines of fields that are separated by colons.
    Lines,
}

/// The conditions for a successful answer. All of them must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::sms) struct Success {
    /// The HTTP status is one of these; empty: 200 to 299.
    #[serde(default)]
    pub(in crate::sms) status: Vec<u16>,
    #[serde(default)]
    pub(in crate::sms) every: Vec<EveryValue>,
    /// There is a value other than `null` at each of these paths.
    #[serde(default)]
    pub(in crate::sms) present: Vec<Path>,
    /// There is no value, or only `null`, at each of these paths.
    #[serde(default)]
    pub(in crate::sms) absent: Vec<Path>,
}

/// The condition that there is a value at a path, and that all values there are among those listed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sms) struct EveryValue {
    pub(in crate::sms) at: Path,
    pub(in crate::sms) is: Vec<String>,
}

/// Where an answer describes an error, and what is known about the provider's errors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::sms) struct Errors {
    /// The paths of the error code. The first with a value is used.
    #[serde(default)]
    pub(in crate::sms) code: Vec<Path>,
    /// The paths of the error text. The first with a value is used.
    #[serde(default, rename = "words")]
    pub(in crate::sms) text: Vec<Path>,
    #[serde(default)]
    pub(in crate::sms) known: Vec<KnownError>,
}

/// The meaning of some errors.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::sms) struct KnownError {
    /// The provider's error codes; empty: any.
    #[serde(default)]
    pub(in crate::sms) codes: Vec<String>,
    /// Parts of the provider's error text, in upper or lower case; empty: any text.
    #[serde(default)]
    pub(in crate::sms) words: Vec<String>,
    /// There is a value other than `null` at one of these paths; empty: no matter.
    #[serde(default)]
    pub(in crate::sms) present: Vec<Path>,
    /// The HTTP statuses; empty: any.
    #[serde(default)]
    pub(in crate::sms) status: Vec<u16>,
    #[serde(deserialize_with = "step")]
    pub(in crate::sms) step: Step,
    pub(in crate::sms) hint: Option<String>,
    /// Every other provider would refuse the message too.
    #[serde(default, rename = "final")]
    pub(in crate::sms) stops_failover: bool,
}

/// How to list the messages that people sent to the provider's number.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::sms) struct InboxSpec {
    pub(in crate::sms) request: RequestSpec,
    /// The name of the setting with the number that people send messages to.
    #[serde(default = "from")]
    pub(in crate::sms) number: String,
    /// The path of the messages in the answer.
    pub(in crate::sms) messages: Path,
    /// The path of the sender's number in a message.
    pub(in crate::sms) from: Path,
    /// The path of the text in a message.
    pub(in crate::sms) text: Path,
    /// The path of the time of receipt in a message.
    pub(in crate::sms) at: Option<Path>,
    /// The format of that time.
    #[serde(default, rename = "time")]
    pub(in crate::sms) time_format: TimeFormat,
    /// The path of the next page's URL in the answer.
    pub(in crate::sms) next: Option<Path>,
    /// The provider lists each message only once.
    #[serde(default)]
    pub(in crate::sms) once: bool,
}

/// The format of a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::sms) enum TimeFormat {
    #[default]
    Rfc3339,
    Rfc2822,
    /// Seconds since 1970.
    Unix,
    /// Like `2026-01-31 23:59:59`, UTC.
    Plain,
    /// Like `/Date(1590840267010-0700)/`: milliseconds since 1970, regardless of the offset.
    Dotnet,
}

impl DataFile {
    /// The name and the aliases.
    pub(in crate::sms) fn names(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().chain([&self.name]).map(String::as_str)
    }

    /// Whether `request` is the one that sends a message, and not another of this file.
    pub(in crate::sms) fn sends_by(&self, request: &RequestSpec) -> bool {
        std::ptr::eq(request, &raw const self.send)
    }

    /// Whether `other` has a name or alias in common with this file.
    pub(in crate::sms) fn shares_name(&self, other: &Self) -> bool {
        self.names()
            .any(|name| other.names().any(|taken| taken == name))
    }

    /// What the interface can do.
    pub(in crate::sms) fn features(&self) -> SmsFeatures {
        let send = self.send.templates();
        let mut placeholders = send.iter().flat_map(|template| template.placeholders());
        SmsFeatures {
            number: self.number.format.example(),
            lifetime: placeholders.any(|name| VALIDITY_PLACEHOLDERS.contains(&name.as_str())),
            inbox: self.inbox.is_some(),
            check: self.check.is_some(),
        }
    }

    /// The settings in the file, then those that every provider has.
    pub(in crate::sms) fn all_settings(&self) -> Vec<Setting> {
        let mut settings: Vec<_> = self.settings.iter().map(SettingSpec::setting).collect();
        let is_fixed = self.base.placeholders().is_empty();
        let common = [
            (
                "base",
                format!("URL of the interface (default: {})", self.base.source()),
            ),
            (
                "ca-file",
                "PEM file with a CA certificate to trust in addition to the system's".to_owned(),
            ),
            (
                "allow-plain",
                "'yes' allows a base without TLS on another machine".to_owned(),
            ),
        ];
        settings.extend(common.map(|(name, help)| Setting {
            default: (name == "base" && is_fixed).then(|| self.base.source().to_owned()),
            name: name.to_owned(),
            help,
            secret: false,
            required: false,
        }));
        settings.extend(proxy::settings("the interface"));
        settings
    }
}

impl SettingSpec {
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
    /// All templates in it.
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

impl RequestSpec {
    /// All templates in it.
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

/// The setting with the number of an inbox, if the file names no other.
fn from() -> String {
    "from".to_owned()
}

/// Deserializes the name of a step that an error of a provider can be about.
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
