//! Whether the broker answers at its socket.

use std::path::Path;
use std::time::Duration;

use twofa_proto::{ClientEnd, Done, Failure, FromBroker, Request, SOCKET, Stream};

use super::finding::Silence;

/// How long the broker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Sends the broker a request that changes nothing. The error says why it was not answered.
pub(super) fn ask() -> Result<(), Silence> {
    match last_message() {
        Ok(Done::Failed {
            failure: Failure::Unavailable,
            message,
            ..
        }) => Err(Silence::Unable { message }),
        Ok(_) => Ok(()),
        Err(error) => Err(Silence::Unanswered { error }),
    }
}

/// Asks for root's status, and returns the last message of the answer.
fn last_message() -> Result<Done, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let stream = Stream::connect(Path::new(SOCKET), TIMEOUT).map_err(|error| text(&error))?;
    stream
        .set_read_timeout(TIMEOUT)
        .map_err(|error| text(&error))?;
    let request = Request::Status {
        user: "root".to_owned(),
    };
    let mut end = ClientEnd::open(stream, request).map_err(|error| text(&error))?;
    loop {
        if let FromBroker::Done(done) = end.receive().map_err(|error| text(&error))? {
            return Ok(done);
        }
    }
}
