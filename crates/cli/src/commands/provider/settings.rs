//! What a provider is told: what stands in the command line, in a file of secrets, and what is asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;

use twofa_delivery::ProviderKind;
use twofa_delivery::provider::Setting;
use twofa_proto::Failure;
use zeroize::Zeroizing;

use crate::arguments::Given;
use crate::error::CommandError;
use crate::terminal;

/// Values by the names of their settings. An empty one takes a setting away.
pub(super) type Values = BTreeMap<String, Zeroizing<String>>;

/// Several settings in one text, for the kinds that have such texts.
const ACCOUNT: &str = "account";

/// How a question is put: `None` where nobody is there to answer.
pub(super) type Ask<'a> =
    Option<&'a dyn Fn(&Question<'_>) -> Result<Zeroizing<String>, CommandError>>;

/// A question.
#[derive(Debug)]
pub(super) struct Question<'a> {
    /// The setting's name.
    pub(super) name: &'a str,
    /// What it is.
    pub(super) help: &'a str,
    /// What is typed must not be seen.
    pub(super) is_secret: bool,
    /// There is no doing without an answer.
    pub(super) is_required: bool,
    /// What an empty answer stands for.
    pub(super) default: Option<&'a str>,
}

impl<'a> Question<'a> {
    fn about(setting: &'a Setting) -> Self {
        let Setting {
            name,
            help,
            secret,
            required,
            default,
        } = setting;
        let default = default.as_deref();
        Self {
            name,
            help,
            is_secret: *secret,
            is_required: *required,
            default,
        }
    }

    fn text(&self) -> String {
        let Self { name, help, .. } = self;
        match self.default {
            Some(default) => format!("{name} ({help}) [{default}]: "),
            None if self.is_required => format!("{name} ({help}): "),
            None => format!("{name} ({help}; Enter for none): "),
        }
    }
}

/// Asks at the terminal.
pub(super) fn ask(question: &Question<'_>) -> Result<Zeroizing<String>, CommandError> {
    let text = question.text();
    let typed = if question.is_secret {
        let failed = |error| {
            CommandError::new(
                Failure::Failed,
                format!("cannot ask for '{}': {error}", question.name),
            )
        };
        Zeroizing::new(terminal::ask_hidden(&text).map_err(failed)?)
    } else {
        let mut out = io::stderr().lock();
        write!(out, "{text}")?;
        out.flush()?;
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line)?;
        Zeroizing::new(line.trim().to_owned())
    };
    if typed.is_empty() {
        return Ok(Zeroizing::new(
            question.default.unwrap_or_default().to_owned(),
        ));
    }
    Ok(typed)
}

/// Reads a file of secrets, `KEY=VALUE` one on a line. Empty lines and those that begin with `#` count for nothing; a
/// value is taken as it stands, blanks and all.
pub(super) fn read(file: &Path) -> Result<Values, CommandError> {
    let mut text = Zeroizing::new(String::new());
    let result = if file == Path::new("-") {
        io::stdin().read_to_string(&mut text)
    } else {
        File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    result.map_err(|error| {
        CommandError::new(
            Failure::Failed,
            format!("cannot read {}: {error}", file.display()),
        )
    })?;
    parse(&text)
        .map_err(|why| CommandError::new(Failure::Usage, format!("{}: {why}", file.display())))
}

fn parse(text: &str) -> Result<Values, String> {
    let mut values = Values::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        // What is wrong with a line is not shown: it may hold a secret.
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("line {number} is not KEY=VALUE"));
        };
        let name = name.trim().to_owned();
        if values
            .insert(name, Zeroizing::new(value.to_owned()))
            .is_some()
        {
            return Err(format!("line {number} has a key that was there before"));
        }
    }
    Ok(values)
}

/// What a provider of this `kind` is told by the command line and by `secrets`; a name alone is asked for.
pub(super) fn told(
    kind: &ProviderKind,
    given: &[Given],
    secrets: Values,
    ask: Ask<'_>,
) -> Result<Values, CommandError> {
    let mut told = Values::new();
    let from_line = given
        .iter()
        .map(|Given { name, value }| (name.clone(), Source::Line(value.as_deref())));
    let from_file = secrets
        .into_iter()
        .map(|(name, value)| (name, Source::File(value)));
    for (name, source) in from_line.chain(from_file) {
        let account = name == ACCOUNT && kind.setting(ACCOUNT).is_none() && kind.has_account();
        let question = match kind.setting(&name) {
            Some(setting) => Question::about(setting),
            None if account => Question {
                name: ACCOUNT,
                help: "All of the account in one, with semicolons in between",
                is_secret: true,
                is_required: true,
                default: None,
            },
            None => return Err(unknown(kind, &name)),
        };
        let value = source.value(&question, ask)?;
        let pairs = if account {
            expand(kind, &value)?
        } else {
            Values::from([(name, value)])
        };
        for (name, value) in pairs {
            if told.insert(name.clone(), value).is_some() {
                return Err(CommandError::new(
                    Failure::Usage,
                    format!("'{name}' is given twice"),
                ));
            }
        }
    }
    Ok(told)
}

/// Asks for what a new provider cannot do without, and for its password where none was said.
pub(super) fn complete(
    kind: &ProviderKind,
    told: &mut Values,
    has_secrets: bool,
    ask: Ask<'_>,
) -> Result<(), CommandError> {
    let is_missing = |told: &Values, setting: &Setting| {
        told.get(&setting.name).is_none_or(|value| value.is_empty())
    };
    let mut missing = Vec::new();
    for setting in kind.settings.iter().filter(|setting| setting.required) {
        if !is_missing(told, setting) {
            continue;
        }
        let value = match (ask, &setting.default) {
            (Some(ask), _) => ask(&Question::about(setting))?,
            (None, default) => Zeroizing::new(default.clone().unwrap_or_default()),
        };
        if value.is_empty() {
            missing.push(setting);
        } else {
            told.insert(setting.name.clone(), value);
        }
    }
    if let Some(error) = all_missing(kind, &missing) {
        return Err(error);
    }
    let mut secrets = kind.settings.iter().filter(|setting| setting.secret);
    let has_secret = has_secrets
        || secrets
            .clone()
            .any(|setting| told.contains_key(&setting.name));
    if let (Some(ask), Some(first), false) = (ask, secrets.next(), has_secret) {
        let value = ask(&Question::about(first))?;
        if !value.is_empty() {
            told.insert(first.name.clone(), value);
        }
    }
    Ok(())
}

fn all_missing(kind: &ProviderKind, missing: &[&Setting]) -> Option<CommandError> {
    if missing.is_empty() {
        return None;
    }
    let each: Vec<_> = missing
        .iter()
        .map(|Setting { name, help, .. }| format!("'{name}' ({help})"))
        .collect();
    let error = CommandError::new(
        Failure::Usage,
        format!("{} needs {}", kind.name, each.join(", ")),
    );
    let is_secret = missing.iter().any(|setting| setting.secret);
    Some(error.hinted(if is_secret {
        "give it as KEY=VALUE, and what is secret with --secrets-from FILE, or run it on a terminal to be asked"
    } else {
        "give it as KEY=VALUE, or run it on a terminal to be asked"
    }))
}

/// Where a value comes from.
enum Source<'a> {
    /// The command line, where other users see it; `None`: only the name stands there.
    Line(Option<&'a str>),
    /// A file.
    File(Zeroizing<String>),
}

impl Source<'_> {
    fn value(
        self,
        question: &Question<'_>,
        ask: Ask<'_>,
    ) -> Result<Zeroizing<String>, CommandError> {
        let name = question.name;
        match self {
            Self::File(value) => Ok(value),
            // Nothing is given away by taking a secret away.
            Self::Line(Some(value)) if !question.is_secret || value.is_empty() => {
                Ok(Zeroizing::new(value.to_owned()))
            }
            Self::Line(Some(_)) => {
                let message = format!(
                    "'{name}' is secret, and other users can see what stands in a command line"
                );
                Err(CommandError::new(Failure::Usage, message).hinted(format!(
                    "write '{name}' alone to be asked for it, or give it with --secrets-from FILE; and change it, now \
                     that it was shown"
                )))
            }
            Self::Line(None) => match ask {
                Some(ask) => ask(question),
                None => Err(CommandError::new(
                    Failure::Usage,
                    format!("'{name}' can only be asked for on a terminal"),
                )
                .hinted("without one, give it with --secrets-from FILE")),
            },
        }
    }
}

fn expand(kind: &ProviderKind, account: &str) -> Result<Values, CommandError> {
    let settings = kind.parse_account(account);
    settings.map_err(|error| CommandError::new(Failure::Usage, error.to_string()))
}

pub(super) fn unknown(kind: &ProviderKind, name: &str) -> CommandError {
    let message = format!(
        "{} has no setting called '{}'",
        kind.name,
        name.escape_debug()
    );
    CommandError::new(Failure::Usage, message)
        .hinted(format!("see 'twofa provider kinds {}'", kind.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_core::Channel;

    fn kind() -> ProviderKind {
        let setting = |name: &str, secret, required, default: Option<&str>| Setting {
            name: name.into(),
            help: format!("the {name}"),
            secret,
            required,
            default: default.map(str::to_owned),
        };
        let settings = vec![
            setting("host", false, true, None),
            setting("tls", false, true, Some("implicit")),
            setting("key", true, true, None),
            setting("reply-to", false, false, None),
        ];
        let open = |_: &_, _: &_, _: &_| unreachable!("only the settings are read");
        ProviderKind::new("post", "A post office", Channel::Email, settings, open)
    }

    fn given(settings: &[&str]) -> Vec<Given> {
        settings
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect()
    }

    fn words(result: Result<impl Sized, CommandError>) -> String {
        result.map(drop).unwrap_err().to_string()
    }

    fn shown(values: &Values) -> Vec<(&str, &str)> {
        values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    #[allow(clippy::unnecessary_wraps)] // a question can go unanswered
    fn answer(question: &Question<'_>) -> Result<Zeroizing<String>, CommandError> {
        Ok(Zeroizing::new(format!("my {}", question.name)))
    }

    #[test]
    fn a_secret_in_the_command_line_is_refused_and_not_repeated() {
        for ask in [None, Some(&answer as &dyn Fn(&Question<'_>) -> _)] {
            let told = words(told(
                &kind(),
                &given(&["host=mx", "key=swordfish"]),
                Values::new(),
                ask,
            ));
            assert!(
                told.contains("'key' is secret") && !told.contains("swordfish"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_setting_that_there_is_not_is_named_without_its_value() {
        let told = words(told(
            &kind(),
            &given(&["kee=swordfish"]),
            Values::new(),
            None,
        ));
        assert!(
            told.contains("post has no setting called 'kee'") && !told.contains("swordfish"),
            "{told}"
        );
    }

    #[test]
    fn a_name_alone_is_asked_for_where_somebody_can_answer() {
        let values = told(
            &kind(),
            &given(&["host=mx", "key"]),
            Values::new(),
            Some(&answer),
        )
        .unwrap();
        assert_eq!(shown(&values), [("host", "mx"), ("key", "my key")]);
        let told = words(told(&kind(), &given(&["key"]), Values::new(), None));
        assert!(
            told.contains("'key' can only be asked for on a terminal"),
            "{told}"
        );
    }

    #[test]
    fn a_secret_comes_from_a_file_as_it_stands_there() {
        let file = parse("# of the post office\n\nkey= sword=fish \r\n").unwrap();
        let values = told(&kind(), &given(&["host=mx"]), file, None).unwrap();
        assert_eq!(shown(&values), [("host", "mx"), ("key", " sword=fish ")]);
    }

    #[test]
    fn a_file_that_does_not_read_is_named_by_its_line_and_not_quoted() {
        let why = parse("key=a\nswordfish").unwrap_err();
        assert_eq!(why, "line 2 is not KEY=VALUE");
        assert!(
            parse("key=a\nkey=b")
                .unwrap_err()
                .contains("was there before")
        );
        let twice = told(&kind(), &given(&["host=a"]), parse("host=b").unwrap(), None);
        assert!(words(twice).contains("'host' is given twice"));
    }

    #[test]
    fn all_that_is_missing_is_named_at_once_where_nobody_can_be_asked() {
        let told = words(complete(&kind(), &mut Values::new(), false, None));
        assert!(
            told.contains("post needs 'host' (the host), 'key' (the key)"),
            "{told}"
        );
        assert!(
            !told.contains("'tls'") && !told.contains("reply-to"),
            "{told}"
        );
    }

    #[test]
    fn what_is_missing_is_asked_for_on_a_terminal() {
        let mut values = Values::from([("host".to_owned(), Zeroizing::new("mx".to_owned()))]);
        complete(&kind(), &mut values, false, Some(&answer)).unwrap();
        assert_eq!(
            shown(&values),
            [("host", "mx"), ("key", "my key"), ("tls", "my tls")]
        );
    }

    #[test]
    fn a_password_that_can_be_left_out_is_asked_for_once_and_only_if_no_secret_was_given() {
        let mut kind = kind();
        kind.settings[2].required = false;
        let told = |has_secrets| {
            let mut values = Values::from([("host".to_owned(), Zeroizing::new("mx".to_owned()))]);
            complete(&kind, &mut values, has_secrets, Some(&answer)).unwrap();
            values.contains_key("key")
        };
        assert_eq!((told(false), told(true)), (true, false));
    }

    #[test]
    fn a_question_says_what_is_wanted_and_what_holds_without_an_answer() {
        let kind = kind();
        let text = |name| Question::about(kind.setting(name).unwrap()).text();
        assert_eq!(text("host"), "host (the host): ");
        assert_eq!(text("tls"), "tls (the tls) [implicit]: ");
        assert_eq!(
            text("reply-to"),
            "reply-to (the reply-to; Enter for none): "
        );
    }
}
