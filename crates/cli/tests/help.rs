//! The help of every command on a terminal of any width.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects by failing"
)]

use std::process::Command;

use clap::{CommandFactory, Parser};
use twofa_cli::arguments::Arguments;

/// The paths of all commands, those that only have further commands included.
fn commands(command: &clap::Command, path: &[String]) -> Vec<Vec<String>> {
    let mut all = vec![path.to_vec()];
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let path = [path, &[sub.get_name().to_owned()]].concat();
        all.extend(commands(sub, &path));
    }
    all
}

fn help(path: &[String], columns: usize) -> String {
    let mut twofa = Command::new(env!("CARGO_BIN_EXE_twofa"));
    twofa.args(path).arg("--help");
    twofa.env("COLUMNS", columns.to_string());
    String::from_utf8(twofa.output().unwrap().stdout).unwrap()
}

#[test]
fn help_fits_a_terminal_of_any_width_and_runs_nothing_together() {
    let mut twofa = Arguments::command();
    twofa.build();
    for path in commands(&twofa, &[]) {
        let words = help(&path, 1000);
        for columns in [40, 80, 100, 200] {
            let text = help(&path, columns);
            for line in text.lines() {
                let is_one_word = line.split_whitespace().count() <= 2;
                // What is typed stands in one line.
                let is_example = ["twofa ", "sudo twofa ", "Usage: twofa "]
                    .iter()
                    .any(|begin| line.trim_start().starts_with(begin));
                assert!(
                    line.chars().count() <= columns || is_one_word || is_example,
                    "{path:?} at {columns}: {line:?}\n{text}"
                );
            }
            let shown: Vec<_> = text.split_whitespace().collect();
            for word in words.split_whitespace() {
                assert!(
                    shown.contains(&word),
                    "{path:?} at {columns} lacks {word}\n{text}"
                );
            }
        }
    }
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let mut twofa = Arguments::command();
    twofa.build();
    for path in commands(&twofa, &[]) {
        let text = help(&path, 100);
        let has_commands = text.contains("\nCommands:\n");
        let own = format!("  twofa {}", path.join(" "));
        let has_example = text
            .split("\nExample")
            .nth(1)
            .is_some_and(|examples| examples.contains(own.trim_end()));
        assert!(
            has_example || has_commands && !path.is_empty(),
            "{path:?}\n{text}"
        );
    }
}

#[test]
fn every_example_of_the_help_is_a_command_that_is_understood() {
    let mut twofa = Arguments::command();
    twofa.build();
    let mut examples = 0;
    for path in commands(&twofa, &[]) {
        let text = help(&path, 1000);
        let examples_of_it = text.split("\nExample").nth(1).unwrap_or_default();
        for line in examples_of_it.lines() {
            let line = line.rsplit(" | ").next().unwrap().trim_start();
            let Some(typed) = line
                .strip_prefix("sudo ")
                .unwrap_or(line)
                .strip_prefix("twofa ")
            else {
                continue;
            };
            // Three blanks come before what an example does; a shell takes redirections for itself.
            let typed = typed.split("   ").next().unwrap();
            let typed = typed.split([';', '|', '<', '>']).next().unwrap();
            let words = ["twofa".to_owned()].into_iter().chain(words(typed));
            Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{line}\n{error}"));
            examples += 1;
        }
    }
    assert!(examples > 50, "{examples}");
}

/// The words of a shell command with single quotes.
fn words(typed: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in typed.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(ToOwned::to_owned));
        }
    }
    // A setting with a value in quotes is one word.
    let mut joined: Vec<String> = Vec::new();
    for word in words {
        match joined.last_mut() {
            Some(last) if last.ends_with('=') => last.push_str(&word),
            _ => joined.push(word),
        }
    }
    joined
}
