//! Reading the audit log: the statement that a filter stands for.

use ipnet::IpNet;
use twofa_core::address::parse_address;
use twofa_core::exemption::contains;

use super::{Db, Row, Sql, journal, values};
use crate::error::StoreError;
use crate::event::EventFilter;
use crate::event::{FleetHost, LoggedEvent, LoginOrigin, Origin, Record, Source};

/// Passes the events that `filter` lets through to `each`, oldest first, until it returns `false`.
pub(crate) fn each(
    db: &Db<'_>,
    filter: &EventFilter,
    mut each: impl FnMut(LoggedEvent) -> bool,
) -> Result<(), StoreError> {
    let Some(most) = filter.last else {
        return each_in_order(db, filter, "ASC", each);
    };
    let mut last = Vec::new();
    each_in_order(db, filter, "DESC", |event| {
        if last.len() < most as usize {
            last.push(event);
        }
        last.len() < most as usize
    })?;
    last.into_iter().rev().all(&mut each);
    Ok(())
}

fn each_in_order(
    db: &Db<'_>,
    filter: &EventFilter,
    order: &str,
    mut each: impl FnMut(LoggedEvent) -> bool,
) -> Result<(), StoreError> {
    let EventFilter {
        user,
        last: _,
        after,
        since,
        until,
        kinds,
        service,
        host,
        from,
    } = filter;
    // The checkpoints are an index by time, so that no event needs an entry in one.
    let after = match since {
        Some(since) => (*after).max(Some(journal::first_since(db, *since)? - 1)),
        None => *after,
    };
    let kinds = (!kinds.is_empty()).then(|| serde_json::Value::from(kinds.clone()).to_string());
    let after = after.unwrap_or(i64::MIN);
    let since = since.map_or(i64::MIN, twofa_core::Timestamp::unix);
    let until = until.map_or(i64::MAX, twofa_core::Timestamp::unix);
    let values = values![after, since, until, kinds, service, user, host];
    let sqlite = select(user.is_some(), "SELECT value FROM json_each(?4)", order);
    let list = "SELECT json_array_elements_text(CAST(?4 AS json))";
    let postgres = select(user.is_some(), list, order);
    db.each(Sql::new(&sqlite, &postgres), values, |row| {
        // Before the rest of the row is read: it may be one of a million that are not from there.
        let host: Option<String> = match from {
            Some(_) => row.get("remote_host")?,
            None => None,
        };
        let is_wanted = from.is_none_or(|network| is_from(host.as_deref(), network));
        Ok(!is_wanted || each(logged(row)?))
    })
}

fn select(has_user: bool, kinds: &str, order: &str) -> String {
    // An index is used only for what a statement always compares.
    let user_matches = if has_user {
        "name = ?6"
    } else {
        "CAST(?6 AS TEXT) IS NULL"
    };
    format!(
        "SELECT id, at, kind, fields, detail, name, actor, login_uid, source, service, remote_host, remote_user, terminal,
                host
         FROM event
         WHERE {user_matches} AND id > ?1 AND at >= ?2 AND at < ?3
           AND (CAST(?4 AS TEXT) IS NULL OR kind IN ({kinds}))
           AND (CAST(?5 AS TEXT) IS NULL OR service = ?5 OR (?5 = 'twofa' AND source = 'command-line'))
           AND (CAST(?7 AS TEXT) IS NULL OR coalesce(host, '') = ?7)
         ORDER BY id {order}"
    )
}

/// Whether a login came from an address in `network`. What comes from a name, or from nowhere, does not.
fn is_from(host: Option<&str>, network: IpNet) -> bool {
    let address = host.and_then(parse_address);
    address.is_some_and(|address| contains(network, address))
}

fn logged(row: &Row<'_>) -> Result<LoggedEvent, StoreError> {
    let kind: String = row.get("kind")?;
    let login = LoginOrigin {
        service: row.get("service")?,
        remote_host: row.get("remote_host")?,
        remote_user: row.get("remote_user")?,
        terminal: row.get("terminal")?,
    };
    Ok(LoggedEvent {
        id: row.get("id")?,
        at: row.get("at")?,
        user: row.get("name")?,
        origin: Origin {
            actor: row.get("actor")?,
            login_uid: row.get("login_uid")?,
            source: Source::stored(&row.get::<String>("source")?, login),
            host: row
                .get::<Option<String>>("host")?
                .map(|name| Box::new(FleetHost::on_record(name))),
        },
        record: Record::read(&kind, row.get("fields")?, row.get("detail")?),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn the_events_of_a_user_are_found_by_their_index() {
        let bench = Bench::on_file();
        let store = bench.create();
        for order in ["ASC", "DESC"] {
            let plan = store.read(|view| {
                let sql = format!(
                    "EXPLAIN QUERY PLAN {}",
                    select(true, "SELECT value FROM json_each(?4)", order)
                );
                let mut statement = view.db.as_sqlite().unwrap().prepare(&sql)?;
                let mut steps = statement.raw_query();
                let step = steps.next()?.map(|row| row.get::<_, String>("detail"));
                Ok(step.transpose()?)
            });
            let plan = plan.unwrap().unwrap();
            assert!(plan.contains("INDEX event_of_user (name=? AND"), "{plan}");
        }
    }
}
