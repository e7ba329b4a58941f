//! Words about where the store is.

use twofa_broker::admin::store::Moved;

pub(crate) const UPGRADED: &str = "The tables of the database are up to date.\n";

/// What was moved, and what is to be done next.
pub(crate) fn moved(tables: &[Moved]) -> String {
    let rows = |name| {
        let found = tables.iter().find(|moved| moved.table == name);
        found.map_or(0, |moved| moved.rows)
    };
    let (users, events) = (rows("user"), rows("event"));
    let all: u64 = tables.iter().map(|moved| moved.rows).sum();
    format!(
        "The store was moved: {users} users, {events} events, {all} rows in all. What it was moved from is closed.\n\
         Now run: systemctl restart twofad\n"
    )
}
