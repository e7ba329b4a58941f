//! The values that both the rules and the statements know: trusted devices, login sessions, the tickets of
//! logins, and the marks of a database.

pub(crate) mod device;
pub(crate) mod mark;
pub(crate) mod session;
pub(crate) mod ticket;
