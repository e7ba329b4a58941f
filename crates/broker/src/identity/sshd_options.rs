//! What sshd demands of every security key: whether it takes a touch, or a PIN or fingerprint.
//!
//! sshd does not tell PAM whether a key was touched, and its owner can switch the touch off in their own
//! `authorized_keys`; only `PubkeyAuthOptions` in sshd's configuration forbids that. `sshd -T` needs root, and the broker is
//! not root, so the files are read here at every login. A configuration that cannot be read or understood is taken to demand
//! nothing. If its lines differ, the one that demands least counts, since it may be the one that applies.

use std::fs;
use std::path::{Path, PathBuf};

/// sshd's configuration, unless it was started with another.
const CONFIG: &str = "/etc/ssh/sshd_config";
/// The depth of `Include` that sshd follows (servconf.c, `SERVCONF_MAX_DEPTH`).
const MAX_DEPTH: usize = 16;

/// What sshd demands of every security key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyDemand {
    /// Nothing is known to be demanded.
    Nothing,
    /// `touch-required`
    Touch,
    /// `verify-required`: a PIN or a fingerprint, so that the key alone is two factors.
    Verification,
}

impl KeyDemand {
    /// What the sshd of this machine demands.
    pub fn of_this_machine() -> Self {
        Self::of_config(Path::new(CONFIG))
    }

    fn of_config(path: &Path) -> Self {
        let mut reader = Reader::default();
        if reader.read(path, false, 0).is_none() || !reader.is_global {
            return Self::Nothing;
        }
        reader.least.unwrap_or(Self::Nothing)
    }

    /// What the values of one `PubkeyAuthOptions` demand.
    fn of_values<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let of_value = |value: &str| {
            if value.eq_ignore_ascii_case("verify-required") {
                Self::Verification
            } else if value.eq_ignore_ascii_case("touch-required") {
                Self::Touch
            } else {
                Self::Nothing
            }
        };
        values.map(of_value).max().unwrap_or(Self::Nothing)
    }
}

#[derive(Default)]
struct Reader {
    /// The least that any line demands.
    least: Option<KeyDemand>,
    /// Whether a line is outside every `Match` block, so that it applies to everybody.
    is_global: bool,
}

impl Reader {
    /// Reads a file and what it includes. `None`: something cannot be read or understood.
    fn read(&mut self, path: &Path, is_in_match: bool, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let text = fs::read_to_string(path).ok()?;
        // A `Match` block ends with its file.
        let mut is_in_match = is_in_match;
        for line in text.lines() {
            // Quotes are not removed: a quoted value demands nothing.
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split(|c: char| c.is_ascii_whitespace() || c == '=');
            let mut words = words.by_ref().filter(|word| !word.is_empty());
            match words
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
                .as_str()
            {
                "match" => is_in_match = true,
                "include" => {
                    for pattern in words {
                        for file in files(pattern)? {
                            self.read(&file, is_in_match, depth + 1)?;
                        }
                    }
                }
                "pubkeyauthoptions" => {
                    let demand = KeyDemand::of_values(words);
                    self.least = Some(self.least.map_or(demand, |least| least.min(demand)));
                    self.is_global |= !is_in_match;
                }
                // sshd removes the quotes of a keyword.
                quoted if quoted.contains('"') => return None,
                _ => {}
            }
        }
        Some(())
    }
}

/// The files that `pattern` of an `Include` matches; `None`: that is unknown. Only one `*`, in the last part, is understood.
fn files(pattern: &str) -> Option<Vec<PathBuf>> {
    let path = Path::new("/etc/ssh").join(pattern);
    let (folder, name) = (path.parent()?, path.file_name()?.to_str()?);
    if pattern.contains(['?', '[', '\\', '"', '\'', '{']) || folder.to_str()?.contains('*') {
        return None;
    }
    let Some((start, end)) = name.split_once('*') else {
        // Where it cannot be told whether a file is there, sshd may read one.
        let is_there = path.try_exists().ok()?;
        return Some(is_there.then_some(path).into_iter().collect());
    };
    if end.contains('*') {
        return None;
    }
    let Ok(entries) = fs::read_dir(folder) else {
        // A folder that does not exist includes nothing; one that cannot be read may include something.
        return (!folder.try_exists().ok()?).then(Vec::new);
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.ok()?.file_name();
        let text = name.to_str()?;
        let is_long_enough = text.len() >= start.len() + end.len();
        let is_hidden = text.starts_with('.') && !start.starts_with('.');
        if is_long_enough && text.starts_with(start) && text.ends_with(end) && !is_hidden {
            files.push(folder.join(name));
        }
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a configuration demands whose `main` file can include `others`, each with its name, from `FOLDER`.
    fn demand(main: &str, others: &[(&str, &str)]) -> KeyDemand {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in others {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let main = main.replace("FOLDER", folder.path().to_str().unwrap());
        let config = folder.path().join("sshd_config");
        fs::write(&config, main).unwrap();
        KeyDemand::of_config(&config)
    }

    #[test]
    fn the_least_that_any_line_demands_is_demanded() {
        for (config, expected) in [
            ("PubkeyAuthOptions touch-required\n", KeyDemand::Touch),
            (
                "  pubkeyauthoptions=verify-required # PIN\n",
                KeyDemand::Verification,
            ),
            (
                "PubkeyAuthOptions touch-required verify-required\n",
                KeyDemand::Verification,
            ),
            ("PubkeyAuthOptions none\n", KeyDemand::Nothing),
            ("PubkeyAuthOptions \"touch-required\"\n", KeyDemand::Nothing),
            ("# PubkeyAuthOptions touch-required\n", KeyDemand::Nothing),
            // sshd takes a keyword in quotes as well, so such a line may be one that demands less.
            (
                "PubkeyAuthOptions touch-required\n\"Match\" User bob\n",
                KeyDemand::Nothing,
            ),
            ("", KeyDemand::Nothing),
            // A block on its own applies to some users only, and a block that demands less may apply.
            (
                "Match User bob\nPubkeyAuthOptions touch-required\n",
                KeyDemand::Nothing,
            ),
            (
                "PubkeyAuthOptions verify-required\nMatch User bob\nPubkeyAuthOptions touch-required\n",
                KeyDemand::Touch,
            ),
            (
                "PubkeyAuthOptions touch-required\nMatch User bob\nPubkeyAuthOptions none\n",
                KeyDemand::Nothing,
            ),
        ] {
            assert_eq!(demand(config, &[]), expected, "{config}");
        }
    }

    #[test]
    fn included_files_count_and_what_cannot_be_read_demands_nothing() {
        let touch = ("00-touch.conf", "PubkeyAuthOptions touch-required\n");
        let none = ("99-none.conf", "PubkeyAuthOptions none\n");
        let include = "Include FOLDER/*.conf\n";
        assert_eq!(demand(include, &[touch]), KeyDemand::Touch);
        assert_eq!(demand(include, &[touch, none]), KeyDemand::Nothing);
        let in_match = "Match User bob\nInclude FOLDER/*.conf\n";
        assert_eq!(demand(in_match, &[touch]), KeyDemand::Nothing);
        for pattern in [
            "FOLDER/0?-touch.conf",
            "FOLDER/[0-9]*.conf",
            "FOLDER/*/x.conf",
        ] {
            let config = format!("PubkeyAuthOptions touch-required\nInclude {pattern}\n");
            assert_eq!(demand(&config, &[touch]), KeyDemand::Nothing, "{pattern}");
        }
        let absent = "PubkeyAuthOptions touch-required\nInclude FOLDER/none FOLDER/none/*.conf\n";
        assert_eq!(demand(absent, &[]), KeyDemand::Touch);
        // Whether there is a file below one that is no folder cannot be told, as below a folder that is closed to the broker.
        for pattern in ["FOLDER/00-touch.conf/x", "FOLDER/00-touch.conf/x/*.conf"] {
            let config = format!("PubkeyAuthOptions touch-required\nInclude {pattern}\n");
            assert_eq!(demand(&config, &[touch]), KeyDemand::Nothing, "{pattern}");
        }
        let cycle = "PubkeyAuthOptions touch-required\nInclude FOLDER/sshd_config\n";
        assert_eq!(demand(cycle, &[]), KeyDemand::Nothing);
        assert_eq!(
            KeyDemand::of_config(Path::new("/nonexistent")),
            KeyDemand::Nothing
        );
    }
}
