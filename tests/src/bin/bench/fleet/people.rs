//! The people of a fleet: some log in again and again, the others fill the store, or log in once.

use std::path::Path;

use twofa_core::app::{Algorithm, OtpKind};
use twofa_core::{Account, Key, Parameters};
use twofa_store::{Location, Origin};

use crate::stores;
use crate::users::User;

/// People who exist in the store alone have uids from here on.
const FIRST_UID: usize = 1_000_000;
/// People enrolled in one transaction.
const BATCH: usize = 10_000;

/// Name and uid of a person who logs in once at most.
pub fn person(number: usize) -> (String, u32) {
    let uid = u32::try_from(FIRST_UID + number).expect("a uid");
    (format!("p{number:07}"), uid)
}

/// What all of them have on their tokens.
pub fn shared_key() -> Key {
    Key::new(b"the key of everybody".to_vec()).expect("20 bytes make a key")
}

/// Makes a store in `folder` with `size` people, `often` among them, all with HOTP tokens.
pub fn fill(folder: &Path, size: usize, often: &[User]) -> Location {
    let now = stores::now();
    let (store, location) = stores::create(folder, now);
    let counting =
        Parameters::new(OtpKind::Counter, Algorithm::Sha1, 6).expect("RFC 4226 allows that");
    let others = (0..size.saturating_sub(often.len())).map(|number| {
        let (name, uid) = person(number);
        (Account { name, uid }, shared_key())
    });
    let often = often.iter().map(|it| (it.account.clone(), it.key.clone()));
    let mut all = often
        .chain(others)
        .map(|(account, key)| (account, stores::app(key, counting)))
        .peekable();
    while all.peek().is_some() {
        store
            .enrol_many(all.by_ref().take(BATCH), &Origin::command_line(0), now)
            .expect("they can be enrolled");
    }
    location
}
