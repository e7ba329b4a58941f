//! The policy and the classes: the tables `setting`, `class` and `class_setting`.

use twofa_core::{Class, Group};

use super::row_hashes::{NO_HASH, RowHash, SETTING, covered};
use super::{Db, Value, values};
use crate::error::StoreError;

/// A setting of the machine.
#[derive(Debug)]
pub(crate) struct HashedSetting {
    pub key: String,
    /// As an administrator writes it.
    pub value: String,
    pub hash: RowHash,
}

/// The machine's settings.
pub(crate) fn settings(db: &Db<'_>) -> Result<Vec<HashedSetting>, StoreError> {
    let sql = "SELECT key, value, seal FROM setting";
    db.query_all(sql, values![], |row| {
        Ok(HashedSetting {
            key: row.get("key")?,
            value: row.get("value")?,
            hash: RowHash::of(&SETTING, row)?,
        })
    })
}

/// Puts `settings` in the place of all that there are. They get their hashes afterwards.
pub(crate) fn replace_settings(
    db: &Db<'_>,
    settings: impl IntoIterator<Item = (impl AsRef<str>, String)>,
) -> Result<(), StoreError> {
    db.execute("DELETE FROM setting", values![])?;
    for (key, value) in settings {
        db.execute(
            "INSERT INTO setting (key, value, seal) VALUES (?1, ?2, ?3)",
            values![key.as_ref(), value, NO_HASH],
        )?;
    }
    Ok(())
}

/// The classes in their order. A hash covers the settings of its class, too.
pub(crate) fn classes(db: &Db<'_>) -> Result<Vec<(Class, RowHash)>, StoreError> {
    let mut classes: Vec<(Class, i64, Vec<u8>)> = Vec::new();
    let sql = "SELECT name, position, seal, unix_group, unix_gid, key, value
               FROM class LEFT JOIN class_setting ON class = name ORDER BY position, key";
    db.each_of_few(sql, values![], |row| {
        let name: String = row.get("name")?;
        if classes.last().is_none_or(|(class, ..)| class.name != name) {
            let group = Group {
                name: row.get("unix_group")?,
                gid: row.get("unix_gid")?,
            };
            let class = Class {
                name,
                group,
                settings: Vec::new(),
            };
            classes.push((class, row.get("position")?, row.get("seal")?));
        }
        let key: Option<String> = row.get("key")?;
        if let (Some(key), Some((class, ..))) = (key, classes.last_mut()) {
            class.settings.push((key, row.get("value")?));
        }
        Ok(())
    })?;
    let hashed = |(class, position, hash): (Class, i64, Vec<u8>)| {
        let covered = class_covered(&class, position);
        (class, RowHash { covered, hash })
    };
    Ok(classes.into_iter().map(hashed).collect())
}

/// What the hash of a class covers.
fn class_covered(class: &Class, position: i64) -> Vec<u8> {
    let gid = class.group.gid;
    let mut row = vec![
        Value::Text(class.name.as_bytes()),
        Value::Integer(position),
        Value::Text(class.group.name.as_bytes()),
        gid.map_or(Value::Null, |gid| Value::Integer(gid.into())),
    ];
    for (key, value) in &class.settings {
        row.push(Value::Text(key.as_bytes()));
        row.push(Value::Text(value.as_bytes()));
    }
    covered("class", &row)
}

/// Puts `classes` in the place of all that there are. They get their hashes afterwards.
pub(crate) fn replace_classes(db: &Db<'_>, classes: &[Class]) -> Result<(), StoreError> {
    db.execute("DELETE FROM class", values![])?;
    for (position, class) in (0_u32..).zip(classes) {
        let Group { name, gid } = &class.group;
        db.execute(
            "INSERT INTO class (name, position, unix_group, unix_gid, seal) VALUES (?1, ?2, ?3, ?4, ?5)",
            values![&class.name, position, name, gid, NO_HASH],
        )?;
        for (key, value) in &class.settings {
            db.execute(
                "INSERT INTO class_setting (class, key, value) VALUES (?1, ?2, ?3)",
                values![&class.name, key, value],
            )?;
        }
    }
    Ok(())
}
