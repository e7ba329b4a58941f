//! What administrators have decided, kept in memory as long as it holds.

use std::sync::{Arc, PoisonError};

use rusqlite::Transaction;
use twofa_core::Rulebook;

use crate::database::Store;
use crate::error::StoreError;
use crate::exemptions::{self, StoredExemption};
use crate::policy;

/// What an administrator has decided: policy, classes and exemptions.
#[derive(Debug, PartialEq, Eq)]
pub struct Rules {
    /// Policy and classes.
    pub rulebook: Rulebook,
    /// Every exemption.
    pub exemptions: Vec<StoredExemption>,
}

/// The rules as of one state of the database.
#[derive(Debug)]
pub(crate) struct KnownRules {
    /// `PRAGMA data_version`: differs as soon as another connection has changed anything.
    data_version: i64,
    rules: Arc<Rules>,
}

impl Store {
    /// The rules in force.
    pub fn rules_in_force(&self) -> Result<Arc<Rules>, StoreError> {
        self.read(|db| self.rules(db))
    }

    /// The rules in force in `db`. Rules change rarely and every login asks for them, so they are read again only
    /// when the database has changed under us; our own changes of them call [`Store::forget_rules`]. Rules that were
    /// read again and have not changed are the same [`Arc`], so that who holds one can tell.
    pub(crate) fn rules(&self, db: &Transaction<'_>) -> Result<Arc<Rules>, StoreError> {
        let data_version = db
            .prepare_cached("PRAGMA data_version")?
            .query_one([], |row| row.get(0))?;
        let mut known = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known
            .as_ref()
            .filter(|known| known.data_version == data_version)
        {
            return Ok(known.rules.clone());
        }
        let read = Rules {
            rulebook: policy::load(db)?,
            exemptions: exemptions::all(db)?,
        };
        let rules = match known.take() {
            Some(known) if *known.rules == read => known.rules,
            _ => Arc::new(read),
        };
        *known = Some(KnownRules {
            data_version,
            rules: rules.clone(),
        });
        Ok(rules)
    }

    /// Forgets the rules, before they are changed in a transaction of ours.
    pub(crate) fn forget_rules(&self) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
