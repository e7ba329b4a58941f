//! `twofa user`.

use std::io::{self, Write};

use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::Administration;
use twofa_broker::admin::users::{Invitation, ListedUser, StatusKind, UserChange, UserFilter};
use twofa_broker::clock;
use twofa_core::Method;

use super::session::Ender;
use super::{exemption, self_service};
use crate::arguments::{EndingUsers, InviteArguments, ListArguments, UserCommand, Users};
use crate::bulk::Named;
use crate::error::CommandError;
use crate::messages::{self, moment, policy, rfc3339, user as texts};
use crate::output::{Listing, Output, Value};
use crate::{bulk, client};

/// The longest time that an invitation works, in seconds: 90 days.
const LONGEST_INVITATION: u64 = 90 * 86_400;

pub(crate) fn run(command: &UserCommand, output: Output) -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("administer users"));
    }
    match command {
        UserCommand::List(arguments) => list(&filter(arguments), output),
        UserCommand::Show { name } => self_service::status(Some(name.clone()), output),
        UserCommand::Set {
            name,
            settings,
            verified,
        } => self_service::set(settings.clone(), *verified, Some(name.clone())),
        UserCommand::Exempt(arguments) => exemption::grant(arguments),
        UserCommand::Add(users) => change(users, UserChange::Add),
        UserCommand::Require(users) => require(users),
        UserCommand::Release(users) => change(users, UserChange::Release),
        UserCommand::Invite(arguments) => invite(arguments, output),
        UserCommand::Unlock(users) => change_and_end(users, UserChange::Unlock),
        UserCommand::Reset(users) => change_and_end(users, UserChange::Reset),
        UserCommand::Remove(users) => remove(users),
    }
}

fn filter(
    ListArguments {
        status,
        class,
        method,
        stale,
    }: &ListArguments,
) -> UserFilter {
    UserFilter {
        status: *status,
        class: class.clone(),
        method: *method,
        passed_before: stale.map(|stale| clock::now().before(stale.seconds())),
    }
}

/// A user as JSON has it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    user: &'a str,
    uid: u32,
    status: &'static str,
    /// What has become of the account.
    account: &'static str,
    account_note: Option<String>,
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

fn list(filter: &UserFilter, output: Output) -> Result<(), CommandError> {
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
    let mut written = Ok(());
    let gaps = client::open()?.users(filter, |user| {
        written = list_one(&user, &mut listing);
        written.is_ok()
    })?;
    written?;
    listing.end("No users to show. Add them with 'twofa enrol app', 'twofa user add' or 'twofa user require'.")?;
    for note in texts::gaps(&gaps) {
        writeln!(io::stderr(), "note: {note}")?;
    }
    Ok(())
}

fn list_one(user: &ListedUser, listing: &mut Listing) -> io::Result<()> {
    let row = Row {
        user: &user.account.name,
        uid: user.account.uid,
        status: StatusKind::from_status(user.status).name(),
        account: texts::account_state(&user.state),
        account_note: texts::account_note(user),
        until: messages::user::status_end(user.status),
        class: &user.class,
        required: user.required,
        verify: user.verify.to_string(),
        failures: user.failures,
        methods: user.methods.iter().map(Method::name).collect(),
        apps: user.apps,
        backup_codes_left: user.backup_codes,
        passed_at: user.passed_at.map(rfc3339),
    };
    listing.row(&row, || {
        vec![
            Value::Text(user.account.name.clone()),
            Value::Number(user.account.uid.into()),
            texts::listed_status(user),
            Value::Text(user.class.clone()),
            Value::Text(if user.required { "yes" } else { "no" }.to_owned()),
            Value::Text(if row.methods.is_empty() {
                "none".to_owned()
            } else {
                row.methods.join(",")
            }),
            Value::Number(user.backup_codes.into()),
            Value::Number(user.failures),
            Value::Text(user.passed_at.map_or_else(|| "never".to_owned(), moment)),
        ]
    })
}

/// An invitation as JSON has it.
#[derive(Debug, Serialize)]
struct Invited<'a> {
    user: &'a str,
    code: &'a str,
    until: String,
}

/// Makes each of the users a code and shows it, the only time that it is shown.
fn invite(arguments: &InviteArguments, output: Output) -> Result<(), CommandError> {
    let InviteArguments { users, lifetime } = arguments;
    let seconds = lifetime.seconds();
    if !(1..=LONGEST_INVITATION).contains(&seconds) {
        return Err(CommandError::new(
            Failure::Usage,
            "--for takes a duration of at most 90d",
        ));
    }
    let names = bulk::names(users)?;
    let admin = client::open()?;
    let mut listing = output.listing(&["USER", "CODE", "UNTIL"]);
    let mut failed = Vec::new();
    for named in &names {
        match admin.invite(named.name(), seconds) {
            Ok(Invitation { code, until }) => {
                let row = Invited {
                    user: named.name(),
                    code: code.expose(),
                    until: rfc3339(until),
                };
                let text = |text: &str| Value::Text(text.to_owned());
                listing.row(&row, || {
                    let until = Value::Text(moment(until));
                    vec![text(named.name()), text(code.expose()), until]
                })?;
            }
            Err(error) => failed.push(named.failure(error)),
        }
    }
    listing.end("Nobody was invited.")?;
    bulk::report(failed)
}

fn require(users: &Users) -> Result<(), CommandError> {
    change(users, UserChange::Require)?;
    if let Some(remark) = client::open()?.remark_on_requiring()? {
        writeln!(io::stderr(), "warning: {}", policy::remark(&remark))?;
    }
    Ok(())
}

/// Makes `change` to each of `users`, and says of each whether anything was different before.
fn change(users: &Users, change: UserChange) -> Result<(), CommandError> {
    let names = bulk::names(users)?;
    change_each(&client::open()?, &names, change)
}

fn change_each(
    admin: &Administration,
    names: &[Named],
    change: UserChange,
) -> Result<(), CommandError> {
    bulk::each(names, |name| {
        let changed = admin.change_user(name, change)?;
        Ok(texts::changed(change, changed, name))
    })
}

fn change_and_end(users: &EndingUsers, change: UserChange) -> Result<(), CommandError> {
    and_end_sessions(users, |admin, names| change_each(admin, names, change))
}

fn remove(users: &EndingUsers) -> Result<(), CommandError> {
    and_end_sessions(users, |admin, names| {
        bulk::each(names, |name| {
            let uids = admin.remove_user(name)?;
            Ok(texts::removed(name, &uids))
        })
    })
}

/// Does `act` to users, then ends their sessions if that is wanted: a session that begins meanwhile begins under the new
/// rules.
fn and_end_sessions(
    EndingUsers {
        users,
        end_sessions,
    }: &EndingUsers,
    act: impl FnOnce(&Administration, &[Named]) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let names = bulk::names(users)?;
    if !end_sessions {
        return act(&client::open()?, &names);
    }
    let mut ender = Ender::start()?;
    let done = act(ender.admin(), &names);
    let names = names.iter().map(|named| named.name().to_owned()).collect();
    let ended = ender.end_of_users(&names);
    done.and(ended)
}
