//! This machine as a host of a fleet: its [`files`], its [`membership`], its [`policy_copy`], which accounts are [`shared`], the
//! [`relay`] that passes their logins on to a server, and its [`upkeep`].

pub mod files;
pub(crate) mod marks;
pub mod membership;
pub mod policy_copy;
pub(crate) mod relay;
pub(crate) mod requests;
pub mod shared;
pub(crate) mod upkeep;
