//! Enrolling apps, addresses and backup codes.

use twofa_core::app::DEFAULT_LABEL;
use twofa_core::channel::AddressKind;
use twofa_core::text::is_unprintable;
use twofa_core::{Channel, Method, User};
use twofa_proto::{AppRequest, Done, Failure};
use twofa_store::{Generation, StoreError};

use super::request::{ManageRequest, sending_channel};
use crate::context::Context;
use crate::methods::app_enrolment;
use crate::methods::enrolment::{self, Answered};
use crate::methods::enrolment_state::Verified;
use crate::methods::error::EnrolmentError;
use crate::requests::error::RequestError;
use crate::sending::addresses;
use crate::text::messages::{self, commands};
use crate::text::terminal::Terminal;

/// Characters of a label, at most.
const MAX_LABEL: usize = 32;

/// Enrols an authenticator app.
pub(super) fn app(
    context: Context<'_>,
    request: &AppRequest,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    let parameters = app_enrolment::parameters(request)
        .map_err(|bad| RequestError::new(Failure::Usage, bad.to_string()))?;
    let label = label(request.label.as_deref(), DEFAULT_LABEL, context.user())?;
    let intro = messages::new_app(&context.account.name, &label);
    enrolment::enrol_app(context, parameters, &label, &intro, terminal).map_err(not_enrolled)?;
    app_enrolled(context, &label, terminal)
}

/// Goes on with that.
pub(super) fn app_resumed(
    context: Context<'_>,
    answered: Answered<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    let enrolled = enrolment::resume(context, answered, terminal).map_err(not_enrolled)?;
    app_enrolled(context, enrolled.label().unwrap_or_default(), terminal)
}

fn not_enrolled(error: EnrolmentError) -> RequestError {
    let is_unconfirmed = matches!(error, EnrolmentError::NotConfirmed);
    let error = RequestError::from(error);
    if is_unconfirmed {
        error.hinted(commands::SAME_KEY_AGAIN)
    } else {
        error
    }
}

fn app_enrolled(
    context: Context<'_>,
    label: &str,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    terminal.info(messages::app_enrolled(label).into())?;
    mention_disabled(context, terminal)?;
    Ok(Done::Changed)
}

/// Enrols an address: it is kept when a code that was sent there is typed.
pub(super) fn address(
    manage: &ManageRequest<'_>,
    method: &str,
    address: Option<&str>,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    let context = manage.context;
    let channel = sending_channel(method)?;
    if !context.policy().methods.contains(channel.method()) {
        let message = commands::channel_not_allowed(channel);
        return Err(RequestError::new(Failure::NotPermitted, message));
    }
    if !context.services.sender.serves(channel) {
        let message = commands::cannot_send_yet(channel);
        return Err(RequestError::new(Failure::Failed, message).hinted(commands::ADD_A_PROVIDER));
    }
    let address = address
        .map(|text| manage.address(channel, text))
        .transpose()?;
    verify_address(context, channel, address.as_deref(), terminal)?;
    mention_disabled(context, terminal)?;
    Ok(Done::Changed)
}

/// Goes on with that.
pub(super) fn address_resumed(
    context: Context<'_>,
    answered: Answered<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    verification_resumed(context, answered, terminal)?;
    mention_disabled(context, terminal)?;
    Ok(Done::Changed)
}

/// Goes on with the verification of an address. Returns the generation of the person's methods after that.
pub(super) fn verification_resumed(
    context: Context<'_>,
    answered: Answered<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Generation, RequestError> {
    let (channel, verified) = enrolment::resume(context, answered, terminal)?.verified()?;
    let text = messages::address_enrolled(channel, &verified.address);
    terminal.info(text.into())?;
    Ok(verified.generation)
}

/// Verifies an address. Returns the generation of the person's methods after that.
pub(super) fn verify_address(
    context: Context<'_>,
    channel: Channel,
    address: Option<&str>,
    terminal: &mut dyn Terminal,
) -> Result<Generation, RequestError> {
    if let (AddressKind::Phone, Some(number)) = (channel.address_kind(), address) {
        let number = addresses::readable(number);
        terminal.info(messages::number_read(&number).into())?;
    }
    let Verified {
        address,
        generation,
        ..
    } = enrolment::enrol_address(context, channel, address, "", terminal)?;
    terminal.info(messages::address_enrolled(channel, &address).into())?;
    Ok(generation)
}

/// Makes new backup codes.
pub(super) fn backup_codes(
    context: Context<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    let allowed = context.policy().methods;
    if !allowed.contains(Method::Backup) {
        return Err(commands::NO_BACKUP_CODES_ALLOWED.into());
    }
    if !context.user().is_enrolled(allowed) {
        return Err(commands::BACKUP_CODES_ALONE.into());
    }
    let are_kept = enrolment::new_backup_codes(context, terminal)?;
    codes_made(are_kept, terminal)
}

/// Goes on with that.
pub(super) fn backup_codes_resumed(
    context: Context<'_>,
    answered: Answered<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    let made = enrolment::resume(context, answered, terminal)?;
    codes_made(made.are_codes_kept(), terminal)
}

fn codes_made(are_kept: bool, terminal: &mut dyn Terminal) -> Result<Done, RequestError> {
    if !are_kept {
        return Err(commands::BACKUP_CODES_UNCHANGED.into());
    }
    terminal.info(messages::BACKUP_CODES_REPLACED.into())?;
    Ok(Done::Changed)
}

fn mention_disabled(context: Context<'_>, terminal: &mut dyn Terminal) -> Result<(), RequestError> {
    if !context.policy().mode.asks() {
        terminal.info(messages::NOT_ASKED_YET.into())?;
    }
    Ok(())
}

/// The label that is asked for, if it is valid, or else the first unused one of `default`, `default-2`, ... Authenticator apps
/// show it after the account, where a colon has a special meaning.
pub(super) fn label(
    asked: Option<&str>,
    default: &str,
    user: &User,
) -> Result<String, RequestError> {
    let is_taken = |label: &str| {
        user.apps.iter().any(|app| app.label == label)
            || user.security_keys.iter().any(|key| key.label == label)
    };
    let Some(asked) = asked.map(str::trim) else {
        let numbered = (2..).map(|n| format!("{default}-{n}"));
        let mut labels = std::iter::once(default.to_owned()).chain(numbered);
        let free = labels.find(|label| !is_taken(label));
        return free.ok_or_else(|| commands::NO_FREE_LABEL.into());
    };
    let fits = !asked.is_empty() && asked.chars().count() <= MAX_LABEL;
    let is_unfit = |c| is_unprintable(c) || c == ':';
    if !fits || asked.chars().any(is_unfit) || asked == Method::Backup.name() {
        return Err(commands::BAD_LABEL.into());
    }
    if is_taken(asked) {
        return Err(StoreError::LabelTaken(asked.to_owned()).into());
    }
    Ok(asked.to_owned())
}
