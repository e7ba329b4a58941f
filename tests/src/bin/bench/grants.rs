//! Trusted devices in our stores: those that the timed users log in from, and as many others as a large site has.

use std::path::Path;

use rusqlite::Connection;
use twofa_core::device::address::DeviceAddress;
use twofa_core::device::ssh_key::ProvedKeys;
use twofa_core::user::User as Enrolled;
use twofa_core::{Device, Duration, Timestamp};
use twofa_store::event::{LoginOrigin, RefusalReason};
use twofa_store::{
    AccountPhase, CodeAttempt, CodeOutcome, CodeProof, Confirmation, LoginProcess, Origin, Pass,
    ProcessId, Settlement, Store, Tally, TicketNumber,
};

use crate::confirmed::{KEY, SERVICE, SESSION_SERVICE, TRUSTED_ADDRESS};
use crate::users::User;

/// What the module reports of the password in [`Users::shadow`](crate::users::Users::shadow): SHA-256 of the hash, a zero
/// byte and the day of its last change.
const PASSWORD: &str = "7bb1c8d1da49b33371d94ba40b869305fb601f966ce7936d9a10c7e35d72fcb2";

/// Grants of each user: of two keys, and of an address that a hundred users share.
pub const OF_A_USER: usize = 3;

/// For how long devices are trusted.
pub const TRUST: &str = "30d";

/// Other users' grants have this time between them and now.
const AGE: u64 = 86_400;

/// Each of `users` trusts the address and the key that they log in with, by codes of time steps that are over.
pub fn trust_devices(store: &Store, users: &[User], now: Timestamp) {
    let key = ProvedKeys::read(&format!("publickey {KEY}"));
    let key = key.user.into_iter().next().expect("sshd verified a key");
    let address = DeviceAddress::read(TRUSTED_ADDRESS, 64).expect("an address of a client");
    for (step, device) in [(1, Device::Address(address)), (2, Device::UserKey(key))] {
        for user in users {
            trust(store, user, step, &device, now);
        }
    }
    // Trust is used only where programs are known to come to the account phase.
    store
        .note_confirming(SESSION_SERVICE, &Origin::command_line(0), now)
        .expect("a service is noted");
}

/// A code of `step`, with a `+`, and the account phase.
fn trust(store: &Store, user: &User, step: u64, device: &Device, now: Timestamp) {
    let process = LoginProcess {
        boot: "bench".into(),
        own: ProcessId {
            pid: 1,
            start: step,
        },
        parent: None,
    };
    let origin = Origin::login(
        0,
        LoginOrigin {
            service: Some(SERVICE.into()),
            ..LoginOrigin::default()
        },
    );
    let ticket = TicketNumber::random().expect("random bytes");
    let known = store.snapshot(&user.account).expect("they are enrolled");
    let pass = Pass {
        ticket,
        process: &process,
        device: Some(device),
        trust_for: Some(TRUST.parse::<Duration>().expect("a duration")),
        class: twofa_core::class::EVERYONE,
        password: Some(PASSWORD),
        ssh_auth_info: None,
    };
    let attempt = CodeAttempt {
        account: &user.account,
        tally: Tally::Proved,
        origin: &origin,
        known: &known,
        settlement: Settlement::InAccount(pass),
    };
    let verify = |user: &Enrolled| {
        Ok::<_, RefusalReason>(CodeProof::App {
            app: user.apps[0].id,
            count: step,
        })
    };
    let outcome = store.try_code(attempt, now, verify).expect("a code");
    assert!(matches!(outcome, CodeOutcome::Right(_)), "{outcome:?}");
    let phase = AccountPhase {
        ticket,
        process: &process,
        key: None,
        ssh_auth_info: None,
    };
    let confirmed = store
        .confirm(&user.account, phase, &origin, now)
        .expect("the account phase");
    assert!(
        matches!(
            confirmed,
            Confirmation::Confirmed {
                trusted_until: Some(_),
                ..
            }
        ),
        "{confirmed:?}"
    );
}

/// Gives every user in `database` further grants, [`OF_A_USER`] of them.
pub fn fill(database: &Path, now: Timestamp) {
    let connection = Connection::open(database).expect("the store");
    let columns = "user, kind, hash, label, service, generation, granted_at, until, used_at";
    let times = "?1, ?1 + 30 * 86400, ?1";
    let key = format!(
        "INSERT INTO device ({columns})
         SELECT id, 'key', randomblob(32), 'ssh-ed25519 SHA256:' || substr(hex(randomblob(22)), 1, 43), 'sshd',
             generation, {times} FROM user"
    );
    let address = format!(
        "INSERT INTO device ({columns})
         SELECT id, 'address', CAST(printf('%032d', id / 100) AS BLOB),
             printf('198.51.%d.%d', id / 25600 % 256, id / 100 % 256), 'sshd', generation, {times} FROM user"
    );
    let then = now.before(AGE).unix();
    // Without this the indexes, whose order is random, are read and written page by page.
    connection
        .pragma_update(None, "cache_size", -400_000)
        .expect("a setting of SQLite");
    for insert in [&key, &key, &address] {
        connection.execute(insert, [then]).expect("grants");
    }
}
