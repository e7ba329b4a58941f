//! Merging the exported stores of hosts into the store of this machine, for root.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use twofa_core::shared_accounts::Sharing;
use twofa_core::{Account, FleetIdentity, Policy};
pub use twofa_store::{Choice, Matter, MergeFinding, MergePlan, MergeRules, MergedPeople};
use twofa_store::{Export, Origin, Standing, Store};

use super::AdminError;
use crate::fleet::files::FleetDirectory;
use crate::fleet::shared::is_shared;
use crate::identity::accounts::AccountLookup;
use crate::identity::fleet_account::identify;
use crate::process::location::location;
use crate::process::{self, clock, log};

/// How long the name service may take to say who is known here.
const LOOK_UP: Duration = Duration::from_secs(120);

/// An export that is to be merged.
#[derive(Debug, Clone)]
pub struct Source {
    /// What its host is to be called; `None`: as it says itself.
    pub host: Option<String>,
    /// Where it is.
    pub directory: PathBuf,
}

/// A merge that is planned.
#[derive(Debug)]
pub struct Merge {
    store: Store,
    exports: Vec<Export>,
    rules: MergeRules,
    /// What it will do.
    pub plan: MergePlan,
}

impl Merge {
    /// Reads the exports in `sources`, and plans how to merge them. Nothing is changed.
    pub fn plan(sources: &[Source], rules: MergeRules) -> Result<Self, AdminError> {
        let mut store = Store::open(location())?;
        store.set_listener(log::event_of_command);
        if store.rules_in_force()?.fleet.is_some() {
            return Err(AdminError::OnHost);
        }
        let now = clock::now();
        let open = |source: &Source| {
            let Source { host, directory } = source;
            Export::open(directory, host.clone(), now).map_err(|error| AdminError::Export {
                directory: directory.clone(),
                error,
            })
        };
        let exports: Vec<_> = sources.iter().map(open).collect::<Result<_, _>>()?;
        let standings = standings(&store, &exports)?;
        let plan = store.plan_merge(&exports, &standings, rules)?;
        Ok(Self {
            store,
            exports,
            rules,
            plan,
        })
    }

    /// How many users of the exports had been merged before.
    pub fn merged_before(&self) -> usize {
        self.exports.iter().map(|export| export.merged).sum()
    }

    /// Carries it out. `progress` is told how many users are merged.
    pub fn carry_out(&mut self, progress: impl FnMut(usize)) -> Result<MergedPeople, AdminError> {
        let origin = Origin::command_line(0).by_login_uid(process::login_uid());
        let (exports, plan) = (&mut self.exports, &self.plan);
        let now = clock::now();
        Ok(self
            .store
            .merge(exports, plan, self.rules, &origin, now, progress)?)
    }
}

/// What each account of `exports` is here.
fn standings(store: &Store, exports: &[Export]) -> Result<HashMap<Account, Standing>, AdminError> {
    let rulebook = store.rulebook()?;
    let policy = FleetDirectory::default()
        .is_server()
        .then(|| rulebook.machine());
    let mut known = AccountLookup::read_within(LOOK_UP);
    let mut standings = HashMap::new();
    for account in exports.iter().flat_map(Export::accounts) {
        if !standings.contains_key(account) {
            let standing = match policy {
                Some(policy) => in_fleet(store, policy, &mut known, account)?,
                None => on_one_machine(&mut known, account)?,
            };
            standings.insert(account.clone(), standing);
        }
    }
    Ok(standings)
}

fn in_fleet(
    store: &Store,
    policy: &Policy,
    known: &mut AccountLookup,
    account: &Account,
) -> Result<Standing, AdminError> {
    let sharing = policy.shared_accounts.sharing(account);
    if sharing == Sharing::Own {
        return Ok(Standing::Own);
    }
    let here = known.account(&account.name)?;
    if here.is_none() && sharing != Sharing::Shared {
        return Ok(Standing::Unknown);
    }
    if !is_shared(policy, here.as_ref().unwrap_or(account))? {
        return Ok(Standing::Own);
    }
    if policy.fleet_identity == FleetIdentity::Name {
        return Ok(Standing::Shared(identify(store, policy, account)?));
    }
    Ok(same_uid(account, here))
}

/// Without a fleet, everyone with an account here.
fn on_one_machine(known: &mut AccountLookup, account: &Account) -> Result<Standing, AdminError> {
    if account.uid == 0 {
        return Ok(Standing::Own);
    }
    Ok(match known.account(&account.name)? {
        None => Standing::Unknown,
        here => same_uid(account, here),
    })
}

fn same_uid(account: &Account, here: Option<Account>) -> Standing {
    match here {
        Some(here) if here.uid != account.uid => Standing::OtherUid(here.uid),
        _ => Standing::Shared(account.clone()),
    }
}
