//! Events as they are kept and read again.

use serde_json::Value;
use twofa_core::{Account, Timestamp};

use super::kinds::Event;
use super::origin::Origin;
use crate::journal::EventAnchor;

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredEvent {
    /// The name of its kind.
    pub kind: String,
    /// A JSON object; `None`: it has no fields.
    pub fields: Option<String>,
}

/// The kinds whose stored name has a channel in the place of `address`.
const OF_A_CHANNEL: [&str; 2] = ["address-enrolled", "address-removed"];

impl Event {
    /// The name of its kind, as it is stored.
    pub fn name(&self) -> String {
        StoredEvent::from(self).kind
    }

    /// Its fields, and those of the objects among them, as text in the order of the alphabet. Empty ones are left out, and
    /// lists have commas.
    pub fn flat_fields(&self) -> Vec<(String, String)> {
        let value = serde_json::to_value(self).unwrap_or_default();
        let mut flat = Vec::new();
        flatten(&value["fields"], &mut flat);
        flat
    }
}

fn flatten(fields: &Value, flat: &mut Vec<(String, String)>) {
    let Value::Object(fields) = fields else {
        return;
    };
    for (key, value) in fields {
        let text = match value {
            Value::Null => continue,
            Value::Object(_) => {
                flatten(value, flat);
                continue;
            }
            Value::String(text) => text.clone(),
            Value::Array(texts) => {
                let texts: Vec<_> = texts.iter().filter_map(Value::as_str).collect();
                texts.join(",")
            }
            Value::Bool(_) | Value::Number(_) => value.to_string(),
        };
        flat.push((key.clone(), text));
    }
}

impl From<&Event> for StoredEvent {
    fn from(event: &Event) -> Self {
        // Text, numbers and lists of them: there is nothing in it that JSON cannot say.
        let value = serde_json::to_value(event).unwrap_or_default();
        let kind = value["kind"].as_str().unwrap_or_default();
        let fields = &value["fields"];
        let kind = match fields["channel"].as_str() {
            Some(channel) if OF_A_CHANNEL.contains(&kind) => kind.replacen("address", channel, 1),
            _ => kind.to_owned(),
        };
        let fields = (!fields.is_null()).then(|| fields.to_string());
        Self { kind, fields }
    }
}

/// What happened, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The event with its fields.
    Event(Box<Event>),
    /// What an earlier version wrote in words, or the fields as they are that a later one wrote; may be empty.
    Text(String),
}

impl Record {
    /// Reads what was stored under `kind`. `text`: what an earlier version stored instead of fields.
    pub(crate) fn read(kind: &str, fields: Option<String>, text: Option<String>) -> Self {
        let event = match text {
            Some(text) => return Self::Text(text),
            None => parse(kind, fields.as_deref()),
        };
        event.map_or_else(
            || Self::Text(fields.unwrap_or_default()),
            |event| Self::Event(Box::new(event)),
        )
    }
}

fn parse(kind: &str, fields: Option<&str>) -> Option<Event> {
    let mut value = serde_json::Map::new();
    if let Some(fields) = fields {
        value.insert("fields".to_owned(), serde_json::from_str(fields).ok()?);
    }
    let kind = OF_A_CHANNEL
        .into_iter()
        .find(|of_address| {
            let channel = value
                .get("fields")
                .and_then(|fields| fields["channel"].as_str());
            channel.is_some_and(|channel| of_address.replacen("address", channel, 1) == kind)
        })
        .unwrap_or(kind);
    value.insert("kind".to_owned(), kind.into());
    serde_json::from_value(value.into()).ok()
}

/// An event that was logged just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// The user it happened to, if there is one.
    pub user: Option<Account>,
    /// What happened.
    pub event: Event,
    /// From where and by whom.
    pub origin: Origin,
    /// Its place in the journal.
    pub anchor: Option<EventAnchor>,
}

/// Refused logins that have not been reported to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// How many there were.
    pub count: u32,
    /// When the last one was.
    pub last_at: Timestamp,
    /// From where the last one came: host, else terminal.
    pub last_from: Option<String>,
}

/// An event as it was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Its number, higher than that of every earlier event.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// The name of its kind, such as `passed`.
    pub kind: String,
    /// The login name of the user it happened to.
    pub user: Option<String>,
    /// From where and by whom.
    pub origin: Origin,
    /// The fields of the event.
    pub record: Record,
}

#[cfg(test)]
mod tests {
    use super::super::{Attestation, RefusalReason, UserChange};
    use super::*;
    use twofa_core::user::Verify;
    use twofa_core::{Channel, Method};

    fn read(event: &Event) -> Record {
        let StoredEvent { kind, fields } = event.into();
        Record::read(&kind, fields, None)
    }

    #[test]
    fn an_event_is_read_as_it_was_stored() {
        let channel = Channel::Sms;
        let events = [
            Event::Reset,
            Event::Refused {
                why: RefusalReason::Drifted { seconds: -60 },
            },
            Event::AddressEnrolled {
                channel,
                address: "+4930123456".into(),
                attestation: Attestation::Administrator,
                replaced: None,
            },
            Event::AddressRemoved {
                channel,
                address: "\"quoted\"".into(),
                instead: Some("+4930123457".into()),
            },
            Event::UserChanged(UserChange::Preferred {
                method: Some(Method::App),
            }),
            Event::UserChanged(UserChange::Preferred { method: None }),
            Event::UserChanged(UserChange::Verify {
                value: Verify::Never,
            }),
        ];
        for event in events {
            assert_eq!(read(&event), Record::Event(Box::new(event.clone())));
        }
    }

    #[test]
    fn the_kinds_of_addresses_are_named_for_their_channel() {
        let stored = |channel| {
            StoredEvent::from(&Event::AddressRemoved {
                channel,
                address: "it".into(),
                instead: None,
            })
        };
        assert_eq!(stored(Channel::Email).kind, "email-removed");
        assert_eq!(stored(Channel::Sms).kind, "sms-removed");
    }

    #[test]
    fn what_another_version_stored_is_kept_as_text() {
        let old = Record::read("reset", None, Some("in words".into()));
        assert_eq!(old, Record::Text("in words".into()));
        let new = Record::read("teleported", Some("{\"to\":\"Mars\"}".into()), None);
        assert_eq!(new, Record::Text("{\"to\":\"Mars\"}".into()));
        // An old row of a kind that has fields now.
        assert_eq!(
            Record::read("refused", None, None),
            Record::Text(String::new())
        );
    }
}
