//! The name service, with an answer of its own from every source that nsswitch.conf(5) names.
//!
//! getgrouplist(3) reports no errors: a source that is missing, down or slow looks like "is in no group", and
//! getgrnam(3) may report "no such group". A login must not rely on that. So `/etc/passwd` and `/etc/group` are
//! read here ([`files`]), and every other source is asked by itself, through the same module that libc would load
//! ([`module`]): it answers found, not found, or that it cannot tell. Together that is a
//! [`Membership`](twofa_core::Membership) ([`membership`]).
//!
//! The alternatives fall short. `getent -s SOURCE` and `__nss_configure_lookup` ask one source, but also hide its status;
//! the protocols of sssd, winbind and userdb each reach one kind of directory, and do not tell which groups the kernel
//! will get at this login.
//!
//! No question waits longer than [`TIMEOUT`]: modules are asked on threads of their own ([`query`]).

mod account;
mod accounts;
mod files;
mod groups;
mod listing;
mod membership;
#[allow(unsafe_code)]
mod module;
mod query;
mod switch;

pub use account::{find, is_local, listed_groups, namesakes, system_user};
pub use accounts::{
    AccountLookup, LoginAccounts, every_source_answers, is_person, login_accounts, shared_uids,
};
pub use groups::{GroupMembers, group, members};
pub use listing::Directory;
pub use membership::Groups;
pub use query::{TIMEOUT, stop_asking_overdue_sources};

/// A question that the name service did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name service does not answer: {0}")]
pub struct Unanswered(pub(crate) String);

impl Unanswered {
    /// A question that has no answer for this reason.
    pub const fn new(why: String) -> Self {
        Self(why)
    }
}

/// The answer of a source: something, nothing, or why it cannot tell.
type Answer<T> = Result<Option<T>, String>;
