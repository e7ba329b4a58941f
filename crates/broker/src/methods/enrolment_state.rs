//! What the setting up of a method remembers between two prompts: in the memory of its process, or as text with the
//! conversation, so that any server goes on with it. It shows a key and an address, and is stored sealed.

use serde::{Deserialize, Serialize};
use twofa_core::app::{App, OtpKind, Parameters};
use twofa_core::backup::{BackupSet, Cost};
use twofa_core::sent::SentCodeOutcome;
use twofa_core::{Channel, HashedCode, Key, Method, SentCode, Timestamp};
use twofa_store::event::Proof;
use twofa_store::{Generation, Store, StoreError};
use zeroize::Zeroize;

use crate::text::terminal::{Progress, Terminal};

/// What is to be set up, or proved by setting it up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Wish {
    /// A first method, at a login. An address on file is verified before it.
    FirstProved,
    /// A first method, at a login.
    First,
    /// A proof by an address on file, and nothing else.
    Proof,
    /// A method, and backup codes where there are none.
    Method,
    /// Backup codes in the place of those that there are.
    Codes,
}

impl Wish {
    /// Whether it is wished for at a login.
    pub(super) const fn is_login(&self) -> bool {
        matches!(self, Self::FirstProved | Self::First)
    }
}

/// What was set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SetUp {
    App {
        label: String,
    },
    Address {
        channel: Named<Channel>,
        address: String,
    },
    Codes {
        are_kept: bool,
    },
}

/// Where an enrolment stands, at a prompt.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrolmentState {
    pub(super) wish: Wish,
    /// The generation of the person's methods that it builds on.
    pub(super) generation: Generation,
    /// Something was set up.
    pub(super) is_enrolled: bool,
    pub(super) at: At,
}

/// What the prompt asks for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum At {
    /// Which method it is to be.
    Choice(Choices, u32),
    /// The first code of an app.
    App(AppState),
    /// An address.
    Address(AddressState),
    /// Whether a code was texted to us.
    TextIn(TextInState),
    /// The code that was sent to an address.
    Code(CodeState),
    /// That the backup codes were saved.
    Codes(CodesState),
}

/// Methods from which the person chooses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Choices {
    pub(super) offered: Vec<Named<Method>>,
    /// How often one may still be chosen.
    pub(super) left: u32,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AppState {
    key: Vec<u8>,
    /// Seconds in which a code is shown; `None`: a counter.
    period: Option<u32>,
    algorithm: String,
    digits: u8,
    pub(super) label: String,
    /// The machine that the entry in the app names.
    pub(super) host: String,
    pub(super) tries: u32,
    /// How often the key was drawn.
    pub(super) pictures: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AddressState {
    pub(super) channel: Named<Channel>,
    /// How often the address may still be typed.
    pub(super) spellings: u32,
    /// What can be chosen if nothing can be sent there.
    pub(super) choices: Option<Choices>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TextInState {
    pub(super) number: String,
    /// What asks for it again.
    pub(super) question: String,
    pub(super) code: StoredCode,
    pub(super) begun: i64,
    /// How often the person may still say that it was sent.
    pub(super) looks: u32,
    pub(super) choices: Option<Choices>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct CodeState {
    pub(super) channel: Named<Channel>,
    pub(super) address: String,
    /// As much of the address as the person may see.
    pub(super) shown: String,
    /// `None`: the code is known to another login only.
    pub(super) code: Option<StoredCode>,
    /// When another code may be sent.
    pub(super) next_at: i64,
    /// How often the code may still be typed.
    pub(super) left: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct CodesState {
    /// The method to which they belong, and whether its code had a `+`; `None`: they are what is set up.
    pub(super) first: Option<(SetUp, bool)>,
    salt: [u8; 16],
    memory_kib: u32,
    passes: u32,
    unused: Vec<[u8; 32]>,
    /// The number of the code that is asked for, and a keyed hash of its end.
    pub(super) asked: usize,
    pub(super) expected: [u8; 32],
    pub(super) tries: u32,
}

/// A code that was sent, as a keyed hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredCode {
    hash: [u8; 32],
    salt: [u8; 16],
    sent_at: i64,
    until: i64,
}

/// Something that is stored by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<T>(pub(super) T);

impl EnrolmentState {
    /// What the text of one begins with, so that it is taken for nothing else.
    const MARK: &str = "{\"enrolment\":";

    /// It as text.
    pub(super) fn to_text(&self) -> String {
        // Nothing in it fails.
        let state = serde_json::to_string(self).unwrap_or_default();
        format!("{}{state}}}", Self::MARK)
    }

    /// Whether `text` is one.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(Self::MARK)
    }

    /// One that is stored as `text`; `None`: that is none, or does not read.
    pub fn read(text: &str) -> Option<Self> {
        let state = text.strip_prefix(Self::MARK)?.strip_suffix('}')?;
        serde_json::from_str(state).ok()
    }

    /// The one that `terminal` goes on with, if it is one.
    pub fn find(terminal: &dyn Terminal) -> Result<Option<Self>, StoreError> {
        let damaged = || StoreError::Damaged("the state of an enrolment".to_owned());
        let state = terminal.resumed().filter(|state| Self::is_one(state));
        let state = state.map(|state| Self::read(state).ok_or_else(damaged));
        state.transpose()
    }

    /// Whether it proves the person, and something else comes behind it.
    pub(crate) fn is_proof(&self) -> bool {
        self.wish == Wish::Proof
    }

    /// The channel of the address that it is about, if it is about one.
    pub(crate) fn channel(&self) -> Option<Channel> {
        match &self.at {
            At::Address(address) => Some(address.channel.0),
            At::Code(code) => Some(code.channel.0),
            At::TextIn(_) => Some(Channel::Sms),
            At::Codes(codes) => match codes.first.as_ref()? {
                (SetUp::Address { channel, .. }, _) => Some(channel.0),
                _ => None,
            },
            At::Choice(..) | At::App(_) => None,
        }
    }

    /// Whether something was set up: then the person can have other methods than before it began.
    pub const fn is_enrolled(&self) -> bool {
        self.is_enrolled
    }

    /// What has become of it.
    pub fn progress(&self) -> Progress {
        Progress {
            is_enrolled: self.is_enrolled,
            has_void_codes: matches!(self.at, At::Codes(_)),
        }
    }

    /// What the login in which it began passes with, if it does.
    pub fn proof(&self) -> Option<Proof> {
        match &self.at {
            At::App(app) => Some(SetUp::App {
                label: app.label.clone(),
            }),
            At::Code(code) => Some(SetUp::Address {
                channel: code.channel,
                address: code.address.clone(),
            }),
            At::Codes(codes) => codes.first.as_ref().map(|(method, _)| method.clone()),
            At::Choice(..) | At::Address(_) | At::TextIn(_) => None,
        }
        .and_then(SetUp::proof)
    }
}

impl AppState {
    pub(super) fn new(app: &App, label: &str, host: String, tries: u32) -> Self {
        let parameters = app.parameters;
        Self {
            key: app.key.expose().to_vec(),
            period: match parameters.kind() {
                OtpKind::Time { period } => Some(period),
                OtpKind::Counter => None,
            },
            algorithm: parameters.algorithm().name().to_owned(),
            digits: parameters.digits(),
            label: label.to_owned(),
            host,
            tries,
            pictures: 0,
        }
    }

    pub(super) fn app(&self) -> Result<App, StoreError> {
        let damaged = || StoreError::Damaged("the state of an enrolment".to_owned());
        let kind = self
            .period
            .map_or(OtpKind::Counter, |period| OtpKind::Time { period });
        let algorithm = self.algorithm.parse().map_err(|_| damaged())?;
        Ok(App {
            parameters: Parameters::new(kind, algorithm, self.digits).map_err(|_| damaged())?,
            key: Key::new(self.key.clone()).map_err(|_| damaged())?,
            used: None,
        })
    }
}

impl Drop for AppState {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl CodesState {
    pub(super) fn new(
        first: Option<(SetUp, bool)>,
        set: &BackupSet,
        asked: usize,
        expected: [u8; 32],
        tries: u32,
    ) -> Self {
        Self {
            first,
            salt: set.salt,
            memory_kib: set.cost.memory_kib,
            passes: set.cost.passes,
            unused: set.unused.clone(),
            asked,
            expected,
            tries,
        }
    }

    pub(super) fn set(&self) -> BackupSet {
        BackupSet {
            salt: self.salt,
            cost: Cost {
                memory_kib: self.memory_kib,
                passes: self.passes,
            },
            unused: self.unused.clone(),
        }
    }

    pub(super) const fn salt(&self) -> &[u8; 16] {
        &self.salt
    }
}

impl StoredCode {
    /// `code`, hashed with a random salt.
    pub(super) fn new(store: &Store, code: &SentCode) -> Result<Self, StoreError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        let HashedCode {
            hash,
            sent_at,
            until,
        } = code.hashed(|digits| store.sent_code_hash(&salt, digits));
        Ok(Self {
            hash,
            salt,
            sent_at: sent_at.unix(),
            until: until.unix(),
        })
    }

    /// Compares what was typed.
    pub(super) fn compare(&self, store: &Store, typed: &str, now: Timestamp) -> SentCodeOutcome {
        let code = HashedCode {
            hash: self.hash,
            sent_at: Timestamp::from_unix(self.sent_at),
            until: Timestamp::from_unix(self.until),
        };
        code.compare(&store.sent_code_hash(&self.salt, typed), now)
    }
}

impl SetUp {
    /// What it proves at the login in which it was set up.
    pub(super) fn proof(self) -> Option<Proof> {
        match self {
            Self::App { label } => Some(Proof::EnrolledApp { label }),
            Self::Address { channel, address } => Some(Proof::EnrolledAddress {
                channel: channel.0,
                address: twofa_core::user::masked(&address),
            }),
            Self::Codes { .. } => None,
        }
    }
}

macro_rules! named {
    ($type:ty, $name:expr) => {
        impl Serialize for Named<$type> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($name(self.0))
            }
        }

        impl<'de> Deserialize<'de> for Named<$type> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                name.parse().map(Self).map_err(serde::de::Error::custom)
            }
        }
    };
}

named!(Channel, Channel::name);
named!(Method, Method::name);

/// An address that is a method now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The address in the form in which it is stored.
    pub address: String,
    /// The generation of the person's methods after that.
    pub generation: Generation,
}
