//! `twofa session`.

use std::collections::HashSet;
use std::io::{self, Write};

use twofa_broker::admin::Administration;
use twofa_broker::admin::sessions::{SessionEnd, StoredSession, session_report};
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
        SessionCommand::List { user } => list(user, output),
        SessionCommand::End(arguments) => end(&arguments),
        SessionCommand::Sweep => sweep(),
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
    pid: u32,
    logind_session: Option<&'a str>,
}

fn list(user: Option<String>, output: Output) -> Result<(), CommandError> {
    // Before root's rights are given up, with which alone all processes may be seen.
    let machine = Machine::read();
    let sessions = match (client::is_root(), user) {
        (true, user) => {
            let stored = client::open()?.open_sessions(user)?;
            stored.into_iter().map(session_report).collect()
        }
        (false, user) => own_sessions(&subject::to_show(user)?)?,
    };
    let mut listing = output.listing(&[
        "ID", "USER", "STATE", "SINCE", "FROM", "SERVICE", "PROVED", "UNTIL",
    ]);
    for session in &sessions {
        let seen = machine.see(&Target::from(session));
        if seen.is_open {
            list_one(session, seen.scope.as_deref(), &mut listing)?;
        }
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
        pid: session.process.id.pid,
        logind_session: scope,
    };
    listing.row(&row, || {
        let text = |text: Option<&str>| Value::Text(text.unwrap_or_default().to_owned());
        vec![
            Value::Number(session.id.unsigned_abs()),
            text(Some(row.user)),
            // Most are open. The column is left out where all of them are.
            text(session.closed_at.map(|_| row.state)),
            Value::Text(minute(started_at)),
            Value::Text(place(session)),
            text(Some(row.service)),
            text(Some(row.proof.unwrap_or("not asked"))),
            text(until.map(minute).as_deref()),
        ]
    })
}

/// `192.0.2.7`, `pts/1`, or for a user who became another `root, pts/1`.
fn place(session: &SessionReport) -> String {
    // sshd has no terminal yet when it reports one.
    let terminal = session.terminal.as_deref().filter(|name| *name != "ssh");
    let terminal = terminal.map(|name| name.strip_prefix("/dev/").unwrap_or(name));
    let from = session.remote_host.as_deref();
    let parts = from.or(session.remote_user.as_deref()).into_iter();
    parts.chain(terminal).collect::<Vec<_>>().join(", ")
}

/// The store, and the helper that has kept root's rights.
pub(crate) struct Ender {
    helper: Helper,
    admin: Administration,
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
        Ok(Self { helper, admin })
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
            writeln!(io::stdout(), "{}", said(session))?;
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
            writeln!(io::stdout(), "{}", texts::ends_last(session))?;
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

fn end(arguments: &EndArguments) -> Result<(), CommandError> {
    let chosen = &arguments.chosen;
    let mut ender = Ender::start()?;
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
        end_trust(ender.admin(), chosen, &open)?;
    }
    if found.is_empty() {
        writeln!(io::stdout(), "{}", texts::none_open(chosen.user.as_deref()))?;
    }
    let result = ender.end(&open.others, SessionEnd::Administrator, texts::ended);
    for other in &open.unrecorded {
        writeln!(io::stdout(), "{}", texts::skipped_other(other))?;
    }
    if open.own.is_empty() {
        return result;
    }
    if !arguments.me {
        for session in &open.own {
            writeln!(io::stdout(), "{}", texts::skipped_own(session))?;
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
    admin: &Administration,
    chosen: &ChosenSessions,
    open: &Open,
) -> Result<(), CommandError> {
    let count = if chosen.all {
        admin.end_trust(None)?
    } else {
        let of_sessions = open.others.iter().chain(&open.own);
        let mut accounts: Vec<Account> =
            of_sessions.map(|session| session.account.clone()).collect();
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
    Ok(writeln!(io::stdout(), "{}", texts::trust_ended(count))?)
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
    let (others, own) = (over(&ender, open.others), over(&ender, open.own));
    let result = ender.end(&others, SessionEnd::Lifetime, texts::over_lifetime);
    ender.end_own(&own, SessionEnd::Lifetime)?;
    result
}
