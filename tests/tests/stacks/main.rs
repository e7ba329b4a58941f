//! The model of PAM stacks compared with libpam itself, on generated stacks and on those of distributions.
//!
//! [`generate`] makes the stacks, [`libpam`] runs one process for all of them, with a module that returns what its
//! arguments say. [`modules`] compares what the installed modules return with the model's table.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing
#![allow(clippy::print_stderr)] // a test that is skipped says so

mod generate;
mod libpam;
mod modules;

use std::fs;
use std::path::Path;

use twofa_stacks::code::Code;
use twofa_stacks::{Answers, Call, Phase, Program, Rule, RuleKind, Service};

use generate::{Numbers, Stack};
use libpam::{Libpam, STUB};

const STACKS: usize = 12_000;
/// Of each service of a distribution, with other results each time.
const RUNS: usize = 20;
const SEED: u64 = 0x7077_6f66_6131_2026;

/// Where `tests/install-debian13` puts Debian 13, unless `TWOFA_DEBIAN13` says otherwise.
const DEBIAN_13: &str = "/var/cache/twofa-tests/trixie";

#[test]
fn this_systems_libpam_calls_and_returns_what_the_model_says() {
    compare(&mut Libpam::of(Path::new("/")));
}

#[test]
fn debian_13s_libpam_calls_and_returns_what_the_model_says() {
    if let Some(mut libpam) = debian_13() {
        compare(&mut libpam);
    }
}

#[test]
fn this_systems_modules_return_what_the_model_says_they_may() {
    modules::compare(&mut Libpam::of(Path::new("/")));
}

#[test]
fn debian_13s_modules_return_what_the_model_says_they_may() {
    if let Some(mut libpam) = debian_13() {
        modules::compare(&mut libpam);
    }
}

fn debian_13() -> Option<Libpam> {
    let root = std::env::var_os("TWOFA_DEBIAN13").unwrap_or_else(|| DEBIAN_13.into());
    if Path::new(&root).exists() {
        return Some(Libpam::of(Path::new(&root)));
    }
    eprintln!("not tried: there is no Debian 13, run tests/install-debian13");
    None
}

/// What the comparisons were like. If hardly any stack were compared, or all of them failed at once, they would prove
/// nothing.
#[derive(Debug, Default)]
struct Seen {
    compared: usize,
    successes: usize,
    /// With more than six calls of modules.
    long: usize,
    /// Of which the answers about every path were compared too.
    answered: usize,
}

fn compare(libpam: &mut Libpam) {
    let mut numbers = Numbers(SEED);
    let mut seen = Seen::default();
    for (files, service) in distributions() {
        for _ in 0..RUNS {
            let stack = generate::stubbed(&files, &service, &mut numbers);
            compare_one(libpam, stack, &mut seen);
        }
    }
    for _ in 0..STACKS {
        compare_one(libpam, Stack::generate(&mut numbers), &mut seen);
    }
    assert!(seen.compared >= STACKS * 9 / 10, "{seen:?}");
    assert!(
        seen.successes > STACKS / 5 && seen.long > STACKS / 5,
        "{seen:?}"
    );
    assert!(seen.answered > STACKS / 5, "{seen:?}");
}

fn compare_one(libpam: &mut Libpam, stack: Stack, seen: &mut Seen) {
    let Some((said, expected)) = libpam.run(&stack) else {
        return;
    };
    if said != expected {
        let small = shrink(libpam, stack);
        let (said, expected) = libpam.run(&small).unwrap();
        panic!("{small}libpam: {said}\nmodel:  {expected}");
    }
    seen.compared += 1;
    seen.successes += usize::from(said.contains("-> 0"));
    seen.long += usize::from(said.matches('=').count() > 6);
    let service = libpam.service(&stack);
    if let Some((service, answers)) = service.and_then(|service| {
        let answers = service.answers()?;
        Some((service, answers))
    }) {
        seen.answered += 1;
        compare_answers(&service, &answers, &said, &stack);
        compare_credentials(&service, &said, &stack);
    }
}

/// Checks that the model has a path that lets in every user whom libpam lets in and, if it knows what each module returns, no
/// path that lets in others.
fn compare_answers(service: &Service, answers: &Answers, said: &str, stack: &Stack) {
    let results = said.split(" |").filter_map(|call| call.rsplit_once("-> "));
    for (call, (_, code)) in stack.calls.iter().zip(results) {
        let (phase, succeeds) = match call {
            Call::Authenticate => (Phase::Auth, answers.auth_succeeds),
            Call::Account => (Phase::Account, answers.account_succeeds),
            // A call before it may be pam_chauthtok, which is two.
            Call::CheckToken => return,
            _ => continue,
        };
        // An expired password lets in who changes it.
        let is_in = code == "0" || (code == "12" && phase == Phase::Account);
        let is_certain = service.rules(phase).iter().all(is_known);
        assert!(
            succeeds == is_in || (succeeds && !is_certain),
            "{phase:?}: {said}\n{stack}"
        );
    }
}

/// Whether `pam_setcred` can succeed is known where each result is.
fn compare_credentials(service: &Service, said: &str, stack: &Stack) {
    if !service.rules(Phase::Auth).iter().all(is_known) {
        return;
    }
    let proof = service
        .prove(Program::Other, &|module| Some(module == STUB))
        .unwrap();
    let results: Vec<_> = said
        .split(" |")
        .filter_map(|call| call.rsplit_once("-> "))
        .map(|(_, code)| code)
        .collect();
    match (stack.calls.as_slice(), results.as_slice()) {
        ([Call::Authenticate, Call::SetCredentials, ..], [auth, credentials, ..]) => {
            let both = *auth == "0" && *credentials == "0";
            assert_eq!(proof.credentials.after_login, both, "{said}\n{stack}");
        }
        ([Call::SetCredentials, ..], [credentials, ..]) => {
            assert_eq!(
                proof.credentials.without_login,
                *credentials == "0",
                "{said}\n{stack}"
            );
        }
        _ => {}
    }
}

/// Whether the model knows what a line returns: it calls the stub, with names of codes that are not cut off.
fn is_known(rule: &Rule) -> bool {
    let is_code = |argument: &String| {
        let value = argument.split_once('=');
        value.is_none_or(|(key, value)| key == "n" || Code::named(value).is_some())
    };
    match &rule.kind {
        RuleKind::Module { module, arguments } => module == STUB && arguments.iter().all(is_code),
        RuleKind::Broken | RuleKind::Substack => true,
    }
}

/// The services of distributions, each with all the files that it may include.
fn distributions() -> Vec<(Vec<(String, String)>, String)> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stacks/distributions");
    let read = |folder: &str| -> Vec<(String, String)> {
        let entries = fs::read_dir(all.join(folder)).unwrap().flatten();
        let mut files: Vec<_> = entries
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    };
    let profiles = [
        "el-local",
        "el-local-faillock",
        "el-sssd",
        "el-sssd-faillock",
        "el-winbind",
    ];
    let with_services = profiles.map(|profile| [read("el-services"), read(profile)].concat());
    let mut found = Vec::new();
    for files in with_services
        .into_iter()
        .chain([read("arch"), read("suse")])
    {
        let names: Vec<_> = files.iter().map(|(name, _)| name.clone()).collect();
        found.extend(names.into_iter().map(|name| (files.clone(), name)));
    }
    found
}

/// Leaves out files, lines and calls while libpam and the model still disagree.
fn shrink(libpam: &mut Libpam, mut stack: Stack) -> Stack {
    loop {
        let smaller = smaller(&stack).into_iter().find(|candidate| {
            libpam
                .run(candidate)
                .is_some_and(|(said, expected)| said != expected)
        });
        match smaller {
            Some(smaller) => stack = smaller,
            None => return stack,
        }
    }
}

fn smaller(stack: &Stack) -> Vec<Stack> {
    let mut all = Vec::new();
    for path in stack.files.keys() {
        let mut without = stack.clone();
        without.files.remove(path);
        all.push(without);
        let lines: Vec<_> = stack.files[path].split_inclusive('\n').collect();
        for left_out in 0..lines.len() {
            let mut without = stack.clone();
            let rest = lines.iter().enumerate();
            let rest = rest
                .filter(|(at, _)| *at != left_out)
                .map(|(_, line)| *line);
            without.files.insert(path.clone(), rest.collect());
            all.push(without);
        }
    }
    for left_out in 0..stack.calls.len() {
        let mut without = stack.clone();
        // The halves of pam_chauthtok stay together.
        match without.calls.remove(left_out) {
            Call::CheckToken => drop(without.calls.remove(left_out)),
            Call::ChangeToken => continue,
            _ => {}
        }
        all.push(without);
    }
    all
}
