//! The process as the kernel sees it, for `twofad` and for root's `twofa`.
//!
//! [`reset`] and [`cgroup`] undo what the program that started it has set, [`privileges`] gives up root irrevocably,
//! [`socket_activation`] takes over a socket, [`service_manager`] is told how the broker is, [`location`] says where the
//! store is, [`log`] writes to the system's log without ever waiting for it, and [`clock`]
//! is the one place that asks for the time. [`sys`] has what takes unsafe code.

mod cgroup;
pub mod clock;
pub mod location;
pub mod log;
pub mod privileges;
pub mod reset;
pub(crate) mod service_manager;
pub(crate) mod socket_activation;
mod sys;

/// The uid of the person who logged in and became another user since (`/proc/self/loginuid`, proc(5)), where the kernel keeps it.
pub(crate) fn login_uid() -> Option<u32> {
    let login_uid = std::fs::read_to_string("/proc/self/loginuid")
        .ok()
        .and_then(|uid| uid.trim().parse().ok());
    login_uid.filter(|uid| *uid != u32::MAX)
}
