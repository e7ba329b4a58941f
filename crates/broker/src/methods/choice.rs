//! By which method a code is asked for, and what stands in the question: the first method, another one, another code.

use std::time::Instant;

use twofa_core::user::masked;
use twofa_core::{Answer, Channel, Method, SentCode, Timestamp};
use twofa_store::StoreError;

use crate::methods::challenge::Challenge;
use crate::sending::codes::{NotSent, OnItsWay, SEND_TIMEOUT, Sending};
use crate::text::messages;

/// How much of the time a text message may take when an e-mail can stand in for it: three fifths.
const SHARE_OF_SMS: (u32, u32) = (3, 5);

/// A code that was sent and is waited for. It is in this conversation's memory and nowhere else.
#[derive(Debug)]
pub struct Sent {
    /// The code.
    pub code: SentCode,
    /// Which kind of address it went to.
    pub channel: Channel,
    /// Which one.
    pub address: String,
    /// The method that was wanted. An e-mail in the place of a text message that could not be sent proves it as well.
    pub wanted: Method,
    /// Whether it arrives is not known.
    pub is_late: bool,
}

impl Sent {
    /// The method it proves.
    pub const fn method(&self) -> Method {
        self.channel.method()
    }
}

/// How a challenge begins.
pub enum Begun {
    /// With this question.
    Asking(String),
    /// Not at all: nothing could be sent and nothing else is there.
    NoWay(Unsent),
}

/// No code is on its way.
#[derive(Debug)]
pub struct Unsent {
    /// Why, to the person.
    pub text: String,
    /// Enough was sent: the providers are not to blame.
    pub is_limited: bool,
}

/// What somebody can want instead of giving a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptCommand {
    /// To be told what to do.
    Help,
    /// Another code.
    Resend,
    /// To see the methods.
    List,
    /// This method.
    Method(Method),
    /// A number that is not on the list.
    NoneOfThem,
}

/// The methods of one person in one conversation.
pub struct Choice<'a> {
    challenge: &'a Challenge<'a>,
    application: String,
    methods: Vec<Method>,
    has_backup: bool,
    /// The person was shown the methods and may answer with a number.
    is_choosing: bool,
    /// By which methods codes were sent, and from when on another may be.
    last_by: Vec<(Method, Timestamp)>,
}

impl<'a> Choice<'a> {
    /// The choice of the challenge's person.
    pub fn of(challenge: &'a Challenge<'a>) -> Self {
        let person = challenge.person;
        let allowed = challenge.accepted.methods(&person.policy);
        Self {
            challenge,
            application: messages::application_name(&person.policy),
            methods: person.situation.user.methods(allowed),
            has_backup: allowed.contains(Method::Backup)
                && person.situation.user.backup_codes_left() > 0,
            is_choosing: false,
            last_by: Vec::new(),
        }
    }

    /// The first question. Where the first method sends, the code is on its way when this returns.
    pub fn begin(&mut self, sent: &mut Option<Sent>) -> Result<Begun, StoreError> {
        let first = match self.methods.first() {
            Some(first) if first.channel().is_some() => *first,
            _ => {
                let has_app = self.methods.contains(&Method::App);
                let is_only = self.methods.len() < 2;
                return Ok(Begun::Asking(messages::code_prompt(
                    &self.application,
                    has_app,
                    self.has_backup,
                    is_only,
                )));
            }
        };
        if self.challenge.cannot_answer {
            return Ok(Begun::Asking(self.again("No code was sent yet.")));
        }
        let Challenge {
            services,
            account,
            origin,
            person,
            ..
        } = *self.challenge;
        let (now, cooldown) = (services.now(), person.policy.codes.cooldown.seconds());
        if let Some(next) = services
            .store
            .code_is_awaited(account, origin, cooldown, now)?
        {
            self.last_by.push((first, next));
            return Ok(Begun::Asking(
                self.again(&messages::sent_to_another_login(next, now)),
            ));
        }
        match self.send(first, sent)? {
            Ok(text) => Ok(Begun::Asking(self.again(&text))),
            Err(unsent) if self.methods.len() > 1 || self.has_backup => {
                Ok(Begun::Asking(self.other_ways(&unsent.text, first)))
            }
            Err(unsent) => Ok(Begun::NoWay(unsent)),
        }
    }

    /// Another question, with what was wrong before it.
    pub fn again(&self, what: &str) -> String {
        let sends = self.methods.iter().any(|method| method.channel().is_some());
        messages::again(what, &self.application, sends, self.methods.len() > 1)
    }

    /// What was typed instead of a code, if it was.
    pub fn read(&mut self, typed: &str) -> Option<PromptCommand> {
        // The list holds for the answer to it alone.
        let is_choosing = std::mem::take(&mut self.is_choosing);
        match Answer::read(typed) {
            Answer::Help => Some(PromptCommand::Help),
            Answer::Resend => Some(PromptCommand::Resend),
            Answer::OtherMethod => Some(PromptCommand::List),
            // No code is as short as a number of the list.
            _ if is_choosing && typed.trim().len() <= 2 => {
                let number = typed.trim().parse::<usize>().ok()?;
                let method = number
                    .checked_sub(1)
                    .and_then(|index| self.methods.get(index));
                Some(
                    method
                        .copied()
                        .map_or(PromptCommand::NoneOfThem, PromptCommand::Method),
                )
            }
            _ => None,
        }
    }

    /// Does what was asked for, and gives the next question.
    pub fn grant(
        &mut self,
        wish: PromptCommand,
        sent: &mut Option<Sent>,
    ) -> Result<String, StoreError> {
        match wish {
            PromptCommand::Help => Ok(self.again(&messages::help(&self.methods, self.has_backup))),
            PromptCommand::List if self.methods.len() > 1 => Ok(self.list()),
            PromptCommand::List if self.has_backup => {
                Ok(self.again("There is no other way but your backup codes: type one of them."))
            }
            PromptCommand::List => Ok(self.again("There is no other way.")),
            PromptCommand::Resend => self.resend(sent),
            PromptCommand::NoneOfThem => Ok(format!("That is none of them.\n{}", self.list())),
            PromptCommand::Method(method) if method.channel().is_some() => {
                self.send_and_ask(method, sent)
            }
            PromptCommand::Method(_) => Ok(messages::code_prompt(
                &self.application,
                true,
                self.has_backup,
                true,
            )),
        }
    }

    /// Sends the last code anew.
    fn resend(&mut self, sent: &mut Option<Sent>) -> Result<String, StoreError> {
        let sends = |method: &&Method| method.channel().is_some();
        let last = sent.as_ref().map(|sent| sent.wanted);
        let Some(method) = last.or_else(|| self.methods.iter().find(sends).copied()) else {
            return Ok(self.again("Codes are not sent to you: your authenticator app shows them."));
        };
        self.send_and_ask(method, sent)
    }

    /// Sends a code by `method`, not too soon after the last one by it.
    fn send_and_ask(
        &mut self,
        method: Method,
        sent: &mut Option<Sent>,
    ) -> Result<String, StoreError> {
        let now = self.challenge.services.now();
        let last = self
            .last_by
            .iter()
            .rfind(|(by, _)| *by == method)
            .map(|(_, next)| *next);
        if let Some(next) = last.filter(|next| now < *next) {
            return Ok(self.again(&messages::too_soon(next, now)));
        }
        Ok(match self.send(method, sent)? {
            Ok(text) => self.again(&text),
            Err(unsent) => self.other_ways(&unsent.text, method),
        })
    }

    /// The methods, to be chosen by number.
    fn list(&mut self) -> String {
        self.is_choosing = true;
        let mut text = String::from("Prove that it is you by\n");
        for (number, method) in (1..).zip(&self.methods) {
            let destination = self
                .destination(*method)
                .map_or(String::new(), |to| format!(" to {to}"));
            text.push_str(&format!(
                "  {number}  {}{destination}\n",
                method.info().phrase
            ));
        }
        let or_backup = if self.has_backup {
            ", or a backup code"
        } else {
            ""
        };
        text.push_str(&format!("Type a number{or_backup}: "));
        text
    }

    /// `text`, and what else there is after `failed` did not work.
    fn other_ways(&mut self, text: &str, failed: Method) -> String {
        if self.methods.iter().any(|method| *method != failed) {
            return format!("{text}\n{}", self.list());
        }
        let or_backup = if self.has_backup {
            " Use a backup code."
        } else {
            ""
        };
        self.again(&format!("{text}{or_backup}"))
    }

    fn address(&self, channel: Channel) -> Option<&'a str> {
        let contact = self.challenge.person.situation.user.contacts[channel].as_ref();
        contact
            .filter(|contact| contact.verified)
            .map(|contact| contact.address.as_str())
    }

    fn destination(&self, method: Method) -> Option<String> {
        self.address(method.channel()?).map(masked)
    }

    /// Sends a new code by `method`; the one before dies, unless the new one is not sent. Says in words what became of
    /// it.
    fn send(
        &mut self,
        method: Method,
        sent: &mut Option<Sent>,
    ) -> Result<Result<String, Unsent>, StoreError> {
        let deadline = Instant::now() + SEND_TIMEOUT;
        let result = match method {
            Method::Email => self.send_to(Channel::Email, method, deadline),
            _ if !self.can_fall_back() => self.send_to(Channel::Sms, method, deadline),
            _ => return self.send_by_phone_or_mail(method, deadline, sent),
        };
        self.keep(result, sent)
    }

    /// Sends a text message, and an e-mail when no provider said in time that it took it.
    fn send_by_phone_or_mail(
        &mut self,
        method: Method,
        deadline: Instant,
        sent: &mut Option<Sent>,
    ) -> Result<Result<String, Unsent>, StoreError> {
        let (share, of) = SHARE_OF_SMS;
        let by_phone = self.send_to(
            Channel::Sms,
            method,
            Instant::now() + SEND_TIMEOUT * share / of,
        );
        // What is too much for the phone is no reason to go round it.
        let is_stuck = match &by_phone {
            Ok(text) => text.is_late,
            Err(why) => why.is_for_want_of_sms(),
        };
        if !is_stuck {
            return self.keep(by_phone, sent);
        }
        let no_sms = messages::not_sent(Channel::Sms);
        let by_mail = self.send_to(Channel::Email, method, deadline);
        // A text message that may be late is better than nothing.
        if by_mail.is_err() && by_phone.is_ok() {
            return self.keep(by_phone, sent);
        }
        Ok(match self.keep(by_mail, sent)? {
            Ok(mail) => Ok(format!("{no_sms} {mail}")),
            Err(no_mail) => Err(Unsent {
                text: format!("{no_sms} {}", no_mail.text),
                ..no_mail
            }),
        })
    }

    /// Whether an e-mail may stand in for a text message.
    fn can_fall_back(&self) -> bool {
        self.challenge.person.policy.sms_falls_back_to_email()
            && self.address(Channel::Email).is_some()
    }

    /// Keeps a code that is on its way in the place of the one before.
    fn keep(
        &mut self,
        result: Result<Sent, NotSent>,
        sent: &mut Option<Sent>,
    ) -> Result<Result<String, Unsent>, StoreError> {
        match result {
            Ok(new) => {
                let lifetime = self.challenge.person.policy.codes.lifetime;
                let text = messages::code_sent(new.channel, &new.address, lifetime, new.is_late);
                self.last_by.push((new.wanted, new.code.next_at()));
                *sent = Some(new);
                Ok(Ok(text))
            }
            Err(NotSent::Store(error)) => Err(error),
            Err(why @ NotSent::TooMany { .. }) => Ok(Err(Unsent {
                text: why.to_string(),
                is_limited: true,
            })),
            Err(NotSent::Undelivered(channel)) => Ok(Err(Unsent {
                text: messages::not_sent(channel),
                is_limited: false,
            })),
        }
    }

    fn send_to(
        &self,
        channel: Channel,
        wanted: Method,
        deadline: Instant,
    ) -> Result<Sent, NotSent> {
        let address = self
            .address(channel)
            .ok_or(NotSent::Undelivered(channel))?
            .to_owned();
        let Challenge {
            services,
            account,
            origin,
            person,
            purpose,
            ..
        } = *self.challenge;
        let sending = Sending {
            services,
            account,
            origin,
            policy: &person.policy,
            purpose,
        };
        let OnItsWay { code, is_late } = sending.send(channel, &address, deadline)?;
        Ok(Sent {
            code,
            channel,
            address,
            wanted,
            is_late,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::challenge::{Accepted, ChallengeOutcome};
    use crate::testing::{Bench, ScriptedTerminal, pass};
    use twofa_delivery::Message;
    use twofa_store::Tally;

    const MAIL: &str = "alice@example.org";
    const PHONE: &str = "+4930123456";

    fn by_mail() -> Bench {
        Bench::new().with(Channel::Email, MAIL)
    }

    fn ask(bench: &Bench, terminal: &mut ScriptedTerminal<'_>) -> ChallengeOutcome {
        let person = bench.person();
        let Bench {
            alice: account,
            origin,
            ..
        } = bench;
        let challenge = Challenge {
            services: bench.services(),
            account,
            origin,
            person: &person,
            purpose: "log in with sshd",
            accepted: Accepted::Allowed,
            tally: Tally::Proved,
            cannot_answer: false,
        };
        let outcome = challenge.ask("", terminal).unwrap();
        assert!(
            terminal.is_done(),
            "it asked less often: {:?}",
            terminal.shown
        );
        outcome
    }

    fn passed(method: Method) -> ChallengeOutcome {
        ChallengeOutcome::Passed {
            method,
            backup_codes_left: 0,
        }
    }

    fn code(bench: &Bench) -> impl FnOnce(&str) -> String {
        |_| bench.mailbox.code()
    }

    #[test]
    fn a_code_that_was_mailed_passes_once_and_the_prompt_says_where_it_went() {
        let bench = by_mail();
        let mut terminal = ScriptedTerminal::new().answers(code(&bench));
        assert_eq!(ask(&bench, &mut terminal), passed(Method::Email));
        assert_eq!(
            terminal.shown,
            [
                "A code was sent by e-mail to a***e@example.org. It is good for 10 minutes.\n\
              Verification code for Acme (r: new code, ?: help): "
            ]
        );
        match bench.mailbox.sent.lock().unwrap().first() {
            Some((Channel::Email, to, Message::Code(message))) => {
                assert_eq!(
                    (to.as_str(), message.purpose.as_str()),
                    (MAIL, "log in with sshd")
                );
                assert_eq!(
                    (message.from.as_deref(), message.lifetime),
                    (Some("192.0.2.7"), 600)
                );
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bench.failures(), 0);
    }

    #[test]
    fn a_code_is_good_for_the_login_it_was_sent_for_and_no_other() {
        let bench = by_mail();
        ask(&bench, &mut ScriptedTerminal::new().types(""));
        let of_the_other_login = bench.mailbox.code();
        let of_the_other_login = |_: &str| {
            // One in a million is the same.
            let is_same = bench.mailbox.code() == of_the_other_login;
            if is_same {
                "999999999".into()
            } else {
                of_the_other_login.clone()
            }
        };
        let mut terminal = ScriptedTerminal::new()
            .answers(of_the_other_login)
            .types("");
        assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
        assert_eq!(bench.failures(), 1);
    }

    #[test]
    fn a_wrong_code_counts_and_so_does_one_that_is_too_old() {
        let bench = by_mail();
        let late = |_: &str| {
            pass(600);
            bench.mailbox.code()
        };
        let mut terminal = ScriptedTerminal::new()
            .types("000000000")
            .answers(late)
            .types("");
        assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
        assert_eq!(bench.failures(), 2);
        assert!(
            terminal.shown[2].starts_with("That code has expired"),
            "{:?}",
            terminal.shown
        );
    }

    #[test]
    fn another_code_can_be_had_after_a_while_and_kills_the_one_before_but_forgives_nothing() {
        let bench = by_mail();
        let first = std::cell::RefCell::new(String::new());
        let mut terminal = ScriptedTerminal::new()
            .types("999999999")
            .answers(|_| {
                *first.borrow_mut() = bench.mailbox.code();
                "r".into()
            })
            .answers(|_| {
                pass(30);
                "R".into()
            })
            .answers(|_| {
                assert_eq!(bench.failures(), 1, "a new code forgives no failure");
                first.borrow().clone()
            })
            .answers(|_| bench.mailbox.code());
        assert_eq!(ask(&bench, &mut terminal), passed(Method::Email));
        assert!(
            terminal.shown[2].starts_with("A code is on its way already."),
            "{:?}",
            terminal.shown
        );
        assert_eq!(bench.mailbox.destinations().len(), 2);
        assert!(
            terminal.shown[4].starts_with("Wrong code."),
            "{:?}",
            terminal.shown
        );
    }

    #[test]
    fn a_text_message_that_cannot_be_sent_goes_by_mail_even_where_mail_is_not_allowed() {
        let bench = by_mail().with(Channel::Sms, PHONE);
        bench.policy(&[("methods", "sms"), ("fallback.sms-to-email", "on")]);
        bench.mailbox.goes_down(Channel::Sms);
        let mut terminal = ScriptedTerminal::new().answers(code(&bench));
        assert_eq!(ask(&bench, &mut terminal), passed(Method::Email));
        assert!(
            terminal.shown[0].starts_with(
                "The text message with your code could not be sent. A code was sent by e-mail to a***e@"
            ),
            "{:?}",
            terminal.shown
        );
        assert_eq!(bench.mailbox.destinations(), [MAIL]);
    }

    #[test]
    fn a_text_message_that_may_be_late_is_waited_for_unless_a_mail_can_take_its_place() {
        let bench = Bench::new().with(Channel::Sms, PHONE);
        bench.mailbox.is_late(Channel::Sms);
        let mut terminal = ScriptedTerminal::new().answers(code(&bench));
        assert_eq!(ask(&bench, &mut terminal), passed(Method::Sms));
        assert!(
            terminal.shown[0].contains("and may be late"),
            "{:?}",
            terminal.shown
        );

        let bench = by_mail().with(Channel::Sms, PHONE);
        bench.policy(&[("methods", "sms"), ("fallback.sms-to-email", "on")]);
        bench.mailbox.is_late(Channel::Sms);
        let mut terminal = ScriptedTerminal::new().answers(code(&bench));
        assert_eq!(ask(&bench, &mut terminal), passed(Method::Email));
        assert_eq!(bench.mailbox.destinations(), [PHONE, MAIL]);
    }

    #[test]
    fn another_code_after_a_fallback_is_as_good() {
        let bench = by_mail().with(Channel::Sms, PHONE);
        bench.policy(&[("methods", "sms"), ("fallback.sms-to-email", "on")]);
        bench.mailbox.goes_down(Channel::Sms);
        let later = |_: &str| {
            pass(31);
            "r".to_owned()
        };
        let mut terminal = ScriptedTerminal::new().answers(later).answers(code(&bench));
        assert_eq!(ask(&bench, &mut terminal), passed(Method::Email));
        assert_eq!(
            (bench.failures(), bench.mailbox.destinations().len()),
            (0, 2)
        );
    }

    #[test]
    fn a_login_that_is_given_up_again_and_again_does_not_send_one_code_after_the_other() {
        let bench = by_mail();
        for _ in 0..20 {
            assert_eq!(
                ask(&bench, &mut ScriptedTerminal::new().types("")),
                ChallengeOutcome::NoAnswer
            );
        }
        assert_eq!(bench.mailbox.destinations().len(), 1);
        let mut terminal = ScriptedTerminal::new().types("r").answers(|_| {
            pass(30);
            "r".to_owned()
        });
        terminal = terminal.answers(code(&bench));
        assert_eq!(ask(&bench, &mut terminal), passed(Method::Email));
        assert!(
            terminal.shown[0].starts_with("A code was just sent for another login"),
            "{:?}",
            terminal.shown
        );
        assert_eq!(bench.mailbox.destinations().len(), 2);
        // Typed, it keeps nobody waiting.
        assert_eq!(
            ask(&bench, &mut ScriptedTerminal::new().answers(code(&bench))),
            passed(Method::Email)
        );
    }

    #[test]
    fn a_code_that_no_provider_took_is_awaited_by_nobody() {
        let bench = by_mail();
        bench.mailbox.goes_down(Channel::Email);
        assert!(matches!(
            ask(&bench, &mut ScriptedTerminal::new()),
            ChallengeOutcome::Unreachable { .. }
        ));
        bench.mailbox.down.lock().unwrap().clear();
        assert_eq!(
            ask(&bench, &mut ScriptedTerminal::new().answers(code(&bench))),
            passed(Method::Email)
        );
    }

    #[test]
    fn a_program_that_answers_nothing_is_sent_no_code() {
        let bench = by_mail();
        let person = bench.person();
        let challenge = Challenge {
            services: bench.services(),
            account: &bench.alice,
            origin: &bench.origin,
            person: &person,
            purpose: "log in with sshd",
            accepted: Accepted::Allowed,
            tally: Tally::Proved,
            cannot_answer: true,
        };
        assert_eq!(
            challenge.ask("", &mut ScriptedTerminal::new()).unwrap(),
            ChallengeOutcome::NoAnswer
        );
        assert!(bench.mailbox.destinations().is_empty());
    }

    #[test]
    fn too_many_text_messages_are_no_reason_to_send_mail() {
        let bench = by_mail().with(Channel::Sms, PHONE);
        bench.policy(&[("methods", "sms"), ("send.address-daily", "1")]);
        ask(&bench, &mut ScriptedTerminal::new().types(""));
        pass(30);
        assert!(matches!(
            ask(&bench, &mut ScriptedTerminal::new()),
            ChallengeOutcome::TooManyCodes { .. }
        ));
        assert_eq!(bench.mailbox.destinations(), [PHONE]);
    }

    #[test]
    fn the_list_is_no_way_round_the_wait() {
        let bench = by_mail().with(Channel::Sms, PHONE);
        let mut terminal = ScriptedTerminal::new()
            .types("m")
            .types("2")
            .types("m")
            .types("1")
            .types("");
        assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
        assert!(
            terminal.shown[4].starts_with("A code is on its way already."),
            "{:?}",
            terminal.shown
        );
        assert_eq!(bench.mailbox.destinations(), [MAIL, PHONE]);
    }

    #[test]
    fn a_number_that_is_not_on_the_list_costs_no_try() {
        let bench = by_mail().with(Channel::Sms, PHONE);
        let mut terminal = ScriptedTerminal::new()
            .types("m")
            .types("7")
            .types("2")
            .answers(code(&bench));
        assert_eq!(ask(&bench, &mut terminal), passed(Method::Sms));
        assert!(
            terminal.shown[2].starts_with("That is none of them."),
            "{:?}",
            terminal.shown
        );
    }

    #[test]
    fn it_does_not_where_the_policy_says_so_or_allows_no_mail() {
        for settings in [
            &[("methods", "sms"), ("fallback.sms-to-email", "off")][..],
            &[("methods", "sms")],
        ] {
            let bench = by_mail().with(Channel::Sms, PHONE);
            bench.policy(settings);
            bench.mailbox.goes_down(Channel::Sms);
            assert!(matches!(
                ask(&bench, &mut ScriptedTerminal::new()),
                ChallengeOutcome::Unreachable { .. }
            ));
            assert!(bench.mailbox.destinations().is_empty());
        }
    }

    #[test]
    fn with_everything_down_the_app_is_still_there() {
        let bench = by_mail().with(Channel::Sms, PHONE).with_app();
        bench.mailbox.goes_down(Channel::Sms);
        bench.mailbox.goes_down(Channel::Email);
        let mut terminal = ScriptedTerminal::new().types("m").types("3").types("");
        // Alice enrolled e-mail first, so that a login begins with it.
        assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
        assert!(
            terminal.shown[0].contains("could not be sent") && terminal.shown[0].contains("app")
        );
    }

    #[test]
    fn the_methods_can_be_listed_and_chosen_by_number() {
        let bench = by_mail().with(Channel::Sms, PHONE);
        let mut terminal = ScriptedTerminal::new()
            .types("m")
            .types("2")
            .answers(code(&bench));
        assert_eq!(ask(&bench, &mut terminal), passed(Method::Sms));
        assert_eq!(
            terminal.shown[1],
            "Prove that it is you by\n  1  a code by e-mail to a***e@example.org\n  \
             2  a code by text message to **** 3456\nType a number: "
        );
        assert_eq!(bench.mailbox.destinations(), [MAIL, PHONE]);
    }

    #[test]
    fn whoever_only_wishes_is_sent_away() {
        let bench = Bench::new().with_app();
        let mut terminal = (0..8).fold(ScriptedTerminal::new(), |terminal, _| terminal.types("?"));
        assert!(matches!(
            ask(&bench, &mut terminal),
            ChallengeOutcome::TriesUsedUp { .. }
        ));
        assert_eq!(bench.failures(), 0);
    }

    #[test]
    fn a_code_to_an_address_that_was_removed_meanwhile_does_not_pass() {
        let bench = by_mail();
        let removed = |_: &str| {
            let generation = bench.person().situation.generation;
            let Bench {
                store,
                alice,
                origin,
                ..
            } = &bench;
            store
                .remove_address(
                    alice,
                    generation,
                    Channel::Email,
                    origin,
                    crate::testing::clock(),
                )
                .unwrap();
            bench.mailbox.code()
        };
        let mut terminal = ScriptedTerminal::new().answers(removed).types("");
        assert_eq!(ask(&bench, &mut terminal), ChallengeOutcome::NoAnswer);
        assert_eq!(bench.failures(), 1);
    }

    #[test]
    fn nothing_more_is_sent_once_the_limit_is_reached_and_the_next_time_is_told() {
        let bench = by_mail();
        bench.policy(&[("send.user-hourly", "2")]);
        for _ in 0..2 {
            ask(&bench, &mut ScriptedTerminal::new().types(""));
            pass(30);
        }
        let ChallengeOutcome::TooManyCodes { text } = ask(&bench, &mut ScriptedTerminal::new())
        else {
            panic!("a third code was sent")
        };
        assert!(
            text.starts_with("Too many codes were sent to you. The next is possible at "),
            "{text}"
        );
        assert_eq!(bench.mailbox.destinations().len(), 2);
        pass(3_600);
        ask(&bench, &mut ScriptedTerminal::new().types(""));
        assert_eq!(bench.mailbox.destinations().len(), 3);
    }

    #[test]
    fn no_code_is_in_the_audit_log() {
        let bench = by_mail();
        ask(&bench, &mut ScriptedTerminal::new().answers(code(&bench)));
        let mut log = String::new();
        let all = twofa_store::EventFilter {
            user: None,
            last: None,
        };
        bench
            .store
            .events(&all, |event| {
                log.push_str(&format!("{event:?}\n"));
                true
            })
            .unwrap();
        assert!(
            log.contains("a***e@example.org") && log.contains("\"fake\""),
            "{log}"
        );
        assert!(!log.contains(&bench.mailbox.code()), "{log}");
    }
}
