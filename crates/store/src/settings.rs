//! What people set for themselves, or an administrator for them.

use twofa_core::user::Verify;
use twofa_core::{Account, Method, PerChannel, Timestamp};

use crate::addresses::NewAddress;
use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Attestation, Event, Origin, UserChange};
use crate::generation::Generation;
use crate::sql::users;

/// What somebody sets for themselves, or an administrator for them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// When logins ask the user; `None`: unchanged.
    pub verify: Option<Verify>,
    /// The addresses to change; `Some(None)` removes one. Unverified until a code sent there comes back.
    pub addresses: PerChannel<Option<Option<String>>>,
    /// The method a login begins with; `Some(None)`: no preference.
    pub preferred: Option<Option<Method>>,
    /// An administrator attests the addresses that are given here: they are verified without a code.
    pub attested: bool,
}

impl Store {
    /// Sets what `settings` holds in one transaction, and returns the events of what changed. Only while the methods of
    /// `account` are those it was allowed on: an address may be one of them, and so is doing without.
    pub fn set_user(
        &self,
        account: &Account,
        expected: Generation,
        settings: &Settings,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<Event>, StoreError> {
        if settings
            .preferred
            .flatten()
            .is_some_and(|method| !method.info().stands_alone)
        {
            return Err(StoreError::NotPreferable);
        }
        let addresses: Vec<_> = settings
            .addresses
            .iter()
            .filter_map(|(channel, address)| {
                Some(NewAddress {
                    channel,
                    address: address.as_ref()?.as_deref(),
                    attestation: settings.attested.then_some(Attestation::Administrator),
                })
            })
            .collect();
        self.change(origin, now, |tx| {
            tx.answer_changes(account)?;
            let user = tx.unchanged(account, expected)?;
            // A first method sets some of the rest; what is asked for has the last word.
            let mut events = tx.set_addresses(account, &addresses)?;
            let mut changes = Vec::new();
            if let Some(value) = settings.verify
                && users::set_verify(tx.db, user, value)?
            {
                changes.push(UserChange::Verify { value });
            }
            if let Some(method) = settings.preferred
                && users::set_preferred(tx.db, user, method)?
            {
                changes.push(UserChange::Preferred { method });
            }
            for change in changes.into_iter().map(Event::UserChanged) {
                tx.record(Some(account), &change)?;
                events.push(change);
            }
            tx.answer_has_changed()?;
            Ok(events)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, origin};
    use twofa_core::Channel;
    use twofa_core::user::Contact;

    fn contact(address: &str, verified: bool) -> Contact {
        Contact {
            address: address.into(),
            verified,
            by_owner: false,
        }
    }

    fn email(address: &str) -> Settings {
        Settings {
            addresses: PerChannel::default().with(Channel::Email, Some(Some(address.into()))),
            ..Settings::default()
        }
    }

    #[test]
    fn what_a_user_sets_is_kept_and_a_new_address_is_not_verified() {
        let bench = Bench::new();
        let store = bench.create();
        let settings = Settings {
            verify: Some(Verify::Always),
            addresses: PerChannel::default()
                .with(Channel::Email, Some(Some("alice@example.org".into())))
                .with(Channel::Sms, Some(Some("+4930123456".into()))),
            preferred: Some(Some(Method::Sms)),
            attested: false,
        };
        let set = |settings: &Settings| {
            store
                .set_user(
                    &alice(),
                    Bench::generation(&store, &alice()),
                    settings,
                    &origin(),
                    bench.now,
                )
                .unwrap()
        };
        assert_eq!(set(&settings).len(), 4);
        assert_eq!(set(&settings), []);
        let user = store.snapshot(&alice()).unwrap().user;
        assert_eq!(
            (user.verify, user.preferred),
            (Verify::Always, Some(Method::Sms))
        );
        assert_eq!(
            (
                user.contacts[Channel::Email].clone(),
                user.contacts[Channel::Sms].clone()
            ),
            (
                Some(contact("alice@example.org", false)),
                Some(contact("+4930123456", false))
            )
        );
        let none = Settings {
            addresses: PerChannel::default().with(Channel::Sms, Some(None)),
            preferred: Some(None),
            ..Settings::default()
        };
        assert_eq!(
            set(&none),
            [
                Event::UserChanged(UserChange::Address {
                    channel: Channel::Sms,
                    address: None
                }),
                Event::UserChanged(UserChange::Preferred { method: None })
            ]
        );
        let user = store.snapshot(&alice()).unwrap().user;
        assert_eq!(
            (user.contacts[Channel::Sms].clone(), user.preferred),
            (None, None)
        );
    }

    #[test]
    fn an_address_that_is_verified_stays_so_when_it_is_given_again() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), Channel::Email, "alice@example.org");
        let before = Bench::generation(&store, &alice());
        let changes = store
            .set_user(
                &alice(),
                Bench::generation(&store, &alice()),
                &email("alice@example.org"),
                &origin(),
                bench.now,
            )
            .unwrap();
        assert!(changes.is_empty() && Bench::generation(&store, &alice()) == before);
        assert_eq!(
            store.snapshot(&alice()).unwrap().user.contacts[Channel::Email],
            Some(contact("alice@example.org", true))
        );
    }

    #[test]
    fn a_new_address_over_a_verified_one_takes_the_method_away() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), Channel::Email, "alice@example.org");
        let before = Bench::generation(&store, &alice());
        store
            .set_user(
                &alice(),
                Bench::generation(&store, &alice()),
                &email("new@example.org"),
                &origin(),
                bench.now,
            )
            .unwrap();
        let user = store.snapshot(&alice()).unwrap().user;
        assert_eq!(
            (user.contacts[Channel::Email].clone(), user.preferred),
            (Some(contact("new@example.org", false)), None)
        );
        assert_ne!(Bench::generation(&store, &alice()), before);
        assert_eq!(
            bench.take_notices(&store),
            [(
                "alice@example.org".to_owned(),
                Event::AddressRemoved {
                    channel: Channel::Email,
                    address: "alice@example.org".into(),
                    instead: Some("new@example.org".into())
                }
            )]
        );
        // One that is no method changes none.
        let before = Bench::generation(&store, &alice());
        store
            .set_user(
                &alice(),
                Bench::generation(&store, &alice()),
                &email("newer@example.org"),
                &origin(),
                bench.now,
            )
            .unwrap();
        assert_eq!(Bench::generation(&store, &alice()), before);
    }

    #[test]
    fn an_address_that_an_administrator_attests_is_a_method_at_once() {
        let bench = Bench::new();
        let store = bench.create();
        store
            .set_user(
                &alice(),
                Bench::generation(&store, &alice()),
                &email("alice@example.org"),
                &origin(),
                bench.now,
            )
            .unwrap();
        let before = Bench::generation(&store, &alice());
        let attested = Settings {
            attested: true,
            ..email("alice@example.org")
        };
        let changes = store
            .set_user(
                &alice(),
                Bench::generation(&store, &alice()),
                &attested,
                &origin(),
                bench.now,
            )
            .unwrap();
        assert_eq!(
            changes,
            [Event::AddressEnrolled {
                channel: Channel::Email,
                address: "alice@example.org".into(),
                attestation: Attestation::Administrator,
                replaced: None
            }]
        );
        let user = store.snapshot(&alice()).unwrap().user;
        assert_eq!(
            (user.contacts[Channel::Email].clone(), user.preferred),
            (
                Some(contact("alice@example.org", true)),
                Some(Method::Email)
            )
        );
        assert_ne!(Bench::generation(&store, &alice()), before);
        assert!(
            store
                .set_user(
                    &alice(),
                    Bench::generation(&store, &alice()),
                    &attested,
                    &origin(),
                    bench.now
                )
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn settings_that_are_given_with_a_first_method_override_its_defaults() {
        let bench = Bench::new();
        let store = bench.create();
        let settings = Settings {
            verify: Some(Verify::Never),
            preferred: Some(Some(Method::App)),
            attested: true,
            ..email("alice@example.org")
        };
        store
            .set_user(
                &alice(),
                Bench::generation(&store, &alice()),
                &settings,
                &origin(),
                bench.now,
            )
            .unwrap();
        let user = store.snapshot(&alice()).unwrap().user;
        assert_eq!(
            (user.verify, user.preferred),
            (Verify::Never, Some(Method::App))
        );
    }

    #[test]
    fn a_login_cannot_begin_with_backup_codes() {
        let bench = Bench::new();
        let store = bench.create();
        let backup = Settings {
            preferred: Some(Some(Method::Backup)),
            ..email("alice@example.org")
        };
        let refused = store.set_user(
            &alice(),
            Bench::generation(&store, &alice()),
            &backup,
            &origin(),
            bench.now,
        );
        assert!(
            matches!(refused, Err(StoreError::NotPreferable)) && !store.knows(&alice()).unwrap()
        );
    }

    #[test]
    fn what_was_allowed_on_other_methods_is_not_done() {
        let bench = Bench::new();
        let store = bench.create();
        let before = Bench::generation(&store, &alice());
        bench.verify(&store, &alice(), Channel::Email, "alice@example.org");
        let settings = [
            Settings {
                addresses: PerChannel::default().with(Channel::Email, Some(None)),
                ..Settings::default()
            },
            Settings {
                verify: Some(Verify::Never),
                ..Settings::default()
            },
        ];
        for settings in settings {
            let refused = store.set_user(&alice(), before, &settings, &origin(), bench.now);
            assert!(
                matches!(refused, Err(StoreError::ChangedMeanwhile)),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn another_address_in_the_place_of_the_last_method_leaves_a_second_factor_required() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), Channel::Email, "alice@example.org");
        let set = |settings: &Settings| {
            store
                .set_user(
                    &alice(),
                    Bench::generation(&store, &alice()),
                    settings,
                    &origin(),
                    bench.now,
                )
                .unwrap()
        };
        let changes = set(&email("new@example.org"));
        assert_eq!(changes[1], Event::Required);
        assert!(store.snapshot(&alice()).unwrap().user.required);
    }
}
