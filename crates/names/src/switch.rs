//! The sources of the name service: nsswitch.conf(5).

use std::io::ErrorKind;
use std::{fs, io};

/// The paths of nsswitch.conf; some distributions ship the second, which the first overrides.
const FILES: [&str; 2] = ["/etc/nsswitch.conf", "/usr/etc/nsswitch.conf"];

/// Sources that list every account they have. All others are directories, most of which list nothing.
const LOCAL_SOURCES: [&str; 4] = ["files", "compat", "systemd", "mymachines"];

/// The content of nsswitch.conf.
#[derive(Debug)]
pub(crate) struct Switch(Vec<u8>);

impl Switch {
    /// Reads the file; where there is none, libc's defaults hold.
    pub(crate) fn read() -> Result<Self, String> {
        for path in FILES {
            match fs::read(path) {
                Ok(text) => return Ok(Self(text)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(path, &error)),
            }
        }
        Ok(Self(Vec::new()))
    }

    /// The sources for accounts.
    pub(crate) fn passwd(&self) -> Vec<String> {
        self.sources("passwd")
    }

    /// The sources for accounts that may have accounts which they do not list.
    pub(crate) fn directories(&self) -> Vec<String> {
        let mut sources = self.passwd();
        sources.retain(|source| !LOCAL_SOURCES.contains(&source.as_str()));
        sources
    }

    /// The sources for groups by name or gid.
    pub(crate) fn group(&self) -> Vec<String> {
        self.sources("group")
    }

    /// The sources for the groups of an account.
    pub(crate) fn initgroups(&self) -> Vec<String> {
        self.line("initgroups").unwrap_or_else(|| self.group())
    }

    fn sources(&self, database: &str) -> Vec<String> {
        self.line(database)
            .unwrap_or_else(|| vec!["files".to_owned()])
    }

    /// The sources on the lines of `database`, in their order. Actions such as `[NOTFOUND=return]` are ignored: they say
    /// which sources need not be asked after an answer, but "not a member" takes the answers of all sources.
    fn line(&self, database: &str) -> Option<Vec<String>> {
        let text = String::from_utf8_lossy(&self.0);
        let mut found: Vec<String> = Vec::new();
        let lines = text.lines();
        for line in lines.filter(|line| line.trim_start().starts_with(database)) {
            let line = line.split('#').next().unwrap_or_default();
            let Some((name, sources)) = line.split_once(':') else {
                continue;
            };
            if name.trim() != database {
                continue;
            }
            for source in without_actions(sources).split_whitespace() {
                if !found.iter().any(|known| known == source) {
                    found.push(source.to_owned());
                }
            }
        }
        (!found.is_empty()).then_some(found)
    }
}

fn without_actions(text: &str) -> String {
    let mut depth = 0_u32;
    let kept = text.chars().map(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            c if depth == 0 => return c,
            _ => {}
        }
        ' '
    });
    kept.collect()
}

fn unreadable(path: &str, error: &io::Error) -> String {
    format!("cannot read {path}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(text: &str) -> Switch {
        Switch(text.as_bytes().to_vec())
    }

    #[test]
    fn sources_come_in_their_order_without_actions_and_comments() {
        let text = "# group: nis\npasswd: sss files\n group :\tfiles [SUCCESS=merge !UNAVAIL=return] sss[NOTFOUND=return]systemd # ldap\n";
        assert_eq!(switch(text).group(), ["files", "sss", "systemd"]);
        assert_eq!(switch(text).initgroups(), ["files", "sss", "systemd"]);
        assert_eq!(switch(text).passwd(), ["sss", "files"]);
    }

    #[test]
    fn every_source_but_the_local_ones_is_a_directory() {
        let text = "passwd: files systemd sss [NOTFOUND=return] winbind\n";
        assert_eq!(switch(text).directories(), ["sss", "winbind"]);
        assert!(switch("").directories().is_empty());
    }

    #[test]
    fn initgroups_overrides_group_and_files_is_the_default() {
        assert_eq!(
            switch("group: files\ninitgroups: sss\n").initgroups(),
            ["sss"]
        );
        assert_eq!(
            switch("group: files sss\ninitgroups:\n").initgroups(),
            ["files", "sss"]
        );
        assert_eq!(switch("hosts: dns\n").initgroups(), ["files"]);
        assert_eq!(switch("").passwd(), ["files"]);
    }
}
