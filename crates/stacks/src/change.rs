//! Changes to a service's own file: where a line of twofa's module could go, and what must hold before one is made.
//!
//! Nothing here decides where the line belongs. [`additions`] are the candidates, best first, and [`objections`] is what
//! the prover has against the stacks that result. The first candidate with no objection is the right one.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::file_line::FileLine;
use crate::host::{File, Host, LineReading};
use crate::programs::Route;
use crate::proof::{Case, Proof, Strangers, Verdict, Ways};

/// The line that asks where a wrong password ends the stack, and the one that confirms it.
const IN_AUTH: &str = "auth\trequired\tpam_twofa.so\n";
const CONFIRM: &str = "account\trequired\tpam_twofa.so confirm\n";
/// The line that asks once the first factor is known to be right.
const IN_ACCOUNT: &str = "account\trequired\tpam_twofa.so challenge\n";

/// The texts that a service's file could be replaced by so that a code is asked for, best first.
pub fn additions(text: &str, reading: LineReading) -> Vec<String> {
    let lines = FileLine::all(text, reading);
    let is_of = |line: &FileLine, phase: &str| {
        let shared = line.included_by_debian();
        line.kind() == phase || shared.is_some_and(|file| file == format!("common-{phase}"))
    };
    let last_auth = lines.iter().rfind(|line| is_of(line, "auth"));
    let first_account = lines.iter().find(|line| is_of(line, "account"));
    let before_account = |new| first_account.map(|line| Edit::insert(line.bytes.start, new));
    let mut all = Vec::new();
    if let Some(last) = last_auth {
        let mut edits = vec![Edit::insert(last.bytes.end, IN_AUTH)];
        edits.extend(before_account(CONFIRM));
        all.push(edited(text, edits));
    }
    if let Some(in_account) = before_account(IN_ACCOUNT) {
        all.push(edited(text, vec![in_account]));
    }
    all
}

/// The text without the lines that call twofa's module, if there are any.
pub fn removal(text: &str, reading: LineReading) -> Option<String> {
    let lines = FileLine::all(text, reading).into_iter();
    let own = lines.filter(FileLine::is_own);
    let edits: Vec<_> = own.map(|line| Edit::replace(line.bytes, "")).collect();
    (!edits.is_empty()).then(|| edited(text, edits))
}

/// Whether libpam, of any version, reads the same lines in both texts, but for those that call twofa's module.
pub fn keeps_other_lines(old: &str, new: &str) -> bool {
    let others = |text: &str, reading| -> Vec<Vec<String>> {
        let lines = FileLine::all(text, reading).into_iter();
        let others = lines.filter(|line| !line.is_own());
        others.map(|line| line.words).collect()
    };
    let readings = [LineReading::UpTo15, LineReading::Since16];
    readings
        .into_iter()
        .all(|reading| others(old, reading) == others(new, reading))
}

/// A machine with some other files.
pub struct Overlay<'a> {
    below: &'a dyn Host,
    files: BTreeMap<String, File>,
}

impl<'a> Overlay<'a> {
    /// `below` with `files` in place of its own of the same paths.
    pub fn new(below: &'a dyn Host, files: BTreeMap<String, File>) -> Self {
        Self { below, files }
    }
}

impl Host for Overlay<'_> {
    fn read(&self, path: &str) -> File {
        let above = self.files.get(path).cloned();
        above.unwrap_or_else(|| self.below.read(path))
    }

    fn debian(&self) -> bool {
        self.below.debian()
    }

    fn line_reading(&self) -> LineReading {
        self.below.line_reading()
    }
}

/// What a change is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Every login at the service needs a code.
    Asks,
    /// None does.
    DoesNotAsk,
    /// Nobody is locked out and nobody gets in with less: for other services, and between two steps.
    Safe,
}

/// What the prover has against a change to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// Where somebody got in with a right password, with a right code or where none is required, nobody does.
    #[error("nobody would get in")]
    LocksOut,
    /// The same of calls by root.
    #[error("root would not get in")]
    LocksRootOut,
    /// Somebody without the password gets further than before.
    #[error("people without the password would get further than they do now")]
    StrangersGetFurther,
    /// Somebody gets in without a code.
    #[error("people would get in without a code")]
    WithoutCode,
    /// Somebody without the password is asked for a code.
    #[error("people without the password would be asked for a code")]
    StrangersAsked,
    /// A code is still asked for.
    #[error("a code would still be asked for")]
    StillAsks,
}

/// What the prover has against `after`, where there was `before`; empty if nothing.
pub fn objections(before: &Proof, after: &Proof, goal: Goal) -> Vec<Objection> {
    let mut found = Vec::new();
    if has_case(before, Verdict::NotAsked) && !lets_in(after) {
        found.push(Objection::LocksOut);
    }
    let is_closed = |proof: &Proof| {
        let mut roots = proof.ways.iter().filter(|way| way.route == Route::Root);
        roots.any(|way| way.entries.is_empty())
    };
    if is_closed(after) && !is_closed(before) {
        found.push(Objection::LocksRootOut);
    }
    let rank = |strangers| match strangers {
        Strangers::AskedNothing | Strangers::AskedInVain => 0,
        Strangers::UpToModule => 1,
        Strangers::GetIn => 2,
    };
    if rank(after.strangers) > rank(before.strangers) {
        found.push(Objection::StrangersGetFurther);
    }
    found.extend(match goal {
        Goal::Asks => missing_code(before, after),
        Goal::DoesNotAsk => logins(after)
            .any(|way| way.entries.iter().any(crate::proof::Entry::has_code))
            .then_some(Objection::StillAsks),
        Goal::Safe => None,
    });
    found
}

/// Whether people get in with a right password: with a right code, and where none is required.
pub fn lets_in(proof: &Proof) -> bool {
    has_case(proof, Verdict::NotAsked) && has_case(proof, Verdict::Right)
}

fn has_case(proof: &Proof, verdict: Verdict) -> bool {
    let meant = |case: &&Case| case.is_proved && case.verdict == verdict;
    // A service that does not ask has only the case without a code.
    let mut cases = proof.cases.iter().filter(meant).peekable();
    cases.peek().is_none() || cases.any(|case| case.gets_in)
}

fn missing_code(before: &Proof, after: &Proof) -> Option<Objection> {
    let is_protected = |way: &Ways| way.entries.iter().all(crate::proof::Entry::has_code);
    let refuses =
        |case: &Case| !case.gets_in || !matches!(case.verdict, Verdict::Wrong | Verdict::Unable);
    if !logins(after).all(is_protected) || !after.cases.iter().all(refuses) {
        return Some(Objection::WithoutCode);
    }
    let is_asked = |proof: &Proof| proof.strangers == Strangers::AskedInVain;
    (is_asked(after) && !is_asked(before)).then_some(Objection::StrangersAsked)
}

fn logins(proof: &Proof) -> impl Iterator<Item = &Ways> {
    let ways = proof.ways.iter();
    ways.filter(|way| way.route.has_authentication())
}

/// A place in a text, and what comes there.
#[derive(Debug, Clone)]
pub struct Edit {
    bytes: Range<usize>,
    new: String,
}

impl Edit {
    /// `new` comes where a line begins or ends, at this byte.
    pub fn insert(at: usize, new: impl Into<String>) -> Self {
        Self::replace(at..at, new)
    }

    /// `new` comes in place of these bytes, which are those of a line.
    pub fn replace(bytes: Range<usize>, new: impl Into<String>) -> Self {
        let new = new.into();
        Self { bytes, new }
    }
}

/// The text after these changes, of which no two overlap. What is inserted begins a line.
pub fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.bytes.start);
    let mut changed = String::new();
    let mut end = 0;
    for Edit { bytes, new } in edits {
        changed.push_str(&text[end..bytes.start]);
        if !new.is_empty() && !changed.is_empty() && !changed.ends_with('\n') {
            changed.push('\n');
        }
        changed.push_str(&new);
        end = bytes.end;
    }
    changed + &text[end..]
}
