//! Devices: what a login proves about where it comes from, and for how long that may stand in for a code.
//!
//! - [`trust`]: for how long the policy trusts devices;
//! - [`Device`] and [`DeviceKind`]: what can be trusted;
//! - [`evidence`]: what root's module reports about a login, and the [`Device`] that follows from it;
//! - [`ssh_key`]: the keys that sshd verified; [`address`]: which addresses are a device;
//! - [`grant`]: that a device is trusted, and until when that holds.
//!
//! A device is identified by as little as possible and only by what was proved: if nothing was, there is no device, and a
//! code is asked for.

pub mod address;
pub mod evidence;
pub mod grant;
mod kind;
pub mod ssh_key;
pub mod trust;

pub use evidence::{Evidence, identify};
pub use grant::Grant;
pub use kind::{Device, DeviceKind, LoginSession, LoginTerminal};
