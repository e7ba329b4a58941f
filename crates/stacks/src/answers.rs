//! The questions that a service is asked.

use crate::code::Code;
use crate::control::Action;
use crate::module::Caller;
use crate::paths::{Notes, Paths, Success};
use crate::phase::Phase;
use crate::programs::{asks_for_itself, takes_logins};
use crate::rule::{Rule, RuleKind};
use crate::service::Service;

/// A line that calls twofa's module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnLine {
    /// `auth` or `account`.
    pub phase: Phase,
    /// The file that contains it.
    pub file: String,
    /// Its number in that file, from 1.
    pub line: usize,
    /// The words after the module.
    pub arguments: Vec<String>,
    /// Some path leads to it.
    pub reached: bool,
    /// Some path leads to it on which no module has proved the user's identity: the password may be wrong. Also set for
    /// a line in `auth` that no path leads to: if it is called, the model is wrong. For lines in `account`: authentication
    /// can succeed without a first factor.
    pub unproved: bool,
}

/// A line called on a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "answers to questions that do not depend on each other"
)]
pub struct Step {
    /// `auth` or `account`.
    pub phase: Phase,
    /// The file that contains it.
    pub file: String,
    /// Its number in that file, from 1.
    pub line: usize,
    /// The module, as it is written there; empty for a line that libpam cannot read.
    pub module: String,
    /// The name of what it returned.
    pub code: &'static str,
    /// It calls twofa's module to ask for a code.
    pub is_own: bool,
    /// It is a line of twofa's module with `proved`.
    pub finds_key: bool,
    /// Because of that result, a later line of twofa's module is skipped.
    pub skips_own: bool,
    /// Its success ends the stack or substack, or skips lines.
    pub decides: bool,
}

/// A path that lets in: what was called, and what it returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way(pub Vec<Step>);

impl Way {
    /// The line that bypasses twofa's module, if there is one.
    pub fn bypassing_step(&self) -> Option<&Step> {
        self.0.iter().rev().find(|step| step.skips_own)
    }

    /// The line whose success opened it: one that ends the stack or skips lines, else the first that succeeds.
    pub fn opening_step(&self) -> Option<&Step> {
        let foreign = || {
            self.0
                .iter()
                .filter(|step| !step.is_own && step.code == "success")
        };
        foreign()
            .find(|step| step.decides)
            .or_else(|| foreign().next())
    }
}

/// A line of twofa's module with `proved`, which a login by key takes to skip the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLine {
    /// The file that contains it.
    pub file: String,
    /// Its number in that file, from 1.
    pub line: usize,
    /// From it, a login with a key goes on in the middle of another file. What that file has can change.
    pub lands_elsewhere: bool,
}

/// Whether anyone gets in without a code or without the first factor, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "answers to questions that do not depend on each other"
)]
pub struct Answers {
    /// `auth` and `account` succeed without a line of twofa's that let through.
    pub without_code: Option<Way>,
    /// `auth` alone does, which is all that some screen lockers call.
    pub auth_without_code: Option<Way>,
    /// `account` alone does, which is all that is called where something else authenticated: sshd by key, sudo within its
    /// timestamp, cron.
    pub account_without_code: Option<Way>,
    /// `auth` and `account` succeed, and no module has proved the user's identity.
    pub without_first_factor: Option<Way>,
    /// They succeed although a line of twofa's refused.
    pub despite_refusal: Option<Way>,
    /// On some path `auth` succeeds.
    pub auth_succeeds: bool,
    /// On some path `account` succeeds.
    pub account_succeeds: bool,
    /// Every success of `account` called a line of twofa's.
    pub account_calls_own: bool,
    /// Every success of `account` after one of `auth` called a line of twofa's, if only one with `confirm`: what follows from
    /// a login can wait for it.
    pub account_confirms: bool,
    /// Every success of `account` called one with `challenge`, and none that refused.
    pub account_challenges: bool,
    /// Every success that called a line in `auth` before the first factor was proved also called a line after that, or
    /// one in `account`, and none that refused. Programs that never call `account` (some screen lockers) are not
    /// considered.
    pub early_line_is_followed: bool,
    /// The same, with the later line in `auth`.
    pub early_line_is_followed_in_auth: bool,
    /// Where programs keep the real user of the person who asks (su): calls by root always reach a line of twofa's in
    /// `account`.
    pub account_calls_own_for_root: bool,
    /// On some path through `auth` two lines ask for a code alone.
    pub asks_twice: bool,
    /// On some path that a line with `proved` opens to a login with a key, `auth` succeeds, and no line that asks is
    /// skipped.
    pub key_succeeds: bool,
    /// The same, where that line asks for no code.
    pub key_succeeds_unasked: bool,
}

impl Service {
    /// The lines of twofa's module in `auth`, then in `account`, in the order in which libpam would call them, and
    /// whether each is reached with the first factor proved.
    ///
    /// A line that is missing here is unknown to this model and must be treated as unproved. Where there are
    /// [doubts](Service::doubts) every line is.
    pub fn own_lines(&self) -> Vec<OwnLine> {
        self.marked().into_iter().map(|(_, line)| line).collect()
    }

    /// The lines with `proved` in `auth`, in the order in which libpam would call them.
    pub fn key_lines(&self) -> Vec<KeyLine> {
        let [caller, _] = self.callers();
        let paths = Paths::explore(&self.auth, Phase::Auth, caller, Notes::default(), &[]);
        let found = self.auth.iter().enumerate();
        found
            .filter(|(_, rule)| rule.finds_key())
            .map(|(at, rule)| KeyLine {
                file: rule.file.to_string(),
                line: rule.line,
                lands_elsewhere: self
                    .auth
                    .get(paths.after_key(at))
                    .is_some_and(|next| next.file != rule.file),
            })
            .collect()
    }

    fn marked(&self) -> Vec<(usize, OwnLine)> {
        let callers = self.callers();
        let mut lines: Vec<_> = [(Phase::Auth, &self.auth), (Phase::Account, &self.account)]
            .into_iter()
            .flat_map(|(phase, rules)| {
                rules
                    .iter()
                    .enumerate()
                    .map(move |(at, rule)| (phase, at, rule))
            })
            .filter(|(_, _, rule)| rule.is_own())
            .map(|(phase, at, rule)| (at, own_line(phase, rule)))
            .collect();
        if !self.doubts.is_empty() {
            for (_, line) in &mut lines {
                (line.reached, line.unproved) = (true, true);
            }
        } else if !lines.is_empty() {
            for caller in callers {
                self.mark(caller, &mut lines);
            }
        }
        for (_, line) in &mut lines {
            line.unproved |= line.phase == Phase::Auth && !line.reached;
        }
        lines
    }

    fn mark(&self, caller: Caller, lines: &mut [(usize, OwnLine)]) {
        let auth = Paths::explore(&self.auth, Phase::Auth, caller, Notes::default(), &[]);
        mark(&auth, Phase::Auth, lines);
        if lines.iter().all(|(_, line)| line.phase == Phase::Auth) {
            return;
        }
        for success in auth.successes() {
            mark(
                &Paths::explore(&self.account, Phase::Account, caller, success.notes, &[]),
                Phase::Account,
                lines,
            );
        }
    }

    /// Who gets in. `None` where there are [doubts](Service::doubts).
    ///
    /// Where programs keep the real user of the person who asks (su, sudo), calls by root are left out.
    pub fn answers(&self) -> Option<Answers> {
        if !self.doubts.is_empty() {
            return None;
        }
        let mut answers = Answers {
            account_calls_own: true,
            account_confirms: true,
            account_challenges: true,
            early_line_is_followed: true,
            early_line_is_followed_in_auth: true,
            ..Answers::default()
        };
        let early: Vec<_> = self
            .marked()
            .into_iter()
            .filter_map(|(at, line)| (line.phase == Phase::Auth && line.unproved).then_some(at))
            .collect();
        for caller in self.callers() {
            if caller.root && caller.asks_for_itself {
                let account =
                    Paths::explore(&self.account, Phase::Account, caller, Notes::default(), &[]);
                let ways = account.successes();
                answers.account_calls_own_for_root =
                    !ways.is_empty() && ways.iter().all(|way| way.notes.has(Notes::ACCOUNT));
            } else {
                self.ask(caller, &early, &mut answers);
            }
        }
        // A phase that never succeeds calls nothing on success.
        answers.account_calls_own &= answers.account_succeeds;
        answers.account_challenges &= answers.account_succeeds;
        Some(answers)
    }

    /// Whether somebody can log in at this service. runuser and passwd serve root, or call neither `auth` nor `account`: that
    /// these fail for others keeps nobody out.
    pub fn takes_logins(&self) -> bool {
        takes_logins(&self.name)
    }

    /// Whether a line of twofa's is called whenever a password is changed that is not in `/etc/shadow`. `false` also where
    /// there are [doubts](Service::doubts).
    pub fn tells_of_passwords(&self) -> bool {
        let has_line = self.password.iter().any(Rule::is_own);
        has_line
            && self.doubts.is_empty()
            && self.callers().into_iter().all(|caller| {
                let none = Notes::default();
                let paths = Paths::explore(&self.password, Phase::Password, caller, none, &[]);
                let mut ways = paths.successes().into_iter();
                // pam_unix has changed /etc/shadow, where the module sees it.
                ways.all(|way| way.notes.has(Notes::ACCOUNT) || way.notes.has(Notes::PROVED))
            })
    }

    fn ask(&self, caller: Caller, early: &[usize], answers: &mut Answers) {
        let auth = Paths::explore(&self.auth, Phase::Auth, caller, Notes::default(), early);
        // Without a line in `auth` that asks, or with one in `account` that does, a key may skip all of them.
        let may_skip = !self.auth.iter().any(Rule::is_own) || self.always_challenges(caller);
        for first in auth.successes() {
            answers.auth_succeeds = true;
            answers.asks_twice |= first.notes.has(Notes::TWICE);
            let has = |notes| first.notes.has(Notes::KEY) && (may_skip || first.notes.has(notes));
            answers.key_succeeds |= has(Notes::PASSED);
            answers.key_succeeds_unasked |= has(Notes::UNASKED);
            let is_late = first.notes.has(Notes::LATE) && !first.notes.has(Notes::REFUSED);
            answers.early_line_is_followed_in_auth &= is_late || !first.notes.has(Notes::EARLY);
            if !first.notes.has(Notes::PASSED) {
                answers
                    .auth_without_code
                    .get_or_insert_with(|| way(&[(&auth, first)]));
            }
            let account = Paths::explore(&self.account, Phase::Account, caller, first.notes, &[]);
            for second in account.successes() {
                let notes = second.notes;
                answers.account_confirms &= notes.has(Notes::CONFIRMED);
                let way = || way(&[(&auth, first), (&account, second)]);
                if !notes.has(Notes::PASSED) {
                    answers.without_code.get_or_insert_with(way);
                }
                if !notes.has(Notes::PROVED) {
                    answers.without_first_factor.get_or_insert_with(way);
                }
                if notes.has(Notes::REFUSED) {
                    answers.despite_refusal.get_or_insert_with(way);
                }
                let is_followed = (notes.has(Notes::LATE) || notes.has(Notes::ACCOUNT))
                    && !notes.has(Notes::REFUSED);
                answers.early_line_is_followed &= is_followed || !notes.has(Notes::EARLY);
            }
        }
        let account = Paths::explore(&self.account, Phase::Account, caller, Notes::default(), &[]);
        for success in account.successes() {
            answers.account_succeeds = true;
            answers.account_calls_own &= success.notes.has(Notes::ACCOUNT);
            answers.account_challenges &=
                success.notes.has(Notes::CHALLENGE) && !success.notes.has(Notes::REFUSED);
            if !success.notes.has(Notes::PASSED) {
                answers
                    .account_without_code
                    .get_or_insert_with(|| way(&[(&account, success)]));
            }
        }
    }

    /// Whether every success of `account` alone called a line with `challenge`, and none that refused.
    fn always_challenges(&self, caller: Caller) -> bool {
        let account = Paths::explore(&self.account, Phase::Account, caller, Notes::default(), &[]);
        let mut successes = account.successes().into_iter();
        successes.all(|way| way.notes.has(Notes::CHALLENGE) && !way.notes.has(Notes::REFUSED))
    }

    fn callers(&self) -> [Caller; 2] {
        let asks_for_itself = asks_for_itself(&self.name);
        [false, true].map(|root| Caller {
            root,
            asks_for_itself,
        })
    }
}

fn own_line(phase: Phase, rule: &Rule) -> OwnLine {
    OwnLine {
        phase,
        file: rule.file.to_string(),
        line: rule.line,
        arguments: rule.arguments().to_vec(),
        reached: false,
        unproved: false,
    }
}

fn mark(paths: &Paths<'_>, phase: Phase, lines: &mut [(usize, OwnLine)]) {
    for (at, line) in lines.iter_mut().filter(|(_, line)| line.phase == phase) {
        for notes in paths.notes_at(*at) {
            line.reached = true;
            line.unproved |= !notes.has(Notes::PROVED);
        }
    }
}

fn way(phases: &[(&Paths<'_>, Success)]) -> Way {
    let steps = phases
        .iter()
        .flat_map(|(paths, success)| steps(paths.phase(), paths.rules(), &paths.way(*success)));
    Way(steps.collect())
}

/// The lines called on a path: each with what it returned and which line came next.
pub(crate) fn steps(phase: Phase, rules: &[Rule], way: &[(usize, Code, usize)]) -> Vec<Step> {
    let step = |&(at, code, next): &(usize, Code, usize)| Step {
        phase,
        file: rules[at].file.to_string(),
        line: rules[at].line,
        module: match &rules[at].kind {
            RuleKind::Module { module, .. } => module.clone(),
            RuleKind::Substack | RuleKind::Broken => String::new(),
        },
        code: code.name(),
        is_own: rules[at].is_own(),
        finds_key: rules[at].finds_key(),
        skips_own: rules[at + 1..next].iter().any(Rule::is_own),
        decides: code == Code::SUCCESS
            && matches!(
                rules[at].control.action(code),
                Action::Done | Action::Jump(_)
            ),
    };
    way.iter().map(step).collect()
}
