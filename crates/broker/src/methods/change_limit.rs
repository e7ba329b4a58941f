//! The limit on changes that were not confirmed with a code.

use twofa_store::StoreError;

use crate::context::Context;
use crate::text::messages;

/// Counts a change that is about to be made, if the account's own user makes it and was not asked for a code: each writes
/// to the disk. Returns the text for the person if there were too many.
pub(crate) fn count_unproved(context: Context<'_>) -> Result<Option<String>, StoreError> {
    let is_proved = context.user().is_enrolled(context.policy().methods);
    if context.origin.actor == 0 || is_proved {
        return Ok(None);
    }
    let now = context.now();
    let next = context
        .store()
        .begin_unproved_change(context.account, now)?;
    Ok(next.map(|next| messages::too_many_changes(next, now)))
}
