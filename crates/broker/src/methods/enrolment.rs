//! Setting up methods, at a login or from the command line.

use twofa_core::app::DEFAULT_LABEL;
use twofa_core::user::masked;
use twofa_core::{Channel, Method, Methods, Parameters};
use twofa_store::Generation;
use twofa_store::event::Proof;

use crate::context::Context;
use crate::identity::person::Person;
use crate::methods::address_verification::{Verified, verify_address};
use crate::methods::app_enrolment::enrol_app;
use crate::methods::backup_codes;
use crate::methods::error::EnrolmentError;
use crate::text::messages;
use crate::text::terminal::{Stage, Terminal};

/// How often a person may choose what to set up.
const CHOICES: u32 = 3;

/// A first method that was set up.
#[derive(Debug)]
pub struct FirstMethod {
    /// What it proves.
    pub by: Proof,
    /// The generation of the person's methods after that.
    pub generation: Generation,
    /// Its first code had a `+`.
    pub trusts_device: bool,
}

/// Sets up a first method and the backup codes, at a login; `intro` stands before the first prompt. If the policy allows
/// several methods that work here, the person chooses.
///
/// If addresses are on file and nothing else proves the person (`is_proved`), a code to one of them comes first: an
/// administrator put them there, and a password alone must not enrol around them.
pub fn enrol_first(
    context: Context<'_>,
    is_proved: bool,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<FirstMethod, EnrolmentError> {
    if is_proved || !context.person.has_address_on_file() {
        return enrol_chosen(context, intro, terminal);
    }
    let (channel, mut verified) = prove_by_address_on_file(context, intro, terminal)?;
    if !context.policy().methods.contains(channel.method()) {
        let person = Person::load(context.store(), context.account)?;
        let context = Context {
            person: &person,
            ..context
        };
        return enrol_chosen(context, messages::NOW_SET_UP, terminal);
    }
    add_backup_codes(context, &mut verified, terminal)?;
    Ok(FirstMethod::address(channel, &verified))
}

/// Verifies an address that is on file, by a code that is sent there. Of two addresses the person chooses one.
pub fn prove_by_address_on_file(
    context: Context<'_>,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<(Channel, Verified), EnrolmentError> {
    let is_usable = |channel: &Channel| {
        context.person.is_on_file(*channel) && context.services.sender.serves(*channel)
    };
    let on_file = Channel::ALL.into_iter().filter(is_usable);
    let offered: Vec<_> = on_file.map(Channel::method).collect();
    if offered.is_empty() {
        return Err(EnrolmentError::OutOfReach);
    }
    let intro = format!("{intro}\n");
    try_methods(&offered, &intro, terminal, |method, intro, terminal| {
        let channel = method.channel().ok_or(EnrolmentError::OutOfReach)?;
        let verified = verify(context, channel, None, intro, terminal)?;
        Ok((channel, verified))
    })
}

/// Sets up the address that codes are sent to, `given`, the one on file, or one that is asked for; and the backup codes if
/// there are none.
pub fn enrol_address(
    context: Context<'_>,
    channel: Channel,
    given: Option<&str>,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<Verified, EnrolmentError> {
    let mut verified = verify(context, channel, given, intro, terminal)?;
    add_backup_codes(context, &mut verified, terminal)?;
    Ok(verified)
}

fn enrol_chosen(
    context: Context<'_>,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<FirstMethod, EnrolmentError> {
    terminal.reach(Stage::Enrolling);
    let offered = offered(context);
    if offered.is_empty() {
        return Err(EnrolmentError::NoMethod);
    }
    let intro = format!("{intro}\n");
    try_methods(
        &offered,
        &intro,
        terminal,
        |method, intro, terminal| match method.channel() {
            Some(channel) => {
                let verified = enrol_address(context, channel, None, intro, terminal)?;
                Ok(FirstMethod::address(channel, &verified))
            }
            None if method == Method::App => {
                let (parameters, label) = (Parameters::default(), DEFAULT_LABEL);
                let new = enrol_app(context, parameters, label, intro, terminal)?;
                Ok(FirstMethod {
                    generation: new.generation,
                    trusts_device: new.trusts_device,
                    by: Proof::EnrolledApp {
                        label: label.to_owned(),
                    },
                })
            }
            None => Err(EnrolmentError::NoMethod),
        },
    )
}

/// The methods that the policy allows and that work here.
fn offered(context: Context<'_>) -> Vec<Method> {
    let serves = |channel| context.services.sender.serves(channel);
    let allowed = context
        .policy()
        .methods
        .intersection(Methods::standing_alone());
    allowed
        .iter()
        .filter(|method| method.channel().is_none_or(serves))
        .collect()
}

/// Sets up one of `offered` by `set_up`: of several the person chooses, and chooses again if no code can be sent.
fn try_methods<T>(
    offered: &[Method],
    intro: &str,
    terminal: &mut dyn Terminal,
    mut set_up: impl FnMut(Method, &str, &mut dyn Terminal) -> Result<T, EnrolmentError>,
) -> Result<T, EnrolmentError> {
    if let [only] = offered {
        return set_up(*only, intro, terminal);
    }
    let mut intro = intro.to_owned();
    for _ in 0..CHOICES {
        let method = choose(offered, &intro, terminal)?;
        match set_up(method, "", terminal) {
            Err(EnrolmentError::NotSent(unsent)) => intro = format!("{}\n", unsent.text),
            result => return result,
        }
    }
    Err(EnrolmentError::NotConfirmed)
}

/// Which of `methods` the person wants; the first if they just press Enter.
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
        text = messages::not_listed(&question);
    }
    Err(EnrolmentError::NotConfirmed)
}

fn verify(
    context: Context<'_>,
    channel: Channel,
    given: Option<&str>,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<Verified, EnrolmentError> {
    terminal.reach(Stage::Enrolling);
    let on_file = context.user().contacts[channel].as_ref();
    let known = given.or(on_file.map(|contact| contact.address.as_str()));
    let verified = verify_address(context, channel, known, intro, terminal)?;
    terminal.reach(Stage::Enrolled);
    Ok(verified)
}

fn add_backup_codes(
    context: Context<'_>,
    verified: &mut Verified,
    terminal: &mut dyn Terminal,
) -> Result<(), EnrolmentError> {
    let made = backup_codes::make_missing(context, verified.generation, terminal)?;
    verified.generation = made.unwrap_or(verified.generation);
    Ok(())
}

impl FirstMethod {
    fn address(channel: Channel, verified: &Verified) -> Self {
        Self {
            by: Proof::EnrolledAddress {
                channel,
                address: masked(&verified.address),
            },
            generation: verified.generation,
            trusts_device: verified.trusts_device,
        }
    }
}

#[cfg(test)]
mod tests;
