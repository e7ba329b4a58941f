//! This machine as a host of a fleet: its [`files`] (those of a server, too, also while the certificate authority is
//! [rotated](rotating)), its [`membership`], its [`policy_copy`], which accounts are [`shared`], the [`relay`] that passes their
//! logins on to a server, what its users do with their [`own_record`], its [`rescue`] codes, and its [`upkeep`], to which a rotation
//! of the certificate [`authorities`] belongs.

pub(crate) mod authorities;
pub mod files;
pub(crate) mod marks;
pub mod membership;
pub(crate) mod own_record;
pub mod policy_copy;
pub(crate) mod relay;
pub(crate) mod requests;
pub(crate) mod rescue;
pub mod rotating;
pub mod shared;
pub(crate) mod upkeep;
