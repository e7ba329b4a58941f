//! The clock. Only the outermost layer asks it.

use std::time::{SystemTime, UNIX_EPOCH};

use twofa_core::Timestamp;

use super::sys;

/// The time now, by the system's clock.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the one place that asks the clock"
)]
pub fn now() -> Timestamp {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds)
        }
    };
    Timestamp::from_unix(seconds)
}

/// Whether something keeps this machine's clock right; `None`: the kernel does not say.
pub(crate) fn is_synchronised() -> Option<bool> {
    sys::is_clock_synchronised()
}
