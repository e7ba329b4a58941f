//! What to consider before rules or providers change: who would be locked out, and which effects may surprise.

use std::collections::BTreeSet;
use std::path::Path;

use twofa_core::channel::PerChannel;
use twofa_core::policy::{Enrolment, Policy};
use twofa_core::transition::{Consequence, Loss, Side, Transition};
use twofa_core::{Account, Channel, Class, Method, Methods, Mode, Rulebook};
use twofa_delivery::phone;
use twofa_store::{Providers, Store, StoreError};

use super::losses;
use crate::identity::accounts;
pub(super) use crate::sending::carried::carried;

/// What could lock people out, so that an administrator must confirm it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// A second factor is mandatory for a class, and cannot be enrolled at a login.
    EnrolledBeforehandOnly {
        /// The name of the class.
        class: String,
    },
    /// A second factor is mandatory for a class, without backup codes.
    NoBackupCodes {
        /// The name of the class.
        class: String,
    },
    /// A class allows nothing but codes that are sent, and no provider carries them.
    NothingCarried {
        /// The name of the class.
        class: String,
        /// How the codes would travel; never empty.
        channels: Vec<Channel>,
        /// Whether its members must have a second factor.
        mode: Mode,
    },
    /// A class applies to nobody: its group does not exist.
    GroupMissing {
        /// The name of the class.
        class: String,
        /// The name of the Unix group.
        group: String,
    },
    /// Those whom a class asks for a code would be asked no longer: it would only report.
    OnlyReports {
        /// The name of the class.
        class: String,
    },
    /// People are left without a method that works.
    Loss {
        /// What happens at their logins.
        consequence: Consequence,
        /// The people whose methods are lost.
        people: People,
    },
    /// People get their codes by a channel that no provider would carry.
    ChannelLost {
        /// The channel that no provider sends by.
        channel: Channel,
        /// How many people: at least one.
        users: u64,
    },
}

/// What locks nobody out, but has an effect that may surprise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// Codes whose text message cannot be sent go by e-mail, which is not allowed for the class.
    FallbackNotAllowed {
        /// The name of the class.
        class: String,
    },
    /// The policy is disabled: nobody outside a class is asked.
    Disabled,
    /// Accounts that could log in have no second factor, and need one now.
    NoSecondFactor {
        /// How many are led through enrolment at their next login.
        at_login: usize,
        /// How many are refused until they have enrolled.
        refused: usize,
        /// Whether all accounts are counted: a directory may not list its own.
        is_complete: bool,
    },
    /// The policy names a country that does not exist.
    UnknownCountry(String),
    /// The policy asks at a PAM service that this machine does not have: perhaps a misspelt name.
    UnknownService(String),
    /// The name service does not say who is in the group of a class; until it does, the strictest class that could apply
    /// is used.
    GroupUnsettled {
        /// The name of the Unix group.
        group: String,
        /// Why there is no answer.
        error: String,
    },
}

/// People, those who are certainly affected first, each part by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// Their login names; never none.
    pub names: Vec<String>,
    /// How many of them, at the end of the list, may not be affected: it is unknown which groups they are in.
    pub unsettled: usize,
}

impl People {
    /// Those of `lost` to whom `consequence` happens; `None`: nobody.
    fn with(lost: &[(Account, Loss)], consequence: Consequence) -> Option<Self> {
        let concerned = || {
            lost.iter()
                .filter(|(_, loss)| loss.consequence == consequence)
        };
        let named = |is_certain: bool| {
            concerned()
                .filter(move |(_, loss)| loss.is_certain == is_certain)
                .map(|(account, _)| account.name.clone())
        };
        let names: Vec<_> = named(true).chain(named(false)).collect();
        let unsettled = named(false).count();
        (!names.is_empty()).then_some(Self { names, unsettled })
    }
}

/// The concerns about `rulebook` where the codes of the methods `carried` reach people.
pub(super) fn concerns(rulebook: &Rulebook, carried: Methods) -> Vec<Concern> {
    let mut concerns = Vec::new();
    for (class, policy) in rulebook.policies() {
        concerns.extend(if_mandatory(class, &policy));
        concerns.extend(nothing_carried(class, &policy, carried));
    }
    concerns
}

/// What is to be thought about where a second factor is mandatory.
fn if_mandatory(class: &str, policy: &Policy) -> impl Iterator<Item = Concern> {
    let class = class.to_owned();
    let is_mandatory = policy.mode == Mode::Mandatory;
    let beforehand = policy.enrolment == Enrolment::Beforehand;
    let beforehand = (is_mandatory && beforehand).then(|| Concern::EnrolledBeforehandOnly {
        class: class.clone(),
    });
    let no_backup = (is_mandatory && !policy.methods.contains(Method::Backup))
        .then_some(Concern::NoBackupCodes { class });
    beforehand.into_iter().chain(no_backup)
}

fn nothing_carried(class: &str, policy: &Policy, carried: Methods) -> Option<Concern> {
    let allowed = policy.methods.intersection(Methods::standing_alone());
    if allowed.intersects(carried) || policy.mode == Mode::Disabled {
        return None;
    }
    Some(Concern::NothingCarried {
        class: class.to_owned(),
        channels: allowed.iter().filter_map(Method::channel).collect(),
        mode: policy.mode,
    })
}

/// What people would lose if of the methods carried `before` only those `after` were left.
fn channels_lost(before: Methods, after: Methods, users: PerChannel<u64>) -> Vec<Concern> {
    let is_lost =
        |channel: &Channel| before.contains(channel.method()) && !after.contains(channel.method());
    users
        .iter()
        .filter(|(channel, users)| is_lost(channel) && **users > 0)
        .map(|(channel, users)| Concern::ChannelLost {
            channel,
            users: *users,
        })
        .collect()
}

/// How many people get their codes by each channel.
pub(super) fn users_by_channel(store: &Store) -> Result<PerChannel<u64>, StoreError> {
    let mut users = PerChannel::default();
    store.users(|user| {
        for channel in Channel::ALL {
            users[channel] += u64::from(user.summary.enrolled.contains(channel.method()));
        }
        true
    })?;
    Ok(users)
}

/// The concerns about a change of the providers, those that were there before left out.
pub(super) fn concerns_about_providers(
    store: &Store,
    before: &Providers,
    after: &Providers,
) -> Result<Vec<Concern>, StoreError> {
    let (before, after) = (carried(before), carried(after));
    if before == after {
        return Ok(Vec::new());
    }
    let rulebook = store.rulebook()?;
    let known = concerns(&rulebook, before);
    let mut new = concerns(&rulebook, after);
    new.retain(|concern| !known.contains(concern));
    new.extend(channels_lost(before, after, users_by_channel(store)?));
    Ok(new)
}

/// The concerns about a change of the rules, those that were there before left out. `before` is `None` where what is
/// stored is broken, and lets nobody in.
pub(super) fn concerns_about_rules(
    store: &Store,
    before: Option<&Rulebook>,
    after: &Rulebook,
) -> Result<Vec<Concern>, StoreError> {
    let carried = carried(&store.providers()?);
    let known = before
        .map(|before| concerns(before, carried))
        .unwrap_or_default();
    let mut new = concerns(after, carried);
    new.retain(|concern| !known.contains(concern));
    let nothing = Rulebook::default();
    let change = Transition::new(
        Side {
            rulebook: before.unwrap_or(&nothing),
            carried,
        },
        Side {
            rulebook: after,
            carried,
        },
    );
    let lost = losses::find(store, &change)?;
    let consequences = [
        Consequence::Replace,
        Consequence::Undeliverable,
        Consequence::Refused,
    ];
    new.extend(consequences.into_iter().filter_map(|consequence| {
        let people = People::with(&lost, consequence)?;
        Some(Concern::Loss {
            consequence,
            people,
        })
    }));
    new.extend(only_reporting(before, after));
    new.extend(groups_missing(before, after));
    Ok(new)
}

/// The classes that ask `before` and only report in `after`. The members of a new class may have been in any other one, and
/// those of a class that is removed get the machine's policy.
fn only_reporting(before: Option<&Rulebook>, after: &Rulebook) -> Vec<Concern> {
    let Some(before) = before else {
        return Vec::new();
    };
    let asked = |name: &str| {
        let found = before.policies().find(|(class, _)| *class == name);
        found.map_or_else(
            || before.policies().any(|(_, policy)| policy.mode.asks()),
            |(_, policy)| policy.mode.asks(),
        )
    };
    let reporting = after
        .policies()
        .filter(|(name, policy)| policy.mode == Mode::Report && asked(name));
    let is_gone = |name: &str| !after.policies().any(|(class, _)| class == name);
    let removed = before.policies().filter(|(name, policy)| {
        after.machine().mode == Mode::Report && policy.mode.asks() && is_gone(name)
    });
    reporting
        .chain(removed)
        .map(|(class, _)| Concern::OnlyReports {
            class: class.to_owned(),
        })
        .collect()
}

/// The classes that are new in `after` and hold for nobody. A name service that fails is no reason to ask: logins take
/// the strictest class that could apply meanwhile.
fn groups_missing(before: Option<&Rulebook>, after: &Rulebook) -> Vec<Concern> {
    let is_new = |class: &&Class| {
        let mut kept = before.into_iter().flat_map(Rulebook::classes);
        !kept.any(|kept| kept.name == class.name && kept.group.name == class.group.name)
    };
    after
        .classes()
        .iter()
        .filter(is_new)
        .filter(|class| matches!(accounts::group(&class.group.name), Ok(None)))
        .map(group_missing)
        .collect()
}

/// That the group of `class` does not exist.
pub(super) fn group_missing(class: &Class) -> Concern {
    Concern::GroupMissing {
        class: class.name.clone(),
        group: class.group.name.clone(),
    }
}

/// The people who have enrolled nothing that is allowed now: those who replace it at their next login, and those who are
/// refused.
pub(super) fn without_allowed_method(store: &Store) -> Result<[Option<People>; 2], StoreError> {
    let rulebook = store.rulebook()?;
    let carried = carried(&store.providers()?);
    let nothing = Rulebook::default();
    let [before, after] = [&nothing, &rulebook].map(|rulebook| Side { rulebook, carried });
    let lost = losses::find(store, &Transition::new(before, after))?;
    Ok([Consequence::Replace, Consequence::Refused].map(|what| People::with(&lost, what)))
}

/// What of `after` is not what it seems, and was not there `before`.
pub(super) fn new_remarks(before: Option<&Rulebook>, after: &Rulebook) -> Vec<Remark> {
    let known = before.map(remarks).unwrap_or_default();
    let mut new = remarks(after);
    new.retain(|remark| !known.contains(remark));
    new
}

fn remarks(rulebook: &Rulebook) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut countries = Vec::new();
    let mut services = BTreeSet::new();
    for (class, policy) in rulebook.policies() {
        let Policy { methods, .. } = policy;
        if policy.fallback_to_email == Some(true)
            && methods.contains(Method::Sms)
            && !methods.contains(Method::Email)
        {
            remarks.push(Remark::FallbackNotAllowed {
                class: class.to_owned(),
            });
        }
        countries.extend(policy.phone_country);
        countries.extend(policy.phone_countries);
        services.extend(policy.services.names().map(ToOwned::to_owned));
    }
    countries.sort();
    countries.dedup();
    countries.retain(|country| !phone::is_country(country));
    remarks.extend(countries.into_iter().map(Remark::UnknownCountry));
    services.retain(|service| !has_service(service));
    remarks.extend(services.into_iter().map(Remark::UnknownService));
    remarks
}

/// Whether this machine has a stack of this name, or perhaps has one.
fn has_service(name: &str) -> bool {
    PAM_FOLDERS
        .iter()
        .any(|folder| Path::new(folder).join(name).try_exists().unwrap_or(true))
}

/// Where libpam looks for the stack of a service.
const PAM_FOLDERS: [&str; 4] = [
    "/etc/pam.d",
    "/usr/lib/pam.d",
    "/usr/share/pam/pam.d",
    "/usr/etc/pam.d",
];

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_core::Group;
    use twofa_core::class::EVERYONE;

    const NO_MAIL: Methods = Methods::ALL.without(Method::Email);
    const NO_SMS: Methods = Methods::ALL.without(Method::Sms);
    const NOTHING: Methods = NO_MAIL.without(Method::Sms);

    fn book(settings: &[(&str, &str)]) -> Rulebook {
        with_class(settings, &[])
    }

    /// With a class `ops` that has `own` settings, if any.
    fn with_class(settings: &[(&str, &str)], own: &[(&str, &str)]) -> Rulebook {
        let class = Class {
            name: "ops".into(),
            group: Group::called("ops"),
            settings: own
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        };
        let machine = Policy::from_settings(settings.iter().copied()).unwrap();
        let classes = if own.is_empty() { vec![] } else { vec![class] };
        Rulebook::new(machine, classes).unwrap()
    }

    fn nothing_carried(class: &str, channels: &[Channel], mode: Mode) -> Concern {
        Concern::NothingCarried {
            class: class.into(),
            channels: channels.into(),
            mode,
        }
    }

    #[test]
    fn a_mandatory_second_factor_that_can_be_missing_or_lost_is_a_concern() {
        assert_eq!(concerns(&book(&[("mode", "mandatory")]), Methods::ALL), []);
        let own = [("mode", "mandatory"), ("enrolment", "beforehand")];
        assert_eq!(
            concerns(&with_class(&[("mode", "optional")], &own), Methods::ALL),
            [Concern::EnrolledBeforehandOnly {
                class: "ops".into()
            }]
        );
        let no_backup = book(&[("mode", "mandatory"), ("methods", "app")]);
        assert_eq!(
            concerns(&no_backup, Methods::ALL),
            [Concern::NoBackupCodes {
                class: EVERYONE.into()
            }]
        );
    }

    #[test]
    fn a_policy_whose_only_methods_no_provider_carries_is_a_concern() {
        let by_mail = book(&[("mode", "mandatory"), ("methods", "email,backup")]);
        let concern = nothing_carried(EVERYONE, &[Channel::Email], Mode::Mandatory);
        for carried in [NOTHING, NO_MAIL] {
            assert_eq!(concerns(&by_mail, carried), std::slice::from_ref(&concern));
        }
        assert_eq!(concerns(&by_mail, NO_SMS), []);
        let either = book(&[("mode", "optional"), ("methods", "email,sms")]);
        assert_eq!(concerns(&either, NO_MAIL), []);
        assert_eq!(
            concerns(&either, NOTHING),
            [nothing_carried(
                EVERYONE,
                &[Channel::Email, Channel::Sms],
                Mode::Optional
            )]
        );
    }

    #[test]
    fn a_policy_that_asks_nobody_or_allows_an_app_is_no_concern() {
        for settings in [
            [("mode", "disabled"), ("methods", "email")],
            [("mode", "mandatory"), ("methods", "app,email,backup")],
        ] {
            assert_eq!(concerns(&book(&settings), NOTHING), [], "{settings:?}");
        }
    }

    #[test]
    fn a_class_with_methods_of_its_own_is_named() {
        let own = [("methods", "sms,backup"), ("mode", "mandatory")];
        assert_eq!(
            concerns(&with_class(&[], &own), NOTHING),
            [nothing_carried("ops", &[Channel::Sms], Mode::Mandatory)]
        );
    }

    #[test]
    fn asking_no_longer_but_only_reporting_is_a_concern_for_each_class_that_asked() {
        let concern = |class: &str| Concern::OnlyReports {
            class: class.into(),
        };
        let asks = with_class(&[("mode", "mandatory")], &[("mode", "optional")]);
        let reports = with_class(&[("mode", "report")], &[("mode", "report")]);
        let both = only_reporting(Some(&asks), &reports);
        assert_eq!(both, [concern("ops"), concern(EVERYONE)]);
        let disabled = book(&[("mode", "disabled")]);
        assert_eq!(only_reporting(Some(&disabled), &reports), []);
        assert_eq!(only_reporting(Some(&reports), &asks), []);
    }

    #[test]
    fn only_a_channel_that_somebody_uses_is_lost() {
        let users = PerChannel::default().with(Channel::Email, 3);
        let lost = Concern::ChannelLost {
            channel: Channel::Email,
            users: 3,
        };
        assert_eq!(channels_lost(Methods::ALL, NOTHING, users), [lost]);
        assert_eq!(channels_lost(NOTHING, NOTHING, users), []);
        assert_eq!(channels_lost(Methods::ALL, Methods::ALL, users), []);
    }

    #[test]
    fn users_who_certainly_lose_a_method_are_named_first() {
        let lost = [("alice", false), ("bob", true), ("carol", false)].map(|(name, is_certain)| {
            let account = Account {
                name: name.into(),
                uid: 1000,
            };
            let consequence = Consequence::Replace;
            (
                account,
                Loss {
                    consequence,
                    is_certain,
                },
            )
        });
        let people = People::with(&lost, Consequence::Replace).unwrap();
        assert_eq!(
            (people.names.as_slice(), people.unsettled),
            (&["bob", "alice", "carol"].map(String::from)[..], 2)
        );
        assert_eq!(People::with(&lost, Consequence::Refused), None);
    }

    #[test]
    fn a_fallback_that_is_not_allowed_and_a_country_that_does_not_exist_get_a_remark() {
        assert_eq!(remarks(&book(&[("methods", "app,sms")])), []);
        let fallback = book(&[("methods", "app,sms"), ("fallback.sms-to-email", "on")]);
        let remark = Remark::FallbackNotAllowed {
            class: EVERYONE.into(),
        };
        assert_eq!(remarks(&fallback), std::slice::from_ref(&remark));
        assert_eq!(new_remarks(Some(&fallback), &fallback), []);
        assert_eq!(new_remarks(None, &fallback), [remark]);
        let country = book(&[("phone.countries", "DE,XX")]);
        assert_eq!(remarks(&country), [Remark::UnknownCountry("XX".into())]);
        let services = book(&[("services", "ssh,login,elevaton")]);
        assert_eq!(
            remarks(&services),
            [Remark::UnknownService("elevaton".into())]
        );
    }
}
