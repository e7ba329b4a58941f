//! The processes of login sessions: whether a session has any, and how they are ended.
//!
//! The store knows a session by the process that opened it. [`machine`] finds what belongs to it now, from the kernel
//! ([`processes`]) and from systemd-logind where that runs ([`logind`]); [`end`] ends it, which takes root's rights. As
//! administration gives these up ([`twofa_broker::admin`]), a [`helper`] keeps them: a child that is told which sessions to
//! look at and to end, and neither reads the store nor asks anybody.

pub(crate) mod end;
pub(crate) mod helper;
pub(crate) mod logind;
pub(crate) mod machine;
pub(crate) mod processes;
