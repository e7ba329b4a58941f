//! Providers: the tables `provider`, `provider_setting`, `channel_provider` and `provider_version`.

use rusqlite::{OptionalExtension, Row};
use twofa_core::{Channel, Timestamp};

use super::Db;
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
    let version = db
        .prepare_cached(sql)?
        .query_row([], |row| row.get("version"))
        .optional()?;
    version.ok_or_else(|| {
        StoreError::Damaged("it does not say which version its providers are".to_owned())
    })
}

pub(crate) fn raise_version(db: &Db<'_>) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE provider_version SET version = version + 1")?
        .execute([])?;
    Ok(())
}

/// All providers by name.
pub(crate) fn all(db: &Db<'_>) -> Result<Vec<ProviderRow>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT id, name, kind, title FROM provider ORDER BY name")?;
    let rows = statement.query_map([], provider)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn find(db: &Db<'_>, name: &str) -> Result<Option<ProviderRow>, StoreError> {
    let sql = "SELECT id, name, kind, title FROM provider WHERE name = ?1";
    Ok(db
        .prepare_cached(sql)?
        .query_row([name], provider)
        .optional()?)
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
    Ok(db
        .prepare_cached(sql)?
        .insert((name, kind, title, now.unix()))?)
}

pub(crate) fn set_title(
    db: &Db<'_>,
    id: i64,
    title: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE provider SET title = ?2, changed_at = ?3 WHERE id = ?1";
    db.prepare_cached(sql)?.execute((id, title, now.unix()))?;
    Ok(())
}

/// Removes a provider with its settings, also from the order in which providers are tried.
pub(crate) fn delete(db: &Db<'_>, id: i64) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM provider WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

pub(crate) fn settings(db: &Db<'_>, id: i64) -> Result<Vec<SettingRow>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT key, value, sealed FROM provider_setting WHERE provider = ?1")?;
    let rows = statement.query_map([id], |row| {
        Ok(SettingRow {
            key: row.get("key")?,
            value: row.get("value")?,
            sealed: row.get("sealed")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Puts `settings` in the place of all that the provider has.
pub(crate) fn replace_settings(
    db: &Db<'_>,
    id: i64,
    settings: &[SettingRow],
) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM provider_setting WHERE provider = ?1")?
        .execute([id])?;
    let mut statement = db.prepare_cached(
        "INSERT INTO provider_setting (provider, key, value, sealed) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for SettingRow { key, value, sealed } in settings {
        statement.execute((id, key, value, sealed))?;
    }
    Ok(())
}

/// The names of the providers of `channel` in the order in which they are tried.
pub(crate) fn order(db: &Db<'_>, channel: Channel) -> Result<Vec<String>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT name FROM channel_provider JOIN provider ON provider.id = provider
         WHERE channel = ?1 ORDER BY position",
    )?;
    let names = statement.query_map([channel.name()], |row| row.get("name"))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Has the providers of these ids tried in this order for `channel`, and no others.
pub(crate) fn set_order(db: &Db<'_>, channel: Channel, ids: &[i64]) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM channel_provider WHERE channel = ?1")?
        .execute([channel.name()])?;
    let mut statement = db.prepare_cached(
        "INSERT INTO channel_provider (channel, position, provider) VALUES (?1, ?2, ?3)",
    )?;
    for (position, id) in (0_u32..).zip(ids) {
        statement.execute((channel.name(), position, id))?;
    }
    Ok(())
}

/// Has the provider tried after all others of `channel`.
pub(crate) fn append_to_order(db: &Db<'_>, channel: Channel, id: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO channel_provider (channel, position, provider) VALUES (
                   ?1, (SELECT coalesce(max(position) + 1, 0) FROM channel_provider WHERE channel = ?1), ?2
               )";
    db.prepare_cached(sql)?.execute((channel.name(), id))?;
    Ok(())
}

fn provider(row: &Row<'_>) -> rusqlite::Result<ProviderRow> {
    Ok(ProviderRow {
        id: row.get("id")?,
        name: row.get("name")?,
        kind: row.get("kind")?,
        title: row.get("title")?,
    })
}
