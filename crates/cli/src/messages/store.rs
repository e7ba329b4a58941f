//! Words about where the store is.

use serde::Serialize;
use twofa_broker::admin::store::{Moved, Place, Replication};

pub(crate) const UPGRADED: &str = "The tables of the database are up to date.\n";

/// Where the store is, on what, and which standbys have what is in it.
pub(crate) fn place(place: &Place) -> String {
    match place {
        Place::File { version, path } => format!("SQLite {version}, {}", path.display()),
        Place::Server(server) => format!(
            "PostgreSQL {} at {}, database {}, {}",
            server.version,
            server.host,
            server.database,
            standbys(&server.replication)
        ),
    }
}

fn standbys(replication: &Replication) -> String {
    if replication.synchronous.is_empty() {
        return "synchronous standby: none".to_owned();
    }
    let Some(standbys) = &replication.standbys else {
        return format!(
            "synchronous standby: {} (whether it is connected is shown only to members of pg_monitor)",
            replication.synchronous
        );
    };
    let names = standbys.iter().filter(|standby| standby.is_synchronous);
    let names: Vec<_> = names
        .map(|standby| format!("{} ({})", standby.name, standby.state))
        .collect();
    if names.is_empty() {
        return format!(
            "synchronous standby: {} is not connected",
            replication.synchronous
        );
    }
    format!("synchronous standby: {}", names.join(", "))
}

/// The same, as JSON has it.
#[derive(Debug, Serialize)]
pub(crate) struct PlaceRecord {
    engine: &'static str,
    version: String,
    path: Option<String>,
    host: Option<String>,
    database: Option<String>,
    synchronous_standby_names: Option<String>,
    /// `None`: the role of the database may not see them.
    standbys: Option<Vec<StandbyRecord>>,
}

#[derive(Debug, Serialize)]
struct StandbyRecord {
    name: String,
    state: String,
    synchronous: bool,
    lag_bytes: i64,
    lag_milliseconds: Option<i64>,
}

impl PlaceRecord {
    pub(crate) fn of(place: &Place) -> Self {
        let server = match place {
            Place::File { version, path } => {
                return Self {
                    engine: "SQLite",
                    version: (*version).to_owned(),
                    path: Some(path.display().to_string()),
                    host: None,
                    database: None,
                    synchronous_standby_names: None,
                    standbys: None,
                };
            }
            Place::Server(server) => server.clone(),
        };
        let standbys = server.replication.standbys.map(|standbys| {
            let standbys = standbys.into_iter().map(|standby| StandbyRecord {
                name: standby.name,
                state: standby.state,
                synchronous: standby.is_synchronous,
                lag_bytes: standby.lag_bytes,
                lag_milliseconds: standby.lag_milliseconds,
            });
            standbys.collect()
        });
        Self {
            engine: "PostgreSQL",
            version: server.version,
            path: None,
            host: Some(server.host),
            database: Some(server.database),
            synchronous_standby_names: Some(server.replication.synchronous),
            standbys,
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use twofa_broker::admin::store::{ServerPlace, Standby};

    fn server(synchronous: &str, standbys: Option<Vec<Standby>>) -> Place {
        Place::Server(ServerPlace {
            version: "15.18".to_owned(),
            host: "db1:5432".to_owned(),
            database: "twofa".to_owned(),
            replication: Replication {
                synchronous: synchronous.to_owned(),
                standbys,
            },
        })
    }

    #[test]
    fn a_place_names_engine_host_database_and_the_standbys_that_commits_wait_for() {
        let standby = |name: &str, is_synchronous| Standby {
            name: name.to_owned(),
            state: "streaming".to_owned(),
            is_synchronous,
            lag_bytes: 0,
            lag_milliseconds: None,
        };
        let of = |synchronous, standbys| place(&server(synchronous, standbys));
        assert_eq!(
            of("", Some(vec![standby("far", false)])),
            "PostgreSQL 15.18 at db1:5432, database twofa, synchronous standby: none"
        );
        let both = vec![
            standby("a", true),
            standby("b", true),
            standby("far", false),
        ];
        assert!(of("ANY 1 (a, b)", Some(both)).ends_with("standby: a (streaming), b (streaming)"));
        assert!(of("a", Some(Vec::new())).ends_with("a is not connected"));
        assert!(of("a", None).contains("pg_monitor"));
        let record = serde_json::to_value(PlaceRecord::of(&server("", None))).unwrap();
        assert_eq!(record["engine"], "PostgreSQL");
        assert_eq!(record["host"], "db1:5432");
    }
}
