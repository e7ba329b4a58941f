//! On a host of a fleet: what it reports of its sessions to the servers, and what they order it to do.
//!
//! A report is repeated until a server has taken it; a server takes it once. An order stays until a server knows that it is done.

use twofa_core::Timestamp;

use crate::database::Store;
use crate::error::StoreError;
use crate::host_sessions::{HostReport, OrderForHost, RefusedReport};
use crate::sql::reported_sessions;

/// Sessions, and orders, in one report at most, so that it fits into one message.
const MOST: u32 = 500;
/// What servers know of a session.
const BEGUN: u8 = 1;
const ALL: u8 = 2;

/// What is to be done about sessions on this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionWork {
    /// What no server has taken yet.
    pub report: HostReport,
    /// Whether sessions are to be ended.
    pub is_any_to_end: bool,
    /// Sessions that were closed, of which it is to be found out whether they have processes.
    pub closing: Vec<i64>,
}

impl Store {
    /// What is to be done about the sessions of this host.
    pub fn session_work(&self) -> Result<SessionWork, StoreError> {
        self.read(|view| {
            Ok(SessionWork {
                report: HostReport {
                    begun: reported_sessions::begun(view.db, MOST)?,
                    ended: reported_sessions::ended(view.db, MOST)?,
                    done: reported_sessions::done(view.db, MOST)?,
                },
                is_any_to_end: reported_sessions::is_any_to_end(view.db)?,
                closing: reported_sessions::closing(view.db)?,
            })
        })
    }

    /// Notes that a server has taken `report`, but for what it `refused`.
    pub fn report_was_taken(
        &self,
        report: &HostReport,
        refused: &RefusedReport,
    ) -> Result<(), StoreError> {
        self.write_unsynced(|view| {
            for (conversation, _) in &report.begun {
                reported_sessions::set_reported(view.db, conversation, BEGUN)?;
            }
            for conversation in report.ended.iter().chain(&refused.sessions) {
                reported_sessions::set_reported(view.db, conversation, ALL)?;
            }
            for order in &report.done {
                reported_sessions::delete_order(view.db, *order)?;
            }
            Ok(())
        })
    }

    /// Takes the orders of a server. They are on disk when this returns.
    pub fn take_orders(&self, orders: &[OrderForHost], now: Timestamp) -> Result<(), StoreError> {
        self.write(|view| {
            for order in orders {
                reported_sessions::insert_order(view.db, order.id, now)?;
                for conversation in &order.conversations {
                    reported_sessions::set_order(view.db, conversation, order.id)?;
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
