//! What a service manager is told, see `sd_notify(3)`. Where there is none, nothing is sent.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

/// Tells it that connections are served.
pub(crate) fn notify_ready() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Ready])
}

/// Tells it that the process is about to end.
pub(crate) fn notify_stopping() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Stopping])
}

/// Tells it that the process works.
pub(crate) fn notify_alive() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Watchdog])
}

/// The longest time between two calls of [`notify_alive`] after which it does not yet restart the process. `None`: it does
/// not wait for them.
pub(crate) fn watchdog_timeout() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}
