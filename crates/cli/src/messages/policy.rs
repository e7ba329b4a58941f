//! What to consider before rules or providers change, and what changed.

use twofa_broker::admin::checks::{Concern, People, Remark};
use twofa_broker::admin::policy::PolicyVersion;
use twofa_core::rulebook::Change;
use twofa_core::transition::Consequence;
use twofa_core::{HostRules, Mode};

use super::{enumerate, moment, rfc3339};

/// After a change that was only shown, where nobody could confirm it.
pub(crate) const NEEDS_YES: &str = "The change needs --yes.";

pub(crate) const NOTHING_WOULD_CHANGE: &str = "Nothing would change: it is already set that way.";

/// What is said of those who lack a second factor when one becomes mandatory.
pub(crate) const NO_SECOND_FACTOR: &str = "no second factor yet";

/// A concern, as a warning.
pub(crate) fn concern(concern: &Concern) -> String {
    match concern {
        Concern::EnrolledBeforehandOnly { class } => format!(
            "class '{class}' has mode=mandatory and enrolment=beforehand: members who have not enrolled cannot log in"
        ),
        Concern::NoBackupCodes { class } => format!(
            "class '{class}' has mode=mandatory without backup codes: members who lose their app cannot log in"
        ),
        Concern::NothingCarried {
            class,
            channels,
            mode,
        } => {
            let channels: Vec<_> = channels.iter().map(|channel| channel.noun()).collect();
            let consequence = match mode {
                Mode::Mandatory => "members without a backup code cannot log in",
                _ => "members cannot enrol, and those who have cannot log in without a backup code",
            };
            format!(
                "class '{class}' allows only codes by {}, and no provider sends them: {consequence} (see 'twofa provider \
                 add')",
                channels.join(" or ")
            )
        }
        Concern::GroupMissing { class, group } => {
            format!("class '{class}' applies to nobody: there is no group '{group}'")
        }
        Concern::OnlyReports { class } => format!(
            "{class}: nobody would be asked for a code; mode=report only records what mode=mandatory would do"
        ),
        Concern::Loss {
            consequence,
            people,
        } => loss(*consequence, people),
        Concern::ChannelLost { channel, users } => format!(
            "{}, and no provider would send them",
            users_of(channel.noun(), *users)
        ),
    }
}

fn loss(consequence: Consequence, people: &People) -> String {
    let people = self::people(people);
    match consequence {
        Consequence::Replace => format!(
            "{people} would have no allowed method left: at their next login they use the old one once more and enrol \
             another"
        ),
        Consequence::Undeliverable => format!(
            "{people} would have only methods whose codes no provider sends: their logins will be refused, unless they \
             have a backup code (see 'twofa provider add')"
        ),
        Consequence::Refused => {
            format!("{people} would have no allowed method left: their logins will be refused")
        }
    }
}

/// `2 users (alice and bob)`.
pub(super) fn people(People { names, unsettled }: &People) -> String {
    super::people(names, *unsettled)
}

/// `3 users get their codes by e-mail`.
pub(super) fn users_of(way: &str, count: u64) -> String {
    match count {
        1 => format!("1 user gets codes by {way}"),
        n => format!("{n} users get their codes by {way}"),
    }
}

/// A remark, as a warning that needs no answer.
pub(crate) fn remark(remark: &Remark) -> String {
    match remark {
        Remark::FallbackNotAllowed { class } => format!(
            "fallback.sms-to-email is on for class '{class}': a code whose text message cannot be sent goes by e-mail, \
             although methods does not allow e-mail there"
        ),
        Remark::Disabled => {
            "the mode asks nobody outside a class for a code; see 'twofa policy set \
                             mode=optional'"
                .to_owned()
        }
        Remark::NoSecondFactor {
            at_login,
            refused,
            is_complete,
        } => no_second_factor(*at_login, *refused, *is_complete),
        Remark::UnknownCountry(country) => {
            format!("'{country}' is not a country code: no phone number belongs to it")
        }
        Remark::UnknownService(service) => {
            format!("this machine has no PAM service '{service}': nobody is asked there")
        }
        Remark::GroupUnsettled { group, error } => format!(
            "{error}; until it is known who is in group '{group}', the strictest class that could apply is used"
        ),
    }
}

fn no_second_factor(at_login: usize, refused: usize, is_complete: bool) -> String {
    let have_none = match at_login + refused {
        1 => format!("1 account that can log in has {NO_SECOND_FACTOR}"),
        n => format!("{n} accounts that can log in have {NO_SECOND_FACTOR}"),
    };
    let led = "led through enrolment at the next login";
    let kept_out = "refused until an administrator has enrolled them (enrolment=beforehand)";
    let what = match (at_login, refused) {
        (n, 0) => format!("{} {led}", if n == 1 { "it is" } else { "they are" }),
        (0, n) => format!("{} {kept_out}", if n == 1 { "it is" } else { "they are" }),
        (led_count, kept_count) => format!("{led_count} of them {led}, {kept_count} {kept_out}"),
    };
    let more = if is_complete {
        ""
    } else {
        "; a directory may have more than it lists"
    };
    format!("{have_none}: {what}{more}; see 'twofa user list --status none'")
}

/// `mode: 'optional' → 'mandatory'`.
pub(crate) fn change(Change { what, from, to }: &Change) -> String {
    let shown = |value: &Option<String>| {
        value
            .as_ref()
            .map_or("nothing".to_owned(), |value| format!("'{value}'"))
    };
    format!("{what}: {} → {}", shown(from), shown(to))
}

/// The classes that have settings of their own, under a listing of the policy; `None`: there is none.
pub(crate) fn classes_with_settings(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 class has settings of its own: see 'twofa class list'.".to_owned()),
        n => Some(format!(
            "{n} classes have settings of their own: see 'twofa class list'."
        )),
    }
}

/// Which version of the fleet's policy is in force.
pub(crate) fn version(version: &PolicyVersion) -> String {
    let PolicyVersion { version, on_host } = version;
    let Some(on_host) = on_host else {
        return format!(
            "This is version {version} of the fleet's policy, which its hosts take within five seconds."
        );
    };
    let confirmed = match on_host.confirmed {
        Some(at) => format!("a server last confirmed it {}", moment(at)),
        None => "no server has confirmed it yet".to_owned(),
    };
    let stale = if on_host.is_stale {
        ", so that it may be an old one"
    } else {
        ""
    };
    format!(
        "Version {version} of the fleet's policy is in force since {}; {confirmed}{stale}.",
        moment(on_host.since)
    )
}

/// The same as fields.
pub(crate) fn version_fields(version: &PolicyVersion) -> Vec<(&'static str, String)> {
    let mut fields = vec![("policy.version", version.version.to_string())];
    if let Some(on_host) = version.on_host {
        fields.push(("policy.since", rfc3339(on_host.since)));
        fields.extend(
            on_host
                .confirmed
                .map(|at| ("policy.confirmed", rfc3339(at))),
        );
        let stale = if on_host.is_stale { "yes" } else { "no" };
        fields.push(("policy.stale", stale.to_owned()));
    }
    fields
}

/// What can be set on a host of a fleet, and where the rest is.
pub(crate) fn on_host(host: &HostRules) -> String {
    let mut text = "'twofa policy set' makes settings stricter here, for this host's own accounts. To change anything else, run it on \
                    a fleet server."
        .to_owned();
    let classes: Vec<_> = host
        .classes
        .iter()
        .map(|class| class.name.clone())
        .collect();
    if !classes.is_empty() {
        text += &format!(
            "\nThese classes were set before this host joined, and make the rules stricter as well: {}.",
            enumerate(&classes)
        );
    }
    text
}

/// Which classes allow a method, where the machine's policy does or does not.
pub(crate) fn allowed(allowed: bool, by_classes: &[String], classes: usize) -> String {
    match (allowed, by_classes) {
        (true, by) if by.len() == classes => "yes".to_owned(),
        (false, []) => "no".to_owned(),
        (true, []) => "not in classes".to_owned(),
        (true, by) => format!("yes; among classes, only in {}", enumerate(by)),
        (false, by) => format!("only in {}", enumerate(by)),
    }
}
