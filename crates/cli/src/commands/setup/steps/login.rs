//! A login in a second terminal, before the first one is closed.

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};

use serde::Deserialize;

use super::super::logins::{Event, Login};
use super::super::roll_back::roll_back;
use super::super::screen::say;
use super::super::state::State;
use super::super::step::Step;
use super::super::{ask, commands};
use crate::error::CommandError;
use crate::messages::setup as texts;
use crate::messages::setup::Progress;

pub(super) const STEP: Step = Step {
    title: "A login that works",
    explanation: texts::LOGIN,
    progress,
    run,
};

fn progress(state: &State) -> Progress {
    match &state.logged_in_at {
        Some(service) => Progress::Done(texts::logged_in(&state.user, service)),
        None => Progress::Open,
    }
}

/// An event of any kind and user.
#[derive(Debug, Deserialize)]
struct Latest {
    id: i64,
}

fn run(state: &State) -> Result<bool, CommandError> {
    loop {
        say(&texts::log_in_now(&state.user))?;
        if let Some(service) = wait(&state.user)? {
            say(&format!("{}.", texts::logged_in(&state.user, &service)))?;
            return Ok(true);
        }
        match ask::choose(texts::NO_LOGIN, &texts::LOGIN_CHOICES.map(str::to_owned), 0)? {
            0 => {}
            1 => return Ok(true),
            _ => {
                roll_back(&state.user)?;
                return Ok(false);
            }
        }
    }
}

/// Waits for a login of `user` that works, and returns its service; `None`: Enter was pressed.
fn wait(user: &str) -> Result<Option<String>, CommandError> {
    let latest: Vec<Latest> = commands::read(&["log", "--last", "1"])?;
    let latest = latest.first().map_or(0, |event| event.id);
    let follow = ["log", "--follow", "--json", "--user", user];
    let mut follow = commands::twofa(&follow);
    let follow = follow.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = commands::spawn(follow)?;
    let result = watch(&mut child, latest);
    let _ = child.kill();
    let _ = child.wait();
    result
}

/// The service of the first login after the event `latest`.
fn watch(child: &mut Child, latest: i64) -> Result<Option<String>, CommandError> {
    let stdin = io::stdin();
    let Some(stdout) = child.stdout.take() else {
        return Ok(None);
    };
    let mut events = BufReader::new(stdout);
    loop {
        let is_buffered = !events.buffer().is_empty();
        if !is_buffered {
            let [is_typed, _] = ask::wait_for([stdin.as_fd(), events.get_ref().as_fd()])?;
            if is_typed {
                let mut typed = String::new();
                stdin.lock().take(4096).read_line(&mut typed)?;
                return Ok(None);
            }
        }
        let mut line = String::new();
        if events.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let event = serde_json::from_str::<Event>(&line).ok();
        match event
            .filter(|event| event.id > latest)
            .and_then(Event::login)
        {
            Some(Login::Works(service)) => return Ok(Some(service)),
            Some(Login::WouldNot(service, outcome)) => say(&texts::would_not(&service, outcome))?,
            Some(Login::Refused(service)) => say(&texts::refused(&service))?,
            None => {}
        }
    }
}
