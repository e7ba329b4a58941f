//! Why a host cannot join, for the administrator who has it join.

use data_encoding::HEXLOWER;
use twofa_core::Timestamp;
use twofa_store::{DeadToken, UsedToken};

use super::moment;

/// A token that was never issued.
pub const TOKEN_UNKNOWN: &str = "this server has not issued that token, has issued another one since, or its host was removed; \
                                 'twofa host add' issues a new one";

/// A token with which no host can join.
pub fn dead_token(token: &DeadToken, now: Timestamp) -> String {
    match token {
        DeadToken::Used(UsedToken {
            host,
            at,
            from,
            key,
        }) => {
            let from = from.as_deref().unwrap_or("an unknown address");
            let at = moment(*at, now);
            let key = HEXLOWER.encode(key);
            format!(
                "the token has been used: {host} joined with it at {at} from {from}, with key SHA256:{key} (see 'twofa host \
                 show {host}'). If that was not this machine, run 'twofa host remove {host}'; 'twofa host renew {host}' \
                 issues a new token"
            )
        }
        DeadToken::Expired(at) => format!(
            "the token expired at {}; 'twofa host add' issues a new one",
            moment(*at, now)
        ),
        DeadToken::Unknown => TOKEN_UNKNOWN.to_owned(),
    }
}

/// A join key that has ended.
pub fn join_key_ended(at: Timestamp, now: Timestamp) -> String {
    format!(
        "the join key expired at {}; 'twofa join-key add' makes a new one",
        moment(at, now)
    )
}

/// As many hosts have joined as may.
pub fn join_key_used_up(uses: u64) -> String {
    format!(
        "the join key is used up ({uses} of {uses} hosts have joined); 'twofa join-key add' makes a new one"
    )
}

/// As many hosts have joined within the hour as may.
pub fn join_key_too_fast(hourly: u64) -> String {
    format!(
        "the join key lets {hourly} hosts join within an hour, and as many have: try again later"
    )
}

/// A host is called otherwise than its key says.
pub fn join_key_other_name(name: &str, pattern: &str) -> String {
    let name = name.escape_debug();
    format!(
        "the join key is for hosts called {pattern}, and this host is called '{name}': a name consists of a-z, 0-9, '-' and '.'"
    )
}

/// There is a host of this name.
pub fn join_key_name_taken(name: &str) -> String {
    format!(
        "there is a host called {name} already: run 'twofa host remove {name}' on a server if that host is gone"
    )
}
