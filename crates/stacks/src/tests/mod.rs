//! Whole stacks.

mod change;
mod distributions;
mod key;
mod proof;
mod reading;
mod single;
mod telling;

use std::collections::BTreeMap;

use crate::{Answers, File, Host, OwnLine, Phase, Service};

/// A machine of a few files.
struct Machine {
    files: BTreeMap<String, String>,
    debian: bool,
}

impl Host for Machine {
    fn read(&self, path: &str) -> File {
        if path == "/etc/pam.d" {
            return File::Text(String::new());
        }
        self.files
            .get(path)
            .map_or(File::Missing, |text| File::Text(text.clone()))
    }

    fn debian(&self) -> bool {
        self.debian
    }
}

/// Files in `/etc/pam.d` of a machine that is not Debian's.
fn machine(files: &[(&str, &str)]) -> Machine {
    let path = |name: &str| {
        if name.starts_with('/') {
            name.to_owned()
        } else {
            format!("/etc/pam.d/{name}")
        }
    };
    let files = files
        .iter()
        .map(|(name, text)| (path(name), (*text).to_owned()))
        .collect();
    Machine {
        files,
        debian: false,
    }
}

/// The same of Debian's.
fn debian(files: &[(&str, &str)]) -> Machine {
    Machine {
        debian: true,
        ..machine(files)
    }
}

fn read(name: &str, machine: &Machine) -> Service {
    Service::read(name, machine).unwrap()
}

fn answers(name: &str, machine: &Machine) -> Answers {
    read(name, machine).answers().unwrap()
}

/// Whether the lines of twofa's module in a phase are reached, and reached unproved.
fn own(name: &str, machine: &Machine, phase: Phase) -> Vec<(bool, bool)> {
    let lines: Vec<OwnLine> = read(name, machine).own_lines();
    lines
        .iter()
        .filter(|line| line.phase == phase)
        .map(|line| (line.reached, line.unproved))
        .collect()
}
