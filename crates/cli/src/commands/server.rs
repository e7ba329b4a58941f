//! `twofa fleet` and `twofa server`: the servers of a fleet.

use std::io::{self, Write};

use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::Administration;
use twofa_broker::admin::fleet::{Address, BadToken, FleetError};
use twofa_broker::admin::servers::{
    self, AddedServer, Made, Server, ask_to_join_as_server, become_server, check_can_be_server,
};
use twofa_broker::clock;

use super::confirm::confirm;
use super::fleet::{only_root, read_ca, read_token};
use super::rotation;
use crate::arguments::{FleetCommand, JoinArguments, ResumeArguments, ServerCommand};
use crate::client;
use crate::error::CommandError;
use crate::messages::fleet as words;
use crate::messages::{moment, rfc3339};
use crate::output::{Output, Value};

pub(crate) fn fleet(command: FleetCommand, output: Output) -> Result<(), CommandError> {
    only_root("make a fleet")?;
    let (addresses, ca) = match command {
        FleetCommand::Rotate(what) => return rotation::run(what, output),
        FleetCommand::Init { addresses, ca } => (parse(&addresses)?, ca),
        FleetCommand::Renew => {
            let until = servers::renew_server()?;
            return Ok(write!(io::stdout(), "{}", words::renewed(until))?);
        }
        FleetCommand::Resume(arguments) => return resume(&arguments),
    };
    let ca = ca.map(|path| read_ca(&path)).transpose()?;
    let files = match servers::init(&addresses, ca.as_deref())? {
        Made::Server(files) => files,
        Made::Requests(directory) => {
            return Ok(write!(io::stdout(), "{}", words::requested(&directory))?);
        }
    };
    let name = files.addresses.first().map_or("server", |it| &it.name);
    // From here on as the service. If this fails, the same command goes on from here.
    client::open()?.record_first_server(&files, &name.replace(':', "-"))?;
    Ok(write!(io::stdout(), "{}", words::made(&files.fleet))?)
}

fn resume(arguments: &ResumeArguments) -> Result<(), CommandError> {
    let admin = Administration::open_to_resume()?;
    let setback = admin.setback()?;
    if setback.lost.is_none() {
        return Ok(writeln!(io::stdout(), "{}", words::NOT_GONE_BACK)?);
    }
    confirm(words::setback(&setback), arguments.confirmation)?;
    admin.resume_fleet()?;
    Ok(write!(io::stdout(), "{}", words::RESUMED)?)
}

pub(crate) fn run(command: ServerCommand, output: Output) -> Result<(), CommandError> {
    only_root("see or change the servers of the fleet")?;
    match command {
        ServerCommand::Add {
            name,
            addresses,
            again,
        } => add(&name, addresses, again, output),
        ServerCommand::Join(arguments) => join(&arguments),
        ServerCommand::List => list(output),
        ServerCommand::Remove { name } => remove(&name),
    }
}

fn parse(addresses: &[String]) -> Result<Vec<Address>, CommandError> {
    let parsed: Result<_, BadToken> = addresses.iter().map(|it| it.parse()).collect();
    parsed.map_err(|error| CommandError::new(Failure::Usage, error.to_string()))
}

#[derive(Debug, Serialize)]
struct Added<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    token: &'a str,
}

fn add(
    name: &str,
    mut addresses: Vec<String>,
    again: bool,
    output: Output,
) -> Result<(), CommandError> {
    if addresses.is_empty() {
        addresses.push(name.to_owned());
    }
    let prepared = servers::prepare_server(name, &parse(&addresses)?)?;
    // From here on as the service.
    let admin = client::open()?;
    let AddedServer { server, token } = if again {
        admin
            .readmit_server(&prepared)?
            .ok_or_else(|| no_server(name))?
    } else {
        admin.add_server(&prepared)?
    };
    let added = Added {
        row: row(&server),
        token: token.expose(),
    };
    output.verbatim(&added, |out| {
        write!(out, "{}", words::server_added(&server, token.expose()))
    })
}

fn join(arguments: &JoinArguments) -> Result<(), CommandError> {
    // Before the token, which works once, is used.
    check_can_be_server()?;
    let token = read_token(arguments, words::SERVER_TOKEN)?;
    let admission = ask_to_join_as_server(&token)?;
    let kept = become_server(&token, &admission)?;
    // From here on as the service.
    let admin = client::open()?;
    let servers = admin.servers()?;
    if !servers.iter().any(|server| server.id == admission.id) {
        return Err(FleetError::OtherDatabase.into());
    }
    // Notes which sealing keys are here: a rotation that waits for them can go on at once.
    admin.key_rotation()?;
    let kept = kept.as_deref();
    Ok(write!(
        io::stdout(),
        "{}",
        words::server_joined(&admission.name, kept)
    )?)
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    id: &'a str,
    state: &'static str,
    addresses: &'a [String],
    added: String,
    joined: Option<String>,
    token_until: Option<String>,
    last_seen: Option<String>,
}

fn row(server: &Server) -> Row<'_> {
    Row {
        name: &server.name,
        id: &server.id,
        state: words::server_state(server, clock::now()),
        addresses: &server.addresses,
        added: rfc3339(server.added_at),
        joined: server.joined_at.map(rfc3339),
        token_until: server.token_until.map(rfc3339),
        last_seen: server.seen_at.map(rfc3339),
    }
}

fn list(output: Output) -> Result<(), CommandError> {
    let mut listing = output.listing(&["NAME", "STATE", "ADDRESSES", "LAST SEEN"]);
    for server in &client::open()?.servers()? {
        let seen = server.seen_at.map_or_else(|| "-".to_owned(), moment);
        listing.row(&row(server), || {
            let state = words::server_state(server, clock::now()).to_owned();
            vec![
                Value::Text(server.name.clone()),
                match server.joined_at {
                    Some(_) => Value::Good(state),
                    None => Value::Warning(state),
                },
                Value::Text(server.addresses.join(",")),
                Value::Text(seen),
            ]
        })?;
    }
    listing.end("There are no servers: 'twofa fleet init' makes this machine the first.")
}

fn remove(name: &str) -> Result<(), CommandError> {
    if client::open()?.remove_server(name)? {
        return Ok(write!(io::stdout(), "{}", words::server_removed(name))?);
    }
    Err(no_server(name))
}

fn no_server(name: &str) -> CommandError {
    let message = format!("there is no server called '{name}'");
    CommandError::new(Failure::NotFound, message).hinted("see 'twofa server list'")
}
