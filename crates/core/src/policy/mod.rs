//! What an administrator decides for the whole machine.
//!
//! [`KEYS`] is the one table of what can be set: parsing, `twofa policy`, its help, completions and the manual follow
//! from it. A key that is not in it, or a value that does not read, is an error everywhere: a broken policy denies, it
//! never disables.

mod keys;
mod values;

pub use crate::device::trust::{Identity, Offer, Scope, Trust};
pub use keys::{KEYS, OnHost, PolicyKey, ValueForm, find};

use crate::channel::PerChannel;
use crate::duration::Duration;
use crate::lockout::LockoutRules;
use crate::method::{Method, Methods};
use crate::service::Services;
use crate::shared_accounts::{FleetIdentity, SharedAccounts};
use values::Invalid;

/// The policy in force. Only [`Policy::from_settings`] and [`Policy::overridden`] make one, so one that exists is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whom a login asks.
    pub mode: Mode,
    /// The PAM services at which users are asked.
    pub services: Services,
    /// The name in every prompt and in the list of an authenticator app; `None`: the host name.
    pub application_name: Option<String>,
    /// The methods that may be used.
    pub methods: Methods,
    /// When people who must enrol do so.
    pub enrolment: Enrolment,
    /// How long devices are trusted.
    pub trust: Trust,
    /// How long a session may last; zero: without end.
    pub session_lifetime: Duration,
    /// How long the log keeps an event.
    pub log_keep: Duration,
    /// When wrong codes lock an account.
    pub lockout: LockoutRules,
    /// The codes that are sent.
    pub codes: Codes,
    /// The domain that codes in text messages are bound to, for phones that fill them in.
    pub code_domain: Option<String>,
    /// Whether the subject of an e-mail may contain its code.
    pub code_in_subject: bool,
    /// How much may be sent.
    pub limits: SendLimits,
    /// Whether a code goes by e-mail if its text message cannot be sent; `None`: where [`Policy::methods`] allows e-mail.
    pub fallback_to_email: Option<bool>,
    /// Whether no two users may have the same verified address.
    pub unique_addresses: bool,
    /// The country whose numbers may be written without a country code: two capital letters (ISO 3166-1).
    pub phone_country: Option<String>,
    /// The countries whose numbers users may enrol themselves, as `phone_country`; see [`Policy::countries`].
    pub phone_countries: Vec<String>,
    /// The channels by which people are told what happened to their second factor.
    pub notices: PerChannel<bool>,
    /// Which accounts of a joined host are the fleet's.
    pub shared_accounts: SharedAccounts,
    /// By what a shared account on one host is the same person as one on another.
    pub fleet_identity: FleetIdentity,
    /// What a host of the fleet may ask a server.
    pub hosts: HostLimits,
    /// Where people may change their methods.
    pub fleet_changes: FleetChanges,
    /// For how long a host can renew a certificate that has ended.
    pub renewal_grace: Duration,
    /// Where a login must be stored before anybody is let in.
    pub fleet_durability: Durability,
    /// The Unix group whose members are told when a rescue code of a host is shown or used; `None`: nobody is.
    pub fleet_administrators: Option<String>,
    /// The Unix group whose members, and not root alone, log in with rescue codes; `None`: there is none.
    pub rescue_group: Option<String>,
    /// How long after a rescue code was shown the codes of its host are replaced.
    pub rescue_lifetime: Duration,
}

/// Whom a login asks for a second factor. The stricter is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Nobody is asked.
    Disabled,
    /// Nobody is asked either, and each login records what [`Mode::Mandatory`] would have done.
    Report,
    /// Those who enrolled are asked, and those of whom an administrator requires it.
    Optional,
    /// Everybody is asked, and enrols if necessary.
    Mandatory,
}

/// When users who must have a second factor but have none can set one up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolment {
    /// At the login prompt.
    AtLogin,
    /// Before the login, which is refused with words that say how.
    Beforehand,
}

/// The codes that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codes {
    /// How many digits a code has, 6 to 9.
    pub digits: u8,
    /// How long a code is accepted after it was sent.
    pub lifetime: Duration,
    /// How long after one code the next can be sent in the same login.
    pub cooldown: Duration,
}

/// How much may be sent. Every send counts when it starts, whether it arrives or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendLimits {
    /// Codes to one user per hour.
    pub user_hourly: u32,
    /// Codes to one address per day.
    pub address_daily: u32,
    /// Codes of the whole machine per hour.
    pub machine_hourly: u32,
    /// Codes per hour that one host of the fleet asks for.
    pub host_hourly: u32,
    /// Codes to unverified addresses of one user per hour.
    pub unverified_hourly: u32,
    /// Codes to unverified addresses of one user per day.
    pub unverified_daily: u32,
    /// Text messages with codes of the whole machine per day.
    pub sms_daily: u32,
}

impl SendLimits {
    /// How many text messages per day may go to unverified numbers: a fifth, so that most are left for logins.
    pub fn sms_daily_unverified(&self) -> u32 {
        (self.sms_daily / 5).max(1)
    }
}

/// Where people whose account is shared with a fleet may set up methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetChanges {
    /// On hosts too, after a code that a server has verified.
    Everywhere,
    /// On servers.
    ServersOnly,
}

/// Where a login on a fleet's database must be stored before anybody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On the disk of the primary.
    Local,
    /// There, and on a synchronous standby: without one in `synchronous_standby_names` nobody is let in.
    Replicated,
}

impl Durability {
    pub(crate) const ALL: [Self; 2] = [Self::Local, Self::Replicated];

    /// As an administrator writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Replicated => "replicated",
        }
    }
}

/// How much a host of the fleet may ask a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// Different people whom a host asks about per hour.
    pub people_hourly: u32,
    /// Different people for whom wrong codes come from a host per hour, with no right one after them.
    pub wrong_people_hourly: u32,
}

/// Why a policy cannot have a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    /// There is no such key.
    #[error("there is no setting called '{0}'")]
    Unknown(String),
    /// The key is the machine's, and no class may have a value of its own.
    #[error("'{0}' applies to the whole machine and cannot be set for a class")]
    NotPerClass(&'static str),
    /// The value is not one that the key takes.
    #[error("{key} cannot be '{value}': {why}")]
    Value {
        /// The key's name.
        key: &'static str,
        /// The value that was given.
        value: String,
        /// What the value must be.
        why: String,
    },
}

impl Default for Policy {
    /// What holds when nothing is set.
    fn default() -> Self {
        Self {
            mode: Mode::Disabled,
            services: Services::All,
            application_name: None,
            methods: Methods::DEFAULT,
            enrolment: Enrolment::AtLogin,
            trust: Trust {
                console: Duration::from_seconds(0),
                remote: Duration::from_seconds(0),
                elevation: Duration::from_seconds(0),
                address: Duration::from_minutes(12 * 60),
                unlock: Duration::from_seconds(0),
                offer: Offer::Ask,
                identity: Identity::KeyOrAddress,
                ipv6_prefix: 64,
                scope: Scope::Host,
            },
            session_lifetime: Duration::from_seconds(0),
            log_keep: Duration::from_minutes(400 * 24 * 60),
            lockout: LockoutRules {
                after: 10,
                duration: Duration::from_minutes(15),
            },
            codes: Codes {
                digits: 6,
                lifetime: Duration::from_minutes(10),
                cooldown: Duration::from_seconds(30),
            },
            code_domain: None,
            code_in_subject: false,
            limits: SendLimits {
                user_hourly: 20,
                address_daily: 100,
                machine_hourly: 1000,
                host_hourly: 500,
                unverified_hourly: 3,
                unverified_daily: 5,
                sms_daily: 1000,
            },
            fallback_to_email: None,
            unique_addresses: false,
            phone_country: None,
            phone_countries: Vec::new(),
            notices: PerChannel::from_fn(|_| true),
            shared_accounts: SharedAccounts::Directory,
            fleet_identity: FleetIdentity::NameAndUid,
            hosts: HostLimits {
                people_hourly: 1000,
                wrong_people_hourly: 20,
            },
            fleet_changes: FleetChanges::Everywhere,
            renewal_grace: Duration::from_seconds(365 * 86_400),
            fleet_durability: Durability::Local,
            fleet_administrators: None,
            rescue_group: None,
            rescue_lifetime: Duration::from_minutes(24 * 60),
        }
    }
}

impl Policy {
    /// Whether a code goes by e-mail if its text message cannot be sent.
    pub fn sms_falls_back_to_email(&self) -> bool {
        self.fallback_to_email
            .unwrap_or(self.methods.contains(Method::Email))
    }

    /// The countries whose numbers users may enrol themselves.
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

    /// This policy, the fleet's, made stricter by the `settings` of a host. A setting that would be weaker, or that a host cannot
    /// have, changes nothing.
    pub fn tightened<'a>(
        &self,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, BadSetting> {
        let mut host = self.clone();
        for (name, value) in settings {
            host.set(name, value)?;
        }
        let mut both = self.clone();
        for key in &KEYS {
            if let OnHost::Stricter(combine) = key.on_host {
                combine(self, &host, &mut both);
            }
        }
        Ok(both)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), BadSetting> {
        let key = find(name).ok_or_else(|| BadSetting::Unknown(name.to_owned()))?;
        (key.read)(self, value).map_err(|invalid| BadSetting::Value {
            key: key.name,
            value: value.to_owned(),
            why: match invalid {
                Invalid::Value => format!("it must be {}", key.values()),
                Invalid::Because(why) => why,
            },
        })
    }
}

impl Mode {
    /// All of them, the least strict first.
    pub const ALL: [Self; 4] = [
        Self::Disabled,
        Self::Report,
        Self::Optional,
        Self::Mandatory,
    ];

    /// The mode as an administrator writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Report => "report",
            Self::Optional => "optional",
            Self::Mandatory => "mandatory",
        }
    }

    /// Whether any login can be asked for a code.
    pub const fn asks(self) -> bool {
        match self {
            Self::Disabled | Self::Report => false,
            Self::Optional | Self::Mandatory => true,
        }
    }
}

impl Enrolment {
    const ALL: [Self; 2] = [Self::AtLogin, Self::Beforehand];

    /// The time of enrolment as an administrator writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtLogin => "at-login",
            Self::Beforehand => "beforehand",
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
            ("services", "ssh,sudo"),
            ("application-name", "Büro 7"),
            ("methods", "app,sms"),
            ("enrolment", "beforehand"),
            ("trust.console", "30d"),
            ("trust.remote", "12h"),
            ("trust.elevation", "99999d"),
            ("trust.address", "90m"),
            ("trust.unlock", "8h"),
            ("trust.offer", "always"),
            ("trust.identity", "key"),
            ("trust.ipv6-prefix", "56"),
            ("trust.scope", "fleet"),
            ("session.lifetime", "90d"),
            ("lockout.after", "5"),
            ("lockout.for", "2h"),
            ("code.digits", "9"),
            ("code.lifetime", "5m"),
            ("code.domain", "example.org"),
            ("code.in-subject", "on"),
            ("resend.cooldown", "1m"),
            ("send.user-hourly", "3"),
            ("send.address-daily", "4"),
            ("send.machine-hourly", "5"),
            ("send.host-hourly", "9"),
            ("send.unverified-hourly", "6"),
            ("send.unverified-daily", "7"),
            ("send.sms-daily", "8"),
            ("fallback.sms-to-email", "off"),
            ("addresses.unique", "on"),
            ("phone.country", "DE"),
            ("phone.countries", "DE,AT"),
            ("notices", "email"),
            ("log.keep", "30d"),
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

    /// Values of the keys of which a joined host can have a stricter one, the weakest first. For services, methods and channels
    /// that order is not the only one: see the next test.
    const FROM_WEAK_TO_STRICT: &[(&str, &[&str])] = &[
        ("mode", &["disabled", "report", "optional", "mandatory"]),
        ("services", &["ssh", "ssh,sudo", "all"]),
        ("methods", &["app,email,sms,backup", "app,backup", "app"]),
        ("enrolment", &["at-login", "beforehand"]),
        ("trust.console", &["30d", "12h", "0"]),
        ("trust.remote", &["30d", "12h", "0"]),
        ("trust.elevation", &["30d", "12h", "0"]),
        ("trust.address", &["30d", "12h", "0"]),
        ("trust.unlock", &["30d", "12h", "0"]),
        ("trust.offer", &["always", "ask"]),
        ("trust.identity", &["key-or-address", "key"]),
        ("trust.ipv6-prefix", &["56", "64", "128"]),
        ("trust.scope", &["fleet", "host"]),
        ("session.lifetime", &["0", "90d", "1d"]),
        ("lockout.after", &["100", "10", "3"]),
        ("lockout.for", &["1m", "15m", "1d"]),
        ("code.digits", &["6", "9"]),
        ("code.lifetime", &["1h", "10m", "1m"]),
        ("code.in-subject", &["on", "off"]),
        ("resend.cooldown", &["0", "30s", "10m"]),
        ("send.user-hourly", &["50", "20", "1"]),
        ("send.address-daily", &["500", "100", "1"]),
        ("send.machine-hourly", &["5000", "1000", "1"]),
        ("send.unverified-hourly", &["9", "3", "1"]),
        ("send.unverified-daily", &["9", "5", "1"]),
        ("send.sms-daily", &["5000", "1000", "1"]),
        ("fallback.sms-to-email", &["on", "off"]),
        ("addresses.unique", &["off", "on"]),
        ("notices", &["none", "email", "email,sms"]),
        ("log.keep", &["1d", "400d", "99999d"]),
    ];

    #[test]
    fn what_a_host_sets_is_never_weaker_than_either_whatever_the_key() {
        for key in &KEYS {
            let listed = FROM_WEAK_TO_STRICT.iter().find(|row| row.0 == key.name);
            let Some((name, values)) = listed else {
                assert!(!key.may_differ_on_host(), "{} has no order here", key.name);
                let (fleet, host) = another_value(key);
                let fleet = Policy::from_settings([(key.name, fleet)]).unwrap();
                let both = fleet.tightened([(key.name, host)]).unwrap();
                assert_eq!(both, fleet, "{} is the fleet's", key.name);
                continue;
            };
            assert!(
                key.may_differ_on_host() && !key.stricter.is_empty(),
                "{name}"
            );
            for (i, fleet) in values.iter().enumerate() {
                for (j, host) in values.iter().enumerate() {
                    // Services count where the fleet asks anybody.
                    let mode = (*name != "mode").then_some(("mode", "optional"));
                    let settings = mode.into_iter().chain([(*name, *fleet)]);
                    let fleet_s = Policy::from_settings(settings).unwrap();
                    let both = fleet_s.tightened([(*name, *host)]).unwrap();
                    let stricter = values[i.max(j)];
                    assert_eq!(key.value(&both), stricter, "{name}: {fleet} and {host}");
                }
            }
        }
    }

    /// Two values of a key of which a host can have none.
    fn another_value(key: &PolicyKey) -> (&'static str, &'static str) {
        match key.name {
            "application-name" => ("Fleet", "Host"),
            "code.domain" => ("example.org", "example.com"),
            "phone.country" => ("DE", "AT"),
            "phone.countries" => ("DE,AT", "DE"),
            "fleet.accounts" => ("alice", "directory"),
            "fleet.identity" => ("name", "name-and-uid"),
            "fleet.changes" => ("servers-only", "everywhere"),
            "fleet.renewal-grace" => ("7d", "0"),
            "fleet.administrators" | "fleet.rescue-group" => ("wheel", "sudo"),
            "fleet.rescue-lifetime" => ("1h", "2h"),
            "fleet.durability" => ("replicated", "local"),
            "send.host-hourly" | "fleet.people-hourly" | "fleet.wrong-people-hourly" => ("7", "9"),
            name => panic!("say here, or in the other list, what a host can do to {name}"),
        }
    }

    #[test]
    fn sets_of_which_neither_holds_the_other_are_combined() {
        let both = |key: &str, fleet: &str, host: &str| {
            let fleet = Policy::from_settings([("mode", "optional"), (key, fleet)]).unwrap();
            find(key)
                .unwrap()
                .value(&fleet.tightened([(key, host)]).unwrap())
        };
        assert_eq!(both("services", "ssh", "sudo,ssh"), "ssh,sudo");
        assert_eq!(both("methods", "app,sms", "app,email"), "app");
        assert_eq!(both("notices", "email", "sms"), "email,sms");
        // Nothing would be left that a login can be proved with.
        assert_eq!(both("methods", "app,backup", "sms,backup"), "app,backup");
    }

    #[test]
    fn a_host_may_ask_at_few_services_where_its_fleet_asks_nobody() {
        let settings = [("mode", "mandatory"), ("services", "ssh")];
        let both = Policy::default().tightened(settings).unwrap();
        assert_eq!(
            (both.mode, both.services.to_string().as_str()),
            (Mode::Mandatory, "ssh")
        );
        assert!(Policy::default().tightened([("mode", "maybe")]).is_err());
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
