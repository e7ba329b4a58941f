//! One connection to PostgreSQL, used by one thread at a time. Each call blocks, and none for longer than its deadline.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::address::{Address, Host};
use super::connecting;
use super::fitness::{Demands, Found, QUESTION, check_durability};
use super::statement::Compiled;
use super::translate::translate;
use crate::deadline;
use crate::error::StoreError;
use crate::sql::{Sql, Value};

/// How long any call may take, within the deadline of the request: longer than PostgreSQL waits for a lock, and together with the others of a login less than a
/// module waits.
const CALL: Duration = Duration::from_secs(5);
/// How many rows are fetched at once.
const FETCHED: usize = 500;

#[derive(Debug)]
pub(crate) struct Session {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    client: Client,
    /// What it is connected to, as an administrator writes it.
    host: String,
    /// By text, those that lock what they find apart.
    statements: [RefCell<HashMap<String, Compiled>>; 2],
    /// Between it and PostgreSQL is a pooler, so that nothing outlasts a transaction.
    is_pooled: Cell<bool>,
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

    /// Begins a transaction, in which nothing is demanded of the database.
    pub(super) fn begin(&self, begin: &str) -> Result<(), StoreError> {
        self.has_failed.set(false);
        self.is_in_transaction.set(true);
        self.batch(begin)
    }

    /// Begins a transaction and checks in it, in the same round trip, that the database is fit for it.
    pub(super) fn begin_fit(&self, begin: &str, demands: &Demands) -> Result<Found, StoreError> {
        let question = self.question()?;
        self.has_failed.set(false);
        self.is_in_transaction.set(true);
        let before = demands.clock.map(|clock| clock());
        let rows = demands.with_parameters(|values| {
            let begun = self.client.batch_execute(begin);
            self.call(both(begun, question.query(&self.client, values)))
        })?;
        let row = rows.first().ok_or(StoreError::ReadOnly)?;
        demands.check(row, before)
    }

    /// What is asked with the beginning of each transaction, and therefore compiled before it.
    fn question(&self) -> Result<Compiled, StoreError> {
        if !self.is_pooled.get() {
            return self.prepared(Sql::from(QUESTION), "");
        }
        Ok(Compiled::EachTime {
            text: translate(QUESTION),
            types: vec![Type::INT8, Type::BYTEA, Type::INT8],
        })
    }

    /// Commits a transaction. On any error it may have been committed nevertheless; who waits for it is refused.
    pub(super) fn commit(&self) -> Result<(), StoreError> {
        if self.has_failed.get() {
            self.roll_back();
            return Err(StoreError::Other("a statement of it had failed".to_owned()));
        }
        self.has_warned.store(false, Ordering::Relaxed);
        self.batch("COMMIT")?;
        // It was committed here, but the standby does not have it.
        if self.has_warned.load(Ordering::Relaxed) {
            self.is_broken.set(true);
            return Err(StoreError::Unanswered);
        }
        self.is_in_transaction.set(false);
        Ok(())
    }

    /// Undoes a transaction that has not been committed. If that fails, the connection is not used again, which undoes it as
    /// well.
    pub(super) fn roll_back(&self) {
        if self.batch("ROLLBACK").is_ok() {
            self.is_in_transaction.set(false);
        }
    }

    /// Runs statements without parameters.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.call(self.client.batch_execute(sql))
    }

    pub(crate) fn execute(&self, sql: Sql<'_>, values: &[Value<'_>]) -> Result<usize, StoreError> {
        let statement = self.prepared(sql, "")?;
        let changed = self.call(statement.execute(&self.client, values))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// Runs an `INSERT` of one row and returns its `id`.
    pub(crate) fn insert(&self, sql: Sql<'_>, values: &[Value<'_>]) -> Result<i64, StoreError> {
        let statement = self.prepared(sql, " RETURNING id")?;
        let rows = self.call(statement.query(&self.client, values))?;
        let row = rows.first();
        let row = row.ok_or_else(|| StoreError::Damaged("a row was not inserted".to_owned()))?;
        Ok(row.try_get(0)?)
    }

    /// All rows of a query.
    pub(crate) fn query(&self, sql: Sql<'_>, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepared(sql, "")?;
        self.call(statement.query(&self.client, values))
    }

    /// Passes the rows of a query to `each`, until that returns `false`, a few hundred in memory at a time.
    pub(crate) fn each(
        &self,
        sql: Sql<'_>,
        values: &[Value<'_>],
        mut each: impl FnMut(&Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let text = format!("DECLARE \"rows\" NO SCROLL CURSOR FOR {}", sql.postgres().0);
        self.execute(Sql::from(&text), values)?;
        let fetch = format!("FETCH {FETCHED} FROM \"rows\"");
        'fetched: loop {
            // Compiled each time, because its columns are those of the cursor.
            let rows = self.call(self.client.query_typed(&fetch, &[]))?;
            for row in &rows {
                if !each(row)? {
                    break 'fetched;
                }
            }
            if rows.len() < FETCHED {
                break;
            }
        }
        self.batch("CLOSE \"rows\"")
    }

    /// A statement, compiled once in the life of the connection, within a transaction.
    fn prepared(&self, sql: Sql<'_>, ending: &str) -> Result<Compiled, StoreError> {
        let (text, is_locking) = sql.postgres();
        let statements = &self.statements[usize::from(is_locking)];
        if let Some(statement) = statements.borrow().get(text) {
            return Ok(statement.clone());
        }
        let ending = if is_locking { " FOR UPDATE" } else { ending };
        let translated = translate(text) + ending;
        let statement = self.call(self.client.prepare(&translated))?;
        let statement = if self.is_pooled.get() {
            // Its name is given up as this is dropped, on the connection that the pooler has lent until the transaction ends.
            let types = statement.params().to_vec();
            Compiled::EachTime {
                text: translated,
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

    fn call<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.is_broken.get()) else {
            return Err(StoreError::Unanswered);
        };
        let limit = deadline::left(CALL);
        if limit.is_zero() {
            // Nothing was sent. What was begun is undone when the connection is thrown away.
            self.is_broken.set(true);
            return Err(StoreError::Unanswered);
        }
        let done = runtime.block_on(async { timeout(limit, work).await });
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                self.has_failed.set(true);
                // Else PostgreSQL refused, and the connection is as it was.
                if error.as_db_error().is_none() || self.client.is_closed() {
                    self.is_broken.set(true);
                }
                Err(error.into())
            }
            Err(_) => {
                self.is_broken.set(true);
                Err(StoreError::Unanswered)
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without a word to PostgreSQL and without waiting: the other end may be gone.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Sends two requests at once, and waits for both answers.
async fn both<T, E>(
    first: impl Future<Output = Result<(), E>>,
    second: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut begun, mut answered) = (None, None);
    poll_fn(move |context| {
        // In this order they are sent.
        if begun.is_none()
            && let Poll::Ready(done) = first.as_mut().poll(context)
        {
            begun = Some(done);
        }
        if answered.is_none()
            && let Poll::Ready(done) = second.as_mut().poll(context)
        {
            answered = Some(done);
        }
        match (begun.take(), answered.take()) {
            (Some(Err(error)), _) => Poll::Ready(Err(error)),
            (Some(Ok(())), Some(done)) => Poll::Ready(done),
            (first, second) => {
                (begun, answered) = (first, second);
                Poll::Pending
            }
        }
    })
    .await
}
