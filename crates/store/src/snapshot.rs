//! What is known of one user, from one moment.

use std::sync::Arc;

use twofa_core::{Account, Timestamp, User};

use crate::app_sealing;
use crate::database::Store;
use crate::error::StoreError;
use crate::event::Missed;
use crate::generation::Generation;
use crate::rules::Rules;
use crate::sql::users::UserRecord;
use crate::sql::{Ahead, apps, backup_codes, events, security_keys, users};
use crate::tx::View;

/// All that a decision about a user needs, from one moment.
#[derive(Debug, Clone)]
pub struct UserSnapshot {
    /// Policy, classes and exemptions in force.
    pub rules: Arc<Rules>,
    /// What is known of the user; nothing, for somebody never seen.
    pub user: User,
    /// What was refused since the last time a code was right.
    pub missed: Option<Missed>,
    /// When backup codes were shown that the user has not confirmed, so that they do not work.
    pub codes_shown_at: Option<Timestamp>,
    /// Nothing is known of the user, but this account's record, which has a method or a requirement, has the same name or the
    /// same uid.
    pub identity_mismatch: Option<Account>,
    /// The generation of the methods in [`Self::user`].
    pub generation: Generation,
}

impl UserSnapshot {
    /// Whether `user` has the same methods, requirement and setting, so that the same policy holds and the same decision
    /// would be made, locks and used codes aside.
    pub(crate) fn is_about(&self, user: &UserRecord) -> bool {
        self.generation == Generation::from(user)
            && (self.user.required, self.user.verify) == (user.required, user.verify)
    }
}

impl Store {
    /// The policy and what is known of `account`, as of one moment.
    pub fn snapshot(&self, account: &Account) -> Result<UserSnapshot, StoreError> {
        self.read_ahead(
            || snapshot_ahead(account),
            |view| view.snapshot(account, view.find(account)?.as_ref()),
        )
    }
}

/// What a snapshot of `account` asks.
pub(crate) fn snapshot_ahead(account: &Account) -> Vec<Ahead> {
    let mut ahead = methods_ahead(account);
    ahead.push(events::refused_since_pass_ahead(account));
    ahead
}

/// The same without what was refused, which is said at the end of a login alone.
pub(crate) fn methods_ahead(account: &Account) -> Vec<Ahead> {
    vec![
        users::find_ahead(account),
        apps::all_ahead(account),
        backup_codes::find_ahead(account),
        security_keys::all_ahead(account),
    ]
}

impl Store {
    /// The user on record with a method or a requirement who has the name of `account`, or else its uid.
    pub fn holder_of(&self, account: &Account) -> Result<Option<Account>, StoreError> {
        self.read(|view| users::identity_mismatch(view.db, account))
    }
}

impl View<'_> {
    /// The snapshot of `account`, which is `user` if anything is known of it.
    pub(crate) fn snapshot(
        &self,
        account: &Account,
        user: Option<&UserRecord>,
    ) -> Result<UserSnapshot, StoreError> {
        let snapshot = self.snapshot_without_missed(account, user)?;
        Ok(UserSnapshot {
            missed: match user {
                Some(_) => events::refused_since_pass(self.db, account)?,
                None => None,
            },
            ..snapshot
        })
    }

    /// The same without what was refused.
    pub(crate) fn snapshot_without_missed(
        &self,
        account: &Account,
        user: Option<&UserRecord>,
    ) -> Result<UserSnapshot, StoreError> {
        let rules = self.rules()?;
        let Some(user) = user else {
            return Ok(UserSnapshot {
                rules,
                user: User::default(),
                missed: None,
                codes_shown_at: None,
                identity_mismatch: users::identity_mismatch(self.db, account)?,
                generation: Generation::UNKNOWN,
            });
        };
        Ok(UserSnapshot {
            rules,
            user: User {
                backup: backup_codes::find(self.db, account)?,
                security_keys: security_keys::all(self.db, account)?,
                ..self.user_with_apps(account, user)?
            },
            missed: None,
            codes_shown_at: user.codes_shown_at,
            identity_mismatch: None,
            generation: Generation::from(user),
        })
    }

    /// The user without backup codes and security keys.
    pub(crate) fn user_with_apps(
        &self,
        account: &Account,
        user: &UserRecord,
    ) -> Result<User, StoreError> {
        let apps = apps::all(self.db, account)?
            .into_iter()
            .map(|app| app_sealing::open_enrolled(self.key, account, app))
            .collect::<Result<_, _>>()?;
        Ok(User {
            preferred: user.preferred,
            required: user.required,
            verify: user.verify,
            contacts: user.contacts.clone(),
            throttle: user.throttle,
            apps,
            backup: None,
            security_keys: Vec::new(),
        })
    }
}
