//! Going on with a database that has gone back: what it forgot counts as having happened.

use twofa_core::app::WINDOW_STEPS;
use twofa_core::{Account, DeviceKind, Duration, Timestamp};

use crate::backing::Backing;
use crate::database::Store;
use crate::error::StoreError;
use crate::event::{Event, Origin};
use crate::location::Location;
use crate::model::mark::Mark;
use crate::seal::SealingKey;
use crate::sql::fleet::Host;
use crate::sql::postgres::marks;
use crate::sql::postgres::pool::Pool;
use crate::sql::postgres::schema;
use crate::sql::postgres::watch::Watch;
use crate::sql::{apps, backup_codes, conversations, devices, fleet, sessions, tickets};
use crate::tx::View;

/// A database that has gone back, and what is in it that may have been used, changed or removed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    /// The last mark in the database; `None`: it has none.
    pub last: Option<Mark>,
    /// The last one that this machine has seen; `None`: the database did not go back as far as this machine knows.
    pub lost: Option<Mark>,
    /// The users with backup codes, some of which may have been used.
    pub backup_codes: Vec<Account>,
    /// The users with tokens that count, of which codes may have been used.
    pub tokens: Vec<Account>,
    /// The hosts that may log people in, some of which may have been removed.
    pub hosts: Vec<Host>,
}

impl Store {
    /// Opens a store on a server although its database has gone back.
    pub fn open_to_resume(location: Location) -> Result<Self, StoreError> {
        let address = location.read_server()?;
        let address = address.ok_or(StoreError::NotOnServer)?;
        let key = SealingKey::of(&location.read_keys()?, Some(location.clone()));
        let pool = Pool::open(address)?;
        pool.view(schema::check)?;
        let pool = pool.watched_by(Watch::without_marks());
        Ok(Self::on(location, key, Backing::Server(pool)))
    }

    /// What is to be decided before [`Store::resume`].
    pub fn setback(&self) -> Result<Setback, StoreError> {
        let seen = self.last_mark()?;
        self.read(|view| setback(view, seen.clone()))
    }

    /// Has the database count as the right one: each step up to `now`, and the next, counts as used, tokens that count must
    /// show two codes in a row, no device is trusted, and no app is pending.
    pub fn resume(&self, origin: &Origin, now: Timestamp) -> Result<Setback, StoreError> {
        let seen = self.last_mark()?;
        let setback = self.change(origin, now, |tx| {
            let setback = setback(tx, seen.clone())?;
            let until = setback.lost.as_ref().map_or(now, |lost| lost.at.max(now));
            marks::resume(tx.db, until)?;
            apps::use_up(tx.db, now, WINDOW_STEPS)?;
            apps::suspect_tokens(tx.db)?;
            apps::delete_everybodys_pending(tx.db)?;
            conversations::delete_all(tx.db)?;
            tickets::forget_grants(tx.db, None)?;
            sessions::forget_codes(tx.db, None)?;
            for kind in DeviceKind::all() {
                devices::shorten(tx.db, kind, None, Duration::from_seconds(0))?;
            }
            let since = setback.last.as_ref().map(|last| last.at.unix());
            tx.record(None, &Event::FleetResumed { since })?;
            Ok(setback)
        })?;
        self.give_mark(now)?;
        Ok(setback)
    }
}

fn setback(view: &View<'_>, seen: Option<Mark>) -> Result<Setback, StoreError> {
    let is_known = |mark: &Mark| marks::is_known(view.db, mark);
    let lost = match seen {
        Some(mark) if !is_known(&mark)? => Some(mark),
        _ => None,
    };
    let hosts = fleet::all(view.db)?;
    Ok(Setback {
        last: marks::last(view.db)?,
        lost,
        backup_codes: backup_codes::owners(view.db)?,
        tokens: apps::owners_of_tokens(view.db)?,
        hosts: hosts
            .into_iter()
            .filter(|host| host.joined_at.is_some())
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempts::{CodeAttempt, CodeOutcome, CodeProof, Tally};
    use crate::event::RefusalReason;
    use crate::model::ticket::Settlement;
    use crate::testing::postgres::{Database, Server};
    use crate::testing::{Bench, alice, origin};

    /// A store of which there is a backup, and in which a mark was given and a code was used since.
    struct Restored {
        bench: Bench,
        _server: Server,
    }

    impl Restored {
        fn new() -> Self {
            let server = Server::start(&[]);
            let database = Database::create(server.folder.path().to_owned());
            let bench = Bench::in_database(database);
            let store = bench.create();
            bench.enrol(&store, &alice(), "phone");
            store.give_mark(bench.now).unwrap();
            drop(store);
            bench.database.as_ref().unwrap().back_up();

            let store = Store::open(bench.location.clone()).unwrap();
            assert!(passes(&store, bench.now));
            assert!(!passes(&store, bench.now), "a code works once");
            store.give_mark(bench.now.after(1)).unwrap();
            Self {
                bench,
                _server: server,
            }
        }

        fn restore(&self) {
            self.bench.database.as_ref().unwrap().restore();
        }
    }

    /// Whether alice passes with the code of this time.
    fn passes(store: &Store, now: Timestamp) -> bool {
        let (account, origin) = (alice(), origin());
        let known = store.snapshot(&account).unwrap();
        let attempt = CodeAttempt {
            account: &account,
            tally: Tally::Proved,
            origin: &origin,
            known: &known,
            settlement: Settlement::Now(None),
        };
        let count = now.unix().unsigned_abs() / 30;
        let tried = store.try_code(attempt, now, |user| {
            let app = &user.apps[0];
            if app.app.used.is_none_or(|used| used < count) {
                Ok(CodeProof::App { app: app.id, count })
            } else {
                Err(RefusalReason::Replayed)
            }
        });
        matches!(tried.unwrap(), CodeOutcome::Right(_))
    }

    fn assert_went_back<T: std::fmt::Debug>(result: Result<T, StoreError>) {
        let error = result.unwrap_err();
        assert!(matches!(error, StoreError::WentBack(_)), "{error:?}");
    }

    #[test]
    fn a_restored_database_serves_nobody_until_it_is_resumed_and_then_no_used_code() {
        let restored = Restored::new();
        let (bench, now) = (&restored.bench, restored.bench.now);
        let running = Store::open(bench.location.clone()).unwrap();
        running.give_mark(now.after(2)).unwrap();
        restored.restore();

        assert_went_back(running.snapshot(&alice()));
        assert_went_back(running.set_required(&alice(), true, &origin(), now));
        assert_went_back(running.give_mark(now.after(3)));
        assert_went_back(Store::open(bench.location.clone()));

        let store = Store::open_to_resume(bench.location.clone()).unwrap();
        let setback = store.setback().unwrap();
        assert_eq!(setback.last.map(|last| last.at), Some(now));
        assert_eq!(setback.lost.map(|lost| lost.at), Some(now.after(2)));
        store.resume(&origin(), now.after(5)).unwrap();
        assert_eq!(store.setback().unwrap().lost, None);

        assert!(!passes(&running, now), "it was used before");
        assert!(!passes(&running, now.after(30)), "it may have been");
        assert!(passes(&running, now.after(60)));
        assert!(Store::open(bench.location.clone()).is_ok());
        let log = Bench::log(&running);
        let since = Some(now.unix());
        assert!(log.contains(&Event::FleetResumed { since }), "{log:?}");
    }

    #[test]
    fn a_database_without_any_mark_has_gone_back_as_well() {
        let restored = Restored::new();
        let bench = &restored.bench;
        let store = Store::open(bench.location.clone()).unwrap();
        Bench::execute(&store, "DELETE FROM mark");
        assert_went_back(store.snapshot(&alice()));
        assert_went_back(Store::open(bench.location.clone()));
    }

    #[test]
    fn a_host_s_mark_that_the_database_lacks_is_refused_and_older_ones_are_not() {
        let restored = Restored::new();
        let (bench, now) = (&restored.bench, restored.bench.now);
        let store = Store::open(bench.location.clone()).unwrap();
        let seen = store.last_mark().unwrap().unwrap();
        store.give_mark(now.after(2)).unwrap();
        store.check_mark(&seen).unwrap();
        let forged = Mark {
            value: [1; 16],
            ..seen.clone()
        };
        assert_went_back(store.check_mark(&forged));
        restored.restore();
        // A server that never saw the database before.
        std::fs::remove_file(bench.location.mark()).unwrap();
        let store = Store::open(bench.location.clone()).unwrap();
        store.give_mark(now.after(9)).unwrap();
        assert_went_back(store.check_mark(&seen));
        store.resume(&origin(), now.after(9)).unwrap();
        store.check_mark(&seen).unwrap();
    }

    #[test]
    fn two_primaries_that_count_equally_fast_are_told_apart() {
        let restored = Restored::new();
        let (bench, now) = (&restored.bench, restored.bench.now);
        let store = Store::open(bench.location.clone()).unwrap();
        let seen = store.last_mark().unwrap().unwrap();
        restored.restore();
        std::fs::remove_file(bench.location.mark()).unwrap();
        let other = Store::open(bench.location.clone()).unwrap();
        while other
            .last_mark()
            .unwrap()
            .is_none_or(|mark| mark.number < seen.number)
        {
            other.give_mark(now.after(1)).unwrap();
        }
        assert_went_back(other.check_mark(&seen));
        assert_went_back(store.snapshot(&alice()));
    }

    #[test]
    fn a_process_that_could_not_give_its_mark_for_five_seconds_serves_nobody() {
        use std::time::{Duration, Instant};
        let watch = Watch::without_marks();
        let now = Instant::now();
        watch.check_given(now).unwrap();
        watch.note_given(now);
        watch.check_given(now + Duration::from_secs(5)).unwrap();
        let silent = watch.check_given(now + Duration::from_millis(5_001));
        assert!(matches!(silent, Err(StoreError::NoMark)), "{silent:?}");
    }
}
