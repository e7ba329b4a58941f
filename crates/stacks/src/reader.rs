//! The files of a service, read as libpam reads them (`pam_handlers.c` of Linux-PAM).

use std::rc::Rc;

use crate::control::Control;
use crate::error::{Doubt, Unusable};
use crate::host::{File, Host};
use crate::phase::Phase;
use crate::rule::{Rule, RuleKind};
use crate::text::{Words, lines};

const PAM_D: &str = "/etc/pam.d/";
const DEBIAN: [&str; 2] = [PAM_D, "/usr/lib/pam.d/"];
/// The last two are vendor directories: Linux-PAM's own since 1.7.2, and one of SUSE's.
const UPSTREAM: [&str; 4] = [
    PAM_D,
    "/usr/lib/pam.d/",
    "/usr/share/pam/pam.d/",
    "/usr/etc/pam.d/",
];
/// The depth of includes that libpam allows.
const MAX_DEPTH: u8 = 15;
/// More lines than any real stack has.
const MAX_LINES: usize = 2000;

/// The lines of a service or of `other`, by phase.
#[derive(Default)]
pub(crate) struct Stacks([Vec<Rule>; 4]);

impl Stacks {
    pub(crate) const fn rules_mut(&mut self, phase: Phase) -> &mut Vec<Rule> {
        &mut self.0[phase as usize]
    }

    fn push(&mut self, phase: Phase, rule: Rule) {
        self.rules_mut(phase).push(rule);
    }

    fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        for phase in Phase::ALL {
            self.rules_mut(phase).append(other.rules_mut(phase));
        }
    }
}

pub(crate) struct Reader<'a> {
    host: &'a dyn Host,
    /// Every path that was looked at.
    pub(crate) files: Vec<String>,
    pub(crate) doubts: Vec<Doubt>,
    count: usize,
}

/// How a file is included.
#[derive(Clone, Copy)]
struct Scope {
    /// Only lines of this type are taken.
    only: Option<Phase>,
    includes: u8,
    level: u8,
}

impl Scope {
    const TOP: Self = Self {
        only: None,
        includes: 0,
        level: 0,
    };
}

/// A line that includes a file.
struct Include {
    /// `@include`.
    debian: bool,
    substack: bool,
    /// The type of the lines that are taken; `None`: all.
    phase: Option<Phase>,
}

/// The words before a module.
enum Head {
    /// Lines of another file.
    Include(Include),
    Module {
        phase: Phase,
        control: Box<Control>,
        broken: bool,
    },
    /// A line of another type than the one that is included.
    Skipped,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(host: &'a dyn Host) -> Self {
        Self {
            host,
            files: Vec::new(),
            doubts: Vec::new(),
            count: 0,
        }
    }

    /// Reads the file of a service. Returns whether there is one.
    pub(crate) fn service(&mut self, name: &str, stacks: &mut Stacks) -> Result<bool, Unusable> {
        let Some((path, text)) = self.find(name) else {
            return Ok(false);
        };
        if self.lines(&path, &text, Scope::TOP, stacks)? {
            return Ok(true);
        }
        Err(Unusable::Unfinished(path))
    }

    /// The first file of that name in the directories of services.
    fn find(&mut self, name: &str) -> Option<(String, String)> {
        let directories: &[_] = if self.host.debian() {
            &DEBIAN
        } else {
            &UPSTREAM
        };
        directories
            .iter()
            .find_map(|directory| self.open(format!("{directory}{name}")))
    }

    /// The file that a line includes.
    fn included(&mut self, name: &str) -> Option<(String, String)> {
        if name.starts_with('/') {
            self.open(name.to_owned())
        } else if self.host.debian() {
            self.open(format!("{PAM_D}{name}"))
        } else {
            self.find(name)
        }
    }

    fn open(&mut self, path: String) -> Option<(String, String)> {
        if !self.files.contains(&path) {
            self.files.push(path.clone());
        }
        match self.host.read(&path) {
            File::Text(text) => Some((path, text)),
            File::Missing => None,
            File::Unreadable => {
                self.doubts.push(Doubt::Unreadable(path));
                None
            }
        }
    }

    /// Reads the lines of a file. Returns `false` if it ends inside a line.
    fn lines(
        &mut self,
        path: &str,
        text: &str,
        scope: Scope,
        stacks: &mut Stacks,
    ) -> Result<bool, Unusable> {
        let found = lines(text);
        if found.disputed {
            self.doubts.push(Doubt::Disputed(path.to_owned()));
        }
        let file = Rc::from(path);
        for line in found.all {
            let mut words = Words::new(&line.text);
            let head = self.head(path, scope, &mut words);
            let at = Rule {
                file: Rc::clone(&file),
                line: line.number,
                level: scope.level,
                control: Control::BAD,
                kind: RuleKind::Broken,
            };
            match head {
                Head::Skipped => {}
                Head::Include(include) => {
                    self.include(&include, at, words.next(), scope, stacks)?;
                }
                Head::Module {
                    phase,
                    control,
                    broken,
                } => {
                    let kind = match words.next() {
                        Some(module) if !broken => RuleKind::Module {
                            module,
                            arguments: words.collect(),
                        },
                        _ => RuleKind::Broken,
                    };
                    stacks.push(
                        phase,
                        Rule {
                            control: *control,
                            kind,
                            ..at
                        },
                    );
                }
            }
        }
        Ok(!found.unfinished)
    }

    fn head(&mut self, path: &str, scope: Scope, words: &mut Words<'_>) -> Head {
        let kind = words.next().unwrap_or_default();
        let kind = kind.strip_prefix('-').unwrap_or(&kind).to_ascii_lowercase();
        if kind == "@include" && self.host.debian() {
            return Head::Include(Include {
                debian: true,
                substack: false,
                phase: scope.only,
            });
        }
        let known = match kind.as_str() {
            "auth" => Some(Phase::Auth),
            "account" => Some(Phase::Account),
            "session" => Some(Phase::Session),
            "password" => Some(Phase::Password),
            _ => None,
        };
        // A line of no known type is one of `auth` that fails.
        let phase = known.or(scope.only).unwrap_or(Phase::Auth);
        if scope.only.is_some_and(|only| only != phase) {
            return Head::Skipped;
        }
        let Some(control) = words.next() else {
            return Head::Module {
                phase,
                control: Box::new(Control::BAD),
                broken: true,
            };
        };
        match control.to_ascii_lowercase().as_str() {
            "include" => Head::Include(Include {
                debian: false,
                substack: false,
                phase: Some(phase),
            }),
            "substack" => Head::Include(Include {
                debian: false,
                substack: true,
                phase: Some(phase),
            }),
            _ => {
                let parsed = Control::parse(&control);
                if parsed.disputed {
                    self.doubts.push(Doubt::Disputed(path.to_owned()));
                }
                Head::Module {
                    phase,
                    control: Box::new(parsed.control),
                    broken: known.is_none(),
                }
            }
        }
    }

    /// Replaces `at` by the lines of another file; where that file cannot be read, `at` stays as a broken line.
    fn include(
        &mut self,
        include: &Include,
        at: Rule,
        name: Option<String>,
        scope: Scope,
        stacks: &mut Stacks,
    ) -> Result<(), Unusable> {
        if let (true, Some(phase)) = (include.substack, include.phase) {
            stacks.push(
                phase,
                Rule {
                    kind: RuleKind::Substack,
                    ..at.clone()
                },
            );
        }
        let inside = Scope {
            only: include.phase,
            includes: scope.includes + 1,
            level: scope.level + u8::from(include.substack),
        };
        let doubts = self.doubts.len();
        if self.included_lines(&at.file, name, inside, stacks)? {
            return Ok(());
        }
        let Some(phase) = include.phase else {
            // libpam may be able to read what we cannot.
            if self.doubts.len() > doubts {
                return Ok(());
            }
            return Err(Unusable::NothingToInclude {
                file: at.file.to_string(),
                line: at.line,
            });
        };
        if include.debian {
            // libpam continues with uninitialised actions.
            self.doubts.push(Doubt::Disputed(at.file.to_string()));
        }
        stacks.push(phase, at);
        Ok(())
    }

    /// Reads the included file. Returns whether it could be read to its end.
    fn included_lines(
        &mut self,
        from: &str,
        name: Option<String>,
        scope: Scope,
        stacks: &mut Stacks,
    ) -> Result<bool, Unusable> {
        self.count += 1;
        if scope.includes > MAX_DEPTH || self.count > MAX_LINES || stacks.len() > MAX_LINES {
            self.doubts.push(Doubt::TooDeep(from.to_owned()));
            return Ok(false);
        }
        let Some((path, text)) = name.and_then(|name| self.included(&name)) else {
            return Ok(false);
        };
        self.lines(&path, &text, scope, stacks)
    }
}
