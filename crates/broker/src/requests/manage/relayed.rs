//! What a person does with their own record on a host of the fleet, on the server that carries it out.
//!
//! That it is this person is the host's claim. It shows the record, without addresses and without what administrators noted.
//! A change takes a code that is verified here, in this conversation, or where nothing is enrolled, one to an address on
//! file; only a host on which people may enrol has a first method set up without.

use twofa_core::policy::FleetChanges;
use twofa_core::user::masked;
use twofa_core::{Account, Policy};
use twofa_proto::{ContactReport, Done, Request, UserReport};
use twofa_store::{AnswerVerdict, Origin};

use super::{carry_out, finish, only_reads};
use crate::context::{Context, Services};
use crate::identity::authority::{Peer, Permission};
use crate::identity::fleet_account::identify;
use crate::identity::person::{Person, PersonError};
use crate::identity::relayed::RelayedPeer;
use crate::requests::error::RequestError;
use crate::requests::login::{why_refused, why_stopped};
use crate::text::messages::{self, commands};
use crate::text::terminal::Terminal;

/// What became of a request, or of one answer in it.
#[derive(Debug)]
pub enum ServedOwn {
    /// It has ended.
    Done(Done),
    /// The terminal has a prompt, and waits for the answer.
    Asked,
    /// The answer was given to another server, or another answer with its number was.
    AnsweredMeanwhile,
}

/// Serves a `request` that `host` relays for the owner of `account`, as the host has it, or goes on with it.
pub fn serve(
    services: Services<'_>,
    host: &RelayedPeer,
    account: &Account,
    request: &Request,
    terminal: &mut dyn Terminal,
) -> ServedOwn {
    // A code proves the person, and is no login.
    let host = &host.clone().going_on();
    let result = permit(services, host, account, request, terminal);
    if terminal.is_waiting() && result.is_err() {
        return ServedOwn::Asked;
    }
    if result
        .as_ref()
        .is_err_and(|error| error.is_answered_meanwhile)
    {
        return ServedOwn::AnsweredMeanwhile;
    }
    ServedOwn::Done(match finish(result) {
        Done::Status(report) => Done::Status(Box::new(without_addresses(*report))),
        done => done,
    })
}

fn permit(
    services: Services<'_>,
    host: &RelayedPeer,
    claimed: &Account,
    request: &Request,
    terminal: &mut dyn Terminal,
) -> Result<Done, RequestError> {
    let rules = services.store.rules_in_force()?;
    let policy = rules.rulebook.machine();
    let account = identify(services.store, policy, claimed)?;
    let refused = why_refused(host, request, &account).map_err(PersonError::from)?;
    if claimed.uid == 0 || refused.is_some() {
        return Err(commands::NOT_ON_THIS_HOST.into());
    }
    let origin = Origin::command_line(host.asked_by).on_host(host.origin());
    if why_stopped(services, host, &account, &origin)?.is_some() {
        return Err(commands::NOT_ON_THIS_HOST.into());
    }
    let verdict = host.turn.as_ref().and_then(|turn| turn.verdict.as_ref());
    if verdict == Some(&AnswerVerdict::Changed) {
        // It is done, and may have taken away what proved the person.
        return Ok(Done::Changed);
    }
    let person = Person::load(services.store, &account)?;
    let permission = if only_reads(request) {
        Permission::Granted
    } else {
        check_change(policy, host, &person)?;
        Permission::AfterCode
    };
    let context = Context {
        services,
        account: &account,
        origin: &origin,
        person: &person,
        purpose: &messages::change_purpose_on(&host.name),
    };
    // It is nobody's who could do more than a user.
    let peer = Peer::new(account.uid);
    carry_out(context, peer, (request, permission), verdict, terminal)
}

/// Refuses a change that nothing but the host's word would stand for.
fn check_change(policy: &Policy, host: &RelayedPeer, person: &Person) -> Result<(), RequestError> {
    if policy.fleet_changes != FleetChanges::Everywhere {
        return Err(commands::CHANGES_ON_SERVERS.into());
    }
    let has_proof = !person.snapshot.user.enrolled().is_empty() || person.has_address_on_file();
    if has_proof || host.may_set_up() {
        Ok(())
    } else {
        Err(commands::NOTHING_PROVES_ON_HOST.into())
    }
}

/// What a host may know of a record.
fn without_addresses(report: UserReport) -> UserReport {
    let mask = |contact: ContactReport| ContactReport {
        address: masked(&contact.address),
        ..contact
    };
    UserReport {
        email: report.email.map(mask),
        phone: report.phone.map(mask),
        exemptions: Vec::new(),
        ..report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, ScriptedTerminal, TOKEN_CODES, clock, saved};
    use twofa_core::Channel;
    use twofa_core::channel::PerChannel;
    use twofa_proto::{AppRequest, Failure};
    use twofa_store::{HostJoin, HostRights, NewHost, Settings};

    const KEY: [u8; 32] = [2; 32];
    const MAIL: &str = "alice.of.example@example.org";

    /// A server with the host `web1`, where `nobody` asks.
    fn host(bench: &Bench, rights: HostRights) -> RelayedPeer {
        let new = NewHost {
            id: "00".into(),
            name: "web1".into(),
            rights,
            token: [1; 32],
        };
        let (store, now) = (&bench.store, clock());
        store.add_host(&new, &bench.origin, now).unwrap();
        let join = HostJoin {
            token: [1; 32],
            key: KEY,
            key_until: now.after(86_400),
        };
        assert!(store.join_host(join, &bench.origin, now).unwrap());
        let host = store.host_by_key(&KEY, now).unwrap();
        RelayedPeer::new(host, KEY, bench.alice.uid)
    }

    fn put_on_file(bench: &Bench) {
        let settings = Settings {
            addresses: PerChannel::default().with(Channel::Email, Some(Some(MAIL.to_owned()))),
            ..Settings::default()
        };
        let (store, generation) = (&bench.store, bench.person().snapshot.generation);
        let set = store.set_user(
            &bench.alice,
            generation,
            &settings,
            &Origin::command_line(0),
            clock(),
        );
        set.unwrap();
    }

    fn run(
        bench: &Bench,
        host: &RelayedPeer,
        account: &Account,
        request: &Request,
        terminal: &mut ScriptedTerminal<'_>,
    ) -> Result<Done, (Failure, String)> {
        match serve(bench.services(), host, account, request, terminal) {
            ServedOwn::Done(Done::Failed {
                failure, message, ..
            }) => Err((failure, message)),
            ServedOwn::Done(done) => Ok(done),
            other => panic!("{other:?}"),
        }
    }

    fn changes(user: &str) -> [Request; 5] {
        let user = || user.to_owned();
        [
            Request::EnrolApp {
                user: user(),
                app: AppRequest {
                    label: None,
                    counter: false,
                    algorithm: "SHA1".into(),
                    digits: 6,
                    period: 30,
                },
            },
            Request::EnrolAddress {
                user: user(),
                method: "email".into(),
                address: Some("mallory@example.org".into()),
            },
            Request::Remove {
                user: user(),
                method: "token".into(),
            },
            Request::Set {
                user: user(),
                verify: Some("always".into()),
                email: None,
                phone: None,
                prefer: None,
                attested: false,
            },
            Request::NewBackupCodes { user: user() },
        ]
    }

    #[test]
    fn a_host_is_shown_a_record_without_addresses() {
        let bench = Bench::with_local_account().with_token();
        put_on_file(&bench);
        let host = host(&bench, HostRights::default());
        let status = Request::Status {
            user: bench.alice.name.clone(),
        };
        let mut terminal = ScriptedTerminal::new();
        let Ok(Done::Status(report)) = run(&bench, &host, &bench.alice, &status, &mut terminal)
        else {
            panic!("no record")
        };
        assert_eq!(report.apps[0].label, "token");
        assert_eq!(report.email.unwrap().address, "a***e@example.org");
        assert!(terminal.shown.is_empty());
    }

    #[test]
    fn no_change_is_made_on_a_hosts_word_or_with_a_wrong_code() {
        let bench = Bench::with_local_account().with_token();
        let host = host(&bench, HostRights::default());
        let before = bench.person().snapshot.generation;
        for request in changes(&bench.alice.name) {
            let mut terminal = ScriptedTerminal::new().types("");
            let refused = run(&bench, &host, &bench.alice, &request, &mut terminal);
            assert_eq!(refused.unwrap_err().0, Failure::Denied, "{request:?}");
            assert!(terminal.shown[0].contains("prove it is you"));
        }
        let mut terminal = ScriptedTerminal::new().types("000000").types("");
        let [.., request, _] = &changes(&bench.alice.name);
        let refused = run(&bench, &host, &bench.alice, request, &mut terminal);
        assert!(refused.is_err());
        assert_eq!(bench.person().snapshot.generation, before);
    }

    #[test]
    fn with_a_right_code_new_backup_codes_are_made_and_the_log_says_on_which_host() {
        let bench = Bench::with_local_account().with_token();
        let host = host(&bench, HostRights::default());
        let [.., request] = changes(&bench.alice.name);
        let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]).answers(saved);
        let done = run(&bench, &host, &bench.alice, &request, &mut terminal);
        assert_eq!(done, Ok(Done::Changed), "{:?}", terminal.shown);
        let mut hosts = Vec::new();
        let each = |logged: twofa_store::LoggedEvent| {
            hosts.extend(logged.origin.host.map(|host| host.name));
            true
        };
        let filter = twofa_store::EventFilter::default();
        bench.store.events(&filter, each).unwrap();
        assert!(hosts.contains(&"web1".to_owned()), "{hosts:?}");
        // The code is used up.
        let mut again = ScriptedTerminal::new().types(TOKEN_CODES[0]).types("");
        assert!(run(&bench, &host, &bench.alice, &request, &mut again).is_err());
    }

    #[test]
    fn a_host_that_is_removed_while_the_code_is_typed_changes_nothing() {
        let bench = Bench::with_local_account().with_token();
        let host = host(&bench, HostRights::default());
        let [.., request] = changes(&bench.alice.name);
        let mut terminal = ScriptedTerminal::new().answers(|_| {
            let removed = bench.store.remove_host("web1", &bench.origin, clock());
            assert!(removed.unwrap());
            TOKEN_CODES[0].to_owned()
        });
        let done = run(&bench, &host, &bench.alice, &request, &mut terminal);
        assert_eq!(done.unwrap_err().0, Failure::Unavailable);
        assert_eq!(bench.person().snapshot.user.backup_codes_left(), 0);
    }

    #[test]
    fn who_has_nothing_enrolled_changes_nothing_unless_people_may_enrol_there() {
        let bench = Bench::with_local_account();
        let host = host(&bench, HostRights::default());
        for request in changes(&bench.alice.name) {
            let mut terminal = ScriptedTerminal::new();
            let refused = run(&bench, &host, &bench.alice, &request, &mut terminal);
            assert_eq!(refused.unwrap_err().0, Failure::NotPermitted);
            assert!(terminal.shown.is_empty(), "{:?}", terminal.shown);
        }
        let may_enrol = RelayedPeer {
            rights: HostRights {
                may_enrol: true,
                ..HostRights::default()
            },
            ..host
        };
        let [request, ..] = &changes(&bench.alice.name);
        let mut terminal = ScriptedTerminal::new().types("");
        assert!(run(&bench, &may_enrol, &bench.alice, request, &mut terminal).is_err());
        assert!(terminal.shown[0].contains("Key:"), "{:?}", terminal.shown);
    }

    #[test]
    fn root_another_uid_limited_hosts_and_servers_only_are_refused_before_a_prompt() {
        let bench = Bench::with_local_account().with_token();
        let host = host(&bench, HostRights::default());
        let alice = &bench.alice;
        let account = |name: &str, uid| Account {
            name: name.to_owned(),
            uid,
        };
        let as_root = RelayedPeer {
            asked_by: 0,
            ..host.clone()
        };
        let limited = RelayedPeer {
            rights: HostRights {
                services: vec!["sshd".into()],
                ..HostRights::default()
            },
            ..host.clone()
        };
        for (host, account) in [
            (&as_root, alice.clone()),
            (&limited, alice.clone()),
            (&host, account("root", 0)),
            (&host, account(&alice.name, 0)),
            (&host, account(&alice.name, alice.uid - 1)),
        ] {
            let status = Request::Status {
                user: account.name.clone(),
            };
            for request in changes(&account.name).into_iter().chain([status]) {
                let mut terminal = ScriptedTerminal::new();
                let refused = run(&bench, host, &account, &request, &mut terminal);
                assert_eq!(refused.unwrap_err().0, Failure::NotPermitted, "{request:?}");
                assert!(terminal.shown.is_empty(), "{:?}", terminal.shown);
            }
        }
        bench.policy(&[("fleet.changes", "servers-only")]);
        for request in changes(&alice.name) {
            let mut terminal = ScriptedTerminal::new();
            let (failure, message) =
                run(&bench, &host, alice, &request, &mut terminal).unwrap_err();
            assert_eq!(failure, Failure::NotPermitted);
            assert!(message.contains("fleet.changes"), "{message}");
            assert!(terminal.shown.is_empty(), "{:?}", terminal.shown);
        }
    }
}
