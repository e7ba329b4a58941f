//! Lists users: those on record, and those who could log in and have no second factor.
//!
//! The store is read first and then released, because the name service, which is asked afterwards, can be slow.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use twofa_core::class::{EVERYONE, Effective};
use twofa_core::exemption::{Exemption, LoginSource, find_covering};
use twofa_core::forecast::{LockedOut, Means};
use twofa_core::policy::Enrolment;
use twofa_core::user::{Summary, Verify};
use twofa_core::{Account, Methods, Mode, Rulebook, Status, Throttle, Timestamp};
use twofa_proto::UserStatus;
use twofa_store::event::ReportedOutcome;
use twofa_store::{Store, StoreError, UserRow};

use super::checks::Remark;
use super::users::{ListedUser, StatusFilter, UserFilter};
use super::{AdminError, Administration};
use crate::identity::accounts::{self, Directory, LoginAccounts};
use crate::identity::person::PersonError;
use crate::identity::standing::{AccountState, Standings};
use crate::requests::login::refusal;
use crate::requests::manage::user_status;
use crate::sending::carried::carried;

/// How long to ask a directory for the groups of its accounts when everybody who could log in is listed or counted. If a
/// group is still unknown by then, the strictest class that could apply is used.
const GROUPS_TIMEOUT: Duration = Duration::from_secs(3);

/// What a listing may lack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListingGaps {
    /// The sources that may have more accounts than they list.
    pub incomplete: Vec<String>,
    /// Why the name service listed no accounts apart from those in `/etc/passwd`; `None`: it did.
    pub unanswered: Option<String>,
}

impl ListingGaps {
    fn of(found: &LoginAccounts) -> Self {
        Self {
            incomplete: found.incomplete.clone(),
            unanswered: found.unanswered.clone(),
        }
    }
}

impl Administration {
    /// Passes every user that matches `filter` to `each`, in order of name, until it returns `false`.
    pub fn users(
        &self,
        filter: &UserFilter,
        mut each: impl FnMut(ListedUser) -> bool,
    ) -> Result<ListingGaps, AdminError> {
        let rulebook = self.rulebook()?;
        if let Some(class) = &filter.class {
            check_class(&rulebook, class)?;
        }
        let without_factor = filter.status == Some(StatusFilter::WithoutSecondFactor);
        let (rows, gaps) = if without_factor {
            rows_without_method(self.store())?
        } else {
            (rows(self.store())?, ListingGaps::default())
        };
        let mut view = View::new(self, rulebook, without_factor)?;
        for row in rows {
            let user = view.user(row)?;
            if filter.lets_through(&user) && !each(user) {
                break;
            }
        }
        Ok(gaps)
    }
}

/// Fails if `rulebook` has no class `name`. Here, [`EVERYONE`] counts as one.
fn check_class(rulebook: &Rulebook, name: &str) -> Result<(), AdminError> {
    let is_known = |class: &twofa_core::Class| class.name == name;
    if name == EVERYONE || rulebook.classes().iter().any(is_known) {
        Ok(())
    } else {
        Err(AdminError::NoClass(name.to_owned()))
    }
}

/// How many users who could log in without a second factor would need one under `after` but not under `before`.
pub(super) fn remark_on_unenrolled(
    store: &Store,
    before: Option<&Rulebook>,
    after: &Rulebook,
    now: Timestamp,
) -> Result<Option<Remark>, AdminError> {
    let asks = after
        .policies()
        .any(|(_, policy)| policy.mode == Mode::Mandatory);
    if !asks || before == Some(after) {
        return Ok(None);
    }
    let (rows, gaps) = rows_without_method(store)?;
    let nothing = Rulebook::default();
    let before = before.unwrap_or(&nothing);
    let (exemptions, records) = (exemptions(store)?, Records::read(store)?);
    let mut directory = Directory::read_within(GROUPS_TIMEOUT);
    let (mut at_login, mut refused) = (0, 0);
    for UserRow {
        account, summary, ..
    } in rows
    {
        let earlier = effective(before, &summary, &account, &mut directory)?.policy;
        let later = effective(after, &summary, &account, &mut directory)?.policy;
        let is_new = summary.is_obliged(&later) && !summary.is_obliged(&earlier);
        let exemption = covering(&exemptions, &account, now, &mut directory);
        // An account that is mistaken for another is refused under any rules, and `doctor` reports it.
        if !is_new || exemption.is_some() || records.mismatch(&account).is_some() {
            continue;
        }
        match later.enrolment {
            Enrolment::AtLogin => at_login += 1,
            Enrolment::Beforehand => refused += 1,
        }
    }
    let is_complete = gaps == ListingGaps::default();
    Ok((at_login + refused > 0).then_some(Remark::NoSecondFactor {
        at_login,
        refused,
        is_complete,
    }))
}

/// The login names of those whom the rules keep out, by the reason. Locks and accounts that differ from their record are none
/// of the rules' doing.
pub(super) fn kept_out(
    admin: &Administration,
) -> Result<BTreeMap<LockedOut, Vec<String>>, AdminError> {
    let mut kept_out = BTreeMap::<_, Vec<_>>::new();
    let without = UserFilter {
        status: Some(StatusFilter::WithoutSecondFactor),
        ..UserFilter::default()
    };
    for (filter, has_methods) in [(UserFilter::default(), true), (without, false)] {
        admin.users(&filter, |user| {
            let why = user.kept_out.filter(|why| *why != LockedOut::Locked);
            if let Some(why) = why.filter(|_| user.methods.is_empty() != has_methods) {
                kept_out.entry(why).or_default().push(user.account.name);
            }
            true
        })?;
    }
    Ok(kept_out)
}

/// All users on record, in order of name.
pub(super) fn rows(store: &Store) -> Result<Vec<UserRow>, StoreError> {
    let mut rows = Vec::new();
    store.users(|row| {
        rows.push(row);
        true
    })?;
    Ok(rows)
}

/// All users, on record or not, who could log in and have no method, in order of name.
fn rows_without_method(store: &Store) -> Result<(Vec<UserRow>, ListingGaps), StoreError> {
    let found = accounts::login_accounts();
    let gaps = ListingGaps::of(&found);
    let mut recorded: HashMap<_, _> = rows(store)?
        .into_iter()
        .map(|row| (row.account.clone(), row))
        .collect();
    let with_record = found
        .accounts
        .into_iter()
        .map(|account| match recorded.remove(&account) {
            Some(row) => row,
            None => row_without_record(account),
        });
    let rows = with_record.filter(|row| row.summary.enrolled.is_empty());
    Ok((rows.collect(), gaps))
}

/// The row of an account that is not on record.
fn row_without_record(account: Account) -> UserRow {
    UserRow {
        account,
        summary: Summary {
            required: false,
            verify: Verify::default(),
            enrolled: Methods::NONE,
            throttle: Throttle::default(),
        },
        apps: 0,
        backup_codes: 0,
        has_security_key: false,
        passed_at: None,
    }
}

fn exemptions(store: &Store) -> Result<Vec<Exemption>, StoreError> {
    let stored = store.exemptions()?.into_iter();
    Ok(stored.map(|stored| stored.exemption).collect())
}

/// The policy that applies to `account`, and the class it comes from.
pub(super) fn effective<'a>(
    rulebook: &'a Rulebook,
    summary: &Summary,
    account: &Account,
    directory: &mut Directory,
) -> Result<Effective<'a>, AdminError> {
    let membership = |group: &twofa_core::Group| directory.membership(account, group);
    let effective = rulebook.effective(summary, membership);
    Ok(effective.map_err(PersonError::from)?)
}

fn covering<'a>(
    exemptions: &'a [Exemption],
    account: &Account,
    now: Timestamp,
    directory: &mut Directory,
) -> Option<&'a Exemption> {
    find_covering(exemptions, account, LoginSource::default(), now, |group| {
        directory.membership(account, group)
    })
}

/// What users' statuses depend on, read once for a whole listing.
struct View {
    rulebook: Rulebook,
    exemptions: Vec<Exemption>,
    directory: Directory,
    standings: Standings,
    records: Records,
    carried: Methods,
    now: Timestamp,
}

impl View {
    fn new(
        admin: &Administration,
        rulebook: Rulebook,
        has_everybody: bool,
    ) -> Result<Self, AdminError> {
        let directory = if has_everybody {
            Directory::read_within(GROUPS_TIMEOUT)
        } else {
            Directory::read()
        };
        Ok(Self {
            rulebook,
            exemptions: exemptions(admin.store())?,
            directory,
            standings: Standings::read(),
            records: Records::read(admin.store())?,
            carried: carried(&admin.store().providers()?),
            now: admin.now(),
        })
    }

    fn user(&mut self, row: UserRow) -> Result<ListedUser, AdminError> {
        let methods = row.methods_but_backup_codes();
        let UserRow {
            account, summary, ..
        } = row;
        let effective = effective(&self.rulebook, &summary, &account, &mut self.directory)?;
        let policy = &effective.policy;
        let exemption = covering(&self.exemptions, &account, self.now, &mut self.directory);
        let status = summary.status(policy, exemption, self.now);
        let in_force = status;
        let means = Means {
            policy,
            enrolled: summary.enrolled,
            has_backup_codes: row.backup_codes > 0,
            carried: self.carried,
        };
        let would_be = summary.status_if_mandatory(policy, exemption, self.now);
        let mut state = self.standings.state(&account);
        let status = match &state {
            AccountState::Gone => UserStatus::Gone,
            AccountState::Differs(_) if policy.mode.asks() && holds_back(&summary) => {
                UserStatus::IdentityMismatch
            }
            // It may have no record of its own: its login then finds the record of another account.
            AccountState::Current => match self.records.mismatch(&account) {
                Some(record) => {
                    state = AccountState::Mismatched(record);
                    user_status(status.with_identity_mismatch(policy))
                }
                None => user_status(status),
            },
            AccountState::Differs(_) | AccountState::Mismatched(_) | AccountState::Unsettled(_) => {
                user_status(status)
            }
        };
        let if_mandatory = if_mandatory(&means, would_be, &state, &summary);
        let kept_out = match state {
            AccountState::Current | AccountState::Unsettled(_) => means.locked_out(in_force),
            AccountState::Gone | AccountState::Differs(_) | AccountState::Mismatched(_) => None,
        };
        Ok(ListedUser {
            status,
            if_mandatory,
            kept_out,
            state,
            class: effective.class_name().to_owned(),
            account,
            required: summary.required,
            verify: summary.verify,
            failures: summary.throttle.failures(),
            methods,
            apps: row.apps,
            backup_codes: row.backup_codes,
            passed_at: row.passed_at,
        })
    }
}

/// What a login comes to if the mode is mandatory and the status then `would_be`; `None`: the account is gone.
fn if_mandatory(
    means: &Means<'_>,
    would_be: Status,
    state: &AccountState,
    summary: &Summary,
) -> Option<ReportedOutcome> {
    match state {
        AccountState::Gone => None,
        AccountState::Differs(_) if holds_back(summary) => Some(ReportedOutcome::IdentityMismatch),
        AccountState::Mismatched(_) if matches!(would_be, Status::Off | Status::Pending) => {
            Some(ReportedOutcome::IdentityMismatch)
        }
        _ => Some(outcome(means, would_be)),
    }
}

/// What a login comes to by the status that its user would have.
fn outcome(means: &Means<'_>, would_be: Status) -> ReportedOutcome {
    match (means.locked_out(would_be), would_be) {
        (Some(why), _) => refusal(why),
        (None, Status::Enabled) => ReportedOutcome::Asked,
        (None, Status::Pending) => ReportedOutcome::Enrols,
        (None, Status::NotAllowed) => ReportedOutcome::Replaces,
        (None, _) => ReportedOutcome::Exempt,
    }
}

/// Whether a record of this kind holds back other accounts of its name or uid.
pub(super) fn holds_back(summary: &Summary) -> bool {
    summary.required || !summary.enrolled.is_empty()
}

/// The accounts on record, by name and by uid.
struct Records {
    known: HashSet<Account>,
    /// The records that hold back other accounts of their name or uid.
    by_name: HashMap<String, Account>,
    by_uid: HashMap<u32, Account>,
}

impl Records {
    fn read(store: &Store) -> Result<Self, StoreError> {
        let mut records = Self {
            known: HashSet::new(),
            by_name: HashMap::new(),
            by_uid: HashMap::new(),
        };
        for UserRow {
            account, summary, ..
        } in rows(store)?
        {
            records.known.insert(account.clone());
            if holds_back(&summary) {
                let name = account.name.clone();
                records.by_name.entry(name).or_insert(account.clone());
                records.by_uid.entry(account.uid).or_insert(account);
            }
        }
        Ok(records)
    }

    /// The record that an account without one is mistaken for, as at its login
    /// ([`identity_mismatch`](twofa_store::UserSnapshot::identity_mismatch)).
    fn mismatch(&self, account: &Account) -> Option<Account> {
        if self.known.contains(account) {
            return None;
        }
        let same_name = self.by_name.get(&account.name);
        same_name.or_else(|| self.by_uid.get(&account.uid)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::{Bench, owned};
    use crate::admin::users::{StatusKind, UserChange};

    fn listed(bench: &Bench, filter: &UserFilter) -> Vec<ListedUser> {
        let mut users = Vec::new();
        bench
            .users(filter, |user| {
                users.push(user);
                true
            })
            .unwrap();
        users
    }

    #[test]
    fn records_of_deleted_accounts_and_of_changed_uids_are_marked() {
        let bench = Bench::new();
        bench.policy(&[("mode", "mandatory")]);
        bench.enrol_account("no-such-account", 4_000_000_000);
        bench.enrol_account("root", 4_000_000_001);
        let users = listed(&bench, &UserFilter::default());
        let marks: Vec<_> = users
            .iter()
            .map(|user| (StatusKind::from_status(user.status), user.state.clone()))
            .collect();
        let root = Account {
            name: "root".into(),
            uid: 0,
        };
        assert_eq!(
            marks,
            [
                (StatusKind::Gone, AccountState::Gone),
                (StatusKind::IdentityMismatch, AccountState::Differs(root)),
            ]
        );
        // The current account, which is not on record, has the same status as at its login.
        let none = UserFilter {
            status: Some(StatusFilter::WithoutSecondFactor),
            ..UserFilter::default()
        };
        let users = listed(&bench, &none);
        let root = users
            .iter()
            .find(|user| user.account.name == "root")
            .unwrap();
        assert_eq!(root.status, UserStatus::IdentityMismatch);
        let person = bench.test_class("root").unwrap();
        assert_eq!(
            Some(root.state.clone()),
            person.identity_mismatch.map(AccountState::Mismatched)
        );
    }

    #[test]
    fn users_without_a_second_factor_are_listed_and_are_counted_when_one_becomes_mandatory() {
        let bench = Bench::new();
        let none = UserFilter {
            status: Some(StatusFilter::WithoutSecondFactor),
            ..UserFilter::default()
        };
        let has_root = |bench: &Bench| {
            let users = listed(bench, &none);
            users.iter().any(|user| user.account.name == "root")
        };
        let counted = |bench: &Bench, settings: &[(&str, &str)]| {
            let plan = bench.plan_settings(&owned(settings)).unwrap();
            plan.remarks.into_iter().find_map(|remark| match remark {
                Remark::NoSecondFactor {
                    at_login, refused, ..
                } => Some((at_login, refused)),
                _ => None,
            })
        };
        assert!(has_root(&bench));
        let all = listed(&bench, &none).len();
        assert_eq!(counted(&bench, &[("mode", "optional")]), None);
        assert_eq!(counted(&bench, &[("mode", "mandatory")]), Some((all, 0)));
        let beforehand = [("mode", "mandatory"), ("enrolment", "beforehand")];
        assert_eq!(counted(&bench, &beforehand), Some((0, all)));

        bench.change_user("root", UserChange::Add).unwrap();
        assert!(has_root(&bench), "on record, and without a method");
        bench.enrol_account("root", 0);
        assert!(!has_root(&bench));
        let expected = Some((all - 1, 0)).filter(|(count, _)| *count > 0);
        assert_eq!(counted(&bench, &[("mode", "mandatory")]), expected);
        bench.remove_user("root").unwrap();
        bench.enrol_account("root", 4_000_000_001);
        assert!(has_root(&bench), "mistaken for the other, and refused");
        assert_eq!(counted(&bench, &[("mode", "mandatory")]), expected);
        bench.policy(&[("mode", "mandatory")]);
        assert_eq!(counted(&bench, &[("lockout.after", "7")]), None);
    }
}
