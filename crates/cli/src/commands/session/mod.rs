//! `twofa session`. [`fleet`] is about the hosts of a fleet.

mod fleet;

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use twofa_broker::admin::Administration;
use twofa_broker::admin::sessions::{
    HostOrder, HostSessionFilter, SessionEnd, StoredSession, session_report, trigger,
};
use twofa_broker::{Done, Failure, Request, SessionReport, clock};
use twofa_core::{Account, Timestamp};

use crate::arguments::{ChosenSessions, EndArguments, SessionCommand};
use crate::client;
use crate::error::CommandError;
use crate::messages::{minute, rfc3339, session as texts};
use crate::output::{Output, Value};
use crate::sessions::helper::{self, Helper};
use crate::sessions::machine::{Machine, Other, Target};
use crate::subject;

pub(crate) fn run(command: SessionCommand, output: Output) -> Result<(), CommandError> {
    match command {
        SessionCommand::List { user, host } => list(user, host.as_slice(), output),
        SessionCommand::End(arguments) => end(&arguments, output),
        SessionCommand::Sweep { watch: false } => sweep(),
        SessionCommand::Sweep { watch: true } => watch(),
        SessionCommand::Helper => helper::serve(),
    }
}

/// A session as JSON has it.
#[derive(Debug, serde::Serialize)]
struct Row<'a> {
    id: i64,
    user: &'a str,
    state: &'static str,
    started_at: String,
    until: Option<String>,
    service: &'a str,
    remote_host: Option<&'a str>,
    remote_user: Option<&'a str>,
    terminal: Option<&'a str>,
    proof: Option<&'a str>,
    login_uid: Option<u32>,
    pid: Option<u32>,
    logind_session: Option<&'a str>,
    /// The host of the fleet; `None`: this machine.
    host: Option<&'a str>,
}

fn list(user: Option<String>, hosts: &[String], output: Output) -> Result<(), CommandError> {
    // Before root's rights are given up, with which alone all processes may be seen.
    let machine = Machine::read();
    let mut on_hosts = Vec::new();
    let sessions: Vec<SessionReport> = match (client::is_root(), user) {
        (true, user) => {
            let admin = client::open()?;
            fleet::check_hosts(&admin, hosts)?;
            on_hosts = admin.host_sessions(&HostSessionFilter {
                user: user.clone(),
                hosts: hosts.to_vec(),
                numbers: Vec::new(),
            })?;
            let stored = if hosts.is_empty() {
                admin.open_sessions(user)?
            } else {
                Vec::new()
            };
            stored.into_iter().map(session_report).collect()
        }
        (false, _) if !hosts.is_empty() => return Err(CommandError::only_root("see hosts")),
        (false, user) => own_sessions(&subject::to_show(user)?)?,
    };
    let mut listing = output.listing(&[
        "ID", "USER", "STATE", "SINCE", "FROM", "SERVICE", "PROVED", "UNTIL", "HOST",
    ]);
    for session in &sessions {
        let seen = machine.see(&Target::from(session));
        if seen.is_open {
            list_one(session, seen.scope.as_deref(), &mut listing)?;
        }
    }
    for session in &on_hosts {
        fleet::list_one(session, &mut listing)?;
    }
    listing.end("No login session is on record.")
}

/// The sessions of a user without root's rights, by way of the broker.
fn own_sessions(user: &str) -> Result<Vec<SessionReport>, CommandError> {
    let mut all: Vec<SessionReport> = Vec::new();
    loop {
        let after = all.last().map_or(0, |session| session.id);
        let user = user.to_owned();
        let Done::Sessions { sessions, has_more } =
            client::carry_out(Request::Sessions { user, after })?
        else {
            return Err(CommandError::new(
                Failure::Unavailable,
                "the broker did not answer with sessions",
            ));
        };
        all.extend(sessions);
        if !has_more {
            return Ok(all);
        }
    }
}

fn list_one(
    session: &SessionReport,
    scope: Option<&str>,
    listing: &mut crate::output::Listing,
) -> io::Result<()> {
    let started_at = Timestamp::from_unix(session.started_at);
    let until = session.until.map(Timestamp::from_unix);
    let row = Row {
        id: session.id,
        user: &session.user,
        state: if session.closed_at.is_some() {
            "closing"
        } else {
            "open"
        },
        started_at: rfc3339(started_at),
        until: until.map(rfc3339),
        service: &session.service,
        remote_host: session.remote_host.as_deref(),
        remote_user: session.remote_user.as_deref(),
        terminal: session.terminal.as_deref(),
        proof: session.proof.as_deref(),
        login_uid: session.process.login_uid,
        pid: Some(session.process.id.pid),
        logind_session: scope,
        host: None,
    };
    listing.row(&row, || values(&row, started_at, until))
}

fn values(row: &Row<'_>, started_at: Timestamp, until: Option<Timestamp>) -> Vec<Value> {
    let text = |text: Option<&str>| Value::Text(text.unwrap_or_default().to_owned());
    vec![
        Value::Number(row.id.unsigned_abs()),
        text(Some(row.user)),
        // Most are open. The column is left out where all of them are.
        text(Some(row.state).filter(|state| *state != "open")),
        Value::Text(minute(started_at)),
        Value::Text(place(row)),
        text(Some(row.service)),
        text(Some(row.proof.unwrap_or("not asked"))),
        text(until.map(minute).as_deref()),
        text(row.host),
    ]
}

/// `192.0.2.7`, `pts/1`, or for a user who became another `root, pts/1`.
fn place(row: &Row<'_>) -> String {
    // sshd has no terminal yet when it reports one.
    let terminal = row.terminal.filter(|name| *name != "ssh");
    let terminal = terminal.map(|name| name.strip_prefix("/dev/").unwrap_or(name));
    let parts = row.remote_host.or(row.remote_user).into_iter();
    parts.chain(terminal).collect::<Vec<_>>().join(", ")
}

/// The store, and the helper that has kept root's rights.
pub(crate) struct Ender {
    helper: Helper,
    admin: Administration,
    /// Nothing is said; what has ended is kept for a listing.
    is_quiet: bool,
    ended: Vec<StoredSession>,
}

/// Sessions that have processes.
struct Open {
    others: Vec<StoredSession>,
    /// Those that this runs in.
    own: Vec<StoredSession>,
    /// What systemd-logind also has.
    unrecorded: Vec<Other>,
}

impl Ender {
    /// Starts the helper, then gives up root's rights.
    pub(crate) fn start() -> Result<Self, CommandError> {
        if !client::is_root() {
            return Err(CommandError::only_root("end sessions"));
        }
        let helper = Helper::start()?;
        let admin = client::open()?;
        Ok(Self {
            helper,
            admin,
            is_quiet: false,
            ended: Vec::new(),
        })
    }

    fn say(&self, text: &str) -> io::Result<()> {
        if self.is_quiet {
            return Ok(());
        }
        writeln!(io::stdout(), "{text}")
    }

    /// The store.
    pub(crate) const fn admin(&self) -> &Administration {
        &self.admin
    }

    /// The sessions on record that have processes. Of those that have none it is recorded.
    fn look(&mut self) -> Result<Open, CommandError> {
        let sessions = self.admin.open_sessions(None)?;
        let sight = self
            .helper
            .look(sessions.iter().map(Target::from).collect())?;
        let (mut open, mut own) = (Vec::new(), Vec::new());
        let (mut gone, mut scopes) = (Vec::new(), Vec::new());
        for (session, seen) in sessions.into_iter().zip(sight.seen) {
            match &seen.scope {
                Some(scope) if seen.is_open && session.scope.as_ref() != Some(scope) => {
                    scopes.push((session.id, scope.clone()));
                }
                _ => {}
            }
            match (seen.is_open, seen.is_own) {
                (false, _) => gone.push(session.id),
                (true, false) => open.push(session),
                (true, true) => own.push(session),
            }
        }
        if !scopes.is_empty() {
            self.admin.set_session_scopes(&scopes)?;
        }
        if !gone.is_empty() {
            self.admin.sessions_are_gone(&gone)?;
        }
        Ok(Open {
            others: open,
            own,
            unrecorded: sight.others,
        })
    }

    /// Ends `sessions` and says so. Fails after all of them if one has processes left.
    fn end(
        &mut self,
        sessions: &[StoredSession],
        why: SessionEnd,
        said: fn(&StoredSession) -> String,
    ) -> Result<(), CommandError> {
        let targets = sessions.iter().map(Target::from).collect();
        let ended: HashSet<_> = self.helper.end(targets)?.into_iter().collect();
        let (ended, left): (Vec<_>, Vec<_>) = sessions
            .iter()
            .partition(|session| ended.contains(&session.id));
        let ids: Vec<_> = ended.iter().map(|session| session.id).collect();
        self.admin.sessions_were_ended(&ids, why)?;
        for session in ended {
            self.say(&said(session))?;
            self.ended.push(session.clone());
        }
        let mut failed = left
            .into_iter()
            .map(|session| CommandError::new(Failure::Failed, texts::not_ended(session)));
        let first = failed.next();
        for error in failed {
            let _ = error.report();
        }
        first.map_or(Ok(()), Err)
    }

    /// Ends the sessions that this runs in. Nothing can be recorded or said afterwards.
    fn end_own(&mut self, own: &[StoredSession], why: SessionEnd) -> Result<(), CommandError> {
        let ids: Vec<_> = own.iter().map(|session| session.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.admin.sessions_were_ended(&ids, why)?;
        for session in own {
            self.say(&texts::ends_last(session))?;
        }
        self.helper.end(own.iter().map(Target::from).collect())?;
        Ok(())
    }

    /// Ends the sessions of the users called `names`, but for the one that this runs in.
    pub(crate) fn end_of_users(&mut self, names: &HashSet<String>) -> Result<(), CommandError> {
        let open = self.look()?;
        let of_users = |session: &StoredSession| names.contains(&session.account.name);
        let others: Vec<_> = open.others.into_iter().filter(of_users).collect();
        self.end(&others, SessionEnd::Administrator, texts::ended)?;
        for session in open.own.iter().filter(|session| of_users(session)) {
            writeln!(io::stdout(), "{}", texts::skipped_own(session))?;
        }
        Ok(())
    }
}

impl ChosenSessions {
    fn includes(&self, session: &StoredSession) -> bool {
        self.all
            || self.id.contains(&session.id)
            || self.user.as_ref() == Some(&session.account.name)
    }
}

fn end(arguments: &EndArguments, output: Output) -> Result<(), CommandError> {
    let mut ender = Ender::start()?;
    ender.is_quiet = output.is_json();
    let on_hosts = fleet::filter(ender.admin(), arguments)?;
    // Hosts have begun by the time when the sessions of this machine have ended.
    let since = Instant::now();
    let orders = match on_hosts {
        Some(filter) => ender.admin().end_host_sessions(&filter)?,
        None => Vec::new(),
    };
    if !arguments.host.is_empty() {
        if orders.is_empty() {
            let user = arguments.chosen.user.as_deref();
            ender.say(&texts::none_open(user))?;
        }
        if arguments.and_trust {
            end_trust(&ender, &arguments.chosen, &orders, None)?;
        }
        return end_on_hosts(&ender, &orders, since, output);
    }
    end_here(&mut ender, arguments, &orders, since, output)
}

/// Waits for the hosts, and says what has ended, here and there.
fn end_on_hosts(
    ender: &Ender,
    orders: &[HostOrder],
    since: Instant,
    output: Output,
) -> Result<(), CommandError> {
    let orders = fleet::wait(ender.admin(), orders, since)?;
    if !output.is_json() {
        fleet::say(&orders, clock::now())?;
        return fleet::check(&orders);
    }
    let mut listing = output.listing(&[]);
    for session in &ender.ended {
        let row = fleet::EndedRow {
            host: None,
            id: session.id,
            user: &session.account.name,
            service: &session.service,
            confirmed: true,
            host_last_seen: None,
        };
        listing.row(&row, Vec::new)?;
    }
    fleet::show(&orders, &mut listing)?;
    listing.end("")?;
    fleet::check(&orders)
}

fn end_here(
    ender: &mut Ender,
    arguments: &EndArguments,
    orders: &[HostOrder],
    since: Instant,
    output: Output,
) -> Result<(), CommandError> {
    let chosen = &arguments.chosen;
    let mut open = ender.look()?;
    open.others.retain(|session| chosen.includes(session));
    open.own.retain(|session| chosen.includes(session));
    open.unrecorded
        .retain(|other| chosen.all || chosen.user.as_ref() == Some(&other.user));
    let found: HashSet<_> = open.others.iter().chain(&open.own).map(|s| s.id).collect();
    if let Some(missing) = chosen.id.iter().find(|id| !found.contains(id)) {
        let error = CommandError::new(
            Failure::NotFound,
            format!("there is no open session with the number {missing}"),
        );
        return Err(error.hinted("see 'twofa session list'"));
    }
    if arguments.and_trust {
        end_trust(ender, chosen, orders, Some(&open))?;
    }
    if found.is_empty() && orders.is_empty() {
        ender.say(&texts::none_open(chosen.user.as_deref()))?;
    }
    let result = ender.end(&open.others, SessionEnd::Administrator, texts::ended);
    for other in &open.unrecorded {
        ender.say(&texts::skipped_other(other))?;
    }
    let result = result.and(end_on_hosts(ender, orders, since, output));
    if open.own.is_empty() {
        return result;
    }
    if !arguments.me {
        for session in &open.own {
            ender.say(&texts::skipped_own(session))?;
        }
        return result;
    }
    if let Err(error) = result {
        // Nothing can be said once this session has ended.
        let _ = error.report();
    }
    ender.end_own(&open.own, SessionEnd::Administrator)
}

fn end_trust(
    ender: &Ender,
    chosen: &ChosenSessions,
    orders: &[HostOrder],
    open: Option<&Open>,
) -> Result<(), CommandError> {
    let admin = ender.admin();
    let count = if chosen.all {
        admin.end_trust(None)?
    } else {
        let here = open.map(|open| open.others.iter().chain(&open.own));
        let here = here.into_iter().flatten().map(|session| &session.account);
        let on_hosts = orders.iter().flat_map(|order| &order.sessions);
        let on_hosts = on_hosts.map(|session| &session.login.account);
        let mut accounts: Vec<Account> = here.chain(on_hosts).cloned().collect();
        if let Some(name) = &chosen.user {
            accounts.extend(admin.accounts_called(name)?);
        }
        accounts.sort();
        accounts.dedup();
        let mut count = 0;
        for account in &accounts {
            count += admin.end_trust(Some(account))?;
        }
        count
    };
    Ok(ender.say(&texts::trust_ended(count))?)
}

/// How often sessions are looked at, whether a server wants some ended or not.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// How often it is looked whether one does.
const TRIGGER_POLL: Duration = Duration::from_millis(250);

/// Sweeps as often as that is due, without end.
fn watch() -> Result<(), CommandError> {
    if !client::is_root() {
        return Err(CommandError::only_root("end sessions"));
    }
    let changed_at = || -> Option<SystemTime> {
        let found = fs::symlink_metadata(trigger()).ok()?;
        found.modified().ok()
    };
    loop {
        let seen = changed_at();
        // Each time in another process, which gives root's rights up. What is wrong it says itself.
        let mut sweep = Command::new("/proc/self/exe");
        sweep.args(["session", "sweep"]).stdin(Stdio::null());
        sweep.status()?;
        let since = Instant::now();
        while changed_at() == seen && since.elapsed() < SWEEP_INTERVAL {
            thread::sleep(TRIGGER_POLL);
        }
    }
}

fn sweep() -> Result<(), CommandError> {
    let mut ender = Ender::start()?;
    let open = ender.look()?;
    let over = |ender: &Ender, sessions: Vec<StoredSession>| -> Vec<StoredSession> {
        let ends = ender.admin().session_ends(&sessions);
        let now = clock::now();
        let both = sessions.into_iter().zip(ends);
        both.filter(|(_, end)| end.is_some_and(|end| end <= now))
            .map(|(session, _)| session)
            .collect()
    };
    let is_wanted = |session: &StoredSession| session.is_to_end;
    let (wanted, others) = open.others.into_iter().partition::<Vec<_>, _>(is_wanted);
    let (wanted_own, own) = open.own.into_iter().partition::<Vec<_>, _>(is_wanted);
    let result = ender.end(&wanted, SessionEnd::Fleet, texts::ended_for_fleet);
    let (others, own) = (over(&ender, others), over(&ender, own));
    let result = result.and(ender.end(&others, SessionEnd::Lifetime, texts::over_lifetime));
    ender.end_own(&own, SessionEnd::Lifetime)?;
    ender.end_own(&wanted_own, SessionEnd::Fleet)?;
    result
}
