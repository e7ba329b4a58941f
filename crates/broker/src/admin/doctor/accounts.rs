//! What has become of the accounts on record, and which names share a uid.

use std::collections::{BTreeMap, HashSet};

use twofa_core::Account;
use twofa_store::UserRow;

use super::finding::{AccountFinding, Finding};
use crate::admin::listing::{holds_back, rows};
use crate::admin::{AdminError, Administration};
use crate::identity::accounts::shared_uids;
use crate::identity::standing::{AccountState, Standings};

/// All findings about accounts.
pub(super) fn findings(admin: &Administration) -> Result<Vec<Finding>, AdminError> {
    let rows = rows(admin.store())?;
    let mut findings = standings(&rows, &mut Standings::read());
    findings.extend(shared(&rows, shared_uids()));
    Ok(findings.into_iter().map(Finding::Accounts).collect())
}

fn standings(rows: &[UserRow], standings: &mut Standings) -> Vec<AccountFinding> {
    let known: HashSet<_> = rows.iter().map(|row| &row.account).collect();
    let (mut gone, mut unsettled) = (Vec::new(), Vec::new());
    let (mut findings, mut why) = (Vec::new(), None);
    for row in rows {
        let record = &row.account;
        match standings.state(record) {
            AccountState::Current | AccountState::Mismatched(_) => {}
            AccountState::Gone => gone.push(record.name.clone()),
            // If the account has a record of its own, it is not held back, and nobody uses the old record.
            AccountState::Differs(now) if known.contains(&now) || !holds_back(&row.summary) => {
                gone.push(record.name.clone());
            }
            AccountState::Differs(now) => findings.push(AccountFinding::Differs {
                record: record.clone(),
                now,
            }),
            AccountState::Unsettled(error) => {
                unsettled.push(record.name.clone());
                why.get_or_insert(error);
            }
        }
    }
    if !gone.is_empty() {
        findings.push(AccountFinding::Gone { names: gone });
    }
    findings.extend(why.map(|error| AccountFinding::Unsettled {
        names: unsettled,
        error,
    }));
    findings
}

/// The uids in `shared` where one name is asked for a code or refused, and another is not asked.
fn shared(rows: &[UserRow], shared: BTreeMap<u32, Vec<String>>) -> Vec<AccountFinding> {
    let asked: HashSet<_> = rows
        .iter()
        .filter(|row| holds_back(&row.summary))
        .map(|row| row.account.clone())
        .collect();
    let finding = |(uid, names): (u32, Vec<String>)| {
        let (with, without): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| {
            asked.contains(&Account {
                name: name.clone(),
                uid,
            })
        });
        (!with.is_empty() && !without.is_empty()).then_some(AccountFinding::SharedUid {
            uid,
            with,
            without,
        })
    };
    shared.into_iter().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::Bench;

    #[test]
    fn deleted_accounts_and_changed_uids_are_found() {
        let bench = Bench::new();
        assert_eq!(findings(&bench).unwrap(), []);
        bench.enrol_account("no-such-account", 4_000_000_000);
        bench.enrol_account("root", 4_000_000_001);
        let account = |uid| Account {
            name: "root".into(),
            uid,
        };
        let gone = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Finding::Accounts(AccountFinding::Gone { names })
        };
        assert_eq!(
            findings(&bench).unwrap(),
            [
                Finding::Accounts(AccountFinding::Differs {
                    record: account(4_000_000_001),
                    now: account(0),
                }),
                gone(&["no-such-account"]),
            ]
        );
        // Once root has a record of its own, nobody is held back by the old one.
        bench.enrol_account("root", 0);
        assert_eq!(
            findings(&bench).unwrap(),
            [gone(&["no-such-account", "root"])]
        );
    }

    #[test]
    fn a_uid_with_two_names_is_found_if_only_one_of_them_is_asked() {
        let bench = Bench::new();
        bench.enrol_account("root", 0);
        let names = vec!["root".to_owned(), "toor".to_owned()];
        let found = |bench: &Bench| {
            let rows = rows(bench.store()).unwrap();
            shared(&rows, BTreeMap::from([(0, names.clone())]))
        };
        assert_eq!(
            found(&bench),
            [AccountFinding::SharedUid {
                uid: 0,
                with: vec!["root".to_owned()],
                without: vec!["toor".to_owned()],
            }]
        );
        bench.enrol_account("toor", 0);
        assert_eq!(found(&bench), []);
    }
}
