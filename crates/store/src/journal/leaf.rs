//! The leaf of an event: a keyed hash of the journal, its number and what is stored of it.

use crate::seal::{HASH_BYTES, SealingKey};

const LEAF: &str = "leaf of the journal";

/// A stored value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a [u8]),
}

/// The leaf of event `number`, of which these columns are stored.
pub(crate) fn leaf<'a>(
    key: &SealingKey,
    journal: &str,
    number: i64,
    columns: impl IntoIterator<Item = (&'static str, Value<'a>)>,
) -> [u8; HASH_BYTES] {
    leaf_of(key, journal, number, &content(columns))
}

/// The leaf of event `number` with this [`content`].
pub(crate) fn leaf_of(
    key: &SealingKey,
    journal: &str,
    number: i64,
    content: &[u8],
) -> [u8; HASH_BYTES] {
    let parts = [journal.as_bytes(), &number.to_be_bytes(), content];
    key.keyed_hash(LEAF, &parts)
}

/// Columns as bytes. One that is NULL adds nothing, so that later versions can add some.
pub(crate) fn content<'a>(columns: impl IntoIterator<Item = (&'static str, Value<'a>)>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    for (name, value) in columns {
        match value {
            Value::Null => {}
            Value::Integer(value) => frame(&mut bytes, name, 1, &value.to_be_bytes()),
            Value::Text(value) => frame(&mut bytes, name, 2, value),
        }
    }
    bytes
}

/// Appends `value` of the column `name`, with their lengths, so that no two lists of columns give the same bytes.
fn frame(bytes: &mut Vec<u8>, name: &str, kind: u8, value: &[u8]) {
    let length = |part: &[u8]| u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes();
    bytes.extend_from_slice(&length(name.as_bytes()));
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(&length(value));
    bytes.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::KEY_BYTES;

    #[test]
    fn a_leaf_differs_with_key_journal_number_and_every_column() {
        let (key, other) = (
            SealingKey::new(&[7; KEY_BYTES]),
            SealingKey::new(&[8; KEY_BYTES]),
        );
        let columns = |at, name, host| {
            [
                ("at", Value::Integer(at)),
                ("name", name),
                ("remote_host", host),
            ]
        };
        let (alice, host) = (Value::Text(b"alice"), Value::Text(b"192.0.2.7"));
        let leaves = [
            leaf(&key, "a", 1, columns(1, alice, host)),
            leaf(&other, "a", 1, columns(1, alice, host)),
            leaf(&key, "b", 1, columns(1, alice, host)),
            leaf(&key, "a", 2, columns(1, alice, host)),
            leaf(&key, "a", 1, columns(2, alice, host)),
            leaf(&key, "a", 1, columns(1, host, alice)),
            leaf(&key, "a", 1, columns(1, Value::Null, host)),
            leaf(&key, "a", 1, columns(1, Value::Text(b""), host)),
        ];
        for (i, one) in leaves.iter().enumerate() {
            assert!(!leaves[..i].contains(one), "{i}");
        }
    }

    #[test]
    fn a_column_that_a_later_version_adds_changes_no_leaf_while_it_is_null() {
        let key = SealingKey::new(&[7; KEY_BYTES]);
        let at = ("at", Value::Integer(1));
        let added = ("login_uid", Value::Null);
        assert_eq!(leaf(&key, "a", 1, [at]), leaf(&key, "a", 1, [at, added]));
    }
}
