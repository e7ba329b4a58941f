//! What is asked with the beginning of a transaction: whether the database is fit for it, and what is known ahead. What locks
//! nothing is asked in one statement as far as possible, but after what locks: of a statement that waits for a lock, the rest
//! may have been read before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Form, Session};
use crate::error::StoreError;
use crate::sql::postgres::combined::{self, Found};
use crate::sql::postgres::fitness::QUESTION;
use crate::sql::postgres::pipeline::{Answer, Sent};
use crate::sql::postgres::statement::Compiled;
use crate::sql::postgres::translate::translate;
use crate::sql::{Ahead, Sql, Value};

/// How many parameters [`QUESTION`] has.
const PARAMETERS: usize = 3;

/// The texts of what is asked together, and whether it begins with [`QUESTION`].
pub(super) type Texts = (bool, Vec<&'static str>);

/// Queries that are one statement.
#[derive(Debug)]
pub(super) struct Together {
    statement: Compiled,
    /// The names of the columns of each.
    columns: Vec<Arc<[String]>>,
}

/// A statement that is asked.
#[derive(Debug)]
pub(super) struct Question<'a> {
    /// It begins with [`QUESTION`].
    pub(super) is_about_fitness: bool,
    queries: &'a [Ahead],
    how: How,
}

#[derive(Debug)]
enum How {
    /// A query, or [`QUESTION`], as it is.
    Alone(Compiled),
    Together(Arc<Together>),
}

impl Session {
    /// All that is asked, compiled.
    pub(super) fn questions<'a>(
        &self,
        ahead: &'a [Ahead],
    ) -> Result<Vec<Question<'a>>, StoreError> {
        let mut questions = Vec::new();
        let (first, mut rest) = ahead.split_at(self.length_together(ahead));
        questions.push(self.question(true, first)?);
        while !rest.is_empty() {
            // One that locks has a statement of its own.
            let (next, others) = rest.split_at(self.length_together(rest).max(1));
            questions.push(self.question(false, next)?);
            rest = others;
        }
        Ok(questions)
    }

    /// How many of `ahead`, from the first on, can be one statement.
    fn length_together(&self, ahead: &[Ahead]) -> usize {
        // Behind a pooler nothing is compiled twice on one connection.
        if self.is_pooled.get() {
            return 0;
        }
        let is_locking = |ahead: &Ahead| ahead.sql().postgres().1;
        ahead.iter().take_while(|ahead| !is_locking(ahead)).count()
    }

    fn question<'a>(
        &self,
        is_about_fitness: bool,
        queries: &'a [Ahead],
    ) -> Result<Question<'a>, StoreError> {
        let how = match queries {
            [] => How::Alone(self.fitness()?),
            [query] if !is_about_fitness => How::Alone(self.form(query.sql())?),
            _ => How::Together(self.together(is_about_fitness, queries)?),
        };
        Ok(Question {
            is_about_fitness,
            queries,
            how,
        })
    }

    fn fitness(&self) -> Result<Compiled, StoreError> {
        if !self.is_pooled.get() {
            return self.prepared(Sql::from(QUESTION), Form::Plain);
        }
        Ok(Compiled::EachTime {
            text: translate(QUESTION),
            types: vec![Type::INT8, Type::BYTEA, Type::INT8],
        })
    }

    fn together(
        &self,
        is_about_fitness: bool,
        queries: &[Ahead],
    ) -> Result<Arc<Together>, StoreError> {
        let texts = queries.iter().map(|query| query.sql().postgres().0);
        let texts = (is_about_fitness, texts.collect());
        if let Some(together) = self.together.borrow().get(&texts) {
            return Ok(together.clone());
        }
        let (first, parameters) = if is_about_fitness {
            (QUESTION, PARAMETERS)
        } else {
            ("SELECT", 0)
        };
        let columns = queries.iter().map(|query| self.columns(query.sql()));
        let columns = columns.collect::<Result<_, _>>()?;
        let numbered = queries
            .iter()
            .map(|query| (query.sql(), query.values().len()));
        let text = combined::text(first, parameters, &numbered.collect::<Vec<_>>());
        let statement = self.call(self.client.prepare(&text))?;
        let together = Arc::new(Together {
            statement: Compiled::Once(statement),
            columns,
        });
        self.together.borrow_mut().insert(texts, together.clone());
        Ok(together)
    }

    /// The names of the columns of a query. They follow from its text, so that it is compiled by itself once in this process, and
    /// not on each connection.
    fn columns(&self, sql: Sql<'static>) -> Result<Arc<[String]>, StoreError> {
        static KNOWN: Mutex<BTreeMap<&str, Arc<[String]>>> = Mutex::new(BTreeMap::new());
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, _) = sql.postgres();
        if let Some(columns) = known().get(text) {
            return Ok(columns.clone());
        }
        let columns = combined::columns(&self.form(sql)?);
        known().insert(text, columns.clone());
        Ok(columns)
    }

    /// Sends it; `fitness` are the parameters of [`QUESTION`].
    pub(super) fn sent_question<'a>(
        &'a self,
        question: &'a Question<'_>,
        fitness: &[Value<'a>],
    ) -> Sent<'a> {
        let fitness = if question.is_about_fitness {
            fitness
        } else {
            &[]
        };
        let of_queries = question.queries.iter().flat_map(Ahead::values);
        let values = fitness.iter().copied().chain(of_queries).collect();
        let statement = match &question.how {
            How::Alone(statement) => statement,
            How::Together(together) => &together.statement,
        };
        self.sent(statement, values)
    }
}

impl Question<'_> {
    /// The answers to its queries, of the `rows` of its statement.
    pub(super) fn answers(&self, rows: Result<Vec<Row>, StoreError>) -> Vec<(Ahead, Answer)> {
        let answers: Vec<Answer> = match (rows, &self.how) {
            (Ok(rows), How::Together(together)) => together.answers(&rows),
            (rows, _) => vec![rows.map(|rows| rows.into_iter().map(Found::Whole).collect())],
        };
        // What was asked together has failed together.
        let failed = || Err(StoreError::Other("a statement of it had failed".to_owned()));
        let answers = answers.into_iter().chain(std::iter::repeat_with(failed));
        self.queries.iter().cloned().zip(answers).collect()
    }
}

impl Together {
    fn answers(&self, rows: &[Row]) -> Vec<Answer> {
        let Some(row) = rows.first() else {
            return Vec::new();
        };
        let first = row.len().saturating_sub(self.columns.len());
        let columns = (first..).zip(&self.columns);
        columns
            .map(|(column, names)| combined::rows(row, column, names))
            .collect()
    }
}
