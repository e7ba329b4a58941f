//! The identity of a user.

/// An account of this machine, as the name service knows it. Name and uid together are the identity: an account that
/// was created again with another uid, or a uid that was given to another name, is a different user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account {
    /// The login name, as the name service spells it.
    pub name: String,
    /// The user id.
    pub uid: u32,
}
