//! Providers: the tables `provider`, `provider_setting`, `channel_provider` and `provider_version`.

use twofa_core::{Channel, Timestamp};

use super::{Db, Row, values};
use crate::error::StoreError;

/// A provider without its settings.
#[derive(Debug)]
pub(crate) struct ProviderRow {
    /// Never given to another row, because sealed settings are bound to it.
    pub id: i64,
    pub name: String,
    pub kind: String,
    pub title: Option<String>,
}

/// A setting of a provider: either plain or sealed.
#[derive(Debug)]
pub(crate) struct SettingRow {
    pub key: String,
    pub value: Option<String>,
    pub sealed: Option<Vec<u8>>,
}

/// A number that rises with every change of providers or their order.
pub(crate) fn version(db: &Db<'_>) -> Result<u64, StoreError> {
    let sql = "SELECT version FROM provider_version WHERE id = 1";
    let version = db.query_opt(sql, values![], |row| row.get("version"))?;
    version.ok_or_else(|| {
        StoreError::Damaged("it does not say which version its providers are".to_owned())
    })
}

pub(crate) fn raise_version(db: &Db<'_>) -> Result<(), StoreError> {
    db.execute(
        "UPDATE provider_version SET version = version + 1",
        values![],
    )?;
    Ok(())
}

/// All providers by name.
pub(crate) fn all(db: &Db<'_>) -> Result<Vec<ProviderRow>, StoreError> {
    db.query_all(
        "SELECT id, name, kind, title FROM provider ORDER BY name",
        values![],
        provider,
    )
}

pub(crate) fn find(db: &Db<'_>, name: &str) -> Result<Option<ProviderRow>, StoreError> {
    let sql = "SELECT id, name, kind, title FROM provider WHERE name = ?1";
    db.query_opt(sql, values![name], provider)
}

/// Adds a provider without settings and returns its id.
pub(crate) fn insert(
    db: &Db<'_>,
    name: &str,
    kind: &str,
    title: Option<&str>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO provider (name, kind, title, created_at, changed_at) VALUES (?1, ?2, ?3, ?4, ?4)";
    db.insert(sql, values![name, kind, title, now])
}

pub(crate) fn set_title(
    db: &Db<'_>,
    id: i64,
    title: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE provider SET title = ?2, changed_at = ?3 WHERE id = ?1";
    db.execute(sql, values![id, title, now])?;
    Ok(())
}

/// Removes a provider with its settings, also from the order in which providers are tried.
pub(crate) fn delete(db: &Db<'_>, id: i64) -> Result<(), StoreError> {
    db.execute("DELETE FROM provider WHERE id = ?1", values![id])?;
    Ok(())
}

pub(crate) fn settings(db: &Db<'_>, id: i64) -> Result<Vec<SettingRow>, StoreError> {
    db.query_all(
        "SELECT key, value, sealed FROM provider_setting WHERE provider = ?1",
        values![id],
        |row| {
            Ok(SettingRow {
                key: row.get("key")?,
                value: row.get("value")?,
                sealed: row.get("sealed")?,
            })
        },
    )
}

/// Puts `settings` in the place of all that the provider has.
pub(crate) fn replace_settings(
    db: &Db<'_>,
    id: i64,
    settings: &[SettingRow],
) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM provider_setting WHERE provider = ?1",
        values![id],
    )?;
    for SettingRow { key, value, sealed } in settings {
        db.execute(
            "INSERT INTO provider_setting (provider, key, value, sealed) VALUES (?1, ?2, ?3, ?4)",
            values![id, key, value, sealed],
        )?;
    }
    Ok(())
}

/// The names of the providers of `channel` in the order in which they are tried.
pub(crate) fn order(db: &Db<'_>, channel: Channel) -> Result<Vec<String>, StoreError> {
    db.query_all(
        "SELECT name FROM channel_provider JOIN provider ON provider.id = provider
         WHERE channel = ?1 ORDER BY position",
        values![channel.name()],
        |row| row.get("name"),
    )
}

/// Has the providers of these ids tried in this order for `channel`, and no others.
pub(crate) fn set_order(db: &Db<'_>, channel: Channel, ids: &[i64]) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM channel_provider WHERE channel = ?1",
        values![channel.name()],
    )?;
    for (position, id) in (0_u32..).zip(ids) {
        db.execute(
            "INSERT INTO channel_provider (channel, position, provider) VALUES (?1, ?2, ?3)",
            values![channel.name(), position, id],
        )?;
    }
    Ok(())
}

/// Has the provider tried after all others of `channel`.
pub(crate) fn append_to_order(db: &Db<'_>, channel: Channel, id: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO channel_provider (channel, position, provider) VALUES (
                   ?1, (SELECT coalesce(max(position) + 1, 0) FROM channel_provider WHERE channel = ?1), ?2
               )";
    db.execute(sql, values![channel.name(), id])?;
    Ok(())
}

fn provider(row: &Row<'_>) -> Result<ProviderRow, StoreError> {
    Ok(ProviderRow {
        id: row.get("id")?,
        name: row.get("name")?,
        kind: row.get("kind")?,
        title: row.get("title")?,
    })
}
