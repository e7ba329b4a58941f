//! Merging the exported stores of hosts into this one: first a plan with all that is to be decided ([`Store::plan_merge`]),
//! then the same again for each person when it is written ([`Store::merge`]).
//!
//! [`source`] reads exports, and [`person`] has the rules. An export is claimed for this store before anything of it is
//! written, and people are merged in batches, each a transaction. A merge that was interrupted is finished by the same
//! command: those who are here are noted in the export, and to merge them once more changes nothing.

mod apply;
mod fleet_people;
mod person;
mod source;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use twofa_core::{Account, Channel};

use crate::database::Store;
use crate::error::StoreError;
use fleet_people::FleetPeople;
use person::{Part, decide};

pub use apply::MergedPeople;
pub use source::Export;

/// Which of several is kept. What is in the store that is merged into stays in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// That of the host where the person logged in last.
    #[default]
    Recent,
    /// That of the host that was named first.
    First,
    /// None.
    None,
}

/// What is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MergeRules {
    /// Which address of each kind.
    pub addresses: Choice,
    /// Which set of backup codes.
    pub backup_codes: Choice,
    /// Whether exemptions of single users are merged.
    pub exemptions: bool,
}

/// What an account of a host is in the store that it is to be merged into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The fleet's, under this name and uid.
    Shared(Account),
    /// The host's own.
    Own,
    /// It cannot be determined, because this machine does not know the account.
    Unknown,
    /// The account has this uid here.
    OtherUid(u32),
}

/// What an administrator should know of a person who is to be merged, or is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matter {
    /// The account is the host's own: it is not merged.
    Own,
    /// This machine does not know the account: it is not merged.
    Unknown,
    /// The account has another uid here, or on another host: it is not merged.
    OtherUid {
        /// The other one.
        uid: u32,
    },
    /// The uid belongs to another account here, or on another host: it is not merged.
    UidOfAnother {
        /// The other one.
        name: String,
    },
    /// All of them are kept.
    SeveralApps {
        /// How many there are then.
        apps: usize,
    },
    /// The same entry was in several stores: it is kept once, with the highest step or counter that was used.
    SameApp {
        /// How many are not added.
        apps: usize,
    },
    /// There are more than one can have.
    TooManyApps {
        /// How many are left out: those that were not used for longest.
        apps: usize,
    },
    /// There are more than one can have.
    TooManyKeys {
        /// How many are left out.
        keys: usize,
    },
    /// There are several addresses.
    OtherAddress {
        /// Of which kind.
        channel: Channel,
        /// Which one is kept.
        kept: Option<String>,
    },
    /// The address is another person's too.
    AddressOfAnother {
        /// Of which kind.
        channel: Channel,
        /// Whether it is left out, because the policy wants that of one person only.
        left_out: bool,
    },
    /// There are backup codes that will not work.
    BackupCodes {
        /// The host whose codes are kept; `None`: of none.
        kept: Option<String>,
    },
    /// Wrong codes stay counted, and locks in force.
    Failures {
        /// How many in a row.
        failures: u64,
    },
    /// There are exemptions.
    Exemptions {
        /// How many.
        exemptions: usize,
        /// Whether they are merged.
        merged: bool,
    },
    /// Devices are not trusted any more.
    Devices {
        /// How many.
        devices: u64,
    },
    /// No method is left: another one is required.
    NothingLeft,
}

impl Matter {
    /// Whether the person is not merged because of it.
    pub const fn leaves_out(&self) -> bool {
        matches!(
            self,
            Self::Own | Self::Unknown | Self::OtherUid { .. } | Self::UidOfAnother { .. }
        )
    }
}

/// One matter of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeFinding {
    /// The account: if it is merged, as it is here then.
    pub account: Account,
    /// The hosts that know it.
    pub hosts: Vec<String>,
    /// What there is to know.
    pub matter: Matter,
}

/// What a merge will do.
#[derive(Debug)]
pub struct MergePlan {
    /// What there is to know, by account.
    pub findings: Vec<MergeFinding>,
    /// How many apps are added.
    pub apps: usize,
    groups: Vec<Group>,
}

impl MergePlan {
    /// How many people are merged.
    pub fn people(&self) -> usize {
        self.groups.len()
    }
}

/// A person who is merged, and where it is in the exports: the number of the export, and of the person in that.
#[derive(Debug)]
struct Group {
    account: Account,
    parts: Vec<(usize, usize)>,
}

impl Group {
    fn parts<'a>(&self, exports: &'a [Export]) -> Vec<Part<'a>> {
        let part = |(export, person): &(usize, usize)| Part {
            host: &exports[*export].host,
            known: &exports[*export].people[*person],
        };
        self.parts.iter().map(part).collect()
    }
}

impl Store {
    /// Says what merging `exports` will do, with what each of their accounts is here.
    pub fn plan_merge(
        &self,
        exports: &[Export],
        standings: &HashMap<Account, Standing>,
        rules: MergeRules,
    ) -> Result<MergePlan, StoreError> {
        let mut plan = MergePlan {
            findings: Vec::new(),
            apps: 0,
            groups: Vec::new(),
        };
        let groups = plan.group(exports, standings);
        self.read(|view| {
            let mut here = FleetPeople::read(view)?;
            for group in plan.without_mistaken_identities(groups, exports, &here) {
                let there = here.load(view, &group.account)?;
                let mut decision = decide(&there, &group.parts(exports), rules);
                here.claim_addresses(&group.account, &mut decision, &there);
                plan.apps += decision.apps.len();
                for matter in decision.matters {
                    plan.find(&group, exports, matter);
                }
                plan.groups.push(group);
            }
            Ok(())
        })?;
        plan.findings.sort_by(|a, b| a.account.cmp(&b.account));
        // The batches of a host are noted in its export one after the other.
        plan.groups
            .sort_by_key(|group| group.parts.first().copied());
        Ok(plan)
    }
}

impl MergePlan {
    /// The accounts that are the fleet's, with all that hosts know of them.
    fn group(&mut self, exports: &[Export], standings: &HashMap<Account, Standing>) -> Vec<Group> {
        let mut groups = BTreeMap::<Account, Vec<(usize, usize)>>::new();
        for (number, export) in exports.iter().enumerate() {
            for (person, known) in export.people.iter().enumerate() {
                let account = &known.account;
                let matter = match standings.get(account) {
                    _ if account.uid == 0 => Matter::Own,
                    Some(Standing::Shared(there)) if there.uid != 0 => {
                        let parts = groups.entry(there.clone()).or_default();
                        parts.push((number, person));
                        continue;
                    }
                    Some(Standing::OtherUid(uid)) => Matter::OtherUid { uid: *uid },
                    Some(Standing::Shared(_) | Standing::Own) => Matter::Own,
                    Some(Standing::Unknown) | None => Matter::Unknown,
                };
                self.findings.push(MergeFinding {
                    account: account.clone(),
                    hosts: vec![export.host.clone()],
                    matter,
                });
            }
        }
        groups
            .into_iter()
            .map(|(account, parts)| Group { account, parts })
            .collect()
    }

    /// Leaves out those whose name or uid is somebody else's too: which of two people logs in would not be known.
    fn without_mistaken_identities(
        &mut self,
        groups: Vec<Group>,
        exports: &[Export],
        here: &FleetPeople,
    ) -> Vec<Group> {
        let mut uids = HashMap::<String, BTreeSet<u32>>::new();
        let mut names = HashMap::<u32, BTreeSet<String>>::new();
        for Group { account, .. } in &groups {
            let Account { name, uid } = account.clone();
            uids.entry(name.clone()).or_default().insert(uid);
            names.entry(uid).or_default().insert(name);
        }
        let mut right = Vec::new();
        for group in groups {
            let Account { name, uid } = &group.account;
            let other_uid = uids[name].iter().find(|other| *other != uid).copied();
            let other_name = names[uid].iter().find(|other| *other != name);
            let other = other_uid
                .or_else(|| here.other_uid(&group.account))
                .map(|uid| Matter::OtherUid { uid })
                .or_else(|| {
                    let name = other_name.or_else(|| here.other_name(&group.account))?;
                    Some(Matter::UidOfAnother { name: name.clone() })
                });
            match other {
                Some(matter) => self.find(&group, exports, matter),
                None => right.push(group),
            }
        }
        right
    }

    fn find(&mut self, group: &Group, exports: &[Export], matter: Matter) {
        let hosts = group
            .parts
            .iter()
            .map(|(export, _)| exports[*export].host.clone());
        self.findings.push(MergeFinding {
            account: group.account.clone(),
            hosts: hosts.collect(),
            matter,
        });
    }
}

#[cfg(test)]
mod tests;
