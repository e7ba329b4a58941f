//! Setting up an authenticator app and backup codes, at a login or from the command line.

use twofa_core::app::{Algorithm, App, Movement, Parameters};
use twofa_core::backup::{self, BackupCode, BackupSet, HashError};
use twofa_core::{Account, Answer, Key, Policy, Timestamp, Verification};
use twofa_store::{Generation, NewApp, Origin, Situation, Store, StoreError};
use zeroize::Zeroizing;

use crate::dialogue::{Dialogue, Gone};
use crate::{qr, words};

/// How often the first code of a new app, or the proof that backup codes were saved, may be mistyped.
const CONFIRMATIONS: u32 = 5;
/// What an app is called whose owner said nothing.
const LABEL: &str = "app";

/// Why nothing was set up.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// No right code came back.
    #[error("no right code came back, so nothing was enrolled")]
    NotConfirmed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A backup code could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A key could not be made.
    #[error("{0}")]
    Key(#[from] twofa_core::key::BadKey),
    /// The terminal went away.
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl From<getrandom::Error> for EnrolmentError {
    fn from(error: getrandom::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An enrolment that is allowed.
#[derive(Debug)]
pub struct Enrolment<'a> {
    /// Where it will be kept.
    pub store: &'a Store,
    /// What the clock says, each time it matters.
    pub clock: fn() -> Timestamp,
    /// Whose it is.
    pub account: &'a Account,
    /// By whose hand.
    pub origin: &'a Origin,
    /// The policy that holds for the account.
    pub policy: &'a Policy,
}

impl Enrolment<'_> {
    /// Sets up a first method and the backup codes, at a login; `intro` stands before it. Gives the label, and what
    /// the methods are then.
    ///
    /// With more than one method that is allowed and deliverable, the choice will be asked for here.
    pub fn of_a_first_method(
        &self,
        situation: &Situation,
        intro: &str,
        dialogue: &mut dyn Dialogue,
    ) -> Result<(String, Generation), EnrolmentError> {
        let parameters = Parameters::default();
        let generation = self.of_an_app(situation, parameters, LABEL, intro, dialogue)?;
        Ok((LABEL.to_owned(), generation))
    }

    /// Sets up an app of these `parameters` as `label`, and the backup codes where there are none.
    pub fn of_an_app(
        &self,
        situation: &Situation,
        parameters: Parameters,
        label: &str,
        intro: &str,
        dialogue: &mut dyn Dialogue,
    ) -> Result<Generation, EnrolmentError> {
        let (mut app, generation) = self.pending_app(situation, parameters)?;
        app.used = Some(self.first_code(&app, intro, dialogue)?);
        let new = NewApp { label: label.to_owned(), app };
        let generation = self.store.enrol_app(self.account, generation, &new, self.origin, (self.clock)())?;
        if self.policy.methods.backup && situation.user.backup_codes_left() == 0 {
            return Ok(self.backup_codes(generation, dialogue)?.unwrap_or(generation));
        }
        Ok(generation)
    }

    /// The app whose key was shown before and not confirmed, or a new one. It is kept before it is shown.
    fn pending_app(
        &self,
        situation: &Situation,
        parameters: Parameters,
    ) -> Result<(App, Generation), EnrolmentError> {
        let now = (self.clock)();
        if let Some(app) = self.store.pending_app(self.account, parameters, self.origin, now)? {
            return Ok((app, situation.generation));
        }
        let mut bytes = Zeroizing::new(vec![0; key_bytes(parameters)]);
        getrandom::fill(&mut bytes)?;
        let app = App { parameters, key: Key::new(bytes.to_vec())?, used: None };
        let generation =
            self.store.keep_pending_app(self.account, situation.generation, &app, self.origin, now)?;
        Ok((app, generation))
    }

    /// Shows the key until its first right code comes back, and says which step or counter that was.
    fn first_code(&self, app: &App, intro: &str, dialogue: &mut dyn Dialogue) -> Result<u64, EnrolmentError> {
        let url = app.url(&words::application_name(self.policy), &self.account.name);
        // All in one prompt: whatever is sent apart from it, some client shows late or not at all.
        let mut text = Zeroizing::new(format!("{intro}\nScan this with your authenticator app:\n\n"));
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
            let verification = match typed.map(|typed| Answer::read(typed.expose())) {
                None | Some(Answer::Empty) => break,
                Some(Answer::Code(code)) => app.verify(&code, (self.clock)()),
                Some(_) => Verification::Wrong,
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
        Err(EnrolmentError::NotConfirmed)
    }

    /// Makes backup codes, shows them once, and keeps them when somebody has shown that they were saved. Gives what the
    /// methods are then; `None`: they are not kept, and those from before still hold.
    pub fn backup_codes(
        &self,
        generation: Generation,
        dialogue: &mut dyn Dialogue,
    ) -> Result<Option<Generation>, EnrolmentError> {
        let mut codes = Vec::with_capacity(backup::CODES);
        for _ in 0..backup::CODES {
            let mut random = Zeroizing::new([0; backup::CODE_BYTES]);
            getrandom::fill(&mut *random)?;
            codes.push(BackupCode::from_random(*random));
        }
        let mut salt = [0; backup::SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let set = BackupSet::seal(&codes, salt)?;
        // Which one is asked for need not be secret, only not always the same.
        let asked = usize::from(salt[0]) % codes.len();
        let expected = codes.get(asked).map_or("", BackupCode::last_group);
        let mut text = words::backup_codes(&codes, asked).to_string();
        for _ in 0..CONFIRMATIONS {
            let Some(typed) = dialogue.ask(text)?.filter(|typed| !typed.expose().trim().is_empty()) else {
                break;
            };
            if typed.expose().trim().to_ascii_lowercase().ends_with(expected) {
                let (store, now) = (self.store, (self.clock)());
                return Ok(Some(store.replace_backup_codes(
                    self.account,
                    generation,
                    &set,
                    self.origin,
                    now,
                )?));
            }
            text = format!("That is not it. {}", words::saved_question(asked));
        }
        dialogue.info("The backup codes were not kept. Make new ones with 'twofa codes --new'.".into())?;
        Ok(None)
    }
}

/// How long a key is: as long as the hash (RFC 6238 §5.1, RFC 4226 §4 R6).
fn key_bytes(parameters: Parameters) -> usize {
    match parameters.algorithm() {
        Algorithm::Sha1 => 20,
        Algorithm::Sha256 => 32,
        Algorithm::Sha512 => 64,
    }
}

/// The parameters that were asked for, if there can be such.
pub fn parameters(
    counter: bool,
    algorithm: &str,
    digits: u8,
    period: u32,
) -> Result<Parameters, Box<dyn std::error::Error>> {
    let movement = if counter { Movement::Counter } else { Movement::Time { period } };
    Ok(Parameters::new(movement, algorithm.parse()?, digits)?)
}
