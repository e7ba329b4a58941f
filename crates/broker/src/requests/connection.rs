//! One conversation, from its request to its end.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use twofa_core::Timestamp;
use twofa_delivery::{Courier, Places};
use twofa_proto::codec::CodecError;
use twofa_proto::{
    BrokerEnd, ChannelError, Done, Failure, FromBroker, FromClient, Prompt, Request, Secret,
};
use twofa_store::{Location, Store, StoreError};

use crate::context::Services;
use crate::identity::authority::Peer;
use crate::identity::first_factor::Stacks;
use crate::process::clock;
use crate::process::log::say;
use crate::requests::ending::{Ending, subject};
use crate::requests::login;
use crate::requests::manage;
use crate::sending::providers::StoredProviders;
use crate::text::messages;
use crate::text::terminal::{Dialogue, Gone, Stage};

/// What every conversation needs.
#[derive(Debug)]
pub struct Broker {
    store: Arc<Store>,
    clock: fn() -> Timestamp,
    courier: Box<dyn Courier>,
    stacks: Stacks,
}

impl Broker {
    /// A broker over the store at `location`, which must exist.
    pub fn open(location: Location) -> Result<Self, StoreError> {
        let store = Arc::new(Store::open(location)?);
        let courier = Box::new(StoredProviders::new(store.clone(), Places::default()));
        Ok(Self {
            store,
            clock: clock::now,
            courier,
            stacks: Stacks::default(),
        })
    }

    /// The store, for administrators' business that is no conversation.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What every conversation works with.
    pub fn services(&self) -> Services<'_> {
        let Self {
            store,
            clock,
            courier,
            stacks,
        } = self;
        Services {
            store,
            courier: &**courier,
            stacks,
            clock: *clock,
        }
    }

    /// Serves one request of `peer` over `dialogue`.
    pub fn serve(&self, peer: Peer, request: &Request, dialogue: &mut dyn Dialogue) -> Done {
        match request {
            Request::Login(asked) | Request::Account(asked) => {
                login::serve(self.services(), peer, request, asked, dialogue)
            }
            Request::Status { .. }
            | Request::EnrolApp { .. }
            | Request::EnrolAddress { .. }
            | Request::Remove { .. }
            | Request::Set { .. }
            | Request::NewBackupCodes { .. } => {
                manage::serve(self.services(), peer, request, dialogue)
            }
        }
    }
}

/// How long a person may think at a prompt; sshd and login end earlier by themselves.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(5 * 60);
/// The same where a method is being set up.
pub const ENROLMENT_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A client connection on which reads have a deadline.
pub trait Connection: Read + Write {
    /// From the next write on, a read fails as timed out `patience` after what was written last.
    fn set_patience(&mut self, patience: Duration);
}

/// Holds one conversation on `stream` with `peer`, if `admit` finds a place for the request. Without a store the answer
/// is a refusal that says so. Fails where it does not come to its own end; the log has why, if that is not the client's
/// business alone.
pub fn hold<S: Connection, P>(
    broker: Result<&Broker, &StoreError>,
    peer: Peer,
    stream: S,
    admit: impl FnOnce(&Request) -> Option<P>,
) -> Result<Done, ChannelError> {
    let mut end = BrokerEnd::new(stream);
    let request = end.request()?;
    // A connection that is closed before anything was said is a "not now" that the module understands.
    let Some(_place) = admit(&request) else {
        return Err(CodecError::Closed.into());
    };
    end.send(&FromBroker::Accepted)?;
    let mut line = Line::new(end);
    let done = match broker {
        Ok(broker) => broker.serve(peer, &request, &mut line),
        Err(error) => {
            let _ = line.error(messages::UNAVAILABLE);
            without_store(&request, error)
        }
    };
    let ending = line.ending();
    let finished = line.finish(&request, done);
    if let Some(ending) = ending {
        say(&format!("{} was ended: {ending}", subject(&request, peer)));
        return Err(CodecError::Aborted.into());
    }
    finished
}

/// The terminal, for as long as it is there. Nothing is sent to one that went away, not even the end:
/// that would be out of turn while a prompt stands, and look like the client's fault.
struct Line<S> {
    end: BrokerEnd<S>,
    lost: Option<Lost>,
    patience: Duration,
    is_enrolled: bool,
}

/// Why nothing more can be asked.
enum Lost {
    /// The client's doing.
    Client(ChannelError),
    /// Ours.
    Ended(Ending),
}

impl<S: Connection> Line<S> {
    const fn new(end: BrokerEnd<S>) -> Self {
        Self {
            end,
            lost: None,
            patience: ANSWER_PATIENCE,
            is_enrolled: false,
        }
    }

    fn ending(&self) -> Option<Ending> {
        match self.lost {
            Some(Lost::Ended(ending)) => Some(ending),
            Some(Lost::Client(_)) | None => None,
        }
    }

    /// Sends `done`, or what the broker's own end of this `request` is.
    fn finish(mut self, request: &Request, done: Done) -> Result<Done, ChannelError> {
        let done = match self.lost {
            Some(Lost::Client(error)) => return Err(error),
            Some(Lost::Ended(ending)) => {
                // A command says in its own way how it ended.
                if matches!(request, Request::Login(_) | Request::Account(_)) {
                    self.end
                        .send(&FromBroker::Error(ending.text(self.is_enrolled)))?;
                }
                ending.done(request, self.is_enrolled)
            }
            None => done,
        };
        self.end.send(&FromBroker::Done(done.clone()))?;
        Ok(done)
    }

    fn talk<T>(
        &mut self,
        say: impl FnOnce(&mut BrokerEnd<S>) -> Result<T, ChannelError>,
    ) -> Result<T, ChannelError> {
        let closed = || ChannelError::from(CodecError::Closed);
        if self.lost.is_some() {
            return Err(closed());
        }
        say(&mut self.end).inspect_err(|error| {
            self.lost = Some(Lost::Client(match error {
                ChannelError::OutOfTurn(error) => (*error).into(),
                ChannelError::Codec(_) | ChannelError::Version(_) => closed(),
            }));
        })
    }
}

impl<S: Connection> Dialogue for Line<S> {
    fn reach(&mut self, stage: Stage) {
        self.patience = ENROLMENT_PATIENCE;
        self.end.stream_mut().set_patience(self.patience);
        self.is_enrolled |= stage == Stage::Enrolled;
    }

    fn prompt(&mut self, prompt: Prompt) -> Result<Option<Secret>, Gone> {
        self.talk(|end| end.send(&FromBroker::Prompt(prompt)))?;
        let patience = self.patience;
        let answer = self.talk(BrokerEnd::receive).inspect_err(|error| {
            if let Some(ending) = Ending::of(error, patience) {
                self.lost = Some(Lost::Ended(ending));
            }
        })?;
        match answer {
            FromClient::Answer(answer) => Ok(answer),
            // The table lets nothing but an answer through while a prompt stands.
            FromClient::Open { .. } => Ok(None),
        }
    }

    fn info(&mut self, text: Secret) -> Result<(), Gone> {
        Ok(self.talk(|end| end.send(&FromBroker::Info(text)))?)
    }

    fn error(&mut self, text: &str) -> Result<(), Gone> {
        Ok(self.talk(|end| end.send(&FromBroker::Error(text.to_owned())))?)
    }
}

fn without_store(request: &Request, error: &StoreError) -> Done {
    match request {
        Request::Login(_) | Request::Account(_) => login::unavailable(&error.to_string()),
        _ => Done::Failed {
            failure: Failure::Unavailable,
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::os::unix::net::UnixStream;
    use twofa_proto::{ClientEnd, Login, Verdict, codec};

    impl Connection for UnixStream {
        fn set_patience(&mut self, _: Duration) {}
    }

    fn login() -> Request {
        Request::Login(Login::default())
    }

    fn line() -> (UnixStream, Line<UnixStream>) {
        let (client, broker) = UnixStream::pair().unwrap();
        let kept = client.try_clone().unwrap();
        ClientEnd::open(client, login()).unwrap();
        let mut end = BrokerEnd::new(broker);
        end.request().unwrap();
        end.send(&FromBroker::Accepted).unwrap();
        (kept, Line::new(end))
    }

    #[test]
    fn a_client_that_hangs_up_at_a_prompt_broke_no_protocol() {
        let (client, mut line) = line();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(line.ask("Code: ".into()).is_err());
        assert!(line.error("Nobody sees this.").is_err());
        assert!(matches!(
            line.finish(&login(), Done::Changed),
            Err(ChannelError::Codec(CodecError::Closed))
        ));
        let mut sent = client;
        let mut next = || codec::read::<FromBroker>(&mut sent);
        assert!(matches!(next(), Ok(FromBroker::Accepted)));
        assert!(matches!(next(), Ok(FromBroker::Prompt(_))));
        assert!(
            matches!(next(), Err(CodecError::Closed)),
            "no end for one that went away"
        );
    }

    #[test]
    fn a_client_that_speaks_out_of_turn_at_a_prompt_is_told_of() {
        let (mut client, mut line) = line();
        let request = Request::Status {
            user: "alice".into(),
        };
        codec::write(
            &mut client,
            &FromClient::Open {
                version: twofa_proto::VERSION,
                request,
            },
        )
        .unwrap();
        assert!(line.ask("Code: ".into()).is_err());
        let error = line.finish(&login(), Done::Changed).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the other side broke the protocol: Open is not permitted while Asking"
        );
    }

    /// A connection that has a request to read, and then ends as a deadline or the broker's end lets it end.
    struct Ends(UnixStream, Vec<u8>, io::ErrorKind);

    impl Read for Ends {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let opened = std::mem::take(&mut self.1);
            if opened.is_empty() {
                Err(self.2.into())
            } else {
                opened.as_slice().read(buffer)
            }
        }
    }

    impl Write for Ends {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.0.write(buffer)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Connection for Ends {
        fn set_patience(&mut self, _: Duration) {}
    }

    /// What is sent when `request` waits in vain at a prompt, after it has come to these stages.
    fn ended(request: &Request, kind: io::ErrorKind, stages: &[Stage]) -> Vec<FromBroker> {
        let (mut client, broker) = UnixStream::pair().unwrap();
        let mut opened = Vec::new();
        let open = FromClient::Open {
            version: twofa_proto::VERSION,
            request: request.clone(),
        };
        codec::write(&mut opened, &open).unwrap();
        let mut end = BrokerEnd::new(Ends(broker, opened, kind));
        end.request().unwrap();
        end.send(&FromBroker::Accepted).unwrap();
        let mut line = Line::new(end);
        for stage in stages {
            line.reach(*stage);
        }
        assert!(line.ask("Code: ".into()).is_err());
        assert!(line.error("What follows from it is not said.").is_err());
        line.finish(request, Done::Changed).unwrap();
        let sent: Vec<_> = std::iter::from_fn(|| codec::read(&mut client).ok()).collect();
        sent.into_iter().skip(2).collect()
    }

    #[test]
    fn a_login_that_nobody_answers_is_refused_in_words() {
        let sent = ended(&login(), io::ErrorKind::TimedOut, &[]);
        let text = "No answer came within 5 minutes, so nothing was changed. Log in again.";
        let why = "no answer came within 5 minutes".to_owned();
        let done = FromBroker::Done(Done::Login {
            verdict: Verdict::NoAnswer,
            why,
        });
        assert_eq!(sent, [FromBroker::Error(text.into()), done]);
    }

    #[test]
    fn a_login_at_a_prompt_is_told_when_the_broker_ends() {
        let sent = ended(&login(), io::ErrorKind::ConnectionAborted, &[]);
        let text = "The login service was restarted: log in again.";
        let why = "the broker was stopped or restarted while it waited for an answer".to_owned();
        let done = FromBroker::Done(Done::Login {
            verdict: Verdict::Unavailable,
            why,
        });
        assert_eq!(sent, [FromBroker::Error(text.into()), done]);
    }

    #[test]
    fn a_command_that_nobody_answers_fails_once_and_says_what_is_kept() {
        let request = Request::NewBackupCodes {
            user: "alice".into(),
        };
        for (stages, message) in [
            (
                &[Stage::Enrolling][..],
                "no answer came within 15 minutes, so nothing was changed",
            ),
            (
                &[Stage::Enrolled, Stage::Enrolling],
                "no answer came within 15 minutes: what you had confirmed is kept, the rest was not done",
            ),
        ] {
            let sent = ended(&request, io::ErrorKind::TimedOut, stages);
            let [
                FromBroker::Done(Done::Failed {
                    failure,
                    message: said,
                    ..
                }),
            ] = sent.as_slice()
            else {
                panic!("{sent:?}")
            };
            assert_eq!((*failure, said.as_str()), (Failure::Unavailable, message));
        }
    }
}
