//! Invitations: one-time codes with which users set up their first method in a login on a host of the fleet.
//!
//! A server cannot see whether the password was right on the host, so it takes more than that host's word. The code proves
//! the person; it is used up together with the first method that is set up, in whatever way, in the same transaction.

use twofa_core::{Account, Lock, Timestamp};

use crate::attempts::{self, Tally};
use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin, RefusalReason};
use crate::sql::invitations::{self, Invitation};
use crate::sql::users;

/// What a code is that should be an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitationOutcome {
    /// It is the user's invitation, and in force.
    Right,
    /// It is not, for this reason; that is counted as a wrong code, and logged.
    Wrong(RefusalReason),
    /// The account is locked: nothing was compared.
    Locked(Lock),
}

impl Store {
    /// Makes `account` an invitation, whose code has this SHA-256, in the place of an earlier one. Returns whether it did:
    /// who has a method needs none.
    pub fn invite(
        &self,
        account: &Account,
        digest: [u8; 32],
        until: Timestamp,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.change(origin, now, |tx| {
            let user = tx.find_or_add(account)?;
            if users::has_method(tx.db, user)? {
                return Ok(false);
            }
            let invitation = Invitation {
                digest,
                until,
                used_at: None,
            };
            invitations::save(tx.db, user, invitation, now)?;
            let until = until.unix();
            tx.record(Some(account), &Event::UserInvited { until })?;
            Ok(true)
        })
    }

    /// Whether `account` was ever invited.
    pub fn is_invited(&self, account: &Account) -> Result<bool, StoreError> {
        self.read(|view| {
            let Some(user) = view.find(account)? else {
                return Ok(false);
            };
            Ok(invitations::find(view.db, user.id)?.is_some())
        })
    }

    /// Compares a code that has this SHA-256 with the invitation of `account`.
    pub fn try_invitation(
        &self,
        account: &Account,
        digest: &[u8; 32],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<InvitationOutcome, StoreError> {
        self.change(origin, now, |tx| {
            let Some(record) = tx.find(account)? else {
                return Err(StoreError::ChangedMeanwhile);
            };
            let before = match attempts::attempts_before(tx, &record, Tally::Proved)? {
                Ok(before) => before,
                Err(lock) => return Ok(InvitationOutcome::Locked(lock)),
            };
            // The code has 80 bits: what the time of a comparison tells about a hash of it helps nobody.
            let found = invitations::find(tx.db, record.id)?;
            let why = match found.filter(|found| found.digest == *digest) {
                None => RefusalReason::WrongInvitation,
                Some(found) if found.used_at.is_some() => RefusalReason::UsedInvitation,
                Some(found) if found.until <= now => RefusalReason::ExpiredInvitation,
                Some(_) => return Ok(InvitationOutcome::Right),
            };
            let lockout = tx.rules()?.rulebook.machine().lockout;
            let counted = before.count(now, lockout);
            attempts::save_failure(tx, account, &record, Tally::Proved, counted)?;
            tx.record(Some(account), &Event::Refused { why })?;
            tx.answer_is_wrong(why)?;
            Ok(InvitationOutcome::Wrong(why))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, alice, app, bob, origin};

    const CODE: [u8; 32] = [7; 32];
    const DAY: u64 = 86_400;

    fn try_code(
        bench: &Bench,
        store: &Store,
        account: &Account,
        code: u8,
        after: u64,
    ) -> InvitationOutcome {
        let now = bench.now.after(after);
        let tried = store.try_invitation(account, &[code; 32], &origin(), now);
        tried.unwrap()
    }

    fn failures(store: &Store) -> u64 {
        store.snapshot(&alice()).unwrap().user.throttle.failures()
    }

    #[test]
    fn an_invitation_is_right_until_it_ends_or_a_first_method_is_set_up() {
        let bench = Bench::new();
        let store = bench.create();
        let (alice, origin, now) = (alice(), origin(), bench.now);
        let (until, wrong) = (now.after(DAY), InvitationOutcome::Wrong);
        assert!(!store.is_invited(&alice).unwrap());
        assert!(store.invite(&alice, CODE, until, &origin, now).unwrap());
        assert!(store.is_invited(&alice).unwrap() && !store.is_invited(&bob()).unwrap());

        // A right one is no failure, however often it is typed.
        for _ in 0..2 {
            let right = try_code(&bench, &store, &alice, 7, DAY - 1);
            assert_eq!(right, InvitationOutcome::Right);
        }
        assert_eq!(failures(&store), 0);
        let found = try_code(&bench, &store, &alice, 8, 0);
        assert_eq!(found, wrong(RefusalReason::WrongInvitation));
        let found = try_code(&bench, &store, &alice, 7, DAY);
        assert_eq!(found, wrong(RefusalReason::ExpiredInvitation));
        assert_eq!(failures(&store), 2);

        bench.enrol(&store, &alice, "phone");
        let found = try_code(&bench, &store, &alice, 7, 0);
        assert_eq!(found, wrong(RefusalReason::UsedInvitation));
        let again = store.invite(&alice, [9; 32], until, &origin, now);
        assert!(!again.unwrap(), "who has a method needs none");
        store.reset(&alice, &origin, now).unwrap();
        assert!(store.invite(&alice, [9; 32], until, &origin, now).unwrap());
        let found = try_code(&bench, &store, &alice, 7, 0);
        assert_eq!(found, wrong(RefusalReason::WrongInvitation));
        let found = try_code(&bench, &store, &alice, 9, 0);
        assert_eq!(found, InvitationOutcome::Right);
    }

    #[test]
    fn wrong_invitations_lock_as_wrong_codes_do() {
        let bench = Bench::new();
        let store = bench.create();
        let until = bench.now.after(DAY);
        let invited = store.invite(&alice(), CODE, until, &origin(), bench.now);
        assert!(invited.unwrap());
        for _ in 0..10 {
            let wrong = try_code(&bench, &store, &alice(), 8, 0);
            assert!(matches!(wrong, InvitationOutcome::Wrong(_)));
        }
        let right = try_code(&bench, &store, &alice(), 7, 0);
        assert!(matches!(right, InvitationOutcome::Locked(_)));
    }

    #[test]
    fn of_two_logins_with_one_invitation_one_sets_up_a_method() {
        let bench = Bench::new();
        let store = bench.create();
        let (alice, origin, now) = (alice(), origin(), bench.now);
        let until = now.after(DAY);
        store.invite(&alice, CODE, until, &origin, now).unwrap();
        let generation = Bench::generation(&store, &alice);
        for _ in 0..2 {
            let right = try_code(&bench, &store, &alice, 7, 0);
            assert_eq!(right, InvitationOutcome::Right);
        }
        let enrol = |label| store.enrol_app(&alice, generation, &app(label), &origin, now);
        enrol("phone").unwrap();
        let second = enrol("another");
        assert!(matches!(second, Err(StoreError::ChangedMeanwhile)));
    }
}
