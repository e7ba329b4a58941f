//! Exemptions: the table `exemption`.

use twofa_core::exemption::{Exemption, Subject};
use twofa_core::{Account, Group};

use super::row_hashes::{EXEMPTION, NO_HASH, RowHash};
use super::{Db, Row, values};
use crate::error::StoreError;

/// An exemption with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredExemption {
    /// Its number, never given to another.
    pub id: i64,
    /// As it was granted.
    pub exemption: Exemption,
}

/// Every exemption in the order in which they were granted.
pub(crate) fn all(db: &Db<'_>) -> Result<Vec<(StoredExemption, RowHash)>, StoreError> {
    let sql = "SELECT id, name, uid, unix_group, unix_gid, network, service, reason, granted_by, granted_at, until, seal
               FROM exemption ORDER BY id";
    db.query_all(sql, values![], |row| {
        Ok((stored(row)?, RowHash::of(&EXEMPTION, row)?))
    })
}

/// Adds an exemption, which gets its hash afterwards, and returns its number.
pub(crate) fn insert(db: &Db<'_>, exemption: &Exemption) -> Result<i64, StoreError> {
    let (user, group) = match &exemption.subject {
        Subject::User(account) => (Some(account), None),
        Subject::Group(group) => (None, Some(group)),
    };
    db.insert(
        "INSERT INTO exemption
         (name, uid, unix_group, unix_gid, network, service, reason, granted_by, granted_at, until, seal)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        values![
            user.map(|account| &account.name),
            user.map(|account| account.uid),
            group.map(|group| &group.name),
            group.and_then(|group| group.gid),
            exemption.network.map(|network| network.to_string()),
            &exemption.service,
            &exemption.reason,
            exemption.granted_by,
            exemption.granted_at,
            exemption.until,
            NO_HASH
        ],
    )
}

pub(crate) fn delete(db: &Db<'_>, id: i64) -> Result<(), StoreError> {
    db.execute("DELETE FROM exemption WHERE id = ?1", values![id])?;
    Ok(())
}

/// Removes the exemptions of one user; those of groups stay.
pub(crate) fn delete_of_user(db: &Db<'_>, account: &Account) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM exemption WHERE name = ?1 AND uid = ?2",
        values![&account.name, account.uid],
    )?;
    Ok(())
}

fn stored(row: &Row<'_>) -> Result<StoredExemption, StoreError> {
    let subject = match row.get("name")? {
        Some(name) => Subject::User(Account {
            name,
            uid: row.get("uid")?,
        }),
        None => Subject::Group(Group {
            name: row.get("unix_group")?,
            gid: row.get("unix_gid")?,
        }),
    };
    let network: Option<String> = row.get("network")?;
    let network = network.map(|text| text.parse()).transpose();
    Ok(StoredExemption {
        id: row.get("id")?,
        exemption: Exemption {
            subject,
            network: network.map_err(|_| {
                StoreError::Damaged("an exemption has no network we can read".to_owned())
            })?,
            service: row.get("service")?,
            reason: row.get("reason")?,
            granted_by: row.get("granted_by")?,
            granted_at: row.get("granted_at")?,
            until: row.get("until")?,
        },
    })
}
