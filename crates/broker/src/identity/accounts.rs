//! Accounts and groups, as the name service knows them (local files, LDAP, SSSD): see [`twofa_names`].

pub use twofa_names::{
    AccountLookup, Directory, GroupMembers, Groups, LoginAccounts, Unanswered as NameServiceError,
    every_source_answers, find, group, is_local, is_person, login_accounts, members, namesakes,
    shared_uids, stop_asking_overdue_sources, system_user,
};

/// Whether there is a group called `name`.
pub fn group_exists(name: &str) -> Result<bool, NameServiceError> {
    Ok(group(name)?.is_some())
}
