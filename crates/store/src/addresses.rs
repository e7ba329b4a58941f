//! Addresses that codes are sent to. A verified one is a method: who reads what is sent there can log in.
//!
//! [`Tx::set_addresses`] is the one way in which an address changes. It records what happens before it happens: the notices
//! of it ([`crate::notices`]) go to the addresses that were verified until then, never to the new one.

use twofa_core::{Account, Channel, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Attestation, Event, Origin, UserChange};
use crate::generation::Generation;
use crate::sql::sends;
use crate::sql::users::{self, UserRecord};
use crate::tx::Tx;

/// An address that is to take the place of another.
#[derive(Debug)]
pub(crate) struct NewAddress<'a> {
    pub channel: Channel,
    /// `None`: the address is removed.
    pub address: Option<&'a str>,
    /// Why it counts as the user's; `None`: it does not, until a code that is sent there comes back.
    pub attestation: Option<Attestation>,
}

impl Store {
    /// Enrols `address`: a code that was sent there came back. It is verified from this commit on, takes the place of
    /// whatever address of its channel there was, and where it is the first method, logins begin with it.
    pub fn enrol_address(
        &self,
        account: &Account,
        expected: Generation,
        channel: Channel,
        address: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Generation, StoreError> {
        self.change(origin, now, |tx| {
            tx.answer_enrols(account)?;
            tx.unchanged(account, expected)?;
            let new = NewAddress {
                channel,
                address: Some(address),
                attestation: Some(Attestation::Confirmed),
            };
            tx.set_addresses(account, &[new])?;
            sends::clear_places(tx.db, account)?;
            tx.answer_has_enrolled(tx.generation(account)?)
        })
    }

    /// Removes the address, and with the last method the backup codes. Returns whether there was one.
    pub fn remove_address(
        &self,
        account: &Account,
        expected: Generation,
        channel: Channel,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            tx.answer_changes(account)?;
            tx.unchanged(account, expected)?;
            let none = NewAddress {
                channel,
                address: None,
                attestation: None,
            };
            let is_removed = !tx.set_addresses(account, &[none])?.is_empty();
            tx.answer_has_changed()?;
            Ok(is_removed)
        })
    }
}

impl Tx<'_> {
    /// Puts the addresses `new` in the place of those of `account`, which has a record, and returns the events of it. All
    /// that hangs on it follows: the generation, what is preferred, the backup codes.
    pub(crate) fn set_addresses(
        &self,
        account: &Account,
        new: &[NewAddress<'_>],
    ) -> Result<Vec<Event>, StoreError> {
        let Some(user) = self.find(account)? else {
            return Err(StoreError::ChangedMeanwhile);
        };
        let by_owner = self.origin.actor == account.uid && account.uid != 0;
        let changes: Vec<_> = new
            .iter()
            .filter_map(|new| Change::find(&user, new, by_owner))
            .collect();
        let mut events = Vec::new();
        for change in &changes {
            self.refuse_taken(&user, change)?;
            let event = change.event();
            self.record(Some(account), &event)?;
            events.push(event);
        }
        let mut has_one = users::has_method(self.db, user.id)?;
        for change in &changes {
            change.carry_out(self, &user, has_one, by_owner)?;
            has_one |= change.is_verified();
        }
        if !changes.iter().any(Change::is_of_a_method) {
            return Ok(events);
        }
        users::raise_generation(self.db, user.id)?;
        let is_none_left = self.remove_what_cannot_stand_alone(account, user.id)?;
        // Who gets another address is not to be without a second factor until it is verified.
        if is_none_left && changes.iter().any(Change::replaces_a_method) {
            self.require_another(user.id)?;
            self.record(Some(account), &Event::Required)?;
            events.push(Event::Required);
        }
        Ok(events)
    }

    /// Refuses an address that somebody else has verified, where the policy wants them unique.
    fn refuse_taken(&self, user: &UserRecord, change: &Change<'_>) -> Result<(), StoreError> {
        let Some(address) = change.address.filter(|_| change.is_verified()) else {
            return Ok(());
        };
        if self.rules()?.rulebook.machine().unique_addresses
            && users::is_verified_by_another(self.db, user.id, change.channel, address)?
        {
            return Err(StoreError::AddressTaken(change.channel));
        }
        Ok(())
    }
}

/// What happens to one address.
struct Change<'a> {
    channel: Channel,
    address: Option<&'a str>,
    /// It is a method from now on.
    attestation: Option<Attestation>,
    /// The address that was a method, and is gone or gets another address.
    verified: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// What `new` changes, if it does.
    fn find(user: &'a UserRecord, new: &NewAddress<'a>, by_owner: bool) -> Option<Self> {
        let NewAddress {
            channel,
            address,
            attestation,
        } = *new;
        let old = user.contacts[channel].as_ref();
        let change = Self {
            channel,
            address,
            attestation: attestation.filter(|_| address.is_some()),
            verified: user.verified(channel),
        };
        let is_same = old.map(|old| old.address.as_str()) == address;
        // Given by an administrator, it proves the user from now on.
        let is_raised = !by_owner && old.is_some_and(|old| old.by_owner);
        // An address that is verified stays so when it is given again.
        let is_new_method = change.is_verified() && change.verified.is_none();
        (!is_same || is_new_method || is_raised).then_some(change)
    }

    const fn is_verified(&self) -> bool {
        self.attestation.is_some()
    }

    const fn is_of_a_method(&self) -> bool {
        self.is_verified() || self.verified.is_some()
    }

    const fn replaces_a_method(&self) -> bool {
        self.verified.is_some() && self.address.is_some()
    }

    fn event(&self) -> Event {
        let channel = self.channel;
        let address = self.address.map(ToOwned::to_owned);
        match (self.attestation, address, self.verified) {
            (Some(attestation), Some(address), old) => Event::AddressEnrolled {
                channel,
                replaced: old.filter(|old| *old != address).map(ToOwned::to_owned),
                address,
                attestation,
            },
            (_, instead, Some(old)) => Event::AddressRemoved {
                channel,
                address: old.to_owned(),
                instead,
            },
            (_, address, None) => Event::UserChanged(UserChange::Address { channel, address }),
        }
    }

    /// `has_one`: there is a method already. `by_owner`: no administrator does it.
    fn carry_out(
        &self,
        tx: &Tx<'_>,
        user: &UserRecord,
        has_one: bool,
        by_owner: bool,
    ) -> Result<(), StoreError> {
        let is_verified = self.is_verified();
        let is_owners_word = by_owner && self.address.is_some() && !is_verified;
        users::set_contact(
            tx.db,
            user.id,
            self.channel,
            self.address,
            is_verified,
            is_owners_word,
        )?;
        let method = self.channel.method();
        if is_verified && !has_one {
            tx.ask_from_now_on(user.id)?;
            users::set_preferred(tx.db, user.id, Some(method))?;
        } else if !is_verified && self.verified.is_some() && user.preferred == Some(method) {
            users::set_preferred(tx.db, user.id, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::testing::{Bench, alice, bob, origin};
    use twofa_core::user::{Contact, Verify};
    use twofa_core::{BackupCode, BackupSet};
    use twofa_core::{Method, PerChannel};

    const EMAIL: Channel = Channel::Email;
    const PHONE: Channel = Channel::Sms;
    const NUMBER: &str = "+4930123456";

    fn contact(address: &str, verified: bool) -> Contact {
        Contact {
            address: address.into(),
            verified,
            by_owner: false,
        }
    }

    fn enrolled(channel: Channel, address: &str) -> Event {
        Event::AddressEnrolled {
            channel,
            address: address.into(),
            attestation: Attestation::Confirmed,
            replaced: None,
        }
    }

    #[test]
    fn an_address_whose_code_came_back_is_a_method_and_the_first_one_is_preferred() {
        let bench = Bench::new();
        let store = bench.create();
        let never = Settings {
            verify: Some(Verify::Never),
            ..Settings::default()
        };
        store
            .set_user(
                &alice(),
                Bench::generation(&store, &alice()),
                &never,
                &origin(),
                bench.now,
            )
            .unwrap();
        let before = Bench::generation(&store, &alice());
        bench.verify(&store, &alice(), PHONE, NUMBER);
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        let user = store.snapshot(&alice()).unwrap().user;
        assert_eq!(
            (&user.contacts[Channel::Sms], &user.contacts[Channel::Email]),
            (
                &Some(contact(NUMBER, true)),
                &Some(contact("alice@example.org", true))
            )
        );
        assert_eq!(
            (user.preferred, user.verify),
            (Some(Method::Sms), Verify::NewDevice)
        );
        assert_ne!(Bench::generation(&store, &alice()), before);
        assert_eq!(
            Bench::log(&store)[1..],
            [
                enrolled(PHONE, NUMBER),
                enrolled(EMAIL, "alice@example.org")
            ]
        );
    }

    #[test]
    fn an_address_beside_an_app_changes_nothing_about_what_is_preferred() {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        assert_eq!(store.snapshot(&alice()).unwrap().user.preferred, None);
    }

    #[test]
    fn an_app_beside_an_address_is_no_first_method() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        let never = Settings {
            verify: Some(Verify::Never),
            ..Settings::default()
        };
        store
            .set_user(
                &alice(),
                Bench::generation(&store, &alice()),
                &never,
                &origin(),
                bench.now,
            )
            .unwrap();
        bench.enrol(&store, &alice(), "phone");
        assert_eq!(store.snapshot(&alice()).unwrap().user.verify, Verify::Never);
    }

    #[test]
    fn an_address_that_was_allowed_before_another_change_is_not_enrolled_after_it() {
        let bench = Bench::new();
        let store = bench.create();
        let before = Bench::generation(&store, &alice());
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        let late = store.enrol_address(
            &alice(),
            before,
            EMAIL,
            "evil@example.org",
            &origin(),
            bench.now,
        );
        assert!(matches!(late, Err(StoreError::ChangedMeanwhile)));
        let late = store.remove_address(&alice(), before, EMAIL, &origin(), bench.now);
        assert!(matches!(late, Err(StoreError::ChangedMeanwhile)));
        assert_eq!(
            store.snapshot(&alice()).unwrap().user.contacts[Channel::Email],
            Some(contact("alice@example.org", true))
        );
    }

    #[test]
    fn of_two_users_who_enrol_at_once_only_one_succeeds() {
        let bench = Bench::new();
        let store = bench.create();
        let before = Bench::generation(&store, &alice());
        let enrol =
            |address| store.enrol_address(&alice(), before, EMAIL, address, &origin(), bench.now);
        let done: usize = std::thread::scope(|scope| {
            let racers = ["a@example.org", "b@example.org"]
                .map(|address| scope.spawn(move || usize::from(enrol(address).is_ok())));
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        assert_eq!(done, 1);
    }

    #[test]
    fn backup_codes_are_removed_with_the_last_method_and_not_before() {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        let generation = || Bench::generation(&store, &alice());
        let set = BackupSet::hash(&[BackupCode::from_random([1; 10])], [3; 16]).unwrap();
        store
            .replace_backup_codes(&alice(), generation(), &set, &origin(), bench.now)
            .unwrap();
        assert!(
            store
                .remove_app(&alice(), generation(), "phone", &origin(), bench.now)
                .unwrap()
        );
        assert_eq!(
            store.snapshot(&alice()).unwrap().user.backup_codes_left(),
            1
        );
        assert!(
            store
                .remove_address(&alice(), generation(), EMAIL, &origin(), bench.now)
                .unwrap()
        );
        assert!(
            !store
                .remove_address(&alice(), generation(), EMAIL, &origin(), bench.now)
                .unwrap()
        );
        let user = store.snapshot(&alice()).unwrap().user;
        assert_eq!(
            (user.contacts[Channel::Email].clone(), user.backup),
            (None, None)
        );
    }

    #[test]
    fn a_removed_method_is_no_longer_preferred() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        bench.verify(&store, &alice(), PHONE, NUMBER);
        let before = Bench::generation(&store, &alice());
        store
            .remove_address(&alice(), before, EMAIL, &origin(), bench.now)
            .unwrap();
        assert_eq!(store.snapshot(&alice()).unwrap().user.preferred, None);
        assert_ne!(Bench::generation(&store, &alice()), before);
        assert_eq!(
            Bench::log(&store).pop(),
            Some(Event::AddressRemoved {
                channel: EMAIL,
                address: "alice@example.org".into(),
                instead: None,
            })
        );
    }

    #[test]
    fn a_reset_takes_verified_addresses_for_methods_and_leaves_them_on_file() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        let before = Bench::generation(&store, &alice());
        assert!(store.reset(&alice(), &origin(), bench.now).unwrap());
        let user = store.snapshot(&alice()).unwrap().user;
        assert_eq!(
            (user.contacts[Channel::Email].clone(), user.preferred),
            (Some(contact("alice@example.org", false)), None)
        );
        assert!(
            user.required,
            "a user who had a second factor must set one up again"
        );
        assert_ne!(Bench::generation(&store, &alice()), before);
        assert!(!store.reset(&alice(), &origin(), bench.now).unwrap());
    }

    #[test]
    fn an_address_that_an_administrator_repeats_no_longer_counts_as_set_by_its_owner() {
        let bench = Bench::new();
        let store = bench.create();
        let given = Settings {
            addresses: PerChannel::default()
                .with(Channel::Email, Some(Some("alice@example.org".into()))),
            ..Settings::default()
        };
        let owner = Origin {
            actor: alice().uid,
            ..origin()
        };
        let give = |origin: &Origin| {
            let generation = Bench::generation(&store, &alice());
            let changes = store
                .set_user(&alice(), generation, &given, origin, bench.now)
                .unwrap();
            (
                changes.len(),
                store.snapshot(&alice()).unwrap().user.contacts[Channel::Email]
                    .as_ref()
                    .unwrap()
                    .by_owner,
            )
        };
        assert_eq!(give(&owner), (1, true));
        assert_eq!(give(&origin()), (1, false));
        assert_eq!(give(&owner), (0, false));
        assert_eq!(give(&origin()), (0, false));
    }

    #[test]
    fn a_mismatch_needs_a_method_or_a_requirement() {
        let bench = Bench::new();
        let store = bench.create();
        let stranger = Account {
            uid: 2000,
            ..alice()
        };
        let unverified = Settings {
            addresses: PerChannel::default()
                .with(Channel::Email, Some(Some("alice@example.org".into()))),
            ..Settings::default()
        };
        store
            .set_user(
                &alice(),
                Bench::generation(&store, &alice()),
                &unverified,
                &origin(),
                bench.now,
            )
            .unwrap();
        assert!(
            store
                .snapshot(&stranger)
                .unwrap()
                .identity_mismatch
                .is_none()
        );
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        assert!(
            store
                .snapshot(&stranger)
                .unwrap()
                .identity_mismatch
                .is_some()
        );
    }

    #[test]
    fn where_addresses_are_unique_nobody_gets_another_users() {
        let bench = Bench::new();
        let store = bench.create();
        store
            .change_policy([("addresses.unique", "on")], &origin(), bench.now)
            .unwrap();
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        bench.verify(&store, &alice(), PHONE, NUMBER);
        let enrol = |channel, address| {
            let generation = Bench::generation(&store, &bob());
            store.enrol_address(&bob(), generation, channel, address, &origin(), bench.now)
        };
        let error = enrol(EMAIL, "Alice@Example.org").unwrap_err();
        assert_eq!(
            error.to_string(),
            "that e-mail address already belongs to another user"
        );
        let error = enrol(PHONE, NUMBER).unwrap_err();
        assert_eq!(
            error.to_string(),
            "that phone number already belongs to another user"
        );
        assert!(!store.knows(&bob()).unwrap(), "nothing of it happened");
        let attested = Settings {
            addresses: PerChannel::default()
                .with(Channel::Email, Some(Some("alice@example.org".into()))),
            verify: Some(Verify::Always),
            attested: true,
            ..Settings::default()
        };
        let set = |settings: &Settings| {
            store.set_user(
                &bob(),
                Bench::generation(&store, &bob()),
                settings,
                &origin(),
                bench.now,
            )
        };
        assert!(matches!(
            set(&attested),
            Err(StoreError::AddressTaken(EMAIL))
        ));
        // What is not verified is nobody's.
        assert_eq!(
            set(&Settings {
                attested: false,
                ..attested
            })
            .unwrap()
            .len(),
            2
        );

        let generation = Bench::generation(&store, &alice());
        store
            .remove_address(&alice(), generation, EMAIL, &origin(), bench.now)
            .unwrap();
        enrol(EMAIL, "alice@example.org").unwrap();
    }

    #[test]
    fn where_addresses_need_not_be_unique_two_users_can_share_one() {
        let bench = Bench::new();
        let store = bench.create();
        for account in [alice(), bob()] {
            bench.verify(&store, &account, EMAIL, "both@example.org");
        }
    }

    #[test]
    fn of_two_users_who_enrol_one_address_at_once_one_does() {
        let bench = Bench::new();
        let store = bench.create();
        store
            .change_policy([("addresses.unique", "on")], &origin(), bench.now)
            .unwrap();
        let enrol = |account: &Account| {
            let generation = Bench::generation(&store, account);
            store
                .enrol_address(
                    account,
                    generation,
                    EMAIL,
                    "one@example.org",
                    &origin(),
                    bench.now,
                )
                .is_ok()
        };
        let done: usize = std::thread::scope(|scope| {
            let racers =
                [alice(), bob()].map(|account| scope.spawn(move || usize::from(enrol(&account))));
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        assert_eq!(done, 1);
    }

    #[test]
    fn the_owner_of_an_address_is_looked_up_and_not_searched_for() {
        let bench = Bench::on_file();
        let store = bench.create();
        let plan = |condition: &str| {
            let sql =
                format!("EXPLAIN QUERY PLAN SELECT 1 FROM user WHERE {condition} AND id <> 1");
            store
                .read(|view| view.db.query_one(&sql, &[], |row| row.at::<String>(3)))
                .unwrap()
        };
        let email = plan("email = 'a' COLLATE NOCASE AND email_verified = 1");
        let phone = plan("phone = '1' AND phone_verified = 1");
        assert!(
            email.contains("user_of_email") && phone.contains("user_of_phone"),
            "{email}\n{phone}"
        );
    }
}
