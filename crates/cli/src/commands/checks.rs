//! Whether there is anybody to carry the codes that a policy, or people, rely on.

use twofa_core::rulebook::Rulebook;
use twofa_core::{Channel, Method, Methods, Mode, PerChannel};
use twofa_store::{Providers, Store, StoreError};

use crate::error::CommandError;

/// The methods whose codes reach people: those that need no provider, and those with a provider whose settings open.
pub(crate) fn carried(providers: &Providers) -> Methods {
    let has_provider = |channel| {
        let order: &Vec<String> = &providers.order[channel];
        order.iter().any(|name| providers.find(name).is_some())
    };
    Methods::ALL
        .iter()
        .filter(|method| method.channel().is_none_or(has_provider))
        .collect()
}

/// The classes of `rulebook` that allow nothing but codes that nobody carries.
pub(crate) fn warnings(carried: Methods, rulebook: &Rulebook) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, policy) in rulebook.policies() {
        let allowed = policy.methods.intersection(Methods::standing_alone());
        if allowed.intersects(carried) || policy.mode == Mode::Disabled {
            continue;
        }
        let channels: Vec<_> = allowed
            .iter()
            .filter_map(Method::channel)
            .map(twofa_broker::words::way)
            .collect();
        let consequence = match policy.mode {
            Mode::Mandatory => "whoever of it has no backup code cannot log in",
            _ => "nobody of it can enrol, and whoever has cannot log in without a backup code",
        };
        warnings.push(format!(
            "class '{name}' allows only codes by {}, and no provider carries them: {consequence} \
             (see 'twofa provider add')",
            channels.join(" or ")
        ));
    }
    warnings
}

/// What people would lose if of the methods that were carried `before` only those of `after` were left. `enrolled` is
/// how many people have each.
pub(crate) fn losses(before: Methods, after: Methods, enrolled: PerChannel<u64>) -> Vec<String> {
    enrolled
        .iter()
        .filter(|(channel, count)| {
            let method = channel.method();
            **count > 0 && before.contains(method) && !after.contains(method)
        })
        .map(|(channel, count)| {
            format!(
                "{}, and no provider would carry them",
                people(channel, *count)
            )
        })
        .collect()
}

/// How many people get codes by each channel.
pub(crate) fn enrolled(store: &Store) -> Result<PerChannel<u64>, StoreError> {
    let mut enrolled = PerChannel::default();
    store.users(|user| {
        for channel in user.summary.enrolled.iter().filter_map(Method::channel) {
            enrolled[channel] += 1;
        }
        true
    })?;
    Ok(enrolled)
}

/// `3 users get their codes by e-mail`.
pub(crate) fn people(channel: Channel, count: u64) -> String {
    let way = twofa_broker::words::way(channel);
    match count {
        1 => format!("one user gets codes by {way}"),
        n => format!("{n} users get their codes by {way}"),
    }
}

/// What to think about before the providers become what `after` says.
pub(crate) fn concerns(
    store: &Store,
    before: &Providers,
    after: &Providers,
) -> Result<Vec<String>, CommandError> {
    let (before, after) = (carried(before), carried(after));
    if before == after {
        return Ok(Vec::new());
    }
    let rulebook = store.rulebook()?;
    let known = warnings(before, &rulebook);
    let mut concerns = warnings(after, &rulebook);
    concerns.retain(|concern| !known.contains(concern));
    concerns.extend(losses(before, after, enrolled(store)?));
    Ok(concerns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_core::Class;
    use twofa_core::policy::Policy;

    /// What works without a provider.
    const NOTHING: Methods = Methods::NONE.with(Method::App).with(Method::Backup);

    fn book(settings: &[(&str, &str)]) -> Rulebook {
        Rulebook::new(
            Policy::from_settings(settings.iter().copied()).unwrap(),
            Vec::new(),
        )
        .unwrap()
    }

    #[test]
    fn a_policy_whose_only_methods_nobody_carries_is_warned_of() {
        let by_mail = book(&[("mode", "mandatory"), ("methods", "email,backup")]);
        let warning = &warnings(NOTHING, &by_mail)[0];
        assert!(
            warning.contains("class 'everyone' allows only codes by e-mail, and no provider"),
            "{warning}"
        );
        assert!(warnings(NOTHING.with(Method::Sms), &by_mail).len() == 1);
        assert!(warnings(NOTHING.with(Method::Email), &by_mail).is_empty());
    }

    #[test]
    fn a_policy_that_asks_nobody_or_has_another_way_is_not_warned_of() {
        for settings in [
            [("mode", "disabled"), ("methods", "email")],
            [("mode", "mandatory"), ("methods", "app,email")],
        ] {
            assert!(
                warnings(NOTHING, &book(&settings)).is_empty(),
                "{settings:?}"
            );
        }
        let either = book(&[("mode", "optional"), ("methods", "email,sms")]);
        assert!(warnings(NOTHING.with(Method::Sms), &either).is_empty());
        assert_eq!(warnings(NOTHING, &either).len(), 1);
    }

    #[test]
    fn a_class_of_its_own_methods_is_warned_of_by_its_name() {
        let class = Class {
            name: "ops".into(),
            group: twofa_core::Group::called("ops"),
            settings: vec![
                ("methods".into(), "sms".into()),
                ("mode".into(), "mandatory".into()),
            ],
        };
        let warnings = warnings(
            NOTHING,
            &Rulebook::new(Policy::default(), vec![class]).unwrap(),
        );
        assert!(
            warnings.len() == 1
                && warnings[0].starts_with("class 'ops' allows only codes by text message")
        );
    }

    #[test]
    fn only_a_loss_that_somebody_feels_is_told() {
        let enrolled = PerChannel::default().with(Channel::Email, 3);
        let expected = ["3 users get their codes by e-mail, and no provider would carry them"];
        assert_eq!(losses(Methods::ALL, NOTHING, enrolled), expected);
        for same in [NOTHING, Methods::ALL] {
            assert!(losses(same, same, enrolled).is_empty());
        }
    }
}
