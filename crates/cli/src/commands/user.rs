//! `twofa user`.

use std::io::{self, Write};

use serde::Serialize;
use twofa_broker::{Broker, accounts, clock, manage};
use twofa_core::{Account, Policy, Timestamp};
use twofa_proto::Failure as Kind;
use twofa_store::{Origin, UserRow};

use super::{locked_until, own, standing, standing_word};
use crate::arguments::User;
use crate::failure::Failure;
use crate::output::{Output, Value};
use crate::session;

pub(crate) fn run(command: &User, output: Output) -> Result<(), Failure> {
    if !session::is_root() {
        return Err(Failure::only_root("administer users"));
    }
    match command {
        User::List => list(output),
        User::Show { name } => own::status(Some(name.clone()), output),
        User::Require { name } => require(name),
        User::Release { name } => {
            change(name, "No second factor was required of", "No longer required of", |broker, account| {
                broker.store().set_required(account, false, &origin(), clock::now())
            })
        }
        User::Unlock { name } => {
            change(name, "There was nothing to unlock for", "Unlocked", |broker, account| {
                broker.store().unlock(account, &origin(), clock::now())
            })
        }
        User::Reset { name } => {
            change(name, "Nothing was enrolled for", "Removed every method of", |broker, account| {
                broker.store().reset(account, &origin(), clock::now())
            })
        }
        User::Remove { name } => remove(name),
    }
}

/// A user as JSON has it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    user: &'a str,
    uid: u32,
    status: &'static str,
    locked_until: Option<String>,
    required: bool,
    failures: u32,
    apps: u32,
    backup_codes_left: u32,
}

fn list(output: Output) -> Result<(), Failure> {
    let broker = session::open()?;
    let policy = broker.store().policy()?;
    let now = clock::now();
    let mut listing =
        output.listing(&["USER", "UID", "STATUS", "REQUIRED", "APPS", "BACKUP CODES", "FAILURES"]);
    let mut written = Ok(());
    broker.store().users(|user| {
        written = list_one(&user, &policy, now, &mut listing);
        written.is_ok()
    })?;
    written?;
    listing.end("No users yet. They come with 'twofa enrol app' or 'twofa user require'.")
}

fn list_one(
    user: &UserRow,
    policy: &Policy,
    now: Timestamp,
    listing: &mut crate::output::Listing,
) -> io::Result<()> {
    let stands = manage::standing(user.status(policy, now));
    let row = Row {
        user: &user.account.name,
        uid: user.account.uid,
        status: standing_word(stands),
        locked_until: locked_until(stands),
        required: user.required,
        failures: user.throttle.failures,
        apps: user.apps,
        backup_codes_left: user.backup_codes,
    };
    listing.row(&row, || {
        vec![
            Value::Text(user.account.name.clone()),
            Value::Number(user.account.uid.into()),
            standing(stands),
            Value::Text(if user.required { "yes" } else { "no" }.to_owned()),
            Value::Number(user.apps.into()),
            Value::Number(user.backup_codes.into()),
            Value::Number(user.throttle.failures.into()),
        ]
    })
}

fn require(name: &str) -> Result<(), Failure> {
    change(
        name,
        "A second factor was required already of",
        "A second factor is now required of",
        |broker, account| broker.store().set_required(account, true, &origin(), clock::now()),
    )?;
    if session::open()?.store().policy()?.mode == twofa_core::Mode::Disabled {
        writeln!(
            io::stderr(),
            "warning: the policy is disabled, so nobody is asked; see 'twofa policy set mode=optional'"
        )?;
    }
    Ok(())
}

/// Does `act` to the account called `name` and says whether that changed something.
fn change(
    name: &str,
    unchanged: &str,
    changed: &str,
    act: impl FnOnce(&Broker, &Account) -> Result<bool, twofa_store::StoreError>,
) -> Result<(), Failure> {
    let account = accounts::find(name).map_err(|error| Failure::new(Kind::Unavailable, error.to_string()))?;
    let Some(account) = account else {
        let failure = Failure::new(Kind::NotFound, format!("there is no account called '{name}'"));
        return Err(failure.hinted("a record of an account that is gone goes with 'twofa user remove'"));
    };
    let done = act(&session::open()?, &account)?;
    Ok(writeln!(io::stdout(), "{} {}.", if done { changed } else { unchanged }, account.name)?)
}

/// Removes the record of every uid the name ever had: the account may be gone, or made anew.
fn remove(name: &str) -> Result<(), Failure> {
    let broker = session::open()?;
    let uids = broker.store().uids_of(name)?;
    if uids.is_empty() {
        return Err(Failure::new(Kind::NotFound, format!("nothing is known of '{name}'")));
    }
    for uid in uids {
        let account = Account { name: name.to_owned(), uid };
        broker.store().remove_user(&account, &origin(), clock::now())?;
        writeln!(io::stdout(), "Removed all that was known of {name} (uid {uid}).")?;
    }
    Ok(())
}

fn origin() -> Origin {
    Origin { actor: 0, service: Some("twofa".to_owned()), ..Origin::default() }
}
