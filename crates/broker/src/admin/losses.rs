//! Whom a change of the rules, or of the providers, leaves without a method that works.

use std::time::Duration;

use twofa_core::Account;
use twofa_core::transition::{Loss, Transition};
use twofa_store::{Store, StoreError};

use crate::identity::accounts::Directory;

/// How long people of a directory are asked about. From then on they count as if they were in any group.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(3);

/// Everybody in `store` whom `change` leaves without a method that works, by name. Rather one too many than one too few:
/// people whose groups the name service does not tell are among them.
pub(super) fn find(
    store: &Store,
    change: &Transition<'_>,
) -> Result<Vec<(Account, Loss)>, StoreError> {
    let mut concerned = Vec::new();
    store.users(|user| {
        if change.could_concern(&user.summary) {
            concerned.push((user.account, user.summary));
        }
        true
    })?;
    if concerned.is_empty() {
        return Ok(Vec::new());
    }
    // The name service may take its time: nothing of the store is held meanwhile.
    let mut directory = Directory::read_within(DIRECTORY_TIMEOUT);
    let lost = concerned.into_iter().filter_map(|(account, summary)| {
        let loss = change.loss(&summary, |group| directory.membership(&account, group))?;
        Some((account, loss))
    });
    Ok(lost.collect())
}
