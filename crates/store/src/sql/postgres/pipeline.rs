//! Several statements in one round trip: all are sent before the first is answered. PostgreSQL runs them in this order, and
//! none of a transaction after one that failed.

use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, Row};

use super::combined::Found;
use super::statement::Compiled;
use crate::error::StoreError;
use crate::sql::ahead::{Ahead, OwnedValues};
use crate::sql::{Sql, Value};

/// What was sent to a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Statements, those that begin and end transactions among them.
    pub statements: u64,
    /// How often an answer was waited for.
    pub round_trips: u64,
}

/// What has happened between a process and its database since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DatabaseCounters {
    /// Transactions that ran again because another one was in their way (40001, 40P01, 23505).
    pub retries: u64,
    /// Transactions that waited for a connection because all were in use.
    pub waits: u64,
    /// For how long all of them waited, in microseconds.
    pub waited_microseconds: u64,
    /// Commits with an unknown outcome. The logins that waited for them were refused.
    pub unknown_commits: u64,
}

/// A statement on its way.
pub(super) type Sent<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + 'a>>;

/// Sends all of them in this order, and waits for all answers.
pub(super) async fn all(mut sent: Vec<Sent<'_>>) -> Vec<Result<Vec<Row>, Error>> {
    let mut answers: Vec<_> = sent.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut is_waiting = false;
        // The first time that each is polled, it is sent.
        for (answer, sent) in answers.iter_mut().zip(&mut sent) {
            if answer.is_none() {
                match sent.as_mut().poll(context) {
                    Poll::Ready(done) => *answer = Some(done),
                    Poll::Pending => is_waiting = true,
                }
            }
        }
        if is_waiting {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// The rows that answer a query.
pub(super) type Answer = Result<Vec<Found>, StoreError>;

/// What was asked with the beginning of a transaction, until the transaction asks it or writes.
#[derive(Debug, Default)]
pub(super) struct Answers(RefCell<Vec<(Ahead, Answer)>>);

impl Answers {
    pub(super) fn set(&self, answers: Vec<(Ahead, Answer)>) {
        self.0.replace(answers);
    }

    /// The answer to this query. It is given once, since what is asked again may have changed.
    pub(super) fn take(&self, sql: Sql<'_>, values: &[Value<'_>]) -> Option<Answer> {
        let mut answers = self.0.borrow_mut();
        let index = answers
            .iter()
            .position(|(ahead, _)| ahead.is(sql, values))?;
        Some(answers.swap_remove(index).1)
    }

    /// What is written from here on may change them.
    pub(super) fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}

/// A statement that waits for the next one whose answer matters.
#[derive(Debug)]
pub(super) struct Later {
    pub(super) statement: Compiled,
    pub(super) values: OwnedValues,
    /// What it means if it changes no row.
    pub(super) otherwise: Option<fn() -> StoreError>,
}

impl Later {
    /// What `error` of it means.
    pub(super) fn error(&self, error: Error) -> StoreError {
        match self.otherwise {
            Some(otherwise) if error.code() == Some(&SqlState::DIVISION_BY_ZERO) => otherwise(),
            _ => error.into(),
        }
    }
}

/// Has the statement `sql` fail with [`SqlState::DIVISION_BY_ZERO`] if it changes no row, so that a commit that was sent with it
/// commits nothing.
pub(super) fn failing_if_nothing_changes(sql: &str) -> String {
    format!("WITH changed AS ({sql} RETURNING 1) SELECT 1 / count(*) FROM changed")
}
