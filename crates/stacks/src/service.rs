//! The files of a service, read into its stacks (`pam_handlers.c` of Linux-PAM).

use std::rc::Rc;

use crate::control::{Action, Control};
use crate::module::{OWN_CODES, is_own, passes};
use crate::text::{Words, lines};

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    /// This text. A directory counts as an empty file, as it does for libpam.
    Text(String),
    /// There is none, or a link to nothing.
    Missing,
    /// There is one, and the caller may not read it. libpam, in another process, perhaps may.
    Unreadable,
}

/// The machine whose files are read.
pub trait Host {
    /// The file at an absolute path.
    fn read(&self, path: &str) -> File;

    /// Whether libpam has Debian's changes (`/etc/debian_version` exists): `@include`, and included files come from
    /// `/etc/pam.d` alone.
    fn debian(&self) -> bool;
}

/// The type of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// `auth`.
    Auth,
    /// `account`.
    Account,
    /// `session`.
    Session,
    /// `password`.
    Password,
}

/// Why no program can use the service: `pam_start` fails, and nobody gets in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Neither a file of the service nor `other`.
    #[error("there is no file for the service, and no 'other'")]
    NoFile,
    /// The file ends in a backslash.
    #[error("{0} ends inside a continued line")]
    Unfinished(String),
    /// `@include` of what is not there.
    #[error("{file}:{line}: @include of a file that is not there")]
    NothingToInclude {
        /// The file with the line.
        file: String,
        /// Its number.
        line: usize,
    },
}

/// What keeps the model from being sure. Every question is then answered with the worst.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// A file that could not be read.
    #[error("{0} cannot be read")]
    Unreadable(String),
    /// Versions of Linux-PAM read this file in different ways.
    #[error("{0} has a line that versions of Linux-PAM read in different ways")]
    Disputed(String),
    /// Includes of includes, without end or nearly so.
    #[error("{0} includes too much")]
    TooDeep(String),
}

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Where a substack begins.
    Substack,
    /// libpam cannot read the line, and takes it for a module that returns `PAM_PERM_DENIED`.
    Broken,
    /// It calls a module.
    Module {
        /// As written: a name, or a path.
        module: String,
        /// What stands behind it.
        arguments: Vec<String>,
    },
}

/// A line of a stack, with what is included put in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The file it stands in.
    pub file: Rc<str>,
    /// Its number there, from 1.
    pub line: usize,
    /// How many substacks it is in.
    pub level: u8,
    /// What its control says.
    pub control: Control,
    /// What it is.
    pub kind: Kind,
}

impl Rule {
    /// Whether it calls twofa's module.
    pub fn is_own(&self) -> bool {
        matches!(&self.kind, Kind::Module { module, .. } if is_own(module))
    }

    /// Whether its control lets some refusal of twofa's module count for nothing, or for less than a failure.
    pub fn forgives(&self) -> bool {
        OWN_CODES.iter().filter(|code| !passes(*code)).any(|code| {
            let action = self.control.action(code);
            !matches!(action, Action::Bad | Action::Die)
        })
    }

    /// What stands behind the module.
    pub fn arguments(&self) -> &[String] {
        match &self.kind {
            Kind::Module { arguments, .. } => arguments,
            Kind::Substack | Kind::Broken => &[],
        }
    }
}

/// The stacks of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The lines of `auth`.
    pub auth: Vec<Rule>,
    /// The lines of `account`.
    pub account: Vec<Rule>,
    /// Every path that was looked at, those included where nothing was. As long as none of them changes, this holds.
    pub files: Vec<String>,
    /// What keeps the model from being sure.
    pub doubts: Vec<Doubt>,
}

const PAM_D: &str = "/etc/pam.d/";
const DEBIAN: [&str; 2] = [PAM_D, "/usr/lib/pam.d/"];
/// The last two are vendor directories: Linux-PAM's own since 1.7.2, and one of SUSE's.
const UPSTREAM: [&str; 4] = [
    PAM_D,
    "/usr/lib/pam.d/",
    "/usr/share/pam/pam.d/",
    "/usr/etc/pam.d/",
];
/// libpam includes no deeper.
const DEPTH: u8 = 15;
/// More lines than any stack has that people use.
const MOST: usize = 2000;

impl Service {
    /// Reads what libpam would read for a program that calls `pam_start` with this name.
    pub fn read(name: &str, host: &dyn Host) -> Result<Self, Unusable> {
        let name = name
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let mut reader = Reader {
            host,
            files: Vec::new(),
            doubts: Vec::new(),
            count: 0,
        };
        let (mut own, mut other) = (Stacks::default(), Stacks::default());
        let own_there = reader.service(&name, &mut own)?;
        let other_there = reader.service("other", &mut other)?;
        if name == "other" {
            // libpam reads it twice.
            other.append(own);
            own = Stacks::default();
        }
        if !own_there && !other_there && reader.doubts.is_empty() {
            return Err(Unusable::NoFile);
        }
        // A phase without a line is that of `other`.
        let pick = |own: Vec<Rule>, other: Vec<Rule>| if own.is_empty() { other } else { own };
        Ok(Self {
            name,
            auth: pick(own.auth, other.auth),
            account: pick(own.account, other.account),
            files: reader.files,
            doubts: reader.doubts,
        })
    }
}

#[derive(Default)]
struct Stacks {
    auth: Vec<Rule>,
    account: Vec<Rule>,
}

impl Stacks {
    fn push(&mut self, phase: Phase, rule: Rule) {
        match phase {
            Phase::Auth => self.auth.push(rule),
            Phase::Account => self.account.push(rule),
            Phase::Session | Phase::Password => {}
        }
    }

    fn append(&mut self, mut other: Self) {
        self.auth.append(&mut other.auth);
        self.account.append(&mut other.account);
    }
}

struct Reader<'a> {
    host: &'a dyn Host,
    files: Vec<String>,
    doubts: Vec<Doubt>,
    count: usize,
}

/// Where a file is included.
#[derive(Clone, Copy)]
struct Place {
    /// Only lines of this type are taken.
    only: Option<Phase>,
    includes: u8,
    level: u8,
}

impl Place {
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

/// The words in front of a module.
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

impl Reader<'_> {
    /// Reads the file of a service; whether there is one.
    fn service(&mut self, name: &str, stacks: &mut Stacks) -> Result<bool, Unusable> {
        let Some((path, text)) = self.find(name) else {
            return Ok(false);
        };
        if self.lines(&path, &text, Place::TOP, stacks)? {
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

    /// Reads the lines of a file. `false`: it ends inside a line.
    fn lines(
        &mut self,
        path: &str,
        text: &str,
        place: Place,
        stacks: &mut Stacks,
    ) -> Result<bool, Unusable> {
        let found = lines(text);
        if found.disputed {
            self.doubts.push(Doubt::Disputed(path.to_owned()));
        }
        let file = Rc::from(path);
        for line in found.all {
            let mut words = Words::new(&line.text);
            let head = self.head(path, place, &mut words);
            let at = Rule {
                file: Rc::clone(&file),
                line: line.number,
                level: place.level,
                control: Control::BAD,
                kind: Kind::Broken,
            };
            match head {
                Head::Skipped => {}
                Head::Include(include) => {
                    self.include(&include, at, words.next(), place, stacks)?;
                }
                Head::Module {
                    phase,
                    control,
                    broken,
                } => {
                    let kind = match words.next() {
                        Some(module) if !broken => Kind::Module {
                            module,
                            arguments: words.collect(),
                        },
                        _ => Kind::Broken,
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

    fn head(&mut self, path: &str, place: Place, words: &mut Words<'_>) -> Head {
        let kind = words.next().unwrap_or_default();
        let kind = kind.strip_prefix('-').unwrap_or(&kind).to_ascii_lowercase();
        if kind == "@include" && self.host.debian() {
            return Head::Include(Include {
                debian: true,
                substack: false,
                phase: place.only,
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
        let phase = known.or(place.only).unwrap_or(Phase::Auth);
        if place.only.is_some_and(|only| only != phase) {
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

    /// Puts the lines of another file in the place of `at`; `at` itself, broken, where that file cannot be read.
    fn include(
        &mut self,
        include: &Include,
        at: Rule,
        name: Option<String>,
        place: Place,
        stacks: &mut Stacks,
    ) -> Result<(), Unusable> {
        if let (true, Some(phase)) = (include.substack, include.phase) {
            stacks.push(
                phase,
                Rule {
                    kind: Kind::Substack,
                    ..at.clone()
                },
            );
        }
        let inside = Place {
            only: include.phase,
            includes: place.includes + 1,
            level: place.level + u8::from(include.substack),
        };
        let doubts = self.doubts.len();
        if self.insides(&at.file, name, inside, stacks)? {
            return Ok(());
        }
        let Some(phase) = include.phase else {
            // What we cannot read libpam perhaps can.
            if self.doubts.len() > doubts {
                return Ok(());
            }
            return Err(Unusable::NothingToInclude {
                file: at.file.to_string(),
                line: at.line,
            });
        };
        if include.debian {
            // libpam goes on with actions that nobody set.
            self.doubts.push(Doubt::Disputed(at.file.to_string()));
        }
        stacks.push(phase, at);
        Ok(())
    }

    /// Whether the file could be read to its end.
    fn insides(
        &mut self,
        from: &str,
        name: Option<String>,
        place: Place,
        stacks: &mut Stacks,
    ) -> Result<bool, Unusable> {
        self.count += 1;
        if place.includes > DEPTH
            || self.count > MOST
            || stacks.auth.len() + stacks.account.len() > MOST
        {
            self.doubts.push(Doubt::TooDeep(from.to_owned()));
            return Ok(false);
        }
        let Some((path, text)) = name.and_then(|name| self.included(&name)) else {
            return Ok(false);
        };
        self.lines(&path, &text, place, stacks)
    }
}
