//! All paths together against each path alone: libpam's loop, written once more without the shortcuts of the model, and run
//! for every combination of the modules' results.

use proptest::prelude::*;

use super::{Machine, machine};
use crate::code::Code;
use crate::control::Action;
use crate::module::{Caller, behaviour, passes};
use crate::rule::RuleKind;
use crate::{Phase, Rule, Service};

/// The lines called on a path, and the result of libpam.
struct Run {
    calls: Vec<(usize, Code)>,
    result: usize,
}

const PERM_DENIED: usize = 6;

/// `_pam_dispatch_aux`.
fn run(rules: &[Rule], mut call: impl FnMut(usize) -> Code) -> Run {
    let (mut impression, mut status, mut before) = (0, PERM_DENIED, 0);
    let mut saved = [(0, PERM_DENIED); 17];
    let mut calls = Vec::new();
    let mut at = 0;
    while let Some(rule) = rules.get(at) {
        let level = rule.level;
        if before < level {
            saved[usize::from(level)] = (impression, status);
        }
        before = level;
        at += 1;
        if rule.kind == RuleKind::Substack {
            continue;
        }
        let code = call(at - 1);
        calls.push((at - 1, code));
        let number = code.index();
        let mut end = false;
        match rule.control.action(code) {
            Action::Ignore => {}
            action @ (Action::Ok | Action::Done) => {
                if impression == 0 || (impression == 1 && status == 0) {
                    (impression, status) = (1, number);
                }
                end = action == Action::Done && impression == 1;
            }
            action @ (Action::Bad | Action::Die) => {
                if impression != -1 {
                    (impression, status) = (-1, if number == 25 { PERM_DENIED } else { number });
                }
                end = action == Action::Die;
            }
            Action::Reset => (impression, status) = saved[usize::from(level)],
            Action::Jump(mut lines) => {
                while lines > 0 && rules.get(at).is_some_and(|rule| rule.level >= level) {
                    at += 1;
                    while rules.get(at).is_some_and(|rule| rule.level > level) {
                        at += 1;
                    }
                    lines -= 1;
                }
                if lines > 0 {
                    (impression, status) = (-1, PERM_DENIED);
                }
            }
        }
        while end && rules.get(at).is_some_and(|rule| rule.level >= level) {
            at += 1;
        }
    }
    Run {
        calls,
        result: if status == 0 && impression != 1 {
            PERM_DENIED
        } else {
            status
        },
    }
}

/// Every possible run.
fn runs(rules: &[Rule], phase: Phase, caller: Caller) -> Vec<Run> {
    let choices: Vec<Vec<Code>> = rules
        .iter()
        .map(|rule| match &rule.kind {
            RuleKind::Module { module, arguments } => behaviour(module, arguments, phase, caller)
                .codes
                .iter()
                .filter(|code| *code != Code::INCOMPLETE)
                .collect(),
            _ => vec![Code::PERM_DENIED],
        })
        .collect();
    let mut script: Vec<(usize, usize)> = Vec::new();
    let mut runs = Vec::new();
    loop {
        let mut called = 0;
        runs.push(run(rules, |at| {
            if called == script.len() {
                script.push((0, choices[at].len()));
            }
            called += 1;
            choices[at][script[called - 1].0]
        }));
        while script.last().is_some_and(|(choice, of)| choice + 1 == *of) {
            script.pop();
        }
        let Some((choice, _)) = script.last_mut() else {
            return runs;
        };
        *choice += 1;
    }
}

/// The calls of a run.
#[derive(Clone, Copy)]
struct Calls<'a> {
    rules: &'a [Rule],
    run: &'a Run,
    phase: Phase,
    caller: Caller,
}

impl Calls<'_> {
    fn any(&self, wanted: impl Fn(&Rule, Code) -> bool) -> bool {
        self.run
            .calls
            .iter()
            .any(|(at, code)| wanted(&self.rules[*at], *code))
    }

    fn proved(&self) -> bool {
        self.any(|rule, code| proves(rule, code, self.phase, self.caller))
    }

    fn passed(&self) -> bool {
        self.any(|rule, code| rule.is_own() && passes(code))
    }

    fn refused(&self) -> bool {
        self.any(|rule, code| rule.is_own() && !passes(code))
    }

    fn called(&self) -> bool {
        self.any(|rule, _| rule.is_own())
    }
}

fn proves(rule: &Rule, code: Code, phase: Phase, caller: Caller) -> bool {
    let RuleKind::Module { module, arguments } = &rule.kind else {
        return false;
    };
    code == Code::SUCCESS && behaviour(module, arguments, phase, caller).proves
}

/// What the single runs of a service say to the questions that the model answers.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "answers to questions that do not depend on each other"
)]
struct Truth {
    without_code: bool,
    without_first_factor: bool,
    despite_refusal: bool,
    auth_without_code: bool,
    account_calls_own: bool,
    /// For each line in `auth`: it is called, and called before the identity is proved.
    reached: Vec<bool>,
    unproved: Vec<bool>,
}

/// How a run counts: a line of ours let through, the identity was proved, a line of ours refused.
type Kind = (bool, bool, bool);

impl Truth {
    fn collect(service: &Service, asks_for_itself: bool) -> Self {
        let mut truth = Self {
            account_calls_own: true,
            reached: vec![false; service.auth.len()],
            unproved: vec![false; service.auth.len()],
            ..Self::default()
        };
        for caller in [false, true].map(|root| Caller {
            root,
            asks_for_itself,
        }) {
            let auth = runs(&service.auth, Phase::Auth, caller);
            truth.add_lines(&service.auth, &auth, caller);
            if !caller.root || !asks_for_itself {
                truth.add_answers(service, &auth, caller);
            }
        }
        truth
    }

    fn add_lines(&mut self, rules: &[Rule], auth: &[Run], caller: Caller) {
        for run in auth {
            let mut proved = false;
            for (at, code) in &run.calls {
                self.reached[*at] = true;
                self.unproved[*at] |= !proved;
                proved |= proves(&rules[*at], *code, Phase::Auth, caller);
            }
        }
    }

    fn add_answers(&mut self, service: &Service, auth: &[Run], caller: Caller) {
        let account = runs(&service.account, Phase::Account, caller);
        let lets_in: Vec<_> = account
            .iter()
            .filter(|run| [0, 12].contains(&run.result))
            .map(|run| Calls {
                rules: &service.account,
                run,
                phase: Phase::Account,
                caller,
            })
            .collect();
        self.account_calls_own &= lets_in.iter().all(Calls::called);
        let succeeds = auth.iter().filter(|run| run.result == 0).map(|run| Calls {
            rules: &service.auth,
            run,
            phase: Phase::Auth,
            caller,
        });
        for first in kinds(succeeds) {
            self.auth_without_code |= !first.0;
            for second in kinds(lets_in.iter().copied()) {
                self.without_code |= !first.0 && !second.0;
                self.without_first_factor |= !first.1;
                self.despite_refusal |= first.2 || second.2;
            }
        }
    }
}

/// The kinds of runs there are, each once.
fn kinds<'a>(runs: impl Iterator<Item = Calls<'a>>) -> Vec<Kind> {
    let mut kinds: Vec<_> = runs
        .map(|calls| (calls.passed(), calls.proved(), calls.refused()))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Compares all answers about a service with its single runs.
fn check(service: &Service, asks_for_itself: bool) {
    let truth = Truth::collect(service, asks_for_itself);
    let answers = service.answers().unwrap();
    for (question, answer, expected) in [
        ("without a code", &answers.without_code, truth.without_code),
        (
            "without a first factor",
            &answers.without_first_factor,
            truth.without_first_factor,
        ),
        (
            "despite a refusal",
            &answers.despite_refusal,
            truth.despite_refusal,
        ),
        (
            "without a code in auth",
            &answers.auth_without_code,
            truth.auth_without_code,
        ),
    ] {
        assert_eq!(answer.is_some(), expected, "{question}");
    }
    assert_eq!(
        answers.account_calls_own,
        truth.account_calls_own && answers.account_succeeds,
        "account calls"
    );
    let lines = service.own_lines().into_iter();
    let lines: Vec<_> = lines
        .filter(|line| line.phase == Phase::Auth)
        .map(|line| (line.reached, line.unproved))
        .collect();
    let expected: Vec<_> = (0..service.auth.len())
        .filter(|at| service.auth[*at].is_own())
        .map(|at| (truth.reached[at], truth.unproved[at] || !truth.reached[at]))
        .collect();
    assert_eq!(lines, expected);
}

fn control() -> impl Strategy<Value = String> {
    let action = || {
        prop::sample::select(vec![
            "ok", "done", "bad", "die", "ignore", "reset", "1", "2", "3",
        ])
    };
    let pairs =
        (action(), action(), action(), action()).prop_map(|(success, ignore, auth_err, others)| {
            format!("[success={success} ignore={ignore} auth_err={auth_err} default={others}]")
        });
    prop_oneof![
        prop::sample::select(vec![
            "required",
            "requisite",
            "sufficient",
            "optional",
            "[success=1 default=ignore]"
        ])
        .prop_map(str::to_owned),
        pairs,
    ]
}

fn lines(included: &'static [&'static str]) -> impl Strategy<Value = String> {
    let module = prop::sample::select(vec![
        "pam_unix.so",
        "pam_twofa.so",
        "pam_twofa.so",
        "pam_twofa.so challenge",
        "pam_permit.so",
        "pam_deny.so",
        "pam_rootok.so",
        "pam_nologin.so",
        "pam_u2f.so nouserok",
        "pam_succeed_if.so uid = 0 use_uid",
    ]);
    let line = (control(), module).prop_map(|(control, module)| format!("{control} {module}"));
    let include = (
        prop::sample::select(vec!["include", "substack"]),
        prop::sample::select(included.to_vec()),
    )
        .prop_map(|(word, file)| format!("{word} {file}"));
    let line = prop_oneof![4 => line, 1 => include];
    let line = (prop::sample::select(vec!["auth", "auth", "account"]), line)
        .prop_map(|(kind, line)| format!("{kind} {line}\n"));
    prop::collection::vec(line, 1..5).prop_map(|lines| lines.concat())
}

/// More runs than a test should make.
fn too_many(rules: &[Rule], phase: Phase) -> bool {
    let caller = Caller {
        root: true,
        asks_for_itself: false,
    };
    let count = |rule: &Rule| match &rule.kind {
        RuleKind::Module { module, arguments } => behaviour(module, arguments, phase, caller)
            .codes
            .iter()
            .count(),
        _ => 1,
    };
    rules.iter().map(count).product::<usize>() > 20_000
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn all_paths_together_equal_each_path_alone(
        service in lines(&["a", "missing"]), a in lines(&["b"]), b in lines(&["missing"]), su in any::<bool>(),
    ) {
        let name = if su { "su" } else { "sshd" };
        let machine: Machine = machine(&[(name, &service), ("a", &a), ("b", &b)]);
        let service = Service::read(name, &machine).unwrap();
        prop_assume!(!too_many(&service.auth, Phase::Auth) && !too_many(&service.account, Phase::Account));
        check(&service, su);
    }
}
