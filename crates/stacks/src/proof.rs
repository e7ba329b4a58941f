//! Who gets in with what, and what strangers meet: the answers that `twofa pam check` shows.

use crate::answers::{Way, steps};
use crate::code::Codes;
use crate::credentials::Credentials;
use crate::factor::{Factor, Shown};
use crate::module::{self, Caller, OWN_CODES, is_known};
use crate::phase::Phase;
use crate::programs::{Program, Route, asks_for_itself};
use crate::rule::{Rule, RuleKind};
use crate::search::{Assumptions, Search, least};
use crate::service::Service;

/// A way in, of those that show least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the person shows.
    pub shown: Shown,
    /// The modules that the model does not know and that must let the person through.
    pub modules: Vec<String>,
    /// A path.
    pub way: Way,
}

/// What a program calls, and who gets in by that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways {
    /// What the program calls, and for whom.
    pub route: Route,
    /// The ways in. Empty: nobody gets in.
    pub entries: Vec<Entry>,
}

/// What somebody meets who does not know the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// Nothing but the question for the password.
    AskedNothing,
    /// They are asked for a code as well, which counts for nothing; nothing is sent.
    AskedInVain,
    /// They get in if a module lets them that the model does not know.
    UpToModule,
    /// They get in.
    GetIn,
}

/// What twofa's module makes of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The code was right.
    Right,
    /// The policy asks for none.
    NotAsked,
    /// The code was wrong, or the account is locked.
    Wrong,
    /// Nobody can be asked, or the broker does not answer.
    Unable,
    /// The module is not installed.
    Missing,
}

impl Verdict {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [
        Self::Right,
        Self::NotAsked,
        Self::Wrong,
        Self::Unable,
        Self::Missing,
    ];

    const fn codes(self) -> Codes {
        match self {
            Self::Right => Codes::from_numbers(&[0]),
            Self::NotAsked => Codes::from_numbers(&[25]),
            Self::Wrong => Codes::from_numbers(&[7, 11]),
            Self::Unable => Codes::from_numbers(&[9, 19, 26]),
            Self::Missing => Codes::from_numbers(&[28]),
        }
    }
}

/// Whether a login can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// The password, or whatever else is asked first, is right.
    pub is_proved: bool,
    /// What twofa's module makes of it.
    pub verdict: Verdict,
    /// Somebody gets in.
    pub gets_in: bool,
}

/// A line whose module is not there, and which fails for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingModule {
    /// The file that contains it.
    pub file: String,
    /// Its number in that file, from 1.
    pub line: usize,
    /// The module, as it is written there.
    pub module: String,
    /// It is twofa's: nobody gets in by that line.
    pub is_own: bool,
}

/// What holds for every login at a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// By what its program calls.
    pub ways: Vec<Ways>,
    /// What somebody meets who does not know the password.
    pub strangers: Strangers,
    /// Every combination of a first factor and a code, at the first of the ways.
    pub cases: Vec<Case>,
    /// `pam_setcred`.
    pub credentials: Credentials,
    /// Modules of `auth` and `account` that the model does not know.
    pub unknown: Vec<String>,
    /// Lines that fail because their module is missing.
    pub missing: Vec<MissingModule>,
}

impl Service {
    /// Follows every path, for every result that modules may have. `is_installed` says whether a module, as it is written
    /// in a stack, is installed; `None` if that is unknown. There is no answer where there are
    /// [doubts](Service::doubts).
    pub fn prove(
        &self,
        program: Program,
        is_installed: &dyn Fn(&str) -> Option<bool>,
    ) -> Option<Proof> {
        if !self.doubts.is_empty() {
            return None;
        }
        let unknown = self.unknown_modules();
        let assumptions = |route: Route, root: bool| Assumptions {
            caller: Caller {
                root,
                asks_for_itself: asks_for_itself(&self.name),
            },
            is_stranger: false,
            own: if route == Route::Root {
                PASSES
            } else {
                OWN_CODES
            },
            unknown: &unknown,
            is_installed,
        };
        let ways: Vec<_> = program
            .routes(&self.name)
            .iter()
            .map(|&route| Ways {
                route,
                entries: self.entries(route, &|root| assumptions(route, root)),
            })
            .collect();
        let cases = ways.first().map_or(Vec::new(), |first| {
            self.cases(first.route, &|root| assumptions(first.route, root))
        });
        Some(Proof {
            strangers: self.strangers(program, &ways),
            cases,
            credentials: self.credentials(is_installed),
            missing: self.missing(is_installed),
            ways,
            unknown,
        })
    }

    /// The least ways in by a route. Where programs serve everyone, they may or may not run as root.
    fn entries<'a>(
        &self,
        route: Route,
        assumptions: &dyn Fn(bool) -> Assumptions<'a>,
    ) -> Vec<Entry> {
        let callers: &[bool] = match route {
            Route::Root => &[true],
            _ if asks_for_itself(&self.name) => &[false],
            _ => &[false, true],
        };
        let mut found = Vec::new();
        for &root in callers {
            found.extend(self.entries_of(route, &assumptions(root)));
        }
        least(found.into_iter().map(|entry: Entry| (entry.shown, entry)))
            .into_iter()
            .map(|(_, entry)| entry)
            .collect()
    }

    fn entries_of(&self, route: Route, assumptions: &Assumptions<'_>) -> Vec<Entry> {
        let mut found = vec![(Shown::default(), Vec::new())];
        for phase in route.phases(&self.name) {
            let search = Search::new(self.rules(*phase), *phase, assumptions);
            let ends = search.successes();
            let pairs = found.iter().flat_map(|(before, steps): &(Shown, Vec<_>)| {
                ends.iter()
                    .map(move |(shown, node)| (before.with(*shown), (steps, *node)))
            });
            found = least(pairs)
                .into_iter()
                .map(|(shown, (before, node))| {
                    let after = steps(search.phase(), search.rules(), &search.way(node));
                    (shown, [before.as_slice(), &after].concat())
                })
                .collect();
        }
        let entry = |(shown, steps): (Shown, Vec<_>)| Entry {
            shown,
            modules: shown
                .modules()
                .filter_map(|at| assumptions.unknown.get(at).cloned())
                .collect(),
            way: Way(steps),
        };
        found.into_iter().map(entry).collect()
    }

    fn cases<'a>(&self, route: Route, assumptions: &dyn Fn(bool) -> Assumptions<'a>) -> Vec<Case> {
        let asks = self.auth.iter().chain(&self.account).any(Rule::is_own);
        let verdicts = if asks {
            &Verdict::ALL[..]
        } else {
            &[Verdict::NotAsked]
        };
        let pairs = [true, false]
            .into_iter()
            .flat_map(|proved| verdicts.iter().map(move |verdict| (proved, *verdict)));
        let case = |(is_proved, verdict): (bool, Verdict)| {
            let entries = self.entries(route, &|root| Assumptions {
                is_stranger: !is_proved,
                own: verdict.codes(),
                ..assumptions(root)
            });
            Case {
                is_proved,
                verdict,
                // Somebody without a first factor whom an unknown module lets in is told of elsewhere.
                gets_in: entries
                    .iter()
                    .any(|entry| is_proved || entry.modules.is_empty()),
            }
        };
        pairs.map(case).collect()
    }

    fn strangers(&self, program: Program, ways: &[Ways]) -> Strangers {
        let logins = ways.iter().filter(|ways| ways.route.has_authentication());
        let mut without = logins
            .flat_map(|ways| &ways.entries)
            .filter(|entry| !entry.shown.has_first_factor())
            .peekable();
        if without.peek().is_some() {
            return if without.any(|entry| entry.modules.is_empty()) {
                Strangers::GetIn
            } else {
                Strangers::UpToModule
            };
        }
        let early = self
            .own_lines()
            .into_iter()
            .filter(|line| line.phase == Phase::Auth && line.reached && line.unproved);
        let challenges = program != Program::Locker
            && self
                .answers()
                .is_some_and(|answers| answers.account_challenges);
        let asks = |line: &crate::OwnLine| {
            line.arguments
                .iter()
                .any(|argument| argument == "forward_pass")
                || !challenges
        };
        if early.into_iter().any(|line| asks(&line)) {
            Strangers::AskedInVain
        } else {
            Strangers::AskedNothing
        }
    }

    fn unknown_modules(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .module_rules()
            .map(|(_, module)| module::name(module))
            .filter(|name| !is_known(name))
            .collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(str::to_owned).collect()
    }

    fn missing(&self, is_installed: &dyn Fn(&str) -> Option<bool>) -> Vec<MissingModule> {
        let fails = |rule: &Rule| {
            use crate::control::Action::{Bad, Die};
            matches!(
                rule.control.action(crate::code::Code::MODULE_UNKNOWN),
                Bad | Die
            )
        };
        self.module_rules()
            .filter(|(rule, module)| fails(rule) && is_installed(module) == Some(false))
            .map(|(rule, module)| MissingModule {
                file: rule.file.to_string(),
                line: rule.line,
                module: module.to_owned(),
                is_own: module::is_own(module),
            })
            .collect()
    }

    fn module_rules(&self) -> impl Iterator<Item = (&Rule, &str)> {
        self.auth
            .iter()
            .chain(&self.account)
            .filter_map(|rule| match &rule.kind {
                RuleKind::Module { module, .. } => Some((rule, module.as_str())),
                RuleKind::Broken | RuleKind::Substack => None,
            })
    }
}

/// For root, who is not asked at su where the policy says so: the least that the stack requires of root.
const PASSES: Codes = Codes::from_numbers(&[0, 25]);

impl Entry {
    /// Whether twofa's module let the person through.
    pub const fn has_code(&self) -> bool {
        self.shown.has(Factor::Code)
    }
}
