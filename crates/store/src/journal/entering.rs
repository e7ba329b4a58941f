//! How events that logins wrote to PostgreSQL come into the journal: one process at a time gives those that were committed a
//! number without gaps, and a leaf. If a login did that, all logins would wait for each other's commit.

use std::cell::RefCell;
use std::fmt::Write as _;

use twofa_core::{Account, Timestamp};

use super::leaf::{content, leaf_of};
use super::{JournalState, Value};
use crate::database::Store;
use crate::error::StoreError;
use crate::event::Origin;
use crate::record::SUMMED_UP_EVERY;
use crate::seal::SealingKey;
use crate::sql::Db;
use crate::sql::events::{self, JournalRow};
use crate::tx::Tx;

/// How many events are moved in one transaction.
const MOVED_AT_ONCE: u32 = 1_000;

impl Store {
    /// Gives the events that were written until now their place in the journal, and says how many there were. On SQLite all
    /// have it. Servers do this each second.
    pub fn enter_events(&self) -> Result<u64, StoreError> {
        let mut entered = 0;
        while self.is_on_server() {
            // Their times are their own.
            let now = Timestamp::from_unix(0);
            let more = self.change(&Origin::command_line(0), now, enter)?;
            entered += u64::from(more);
            if more < MOVED_AT_ONCE {
                break;
            }
        }
        Ok(entered)
    }
}

impl Store {
    /// How many events have no place in the journal yet, and could be changed by anyone with write access to the database.
    pub fn unentered_events(&self) -> Result<u64, StoreError> {
        if !self.is_on_server() {
            return Ok(0);
        }
        self.read(|view| events::count_written(view.db))
    }
}

fn enter(tx: &Tx<'_>) -> Result<u32, StoreError> {
    tx.db.lock("journal", "")?;
    let places = RefCell::new(Places::new(tx.db, tx.key, tx.journal)?);
    events::each_written(tx.db, MOVED_AT_ONCE, |row| places.borrow_mut().add(&row))?;
    let places = places.into_inner();
    if places.count == 0 {
        return Ok(0);
    }
    events::enter(tx.db, &format!("[{}]", places.list))?;
    for user in &places.to_sum_up {
        tx.sum_up_old(user)?;
    }
    Ok(places.count)
}

/// The places of some events, as [`events::enter`] takes them.
struct Places<'a> {
    key: &'a SealingKey,
    journal: &'a str,
    state: &'a JournalState,
    next: i64,
    count: u32,
    list: String,
    /// Of whom there may be too many.
    to_sum_up: Vec<Account>,
}

impl<'a> Places<'a> {
    fn new(db: &Db<'_>, key: &'a SealingKey, state: &'a JournalState) -> Result<Self, StoreError> {
        Ok(Self {
            key,
            journal: state.name(db)?,
            state,
            next: events::next_number(db)?,
            count: 0,
            list: String::new(),
            to_sum_up: Vec::new(),
        })
    }

    fn add(&mut self, row: &JournalRow<'_>) -> Result<(), StoreError> {
        let columns = row.columns()?;
        let (written, number) = (row.number, self.next);
        if number % SUMMED_UP_EVERY == 0 {
            self.to_sum_up.extend(user(&columns));
        }
        let separator = if self.count == 0 { "" } else { "," };
        let start = format!("{separator}{{\"written\":{written},\"number\":{number},\"leaf\":\"");
        self.list.push_str(&start);
        for byte in leaf_of(self.key, self.journal, number, &content(columns)) {
            let _ = write!(self.list, "{byte:02x}");
        }
        self.list.push_str("\"}");
        self.state.note(number);
        self.next += 1;
        self.count += 1;
        Ok(())
    }
}

fn user(columns: &[(&'static str, Value<'_>)]) -> Option<Account> {
    let find = |wanted| {
        columns
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| *value)
    };
    match (find("name")?, find("uid")?) {
        (Value::Text(name), Value::Integer(uid)) => Some(Account {
            name: String::from_utf8(name.to_vec()).ok()?,
            uid: uid.try_into().ok()?,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::testing::{Bench, alice, origin};
    use crate::{EventFilter, LoggedEvent};
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn of_two_servers_that_enter_events_at_once_each_event_gets_one_place() {
        let bench = Bench::new();
        let stores = [
            Arc::new(bench.create()),
            Arc::new(Store::open(bench.location.clone()).unwrap()),
        ];
        let now = bench.now;
        let workers = (0..8).map(|number| {
            let store = stores[number % 2].clone();
            thread::spawn(move || {
                for _ in 0..25 {
                    let recorded = store.record(Some(&alice()), &Event::UserAdded, &origin(), now);
                    recorded.unwrap();
                    store.enter_events().unwrap();
                }
            })
        });
        let workers: Vec<_> = workers.collect();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(stores[0].unentered_events().unwrap(), 0);
        let mut numbers = Vec::new();
        let each = |logged: LoggedEvent| {
            numbers.push(logged.id);
            true
        };
        stores[1].events(&EventFilter::default(), each).unwrap();
        assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
        let log = crate::journal::SystemLog::default();
        assert_eq!(stores[0].verify_log(&log, None).unwrap().findings, []);
    }

    #[test]
    fn an_event_waits_for_its_place_on_postgresql_and_has_it_at_once_in_a_file() {
        let bench = Bench::new();
        let store = bench.create();
        let recorded = store.record(None, &Event::Reset, &origin(), bench.now);
        recorded.unwrap();
        let waiting = u64::from(store.is_on_server());
        assert_eq!(store.unentered_events().unwrap(), waiting);
        store.enter_events().unwrap();
        assert_eq!(store.unentered_events().unwrap(), 0);
    }
}
