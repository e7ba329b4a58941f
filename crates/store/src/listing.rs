//! Lists all users.

use twofa_core::user::Summary;
use twofa_core::{Account, Channel, Method, Methods, Timestamp};

use crate::database::Store;
use crate::error::StoreError;
use crate::sql::users::{self, ListedUser, UserRecord};

/// A user in a listing, without keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Name and uid.
    pub account: Account,
    /// What a status depends on.
    pub summary: Summary,
    /// How many apps are enrolled.
    pub apps: u32,
    /// Backup codes not used yet.
    pub backup_codes: u32,
    /// Whether a security key is enrolled.
    pub has_security_key: bool,
    /// When a code was right for the last time.
    pub passed_at: Option<Timestamp>,
}

impl UserRow {
    /// What is enrolled, backup codes included.
    pub const fn methods(&self) -> Methods {
        let enrolled = self.methods_but_backup_codes();
        if self.backup_codes > 0 {
            enrolled.with(Method::Backup)
        } else {
            enrolled
        }
    }

    /// What is enrolled, backup codes left out.
    pub const fn methods_but_backup_codes(&self) -> Methods {
        let enrolled = self.summary.enrolled;
        if self.has_security_key {
            enrolled.with(Method::SecurityKey)
        } else {
            enrolled
        }
    }
}

impl From<ListedUser> for UserRow {
    fn from(listed: ListedUser) -> Self {
        let ListedUser { record, apps, .. } = &listed;
        Self {
            summary: Summary {
                required: record.required,
                verify: record.verify,
                enrolled: enrolled(record, *apps),
                throttle: record.throttle,
            },
            apps: *apps,
            account: listed.account,
            backup_codes: listed.backup_codes,
            has_security_key: listed.has_security_key,
            passed_at: listed.passed_at,
        }
    }
}

impl Store {
    /// Passes every user to `each`, by name, until it returns `false`.
    pub fn users(&self, mut each: impl FnMut(UserRow) -> bool) -> Result<(), StoreError> {
        self.read(|view| users::each(view.db, |user| each(user.into())))
    }
}

fn enrolled(user: &UserRecord, apps: u32) -> Methods {
    let app = (apps > 0).then_some(Method::App);
    let verified = Channel::ALL
        .into_iter()
        .filter(|channel| user.verified(*channel).is_some());
    verified.map(Channel::method).chain(app).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, bob};

    #[test]
    fn users_are_listed_by_name() {
        let bench = Bench::new();
        let store = bench.create();
        for name in ["carol", "alice", "bob"] {
            bench.enrol(
                &store,
                &Account {
                    name: name.into(),
                    uid: 1000,
                },
                "phone",
            );
        }
        let mut names = Vec::new();
        store
            .users(|user| {
                assert_eq!(
                    (user.apps, user.summary.enrolled, user.passed_at),
                    (1, Methods::NONE.with(Method::App), None)
                );
                names.push(user.account.name);
                names.len() < 2
            })
            .unwrap();
        assert_eq!(names, ["alice", "bob"]);
    }

    #[test]
    fn a_verified_address_is_listed_as_a_method() {
        let bench = Bench::new();
        let store = bench.create();
        bench.verify(&store, &bob(), Channel::Sms, "+4930123456");
        let mut rows = Vec::new();
        let each = |user| {
            rows.push(user);
            true
        };
        store.users(each).unwrap();
        let [user] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        assert_eq!(user.summary.enrolled, Methods::NONE.with(Method::Sms));
        assert_eq!(
            (&user.account, user.apps, user.backup_codes),
            (&bob(), 0, 0)
        );
    }
}
