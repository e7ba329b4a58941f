//! `/etc/passwd` and `/etc/group`, read as they are: no limit on the length of a line, no directory asked, and names
//! that are bytes.

use std::fs;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// An account of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The content of `/etc/passwd`.
#[derive(Debug)]
pub(crate) struct Passwd(Vec<u8>);

impl Passwd {
    pub(crate) fn read() -> Result<Self, String> {
        Ok(Self(read(PASSWD)?))
    }

    /// The account called `name`.
    pub(crate) fn entry(&self, name: &str) -> Option<Entry> {
        // Every login asks, and the file may be long: the other lines are not taken apart.
        lines(&self.0)
            .filter(|line| line.starts_with(name.as_bytes()))
            .filter_map(passwd_line)
            .find(|(found, _)| *found == name.as_bytes())
            .map(|(_, entry)| entry)
    }

    /// Name and ids of every account. The first of a name counts.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], Entry)> {
        lines(&self.0).filter_map(passwd_line)
    }

    /// Name, ids and shell of every account. The first of a name counts.
    pub(crate) fn entries_with_shells(&self) -> impl Iterator<Item = (&[u8], Entry, &[u8])> {
        lines(&self.0).filter_map(|line| {
            let (name, entry) = passwd_line(line)?;
            let shell = line.splitn(7, |byte| *byte == b':').nth(6);
            Some((name, entry, shell.unwrap_or_default()))
        })
    }

    /// Whether a line takes in, or leaves out, what another source has (`+`, `-`: nsswitch.conf(5), `compat`).
    pub(crate) fn has_compat_lines(&self) -> bool {
        has_compat_lines(&self.0)
    }
}

/// The content of `/etc/group`.
#[derive(Debug)]
pub(crate) struct Groups(Vec<u8>);

/// A line of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) gid: u32,
    members: &'a [u8],
}

impl<'a> Line<'a> {
    pub(crate) fn members(self) -> impl Iterator<Item = &'a [u8]> {
        self.members
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty())
    }

    pub(crate) fn lists(self, name: &str) -> bool {
        self.members().any(|member| member == name.as_bytes())
    }
}

impl Groups {
    pub(crate) fn read() -> Result<Self, String> {
        Ok(Self(read(GROUP)?))
    }

    /// Every group; a name or a gid may come more than once.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        lines(&self.0).filter_map(|line| {
            let mut fields = line.splitn(4, |byte| *byte == b':');
            let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
            Some(Line {
                name,
                gid: number(gid)?,
                members: fields.next().unwrap_or_default(),
            })
        })
    }

    /// The gid of the group called `name`.
    pub(crate) fn gid_of(&self, name: &str) -> Option<u32> {
        self.lines()
            .find(|line| line.name == name.as_bytes())
            .map(|line| line.gid)
    }

    /// Like [`Passwd::has_compat_lines`].
    pub(crate) fn has_compat_lines(&self) -> bool {
        has_compat_lines(&self.0)
    }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_entry = |line: &&[u8]| !matches!(line.first(), None | Some(b'#' | b'+' | b'-'));
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(is_entry)
}

fn passwd_line(line: &[u8]) -> Option<(&[u8], Entry)> {
    let mut fields = line.split(|byte| *byte == b':');
    let (name, _, uid, gid) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let (uid, gid) = (number(uid)?, number(gid)?);
    Some((name, Entry { uid, gid }))
}

fn has_compat_lines(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n')
        .any(|line| matches!(line.first(), Some(b'+' | b'-')))
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_a_uid_and_a_primary_group() {
        let passwd = Passwd(
            b"+nis::::::\nbad\nal\xff:x:7:7:::\nalice:x:1001:100:Alice:/home/alice:/bin/sh\n"
                .to_vec(),
        );
        assert_eq!(
            passwd.entry("alice"),
            Some(Entry {
                uid: 1001,
                gid: 100
            })
        );
        assert_eq!(passwd.entry("ali"), None);
        assert_eq!(passwd.entry("+nis"), None);
        assert!(passwd.has_compat_lines());
    }

    #[test]
    fn a_group_has_members_and_needs_none() {
        let groups = Groups(b"sudo:x:27:alice, bob\nempty:x:28:\nshort:x:29\n".to_vec());
        let lines: Vec<_> = groups.lines().collect();
        assert!(lines[0].lists("alice") && lines[0].lists("bob") && !lines[0].lists("al"));
        assert!(!lines[1].lists("") && !lines[2].lists("alice"));
        assert_eq!(groups.gid_of("short"), Some(29));
        assert_eq!(groups.gid_of("sud"), None);
        assert!(!groups.has_compat_lines());
    }
}
