//! Apps and their keys, which are sealed to their row and its user.

use twofa_core::app::{Algorithm, App, OtpKind, Parameters};
use twofa_core::user::EnrolledApp;
use twofa_core::{Account, Key};

use crate::error::StoreError;
use crate::seal::{AssociatedData, Owner, SealingKey};
use crate::sql::apps::{AppRecord, SealedApp};

/// What the key of the app in `row` is bound to.
pub(crate) const fn enrolled(row: i64, owner: &Account) -> AssociatedData<'_> {
    AssociatedData {
        table: "app",
        column: "key",
        row,
        owner: Owner::User(owner),
    }
}

/// What the key of the pending app of `user` is bound to.
pub(crate) const fn pending(user: i64, owner: &Account) -> AssociatedData<'_> {
    AssociatedData {
        table: "pending_app",
        column: "key",
        row: user,
        owner: Owner::User(owner),
    }
}

/// Opens an app of `owner`.
pub(crate) fn open_enrolled(
    key: &SealingKey,
    owner: &Account,
    record: AppRecord,
) -> Result<EnrolledApp, StoreError> {
    // Negative: see `apps::suspect_tokens`.
    let must_resync = record.used.is_some_and(i64::is_negative);
    let used = match record.used {
        Some(used) if must_resync => used.checked_neg().and_then(|codes| codes.checked_sub(2)),
        used => used,
    };
    let used = used.and_then(|used| u64::try_from(used).ok());
    Ok(EnrolledApp {
        id: record.id,
        label: record.label,
        enrolled_at: record.enrolled_at,
        must_resync,
        app: open(key, enrolled(record.id, owner), &record.app, used)?,
    })
}

/// Opens an app whose key is bound to `data`.
pub(crate) fn open(
    key: &SealingKey,
    data: AssociatedData<'_>,
    sealed: &SealedApp,
    used: Option<u64>,
) -> Result<App, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("an app of {} {what}", data.owner));
    let stored = &sealed.parameters;
    let movement = stored
        .period
        .map_or(OtpKind::Counter, |period| OtpKind::Time { period });
    let algorithm: Algorithm = stored
        .algorithm
        .parse()
        .map_err(|bad| damaged(format!("is impossible: {bad}")))?;
    let parameters = Parameters::new(movement, algorithm, stored.digits)
        .map_err(|bad| damaged(format!("is impossible: {bad}")))?;
    let bytes = key.open(data, &sealed.key)?;
    let key = Key::new(bytes.to_vec()).map_err(|bad| damaged(format!("has a bad key: {bad}")))?;
    Ok(App {
        parameters,
        key,
        used,
    })
}

/// A step or counter as it is stored.
pub(crate) fn stored_count(count: u64) -> Result<i64, StoreError> {
    i64::try_from(count).map_err(|_| StoreError::Other("a counter ran over".to_owned()))
}
