//! Setting what is not a method by itself. An address that its owner sets is one: it is verified first, if codes can be sent.

use twofa_core::{Channel, Method, Methods, Verify};
use twofa_proto::{Done, Failure, Request};
use twofa_store::{Settings, StoreError};

use super::enrol::{verification_resumed, verify_address};
use super::request::ManageRequest;
use crate::context::Context;
use crate::identity::person::Person;
use crate::methods::enrolment::Answered;
use crate::requests::error::RequestError;
use crate::text::events;
use crate::text::messages::{self, commands};
use crate::text::terminal::Terminal;

/// What happens to an address.
enum NewAddress {
    /// It is stored as it is; `None`: the one on file is removed.
    Stored(Option<String>),
    /// It is stored when a code that was sent there is typed.
    ToVerify(String),
}

/// Carries out a [`Request::Set`], or goes on with it.
pub(super) fn settings(
    manage: &ManageRequest<'_>,
    request: &Request,
    resumed: Option<Answered<'_>>,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    let Request::Set {
        verify,
        email,
        phone,
        prefer,
        attested,
        ..
    } = request
    else {
        return Err(commands::NO_LOGIN_HERE.into());
    };
    if *attested && !manage.peer.is_root() {
        return Err(commands::ONLY_ROOT_ATTESTS.into());
    }
    let mut settings = Settings {
        verify: new_verify(manage, verify.as_deref())?,
        preferred: prefer.as_deref().map(preferred).transpose()?,
        attested: *attested,
        ..Settings::default()
    };
    let mut to_verify = Vec::new();
    for (channel, text) in [(Channel::Email, email), (Channel::Sms, phone)] {
        let Some(text) = text else { continue };
        match new_address(manage, channel, text)? {
            NewAddress::ToVerify(address) => to_verify.push((channel, address)),
            NewAddress::Stored(address) => settings.addresses[channel] = Some(address),
        }
    }
    let context = manage.context;
    let store = context.store();
    let mut generation = context.person.snapshot.generation;
    let mut left = to_verify.as_slice();
    if let Some(answered) = resumed {
        // Those before it are verified.
        let channel = answered.state.channel();
        let place = left.iter().position(|(of, _)| Some(*of) == channel);
        let place = place.ok_or(StoreError::ChangedMeanwhile)?;
        left = left.get(place + 1..).unwrap_or_default();
        generation = verification_resumed(context, answered, terminal)?;
    }
    for (channel, address) in left {
        // Each verification changes what the next is permitted on, and nothing else may.
        let fresh = Person::load(store, context.account)?;
        if fresh.snapshot.generation != generation {
            return Err(StoreError::ChangedMeanwhile.into());
        }
        let context = Context {
            person: &fresh,
            ..context
        };
        generation = verify_address(context, *channel, Some(address), terminal)?;
    }
    let (account, origin) = (context.account, context.origin);
    let changes = store.set_user(account, generation, &settings, origin, context.now())?;
    if changes.is_empty() && to_verify.is_empty() {
        terminal.info(messages::NOTHING_TO_CHANGE.into())?;
    }
    for change in changes.iter().filter_map(events::change) {
        terminal.info(messages::user_changed(&account.name, &change).into())?;
    }
    Ok(Done::Changed)
}

fn new_address(
    manage: &ManageRequest<'_>,
    channel: Channel,
    text: &str,
) -> Result<NewAddress, RequestError> {
    if text.trim().is_empty() {
        manage.may_lose(channel.method())?;
        return Ok(NewAddress::Stored(None));
    }
    let address = manage.address(channel, text)?;
    if manage.peer.is_root() {
        return Ok(NewAddress::Stored(Some(address)));
    }
    if manage.context.services.sender.serves(channel) {
        return Ok(NewAddress::ToVerify(address));
    }
    let known = manage.context.user().contacts[channel].as_ref();
    if known.is_some_and(|known| known.verified && known.address != address) {
        let message = commands::cannot_send_now(channel);
        return Err(RequestError::new(Failure::Failed, message).hinted(commands::ADDRESS_STAYS));
    }
    Ok(NewAddress::Stored(Some(address)))
}

fn new_verify(
    manage: &ManageRequest<'_>,
    text: Option<&str>,
) -> Result<Option<Verify>, RequestError> {
    let verify: Option<Verify> = text
        .map(str::parse)
        .transpose()
        .map_err(|bad| RequestError::new(Failure::Usage, commands::bad_verify(&bad)))?;
    let context = manage.context;
    let is_obliged = context.user().summary().is_obliged(context.policy());
    if verify == Some(Verify::Never) && is_obliged && !manage.peer.is_root() {
        return Err(commands::VERIFY_REQUIRED.into());
    }
    Ok(verify)
}

/// The method that logins ask for first; an empty one is removed.
fn preferred(text: &str) -> Result<Option<Method>, RequestError> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<Method>() {
        Ok(method) if method.info().stands_alone => Ok(Some(method)),
        _ => {
            let message = commands::bad_preference(Methods::standing_alone());
            Err(RequestError::new(Failure::Usage, message))
        }
    }
}
