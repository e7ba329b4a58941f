//! The settings of a provider: given in a command line, in a file of secrets, or asked for.

use std::collections::BTreeMap;
use std::io;

use twofa_delivery::ProviderKind;
use twofa_delivery::provider::Setting;
use zeroize::Zeroizing;

use crate::admin::AdminError;

/// Values by the names of their settings. An empty one removes the setting.
pub type Values = BTreeMap<String, Zeroizing<String>>;

/// Several settings in one text, for the kinds that have such texts.
const ACCOUNT: &str = "account";

/// How to ask a question; `None` if nobody is there to answer. An empty answer means the default.
pub type Ask<'a> = Option<&'a dyn Fn(&Question<'_>) -> io::Result<Zeroizing<String>>>;

/// A setting as somebody gives it where others can see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The setting's name.
    pub name: String,
    /// Its value; `None`: it is asked for.
    pub value: Option<String>,
}

/// A setting that an administrator is asked for.
#[derive(Debug)]
pub struct Question<'a> {
    /// The setting's name.
    pub name: &'a str,
    /// What the setting is for, in one line.
    pub help: &'a str,
    /// Whether what is typed must not be seen.
    pub is_secret: bool,
    /// Whether an answer is needed.
    pub is_required: bool,
    /// The value that no answer means.
    pub default: Option<&'a str>,
}

impl<'a> Question<'a> {
    fn new(setting: &'a Setting) -> Self {
        Self {
            name: &setting.name,
            help: &setting.help,
            is_secret: setting.secret,
            is_required: setting.required,
            default: setting.default.as_deref(),
        }
    }

    fn ask(
        &self,
        ask: &dyn Fn(&Question<'_>) -> io::Result<Zeroizing<String>>,
    ) -> Result<Zeroizing<String>, AdminError> {
        let typed = ask(self).map_err(|error| AdminError::NotAsked {
            setting: self.name.to_owned(),
            error,
        })?;
        if typed.is_empty() {
            let default = self.default.unwrap_or_default();
            return Ok(Zeroizing::new(default.to_owned()));
        }
        Ok(typed)
    }
}

/// Why a file of secrets cannot be read. The line itself is not shown, because it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecrets {
    /// The line with this number, from 1, is no setting.
    #[error("line {0} is not KEY=VALUE")]
    NotASetting(usize),
    /// The line with this number, from 1, has the key of an earlier one.
    #[error("line {0} repeats the key of an earlier line")]
    Repeated(usize),
}

/// Reads the text of a file of secrets: `KEY=VALUE`, one on a line. Empty lines and those that begin with `#` are
/// ignored; a value is taken as it is, blanks included.
pub fn parse_secrets(text: &str) -> Result<Values, BadSecrets> {
    let mut values = Values::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line
            .split_once('=')
            .ok_or(BadSecrets::NotASetting(number))?;
        let value = Zeroizing::new(value.to_owned());
        if values.insert(name.trim().to_owned(), value).is_some() {
            return Err(BadSecrets::Repeated(number));
        }
    }
    Ok(values)
}

/// The settings of a provider of this `kind` from the command line and from `secrets`. A setting without a value is asked
/// for.
pub(super) fn collect(
    kind: &ProviderKind,
    given: &[Given],
    secrets: Values,
    ask: Ask<'_>,
) -> Result<Values, AdminError> {
    let mut collected = Values::new();
    let from_line = given
        .iter()
        .map(|Given { name, value }| (name.clone(), Source::Line(value.as_deref())));
    let from_file = secrets
        .into_iter()
        .map(|(name, value)| (name, Source::File(value)));
    for (name, source) in from_line.chain(from_file) {
        let account = name == ACCOUNT && kind.setting(ACCOUNT).is_none() && kind.has_account();
        let question = match kind.setting(&name) {
            Some(setting) => Question::new(setting),
            None if account => Question {
                name: ACCOUNT,
                help: "the whole account in one value, its parts separated by semicolons",
                is_secret: true,
                is_required: true,
                default: None,
            },
            None if matches!(source, Source::File(_)) => {
                return Err(AdminError::NoSettingOfFile(kind.name.clone()));
            }
            None => return Err(unknown(kind, &name)),
        };
        let value = source.value(&question, ask)?;
        let pairs = if account {
            expand(kind, &value)?
        } else {
            Values::from([(name, value)])
        };
        for (name, value) in pairs {
            if collected.insert(name.clone(), value).is_some() {
                return Err(AdminError::SettingTwice(name));
            }
        }
    }
    Ok(collected)
}

/// Asks for the settings that a new provider needs, and for its password if no secret was given.
pub(super) fn complete(
    kind: &ProviderKind,
    values: &mut Values,
    has_secrets: bool,
    ask: Ask<'_>,
) -> Result<(), AdminError> {
    let mut missing = Vec::new();
    for setting in kind.settings.iter().filter(|setting| setting.required) {
        if values
            .get(&setting.name)
            .is_some_and(|value| !value.is_empty())
        {
            continue;
        }
        let value = match (ask, &setting.default) {
            (Some(ask), _) => Question::new(setting).ask(ask)?,
            (None, default) => Zeroizing::new(default.clone().unwrap_or_default()),
        };
        if value.is_empty() {
            missing.push(setting.clone());
        } else {
            values.insert(setting.name.clone(), value);
        }
    }
    if !missing.is_empty() {
        return Err(AdminError::SettingsMissing {
            kind: kind.name.clone(),
            settings: missing,
        });
    }
    let mut secrets = kind.settings.iter().filter(|setting| setting.secret);
    let has_secret = has_secrets
        || secrets
            .clone()
            .any(|setting| values.contains_key(&setting.name));
    if let (Some(ask), Some(first), false) = (ask, secrets.next(), has_secret) {
        let value = Question::new(first).ask(ask)?;
        if !value.is_empty() {
            values.insert(first.name.clone(), value);
        }
    }
    Ok(())
}

/// Where a value comes from.
enum Source<'a> {
    /// The command line, where other users see it; `None`: only the name is there.
    Line(Option<&'a str>),
    /// A file.
    File(Zeroizing<String>),
}

impl Source<'_> {
    fn value(self, question: &Question<'_>, ask: Ask<'_>) -> Result<Zeroizing<String>, AdminError> {
        let setting = || question.name.to_owned();
        match self {
            Self::File(value) => Ok(value),
            // Removing a secret discloses nothing.
            Self::Line(Some(value)) if !question.is_secret || value.is_empty() => {
                Ok(Zeroizing::new(value.to_owned()))
            }
            Self::Line(Some(_)) => Err(AdminError::SecretShown(setting())),
            Self::Line(None) => match ask {
                Some(ask) => question.ask(ask),
                None => Err(AdminError::NobodyToAsk(setting())),
            },
        }
    }
}

fn expand(kind: &ProviderKind, account: &str) -> Result<Values, AdminError> {
    let settings = kind.parse_account(account);
    settings.map_err(|error| AdminError::BadAccount(error.to_string()))
}

/// That `kind` has no setting called `name`.
pub(super) fn unknown(kind: &ProviderKind, name: &str) -> AdminError {
    AdminError::NoSetting {
        kind: kind.name.clone(),
        setting: name.escape_debug().to_string(),
    }
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
        let given = |text: &&str| {
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (*text, None),
            };
            Given {
                name: name.to_owned(),
                value,
            }
        };
        settings.iter().map(given).collect()
    }

    fn shown(values: &Values) -> Vec<(&str, &str)> {
        values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    #[allow(clippy::unnecessary_wraps)] // a question can go unanswered
    fn answer(question: &Question<'_>) -> io::Result<Zeroizing<String>> {
        Ok(Zeroizing::new(format!("my {}", question.name)))
    }

    #[test]
    fn a_secret_in_the_command_line_is_refused_and_not_repeated() {
        for ask in [None, Some(&answer as &dyn Fn(&Question<'_>) -> _)] {
            let given = given(&["host=mx", "key=swordfish"]);
            let error = collect(&kind(), &given, Values::new(), ask).unwrap_err();
            assert!(matches!(&error, AdminError::SecretShown(name) if name == "key"));
            assert!(!error.to_string().contains("swordfish"), "{error}");
        }
    }

    #[test]
    fn a_setting_that_does_not_exist_is_named_without_its_value() {
        let given = given(&["kee=swordfish"]);
        let error = collect(&kind(), &given, Values::new(), None).unwrap_err();
        assert_eq!(error.to_string(), "post has no setting called 'kee'");
    }

    #[test]
    fn a_name_alone_is_asked_for_where_somebody_can_answer() {
        let values = collect(
            &kind(),
            &given(&["host=mx", "key"]),
            Values::new(),
            Some(&answer),
        )
        .unwrap();
        assert_eq!(shown(&values), [("host", "mx"), ("key", "my key")]);
        let error = collect(&kind(), &given(&["key"]), Values::new(), None).unwrap_err();
        assert!(matches!(&error, AdminError::NobodyToAsk(name) if name == "key"));
    }

    #[test]
    fn a_secret_comes_from_a_file_as_it_is_written_there() {
        let file = parse_secrets("# of the post office\n\nkey= sword=fish \r\n").unwrap();
        let values = collect(&kind(), &given(&["host=mx"]), file, None).unwrap();
        assert_eq!(shown(&values), [("host", "mx"), ("key", " sword=fish ")]);
    }

    #[test]
    fn a_file_that_does_not_read_is_named_by_its_line_and_not_quoted() {
        let why = parse_secrets("key=a\nswordfish").unwrap_err();
        assert_eq!(why, BadSecrets::NotASetting(2));
        let twice = parse_secrets("key=a\nkey=b");
        assert_eq!(twice.unwrap_err(), BadSecrets::Repeated(2));
        let file = parse_secrets("swordfish=b").unwrap();
        let error = collect(&kind(), &[], file, None).unwrap_err().to_string();
        assert_eq!(
            error,
            "the file of secrets has a key that is no setting of post"
        );
        let file = parse_secrets("host=b").unwrap();
        let error = collect(&kind(), &given(&["host=a"]), file, None).unwrap_err();
        assert!(matches!(&error, AdminError::SettingTwice(name) if name == "host"));
    }

    #[test]
    fn all_that_is_missing_is_named_at_once_where_nobody_can_be_asked() {
        let error = complete(&kind(), &mut Values::new(), false, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "post needs 'host' (the host), 'key' (the key)"
        );
    }

    #[test]
    fn what_is_missing_is_asked_for_and_no_answer_is_the_default() {
        let nothing = |_: &Question<'_>| Ok(Zeroizing::new(String::new()));
        let mut kind = kind();
        kind.settings.retain(|setting| setting.name == "tls");
        let mut values = Values::new();
        complete(&kind, &mut values, false, Some(&nothing)).unwrap();
        assert_eq!(shown(&values), [("tls", "implicit")]);
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
        let is_asked = |has_secrets| {
            let mut values = Values::from([("host".to_owned(), Zeroizing::new("mx".to_owned()))]);
            complete(&kind, &mut values, has_secrets, Some(&answer)).unwrap();
            values.contains_key("key")
        };
        assert_eq!((is_asked(false), is_asked(true)), (true, false));
    }
}
