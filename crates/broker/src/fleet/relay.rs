//! Passes a login to a shared account on to a server: texts, prompts and answers in both directions.
//!
//! A server is not trusted with more than it needs: what it shows is cleaned and cut, and it can ask for nothing that is not
//! seen while it is typed, so that it cannot ask for a password.

use std::time::{Duration, Instant};

use twofa_core::Account;
use twofa_core::address::parse_address;
use twofa_fleet::client::{Conversation, Servers};
use twofa_fleet::wire::{self, ConversationId, DeviceClaim, FromServer, HostLogin};
use twofa_proto::codec::CodecError;
use twofa_proto::{ConnectionError, Login, Prompt, Request, Secret, Verdict, WORK_TIMEOUT};
use twofa_store::{FleetLogin, Store};
use zeroize::Zeroizing;

use super::marks;
use crate::identity::authority::Peer;
use crate::identity::first_factor::FirstFactor;
use crate::process::log;
use crate::text::messages::{self, reasons};
use crate::text::terminal::{Stage, Terminal, TerminalClosed};

/// Characters of a server's text that are shown at most. A key with its picture has fewer than 4000.
const MAX_TEXT: usize = 8_000;
/// What a server has beyond its own limit until its answer counts as lost on the way.
pub(super) const TRANSIT: Duration = Duration::from_secs(2);

/// A login that is relayed.
pub(crate) struct RelayedRequest<'a> {
    pub(crate) peer: Peer,
    pub(crate) request: &'a Request,
    pub(crate) login: &'a Login,
    pub(crate) account: &'a Account,
    pub(crate) first_factor: FirstFactor,
    /// What is known of the device behind it.
    pub(crate) device: Option<DeviceClaim>,
    /// Why the rules of the fleet, as this host knows them, ask nobody at this login. That decides where no server can be reached.
    pub(crate) nobody_is_asked: Option<&'static str>,
}

/// What a server has decided.
pub(crate) struct Relayed {
    pub(crate) verdict: Verdict,
    /// Why, for the log.
    pub(crate) why: String,
    /// The login as the servers know it, if one of them let it pass.
    pub(crate) passed: Option<FleetLogin>,
    /// What the person is still to be told: why no server has decided.
    pub(crate) untold: Option<&'static str>,
}

impl Relayed {
    const fn without_server(verdict: Verdict, why: String) -> Self {
        Self {
            verdict,
            why,
            passed: None,
            untold: None,
        }
    }

    fn undecided(text: &'static str, why: String) -> Self {
        Self {
            untold: Some(text),
            ..Self::without_server(Verdict::Unavailable, why)
        }
    }
}

/// Has a server decide about the login. Without an answer of a server, which the caller tells the person, nobody gets in by this.
pub(crate) fn relay(
    servers: &Servers,
    store: &Store,
    relayed: &RelayedRequest<'_>,
    terminal: &mut dyn Terminal,
) -> Result<Relayed, TerminalClosed> {
    // All of it, with other servers tried, is to take no longer than a broker of this machine may.
    let deadline = Instant::now() + WORK_TIMEOUT;
    let mut login = describe(relayed);
    match store.mark_of_fleet() {
        Ok(mark) => login.seen = mark.as_ref().map(marks::on_the_wire),
        // What must not have gone back is not known.
        Err(error) => {
            return Ok(Relayed::undecided(messages::UNAVAILABLE, error.to_string()));
        }
    }
    let device = relayed.device.as_ref();
    let mut conversation = match servers.open_from(&login, device, deadline) {
        Ok(conversation) => conversation,
        Err(unreached) => {
            if let Some(why) = relayed.nobody_is_asked {
                let why = reasons::without_server(why, &unreached);
                return Ok(Relayed::without_server(Verdict::NotRequired, why));
            }
            return Ok(Relayed::undecided(
                messages::NO_SERVER,
                unreached.to_string(),
            ));
        }
    };
    remember(store, conversation.mark());
    match converse(&mut conversation, deadline, terminal)? {
        Ok((verdict, why)) => {
            let why = reasons::decided_by(conversation.server(), &why);
            let passed = passed(verdict, conversation.id());
            conversation.finish();
            Ok(Relayed {
                verdict: local(verdict),
                why,
                passed,
                untold: None,
            })
        }
        Err(error) => {
            let why = reasons::server_lost(conversation.server(), &error);
            Ok(Relayed::undecided(messages::NO_SERVER, why))
        }
    }
}

/// Remembers the last mark of the fleet's database, of which a server has told.
pub(super) fn remember(store: &Store, mark: Option<wire::Mark>) {
    // It is in memory in any case.
    if let Some(mark) = mark
        && let Err(error) = store.remember_mark(&marks::from_the_wire(mark))
    {
        log::warn(&error.to_string());
    }
}

fn passed(verdict: wire::Verdict, conversation: ConversationId) -> Option<FleetLogin> {
    let is_asked = match verdict {
        wire::Verdict::Passed => true,
        wire::Verdict::NotRequired | wire::Verdict::Exempt | wire::Verdict::Trusted => false,
        _ => return None,
    };
    Some(FleetLogin {
        conversation,
        is_asked,
    })
}

type Ended = Result<(wire::Verdict, String), ConnectionError>;

fn converse(
    conversation: &mut Conversation<'_>,
    mut deadline: Instant,
    terminal: &mut dyn Terminal,
) -> Result<Ended, TerminalClosed> {
    loop {
        let message = match conversation.receive(deadline + TRANSIT) {
            Ok(message) => message,
            Err(error) => return Ok(Err(error)),
        };
        match show(message, terminal)? {
            Said::Shown => {}
            Said::Error(text) => terminal.error(&text)?,
            Said::Answered(answer) => {
                deadline = Instant::now() + WORK_TIMEOUT;
                if let Err(error) = conversation.answer(answer, deadline) {
                    return Ok(Err(error));
                }
            }
            Said::Other(FromServer::Done { verdict, why }) => return Ok(Ok((verdict, why))),
            // No login is about the policy or a record.
            Said::Other(_) => return Ok(Err(CodecError::Aborted.into())),
        }
    }
}

/// What became of a server's message.
pub(super) enum Said {
    /// It has been shown, or needs nothing.
    Shown,
    /// It is an error, cleaned, which has not been shown.
    Error(String),
    /// It was a prompt, and this was typed.
    Answered(Option<Secret>),
    /// It ends the conversation.
    Other(FromServer),
}

/// Shows a server's message, or asks what it asks.
pub(super) fn show(
    message: FromServer,
    terminal: &mut dyn Terminal,
) -> Result<Said, TerminalClosed> {
    Ok(match message {
        FromServer::Accepted(_) => Said::Shown,
        FromServer::Info(text) => {
            terminal.info(clean(text.expose()))?;
            Said::Shown
        }
        FromServer::Error(text) => Said::Error(clean(&text).expose().to_owned()),
        FromServer::Prompt {
            text,
            echo,
            digits_behind_password,
            link,
        } => {
            if link.is_some() {
                // A key is shown. That takes people longer, and the server waits as long.
                terminal.reach(Stage::Enrolling);
            }
            let prompt = Prompt {
                text: clean(text.expose()),
                // A code typed behind the password leaves the module alone.
                echo: echo || digits_behind_password.is_none(),
                digits_behind_password,
                link,
            };
            Said::Answered(terminal.prompt(prompt)?)
        }
        end @ (FromServer::Done { .. } | FromServer::Policy { .. } | FromServer::Own(_)) => {
            Said::Other(end)
        }
    })
}

fn describe(relayed: &RelayedRequest<'_>) -> HostLogin {
    let RelayedRequest {
        peer,
        request,
        login,
        account,
        first_factor,
        device: _,
        nobody_is_asked: _,
    } = relayed;
    // Only root's programs say where a login comes from.
    let claim = |text: &Option<String>| text.clone().filter(|_| peer.is_root());
    let evidence = login.evidence.as_deref().filter(|_| peer.is_root());
    let ssh_client = evidence.and_then(|evidence| evidence.ssh_client.clone());
    HostLogin {
        conversation: [0; 16],
        is_again: false,
        deadline: 0,
        user: account.name.clone(),
        uid: account.uid,
        asked_by: peer.uid,
        service: login.service.clone(),
        is_sshd: ssh_client.is_some(),
        remote_host: ssh_client
            .filter(|address| parse_address(address).is_some())
            .or_else(|| claim(&login.remote_host)),
        remote_user: claim(&login.remote_user),
        terminal: claim(&login.terminal),
        first_factor: match first_factor {
            FirstFactor::Shown => wire::FirstFactor::Shown,
            FirstFactor::LaterLine => wire::FirstFactor::LaterLine,
            FirstFactor::Unknown => wire::FirstFactor::Unknown,
        },
        behind_password: login.behind_password,
        is_account: matches!(request, Request::Account(_)),
        may_ask: login.may_ask,
        cannot_answer: login.cannot_answer,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seen: None,
    }
}

const fn local(verdict: wire::Verdict) -> Verdict {
    match verdict {
        wire::Verdict::Passed => Verdict::Passed,
        wire::Verdict::NotRequired => Verdict::NotRequired,
        wire::Verdict::Exempt => Verdict::Exempt,
        wire::Verdict::Later => Verdict::Later,
        wire::Verdict::Denied => Verdict::Denied,
        wire::Verdict::TriesUsedUp => Verdict::TriesUsedUp,
        wire::Verdict::Unavailable => Verdict::Unavailable,
        wire::Verdict::NoAnswer => Verdict::NoAnswer,
        wire::Verdict::Trusted => Verdict::Trusted,
    }
}

/// The text without anything that steers a terminal, and not too long. It may show a key.
pub(super) fn clean(text: &str) -> Secret {
    let is_shown = |c: &char| *c == '\n' || !twofa_core::text::is_unprintable(*c);
    let mut cleaned = Zeroizing::new(String::with_capacity(text.len()));
    cleaned.extend(text.chars().filter(is_shown).take(MAX_TEXT));
    Secret::from(cleaned.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_shows_steers_no_terminal_and_has_an_end() {
        assert_eq!(clean("a\u{1b}[2J\r\nb\u{202e}").expose(), "a[2J\nb");
        assert_eq!(clean(&"x".repeat(9_000)).expose().len(), MAX_TEXT);
    }
}
