//! The statements. A function here is one statement, or the few that make one change; none decides anything. They take and
//! give plain values and read columns by their names. `docs/architecture.md` lists what each must guarantee.
//!
//! One file for each group of tables. They know no engine: [`db`] runs their statements, with [`value`]s in and rows out.
//! Where an engine wants another text, both stand side by side ([`Sql`]). [`sqlite`] and [`postgres`] have what is particular to
//! one of them.

mod ahead;
pub(crate) mod apps;
pub(crate) mod backup_codes;
pub(crate) mod ca_rotation;
pub(crate) mod conversations;
pub(crate) mod copy;
mod db;
pub(crate) mod devices;
pub(crate) mod event_filter;
pub(crate) mod events;
pub(crate) mod exemptions;
pub(crate) mod fleet;
pub(crate) mod fleet_policy;
pub(crate) mod host_limits;
pub(crate) mod host_sessions;
pub(crate) mod invitations;
pub(crate) mod join_keys;
pub(crate) mod journal;
pub(crate) mod merging;
pub(crate) mod notices;
pub(crate) mod own_rescue;
pub(crate) mod policy;
pub(crate) mod postgres;
pub(crate) mod providers;
pub(crate) mod reported_sessions;
pub(crate) mod rescue;
pub(crate) mod row_hashes;
pub(crate) mod sealing;
pub(crate) mod security_keys;
pub(crate) mod sends;
pub(crate) mod servers;
pub(crate) mod sessions;
pub(crate) mod sqlite;
pub(crate) mod tickets;
pub(crate) mod unproved;
pub(crate) mod users;
mod value;

use twofa_core::{Account, Channel};

use crate::error::StoreError;

pub(crate) use ahead::Ahead;
pub(crate) use db::{Db, Sql};
pub(crate) use value::{Parameter, Row, Value, values};

fn account_of(row: &Row<'_>) -> Result<Account, StoreError> {
    Ok(Account {
        name: row.get("name")?,
        uid: row.get("uid")?,
    })
}

fn channel(row: &Row<'_>) -> Result<Channel, StoreError> {
    row.get::<String>("channel")?
        .parse()
        .map_err(|_| StoreError::Damaged("a message in it goes by an unknown channel".to_owned()))
}
