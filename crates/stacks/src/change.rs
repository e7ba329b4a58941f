//! Changes to a service's own file: where a line of twofa's module could go, and what must hold before one is made.
//!
//! Nothing here decides where the line belongs. [`additions`] are the candidates, best first, and [`objections`] is what
//! the prover has against the stacks that result. The first candidate with no objection is the right one.

use std::collections::BTreeMap;

use crate::host::{File, Host, LineReading};
use crate::module::is_own;
use crate::programs::Route;
use crate::proof::{Case, Proof, Strangers, Verdict, Ways};

/// The line that asks where a wrong password ends the stack, and the one that confirms it.
const IN_AUTH: &str = "auth\trequired\tpam_twofa.so\n";
const CONFIRM: &str = "account\trequired\tpam_twofa.so confirm\n";
/// The line that asks once the first factor is known to be right.
const IN_ACCOUNT: &str = "account\trequired\tpam_twofa.so challenge\n";

/// The texts that a service's file could be replaced by so that a code is asked for, best first.
pub fn additions(text: &str) -> Vec<String> {
    let lines = logical_lines(text);
    let is_auth = |line: &str| matches!(kind(line).as_str(), "auth" | "@include common-auth");
    let is_account =
        |line: &str| matches!(kind(line).as_str(), "account" | "@include common-account");
    let last_auth = lines.iter().rposition(|line| is_auth(line));
    let first_account = lines.iter().position(|line| is_account(line));
    let mut all = Vec::new();
    if let Some(last) = last_auth {
        let mut changed: Vec<&str> = lines.clone();
        // The later place first: it does not move the earlier one.
        match first_account {
            Some(first) if first > last => {
                changed.insert(first, CONFIRM);
                changed.insert(last + 1, IN_AUTH);
            }
            Some(first) => {
                changed.insert(last + 1, IN_AUTH);
                changed.insert(first, CONFIRM);
            }
            None => changed.insert(last + 1, IN_AUTH),
        }
        all.push(joined(&changed));
    }
    if let Some(first) = first_account {
        let mut changed = lines;
        changed.insert(first, IN_ACCOUNT);
        all.push(joined(&changed));
    }
    all
}

/// The text without the lines that name twofa's module, if there are any.
pub fn removal(text: &str) -> Option<String> {
    let lines = logical_lines(text);
    let names_it = |line: &str| {
        let mut words = line.split_whitespace();
        !line.trim_start().starts_with('#')
            && words.any(|word| word.ends_with("pam_twofa.so") && is_own(word))
    };
    if !lines.iter().any(|line| names_it(line)) {
        return None;
    }
    let left: Vec<_> = lines.into_iter().filter(|line| !names_it(line)).collect();
    Some(left.concat())
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

/// Lines with their ends; one that a backslash continues is one with the next.
pub fn logical_lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        at += line.len();
        if !line.trim_end().ends_with('\\') {
            lines.push(&text[start..at]);
            start = at;
        }
    }
    if start < at {
        lines.push(&text[start..at]);
    }
    lines
}

fn joined(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(line);
    }
    text
}

/// The type of a line, or what it includes.
fn kind(line: &str) -> String {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default().to_ascii_lowercase();
    match first.as_str() {
        "@include" => format!("@include {}", words.next().unwrap_or_default()),
        _ => first.trim_start_matches('-').to_owned(),
    }
}
