//! Providers that are being added or changed: put together, tested, and only then saved.

use std::fmt;
use std::time::Duration;

use twofa_core::Channel;
use twofa_core::text::is_unprintable;
use twofa_delivery::{BadProvider, Catalogue, Provider};
use twofa_store::{ProviderRecord, Store};
use zeroize::Zeroizing;

use super::settings::{self, Ask, Given, Values};
use super::{ProviderFailure, ProviderKind, Value, catalogue, find, find_kind, is_broken, test};
use crate::admin::{AdminError, Administration};

/// So many characters a title has at most.
const LONGEST_TITLE: usize = 100;

/// What an administrator gives for a provider.
#[derive(Default)]
pub struct ProviderInput {
    /// Settings from the command line, where others can see them.
    pub given: Vec<Given>,
    /// Settings from a file of secrets; `None`: there is no file.
    pub secrets: Option<Values>,
    /// The name that users see; an empty one removes the title.
    pub title: Option<String>,
    /// Settings to remove.
    pub unset: Vec<String>,
}

/// Without the secrets: their names alone.
impl fmt::Debug for ProviderInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            given,
            secrets,
            title,
            unset,
        } = self;
        let secrets = secrets.as_ref().map(|secrets| secrets.keys());
        f.debug_struct("ProviderInput")
            .field("given", given)
            .field("secrets", &secrets)
            .field("title", title)
            .field("unset", unset)
            .finish()
    }
}

impl ProviderInput {
    const fn is_empty(&self) -> bool {
        let Self {
            given,
            secrets,
            title,
            unset,
        } = self;
        given.is_empty() && secrets.is_none() && title.is_none() && unset.is_empty()
    }
}

/// A provider that has not been saved yet.
#[derive(Debug)]
pub struct ProviderDraft {
    record: ProviderRecord,
    channel: Channel,
    provider: Box<dyn Provider>,
    /// Whether its settings differ from those that are saved.
    pub is_different: bool,
}

impl ProviderDraft {
    /// The channel it sends by.
    pub const fn channel(&self) -> Channel {
        self.channel
    }

    /// Goes as far as the provider can without sending anything. Returns how long that took.
    pub fn check(&self) -> Result<Duration, ProviderFailure> {
        test::check(&*self.provider)
    }
}

impl Administration {
    /// Drafts a provider called `name` of the kind `kind`. What it needs and is not given is asked for by `ask`.
    pub fn draft_provider(
        &self,
        name: &str,
        kind: &str,
        input: ProviderInput,
        ask: Ask<'_>,
    ) -> Result<ProviderDraft, AdminError> {
        let catalogue = catalogue();
        let kind = find_kind(&catalogue, kind)?;
        // Before anybody types a password for nothing.
        Store::check_provider_name(name)?;
        let providers = self.store().providers()?;
        if providers.find(name).is_some() || is_broken(&providers, name) {
            return Err(AdminError::ProviderExists(name.to_owned()));
        }
        let title = title(input.title.as_deref())?;
        let has_secrets = input.secrets.is_some();
        let secrets = input.secrets.unwrap_or_default();
        let mut values = settings::collect(kind, &input.given, secrets, ask)?;
        settings::complete(kind, &mut values, has_secrets, ask)?;
        values.retain(|_, value| !value.is_empty());
        let mut record = ProviderRecord {
            name: name.to_owned(),
            kind: kind.name.clone(),
            title,
            settings: values
                .into_iter()
                .map(|(name, value)| value_of(kind, name, value))
                .collect(),
        };
        Ok(ProviderDraft {
            provider: open_asking(&catalogue, kind, &mut record, ask)?,
            channel: kind.channel,
            record,
            is_different: true,
        })
    }

    /// Drafts a change of the provider called `name`.
    pub fn draft_provider_change(
        &self,
        name: &str,
        input: ProviderInput,
        ask: Ask<'_>,
    ) -> Result<ProviderDraft, AdminError> {
        if input.is_empty() {
            return Err(AdminError::NoChange);
        }
        let catalogue = catalogue();
        let mut record = find(&self.store().providers()?, name)?.clone();
        let before = record.settings.clone();
        let kind = find_kind(&catalogue, &record.kind)?;
        if input.title.is_some() {
            record.title = title(input.title.as_deref())?;
        }
        for unset in &input.unset {
            if record.settings.remove(unset).is_none() && kind.setting(unset).is_none() {
                return Err(settings::unknown(kind, unset));
            }
        }
        let secrets = input.secrets.unwrap_or_default();
        for (name, value) in settings::collect(kind, &input.given, secrets, ask)? {
            if value.is_empty() {
                record.settings.remove(&name);
            } else {
                let (name, value) = value_of(kind, name, value);
                record.settings.insert(name, value);
            }
        }
        Ok(ProviderDraft {
            provider: open_asking(&catalogue, kind, &mut record, ask)?,
            channel: kind.channel,
            is_different: record.settings != before,
            record,
        })
    }

    /// Saves a new provider, and returns the order in which those of its channel are tried from now on: it is the last.
    pub fn add_provider(&self, draft: &ProviderDraft) -> Result<Vec<String>, AdminError> {
        let (record, channel) = (&draft.record, draft.channel);
        self.store()
            .add_provider(record, channel, &self.origin(), self.now())?;
        self.provider_order(channel)
    }

    /// Saves a change, and returns the names of what changed.
    pub fn change_provider(&self, draft: &ProviderDraft) -> Result<Vec<String>, AdminError> {
        let (origin, now) = (self.origin(), self.now());
        Ok(self.store().change_provider(&draft.record, &origin, now)?)
    }
}

/// Makes a provider from its settings. If these need a secret that is missing, such as the password for a proxy with a user
/// name, `ask` is called for it.
fn open_asking(
    catalogue: &Catalogue,
    kind: &ProviderKind,
    record: &mut ProviderRecord,
    ask: Ask<'_>,
) -> Result<Box<dyn Provider>, AdminError> {
    loop {
        let error = match test::open(catalogue, record) {
            Err(error) => error,
            opened => return opened,
        };
        let secret = match &error {
            AdminError::BadProvider {
                error: BadProvider::Missing { setting, .. },
                ..
            } => kind.setting(setting).filter(|setting| setting.secret),
            _ => None,
        };
        let (Some(secret), Some(_)) = (secret, ask) else {
            return Err(error);
        };
        let question = Given {
            name: secret.name.clone(),
            value: None,
        };
        for (name, value) in settings::collect(kind, &[question], Values::new(), ask)? {
            if value.is_empty() {
                return Err(error);
            }
            let (name, value) = value_of(kind, name, value);
            record.settings.insert(name, value);
        }
    }
}

fn value_of(kind: &ProviderKind, name: String, value: Zeroizing<String>) -> (String, Value) {
    // What the kind no longer knows may have been a secret.
    let is_plain = kind.setting(&name).is_some_and(|setting| !setting.secret);
    let value = if is_plain {
        Value::Plain(value.to_string())
    } else {
        Value::Secret(value)
    };
    (name, value)
}

/// A title as it is kept; an empty one is none.
fn title(title: Option<&str>) -> Result<Option<String>, AdminError> {
    let Some(title) = title.map(str::trim).filter(|title| !title.is_empty()) else {
        return Ok(None);
    };
    if title.chars().count() > LONGEST_TITLE || title.chars().any(is_unprintable) {
        return Err(AdminError::BadTitle);
    }
    Ok(Some(title.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::Bench;

    #[test]
    fn a_title_is_trimmed_and_an_empty_one_is_none() {
        assert_eq!(title(Some("  ")).unwrap(), None);
        assert_eq!(
            title(Some(" Post office ")).unwrap().as_deref(),
            Some("Post office")
        );
        assert!(title(Some(&"x".repeat(LONGEST_TITLE + 1))).is_err());
        assert!(title(Some("a\u{1b}b")).is_err());
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        let secret = Zeroizing::new("hunter2".to_owned());
        let input = ProviderInput {
            secrets: Some(Values::from([("password".to_owned(), secret)])),
            ..ProviderInput::default()
        };
        let output = format!("{input:?}");
        assert!(
            output.contains("password") && !output.contains("hunter2"),
            "{output}"
        );
    }

    fn relay(settings: &[(&str, &str)]) -> ProviderInput {
        let given = |(name, value): &(&str, &str)| Given {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        };
        ProviderInput {
            given: settings.iter().map(given).collect(),
            ..ProviderInput::default()
        }
    }

    const RELAY: [(&str, &str); 3] = [
        ("host", "127.0.0.1"),
        ("tls", "none"),
        ("from", "login@example.org"),
    ];

    #[test]
    fn a_provider_is_drafted_added_changed_and_removed() {
        let bench = Bench::new();
        let draft = |name| bench.draft_provider(name, "smtp", relay(&RELAY), None);
        assert_eq!(bench.add_provider(&draft("a").unwrap()).unwrap(), ["a"]);
        assert_eq!(
            bench.add_provider(&draft("b").unwrap()).unwrap(),
            ["a", "b"]
        );
        assert!(matches!(draft("a"), Err(AdminError::ProviderExists(_))));
        assert!(matches!(draft("A B"), Err(AdminError::BadProviderName(_))));

        let same = bench
            .draft_provider_change("a", relay(&RELAY), None)
            .unwrap();
        assert!(!same.is_different && bench.change_provider(&same).unwrap().is_empty());
        let port = relay(&[("port", "2525")]);
        let other = bench.draft_provider_change("a", port, None).unwrap();
        assert!(other.is_different);
        assert_eq!(bench.change_provider(&other).unwrap(), ["port"]);

        let removal = bench.plan_removal("a").unwrap();
        let orders = bench.remove_provider(&removal).unwrap();
        assert_eq!(orders, [(Channel::Email, vec!["b".to_owned()])]);
        assert!(matches!(
            bench.remove_provider(&removal),
            Err(AdminError::ChangedMeanwhile(_))
        ));
    }

    #[test]
    fn the_password_of_a_proxys_user_is_asked_for_and_sealed() {
        let bench = Bench::new();
        let mut settings = vec![
            ("account-sid", "AC1"),
            ("from", "+15005550001"),
            ("proxy", "http://ann@proxy.corp:3128"),
        ];
        let ask = |question: &settings::Question<'_>| {
            assert!(question.is_secret, "{question:?}");
            Ok(Zeroizing::new(format!("my {}", question.name)))
        };
        let draft = bench
            .draft_provider("a", "twilio", relay(&settings), Some(&ask))
            .unwrap();
        let secret = |name: &str| draft.record.settings.get(name).unwrap();
        for name in ["auth-token", "proxy-password"] {
            assert!(secret(name).is_secret() && secret(name).text() == format!("my {name}"));
        }
        settings.truncate(2);
        let draft = bench.draft_provider("a", "twilio", relay(&settings), Some(&ask));
        bench.add_provider(&draft.unwrap()).unwrap();
        let change = |ask| {
            let proxy = relay(&[("proxy", "http://ann@proxy.corp:3128")]);
            bench.draft_provider_change("a", proxy, ask)
        };
        let draft = change(Some(&ask)).unwrap();
        assert_eq!(
            bench.change_provider(&draft).unwrap(),
            ["proxy", "proxy-password"]
        );
        bench
            .draft_provider_change("a", relay(&[("proxy-password", ""), ("proxy", "")]), None)
            .map(|draft| bench.change_provider(&draft).unwrap())
            .unwrap();
        let error = change(None).unwrap_err().to_string();
        assert!(error.contains("'proxy-password'"), "{error}");
    }

    #[test]
    fn what_is_not_enough_for_a_provider_makes_no_draft() {
        let bench = Bench::new();
        let draft = |kind, input| bench.draft_provider("a", kind, input, None).map(drop);
        assert!(matches!(
            draft("pigeon", relay(&RELAY)),
            Err(AdminError::NoKind(_))
        ));
        assert!(matches!(
            draft("smtp", relay(&RELAY[..2])),
            Err(AdminError::SettingsMissing { .. })
        ));
        assert!(matches!(
            draft("smtp", relay(&[("tls", "perhaps"), RELAY[0], RELAY[2]])),
            Err(AdminError::BadProvider { .. })
        ));
        assert!(matches!(
            bench.draft_provider_change("a", ProviderInput::default(), None),
            Err(AdminError::NoChange)
        ));
        assert!(matches!(
            bench.draft_provider_change("a", relay(&RELAY), None),
            Err(AdminError::NoProvider(_))
        ));
    }

    #[test]
    fn providers_are_listed_by_the_order_in_which_they_are_tried() {
        let bench = Bench::new();
        for name in ["a", "b", "c"] {
            let draft = bench.draft_provider(name, "smtp", relay(&RELAY), None);
            bench.add_provider(&draft.unwrap()).unwrap();
        }
        let order = ["c".to_owned(), "a".to_owned()];
        let plan = bench.plan_order(Channel::Email, &order).unwrap();
        assert!(bench.set_order(&plan).unwrap() && !bench.set_order(&plan).unwrap());
        let listed = bench.providers().unwrap();
        let listed: Vec<_> = listed
            .iter()
            .map(|provider| (provider.name.as_str(), provider.order))
            .collect();
        assert_eq!(listed, [("c", Some(1)), ("a", Some(2)), ("b", None)]);
        assert!(matches!(
            bench.plan_order(Channel::Sms, &order),
            Err(AdminError::WrongChannel { .. })
        ));
    }

    #[test]
    fn to_remove_the_only_provider_of_what_a_policy_relies_on_is_a_concern() {
        let bench = Bench::new();
        let draft = bench.draft_provider("a", "smtp", relay(&RELAY), None);
        bench.add_provider(&draft.unwrap()).unwrap();
        assert!(bench.plan_removal("a").unwrap().concerns.is_empty());
        bench.policy(&[("mode", "optional"), ("methods", "email")]);
        assert_eq!(bench.plan_removal("a").unwrap().concerns.len(), 1);
        assert_eq!(
            bench
                .plan_order(Channel::Email, &[])
                .unwrap()
                .concerns
                .len(),
            1
        );
    }
}
