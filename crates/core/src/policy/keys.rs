//! The table of what an administrator can set.

use std::fmt;

use super::values::{
    self, Invalid, bounded_duration, bounded_number, channels, choice, countries, country, group,
    methods, switch, written_channels, written_switch,
};
use super::{Durability, Enrolment, FleetChanges, Mode, Policy};
use crate::channel::PerChannel;
use crate::device::trust::{Identity, Offer, Scope};
use crate::duration::Duration;
use crate::lockout;
use crate::method::Methods;
use crate::service::Services;
use crate::shared_accounts::{FleetIdentity, SharedAccounts};
use crate::text::is_unprintable;

/// One row of [`KEYS`].
pub struct PolicyKey {
    /// What an administrator writes before the `=`.
    pub name: &'static str,
    /// One line of explanation, imperative, no full stop.
    pub help: &'static str,
    /// Whether a class may have a value of its own.
    pub per_class: bool,
    /// Which values are stricter than others, in words that follow "Stricter:"; empty where none is.
    pub stricter: &'static str,
    /// How a document writes its values.
    pub form: ValueForm,
    /// What a joined host's own value does beside the fleet's.
    pub on_host: OnHost,
    values: &'static str,
    default: &'static str,
    pub(super) read: fn(&mut Policy, &str) -> Result<(), Invalid>,
    write: fn(&Policy) -> String,
}

/// The form that the values of a key have where types exist, as in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueForm {
    /// A string.
    Text,
    /// A whole number.
    Number,
    /// A Boolean: `on` or `off` on the command line.
    Switch,
    /// A list of strings, with commas between them on the command line.
    List,
}

/// What the value that a joined host sets itself does beside the one of its fleet.
#[derive(Clone, Copy)]
pub enum OnHost {
    /// Nothing: the fleet's value holds, as neither is stricter, or it is about the fleet.
    Fleet,
    /// The stricter of both holds. Writes it into the policy that comes last; the first is the fleet's, the second the fleet's
    /// with the values of the host in place of its own.
    Stricter(fn(&Policy, &Policy, &mut Policy)),
}

impl PolicyKey {
    /// Whether a joined host can have a stricter value than its fleet.
    pub const fn may_differ_on_host(&self) -> bool {
        matches!(self.on_host, OnHost::Stricter(_))
    }

    /// The values that can stand after the `=`, in words that follow "it must be".
    pub fn values(&self) -> String {
        values::with_names(self.values)
    }

    /// The value that is in force when nothing is set.
    pub fn default(&self) -> String {
        values::with_names(self.default)
    }

    /// The key's value in `policy`, as an administrator would write it.
    pub fn value(&self, policy: &Policy) -> String {
        (self.write)(policy)
    }
}

impl fmt::Debug for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The row of [`KEYS`] that is called `name`.
pub fn find(name: &str) -> Option<&'static PolicyKey> {
    KEYS.iter().find(|key| key.name == name)
}

const LIMITS: &str = "a whole number from 1 to 1000000";
const SWITCH: &str = "on or off";
const TRUST: &str = "0, or a duration from 1m to 99999d, such as 12h or 30d";

/// Everything that can be set. `{methods}` and `{channels}` stand for the names of all there are.
pub static KEYS: [PolicyKey; 45] = [
    PolicyKey {
        name: "mode",
        values: "disabled, report, optional or mandatory",
        form: ValueForm::Text,
        default: "disabled",
        help: "Ask nobody for a code; ask nobody, but record what mandatory would do; ask those who have enrolled; or ask everybody",
        per_class: true,
        stricter: "mandatory, then optional; report and disabled ask nobody",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.mode = fleet.mode.max(host.mode);
        }),
        read: |policy, text| choice(text, &Mode::ALL, Mode::name).map(|mode| policy.mode = mode),
        write: |policy| policy.mode.name().to_owned(),
    },
    PolicyKey {
        name: "services",
        values: "all, or a list of ssh, console, elevation, unlock, other and names of PAM services",
        form: ValueForm::List,
        default: "all",
        help: "Ask for a code only at these PAM services or kinds of them",
        per_class: true,
        stricter: "more services",
        on_host: OnHost::Stricter(|fleet, host, both| {
            // Where the fleet asks nobody, its services say nothing.
            both.services = if fleet.mode.asks() {
                fleet.services.union(&host.services)
            } else {
                host.services.clone()
            };
        }),
        read: |policy, text| {
            let services = Services::read(text).ok_or(Invalid::Value)?;
            policy.services = services;
            Ok(())
        },
        write: |policy| policy.services.to_string(),
    },
    PolicyKey {
        name: "application-name",
        values: "up to 40 characters, or empty for the host name",
        form: ValueForm::Text,
        default: "",
        help: "Show this name in prompts, messages and authenticator apps",
        per_class: false,
        stricter: "",
        on_host: OnHost::Fleet,
        read: |policy, text| {
            if text.chars().count() > 40 {
                return Err(Invalid::because("it must have at most 40 characters"));
            }
            // It is shown on terminals and stands before the colon in `otpauth://` labels.
            if text.chars().any(|c| is_unprintable(c) || c == ':') {
                let why = "it must not contain a colon or a control character";
                return Err(Invalid::because(why));
            }
            let name = text.trim();
            policy.application_name = (!name.is_empty()).then(|| name.to_owned());
            Ok(())
        },
        write: |policy| policy.application_name.clone().unwrap_or_default(),
    },
    PolicyKey {
        name: "methods",
        values: "one or more of {methods}",
        form: ValueForm::List,
        default: "app,email,sms,backup",
        help: "Allow only these methods",
        per_class: true,
        stricter: "fewer methods",
        on_host: OnHost::Stricter(|fleet, host, both| {
            let common = fleet.methods.intersection(host.methods);
            if common.intersects(Methods::standing_alone()) {
                both.methods = common;
            }
        }),
        read: |policy, text| methods(text).map(|methods| policy.methods = methods),
        write: |policy| policy.methods.to_string(),
    },
    PolicyKey {
        name: "enrolment",
        values: "at-login or beforehand",
        form: ValueForm::Text,
        default: "at-login",
        help: "Let users who must enrol do so while logging in, or refuse them until they have enrolled",
        per_class: true,
        stricter: "beforehand",
        on_host: OnHost::Stricter(|_, host, both| {
            if host.enrolment == Enrolment::Beforehand {
                both.enrolment = Enrolment::Beforehand;
            }
        }),
        read: |policy, text| {
            choice(text, &Enrolment::ALL, Enrolment::name)
                .map(|enrolment| policy.enrolment = enrolment)
        },
        write: |policy| policy.enrolment.name().to_owned(),
    },
    PolicyKey {
        name: "trust.console",
        values: TRUST,
        form: ValueForm::Text,
        default: "0",
        help: "Trust a local terminal or display for this long after a code",
        per_class: true,
        stricter: "shorter",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.trust.console = fleet.trust.stricter(&host.trust).console;
        }),
        read: |policy, text| trust(text).map(|trust| policy.trust.console = trust),
        write: |policy| policy.trust.console.to_string(),
    },
    PolicyKey {
        name: "trust.remote",
        values: TRUST,
        form: ValueForm::Text,
        default: "0",
        help: "Trust an SSH key or the client's host key for this long after a code",
        per_class: true,
        stricter: "shorter",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.trust.remote = fleet.trust.stricter(&host.trust).remote;
        }),
        read: |policy, text| trust(text).map(|trust| policy.trust.remote = trust),
        write: |policy| policy.trust.remote.to_string(),
    },
    PolicyKey {
        name: "trust.elevation",
        values: TRUST,
        form: ValueForm::Text,
        default: "0",
        help: "Trust a login session at su, sudo and polkit for this long after a code",
        per_class: true,
        stricter: "shorter",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.trust.elevation = fleet.trust.stricter(&host.trust).elevation;
        }),
        read: |policy, text| trust(text).map(|trust| policy.trust.elevation = trust),
        write: |policy| policy.trust.elevation.to_string(),
    },
    PolicyKey {
        name: "trust.address",
        values: TRUST,
        form: ValueForm::Text,
        default: "12h",
        help: "Trust an address for this long after a code, never longer than trust.remote",
        per_class: true,
        stricter: "shorter",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.trust.address = fleet.trust.stricter(&host.trust).address;
        }),
        read: |policy, text| trust(text).map(|trust| policy.trust.address = trust),
        write: |policy| policy.trust.address.to_string(),
    },
    PolicyKey {
        name: "trust.unlock",
        values: TRUST,
        form: ValueForm::Text,
        default: "0",
        help: "Let screen lockers skip the code for this long after the code that opened their session",
        per_class: true,
        stricter: "shorter",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.trust.unlock = fleet.trust.stricter(&host.trust).unlock;
        }),
        read: |policy, text| trust(text).map(|trust| policy.trust.unlock = trust),
        write: |policy| policy.trust.unlock.to_string(),
    },
    PolicyKey {
        name: "trust.offer",
        values: "ask or always",
        form: ValueForm::Text,
        default: "ask",
        help: "Trust a device if the user ends the code with +, or after every right code",
        per_class: true,
        stricter: "ask",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.trust.offer = fleet.trust.stricter(&host.trust).offer;
        }),
        read: |policy, text| {
            choice(text, &Offer::ALL, Offer::name).map(|offer| policy.trust.offer = offer)
        },
        write: |policy| policy.trust.offer.name().to_owned(),
    },
    PolicyKey {
        name: "trust.identity",
        values: "key-or-address or key",
        form: ValueForm::Text,
        default: "key-or-address",
        help: "Tell remote devices apart by key, or by address where there is no key",
        per_class: true,
        stricter: "key",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.trust.identity = fleet.trust.stricter(&host.trust).identity;
        }),
        read: |policy, text| {
            choice(text, &Identity::ALL, Identity::name)
                .map(|identity| policy.trust.identity = identity)
        },
        write: |policy| policy.trust.identity.name().to_owned(),
    },
    PolicyKey {
        name: "trust.ipv6-prefix",
        values: "a whole number from 56 to 128",
        form: ValueForm::Number,
        default: "64",
        help: "Take IPv6 addresses with this many bits in common for one device",
        per_class: false,
        stricter: "more bits",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.trust.ipv6_prefix = fleet.trust.stricter(&host.trust).ipv6_prefix;
        }),
        read: |policy, text| {
            bounded_number(text, 56..=128).map(|bits| policy.trust.ipv6_prefix = bits)
        },
        write: |policy| policy.trust.ipv6_prefix.to_string(),
    },
    PolicyKey {
        name: "trust.scope",
        values: "host or fleet",
        form: ValueForm::Text,
        default: "host",
        help: "In a fleet, trust a device on the host where the code was typed, or an SSH key of the user's on all hosts",
        per_class: true,
        stricter: "host",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.trust.scope = fleet.trust.stricter(&host.trust).scope;
        }),
        read: |policy, text| {
            choice(text, &Scope::ALL, Scope::name).map(|scope| policy.trust.scope = scope)
        },
        write: |policy| policy.trust.scope.name().to_owned(),
    },
    PolicyKey {
        name: "session.lifetime",
        values: TRUST,
        form: ValueForm::Text,
        default: "0",
        help: "End login sessions after this long (0: never)",
        per_class: true,
        stricter: "shorter, with 0 the longest",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.session_lifetime = fleet
                .session_lifetime
                .shorter_lifetime(host.session_lifetime);
        }),
        read: |policy, text| trust(text).map(|lifetime| policy.session_lifetime = lifetime),
        write: |policy| policy.session_lifetime.to_string(),
    },
    PolicyKey {
        name: "lockout.after",
        values: "a whole number from 3 to 100",
        form: ValueForm::Number,
        default: "10",
        help: "Lock an account after this many wrong codes in a row",
        per_class: false,
        stricter: "fewer wrong codes",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.lockout.after = fleet.lockout.after.min(host.lockout.after);
        }),
        read: |policy, text| {
            let range = 3..=lockout::MAX_FAILURES;
            bounded_number(text, range).map(|after| policy.lockout.after = after)
        },
        write: |policy| policy.lockout.after.to_string(),
    },
    PolicyKey {
        name: "lockout.for",
        values: "a duration from 1m to 24h, such as 15m",
        form: ValueForm::Text,
        default: "15m",
        help: "Lock an account for this long at first; each further lock lasts twice as long, up to 24h",
        per_class: false,
        stricter: "longer",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.lockout.duration = fleet.lockout.duration.max(host.lockout.duration);
        }),
        read: |policy, text| {
            let range = Duration::from_minutes(1)..=lockout::MAX_LOCK;
            bounded_duration(text, range).map(|duration| policy.lockout.duration = duration)
        },
        write: |policy| policy.lockout.duration.to_string(),
    },
    PolicyKey {
        name: "code.digits",
        values: "a whole number from 6 to 9",
        form: ValueForm::Number,
        default: "6",
        help: "Send codes with this many digits",
        per_class: false,
        stricter: "more digits",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.codes.digits = fleet.codes.digits.max(host.codes.digits);
        }),
        read: |policy, text| bounded_number(text, 6..=9).map(|digits| policy.codes.digits = digits),
        write: |policy| policy.codes.digits.to_string(),
    },
    PolicyKey {
        name: "code.lifetime",
        values: "a duration from 1m to 1h, such as 10m",
        form: ValueForm::Text,
        default: "10m",
        help: "Accept a code for this long after it was sent",
        per_class: false,
        stricter: "shorter",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.codes.lifetime = fleet.codes.lifetime.min(host.codes.lifetime);
        }),
        read: |policy, text| {
            let range = Duration::from_minutes(1)..=Duration::from_minutes(60);
            bounded_duration(text, range).map(|lifetime| policy.codes.lifetime = lifetime)
        },
        write: |policy| policy.codes.lifetime.to_string(),
    },
    PolicyKey {
        name: "code.domain",
        values: "a domain name such as example.org, or empty",
        form: ValueForm::Text,
        default: "",
        help: "Bind codes in text messages to this domain, so that phones offer to fill them in",
        per_class: false,
        stricter: "",
        on_host: OnHost::Fleet,
        read: |policy, text| {
            let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            if !text.chars().all(is_fit) || text.len() > 60 {
                return Err(Invalid::Value);
            }
            policy.code_domain = (!text.is_empty()).then(|| text.to_owned());
            Ok(())
        },
        write: |policy| policy.code_domain.clone().unwrap_or_default(),
    },
    PolicyKey {
        name: "code.in-subject",
        values: SWITCH,
        form: ValueForm::Switch,
        default: "off",
        help: "Put codes into the subjects of e-mails too, where mail servers log them; they begin the text in any case",
        per_class: false,
        stricter: "off",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.code_in_subject = fleet.code_in_subject && host.code_in_subject;
        }),
        read: |policy, text| switch(text).map(|on| policy.code_in_subject = on),
        write: |policy| written_switch(policy.code_in_subject),
    },
    PolicyKey {
        name: "resend.cooldown",
        values: "a duration from 0 to 10m, such as 30s",
        form: ValueForm::Text,
        default: "30s",
        help: "Wait at least this long before sending another code in the same login",
        per_class: false,
        stricter: "longer",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.codes.cooldown = fleet.codes.cooldown.max(host.codes.cooldown);
        }),
        read: |policy, text| {
            let range = Duration::from_seconds(0)..=Duration::from_minutes(10);
            bounded_duration(text, range).map(|cooldown| policy.codes.cooldown = cooldown)
        },
        write: |policy| policy.codes.cooldown.to_string(),
    },
    PolicyKey {
        name: "send.user-hourly",
        values: LIMITS,
        form: ValueForm::Number,
        default: "20",
        help: "Send at most this many codes per hour to one user",
        per_class: false,
        stricter: "fewer codes",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.limits.user_hourly = fleet.limits.user_hourly.min(host.limits.user_hourly);
        }),
        read: |policy, text| limit(text).map(|most| policy.limits.user_hourly = most),
        write: |policy| policy.limits.user_hourly.to_string(),
    },
    PolicyKey {
        name: "send.address-daily",
        values: LIMITS,
        form: ValueForm::Number,
        default: "100",
        help: "Send at most this many codes per day to one address or number",
        per_class: false,
        stricter: "fewer codes",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.limits.address_daily = fleet.limits.address_daily.min(host.limits.address_daily);
        }),
        read: |policy, text| limit(text).map(|most| policy.limits.address_daily = most),
        write: |policy| policy.limits.address_daily.to_string(),
    },
    PolicyKey {
        name: "send.machine-hourly",
        values: LIMITS,
        form: ValueForm::Number,
        default: "1000",
        help: "Send at most this many codes per hour in total",
        per_class: false,
        stricter: "fewer codes",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.limits.machine_hourly =
                fleet.limits.machine_hourly.min(host.limits.machine_hourly);
        }),
        read: |policy, text| limit(text).map(|most| policy.limits.machine_hourly = most),
        write: |policy| policy.limits.machine_hourly.to_string(),
    },
    PolicyKey {
        name: "send.host-hourly",
        values: LIMITS,
        form: ValueForm::Number,
        default: "500",
        help: "On a server, send at most this many codes per hour for the logins on one host",
        per_class: false,
        stricter: "",
        on_host: OnHost::Fleet,
        read: |policy, text| limit(text).map(|most| policy.limits.host_hourly = most),
        write: |policy| policy.limits.host_hourly.to_string(),
    },
    PolicyKey {
        name: "send.unverified-hourly",
        values: LIMITS,
        form: ValueForm::Number,
        default: "3",
        help: "Send at most this many codes per hour to unverified addresses of one user",
        per_class: false,
        stricter: "fewer codes",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.limits.unverified_hourly = fleet
                .limits
                .unverified_hourly
                .min(host.limits.unverified_hourly);
        }),
        read: |policy, text| limit(text).map(|most| policy.limits.unverified_hourly = most),
        write: |policy| policy.limits.unverified_hourly.to_string(),
    },
    PolicyKey {
        name: "send.unverified-daily",
        values: LIMITS,
        form: ValueForm::Number,
        default: "5",
        help: "Send at most this many codes per day to unverified addresses of one user",
        per_class: false,
        stricter: "fewer codes",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.limits.unverified_daily = fleet
                .limits
                .unverified_daily
                .min(host.limits.unverified_daily);
        }),
        read: |policy, text| limit(text).map(|most| policy.limits.unverified_daily = most),
        write: |policy| policy.limits.unverified_daily.to_string(),
    },
    PolicyKey {
        name: "send.sms-daily",
        values: LIMITS,
        form: ValueForm::Number,
        default: "1000",
        help: "Send at most this many text messages with codes per day in total, a fifth of them to unverified numbers",
        per_class: false,
        stricter: "fewer messages",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.limits.sms_daily = fleet.limits.sms_daily.min(host.limits.sms_daily);
        }),
        read: |policy, text| limit(text).map(|most| policy.limits.sms_daily = most),
        write: |policy| policy.limits.sms_daily.to_string(),
    },
    PolicyKey {
        name: "fallback.sms-to-email",
        values: "on, off, or empty to follow methods",
        form: ValueForm::Switch,
        default: "",
        help: "Send the code by e-mail if its text message cannot be sent; 'on' does so even where methods lacks email",
        per_class: true,
        stricter: "off",
        on_host: OnHost::Stricter(|fleet, host, both| {
            if fleet.fallback_to_email != host.fallback_to_email {
                let falls_back = fleet.sms_falls_back_to_email() && host.sms_falls_back_to_email();
                both.fallback_to_email = Some(falls_back);
            }
        }),
        read: |policy, text| {
            policy.fallback_to_email = match text {
                "" => None,
                text => Some(switch(text)?),
            };
            Ok(())
        },
        write: |policy| {
            let fallback = policy.fallback_to_email;
            fallback.map(written_switch).unwrap_or_default()
        },
    },
    PolicyKey {
        name: "addresses.unique",
        values: SWITCH,
        form: ValueForm::Switch,
        default: "off",
        help: "Refuse an address or number that another user has already verified",
        per_class: false,
        stricter: "on",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.unique_addresses = fleet.unique_addresses || host.unique_addresses;
        }),
        read: |policy, text| switch(text).map(|on| policy.unique_addresses = on),
        write: |policy| written_switch(policy.unique_addresses),
    },
    PolicyKey {
        name: "phone.country",
        values: "two capital letters such as DE, or empty",
        form: ValueForm::Text,
        default: "",
        help: "Assume this country for phone numbers written without a country code",
        per_class: false,
        stricter: "",
        on_host: OnHost::Fleet,
        read: |policy, text| country(text).map(|country| policy.phone_country = country),
        write: |policy| policy.phone_country.clone().unwrap_or_default(),
    },
    PolicyKey {
        name: "phone.countries",
        values: "a list such as DE,AT, or empty for phone.country alone",
        form: ValueForm::List,
        default: "",
        help: "Let users enrol phone numbers from these countries; only an administrator can set others",
        per_class: true,
        stricter: "fewer countries",
        on_host: OnHost::Fleet,
        read: |policy, text| countries(text).map(|countries| policy.phone_countries = countries),
        write: |policy| policy.phone_countries.join(","),
    },
    PolicyKey {
        name: "notices",
        values: "one or more of {channels}, or none",
        form: ValueForm::List,
        default: "{channels}",
        help: "Notify users of changes to their second factor by these channels",
        per_class: false,
        stricter: "more channels",
        on_host: OnHost::Stricter(|fleet, host, both| {
            let either = |channel| fleet.notices[channel] || host.notices[channel];
            both.notices = PerChannel::from_fn(either);
        }),
        read: |policy, text| channels(text).map(|channels| policy.notices = channels),
        write: |policy| written_channels(policy.notices),
    },
    PolicyKey {
        name: "log.keep",
        values: "a duration from 1d to 99999d",
        form: ValueForm::Text,
        default: "400d",
        help: "Keep events in the log for this long",
        per_class: false,
        stricter: "longer",
        on_host: OnHost::Stricter(|fleet, host, both| {
            both.log_keep = fleet.log_keep.max(host.log_keep);
        }),
        read: |policy, text| {
            let range = Duration::from_minutes(24 * 60)..=LONGEST;
            bounded_duration(text, range).map(|keep| policy.log_keep = keep)
        },
        write: |policy| policy.log_keep.to_string(),
    },
    PolicyKey {
        name: "fleet.accounts",
        values: "directory, group:NAME, uid:FROM-TO, or a list of login names",
        form: ValueForm::Text,
        default: "directory",
        help: "On a host that has joined a fleet, have its servers decide about these accounts, never about root",
        per_class: false,
        stricter: "",
        on_host: OnHost::Fleet,
        read: |policy, text| {
            let accounts = SharedAccounts::read(text).ok_or(Invalid::Value)?;
            policy.shared_accounts = accounts;
            Ok(())
        },
        write: |policy| policy.shared_accounts.to_string(),
    },
    PolicyKey {
        name: "fleet.administrators",
        values: "the name of a Unix group, or empty",
        form: ValueForm::Text,
        default: "",
        help: "On a server, notify the members of this group, at their verified addresses, when a rescue code of a host is shown or used",
        per_class: false,
        stricter: "",
        on_host: OnHost::Fleet,
        read: |policy, text| group(text).map(|group| policy.fleet_administrators = group),
        write: |policy| policy.fleet_administrators.clone().unwrap_or_default(),
    },
    PolicyKey {
        name: "fleet.changes",
        values: "everywhere or servers-only",
        form: ValueForm::Text,
        default: "everywhere",
        help: "On a server, let people set up and change methods on hosts, after an invitation or another code that the server has verified, or on servers only",
        per_class: false,
        stricter: "",
        on_host: OnHost::Fleet,
        read: |policy, text| {
            policy.fleet_changes = match text {
                "everywhere" => FleetChanges::Everywhere,
                "servers-only" => FleetChanges::ServersOnly,
                _ => return Err(Invalid::Value),
            };
            Ok(())
        },
        write: |policy| match policy.fleet_changes {
            FleetChanges::Everywhere => "everywhere".to_owned(),
            FleetChanges::ServersOnly => "servers-only".to_owned(),
        },
    },
    PolicyKey {
        name: "fleet.durability",
        values: "local or replicated",
        form: ValueForm::Text,
        default: "local",
        help: "On a server, let people in once the database has a login on its own disk, or only if it also waits for a synchronous standby",
        per_class: false,
        stricter: "replicated",
        on_host: OnHost::Fleet,
        read: |policy, text| {
            choice(text, &Durability::ALL, Durability::name)
                .map(|durability| policy.fleet_durability = durability)
        },
        write: |policy| policy.fleet_durability.name().to_owned(),
    },
    PolicyKey {
        name: "fleet.identity",
        values: "name-and-uid or name",
        form: ValueForm::Text,
        default: "name-and-uid",
        help: "Take accounts of one name on different hosts for one person if they have the same user ID, or whatever it is",
        per_class: false,
        stricter: "name-and-uid",
        on_host: OnHost::Fleet,
        read: |policy, text| {
            choice(text, &FleetIdentity::ALL, FleetIdentity::name)
                .map(|identity| policy.fleet_identity = identity)
        },
        write: |policy| policy.fleet_identity.name().to_owned(),
    },
    PolicyKey {
        name: "fleet.people-hourly",
        values: LIMITS,
        form: ValueForm::Number,
        default: "1000",
        help: "On a server, let one host ask about at most this many different people per hour, apart from those who have logged in there with a code before",
        per_class: false,
        stricter: "",
        on_host: OnHost::Fleet,
        read: |policy, text| limit(text).map(|most| policy.hosts.people_hourly = most),
        write: |policy| policy.hosts.people_hourly.to_string(),
    },
    PolicyKey {
        name: "fleet.renewal-grace",
        values: "a duration from 0 to 99999d, such as 180d",
        form: ValueForm::Text,
        default: "365d",
        help: "On a server, let a host whose certificate has expired renew it for this long, such as a laptop that was off; until it has, it can do nothing else",
        per_class: false,
        stricter: "shorter",
        on_host: OnHost::Fleet,
        read: |policy, text| {
            let range = Duration::from_seconds(0)..=LONGEST;
            bounded_duration(text, range).map(|grace| policy.renewal_grace = grace)
        },
        write: |policy| policy.renewal_grace.to_string(),
    },
    PolicyKey {
        name: "fleet.rescue-group",
        values: "the name of a Unix group, or empty",
        form: ValueForm::Text,
        default: "",
        help: "On a host that has joined a fleet, accept rescue codes ('twofa host rescue') from members of this group as well as from root",
        per_class: false,
        stricter: "empty",
        on_host: OnHost::Fleet,
        read: |policy, text| group(text).map(|group| policy.rescue_group = group),
        write: |policy| policy.rescue_group.clone().unwrap_or_default(),
    },
    PolicyKey {
        name: "fleet.rescue-lifetime",
        values: "a duration from 1h to 30d",
        form: ValueForm::Text,
        default: "24h",
        help: "On a server, replace the rescue codes of a host this long after one was shown and not used, as soon as the host is reached",
        per_class: false,
        stricter: "shorter",
        on_host: OnHost::Fleet,
        read: |policy, text| {
            let range = Duration::from_minutes(60)..=Duration::from_seconds(30 * 86_400);
            bounded_duration(text, range).map(|lifetime| policy.rescue_lifetime = lifetime)
        },
        write: |policy| policy.rescue_lifetime.to_string(),
    },
    PolicyKey {
        name: "fleet.wrong-people-hourly",
        values: LIMITS,
        form: ValueForm::Number,
        default: "20",
        help: "On a server, cut a host off once it sends wrong codes for more than this many different people within an hour, with no right one after them: until 'twofa host unlock', only people who have logged in there with a code before can log in there",
        per_class: false,
        stricter: "",
        on_host: OnHost::Fleet,
        read: |policy, text| limit(text).map(|most| policy.hosts.wrong_people_hourly = most),
        write: |policy| policy.hosts.wrong_people_hourly.to_string(),
    },
];

/// The longest duration that can be set.
const LONGEST: Duration = Duration::from_seconds(99_999 * 86_400);

fn limit(text: &str) -> Result<u32, Invalid> {
    bounded_number(text, 1..=1_000_000)
}

fn trust(text: &str) -> Result<Duration, Invalid> {
    let duration = bounded_duration(text, Duration::from_seconds(0)..=LONGEST)?;
    let is_in_minutes = duration.seconds().is_multiple_of(60);
    is_in_minutes.then_some(duration).ok_or(Invalid::Value)
}
