use super::*;
use std::io;
use std::os::unix::net::UnixStream;
use twofa_proto::{ClientEnd, Confirm, Login, Verdict, codec};

impl Connection for UnixStream {
    fn set_answer_timeout(&mut self, _: Duration) {}
}

fn login() -> Request {
    Request::Login(Login::default())
}

fn terminal() -> (UnixStream, RemoteTerminal<UnixStream>) {
    let (client, broker) = UnixStream::pair().unwrap();
    let kept = client.try_clone().unwrap();
    ClientEnd::open(client, login()).unwrap();
    let mut end = BrokerEnd::new(broker);
    end.request().unwrap();
    end.send(&FromBroker::Accepted).unwrap();
    (kept, RemoteTerminal::new(end))
}

#[test]
fn a_client_that_closes_at_a_prompt_is_not_a_protocol_error() {
    let (client, mut terminal) = terminal();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(terminal.ask("Code: ".into()).is_err());
    assert!(terminal.error("Nobody sees this.").is_err());
    assert!(matches!(
        terminal.finish(&login(), Done::Changed),
        Err(ConnectionError::Codec(CodecError::Closed))
    ));
    let mut sent = client;
    let mut next = || codec::read::<FromBroker>(&mut sent);
    assert!(matches!(next(), Ok(FromBroker::Accepted)));
    assert!(matches!(next(), Ok(FromBroker::Prompt(_))));
    assert!(
        matches!(next(), Err(CodecError::Closed)),
        "nothing for a client that went away"
    );
}

#[test]
fn a_message_out_of_turn_at_a_prompt_is_reported() {
    let (mut client, mut terminal) = terminal();
    let request = Request::Status {
        user: "alice".into(),
    };
    codec::write(
        &mut client,
        &FromClient::Open {
            version: twofa_proto::VERSION,
            request,
            login_uid: None,
        },
    )
    .unwrap();
    assert!(terminal.ask("Code: ".into()).is_err());
    let error = terminal.finish(&login(), Done::Changed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the peer broke the protocol: Open is not permitted while Asking"
    );
}

/// A connection that has a request to read and then fails with this error, as a deadline or a shutdown makes it fail.
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
    fn set_answer_timeout(&mut self, _: Duration) {}
}

/// What is sent when no answer comes to a prompt of `request`, after it has reached these stages.
fn ended(request: &Request, kind: io::ErrorKind, stages: &[Stage]) -> Vec<FromBroker> {
    let (mut client, broker) = UnixStream::pair().unwrap();
    let mut opened = Vec::new();
    let open = FromClient::Open {
        version: twofa_proto::VERSION,
        request: request.clone(),
        login_uid: None,
    };
    codec::write(&mut opened, &open).unwrap();
    let mut end = BrokerEnd::new(Ends(broker, opened, kind));
    end.request().unwrap();
    end.send(&FromBroker::Accepted).unwrap();
    let mut terminal = RemoteTerminal::new(end);
    for stage in stages {
        terminal.reach(*stage);
    }
    assert!(terminal.ask("Code: ".into()).is_err());
    assert!(terminal.error("What follows is not sent.").is_err());
    terminal.finish(request, Done::Changed).unwrap();
    let sent: Vec<_> = std::iter::from_fn(|| codec::read(&mut client).ok()).collect();
    sent.into_iter().skip(2).collect()
}

#[test]
fn a_login_without_an_answer_is_refused_with_an_explanation() {
    let sent = ended(&login(), io::ErrorKind::TimedOut, &[]);
    let text = "No answer came within 5 minutes, so nothing was changed. Log in again.";
    let why = "no answer came within 5 minutes".to_owned();
    let done = FromBroker::Done(Done::Login {
        verdict: Verdict::NoAnswer,
        why,
        confirm: Confirm::No,
    });
    assert_eq!(sent, [FromBroker::Error(text.into()), done]);
}

#[test]
fn a_login_at_a_prompt_is_told_of_a_shutdown() {
    let sent = ended(&login(), io::ErrorKind::ConnectionAborted, &[]);
    let text = "The login service was restarted: log in again.";
    let why = "the broker was stopped or restarted while it waited for an answer".to_owned();
    let done = FromBroker::Done(Done::Login {
        verdict: Verdict::Unavailable,
        why,
        confirm: Confirm::No,
    });
    assert_eq!(sent, [FromBroker::Error(text.into()), done]);
}

#[test]
fn a_command_without_an_answer_fails_once_and_says_what_is_kept() {
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
            "no answer came within 15 minutes: what you had confirmed has been saved, the rest was not done",
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
