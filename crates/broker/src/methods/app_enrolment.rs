//! Setting up an authenticator app or a hardware token.

use twofa_core::answer::Reply;
use twofa_core::app::{Algorithm, App, AppEntry, OtpKind, Parameters};
use twofa_core::{Answer, Key, Timestamp, Verification};
use twofa_proto::{AppRequest, Secret};
use twofa_store::{AnswerVerdict, NewApp};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::methods::change_limit;
use crate::methods::enrolment::{Enrolling, Step};
use crate::methods::enrolment_state::{AppState, At, SetUp};
use crate::methods::error::EnrolmentError;
use crate::sending::codes::Unsent;
use crate::text::messages::{self, WrongFirstCode};
use crate::text::qr::{Drawn, QrPicture};
use crate::text::terminal::{Stage, Terminal};

/// How often the first code of a new app may be mistyped.
const TRIES: u32 = 5;
/// How often its key is drawn.
const PICTURES: u32 = 6;

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

impl Enrolling<'_> {
    /// Begins to set up an app with these `parameters` as `label`: shows its key.
    ///
    /// At a login the key is drawn on request only: a client whose locale is not UTF-8 would show each line as octal numbers,
    /// and nothing here knows which client that is, nor whether its text is lighter than the background. The command line
    /// knows both, and draws by itself.
    pub(super) fn begin_app(
        &mut self,
        parameters: Parameters,
        label: &str,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        terminal.reach(Stage::Enrolling);
        let app = self.pending_app(parameters)?;
        let state = AppState::new(&app, label, messages::host_name(), TRIES);
        let url = self.url(&app, &state);
        let offers_picture = self.context.origin.as_login().is_some();
        let text = messages::app_key(intro, &app, &url, offers_picture);
        Ok(Step::ask_with_link(&text, url, At::App(state)))
    }

    /// The app whose key was shown before and not confirmed, or a new one. It is stored before it is shown.
    fn pending_app(&mut self, parameters: Parameters) -> Result<App, EnrolmentError> {
        let context = self.context;
        let Context {
            account, origin, ..
        } = context;
        let (store, now) = (context.store(), context.now());
        if let Some(app) = store.pending_app(account, parameters, origin, now)? {
            return Ok(app);
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
        self.generation = store.keep_pending_app(account, self.generation, &app, origin, now)?;
        Ok(app)
    }

    fn url(&self, app: &App, state: &AppState) -> Zeroizing<String> {
        app.url(&AppEntry {
            issuer: &self.context.application(),
            user: &self.context.account.name,
            host: &state.host,
            label: &state.label,
        })
    }

    /// What follows from an answer while the key is shown.
    pub(super) fn app_answered(
        &mut self,
        mut state: AppState,
        typed: Option<Secret>,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        let typed = typed.ok_or(EnrolmentError::NotConfirmed)?;
        let app = state.app()?;
        if state.pictures < PICTURES && typed.expose().trim().eq_ignore_ascii_case("qr") {
            let text = draw(&app, &self.url(&app, &state), state.pictures);
            state.pictures += 1;
            return Ok(Step::ask(&text, At::App(state)));
        }
        let Reply {
            answer,
            trusts_device,
        } = Reply::read(typed.expose());
        let now = self.context.now();
        if let Some(AnswerVerdict::Enrolled(generation)) = self.verdict {
            let label = state.label.clone();
            return self.enrolled(SetUp::App { label }, *generation, trusts_device, terminal);
        }
        let again = match answer {
            Answer::Empty => return Err(EnrolmentError::NotConfirmed),
            Answer::Code(code) => match app.verify(&code, now) {
                Verification::Accepted { count } => {
                    return self.keep_app(app, count, &state.label, trusts_device, terminal);
                }
                verification => explain(&app, &code, verification, now),
            },
            _ => WrongFirstCode::Wrong,
        };
        state.tries = state.tries.saturating_sub(1);
        if state.tries == 0 {
            return Err(EnrolmentError::NotConfirmed);
        }
        let text = messages::app_code_again(&again, state.tries);
        Ok(Step::ask(&text, At::App(state)))
    }

    /// Keeps the app, of whose first code `count` is the step or counter.
    fn keep_app(
        &mut self,
        app: App,
        count: u64,
        label: &str,
        trusts_device: bool,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        let Context {
            account, origin, ..
        } = self.context;
        let label = label.to_owned();
        let used = Some(count);
        let new = NewApp {
            label: label.clone(),
            app: App { used, ..app },
        };
        let (store, now) = (self.context.store(), self.context.now());
        let generation = store.enrol_app(account, self.generation, &new, origin, now)?;
        self.enrolled(SetUp::App { label }, generation, trusts_device, terminal)
    }
}

/// The key as a picture for the time number `before` that it is drawn: for dark terminals first, then inverted.
fn draw(app: &App, url: &str, before: u32) -> Zeroizing<String> {
    let drawn = if before.is_multiple_of(2) {
        Drawn::Light
    } else {
        Drawn::Dark
    };
    QrPicture::new(url).map_or_else(
        || Zeroizing::new(messages::NO_PICTURE.to_owned()),
        |picture| messages::app_picture(&picture, drawn, app),
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
