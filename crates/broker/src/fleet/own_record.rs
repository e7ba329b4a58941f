//! What a person does with their own record on a host: passed on to a server, and read there.
//!
//! Only the host knows who runs the command (the uid of the process). So a server shows the record
//! without addresses, and changes it only with a code that it verifies in the same conversation.

use std::time::Instant;

use serde_json::Value;
use twofa_core::Account;
use twofa_fleet::client::{Conversation, Servers};
use twofa_fleet::wire::{self, FromServer, HostRequest, OwnAct, OwnEnd};
use twofa_proto::codec::CodecError;
use twofa_proto::{AppRequest, ConnectionError, Done, Failure, Request, UserReport, WORK_TIMEOUT};
use twofa_store::{Store, StoreError};

use super::marks;
use super::relay::{self, Said, TRANSIT, clean};
use crate::process::log;
use crate::text::messages::commands::{self, Refusal};
use crate::text::terminal::{Stage, Terminal, TerminalClosed};

/// The request as it is sent to a server; `None`: it is none that a host passes on.
pub(crate) fn act(request: &Request) -> Option<OwnAct> {
    Some(match request {
        Request::Status { .. } => OwnAct::Show,
        Request::EnrolApp { app, .. } => {
            let AppRequest {
                label,
                counter,
                algorithm,
                digits,
                period,
            } = app.clone();
            OwnAct::EnrolApp {
                label,
                counter,
                algorithm,
                digits,
                period,
            }
        }
        Request::EnrolAddress {
            method, address, ..
        } => OwnAct::EnrolAddress {
            method: method.clone(),
            address: address.clone(),
        },
        Request::Remove { method, .. } => OwnAct::Remove {
            method: method.clone(),
        },
        Request::Set {
            verify,
            email,
            phone,
            prefer,
            attested: false,
            ..
        } => OwnAct::Set {
            verify: verify.clone(),
            email: email.clone(),
            phone: phone.clone(),
            prefer: prefer.clone(),
        },
        Request::NewBackupCodes { .. } => OwnAct::NewBackupCodes,
        _ => return None,
    })
}

/// What was sent, in the terms of this machine.
pub(crate) fn request(user: &str, act: OwnAct) -> Request {
    let user = user.to_owned();
    match act {
        OwnAct::Show => Request::Status { user },
        OwnAct::EnrolApp {
            label,
            counter,
            algorithm,
            digits,
            period,
        } => Request::EnrolApp {
            user,
            app: AppRequest {
                label,
                counter,
                algorithm,
                digits,
                period,
            },
        },
        OwnAct::EnrolAddress { method, address } => Request::EnrolAddress {
            user,
            method,
            address,
        },
        OwnAct::Remove { method } => Request::Remove { user, method },
        OwnAct::Set {
            verify,
            email,
            phone,
            prefer,
        } => Request::Set {
            user,
            verify,
            email,
            phone,
            prefer,
            attested: false,
        },
        OwnAct::NewBackupCodes => Request::NewBackupCodes { user },
    }
}

/// How it ended, as a host is told.
pub(crate) fn end_on_the_wire(done: Done) -> OwnEnd {
    let failed = |failure, message: String, hint| OwnEnd::Failed {
        failure,
        message,
        hint,
    };
    match done {
        Done::Status(report) => serde_json::to_string(&report).map_or_else(
            |error| failed(wire::Failure::Failed, error.to_string(), None),
            OwnEnd::Record,
        ),
        Done::Changed => OwnEnd::Changed,
        Done::Failed {
            failure,
            message,
            hint,
        } => failed(failure_on_the_wire(failure), message, hint),
        _ => failed(
            wire::Failure::Failed,
            commands::NO_LOGIN_HERE.message.to_owned(),
            None,
        ),
    }
}

/// Has a server carry out `act` for `account`, whose process asks.
pub(crate) fn relay(
    servers: &Servers,
    store: &Store,
    account: &Account,
    act: OwnAct,
    terminal: &mut dyn Terminal,
) -> Result<Done, TerminalClosed> {
    let deadline = Instant::now() + WORK_TIMEOUT;
    let seen = match store.last_mark() {
        Ok(mark) => mark.as_ref().map(marks::on_the_wire),
        Err(error) => return Ok(failed_store(&error)),
    };
    let request = HostRequest {
        conversation: [0; 16],
        deadline: 0,
        user: account.name.clone(),
        uid: account.uid,
        act,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seen,
    };
    let mut conversation = match servers.open_own(&request, deadline) {
        Ok(conversation) => conversation,
        Err(unreached) => {
            log::warn(&unreached.to_string());
            return Ok(failed(commands::NO_SERVER));
        }
    };
    relay::remember(store, conversation.mark());
    if matches!(
        request.act,
        OwnAct::EnrolApp { .. } | OwnAct::EnrolAddress { .. } | OwnAct::Set { .. }
    ) {
        terminal.reach(Stage::Enrolling);
    }
    match converse(&mut conversation, deadline, terminal)? {
        Ok((done, is_over)) => {
            if is_over {
                conversation.finish();
            }
            Ok(done)
        }
        Err(error) => {
            log::warn(&format!("{}: {error}", conversation.server()));
            Ok(failed(commands::SERVER_LOST))
        }
    }
}

/// What is said until the end, and whether the connection can be used again.
fn converse(
    conversation: &mut Conversation<'_>,
    mut deadline: Instant,
    terminal: &mut dyn Terminal,
) -> Result<Result<(Done, bool), ConnectionError>, TerminalClosed> {
    let mut last_error = None;
    loop {
        let message = match conversation.receive(deadline + TRANSIT) {
            Ok(message) => message,
            Err(error) => return Ok(Err(error)),
        };
        match relay::show(message, terminal)? {
            Said::Shown => {}
            // The command line says it at the end.
            Said::Error(text) => last_error = Some(text),
            Said::Answered(answer) => {
                deadline = Instant::now() + WORK_TIMEOUT;
                if let Err(error) = conversation.answer(answer, deadline) {
                    return Ok(Err(error));
                }
            }
            Said::Other(FromServer::Own(end)) => return Ok(Ok((read_end(end), true))),
            Said::Other(FromServer::Done { verdict, .. }) => {
                return Ok(Ok((refused(verdict, last_error), false)));
            }
            Said::Other(_) => return Ok(Err(CodecError::Aborted.into())),
        }
    }
}

/// Where the server refused before it looked at the request, or another one has never had it.
fn refused(verdict: wire::Verdict, text: Option<String>) -> Done {
    match (verdict, text) {
        (wire::Verdict::NoAnswer, _) | (_, None) => failed(commands::SERVER_LOST),
        (wire::Verdict::Unavailable, Some(text)) => failure(Failure::Unavailable, &text, None),
        (_, Some(text)) => failure(Failure::Denied, &text, None),
    }
}

fn read_end(end: OwnEnd) -> Done {
    match end {
        OwnEnd::Record(json) => read_record(&json).map_or_else(
            || failed(commands::OTHER_VERSION),
            |record| Done::Status(Box::new(record)),
        ),
        OwnEnd::Changed => Done::Changed,
        OwnEnd::Failed {
            failure: kind,
            message,
            hint,
        } => failure(read_failure(kind), &message, hint.as_deref()),
    }
}

/// The record, with all its texts cleaned.
fn read_record(json: &str) -> Option<UserReport> {
    let mut value: Value = serde_json::from_str(json).ok()?;
    clean_texts(&mut value);
    serde_json::from_value(value).ok()
}

fn clean_texts(value: &mut Value) {
    match value {
        Value::String(text) => {
            let cleaned = clean(text);
            cleaned.expose().clone_into(text);
        }
        Value::Array(values) => values.iter_mut().for_each(clean_texts),
        Value::Object(values) => values.values_mut().for_each(clean_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn failed(refusal: Refusal) -> Done {
    failure(refusal.failure, refusal.message, refusal.hint)
}

fn failed_store(error: &StoreError) -> Done {
    failure(Failure::Unavailable, &error.to_string(), error.hint())
}

fn failure(failure: Failure, message: &str, hint: Option<&str>) -> Done {
    Done::Failed {
        failure,
        message: clean(message).expose().to_owned(),
        hint: hint.map(|hint| clean(hint).expose().to_owned()),
    }
}

const fn failure_on_the_wire(failure: Failure) -> wire::Failure {
    match failure {
        Failure::Failed => wire::Failure::Failed,
        Failure::Usage => wire::Failure::Usage,
        Failure::NotPermitted => wire::Failure::NotPermitted,
        Failure::NotFound => wire::Failure::NotFound,
        Failure::Denied => wire::Failure::Denied,
        Failure::Unavailable => wire::Failure::Unavailable,
    }
}

const fn read_failure(failure: wire::Failure) -> Failure {
    match failure {
        wire::Failure::Failed => Failure::Failed,
        wire::Failure::Usage => Failure::Usage,
        wire::Failure::NotPermitted => Failure::NotPermitted,
        wire::Failure::NotFound => Failure::NotFound,
        wire::Failure::Denied => Failure::Denied,
        wire::Failure::Unavailable => Failure::Unavailable,
    }
}
