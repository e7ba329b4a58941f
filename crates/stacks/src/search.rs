//! The least that gets through a stack: every path for every result, of which those are kept that show least.
//!
//! As in `paths`, the lines are taken in order, each with the states in which it can be reached, so that the work grows
//! with lines and states and not with paths. Of states in which libpam has counted the same, one in which less was shown
//! stands for those in which more was.

use crate::code::{Code, Codes};
use crate::control::Action;
use crate::dispatch::{Counted, Returned};
use crate::factor::{Factor, Shown};
use crate::module::{self, Behaviour, Caller, behaviour, is_known, passes};
use crate::paths::Ending;
use crate::phase::Phase;
use crate::rule::{Rule, RuleKind};

/// What is assumed of modules.
#[derive(Clone, Copy)]
pub(crate) struct Assumptions<'a> {
    pub(crate) caller: Caller,
    /// No first factor is right.
    pub(crate) is_stranger: bool,
    /// What twofa's module returns where it asks.
    pub(crate) own: Codes,
    /// The modules that the model does not know.
    pub(crate) unknown: &'a [String],
    /// Whether a module is installed, if that is known.
    pub(crate) is_installed: &'a dyn Fn(&str) -> Option<bool>,
}

/// A result of a line, as far as it makes a difference.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Outcome {
    code: Code,
    action: Action,
    status: Ending,
    shown: Shown,
}

struct Node {
    at: usize,
    counted: Counted<Ending>,
    shown: Shown,
    from: Option<(usize, Code)>,
}

/// The least that gets through a stack.
pub(crate) struct Search<'a> {
    rules: &'a [Rule],
    phase: Phase,
    nodes: Vec<Node>,
    at: Vec<Vec<usize>>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(rules: &'a [Rule], phase: Phase, assumptions: &Assumptions<'_>) -> Self {
        let mut search = Self {
            rules,
            phase,
            nodes: Vec::new(),
            at: vec![Vec::new(); rules.len() + 1],
        };
        let resets = rules.iter().any(|rule| rule.control.has(Action::Reset));
        search.reach(0, Counted::START, Shown::default(), None);
        for (at, rule) in rules.iter().enumerate() {
            let here = std::mem::take(&mut search.at[at]);
            let outcomes = if here.is_empty() {
                Vec::new()
            } else {
                outcomes(rule, phase, assumptions)
            };
            for node in here {
                let Node {
                    mut counted,
                    shown,
                    from,
                    ..
                } = search.nodes[node];
                if resets {
                    counted.enter(rule);
                }
                if rule.kind == RuleKind::Substack {
                    search.reach(at + 1, counted, shown, from);
                    continue;
                }
                for outcome in &outcomes {
                    let mut counted = counted;
                    let returned = Returned::new(outcome.action, outcome.status);
                    let next = counted.advance(rules, at, &returned);
                    search.reach(
                        next,
                        counted,
                        shown.with(outcome.shown),
                        Some((node, outcome.code)),
                    );
                }
            }
        }
        search
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) const fn rules(&self) -> &'a [Rule] {
        self.rules
    }

    /// The ends that let in: what was shown, and the node.
    pub(crate) fn successes(&self) -> Vec<(Shown, usize)> {
        let ends = self.at.last().into_iter().flatten();
        let successes =
            ends.filter(|&&node| self.nodes[node].counted.tally.result().lets_in(self.phase));
        least(successes.map(|&node| (self.nodes[node].shown, node)))
    }

    /// The lines called on a path to a node: each with what it returned and which line came next.
    pub(crate) fn way(&self, node: usize) -> Vec<(usize, Code, usize)> {
        let mut way = Vec::new();
        let (mut node, mut next) = (&self.nodes[node], self.rules.len());
        while let Some((from, code)) = node.from {
            node = &self.nodes[from];
            way.push((node.at, code, next));
            next = node.at;
        }
        way.reverse();
        way
    }

    fn reach(
        &mut self,
        at: usize,
        counted: Counted<Ending>,
        shown: Shown,
        from: Option<(usize, Code)>,
    ) {
        let nodes = &self.nodes;
        let same = |node: &&usize| nodes[**node].counted == counted;
        if self.at[at]
            .iter()
            .filter(same)
            .any(|&node| nodes[node].shown.is_within(shown))
        {
            return;
        }
        self.at[at]
            .retain(|&node| nodes[node].counted != counted || !shown.is_within(nodes[node].shown));
        self.at[at].push(self.nodes.len());
        self.nodes.push(Node {
            at,
            counted,
            shown,
            from,
        });
    }
}

/// Of what was shown, what shows no more than something else.
pub(crate) fn least<T>(all: impl IntoIterator<Item = (Shown, T)>) -> Vec<(Shown, T)> {
    let mut kept: Vec<(Shown, T)> = Vec::new();
    for (shown, with) in all {
        if kept.iter().any(|(known, _)| known.is_within(shown)) {
            continue;
        }
        kept.retain(|(known, _)| !shown.is_within(*known));
        kept.push((shown, with));
    }
    kept
}

fn outcomes(rule: &Rule, phase: Phase, assumptions: &Assumptions<'_>) -> Vec<Outcome> {
    let RuleKind::Module { module, arguments } = &rule.kind else {
        return vec![outcome(rule, Code::PERM_DENIED, Shown::default())];
    };
    let Behaviour { codes, proves, own } = behaviour(module, arguments, phase, assumptions.caller);
    let missing = Codes::only(Code::MODULE_UNKNOWN);
    let name = module::name(module);
    let codes = match (assumptions.is_installed)(module) {
        _ if own => codes.both(assumptions.own),
        Some(false) => missing,
        Some(true) if is_known(name) && codes != missing => codes.without(missing),
        Some(true) | None => codes,
    };
    let unknown = assumptions.unknown.iter().position(|known| known == name);
    let factor = if phase == Phase::Auth {
        Factor::of_module(name)
    } else {
        None
    };
    let is_trusted = proves || !module::proves_identity(name);
    let shown = |code: Code| {
        if own && passes(code) {
            Shown::factor(Factor::Code)
        } else if code != Code::SUCCESS {
            Shown::default()
        } else if rule.finds_key() {
            Shown::factor(Factor::Key)
        } else if let Some(at) = unknown {
            Shown::module(at)
        } else if let Some(factor) =
            factor.filter(|_| is_trusted && (factor != Some(Factor::Root) || proves))
        {
            Shown::factor(factor)
        } else {
            Shown::default()
        }
    };
    let mut found: Vec<Outcome> = Vec::new();
    for code in codes.iter().filter(|code| *code != Code::INCOMPLETE) {
        let shown = shown(code);
        if assumptions.is_stranger && shown.has_first_factor() && !shown.has(Factor::Root) {
            continue;
        }
        let new = outcome(rule, code, shown);
        if !found.iter().any(|known| Outcome { code, ..*known } == new) {
            found.push(new);
        }
    }
    found
}

fn outcome(rule: &Rule, code: Code, shown: Shown) -> Outcome {
    Outcome {
        code,
        action: rule.control.action(code),
        status: Ending::from_code(code),
        shown,
    }
}
