//! Setting up an authenticator app and backup codes, at a login or from the command line.

use twofa_core::app::{Algorithm, App, OtpKind, Parameters};
use twofa_core::backup::{self, BackupCode, BackupSet, HashError};
use twofa_core::user::masked;
use twofa_core::{
    Account, Answer, Channel, Key, Lock, Method, Methods, Policy, Verification as Check,
};
use twofa_store::event::Proof;
use twofa_store::{Generation, NewApp, Origin, StoreError, UserSnapshot};
use zeroize::Zeroizing;

use crate::context::Services;
use crate::methods::address_verification::{Verification, Verified};
use crate::methods::choice::Unsent;
use crate::sending::codes::Sending;
use crate::text::messages;
use crate::text::qr;
use crate::text::terminal::{Stage, Terminal, TerminalClosed};

/// How often the first code of a new app, or the proof that backup codes were saved, may be mistyped.
const CONFIRMATIONS: u32 = 5;
/// How often somebody may choose what to set up.
const CHOICES: u32 = 3;
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
    /// No method that is allowed can be set up: nobody carries codes.
    #[error("no method that is allowed can be set up here")]
    NoMethod,
    /// An address is on file to prove the person by, and nothing can be sent there.
    #[error("a code must first be sent to the address on file, and this machine sends none there")]
    OutOfReach,
    /// A code could not be sent.
    #[error("{}", .0.text)]
    NotSent(Unsent),
    /// Too many wrong codes.
    #[error("too many wrong codes")]
    Locked(Lock),
    /// The terminal went away.
    #[error(transparent)]
    TerminalClosed(#[from] TerminalClosed),
}

impl From<getrandom::Error> for EnrolmentError {
    fn from(error: getrandom::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An enrolment that is allowed.
#[derive(Debug, Clone, Copy)]
pub struct Enrolment<'a> {
    /// Store, sender, clock.
    pub services: Services<'a>,
    /// Whose it is.
    pub account: &'a Account,
    /// By whose hand.
    pub origin: &'a Origin,
    /// The policy that holds for the account.
    pub policy: &'a Policy,
}

/// A first method that was set up.
#[derive(Debug)]
pub struct FirstMethod {
    /// What it proves.
    pub by: Proof,
    /// What the methods are then.
    pub generation: Generation,
    /// The pass was recorded already.
    pub is_recorded: bool,
}

impl Enrolment<'_> {
    /// Sets up a first method and the backup codes, at a login; `intro` stands before it. Of several methods that are
    /// allowed and work here the person chooses.
    ///
    /// Where addresses are on file and nothing else proves the person (`is_proved`), a code to one of them comes first:
    /// an administrator put them there, and a password alone must not enrol around them.
    pub fn of_a_first_method(
        &self,
        situation: &UserSnapshot,
        is_proved: bool,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<FirstMethod, EnrolmentError> {
        if is_proved || !has_address(situation) {
            return self.of_a_chosen_method(situation, intro, terminal);
        }
        let (channel, verified) = self.of_an_address_on_file(situation, intro, terminal)?;
        if !self.policy.methods.contains(channel.method()) {
            let fresh = self.services.store.snapshot(self.account)?;
            return self.of_a_chosen_method(&fresh, "Now set up a second factor.", terminal);
        }
        let Verified {
            address,
            generation,
            is_recorded,
        } = verified;
        let generation = self
            .missing_backup_codes(situation, generation, terminal)?
            .unwrap_or(generation);
        let by = Proof::EnrolledAddress {
            channel,
            address: masked(&address),
        };
        Ok(FirstMethod {
            by,
            generation,
            is_recorded,
        })
    }

    /// Verifies an address that is on file, by a code that is sent there. Of two the person chooses.
    pub fn of_an_address_on_file(
        &self,
        situation: &UserSnapshot,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<(Channel, Verified), EnrolmentError> {
        let is_usable = |channel: &Channel| {
            proves(situation, *channel) && self.services.sender.serves(*channel)
        };
        let on_file = Channel::ALL.into_iter().filter(is_usable);
        let offered: Vec<_> = on_file.map(Channel::method).collect();
        let mut intro = format!("{intro}\n");
        for _ in 0..CHOICES {
            let method = match offered.as_slice() {
                [] => return Err(EnrolmentError::OutOfReach),
                [only] => *only,
                several => choose(several, &intro, terminal)?,
            };
            let Some(channel) = method.channel() else {
                return Err(EnrolmentError::OutOfReach);
            };
            match self.verified(situation, channel, None, &intro, terminal) {
                Ok(verified) => return Ok((channel, verified)),
                Err(EnrolmentError::NotSent(unsent)) if offered.len() > 1 => {
                    intro = format!("{}\n", unsent.text);
                }
                Err(error) => return Err(error),
            }
        }
        Err(EnrolmentError::NotConfirmed)
    }

    fn of_a_chosen_method(
        &self,
        situation: &UserSnapshot,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<FirstMethod, EnrolmentError> {
        terminal.reach(Stage::Enrolling);
        let offered = self.offered();
        let mut intro = format!("{intro}\n");
        for _ in 0..CHOICES {
            let method = match offered.as_slice() {
                [] => return Err(EnrolmentError::NoMethod),
                [only] => *only,
                several => choose(several, &intro, terminal)?,
            };
            if offered.len() > 1 {
                intro.clear();
            }
            let Some(channel) = method.channel() else {
                let generation =
                    self.of_an_app(situation, Parameters::default(), LABEL, &intro, terminal)?;
                let by = Proof::EnrolledApp {
                    label: LABEL.to_owned(),
                };
                return Ok(FirstMethod {
                    by,
                    generation,
                    is_recorded: false,
                });
            };
            match self.of_an_address(situation, channel, None, &intro, terminal) {
                Ok(Verified {
                    address,
                    generation,
                    is_recorded,
                }) => {
                    let by = Proof::EnrolledAddress {
                        channel,
                        address: masked(&address),
                    };
                    return Ok(FirstMethod {
                        by,
                        generation,
                        is_recorded,
                    });
                }
                Err(EnrolmentError::NotSent(unsent)) if offered.len() > 1 => {
                    intro = format!("{}\n", unsent.text);
                }
                Err(error) => return Err(error),
            }
        }
        Err(EnrolmentError::NotConfirmed)
    }

    /// The methods that are allowed and work here.
    fn offered(&self) -> Vec<Method> {
        let serves = |channel| self.services.sender.serves(channel);
        let allowed = self.policy.methods.intersection(Methods::standing_alone());
        allowed
            .iter()
            .filter(|method| method.channel().is_none_or(serves))
            .collect()
    }

    /// Sets up the address that codes are sent to: `given`, the one on file, or one that is asked for. And the backup
    /// codes where there are none.
    pub fn of_an_address(
        &self,
        situation: &UserSnapshot,
        channel: Channel,
        given: Option<&str>,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Verified, EnrolmentError> {
        let mut verified = self.verified(situation, channel, given, intro, terminal)?;
        if let Some(generation) =
            self.missing_backup_codes(situation, verified.generation, terminal)?
        {
            verified.generation = generation;
        }
        Ok(verified)
    }

    fn verified(
        &self,
        situation: &UserSnapshot,
        channel: Channel,
        given: Option<&str>,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Verified, EnrolmentError> {
        terminal.reach(Stage::Enrolling);
        let on_file = situation.user.contacts[channel].as_ref();
        let known = given.or(on_file.map(|contact| contact.address.as_str()));
        let Self {
            services,
            account,
            origin,
            policy,
        } = *self;
        let sending = Sending {
            services,
            account,
            origin,
            policy,
            purpose: "confirm that this address is yours",
        };
        let verification = Verification {
            sending,
            generation: situation.generation,
        };
        let verified = verification.of(channel, known, intro, terminal)?;
        terminal.reach(Stage::Enrolled);
        Ok(verified)
    }

    /// Sets up an app of these `parameters` as `label`, and the backup codes where there are none.
    pub fn of_an_app(
        &self,
        situation: &UserSnapshot,
        parameters: Parameters,
        label: &str,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Generation, EnrolmentError> {
        terminal.reach(Stage::Enrolling);
        let (mut app, generation) = self.pending_app(situation, parameters)?;
        app.used = Some(self.first_code(&app, intro, terminal)?);
        let new = NewApp {
            label: label.to_owned(),
            app,
        };
        let Services { store, .. } = self.services;
        let generation = store.enrol_app(
            self.account,
            generation,
            &new,
            self.origin,
            self.services.now(),
        )?;
        terminal.reach(Stage::Enrolled);
        Ok(self
            .missing_backup_codes(situation, generation, terminal)?
            .unwrap_or(generation))
    }

    /// Makes backup codes where they are allowed and there are none. `None`: there are, or they were not saved.
    fn missing_backup_codes(
        &self,
        situation: &UserSnapshot,
        generation: Generation,
        terminal: &mut dyn Terminal,
    ) -> Result<Option<Generation>, EnrolmentError> {
        if !self.policy.methods.contains(Method::Backup) || situation.user.backup_codes_left() > 0 {
            return Ok(None);
        }
        self.backup_codes(generation, terminal)
    }

    /// The app whose key was shown before and not confirmed, or a new one. It is kept before it is shown.
    fn pending_app(
        &self,
        situation: &UserSnapshot,
        parameters: Parameters,
    ) -> Result<(App, Generation), EnrolmentError> {
        let now = self.services.now();
        if let Some(app) =
            self.services
                .store
                .pending_app(self.account, parameters, self.origin, now)?
        {
            return Ok((app, situation.generation));
        }
        if let Some(text) = self.too_many_changes(situation)? {
            return Err(EnrolmentError::NotSent(Unsent {
                text,
                is_limited: true,
            }));
        }
        let mut bytes = Zeroizing::new(vec![0; key_bytes(parameters)]);
        getrandom::fill(&mut bytes)?;
        let app = App {
            parameters,
            key: Key::new(bytes.to_vec())?,
            used: None,
        };
        let generation = self.services.store.keep_pending_app(
            self.account,
            situation.generation,
            &app,
            self.origin,
            now,
        )?;
        Ok((app, generation))
    }

    /// Counts a change that is about to be made, if the account's own user makes it and has not been asked for a code:
    /// each waits for the disk. Says so in words if there were too many.
    pub(crate) fn too_many_changes(
        &self,
        situation: &UserSnapshot,
    ) -> Result<Option<String>, StoreError> {
        let is_proved = situation.user.is_enrolled(self.policy.methods);
        if self.origin.actor == 0 || is_proved {
            return Ok(None);
        }
        let now = self.services.now();
        let next = self
            .services
            .store
            .begin_unproved_change(self.account, now)?;
        Ok(next.map(|next| messages::too_many_changes(next, now)))
    }

    /// Shows the key until its first right code comes back, and says which step or counter that was.
    fn first_code(
        &self,
        app: &App,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<u64, EnrolmentError> {
        let url = app.url(&messages::application_name(self.policy), &self.account.name);
        // All in one prompt: whatever is sent apart from it, some client shows late or not at all.
        let mut text = Zeroizing::new(format!("{intro}Scan this with your authenticator app:\n\n"));
        if let Some(code) = qr::half_blocks(&url) {
            text.push_str(&code);
            text.push_str("\n\n");
        }
        text.push_str("Or type this key into it.\n  Key:  ");
        text.push_str(&app.key.grouped());
        text.push_str("\n  Link: ");
        text.push_str(&url);
        text.push_str(&format!(
            "\n\nThen type the {}-digit code it shows: ",
            app.parameters.digits()
        ));
        let mut text = text.to_string();
        for left in (0..CONFIRMATIONS).rev() {
            let typed = terminal.ask(text)?;
            let verification = match typed.map(|typed| Answer::read(typed.expose())) {
                None | Some(Answer::Empty) => break,
                Some(Answer::Code(code)) => app.verify(&code, self.services.now()),
                Some(_) => Check::Wrong,
            };
            let wrong = match verification {
                Check::Accepted { count } => return Ok(count),
                Check::Drifted { .. } => {
                    "That code is for another time: set the clock of your phone right."
                }
                _ => "That is not the code for this key.",
            };
            text = format!(
                "{wrong} ({})\nThe code your app shows now: ",
                messages::tries_left(left.max(1))
            );
        }
        Err(EnrolmentError::NotConfirmed)
    }

    /// Makes backup codes, shows them once, and keeps them when somebody has shown that they were saved. Gives what the
    /// methods are then; `None`: they are not kept, and those from before still hold.
    pub fn backup_codes(
        &self,
        generation: Generation,
        terminal: &mut dyn Terminal,
    ) -> Result<Option<Generation>, EnrolmentError> {
        terminal.reach(Stage::Enrolling);
        let mut codes = Vec::with_capacity(backup::CODES);
        for _ in 0..backup::CODES {
            let mut random = Zeroizing::new([0; backup::CODE_BYTES]);
            getrandom::fill(&mut *random)?;
            codes.push(BackupCode::from_random(*random));
        }
        let mut salt = [0; backup::SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let set = BackupSet::hash(&codes, salt)?;
        // Which one is asked for need not be secret, only not always the same.
        let asked = usize::from(salt[0]) % codes.len();
        let expected = codes.get(asked).map_or("", BackupCode::last_group);
        let mut text = messages::backup_codes(&codes, asked).to_string();
        for _ in 0..CONFIRMATIONS {
            let Some(typed) = terminal
                .ask(text)?
                .filter(|typed| !typed.expose().trim().is_empty())
            else {
                break;
            };
            if typed
                .expose()
                .trim()
                .to_ascii_lowercase()
                .ends_with(expected)
            {
                let (store, now) = (self.services.store, self.services.now());
                return Ok(Some(store.replace_backup_codes(
                    self.account,
                    generation,
                    &set,
                    self.origin,
                    now,
                )?));
            }
            text = format!("That is not it. {}", messages::saved_question(asked));
        }
        terminal.info(
            "The backup codes were not kept. Make new ones with 'twofa codes --new'.".into(),
        )?;
        Ok(None)
    }
}

/// Whether an address is on file that an administrator put there, or that was verified once.
pub fn has_address(situation: &UserSnapshot) -> bool {
    Channel::ALL
        .into_iter()
        .any(|channel| proves(situation, channel))
}

/// Whether there is one of this kind.
pub fn proves(situation: &UserSnapshot, channel: Channel) -> bool {
    situation.user.contacts[channel]
        .as_ref()
        .is_some_and(|contact| !contact.by_owner)
}

/// Which of `methods` the person wants; the first when they say nothing.
fn choose(
    methods: &[Method],
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<Method, EnrolmentError> {
    let question = messages::which_method(methods);
    let mut text = format!("{intro}{question}");
    for _ in 0..CHOICES {
        let Some(typed) = terminal.ask(text)? else {
            break;
        };
        let number = match typed.expose().trim() {
            "" => Some(1),
            number => number.parse::<usize>().ok(),
        };
        let index = number.and_then(|number| number.checked_sub(1));
        if let Some(method) = index.and_then(|index| methods.get(index)) {
            return Ok(*method);
        }
        text = format!("That is none of them.\n{question}");
    }
    Err(EnrolmentError::NotConfirmed)
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
    let movement = if counter {
        OtpKind::Counter
    } else {
        OtpKind::Time { period }
    };
    Ok(Parameters::new(movement, algorithm.parse()?, digits)?)
}
