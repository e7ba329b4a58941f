//! What a change of sshd's settings does to those who log in now, for every `Match` block.

use std::path::Path;

use twofa_broker::sshd::config::{Block, Config, MAIN, Trial};
use twofa_broker::sshd::connection::Connection;
use twofa_broker::sshd::connections::applying;

use super::accounts::{is_root, roots, somebody_else};
use super::daemon::{CLIENT, FILE, ask, refused, reload};
use super::settings::{self, Keys, Wanted};
use super::ways::{Method, Settings, Skips, Way, closed, weakened};
use crate::error::CommandError;
use crate::pam_change::files;
use crate::pam_change::step::{FOLDER, Step};

const KEYS_ALONE: &str = "A login with an ssh key alone is asked for no code.";
const BATCH: &str = "A program that logs in with a key and nobody to ask (BatchMode) is refused: 'sshd: robots with keys' in \
                     twofa-admin(7) says how to let it in.";

/// What changes in sshd's settings.
#[derive(Debug, Default)]
pub(in crate::pam_change) struct Change {
    pub(in crate::pam_change) step: Option<Step>,
    /// What the person must know.
    pub(in crate::pam_change) notes: Vec<String>,
    /// PAM's stack must let a key take the place of the password.
    pub(in crate::pam_change) needs_key_stack: bool,
    /// There is an sshd whose settings matter.
    pub(super) is_used: bool,
    /// What must hold when the file is replaced.
    pub(super) checks: Vec<Check>,
}

impl Change {
    /// Has sshd check the files as they are now, for all connections that were looked at before, and read them again.
    pub(in crate::pam_change) fn apply(&self) -> Result<(), CommandError> {
        if !self.is_used {
            return Ok(());
        }
        ask(&["-t"]).map_err(|said| refused(&said))?;
        for check in &self.checks {
            check.repeat()?;
        }
        reload()
    }

    /// Whether there is an sshd, and a client to log in with.
    pub(in crate::pam_change) fn can_log_in(&self) -> bool {
        self.is_used && Path::new(CLIENT).exists()
    }
}

/// A connection, and the ways in that it must have.
#[derive(Debug)]
pub(super) struct Check {
    connection: Connection,
    ways: Vec<Way>,
}

impl Check {
    /// Compares with what sshd makes of its files as they are.
    pub(super) fn repeat(&self) -> Result<(), CommandError> {
        let connection = self.connection.to_string();
        let text = ask(&["-T", "-C", &connection]).map_err(|said| refused(&said))?;
        if Settings::read(&text).ways(is_root(&self.connection.user)) == self.ways {
            return Ok(());
        }
        Err(refused(&format!(
            "its settings for {connection} are not what the change should produce"
        )))
    }
}

pub(super) fn enabling(keys: Keys, person: &str, skips: bool) -> Result<Change, CommandError> {
    let old = files::read_own(FILE)?;
    let rest = old.as_deref().map(settings::rest).unwrap_or_default();
    let has_others = !rest.trim().is_empty();
    let (general, for_root) = {
        let base = State::read("before", has_others.then_some(rest.as_str()))?;
        (
            base.settings(None)?.0,
            base.settings(Some(&base.local("root")))?.0,
        )
    };
    let service = general.value("pamservicename");
    if !matches!(service, "" | "sshd") {
        return Err(refused(&format!(
            "it uses the PAM service {service} (PAMServiceName), and not the file of sshd"
        )));
    }
    if keys == Keys::Require && !general.ways(false).iter().any(Way::has_key) {
        return Err(refused("it accepts no keys, so none can be required"));
    }
    let wanted = settings::wanted(&general, &for_root, &roots(), keys);
    let new = match &wanted {
        Some(wanted) => Some(wanted.text(if has_others { &rest } else { "" })),
        None => has_others.then_some(rest),
    };
    let needs_key_stack = wanted.as_ref().is_some_and(|wanted| wanted.needs_key_stack);
    let skips = Skips {
        before: skips,
        after: skips || needs_key_stack,
    };
    let after = State::read("after", new.as_deref())?;
    if wanted.is_some() {
        after.check_effect()?;
    }
    let now = State::read("now", old.as_deref())?;
    let closes = keys == Keys::Require;
    let mut found = compare(&now, &after, skips, closes, person)?;
    if let Some(wanted) = wanted.as_ref().filter(|wanted| wanted.asks_after_keys()) {
        found.notes.splice(0..0, summary(wanted, skips.after));
    } else if general
        .ways(false)
        .iter()
        .any(|way| way.has_key() && !way.asks())
    {
        found.notes.insert(0, KEYS_ALONE.to_owned());
    }
    let step = (old != new).then(|| Step {
        path: FILE.to_owned(),
        old,
        new,
        like: MAIN.to_owned(),
    });
    Ok(Change {
        step,
        notes: found.notes,
        needs_key_stack,
        is_used: true,
        checks: found.checks,
    })
}

pub(super) fn disabling(
    old: Option<&str>,
    new: Option<&str>,
    person: &str,
) -> Result<Vec<Check>, CommandError> {
    let (now, after) = (State::read("now", old)?, State::read("after", new)?);
    let connections = after.connections(person)?.0;
    let mut checks = Vec::new();
    for connection in std::iter::once(None).chain(connections.into_iter().map(Some)) {
        let (before, _) = now.ways(connection.as_ref())?;
        let (ways, blocks) = after.ways(connection.as_ref())?;
        if let Some(way) = closed(&before, &ways, true) {
            let place = after.culprit(&blocks);
            return Err(keeps_out(&place, way, connection.as_ref()));
        }
        checks.extend(connection.map(|connection| Check { connection, ways }));
    }
    Ok(checks)
}

struct Found {
    checks: Vec<Check>,
    notes: Vec<String>,
}

/// Compares the ways in of connections to all blocks, and to none. `skips`: after a key, PAM asks for no password. `closes`:
/// those without a key are to be kept out.
fn compare(
    now: &State,
    after: &State,
    skips: Skips,
    closes: bool,
    person: &str,
) -> Result<Found, CommandError> {
    let (connections, mut notes) = after.connections(person)?;
    let mut checks = Vec::new();
    for connection in std::iter::once(None).chain(connections.into_iter().map(Some)) {
        let (mut before, _) = now.ways(connection.as_ref())?;
        let (ways, blocks) = after.ways(connection.as_ref())?;
        let place = || after.culprit(&blocks);
        if closes {
            before.retain(Way::has_key);
        }
        if let Some(way) = closed(&before, &ways, skips.after) {
            return Err(keeps_out(&place(), way, connection.as_ref()));
        }
        if !closes && let Some(way) = weakened(&before, &ways, skips) {
            return Err(refused(&format!(
                "{}: after the change, {} could log in with {}, which is not enough now: change that line first",
                place(),
                somebody(connection.as_ref()),
                way.words(skips.after)
            )));
        }
        if ways.iter().any(|way| way.0.contains(&Method::Password)) {
            return Err(refused(&format!(
                "{} has it check passwords without PAM's prompts, so no code could be asked for: remove that line first",
                place()
            )));
        }
        let is_unasked = ways.iter().any(|way| !way.asks());
        let block = after.deciding(&blocks);
        if let (true, Some((block, _))) = (is_unasked && skips.after, block) {
            let unasked = ways.iter().filter(|way| !way.asks());
            let words: Vec<_> = unasked.map(|way| way.words(skips.after)).collect();
            let note = format!(
                "{}: 'Match {}' lets people in with {} alone: no code is asked for.",
                after.culprit(&blocks),
                block.criteria,
                words.join(" or ")
            );
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        checks.extend(connection.map(|connection| Check { connection, ways }));
    }
    Ok(Found { checks, notes })
}

/// What everybody will show, as lines.
fn summary(wanted: &Wanted, skips: bool) -> Vec<String> {
    let lists = wanted.lists.iter();
    let mut lines = vec!["To log in over ssh, people will need:".to_owned()];
    lines.extend(lists.map(|way| format!("  {}", way.to_show(skips))));
    if let Some((names, way)) = &wanted.root {
        lines.push(format!("  {}: {}", names.join(", "), way.to_show(skips)));
    }
    lines.push("where the policy asks for a code; without it where it does not.".to_owned());
    lines.push(BATCH.to_owned());
    lines
}

fn somebody(connection: Option<&Connection>) -> &str {
    connection.map_or("people", |connection| &connection.user)
}

fn keeps_out(place: &str, way: &Way, connection: Option<&Connection>) -> CommandError {
    let message = format!(
        "{place}: after the change, {} could not log in with {} as now",
        somebody(connection),
        way.words(false)
    );
    refused(&message).hinted(
        "change that line first; --ssh-keys trust leaves logins with a key as they are. Nothing was changed",
    )
}

/// The configuration with some text of twofa's file.
struct State {
    config: Config,
    trial: Trial,
    port: String,
}

impl State {
    fn read(name: &str, own: Option<&str>) -> Result<Self, CommandError> {
        let config = Config::read((FILE, own))?;
        let trial = config.trial(Path::new(FOLDER).join(format!("sshd-{name}")), ask)?;
        let (text, _) = trial.settings(None)?;
        let port = Settings::read(&text).value("port").to_owned();
        Ok(Self {
            config,
            trial,
            port,
        })
    }

    fn settings(
        &self,
        connection: Option<&Connection>,
    ) -> Result<(Settings, Vec<usize>), CommandError> {
        let (text, blocks) = self.trial.settings(connection)?;
        Ok((Settings::read(&text), blocks))
    }

    fn local(&self, user: &str) -> Connection {
        Connection::local(user, &self.port)
    }

    fn ways(
        &self,
        connection: Option<&Connection>,
    ) -> Result<(Vec<Way>, Vec<usize>), CommandError> {
        let (settings, blocks) = self.settings(connection)?;
        let is_root = connection.is_some_and(|connection| is_root(&connection.user));
        Ok((settings.ways(is_root), blocks))
    }

    /// Fails where the lines of twofa's file do not count.
    fn check_effect(&self) -> Result<(), CommandError> {
        if !self.config.has(FILE) {
            return Err(refused(&format!(
                "{MAIN} does not read {FILE}: it is not included. Put 'Include /etc/ssh/sshd_config.d/*.conf' at the top of \
                 {MAIN} first"
            )));
        }
        let (general, _) = self.settings(None)?;
        for (name, value) in [
            ("usepam", "yes"),
            ("kbdinteractiveauthentication", "yes"),
            ("passwordauthentication", "no"),
        ] {
            if !general.is(name, value) {
                return Err(refused(&format!(
                    "{name} is not {value} for every login: another line comes before those of {FILE}"
                )));
            }
        }
        Ok(())
    }

    /// Logins from this machine of root, of `person` and of somebody else, and one that each block applies to for each of a few users; and
    /// what is to be said of blocks for which there is none.
    fn connections(&self, person: &str) -> Result<(Vec<Connection>, Vec<String>), CommandError> {
        let mut names = vec!["root".to_owned(), person.to_owned()];
        names.extend(somebody_else(person));
        names.dedup();
        let people: Vec<_> = names.iter().map(|name| self.local(name)).collect();
        let mut all = people.clone();
        let mut notes = self.config.doubts.clone();
        let others = self.config.blocks.iter().enumerate();
        for (number, block) in
            others.filter(|(_, block)| !block.place.starts_with(FILE) || !self.is_own(block))
        {
            let found = applying(&self.trial, (number, block), &people)?;
            if found.is_empty() && block.deciding().is_some() {
                notes.push(format!(
                    "{}: no login was found to which 'Match {}' applies: look at this block yourself.",
                    block.place, block.criteria
                ));
            }
            all.extend(found.into_iter().map(|(connection, _)| connection));
        }
        Ok((all, notes))
    }

    /// Whether a block is in the lines of twofa's.
    fn is_own(&self, block: &Block) -> bool {
        let text = self.config.text(FILE).unwrap_or_default();
        !settings::rest(text).contains(&format!("Match {}", block.criteria))
    }

    /// The first of these blocks with a line that decides who gets in, and the number of that line.
    fn deciding(&self, blocks: &[usize]) -> Option<(&Block, usize)> {
        blocks.iter().find_map(|at| {
            let block = &self.config.blocks[*at];
            Some((block, block.deciding()?))
        })
    }

    /// The line of these blocks that decides who gets in.
    fn culprit(&self, blocks: &[usize]) -> String {
        let Some((block, at)) = self.deciding(blocks) else {
            return MAIN.to_owned();
        };
        let (_, place, line) = &block.lines[at];
        format!("{place} ('{line}')")
    }
}
