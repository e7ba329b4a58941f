//! The types of lines in a stack.

/// The type of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// `auth`: authenticates the user.
    Auth,
    /// `account`: decides whether the account may be used.
    Account,
    /// `session`: runs when a session begins and ends.
    Session,
    /// `password`: changes the password.
    Password,
}
