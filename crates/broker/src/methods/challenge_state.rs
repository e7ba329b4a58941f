//! What one challenge remembers between two prompts: in the memory of its process, or as text with the conversation, so that
//! any server goes on with it. A code that was sent is remembered as a keyed hash alone.

use serde::{Deserialize, Serialize};
use twofa_core::{Channel, HashedCode, Method, PendingResync, Timestamp};

/// How many wrong answers a challenge takes.
const TRIES: u32 = 3;
/// How often a person may ask for help, another code or another method. sshd 9.4 to 10.2 drop a login after 32 messages.
const COMMANDS: u32 = 8;

/// What one challenge remembers between two prompts. Everything else is read again for each answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChallengeState {
    /// How many wrong answers are left.
    pub(super) tries: u32,
    /// How often help, another code or another method may be asked for.
    pub(super) commands: u32,
    /// The methods as they were listed in the last prompt, so that the answer may be a number; empty: they were not.
    pub(super) listed: Vec<Method>,
    /// By which methods codes were sent, and from when on another may be.
    pub(super) next_at: Vec<(Method, Timestamp)>,
    /// The code that was sent last, until it is used or replaced.
    pub(super) outstanding: Option<OutstandingCode>,
    /// A hardware token that ran ahead and whose next code is waited for.
    pub(super) pending_resync: Option<PendingResync>,
}

impl Default for ChallengeState {
    fn default() -> Self {
        Self {
            tries: TRIES,
            commands: COMMANDS,
            listed: Vec::new(),
            next_at: Vec::new(),
            outstanding: None,
            pending_resync: None,
        }
    }
}

/// A code that was sent and not typed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutstandingCode {
    pub(super) code: HashedCode,
    /// What the hash is salted with.
    pub(super) salt: [u8; 16],
    /// When another one may be sent.
    pub(super) next_at: Timestamp,
    pub(super) channel: Channel,
    pub(super) address: String,
    /// The method that was asked for. An e-mail that stands in for a text message proves it as well.
    pub(super) wanted: Method,
    /// Whether no provider has confirmed in time that it took the code.
    pub(super) is_late: bool,
}

impl OutstandingCode {
    /// The method that the code proves.
    pub(super) const fn method(&self) -> Method {
        self.channel.method()
    }
}

/// A [`ChallengeState`] as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredChallenge {
    tries: u32,
    commands: u32,
    listed: Vec<String>,
    next_at: Vec<(String, i64)>,
    outstanding: Option<StoredCode>,
    pending_resync: Option<(i64, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredCode {
    hash: [u8; 32],
    salt: [u8; 16],
    sent_at: i64,
    until: i64,
    next_at: i64,
    channel: String,
    address: String,
    wanted: String,
    is_late: bool,
}

impl From<&ChallengeState> for StoredChallenge {
    fn from(state: &ChallengeState) -> Self {
        let name = |method: &Method| method.info().name.to_owned();
        let code = |sent: &OutstandingCode| StoredCode {
            hash: sent.code.hash,
            salt: sent.salt,
            sent_at: sent.code.sent_at.unix(),
            until: sent.code.until.unix(),
            next_at: sent.next_at.unix(),
            channel: sent.channel.name().to_owned(),
            address: sent.address.clone(),
            wanted: name(&sent.wanted),
            is_late: sent.is_late,
        };
        let next_at = state.next_at.iter();
        Self {
            tries: state.tries,
            commands: state.commands,
            listed: state.listed.iter().map(name).collect(),
            next_at: next_at.map(|(by, at)| (name(by), at.unix())).collect(),
            outstanding: state.outstanding.as_ref().map(code),
            pending_resync: state.pending_resync.map(|it| (it.app, it.count)),
        }
    }
}

impl StoredChallenge {
    /// It as text.
    pub(super) fn to_text(&self) -> String {
        // Nothing in it fails.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// One that is stored as `text`; `None`: that does not read.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The state again. What this program does not know of it is left out: at worst, a code is not accepted.
    pub(super) fn restore(self) -> ChallengeState {
        let method = |name: &String| name.parse::<Method>().ok();
        let listed = self.listed.iter().map(method).collect::<Option<_>>();
        let next_at = self.next_at.iter();
        let next_at = next_at.filter_map(|(by, at)| Some((method(by)?, Timestamp::from_unix(*at))));
        ChallengeState {
            tries: self.tries.min(TRIES),
            commands: self.commands.min(COMMANDS),
            // Numbers mean places in the whole list.
            listed: listed.unwrap_or_default(),
            next_at: next_at.collect(),
            outstanding: self.outstanding.and_then(StoredCode::restore),
            pending_resync: self
                .pending_resync
                .map(|(app, count)| PendingResync { app, count }),
        }
    }

    /// Whether a wrong answer was typed.
    pub fn has_failed(&self) -> bool {
        self.tries < TRIES
    }
}

impl StoredCode {
    fn restore(self) -> Option<OutstandingCode> {
        Some(OutstandingCode {
            code: HashedCode {
                hash: self.hash,
                sent_at: Timestamp::from_unix(self.sent_at),
                until: Timestamp::from_unix(self.until),
            },
            salt: self.salt,
            next_at: Timestamp::from_unix(self.next_at),
            channel: self.channel.parse().ok()?,
            address: self.address,
            wanted: self.wanted.parse().ok()?,
            is_late: self.is_late,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_the_same_after_it_was_stored_and_holds_no_code() {
        let now = Timestamp::from_unix(1_800_000_000);
        let state = ChallengeState {
            tries: 2,
            commands: 5,
            listed: vec![Method::App, Method::Sms],
            next_at: vec![(Method::Sms, now)],
            outstanding: Some(OutstandingCode {
                code: HashedCode {
                    hash: [7; 32],
                    sent_at: now,
                    until: now.after(600),
                },
                salt: [3; 16],
                next_at: now.after(30),
                channel: Channel::Email,
                address: "alice@example.org".into(),
                wanted: Method::Sms,
                is_late: true,
            }),
            pending_resync: Some(PendingResync { app: 4, count: 99 }),
        };
        let text = StoredChallenge::from(&state).to_text();
        assert_eq!(StoredChallenge::read(&text).unwrap().restore(), state);
    }
}
