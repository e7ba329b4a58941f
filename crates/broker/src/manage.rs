//! What people and administrators do with a record: look, enrol, set, remove, make backup codes.

use twofa_core::exemption::Exemption;
use twofa_core::text::{is_unprintable, printable};
use twofa_core::user::{self, Contact, EnrolledApp};
use twofa_core::{Account, Lock, Mode, Status, Timestamp, Verify};
use twofa_delivery::Courier;
use twofa_proto::{
    AppReport, AppRequest, ContactReport, Done, ExemptionReport, Failure, Report, Request, Standing,
};
use twofa_store::{AddressKind, Origin, Settings, Store, StoreError, StoredExemption};

use crate::authority::{Peer, Permission};
use crate::challenge::{Challenge, ChallengeError, Outcome};
use crate::dialogue::{Dialogue, Gone};
use crate::enrolment::{self, Enrolment, EnrolmentError};
use crate::person::{Person, PersonError};
use crate::verification::{Verification, VerificationError};
use crate::{accounts, words};

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
            StoreError::LabelTaken(_) | StoreError::TooManyApps(_) | StoreError::ChangedMeanwhile => {
                Failure::Failed
            }
            _ => Failure::Unavailable,
        };
        Self { failure, hint: error.hint().map(str::to_owned), message: error.to_string() }
    }
}

impl From<PersonError> for Refusal {
    fn from(error: PersonError) -> Self {
        match error {
            PersonError::Store(error) => error.into(),
            error => Self::new(Failure::Unavailable, error.to_string()),
        }
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
            ChallengeError::Person(error) => error.into(),
            ChallengeError::Gone(gone) => gone.into(),
            ChallengeError::Hash(error) => Self::new(Failure::Failed, error.to_string()),
        }
    }
}

impl From<EnrolmentError> for Refusal {
    fn from(error: EnrolmentError) -> Self {
        match error {
            EnrolmentError::Store(error) => error.into(),
            EnrolmentError::Gone(gone) => gone.into(),
            EnrolmentError::NotConfirmed => Self::new(Failure::Denied, error.to_string()).hinted(
                "the same key comes back within a day: run it again, or delete the key from your app",
            ),
            EnrolmentError::Hash(_) | EnrolmentError::Key(_) => Self::new(Failure::Failed, error.to_string()),
        }
    }
}

/// Serves every request that is no login.
pub fn serve(
    store: &Store,
    courier: Option<&dyn Courier>,
    clock: fn() -> Timestamp,
    peer: Peer,
    request: &Request,
    dialogue: &mut dyn Dialogue,
) -> Done {
    match carry_out(store, courier, clock, peer, request, dialogue) {
        Ok(done) => done,
        Err(Refusal { failure, message, hint }) => {
            Done::Failed { failure, message: printable(&message), hint }
        }
    }
}

fn carry_out(
    store: &Store,
    courier: Option<&dyn Courier>,
    clock: fn() -> Timestamp,
    peer: Peer,
    request: &Request,
    dialogue: &mut dyn Dialogue,
) -> Result<Done, Refusal> {
    let (Request::Status { user }
    | Request::EnrolApp { user, .. }
    | Request::Remove { user, .. }
    | Request::Set { user, .. }
    | Request::NewBackupCodes { user }) = request
    else {
        return Err(Refusal::new(Failure::Failed, "a login is no change"));
    };
    let account = accounts::find(user)
        .map_err(PersonError::from)?
        .ok_or_else(|| Refusal::new(Failure::NotFound, format!("there is no account called '{user}'")))?;
    let permission = peer.may(request, &account);
    if permission == Permission::Refused {
        let message = format!("only {} and root may do this", account.name);
        return Err(Refusal::new(Failure::NotPermitted, message));
    }
    let origin = Origin { actor: peer.uid, service: Some("twofa".to_owned()), ..Origin::default() };
    let person = Person::of(store, &account)?;
    let desk = Desk { store, courier, clock, peer, account, origin };
    if !matches!(request, Request::Status { .. }) && person.situation.has_namesake {
        // A record of its own would lift what the other record holds back.
        let hint = "root decides with 'twofa user remove' (what is old) or 'twofa user add' (what is new)";
        return Err(Refusal::new(Failure::NotPermitted, words::NAMESAKE).hinted(hint));
    }
    let person = if permission == Permission::AfterCode {
        desk.confirm(&person, dialogue)?;
        // What may have been decided while the code was typed holds, on what the code was asked for.
        let fresh = Person::of(store, &desk.account)?;
        if fresh.situation.generation != person.situation.generation && !person.situation.user.apps.is_empty()
        {
            return Err(StoreError::ChangedMeanwhile.into());
        }
        fresh
    } else {
        person
    };
    match request {
        Request::EnrolApp { app, .. } => desk.enrol(&person, app, dialogue),
        Request::Remove { method, .. } => desk.remove(&person, method),
        Request::Set { verify, email, phone, .. } => {
            desk.set(&person, verify.as_deref(), email.as_deref(), phone.as_deref(), dialogue)
        }
        Request::NewBackupCodes { .. } => desk.new_backup_codes(&person, dialogue),
        _ => Ok(Done::Status(report(&desk.account, &person, clock())?)),
    }
}

/// One request about one account.
struct Desk<'a> {
    store: &'a Store,
    courier: Option<&'a dyn Courier>,
    clock: fn() -> Timestamp,
    peer: Peer,
    account: Account,
    origin: Origin,
}

impl Desk<'_> {
    /// A fresh code before any change, once there is something to ask for.
    fn confirm(&self, person: &Person, dialogue: &mut dyn Dialogue) -> Result<(), Refusal> {
        let Person { policy, situation, .. } = person;
        if situation.user.apps.is_empty() {
            return Ok(());
        }
        let now = (self.clock)();
        if let Some(lock) = situation.user.throttle.lock(now) {
            return Err(Refusal::new(Failure::Denied, words::locked(lock, now)));
        }
        let application = words::application_name(policy);
        let has_backup = situation.user.backup_codes_left() > 0;
        let prompt = words::code_prompt(&application, policy.methods, has_backup);
        let first = format!("To change this, first prove it is you.\n{prompt}");
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

    fn enrolment<'a>(&'a self, person: &'a Person) -> Enrolment<'a> {
        Enrolment {
            store: self.store,
            clock: self.clock,
            account: &self.account,
            origin: &self.origin,
            policy: &person.policy,
        }
    }

    fn enrol(
        &self,
        person: &Person,
        asked: &AppRequest,
        dialogue: &mut dyn Dialogue,
    ) -> Result<Done, Refusal> {
        let AppRequest { label, counter, algorithm, digits, period } = asked;
        let parameters = enrolment::parameters(*counter, algorithm, *digits, *period)
            .map_err(|bad| Refusal::new(Failure::Usage, bad.to_string()))?;
        let label = self::label(label.as_deref(), &person.situation.user.apps)?;
        let intro = format!("A new authenticator app for {}, called '{label}'.", self.account.name);
        self.enrolment(person).of_an_app(&person.situation, parameters, &label, &intro, dialogue)?;
        dialogue.info(format!("Your authenticator app is enrolled as '{label}'.").into())?;
        if person.policy.mode == Mode::Disabled {
            dialogue.info("Logins do not ask for it yet: the policy is disabled.".into())?;
        }
        Ok(Done::Changed)
    }

    fn remove(&self, person: &Person, method: &str) -> Result<Done, Refusal> {
        let situation = &person.situation;
        let now = (self.clock)();
        if method == BACKUP {
            let removed =
                self.store.remove_backup_codes(&self.account, situation.generation, &self.origin, now)?;
            let nothing = Refusal::new(Failure::NotFound, "there are no backup codes to remove");
            return if removed { Ok(Done::Changed) } else { Err(nothing) };
        }
        let apps = &situation.user.apps;
        if !apps.iter().any(|app| app.label == method) {
            let labels: Vec<_> = apps.iter().map(|app| app.label.as_str()).collect();
            let hint = match labels.as_slice() {
                [] => "nothing is enrolled".to_owned(),
                labels => format!("enrolled: {}", labels.join(", ")),
            };
            let message = format!("there is no method called '{method}'");
            return Err(Refusal::new(Failure::NotFound, message).hinted(hint));
        }
        let obliged = situation.user.summary().is_obliged(&person.policy);
        if obliged && apps.len() == 1 && !self.peer.is_root() {
            let message = "a second factor is required of you, and this is your last method";
            return Err(Refusal::new(Failure::NotPermitted, message).hinted("enrol another one first"));
        }
        self.store.remove_app(&self.account, situation.generation, method, &self.origin, now)?;
        Ok(Done::Changed)
    }

    fn set(
        &self,
        person: &Person,
        verify: Option<&str>,
        email: Option<&str>,
        phone: Option<&str>,
        dialogue: &mut dyn Dialogue,
    ) -> Result<Done, Refusal> {
        let usage = |key: &str, error: &dyn std::fmt::Display| {
            Refusal::new(Failure::Usage, format!("{key}: {error}"))
        };
        let verify = verify.map(str::parse).transpose().map_err(|bad| usage("verify", &bad))?;
        if verify == Some(Verify::Never)
            && person.situation.user.summary().is_obliged(&person.policy)
            && !self.peer.is_root()
        {
            return Err(Refusal::new(
                Failure::NotPermitted,
                "a second factor is required of you, so it cannot be 'never'",
            ));
        }
        // An empty address is one that is removed.
        let address = |text: Option<&str>, read: fn(&str) -> Result<String, user::BadAddress>| {
            let given = text.map(|text| if text.trim().is_empty() { Ok(None) } else { read(text).map(Some) });
            given.transpose()
        };
        let settings = Settings {
            verify,
            email: address(email, user::email).map_err(|bad| usage("email", &bad))?,
            phone: address(phone, user::phone).map_err(|bad| usage("phone", &bad))?,
        };
        let changes = self.store.set_user(&self.account, &settings, &self.origin, (self.clock)())?;
        if changes.is_empty() {
            dialogue.info("Nothing to change: it is that already.".into())?;
        }
        for change in &changes {
            dialogue.info(format!("{}: {change}.", self.account.name).into())?;
        }
        for (which, address) in [(AddressKind::Email, settings.email), (AddressKind::Phone, settings.phone)] {
            if let Some(Some(address)) = address {
                self.verify_address(which, &address, dialogue)?;
            }
        }
        Ok(Done::Changed)
    }

    fn verify_address(
        &self,
        which: AddressKind,
        address: &str,
        dialogue: &mut dyn Dialogue,
    ) -> Result<(), Refusal> {
        let Some(courier) = self.courier else {
            dialogue.info("It will be verified once this machine can send codes.".into())?;
            return Ok(());
        };
        let Self { store, account, origin, clock, .. } = self;
        match (Verification { store, courier, account, origin, clock: *clock }).of(which, address, dialogue) {
            Ok(true) => dialogue.info(format!("{address} is verified.").into())?,
            Ok(false) => {
                dialogue.info(format!("{address} is not verified: set it again for another code.").into())?;
            }
            Err(VerificationError::Store(error)) => return Err(error.into()),
            Err(VerificationError::Gone(gone)) => return Err(gone.into()),
            Err(VerificationError::Delivery(error)) => dialogue.info(error.to_string().into())?,
        }
        Ok(())
    }

    fn new_backup_codes(&self, person: &Person, dialogue: &mut dyn Dialogue) -> Result<Done, Refusal> {
        if !person.policy.methods.backup {
            return Err(Refusal::new(Failure::NotPermitted, "the policy allows no backup codes"));
        }
        if !person.situation.user.is_enrolled(person.policy.methods) {
            let refusal =
                Refusal::new(Failure::Failed, "backup codes stand in for another method, and there is none");
            return Err(refusal.hinted("enrol an authenticator app first: twofa enrol app"));
        }
        if self.enrolment(person).backup_codes(person.situation.generation, dialogue)?.is_some() {
            dialogue.info("These are your backup codes now; those from before are void.".into())?;
            return Ok(Done::Changed);
        }
        Err(Refusal::new(Failure::Denied, "nothing was changed: the codes from before still hold"))
    }
}

/// How a person stands, without a secret.
fn report(account: &Account, person: &Person, now: Timestamp) -> Result<Report, PersonError> {
    let user = &person.situation.user;
    Ok(Report {
        user: account.name.clone(),
        uid: account.uid,
        standing: standing(person.status(account, now)?),
        class: person.class.clone(),
        verify: user.verify.to_string(),
        email: user.email.as_ref().map(contact),
        phone: user.phone.as_ref().map(contact),
        exemptions: person.exemptions(account, now)?.into_iter().map(exemption).collect(),
        required: user.required,
        failures: user.throttle.failures(),
        apps: user.apps.iter().map(app_report).collect(),
        backup_codes_left: u32::try_from(user.backup_codes_left()).unwrap_or(u32::MAX),
    })
}

/// A status as the protocol has it.
pub const fn standing(status: Status) -> Standing {
    match status {
        Status::Off => Standing::Off,
        Status::Pending => Standing::Pending,
        Status::Enabled => Standing::Enabled,
        Status::Locked(Lock::Until(until)) => Standing::LockedUntil(until.unix()),
        Status::Locked(Lock::Administrator) => Standing::Locked,
        Status::Exempt(None) => Standing::Exempt(None),
        Status::Exempt(Some(until)) => Standing::Exempt(Some(until.unix())),
    }
}

fn contact(contact: &Contact) -> ContactReport {
    ContactReport { address: contact.address.clone(), verified: contact.verified }
}

fn exemption(stored: &StoredExemption) -> ExemptionReport {
    let Exemption { reason, until, .. } = &stored.exemption;
    ExemptionReport {
        id: stored.id,
        reason: reason.clone(),
        until: until.map(Timestamp::unix),
        only: words::exemption_scope(&stored.exemption),
    }
}

fn app_report(enrolled: &EnrolledApp) -> AppReport {
    AppReport {
        label: enrolled.label.clone(),
        parameters: enrolled.app.parameters.to_string(),
        enrolled_at: enrolled.enrolled_at.unix(),
    }
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
    if !fits || asked.chars().any(is_unprintable) || asked == BACKUP {
        let message = "a label has 1 to 32 characters, none of them invisible, and is not 'backup'";
        return Err(Refusal::new(Failure::Usage, message));
    }
    if taken(asked) {
        return Err(StoreError::LabelTaken(asked.to_owned()).into());
    }
    Ok(asked.to_owned())
}
