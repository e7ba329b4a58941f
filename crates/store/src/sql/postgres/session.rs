//! One connection to PostgreSQL, used by one thread at a time. Each call blocks, and none for longer than its deadline.
//! [`transaction`] begins and ends what statements run in; [`questions`] are what is asked with the beginning.

mod questions;
mod transaction;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::{Client, Error, Row};

use self::questions::{Texts, Together};
use super::address::{Address, Host};
use super::combined::Found;
use super::connecting;
use super::fitness::check_durability;
use super::pipeline::{Answers, Later, Sent, Traffic, all, failing_if_nothing_changes};
use super::statement::Compiled;
use super::translate::translate;
use crate::deadline;
use crate::error::StoreError;
use crate::sql::{Ahead, Sql, Value};

/// How long any call may take, within the deadline of the request: longer than PostgreSQL waits for a lock, and together with the others of a login less than a
/// module waits.
const CALL: Duration = Duration::from_secs(5);
/// The same of a migration, which may make an index of all events.
const MIGRATION: Duration = Duration::from_secs(60 * 60);
/// How many rows are fetched at once.
const FETCHED: usize = 500;
/// How many statements wait at most, since all that are sent at once have the time of one call.
const MOST_LATER: usize = 64;

#[derive(Debug)]
pub(crate) struct Session {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    client: Client,
    /// What it is connected to, as an administrator writes it.
    host: String,
    /// Between it and PostgreSQL is a pooler, so that nothing outlasts a transaction.
    is_pooled: Cell<bool>,
    /// By text, for each [`Form`].
    statements: [RefCell<HashMap<String, Compiled>>; 4],
    /// Queries that are one statement, by their texts.
    together: RefCell<HashMap<Texts, Arc<Together>>>,
    /// What was asked with the beginning of the transaction.
    answers: Answers,
    /// The version of the rules at the beginning of the transaction; `None`: it was not asked for.
    rules_version: Cell<Option<i64>>,
    /// What is sent with the next statement.
    later: RefCell<Vec<Later>>,
    traffic: Cell<Traffic>,
    /// Whether PostgreSQL has warned of anything since this was set to `false`.
    has_warned: Arc<AtomicBool>,
    /// Nobody knows what state it is in.
    is_broken: Cell<bool>,
    /// A statement of the transaction failed, so that nothing of it can be committed.
    has_failed: Cell<bool>,
    is_in_transaction: Cell<bool>,
}

impl Session {
    /// Connects to the first host that takes changes, whatever its database is.
    #[cfg(test)]
    pub(crate) fn connect(address: &Address) -> Result<Self, StoreError> {
        Self::connect_where(address, |_| Ok(()))
    }

    /// Connects to the first host that takes changes and that `is_fit`.
    pub(super) fn connect_where(
        address: &Address,
        is_fit: impl Fn(&Self) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let (mut unfit, mut unreachable) = (None, Vec::new());
        for host in &address.hosts {
            let connected = Self::connect_to(address, host);
            match connected.and_then(|session| is_fit(&session).map(|()| session)) {
                Ok(session) => return Ok(session),
                Err(StoreError::Unreachable(why)) => unreachable.push(format!("{host}: {why}")),
                Err(StoreError::ReadOnly) => {
                    unreachable.push(format!("{host}: it takes no changes"));
                }
                Err(error) => unfit = Some(error),
            }
        }
        // What is wrong with a database says more than that another one is away.
        Err(unfit.unwrap_or_else(|| StoreError::Unreachable(unreachable.join("; "))))
    }

    fn connect_to(address: &Address, host: &Host) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Unreachable(error.to_string()))?;
        let has_warned = Arc::new(AtomicBool::new(false));
        let connected = runtime.block_on(connecting::open(address, host, &has_warned));
        let client = match connected {
            Ok(client) => client,
            Err(error) => {
                // Not by waiting for a look-up of a name that hangs.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let session = Self {
            runtime: Some(runtime),
            client,
            host: host.to_string(),
            statements: Default::default(),
            is_pooled: Cell::new(true),
            together: RefCell::default(),
            answers: Answers::default(),
            rules_version: Cell::new(None),
            later: RefCell::default(),
            traffic: Cell::default(),
            has_warned,
            is_broken: Cell::new(false),
            has_failed: Cell::new(false),
            is_in_transaction: Cell::new(false),
        };
        session.check()?;
        Ok(session)
    }

    /// Checks that this is a database on which a commit is on disk, and one that takes changes.
    fn check(&self) -> Result<(), StoreError> {
        let settings = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
            current_setting('server_version_num')::integer,
            current_setting('fsync') || ' ' || current_setting('full_page_writes') || ' ' || current_setting('synchronous_commit'),
            current_setting('twofa.direct', true)";
        // In one round trip, because a pooler may do the next one elsewhere.
        let rows = self.call(self.client.query_typed(settings, &[]))?;
        let row = rows.first().ok_or(StoreError::ReadOnly)?;
        if row.try_get(0)? {
            return Err(StoreError::ReadOnly);
        }
        if row.try_get::<_, i32>(1)? < 150_000 {
            return Err(StoreError::Unreachable(
                "PostgreSQL 15 or later is needed".to_owned(),
            ));
        }
        // Set by us when we connected: a pooler does not pass it on.
        let direct: Option<&str> = row.try_get(3)?;
        self.is_pooled.set(direct != Some(connecting::DIRECT));
        check_durability(row.try_get(2)?)
    }

    /// Whether it goes through a pooler.
    #[cfg(test)]
    pub(super) fn is_pooled(&self) -> bool {
        self.is_pooled.get()
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether another transaction can begin.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_broken.get() && !self.is_in_transaction.get() && !self.client.is_closed()
    }

    /// Runs statements without parameters.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.answers.forget();
        self.send_later(None)?;
        self.count(1, true);
        self.call(self.client.batch_execute(sql))
    }

    /// The same, for statements that may read whole tables, while nobody logs in by way of this connection.
    pub(crate) fn migrate(&self, sql: &str) -> Result<(), StoreError> {
        self.answers.forget();
        self.send_later(None)?;
        self.count(1, true);
        let done = self.run_for(MIGRATION, self.client.batch_execute(sql))?;
        self.outcome(done)
    }

    pub(crate) fn execute(&self, sql: Sql<'_>, values: &[Value<'_>]) -> Result<usize, StoreError> {
        self.answers.forget();
        self.send_later(None)?;
        let statement = self.prepared(sql, Form::Plain)?;
        self.count(1, true);
        let changed = self.call(statement.execute(&self.client, values))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// Runs a statement with the next one, or with the commit. `otherwise`: what it means if it changes no row.
    pub(crate) fn execute_later(
        &self,
        sql: Sql<'_>,
        values: &[Value<'_>],
        otherwise: Option<fn() -> StoreError>,
    ) -> Result<(), StoreError> {
        self.answers.forget();
        let form = match otherwise {
            Some(_) => Form::MustChange,
            None => Form::Plain,
        };
        let statement = self.prepared(sql, form)?;
        let later = Later {
            statement,
            values: values.into(),
            otherwise,
        };
        self.later.borrow_mut().push(later);
        if self.later.borrow().len() < MOST_LATER {
            return Ok(());
        }
        self.send_later(None)
    }

    /// Runs an `INSERT` of one row and returns its `id`.
    pub(crate) fn insert(&self, sql: Sql<'_>, values: &[Value<'_>]) -> Result<i64, StoreError> {
        self.answers.forget();
        self.send_later(None)?;
        let statement = self.prepared(sql, Form::Insert)?;
        self.count(1, true);
        let rows = self.call(statement.query(&self.client, values))?;
        let row = rows.first();
        let row = row.ok_or_else(|| StoreError::Damaged("a row was not inserted".to_owned()))?;
        Ok(row.try_get(0)?)
    }

    /// Runs an `INSERT` of one row for each of these parameters, many in one round trip, and returns the `id`s.
    pub(crate) fn insert_each(
        &self,
        sql: Sql<'_>,
        rows: &[Vec<Value<'_>>],
    ) -> Result<Vec<i64>, StoreError> {
        self.answers.forget();
        self.send_later(None)?;
        let statement = self.prepared(sql, Form::Insert)?;
        let mut ids = Vec::with_capacity(rows.len());
        for rows in rows.chunks(MOST_LATER) {
            let sent = rows.iter();
            let sent = sent.map(|values| self.sent(&statement, values.clone()));
            for answer in self.run_all(sent.collect())? {
                let rows = self.outcome(answer)?;
                let row = rows.first();
                let row =
                    row.ok_or_else(|| StoreError::Damaged("a row was not inserted".to_owned()))?;
                ids.push(row.try_get(0)?);
            }
        }
        Ok(ids)
    }

    /// Asks in one round trip what is asked next; what was asked so before is forgotten.
    pub(crate) fn ask(&self, ahead: &[Ahead]) -> Result<(), StoreError> {
        self.answers.forget();
        self.send_later(None)?;
        let asked = ahead.iter().map(|ahead| self.form(ahead.sql()));
        let asked: Vec<_> = asked.collect::<Result<_, _>>()?;
        let sent = asked.iter().zip(ahead);
        let sent = sent.map(|(statement, ahead)| self.sent(statement, ahead.values()));
        let answers = self.run_all(sent.collect())?.into_iter();
        let answers = answers.map(|answer| {
            let rows = self.outcome(answer)?;
            Ok(rows.into_iter().map(Found::Whole).collect())
        });
        self.answers
            .set(ahead.iter().cloned().zip(answers).collect());
        Ok(())
    }

    /// All rows of a query.
    pub(crate) fn query(
        &self,
        sql: Sql<'_>,
        values: &[Value<'_>],
    ) -> Result<Vec<Found>, StoreError> {
        if let Some(answer) = self.answers.take(sql, values) {
            return answer;
        }
        if sql.postgres().1 {
            // What was read before this has its lock may be of before.
            self.answers.forget();
        }
        self.send_later(None)?;
        let statement = self.form(sql)?;
        self.count(1, true);
        let rows = self.call(statement.query(&self.client, values))?;
        Ok(rows.into_iter().map(Found::Whole).collect())
    }

    /// Passes the rows of a query to `each`, until that returns `false`, a few hundred in memory at a time.
    pub(crate) fn each(
        &self,
        sql: Sql<'_>,
        values: &[Value<'_>],
        mut each: impl FnMut(&Found) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let text = format!("DECLARE \"rows\" NO SCROLL CURSOR FOR {}", sql.postgres().0);
        self.execute(Sql::from(&text), values)?;
        let fetch = format!("FETCH {FETCHED} FROM \"rows\"");
        'fetched: loop {
            // Compiled each time, because its columns are those of the cursor.
            self.count(1, true);
            let rows = self.call(self.client.query_typed(&fetch, &[]))?;
            let is_last = rows.len() < FETCHED;
            for row in rows {
                if !each(&Found::Whole(row))? {
                    break 'fetched;
                }
            }
            if is_last {
                break;
            }
        }
        self.batch("CLOSE \"rows\"")
    }

    /// Whether the query `sql` can be run without being compiled first, which takes a transaction behind a pooler.
    fn is_ready(&self, sql: Sql<'_>) -> bool {
        let (text, is_locking) = sql.postgres();
        let form = if is_locking {
            Form::Locking
        } else {
            Form::Plain
        };
        !self.is_pooled.get() || self.statements[form as usize].borrow().contains_key(text)
    }

    /// A query, as it is.
    fn form(&self, sql: Sql<'_>) -> Result<Compiled, StoreError> {
        let (_, is_locking) = sql.postgres();
        let form = if is_locking {
            Form::Locking
        } else {
            Form::Plain
        };
        self.prepared(sql, form)
    }

    /// A statement, compiled once in the life of the connection.
    fn prepared(&self, sql: Sql<'_>, form: Form) -> Result<Compiled, StoreError> {
        let (text, _) = sql.postgres();
        let statements = &self.statements[form as usize];
        if let Some(statement) = statements.borrow().get(text) {
            return Ok(statement.clone());
        }
        let translated = translate(text);
        let formed = match form {
            Form::Plain => translated,
            Form::Locking => translated + " FOR UPDATE",
            Form::Insert => translated + " RETURNING id",
            Form::MustChange => failing_if_nothing_changes(&translated),
        };
        let statement = self.call(self.client.prepare(&formed))?;
        let statement = if self.is_pooled.get() {
            // Its name is given up as this is dropped, on the connection that the pooler has lent until the transaction ends.
            let types = statement.params().to_vec();
            Compiled::EachTime {
                text: formed,
                types,
            }
        } else {
            Compiled::Once(statement)
        };
        statements
            .borrow_mut()
            .insert(text.to_owned(), statement.clone());
        Ok(statement)
    }

    /// A statement with these values, to be sent.
    fn sent<'a>(&'a self, statement: &'a Compiled, values: Vec<Value<'a>>) -> Sent<'a> {
        Box::pin(async move { statement.query(&self.client, &values).await })
    }

    /// Statements without parameters, to be sent.
    fn sent_batch<'a>(&'a self, sql: &'a str) -> Sent<'a> {
        Box::pin(async move { self.client.batch_execute(sql).await.map(|()| Vec::new()) })
    }

    fn run_all(&self, sent: Vec<Sent<'_>>) -> Result<Vec<Result<Vec<Row>, Error>>, StoreError> {
        self.count(sent.len(), true);
        self.run(all(sent))
    }

    fn call<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        let done = self.run(work)?;
        self.outcome(done)
    }

    /// Waits for `work`, for as long as any call may take.
    fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        self.run_for(CALL, work)
    }

    fn run_for<T>(&self, most: Duration, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.is_broken.get()) else {
            return Err(StoreError::Unanswered);
        };
        let limit = deadline::left(most);
        if limit.is_zero() {
            // Nothing was sent. What was begun is undone when the connection is thrown away.
            self.is_broken.set(true);
            return Err(StoreError::Unanswered);
        }
        let done = runtime.block_on(async { timeout(limit, work).await });
        done.map_err(|_| {
            self.is_broken.set(true);
            StoreError::Unanswered
        })
    }

    fn outcome<T>(&self, done: Result<T, Error>) -> Result<T, StoreError> {
        done.map_err(|error| {
            self.note(&error);
            error.into()
        })
    }

    fn note(&self, error: &Error) {
        self.has_failed.set(true);
        // Else PostgreSQL refused, and the connection is as it was.
        if error.as_db_error().is_none() || self.client.is_closed() {
            self.is_broken.set(true);
        }
    }

    /// Counts so many statements, and the round trip that they take if they are answered.
    fn count(&self, statements: usize, is_answered: bool) {
        let mut traffic = self.traffic.get();
        traffic.statements += statements as u64;
        traffic.round_trips += u64::from(is_answered);
        self.traffic.set(traffic);
    }

    /// What was counted since this was asked last.
    pub(super) fn take_traffic(&self) -> Traffic {
        self.traffic.take()
    }
}

/// What becomes of the text of a statement.
#[derive(Debug, Clone, Copy)]
enum Form {
    Plain,
    /// It locks what it finds.
    Locking,
    /// It returns the `id` of what it adds.
    Insert,
    /// It fails if it changes nothing.
    MustChange,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without a word to PostgreSQL and without waiting: the other end may be gone.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
