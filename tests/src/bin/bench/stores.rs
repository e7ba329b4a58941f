//! Stores with many users enrolled: ours, and the file of pam_oath.
//!
//! The users whose logins are timed are at even distances between the others, by row and by name alike; side by side they
//! would all be on one page of the database.

use std::fmt::Write as _;
use std::path::Path;

use twofa_core::app::{Algorithm, OtpKind};
use twofa_core::{Account, App, Key, Parameters, Timestamp};
use twofa_e2e::unix_now;
use twofa_store::{Location, NewApp, Origin, Owner, Store};

use crate::grants;
use crate::users::{User, random_key};

/// Users enrolled in one transaction.
const BATCH: usize = 10_000;

/// Users who exist in the store alone have uids from here on.
const FIRST_UID: usize = 1_000_000;

/// For how long the users of a store have been enrolled, in seconds: 300 days.
const ENROLLED_FOR: u64 = 300 * 86_400;

/// Makes a store of ours in `folder` with `size` users, those in `timed` among them, and with `warm_up_user`, who has a
/// HOTP token. Everybody has grants of trusted devices.
pub fn fill(folder: &Path, size: usize, timed: &[User], warm_up_user: &User) -> Location {
    let then = now().before(ENROLLED_FOR);
    let (store, location) = create(folder, then);
    let first = (
        warm_up_user.account.clone(),
        app(warm_up_user.key.clone(), counting()),
    );
    store
        .enrol_many([first], &Origin::command_line(0), then)
        .expect("they can be enrolled");
    let mut users = enrolled(size, timed)
        .map(|(account, key)| (account, app(key, Parameters::default())))
        .peekable();
    while users.peek().is_some() {
        store
            .enrol_many(users.by_ref().take(BATCH), &Origin::command_line(0), then)
            .expect("they can be enrolled");
    }
    while store
        .write_last_checkpoint(then)
        .expect("the log can be sealed")
        .is_some()
    {}
    grants::fill(&location.database, now());
    grants::trust_devices(&store, timed, now());
    location
}

/// Makes a store of ours in `folder` with these users: the first half have HOTP tokens, the others TOTP apps.
pub fn fill_for_concurrent(folder: &Path, concurrent: &[User]) -> Location {
    let (store, location) = create(folder, now());
    let (tokens, apps) = concurrent.split_at(concurrent.len() / 2);
    for (users, parameters) in [(tokens, counting()), (apps, Parameters::default())] {
        let enrolled = users
            .iter()
            .map(|it| (it.account.clone(), app(it.key.clone(), parameters)));
        store
            .enrol_many(enrolled, &Origin::command_line(0), now())
            .expect("they can be enrolled");
    }
    location
}

/// A `usersfile` of pam_oath with `size` users, those in `timed` among them.
pub fn oath_file(size: usize, timed: &[User]) -> String {
    enrolled(size, timed).fold(String::new(), |mut lines, (account, key)| {
        let hex = User {
            account: account.clone(),
            key,
        }
        .hex();
        let _ = writeln!(lines, "HOTP/T30 {} - {hex}", account.name);
        lines
    })
}

/// An empty store in `folder`, in which who has enrolled is asked.
pub fn create(folder: &Path, at: Timestamp) -> (Store, Location) {
    let location = Location {
        database: folder.join("twofa.db"),
        key: folder.join("secret.key"),
        server: folder.join("database"),
        ..Location::default()
    };
    let store = Store::create(location.clone(), Owner { uid: 0, gid: 0 }).expect("a new store");
    store
        .change_policy(
            [("mode", "optional"), ("trust.remote", grants::TRUST)],
            &Origin::command_line(0),
            at,
        )
        .expect("the policy can be set");
    (store, location)
}

/// `size` users with their keys, those in `timed` at even distances.
fn enrolled(size: usize, timed: &[User]) -> impl Iterator<Item = (Account, Key)> {
    let mut last = 0;
    (0..size).map(move |position| {
        // Every user of `timed` has a position of their own as long as there are no more of them than positions.
        let index = position * timed.len() / size;
        let user = &timed[index];
        if position == 0 || index != last {
            last = index;
            return (user.account.clone(), user.key.clone());
        }
        let name = format!("{}x{position:07}", user.account.name);
        (
            Account {
                name,
                uid: u32::try_from(FIRST_UID + position).unwrap(),
            },
            random_key(),
        )
    })
}

/// RFC 4226.
fn counting() -> Parameters {
    Parameters::new(OtpKind::Counter, Algorithm::Sha1, 6).expect("RFC 4226 allows that")
}

/// An authenticator with this key that has not been used.
pub fn app(key: Key, parameters: Parameters) -> NewApp {
    NewApp {
        label: "phone".into(),
        app: App {
            parameters,
            key,
            used: None,
        },
    }
}

/// The present.
pub fn now() -> Timestamp {
    Timestamp::from_unix(unix_now().cast_signed())
}
