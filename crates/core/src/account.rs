//! Who somebody is.

/// An account of this machine, as the name service knows it. The pair is the identity: an account
/// re-created with another uid, or a uid given to another name, is somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account {
    /// The login name, as the name service spells it.
    pub name: String,
    /// The user id.
    pub uid: u32,
}
