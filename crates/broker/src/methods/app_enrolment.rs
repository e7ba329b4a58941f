//! Setting up an authenticator app or a hardware token.

use twofa_core::app::{Algorithm, App, OtpKind, Parameters};
use twofa_core::{Answer, Key, Verification};
use twofa_proto::AppRequest;
use twofa_store::{Generation, NewApp};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::methods::backup_codes;
use crate::methods::change_limit;
use crate::methods::error::EnrolmentError;
use crate::sending::codes::Unsent;
use crate::text::messages;
use crate::text::qr;
use crate::text::terminal::{Stage, Terminal};

/// How often the first code of a new app may be mistyped.
const TRIES: u32 = 5;

/// Sets up an app with these `parameters` as `label`, and the backup codes if there are none. Returns the new generation of
/// the methods.
pub(crate) fn enrol_app(
    context: Context<'_>,
    parameters: Parameters,
    label: &str,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<Generation, EnrolmentError> {
    terminal.reach(Stage::Enrolling);
    let (mut app, generation) = pending_app(context, parameters)?;
    app.used = Some(ask_first_code(context, &app, intro, terminal)?);
    let new = NewApp {
        label: label.to_owned(),
        app,
    };
    let Context {
        account, origin, ..
    } = context;
    let generation = context
        .store()
        .enrol_app(account, generation, &new, origin, context.now())?;
    terminal.reach(Stage::Enrolled);
    let with_backup = backup_codes::make_missing(context, generation, terminal)?;
    Ok(with_backup.unwrap_or(generation))
}

/// The parameters that a client asks for, if an app can have them.
pub(crate) fn parameters(request: &AppRequest) -> Result<Parameters, Box<dyn std::error::Error>> {
    let kind = if request.counter {
        OtpKind::Counter
    } else {
        let period = request.period;
        OtpKind::Time { period }
    };
    Ok(Parameters::new(
        kind,
        request.algorithm.parse()?,
        request.digits,
    )?)
}

/// The app whose key was shown before and not confirmed, or a new one. It is stored before it is shown.
fn pending_app(
    context: Context<'_>,
    parameters: Parameters,
) -> Result<(App, Generation), EnrolmentError> {
    let Context {
        account,
        origin,
        person,
        ..
    } = context;
    let (store, now) = (context.store(), context.now());
    let generation = person.snapshot.generation;
    if let Some(app) = store.pending_app(account, parameters, origin, now)? {
        return Ok((app, generation));
    }
    if let Some(text) = change_limit::count_unproved(context)? {
        let is_limited = true;
        return Err(EnrolmentError::NotSent(Unsent { text, is_limited }));
    }
    let mut bytes = Zeroizing::new(vec![0; key_bytes(parameters)]);
    getrandom::fill(&mut bytes)?;
    let app = App {
        parameters,
        key: Key::new(bytes.to_vec())?,
        used: None,
    };
    let generation = store.keep_pending_app(account, generation, &app, origin, now)?;
    Ok((app, generation))
}

/// Shows the key until its first right code is typed. Returns the step or counter of that code.
fn ask_first_code(
    context: Context<'_>,
    app: &App,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<u64, EnrolmentError> {
    let url = app.url(&context.application(), &context.account.name);
    let picture = qr::half_blocks(&url);
    let picture = picture.as_deref().map(String::as_str);
    let mut text = messages::app_key(intro, picture, app, &url).to_string();
    for left in (0..TRIES).rev() {
        let typed = terminal.ask(text)?;
        let verification = match typed.map(|typed| Answer::read(typed.expose())) {
            None | Some(Answer::Empty) => break,
            Some(Answer::Code(code)) => app.verify(&code, context.now()),
            Some(_) => Verification::Wrong,
        };
        if let Verification::Accepted { count } = verification {
            return Ok(count);
        }
        let is_drifted = matches!(verification, Verification::Drifted { .. });
        text = messages::app_code_again(is_drifted, left.max(1));
    }
    Err(EnrolmentError::NotConfirmed)
}

/// Bytes of a key: as many as the hash has (RFC 6238 §5.1, RFC 4226 §4 R6).
fn key_bytes(parameters: Parameters) -> usize {
    match parameters.algorithm() {
        Algorithm::Sha1 => 20,
        Algorithm::Sha256 => 32,
        Algorithm::Sha512 => 64,
    }
}
