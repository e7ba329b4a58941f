//! What people and administrators do with a record: look, enrol, set, remove, make backup codes.

use twofa_core::exemption::Exemption;
use twofa_core::text::{is_unprintable, printable};
use twofa_core::user::{Contact, EnrolledApp};
use twofa_core::{
    Account, Channel, Lock, Method, Methods, Mode, Policy, Status, Timestamp, Verify,
};
use twofa_proto::{
    AppReport, AppRequest, ContactReport, Done, ExemptionReport, Failure, Request, UserReport,
    UserStatus,
};
use twofa_store::{Generation, Origin, Settings, StoreError, StoredExemption, Tally, UserSnapshot};

use crate::context::Services;
use crate::identity::accounts;
use crate::identity::authority::{Peer, Permission};
use crate::identity::person::{Person, PersonError};
use crate::methods::address_verification::Verified;
use crate::methods::challenge::{Accepted, Challenge, ChallengeOutcome};
use crate::methods::enrolment::{self, Enrolment, EnrolmentError};
use crate::requests::error::RequestError;
use crate::sending::addresses;
use crate::sending::addresses::BadAddress;
use crate::text::terminal::Terminal;
use crate::text::{events, messages};

const LONGEST_LABEL: usize = 32;
/// What the backup codes are called where an app's label could stand.
const BACKUP: &str = "backup";

/// Serves every request that is no login.
pub fn serve(
    services: Services<'_>,
    peer: Peer,
    request: &Request,
    terminal: &mut dyn Terminal,
) -> Done {
    match carry_out(services, peer, request, terminal) {
        Ok(done) => done,
        Err(RequestError {
            failure,
            message,
            hint,
        }) => Done::Failed {
            failure,
            message: printable(&message),
            hint,
        },
    }
}

fn carry_out(
    services: Services<'_>,
    peer: Peer,
    request: &Request,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    let (Request::Status { user }
    | Request::EnrolApp { user, .. }
    | Request::EnrolAddress { user, .. }
    | Request::Remove { user, .. }
    | Request::Set { user, .. }
    | Request::NewBackupCodes { user }) = request
    else {
        return Err(RequestError::new(Failure::Failed, "a login is no change"));
    };
    let account = accounts::find(user)
        .map_err(PersonError::from)?
        .ok_or_else(|| {
            RequestError::new(
                Failure::NotFound,
                format!("there is no account called '{user}'"),
            )
        })?;
    let permission = peer.may(request, &account);
    if permission == Permission::Refused {
        let message = format!("only {} and root may do this", account.name);
        return Err(RequestError::new(Failure::NotPermitted, message));
    }
    let origin = Origin::command_line(peer.uid);
    let person = Person::of(services.store, &account)?;
    let request_ = ManageRequest {
        services,
        peer,
        account,
        origin,
    };
    if permission == Permission::AfterCode
        && person.has_only_what_is_not_allowed()
        && !adds(request)
    {
        let message = "the policy no longer allows the method you have enrolled";
        let hint = "enrol an allowed one first, or ask an administrator";
        return Err(RequestError::new(Failure::NotPermitted, message).hinted(hint));
    }
    if !matches!(request, Request::Status { .. }) && person.situation.has_identity_mismatch {
        // A record of its own would lift what the other record holds back.
        let hint =
            "root decides with 'twofa user remove' (what is old) or 'twofa user add' (what is new)";
        return Err(RequestError::new(Failure::NotPermitted, messages::NAMESAKE).hinted(hint));
    }
    let person = if permission == Permission::AfterCode {
        let expected = request_.confirm(&person, request, terminal)?;
        // What may have been decided while the code was typed holds, on what the code was asked for.
        let fresh = Person::of(services.store, &request_.account)?;
        if fresh.situation.generation != expected {
            return Err(StoreError::ChangedMeanwhile.into());
        }
        fresh
    } else {
        person
    };
    request_.count(&person, request)?;
    match request {
        Request::EnrolApp { app, .. } => request_.enrol(&person, app, terminal),
        Request::EnrolAddress {
            method, address, ..
        } => request_.enrol_address(&person, method, address.as_deref(), terminal),
        Request::Remove { method, .. } => request_.remove(&person, method),
        Request::Set { .. } => request_.set(&person, request, terminal),
        Request::NewBackupCodes { .. } => request_.new_backup_codes(&person, terminal),
        _ => Ok(Done::Status(Box::new(report(
            &request_.account,
            &person,
            services.now(),
        )))),
    }
}

/// Whether `request` adds a method and takes none away.
const fn adds(request: &Request) -> bool {
    matches!(
        request,
        Request::EnrolApp { .. } | Request::EnrolAddress { .. }
    )
}

/// Whether carrying out `request` sends a code to an address on file that proves the person: another proof before it would
/// be the same again. Without such an address of its kind, one would be asked for.
fn proves_itself(situation: &UserSnapshot, request: &Request) -> bool {
    let Request::EnrolAddress {
        method,
        address: None,
        ..
    } = request
    else {
        return false;
    };
    sending_channel(method).is_ok_and(|channel| enrolment::proves(situation, channel))
}

/// What becomes of an address.
enum NewAddress {
    /// It is kept as it is; `None`: none is.
    Kept(Option<String>),
    /// It is kept when a code sent there has come back.
    ToVerify(String),
}

/// One request about one account.
struct ManageRequest<'a> {
    services: Services<'a>,
    peer: Peer,
    account: Account,
    origin: Origin,
}

impl ManageRequest<'_> {
    /// A fresh code before any change, once there is something to ask for. Gives the methods as they are then.
    fn confirm(
        &self,
        person: &Person,
        request: &Request,
        terminal: &mut dyn Terminal,
    ) -> Result<Generation, RequestError> {
        let Person {
            policy, situation, ..
        } = person;
        if situation.user.enrolled().is_empty() {
            if !enrolment::has_address(situation) || proves_itself(situation, request) {
                return Ok(situation.generation);
            }
            let intro = "To change this, first prove it is you, at the address on file for you.";
            let (_, verified) = self
                .enrolment(person)
                .of_an_address_on_file(situation, intro, terminal)?;
            return Ok(verified.generation);
        }
        // What is no longer allowed still proves who somebody is, where nothing else can.
        let is_allowed = situation.user.is_enrolled(policy.methods);
        let accepted = if is_allowed {
            Accepted::Allowed
        } else {
            Accepted::Enrolled
        };
        let now = self.services.now();
        if let Some(lock) = situation.user.throttle.lock(now) {
            return Err(RequestError::new(
                Failure::Denied,
                messages::locked(lock, now),
            ));
        }
        let Self {
            services,
            account,
            origin,
            ..
        } = self;
        let purpose = "change how you log in";
        let challenge = Challenge {
            services: *services,
            account,
            origin,
            person,
            purpose,
            accepted,
            tally: Tally::Proved,
            cannot_answer: false,
        };
        match challenge.ask("To change this, first prove it is you.\n", terminal)? {
            ChallengeOutcome::Passed { .. } => Ok(situation.generation),
            ChallengeOutcome::Locked(lock) => Err(RequestError::new(
                Failure::Denied,
                messages::locked(lock, self.services.now()),
            )),
            ChallengeOutcome::Unreachable { text } => {
                Err(RequestError::new(Failure::Unavailable, text))
            }
            ChallengeOutcome::TooManyCodes { text } => {
                Err(RequestError::new(Failure::Denied, text))
            }
            ChallengeOutcome::NoAnswer => Err(RequestError::new(
                Failure::Denied,
                "no code was entered, so nothing was changed",
            )),
            ChallengeOutcome::Wrong { .. } | ChallengeOutcome::TriesUsedUp { .. } => {
                Err(RequestError::new(
                    Failure::Denied,
                    "too many wrong answers, so nothing was changed",
                ))
            }
        }
    }

    /// Counts a change for which no code could be asked. A new app is counted when it gets a key: one whose key was
    /// shown before changes nothing.
    fn count(&self, person: &Person, request: &Request) -> Result<(), RequestError> {
        if matches!(request, Request::Status { .. } | Request::EnrolApp { .. }) {
            return Ok(());
        }
        match self.enrolment(person).too_many_changes(&person.situation)? {
            Some(text) => Err(RequestError::new(Failure::Denied, text)),
            None => Ok(()),
        }
    }

    fn enrolment<'a>(&'a self, person: &'a Person) -> Enrolment<'a> {
        Enrolment {
            services: self.services,
            account: &self.account,
            origin: &self.origin,
            policy: &person.policy,
        }
    }

    fn enrol(
        &self,
        person: &Person,
        asked: &AppRequest,
        terminal: &mut dyn Terminal,
    ) -> Result<Done, RequestError> {
        let AppRequest {
            label,
            counter,
            algorithm,
            digits,
            period,
        } = asked;
        let parameters = enrolment::parameters(*counter, algorithm, *digits, *period)
            .map_err(|bad| RequestError::new(Failure::Usage, bad.to_string()))?;
        let label = self::label(label.as_deref(), &person.situation.user.apps)?;
        let intro = format!(
            "A new authenticator app for {}, called '{label}'.\n",
            self.account.name
        );
        let enrolment = self.enrolment(person);
        enrolment.of_an_app(&person.situation, parameters, &label, &intro, terminal).map_err(|error| {
            let is_unconfirmed = matches!(error, EnrolmentError::NotConfirmed);
            let error = RequestError::from(error);
            if !is_unconfirmed {
                return error;
            }
            error
                .hinted("the same key comes back for a quarter of an hour: run it again, or delete the key from your app")
        })?;
        terminal.info(format!("Your authenticator app is enrolled as '{label}'.").into())?;
        mention_disabled(person, terminal)?;
        Ok(Done::Changed)
    }

    /// Sets up codes by e-mail or text message: the address is kept when a code sent there comes back.
    fn enrol_address(
        &self,
        person: &Person,
        method: &str,
        address: Option<&str>,
        terminal: &mut dyn Terminal,
    ) -> Result<Done, RequestError> {
        let channel = sending_channel(method)?;
        let Person { policy, .. } = person;
        if !policy.methods.contains(channel.method()) {
            let message = format!("the policy allows no codes by {}", messages::way(channel));
            return Err(RequestError::new(Failure::NotPermitted, message));
        }
        if !self.services.sender.serves(channel) {
            let message = format!(
                "this machine cannot send codes by {} yet",
                messages::way(channel)
            );
            let hint = "an administrator sets up a provider with 'twofa provider add'";
            return Err(RequestError::new(Failure::Failed, message).hinted(hint));
        }
        let address = address
            .map(|text| self.address(policy, channel, text))
            .transpose()?;
        self.verify_address(person, channel, address.as_deref(), terminal)?;
        mention_disabled(person, terminal)?;
        Ok(Done::Changed)
    }

    fn verify_address(
        &self,
        person: &Person,
        channel: Channel,
        address: Option<&str>,
        terminal: &mut dyn Terminal,
    ) -> Result<Generation, RequestError> {
        if let (Channel::Sms, Some(number)) = (channel, address) {
            terminal.info(format!("The number is {}.", addresses::readable(number)).into())?;
        }
        let Verified {
            address,
            generation,
            ..
        } = self.enrolment(person).of_an_address(
            &person.situation,
            channel,
            address,
            "",
            terminal,
        )?;
        let text = format!(
            "Codes can be sent by {} to {address} from now on.",
            messages::way(channel)
        );
        terminal.info(text.into())?;
        Ok(generation)
    }

    fn remove(&self, person: &Person, method: &str) -> Result<Done, RequestError> {
        let Self {
            services,
            account,
            origin,
            ..
        } = self;
        let situation = &person.situation;
        let now = services.now();
        let enrolled = situation.user.enrolled();
        if method == BACKUP {
            let removed =
                services
                    .store
                    .remove_backup_codes(account, situation.generation, origin, now)?;
            let nothing =
                RequestError::new(Failure::NotFound, "there are no backup codes to remove");
            return if removed {
                Ok(Done::Changed)
            } else {
                Err(nothing)
            };
        }
        let apps = &situation.user.apps;
        let address = sending_channel(method)
            .ok()
            .filter(|channel| situation.user.contacts[*channel].is_some());
        if address.is_none() && !apps.iter().any(|app| app.label == method) {
            let mut all: Vec<_> = apps.iter().map(|app| app.label.clone()).collect();
            let sent = enrolled
                .intersection(person.policy.methods)
                .iter()
                .filter(|method| method.channel().is_some());
            all.extend(sent.map(|method| method.name().to_owned()));
            let hint = match all.as_slice() {
                [] => "nothing is enrolled".to_owned(),
                all => format!("enrolled: {}", all.join(", ")),
            };
            let message = format!("there is no method called '{method}'");
            return Err(RequestError::new(Failure::NotFound, message).hinted(hint));
        }
        match address {
            Some(channel) => self.may_lose(person, channel.method())?,
            None if apps.len() > 1 => {}
            None => self.may_lose(person, Method::App)?,
        }
        match address {
            Some(channel) => {
                services.store.remove_address(
                    account,
                    situation.generation,
                    channel,
                    origin,
                    now,
                )?;
            }
            None => {
                services
                    .store
                    .remove_app(account, situation.generation, method, origin, now)?;
            }
        }
        Ok(Done::Changed)
    }

    /// Sets what is no method by itself. An owner's address is one: it is verified first, where codes can be sent.
    fn set(
        &self,
        person: &Person,
        request: &Request,
        terminal: &mut dyn Terminal,
    ) -> Result<Done, RequestError> {
        let Request::Set {
            verify,
            email,
            phone,
            prefer,
            attested,
            ..
        } = request
        else {
            return Err(RequestError::new(Failure::Failed, "nothing is set by this"));
        };
        if *attested && !self.peer.is_root() {
            return Err(RequestError::new(
                Failure::NotPermitted,
                "only root may vouch for an address",
            ));
        }
        let mut settings = Settings {
            verify: self.verify(person, verify.as_deref())?,
            preferred: prefer.as_deref().map(preferred).transpose()?,
            attested: *attested,
            ..Settings::default()
        };
        let mut to_verify = Vec::new();
        for (channel, text) in [(Channel::Email, email), (Channel::Sms, phone)] {
            let Some(text) = text else { continue };
            match (channel, self.new_address(person, channel, text)?) {
                (channel, NewAddress::ToVerify(address)) => to_verify.push((channel, address)),
                (channel, NewAddress::Kept(address)) => {
                    settings.addresses[channel] = Some(address);
                }
            }
        }
        let is_all = to_verify.is_empty();
        let mut generation = person.situation.generation;
        for (channel, address) in to_verify {
            // What is verified first changes what the rest is allowed on, and nothing else may.
            let fresh = Person::of(self.services.store, &self.account)?;
            if fresh.situation.generation != generation {
                return Err(StoreError::ChangedMeanwhile.into());
            }
            generation = self.verify_address(&fresh, channel, Some(&address), terminal)?;
        }
        let Self {
            services,
            account,
            origin,
            ..
        } = self;
        let changes =
            services
                .store
                .set_user(account, generation, &settings, origin, services.now())?;
        if changes.is_empty() && is_all {
            terminal.info("Nothing to change: it is that already.".into())?;
        }
        for change in changes.iter().filter_map(events::change) {
            terminal.info(format!("{}: {change}.", self.account.name).into())?;
        }
        Ok(Done::Changed)
    }

    /// What becomes of an address that somebody sets; an empty one is removed.
    fn new_address(
        &self,
        person: &Person,
        channel: Channel,
        text: &str,
    ) -> Result<NewAddress, RequestError> {
        if text.trim().is_empty() {
            self.may_lose(person, channel.method())?;
            return Ok(NewAddress::Kept(None));
        }
        let address = self.address(&person.policy, channel, text)?;
        if self.peer.is_root() {
            return Ok(NewAddress::Kept(Some(address)));
        }
        if self.services.sender.serves(channel) {
            return Ok(NewAddress::ToVerify(address));
        }
        let known = person.situation.user.contacts[channel].as_ref();
        if known.is_some_and(|known| known.verified && known.address != address) {
            let message = format!(
                "this machine cannot send codes by {} now",
                messages::way(channel)
            );
            return Err(RequestError::new(Failure::Failed, message)
                .hinted("the address you have stays as it is"));
        }
        Ok(NewAddress::Kept(Some(address)))
    }

    /// An address as it is kept. Root's word is good for any.
    fn address(
        &self,
        policy: &Policy,
        channel: Channel,
        text: &str,
    ) -> Result<String, RequestError> {
        let read = if self.peer.is_root() {
            addresses::read
        } else {
            addresses::read_of_user
        };
        read(policy, channel, text).map_err(|bad| {
            let failure = match bad {
                BadAddress::Elsewhere { .. } | BadAddress::NotMobile(_) => Failure::NotPermitted,
                BadAddress::Email(_) | BadAddress::Phone(_) => Failure::Usage,
            };
            RequestError::new(failure, bad.to_string())
        })
    }

    fn verify(
        &self,
        person: &Person,
        verify: Option<&str>,
    ) -> Result<Option<Verify>, RequestError> {
        let verify: Option<Verify> = verify
            .map(str::parse)
            .transpose()
            .map_err(|bad| RequestError::new(Failure::Usage, format!("verify: {bad}")))?;
        let obliged = person.situation.user.summary().is_obliged(&person.policy);
        if verify == Some(Verify::Never) && obliged && !self.peer.is_root() {
            let message = "a second factor is required of you, so it cannot be 'never'";
            return Err(RequestError::new(Failure::NotPermitted, message));
        }
        Ok(verify)
    }

    /// Whether the person may do without `method`: a person who must have a second factor keeps one.
    fn may_lose(&self, person: &Person, method: Method) -> Result<(), RequestError> {
        let user = &person.situation.user;
        let working = user.enrolled().intersection(person.policy.methods);
        let is_last = !working.is_empty() && working.without(method).is_empty();
        if is_last && user.summary().is_obliged(&person.policy) && !self.peer.is_root() {
            let message = "a second factor is required of you, and this is your last method";
            return Err(
                RequestError::new(Failure::NotPermitted, message).hinted("enrol another one first")
            );
        }
        Ok(())
    }

    fn new_backup_codes(
        &self,
        person: &Person,
        terminal: &mut dyn Terminal,
    ) -> Result<Done, RequestError> {
        if !person.policy.methods.contains(Method::Backup) {
            return Err(RequestError::new(
                Failure::NotPermitted,
                "the policy allows no backup codes",
            ));
        }
        if !person.situation.user.is_enrolled(person.policy.methods) {
            let error = RequestError::new(
                Failure::Failed,
                "backup codes stand in for another method, and there is none",
            );
            return Err(error.hinted("enrol an authenticator app first: twofa enrol app"));
        }
        if self
            .enrolment(person)
            .backup_codes(person.situation.generation, terminal)?
            .is_some()
        {
            terminal.info("These are your backup codes now; those from before are void.".into())?;
            return Ok(Done::Changed);
        }
        Err(RequestError::new(
            Failure::Denied,
            "nothing was changed: the codes from before still hold",
        ))
    }
}

fn mention_disabled(person: &Person, terminal: &mut dyn Terminal) -> Result<(), RequestError> {
    if person.policy.mode == Mode::Disabled {
        terminal.info("Logins do not ask for it yet: the policy is disabled.".into())?;
    }
    Ok(())
}

/// The channel that sends the codes of the method called `method`.
fn sending_channel(method: &str) -> Result<Channel, RequestError> {
    method
        .parse()
        .map_err(|unknown| RequestError::new(Failure::Usage, format!("method: {unknown}")))
}

/// The method a login is to begin with; an empty one is forgotten.
fn preferred(text: &str) -> Result<Option<Method>, RequestError> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<Method>() {
        Ok(method) if method.info().stands_alone => Ok(Some(method)),
        _ => {
            let alone = Methods::standing_alone();
            Err(RequestError::new(
                Failure::Usage,
                format!("prefer: it must be one of {alone}"),
            ))
        }
    }
}

/// How a person stands, without a secret.
fn report(account: &Account, person: &Person, now: Timestamp) -> UserReport {
    let user = &person.situation.user;
    UserReport {
        user: account.name.clone(),
        uid: account.uid,
        status: user_status(person.status(account, now)),
        class: person.class.clone(),
        verify: user.verify.to_string(),
        email: user.contacts[Channel::Email].as_ref().map(contact),
        phone: user.contacts[Channel::Sms].as_ref().map(contact),
        methods: user
            .methods(person.policy.methods)
            .iter()
            .map(|method| method.name().to_owned())
            .collect(),
        exemptions: person
            .exemptions(account, now)
            .into_iter()
            .map(exemption)
            .collect(),
        required: user.required,
        failures: user.throttle.failures(),
        apps: user.apps.iter().map(app_report).collect(),
        backup_codes_left: u32::try_from(user.backup_codes_left()).unwrap_or(u32::MAX),
    }
}

/// A status as the protocol has it.
pub const fn user_status(status: Status) -> UserStatus {
    match status {
        Status::Off => UserStatus::Off,
        Status::Pending => UserStatus::Pending,
        Status::NotAllowed => UserStatus::NotAllowed,
        Status::Enabled => UserStatus::Enabled,
        Status::Locked(Lock::Until(until)) => UserStatus::LockedUntil(until.unix()),
        Status::Locked(Lock::Administrator) => UserStatus::Locked,
        Status::Exempt(None) => UserStatus::Exempt(None),
        Status::Exempt(Some(until)) => UserStatus::Exempt(Some(until.unix())),
    }
}

fn contact(contact: &Contact) -> ContactReport {
    ContactReport {
        address: contact.address.clone(),
        verified: contact.verified,
    }
}

fn exemption(stored: &StoredExemption) -> ExemptionReport {
    let Exemption { reason, until, .. } = &stored.exemption;
    ExemptionReport {
        id: stored.id,
        reason: reason.clone(),
        until: until.map(Timestamp::unix),
        only: messages::exemption_scope(&stored.exemption),
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
fn label(asked: Option<&str>, apps: &[EnrolledApp]) -> Result<String, RequestError> {
    let taken = |label: &str| apps.iter().any(|app| app.label == label);
    let Some(asked) = asked.map(str::trim) else {
        let numbered = (2..).map(|n| format!("app-{n}"));
        let free = std::iter::once("app".to_owned())
            .chain(numbered)
            .find(|label| !taken(label));
        return free.ok_or_else(|| RequestError::new(Failure::Failed, "there is no free label"));
    };
    let fits = !asked.is_empty() && asked.chars().count() <= LONGEST_LABEL;
    if !fits || asked.chars().any(is_unprintable) || asked == BACKUP {
        let message = "a label has 1 to 32 characters, none of them invisible, and is not 'backup'";
        return Err(RequestError::new(Failure::Usage, message));
    }
    if taken(asked) {
        return Err(StoreError::LabelTaken(asked.to_owned()).into());
    }
    Ok(asked.to_owned())
}
