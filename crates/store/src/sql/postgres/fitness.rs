//! Whether a database is fit for a transaction at this moment: commits last there, it takes changes, its clock is ours, and
//! its history has the last mark that was seen in it.

use tokio_postgres::Row;
use twofa_core::Timestamp;

use crate::error::StoreError;
use crate::model::mark::Mark;
use crate::sql::{Value, values};

/// How far our clock may be from the database's until nobody is served, in seconds. The window of a code is a minute and a half.
pub const FARTHEST_CLOCK: i64 = 15;

/// Asked with the beginning of each transaction, for which it sets what [`super::pool`] says.
pub(super) const QUESTION: &str = "SELECT set_config('client_min_messages', 'warning', true), set_config('lock_timeout', '4s', true),
    set_config('idle_in_transaction_session_timeout', '10s', true),
    (SELECT version FROM rules_version) AS rules_version, pg_is_in_recovery() AS is_standby,
    current_setting('fsync') || ' ' || current_setting('full_page_writes') || ' ' || current_setting('synchronous_commit') AS durability,
    current_setting('synchronous_standby_names') = '' AND EXISTS (
        SELECT 1 FROM setting WHERE key = 'fleet.durability' AND value = 'replicated') AS lacks_standby,
    CAST(floor(extract(epoch FROM clock_timestamp())) AS bigint) AS clock,
    ?1 = 0 OR EXISTS (SELECT 1 FROM mark WHERE number = ?1 AND value = ?2)
        OR ?1 < coalesce((SELECT min(number) FROM mark), 0) OR ?3 <= (SELECT resumed_at FROM mark_head) AS has_mark";

/// What a transaction demands of the database.
#[derive(Debug, Clone)]
pub(crate) struct Demands {
    /// A mark that its history must have.
    pub mark: Option<Mark>,
    /// The clock of this program.
    pub clock: Option<fn() -> Timestamp>,
    /// Commits must be on disk.
    pub is_synced: bool,
    /// They must be on the standby as well, where that is policy.
    pub needs_standby: bool,
}

/// What the database answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// How many seconds its clock is ahead of ours, as far as that is certain; negative: behind.
    pub clock_ahead: i64,
}

impl Demands {
    /// The parameters of [`QUESTION`].
    pub(super) fn with_parameters<T>(&self, ask: impl FnOnce(&[Value<'_>]) -> T) -> T {
        let (number, at, value) = self.mark.as_ref().map_or((0, 0, [0; 16]), |mark| {
            (mark.number, mark.at.unix(), mark.value)
        });
        ask(values![number, value, at])
    }

    /// Checks the answer, which came between the times `before` and `after` of our clock.
    pub(super) fn check(&self, row: &Row, before: Option<Timestamp>) -> Result<Found, StoreError> {
        if row.try_get("is_standby")? {
            return Err(StoreError::ReadOnly);
        }
        if self.is_synced {
            check_durability(row.try_get("durability")?)?;
        }
        if self.needs_standby && row.try_get("lacks_standby")? {
            return Err(StoreError::NoStandby);
        }
        let has_mark: bool = row.try_get("has_mark")?;
        if let Some(mark) = self.mark.as_ref().filter(|_| !has_mark) {
            return Err(StoreError::WentBack(mark.clone()));
        }
        let clock = row.try_get("clock")?;
        let after = self.clock.map(|clock| clock());
        let clock_ahead = clock_ahead(clock, before, after);
        if clock_ahead.abs() > FARTHEST_CLOCK {
            return Err(StoreError::ClockOff(clock_ahead));
        }
        Ok(Found { clock_ahead })
    }
}

/// Fails unless a commit is on disk when it is reported.
pub(super) fn check_durability(settings: &str) -> Result<(), StoreError> {
    if ["on on on", "on on remote_apply"].contains(&settings) {
        return Ok(());
    }
    Err(StoreError::Unreachable(format!(
        "commits could be lost: fsync, full_page_writes and synchronous_commit must be on, and are {settings}"
    )))
}

/// How far `clock` is from the time that passed between `before` and `after`, in seconds.
fn clock_ahead(clock: i64, before: Option<Timestamp>, after: Option<Timestamp>) -> i64 {
    let (Some(before), Some(after)) = (before, after) else {
        return 0;
    };
    let (before, after) = (before.unix(), after.unix());
    if clock < before {
        clock - before
    } else if clock > after {
        clock - after
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_is_no_clock_that_is_off() {
        let at = |seconds| Some(Timestamp::from_unix(seconds));
        assert_eq!(clock_ahead(103, at(100), at(105)), 0);
        assert_eq!(clock_ahead(90, at(100), at(105)), -10);
        assert_eq!(clock_ahead(125, at(100), at(105)), 20);
        assert_eq!(clock_ahead(125, None, at(105)), 0);
    }

    #[test]
    fn commits_last_only_with_all_three_settings() {
        for settings in ["on on on", "on on remote_apply"] {
            check_durability(settings).unwrap();
        }
        for settings in [
            "off on on",
            "on off on",
            "on on off",
            "on on local",
            "on on remote_write",
            "",
        ] {
            check_durability(settings).unwrap_err();
        }
    }
}
