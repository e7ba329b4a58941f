//! `twofa join-key`: keys with which many hosts join a fleet.

use std::io::{self, Write};

use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::join_keys::{JoinKey, WantedJoinKey};
use twofa_broker::clock;

use super::fleet::only_root;
use crate::arguments::{JoinKeyArguments, JoinKeyCommand};
use crate::client;
use crate::error::CommandError;
use crate::messages::fleet as words;
use crate::messages::{moment, rfc3339};
use crate::output::{Output, Value};

pub(crate) fn run(command: JoinKeyCommand, output: Output) -> Result<(), CommandError> {
    only_root("see or change the join keys of the fleet")?;
    match command {
        JoinKeyCommand::Add(arguments) => add(arguments, output),
        JoinKeyCommand::List => list(output),
        JoinKeyCommand::Show { name } => show(&name, output),
        JoinKeyCommand::Remove { name } => remove(&name),
    }
}

#[derive(Debug, Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    token: &'a str,
}

fn add(arguments: JoinKeyArguments, output: Output) -> Result<(), CommandError> {
    let JoinKeyArguments {
        name,
        names,
        rights,
        uses,
        hourly,
        lifetime,
        host_lives,
    } = arguments;
    let made = client::open()?.add_join_key(WantedJoinKey {
        name,
        names,
        rights: rights.into(),
        uses,
        hourly,
        lifetime,
        host_lives,
    })?;
    let token = made.token.expose();
    let shown = Made {
        row: row(&made.key),
        token,
    };
    // The key is one line, however long, so that it can be copied.
    output.verbatim(&shown, |out| {
        write!(out, "{}", words::join_key_made(&made.key, token))
    })
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    state: &'static str,
    names: &'a str,
    services: &'a [String],
    people: Option<&'a str>,
    may_enrol: bool,
    uses: u64,
    used: u64,
    hourly: u64,
    last_used: Option<String>,
    host_lives: Option<u64>,
    added: String,
    until: String,
}

fn row(key: &JoinKey) -> Row<'_> {
    Row {
        name: &key.name,
        state: words::join_key_state(key, clock::now()),
        names: &key.names,
        services: &key.rights.services,
        people: key.rights.people.as_deref(),
        may_enrol: key.rights.may_enrol,
        uses: key.uses,
        used: key.used,
        hourly: key.hourly,
        last_used: key.used_at.map(rfc3339),
        host_lives: key.host_lives,
        added: rfc3339(key.added_at),
        until: rfc3339(key.until),
    }
}

fn list(output: Output) -> Result<(), CommandError> {
    let mut listing = output.listing(&[
        "NAME",
        "STATE",
        "HOST NAMES",
        "SERVICES",
        "USED",
        "LAST USED",
        "HOSTS STAY",
        "UNTIL",
    ]);
    for key in &client::open()?.join_keys()? {
        let state = words::join_key_state(key, clock::now());
        listing.row(&row(key), || {
            vec![
                Value::Text(key.name.clone()),
                if state == words::IN_FORCE {
                    Value::Good(state.to_owned())
                } else {
                    Value::Warning(state.to_owned())
                },
                Value::Text(key.names.clone()),
                Value::Text(words::services(&key.rights)),
                Value::Text(format!("{} of {}", key.used, key.uses)),
                Value::Text(key.used_at.map_or_else(|| "-".to_owned(), moment)),
                Value::Text(words::lives(key.host_lives)),
                Value::Text(moment(key.until)),
            ]
        })?;
    }
    listing.end("There is no join key: 'twofa join-key add NAME' makes one.")
}

fn show(name: &str, output: Output) -> Result<(), CommandError> {
    let keys = client::open()?.join_keys()?;
    let key = keys.iter().find(|key| key.name == name);
    let key = key.ok_or_else(|| no_key(name))?;
    output.object(&row(key), |out| {
        write!(out, "{}", words::join_key(key, clock::now()))
    })
}

fn remove(name: &str) -> Result<(), CommandError> {
    if client::open()?.remove_join_key(name)? {
        Ok(writeln!(io::stdout(), "{}", words::join_key_removed(name))?)
    } else {
        Err(no_key(name))
    }
}

fn no_key(name: &str) -> CommandError {
    let message = format!("there is no join key called '{name}'");
    CommandError::new(Failure::NotFound, message).hinted("see 'twofa join-key list'")
}
