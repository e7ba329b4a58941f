//! `twofa host`, `twofa join` and `twofa leave`: the hosts of a fleet.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;
use twofa_broker::Failure;
use twofa_broker::admin::Administration;
use twofa_broker::admin::fleet::{
    self, AddedHost, Admission, FleetError, Host, HostRights, Token, ask_to_join, check_not_joined,
};
use twofa_broker::admin::rescue::RescueCode;
use twofa_broker::clock;
use twofa_core::Timestamp;

use super::confirm::confirm;
use crate::arguments::{
    HostArguments, HostCommand, JoinArguments, LeaveArguments, RightsArguments,
};
use crate::client;
use crate::error::CommandError;
use crate::input;
use crate::messages::fleet as words;
use crate::messages::{moment, rfc3339};
use crate::output::{Output, Value};
use crate::terminal::ask_hidden;

pub(crate) fn host(command: HostCommand, output: Output) -> Result<(), CommandError> {
    only_root("see or change the hosts of the fleet")?;
    match command {
        HostCommand::Add(arguments) => add(arguments, output),
        HostCommand::List => list(output),
        HostCommand::Show { name } => show(&name, output),
        HostCommand::Unlock { name } => unlock(&name),
        HostCommand::Renew { name } => renew(&name, output),
        HostCommand::Rescue { name, reason } => rescue(&name, &reason, output),
        HostCommand::Remove { name } => remove(&name),
    }
}

pub(crate) fn join(arguments: &JoinArguments) -> Result<(), CommandError> {
    only_root("have this machine join a fleet")?;
    // Before the token, which works once, is used.
    check_not_joined()?;
    let token = read_token(arguments, words::TOKEN)?;
    let Admission {
        files,
        name,
        policy,
    } = ask_to_join(&token)?;
    fleet::write_host_files(&files)?;
    // From here on as the service.
    Administration::record_joined(&files, &name, &policy)?;
    Ok(write!(io::stdout(), "{}", words::joined(&name))?)
}

/// The token of a host or server, from a file or asked for with `question`.
pub(super) fn read_token(arguments: &JoinArguments, question: &str) -> Result<Token, CommandError> {
    let line = match &arguments.token_file {
        Some(file) => input::read(file)?.to_string(),
        None if io::stdin().is_terminal() => ask_hidden(question)?,
        None => {
            return Err(CommandError::new(Failure::Usage, words::NO_TERMINAL)
                .hinted("give the token with --token-file FILE; '-' is standard input"));
        }
    };
    line.parse()
        .map_err(|error: fleet::BadToken| CommandError::new(Failure::Usage, error.to_string()))
}

pub(crate) fn leave(arguments: &LeaveArguments) -> Result<(), CommandError> {
    only_root("have this machine leave its fleet")?;
    if arguments.count {
        return print_whom_leaving_concerns(arguments);
    }
    let has_files = match check_not_joined() {
        Ok(()) => false,
        Err(FleetError::IsHost) => true,
        Err(error) => return Err(error.into()),
    };
    let mut warnings = whom_leaving_concerns(arguments)?;
    if warnings.is_empty() && has_files {
        warnings.push(words::LEAVING.to_owned());
    }
    confirm(warnings, arguments.confirmation)?;
    fleet::remove_host_files()?;
    // From here on as the service.
    let left = client::open()?.record_left()?;
    let said = match &left {
        Some(left) => words::left(&left.name),
        None if has_files => words::LEFT_HALF.to_owned(),
        None if arguments.image => String::new(),
        None => return Err(FleetError::NoHost.into()),
    };
    let image = if arguments.image { words::IMAGE } else { "" };
    Ok(write!(io::stdout(), "{said}{image}")?)
}

/// Has a process that gives root up read the store: this one must still be able to remove the files of root's.
fn whom_leaving_concerns(arguments: &LeaveArguments) -> Result<Vec<String>, CommandError> {
    let mut count = Command::new("/proc/self/exe");
    count.args(["leave", "--count"]);
    if arguments.image {
        count.arg("--image");
    }
    let counted = count.stdin(Stdio::null()).output()?;
    if !counted.status.success() {
        let why = String::from_utf8_lossy(&counted.stderr);
        return Ok(vec![words::leaving_uncounted(why.trim())]);
    }
    let lines = String::from_utf8_lossy(&counted.stdout).into_owned();
    Ok(lines.lines().map(str::to_owned).collect())
}

fn print_whom_leaving_concerns(arguments: &LeaveArguments) -> Result<(), CommandError> {
    let admin = client::open()?;
    let mut out = io::stdout().lock();
    if let Some(leaving) = admin.whom_leaving_concerns()? {
        writeln!(out, "{}", words::leaving(&leaving))?;
    }
    if arguments.image {
        let enrolled = admin.enrolled_here()?;
        if enrolled > 0 {
            writeln!(out, "{}", words::image_has_second_factors(enrolled))?;
        }
    }
    Ok(())
}

pub(super) fn only_root(what: &str) -> Result<(), CommandError> {
    if client::is_root() {
        Ok(())
    } else {
        Err(CommandError::only_root(what))
    }
}

#[derive(Debug, Serialize)]
struct Added<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    token: &'a str,
}

fn add(arguments: HostArguments, output: Output) -> Result<(), CommandError> {
    let HostArguments { name, rights } = arguments;
    let added = client::open()?.add_host(&name, rights.into())?;
    print_added(&added, output)
}

impl From<RightsArguments> for HostRights {
    fn from(arguments: RightsArguments) -> Self {
        let RightsArguments {
            services,
            people,
            may_enrol,
        } = arguments;
        Self {
            services,
            people,
            may_enrol,
        }
    }
}

fn renew(name: &str, output: Output) -> Result<(), CommandError> {
    let added = client::open()?.readmit_host(name)?;
    print_added(&added.ok_or_else(|| no_host(name))?, output)
}

fn print_added(AddedHost { host, token }: &AddedHost, output: Output) -> Result<(), CommandError> {
    let added = Added {
        row: row(host, 0),
        token: token.expose(),
    };
    // The token is one line, however long, so that it can be copied.
    output.verbatim(&added, |out| {
        write!(out, "{}", words::added(host, token.expose()))
    })
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    id: &'a str,
    state: &'static str,
    services: &'a [String],
    people: Option<&'a str>,
    may_enrol: bool,
    added: String,
    joined: Option<String>,
    token_until: Option<String>,
    certificate_until: Option<String>,
    renewals: u64,
    copied: Option<String>,
    last_seen: Option<String>,
    version: Option<&'a str>,
    logins: u64,
    cut_off: Option<String>,
    join_key: Option<&'a str>,
    host_lives: Option<u64>,
    joined_from: Option<&'a str>,
    joined_with: Option<String>,
}

fn row(host: &Host, logins: u64) -> Row<'_> {
    Row {
        name: &host.name,
        id: &host.id,
        state: words::state(host, clock::now()),
        services: &host.rights.services,
        people: host.rights.people.as_deref(),
        may_enrol: host.rights.may_enrol,
        added: rfc3339(host.added_at),
        joined: host.joined_at.map(rfc3339),
        token_until: host.token_until.map(rfc3339),
        certificate_until: host.key_until.map(rfc3339),
        renewals: host.renewals,
        copied: host.copied_at.map(rfc3339),
        last_seen: host.seen_at.map(rfc3339),
        version: host.version.as_deref(),
        logins,
        cut_off: host.cut_off_at.map(rfc3339),
        join_key: host.join_key.as_deref(),
        host_lives: host.lives,
        joined_from: host.joined_from.as_deref(),
        joined_with: host.joined_key.as_ref().map(words::key),
    }
}

fn list(output: Output) -> Result<(), CommandError> {
    let mut listing = output.listing(&[
        "NAME",
        "STATE",
        "SERVICES",
        "PEOPLE",
        "ENROLS",
        "CERTIFICATE UNTIL",
        "LAST SEEN",
        "VERSION",
        "LOGINS",
    ]);
    let admin = client::open()?;
    let logins = admin.host_logins()?;
    for host in &admin.hosts()? {
        let logins = logins.get(&host.id).copied().unwrap_or_default();
        listing.row(&row(host, logins), || values(host, logins))?;
    }
    listing.end("No host has been added: 'twofa host add NAME' adds one.")
}

fn values(host: &Host, logins: u64) -> Vec<Value> {
    let at = |at: Option<Timestamp>| Value::Text(at.map_or_else(|| "-".to_owned(), moment));
    let state = words::state(host, clock::now());
    vec![
        Value::Text(host.name.clone()),
        if state == words::JOINED {
            Value::Good(state.to_owned())
        } else {
            Value::Warning(state.to_owned())
        },
        Value::Text(words::services(&host.rights)),
        Value::Text(words::people(&host.rights).to_owned()),
        Value::Text(words::switch(host.rights.may_enrol).to_owned()),
        at(host.key_until),
        at(host.seen_at),
        Value::Text(host.version.clone().unwrap_or_else(|| "-".to_owned())),
        Value::Text(logins.to_string()),
    ]
}

fn show(name: &str, output: Output) -> Result<(), CommandError> {
    let admin = client::open()?;
    let hosts = admin.hosts()?;
    let host = hosts.iter().find(|host| host.name == name);
    let host = host.ok_or_else(|| no_host(name))?;
    let logins = admin.host_logins()?;
    let logins = logins.get(&host.id).copied().unwrap_or_default();
    output.object(&row(host, logins), |out| {
        write!(out, "{}", words::host(host, logins, clock::now()))
    })
}

fn unlock(name: &str) -> Result<(), CommandError> {
    match client::open()?.unlock_host(name)? {
        Some(was_cut_off) => Ok(writeln!(
            io::stdout(),
            "{}",
            words::unlocked(name, was_cut_off)
        )?),
        None => Err(no_host(name)),
    }
}

fn remove(name: &str) -> Result<(), CommandError> {
    if client::open()?.remove_host(name)? {
        Ok(writeln!(io::stdout(), "{}", words::removed(name))?)
    } else {
        Err(no_host(name))
    }
}

#[derive(Debug, Serialize)]
struct Rescue<'a> {
    host: &'a str,
    code: &'a str,
    notified: Vec<&'a str>,
}

fn rescue(name: &str, reason: &str, output: Output) -> Result<(), CommandError> {
    let shown = client::open()?.rescue_host(name, reason)?;
    let RescueCode { code, host, told } = shown.ok_or_else(|| no_host(name))?;
    let code = code.grouped();
    let rescue = Rescue {
        host: &host,
        code: &code,
        notified: told.iter().map(|account| &*account.name).collect(),
    };
    output.verbatim(&rescue, |out| {
        write!(out, "{}", words::rescue(&host, &code, told.len()))
    })
}

fn no_host(name: &str) -> CommandError {
    CommandError::new(
        Failure::NotFound,
        format!("there is no host called '{name}'"),
    )
    .hinted("see 'twofa host list'")
}

impl From<FleetError> for CommandError {
    fn from(error: FleetError) -> Self {
        let kind = match &error {
            FleetError::BadService(_)
            | FleetError::BadHostName(_)
            | FleetError::BadLifetime
            | FleetError::BadHostLife
            | FleetError::BadReason
            | FleetError::NoDatabase
            | FleetError::OtherDatabase => Failure::Usage,
            FleetError::NoServer
            | FleetError::NoHost
            | FleetError::NoRescueCodes(_)
            | FleetError::RescueCodesShown(_) => Failure::NotFound,
            FleetError::Refused(_) => Failure::Denied,
            FleetError::Unreached(_) | FleetError::Files(_) | FleetError::Store(_) => {
                Failure::Unavailable
            }
            _ => Failure::Failed,
        };
        let command_error = Self::new(kind, error.to_string());
        match words::advice(&error) {
            Some(hint) => command_error.hinted(hint),
            None => command_error,
        }
    }
}

/// The certificate of a company's certificate authority.
pub(super) fn read_ca(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        CommandError::new(Failure::Failed, message)
    })
}
