//! sshd's configuration as files: what is included where, its `Match` blocks, and a copy of it for trials.
//!
//! What the files mean is for sshd to say: a [`Trial`] is a copy of all files, of which `sshd -T` prints the settings for a
//! connection. In the copy each `Match` block also accepts an environment variable, so that sshd's answer tells which
//! blocks apply.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::connection::Connection;

/// The file that sshd reads first.
pub const MAIN: &str = "/etc/ssh/sshd_config";
/// Patterns of `Include` that are no paths are below it.
const DIRECTORY: &str = "/etc/ssh";
/// As deep as sshd follows `Include`.
const DEEPEST: usize = 16;
/// Settings that decide who gets in.
const DECIDING: [&str; 10] = [
    "authenticationmethods",
    "kbdinteractiveauthentication",
    "challengeresponseauthentication",
    "skeyauthentication",
    "passwordauthentication",
    "pubkeyauthentication",
    "hostbasedauthentication",
    "gssapiauthentication",
    "permitrootlogin",
    "usepam",
];
/// The names of the variables that tell which block applies.
const VARIABLE: &str = "TWOFA_BLOCK_";
/// The copies of all files, and those without `Match` blocks: where some criteria are used, sshd shows no settings without a
/// connection.
const BLOCKS: &str = "blocks";
/// The copies without variables, so that a line has its number.
const PLAIN: &str = "plain";
const GENERAL: &str = "general";

/// Runs sshd with arguments; returns what it prints, or what it complains of.
pub type Ask = fn(&[&str]) -> Result<String, String>;

/// Why a configuration cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// The error as it was reported.
        error: io::Error,
    },
    /// sshd does not accept the files; what it says.
    #[error("{0}")]
    Refused(String),
}

/// The files of sshd's configuration.
#[derive(Debug, Default)]
pub struct Config {
    files: BTreeMap<String, String>,
    /// Its `Match` blocks, in sshd's order.
    pub blocks: Vec<Block>,
    /// What cannot be followed, as sentences.
    pub doubts: Vec<String>,
}

/// A `Match` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// As `FILE:LINE`.
    pub place: String,
    /// The line without `Match`.
    pub criteria: String,
    /// Criteria and their patterns, with those of the blocks around it. Names are in lower case.
    pub patterns: Vec<(String, String)>,
    /// Its settings: name, place and the line.
    pub lines: Vec<(String, String, String)>,
}

impl Config {
    /// The files as they are, or as they would be with `own` as the text of twofa's file.
    pub fn read(own: (&str, Option<&str>)) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        config.add(MAIN, own, None, 0)?;
        Ok(config)
    }

    /// `around` is the block that has the `Include` of this file.
    fn add(
        &mut self,
        path: &str,
        own: (&str, Option<&str>),
        around: Option<usize>,
        depth: usize,
    ) -> Result<(), ConfigError> {
        if depth > DEEPEST {
            self.doubts
                .push(format!("{path}: included too deep, or by itself"));
            return Ok(());
        }
        let text = if path == own.0 {
            own.1.unwrap_or_default().to_owned()
        } else {
            let bytes = fs::read(path).map_err(|error| failed(path, error))?;
            String::from_utf8_lossy(&bytes).into_owned()
        };
        self.files.insert(path.to_owned(), text.clone());
        let mut current = around;
        for (number, line) in (1..).zip(text.lines()) {
            let words = words(line);
            let Some((keyword, arguments)) = words.split_first() else {
                continue;
            };
            let place = format!("{path}:{number}");
            match keyword.to_ascii_lowercase().as_str() {
                "match" => {
                    current = Some(self.blocks.len());
                    let around = around.map_or(&[][..], |at| &self.blocks[at].patterns);
                    let block = Block::new(place, arguments, around);
                    self.blocks.push(block);
                }
                "include" => {
                    for pattern in arguments {
                        for found in self.expand(&place, pattern, own) {
                            self.add(&found, own, current, depth + 1)?;
                        }
                    }
                }
                name => {
                    if let Some(at) = current {
                        let shown = words.join(" ");
                        self.blocks[at].lines.push((name.to_owned(), place, shown));
                    }
                }
            }
        }
        Ok(())
    }

    /// The files that a pattern of `Include` stands for, in sshd's order.
    fn expand(&mut self, place: &str, pattern: &str, own: (&str, Option<&str>)) -> Vec<String> {
        let pattern = absolute(pattern);
        let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", &pattern));
        if folder.contains(['*', '?', '[']) || name.contains('[') {
            self.doubts.push(format!(
                "{place}: the pattern {pattern} is not followed here: look at those files yourself"
            ));
            return Vec::new();
        }
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut found: Vec<_> = entries
            .filter_map(|entry| entry.path().to_str().map(str::to_owned))
            .filter(|path| path != own.0 && !path.ends_with('/'))
            .chain(own.1.map(|_| own.0.to_owned()))
            .filter(|path| {
                path.rsplit_once('/').is_some_and(|(above, file)| {
                    above == folder
                        && matches(name, file)
                        && (name.starts_with('.') || !file.starts_with('.'))
                }) && (path == own.0 || Path::new(path).is_file())
            })
            .collect();
        found.sort_unstable();
        found
    }

    /// The files as they are.
    pub fn as_it_is() -> Result<Self, ConfigError> {
        Self::read(("", None))
    }

    /// The paths of its files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Whether a file is part of it.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The text of one of the files.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Copies the files into the new folder `root`, in one that nobody but root may change, and has sshd check them.
    pub fn trial(&self, root: PathBuf, ask: Ask) -> Result<Trial, ConfigError> {
        let trial = Trial { root, ask };
        let write = || -> io::Result<()> {
            let _ = fs::remove_dir_all(&trial.root);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&trial.root)?;
            for (path, text) in &self.files {
                for part in [PLAIN, BLOCKS, GENERAL] {
                    let copy = trial.path(part, path);
                    if let Some(above) = copy.parent() {
                        fs::create_dir_all(above)?;
                    }
                    fs::write(copy, self.copy(path, text, &trial, part))?;
                }
            }
            Ok(())
        };
        write().map_err(|error| failed(&trial.root.display().to_string(), error))?;
        let main = trial.path(PLAIN, MAIN).display().to_string();
        ask(&["-t", "-f", &main]).map_err(|said| trial.refused(PLAIN, &said))?;
        Ok(trial)
    }

    /// A file's text with `Include` of the copies; with the variables of its blocks, or without the blocks.
    fn copy(&self, path: &str, text: &str, trial: &Trial, part: &str) -> String {
        let mut marked = String::new();
        for (number, line) in (1..).zip(text.lines()) {
            let words = words(line);
            let keyword = words
                .first()
                .map(|word| word.to_ascii_lowercase())
                .unwrap_or_default();
            if keyword == "include" {
                marked.push_str("Include");
                for pattern in &words[1..] {
                    let copy = trial.path(part, &absolute(pattern));
                    let _ = write!(marked, " {}", copy.display());
                }
                marked.push('\n');
                continue;
            }
            if keyword == "match" && part == GENERAL {
                // A block ends with its file at the latest.
                break;
            }
            marked.push_str(line);
            marked.push('\n');
            let place = format!("{path}:{number}");
            if keyword == "match"
                && part == BLOCKS
                && let Some(at) = self.blocks.iter().position(|block| block.place == place)
            {
                let _ = writeln!(marked, "AcceptEnv {VARIABLE}{at}.");
            }
        }
        marked
    }
}

impl Block {
    fn new(place: String, arguments: &[String], around: &[(String, String)]) -> Self {
        let mut patterns = around.to_vec();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None if word.eq_ignore_ascii_case("all") => continue,
                None => (word.as_str(), words.next().cloned().unwrap_or_default()),
            };
            patterns.push((name.to_ascii_lowercase(), value));
        }
        Self {
            place,
            criteria: arguments.join(" "),
            patterns,
            lines: Vec::new(),
        }
    }
}

impl Block {
    /// The number of the first of its lines that decides who gets in.
    pub fn deciding(&self) -> Option<usize> {
        let mut names = self.lines.iter().map(|(name, _, _)| name.as_str());
        names.position(|name| DECIDING.contains(&name))
    }
}

/// A copy of the configuration, which is removed when this is dropped.
#[derive(Debug)]
pub struct Trial {
    root: PathBuf,
    ask: Ask,
}

impl Trial {
    fn path(&self, part: &str, path: &str) -> PathBuf {
        self.root.join(part).join(path.trim_start_matches('/'))
    }

    /// What sshd says of a copy, as if it were the file itself.
    fn refused(&self, part: &str, said: &str) -> ConfigError {
        ConfigError::Refused(said.replace(&self.root.join(part).display().to_string(), ""))
    }

    /// The settings for a connection as sshd prints them, and the numbers of the blocks that apply; without one, the settings
    /// outside of blocks.
    pub fn settings(
        &self,
        connection: Option<&Connection>,
    ) -> Result<(String, Vec<usize>), ConfigError> {
        let part = if connection.is_some() {
            BLOCKS
        } else {
            GENERAL
        };
        let main = self.path(part, MAIN).display().to_string();
        let connection = connection.map(ToString::to_string);
        let mut arguments = vec!["-T", "-f", &main];
        if let Some(connection) = &connection {
            arguments.extend(["-C", connection]);
        }
        let text = (self.ask)(&arguments).map_err(|said| self.refused(part, &said))?;
        let numbers = text
            .lines()
            .filter_map(|line| line.strip_prefix("acceptenv "));
        let numbers =
            numbers.filter_map(|name| name.strip_prefix(VARIABLE)?.strip_suffix('.')?.parse().ok());
        let numbers = numbers.collect();
        Ok((text, numbers))
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn failed(path: &str, error: io::Error) -> ConfigError {
    ConfigError::File {
        path: path.to_owned(),
        error,
    }
}

fn absolute(pattern: &str) -> String {
    if pattern.starts_with('/') {
        pattern.to_owned()
    } else {
        format!("{DIRECTORY}/{pattern}")
    }
}

/// The words of a line, without quotes; empty for a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut is_open) = (None, false);
    for letter in line.chars() {
        match (letter, quote) {
            (_, Some(end)) if letter == end => quote = None,
            (_, Some(_)) => word.push(letter),
            ('"' | '\'', None) => (quote, is_open) = (Some(letter), true),
            ('#', None) if word.is_empty() && !is_open => break,
            // The keyword ends with an equals sign, too.
            ('=', None) if words.is_empty() && !word.is_empty() => {
                words.push(std::mem::take(&mut word));
            }
            ('=', None) if words.len() == 1 && word.is_empty() => {}
            (letter, None) if letter.is_whitespace() => {
                if !word.is_empty() || is_open {
                    words.push(std::mem::take(&mut word));
                    is_open = false;
                }
            }
            (letter, None) => word.push(letter),
        }
    }
    if !word.is_empty() || is_open {
        words.push(word);
    }
    words
}

/// Whether a name is one of a pattern with `*` and `?`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let mut letters = pattern.chars();
    match letters.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = letters.as_str();
            let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.any(|at| matches(rest, &name[at..]))
        }
        Some(letter) => {
            let mut others = name.chars();
            others
                .next()
                .is_some_and(|other| letter == '?' || letter == other)
                && matches(letters.as_str(), others.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_sshd_reads_them() {
        for (line, expected) in [
            ("  Match User bob # robots", "Match|User|bob"),
            ("PasswordAuthentication=yes", "PasswordAuthentication|yes"),
            ("UsePAM = yes", "UsePAM|yes"),
            ("Include \"a b\" c", "Include|a b|c"),
            ("Match user=bob", "Match|user=bob"),
            ("# Match all", ""),
        ] {
            assert_eq!(words(line).join("|"), expected, "{line}");
        }
    }

    #[test]
    fn names_are_compared_with_patterns() {
        for (pattern, name, is_one) in [
            ("*.conf", "00-twofa.conf", true),
            ("*.conf", "00-twofa.conf.old", false),
            ("r?ot*", "root", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), is_one, "{pattern} {name}");
        }
    }

    #[test]
    fn a_block_has_the_criteria_of_those_around_it() {
        let around = [("group".to_owned(), "staff".to_owned())];
        let arguments = [
            "User".to_owned(),
            "a,b".to_owned(),
            "address=10.0.0.0/8".to_owned(),
        ];
        let block = Block::new("f:1".to_owned(), &arguments, &around);
        let patterns: Vec<_> = block
            .patterns
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        assert_eq!(patterns, ["group staff", "user a,b", "address 10.0.0.0/8"]);
    }
}
