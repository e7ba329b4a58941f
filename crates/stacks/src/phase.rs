//! The types of lines in a stack.

/// The type of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// `auth`.
    Auth,
    /// `account`.
    Account,
    /// `session`.
    Session,
    /// `password`.
    Password,
}
