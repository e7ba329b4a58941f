//! Setting up methods, at a login or from the command line: from prompt to prompt.
//!
//! What follows from an answer follows from the [`EnrolmentState`] before it alone. A process that holds the person's terminal
//! goes through it in a loop; in a login on a host of the fleet, the state is on record between two prompts, and any server goes
//! on ([`resume_first`]). The steps themselves are with what is set up: `app_enrolment`, `address_verification`,
//! `inbound_sms`, `backup_codes`.

use twofa_core::app::{DEFAULT_LABEL, Parameters};
use twofa_core::{Channel, Method, Methods};
use twofa_proto::codec::CodecError;
use twofa_proto::{ConnectionError, Secret};
use twofa_store::event::Proof;
use twofa_store::{AnswerVerdict, Generation};
use zeroize::Zeroizing;

use crate::context::Context;
pub use crate::methods::enrolment_state::EnrolmentState;
use crate::methods::enrolment_state::Verified;
use crate::methods::enrolment_state::{At, Choices, Named, SetUp, Wish};
use crate::methods::error::EnrolmentError;
use crate::text::messages;
use crate::text::terminal::{Stage, Terminal, TerminalClosed};

/// How often a person may choose what to set up, and how often mistype that.
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
    let mut enrolling = Enrolling::new(context, Wish::First);
    let step = if is_proved || !context.person.has_address_on_file() {
        enrolling.begin_chosen(intro, terminal)?
    } else {
        enrolling.wish = Wish::FirstProved;
        enrolling.begin_on_file(intro, terminal)?
    };
    enrolling.run(step, terminal)?.first_method()
}

/// An answer at a prompt of an enrolment.
pub struct Answered<'a> {
    /// Where it stands.
    pub state: EnrolmentState,
    /// What was typed; `None`: nothing was.
    pub typed: Option<Secret>,
    /// What has become of that, if it came before.
    pub verdict: Option<&'a AnswerVerdict>,
}

/// Goes on with the setting up of a first method.
pub fn resume_first(
    context: Context<'_>,
    answered: Answered<'_>,
    terminal: &mut dyn Terminal,
) -> Result<FirstMethod, EnrolmentError> {
    resume(context, answered, terminal)?.first_method()
}

/// Goes on with an enrolment.
pub(crate) fn resume(
    context: Context<'_>,
    answered: Answered<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Finished, EnrolmentError> {
    let Answered {
        state,
        typed,
        verdict,
    } = answered;
    let EnrolmentState {
        wish,
        generation,
        is_enrolled,
        at,
    } = state;
    let mut enrolling = Enrolling {
        context,
        wish,
        generation,
        is_enrolled,
        verdict,
    };
    terminal.reach(Stage::Enrolling);
    let step = enrolling.answer(at, typed, terminal)?;
    enrolling.verdict = None;
    enrolling.run(step, terminal)
}

/// Verifies an address that is on file, by a code that is sent there. Of two addresses the person chooses one.
pub fn prove_by_address_on_file(
    context: Context<'_>,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<(Channel, Verified), EnrolmentError> {
    let mut enrolling = Enrolling::new(context, Wish::Proof);
    let step = enrolling.begin_on_file(intro, terminal)?;
    enrolling.run(step, terminal)?.verified()
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
    let mut enrolling = Enrolling::new(context, Wish::Method);
    let step = enrolling.begin_address(channel, given, None, intro, terminal)?;
    let (_, verified) = enrolling.run(step, terminal)?.verified()?;
    Ok(verified)
}

/// Sets up an app with these `parameters` as `label`, and the backup codes if there are none.
pub(crate) fn enrol_app(
    context: Context<'_>,
    parameters: Parameters,
    label: &str,
    intro: &str,
    terminal: &mut dyn Terminal,
) -> Result<(), EnrolmentError> {
    let mut enrolling = Enrolling::new(context, Wish::Method);
    let step = enrolling.begin_app(parameters, label, intro, terminal)?;
    enrolling.run(step, terminal).map(drop)
}

/// Makes backup codes, shows them once, and keeps them when the person has shown that they were saved. Says whether they are
/// kept; if not, earlier codes still work.
pub(crate) fn new_backup_codes(
    context: Context<'_>,
    terminal: &mut dyn Terminal,
) -> Result<bool, EnrolmentError> {
    let mut enrolling = Enrolling::new(context, Wish::Codes);
    let step = enrolling.begin_codes(None, terminal)?;
    let finished = enrolling.run(step, terminal)?;
    Ok(finished.are_codes_kept())
}

/// What follows from the beginning, or from an answer.
pub(super) enum Step {
    /// The person is asked.
    Ask(Ask),
    /// It was set up.
    End(Finished),
}

/// A prompt, and where the enrolment stands at it.
pub(super) struct Ask {
    text: Secret,
    /// The link of a key that the text shows.
    link: Option<Zeroizing<String>>,
    at: At,
}

/// What was set up.
pub(crate) struct Finished {
    set_up: SetUp,
    generation: Generation,
    trusts_device: bool,
}

impl Step {
    pub(super) fn ask(text: &str, at: At) -> Self {
        Self::Ask(Ask {
            text: text.into(),
            link: None,
            at,
        })
    }

    /// The same for a `text` that shows the key in `link`.
    pub(super) fn ask_with_link(text: &str, link: Zeroizing<String>, at: At) -> Self {
        Self::Ask(Ask {
            text: text.into(),
            link: Some(link),
            at,
        })
    }
}

impl Finished {
    fn first_method(self) -> Result<FirstMethod, EnrolmentError> {
        Ok(FirstMethod {
            by: self.set_up.proof().ok_or(EnrolmentError::NoMethod)?,
            generation: self.generation,
            trusts_device: self.trusts_device,
        })
    }

    /// Whether backup codes are kept that were what was to be set up.
    pub(crate) fn are_codes_kept(&self) -> bool {
        self.set_up == SetUp::Codes { are_kept: true }
    }

    /// The label of the app that was set up.
    pub(crate) fn label(&self) -> Option<&str> {
        match &self.set_up {
            SetUp::App { label } => Some(label),
            _ => None,
        }
    }

    /// The address that was set up.
    pub(crate) fn verified(self) -> Result<(Channel, Verified), EnrolmentError> {
        let SetUp::Address { channel, address } = self.set_up else {
            return Err(EnrolmentError::NoMethod);
        };
        let verified = Verified {
            address,
            generation: self.generation,
        };
        Ok((channel.0, verified))
    }
}

/// The setting up of methods by one person.
pub(super) struct Enrolling<'a> {
    pub(super) context: Context<'a>,
    pub(super) wish: Wish,
    /// The generation of the person's methods that it builds on.
    pub(super) generation: Generation,
    /// Something was set up.
    pub(super) is_enrolled: bool,
    /// What has become of the answer that is being worked on, if it came before.
    pub(super) verdict: Option<&'a AnswerVerdict>,
}

impl<'a> Enrolling<'a> {
    pub(super) const fn new(context: Context<'a>, wish: Wish) -> Self {
        Self {
            context,
            wish,
            generation: context.person.snapshot.generation,
            is_enrolled: false,
            verdict: None,
        }
    }
}

impl Enrolling<'_> {
    /// Asks and goes on until something is set up.
    pub(super) fn run(
        &mut self,
        mut step: Step,
        terminal: &mut dyn Terminal,
    ) -> Result<Finished, EnrolmentError> {
        loop {
            let Ask { text, link, at } = match step {
                Step::Ask(ask) => ask,
                Step::End(finished) => return Ok(finished),
            };
            let state = self.state(at);
            terminal.keep(&|| state.to_text());
            let typed = terminal.ask_with_link(
                text.expose().to_owned(),
                link.as_ref().map(|link| link.as_str()),
            )?;
            step = self.answer(state.at, typed, terminal)?;
        }
    }

    fn state(&self, at: At) -> EnrolmentState {
        EnrolmentState {
            wish: self.wish.clone(),
            generation: self.generation,
            is_enrolled: self.is_enrolled,
            at,
        }
    }

    /// What follows from what was `typed`; `None`: nothing was.
    fn answer(
        &mut self,
        at: At,
        typed: Option<Secret>,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        // The module then refuses the login, so it must not go on here. Before that, no answer means that the person does not
        // enrol.
        if typed.is_none() && self.is_enrolled && self.wish.is_login() {
            return Err(TerminalClosed(ConnectionError::from(CodecError::Closed)).into());
        }
        match at {
            At::Choice(choices, spellings) => self.chosen(choices, spellings, typed, terminal),
            At::App(app) => self.app_answered(app, typed, terminal),
            At::Address(address) => self.address_answered(address, typed),
            At::TextIn(text_in) => self.text_in_answered(text_in, typed, terminal),
            At::Code(code) => self.code_answered(code, typed, terminal),
            At::Codes(codes) => self.codes_answered(codes, typed, terminal),
        }
    }

    /// Records that what follows from the answer begins, where its conversation is on record: it is done once.
    pub(super) fn begin_step(&self, at: At) -> Result<(), EnrolmentError> {
        let Context {
            account, origin, ..
        } = self.context;
        if origin.answering().is_some() {
            let state = self.state(at).to_text();
            let now = self.context.now();
            let store = self.context.store();
            store.begin_step(&state, account, origin, now)?;
        }
        Ok(())
    }

    /// Begins with an address on file.
    fn begin_on_file(
        &mut self,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        let context = self.context;
        let is_usable = |channel: &Channel| {
            context.person.is_on_file(*channel) && context.services.sender.serves(*channel)
        };
        let on_file = Channel::ALL.into_iter().filter(is_usable);
        let offered: Vec<_> = on_file.map(Channel::method).collect();
        if offered.is_empty() {
            return Err(EnrolmentError::OutOfReach);
        }
        self.offer(&offered, &format!("{intro}\n"), terminal)
    }

    /// Begins with a method that the policy allows and that works here.
    fn begin_chosen(
        &mut self,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        self.wish = Wish::First;
        terminal.reach(Stage::Enrolling);
        let serves = |channel| self.context.services.sender.serves(channel);
        let allowed = self.context.policy().methods;
        let allowed = allowed.intersection(Methods::standing_alone());
        let offered = allowed.iter();
        let offered = offered.filter(|method| method.channel().is_none_or(serves));
        let offered: Vec<_> = offered.collect();
        if offered.is_empty() {
            return Err(EnrolmentError::NoMethod);
        }
        self.offer(&offered, &format!("{intro}\n"), terminal)
    }

    /// Begins with the only one of `offered`, or has the person choose.
    fn offer(
        &mut self,
        offered: &[Method],
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        if let [only] = offered {
            return self.begin_method(*only, None, intro, terminal);
        }
        let choices = Choices {
            offered: offered.iter().copied().map(Named).collect(),
            left: CHOICES,
        };
        Ok(ask_which(choices, intro))
    }

    /// What follows from a choice; the first if the person just pressed Enter.
    fn chosen(
        &mut self,
        choices: Choices,
        spellings: u32,
        typed: Option<Secret>,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        let typed = typed.ok_or(EnrolmentError::NotConfirmed)?;
        let number = match typed.expose().trim() {
            "" => Some(1),
            number => number.parse::<usize>().ok(),
        };
        let index = number.and_then(|number| number.checked_sub(1));
        if let Some(Named(method)) = index.and_then(|index| choices.offered.get(index).copied()) {
            return self.begin_method(method, Some(choices), "", terminal);
        }
        let spellings = spellings.saturating_sub(1);
        if spellings == 0 {
            return Err(EnrolmentError::NotConfirmed);
        }
        let text = messages::not_listed(&which(&choices));
        Ok(Step::ask(&text, At::Choice(choices, spellings)))
    }

    fn begin_method(
        &mut self,
        method: Method,
        choices: Option<Choices>,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        let begun = match method.channel() {
            Some(channel) => self.begin_address(channel, None, choices.clone(), intro, terminal),
            None if method == Method::App => {
                self.begin_app(Parameters::default(), DEFAULT_LABEL, intro, terminal)
            }
            None => Err(EnrolmentError::NoMethod),
        };
        choose_again(begun, choices)
    }

    /// What follows when a method, of which `generation` is the consequence, is set up.
    pub(super) fn enrolled(
        &mut self,
        set_up: SetUp,
        generation: Generation,
        trusts_device: bool,
        terminal: &mut dyn Terminal,
    ) -> Result<Step, EnrolmentError> {
        self.generation = generation;
        self.is_enrolled = true;
        terminal.reach(Stage::Enrolled);
        let allowed = self.context.policy().methods;
        if self.wish == Wish::FirstProved
            && let SetUp::Address { channel, .. } = &set_up
            && !allowed.contains(channel.0.method())
        {
            return self.begin_chosen(messages::NOW_SET_UP, terminal);
        }
        let has_codes = self.context.user().backup_codes_left() > 0;
        if self.wish == Wish::Proof || has_codes || !allowed.contains(Method::Backup) {
            return Ok(self.end(set_up, trusts_device));
        }
        self.begin_codes(Some((set_up, trusts_device)), terminal)
    }

    pub(super) const fn end(&self, set_up: SetUp, trusts_device: bool) -> Step {
        Step::End(Finished {
            set_up,
            generation: self.generation,
            trusts_device,
        })
    }
}

/// Where nothing could be sent, the person chooses again, if there is a choice and they may.
pub(super) fn choose_again(
    begun: Result<Step, EnrolmentError>,
    choices: Option<Choices>,
) -> Result<Step, EnrolmentError> {
    match (begun, choices) {
        (Err(EnrolmentError::NotSent(unsent)), Some(choices)) => {
            let left = choices.left.saturating_sub(1);
            if left == 0 {
                return Err(EnrolmentError::NotConfirmed);
            }
            let choices = Choices { left, ..choices };
            Ok(ask_which(choices, &format!("{}\n", unsent.text)))
        }
        (begun, _) => begun,
    }
}

fn ask_which(choices: Choices, intro: &str) -> Step {
    let text = format!("{intro}{}", which(&choices));
    Step::ask(&text, At::Choice(choices, CHOICES))
}

fn which(choices: &Choices) -> String {
    let offered: Vec<_> = choices.offered.iter().map(|method| method.0).collect();
    messages::which_method(&offered)
}

#[cfg(test)]
mod tests;
