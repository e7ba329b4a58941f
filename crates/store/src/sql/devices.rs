//! Trusted devices: the table `device`.

use twofa_core::{Account, DeviceKind, Duration, Grant, Timestamp};

use super::{Db, Row, account_of, values};
use crate::error::StoreError;
use crate::model::device::{DeviceHash, HashedDevice, PasswordHash, TrustedDevice};

/// A stored grant, with what it depends on.
#[derive(Debug)]
pub(crate) struct GrantRecord {
    pub id: i64,
    pub generation: u64,
    pub password: Option<PasswordHash>,
    pub grant: Grant,
}

/// What a new grant is kept with.
#[derive(Debug)]
pub(crate) struct NewGrant<'a> {
    pub user: i64,
    pub kind: DeviceKind,
    pub hash: &'a DeviceHash,
    pub label: &'a str,
    pub service: Option<&'a str>,
    pub generation: u64,
    pub password: Option<PasswordHash>,
    pub grant: Grant,
    /// [`last_lowering`] when its duration was read from the policy.
    pub lowering: i64,
    /// The class whose policy that is.
    pub class: Option<&'a str>,
    /// The id of the host of the fleet that reported the device.
    pub host: Option<&'a str>,
}

/// The grant of a device, unless it was revoked with everybody's or no device of its kind was trusted any longer: such a
/// device is as unknown as one whose row is deleted.
pub(crate) fn find(
    db: &Db<'_>,
    user: i64,
    kind: DeviceKind,
    hash: &DeviceHash,
) -> Result<Option<GrantRecord>, StoreError> {
    let sql = "SELECT id, generation, password, granted_at, until, used_at FROM granted_device
               WHERE user = ?1 AND kind = ?2 AND hash = ?3 AND until > granted_at";
    db.query_opt(sql, values![user, kind.name(), hash], |row| {
        Ok(GrantRecord {
            id: row.get("id")?,
            generation: row.get("generation")?,
            password: row.get("password")?,
            grant: grant(row)?,
        })
    })
}

/// Adds a grant, or replaces that of the same device, which keeps its number.
pub(crate) fn save(db: &Db<'_>, new: &NewGrant<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO device (user, kind, hash, label, service, generation, password, granted_at, until, used_at, lowering,
                   class, host)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
               ON CONFLICT (user, kind, hash) DO UPDATE SET label = excluded.label, service = excluded.service,
                   generation = excluded.generation, password = excluded.password,
                   granted_at = excluded.granted_at, until = excluded.until, used_at = excluded.used_at,
                   lowering = excluded.lowering, class = excluded.class, host = excluded.host";
    db.execute(
        sql,
        values![
            new.user,
            new.kind.name(),
            new.hash,
            new.label,
            new.service,
            new.generation,
            &new.password,
            new.grant.granted_at,
            new.grant.until,
            new.grant.used_at,
            new.lowering,
            new.class,
            new.host
        ],
    )?;
    Ok(())
}

pub(crate) fn set_used(db: &Db<'_>, id: i64, now: Timestamp) -> Result<(), StoreError> {
    db.execute(
        "UPDATE device SET used_at = ?2 WHERE id = ?1",
        values![id, now],
    )?;
    Ok(())
}

/// Removes the grants of `user` beyond that of this device and the `others` that were used last, of those that the same host
/// has reported, or this machine. While the clock is wrong even a new grant can seem the oldest.
pub(crate) fn delete_beyond(
    db: &Db<'_>,
    user: i64,
    device: &HashedDevice,
    others: u32,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM device WHERE id IN (
                   SELECT id FROM device WHERE user = ?1 AND NOT (kind = ?2 AND hash = ?3)
                       AND coalesce(host, '') = coalesce(?5, '')
                   ORDER BY used_at DESC, id DESC LIMIT 2147483647 OFFSET ?4)";
    let HashedDevice {
        kind, hash, host, ..
    } = device;
    db.execute(sql, values![user, kind.name(), hash, others, host])?;
    Ok(())
}

/// Removes the grants that the host of this id has reported.
pub(crate) fn delete_of_host(db: &Db<'_>, host: &str) -> Result<usize, StoreError> {
    db.execute("DELETE FROM device WHERE host = ?1", values![host])
}

/// Whether another address than `hash` was granted to `user` after `since`.
pub(crate) fn has_other_address_since(
    db: &Db<'_>,
    user: i64,
    hash: &DeviceHash,
    since: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM granted_device
               WHERE user = ?1 AND kind = ?2 AND hash <> ?3 AND granted_at > ?4 AND until > granted_at";
    let kind = DeviceKind::Address.name();
    db.exists(sql, values![user, kind, hash, since])
}

/// The devices that are trusted at ?1: how many users each has, from where, and of which users.
macro_rules! listing {
    ($with:literal, $users:literal, $join:literal, $condition:literal) => {
        concat!(
            $with,
            "SELECT device.id AS id, device.kind AS kind, label, device.service AS service, granted_at, until, used_at,
             user.name AS name, uid, host.name AS host, ",
            $users,
            " AS users FROM user JOIN granted_device AS device ON device.user = user.id
             LEFT JOIN host ON host.id = device.host ",
            $join,
            " WHERE device.generation = user.generation AND until > ?1 AND until > granted_at",
            $condition,
            " ORDER BY user.name, user.uid, device.id"
        )
    };
}

/// Those of the user ?2 with the uid ?3, found by an index, as are the others that trust the same devices.
pub(crate) const OF_USER: &str = listing!(
    "",
    "(SELECT count(*) FROM granted_device AS other JOIN user AS owner ON owner.id = other.user
      WHERE other.kind = device.kind AND other.hash = device.hash
          AND other.generation = owner.generation AND other.until > ?1)",
    "",
    " AND user.name = ?2 AND user.uid = ?3"
);
/// The users of shared devices are counted once, because many may share one. Which are shared the index says: to look at
/// each grant in its order would be to read the whole table at random.
pub(crate) const OF_EVERYBODY: &str = listing!(
    "WITH several AS MATERIALIZED (
         SELECT kind, hash FROM device GROUP BY kind, hash HAVING count(*) > 1),
     shared AS MATERIALIZED (
         SELECT several.kind AS kind, several.hash AS hash,
             (SELECT count(*) FROM granted_device AS other JOIN user AS owner ON owner.id = other.user
              WHERE other.kind = several.kind AND other.hash = several.hash
                  AND other.generation = owner.generation AND other.until > ?1) AS users
         FROM several)
     ",
    "coalesce(shared.users, 1)",
    "LEFT JOIN shared ON shared.kind = device.kind AND shared.hash = device.hash",
    ""
);

/// Passes the devices of `account`, or of everybody, that are trusted at `now` to `each`, by user and number, until it returns
/// `false`.
pub(crate) fn each(
    db: &Db<'_>,
    account: Option<&Account>,
    now: Timestamp,
    mut each: impl FnMut(TrustedDevice) -> bool,
) -> Result<(), StoreError> {
    let mut read = |row: &Row<'_>| {
        let kind: String = row.get("kind")?;
        let Some(kind) = DeviceKind::named(&kind) else {
            return Err(StoreError::Damaged(
                "a device in it has an unknown kind".to_owned(),
            ));
        };
        Ok(each(TrustedDevice {
            id: row.get("id")?,
            account: account_of(row)?,
            kind,
            label: row.get("label")?,
            host: row.get("host")?,
            service: row.get("service")?,
            grant: grant(row)?,
            users: row.get("users")?,
        }))
    };
    match account {
        Some(Account { name, uid }) => db.each(OF_USER, values![now, name, *uid], &mut read),
        None => db.each(OF_EVERYBODY, values![now], &mut read),
    }
}

/// The users with grants, whether those last or not.
pub(crate) fn owners(db: &Db<'_>) -> Result<Vec<Account>, StoreError> {
    let sql = "SELECT name, uid FROM user WHERE EXISTS (SELECT 1 FROM device WHERE device.user = user.id)";
    db.query_all(sql, values![], account_of)
}

/// The number of devices that are trusted at `now`, of all users.
pub(crate) fn count_everybodys(db: &Db<'_>, now: Timestamp) -> Result<u64, StoreError> {
    let sql =
        "SELECT count(*) AS count FROM granted_device AS device JOIN user ON user.id = device.user
               WHERE device.generation = user.generation AND until > ?1 AND until > granted_at";
    db.query_one(sql, values![now], |row| row.get("count"))
}

/// The addresses that several users trust at `now`, and how many users each of them has, the most shared first.
pub(crate) fn shared_addresses(
    db: &Db<'_>,
    now: Timestamp,
) -> Result<Vec<(String, u32)>, StoreError> {
    let sql = "SELECT min(label) AS label, count(*) AS users FROM granted_device AS device JOIN user ON user.id = device.user
               WHERE kind = ?1 AND device.generation = user.generation AND until > ?2
               GROUP BY hash HAVING count(*) > 1 ORDER BY users DESC, label";
    db.query_all(sql, values![DeviceKind::Address.name(), now], |row| {
        Ok((row.get("label")?, row.get("users")?))
    })
}

/// Removes the device `id` of `user`. Returns its kind and label.
pub(crate) fn delete(
    db: &Db<'_>,
    user: i64,
    id: i64,
) -> Result<Option<(String, String)>, StoreError> {
    let sql = "DELETE FROM device WHERE id = ?2 AND user = ?1 RETURNING kind, label";
    db.query_opt(sql, values![user, id], |row| {
        Ok((row.get("kind")?, row.get("label")?))
    })
}

/// Removes the devices of `user`. Returns how many there were.
pub(crate) fn delete_all(db: &Db<'_>, user: i64) -> Result<usize, StoreError> {
    db.execute("DELETE FROM device WHERE user = ?1", values![user])
}

/// Some grants in order of number.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// The number of the last one.
    pub last: i64,
    /// Whether any of them is over.
    pub has_ended: bool,
}

/// The grants behind number `after`, `most` of them; `None`: there are none. Those are over that ended before `before`, or
/// that were ended for everybody.
pub(crate) fn stretch(
    db: &Db<'_>,
    after: i64,
    before: Timestamp,
    most: u32,
) -> Result<Option<Stretch>, StoreError> {
    let sql = "SELECT max(id) AS last, max(CASE WHEN until < ?2 OR until <= granted_at THEN 1 ELSE 0 END) AS has_ended
               FROM (SELECT id, until, granted_at FROM granted_device WHERE id > ?1 ORDER BY id LIMIT ?3) AS stretch";
    db.query_one(sql, values![after, before, most], |row| {
        let last: Option<i64> = row.get("last")?;
        last.map(|last| {
            Ok(Stretch {
                last,
                has_ended: row.get("has_ended")?,
            })
        })
        .transpose()
    })
}

/// Removes the grants with numbers behind `after` up to `last` that are over, as [`stretch`] has it. Returns how many there
/// were.
pub(crate) fn delete_ended(
    db: &Db<'_>,
    after: i64,
    last: i64,
    before: Timestamp,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM device WHERE id IN (
                   SELECT id FROM granted_device
                   WHERE id > ?1 AND id <= ?2 AND (until < ?3 OR until <= granted_at))";
    let deleted = db.execute(sql, values![after, last, before])?;
    Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
}

/// Ends the trust in devices of this `kind` that are trusted now no later than `most` after their grants, if those were made
/// under the policy of `class`; `None`: under any.
pub(crate) fn shorten(
    db: &Db<'_>,
    kind: DeviceKind,
    class: Option<&str>,
    most: Duration,
) -> Result<(), StoreError> {
    let (kind, seconds) = (kind.name(), most.seconds());
    // This lowering holds for all grants that those before it hold for.
    let covered = "DELETE FROM trust_lowering WHERE kind = ?1 AND (CAST(?2 AS TEXT) IS NULL OR class = ?2) AND seconds >= ?3";
    db.execute(covered, values![kind, class, seconds])?;
    let sql = "INSERT INTO trust_lowering (kind, class, seconds) VALUES (?1, ?2, ?3)";
    db.execute(sql, values![kind, class, seconds])?;
    Ok(())
}

/// The number of the last lowering, those before it included; 0: there was none.
pub(crate) fn last_lowering(db: &Db<'_>) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce(max(id), 0) AS last FROM trust_lowering";
    db.query_one(sql, values![], |row| row.get("last"))
}

/// Notes that a program of `service` came to the account phase.
pub(crate) fn note_confirming(
    db: &Db<'_>,
    service: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO confirming_service (service, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    db.execute(sql, values![service, now])?;
    Ok(())
}

/// Whether a program of `service` ever came to the account phase.
pub(crate) fn is_confirming(db: &Db<'_>, service: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM confirming_service WHERE service = ?1";
    db.exists(sql, values![service])
}

fn grant(row: &Row<'_>) -> Result<Grant, StoreError> {
    Ok(Grant {
        granted_at: row.get("granted_at")?,
        until: row.get("until")?,
        used_at: row.get("used_at")?,
    })
}
