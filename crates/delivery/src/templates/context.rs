//! The environment of templates, and the variables that they can use.
//!
//! A code has `application`, `user`, `code`, `code_in_subject`, `purpose`, `from` (may be none), `time` and `lifetime`;
//! a notice has `application`, `user`, `what`, `from` (may be none) and `time`; a test message has `application` and `time`.

use jiff::tz::TimeZone;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use twofa_core::Timestamp;
use twofa_core::text::printable;

use crate::message::{CodeMessage, Message, NoticeMessage};

/// The code with which a template is tried.
pub(super) const SAMPLE_CODE: &str = "135792468";

/// The minimum length to which an application's name is shortened, in characters.
const MIN_NAME: usize = 6;

/// The values of a template's variables.
#[derive(Clone)]
pub(super) struct TemplateContext<'a> {
    /// The first half of the template's name.
    pub(super) message: &'static str,
    application: String,
    user: Option<String>,
    pub(super) code: Option<&'a str>,
    code_in_subject: bool,
    purpose: Option<String>,
    from: Option<String>,
    time: Option<String>,
    lifetime: Option<String>,
    what: Option<String>,
}

impl<'a> TemplateContext<'a> {
    pub(super) fn new(message: &'a Message) -> Self {
        match message {
            Message::Code(message) => Self::for_code(message),
            Message::Notice(message) => Self::for_notice(message),
            Message::Test { application, at } => Self {
                time: Some(time(*at)),
                ..Self::empty("test", application)
            },
        }
    }

    fn empty(message: &'static str, application: &str) -> Self {
        Self {
            message,
            application: one_line(application),
            user: None,
            code: None,
            code_in_subject: false,
            purpose: None,
            from: None,
            time: None,
            lifetime: None,
            what: None,
        }
    }

    fn for_code(message: &'a CodeMessage) -> Self {
        Self {
            user: Some(one_line(&message.user)),
            code: Some(&message.code),
            code_in_subject: message.in_subject,
            purpose: Some(one_line(&message.purpose)),
            from: message.from.as_deref().map(one_line),
            time: Some(time(message.at)),
            lifetime: Some(duration(message.lifetime)),
            ..Self::empty("code", &message.application)
        }
    }

    fn for_notice(message: &NoticeMessage) -> Self {
        Self {
            user: Some(one_line(&message.user)),
            from: message.from.as_deref().map(one_line),
            time: Some(time(message.at)),
            what: Some(one_line(&message.what)),
            ..Self::empty("notice", &message.application)
        }
    }

    /// The contexts with which the template `name` is tried: with all values, and without those that may be none.
    pub(super) fn samples(name: &str) -> Vec<Self> {
        let some = |text: &str| Some(text.to_owned());
        let message = match name.split('.').next() {
            Some("code") => "code",
            Some("notice") => "notice",
            _ => "test",
        };
        let sample = Self {
            message,
            application: "Example".to_owned(),
            user: some("alice"),
            code: Some(SAMPLE_CODE),
            code_in_subject: false,
            purpose: some("log in with sshd"),
            from: some("192.0.2.1"),
            time: some("1 January 2026, 12:00 UTC"),
            lifetime: some("10 minutes"),
            what: some("An authenticator app was added."),
        };
        let without_from = Self {
            from: None,
            ..sample.clone()
        };
        vec![sample, without_from]
    }

    /// The variables of this kind of message.
    pub(super) fn value(&self) -> Value {
        let Self {
            message,
            application,
            user,
            code,
            code_in_subject,
            purpose,
            from,
            time,
            lifetime,
            what,
        } = self;
        match *message {
            "code" => {
                context! { application, user, code, code_in_subject, purpose, from, time, lifetime }
            }
            "notice" => context! { application, user, what, from, time },
            _ => context! { application, time },
        }
    }

    /// This context, then contexts for shorter and shorter texts. An administrator's template (`is_custom`) only has to
    /// work without `from`, so that nothing else is left out for it.
    pub(super) fn shorter_and_shorter(&self, is_custom: bool) -> Vec<Self> {
        let mut versions = vec![self.clone()];
        let mut shorter = self.clone();
        if !is_custom {
            shorter.purpose = None;
            versions.push(shorter.clone());
            if shorter.message == "notice" {
                shorter.time = None;
                versions.push(shorter.clone());
            }
        }
        shorter.from = None;
        versions.push(shorter.clone());
        versions.extend(shorter.with_shortened_names());
        if !is_custom {
            shorter.user = None;
            versions.extend(shorter.with_shortened_names());
            versions.push(shorter.clone());
            shorter.lifetime = None;
            versions.push(shorter.clone());
            shorter.application = self.application.chars().take(MIN_NAME).collect();
            versions.push(shorter);
        }
        versions
    }

    /// Versions with a shorter and shorter application name, down to [`MIN_NAME`] characters and the ellipsis.
    fn with_shortened_names(&self) -> Vec<Self> {
        let letters: Vec<char> = self.application.chars().collect();
        (MIN_NAME..letters.len().saturating_sub(3))
            .rev()
            .map(|length| {
                let name: String = letters.iter().take(length).collect();
                // Three dots: the ellipsis character is not in the alphabet of text messages.
                Self {
                    application: format!("{}...", name.trim_end()),
                    ..self.clone()
                }
            })
            .collect()
    }
}

/// The settings of all templates: an undefined variable is an error, and HTML is escaped in `.html`.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
}

/// `text` in one line, without characters that could control a terminal.
pub(super) fn one_line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A time in this machine's time zone, such as `24 November 2025, 17:00 CET`.
pub(super) fn time(at: Timestamp) -> String {
    let Ok(moment) = jiff::Timestamp::from_second(at.unix()) else {
        return at.unix().to_string();
    };
    moment
        .to_zoned(TimeZone::system())
        .strftime("%-d %B %Y, %H:%M %Z")
        .to_string()
}

/// A number of seconds in words, such as `10 minutes`.
pub(super) fn duration(seconds: u64) -> String {
    let units = [
        (86400, "day"),
        (3600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let mut rest = seconds;
    let mut words = Vec::new();
    for (size, unit) in units {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            words.push(format!(
                "{count} {unit}{}",
                if count == 1 { "" } else { "s" }
            ));
        }
    }
    if words.is_empty() {
        "0 seconds".to_owned()
    } else {
        words.join(" ")
    }
}
