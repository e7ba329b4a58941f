//! The process as the kernel sees it, for `twofad` and for root's `twofa`.
//!
//! [`inherited`] and [`cgroup`] undo what the program that started us had set, [`privileges`] gives up root for good,
//! [`log`] writes to the system's log without ever waiting for it, and [`clock`] is the one place that asks for the time.

mod cgroup;
pub mod clock;
pub mod inherited;
pub mod log;
pub mod privileges;
