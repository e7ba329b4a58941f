//! Users: the table `user`.

use std::fmt;
use std::sync::OnceLock;

use twofa_core::user::{Contact, Verify};
use twofa_core::{Account, Channel, Method, PerChannel, Throttle, Timestamp};

use super::{Ahead, Db, Row, Sql, account_of, sessions, values};
use crate::error::StoreError;
use crate::sql::events::LoggedAs;

/// A row of `user`, without the account it is for.
#[derive(Debug)]
pub(crate) struct UserRecord {
    /// Never given to another row, because sealed keys are bound to it.
    pub id: i64,
    pub required: bool,
    pub verify: Verify,
    pub throttle: Throttle,
    /// Rises with every change of methods.
    pub generation: u64,
    /// The event of the last time a code was right; 0: none.
    pub passed_event: i64,
    pub contacts: PerChannel<Option<Contact>>,
    pub preferred: Option<Method>,
    /// When backup codes were shown that have not been confirmed.
    pub codes_shown_at: Option<Timestamp>,
}

impl UserRecord {
    /// The address that codes are sent to by `channel`, if it is verified: if it is a method.
    pub(crate) fn verified(&self, channel: Channel) -> Option<&str> {
        self.contacts[channel]
            .as_ref()
            .filter(|contact| contact.verified)
            .map(|contact| contact.address.as_str())
    }
}

/// A user in a listing.
#[derive(Debug)]
pub(crate) struct ListedUser {
    pub account: Account,
    pub record: UserRecord,
    pub apps: u32,
    /// Not used yet.
    pub backup_codes: u32,
    pub has_security_key: bool,
    pub passed_at: Option<Timestamp>,
}

/// The columns that [`Columns`] finds.
macro_rules! columns {
    () => {
        "id, required, verify, attempts, cleared_through, locked_until, generation, passed_event, preferred, codes_shown_at, \
         email, email_verified, email_by_owner, phone, phone_verified, phone_by_owner"
    };
}

/// A condition: the user has a method that can stand alone.
macro_rules! has_method {
    () => {
        "(email_verified = 1 OR phone_verified = 1 OR EXISTS (SELECT 1 FROM app WHERE app.user = user.id))"
    };
}

/// The columns of the address that codes are sent to by `channel`: itself, whether it is verified, whether it is on its
/// owner's word alone.
const fn contact_columns(channel: Channel) -> [&'static str; 3] {
    match channel {
        Channel::Email => ["email", "email_verified", "email_by_owner"],
        Channel::Sms => ["phone", "phone_verified", "phone_by_owner"],
    }
}

const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM user WHERE name = ?1 AND uid = ?2"
);

/// [`find`], to be asked later.
pub(crate) fn find_ahead(account: &Account) -> Ahead {
    let sql = Sql::from(FIND).locking();
    Ahead::new(sql, values![&account.name, account.uid])
}

pub(crate) fn find(db: &Db<'_>, account: &Account) -> Result<Option<UserRecord>, StoreError> {
    // The statement is always the same; to look for its columns each time takes longer than to run it.
    static COLUMNS: OnceLock<Columns> = OnceLock::new();
    let sql = Sql::from(FIND).locking();
    db.query_opt(sql, values![&account.name, account.uid], |row| {
        let columns = if let Some(columns) = COLUMNS.get() {
            columns
        } else {
            let found = Columns::find(row)?;
            COLUMNS.get_or_init(|| found)
        };
        columns.read(row)
    })
}

/// Passes every user to `each`, by name, until it returns `false`.
pub(crate) fn each(
    db: &Db<'_>,
    mut each: impl FnMut(ListedUser) -> bool,
) -> Result<(), StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", name, uid, passed_at,
          (SELECT count(*) FROM app WHERE app.user = user.id) AS apps,
          (SELECT count(*) FROM backup_code WHERE backup_code.user = user.id) AS backup_codes,
          EXISTS (SELECT 1 FROM security_key WHERE security_key.user = user.id) AS has_security_key
         FROM user ORDER BY name, uid"
    );
    let mut columns = None;
    db.each(sql, values![], |row| {
        let columns = match &columns {
            Some(columns) => columns,
            None => columns.insert(Columns::find(row)?),
        };
        Ok(each(ListedUser {
            account: account_of(row)?,
            record: columns.read(row)?,
            apps: row.get("apps")?,
            backup_codes: row.get("backup_codes")?,
            has_security_key: row.get("has_security_key")?,
            passed_at: row.get("passed_at")?,
        }))
    })
}

/// The uids of the users called `name`, ascending.
pub(crate) fn uids(db: &Db<'_>, name: &str) -> Result<Vec<u32>, StoreError> {
    db.query_all(
        "SELECT uid FROM user WHERE name = ?1 ORDER BY uid",
        values![name],
        |row| row.get("uid"),
    )
}

const INSERT: &str = "INSERT INTO user (name, uid) VALUES (?1, ?2)";

/// Adds the user `account`, of whom nothing is known, and returns its id.
pub(crate) fn insert(db: &Db<'_>, account: &Account) -> Result<i64, StoreError> {
    db.insert(INSERT, values![&account.name, account.uid])
}

/// [`insert`] for each of the `accounts`.
pub(crate) fn insert_each(db: &Db<'_>, accounts: &[&Account]) -> Result<Vec<i64>, StoreError> {
    let mut rows = Vec::with_capacity(accounts.len());
    for account in accounts {
        rows.push(values![account.name, account.uid].to_vec());
    }
    db.insert_each(INSERT, &rows)
}

/// Removes a user and everything that belongs to it: methods, a pending app, throttles.
pub(crate) fn delete(db: &Db<'_>, id: i64) -> Result<(), StoreError> {
    db.execute("DELETE FROM user WHERE id = ?1", values![id])?;
    Ok(())
}

/// Returns whether that changed anything.
pub(crate) fn set_required(db: &Db<'_>, id: i64, required: bool) -> Result<bool, StoreError> {
    let sql = "UPDATE user SET required = ?2 WHERE id = ?1 AND required <> ?2";
    Ok(db.execute(sql, values![id, required])? == 1)
}

/// Returns whether that changed anything.
pub(crate) fn set_verify(db: &Db<'_>, id: i64, verify: Verify) -> Result<bool, StoreError> {
    let sql = "UPDATE user SET verify = ?2 WHERE id = ?1 AND verify <> ?2";
    Ok(db.execute(sql, values![id, verify.to_string()])? == 1)
}

/// Has codes asked for on new devices again, where they were never.
pub(crate) fn end_opt_out(db: &Db<'_>, id: i64) -> Result<(), StoreError> {
    let sql = "UPDATE user SET verify = 'new-device' WHERE id = ?1 AND verify = 'never'";
    db.execute(sql, values![id])?;
    Ok(())
}

/// Returns whether that changed anything.
pub(crate) fn set_preferred(
    db: &Db<'_>,
    id: i64,
    method: Option<Method>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE user SET preferred = ?2 WHERE id = ?1 AND preferred IS DISTINCT FROM ?2";
    Ok(db.execute(sql, values![id, method.map(Method::name)])? == 1)
}

/// Sets the address of `channel`; `by_owner`: on its owner's word alone.
pub(crate) fn set_contact(
    db: &Db<'_>,
    id: i64,
    channel: Channel,
    address: Option<&str>,
    verified: bool,
    by_owner: bool,
) -> Result<(), StoreError> {
    let [own, is_verified, is_by_owner] = contact_columns(channel);
    let sql =
        format!("UPDATE user SET {own} = ?2, {is_verified} = ?3, {is_by_owner} = ?4 WHERE id = ?1");
    db.execute_later(&sql, values![id, address, verified, by_owner])
}

/// Makes every address one that is not verified, and so no method. They stay on file.
pub(crate) fn unverify_contacts(db: &Db<'_>, id: i64) -> Result<(), StoreError> {
    for [_, verified, _] in Channel::ALL.map(contact_columns) {
        let sql = format!("UPDATE user SET {verified} = 0 WHERE id = ?1");
        db.execute(&sql, values![id])?;
    }
    Ok(())
}

/// Whether a user other than `id` has verified `address`. Upper and lower case make no other mailbox in practice. Found
/// by an index, whose conditions are these, word by word.
pub(crate) fn is_verified_by_another(
    db: &Db<'_>,
    id: i64,
    channel: Channel,
    address: &str,
) -> Result<bool, StoreError> {
    // Until it is one's own, nobody else may find it free.
    db.lock("address", &address.to_ascii_lowercase())?;
    db.exists(of_another(channel), values![address, id])
}

fn of_another(channel: Channel) -> Sql<'static> {
    match channel {
        Channel::Email => Sql::new(
            "SELECT 1 FROM user WHERE email = ?1 COLLATE NOCASE AND email_verified = 1 AND id <> ?2",
            "SELECT 1 FROM user WHERE lower(email) = lower(?1 COLLATE \"C\") AND email_verified = 1 AND id <> ?2",
        ),
        Channel::Sms => {
            "SELECT 1 FROM user WHERE phone = ?1 AND phone_verified = 1 AND id <> ?2".into()
        }
    }
}

/// Saves when backup codes were shown that have not been confirmed; `None`: there are none.
pub(crate) fn set_codes_shown(
    db: &Db<'_>,
    id: i64,
    at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let sql = "UPDATE user SET codes_shown_at = ?2 WHERE id = ?1";
    db.execute(sql, values![id, at])?;
    Ok(())
}

/// Marks that the methods of a user changed.
pub(crate) fn raise_generation(db: &Db<'_>, id: i64) -> Result<(), StoreError> {
    let sql = "UPDATE user SET generation = generation + 1 WHERE id = ?1 RETURNING name, uid";
    let account = db.query_opt(sql, values![id], account_of);
    // Screen lockers believed a code of the methods before.
    if let Some(account) = account? {
        sessions::forget_codes(db, Some(&account))?;
    }
    Ok(())
}

pub(crate) fn save_throttle(db: &Db<'_>, id: i64, throttle: Throttle) -> Result<(), StoreError> {
    let sql =
        "UPDATE user SET attempts = ?2, cleared_through = ?3, locked_until = ?4 WHERE id = ?1";
    let until = throttle.locked_until;
    db.execute(
        sql,
        values![id, throttle.attempts, throttle.cleared_through, until],
    )?;
    Ok(())
}

/// Saves that a login passed at `now`, which `event` logs.
pub(crate) fn set_passed(
    db: &Db<'_>,
    id: i64,
    event: LoggedAs,
    now: Timestamp,
) -> Result<(), StoreError> {
    match event {
        LoggedAs::Number(event) => {
            let sql = "UPDATE user SET passed_at = ?2, passed_event = ?3 WHERE id = ?1";
            db.execute(sql, values![id, now, event]).map(drop)
        }
        LoggedAs::Last => {
            // To look for the sequence by its column takes longer than all the rest.
            let sql = "UPDATE user SET passed_at = ?2, passed_event = currval('new_event_id_seq') WHERE id = ?1";
            db.execute_later(sql, values![id, now])
        }
    }
}

/// Whether a user has a method that can stand alone.
pub(crate) fn has_method(db: &Db<'_>, id: i64) -> Result<bool, StoreError> {
    let sql = concat!("SELECT 1 FROM user WHERE id = ?1 AND ", has_method!());
    db.exists(sql, values![id])
}

/// Whether a user has any method, backup codes included, or an app whose key was shown.
pub(crate) fn has_anything(db: &Db<'_>, id: i64) -> Result<bool, StoreError> {
    let sql = concat!(
        "SELECT 1 FROM user WHERE id = ?1 AND (",
        has_method!(),
        " OR EXISTS (SELECT 1 FROM backup_set WHERE backup_set.user = user.id)
          OR EXISTS (SELECT 1 FROM pending_app WHERE pending_app.user = user.id))"
    );
    db.exists(sql, values![id])
}

const MISMATCH: &str = concat!(
    "SELECT name, uid FROM user WHERE (name = ?1 OR uid = ?2) AND (required = 1 OR ",
    has_method!(),
    ") ORDER BY name <> ?1, id LIMIT 1"
);

/// The user with a method or a requirement who has the name or the uid of `account`; the name goes first. Found by indexes.
pub(crate) fn identity_mismatch(
    db: &Db<'_>,
    account: &Account,
) -> Result<Option<Account>, StoreError> {
    db.query_opt(MISMATCH, values![&account.name, account.uid], account_of)
}

/// [`identity_mismatch`], to be asked later.
pub(crate) fn identity_mismatch_ahead(account: &Account) -> Ahead {
    Ahead::new(MISMATCH, values![&account.name, account.uid])
}

/// Where the columns of [`UserRecord`] stand in a statement: looked up once, however many rows it has.
struct Columns {
    id: usize,
    required: usize,
    verify: usize,
    attempts: usize,
    cleared_through: usize,
    locked_until: usize,
    generation: usize,
    passed_event: usize,
    preferred: usize,
    codes_shown_at: usize,
    contacts: PerChannel<ContactColumns>,
}

#[derive(Default)]
struct ContactColumns {
    address: usize,
    verified: usize,
    by_owner: usize,
}

impl Columns {
    fn find(row: &Row<'_>) -> Result<Self, StoreError> {
        let at = |name: &str| row.index(name);
        let mut contacts = PerChannel::default();
        for channel in Channel::ALL {
            let [address, verified, by_owner] = contact_columns(channel);
            contacts[channel] = ContactColumns {
                address: at(address)?,
                verified: at(verified)?,
                by_owner: at(by_owner)?,
            };
        }
        Ok(Self {
            id: at("id")?,
            required: at("required")?,
            verify: at("verify")?,
            attempts: at("attempts")?,
            cleared_through: at("cleared_through")?,
            locked_until: at("locked_until")?,
            generation: at("generation")?,
            passed_event: at("passed_event")?,
            preferred: at("preferred")?,
            codes_shown_at: at("codes_shown_at")?,
            contacts,
        })
    }

    fn read(&self, row: &Row<'_>) -> Result<UserRecord, StoreError> {
        let broken = |bad: &dyn fmt::Display| {
            StoreError::Damaged(format!("a user's setting is broken: {bad}"))
        };
        let verify = row.at::<String>(self.verify)?.parse();
        let preferred = row.at::<Option<String>>(self.preferred)?;
        let preferred = preferred.map(|name| name.parse()).transpose();
        let mut contacts = PerChannel::default();
        for (channel, columns) in self.contacts.iter() {
            contacts[channel] = columns.read(row)?;
        }
        Ok(UserRecord {
            id: row.at(self.id)?,
            required: row.at(self.required)?,
            verify: verify.map_err(|bad| broken(&bad))?,
            throttle: Throttle {
                attempts: row.at(self.attempts)?,
                cleared_through: row.at(self.cleared_through)?,
                locked_until: row
                    .at::<Option<i64>>(self.locked_until)?
                    .map(Timestamp::from_unix),
            },
            generation: row.at(self.generation)?,
            passed_event: row.at(self.passed_event)?,
            contacts,
            preferred: preferred.map_err(|bad| broken(&bad))?,
            codes_shown_at: row
                .at::<Option<i64>>(self.codes_shown_at)?
                .map(Timestamp::from_unix),
        })
    }
}

impl ContactColumns {
    fn read(&self, row: &Row<'_>) -> Result<Option<Contact>, StoreError> {
        let address: Option<String> = row.at(self.address)?;
        let (verified, by_owner) = (row.at(self.verified)?, row.at(self.by_owner)?);
        Ok(address.map(|address| Contact {
            address,
            verified,
            by_owner,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn the_owner_of_an_address_is_found_by_an_index() {
        let bench = Bench::on_file();
        let store = bench.create();
        for (channel, index) in [
            (Channel::Email, "user_of_email"),
            (Channel::Sms, "user_of_phone"),
        ] {
            let plan = Bench::plan(&store, of_another(channel));
            assert!(plan.contains(index), "{plan}");
        }
    }
}
