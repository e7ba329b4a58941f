//! Addresses that codes are sent to. A verified one is a method: whoever reads what is sent there can log in.
//!
//! [`Store::apply`] is the one way in which an address changes. It records what happens before it happens: the notices of it
//! ([`crate::notices`]) go to the addresses that were verified until then, never to the one that is just coming in.

use rusqlite::Transaction;
use twofa_core::{Account, Channel, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::events::{self, Event, EventKind, Origin};
use crate::methods::{ask_from_now_on, delete_backup_codes, generation, has_method};
use crate::sends;
use crate::users::{Generation, StoredUser, find, next_generation, unchanged};

/// The channel that is stored as `name`.
pub(crate) fn stored_channel(name: &str) -> Result<Channel, StoreError> {
    name.parse()
        .map_err(|_| StoreError::Damaged("a message in it goes by an unknown channel".to_owned()))
}

/// The column of `user` that holds the address codes are sent to by `channel`.
const fn column(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "email",
        Channel::Sms => "phone",
    }
}

/// An address that is to take the place of another.
#[derive(Debug)]
pub(crate) struct NewAddress<'a> {
    pub channel: Channel,
    /// `None`: there is to be none.
    pub address: Option<&'a str>,
    pub standing: Standing,
}

/// Why an address is believed to be the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is not.
    Unverified,
    /// An administrator says so.
    Vouched,
    /// A code that was sent there came back.
    Confirmed,
}

impl Store {
    /// Enrols `address`: a code that was sent there came back. It is verified from this commit on, takes the place of
    /// whatever address of its kind there was, and where it is the first method, logins begin with it.
    pub fn enrol_address(
        &self,
        account: &Account,
        expected: Generation,
        channel: Channel,
        address: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Generation, StoreError> {
        self.write(|db| {
            unchanged(db, account, expected)?;
            let new = NewAddress {
                channel,
                address: Some(address),
                standing: Standing::Confirmed,
            };
            self.apply(db, account, &[new], origin, now)?;
            sends::was_typed(db, account)?;
            generation(db, account)
        })
    }

    /// Removes the address, and with the last method the backup codes, which cannot stand alone. Answers whether there
    /// was one.
    pub fn remove_address(
        &self,
        account: &Account,
        expected: Generation,
        channel: Channel,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| {
            unchanged(db, account, expected)?;
            let none = NewAddress {
                channel,
                address: None,
                standing: Standing::Unverified,
            };
            Ok(!self.apply(db, account, &[none], origin, now)?.is_empty())
        })
    }

    /// Puts the addresses `new` in the place of those of `account`, which has a record, and says in words what that
    /// changed. All that hangs on it follows: the generation, what is preferred, the backup codes.
    pub(crate) fn apply(
        &self,
        db: &Transaction<'_>,
        account: &Account,
        new: &[NewAddress<'_>],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let Some(stored) = find(db, account)? else {
            return Err(StoreError::ChangedMeanwhile);
        };
        let by_owner = origin.actor == account.uid && account.uid != 0;
        let changes: Vec<_> = new
            .iter()
            .filter_map(|new| Change::of(&stored, new, by_owner))
            .collect();
        for change in &changes {
            if change.verified {
                self.refuse_taken(db, stored.id, change)?;
            }
            let event = Event {
                kind: change.kind(),
                user: Some(account),
                detail: Some(change.detail(&stored)),
            };
            events::record(db, &event, origin, now)?;
        }
        let mut has_one = has_method(db, stored.id)?;
        for change in &changes {
            change.carry_out(db, stored.id, has_one, by_owner)?;
            has_one |= change.verified;
        }
        let mut words: Vec<_> = changes.iter().map(Change::words).collect();
        if changes.iter().any(Change::is_of_a_method) {
            next_generation(db, stored.id)?;
            if !has_method(db, stored.id)? {
                delete_backup_codes(db, stored.id, account, origin, now)?;
                // Whoever gets another address is not to be without a second factor until it is verified.
                if changes
                    .iter()
                    .any(|change| change.was_verified && change.address.is_some())
                {
                    db.execute(
                        "UPDATE user SET required = 1, verify = 'new-device' WHERE id = ?1",
                        [stored.id],
                    )?;
                    let event = Event {
                        kind: EventKind::Required,
                        user: Some(account),
                        detail: None,
                    };
                    events::record(db, &event, origin, now)?;
                    words.push("a second factor must be set up at the next login".to_owned());
                }
            }
        }
        Ok(words)
    }

    /// Refuses an address that somebody else has verified, where the policy wants them unique.
    fn refuse_taken(
        &self,
        db: &Transaction<'_>,
        user: i64,
        change: &Change<'_>,
    ) -> Result<(), StoreError> {
        if !self.rules(db)?.rulebook.machine().unique_addresses {
            return Ok(());
        }
        // The conditions are those of the indexes, word by word.
        let sql = match change.channel {
            Channel::Email => {
                "SELECT EXISTS (
                     SELECT 1 FROM user WHERE email = ?1 COLLATE NOCASE AND email_verified = 1 AND id <> ?2
                 )"
            }
            Channel::Sms => {
                "SELECT EXISTS (SELECT 1 FROM user WHERE phone = ?1 AND phone_verified = 1 AND id <> ?2)"
            }
        };
        if db
            .prepare_cached(sql)?
            .query_one((change.address, user), |row| row.get(0))?
        {
            return Err(StoreError::AddressTaken(change.channel));
        }
        Ok(())
    }
}

/// What becomes of one address.
struct Change<'a> {
    channel: Channel,
    address: Option<&'a str>,
    standing: Standing,
    /// It is a method from now on.
    verified: bool,
    /// There was a method, which is gone or gets another address.
    was_verified: bool,
}

impl<'a> Change<'a> {
    /// What `new` changes, if it does.
    fn of(stored: &StoredUser, new: &NewAddress<'a>, by_owner: bool) -> Option<Self> {
        let NewAddress {
            channel,
            address,
            standing,
        } = *new;
        let old = stored.contacts[channel].as_ref();
        let is_same = old.map(|old| old.address.as_str()) == address;
        let was_verified = stored.verified(channel).is_some();
        let verified = address.is_some() && standing != Standing::Unverified;
        // Given by an administrator, it proves the user from now on.
        let is_raised = !by_owner && old.is_some_and(|old| old.by_owner);
        // An address that is verified stays so when it is given again.
        let is_changed = !is_same || verified && !was_verified || is_raised;
        is_changed.then_some(Self {
            channel,
            address,
            standing,
            verified,
            was_verified,
        })
    }

    const fn is_of_a_method(&self) -> bool {
        self.verified || self.was_verified
    }

    const fn kind(&self) -> EventKind {
        match (self.verified, self.was_verified, self.channel) {
            (true, _, Channel::Email) => EventKind::EmailEnrolled,
            (true, _, Channel::Sms) => EventKind::SmsEnrolled,
            (false, true, Channel::Email) => EventKind::EmailRemoved,
            (false, true, Channel::Sms) => EventKind::SmsRemoved,
            (false, false, _) => EventKind::UserChanged,
        }
    }

    fn words(&self) -> String {
        let what = column(self.channel);
        match (self.address, self.standing) {
            (None, _) => format!("{what} is removed"),
            (Some(address), Standing::Unverified) => {
                format!("{what} is {address}, not verified yet")
            }
            (Some(address), Standing::Vouched) => format!("{what} is {address}, vouched for"),
            (Some(address), Standing::Confirmed) => format!("{what} is {address}, verified"),
        }
    }

    /// For the log: the words, and which address it was that is a method no longer.
    fn detail(&self, stored: &StoredUser) -> String {
        let words = self.words();
        match stored.verified(self.channel) {
            Some(old) if Some(old) != self.address => format!("{words}; it was {old}"),
            _ => words,
        }
    }

    /// `has_one`: there is a method already. `by_owner`: no administrator does it.
    fn carry_out(
        &self,
        db: &Transaction<'_>,
        user: i64,
        has_one: bool,
        by_owner: bool,
    ) -> Result<(), StoreError> {
        let column = column(self.channel);
        let sql = format!(
            "UPDATE user SET {column} = ?2, {column}_verified = ?3, {column}_by_owner = ?4 WHERE id = ?1"
        );
        let is_owners_word = by_owner && self.address.is_some() && !self.verified;
        db.prepare_cached(&sql)?
            .execute((user, self.address, self.verified, is_owners_word))?;
        let method = self.channel.name();
        if self.verified && !has_one {
            ask_from_now_on(db, user)?;
            db.execute(
                "UPDATE user SET preferred = ?2 WHERE id = ?1",
                (user, method),
            )?;
        } else if !self.verified && self.was_verified {
            db.execute(
                "UPDATE user SET preferred = NULL WHERE id = ?1 AND preferred = ?2",
                (user, method),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, bob, origin};
    use crate::{EventFilter, Settings};
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

    fn kinds(store: &Store) -> Vec<String> {
        let mut kinds = Vec::new();
        let each = |event: crate::LoggedEvent| {
            kinds.push(format!(
                "{}: {}",
                event.kind,
                event.detail.unwrap_or_default()
            ));
            true
        };
        store.events(&EventFilter::default(), each).unwrap();
        kinds
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
        let user = store.situation(&alice()).unwrap().user;
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
            kinds(&store)[1..],
            [
                "sms-enrolled: phone is +4930123456, verified",
                "email-enrolled: email is alice@example.org, verified"
            ]
        );
    }

    #[test]
    fn an_address_beside_an_app_changes_nothing_about_what_is_preferred() {
        let bench = Bench::new();
        let store = bench.create();
        bench.enrol(&store, &alice(), "phone");
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        assert_eq!(store.situation(&alice()).unwrap().user.preferred, None);
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
        assert_eq!(
            store.situation(&alice()).unwrap().user.verify,
            Verify::Never
        );
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
            store.situation(&alice()).unwrap().user.contacts[Channel::Email],
            Some(contact("alice@example.org", true))
        );
    }

    #[test]
    fn of_two_that_enrol_at_once_one_does() {
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
    fn with_the_last_method_the_backup_codes_go_and_not_before() {
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
            store.situation(&alice()).unwrap().user.backup_codes_left(),
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
        let user = store.situation(&alice()).unwrap().user;
        assert_eq!(
            (user.contacts[Channel::Email].clone(), user.backup),
            (None, None)
        );
    }

    #[test]
    fn a_removed_method_is_preferred_no_more() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        bench.verify(&store, &alice(), PHONE, NUMBER);
        let before = Bench::generation(&store, &alice());
        store
            .remove_address(&alice(), before, EMAIL, &origin(), bench.now)
            .unwrap();
        assert_eq!(store.situation(&alice()).unwrap().user.preferred, None);
        assert_ne!(Bench::generation(&store, &alice()), before);
        assert_eq!(
            kinds(&store).pop().unwrap(),
            "email-removed: email is removed; it was alice@example.org"
        );
    }

    #[test]
    fn a_reset_takes_verified_addresses_for_methods_and_leaves_them_on_file() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        let before = Bench::generation(&store, &alice());
        assert!(store.reset(&alice(), &origin(), bench.now).unwrap());
        let user = store.situation(&alice()).unwrap().user;
        assert_eq!(
            (user.contacts[Channel::Email].clone(), user.preferred),
            (Some(contact("alice@example.org", false)), None)
        );
        assert!(
            user.required,
            "whoever had a second factor must set one up again"
        );
        assert_ne!(Bench::generation(&store, &alice()), before);
        assert!(!store.reset(&alice(), &origin(), bench.now).unwrap());
    }

    #[test]
    fn an_administrators_word_for_an_address_counts_where_its_owner_gave_it_before() {
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
                store.situation(&alice()).unwrap().user.contacts[Channel::Email]
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
    fn a_namesake_with_an_address_alone_is_one() {
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
        assert!(!store.situation(&stranger).unwrap().has_namesake);
        bench.verify(&store, &alice(), EMAIL, "alice@example.org");
        assert!(store.situation(&stranger).unwrap().has_namesake);
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
            "that e-mail address is another user's already"
        );
        let error = enrol(PHONE, NUMBER).unwrap_err();
        assert_eq!(
            error.to_string(),
            "that phone number is another user's already"
        );
        assert!(!store.knows(&bob()).unwrap(), "nothing of it happened");
        let vouched = Settings {
            addresses: PerChannel::default()
                .with(Channel::Email, Some(Some("alice@example.org".into()))),
            verify: Some(Verify::Always),
            vouched: true,
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
            set(&vouched),
            Err(StoreError::AddressTaken(EMAIL))
        ));
        // What is not verified is nobody's.
        assert_eq!(
            set(&Settings {
                vouched: false,
                ..vouched
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
    fn where_they_are_not_two_users_share_one() {
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
    fn whose_an_address_is_is_looked_up_and_not_searched_for() {
        let bench = Bench::new();
        let store = bench.create();
        let plan = |condition: &str| {
            let sql =
                format!("EXPLAIN QUERY PLAN SELECT 1 FROM user WHERE {condition} AND id <> 1");
            store
                .read(|db| Ok(db.query_one(&sql, [], |row| row.get::<_, String>(3))?))
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
