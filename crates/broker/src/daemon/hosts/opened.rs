//! What the conversation of a host is about: what the host said when it began it.

use serde::{Deserialize, Serialize};
use twofa_core::Account;
use twofa_fleet::wire::{ConversationId, DeviceClaim, HostLogin, HostRequest};
use twofa_store::StoreError;

/// What a host said when it began a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Opened {
    /// Somebody logs in.
    Login(Box<Described>),
    /// A person does something with their own record.
    Own(HostRequest),
}

/// A login as it is on record. The build before knows nothing of the device, and passes over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Described {
    #[serde(flatten)]
    pub(super) login: HostLogin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<DeviceClaim>,
}

/// A request as it is stored. A login is stored by itself.
#[derive(Serialize, Deserialize)]
struct StoredRequest {
    own: HostRequest,
}

impl Opened {
    pub(super) const fn conversation(&self) -> &ConversationId {
        match self {
            Self::Login(described) => &described.login.conversation,
            Self::Own(request) => &request.conversation,
        }
    }

    /// The account that it is about, as the host has it.
    pub(super) fn account(&self) -> Account {
        let (name, uid) = match self {
            Self::Login(described) => (&described.login.user, described.login.uid),
            Self::Own(request) => (&request.user, request.uid),
        };
        Account {
            name: name.clone(),
            uid,
        }
    }

    /// The uid of the process that asks, as the host says.
    pub(super) const fn asked_by(&self) -> u32 {
        match self {
            Self::Login(described) => described.login.asked_by,
            Self::Own(request) => request.uid,
        }
    }

    /// Whether `other` is this, sent again.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Login(one), Self::Login(other)) => {
                let HostLogin {
                    is_again, deadline, ..
                } = one.login;
                let other = HostLogin {
                    is_again,
                    deadline,
                    ..other.login.clone()
                };
                one.login == other
            }
            (Self::Own(one), Self::Own(other)) => {
                let deadline = one.deadline;
                let other = HostRequest {
                    deadline,
                    ..other.clone()
                };
                *one == other
            }
            _ => false,
        }
    }

    pub(super) fn to_text(&self) -> Result<String, StoreError> {
        let text = match self {
            Self::Login(described) => serde_json::to_string(described),
            Self::Own(request) => serde_json::to_string(&StoredRequest {
                own: request.clone(),
            }),
        };
        text.map_err(|error| StoreError::Other(error.to_string()))
    }

    pub(super) fn read(text: &str) -> Result<Self, StoreError> {
        if let Ok(StoredRequest { own }) = serde_json::from_str(text) {
            return Ok(Self::Own(own));
        }
        let damaged = |_| StoreError::Damaged("a conversation does not read".to_owned());
        let described = serde_json::from_str(text).map(Box::new);
        described.map(Self::Login).map_err(damaged)
    }
}
