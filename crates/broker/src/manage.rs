//! What people and administrators do with a record: look, enrol, remove, make backup codes.

use twofa_core::app::{Algorithm, App, Movement, Parameters};
use twofa_core::backup::{self, BackupCode, BackupSet};
use twofa_core::user::EnrolledApp;
use twofa_core::{Account, Key, Lock, Mode, Status, Timestamp, Verification};
use twofa_proto::{AppReport, AppRequest, Done, Failure, Report, Request, Standing};
use twofa_store::{NewApp, Origin, Situation, Store, StoreError};
use zeroize::Zeroizing;

use crate::authority::{Peer, Permission};
use crate::challenge::{Challenge, ChallengeError, Outcome};
use crate::dialogue::{Dialogue, Gone};
use crate::{accounts, qr, words};

/// How often the first code of a new app may be mistyped.
const CONFIRMATIONS: u32 = 5;
const LONGEST_LABEL: usize = 32;
/// What the backup codes are called where an app's label could stand.
const BACKUP: &str = "backup";

/// Why a request was not carried out.
struct Refusal {
    failure: Failure,
    message: String,
    hint: Option<String>,
}

impl Refusal {
    fn new(failure: Failure, message: impl Into<String>) -> Self {
        Self { failure, message: message.into(), hint: None }
    }

    fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let failure = match error {
            StoreError::LabelTaken(_) => Failure::Failed,
            _ => Failure::Unavailable,
        };
        Self { failure, hint: error.hint().map(str::to_owned), message: error.to_string() }
    }
}

impl From<Gone> for Refusal {
    fn from(gone: Gone) -> Self {
        Self::new(Failure::Failed, gone.to_string())
    }
}

impl From<ChallengeError> for Refusal {
    fn from(error: ChallengeError) -> Self {
        match error {
            ChallengeError::Store(error) => error.into(),
            ChallengeError::Gone(gone) => gone.into(),
            ChallengeError::Hash(error) => Self::new(Failure::Failed, error.to_string()),
        }
    }
}

/// Serves every request that is no login.
pub fn serve(
    store: &Store,
    clock: fn() -> Timestamp,
    peer: Peer,
    request: &Request,
    dialogue: &mut dyn Dialogue,
) -> Done {
    match carry_out(store, clock, peer, request, dialogue) {
        Ok(done) => done,
        Err(Refusal { failure, message, hint }) => {
            Done::Failed { failure, message: words::printable(&message), hint }
        }
    }
}

fn carry_out(
    store: &Store,
    clock: fn() -> Timestamp,
    peer: Peer,
    request: &Request,
    dialogue: &mut dyn Dialogue,
) -> Result<Done, Refusal> {
    let (Request::Status { user }
    | Request::EnrolApp { user, .. }
    | Request::Remove { user, .. }
    | Request::NewBackupCodes { user }) = request
    else {
        return Err(Refusal::new(Failure::Failed, "a login is no change"));
    };
    let account = accounts::find(user)
        .map_err(|error| Refusal::new(Failure::Unavailable, error.to_string()))?
        .ok_or_else(|| Refusal::new(Failure::NotFound, format!("there is no account called '{user}'")))?;
    let permission = peer.may(request, &account);
    if permission == Permission::Refused {
        let message = format!("only {} and root may do this", account.name);
        return Err(Refusal::new(Failure::NotPermitted, message));
    }
    let origin = Origin { actor: peer.uid, service: Some("twofa".to_owned()), ..Origin::default() };
    let desk = Desk { store, clock, peer, account, origin };
    let situation = store.situation(&desk.account)?;
    if permission == Permission::AfterCode {
        desk.confirm(&situation, dialogue)?;
    }
    match request {
        Request::EnrolApp { app, .. } => desk.enrol(&situation, app, dialogue),
        Request::Remove { method, .. } => desk.remove(&situation, method),
        Request::NewBackupCodes { .. } => desk.new_backup_codes(&situation, dialogue),
        _ => Ok(Done::Status(report(&desk.account, &situation, clock()))),
    }
}

/// One request about one account.
struct Desk<'a> {
    store: &'a Store,
    clock: fn() -> Timestamp,
    peer: Peer,
    account: Account,
    origin: Origin,
}

impl Desk<'_> {
    /// A fresh code before any change, once there is something to ask for.
    fn confirm(&self, situation: &Situation, dialogue: &mut dyn Dialogue) -> Result<(), Refusal> {
        let Situation { policy, user } = situation;
        if !user.is_enrolled(policy.methods) {
            return Ok(());
        }
        let now = (self.clock)();
        if let Some(lock) = user.throttle.lock(now) {
            return Err(Refusal::new(Failure::Denied, words::locked(lock, now)));
        }
        let application = words::application_name(policy);
        let first = format!("To change this, first prove it is you.\n{}", {
            words::code_prompt(&application, policy.methods, user.backup_codes_left() > 0)
        });
        let challenge =
            Challenge { store: self.store, account: &self.account, origin: &self.origin, clock: self.clock };
        match challenge.ask(&application, first, dialogue)? {
            Outcome::Passed { .. } => Ok(()),
            Outcome::Locked(lock) => Err(Refusal::new(Failure::Denied, words::locked(lock, (self.clock)()))),
            Outcome::NoAnswer => {
                Err(Refusal::new(Failure::Denied, "no code was entered, so nothing was changed"))
            }
            Outcome::Wrong { .. } | Outcome::TriesUsedUp { .. } => {
                Err(Refusal::new(Failure::Denied, "too many wrong answers, so nothing was changed"))
            }
        }
    }

    fn enrol(
        &self,
        situation: &Situation,
        asked: &AppRequest,
        dialogue: &mut dyn Dialogue,
    ) -> Result<Done, Refusal> {
        let Situation { policy, user } = situation;
        let (parameters, key_bytes) = parameters(asked)?;
        let label = label(asked.label.as_deref(), &user.apps)?;
        let mut bytes = Zeroizing::new(vec![0; key_bytes]);
        getrandom::fill(&mut bytes).map_err(StoreError::from)?;
        let key = Key::new(bytes.to_vec()).map_err(|bad| Refusal::new(Failure::Failed, bad.to_string()))?;
        let application = words::application_name(policy);
        let mut app = App { parameters, key, used: None };
        let used = self.first_code(&app, &application, dialogue)?;
        app.used = Some(used);
        self.store.enrol_app(
            &self.account,
            &NewApp { label: label.clone(), app },
            &self.origin,
            (self.clock)(),
        )?;
        dialogue.info(format!("Your authenticator app is enrolled as '{label}'.").into())?;
        if policy.mode == Mode::Disabled {
            dialogue.info("Logins do not ask for it yet: the policy is disabled.".into())?;
        }
        if policy.methods.backup && user.backup_codes_left() == 0 {
            self.make_backup_codes(dialogue)?;
        }
        Ok(Done::Changed)
    }

    /// Shows the key until its first right code comes back, and says which step or counter that was.
    fn first_code(&self, app: &App, application: &str, dialogue: &mut dyn Dialogue) -> Result<u64, Refusal> {
        let url = app.url(application, &self.account.name);
        // All in one prompt: whatever is sent apart from it, some client shows late or not at all.
        let mut text = Zeroizing::new(String::from("Scan this with your authenticator app:\n\n"));
        if let Some(code) = qr::half_blocks(&url) {
            text.push_str(&code);
            text.push_str("\n\n");
        }
        text.push_str("Or type this key into it.\n  Key:  ");
        text.push_str(&app.key.grouped());
        text.push_str("\n  Link: ");
        text.push_str(&url);
        text.push_str(&format!("\n\nThen type the {}-digit code it shows: ", app.parameters.digits()));
        let mut text = text.to_string();
        for left in (0..CONFIRMATIONS).rev() {
            let typed = dialogue.ask(text)?;
            let Some(typed) = typed.filter(|typed| !typed.expose().trim().is_empty()) else { break };
            let verification = match twofa_core::Answer::read(typed.expose()) {
                twofa_core::Answer::Code(code) => app.verify(&code, (self.clock)()),
                _ => Verification::Wrong,
            };
            let wrong = match verification {
                Verification::Accepted { count } => return Ok(count),
                Verification::Drifted { .. } => {
                    "That code is for another time: set the clock of your phone right."
                }
                _ => "That is not the code for this key.",
            };
            text = format!("{wrong} ({})\nThe code your app shows now: ", words::tries_left(left.max(1)));
        }
        let hint = "the key just shown is void: delete it from your app, then enrol again";
        Err(Refusal::new(Failure::Denied, "no right code came back, so nothing was enrolled").hinted(hint))
    }

    fn remove(&self, situation: &Situation, method: &str) -> Result<Done, Refusal> {
        let Situation { policy, user } = situation;
        let now = (self.clock)();
        if method == BACKUP {
            let removed = self.store.remove_backup_codes(&self.account, &self.origin, now)?;
            let nothing = Refusal::new(Failure::NotFound, "there are no backup codes to remove");
            return if removed { Ok(Done::Changed) } else { Err(nothing) };
        }
        if !user.apps.iter().any(|app| app.label == method) {
            let labels: Vec<_> = user.apps.iter().map(|app| app.label.as_str()).collect();
            let hint = match labels.as_slice() {
                [] => "nothing is enrolled".to_owned(),
                labels => format!("enrolled: {}", labels.join(", ")),
            };
            return Err(
                Refusal::new(Failure::NotFound, format!("there is no method called '{method}'")).hinted(hint)
            );
        }
        let needed = policy.mode == Mode::Mandatory || (policy.mode == Mode::Optional && user.required);
        if needed && user.apps.len() == 1 && !self.peer.is_root() {
            let message = "a second factor is required of you, and this is your last method";
            return Err(Refusal::new(Failure::NotPermitted, message).hinted("enrol another one first"));
        }
        self.store.remove_app(&self.account, method, &self.origin, now)?;
        Ok(Done::Changed)
    }

    fn new_backup_codes(&self, situation: &Situation, dialogue: &mut dyn Dialogue) -> Result<Done, Refusal> {
        let Situation { policy, user } = situation;
        if !policy.methods.backup {
            return Err(Refusal::new(Failure::NotPermitted, "the policy allows no backup codes"));
        }
        if !user.is_enrolled(policy.methods) {
            let refusal =
                Refusal::new(Failure::Failed, "backup codes stand in for another method, and there is none");
            return Err(refusal.hinted("enrol an authenticator app first: twofa enrol app"));
        }
        self.make_backup_codes(dialogue)?;
        Ok(Done::Changed)
    }

    fn make_backup_codes(&self, dialogue: &mut dyn Dialogue) -> Result<(), Refusal> {
        let mut codes = Vec::with_capacity(backup::CODES);
        for _ in 0..backup::CODES {
            let mut random = Zeroizing::new([0; backup::CODE_BYTES]);
            getrandom::fill(&mut *random).map_err(StoreError::from)?;
            codes.push(BackupCode::from_random(*random));
        }
        let mut salt = [0; backup::SALT_BYTES];
        getrandom::fill(&mut salt).map_err(StoreError::from)?;
        let set = BackupSet::seal(&codes, salt).map_err(ChallengeError::from)?;
        self.store.replace_backup_codes(&self.account, &set, &self.origin, (self.clock)())?;
        dialogue.info(words::backup_codes(&codes).into())?;
        Ok(())
    }
}

/// How `user` stands, without a secret.
pub fn report(account: &Account, situation: &Situation, now: Timestamp) -> Report {
    let Situation { policy, user } = situation;
    Report {
        user: account.name.clone(),
        uid: account.uid,
        standing: standing(user.status(policy, now)),
        required: user.required,
        failures: user.throttle.failures,
        apps: user.apps.iter().map(app_report).collect(),
        backup_codes_left: u32::try_from(user.backup_codes_left()).unwrap_or(u32::MAX),
    }
}

/// A status as the protocol has it.
pub const fn standing(status: Status) -> Standing {
    match status {
        Status::Off => Standing::Off,
        Status::Pending => Standing::Pending,
        Status::Enabled => Standing::Enabled,
        Status::Locked(Lock::Until(until)) => Standing::LockedUntil(until.unix()),
        Status::Locked(Lock::Administrator) => Standing::Locked,
    }
}

fn app_report(enrolled: &EnrolledApp) -> AppReport {
    AppReport {
        label: enrolled.label.clone(),
        parameters: enrolled.app.parameters.to_string(),
        enrolled_at: enrolled.enrolled_at.unix(),
    }
}

/// The parameters asked for, and how many bytes their key needs (RFC 6238 §5.1: as long as the hash).
fn parameters(asked: &AppRequest) -> Result<(Parameters, usize), Refusal> {
    let usage = |error: &dyn std::fmt::Display| Refusal::new(Failure::Usage, error.to_string());
    let algorithm: Algorithm = asked.algorithm.parse().map_err(|bad| usage(&bad))?;
    let movement = if asked.counter { Movement::Counter } else { Movement::Time { period: asked.period } };
    let parameters = Parameters::new(movement, algorithm, asked.digits).map_err(|bad| usage(&bad))?;
    let bytes = match algorithm {
        Algorithm::Sha1 => 20,
        Algorithm::Sha256 => 32,
        Algorithm::Sha512 => 64,
    };
    Ok((parameters, bytes))
}

/// The label asked for if it can be one, or the next free of `app`, `app-2`, …
fn label(asked: Option<&str>, apps: &[EnrolledApp]) -> Result<String, Refusal> {
    let taken = |label: &str| apps.iter().any(|app| app.label == label);
    let Some(asked) = asked.map(str::trim) else {
        let numbered = (2..).map(|n| format!("app-{n}"));
        let free = std::iter::once("app".to_owned()).chain(numbered).find(|label| !taken(label));
        return free.ok_or_else(|| Refusal::new(Failure::Failed, "there is no free label"));
    };
    let fits = !asked.is_empty() && asked.chars().count() <= LONGEST_LABEL;
    if !fits || asked.chars().any(char::is_control) || asked == BACKUP {
        let message = "a label has 1 to 32 characters, no control characters, and is not 'backup'";
        return Err(Refusal::new(Failure::Usage, message));
    }
    if taken(asked) {
        return Err(StoreError::LabelTaken(asked.to_owned()).into());
    }
    Ok(asked.to_owned())
}
