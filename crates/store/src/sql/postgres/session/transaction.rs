//! The beginning and the end of a transaction, each one round trip, with what is asked and written in it as far as that is known
//! then.

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::Poll;

use super::Session;
use crate::error::StoreError;
use crate::sql::Ahead;
use crate::sql::postgres::fitness::{Demands, Found};

impl Session {
    /// Begins a transaction, in which nothing is demanded of the database.
    pub(in crate::sql::postgres) fn begin(&self, begin: &str) -> Result<(), StoreError> {
        self.forget_transaction();
        self.batch(begin)
    }

    /// Begins a transaction, checks in it that the database is fit for it, and asks what is wanted `ahead`, all in one round trip.
    pub(in crate::sql::postgres) fn begin_fit(
        &self,
        begin: &str,
        demands: &Demands,
        ahead: &[Ahead],
    ) -> Result<Found, StoreError> {
        // Nothing after one that must be asked later: what is locked comes first.
        let ahead = ahead.iter().take_while(|ahead| self.is_ready(ahead.sql()));
        let ahead: Vec<_> = ahead.cloned().collect();
        let asked = self.questions(&ahead)?;
        self.forget_transaction();
        let before = demands.clock.map(|clock| clock());
        let answers = demands.with_parameters(|values| {
            let begin = self.sent_batch(begin);
            let asked = asked.iter().map(|asked| self.sent_question(asked, values));
            self.run_all([begin].into_iter().chain(asked).collect())
        })?;
        let mut answers = answers.into_iter().map(|answer| self.outcome(answer));
        answers.next().unwrap_or(Err(StoreError::Unanswered))?;
        let (mut found, mut known) = (None, Vec::new());
        for (asked, rows) in asked.iter().zip(answers) {
            if asked.is_about_fitness {
                let rows = rows?;
                let row = rows.first().ok_or(StoreError::ReadOnly)?;
                found = Some(demands.check(row, before)?);
                self.rules_version.set(Some(row.try_get("rules_version")?));
                known.extend(asked.answers(Ok(rows)));
            } else {
                known.extend(asked.answers(rows));
            }
        }
        self.answers.set(known);
        found.ok_or(StoreError::Unanswered)
    }

    fn forget_transaction(&self) {
        self.has_failed.set(false);
        self.is_in_transaction.set(true);
        self.rules_version.set(None);
        self.answers.forget();
        self.later.borrow_mut().clear();
    }

    /// The version of the rules when the transaction began.
    pub(crate) const fn rules_version(&self) -> Option<i64> {
        self.rules_version.get()
    }

    /// Commits a transaction, with what waits to be sent. On any error it may have been committed nevertheless; who waits for it
    /// is refused.
    pub(in crate::sql::postgres) fn commit(&self) -> Result<(), StoreError> {
        if self.has_failed.get() {
            self.roll_back();
            return Err(StoreError::Other("a statement of it had failed".to_owned()));
        }
        self.has_warned.store(false, Ordering::Relaxed);
        // If a statement before it fails, PostgreSQL rolls back instead.
        self.send_later(Some("COMMIT"))?;
        // It was committed here, but the standby does not have it.
        if self.has_warned.load(Ordering::Relaxed) {
            self.is_broken.set(true);
            return Err(StoreError::Unanswered);
        }
        self.is_in_transaction.set(false);
        Ok(())
    }

    /// Sends what waits, and `end` after it. The error is the first one's.
    pub(super) fn send_later(&self, end: Option<&str>) -> Result<(), StoreError> {
        let later = self.later.take();
        if later.is_empty() && end.is_none() {
            return Ok(());
        }
        let sent = later
            .iter()
            .map(|later| self.sent(&later.statement, later.values.as_values().collect()));
        let end = end.map(|end| self.sent_batch(end));
        let answers = self.run_all(sent.chain(end).collect())?;
        let mut failed = None;
        let mut later = later.iter();
        for answer in answers {
            let later = later.next();
            if let Err(error) = answer {
                self.note(&error);
                failed.get_or_insert_with(|| match later {
                    Some(later) => later.error(error),
                    None => error.into(),
                });
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Undoes a transaction that has not been committed. If that fails, the connection is not used again, which undoes it as
    /// well.
    pub(in crate::sql::postgres) fn roll_back(&self) {
        self.later.borrow_mut().clear();
        if self.batch("ROLLBACK").is_ok() {
            self.is_in_transaction.set(false);
        }
    }

    /// Ends a transaction that only read. PostgreSQL is told, and its answer waits for the next transaction.
    pub(in crate::sql::postgres) fn end_view(&self) {
        if self.has_failed.get() || self.runtime.is_none() {
            return self.roll_back();
        }
        self.count(1, false);
        let mut told = self.sent_batch("ROLLBACK");
        let sent = self.run(async move {
            let is_answered =
                poll_fn(|context| Poll::Ready(told.as_mut().poll(context).is_ready()));
            // The connection is carried on by a task of its own, which comes next.
            if !is_answered.await {
                tokio::task::yield_now().await;
            }
        });
        // If it failed, so does the next transaction, which then begins on another connection.
        self.is_in_transaction.set(sent.is_err());
    }
}
