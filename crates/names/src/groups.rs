//! The groups of a person, and groups by name.

use std::time::Instant;

use twofa_core::{Account, Group, Membership};

use crate::account::primary_group;
use crate::files::{self, Passwd};
use crate::module::{Entry, Key, Module, Own};
use crate::patience::{PATIENCE, Pending, ask, start};
use crate::switch::Switch;
use crate::{Answer, Unanswered};

/// Which groups an account is in. Nobody is asked before the first group is asked about.
#[derive(Debug)]
pub struct Groups {
    account: Account,
    looked: Option<Look>,
    doubts: Vec<String>,
}

/// What one look at an account found, and until when it may go on.
#[derive(Debug)]
struct Look {
    until: Instant,
    files: Result<files::Groups, String>,
    /// Whether `/etc/group` is one of the sources.
    has_files: bool,
    /// The other sources, with what they say of the account's groups.
    others: Vec<(String, Answer<Own>)>,
    /// The account's primary group.
    primary: Result<u32, String>,
}

/// The gids that a group may have.
struct Gids {
    possible: Vec<u32>,
    /// Why it is not certain that they are the group that was meant.
    doubt: Option<String>,
}

impl Groups {
    /// The groups of `account`.
    pub fn of(account: &Account) -> Self {
        Self {
            account: account.clone(),
            looked: None,
            doubts: Vec::new(),
        }
    }

    /// Why memberships that were asked about are not settled: which source says what. In words for the system log.
    pub fn doubts(&self) -> &[String] {
        &self.doubts
    }

    /// Whether the account is in `group`.
    ///
    /// One source that says so makes a member; every source must have said no before somebody is not a member. A source is
    /// asked for the person's own groups. Where it knows of none, it is also asked for the group's members: if the two
    /// answers contradict each other, nothing is settled.
    pub fn membership(&mut self, group: &Group) -> Membership {
        let look = self
            .looked
            .take()
            .unwrap_or_else(|| Look::at(&self.account));
        let membership = self.settle(&look, group);
        self.looked = Some(look);
        membership
    }

    fn settle(&mut self, look: &Look, group: &Group) -> Membership {
        let Some(Gids { possible, doubt }) = look.gids(group) else {
            return Membership::NotMember;
        };
        let is_listed = look.is_listed(&self.account.name, &possible);
        let is_member = look.is_told(&possible) || look.has_files && is_listed == Ok(true);
        match doubt {
            None if is_member => return Membership::Member,
            // Where no gid is known, it may be any.
            Some(doubt) if is_member || possible.is_empty() => return self.unsettled(doubt),
            _ => {}
        }
        let mut word = Membership::NotMember;
        if let Err(why) = &look.primary {
            word = self.unsettled(why.clone());
        }
        match is_listed {
            Ok(false) => {}
            Ok(true) => {
                let name = &self.account.name;
                word = self.unsettled(format!(
                    "/etc/group lists {name} in {group}, and is no source of nsswitch.conf"
                ));
            }
            Err(why) => word = self.unsettled(why),
        }
        for (source, own) in &look.others {
            match self.word_of(source, own, &possible, group, look.until) {
                Membership::Member => return Membership::Member,
                Membership::NotMember => {}
                Membership::Unknown => word = Membership::Unknown,
            }
        }
        word
    }

    /// What a source says that does not count the group among the person's own, by its `own` answer.
    fn word_of(
        &mut self,
        source: &str,
        own: &Answer<Own>,
        possible: &[u32],
        group: &Group,
        until: Instant,
    ) -> Membership {
        let name = &self.account.name;
        let lists_are_all = match own {
            Err(why) => {
                return self.unsettled(format!(
                    "source '{source}' does not tell the groups of {name}: {why}"
                ));
            }
            _ if hides_failures(source) => {
                return self.unsettled(format!(
                    "source '{source}' does not tell 'no' from 'no answer'"
                ));
            }
            // It knows the person. To ask for everybody else in the group as well would take a directory long.
            Ok(Some(Own::Groups(gids))) if !gids.is_empty() => return Membership::NotMember,
            Ok(Some(Own::NotTold)) => true,
            Ok(_) => false,
        };
        if !self.doubts.is_empty() && until <= Instant::now() {
            // Another source took all the time, and is to blame.
            return Membership::Unknown;
        }
        match listed_at(source, name, possible, group, until) {
            Ok(Listed::Nowhere) => Membership::NotMember,
            Ok(Listed::ByGid) if lists_are_all => Membership::Member,
            Ok(Listed::ByGid | Listed::ByName) => self.unsettled(format!(
                "source '{source}' lists {name} in {group}, and does not tell of it among their groups"
            )),
            Err(why) => {
                self.unsettled(format!("source '{source}' does not tell the members of {group}: {why}"))
            }
        }
    }

    fn unsettled(&mut self, why: String) -> Membership {
        if !self.doubts.contains(&why) {
            self.doubts.push(why);
        }
        Membership::Unknown
    }
}

impl Look {
    /// Asks all sources at once, so that one which hangs does not take the others' time.
    fn at(account: &Account) -> Self {
        let primary = match primary_group(account) {
            Ok(Some(gid)) => Ok(gid),
            Ok(None) => Err(format!("the account {} is not there", account.name)),
            Err(Unanswered(why)) => Err(why),
        };
        let until = Instant::now() + PATIENCE;
        let files = files::Groups::read();
        let (mut has_files, mut others) = (false, Vec::new());
        match Switch::read() {
            Ok(switch) => {
                for source in switch.initgroups() {
                    if is_files(&source, files.as_ref().ok()) {
                        has_files = true;
                    } else {
                        let (module, user) = (source.clone(), account.name.clone());
                        // The primary group is only left out of the answer.
                        let primary = primary.clone().unwrap_or(u32::MAX);
                        let own =
                            start(&source, until, move || own_groups(&module, &user, primary));
                        others.push((source, own));
                    }
                }
            }
            Err(why) => {
                has_files = true;
                others.push(("?".to_owned(), Err(why)));
            }
        }
        let others = others.into_iter().map(|(source, own)| {
            let own = own.and_then(Pending::wait).and_then(|answer| answer);
            (source, own)
        });
        Self {
            until,
            files,
            has_files,
            others: others.collect(),
            primary,
        }
    }

    /// Whether the account is in one of `gids` by its primary group, or by what another source than `/etc/group` tells of
    /// its groups.
    fn is_told(&self, gids: &[u32]) -> bool {
        let is_told = |(_, own): &(String, Answer<Own>)| {
            let Ok(Some(Own::Groups(own))) = own else {
                return false;
            };
            own.iter().any(|gid| gids.contains(gid))
        };
        self.primary.as_ref().is_ok_and(|gid| gids.contains(gid)) || self.others.iter().any(is_told)
    }

    /// Whether `/etc/group` lists `name` in one of `gids`.
    fn is_listed(&self, name: &str, gids: &[u32]) -> Result<bool, String> {
        let files = self.files.as_ref().map_err(Clone::clone)?;
        Ok(files
            .lines()
            .any(|line| gids.contains(&line.gid) && line.lists(name)))
    }

    /// The gids that `group` may have. `None`: it certainly does not exist.
    fn gids(&self, group: &Group) -> Option<Gids> {
        let files = self.files.as_ref().ok();
        let named = files.and_then(|files| files.gid_of(&group.name));
        match (group.gid, named) {
            (Some(kept), Some(now)) if kept != now => {
                let doubt =
                    format!("group {group} was gid {kept} when it was named and is gid {now}");
                Some(Gids {
                    possible: vec![kept, now],
                    doubt: Some(doubt),
                })
            }
            (Some(kept), _) => {
                let mut taken = files.into_iter().flat_map(files::Groups::lines);
                let taken =
                    taken.find(|line| line.gid == kept && line.name != group.name.as_bytes());
                // A second name for the gid, where the first is there as well, changes nothing.
                let doubt = taken.filter(|_| named.is_none()).map(|line| {
                    let name = String::from_utf8_lossy(line.name);
                    format!("gid {kept} was group {group} when it was named and is group {name}")
                });
                Some(Gids {
                    possible: vec![kept],
                    doubt,
                })
            }
            (None, Some(gid)) => Some(Gids {
                possible: vec![gid],
                doubt: None,
            }),
            (None, None) => match group_by(&group.name, self.until) {
                Ok(Some(gid)) => Some(Gids {
                    possible: vec![gid],
                    doubt: None,
                }),
                Ok(None) => None,
                Err(Unanswered(why)) => Some(Gids {
                    possible: Vec::new(),
                    doubt: Some(why),
                }),
            },
        }
    }
}

/// The group called `name`, with its gid. `None`: no source has it, and each has said so.
pub fn group(name: &str) -> Result<Option<Group>, Unanswered> {
    let gid = group_by(name, Instant::now() + PATIENCE)?;
    Ok(gid.map(|gid| Group {
        name: name.to_owned(),
        gid: Some(gid),
    }))
}

/// The login names of the members of the group called `name`: those it lists, and the accounts of `/etc/passwd` whose
/// primary group it is. `None`: there is no such group.
pub fn members(name: &str) -> Result<Option<Vec<String>>, Unanswered> {
    let Some(Entry { gid, mut members }) = find(name, Instant::now() + PATIENCE)? else {
        return Ok(None);
    };
    let passwd = Passwd::read().map_err(Unanswered)?;
    let primary = passwd
        .entries()
        .filter(|(_, entry)| entry.gid == gid)
        .map(|(name, _)| name.to_vec());
    let mut primary: Vec<_> = primary.filter(|name| !members.contains(name)).collect();
    primary.sort();
    members.append(&mut primary);
    Ok(Some(
        members
            .into_iter()
            .map(|name| String::from_utf8_lossy(&name).into_owned())
            .collect(),
    ))
}

fn group_by(name: &str, until: Instant) -> Result<Option<u32>, Unanswered> {
    Ok(find(name, until)?.map(|entry| entry.gid))
}

/// Gid and listed members of the group called `name`, from the first source that has it.
fn find(name: &str, until: Instant) -> Result<Option<Entry>, Unanswered> {
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
            look_up(&source, Key::Name(name.to_owned()), until)
        };
        match found {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {}
            Err(why) => {
                unanswered.get_or_insert(format!(
                    "source '{source}' does not tell whether there is a group {name}: {why}"
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
/// `/etc/group` and hides what becomes of it.
fn hides_failures(source: &str) -> bool {
    source == "compat"
}

fn own_groups(source: &str, user: &str, primary: u32) -> Answer<Own> {
    match Module::load(source)? {
        Some(module) => module.own_groups(user, primary),
        None => Ok(None),
    }
}

/// Where a source lists somebody as a member of a group.
enum Listed {
    ByGid,
    /// In a group of that name only: the source has given it another gid, or does not look up gids.
    ByName,
    Nowhere,
}

/// Where `source` lists `name` as a member of `group`, which has one of the gids `possible`.
fn listed_at(
    source: &str,
    name: &str,
    possible: &[u32],
    group: &Group,
    until: Instant,
) -> Result<Listed, String> {
    let mut is_known = false;
    for gid in possible {
        if let Some(entry) = look_up(source, Key::Gid(*gid), until)? {
            if lists(&entry, name) {
                return Ok(Listed::ByGid);
            }
            is_known = true;
        }
    }
    if is_known {
        return Ok(Listed::Nowhere);
    }
    let named = look_up(source, Key::Name(group.name.clone()), until)?;
    Ok(if named.is_some_and(|entry| lists(&entry, name)) {
        Listed::ByName
    } else {
        Listed::Nowhere
    })
}

/// The group that `key` names at `source`.
pub(crate) fn look_up(source: &str, key: Key, until: Instant) -> Answer<Entry> {
    let name = source.to_owned();
    let found = ask(source, until, move || match Module::load(&name)? {
        Some(module) => module.group(&key),
        None => Ok(None),
    })?;
    match found {
        Ok(None) if hides_failures(source) => {
            Err("it does not tell 'no' from 'no answer'".to_owned())
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
    fn root_is_in_its_primary_group_and_in_no_group_that_there_is_not() {
        let root = Account {
            name: "root".into(),
            uid: 0,
        };
        let mut groups = Groups::of(&root);
        let kept = Group {
            name: "root".into(),
            gid: Some(0),
        };
        assert_eq!(groups.membership(&kept), Membership::Member);
        assert_eq!(
            groups.membership(&Group::called("root")),
            Membership::Member
        );
        assert_eq!(
            groups.membership(&Group::called("no-such-group")),
            Membership::NotMember
        );
        assert_eq!(
            groups.membership(&Group {
                name: "no-such-group".into(),
                gid: Some(4_000_000_000)
            }),
            Membership::NotMember
        );
        assert_eq!(groups.doubts(), [""; 0]);
    }

    #[test]
    fn a_gid_that_is_another_group_now_settles_nothing_for_its_members() {
        let root = Account {
            name: "root".into(),
            uid: 0,
        };
        for (name, gid) in [("no-such-group", 0), ("daemon", 0), ("root", 1)] {
            let mut groups = Groups::of(&root);
            let group = Group {
                name: name.into(),
                gid: Some(gid),
            };
            assert_eq!(
                groups.membership(&group),
                Membership::Unknown,
                "{name} {gid}"
            );
            assert_eq!(groups.doubts().len(), 1);
        }
    }

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
                .contains(&"root".to_owned())
        );
        assert_eq!(members("no-such-group"), Ok(None));
    }
}
