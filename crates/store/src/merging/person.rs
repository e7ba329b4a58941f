//! What becomes of one person: the rules, without a store.
//!
//! Nothing that is merged lets more people in than before: a method that the person had somewhere works, the stricter of two
//! locks and requirements holds, no counter of used codes goes back, and exemptions, opt-outs and trusted devices stay behind.

use std::collections::HashSet;

use twofa_core::app::App;
use twofa_core::backup::BackupSet;
use twofa_core::exemption::Exemption;
use twofa_core::user::{Contact, SecurityKey, User, Verify};
use twofa_core::{Channel, Method, PerChannel, Throttle, Timestamp};

use super::source::Known;
use super::{Choice, Matter, MergeRules};
use crate::apps::{MOST_APPS, NewApp};

/// How many security keys somebody can have.
const MOST_KEYS: usize = 10;

/// What one host knows of the person.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub host: &'a str,
    pub known: &'a Known,
}

/// What the store that is merged into knows of the person already.
#[derive(Debug, Default)]
pub(super) struct There {
    pub user: User,
    pub unproved: Throttle,
}

/// What is to be written.
#[derive(Debug)]
pub(super) struct Decision {
    /// To be added, each with the time of its enrolment.
    pub apps: Vec<(NewApp, Timestamp)>,
    /// Apps that are there and the same: their number, and the highest step or counter that was used anywhere.
    pub used: Vec<(i64, u64)>,
    pub contacts: PerChannel<Option<Contact>>,
    /// To be added where there is none.
    pub backup: Option<BackupSet>,
    /// To be added.
    pub keys: Vec<SecurityKey>,
    pub required: bool,
    pub verify: Verify,
    pub preferred: Option<Method>,
    pub throttle: Throttle,
    pub unproved: Throttle,
    pub passed_at: Option<Timestamp>,
    /// To be granted, each with its host.
    pub exemptions: Vec<(String, Exemption)>,
    /// What a person should know who decides whether to merge.
    pub matters: Vec<Matter>,
}

impl Decision {
    /// Has the person do without `channel`, because its address belongs to another one.
    pub(super) fn drop_address(&mut self, channel: Channel, there: &There) {
        self.contacts[channel].clone_from(&there.user.contacts[channel]);
        self.matters.push(Matter::AddressOfAnother {
            channel,
            left_out: true,
        });
        self.settle(there);
    }

    /// What follows from the methods.
    fn settle(&mut self, there: &There) {
        let has_app = !self.apps.is_empty() || !there.user.apps.is_empty();
        let is_verified =
            |contact: &Option<Contact>| contact.as_ref().is_some_and(|it| it.verified);
        let stands = has_app || self.contacts.iter().any(|(_, it)| is_verified(it));
        if !stands {
            // They cannot stand alone, and a user who had a method sets up another one.
            self.required = true;
            self.backup = None;
            self.keys.clear();
            if !self.matters.contains(&Matter::NothingLeft) {
                self.matters.push(Matter::NothingLeft);
            }
        }
        let works = |method: &Method| match method {
            Method::App => has_app,
            Method::Email => is_verified(&self.contacts[Channel::Email]),
            Method::Sms => is_verified(&self.contacts[Channel::Sms]),
            _ => false,
        };
        self.preferred = self.preferred.filter(works);
    }
}

/// What becomes of a person whom the hosts know as `parts`, in the order of the command line, and the store as `there`.
pub(super) fn decide(there: &There, parts: &[Part<'_>], rules: MergeRules) -> Decision {
    let had_method = parts.iter().any(|part| has_method(&part.known.user));
    let mut matters = Vec::new();
    let mut labels: HashSet<String> = there.user.apps.iter().map(|it| it.label.clone()).collect();
    labels.extend(there.user.security_keys.iter().map(|it| it.label.clone()));
    let (apps, used) = apps(there, parts, &mut labels, &mut matters);
    let keys = keys(there, parts, &mut labels, &mut matters);
    let contacts =
        PerChannel::from_fn(|channel| contact(channel, there, parts, rules, &mut matters));
    let backup = backup(there, parts, rules, &mut matters);
    let throttle = stricter(
        there.user.throttle,
        parts.iter().map(|it| it.known.user.throttle),
    );
    let unproved = stricter(there.unproved, parts.iter().map(|it| it.known.unproved));
    let failures = throttle.failures();
    if failures > there.user.throttle.failures() {
        matters.push(Matter::Failures { failures });
    }
    let preferred = recent(parts, |user| user.preferred).and_then(|it| it.known.user.preferred);
    let mut decision = Decision {
        apps,
        used,
        contacts,
        backup,
        keys,
        required: there.user.required || parts.iter().any(|it| it.known.user.required),
        verify: verify(there, parts),
        preferred: there.user.preferred.or(preferred),
        throttle,
        unproved,
        passed_at: parts.iter().filter_map(|it| it.known.passed_at).max(),
        exemptions: exemptions(parts, rules, &mut matters),
        matters,
    };
    if had_method {
        decision.settle(there);
    }
    let devices = parts.iter().map(|it| it.known.devices).sum();
    if devices > 0 {
        decision.matters.push(Matter::Devices { devices });
    }
    decision
}

fn has_method(user: &User) -> bool {
    let mut contacts = user.contacts.iter();
    !user.apps.is_empty() || contacts.any(|(_, it)| it.as_ref().is_some_and(|it| it.verified))
}

/// The part that was used last of those where `has` gives something; the first of them where nothing was used.
fn recent<'a, T>(parts: &[Part<'a>], has: impl Fn(&User) -> Option<T>) -> Option<Part<'a>> {
    let those = parts.iter().filter(|it| has(&it.known.user).is_some());
    // Of several that are equal, the last is taken.
    those.rev().max_by_key(|it| it.known.passed_at).copied()
}

fn choose<'a, T>(
    choice: Choice,
    parts: &[Part<'a>],
    has: impl Fn(&User) -> Option<T>,
) -> Option<Part<'a>> {
    match choice {
        Choice::Recent => recent(parts, has),
        Choice::First => parts
            .iter()
            .find(|it| has(&it.known.user).is_some())
            .copied(),
        Choice::None => None,
    }
}

/// Whether it is the same entry in the same app.
fn is_same(one: &App, other: &App) -> bool {
    one.parameters == other.parameters && one.key.expose() == other.key.expose()
}

type Apps = (Vec<(NewApp, Timestamp)>, Vec<(i64, u64)>);

fn apps(
    there: &There,
    parts: &[Part<'_>],
    labels: &mut HashSet<String>,
    matters: &mut Vec<Matter>,
) -> Apps {
    let (mut new, mut used) = (Vec::<(NewApp, Timestamp)>::new(), Vec::new());
    let mut same = 0;
    let all = parts
        .iter()
        .flat_map(|it| it.known.user.apps.iter().map(move |app| (it.host, app)));
    for (host, found) in all {
        let known = there
            .user
            .apps
            .iter()
            .find(|it| is_same(&it.app, &found.app));
        if let Some(known) = known {
            // One under suspicion stays so until two codes in a row were right.
            let is_trusted = !known.must_resync;
            used.extend(
                found
                    .app
                    .used
                    .filter(|_| is_trusted)
                    .map(|count| (known.id, count)),
            );
            same += 1;
        } else if let Some((known, _)) = new.iter_mut().find(|(it, _)| is_same(&it.app, &found.app))
        {
            // `None` is less than any count.
            known.app.used = known.app.used.max(found.app.used);
            same += 1;
        } else {
            let app = NewApp {
                label: label(labels, &found.label, host),
                app: found.app.clone(),
            };
            new.push((app, found.enrolled_at));
        }
    }
    if same > 0 {
        matters.push(Matter::SameApp { apps: same });
    }
    let room = (MOST_APPS as usize).saturating_sub(there.user.apps.len());
    if new.len() > room {
        let apps = new.len() - room;
        matters.push(Matter::TooManyApps { apps });
        new.sort_by_key(|(new, enrolled_at)| {
            let last = used_at(&new.app).unwrap_or(i64::MIN);
            std::cmp::Reverse(last.max(enrolled_at.unix()))
        });
        new.truncate(room);
    }
    if new.len() + there.user.apps.len() > 1 {
        let apps = new.len() + there.user.apps.len();
        matters.push(Matter::SeveralApps { apps });
    }
    (new, used)
}

/// The beginning of the last step that was used, in seconds since 1970.
fn used_at(app: &App) -> Option<i64> {
    match app.parameters.kind() {
        twofa_core::app::OtpKind::Time { period } => {
            i64::try_from(app.used?.saturating_mul(u64::from(period))).ok()
        }
        twofa_core::app::OtpKind::Counter => None,
    }
}

/// `phone (web1)`, with a number if there is one already.
fn label(labels: &mut HashSet<String>, label: &str, host: &str) -> String {
    let plain = format!("{label} ({host})");
    let mut new = plain.clone();
    let mut number = 1;
    while !labels.insert(new.clone()) {
        number += 1;
        new = format!("{plain} {number}");
    }
    new
}

fn keys(
    there: &There,
    parts: &[Part<'_>],
    labels: &mut HashSet<String>,
    matters: &mut Vec<Matter>,
) -> Vec<SecurityKey> {
    let mut new: Vec<SecurityKey> = Vec::new();
    let all = parts.iter().flat_map(|it| {
        it.known
            .user
            .security_keys
            .iter()
            .map(move |key| (it.host, key))
    });
    for (host, key) in all {
        let mut known = there.user.security_keys.iter().chain(&new);
        if known.any(|it| it.identity == key.identity) {
            continue;
        }
        new.push(SecurityKey {
            label: label(labels, &key.label, host),
            ..key.clone()
        });
    }
    let room = MOST_KEYS.saturating_sub(there.user.security_keys.len());
    if new.len() > room {
        let keys = new.len() - room;
        matters.push(Matter::TooManyKeys { keys });
        new.truncate(room);
    }
    new
}

fn contact(
    channel: Channel,
    there: &There,
    parts: &[Part<'_>],
    rules: MergeRules,
    matters: &mut Vec<Matter>,
) -> Option<Contact> {
    let verified = |user: &User| user.contacts[channel].clone().filter(|it| it.verified);
    let any = |user: &User| user.contacts[channel].clone();
    let ours = any(&there.user);
    let chosen = choose(rules.addresses, parts, verified)
        .or_else(|| choose(rules.addresses, parts, any))
        .and_then(|it| any(&it.known.user));
    let kept = match (ours, chosen) {
        (Some(ours), Some(chosen)) if chosen.verified && !ours.verified => Some(chosen),
        (Some(ours), _) => Some(ours),
        (None, chosen) => chosen,
    };
    let is_kept = |address: &str| {
        let kept = kept.as_ref();
        kept.is_some_and(|kept| kept.address.eq_ignore_ascii_case(address))
    };
    let users = parts.iter().map(|it| &it.known.user).chain([&there.user]);
    let mut addresses = users.filter_map(|user| user.contacts[channel].as_ref());
    if addresses.any(|it| !is_kept(&it.address)) {
        matters.push(Matter::OtherAddress {
            channel,
            kept: kept.as_ref().map(|it| it.address.clone()),
        });
    }
    kept
}

fn backup(
    there: &There,
    parts: &[Part<'_>],
    rules: MergeRules,
    matters: &mut Vec<Matter>,
) -> Option<BackupSet> {
    let set = |user: &User| user.backup.clone();
    let sets = parts
        .iter()
        .filter(|it| it.known.user.backup.is_some())
        .count();
    let chosen = choose(rules.backup_codes, parts, set);
    if let Some(ours) = &there.user.backup {
        let is_ours = |it: &Part<'_>| set(&it.known.user).is_none_or(|it| it.salt == ours.salt);
        if !parts.iter().all(is_ours) {
            matters.push(Matter::BackupCodes { kept: None });
        }
        return None;
    }
    let kept = chosen.map(|it| it.host.to_owned());
    if sets > 1 || sets == 1 && kept.is_none() {
        matters.push(Matter::BackupCodes { kept });
    }
    set(&chosen?.known.user)
}

/// What `ours` becomes when it has at least as many failures, and a lock that lasts at least as long, as each of `others`.
fn stricter(ours: Throttle, others: impl Iterator<Item = Throttle> + Clone) -> Throttle {
    let failures = others.clone().map(|it| it.failures()).max();
    let more = failures.unwrap_or(0).saturating_sub(ours.failures());
    Throttle {
        attempts: ours.attempts.saturating_add(more),
        locked_until: others
            .map(|it| it.locked_until)
            .max()
            .flatten()
            .max(ours.locked_until),
        ..ours
    }
}

/// An opt-out is no more than the default, because it was made where other rules held.
fn verify(there: &There, parts: &[Part<'_>]) -> Verify {
    let mut all = parts
        .iter()
        .map(|it| it.known.user.verify)
        .chain([there.user.verify]);
    if all.any(|it| it == Verify::Always) {
        Verify::Always
    } else {
        Verify::NewDevice
    }
}

fn exemptions(
    parts: &[Part<'_>],
    rules: MergeRules,
    matters: &mut Vec<Matter>,
) -> Vec<(String, Exemption)> {
    let all: Vec<_> = parts
        .iter()
        .flat_map(|it| {
            it.known
                .exemptions
                .iter()
                .map(|exemption| (it.host.to_owned(), exemption.clone()))
        })
        .collect();
    if !all.is_empty() {
        matters.push(Matter::Exemptions {
            exemptions: all.len(),
            merged: rules.exemptions,
        });
    }
    if rules.exemptions { all } else { Vec::new() }
}
