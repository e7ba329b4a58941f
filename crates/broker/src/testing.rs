//! A store, a mailbox and a scripted terminal, for tests.

use std::cell::Cell;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use tempfile::TempDir;
use twofa_core::app::{Algorithm, OtpKind};
use twofa_core::backup::SALT_BYTES;
use twofa_core::{Account, App, BackupCode, BackupSet, Channel, Key, Parameters, Timestamp};
use twofa_delivery::{Accepted, InboundSms, Message, SendError, Sender, Step, Undelivered};
use twofa_proto::codec::CodecError;
use twofa_proto::{ConnectionError, Prompt, Secret};
use twofa_store::event::{LoginOrigin, Record, RefusalReason};
use twofa_store::{Event, EventFilter, Location, NewApp, Origin, Owner, Store};

use crate::context::{Context, Services};
use crate::deferred::Deferred;
use crate::fleet::files::FleetDirectory;
use crate::fleet::membership::Membership;
use crate::identity::accounts;
use crate::identity::first_factor::Stacks;
use crate::identity::person::Person;
use crate::text::terminal::{Terminal, TerminalClosed};

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(1_800_000_000) };
}

/// The clock of this test.
pub(crate) fn clock() -> Timestamp {
    Timestamp::from_unix(NOW.get())
}

/// Lets `seconds` pass.
pub(crate) fn pass(seconds: i64) {
    NOW.set(NOW.get() + seconds);
}

/// Keeps what was sent, as mailboxes would, and fails for the channels that are down.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    pub sent: Mutex<Vec<(Channel, String, Message)>>,
    pub down: Mutex<Vec<Channel>>,
    pub late: Mutex<Vec<Channel>>,
    /// No provider serves these channels.
    pub missing: Mutex<Vec<Channel>>,
    pub number: Option<String>,
    pub received: Mutex<Vec<InboundSms>>,
}

impl Mailbox {
    /// The last code that arrived.
    pub(crate) fn code(&self) -> String {
        match self.sent.lock().unwrap().last() {
            Some((_, _, Message::Code(message))) => message.code.to_string(),
            other => panic!("no code: {other:?}"),
        }
    }

    /// Where messages went, in order.
    pub(crate) fn destinations(&self) -> Vec<String> {
        self.sent
            .lock()
            .unwrap()
            .iter()
            .map(|(_, to, _)| to.clone())
            .collect()
    }

    /// What is sent by this channel arrives, and no provider confirms it in time.
    pub(crate) fn is_late(&self, channel: Channel) {
        self.late.lock().unwrap().push(channel);
    }

    pub(crate) fn goes_down(&self, channel: Channel) {
        self.down.lock().unwrap().push(channel);
    }
}

impl Sender for Mailbox {
    fn serves(&self, channel: Channel) -> bool {
        !self.missing.lock().unwrap().contains(&channel)
    }

    fn send(
        &self,
        channel: Channel,
        to: &str,
        message: &Message,
        _: Instant,
    ) -> Result<Accepted, Undelivered> {
        if self.down.lock().unwrap().contains(&channel) {
            let error = SendError::new(Step::Login, "535 no");
            return Err(Undelivered {
                failed: vec![("fake".to_owned(), error)],
            });
        }
        self.sent
            .lock()
            .unwrap()
            .push((channel, to.to_owned(), message.clone()));
        if self.late.lock().unwrap().contains(&channel) {
            let error = SendError {
                may_have_arrived: true,
                ..SendError::timeout(Step::Message)
            };
            return Err(Undelivered {
                failed: vec![("fake".to_owned(), error)],
            });
        }
        Ok(Accepted {
            provider: "fake".to_owned(),
            id: None,
            failed: Vec::new(),
        })
    }

    fn inbox_number(&self) -> Option<String> {
        self.number.clone()
    }

    fn received(&self, _: Timestamp, _: Instant) -> Result<Vec<InboundSms>, SendError> {
        Ok(self.received.lock().unwrap().clone())
    }
}

/// Makes an answer of what a prompt says.
type Answer<'a> = Box<dyn FnOnce(&str) -> String + 'a>;

/// Answers prompts one after the other, and keeps what was shown.
pub(crate) struct ScriptedTerminal<'a> {
    /// The next one last.
    answers: Vec<Answer<'a>>,
    pub shown: Vec<String>,
    /// The terminal goes away at the prompt after the last answer.
    goes_away: bool,
}

impl<'a> ScriptedTerminal<'a> {
    pub(crate) fn new() -> Self {
        Self {
            answers: Vec::new(),
            shown: Vec::new(),
            goes_away: false,
        }
    }

    /// Goes away at the prompt after the last answer.
    #[must_use]
    pub(crate) fn goes_away(self) -> Self {
        let goes_away = true;
        Self { goes_away, ..self }
    }

    /// Types `answer` at the next prompt.
    #[must_use]
    pub(crate) fn types(self, answer: &'a str) -> Self {
        self.answers(move |_| answer.to_owned())
    }

    /// Types what `answer` makes of the next prompt's text.
    #[must_use]
    pub(crate) fn answers(mut self, answer: impl FnOnce(&str) -> String + 'a) -> Self {
        self.answers.insert(0, Box::new(answer));
        self
    }

    pub(crate) fn is_done(&self) -> bool {
        self.answers.is_empty()
    }
}

impl Terminal for ScriptedTerminal<'_> {
    fn prompt(&mut self, prompt: Prompt) -> Result<Option<Secret>, TerminalClosed> {
        let text = prompt.text.expose().to_owned();
        if self.goes_away && self.answers.is_empty() {
            self.shown.push(text);
            return Err(ConnectionError::from(CodecError::Closed).into());
        }
        let answer = self
            .answers
            .pop()
            .map(|answer| Secret::from(answer(&text).as_str()));
        self.shown.push(text);
        Ok(answer)
    }

    fn info(&mut self, text: Secret) -> Result<(), TerminalClosed> {
        self.shown.push(text.expose().to_owned());
        Ok(())
    }

    fn error(&mut self, text: &str) -> Result<(), TerminalClosed> {
        self.shown.push(text.to_owned());
        Ok(())
    }
}

/// What a token shows whose key is that of RFC 4226, appendix D, from counter 0 on.
pub(crate) const TOKEN_CODES: [&str; 10] = [
    "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
    "520489",
];

/// What an authenticator app shows now for the key in `prompt`.
pub(crate) fn app_code(prompt: &str) -> String {
    app_code_at(prompt, clock())
}

/// The same at another time.
pub(crate) fn app_code_at(prompt: &str, now: Timestamp) -> String {
    let key = prompt
        .lines()
        .find_map(|line| line.trim().strip_prefix("Key:"))
        .unwrap();
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in key.bytes().filter(u8::is_ascii_alphanumeric) {
        let value = match letter {
            b'2'..=b'7' => letter - b'2' + 26,
            _ => letter.to_ascii_uppercase() - b'A',
        };
        buffer = buffer << 5 | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits & 0xff) as u8);
        }
    }
    let totp = totp_rs::Builder::new()
        .with_secret(bytes)
        .build_noncompliant();
    totp.generate(u64::try_from(now.unix()).unwrap())
        .to_string()
}

/// The answer to the question whether the backup codes in `prompt` were saved.
pub(crate) fn saved(prompt: &str) -> String {
    let asked = prompt.split("characters of code ").last().unwrap();
    let number = asked.trim_end_matches([':', ' ']);
    let code = prompt
        .lines()
        .find_map(|line| line.trim().strip_prefix(&format!("{number}.")))
        .unwrap();
    code.rsplit('-').next().unwrap().to_owned()
}

/// A machine with a store and a mailbox, and alice.
pub(crate) struct Bench {
    pub store: Store,
    pub mailbox: Mailbox,
    pub alice: Account,
    pub origin: Origin,
    pub stacks: Stacks,
    pub fleet: Membership,
    pub deferred: Deferred,
    _folder: TempDir,
}

/// Makes a store in `folder`.
pub(crate) fn store_in(folder: &Path) -> Location {
    let location = Location {
        database: folder.join("db/twofa.db"),
        key: folder.join("etc/key"),
        server: folder.join("etc/database"),
        ..Location::default()
    };
    let owner = Owner {
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
    };
    drop(Store::create(location.clone(), owner).unwrap());
    location
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(store_in(folder.path())).unwrap();
        let login = LoginOrigin {
            service: Some("sshd".into()),
            remote_host: Some("192.0.2.7".into()),
            ..LoginOrigin::default()
        };
        let origin = Origin::login(0, login);
        let bench = Self {
            store,
            mailbox: Mailbox::default(),
            alice: Account {
                name: "alice".into(),
                uid: 1000,
            },
            origin,
            stacks: Stacks::default(),
            fleet: Membership::new(
                FleetDirectory::at(folder.path().join("fleet")),
                folder.path().join("fleet-policy"),
            ),
            deferred: Deferred::default(),
            _folder: folder,
        };
        bench.policy(&[("mode", "mandatory"), ("application-name", "Acme")]);
        bench
    }

    pub(crate) fn policy(&self, settings: &[(&str, &str)]) {
        self.store
            .change_policy(settings.iter().copied(), &self.origin, clock())
            .unwrap();
    }

    /// The same with an account that the name service of this machine knows.
    pub(crate) fn with_local_account() -> Self {
        let mut bench = Self::new();
        bench.alice = accounts::find("nobody").unwrap().unwrap();
        bench
    }

    /// Alice has a hardware token that shows [`TOKEN_CODES`].
    pub(crate) fn with_token(self) -> Self {
        let parameters = Parameters::new(OtpKind::Counter, Algorithm::Sha1, 6).unwrap();
        let key = Key::new(b"12345678901234567890".to_vec()).unwrap();
        self.enrol("token", parameters, key);
        self
    }

    fn enrol(&self, label: &str, parameters: Parameters, key: Key) {
        let new = NewApp {
            label: label.into(),
            app: App {
                parameters,
                key,
                used: None,
            },
        };
        let generation = self.person().snapshot.generation;
        self.store
            .enrol_app(&self.alice, generation, &new, &self.origin, clock())
            .unwrap();
    }

    /// Alice has these backup codes.
    pub(crate) fn with_backup_codes(self, codes: &[BackupCode]) -> Self {
        let set = BackupSet::hash(codes, [7; SALT_BYTES]).unwrap();
        let generation = self.person().snapshot.generation;
        let (alice, origin) = (&self.alice, &self.origin);
        self.store
            .replace_backup_codes(alice, generation, &set, origin, clock())
            .unwrap();
        self
    }

    /// What the audit log says of refusals, oldest first.
    pub(crate) fn refusals(&self) -> Vec<RefusalReason> {
        let mut reasons = Vec::new();
        self.store
            .events(&EventFilter::default(), |logged| {
                if let Record::Event(event) = logged.record
                    && let Event::Refused { why } = *event
                {
                    reasons.push(why);
                }
                true
            })
            .unwrap();
        reasons
    }

    /// A login with sshd about alice, of whom this `person` is known.
    pub(crate) fn context<'a>(&'a self, person: &'a Person) -> Context<'a> {
        Context {
            services: self.services(),
            account: &self.alice,
            origin: &self.origin,
            person,
            purpose: "log in with sshd",
        }
    }

    pub(crate) fn services(&self) -> Services<'_> {
        Services {
            store: &self.store,
            sender: &self.mailbox,
            stacks: &self.stacks,
            fleet: &self.fleet,
            deferred: &self.deferred,
            clock,
            deadline: None,
            at_hand: None,
        }
    }

    /// Alice has this address, verified.
    pub(crate) fn with(self, channel: Channel, address: &str) -> Self {
        let generation = self.person().snapshot.generation;
        self.store
            .enrol_address(
                &self.alice,
                generation,
                channel,
                address,
                &self.origin,
                clock(),
            )
            .unwrap();
        self
    }

    /// Alice has an app; nobody knows its key.
    pub(crate) fn with_app(self) -> Self {
        let key = Key::new(vec![7; 20]).unwrap();
        self.enrol("app", Parameters::default(), key);
        self
    }

    pub(crate) fn person(&self) -> Person {
        Person::load(&self.store, &self.alice).unwrap()
    }

    pub(crate) fn failures(&self) -> u64 {
        self.person().snapshot.user.throttle.failures()
    }
}
