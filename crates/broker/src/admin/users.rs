//! Users: what a [`listing`](super::listing) says about each, and changes to one of them.

use twofa_core::forecast::LockedOut;
use twofa_core::user::Verify;
use twofa_core::{Account, Method, Methods, Timestamp};
use twofa_fleet::invitation;
use twofa_proto::{Secret, UserStatus};
use twofa_store::event::ReportedOutcome;
use zeroize::Zeroizing;

use super::checks::Remark;
use super::{AdminError, Administration};
use crate::identity::accounts;
pub use crate::identity::accounts::GroupMembers;
use crate::identity::standing::AccountState;

/// Which users a listing contains.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Those of this status.
    pub status: Option<StatusFilter>,
    /// Those of this class.
    pub class: Option<String>,
    /// Those with this method, or none.
    pub method: Option<MethodFilter>,
    /// Those who have shown a correct code for the last time before this, or never.
    pub passed_before: Option<Timestamp>,
}

/// What a listing selects by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// Those on record with this status.
    Is(StatusKind),
    /// Everybody who could log in and has no second factor, on record or not.
    WithoutSecondFactor,
}

/// A status without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusKind {
    /// Not asked for a code.
    Off,
    /// Not asked for a code, because the mode is report: logins are recorded.
    Reported,
    /// Must enrol at the next login.
    Pending,
    /// Enrolled, by no method that is allowed.
    NotAllowed,
    /// Asked for a code.
    Enabled,
    /// Refused for wrong codes.
    Locked,
    /// Not asked, because an exemption covers the user.
    Exempt,
    /// Refused: the account has another uid or another name than the one on record.
    IdentityMismatch,
    /// On record, but no account has this name or uid.
    Gone,
}

impl StatusKind {
    /// All kinds, in the order in which help and completions show them.
    pub const ALL: [Self; 9] = [
        Self::Off,
        Self::Reported,
        Self::Pending,
        Self::NotAllowed,
        Self::Enabled,
        Self::Locked,
        Self::Exempt,
        Self::IdentityMismatch,
        Self::Gone,
    ];

    /// The kind of `status`.
    pub const fn from_status(status: UserStatus) -> Self {
        match status {
            UserStatus::Off => Self::Off,
            UserStatus::Reported => Self::Reported,
            UserStatus::Pending => Self::Pending,
            UserStatus::NotAllowed => Self::NotAllowed,
            UserStatus::Enabled => Self::Enabled,
            UserStatus::LockedUntil(_) | UserStatus::Locked => Self::Locked,
            UserStatus::Exempt(_) => Self::Exempt,
            UserStatus::IdentityMismatch => Self::IdentityMismatch,
            UserStatus::Gone => Self::Gone,
        }
    }

    /// For scripts: `not-allowed` and the like.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Reported => "report",
            Self::Pending => "pending",
            Self::NotAllowed => "not-allowed",
            Self::Enabled => "enabled",
            Self::Locked => "locked",
            Self::Exempt => "exempt",
            Self::IdentityMismatch => "identity-mismatch",
            Self::Gone => "gone",
        }
    }
}

/// Methods, as a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodFilter {
    /// Those who have this one.
    Has(Method),
    /// Those who have none.
    Nothing,
}

/// One user in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUser {
    /// Login name and uid.
    pub account: Account,
    /// The status at a login without a known origin.
    pub status: UserStatus,
    /// What a login without a known origin would come to if the mode were mandatory; `None`: the account is gone.
    pub if_mandatory: Option<ReportedOutcome>,
    /// Why the rules in force keep the user out of such a login; `None`: they do not.
    pub kept_out: Option<LockedOut>,
    /// What has become of the account.
    pub state: AccountState,
    /// The class whose policy applies.
    pub class: String,
    /// Whether an administrator requires a second factor.
    pub required: bool,
    /// When the user wants to be asked.
    pub verify: Verify,
    /// Wrong codes since the last right one.
    pub failures: u64,
    /// What is enrolled and can stand alone, whether the policy allows it or not.
    pub methods: Methods,
    /// How many apps are enrolled.
    pub apps: u32,
    /// Backup codes not used yet.
    pub backup_codes: u32,
    /// When a code was correct for the last time.
    pub passed_at: Option<Timestamp>,
}

/// A change that can be made to many users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChange {
    /// Makes a record.
    Add,
    /// Requires a second factor.
    Require,
    /// No longer requires one.
    Release,
    /// Ends a lock and forgets wrong codes.
    Unlock,
    /// Removes all methods.
    Reset,
}

/// The members of a Unix group.
pub fn group_members(group: &str) -> Result<GroupMembers, AdminError> {
    accounts::members(group)?.ok_or_else(|| AdminError::NoGroup(group.to_owned()))
}

/// An invitation, as it is shown once.
#[derive(Debug)]
pub struct Invitation {
    /// What the user types.
    pub code: Secret,
    /// Until when it works.
    pub until: Timestamp,
}

impl Administration {
    /// Makes `change` to the user called `name`, and returns whether anything was different before.
    pub fn change_user(&self, name: &str, change: UserChange) -> Result<bool, AdminError> {
        let account = accounts::find(name)?;
        let account = &account.ok_or_else(|| AdminError::NoUser(name.to_owned()))?;
        let (store, origin, now) = (self.store(), &self.origin(), self.now());
        Ok(match change {
            UserChange::Add => store.add_user(account, origin, now)?,
            UserChange::Require => store.set_required(account, true, origin, now)?,
            UserChange::Release => store.set_required(account, false, origin, now)?,
            UserChange::Unlock => store.unlock(account, origin, now)?,
            UserChange::Reset => store.reset(account, origin, now)?,
        })
    }

    /// Makes the user called `name` a one-time code with which a first method can be set up in a login on a host of the fleet,
    /// for so many seconds. It is stored nowhere. An earlier one ends.
    pub fn invite(&self, name: &str, seconds: u64) -> Result<Invitation, AdminError> {
        let account = accounts::find(name)?;
        let account = &account.ok_or_else(|| AdminError::NoUser(name.to_owned()))?;
        let mut bytes = Zeroizing::new([0; invitation::BYTES]);
        getrandom::fill(&mut *bytes)?;
        let code = Secret::from(invitation::code(*bytes));
        let digest = invitation::digest(code.expose());
        let (origin, now) = (self.origin(), self.now());
        let until = now.after(seconds);
        if !self.store().invite(account, digest, until, &origin, now)? {
            return Err(AdminError::Enrolled(name.to_owned()));
        }
        Ok(Invitation { code, until })
    }

    /// Removes all that is known of `name`, under every uid it ever had: the account may be gone, or made again. Returns
    /// the uids.
    pub fn remove_user(&self, name: &str) -> Result<Vec<u32>, AdminError> {
        let uids = self.store().uids_of(name)?;
        if uids.is_empty() {
            return Err(AdminError::NothingKnown(name.to_owned()));
        }
        for uid in &uids {
            let account = Account {
                name: name.to_owned(),
                uid: *uid,
            };
            self.store()
                .remove_user(&account, &self.origin(), self.now())?;
        }
        Ok(uids)
    }

    /// What is to be known where a second factor is required of single users.
    pub fn remark_on_requiring(&self) -> Result<Option<Remark>, AdminError> {
        let is_disabled = !self.rulebook()?.machine().mode.asks();
        Ok(is_disabled.then_some(Remark::Disabled))
    }
}

impl UserFilter {
    pub(super) fn lets_through(&self, user: &ListedUser) -> bool {
        let status = self.status.is_none_or(|status| match status {
            StatusFilter::Is(kind) => kind == StatusKind::from_status(user.status),
            StatusFilter::WithoutSecondFactor => user.methods.is_empty(),
        });
        let method = self.method.is_none_or(|method| match method {
            MethodFilter::Has(Method::Backup) => user.backup_codes > 0,
            MethodFilter::Has(method) => user.methods.contains(method),
            MethodFilter::Nothing => user.methods.is_empty() && user.backup_codes == 0,
        });
        let stale = self
            .passed_before
            .is_none_or(|before| user.passed_at.is_none_or(|passed| passed < before));
        let class = self.class.as_ref();
        status && method && stale && class.is_none_or(|class| *class == user.class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::Bench;

    fn user() -> ListedUser {
        ListedUser {
            if_mandatory: None,
            kept_out: None,
            account: Account {
                name: "alice".into(),
                uid: 1000,
            },
            status: UserStatus::LockedUntil(1_800_000_000),
            state: AccountState::Current,
            class: "ops".into(),
            required: false,
            verify: Verify::Always,
            failures: 0,
            methods: Methods::NONE.with(Method::App),
            apps: 1,
            backup_codes: 0,
            passed_at: None,
        }
    }

    #[test]
    fn a_filter_selects_users_who_match_all_of_its_conditions() {
        let nobody_asked = UserFilter::default();
        let locked = UserFilter {
            status: Some(StatusFilter::Is(StatusKind::Locked)),
            class: Some("ops".into()),
            method: Some(MethodFilter::Has(Method::App)),
            passed_before: Some(Timestamp::from_unix(0)),
        };
        assert!(nobody_asked.lets_through(&user()) && locked.lets_through(&user()));
        let passed = ListedUser {
            passed_at: Some(Timestamp::from_unix(1)),
            ..user()
        };
        assert!(!locked.lets_through(&passed));
        for other in [
            UserFilter {
                status: Some(StatusFilter::Is(StatusKind::Enabled)),
                ..locked.clone()
            },
            UserFilter {
                class: Some("web".into()),
                ..locked.clone()
            },
            UserFilter {
                method: Some(MethodFilter::Has(Method::Backup)),
                ..locked.clone()
            },
            UserFilter {
                method: Some(MethodFilter::Nothing),
                ..locked.clone()
            },
        ] {
            assert!(!other.lets_through(&user()), "{other:?}");
        }
    }

    fn listed(bench: &Bench, filter: &UserFilter) -> Vec<(String, StatusKind)> {
        let mut users = Vec::new();
        bench
            .users(filter, |user| {
                users.push((user.account.name, StatusKind::from_status(user.status)));
                true
            })
            .unwrap();
        users
    }

    #[test]
    fn a_change_says_whether_anything_was_different_and_the_list_shows_it() {
        let bench = Bench::new();
        bench.policy(&[("mode", "optional")]);
        let all = UserFilter::default();
        for (change, status) in [
            (UserChange::Add, StatusKind::Off),
            (UserChange::Require, StatusKind::Pending),
            (UserChange::Release, StatusKind::Off),
        ] {
            let changes = [(); 2].map(|()| bench.change_user("root", change).unwrap());
            assert_eq!(changes, [true, false], "{change:?}");
            assert_eq!(listed(&bench, &all), [("root".to_owned(), status)]);
        }
        assert!(!bench.change_user("root", UserChange::Unlock).unwrap());
        assert!(!bench.change_user("root", UserChange::Reset).unwrap());
        assert_eq!(bench.remove_user("root").unwrap(), [0]);
        assert_eq!(listed(&bench, &all), []);
    }

    #[test]
    fn users_groups_and_classes_that_do_not_exist_are_said_to_be_missing() {
        let bench = Bench::new();
        let name = "no-such-name";
        assert!(matches!(
            bench.change_user(name, UserChange::Add),
            Err(AdminError::NoUser(_))
        ));
        assert!(matches!(
            bench.remove_user(name),
            Err(AdminError::NothingKnown(_))
        ));
        assert!(matches!(group_members(name), Err(AdminError::NoGroup(_))));
        let filter = UserFilter {
            class: Some(name.into()),
            ..UserFilter::default()
        };
        assert!(matches!(
            bench.users(&filter, |_| true),
            Err(AdminError::NoClass(_))
        ));
    }

    #[test]
    fn a_requirement_without_effect_gets_a_remark() {
        let bench = Bench::new();
        assert_eq!(bench.remark_on_requiring().unwrap(), Some(Remark::Disabled));
        bench.policy(&[("mode", "optional")]);
        assert_eq!(bench.remark_on_requiring().unwrap(), None);
    }
}
