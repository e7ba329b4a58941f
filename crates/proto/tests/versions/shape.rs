//! Every message as it is read from bytes that are all 1, which fill each option and each list with one value: its fields
//! with their names, in their order.

use std::fmt::Debug;
use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use twofa_proto::{
    Confirm, Done, Failure, FromBroker, FromClient, PasswordState, Request, UserStatus, Verdict,
};

pub fn all() -> String {
    let mut text = String::new();
    add::<FromClient>(&mut text, "from the client");
    add::<Request>(&mut text, "request");
    add::<FromBroker>(&mut text, "from the broker");
    add::<Done>(&mut text, "end");
    add::<Verdict>(&mut text, "verdict");
    add::<Confirm>(&mut text, "confirmation");
    add::<PasswordState>(&mut text, "password");
    add::<Failure>(&mut text, "failure");
    add::<UserStatus>(&mut text, "status");
    text
}

/// Adds each variant of `T`, by its number on the wire.
fn add<T: DeserializeOwned + Debug>(text: &mut String, what: &str) {
    for number in 0.. {
        let mut bytes = [1; 1000];
        bytes[0] = number;
        let Ok((value, _)) = postcard::take_from_bytes::<T>(&bytes) else {
            return;
        };
        writeln!(text, "{what} {number}: {value:?}").unwrap();
    }
}
