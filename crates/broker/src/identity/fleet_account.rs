//! Who it is that a host of the fleet names, where hosts have given out user IDs by themselves (`fleet.identity`).

use twofa_core::{Account, FleetIdentity, Policy};
use twofa_store::Store;

use super::accounts;
use super::person::PersonError;

/// From here on, uids stand for people whose uid on the host belongs to another account on the server. No account has one.
const FIRST_OF_NOBODY: u32 = 0xF000_0000;

/// The account that is on record here, or is to be, for the one that a host has as `claimed`. Root is never one of them: that is
/// the caller's to check, of both.
pub fn identify(store: &Store, policy: &Policy, claimed: &Account) -> Result<Account, PersonError> {
    if policy.fleet_identity == FleetIdentity::NameAndUid || claimed.uid == 0 {
        return Ok(claimed.clone());
    }
    if let Some(known) = accounts::find(&claimed.name)? {
        return Ok(known);
    }
    Ok(match store.holder_of(claimed)? {
        Some(holder) if holder.name == claimed.name => holder,
        // The uid is somebody else's.
        Some(_) => Account {
            uid: uid_of_name(&claimed.name),
            name: claimed.name.clone(),
        },
        None => claimed.clone(),
    })
}

/// Whether `uid` is no account's, and stands for somebody.
pub const fn stands_for_a_name(uid: u32) -> bool {
    uid >= FIRST_OF_NOBODY
}

/// A uid that follows from the name (FNV-1a). Two names with the same one are two people, of whom the second is refused.
fn uid_of_name(name: &str) -> u32 {
    let hash = name.bytes().fold(0x811C_9DC5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    FIRST_OF_NOBODY | (hash >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    fn account(name: &str, uid: u32) -> Account {
        Account {
            name: name.to_owned(),
            uid,
        }
    }

    #[test]
    fn by_name_one_is_who_the_server_knows_or_has_on_record_whatever_the_uid() {
        let bench = Bench::with_local_account().with_token();
        let policy = |identity| Policy::from_settings([("fleet.identity", identity)]).unwrap();
        let by_name = policy("name");
        let find = identify;
        let identify =
            |policy: &Policy, claimed: &Account| find(&bench.store, policy, claimed).unwrap();
        let own = &bench.alice;
        let elsewhere = account(&own.name, own.uid + 1);
        assert_eq!(identify(&policy("name-and-uid"), &elsewhere), elsewhere);
        assert_eq!(identify(&by_name, &elsewhere), *own);
        // Root is who it is here, whatever uid a host claims for the name.
        assert_eq!(identify(&by_name, &account("root", 1000)).uid, 0);
        assert_eq!(identify(&by_name, &account("toor", 0)).uid, 0);

        let stranger = account("stranger", 4_000_000);
        assert_eq!(identify(&by_name, &stranger), stranger);
        // The record with the uid is somebody else's, and stays theirs.
        let same_uid = identify(&by_name, &account("stranger", own.uid));
        assert!(same_uid.uid >= FIRST_OF_NOBODY);
        let origin = &bench.origin;
        let now = bench.services().now();
        bench
            .store
            .set_required(&same_uid, true, origin, now)
            .unwrap();
        assert_eq!(identify(&by_name, &stranger), same_uid);
    }
}
