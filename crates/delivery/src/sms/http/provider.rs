//! An open provider with an HTTP interface.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use data_encoding::HEXLOWER;
use twofa_core::{Channel, Timestamp};

use super::api::{Api, MAX_ANSWER, MAX_LIST, settings_error};
use super::inbox::iso8601;
use super::sample::set_message;
use super::{inbox, request};
use crate::error::{SendError, Step};
use crate::message::Message;
use crate::phone;
use crate::provider::{
    BadProvider, InboundSms, Inbox, Provider, ProviderConfig, ProviderKind, Receipt,
};
use crate::sms::data_file::{DataFile, Values};
use crate::sms::recipient::format_number;
use crate::templates::{Templates, septets};

/// How long a message is kept that the provider lists only once, in seconds.
const KEEP_RECEIVED: u64 = 60 * 60;
/// The maximum number of such messages that are kept.
const MAX_KEPT: usize = 1000;

/// An open provider.
pub(in crate::sms) struct HttpProvider {
    api: Api,
    from: Option<String>,
    /// The number that people send messages to; `None` if the provider lists no messages.
    inbox_number: Option<String>,
    templates: Templates,
    /// Messages that the provider will not list again, with the time until which each is kept.
    kept: Mutex<Vec<(Timestamp, InboundSms)>>,
}

impl HttpProvider {
    /// Opens the provider that `data_file` describes, with the settings in `config`. Connects to nothing.
    pub(in crate::sms) fn open(
        data_file: Arc<DataFile>,
        kind: &ProviderKind,
        config: &ProviderConfig,
        templates: Templates,
    ) -> Result<Self, BadProvider> {
        let inbox = data_file.inbox.as_ref();
        let inbox_number = inbox
            .and_then(|inbox| config.value(kind, &inbox.number))
            .map(phone::normalise_sender)
            .filter(|number| is_number(number));
        Ok(Self {
            inbox_number,
            api: Api::open(data_file, kind, config)?,
            from: config.value(kind, "from").map(phone::normalise_sender),
            templates,
            kept: Mutex::default(),
        })
    }

    /// Adds `received` to the messages that are kept, and returns all of them that are still kept at `now`.
    fn keep(&self, received: Vec<InboundSms>, now: Timestamp) -> Vec<InboundSms> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(until, _)| *until > now);
        kept.extend(
            received
                .into_iter()
                .map(|message| (message.at.unwrap_or(now).after(KEEP_RECEIVED), message)),
        );
        let surplus = kept.len().saturating_sub(MAX_KEPT);
        kept.drain(..surplus);
        kept.iter().map(|(_, message)| message.clone()).collect()
    }
}

impl Provider for HttpProvider {
    fn channel(&self) -> Channel {
        Channel::Sms
    }

    fn send(&self, to: &str, message: &Message, deadline: Instant) -> Result<Receipt, SendError> {
        let data_file = &self.api.data_file;
        let number = &data_file.number;
        let text = self.templates.sms(message)?;
        let mut values = self.api.values.clone();
        values.set(
            "to",
            format_number(to, number.format, &number.calling_codes)?,
        );
        values.set("unicode", septets(&text).is_none());
        values.set("text", text.as_str());
        set_lifetime(&mut values, message);
        values.set("uuid", random_uuid()?);
        let mut secrets = self.api.secrets.clone();
        secrets.add(&text);
        if let Message::Code(code) = message {
            secrets.add(&code.code);
        }
        let request = self.api.request(&data_file.send, &values)?;
        let answer = self
            .api
            .call(&data_file.send, request, MAX_ANSWER, deadline, &secrets)?;
        let id = data_file.id.as_ref().and_then(|path| path.first(&answer));
        Ok(Receipt {
            id: id.map(|id| secrets.redact(&id)).filter(|id| !id.is_empty()),
        })
    }

    fn check(&self, deadline: Instant) -> Result<(), SendError> {
        // Settings with which no message can be built are found now instead of at the first code.
        let mut values = self.api.values.clone();
        set_message(&mut values, &self.api.data_file).map_err(settings_error)?;
        self.api.request(&self.api.data_file.send, &values)?;
        let Some(check) = &self.api.data_file.check else {
            let url = request::parse_url(&self.api.base).map_err(settings_error)?;
            let reached = self.api.client.reach(url, deadline);
            return reached.map_err(inbox::without_message);
        };
        let request = self.api.request(check, &self.api.values)?;
        self.api
            .call(check, request, MAX_LIST, deadline, &self.api.secrets)
            .map(|_| ())
            .map_err(inbox::without_message)
    }

    fn certificate_end(&self) -> Option<Timestamp> {
        self.api.client.certificate_end()
    }

    fn sender_address(&self) -> Option<&str> {
        self.from.as_deref().filter(|from| is_number(from))
    }

    fn inbox(&self) -> Option<&dyn Inbox> {
        self.inbox_number.is_some().then_some(self)
    }
}

impl Inbox for HttpProvider {
    fn number(&self) -> &str {
        self.inbox_number.as_deref().unwrap_or_default()
    }

    fn received(&self, since: Timestamp, deadline: Instant) -> Result<Vec<InboundSms>, SendError> {
        let Some(spec) = &self.api.data_file.inbox else {
            return Ok(Vec::new());
        };
        let received = inbox::list(&self.api, spec, since, deadline)?;
        if spec.once {
            // They are not listed again, and the next caller may be the one who waits for them.
            return Ok(self.keep(received, since));
        }
        Ok(received)
    }
}

/// Sets how long and until when the code in `message` is valid; no values for a message without a code.
fn set_lifetime(values: &mut Values, message: &Message) {
    let Message::Code(code) = message else {
        for name in ["lifetime", "expires", "expires-time"] {
            values.set(name, ());
        }
        return;
    };
    let expires = code.at.after(code.lifetime);
    values.set("lifetime", code.lifetime);
    values.set("expires", expires.unix());
    values.set("expires-time", iso8601(expires));
}

impl fmt::Debug for HttpProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProvider")
            .field("kind", &self.api.data_file.name)
            .field("base", &self.api.base)
            .finish_non_exhaustive()
    }
}

/// A random UUID (RFC 9562 §5.4).
fn random_uuid() -> Result<String, SendError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| SendError::new(Step::Program, format!("no random numbers: {error}")))?;
    bytes[6] = bytes[6] & 0x0f | 0x40; // version 4
    bytes[8] = bytes[8] & 0x3f | 0x80; // variant
    let hex = HEXLOWER.encode(&bytes);
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    Ok(parts.join("-"))
}

/// Whether `from` is a number, to which something can be sent. It may also be a name.
fn is_number(from: &str) -> bool {
    let digits = from.strip_prefix('+').unwrap_or(from);
    digits.len() >= 3 && digits.bytes().all(|b| b.is_ascii_digit())
}
