//! Every path through a stack, for every result that its modules may return.
//!
//! Control only moves forward, so the lines are taken in order, each with the set of states in which it can be
//! reached. A state is what libpam has counted so far and what the questions need to know of the path; equal states are
//! merged, which keeps the sets small however many paths there are.

use crate::code::{Code, Codes};
use crate::control::Action;
use crate::dispatch::{Counted, Returned, jump};
use crate::module::{Behaviour, Caller, behaviour, passes};
use crate::phase::Phase;
use crate::rule::{Rule, RuleKind};
use crate::tally::Status;

/// What a stack would return if it ended here. libpam has more codes; only these make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Success,
    /// `PAM_NEW_AUTHTOK_REQD`: in `account`, the way in once the password is changed.
    NewToken,
    Other,
}

impl Ending {
    pub(crate) const fn from_code(code: Code) -> Self {
        match code {
            Code::SUCCESS => Self::Success,
            Code::NEW_AUTHTOK_REQD => Self::NewToken,
            _ => Self::Other,
        }
    }

    pub(crate) fn lets_in(self, phase: Phase) -> bool {
        match self {
            Self::Success => true,
            Self::NewToken => phase == Phase::Account,
            Self::Other => false,
        }
    }
}

impl Status for Ending {
    const DENIED: Self = Self::Other;

    fn is_success(self) -> bool {
        self == Self::Success
    }

    fn as_failure(self) -> Self {
        match self {
            Self::Success => Self::Other,
            failure => failure,
        }
    }
}

/// What has happened on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Notes(u16);

impl Notes {
    /// A module has proved the user's identity.
    pub(crate) const PROVED: Self = Self(1);
    /// A line of ours returned success, or that it need not ask.
    pub(crate) const PASSED: Self = Self(2);
    /// A line of ours refused.
    pub(crate) const REFUSED: Self = Self(4);
    /// A line of ours in `auth` was called that may be called before the identity was proved.
    pub(crate) const EARLY: Self = Self(8);
    /// A line of ours in `auth` was called that is called only after the identity was proved.
    pub(crate) const LATE: Self = Self(16);
    /// A line of ours in `auth` asked for a code alone.
    const ALONE: Self = Self(256);
    /// Two lines of ours in `auth` asked for a code alone.
    pub(crate) const TWICE: Self = Self(32);
    /// A line of ours in `account` was called.
    pub(crate) const ACCOUNT: Self = Self(64);
    /// A line of ours in `account` with `challenge` was called.
    pub(crate) const CHALLENGE: Self = Self(128);
    /// A line with `proved` found a key that sshd proved.
    pub(crate) const KEY: Self = Self(512);
    /// A line of ours in `auth` said that it need not ask.
    pub(crate) const UNASKED: Self = Self(1024);
    /// A line of ours in `account` was called, if only one with `confirm`.
    pub(crate) const CONFIRMED: Self = Self(2048);

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    counted: Counted<Ending>,
    notes: Notes,
}

/// A result of a line, as far as it makes a difference.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    code: Code,
    action: Action,
    status: Ending,
    proves: bool,
    own: bool,
}

impl Outcome {
    fn differs(&self, other: &Self) -> bool {
        let passed = |outcome: &Self| outcome.own.then(|| passes(outcome.code));
        (self.action, self.status, self.proves) != (other.action, other.status, other.proves)
            || passed(self) != passed(other)
    }
}

/// A path to a line, in one state.
struct Node {
    at: usize,
    state: State,
    /// The previous node, and what the line there returned.
    from: Option<(usize, Code)>,
}

/// All paths through a stack.
pub(crate) struct Paths<'a> {
    rules: &'a [Rule],
    phase: Phase,
    early: &'a [usize],
    nodes: Vec<Node>,
    /// The nodes at each line, and at the end.
    at: Vec<Vec<usize>>,
}

/// A path that ends in success.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Success {
    pub(crate) notes: Notes,
    node: usize,
}

impl<'a> Paths<'a> {
    /// Follows all paths through a stack, with the notes of earlier phases. `early` are the lines of ours in `auth` that
    /// may be called before the identity was proved.
    pub(crate) fn explore(
        rules: &'a [Rule],
        phase: Phase,
        caller: Caller,
        notes: Notes,
        early: &'a [usize],
    ) -> Self {
        let mut paths = Self {
            rules,
            phase,
            early,
            nodes: Vec::new(),
            at: vec![Vec::new(); rules.len() + 1],
        };
        let resets = rules.iter().any(|rule| rule.control.has(Action::Reset));
        let start = State {
            counted: Counted::START,
            notes,
        };
        paths.reach(0, start, None);
        for (at, rule) in rules.iter().enumerate() {
            let here = std::mem::take(&mut paths.at[at]);
            let outcomes = outcomes(rule, phase, caller);
            for &node in &here {
                let mut state = paths.nodes[node].state;
                if resets {
                    state.counted.enter(rule);
                }
                if rule.kind == RuleKind::Substack {
                    paths.reach(at + 1, state, paths.nodes[node].from);
                    continue;
                }
                for outcome in &outcomes {
                    let (next, state) = paths.step(at, state, outcome);
                    paths.reach(next, state, Some((node, outcome.code)));
                }
            }
            paths.at[at] = here;
        }
        paths
    }

    pub(crate) const fn rules(&self) -> &'a [Rule] {
        self.rules
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// The paths that let in, one for each set of notes.
    pub(crate) fn successes(&self) -> Vec<Success> {
        let ends = self.at.last().into_iter().flatten();
        let mut found: Vec<Success> = Vec::new();
        for &node in ends {
            let state = self.nodes[node].state;
            let known = found.iter().any(|success| success.notes == state.notes);
            // A stack without lines returns PAM_PERM_DENIED.
            if !known && state.counted.tally.result().lets_in(self.phase) {
                found.push(Success {
                    notes: state.notes,
                    node,
                });
            }
        }
        found
    }

    /// What has happened on the paths to a line.
    pub(crate) fn notes_at(&self, line: usize) -> impl Iterator<Item = Notes> {
        self.at
            .get(line)
            .into_iter()
            .flatten()
            .map(|&node| self.nodes[node].state.notes)
    }

    /// The lines called on a path: each with what it returned and which line came next.
    pub(crate) fn way(&self, success: Success) -> Vec<(usize, Code, usize)> {
        let mut way = Vec::new();
        let (mut node, mut next) = (&self.nodes[success.node], self.rules.len());
        while let Some((from, code)) = node.from {
            node = &self.nodes[from];
            way.push((node.at, code, next));
            next = node.at;
        }
        way.reverse();
        way
    }

    fn reach(&mut self, at: usize, state: State, from: Option<(usize, Code)>) {
        if !self.at[at]
            .iter()
            .any(|&node| self.nodes[node].state == state)
        {
            self.at[at].push(self.nodes.len());
            self.nodes.push(Node { at, state, from });
        }
    }

    /// The line that follows `at` after `outcome`, and the state there.
    fn step(&self, at: usize, mut state: State, outcome: &Outcome) -> (usize, State) {
        state.notes = self.noted(at, state.notes, outcome);
        let returned = Returned::new(outcome.action, outcome.status);
        let next = state.counted.advance(self.rules, at, &returned);
        (next, state)
    }

    /// The line that follows a line with `proved` which found a key.
    pub(crate) fn after_key(&self, at: usize) -> usize {
        match self.rules[at].control.action(Code::SUCCESS) {
            Action::Jump(lines) => jump(self.rules, at, lines).unwrap_or_else(|next| next),
            _ => at + 1,
        }
    }

    fn noted(&self, at: usize, notes: Notes, outcome: &Outcome) -> Notes {
        let confirms = self.phase == Phase::Account && self.rules[at].is_own();
        let notes = if confirms {
            notes.with(Notes::CONFIRMED)
        } else {
            notes
        };
        if !outcome.own {
            return match (outcome.proves, self.rules[at].finds_key()) {
                (true, true) => notes.with(Notes::PROVED).with(Notes::KEY),
                (true, false) => notes.with(Notes::PROVED),
                (false, _) => notes,
            };
        }
        let has = |option: &str| {
            self.rules[at]
                .arguments()
                .iter()
                .any(|argument| argument == option)
        };
        let when = match self.phase {
            // The same on the paths on which the identity is proved, since the broker treats the line alike.
            Phase::Auth if self.early.contains(&at) => Notes::EARLY,
            Phase::Auth => Notes::LATE,
            _ if has("challenge") => Notes::CHALLENGE.with(Notes::ACCOUNT),
            _ => Notes::ACCOUNT,
        };
        let alone = self.phase == Phase::Auth
            && !["forward_pass", "use_first_pass", "try_first_pass"]
                .iter()
                .any(|option| has(option));
        let asked = match (alone, notes.has(Notes::ALONE)) {
            (true, true) => Notes::TWICE,
            (true, false) => Notes::ALONE,
            (false, _) => Notes::default(),
        };
        let verdict = if passes(outcome.code) {
            Notes::PASSED
        } else {
            Notes::REFUSED
        };
        let unasked = if self.phase == Phase::Auth && outcome.code == Code::IGNORE {
            Notes::UNASKED
        } else {
            Notes::default()
        };
        notes.with(when).with(verdict).with(asked).with(unasked)
    }
}

/// The results of a line that make a difference.
fn outcomes(rule: &Rule, phase: Phase, caller: Caller) -> Vec<Outcome> {
    let broken = Behaviour {
        codes: Codes::only(Code::PERM_DENIED),
        proves: false,
        own: false,
    };
    let Behaviour { codes, proves, own } = match &rule.kind {
        RuleKind::Module { module, arguments } => behaviour(module, arguments, phase, caller),
        RuleKind::Broken | RuleKind::Substack => broken,
    };
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut add = |outcome: Outcome| {
        if outcomes.iter().all(|known| known.differs(&outcome)) {
            outcomes.push(outcome);
        }
    };
    // PAM_INCOMPLETE ends the call and lets nobody in.
    for code in codes.iter().filter(|code| *code != Code::INCOMPLETE) {
        add(Outcome {
            code,
            action: rule.control.action(code),
            status: Ending::from_code(code),
            proves: proves && code == Code::SUCCESS,
            own,
        });
    }
    if codes == Codes::ALL {
        // A number that is no code counts as a failure.
        let code = Code::PERM_DENIED;
        add(Outcome {
            code,
            action: Action::Bad,
            status: Ending::Other,
            proves: false,
            own,
        });
    }
    outcomes
}
