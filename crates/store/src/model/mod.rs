//! The values that both the rules and the statements know: trusted devices, login sessions, and the tickets of logins.

pub(crate) mod device;
pub(crate) mod session;
pub(crate) mod ticket;
