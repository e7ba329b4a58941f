//! Groups by name and by gid.

use std::collections::BTreeSet;
use std::time::Instant;

use twofa_core::Group;

use crate::files::{self, Passwd};
use crate::module::{Entry, Key, Module, all_accounts};
use crate::query::{TIMEOUT, query};
use crate::switch::Switch;
use crate::{Answer, Unanswered};

/// The group called `name`, with its gid. `None`: no source has it, and each has said so.
pub fn group(name: &str) -> Result<Option<Group>, Unanswered> {
    let gid = gid_of(name, Instant::now() + TIMEOUT)?;
    Ok(gid.map(|gid| Group {
        name: name.to_owned(),
        gid: Some(gid),
    }))
}

/// The members of a group, as far as they can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMembers {
    /// Their login names: those that the group lists, then the others by name.
    pub names: Vec<String>,
    /// The sources that may have accounts whose primary group it is and that do not list their accounts, as most
    /// directories.
    pub incomplete: Vec<String>,
}

/// The members of the group called `name`: those it lists, and the accounts whose primary group it is, as far as the name
/// service lists accounts. `None`: there is no such group.
pub fn members(name: &str) -> Result<Option<GroupMembers>, Unanswered> {
    let deadline = Instant::now() + TIMEOUT;
    let Some(Entry { gid, members }) = find(name, deadline)? else {
        return Ok(None);
    };
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let mut names: Vec<_> = members.iter().map(|name| text(name)).collect();
    let passwd = Passwd::read().map_err(Unanswered)?;
    let local = passwd.entries().filter(|(_, entry)| entry.gid == gid);
    let mut primary: BTreeSet<_> = local.map(|(name, _)| text(name)).collect();
    let incomplete = Switch::read().map_err(Unanswered)?.directories();
    if !incomplete.is_empty() {
        // What is not listed in time is as unknown as what is never listed.
        let all = query("passwd", deadline, all_accounts).unwrap_or_default();
        let all = all.into_iter().filter(|(_, entry, _)| entry.gid == gid);
        primary.extend(all.map(|(name, _, _)| name));
    }
    primary.retain(|name| !names.contains(name));
    names.extend(primary);
    Ok(Some(GroupMembers { names, incomplete }))
}

pub(crate) fn gid_of(name: &str, deadline: Instant) -> Result<Option<u32>, Unanswered> {
    Ok(find(name, deadline)?.map(|entry| entry.gid))
}

/// Gid and listed members of the group called `name`, from the first source that has it.
fn find(name: &str, deadline: Instant) -> Result<Option<Entry>, Unanswered> {
    let sources = Switch::read().map_err(Unanswered)?.group();
    let mut unanswered = None;
    for source in sources {
        let files = files::Groups::read();
        let found = if is_files(&source, files.as_ref().ok()) {
            files.map(|files| {
                let lines = files.lines().filter(|line| line.name == name.as_bytes());
                let members = lines
                    .flat_map(files::Line::members)
                    .map(<[u8]>::to_vec)
                    .collect();
                Some(Entry {
                    gid: files.gid_of(name)?,
                    members,
                })
            })
        } else {
            look_up(&source, Key::Name(name.to_owned()), deadline)
        };
        match found {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {}
            Err(why) => {
                unanswered.get_or_insert(format!(
                    "source '{source}' does not say whether group {name} exists: {why}"
                ));
            }
        }
    }
    unanswered.map_or(Ok(None), |why| Err(Unanswered(why)))
}

/// Whether `source` is `/etc/group` as we read it.
pub(crate) fn is_files(source: &str, files: Option<&files::Groups>) -> bool {
    match source {
        "files" => true,
        "compat" => files.is_some_and(|files| !files.has_compat_lines()),
        _ => false,
    }
}

/// Whether a source that says no may have been without an answer itself: libc's `compat` asks another behind
/// `/etc/group` and hides how that ends.
pub(crate) fn hides_failures(source: &str) -> bool {
    source == "compat"
}

/// The group that `key` names at `source`.
pub(crate) fn look_up(source: &str, key: Key, deadline: Instant) -> Answer<Entry> {
    let name = source.to_owned();
    let found = query(source, deadline, move || match Module::load(&name)? {
        Some(module) => module.group(&key),
        None => Ok(None),
    })?;
    match found {
        Ok(None) if hides_failures(source) => {
            Err("it does not distinguish 'no' from 'no answer'".to_owned())
        }
        found => found,
    }
}

/// Whether `entry` lists `user`.
pub(crate) fn lists(entry: &Entry, user: &str) -> bool {
    entry.members.iter().any(|member| member == user.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_gid_and_members() {
        assert_eq!(
            group("root"),
            Ok(Some(Group {
                name: "root".into(),
                gid: Some(0)
            }))
        );
        assert_eq!(group("no-such-group"), Ok(None));
        assert!(
            members("root")
                .unwrap()
                .unwrap()
                .names
                .contains(&"root".to_owned())
        );
        assert_eq!(members("no-such-group"), Ok(None));
    }
}
