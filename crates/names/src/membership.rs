//! Whether an account is in a group.

use std::time::Instant;

use twofa_core::{Account, Group, Membership};

use crate::account::primary_group;
use crate::files;
use crate::groups::{gid_of, hides_failures, is_files, lists, look_up};
use crate::module::{AccountGroups, Key, Module};
use crate::query::{Pending, TIMEOUT, start};
use crate::switch::Switch;
use crate::{Answer, Unanswered};

/// The groups of an account. No source is asked before [`Groups::membership`] is called.
#[derive(Debug)]
pub struct Groups {
    account: Account,
    answers: Option<Answers>,
    doubts: Vec<String>,
}

/// What the sources answered about an account, and until when they may be asked more.
#[derive(Debug)]
struct Answers {
    deadline: Instant,
    files: Result<files::Groups, String>,
    /// Whether `/etc/group` is one of the sources.
    has_files: bool,
    /// The other sources, and what they answered about the groups of the account.
    others: Vec<(String, Answer<AccountGroups>)>,
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
    pub fn new(account: &Account) -> Self {
        Self {
            account: account.clone(),
            answers: None,
            doubts: Vec::new(),
        }
    }

    /// Why memberships that were asked about are unknown: which source answers what. In words for the system log.
    pub fn doubts(&self) -> &[String] {
        &self.doubts
    }

    /// Whether the account is in `group`.
    ///
    /// One source that says yes makes a member; every source must say no before the account is not a member. A source is
    /// asked for the groups of the account. Where it knows of none, it is also asked for the members of the group: if the
    /// two answers contradict each other, the membership is unknown.
    pub fn membership(&mut self, group: &Group) -> Membership {
        let answers = self
            .answers
            .take()
            .unwrap_or_else(|| Answers::collect(&self.account));
        let membership = self.decide(&answers, group);
        self.answers = Some(answers);
        membership
    }

    fn decide(&mut self, answers: &Answers, group: &Group) -> Membership {
        let Some(Gids { possible, doubt }) = answers.gids(group) else {
            return Membership::NotMember;
        };
        let is_listed = answers.is_listed(&self.account.name, &possible);
        let is_member =
            answers.is_in_own_groups(&possible) || answers.has_files && is_listed == Ok(true);
        match doubt {
            None if is_member => return Membership::Member,
            // Where no gid is known, the group may have any.
            Some(doubt) if is_member || possible.is_empty() => return self.unknown(doubt),
            _ => {}
        }
        let mut membership = Membership::NotMember;
        if let Err(why) = &answers.primary {
            membership = self.unknown(why.clone());
        }
        match is_listed {
            Ok(false) => {}
            Ok(true) => {
                let name = &self.account.name;
                membership = self.unknown(format!(
                    "/etc/group lists {name} in {group}, but nsswitch.conf does not list it as a source"
                ));
            }
            Err(why) => membership = self.unknown(why),
        }
        for (source, own) in &answers.others {
            match self.answer_of(source, own, &possible, group, answers.deadline) {
                Membership::Member => return Membership::Member,
                Membership::NotMember => {}
                Membership::Unknown => membership = Membership::Unknown,
            }
        }
        membership
    }

    /// The answer of a source that does not list the group among those of the account; `own` is that list.
    fn answer_of(
        &mut self,
        source: &str,
        own: &Answer<AccountGroups>,
        possible: &[u32],
        group: &Group,
        deadline: Instant,
    ) -> Membership {
        let name = &self.account.name;
        let lists_are_all = match own {
            Err(why) => {
                return self.unknown(format!(
                    "source '{source}' does not report the groups of {name}: {why}"
                ));
            }
            _ if hides_failures(source) => {
                return self.unknown(format!(
                    "source '{source}' does not distinguish 'no' from 'no answer'"
                ));
            }
            // It knows the account. Asking for all members of the group as well would take a directory long.
            Ok(Some(AccountGroups::Gids(gids))) if !gids.is_empty() => {
                return Membership::NotMember;
            }
            Ok(Some(AccountGroups::Unsupported)) => true,
            Ok(_) => false,
        };
        if !self.doubts.is_empty() && deadline <= Instant::now() {
            // Another source took all the time, and is already among the doubts.
            return Membership::Unknown;
        }
        match listed_at(source, name, possible, group, deadline) {
            Ok(Listed::Nowhere) => Membership::NotMember,
            Ok(Listed::ByGid) if lists_are_all => Membership::Member,
            Ok(Listed::ByGid | Listed::ByName) => self.unknown(format!(
                "source '{source}' lists {name} in {group}, but does not report it among the user's groups"
            )),
            Err(why) => {
                self.unknown(format!("source '{source}' does not report the members of {group}: {why}"))
            }
        }
    }

    fn unknown(&mut self, why: String) -> Membership {
        if !self.doubts.contains(&why) {
            self.doubts.push(why);
        }
        Membership::Unknown
    }
}

impl Answers {
    /// Asks all sources at once, so that one which hangs does not take the others' time.
    fn collect(account: &Account) -> Self {
        let primary = match primary_group(account) {
            Ok(Some(gid)) => Ok(gid),
            Ok(None) => Err(format!("the account {} does not exist", account.name)),
            Err(Unanswered(why)) => Err(why),
        };
        let deadline = Instant::now() + TIMEOUT;
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
                        let own = start(&source, deadline, move || {
                            own_groups(&module, &user, primary)
                        });
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
            deadline,
            files,
            has_files,
            others: others.collect(),
            primary,
        }
    }

    /// Whether the account is in one of `gids` by its primary group, or by what another source than `/etc/group` tells of
    /// its groups.
    fn is_in_own_groups(&self, gids: &[u32]) -> bool {
        let is_in_own_groups = |(_, own): &(String, Answer<AccountGroups>)| {
            let Ok(Some(AccountGroups::Gids(own))) = own else {
                return false;
            };
            own.iter().any(|gid| gids.contains(gid))
        };
        self.primary.as_ref().is_ok_and(|gid| gids.contains(gid))
            || self.others.iter().any(is_in_own_groups)
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
            (None, None) => match gid_of(&group.name, self.deadline) {
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

fn own_groups(source: &str, user: &str, primary: u32) -> Answer<AccountGroups> {
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
    deadline: Instant,
) -> Result<Listed, String> {
    let mut is_known = false;
    for gid in possible {
        if let Some(entry) = look_up(source, Key::Gid(*gid), deadline)? {
            if lists(&entry, name) {
                return Ok(Listed::ByGid);
            }
            is_known = true;
        }
    }
    if is_known {
        return Ok(Listed::Nowhere);
    }
    let named = look_up(source, Key::Name(group.name.clone()), deadline)?;
    Ok(if named.is_some_and(|entry| lists(&entry, name)) {
        Listed::ByName
    } else {
        Listed::Nowhere
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_in_its_primary_group_and_in_no_group_that_does_not_exist() {
        let root = Account {
            name: "root".into(),
            uid: 0,
        };
        let mut groups = Groups::new(&root);
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
            let mut groups = Groups::new(&root);
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
}
