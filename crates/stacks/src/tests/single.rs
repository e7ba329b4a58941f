//! All ways against each way alone: libpam's loop, written down once more without any of the model's shortcuts, run for
//! every combination of what the modules may return.

use proptest::prelude::*;

use super::{Machine, machine};
use crate::code::Code;
use crate::control::Action;
use crate::module::{Caller, behaviour, passes};
use crate::rule::RuleKind;
use crate::{Phase, Rule, Service};

/// The lines called on a way, and what libpam returns in the end.
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

/// Every run there is.
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

/// What the calls of a run say.
struct Told<'a> {
    rules: &'a [Rule],
    run: &'a Run,
    phase: Phase,
    caller: Caller,
}

impl Told<'_> {
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

/// Holds all answers about a service against its single runs.
fn check(service: &Service, asks_for_itself: bool) {
    let mut without = [false; 4];
    let mut account_calls = true;
    let (mut reached, mut unproved) = (
        vec![false; service.auth.len()],
        vec![false; service.auth.len()],
    );
    for caller in [false, true].map(|root| Caller {
        root,
        asks_for_itself,
    }) {
        let first = runs(&service.auth, Phase::Auth, caller);
        let second = runs(&service.account, Phase::Account, caller);
        for run in &first {
            let mut proved = false;
            for (at, code) in &run.calls {
                reached[*at] = true;
                unproved[*at] |= !proved;
                proved |= proves(&service.auth[*at], *code, Phase::Auth, caller);
            }
        }
        if caller.root && asks_for_itself {
            continue;
        }
        let told = |run, rules, phase| Told {
            rules,
            run,
            phase,
            caller,
        };
        let lets_in: Vec<_> = second
            .iter()
            .filter(|run| [0, 12].contains(&run.result))
            .collect();
        account_calls &= lets_in
            .iter()
            .all(|run| told(run, &service.account, Phase::Account).called());
        // Which combinations of the two phases there are, each once.
        let kinds = |told: Told<'_>| (told.passed(), told.proved(), told.refused());
        let mut firsts: Vec<_> = first
            .iter()
            .filter(|run| run.result == 0)
            .map(|run| kinds(told(run, &service.auth, Phase::Auth)))
            .collect();
        let mut seconds: Vec<_> = lets_in
            .iter()
            .map(|run| kinds(told(run, &service.account, Phase::Account)))
            .collect();
        firsts.sort_unstable();
        firsts.dedup();
        seconds.sort_unstable();
        seconds.dedup();
        for first in &firsts {
            without[3] |= !first.0;
            for second in &seconds {
                without[0] |= !first.0 && !second.0;
                without[1] |= !first.1;
                without[2] |= first.2 || second.2;
            }
        }
    }
    let answers = service.answers().unwrap();
    assert_eq!(answers.without_code.is_some(), without[0], "without a code");
    assert_eq!(
        answers.without_first_factor.is_some(),
        without[1],
        "without a first factor"
    );
    assert_eq!(
        answers.despite_refusal.is_some(),
        without[2],
        "despite a refusal"
    );
    assert_eq!(
        answers.auth_without_code.is_some(),
        without[3],
        "without a code in auth"
    );
    assert_eq!(
        answers.account_calls_own,
        account_calls && answers.account_succeeds,
        "account calls"
    );
    let own: Vec<_> = service
        .own_lines()
        .into_iter()
        .filter(|line| line.phase == Phase::Auth)
        .collect();
    let wanted: Vec<_> = (0..service.auth.len())
        .filter(|at| service.auth[*at].is_own())
        .map(|at| (reached[at], unproved[at] || !reached[at]))
        .collect();
    assert_eq!(
        own.iter()
            .map(|line| (line.reached, line.unproved))
            .collect::<Vec<_>>(),
        wanted
    );
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
    fn all_ways_together_are_what_each_is_alone(
        service in lines(&["a", "missing"]), a in lines(&["b"]), b in lines(&["missing"]), su in any::<bool>(),
    ) {
        let name = if su { "su" } else { "sshd" };
        let machine: Machine = machine(&[(name, &service), ("a", &a), ("b", &b)]);
        let service = Service::read(name, &machine).unwrap();
        prop_assume!(!too_many(&service.auth, Phase::Auth) && !too_many(&service.account, Phase::Account));
        check(&service, su);
    }
}
