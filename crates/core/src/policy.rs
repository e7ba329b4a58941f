//! What the administrator decided for the whole machine.
//!
//! [`KEYS`] is the one table: parsing, `twofa policy`, its help, completions and the manual follow from
//! it. A key that is not in it, or a value that does not read, is an error everywhere: a broken policy
//! denies, it never disables.

use std::borrow::Cow;
use std::fmt;

use crate::channel::{Channel, PerChannel};
use crate::duration::Duration;
use crate::lockout::{self, Rules};
use crate::method::{Method, Methods};
use crate::text::is_unprintable;

/// Whom a login asks for a second factor. The stricter is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Nobody.
    Disabled,
    /// Those who enrolled, and those an administrator requires.
    Optional,
    /// Everybody.
    Mandatory,
}

/// When somebody who must have a second factor and has none sets one up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolment {
    /// At the login prompt.
    AtLogin,
    /// Before it; the login is refused with words that say how.
    Beforehand,
}

/// How long a verified device is trusted, by the kind of door. Zero: every time anew.
///
/// Nothing records devices yet, so that no device is trusted; the decision is ready for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// A local terminal or display.
    pub console: Duration,
    /// A login from another host.
    pub remote: Duration,
    /// su, sudo, polkit.
    pub elevation: Duration,
}

/// The codes that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codes {
    /// How many digits they have.
    pub digits: u8,
    /// How long one is good for.
    pub lifetime: Duration,
    /// How long after one the next can be asked for in the same login.
    pub cooldown: Duration,
}

/// How much may be sent. Every send counts when it starts, whether it arrives or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendLimits {
    /// To one user in an hour.
    pub user_hourly: u32,
    /// To one address in a day.
    pub address_daily: u32,
    /// By the machine in an hour.
    pub machine_hourly: u32,
    /// To addresses of one user that are not verified, in an hour.
    pub unverified_hourly: u32,
    /// The same in a day.
    pub unverified_daily: u32,
    /// By the machine in text messages with codes, in a day.
    pub sms_daily: u32,
}

impl SendLimits {
    /// How many text messages a day may go to numbers that are not verified: a fifth, so that they leave the most to
    /// those who log in.
    pub fn sms_daily_unverified(&self) -> u32 {
        (self.sms_daily / 5).max(1)
    }
}

/// The policy in force. It is made by [`Policy::from_settings`] and [`Policy::overridden`] alone, so one that
/// exists is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whom a login asks.
    pub mode: Mode,
    /// Stands in every prompt and in the app's list; `None`: the host name.
    pub application_name: Option<String>,
    /// What may be used.
    pub methods: Methods,
    /// When people enrol who must.
    pub enrolment: Enrolment,
    /// How long devices are trusted.
    pub trust: Trust,
    /// When wrong codes lock an account.
    pub lockout: Rules,
    /// What codes that are sent are like.
    pub codes: Codes,
    /// The domain that codes in text messages are bound to, for phones that fill them in.
    pub code_domain: Option<String>,
    /// How much may be sent.
    pub limits: SendLimits,
    /// Whether a text message that cannot be sent goes by e-mail; `None`: where [`Policy::methods`] allows e-mail.
    pub fallback_to_email: Option<bool>,
    /// No two users may have the same verified address.
    pub unique_addresses: bool,
    /// The country whose numbers may be written without it, two capital letters (ISO 3166-1).
    pub phone_country: Option<String>,
    /// The countries whose numbers users may have codes sent to by their own word, as `phone_country`; see
    /// [`Policy::countries`].
    pub phone_countries: Vec<String>,
    /// The channels by which people are told what happened to their second factor.
    pub notices: PerChannel<bool>,
}

/// One row of [`KEYS`].
pub struct Setting {
    /// What an administrator writes before the `=`.
    pub name: &'static str,
    values: &'static str,
    default: &'static str,
    /// One line of explanation, imperative, no full stop.
    pub help: &'static str,
    /// Whether a class may have a value of its own.
    pub per_class: bool,
    read: fn(&mut Policy, &str) -> Result<(), Why>,
    write: fn(&Policy) -> String,
}

impl Setting {
    /// What may stand behind the `=`, in words.
    pub fn values(&self) -> String {
        filled(self.values)
    }

    /// What holds when nothing is set.
    pub fn default(&self) -> String {
        filled(self.default)
    }

    /// The setting's value in `policy`, as an administrator would write it.
    pub fn value(&self, policy: &Policy) -> String {
        (self.write)(policy)
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Every setting there is. `{methods}` and `{channels}` stand for the names of all there are.
pub static KEYS: [Setting; 24] = [
    Setting {
        name: "mode",
        values: "disabled, optional or mandatory",
        default: "disabled",
        help: "Ask nobody, those who enrolled, or everybody",
        per_class: true,
        read: |policy, text| {
            policy.mode = match text {
                "disabled" => Mode::Disabled,
                "optional" => Mode::Optional,
                "mandatory" => Mode::Mandatory,
                _ => return Err("it must be disabled, optional or mandatory".into()),
            };
            Ok(())
        },
        write: |policy| policy.mode.name().to_owned(),
    },
    Setting {
        name: "application-name",
        values: "up to 40 characters, or empty for the host name",
        default: "",
        help: "Name this machine or company in every prompt and in people's apps",
        per_class: false,
        read: |policy, text| {
            if text.chars().count() > 40 {
                return Err("it must have at most 40 characters".into());
            }
            // It is shown on terminals and stands before the colon in `otpauth://` labels.
            if text.chars().any(|c| is_unprintable(c) || c == ':') {
                return Err("it must not contain a colon or a control character".into());
            }
            let name = text.trim();
            policy.application_name = (!name.is_empty()).then(|| name.to_owned());
            Ok(())
        },
        write: |policy| policy.application_name.clone().unwrap_or_default(),
    },
    Setting {
        name: "methods",
        values: "one or more of {methods}",
        default: "{methods}",
        help: "Allow these methods and no others",
        per_class: true,
        read: |policy, text| methods(text).map(|methods| policy.methods = methods),
        write: |policy| policy.methods.to_string(),
    },
    Setting {
        name: "enrolment",
        values: "at-login or beforehand",
        default: "at-login",
        help: "Lead people who must enrol through it inside the login, or refuse them until they have",
        per_class: true,
        read: |policy, text| {
            policy.enrolment = match text {
                "at-login" => Enrolment::AtLogin,
                "beforehand" => Enrolment::Beforehand,
                _ => return Err("it must be at-login or beforehand".into()),
            };
            Ok(())
        },
        write: |policy| match policy.enrolment {
            Enrolment::AtLogin => "at-login".to_owned(),
            Enrolment::Beforehand => "beforehand".to_owned(),
        },
    },
    Setting {
        name: "trust.console",
        values: TRUST_VALUES,
        default: "0",
        help: "Trust a verified local terminal or display this long (nothing records devices yet)",
        per_class: true,
        read: |policy, text| trust(text).map(|duration| policy.trust.console = duration),
        write: |policy| policy.trust.console.to_string(),
    },
    Setting {
        name: "trust.remote",
        values: TRUST_VALUES,
        default: "0",
        help: "Trust a verified remote host or key this long (nothing records devices yet)",
        per_class: true,
        read: |policy, text| trust(text).map(|duration| policy.trust.remote = duration),
        write: |policy| policy.trust.remote.to_string(),
    },
    Setting {
        name: "trust.elevation",
        values: TRUST_VALUES,
        default: "0",
        help: "Trust a verified terminal this long at su and sudo (nothing records devices yet)",
        per_class: true,
        read: |policy, text| trust(text).map(|duration| policy.trust.elevation = duration),
        write: |policy| policy.trust.elevation.to_string(),
    },
    Setting {
        name: "lockout.after",
        values: "3 to 100",
        default: "10",
        help: "Lock an account after this many wrong codes in a row",
        per_class: false,
        read: |policy, text| {
            policy.lockout.after = number(text, 3..=lockout::MAX_FAILURES)
                .ok_or("it must be a whole number from 3 to 100")?;
            Ok(())
        },
        write: |policy| policy.lockout.after.to_string(),
    },
    Setting {
        name: "lockout.for",
        values: "1m to 24h",
        default: "15m",
        help: "Keep the first lock this long, each further one twice as long, at most 24h",
        per_class: false,
        read: |policy, text| {
            let range = Duration::from_minutes(1)..=lockout::MAX_LOCK;
            policy.lockout.for_ =
                length(text, range).ok_or("it must be from 1m to 24h, such as 15m")?;
            Ok(())
        },
        write: |policy| policy.lockout.for_.to_string(),
    },
    Setting {
        name: "code.digits",
        values: "6 to 9",
        default: "6",
        help: "Send codes of this many digits",
        per_class: false,
        read: |policy, text| {
            let range = *SENT_DIGITS.start()..=*SENT_DIGITS.end();
            policy.codes.digits =
                number(text, range).ok_or("it must be a whole number from 6 to 9")?;
            Ok(())
        },
        write: |policy| policy.codes.digits.to_string(),
    },
    Setting {
        name: "code.lifetime",
        values: "1m to 1h",
        default: "10m",
        help: "Accept a code that was sent for this long",
        per_class: false,
        read: |policy, text| {
            let range = Duration::from_minutes(1)..=Duration::from_minutes(60);
            policy.codes.lifetime =
                length(text, range).ok_or("it must be from 1m to 1h, such as 10m")?;
            Ok(())
        },
        write: |policy| policy.codes.lifetime.to_string(),
    },
    Setting {
        name: "code.domain",
        values: "a domain name, or empty",
        default: "",
        help: "Bind codes in text messages to this domain, so that phones offer to fill them in",
        per_class: false,
        read: |policy, text| {
            let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            if !text.chars().all(is_fit) || text.len() > 60 {
                return Err("it must be a domain name such as example.org".into());
            }
            policy.code_domain = (!text.is_empty()).then(|| text.to_owned());
            Ok(())
        },
        write: |policy| policy.code_domain.clone().unwrap_or_default(),
    },
    Setting {
        name: "resend.cooldown",
        values: "0 to 10m",
        default: "30s",
        help: "Send the next code of a login no sooner than this after the one before",
        per_class: false,
        read: |policy, text| {
            let range = Duration::from_seconds(0)..=Duration::from_minutes(10);
            policy.codes.cooldown =
                length(text, range).ok_or("it must be from 0 to 10m, such as 30s")?;
            Ok(())
        },
        write: |policy| policy.codes.cooldown.to_string(),
    },
    Setting {
        name: "send.user-hourly",
        values: LIMIT_VALUES,
        default: "20",
        help: "Send one user at most this many codes in an hour",
        per_class: false,
        read: |policy, text| limit(text).map(|most| policy.limits.user_hourly = most),
        write: |policy| policy.limits.user_hourly.to_string(),
    },
    Setting {
        name: "send.address-daily",
        values: LIMIT_VALUES,
        default: "100",
        help: "Send at most this many codes to one address or number in a day",
        per_class: false,
        read: |policy, text| limit(text).map(|most| policy.limits.address_daily = most),
        write: |policy| policy.limits.address_daily.to_string(),
    },
    Setting {
        name: "send.machine-hourly",
        values: LIMIT_VALUES,
        default: "1000",
        help: "Send at most this many codes in an hour in all",
        per_class: false,
        read: |policy, text| limit(text).map(|most| policy.limits.machine_hourly = most),
        write: |policy| policy.limits.machine_hourly.to_string(),
    },
    Setting {
        name: "send.unverified-hourly",
        values: LIMIT_VALUES,
        default: "3",
        help: "Send at most this many codes in an hour to addresses of one user that are not verified",
        per_class: false,
        read: |policy, text| limit(text).map(|most| policy.limits.unverified_hourly = most),
        write: |policy| policy.limits.unverified_hourly.to_string(),
    },
    Setting {
        name: "send.unverified-daily",
        values: LIMIT_VALUES,
        default: "5",
        help: "Send at most this many codes in a day to addresses of one user that are not verified",
        per_class: false,
        read: |policy, text| limit(text).map(|most| policy.limits.unverified_daily = most),
        write: |policy| policy.limits.unverified_daily.to_string(),
    },
    Setting {
        name: "send.sms-daily",
        values: LIMIT_VALUES,
        default: "1000",
        help: "Send at most this many text messages with codes in a day in all, a fifth of them to numbers that are not verified",
        per_class: false,
        read: |policy, text| limit(text).map(|most| policy.limits.sms_daily = most),
        write: |policy| policy.limits.sms_daily.to_string(),
    },
    Setting {
        name: "fallback.sms-to-email",
        values: "on, off, or empty to follow methods",
        default: "",
        help: "Send a code by e-mail when its text message cannot be sent; if on, even where methods has no email",
        per_class: true,
        read: |policy, text| {
            policy.fallback_to_email = match text {
                "" => None,
                "on" => Some(true),
                "off" => Some(false),
                _ => return Err("it must be on or off, or empty to follow methods".into()),
            };
            Ok(())
        },
        write: |policy| {
            policy
                .fallback_to_email
                .map(written_switch)
                .unwrap_or_default()
        },
    },
    Setting {
        name: "addresses.unique",
        values: SWITCH_VALUES,
        default: "off",
        help: "Refuse an address or number that is another user's already",
        per_class: false,
        read: |policy, text| switch(text).map(|on| policy.unique_addresses = on),
        write: |policy| written_switch(policy.unique_addresses),
    },
    Setting {
        name: "phone.country",
        values: "two letters such as DE, or empty",
        default: "",
        help: "Read phone numbers without a country as this country's",
        per_class: false,
        read: |policy, text| {
            if !is_country(text) && !text.is_empty() {
                return Err("it must be two capital letters such as DE".into());
            }
            policy.phone_country = is_country(text).then(|| text.to_owned());
            Ok(())
        },
        write: |policy| policy.phone_country.clone().unwrap_or_default(),
    },
    Setting {
        name: "phone.countries",
        values: "a list such as DE,AT, or empty for phone.country alone",
        default: "",
        help: "Let users enrol numbers of these countries; others only an administrator can set",
        per_class: true,
        read: |policy, text| countries(text).map(|countries| policy.phone_countries = countries),
        write: |policy| policy.phone_countries.join(","),
    },
    Setting {
        name: "notices",
        values: "one or more of {channels}, or none",
        default: "{channels}",
        help: "Tell people by these channels what happened to their second factor",
        per_class: false,
        read: |policy, text| notices(text).map(|notices| policy.notices = notices),
        write: |policy| match names(policy.notices) {
            names if names.is_empty() => "none".to_owned(),
            names => names,
        },
    },
];

/// `text` of a row of [`KEYS`] with the names that belong in it.
fn filled(text: &str) -> String {
    text.replace("{methods}", &Methods::ALL.to_string())
        .replace("{channels}", &names(PerChannel::from_fn(|_| true)))
}

fn methods(text: &str) -> Result<Methods, Why> {
    let methods: Methods = text
        .parse()
        .map_err(|_| format!("it must be one or more of {}", Methods::ALL))?;
    let alone = Methods::standing_alone();
    if !methods.intersects(alone) {
        return Err(format!(
            "{methods} only stands in for another method: allow one of {alone} as well"
        )
        .into());
    }
    Ok(methods)
}

fn notices(text: &str) -> Result<PerChannel<bool>, Why> {
    let mut notices = PerChannel::from_fn(|_| false);
    if text == "none" {
        return Ok(notices);
    }
    for name in text.split(',') {
        let channel: Channel = name
            .trim()
            .parse()
            .map_err(|_| filled("it must be one or more of {channels}, or none"))?;
        notices[channel] = true;
    }
    Ok(notices)
}

/// The names of the `channels` that are on, with commas between them.
fn names(channels: PerChannel<bool>) -> String {
    let on = channels.iter().filter(|(_, is_on)| **is_on);
    on.map(|(channel, _)| channel.name())
        .collect::<Vec<_>>()
        .join(",")
}

/// Whether `text` has the form of a country's code. Which there are is known where numbers are read.
fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}

fn countries(text: &str) -> Result<Vec<String>, Why> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut countries: Vec<String> = Vec::new();
    for country in text.split(',').map(str::trim) {
        if !is_country(country) {
            return Err("it must be a list of two capital letters each, such as DE,AT".into());
        }
        if !countries.iter().any(|known| known == country) {
            countries.push(country.to_owned());
        }
    }
    Ok(countries)
}

/// The digits a code that is sent may have.
const SENT_DIGITS: std::ops::RangeInclusive<u8> = 6..=9;

fn number<T: std::str::FromStr + PartialOrd>(
    text: &str,
    range: std::ops::RangeInclusive<T>,
) -> Option<T> {
    text.parse().ok().filter(|n| range.contains(n))
}

fn length(text: &str, range: std::ops::RangeInclusive<Duration>) -> Option<Duration> {
    text.parse().ok().filter(|length| range.contains(length))
}

const LIMIT_VALUES: &str = "1 to 1000000";

fn limit(text: &str) -> Result<u32, Why> {
    number(text, 1..=1_000_000).ok_or(Why::Borrowed("it must be a whole number from 1 to 1000000"))
}

const SWITCH_VALUES: &str = "on or off";

fn switch(text: &str) -> Result<bool, Why> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("it must be on or off".into()),
    }
}

fn written_switch(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

const TRUST_VALUES: &str = "0 to 99999d, such as 12h or 30d";
const LONGEST_TRUST: Duration = Duration::from_seconds(99_999 * 86_400);

fn trust(text: &str) -> Result<Duration, Why> {
    text.parse()
        .ok()
        .filter(|duration| *duration <= LONGEST_TRUST)
        .ok_or(Why::Borrowed("it must be 0 to 99999d, such as 12h or 30d"))
}

/// Why a value is not taken.
type Why = Cow<'static, str>;

/// A setting that cannot be taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    /// There is no such key.
    #[error("there is no setting called '{0}'")]
    Unknown(String),
    /// The setting is the machine's, and no class may have its own.
    #[error("'{0}' holds for the whole machine: no class can have its own")]
    NotPerClass(&'static str),
    /// The value is not one the key takes.
    #[error("{key} cannot be '{value}': {why}")]
    Value {
        /// The key's name.
        key: &'static str,
        /// What was given for it.
        value: String,
        /// What it must be.
        why: Why,
    },
}

impl Default for Policy {
    /// What holds when nothing is set.
    fn default() -> Self {
        Self {
            mode: Mode::Disabled,
            application_name: None,
            methods: Methods::ALL,
            enrolment: Enrolment::AtLogin,
            trust: Trust {
                console: Duration::from_seconds(0),
                remote: Duration::from_seconds(0),
                elevation: Duration::from_seconds(0),
            },
            lockout: Rules {
                after: 10,
                for_: Duration::from_minutes(15),
            },
            codes: Codes {
                digits: 6,
                lifetime: Duration::from_minutes(10),
                cooldown: Duration::from_seconds(30),
            },
            code_domain: None,
            limits: SendLimits {
                user_hourly: 20,
                address_daily: 100,
                machine_hourly: 1000,
                unverified_hourly: 3,
                unverified_daily: 5,
                sms_daily: 1000,
            },
            fallback_to_email: None,
            unique_addresses: false,
            phone_country: None,
            phone_countries: Vec::new(),
            notices: PerChannel::from_fn(|_| true),
        }
    }
}

impl Policy {
    /// Whether a text message that cannot be sent goes by e-mail.
    pub fn sms_falls_back_to_email(&self) -> bool {
        self.fallback_to_email
            .unwrap_or(self.methods.contains(Method::Email))
    }

    /// The countries whose numbers users may have codes sent to by their own word.
    pub fn countries(&self) -> &[String] {
        if self.phone_countries.is_empty() {
            self.phone_country.as_slice()
        } else {
            &self.phone_countries
        }
    }

    /// The default policy with `settings` applied, all or none.
    pub fn from_settings<'a>(
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, BadSetting> {
        let mut policy = Self::default();
        for (name, value) in settings {
            policy.set(name, value)?;
        }
        Ok(policy)
    }

    /// This policy with a class's `settings` in place of its own.
    pub fn overridden<'a>(
        &self,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, BadSetting> {
        let mut policy = self.clone();
        for (name, value) in settings {
            if let Some(key) = find(name).filter(|key| !key.per_class) {
                return Err(BadSetting::NotPerClass(key.name));
            }
            policy.set(name, value)?;
        }
        Ok(policy)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), BadSetting> {
        let key = find(name).ok_or_else(|| BadSetting::Unknown(name.to_owned()))?;
        (key.read)(self, value).map_err(|why| BadSetting::Value {
            key: key.name,
            value: value.to_owned(),
            why,
        })
    }
}

/// The row of [`KEYS`] that is called `name`.
pub fn find(name: &str) -> Option<&'static Setting> {
    KEYS.iter().find(|key| key.name == name)
}

impl Mode {
    /// The mode as an administrator writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Optional => "optional",
            Self::Mandatory => "mandatory",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_default_policy_is() {
        let defaults: Vec<_> = KEYS.iter().map(|key| (key.name, key.default())).collect();
        let defaults = defaults.iter().map(|(name, value)| (*name, value.as_str()));
        let from_table = Policy::from_settings(defaults);
        assert_eq!(from_table, Ok(Policy::default()));
    }

    #[test]
    fn every_value_shown_reads_back() {
        let settings = [
            ("mode", "mandatory"),
            ("application-name", "Büro 7"),
            ("methods", "app,sms"),
            ("enrolment", "beforehand"),
            ("trust.console", "30d"),
            ("trust.remote", "12h"),
            ("trust.elevation", "99999d"),
            ("lockout.after", "5"),
            ("lockout.for", "2h"),
            ("code.digits", "9"),
            ("code.lifetime", "5m"),
            ("code.domain", "example.org"),
            ("resend.cooldown", "1m"),
            ("send.user-hourly", "3"),
            ("send.address-daily", "4"),
            ("send.machine-hourly", "5"),
            ("send.unverified-hourly", "6"),
            ("send.unverified-daily", "7"),
            ("send.sms-daily", "8"),
            ("fallback.sms-to-email", "off"),
            ("addresses.unique", "on"),
            ("phone.country", "DE"),
            ("phone.countries", "DE,AT"),
            ("notices", "email"),
        ];
        let policy = Policy::from_settings(settings).unwrap();
        for ((name, value), key) in settings.iter().zip(&KEYS) {
            assert_eq!((*name, *value), (key.name, key.value(&policy).as_str()));
        }
    }

    #[test]
    fn a_text_message_falls_back_to_what_methods_allows_unless_told_otherwise() {
        for (settings, falls_back) in [
            (vec![], true),
            (vec![("methods", "app,sms")], false),
            (
                vec![("methods", "app,sms"), ("fallback.sms-to-email", "on")],
                true,
            ),
            (vec![("fallback.sms-to-email", "off")], false),
        ] {
            let policy = Policy::from_settings(settings.clone()).unwrap();
            assert_eq!(policy.sms_falls_back_to_email(), falls_back, "{settings:?}");
        }
        let class = Policy::default().overridden([("methods", "sms")]).unwrap();
        assert!(
            !class.sms_falls_back_to_email(),
            "a class's own methods hold for it"
        );
    }

    #[test]
    fn numbers_may_be_of_the_countries_that_are_listed_or_else_of_the_one_that_is_the_default() {
        let countries = |settings: &[(&str, &str)]| {
            Policy::from_settings(settings.iter().copied())
                .unwrap()
                .countries()
                .join(" ")
        };
        assert_eq!(countries(&[]), "");
        assert_eq!(countries(&[("phone.country", "DE")]), "DE");
        assert_eq!(
            countries(&[("phone.country", "DE"), ("phone.countries", "AT, CH,AT")]),
            "AT CH"
        );
    }

    #[test]
    fn a_class_overrides_what_it_may_and_keeps_the_rest() {
        let machine =
            Policy::from_settings([("mode", "optional"), ("lockout.after", "5")]).unwrap();
        let class = machine
            .overridden([("mode", "mandatory"), ("trust.remote", "1d")])
            .unwrap();
        assert_eq!((class.mode, class.lockout.after), (Mode::Mandatory, 5));
        assert_eq!(
            machine.overridden([("lockout.after", "50")]),
            Err(BadSetting::NotPerClass("lockout.after"))
        );
        assert!(machine.overridden([("mode", "maybe")]).is_err());
    }

    #[test]
    fn a_broken_setting_is_an_error_and_never_a_default() {
        for (name, value) in [
            ("mode", "off"),
            ("mode", "Mandatory"),
            ("mode", ""),
            ("application-name", "a\u{1b}[2J"),
            ("application-name", "a:b"),
            ("methods", ""),
            ("methods", "backup"),
            ("methods", "app,fax"),
            ("enrolment", "never"),
            ("trust.remote", "100000d"),
            ("trust.console", "forever"),
            ("lockout.after", "0"),
            ("lockout.after", "101"),
            ("lockout.after", "-3"),
            ("lockout.for", "0"),
            ("lockout.for", "30d"),
            ("code.digits", "5"),
            ("code.digits", "10"),
            ("code.lifetime", "0"),
            ("code.domain", "example.org #123456"),
            ("resend.cooldown", "1h"),
            ("send.user-hourly", "0"),
            ("send.machine-hourly", "many"),
            ("fallback.sms-to-email", "yes"),
            ("addresses.unique", ""),
            ("phone.country", "de"),
            ("phone.countries", "DE,at"),
            ("phone.countries", "DE,"),
            ("phone.countries", "any"),
            ("send.sms-daily", "0"),
            ("notices", "post"),
        ] {
            let result = Policy::from_settings([(name, value)]);
            assert!(
                matches!(result, Err(BadSetting::Value { .. })),
                "{name}={value}"
            );
        }
        assert_eq!(
            Policy::from_settings([("moed", "optional")]),
            Err(BadSetting::Unknown("moed".into()))
        );
    }
}
