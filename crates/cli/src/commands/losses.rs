//! Whom a change leaves without a method that works, in words.

use twofa_broker::{Broker, losses};
use twofa_core::text::printable;
use twofa_core::transition::{Consequence, Loss, Side, Transition};
use twofa_core::{Account, Rulebook};

use super::checks;
use crate::error::CommandError;

/// So many people are named.
const NAMED: usize = 5;

/// Warnings of what becomes of people when the rules turn from `before` into `wanted`. `None`: those before are broken, and
/// let nobody in.
pub(crate) fn warnings(
    broker: &Broker,
    before: Option<&Rulebook>,
    wanted: &Rulebook,
) -> Result<Vec<String>, CommandError> {
    let carried = checks::carried(&broker.store().providers()?);
    let nothing = Rulebook::default();
    let before = Side {
        rulebook: before.unwrap_or(&nothing),
        carried,
    };
    let lost = losses::of(
        broker.store(),
        &Transition::new(
            before,
            Side {
                rulebook: wanted,
                carried,
            },
        ),
    )?;
    let mut warnings = Vec::new();
    for consequence in [
        Consequence::Replace,
        Consequence::Undeliverable,
        Consequence::Refused,
    ] {
        let Some(people) = people(&lost, consequence) else {
            continue;
        };
        warnings.push(match consequence {
            Consequence::Replace => format!(
                "{people} would have no allowed method left: at their next login they prove themselves with the old one \
                 and enrol another"
            ),
            Consequence::Undeliverable => format!(
                "{people} would have only methods whose codes no provider carries: their logins will be refused, unless \
                 they have a backup code (see 'twofa provider add')"
            ),
            Consequence::Refused => {
                format!("{people} would have no allowed method left: their logins will be refused")
            }
        });
    }
    Ok(warnings)
}

/// The people who are without a method that works now: those whose next login replaces it, and those who are refused.
pub(crate) fn standing(
    broker: &Broker,
    rulebook: &Rulebook,
) -> Result<[Option<String>; 2], CommandError> {
    let carried = checks::carried(&broker.store().providers()?);
    let nothing = Side {
        rulebook: &Rulebook::default(),
        carried,
    };
    let lost = losses::of(
        broker.store(),
        &Transition::new(nothing, Side { rulebook, carried }),
    )?;
    Ok([Consequence::Replace, Consequence::Refused].map(|consequence| people(&lost, consequence)))
}

/// `12 users (alice, bob, carol, dave, erin and 7 more)`; `None`: nobody of `lost` has this to expect.
fn people(lost: &[(Account, Loss)], consequence: Consequence) -> Option<String> {
    let mut people: Vec<_> = lost
        .iter()
        .filter(|(_, loss)| loss.consequence == consequence)
        .collect();
    // Stable: those it is certain of first, each in the order of their names.
    people.sort_by_key(|(_, loss)| !loss.is_certain);
    let names: Vec<_> = people
        .iter()
        .take(NAMED)
        .map(|(account, _)| printable(&account.name))
        .collect();
    let names = match (names.as_slice(), people.len().saturating_sub(NAMED)) {
        ([], _) => return None,
        ([names @ .., last], 0) if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        (names, 0) => names.join(", "),
        (names, more) => format!("{} and {more} more", names.join(", ")),
    };
    let users = if people.len() == 1 {
        "1 user".to_owned()
    } else {
        format!("{} users", people.len())
    };
    Some(
        match people.iter().filter(|(_, loss)| !loss.is_certain).count() {
            0 => format!("{users} ({names})"),
            unsettled => {
                format!("up to {users} ({names}; the groups of {unsettled} of them are not known)")
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(names: &[&str], is_certain: bool) -> Vec<(Account, Loss)> {
        let loss = Loss {
            consequence: Consequence::Replace,
            is_certain,
        };
        names
            .iter()
            .map(|name| {
                (
                    Account {
                        name: (*name).to_owned(),
                        uid: 1000,
                    },
                    loss,
                )
            })
            .collect()
    }

    #[test]
    fn people_are_counted_and_five_of_them_named() {
        let all = ["alice", "bob", "carol", "dave", "erin", "frank", "grace"];
        for (count, shown) in [
            (1, "1 user (alice)"),
            (2, "2 users (alice and bob)"),
            (5, "5 users (alice, bob, carol, dave and erin)"),
            (7, "7 users (alice, bob, carol, dave, erin and 2 more)"),
        ] {
            let lost = lost(&all[..count], true);
            assert_eq!(people(&lost, Consequence::Replace).as_deref(), Some(shown));
            assert_eq!(people(&lost, Consequence::Refused), None);
        }
    }

    #[test]
    fn a_count_that_is_not_settled_says_so_and_names_those_it_is_certain_of_first() {
        let lost = [lost(&["alice\u{1b}"], false), lost(&["bob"], true)].concat();
        let shown = people(&lost, Consequence::Replace).unwrap();
        assert!(shown.starts_with("up to 2 users (bob and alice"), "{shown}");
        assert!(
            shown.ends_with("; the groups of 1 of them are not known)"),
            "{shown}"
        );
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
}
