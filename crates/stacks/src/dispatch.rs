//! What a result of a line does: the loop of `_pam_dispatch_aux` in Linux-PAM's `pam_dispatch.c`, one line at a time.
//!
//! [`execute`](crate::execute) follows it for the results that modules had, and is held against libpam;
//! `paths` follows it for every result that they may have.

use crate::control::Action;
use crate::rule::Rule;
use crate::tally::{Impression, Status, Tally};

/// The depth of substacks that libpam allows, and the level outside of all.
const LEVELS: usize = 16;

/// What libpam keeps between two lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted<S> {
    pub(crate) tally: Tally<S>,
    /// The level of the line before.
    level: u8,
    /// What a `reset` in a substack goes back to, by its level.
    saved: [Tally<S>; LEVELS],
}

/// What a line returned, and what its control makes of that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Returned<S> {
    pub(crate) action: Action,
    pub(crate) status: S,
    /// It is `PAM_IGNORE`, and the action is that of another code, which the line returned earlier in the login.
    pub(crate) is_ignored: bool,
    /// A jump also counts, as upstream has it where the path is that of an earlier call.
    pub(crate) jump_counts: bool,
}

impl<S> Returned<S> {
    /// Of a call that no earlier one decides.
    pub(crate) const fn new(action: Action, status: S) -> Self {
        Self {
            action,
            status,
            is_ignored: false,
            jump_counts: false,
        }
    }
}

impl<S: Status> Counted<S> {
    pub(crate) const START: Self = Self {
        tally: Tally::START,
        level: 0,
        saved: [Tally::START; LEVELS],
    };

    /// Comes to a line. Only needed where a line of the stack resets.
    pub(crate) fn enter(&mut self, rule: &Rule) {
        if rule.level > self.level
            && let Some(saved) = self.saved.get_mut(usize::from(rule.level))
        {
            *saved = self.tally;
        }
        self.level = rule.level;
    }

    /// Counts what the line `at` returned. Returns the line that follows; beyond the last one, the stack has ended.
    pub(crate) fn advance(&mut self, rules: &[Rule], at: usize, returned: &Returned<S>) -> usize {
        let level = rules[at].level;
        let count = |tally: &mut Tally<S>| {
            if !returned.is_ignored {
                tally.count(returned.status);
            }
        };
        match returned.action {
            Action::Ignore => {}
            Action::Ok => count(&mut self.tally),
            Action::Done => {
                count(&mut self.tally);
                if self.tally.impression == Impression::Positive {
                    return after_substack(rules, at);
                }
            }
            Action::Bad => self.tally.fail(returned.status),
            Action::Die => {
                self.tally.fail(returned.status);
                return after_substack(rules, at);
            }
            Action::Reset => {
                self.tally = self
                    .saved
                    .get(usize::from(level))
                    .copied()
                    .unwrap_or(Tally::START);
            }
            Action::Jump(lines) => {
                if returned.jump_counts {
                    count(&mut self.tally);
                }
                return jump(rules, at, lines).unwrap_or_else(|next| {
                    self.tally = Tally::failed(S::DENIED);
                    next
                });
            }
        }
        at + 1
    }
}

/// The first line after `at` outside of its substack.
fn after_substack(rules: &[Rule], at: usize) -> usize {
    let level = rules[at].level;
    let deep = rules[at + 1..]
        .iter()
        .take_while(|rule| rule.level >= level)
        .count();
    at + 1 + deep
}

/// Skips this many lines; a substack counts as one. The error is the line that follows if there are too few.
pub(crate) fn jump(rules: &[Rule], mut at: usize, lines: u32) -> Result<usize, usize> {
    let level = rules[at].level;
    for _ in 0..lines {
        if rules.get(at + 1).is_none_or(|rule| rule.level < level) {
            return Err(at + 1);
        }
        at += 1;
        while rules.get(at + 1).is_some_and(|rule| rule.level > level) {
            at += 1;
        }
    }
    Ok(at + 1)
}
