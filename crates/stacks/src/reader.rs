//! The files of a service, read as libpam reads them (`pam_handlers.c` of Linux-PAM).

use std::rc::Rc;

use crate::control::Control;
use crate::error::{Doubt, Unusable};
use crate::host::{File, Host, LineReading};
use crate::phase::Phase;
use crate::rule::{Rule, RuleKind};
use crate::text::{Lines, Words, lines};

const PAM_D: &str = "/etc/pam.d/";
const DEBIAN: [&str; 2] = [PAM_D, "/usr/lib/pam.d/"];
/// The last two are vendor directories: Linux-PAM's own since 1.7.2, and one of SUSE's.
const UPSTREAM: [&str; 4] = [
    PAM_D,
    "/usr/lib/pam.d/",
    "/usr/share/pam/pam.d/",
    "/usr/etc/pam.d/",
];
/// Read instead of the directories where neither of the first two exists.
const PAM_CONF: &str = "/etc/pam.conf";
/// The depth of includes that libpam allows; up to Linux-PAM 1.5, of substacks.
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
    /// The files that are being read, each inside the one before, with their levels.
    open: Vec<(String, u8)>,
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
            open: Vec::new(),
            count: 0,
        }
    }

    /// Reads the file of a service, or its lines of `pam.conf`. Returns whether there is one.
    pub(crate) fn service(&mut self, name: &str, stacks: &mut Stacks) -> Result<bool, Unusable> {
        let conf = if self.has_no_directory() {
            self.open(PAM_CONF.to_owned())
        } else {
            None
        };
        let service = conf.is_some().then_some(name);
        let found = conf.or_else(|| self.find(name));
        let Some((path, text)) = found else {
            return Ok(false);
        };
        match self.file(&path, &text, Scope::TOP, service, stacks)? {
            None => Ok(true),
            Some(failure) => Err(failure),
        }
    }

    fn has_no_directory(&self) -> bool {
        let mut directories = DEBIAN
            .iter()
            .map(|path| self.host.read(path.trim_end_matches('/')));
        directories.all(|found| found == File::Missing)
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

    /// Reads the lines of a file: all, or those of pam.conf that are for `service`. Returns why libpam does not read it to
    /// its end, if it does not: then what includes it fails. The error is where nothing of the service can be used.
    fn file(
        &mut self,
        path: &str,
        text: &str,
        scope: Scope,
        service: Option<&str>,
        stacks: &mut Stacks,
    ) -> Result<Option<Unusable>, Unusable> {
        let Lines {
            all,
            unfinished,
            disputed,
            endless,
        } = lines(text, self.host.line_reading());
        if disputed {
            self.doubts.push(Doubt::Disputed(path.to_owned()));
        }
        self.open.push((path.to_owned(), scope.level));
        let file = Rc::from(path);
        for line in all {
            let mut words = Words::new(&line.text);
            let is_meant = |word: Option<String>| {
                service.is_none_or(|name| word.is_some_and(|word| word.eq_ignore_ascii_case(name)))
            };
            if service.is_some() && !is_meant(words.next()) {
                continue;
            }
            let at = Rule {
                file: Rc::clone(&file),
                line: line.number,
                level: scope.level,
                control: Control::BAD,
                kind: RuleKind::Broken,
            };
            if let Some(failure) = self.line(at, words, scope, stacks)? {
                self.open.pop();
                return Ok(Some(failure));
            }
        }
        self.open.pop();
        match endless {
            Some(line) => Err(Unusable::Endless {
                file: path.to_owned(),
                line,
            }),
            None => Ok(unfinished.then(|| Unusable::Unfinished(path.to_owned()))),
        }
    }

    fn line(
        &mut self,
        at: Rule,
        mut words: Words<'_>,
        scope: Scope,
        stacks: &mut Stacks,
    ) -> Result<Option<Unusable>, Unusable> {
        match self.head(&at.file, scope, &mut words) {
            Head::Skipped => Ok(None),
            Head::Include(include) => self.include(&include, at, words.next(), scope, stacks),
            Head::Module {
                phase,
                control,
                broken,
            } => {
                let module = words.next();
                if module.as_deref().is_some_and(is_nameless) {
                    return Ok(Some(nameless(&at)));
                }
                let kind = match module {
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
                Ok(None)
            }
        }
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
                if parsed.disputed && self.host.line_reading() != LineReading::Since16 {
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
    ) -> Result<Option<Unusable>, Unusable> {
        let is_nameless = name.as_deref().is_some_and(is_nameless);
        if let (true, Some(phase)) = (include.substack, include.phase) {
            if is_nameless {
                return Ok(Some(nameless(&at)));
            }
            let marker = Rule {
                kind: RuleKind::Substack,
                ..at.clone()
            };
            stacks.push(phase, marker);
        }
        let inside = Scope {
            only: include.phase,
            includes: scope.includes.saturating_add(1),
            level: scope.level + u8::from(include.substack),
        };
        let doubts = self.doubts.len();
        if name.is_none() && self.host.debian() {
            return Err(Unusable::NoName {
                file: at.file.to_string(),
                line: at.line,
            });
        }
        let Some(failure) = self.included_lines(&at, name, inside, stacks)? else {
            return Ok(None);
        };
        let Some(phase) = include.phase else {
            // libpam may be able to read what we cannot.
            return if self.doubts.len() > doubts {
                Ok(None)
            } else {
                Err(failure)
            };
        };
        if include.debian {
            // libpam continues with uninitialised actions.
            self.doubts.push(Doubt::Disputed(at.file.to_string()));
        }
        if is_nameless {
            return Ok(Some(nameless(&at)));
        }
        stacks.push(phase, at);
        Ok(None)
    }

    /// Reads the included file. Returns why it could not be read to its end, if so.
    fn included_lines(
        &mut self,
        from: &Rule,
        name: Option<String>,
        scope: Scope,
        stacks: &mut Stacks,
    ) -> Result<Option<Unusable>, Unusable> {
        let missing = Some(Unusable::NothingToInclude {
            file: from.file.to_string(),
            line: from.line,
        });
        self.count += 1;
        if self.count > MAX_LINES || stacks.len() > MAX_LINES {
            self.doubts.push(Doubt::TooDeep(from.file.to_string()));
            return Ok(missing);
        }
        let is_too_deep = match self.host.line_reading() {
            LineReading::UpTo15 => scope.level > MAX_DEPTH,
            LineReading::Since16 => scope.includes > MAX_DEPTH,
            LineReading::Unknown if scope.includes > MAX_DEPTH => {
                self.doubts.push(Doubt::TooDeep(from.file.to_string()));
                true
            }
            LineReading::Unknown => false,
        };
        let found = name.filter(|_| !is_too_deep);
        let Some((path, text)) = found.and_then(|name| self.included(&name)) else {
            return Ok(missing);
        };
        self.note_loop(&path, from, scope)?;
        self.file(&path, &text, scope, None, stacks)
    }

    /// Notes that a file is being read inside itself.
    fn note_loop(&mut self, path: &str, from: &Rule, scope: Scope) -> Result<(), Unusable> {
        let mut same = self.open.iter().filter(|(open, _)| open == path).peekable();
        if same.peek().is_none() {
            return Ok(());
        }
        let (file, line) = (from.file.to_string(), from.line);
        // Substacks end at a depth.
        let is_endless = same.any(|(_, level)| *level == scope.level);
        if self.host.line_reading() == LineReading::UpTo15 && is_endless {
            return Err(Unusable::Loop { file, line });
        }
        if !self
            .doubts
            .iter()
            .any(|doubt| matches!(doubt, Doubt::Loop { .. }))
        {
            self.doubts.push(Doubt::Loop { file, line });
        }
        Ok(())
    }
}

/// Whether libpam finds no name for a module in its path: then it gives up.
fn is_nameless(module: &str) -> bool {
    let base = module.rsplit('/').next().unwrap_or_default();
    let name = base.rsplit_once('.').map_or(base, |(name, _)| name);
    matches!(name, "" | "?")
}

fn nameless(at: &Rule) -> Unusable {
    Unusable::NamelessModule {
        file: at.file.to_string(),
        line: at.line,
    }
}
