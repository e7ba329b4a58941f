//! What is said to a host in a conversation.

use std::time::Instant;

use twofa_fleet::stream::ToHost;
use twofa_fleet::wire::{self, FromServer};
use twofa_proto::ConnectionError;
use twofa_proto::codec::CodecError;
use twofa_proto::state::State;
use twofa_store::StoreError;

use super::WRITE_TIMEOUT;
use crate::process::log;
use crate::text::messages::{self, reasons};

pub(super) fn send(
    link: &mut ToHost,
    state: &mut State,
    message: &FromServer,
) -> Result<(), ConnectionError> {
    *state = state.after(message.kind())?;
    link.set_deadline(Instant::now() + WRITE_TIMEOUT);
    Ok(link.send(message)?)
}

/// Ends the conversation of a host that is not one of the fleet now, and with it the connection.
pub(super) fn refuse_host(
    link: &mut ToHost,
    state: State,
    error: &StoreError,
) -> Result<(), ConnectionError> {
    let (text, verdict) = match error {
        StoreError::HostRefused => (messages::HOST_REFUSED, wire::Verdict::Denied),
        _ => (messages::UNAVAILABLE, wire::Verdict::Unavailable),
    };
    log::warn(&reasons::host_refused(error));
    refuse(link, state, text, verdict, &error.to_string())?;
    Err(CodecError::Aborted.into())
}

pub(super) fn refuse(
    link: &mut ToHost,
    mut state: State,
    text: &str,
    verdict: wire::Verdict,
    why: &str,
) -> Result<(), ConnectionError> {
    if state == State::Opened {
        send(link, &mut state, &FromServer::Accepted(None))?;
    }
    send(link, &mut state, &FromServer::Error(text.to_owned()))?;
    let why = why.to_owned();
    send(link, &mut state, &FromServer::Done { verdict, why })
}
