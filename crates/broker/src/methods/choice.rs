//! Which method a challenge asks for: the first one, another one, another code.

use std::mem;
use std::time::Instant;

use twofa_core::user::masked;
use twofa_core::{Answer, Channel, Method, Methods};
use twofa_store::StoreError;

use crate::context::Context;
use crate::methods::challenge_state::{ChallengeState, OutstandingCode};
use crate::sending::codes::{self, DispatchedCode, NotSent, SEND_TIMEOUT, Unsent};
use crate::text::messages;

/// How much of the time a text message may take when an e-mail can stand in for it: three fifths.
const SHARE_OF_SMS: (u32, u32) = (3, 5);

/// How a challenge begins.
pub(super) enum FirstPrompt {
    /// With this prompt.
    Ask(String),
    /// Not at all: no code could be sent, and the person has no other method.
    Unsent(Unsent),
}

/// What a person can type instead of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PromptCommand {
    /// Explain what to do.
    Help,
    /// Send another code.
    Resend,
    /// List the methods.
    List,
    /// Ask for a code of this method.
    Choose(Method),
    /// A number that is not on the list.
    NotListed,
}

impl PromptCommand {
    /// The command that was `typed` instead of a code, if it is one.
    pub(super) fn read(state: &mut ChallengeState, typed: &str) -> Option<Self> {
        // Numbers mean the list only in the answer to it.
        let listed = mem::take(&mut state.listed);
        match Answer::read(typed) {
            Answer::Help => Some(Self::Help),
            Answer::Resend => Some(Self::Resend),
            Answer::OtherMethod => Some(Self::List),
            // No code is as short as a number of the list.
            _ if !listed.is_empty() && typed.trim().len() <= 2 => {
                let number = typed.trim().parse::<usize>().ok()?;
                let method = number.checked_sub(1).and_then(|index| listed.get(index));
                Some(method.map_or(Self::NotListed, |method| Self::Choose(*method)))
            }
            _ => None,
        }
    }
}

/// The outcome of sending a code.
enum SendOutcome {
    /// A code is on its way, or as far as is known; this says so to the person.
    Sent(String),
    Unsent(Unsent),
}

/// The methods of one person in one challenge.
pub(super) struct Choice<'a> {
    context: Context<'a>,
    application: String,
    trust_hint: Option<&'a str>,
    methods: Vec<Method>,
    has_backup: bool,
    state: &'a mut ChallengeState,
}

impl<'a> Choice<'a> {
    /// The person's methods among those that are `accepted`.
    /// `trust_hint`: what a `+` at a code does.
    pub(super) fn new(
        context: Context<'a>,
        accepted: Methods,
        trust_hint: Option<&'a str>,
        state: &'a mut ChallengeState,
    ) -> Self {
        let user = context.user();
        Self {
            context,
            application: context.application(),
            trust_hint,
            methods: user.methods(accepted),
            has_backup: accepted.contains(Method::Backup) && user.backup_codes_left() > 0,
            state,
        }
    }

    /// The first prompt. If the codes of the first method are sent, one is sent before this returns, unless the
    /// application `cannot_answer`.
    pub(super) fn begin(&mut self, cannot_answer: bool) -> Result<FirstPrompt, StoreError> {
        let first = match self.methods.first() {
            Some(first) if first.channel().is_some() => *first,
            _ => {
                let at_hand = self.methods.iter().copied();
                let at_hand = at_hand.filter(|method| method.channel().is_none());
                let is_only = self.methods.len() < 2;
                return Ok(FirstPrompt::Ask(self.code_prompt(at_hand, is_only)));
            }
        };
        if cannot_answer {
            return Ok(FirstPrompt::Ask(self.prompt_again(messages::NOT_SENT_YET)));
        }
        let Context {
            account, origin, ..
        } = self.context;
        let now = self.context.now();
        let cooldown = self.context.policy().codes.cooldown.seconds();
        let store = self.context.store();
        if let Some(next) = store.code_is_awaited(account, origin, cooldown, now)? {
            self.state.next_at.push((first, next));
            let text = messages::sent_to_another_login(next, now);
            return Ok(FirstPrompt::Ask(self.prompt_again(&text)));
        }
        Ok(match self.send(first)? {
            SendOutcome::Sent(text) => FirstPrompt::Ask(self.prompt_again(&text)),
            SendOutcome::Unsent(unsent) if self.methods.len() > 1 || self.has_backup => {
                FirstPrompt::Ask(self.offer_others(&unsent.text, first))
            }
            SendOutcome::Unsent(unsent) => FirstPrompt::Unsent(unsent),
        })
    }

    /// The prompt for a code of the methods `at_hand`. Without any, it names the app that nobody has: it reveals nothing.
    fn code_prompt(&self, at_hand: impl Iterator<Item = Method>, is_only: bool) -> String {
        let backup = self.has_backup.then_some(Method::Backup);
        let mut methods: Vec<_> = at_hand.chain(backup).collect();
        if methods.is_empty() {
            methods.push(Method::App);
        }
        messages::code_prompt(&self.application, self.trust_hint, &methods, is_only)
    }

    /// Another prompt, with `text` before it.
    pub(super) fn prompt_again(&self, text: &str) -> String {
        let sends = self.methods.iter().any(|method| method.channel().is_some());
        let has_others = self.methods.len() > 1;
        messages::prompt_again(text, &self.application, self.trust_hint, sends, has_others)
    }

    /// Carries out a command, and returns the next prompt.
    pub(super) fn carry_out(&mut self, command: PromptCommand) -> Result<String, StoreError> {
        match command {
            PromptCommand::Help => {
                let help = messages::help(&self.methods, self.has_backup);
                Ok(self.prompt_again(&help))
            }
            PromptCommand::List if self.methods.len() > 1 => Ok(self.list()),
            PromptCommand::List => {
                Ok(self.prompt_again(messages::no_other_method(self.has_backup)))
            }
            PromptCommand::Resend => self.resend(),
            // The policy or the record may have changed since it was listed.
            PromptCommand::Choose(method) if !self.methods.contains(&method) => {
                Ok(messages::not_listed(&self.list()))
            }
            PromptCommand::NotListed => Ok(messages::not_listed(&self.list())),
            PromptCommand::Choose(method) if method.channel().is_some() => {
                self.send_and_prompt(method)
            }
            PromptCommand::Choose(method) => Ok(self.code_prompt([method].into_iter(), true)),
        }
    }

    fn resend(&mut self) -> Result<String, StoreError> {
        let is_sent = |method: &&Method| method.channel().is_some();
        let last = self.state.outstanding.as_ref().map(|code| code.wanted);
        match last.or_else(|| self.methods.iter().find(is_sent).copied()) {
            Some(method) => self.send_and_prompt(method),
            None => Ok(self.prompt_again(messages::NOTHING_TO_RESEND)),
        }
    }

    /// Sends a code by `method`, unless that is too soon after the last one by it.
    fn send_and_prompt(&mut self, method: Method) -> Result<String, StoreError> {
        let now = self.context.now();
        let next_at = self.state.next_at.iter().rfind(|(by, _)| *by == method);
        if let Some((_, next)) = next_at.filter(|(_, next)| now < *next) {
            return Ok(self.prompt_again(&messages::too_soon(*next, now)));
        }
        Ok(match self.send(method)? {
            SendOutcome::Sent(text) => self.prompt_again(&text),
            SendOutcome::Unsent(unsent) => self.offer_others(&unsent.text, method),
        })
    }

    /// The methods, to be chosen by number.
    fn list(&mut self) -> String {
        self.state.listed.clone_from(&self.methods);
        let methods = self
            .methods
            .iter()
            .map(|method| (*method, self.destination(*method)));
        messages::method_list(methods, self.has_backup)
    }

    /// `text`, and what the person can use instead of the method that `failed`.
    fn offer_others(&mut self, text: &str, failed: Method) -> String {
        if self.methods.iter().any(|method| *method != failed) {
            return format!("{text}\n{}", self.list());
        }
        let text = messages::with_backup_code(text, self.has_backup);
        self.prompt_again(&text)
    }

    fn address(&self, channel: Channel) -> Option<&'a str> {
        let contact = self.context.user().contacts[channel].as_ref();
        contact
            .filter(|contact| contact.verified)
            .map(|contact| contact.address.as_str())
    }

    fn destination(&self, method: Method) -> Option<String> {
        self.address(method.channel()?).map(masked)
    }

    /// Sends a new code by `method`. The one before stops working, unless the new one is not sent.
    fn send(&mut self, method: Method) -> Result<SendOutcome, StoreError> {
        let deadline = self.context.services.deadline_within(SEND_TIMEOUT);
        if method == Method::Sms && self.can_fall_back() {
            return self.send_by_sms_or_email(method, deadline);
        }
        match method.channel() {
            Some(channel) => self.keep(self.dispatch(channel, method, deadline)),
            None => Ok(SendOutcome::Sent(messages::NOTHING_TO_RESEND.to_owned())),
        }
    }

    /// Sends a text message, and an e-mail if no provider confirms in time that it took it.
    fn send_by_sms_or_email(
        &mut self,
        method: Method,
        deadline: Instant,
    ) -> Result<SendOutcome, StoreError> {
        let (share, of) = SHARE_OF_SMS;
        let left = deadline.saturating_duration_since(Instant::now());
        let sms_deadline = Instant::now() + left * share / of;
        let by_sms = self.dispatch(Channel::Sms, method, sms_deadline);
        let needs_email = match &by_sms {
            Ok(code) => code.is_late,
            // Other limits hold for e-mail as well.
            Err(why) => why.is_about_sms_alone(),
        };
        if !needs_email {
            return self.keep(by_sms);
        }
        let by_email = self.dispatch(Channel::Email, method, deadline);
        // A text message that may be late is better than nothing.
        if by_email.is_err() && by_sms.is_ok() {
            return self.keep(by_sms);
        }
        let not_by_sms = messages::not_sent(Channel::Sms);
        Ok(match self.keep(by_email)? {
            SendOutcome::Sent(text) => SendOutcome::Sent(format!("{not_by_sms} {text}")),
            SendOutcome::Unsent(unsent) => SendOutcome::Unsent(Unsent {
                text: format!("{not_by_sms} {}", unsent.text),
                ..unsent
            }),
        })
    }

    /// Whether an e-mail may stand in for a text message.
    fn can_fall_back(&self) -> bool {
        self.context.policy().sms_falls_back_to_email() && self.address(Channel::Email).is_some()
    }

    /// Keeps a code that is on its way instead of the one before.
    fn keep(
        &mut self,
        result: Result<OutstandingCode, NotSent>,
    ) -> Result<SendOutcome, StoreError> {
        let code = match result {
            Ok(code) => code,
            Err(why) => return Ok(SendOutcome::Unsent(why.into_unsent()?)),
        };
        let lifetime = self.context.policy().codes.lifetime;
        let text =
            messages::code_sent(code.channel, &masked(&code.address), lifetime, code.is_late);
        self.state.next_at.push((code.wanted, code.next_at));
        self.state.outstanding = Some(code);
        Ok(SendOutcome::Sent(text))
    }

    fn dispatch(
        &self,
        channel: Channel,
        wanted: Method,
        deadline: Instant,
    ) -> Result<OutstandingCode, NotSent> {
        let address = self
            .address(channel)
            .ok_or(NotSent::Undelivered(channel))?
            .to_owned();
        let DispatchedCode { code, is_late } =
            codes::send(self.context, channel, &address, deadline)?;
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(StoreError::from)?;
        let store = self.context.store();
        Ok(OutstandingCode {
            next_at: code.next_at(),
            code: code.hashed(|digits| store.sent_code_hash(&salt, digits)),
            salt,
            channel,
            address,
            wanted,
            is_late,
        })
    }
}
