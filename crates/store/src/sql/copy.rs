//! All rows of a store, from one engine to another.

use super::{Db, Sql, Value, values};
use crate::error::StoreError;

/// How many rows of a table were moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The name of the table.
    pub table: &'static str,
    /// The number of its rows.
    pub rows: u64,
}

/// A table, in both engines.
#[derive(Debug)]
pub(crate) struct Table {
    pub name: &'static str,
    columns: &'static str,
    /// Numbers of rows are never given again.
    has_numbers: bool,
}

const fn table(name: &'static str, columns: &'static str) -> Table {
    Table {
        name,
        columns,
        has_numbers: false,
    }
}

const fn numbered(name: &'static str, columns: &'static str) -> Table {
    Table {
        has_numbers: true,
        ..table(name, columns)
    }
}

/// Each after those that it refers to.
pub(crate) static TABLES: [Table; 47] = [
    table("setting", "key, value, seal"),
    table("class", "name, position, unix_group, unix_gid, seal"),
    table("class_setting", "class, key, value"),
    numbered(
        "exemption",
        "id, name, uid, unix_group, unix_gid, network, service, reason, granted_by, granted_at, until, seal",
    ),
    numbered(
        "user",
        "id, name, uid, required, verify, email, email_verified, email_by_owner, phone, phone_verified, phone_by_owner,
         preferred, attempts, cleared_through, locked_until, generation, passed_at, codes_shown_at, passed_event",
    ),
    table("unproved", "user, attempts, cleared_through, locked_until"),
    numbered(
        "app",
        "id, user, label, period, algorithm, digits, key, used, enrolled_at",
    ),
    table(
        "pending_app",
        "user, period, algorithm, digits, key, shown_to, made_at",
    ),
    table("backup_set", "user, salt, memory_kib, passes"),
    table("backup_code", "user, digest"),
    numbered(
        "security_key",
        "id, user, label, identity, fingerprint, enrolled_at, confirmed_at, without_touch",
    ),
    numbered("trust_lowering", "id, kind, class, seconds"),
    numbered(
        "ticket",
        "id, number, boot, pid, start, parent, parent_start, name, uid, is_confirmed, at, login",
    ),
    table("confirming_service", "service, at"),
    numbered(
        "session",
        "id, name, uid, boot, pid, start, login_uid, service, remote_host, remote_user, terminal, proof, keys, code_at,
         started_at, until, scope, closed_at, ended_at, conversation, reported, end_order, machine",
    ),
    numbered(
        "send",
        "id, at, name, uid, address, is_notice, is_sms, is_verified, place, host",
    ),
    table("sms_alarm", "what, at"),
    numbered("unproved_change", "id, at, name, uid"),
    numbered("provider", "id, name, kind, title, created_at, changed_at"),
    table("provider_setting", "provider, key, value, sealed"),
    table("channel_provider", "channel, position, provider"),
    table("provider_version", "id, version"),
    numbered(
        "notice",
        "id, name, uid, channel, address, kind, fields, what, source, place, at, due_at, tries",
    ),
    table(
        "event",
        "id, leaf, at, kind, fields, detail, name, uid, actor, login_uid, source, service, remote_host, remote_user, terminal,
         unsynced, host",
    ),
    table(
        "host",
        "id, name, services, may_enrol, added_at, token, token_until, key, key_until, joined_at, seen_at, previous_key, previous_until,
         renewals, copied_at, people, version, people_alarm_at, cut_off_at, unlocked_at, join_key, lives, heard_at, used_token,
         joined_from, joined_key, seal, ca_version, issuer",
    ),
    numbered(
        "device",
        "id, user, kind, hash, label, service, generation, password, granted_at, until, used_at, lowering, class, host",
    ),
    table(
        "join_key",
        "name, digest, names, services, people, may_enrol, uses, hourly, host_lives, added_at, until, used, used_at, hour_at,
         hour_used, seal",
    ),
    table(
        "fleet_server",
        "id, name, addresses, added_at, token, token_until, package, joined_at, seen_at, sealing_keys, authorities,
         counters",
    ),
    table("invitation", "user, digest, made_at, until, used_at"),
    table("host_person", "host, name, uid, asked_at"),
    table(
        "host_attempts",
        "user, host, attempts, cleared_through, locked_until, passes, passed_at, wrong_at",
    ),
    table(
        "conversation",
        "id, host, account, login, state, number, hash, verdict, reply, is_over, until",
    ),
    numbered(
        "host_session",
        "id, host, conversation, number, name, uid, service, remote_host, remote_user, terminal, method, started_at, ended_at,
         end_order",
    ),
    numbered("host_order", "id, host, asked_at, confirmed_at"),
    table("server_order", "id, received_at"),
    table(
        "rescue_set",
        "number, host, salt, memory_kib, passes, codes, digests, made_at, confirmed_at, shown, shown_at, used_at",
    ),
    numbered(
        "own_rescue_set",
        "id, number, salt, memory_kib, passes, digests, used",
    ),
    table("own_rescue_guard", "name, uid, wrong"),
    numbered("own_rescue_use", "id, name, uid, service, at"),
    table(
        "joined_fleet",
        "id, fleet, host, name, joined_at, servers, certificate, key, next_key, ca_version, servers_ca, hosts_ca, ca_renew_at",
    ),
    numbered(
        "ca_rotation",
        "id, servers, hosts, started_at, opened_at, finished_at, kept_until",
    ),
    table("fleet_policy", "id, version, since, rules"),
    table("policy_version", "id, version, seal"),
    table("sealing_key", "id, number"),
    table("dropped_event", "id, leaf, instead"),
    table("journal", "id, pruned_at"),
    table(
        "checkpoint",
        "number, first, last, count, at, latest_event_at, root, previous, link, seal",
    ),
];

/// Puts all that is in `from` in the place of what is in `to`, and says how much that was.
pub(crate) fn copy(from: &Db<'_>, to: &Db<'_>) -> Result<Vec<Moved>, StoreError> {
    for table in TABLES.iter().rev() {
        to.execute(&format!("DELETE FROM {}", table.name), values![])?;
    }
    let mut moved = Vec::new();
    for table in &TABLES {
        moved.push(Moved {
            table: table.name,
            rows: copy_table(from, to, table)?,
        });
        if table.has_numbers {
            set_last_number(to, table.name, last_number(from, table.name)?)?;
        }
    }
    // PostgreSQL: events go on behind all that are known.
    if to.as_sqlite().is_none() {
        let sql = "SELECT greatest((SELECT max(written) FROM event), (SELECT max(passed_event) FROM user), 1) AS last";
        let last = to.query_one(sql, values![], |row| row.get("last"))?;
        set_last_number(to, "new_event", last)?;
    }
    Ok(moved)
}

pub(crate) fn count(db: &Db<'_>, table: &Table) -> Result<Moved, StoreError> {
    let sql = format!("SELECT count(*) AS rows_in_it FROM {}", table.name);
    let rows = db.query_one(&sql, values![], |row| row.get("rows_in_it"))?;
    Ok(Moved {
        table: table.name,
        rows,
    })
}

fn copy_table(from: &Db<'_>, to: &Db<'_>, table: &Table) -> Result<u64, StoreError> {
    let Table { name, columns, .. } = *table;
    let number = columns.split(',').count();
    let parameters: Vec<_> = (1..=number).map(|it| format!("?{it}")).collect();
    let parameters = parameters.join(", ");
    let insert = format!("INSERT INTO {name} ({columns}) VALUES ({parameters})");
    let (read, with_origin) = (
        format!("SELECT {columns} FROM {name}"),
        format!("INSERT INTO {name} ({columns}, written) VALUES ({parameters}, ?1)"),
    );
    // In a file, an event was written under its number in the journal.
    let (read_server, insert_on_server) = match name {
        "user" => (read.replace("passed_event", PASSED_EVENT), &insert),
        "event" => (read.clone(), &with_origin),
        _ => (read.clone(), &insert),
    };
    let mut rows = 0;
    from.each(Sql::new(&read, &read_server), values![], |row| {
        rows += 1;
        let values = (0..number).map(|index| row.value(index));
        let values: Vec<Value<'_>> = values.collect::<Result<_, _>>()?;
        to.execute(Sql::new(&insert, insert_on_server), &values)?;
        Ok(true)
    })?;
    Ok(rows)
}

/// The number in the journal of the event that a user's last login was written under, or of the last one before.
const PASSED_EVENT: &str =
    "coalesce((SELECT max(event.id) FROM event WHERE event.written <= passed_event), 0)";

/// The highest number that was ever given to a row.
fn last_number(db: &Db<'_>, table: &str) -> Result<i64, StoreError> {
    let highest = format!("SELECT coalesce(max(id), 0) AS last FROM {table}");
    let highest: i64 = db.query_one(&highest, values![], |row| row.get("last"))?;
    let sql = Sql::new(
        "SELECT seq AS last FROM sqlite_sequence WHERE name = ?1",
        "SELECT coalesce(pg_sequence_last_value(CAST(pg_get_serial_sequence(quote_ident(?1), 'id') AS regclass)), 0) AS last",
    );
    let given = db.query_opt(sql, values![table], |row| row.get("last"))?;
    Ok(given.unwrap_or(0).max(highest))
}

fn set_last_number(db: &Db<'_>, table: &str, last: i64) -> Result<(), StoreError> {
    if db.as_sqlite().is_none() {
        let sql = "SELECT setval(CAST(pg_get_serial_sequence(quote_ident(?1), 'id') AS regclass), greatest(?2, 1))";
        return db.exists(sql, values![table, last]).map(drop);
    }
    db.execute(
        "DELETE FROM sqlite_sequence WHERE name = ?1",
        values![table],
    )?;
    let sql = "INSERT INTO sqlite_sequence (name, seq) SELECT ?1, ?2
               WHERE EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1 AND sql LIKE '%AUTOINCREMENT%')";
    db.execute(sql, values![table, last]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn every_table_and_column_is_moved() {
        let bench = Bench::on_file();
        let store = bench.create();
        let sql = "SELECT m.name AS name, group_concat(c.name) AS columns
                   FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c
                   WHERE m.type = 'table' AND m.name <> 'sqlite_sequence' GROUP BY m.name";
        let found = store.read(|view| {
            view.db.query_all(sql, values![], |row| {
                Ok((row.get::<String>("name")?, row.get::<String>("columns")?))
            })
        });
        for (name, columns) in found.unwrap() {
            let table = TABLES.iter().find(|table| table.name == name);
            let table = table.unwrap_or_else(|| panic!("{name} is not moved"));
            let mut moved: Vec<_> = table.columns.split(',').map(str::trim).collect();
            let mut there: Vec<_> = columns.split(',').collect();
            moved.sort_unstable();
            there.sort_unstable();
            assert_eq!(moved, there, "{name}");
        }
    }
}
