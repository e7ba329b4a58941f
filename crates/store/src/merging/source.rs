//! Exports as they are read: who is in them, with keys that are open.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use twofa_core::exemption::{Exemption, Subject};
use twofa_core::user::User;
use twofa_core::{Account, Throttle, Timestamp};

use crate::error::StoreError;
use crate::exporting::place;
use crate::journal::JournalState;
use crate::rules::RulesCache;
use crate::seal::SealingKey;
use crate::sql::sqlite::export::{self, ExportFile};
use crate::sql::{Db, backup_codes, exemptions, merging, security_keys, unproved, users};
use crate::tx::View;

/// What a store knows of a user.
#[derive(Debug)]
pub(crate) struct Known {
    /// The number of the user there.
    pub id: i64,
    pub account: Account,
    pub user: User,
    /// Attempts of those who may not have shown the first factor.
    pub unproved: Throttle,
    /// When a code of theirs was right last.
    pub passed_at: Option<Timestamp>,
    /// For the user alone, in force.
    pub exemptions: Vec<Exemption>,
    /// How many devices are trusted.
    pub devices: u64,
}

/// The exported store of a host.
#[derive(Debug)]
pub struct Export {
    /// The name of the host, which the labels of its apps get.
    pub host: String,
    pub(super) file: ExportFile,
    /// Those who have not been merged yet.
    pub(super) people: Vec<Known>,
    /// How many have been merged before.
    pub merged: usize,
}

impl Export {
    /// Opens the export in `directory`, which is of `host`, or of the host that it says, and reads who is in it.
    pub fn open(
        directory: &Path,
        host: Option<String>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let location = place(directory);
        let mut file = ExportFile::open(&location)?;
        let key = SealingKey::of(&location.read_keys()?, None);
        let (host, merged, people) = file.view(|db| {
            let view = View {
                db,
                key: &key,
                rules: &RulesCache::default(),
                may_have_notices: &AtomicBool::new(false),
                journal: &JournalState::default(),
            };
            let host = host.map_or_else(|| export::host(db), Ok)?;
            let merged: HashSet<_> = export::merged(db)?.into_iter().collect();
            let people = read(&view, &merged, now)?;
            Ok((host, merged.len(), people))
        })?;
        Ok(Self {
            host,
            file,
            people,
            merged,
        })
    }

    /// The accounts that have not been merged yet.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.people.iter().map(|known| &known.account)
    }
}

fn read(view: &View<'_>, merged: &HashSet<i64>, now: Timestamp) -> Result<Vec<Known>, StoreError> {
    let mut listed = Vec::new();
    users::each(view.db, |user| {
        if !merged.contains(&user.record.id) {
            listed.push(user);
        }
        true
    })?;
    let devices = merging::devices(view.db)?;
    let exemptions = personal_exemptions(view.db, now)?;
    let known = |user: users::ListedUser| {
        let (id, account) = (user.record.id, user.account);
        let of_account = exemptions.iter().filter(
            |exemption| matches!(&exemption.subject, Subject::User(subject) if *subject == account),
        );
        Ok(Known {
            id,
            user: User {
                backup: backup_codes::find(view.db, &account)?,
                security_keys: security_keys::all(view.db, &account)?,
                ..view.user_with_apps(&account, &user.record)?
            },
            unproved: unproved::throttle(view.db, id)?,
            passed_at: user.passed_at,
            exemptions: of_account.cloned().collect(),
            devices: devices.get(&id).copied().unwrap_or_default(),
            account,
        })
    };
    listed.into_iter().map(known).collect()
}

fn personal_exemptions(db: &Db<'_>, now: Timestamp) -> Result<Vec<Exemption>, StoreError> {
    let all = exemptions::all(db)?.into_iter().map(|(it, _)| it.exemption);
    let is_personal = |it: &Exemption| matches!(it.subject, Subject::User(_));
    Ok(all
        .filter(|it| is_personal(it) && it.is_in_force(now))
        .collect())
}
