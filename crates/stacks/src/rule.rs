//! A line of a stack.

use std::rc::Rc;

use crate::control::{Action, Control};
use crate::module::{OWN_CODES, finds_key, is_own, passes};

/// What a line does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleKind {
    /// It begins a substack.
    Substack,
    /// libpam cannot read the line, and takes it for a module that returns `PAM_PERM_DENIED`.
    Broken,
    /// It calls a module.
    Module {
        /// As written: a name, or a path.
        module: String,
        /// The words after it.
        arguments: Vec<String>,
    },
}

/// A line of a stack whose includes have been replaced by what they include.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The file that contains it.
    pub file: Rc<str>,
    /// Its number in that file, from 1.
    pub line: usize,
    /// The depth of substacks around it.
    pub level: u8,
    /// What each result counts for.
    pub control: Control,
    /// What it does.
    pub kind: RuleKind,
}

impl Rule {
    /// Whether it calls twofa's module to ask for a code.
    pub fn is_own(&self) -> bool {
        matches!(&self.kind, RuleKind::Module { module, .. } if is_own(module)) && !self.finds_key()
    }

    /// Whether it calls twofa's module with `proved`: it asks nothing, and succeeds where sshd proved a key of the user's.
    pub fn finds_key(&self) -> bool {
        matches!(&self.kind, RuleKind::Module { module, arguments } if finds_key(module, arguments))
    }

    /// Whether its control ignores some refusal of twofa's module, or counts it as less than a failure.
    pub fn forgives(&self) -> bool {
        OWN_CODES.iter().filter(|code| !passes(*code)).any(|code| {
            let action = self.control.action(code);
            !matches!(action, Action::Bad | Action::Die)
        })
    }

    /// The words after the module.
    pub fn arguments(&self) -> &[String] {
        match &self.kind {
            RuleKind::Module { arguments, .. } => arguments,
            RuleKind::Substack | RuleKind::Broken => &[],
        }
    }
}
