//! Verifying an address: a code goes there, and somebody types it back. Or the other way round: a code goes from the
//! person's phone to our number, and the number it came from is taken and confirmed.

use std::thread;
use std::time::{Duration, Instant};

use twofa_core::sent::SentCodeOutcome;
use twofa_core::user::masked;
use twofa_core::{Answer, Channel, SentCode};
use twofa_store::{Attempt, Counted, Generation, SendKind, SendStart, StoreError, Tally, Use};

use crate::methods::choice::Unsent;
use crate::methods::enrolment::EnrolmentError;
use crate::sending::addresses;
use crate::sending::addresses::BadAddress;
use crate::sending::codes::{NotSent, OnItsWay, SEND_TIMEOUT, Sending};
use crate::text::messages;
use crate::text::terminal::Terminal;

/// How often the code may be mistyped, or asked for anew.
const TRIES: u32 = 5;
/// How often an address may be mistyped.
const SPELLINGS: u32 = 3;
/// How often somebody may say that they have texted us.
const LOOKS: u32 = 6;
/// How long one look for a text message takes, in which the other side hears nothing, and how long is waited between two
/// questions to the provider.
const LOOK: Duration = Duration::from_secs(12);
const PAUSE: Duration = Duration::from_secs(3);
/// How much earlier than ours a provider's clock may say that a text message came in, in seconds.
const CLOCK_SKEW: i64 = 120;

/// A verification that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Verification<'a> {
    /// How codes are sent, to whom and under which policy.
    pub sending: Sending<'a>,
    /// What the person's methods were when it was permitted.
    pub generation: Generation,
}

/// An address that is a method now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which.
    pub address: String,
    /// What the methods are then.
    pub generation: Generation,
    /// The pass was recorded, as that of an attempt that was counted.
    pub is_recorded: bool,
}

impl Verification<'_> {
    /// Finds out the address, sends a code there and keeps it when the code comes back. `given` is what is known; `intro`
    /// stands before the first question.
    pub fn of(
        &self,
        channel: Channel,
        given: Option<&str>,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Verified, EnrolmentError> {
        if let Some(address) = given {
            return self.of_address(channel, address, &masked(address), intro, terminal);
        }
        if channel == Channel::Sms && self.sending.policy.countries().is_empty() {
            return Err(EnrolmentError::NotSent(Unsent {
                text: messages::NO_NUMBERS.to_owned(),
                is_limited: false,
            }));
        }
        let inbox = (channel == Channel::Sms).then(|| self.sending.services.sender.inbox_number());
        let inbox = inbox.flatten();
        let question = messages::address_question(channel, inbox.is_some());
        let mut text = format!("{intro}{question}");
        for _ in 0..SPELLINGS {
            let Some(typed) = terminal.ask(text)? else {
                break;
            };
            let typed = typed.expose().trim();
            match (typed, &inbox) {
                ("", Some(number)) => return self.of_text_in(number, terminal),
                ("", None) => break,
                _ => match self.read(channel, typed) {
                    Ok(address) => return self.of_typed(channel, &address, terminal),
                    Err(bad) => text = format!("{bad}.\n{question}"),
                },
            }
        }
        Err(EnrolmentError::NotConfirmed)
    }

    fn read(&self, channel: Channel, text: &str) -> Result<String, BadAddress> {
        addresses::read_of_user(self.sending.policy, channel, text)
    }

    /// Who has typed a number is shown how it was read.
    fn of_typed(
        &self,
        channel: Channel,
        address: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Verified, EnrolmentError> {
        let shown = match channel {
            Channel::Email => masked(address),
            Channel::Sms => addresses::readable(address),
        };
        self.of_address(channel, address, &shown, "", terminal)
    }

    /// `shown` is what the person may see of the address.
    fn of_address(
        &self,
        channel: Channel,
        address: &str,
        shown: &str,
        intro: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Verified, EnrolmentError> {
        let (mut code, said) = self.send(channel, address, shown)?;
        let mut lead = format!("{intro}{said}");
        for left in (0..TRIES).rev() {
            let text = format!("{lead}\nType it here (r: new code): ");
            let Some(typed) = terminal.ask(text)? else {
                break;
            };
            let answer = Answer::read(typed.expose());
            drop(typed);
            let wrong = match answer {
                Answer::Empty => break,
                Answer::Resend => {
                    lead = self.resend(&mut code, channel, address, shown)?;
                    continue;
                }
                Answer::Code(typed) => {
                    let attempt = self.count()?;
                    match code.compare(&typed, self.sending.services.now()) {
                        SentCodeOutcome::Right => return self.keep(channel, address, attempt),
                        SentCodeOutcome::Expired => "That code has expired: type r for a new one.",
                        SentCodeOutcome::Wrong => "That is not the code.",
                    }
                }
                _ => "That is not the code.",
            };
            lead = format!(
                "{wrong} ({})\nThe code went to {shown}.",
                messages::tries_left(left.max(1))
            );
        }
        Err(EnrolmentError::NotConfirmed)
    }

    /// Sends a code, and says so in words.
    fn send(
        &self,
        channel: Channel,
        address: &str,
        shown: &str,
    ) -> Result<(SentCode, String), EnrolmentError> {
        let OnItsWay { code, is_late } = self
            .sending
            .send(channel, address, Instant::now() + SEND_TIMEOUT)
            .map_err(not_sent)?;
        let lifetime = self.sending.policy.codes.lifetime;
        Ok((
            code,
            messages::code_sent_to(channel, shown, lifetime, is_late),
        ))
    }

    /// Another code in place of `code`, not too soon. Says what became of it.
    fn resend(
        &self,
        code: &mut SentCode,
        channel: Channel,
        address: &str,
        shown: &str,
    ) -> Result<String, EnrolmentError> {
        let now = self.sending.services.now();
        if now < code.next_at() {
            return Ok(messages::too_soon(code.next_at(), now));
        }
        match self.send(channel, address, shown) {
            Ok((new, said)) => {
                *code = new;
                Ok(said)
            }
            Err(EnrolmentError::NotSent(unsent)) => Ok(unsent.text),
            Err(error) => Err(error),
        }
    }

    /// Counts a try before it is looked at, where there is a record to count it in: who guesses here is locked out as at
    /// a login.
    fn count(&self) -> Result<Option<Attempt>, EnrolmentError> {
        let Sending {
            services,
            account,
            origin,
            ..
        } = self.sending;
        match services
            .store
            .count_attempt(account, Tally::Proved, origin, services.now())?
        {
            Counted::Attempt(attempt, _) => Ok(Some(attempt)),
            Counted::Unknown => Ok(None),
            Counted::Locked(lock) => Err(EnrolmentError::Locked(lock)),
        }
    }

    fn keep(
        &self,
        channel: Channel,
        address: &str,
        attempt: Option<Attempt>,
    ) -> Result<Verified, EnrolmentError> {
        let Sending {
            services,
            account,
            origin,
            ..
        } = self.sending;
        let store = services.store;
        let generation = store.enrol_address(
            account,
            self.generation,
            channel,
            address,
            origin,
            services.now(),
        )?;
        let is_recorded = attempt.is_some();
        if let Some(attempt) = attempt {
            // It was a right code: the try does not stay a failure.
            if store.use_sent_code(attempt, channel, address, services.now())? == Use::Already {
                return Err(StoreError::ChangedMeanwhile.into());
            }
        }
        Ok(Verified {
            address: address.to_owned(),
            generation,
            is_recorded,
        })
    }

    /// The person texts a code to our `number`; the number it comes from is confirmed with a code sent back.
    fn of_text_in(
        &self,
        number: &str,
        terminal: &mut dyn Terminal,
    ) -> Result<Verified, EnrolmentError> {
        let Sending {
            services, policy, ..
        } = self.sending;
        let begun = services.now();
        self.may_text_in()?;
        let code = SentCode::generate(policy.codes, begun, crate::sending::codes::random_byte)
            .map_err(StoreError::from)?;
        let mut text = messages::text_us(number, code.digits());
        for _ in 0..LOOKS {
            let Some(typed) = terminal.ask(text)? else {
                break;
            };
            let typed = typed.expose().trim().to_owned();
            if !typed.is_empty() {
                match self.read(Channel::Sms, &typed) {
                    Ok(address) => return self.of_typed(Channel::Sms, &address, terminal),
                    Err(bad) => {
                        text = format!("{bad}.\n{}", messages::text_us(number, code.digits()))
                    }
                }
                continue;
            }
            text = match self.look(&code, begun) {
                Some(Ok(from)) => {
                    // Said by itself: what follows takes its time, and a client waits only so long for a word.
                    terminal
                        .info(format!("Your text message came from {}.", masked(&from)).into())?;
                    return self.of_address(Channel::Sms, &from, &masked(&from), "", terminal);
                }
                Some(Err(bad)) => format!("{bad}.\n{}", messages::text_us(number, code.digits())),
                None => messages::nothing_came_in(number),
            };
        }
        Err(EnrolmentError::NotConfirmed)
    }

    /// Looking costs the provider's patience, if no money: whoever begins to text us has that counted as a code.
    fn may_text_in(&self) -> Result<(), EnrolmentError> {
        let Sending {
            services, account, ..
        } = self.sending;
        let now = services.now();
        let what = format!("text-in of {}", account.name);
        match services
            .store
            .begin_send(SendKind::TextIn, account, &what, now)?
        {
            SendStart::Allowed => Ok(()),
            SendStart::TooMany { what: limit, next } => {
                Err(not_sent(NotSent::TooMany { limit, next, now }))
            }
        }
    }

    /// Looks for a text message with `code` for a while, and gives the number it came from, or why that cannot be used.
    fn look(
        &self,
        code: &SentCode,
        begun: twofa_core::Timestamp,
    ) -> Option<Result<String, BadAddress>> {
        let services = self.sending.services;
        let since = twofa_core::Timestamp::from_unix(begun.unix().saturating_sub(CLOCK_SKEW));
        let deadline = Instant::now() + LOOK;
        loop {
            match services.sender.received(since, deadline) {
                Ok(messages) => {
                    let now = services.now();
                    let is_ours = |text: &str| {
                        text.split(|c: char| !c.is_ascii_digit())
                            .any(|digits| code.compare(digits, now) == SentCodeOutcome::Right)
                    };
                    let is_new =
                        |at: Option<twofa_core::Timestamp>| at.is_none_or(|at| at >= since);
                    let found = messages
                        .into_iter()
                        .filter(|m| is_new(m.at) && is_ours(&m.text));
                    let mut senders =
                        found.map(|m| addresses::read_of_sender(self.sending.policy, &m.from));
                    // A sender that does not read as a number cannot be answered.
                    let number = senders.find(|read| !matches!(read, Err(BadAddress::Phone(_))));
                    if number.is_some() {
                        return number;
                    }
                }
                Err(error) => {
                    crate::process::log::warn(&format!(
                        "cannot look for text messages that came in: {error}"
                    ));
                    if error.step == twofa_delivery::Step::Login {
                        return None;
                    }
                }
            }
            if Instant::now() + PAUSE >= deadline {
                return None;
            }
            thread::sleep(PAUSE);
        }
    }
}

fn not_sent(why: NotSent) -> EnrolmentError {
    let is_limited = matches!(why, NotSent::TooMany { .. });
    match why {
        NotSent::Store(error) => error.into(),
        why => EnrolmentError::NotSent(Unsent {
            text: why.to_string(),
            is_limited,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, ScriptedTerminal, clock, pass};
    use twofa_delivery::InboundSms;
    use twofa_store::Origin;

    const MAIL: &str = "alice@example.org";
    const PHONE: &str = "+4917612345678";

    fn verify(
        bench: &Bench,
        channel: Channel,
        given: Option<&str>,
        terminal: &mut ScriptedTerminal<'_>,
    ) -> Result<Verified, EnrolmentError> {
        let person = bench.person();
        let origin = Origin::command_line(0);
        let sending = Sending {
            services: bench.services(),
            account: &bench.alice,
            origin: &origin,
            policy: &person.policy,
            purpose: "confirm that this address is yours",
        };
        let verification = Verification {
            sending,
            generation: person.situation.generation,
        };
        let result = verification.of(channel, given, "", terminal);
        let user = bench.person().situation.user;
        let is_kept = user.contacts[channel]
            .as_ref()
            .is_some_and(|contact| contact.verified);
        assert_eq!(
            result.is_ok(),
            is_kept,
            "kept if and only if it was verified"
        );
        result
    }

    #[test]
    fn an_address_is_kept_when_its_code_comes_back() {
        let bench = Bench::new();
        let mut terminal = ScriptedTerminal::new()
            .types("not an address")
            .types(MAIL)
            .answers(|_| bench.mailbox.code());
        assert_eq!(
            verify(&bench, Channel::Email, None, &mut terminal)
                .unwrap()
                .address,
            MAIL
        );
        assert!(
            terminal.shown[2].contains("a***e@example.org"),
            "{:?}",
            terminal.shown
        );
    }

    #[test]
    fn it_is_not_after_five_wrong_codes_nor_when_nothing_could_be_sent() {
        let bench = Bench::new();
        let mut terminal = (0..5).fold(ScriptedTerminal::new(), |terminal, _| {
            terminal.types("999999999")
        });
        let result = verify(&bench, Channel::Email, Some(MAIL), &mut terminal);
        assert!(matches!(result, Err(EnrolmentError::NotConfirmed)));
        bench.mailbox.goes_down(Channel::Email);
        let result = verify(
            &bench,
            Channel::Email,
            Some(MAIL),
            &mut ScriptedTerminal::new(),
        );
        assert!(matches!(result, Err(EnrolmentError::NotSent(_))));
    }

    #[test]
    fn a_lost_code_is_sent_anew_and_the_one_before_dies() {
        let bench = Bench::new();
        let first = std::cell::RefCell::new(String::new());
        let mut terminal = ScriptedTerminal::new()
            .answers(|_| {
                *first.borrow_mut() = bench.mailbox.code();
                pass(31);
                "r".into()
            })
            .answers(|_| first.borrow().clone())
            .answers(|_| bench.mailbox.code());
        assert!(verify(&bench, Channel::Email, Some(MAIL), &mut terminal).is_ok());
        assert!(
            terminal.shown[2].starts_with("That is not the code."),
            "{:?}",
            terminal.shown
        );
    }

    #[test]
    fn guesses_count_where_there_is_a_record_and_lock_it() {
        let bench = Bench::new();
        bench.policy(&[("lockout.after", "3")]);
        bench
            .store
            .add_user(&bench.alice, &Origin::command_line(0), clock())
            .unwrap();
        let mut terminal = (0..4).fold(ScriptedTerminal::new(), |terminal, _| {
            terminal.types("999999999")
        });
        let result = verify(&bench, Channel::Email, Some(MAIL), &mut terminal);
        assert!(
            matches!(result, Err(EnrolmentError::Locked(_))),
            "{result:?}"
        );
    }

    #[test]
    fn a_right_code_leaves_no_failure() {
        let bench = Bench::new();
        bench
            .store
            .add_user(&bench.alice, &Origin::command_line(0), clock())
            .unwrap();
        let mut terminal = ScriptedTerminal::new().answers(|_| bench.mailbox.code());
        assert!(
            verify(&bench, Channel::Sms, Some(PHONE), &mut terminal)
                .unwrap()
                .is_recorded
        );
        assert_eq!(bench.failures(), 0);
    }

    /// The code that a prompt shows to be texted.
    fn shown_code(text: &str) -> String {
        text.lines()
            .map(str::trim)
            .find(|line| line.len() == 6 && line.parse::<u32>().is_ok())
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_code_that_is_texted_to_us_gives_the_number_which_is_then_confirmed() {
        let mut bench = Bench::new();
        bench.policy(&[("phone.country", "DE")]);
        bench.mailbox.number = Some("+15550100".to_owned());
        let texts = |prompt: &str| {
            let text = |from: &str, text: String| InboundSms {
                from: from.to_owned(),
                text,
                at: None,
            };
            let mut received = bench.mailbox.received.lock().unwrap();
            received.push(text("+4930999999", "000000".to_owned()));
            received.push(text(
                "4917612345678",
                format!("code: {}", shown_code(prompt)),
            ));
            String::new()
        };
        let mut terminal = ScriptedTerminal::new()
            .types("")
            .answers(texts)
            .answers(|_| bench.mailbox.code());
        assert_eq!(
            verify(&bench, Channel::Sms, None, &mut terminal)
                .unwrap()
                .address,
            PHONE
        );
        assert!(
            terminal.shown[1].contains("+15550100"),
            "{:?}",
            terminal.shown
        );
        assert_eq!(bench.mailbox.destinations(), [PHONE]);
    }

    #[test]
    fn a_number_is_shown_as_it_was_read_before_its_code_is_asked_for() {
        let bench = Bench::new();
        bench.policy(&[("phone.country", "DE"), ("phone.countries", "DE,AT")]);
        for (typed, read) in [
            ("0176 12345678", "+49 176 12345678"),
            ("0043 664 123456", "+43 664 123456"),
        ] {
            let mut terminal = ScriptedTerminal::new()
                .types(typed)
                .types("999999999")
                .types("");
            assert!(verify(&bench, Channel::Sms, None, &mut terminal).is_err());
            let sent = format!("A code was sent by text message to {read}. ");
            assert!(terminal.shown[1].starts_with(&sent), "{:?}", terminal.shown);
            assert!(
                terminal.shown[2].contains(&format!("The code went to {read}.")),
                "{:?}",
                terminal.shown
            );
        }
        assert_eq!(bench.mailbox.destinations(), [PHONE, "+43664123456"]);
        // What is on file was not typed by whoever logs in.
        let mut terminal = ScriptedTerminal::new().types("");
        assert!(verify(&bench, Channel::Sms, Some(PHONE), &mut terminal).is_err());
        assert!(
            terminal.shown[0].contains("to **** 5678."),
            "{:?}",
            terminal.shown
        );
    }

    #[test]
    fn a_number_elsewhere_or_of_no_mobile_phone_gets_no_code_and_counts_for_nothing() {
        let bench = Bench::new();
        bench.policy(&[("phone.country", "DE"), ("send.unverified-daily", "1")]);
        let mut terminal = ScriptedTerminal::new()
            .types("+86 131 2345 6789")
            .types("030 1234567")
            .types("");
        assert!(verify(&bench, Channel::Sms, None, &mut terminal).is_err());
        assert!(
            terminal.shown[1].contains("a number of CN"),
            "{:?}",
            terminal.shown
        );
        assert!(
            terminal.shown[1].contains("twofa policy set phone.countries="),
            "{:?}",
            terminal.shown
        );
        assert!(
            terminal.shown[2].contains("is no mobile number"),
            "{:?}",
            terminal.shown
        );
        assert!(bench.mailbox.destinations().is_empty());
        let mut terminal = ScriptedTerminal::new()
            .types("0176 12345678")
            .answers(|_| bench.mailbox.code());
        assert!(verify(&bench, Channel::Sms, None, &mut terminal).is_ok());
    }

    #[test]
    fn where_no_country_is_allowed_nobody_is_asked_for_a_number() {
        let bench = Bench::new();
        let mut terminal = ScriptedTerminal::new();
        let result = verify(&bench, Channel::Sms, None, &mut terminal);
        assert!(
            matches!(result, Err(EnrolmentError::NotSent(_))),
            "{result:?}"
        );
        assert!(terminal.shown.is_empty());
        // But the one that an administrator put in is written to.
        let mut terminal = ScriptedTerminal::new().answers(|_| bench.mailbox.code());
        assert!(verify(&bench, Channel::Sms, Some("+8613123456789"), &mut terminal).is_ok());
    }

    #[test]
    fn a_text_message_from_elsewhere_is_told_so_and_gets_no_code() {
        let mut bench = Bench::new();
        bench.policy(&[("phone.country", "US")]);
        bench.mailbox.number = Some("+15550100".to_owned());
        let texts = |prompt: &str| {
            let text = format!("code: {}", shown_code(prompt));
            let received = InboundSms {
                from: PHONE.to_owned(),
                text,
                at: None,
            };
            bench.mailbox.received.lock().unwrap().push(received);
            String::new()
        };
        let mut terminal = ScriptedTerminal::new()
            .types("")
            .answers(texts)
            .answers(|text| {
                assert!(
                    text.contains("+49 176 12345678 is a number of DE"),
                    "{text}"
                );
                bench.mailbox.received.lock().unwrap().clear();
                "quit".to_owned()
            });
        assert!(verify(&bench, Channel::Sms, None, &mut terminal).is_err());
        assert!(bench.mailbox.destinations().is_empty());
    }

    #[test]
    fn after_three_codes_to_an_address_that_is_not_verified_the_next_is_refused_with_words() {
        let bench = Bench::new();
        for _ in 0..3 {
            verify(
                &bench,
                Channel::Sms,
                Some(PHONE),
                &mut ScriptedTerminal::new(),
            )
            .unwrap_err();
        }
        match verify(
            &bench,
            Channel::Sms,
            Some("+4917612345679"),
            &mut ScriptedTerminal::new(),
        ) {
            Err(EnrolmentError::NotSent(Unsent {
                text,
                is_limited: true,
            })) => {
                assert!(
                    text.contains("not confirmed yet. The next is possible at "),
                    "{text}"
                );
                assert!(text.contains("ask an administrator"), "{text}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bench.mailbox.destinations(), [PHONE; 3]);
    }
}
