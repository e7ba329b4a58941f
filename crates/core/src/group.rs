//! Unix groups, and whether somebody is in one.

use std::fmt;

/// A Unix group, as a class or an exemption names it.
///
/// The gid is what a login compares: it is what the name service tells of a person ("their own groups"), and it is
/// known while the directory that the group comes from is out of reach.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// Its name, as the administrator wrote it.
    pub name: String,
    /// Its id when the administrator named it; `None`: the name service could not tell.
    pub gid: Option<u32>,
}

impl Group {
    /// The group called `name`, whose gid is not known.
    pub fn called(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            gid: None,
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Whether somebody is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// A source of the name service says so.
    Member,
    /// Every source of the name service was asked, and none says so.
    NotMember,
    /// A source gave no answer, or contradicts itself. Neither of the above may be assumed.
    Unknown,
}
