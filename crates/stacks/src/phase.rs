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

impl Phase {
    /// All of them, in their order.
    pub(crate) const ALL: [Self; 4] = [Self::Auth, Self::Account, Self::Session, Self::Password];

    /// The first word of its lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Account => "account",
            Self::Session => "session",
            Self::Password => "password",
        }
    }
}
