//! `twofa user`.

use std::io::{self, Write};

use serde::Serialize;
use twofa_broker::accounts::Directory;
use twofa_broker::admin::Administration;
use twofa_broker::admin::class::check_exists;
use twofa_broker::{accounts, clock, manage};
use twofa_core::class;
use twofa_core::exemption::{Exemption, LoginSource, find_covering};
use twofa_core::{Account, Method, Rulebook, Timestamp};
use twofa_proto::{Failure, UserStatus};
use twofa_store::{StoreError, UserRow};

use super::exemption::{self, Wish};
use super::{by_root, self_service, standing, standing_until, standing_word};
use crate::arguments::{MethodFilter, StatusFilter, UserCommand, Users};
use crate::error::CommandError;
use crate::messages::{moment, rfc3339};
use crate::output::{Listing, Output, Value};
use crate::{bulk, client};

pub(crate) fn run(command: &UserCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("administer users"));
    }
    match command {
        UserCommand::List {
            status,
            class,
            method,
            stale,
        } => {
            let filter = Filter {
                status: *status,
                class: class.clone(),
                method: *method,
                passed_before: stale.map(|stale| clock::now().before(stale.seconds())),
            };
            list(&filter, output)
        }
        UserCommand::Show { name } => self_service::status(Some(name.clone()), output),
        UserCommand::Set {
            name,
            settings,
            verified,
        } => self_service::set(settings.clone(), *verified, Some(name.clone())),
        UserCommand::Exempt {
            name,
            group,
            reason,
            until,
            from,
            service,
        } => exemption::grant(&Wish {
            name: name.as_deref(),
            group: group.as_deref(),
            reason,
            until,
            from: *from,
            service: service.as_deref(),
        }),
        UserCommand::Add(users) => change(
            users,
            "There was a record already of",
            "Added",
            |broker, account| broker.store().add_user(account, &by_root(), clock::now()),
        ),
        UserCommand::Require(users) => require(users),
        UserCommand::Release(users) => change(
            users,
            "No second factor was required of",
            "No longer required of",
            |broker, account| {
                broker
                    .store()
                    .set_required(account, false, &by_root(), clock::now())
            },
        ),
        UserCommand::Unlock(users) => change(
            users,
            "There was nothing to unlock for",
            "Unlocked",
            |broker, account| broker.store().unlock(account, &by_root(), clock::now()),
        ),
        UserCommand::Reset(users) => change(
            users,
            "Nothing was enrolled for",
            "Removed every method, and requires a new one, of",
            |broker, account| broker.store().reset(account, &by_root(), clock::now()),
        ),
        UserCommand::Remove(users) => remove(users),
    }
}

/// Which users a listing shows.
struct Filter {
    status: Option<StatusFilter>,
    class: Option<String>,
    method: Option<MethodFilter>,
    /// Passed for the last time before this, or never.
    passed_before: Option<Timestamp>,
}

/// A user as JSON has it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    user: &'a str,
    uid: u32,
    status: &'static str,
    until: Option<String>,
    class: &'a str,
    required: bool,
    verify: String,
    failures: u64,
    methods: Vec<&'static str>,
    apps: u32,
    backup_codes_left: u32,
    passed_at: Option<String>,
}

fn list(filter: &Filter, output: Output) -> Result<(), CommandError> {
    let broker = client::open()?;
    let rulebook = broker.rulebook()?;
    if let Some(class) = &filter.class {
        check_exists(&rulebook, class)?;
    }
    let exemptions: Vec<_> = broker
        .store()
        .exemptions()?
        .into_iter()
        .map(|stored| stored.exemption)
        .collect();
    let mut directory = Directory::read();
    let now = clock::now();
    let mut listing = output.listing(&[
        "USER",
        "UID",
        "STATUS",
        "CLASS",
        "REQUIRED",
        "METHODS",
        "BACKUP CODES",
        "FAILURES",
        "LAST PASSED",
    ]);
    let mut result = Ok(());
    broker.store().users(|user| {
        result = list_one(
            &user,
            &rulebook,
            &exemptions,
            &mut directory,
            filter,
            now,
            &mut listing,
        );
        result.is_ok()
    })?;
    result?;
    listing
        .end("No users to show. They come with 'twofa enrol app', 'twofa user add' or 'twofa user require'.")
}

fn list_one(
    user: &UserRow,
    rulebook: &Rulebook,
    exemptions: &[Exemption],
    directory: &mut Directory,
    filter: &Filter,
    now: Timestamp,
    listing: &mut Listing,
) -> Result<(), CommandError> {
    let account = &user.account;
    let effective = class::effective(
        rulebook.machine(),
        rulebook.classes(),
        &user.summary,
        |group| directory.membership(account, group),
    );
    let effective =
        effective.map_err(|error| CommandError::new(Failure::Unavailable, error.to_string()))?;
    let exemption = find_covering(exemptions, account, LoginSource::default(), now, |group| {
        directory.membership(account, group)
    });
    let stands = manage::user_status(user.summary.status(&effective.policy, exemption, now));
    let class = effective.class_name();
    if !filter.lets_through(user, class, stands) {
        return Ok(());
    }
    let row = Row {
        user: &account.name,
        uid: account.uid,
        status: standing_word(stands),
        until: standing_until(stands),
        class,
        required: user.summary.required,
        verify: user.summary.verify.to_string(),
        failures: user.summary.throttle.failures(),
        methods: user.summary.enrolled.iter().map(Method::name).collect(),
        apps: user.apps,
        backup_codes_left: user.backup_codes,
        passed_at: user.passed_at.map(rfc3339),
    };
    listing.row(&row, || {
        vec![
            Value::Text(account.name.clone()),
            Value::Number(account.uid.into()),
            standing(stands),
            Value::Text(class.to_owned()),
            Value::Text(if user.summary.required { "yes" } else { "no" }.to_owned()),
            Value::Text(if row.methods.is_empty() {
                "none".to_owned()
            } else {
                row.methods.join(",")
            }),
            Value::Number(user.backup_codes.into()),
            Value::Number(user.summary.throttle.failures()),
            Value::Text(user.passed_at.map_or_else(|| "never".to_owned(), moment)),
        ]
    })?;
    Ok(())
}

impl Filter {
    fn lets_through(&self, user: &UserRow, class: &str, stands: UserStatus) -> bool {
        let status = self.status.is_none_or(|status| {
            let word = match status {
                StatusFilter::Off => "off",
                StatusFilter::Pending => "pending",
                StatusFilter::NotAllowed => "not-allowed",
                StatusFilter::Enabled => "enabled",
                StatusFilter::Locked => "locked",
                StatusFilter::Exempt => "exempt",
            };
            word == standing_word(stands)
        });
        let method = self.method.is_none_or(|method| match method {
            MethodFilter::Has(method) => user.methods().contains(method),
            MethodFilter::Nothing => user.methods().is_empty(),
        });
        let stale = self
            .passed_before
            .is_none_or(|before| user.passed_at.is_none_or(|passed| passed < before));
        status && method && stale && self.class.as_deref().is_none_or(|wanted| wanted == class)
    }
}

fn require(users: &Users) -> Result<(), CommandError> {
    change(
        users,
        "A second factor was required already of",
        "A second factor is now required of",
        |broker, account| {
            broker
                .store()
                .set_required(account, true, &by_root(), clock::now())
        },
    )?;
    let rulebook = client::open()?.store().rulebook()?;
    if rulebook.machine().mode == twofa_core::Mode::Disabled {
        let warning = "warning: the policy is disabled, so nobody outside of a class is asked; see \
                       'twofa policy set mode=optional'";
        writeln!(io::stderr(), "{warning}")?;
    }
    Ok(())
}

/// Does `act` to the accounts of `users` and says of each whether that changed something.
fn change(
    users: &Users,
    unchanged: &str,
    changed: &str,
    act: impl Fn(&Administration, &Account) -> Result<bool, StoreError>,
) -> Result<(), CommandError> {
    let names = bulk::names(users)?;
    let broker = client::open()?;
    bulk::each(&names, |name| {
        let account = accounts::find(name)
            .map_err(|error| CommandError::new(Failure::Unavailable, error.to_string()))?;
        let Some(account) = account else {
            let error = CommandError::new(
                Failure::NotFound,
                format!("there is no account called '{name}'"),
            );
            return Err(
                error.hinted("a record of an account that is gone goes with 'twofa user remove'")
            );
        };
        let done = act(&broker, &account)?;
        Ok(format!(
            "{} {}.",
            if done { changed } else { unchanged },
            account.name
        ))
    })
}

/// Removes the record of every uid each name ever had: the account may be gone, or made anew.
fn remove(users: &Users) -> Result<(), CommandError> {
    let names = bulk::names(users)?;
    let broker = client::open()?;
    bulk::each(&names, |name| {
        let uids = broker.store().uids_of(name)?;
        if uids.is_empty() {
            return Err(CommandError::new(
                Failure::NotFound,
                format!("nothing is known of '{name}'"),
            ));
        }
        for uid in &uids {
            let account = Account {
                name: name.to_owned(),
                uid: *uid,
            };
            broker
                .store()
                .remove_user(&account, &by_root(), clock::now())?;
        }
        let uids: Vec<_> = uids.iter().map(u32::to_string).collect();
        Ok(format!(
            "Removed all that was known of {name} (uid {}).",
            uids.join(", ")
        ))
    })
}
