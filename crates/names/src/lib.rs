//! The name service, with an answer of its own from every source that nsswitch.conf(5) names.
//!
//! getgrouplist(3) reports no errors: a source that is missing, down or slow reads as "is in no group", and
//! getgrnam(3) may read it as "no such group". A login must not rest on that. So `/etc/passwd` and `/etc/group` are
//! read here ([`files`]), and every other source is asked by itself, through the same module that libc would load
//! ([`module`]): it says found, not found, or that it has no answer. What that comes to for a person is a
//! [`Membership`](twofa_core::Membership) ([`groups`]).
//!
//! The alternatives fall short. `getent -s SOURCE` and `__nss_configure_lookup` ask one source, but hide its status too;
//! the protocols of sssd, winbind and userdb each reach one kind of directory, and do not tell what the kernel will be
//! told at this login.
//!
//! No question waits longer than [`PATIENCE`]: modules are asked on threads of their own ([`patience`]).

mod account;
mod files;
mod groups;
mod listing;
#[allow(unsafe_code)]
mod module;
mod patience;
mod switch;

pub use account::{find, listed_groups, system_user};
pub use groups::{Groups, group, members};
pub use listing::Directory;
pub use patience::PATIENCE;

/// A question that the name service did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name service does not answer: {0}")]
pub struct Unanswered(pub(crate) String);

/// What a source says: yes with something, no, or why it has no answer.
type Answer<T> = Result<Option<T>, String>;
