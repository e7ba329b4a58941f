//! The texts of messages, from built-in templates and an administrator's.
//!
//! A template is named after the message and the part of it: `code.subject`, `code.txt`, `code.html`, `code.sms`, and
//! the same for `notice` and `test`. [`context`] defines the variables that a template can use. [`custom`] reads an
//! administrator's templates; each replaces the built-in template of its name. An invalid one is reported, and the
//! built-in template is used instead, so that a typing error locks nobody out. [`gsm7`] counts the segments of a text
//! message.

mod context;
mod custom;
mod gsm7;

use std::fmt;
use std::path::Path;

use minijinja::Environment;
use zeroize::Zeroize;

pub use gsm7::{segments, septets};

use crate::error::{SendError, Step};
use crate::message::{CodeMessage, Message};
use context::{TemplateContext, environment, one_line};
use custom::CustomTemplates;

/// A template for HTML: the beginning that all of them share, up to the title, and the rest from `$file`.
macro_rules! html {
    ($file:literal) => {
        concat!(
            include_str!("../../templates/head.html"),
            include_str!(concat!("../../templates/", $file))
        )
    };
}

/// The built-in templates. Together they cover every part of every message.
const BUILT_IN: [(&str, &str); 12] = [
    ("code.subject", include_str!("../../templates/code.subject")),
    ("code.txt", include_str!("../../templates/code.txt")),
    ("code.html", html!("code.html")),
    ("code.sms", include_str!("../../templates/code.sms")),
    (
        "notice.subject",
        include_str!("../../templates/notice.subject"),
    ),
    ("notice.txt", include_str!("../../templates/notice.txt")),
    ("notice.html", html!("notice.html")),
    ("notice.sms", include_str!("../../templates/notice.sms")),
    ("test.subject", include_str!("../../templates/test.subject")),
    ("test.txt", include_str!("../../templates/test.txt")),
    ("test.html", html!("test.html")),
    ("test.sms", include_str!("../../templates/test.sms")),
];

/// The templates of all messages; renders a message for a channel.
#[derive(Debug)]
pub struct Templates {
    built_in: Environment<'static>,
    custom: CustomTemplates,
}

/// The text of a mail.
#[derive(Clone, PartialEq, Eq)]
pub struct MailContent {
    /// The subject, one line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
}

impl Templates {
    /// Loads the built-in templates and an administrator's from the directory `custom`. An invalid template there is
    /// left out and reported by [`problems`](Self::problems).
    pub fn load(custom: &Path) -> Self {
        let mut built_in = environment();
        for (name, source) in BUILT_IN {
            // A test renders all of them. One that did not parse would be an error when a message is rendered.
            let _ = built_in.add_template(name, source);
        }
        let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        Self {
            built_in,
            custom: CustomTemplates::load(custom, &names),
        }
    }

    /// What is wrong with the administrator's templates, with file and line. The built-in ones are used instead.
    pub fn problems(&self) -> Vec<SendError> {
        self.custom.problems()
    }

    /// Renders `message` as a mail.
    pub fn mail(&self, message: &Message) -> Result<MailContent, SendError> {
        let context = TemplateContext::new(message);
        let part = |part| self.render(&format!("{}.{part}", context.message), &context);
        Ok(MailContent {
            subject: one_line(&part("subject")?),
            text: part("txt")?,
            html: part("html")?,
        })
    }

    /// Renders `message` as a text message of one segment if possible: the least important facts are left out, and a
    /// long name is shortened. A code that is bound to a domain ends in the line `@domain #code` if there is room for
    /// it.
    pub fn sms(&self, message: &Message) -> Result<String, SendError> {
        let context = TemplateContext::new(message);
        let name = format!("{}.sms", context.message);
        let binding = match message {
            Message::Code(CodeMessage {
                domain: Some(domain),
                code,
                ..
            }) => format!("\n@{domain} #{}", code.as_str()),
            _ => String::new(),
        };
        let versions = context.shorter_and_shorter(self.custom.contains(&name));
        let versions: Result<Vec<_>, _> = versions
            .iter()
            .map(|context| self.render(&name, context))
            .collect();
        let versions = versions?;
        for ending in [binding.as_str(), ""] {
            if let Some(text) = versions
                .iter()
                .find(|text| segments(&format!("{text}{ending}")) == 1)
            {
                return Ok(format!("{text}{ending}"));
            }
        }
        let longest = versions.first().map(String::as_str).unwrap_or_default();
        Ok(format!("{longest}{binding}"))
    }

    /// Renders the administrator's template of this name, or the built-in one.
    fn render(&self, name: &str, context: &TemplateContext<'_>) -> Result<String, SendError> {
        if let Some(text) = self.custom.render(name, context) {
            return Ok(text);
        }
        let built_in = self
            .built_in
            .get_template(name)
            .and_then(|template| template.render(context.value()));
        built_in.map_err(|error| {
            // Only the kind of the error: its text could quote the code.
            SendError::new(
                Step::Message,
                format!("built-in template {name}: {}", error.kind()),
            )
        })
    }
}

impl fmt::Debug for MailContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailContent(…)")
    }
}

impl Drop for MailContent {
    fn drop(&mut self) {
        self.subject.zeroize();
        self.text.zeroize();
        self.html.zeroize();
    }
}

#[cfg(test)]
mod tests;
