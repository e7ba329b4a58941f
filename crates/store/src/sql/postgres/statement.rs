//! A statement as a connection runs it: compiled once, or, behind a pooler, each time. A pooler that gives out connections for a
//! transaction (`pool_mode = transaction` of `PgBouncer`) runs the next one on a connection that has never seen the statement.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

use crate::sql::Value;

#[derive(Debug, Clone)]
pub(super) enum Compiled {
    /// As long as the connection.
    Once(Statement),
    /// Each time that it is run, from its text and the types of its parameters.
    EachTime { text: String, types: Vec<Type> },
}

impl Compiled {
    pub(super) async fn query(
        &self,
        client: &Client,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Error> {
        match self {
            Self::Once(statement) => client.query(statement, &parameters(values)).await,
            Self::EachTime { text, types } => client.query_typed(text, &typed(values, types)).await,
        }
    }

    /// Returns how many rows it changed.
    pub(super) async fn execute(
        &self,
        client: &Client,
        values: &[Value<'_>],
    ) -> Result<u64, Error> {
        match self {
            Self::Once(statement) => client.execute(statement, &parameters(values)).await,
            Self::EachTime { text, types } => {
                client.execute_typed(text, &typed(values, types)).await
            }
        }
    }
}

fn parameters<'a>(values: &'a [Value<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

fn typed<'a>(values: &'a [Value<'a>], types: &[Type]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    parameters(values)
        .into_iter()
        .zip(types.iter().cloned())
        .collect()
}
