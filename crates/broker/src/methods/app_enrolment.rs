//! Setting up an authenticator app or a hardware token.

use twofa_core::answer::Reply;
use twofa_core::app::{Algorithm, App, AppEntry, OtpKind, Parameters};
use twofa_core::{Answer, Key, Timestamp, Verification};
use twofa_proto::AppRequest;
use twofa_store::{Generation, NewApp};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::methods::backup_codes;
use crate::methods::change_limit;
use crate::methods::error::EnrolmentError;
use crate::sending::codes::Unsent;
use crate::text::messages::{self, WrongFirstCode};
use crate::text::qr::{Drawn, QrPicture};
use crate::text::terminal::{Stage, Terminal};

/// How often the first code of a new app may be mistyped.
const TRIES: u32 = 5;
/// How often its key is drawn.
const PICTURES: u32 = 6;

/// An app that was set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewlyEnrolled {
    /// The generation of the person's methods after that.
    pub(crate) generation: Generation,
    /// The first code had a `+`.
    pub(crate) trusts_device: bool,
}

/// Sets up an app with these `parameters` as `label`, and the backup codes if there are none.
pub(crate) fn enrol_app(
    context: Context<'_>,
    parameters: Parameters,
    label: &str,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<NewlyEnrolled, EnrolmentError> {
    terminal.reach(Stage::Enrolling);
    let (mut app, generation) = pending_app(context, parameters)?;
    let (count, trusts_device) = ask_first_code(context, &app, label, intro, terminal)?;
    app.used = Some(count);
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
    Ok(NewlyEnrolled {
        generation: with_backup.unwrap_or(generation),
        trusts_device,
    })
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

/// Shows the key until its first right code is typed. Returns the step or counter of that code, and whether it had a `+`.
///
/// At a login the key is drawn on request only: a client whose locale is not UTF-8 would show each line as octal numbers,
/// and nothing here knows which client that is, nor whether its text is lighter than the background. The command line
/// knows both, and draws by itself.
fn ask_first_code(
    context: Context<'_>,
    app: &App,
    label: &str,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<(u64, bool), EnrolmentError> {
    let url = app.url(&AppEntry {
        issuer: &context.application(),
        user: &context.account.name,
        host: &messages::host_name(),
        label,
    });
    let offers_picture = context.origin.as_login().is_some();
    let (mut tries, mut pictures) = (TRIES, 0);
    let text = messages::app_key(intro, app, &url, offers_picture).to_string();
    let mut typed = terminal.ask_with_link(text, Some(&url))?;
    while let Some(answer) = typed {
        if pictures < PICTURES && answer.expose().trim().eq_ignore_ascii_case("qr") {
            typed = terminal.ask(draw(app, &url, pictures))?;
            pictures += 1;
            continue;
        }
        let Reply {
            answer,
            trusts_device,
        } = Reply::read(answer.expose());
        let again = match answer {
            Answer::Empty => break,
            Answer::Code(code) => match app.verify(&code, context.now()) {
                Verification::Accepted { count } => return Ok((count, trusts_device)),
                verification => explain(app, &code, verification, context.now()),
            },
            _ => WrongFirstCode::Wrong,
        };
        tries -= 1;
        if tries == 0 {
            break;
        }
        typed = terminal.ask(messages::app_code_again(&again, tries))?;
    }
    Err(EnrolmentError::NotConfirmed)
}

/// The key as a picture for the time number `before` that it is drawn: for dark terminals first, then inverted.
fn draw(app: &App, url: &str, before: u32) -> String {
    let drawn = if before.is_multiple_of(2) {
        Drawn::Light
    } else {
        Drawn::Dark
    };
    QrPicture::new(url).map_or_else(
        || messages::NO_PICTURE.to_owned(),
        |picture| messages::app_picture(&picture, drawn, app).to_string(),
    )
}

/// Why `code` does not confirm the app.
fn explain(app: &App, code: &str, verification: Verification, now: Timestamp) -> WrongFirstCode {
    if matches!(verification, Verification::Drifted { .. }) {
        return WrongFirstCode::Drifted;
    }
    let ignored = app.ignored_settings(code, now);
    if ignored.is_empty() {
        WrongFirstCode::Wrong
    } else {
        WrongFirstCode::Ignored(ignored)
    }
}

/// Bytes of a key: as many as the hash has (RFC 6238 §5.1, RFC 4226 §4 R6).
fn key_bytes(parameters: Parameters) -> usize {
    match parameters.algorithm() {
        Algorithm::Sha1 => 20,
        Algorithm::Sha256 => 32,
        Algorithm::Sha512 => 64,
    }
}
