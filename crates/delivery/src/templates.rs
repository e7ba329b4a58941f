//! What messages say: built-in templates, and an administrator's in their place.
//!
//! A template is called after the message and the part of it: `code.subject`, `code.txt`, `code.html`, `code.sms`, and
//! the same for `notice` and `test`. In it these stand for what is known: `application`, `user`, `code`, `purpose`,
//! `from` (may be none), `time`, `lifetime`; in a notice `what` in place of the code and what belongs to it; in a test
//! only `application` and `time`. A template that is broken is told of and the built-in one stands in for it: nobody
//! must be locked out by a typing error.

mod gsm7;

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::tz::TimeZone;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use twofa_core::Timestamp;
use twofa_core::text::printable;
use zeroize::Zeroize;

pub use gsm7::{segments, septets};

use crate::error::{SendError, Step};
use crate::message::{CodeMessage, Message, NoticeMessage};

/// The templates that a message can be made of, and the built-in ones.
const BUILT_IN: [(&str, &str); 12] = [
    ("code.subject", include_str!("../templates/code.subject")),
    ("code.txt", include_str!("../templates/code.txt")),
    ("code.html", include_str!("../templates/code.html")),
    ("code.sms", include_str!("../templates/code.sms")),
    (
        "notice.subject",
        include_str!("../templates/notice.subject"),
    ),
    ("notice.txt", include_str!("../templates/notice.txt")),
    ("notice.html", include_str!("../templates/notice.html")),
    ("notice.sms", include_str!("../templates/notice.sms")),
    ("test.subject", include_str!("../templates/test.subject")),
    ("test.txt", include_str!("../templates/test.txt")),
    ("test.html", include_str!("../templates/test.html")),
    ("test.sms", include_str!("../templates/test.sms")),
];

/// The largest template that is taken, in bytes.
const LARGEST: u64 = 64 * 1024;

/// Problems that are kept.
const MOST_PROBLEMS: usize = 50;

/// The shortest part of an application's name that says something.
const SHORTEST_NAME: usize = 6;

/// Stands in for a code when a template is tried.
const SAMPLE_CODE: &str = "135792468";

/// The templates in force.
pub struct Templates {
    folder: PathBuf,
    built_in: Environment<'static>,
    own: Environment<'static>,
    problems: Mutex<Vec<SendError>>,
}

/// A mail's words.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The subject, one line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letter(…)")
    }
}

impl Drop for Letter {
    fn drop(&mut self) {
        self.subject.zeroize();
        self.text.zeroize();
        self.html.zeroize();
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Templates {
    /// The built-in templates, with those in the folder `own` in their place. One there that is broken is left out and
    /// told of by [`problems`](Self::problems).
    pub fn load(own: &Path) -> Result<Self, SendError> {
        let mut built_in = environment();
        for (name, source) in BUILT_IN {
            let added = built_in.add_template(name, source);
            added.map_err(|error| {
                SendError::at(Step::Settings, format!("built-in template {name}: {error}"))
            })?;
        }
        let mut templates = Self {
            folder: own.to_owned(),
            built_in,
            own: environment(),
            problems: Mutex::default(),
        };
        templates.read_own();
        Ok(templates)
    }

    /// What is wrong with an administrator's templates, with file and line. The built-in ones stand in for them.
    pub fn problems(&self) -> Vec<SendError> {
        self.problems
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// `message` as a mail.
    pub fn letter(&self, message: &Message) -> Result<Letter, SendError> {
        let words = Words::of(message);
        let part = |part| self.render(&format!("{}.{part}", words.message), &words);
        Ok(Letter {
            subject: one_line(&part("subject")?),
            text: part("txt")?,
            html: part("html")?,
        })
    }

    /// `message` as a text message, of one segment where that can be: what matters least is left out, and a long name
    /// is shortened. A code that is bound to a domain ends in the line `@domain #code` if there is room for it.
    pub fn text_message(&self, message: &Message) -> Result<String, SendError> {
        let words = Words::of(message);
        let name = format!("{}.sms", words.message);
        let is_own = self.own.get_template(&name).is_ok();
        let bound = match message {
            Message::Code(CodeMessage {
                domain: Some(domain),
                code,
                ..
            }) => {
                format!("\n@{domain} #{}", code.as_str())
            }
            _ => String::new(),
        };
        let versions = words.shorter_and_shorter(is_own);
        let versions: Result<Vec<_>, _> = versions
            .iter()
            .map(|words| self.render(&name, words))
            .collect();
        let versions = versions?;
        for ending in [bound.as_str(), ""] {
            if let Some(text) = versions
                .iter()
                .find(|text| segments(&format!("{text}{ending}")) == 1)
            {
                return Ok(format!("{text}{ending}"));
            }
        }
        Ok(format!(
            "{}{bound}",
            versions.first().map(String::as_str).unwrap_or_default()
        ))
    }

    /// Renders the administrator's template of this name, or the built-in one.
    fn render(&self, name: &str, words: &Words<'_>) -> Result<String, SendError> {
        if let Ok(own) = self.own.get_template(name) {
            match own.render(words.value()) {
                Ok(text) => return Ok(text),
                Err(error) => self.add_problem(self.broken(name, &error, words.code)),
            }
        }
        let built_in = self
            .built_in
            .get_template(name)
            .and_then(|template| template.render(words.value()));
        built_in.map_err(|error| {
            // Its words could quote the code.
            SendError::at(
                Step::Message,
                format!("built-in template {name}: {}", error.kind()),
            )
        })
    }

    fn read_own(&mut self) {
        let files = match std::fs::read_dir(&self.folder) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => return self.add_problem(problem(&self.folder, None, &error.to_string())),
        };
        let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
        files.sort();
        for path in files {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // Editors' and package managers' copies.
            if name.starts_with('.')
                || name.ends_with('~')
                || name.contains(".dpkg-")
                || name.ends_with(".rpmnew")
            {
                continue;
            }
            if let Err(problem) = self.add_own(&name, &path) {
                self.own.remove_template(&name);
                self.add_problem(problem);
            }
        }
    }

    fn add_own(&mut self, name: &str, path: &Path) -> Result<(), SendError> {
        if BUILT_IN.iter().all(|(known, _)| *known != name) {
            let known: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            let nobody = problem(path, None, "there is no template of this name");
            return Err(nobody.hinted(format!("there are {}", known.join(", "))));
        }
        let size = std::fs::metadata(path)
            .map_err(|error| problem(path, None, &error.to_string()))?
            .len();
        if size > LARGEST {
            return Err(problem(path, None, "the file is too large for a template"));
        }
        let source = std::fs::read_to_string(path)
            .map_err(|error| problem(path, None, &error.to_string()))?;
        self.own
            .add_template_owned(name.to_owned(), source)
            .map_err(|error| self.broken(name, &error, None))?;

        for words in Words::samples(name) {
            let template = self.own.get_template(name);
            let text = template.and_then(|template| template.render(words.value()));
            let text = text.map_err(|error| self.broken(name, &error, None))?;
            if words.message == "code" && !name.ends_with(".subject") && !text.contains(SAMPLE_CODE)
            {
                return Err(problem(
                    path,
                    None,
                    "it does not say the code: {{ code }} is missing",
                ));
            }
        }
        Ok(())
    }

    fn broken(&self, name: &str, error: &minijinja::Error, code: Option<&str>) -> SendError {
        let detail = error
            .detail()
            .map(|detail| format!(": {detail}"))
            .unwrap_or_default();
        let mut why = format!("{}{detail}", error.kind());
        if let Some(code) = code {
            why = why.replace(code, "[…]");
        }
        problem(&self.folder.join(name), error.line(), &why)
    }

    fn add_problem(&self, problem: SendError) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.len() < MOST_PROBLEMS && !problems.contains(&problem) {
            problems.push(problem);
        }
    }
}

fn problem(path: &Path, line: Option<usize>, why: &str) -> SendError {
    let line = line
        .map(|line| format!(", line {line}"))
        .unwrap_or_default();
    SendError::at(
        Step::Settings,
        format!("{}{line}: {}", path.display(), one_line(why)),
    )
    .hinted("the built-in template is used until this one is mended or removed")
}

/// What is common to all templates: what is not known is an error, and HTML is escaped in `.html`.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
}

/// `text` without line breaks or anything that could steer what shows it.
fn one_line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What a template can say.
#[derive(Clone)]
struct Words<'a> {
    /// The first half of a template's name.
    message: &'static str,
    application: String,
    user: Option<String>,
    code: Option<&'a str>,
    purpose: Option<String>,
    from: Option<String>,
    time: Option<String>,
    lifetime: Option<String>,
    what: Option<String>,
}

impl<'a> Words<'a> {
    fn of(message: &'a Message) -> Self {
        let nothing = Self {
            message: "test",
            application: String::new(),
            user: None,
            code: None,
            purpose: None,
            from: None,
            time: None,
            lifetime: None,
            what: None,
        };
        match message {
            Message::Code(message) => {
                let CodeMessage {
                    code,
                    application,
                    user,
                    purpose,
                    from,
                    at,
                    lifetime,
                    domain: _,
                } = message;
                Self {
                    message: "code",
                    application: one_line(application),
                    user: Some(one_line(user)),
                    code: Some(code),
                    purpose: Some(one_line(purpose)),
                    from: from.as_deref().map(one_line),
                    time: Some(time(*at)),
                    lifetime: Some(duration(*lifetime)),
                    ..nothing
                }
            }
            Message::Notice(NoticeMessage {
                application,
                user,
                what,
                from,
                at,
            }) => Self {
                message: "notice",
                application: one_line(application),
                user: Some(one_line(user)),
                from: from.as_deref().map(one_line),
                time: Some(time(*at)),
                what: Some(one_line(what)),
                ..nothing
            },
            Message::Test { application, at } => Self {
                application: one_line(application),
                time: Some(time(*at)),
                ..nothing
            },
        }
    }

    /// What the template `name` is tried with: with everything, and with what may be missing missing.
    fn samples(name: &str) -> Vec<Self> {
        let some = |text: &str| Some(text.to_owned());
        let sample = Self {
            message: "test",
            application: "Example".to_owned(),
            user: some("alice"),
            code: Some(SAMPLE_CODE),
            purpose: some("log in with sshd"),
            from: some("192.0.2.1"),
            time: some("1 January 2026, 12:00 UTC"),
            lifetime: some("10 minutes"),
            what: some("An authenticator app was added."),
        };
        match name.split('.').next() {
            Some("code") => {
                let sample = Self {
                    message: "code",
                    ..sample
                };
                vec![
                    sample.clone(),
                    Self {
                        from: None,
                        ..sample
                    },
                ]
            }
            Some("notice") => {
                let sample = Self {
                    message: "notice",
                    ..sample
                };
                vec![
                    sample.clone(),
                    Self {
                        from: None,
                        ..sample
                    },
                ]
            }
            _ => vec![sample],
        }
    }

    /// The words a template gets: only those its message has.
    fn value(&self) -> Value {
        let Self {
            message,
            application,
            user,
            code,
            purpose,
            from,
            time,
            lifetime,
            what,
        } = self;
        match *message {
            "code" => context! { application, user, code, purpose, from, time, lifetime },
            "notice" => context! { application, user, what, from, time },
            _ => context! { application, time },
        }
    }

    /// The same words, then fewer and fewer of them. An administrator's template only has to do without `from`.
    fn shorter_and_shorter(&self, is_own: bool) -> Vec<Self> {
        let mut versions = vec![self.clone()];
        let mut shorter = self.clone();
        if !is_own {
            shorter.purpose = None;
            versions.push(shorter.clone());
            if shorter.message == "notice" {
                shorter.time = None;
                versions.push(shorter.clone());
            }
        }
        shorter.from = None;
        versions.push(shorter.clone());
        let letters: Vec<char> = self.application.chars().collect();
        let mut cut = |shorter: &Self| {
            for length in (SHORTEST_NAME..letters.len().saturating_sub(3)).rev() {
                let name: String = letters.iter().take(length).collect();
                // Three dots: the one character for them is not in a text message's alphabet.
                versions.push(Self {
                    application: format!("{}...", name.trim_end()),
                    ..shorter.clone()
                });
            }
        };
        cut(&shorter);
        if !is_own {
            shorter.user = None;
            cut(&shorter);
            versions.push(shorter.clone());
            shorter.lifetime = None;
            versions.push(shorter.clone());
            let name = letters.iter().take(SHORTEST_NAME).collect();
            versions.push(Self {
                application: name,
                ..shorter
            });
        }
        versions
    }
}

/// A moment in this machine's time zone, such as `24 November 2025, 17:00 CET`.
fn time(at: Timestamp) -> String {
    let Ok(moment) = jiff::Timestamp::from_second(at.unix()) else {
        return at.unix().to_string();
    };
    moment
        .to_zoned(TimeZone::system())
        .strftime("%-d %B %Y, %H:%M %Z")
        .to_string()
}

/// A number of seconds as people say it, such as `10 minutes`.
fn duration(seconds: u64) -> String {
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

#[cfg(test)]
mod tests;
