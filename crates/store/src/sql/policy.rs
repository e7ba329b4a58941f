//! The policy and the classes: the tables `setting`, `class` and `class_setting`.

use twofa_core::{Class, Group};

use super::{Db, values};
use crate::error::StoreError;

/// The machine's settings: keys and values as an administrator writes them.
pub(crate) fn settings(db: &Db<'_>) -> Result<Vec<(String, String)>, StoreError> {
    db.query_all("SELECT key, value FROM setting", values![], |row| {
        Ok((row.get("key")?, row.get("value")?))
    })
}

/// Puts `settings` in the place of all that there are.
pub(crate) fn replace_settings(
    db: &Db<'_>,
    settings: impl IntoIterator<Item = (impl AsRef<str>, String)>,
) -> Result<(), StoreError> {
    db.execute("DELETE FROM setting", values![])?;
    for (key, value) in settings {
        db.execute(
            "INSERT INTO setting (key, value) VALUES (?1, ?2)",
            values![key.as_ref(), value],
        )?;
    }
    Ok(())
}

/// The classes in their order.
pub(crate) fn classes(db: &Db<'_>) -> Result<Vec<Class>, StoreError> {
    let mut classes: Vec<Class> = Vec::new();
    let sql = "SELECT name, unix_group, unix_gid, key, value
               FROM class LEFT JOIN class_setting ON class = name ORDER BY position, key";
    db.each_of_few(sql, values![], |row| {
        let name: String = row.get("name")?;
        if classes.last().is_none_or(|class| class.name != name) {
            let group = Group {
                name: row.get("unix_group")?,
                gid: row.get("unix_gid")?,
            };
            classes.push(Class {
                name,
                group,
                settings: Vec::new(),
            });
        }
        let key: Option<String> = row.get("key")?;
        if let (Some(key), Some(class)) = (key, classes.last_mut()) {
            class.settings.push((key, row.get("value")?));
        }
        Ok(())
    })?;
    Ok(classes)
}

/// Puts `classes` in the place of all that there are.
pub(crate) fn replace_classes(db: &Db<'_>, classes: &[Class]) -> Result<(), StoreError> {
    db.execute("DELETE FROM class", values![])?;
    for (position, class) in (0_u32..).zip(classes) {
        let Group { name, gid } = &class.group;
        db.execute(
            "INSERT INTO class (name, position, unix_group, unix_gid) VALUES (?1, ?2, ?3, ?4)",
            values![&class.name, position, name, gid],
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
