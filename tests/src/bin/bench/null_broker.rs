//! A broker that checks nothing: what remains of a login without store, code and sync.
//!
//! No broker can be faster: there remain the module, the exchange with the broker, and the line in the log.

use std::os::unix::net::UnixListener;
use std::process::ExitCode;

use twofa_e2e::Machine;
use twofa_proto::{
    BrokerEnd, Confirm, ConnectionError, Done, FromBroker, Prompt, SOCKET, Stream, Verdict,
};

use crate::stopwatch::copy_into;

/// Starts it in `machine`, in the place of the real one, and waits until it listens.
pub fn start(machine: &Machine) {
    let program = copy_into(machine);
    // The module would start it if this one died, and its time would pass for this one's.
    machine.run("rm /usr/sbin/twofad").ok();
    machine
        .run(&format!(
            "setsid {program} --inside null-broker </dev/null >/dev/null 2>&1 &"
        ))
        .ok();
    machine.wait_until(&format!("grep -q {SOCKET} /proc/net/unix"));
}

/// Serves until its machine ends.
pub fn serve() -> ExitCode {
    let listener = UnixListener::bind(SOCKET).expect("nobody else listens");
    for stream in listener.incoming().map_while(Result::ok) {
        // A login that is broken off ends the benchmark at the stopwatch.
        let _ = let_in(stream.into());
    }
    ExitCode::FAILURE
}

fn let_in(stream: Stream) -> Result<(), ConnectionError> {
    let mut end = BrokerEnd::new(stream);
    end.request()?;
    end.send(&FromBroker::Accepted)?;
    let text = "Verification code: ".into();
    end.send(&FromBroker::Prompt(Prompt {
        text,
        echo: true,
        digits_behind_password: None,
        link: None,
    }))?;
    end.receive()?;
    let done = Done::Login {
        verdict: Verdict::Passed,
        why: "nothing was checked".into(),
        confirm: Confirm::No,
    };
    end.send(&FromBroker::Done(done))
}
