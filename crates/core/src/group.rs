//! Unix groups, and who is a member.

use std::fmt;

/// A Unix group, as a class or an exemption names it.
///
/// A login compares the gid: the name service gives the gids of a user's groups, also while the directory that the group
/// comes from is unreachable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// The name, as the administrator wrote it.
    pub name: String,
    /// The gid at the time when the administrator named the group; `None`: the name service did not know it.
    pub gid: Option<u32>,
}

impl Group {
    /// The group called `name`, with an unknown gid.
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

/// Whether a user is a member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// A source of the name service lists the user.
    Member,
    /// Every source of the name service answered, and none lists the user.
    NotMember,
    /// A source gave no answer, or contradicted itself: neither of the above may be assumed.
    Unknown,
}
