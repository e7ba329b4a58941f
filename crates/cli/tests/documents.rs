//! The repository's pages name only files and tests that exist.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Pages outside of `docs/`. The changelog may name what is no longer there.
const PAGES: [&str; 4] = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "packaging/README.md",
];
/// How a path within the repository begins.
const FOLDERS: [&str; 8] = [
    ".ci/",
    "crates/",
    "docs/",
    "man/",
    "packaging/",
    "pam/",
    "tests/",
    "Cargo",
];
/// A name with so many underscores is a test's.
const UNDERSCORES_OF_A_TEST: usize = 4;

#[test]
fn every_path_that_a_page_names_exists() {
    assert_none_missing(|page, text| {
        let links = links(text).map(|link| (link, page.with_file_name(link)));
        let paths = code_spans(text)
            .filter(|span| FOLDERS.iter().any(|folder| span.starts_with(folder)))
            .map(|span| (span, root().join(span)));
        links
            .chain(paths)
            .map(|(name, path)| (name.to_owned(), path.exists()))
            .collect()
    });
}

#[test]
fn every_test_that_a_page_names_exists() {
    let functions = functions();
    assert_none_missing(|_, text| {
        code_spans(text)
            .filter(|span| is_name_of_a_test(span))
            .map(|name| (name.to_owned(), functions.contains(name)))
            .collect()
    });
}

#[test]
fn every_type_and_constant_that_a_page_names_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let source = source() + &makefile;
    assert_none_missing(|_, text| {
        code_spans(text)
            .filter(|span| is_name_of_a_type(span))
            .map(|name| {
                let last = name.rsplit("::").next().unwrap_or(name);
                (name.to_owned(), source.contains(last))
            })
            .collect()
    });
}

#[test]
fn every_statement_of_the_store_is_listed() {
    let architecture = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let listed: HashSet<_> = code_spans(&architecture)
        .map(|span| span.rsplit("::").next().unwrap_or(span))
        .collect();
    let mut statements = 0;
    for entry in fs::read_dir(root().join("crates/store/src/sql")).unwrap() {
        let path = entry.unwrap().path();
        // What only one engine has is in a folder.
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for line in text
            .lines()
            .filter(|line| line.starts_with("pub(crate) fn "))
        {
            let name = function(&line.replace('<', "(")).unwrap();
            // The statement of another one, to be asked later.
            if name.ends_with("_ahead") {
                continue;
            }
            assert!(
                listed.contains(name.as_str()),
                "docs/architecture.md does not list {name} of {}",
                path.display()
            );
            statements += 1;
        }
    }
    assert!(
        statements > 50,
        "{statements} found: does this test still look?"
    );
}

/// Asks `names` what each page names, and whether it exists.
fn assert_none_missing(names: impl Fn(&Path, &str) -> Vec<(String, bool)>) {
    let (mut missing, mut named) = (Vec::new(), 0);
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (name, exists) in names(&page, &text) {
            named += 1;
            if !exists {
                missing.push(format!("{}: {name}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
    assert!(
        named > 20,
        "{named} names found: does this test still look?"
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pages() -> Vec<PathBuf> {
    let in_docs = fs::read_dir(root().join("docs")).unwrap();
    let in_docs = in_docs.map(|entry| entry.unwrap().path());
    PAGES
        .iter()
        .map(|page| root().join(page))
        .chain(in_docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")))
        .collect()
}

/// The files that `text` links to, without what points into them or to other machines.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.split('#').next().unwrap_or_default())
        .filter(|link| !link.is_empty() && !link.contains(':'))
}

/// What stands between backticks in a line.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

fn is_name_of_a_test(span: &str) -> bool {
    span.matches('_').count() >= UNDERSCORES_OF_A_TEST
        && span
            .bytes()
            .all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// A name in capitals, or in `CamelCase`, with or without what belongs to it.
fn is_name_of_a_type(span: &str) -> bool {
    span.len() > 1
        && span.starts_with(|c: char| c.is_ascii_uppercase())
        && span
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

/// The names of all functions in the repository's Rust files.
fn functions() -> HashSet<String> {
    source().lines().filter_map(function).collect()
}

/// The text of all of the repository's Rust files.
fn source() -> String {
    let mut source = String::new();
    let mut folders: Vec<_> = ["crates", "pam", "tests"]
        .map(|folder| root().join(folder))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                source.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    source
}

fn function(line: &str) -> Option<String> {
    let (name, _) = line.split_once("fn ")?.1.split_once('(')?;
    Some(name.to_owned())
}
