//! A login on a host of the fleet, on the server that decides about it.
//!
//! All that is known of it is the host's claim. It describes the login; nothing follows from it for another host: a device is
//! trusted on the host that reports it, no key that sshd verified counts as a factor, no method is set up unless the host may.

use twofa_core::decision::Reason;
use twofa_core::exemption::LoginSource;
use twofa_core::policy::FleetChanges;
use twofa_core::{Account, Decision, Denial, Membership, Rulebook};
use twofa_fleet::wire::DeviceClaim;
use twofa_proto::{Done, Login, Request, Verdict};
use twofa_store::event::RefusalReason;
use twofa_store::{Event, HostAdmission, Origin, StoreError};

use super::device::LoginDevice;
use super::enrolment::{self, Resumed};
use super::outcome::LoginOutcome;
use super::report::{self, LoginOnHost};
use super::request::{LoginError, LoginRequest, refuse};
use super::{finish, follow, leave_refusal, origin, why_nobody_is_asked};
use crate::context::{Context, Services};
use crate::identity::accounts::{self, Groups, NameServiceError};
use crate::identity::authority::Permission;
use crate::identity::first_factor::FirstFactor;
use crate::identity::fleet_account::identify;
use crate::identity::person::Person;
use crate::identity::relayed::{Asker, RelayedPeer};
use crate::text::messages::{self, reasons};
use crate::text::terminal::Terminal;

/// A login as a host describes it.
#[derive(Debug, Clone, Copy)]
pub struct RelayedLogin<'a> {
    /// [`Request::Login`] or [`Request::Account`].
    pub request: &'a Request,
    /// The login in it, without evidence.
    pub login: &'a Login,
    /// The account, as the host has it.
    pub account: &'a Account,
    /// What the host's stack says.
    pub first_factor: FirstFactor,
    /// Whether sshd asks.
    pub is_sshd: bool,
    /// What the host has established about the device behind it.
    pub device: Option<&'a DeviceClaim>,
}

/// What became of a login, or of one answer in it.
#[derive(Debug)]
pub enum Served {
    /// It has ended.
    Done(Done),
    /// It could not be decided, and ends as a refusal.
    Failed(Done),
    /// The terminal has a prompt, and waits for the answer.
    Asked,
    /// The answer was given to another server, or another answer with its number was.
    AnsweredMeanwhile,
}

/// Serves a login that `host` relays, or goes on with it. Any error is a refusal.
pub fn serve(
    services: Services<'_>,
    host: &RelayedPeer,
    relayed: RelayedLogin<'_>,
    terminal: &mut dyn Terminal,
) -> Served {
    let outcome = match begin(services, host, relayed, terminal) {
        Err(_) if terminal.is_waiting() => return Served::Asked,
        Err(error) if error.is_answered_meanwhile() => return Served::AnsweredMeanwhile,
        outcome => outcome,
    };
    leave_refusal(services, Asker::Host(host), relayed.login, &outcome);
    let is_decided = outcome.is_ok();
    let done = finish(outcome, terminal);
    if is_decided {
        Served::Done(done)
    } else {
        Served::Failed(done)
    }
}

/// Records that a login on `host` was left at its prompt, if the first factor was right and no answer was wrong.
pub fn record_given_up(
    services: Services<'_>,
    host: &RelayedPeer,
    relayed: RelayedLogin<'_>,
) -> Result<(), StoreError> {
    let asker = Asker::Host(host);
    let has_failed = asker.turn().is_some_and(|turn| turn.has_failed);
    if has_failed || !asker.is_root() || relayed.first_factor != FirstFactor::Shown {
        return Ok(());
    }
    let why = RefusalReason::GivenUp;
    let origin = origin::for_log(asker, relayed.login);
    let event = Event::Refused { why };
    services
        .store
        .record(Some(relayed.account), &event, &origin, services.now())
}

fn begin(
    services: Services<'_>,
    host: &RelayedPeer,
    relayed: RelayedLogin<'_>,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let rules = match services.at_hand {
        Some(at_hand) => at_hand.rules.clone(),
        None => services.store.rules_in_force()?,
    };
    let account = &identify(services.store, rules.rulebook.machine(), relayed.account)?;
    let relayed = RelayedLogin { account, ..relayed };
    decide(services, host, relayed, &rules.rulebook, terminal)
}

/// Decides about the login of an account that is the one on record here.
fn decide(
    services: Services<'_>,
    host: &RelayedPeer,
    relayed: RelayedLogin<'_>,
    rulebook: &Rulebook,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let RelayedLogin { login, account, .. } = relayed;
    if let Some((text, why)) = why_refused(host, relayed.request, account)? {
        let outcome = LoginOutcome::new(Verdict::Denied, why);
        return refuse(text, outcome, terminal);
    }
    let asker = Asker::Host(host);
    let origin = origin::for_log(asker, login);
    if let Some((text, why)) = why_stopped(services, host, account, &origin)? {
        let outcome = LoginOutcome::new(Verdict::Denied, why);
        return refuse(text, outcome, terminal);
    }
    let source = LoginSource {
        is_sshd: relayed.is_sshd,
        ..origin::for_exemptions(asker, login)
    };
    if let Some(why) = why_nobody_is_asked(rulebook, source) {
        if why == reasons::ONLY_REPORTED {
            report::record_on_host(services, host, reported(relayed, source));
        }
        return Ok(LoginOutcome::new(Verdict::NotRequired, why));
    }
    let person = match services.at_hand_of(account) {
        Some(at_hand) => Person::from_snapshot(at_hand.snapshot.clone(), account)?,
        None => Person::load(services.store, account)?,
    };
    let device = LoginDevice::of_host(services, host, relayed, &person)?;
    let (decision, exemption) = person.decide(account, source, device.is_trusted, services.now());
    let rights = within_rights(services, host, &person, account, decision)?;
    let device = device.unless_set_up(rights.decision)?;
    let hint = device.hint();
    // The code of a method that is to be replaced lets nobody in.
    let replacing = host.clone().going_on();
    let is_replaced = rights.decision == Decision::Replace;
    let asker = Asker::Host(if is_replaced { &replacing } else { host });
    let origin = origin::for_log(asker, login);
    let request = LoginRequest {
        context: Context {
            services,
            account,
            origin: &origin,
            person: &person,
            purpose: &messages::login_purpose_on(origin.service(), &host.name),
        },
        asker,
        login,
        decision: rights.decision,
        exemption: exemption.as_ref(),
        device: &device,
        is_account: matches!(relayed.request, Request::Account(_)),
        needs_invitation: rights.needs_invitation,
        trust_hint: hint.as_deref(),
    };
    let application = messages::application_name(rulebook.machine());
    let outcome = follow_or_go_on(&request, relayed.first_factor, &application, terminal)?;
    if decision == Decision::NotRequired(Reason::Report) {
        report::record_on_host(services, host, reported(relayed, source));
    }
    Ok(match person.doubts() {
        Some(doubts) => outcome.under_doubts(&doubts),
        None => outcome,
    })
}

/// Does what follows from the decision, or goes on with the setting up of a method.
fn follow_or_go_on(
    request: &LoginRequest<'_>,
    first_factor: FirstFactor,
    application: &str,
    terminal: &mut dyn Terminal,
) -> Result<LoginOutcome, LoginError> {
    let Some(resumed) = Resumed::find(terminal)? else {
        let outcome = follow(request, first_factor, application, terminal)?;
        outcome.tell_missed(request.context.now(), terminal);
        return Ok(outcome);
    };
    enrolment::go_on(request, resumed, terminal).inspect_err(|error| {
        if !terminal.is_waiting() {
            request.log_given_up(error);
        }
    })
}

fn reported<'a>(relayed: RelayedLogin<'a>, source: LoginSource<'a>) -> LoginOnHost<'a> {
    LoginOnHost {
        login: relayed.login,
        account: relayed.account,
        is_account: matches!(relayed.request, Request::Account(_)),
        is_shown: relayed.first_factor == FirstFactor::Shown,
        source,
    }
}

/// Why the host is refused before anybody is looked up: a text for people, and the reason for the log.
pub fn why_refused(
    host: &RelayedPeer,
    request: &Request,
    account: &Account,
) -> Result<Option<(&'static str, String)>, NameServiceError> {
    if account.uid == 0 {
        return Ok(Some((
            messages::ROOT_IS_LOCAL,
            reasons::ROOT_IS_LOCAL.to_owned(),
        )));
    }
    if host.may(request) == Permission::Refused {
        let why = reasons::not_for_this_host(&host.name);
        return Ok(Some((messages::NOT_FOR_THIS_HOST, why)));
    }
    // An account that this server does not know is taken as the host has it; one that it knows must be the same.
    let known = accounts::find(&account.name)?;
    if let Some(group) = &host.rights.people
        && !(known.as_ref() == Some(account) && is_member(group, account)?)
    {
        let why = reasons::not_of_its_people(&host.name, group);
        return Ok(Some((messages::NOT_FOR_THIS_HOST, why)));
    }
    let is_another = known.is_some_and(|known| known != *account);
    Ok(is_another.then(|| {
        let why = reasons::another_account(&account.name, account.uid);
        (messages::IDENTITY_MISMATCH, why)
    }))
}

/// Whether this server's own name service has `account` in the group called `group`. An error where that is not known.
fn is_member(group: &str, account: &Account) -> Result<bool, NameServiceError> {
    let Some(group) = accounts::group(group)? else {
        return Ok(false);
    };
    let mut groups = Groups::new(account);
    match groups.membership(&group) {
        Membership::Member => Ok(true),
        Membership::NotMember => Ok(false),
        Membership::Unknown => Err(NameServiceError::new(groups.doubts().join("; "))),
    }
}

/// Why the host is refused because of what it has asked before. The account is counted, whether it exists or not.
pub fn why_stopped(
    services: Services<'_>,
    host: &RelayedPeer,
    account: &Account,
    origin: &Origin,
) -> Result<Option<(&'static str, String)>, StoreError> {
    let (store, now) = (services.store, services.now());
    let settled = services
        .at_hand_of(account)
        .and_then(|known| known.admission);
    let admission = match settled {
        Some(settled) => settled,
        None => store.admit_person(&host.key, account, origin, now)?,
    };
    let why = match admission {
        HostAdmission::Admitted => return Ok(None),
        HostAdmission::CutOff => reasons::cut_off(&host.name),
        HostAdmission::TooManyPeople => reasons::too_many_people(&host.name),
    };
    Ok(Some((messages::TOO_MUCH_OF_A_HOST, why)))
}

/// What the host may have done of what was decided.
struct Rights {
    decision: Decision,
    needs_invitation: bool,
}

/// Nothing is set up on the host's word alone: a code that this server sends to an address on file, an invitation or a code
/// of a method that is enrolled comes first, unless an administrator trusts the host with that.
fn within_rights(
    services: Services<'_>,
    host: &RelayedPeer,
    person: &Person,
    account: &Account,
    decision: Decision,
) -> Result<Rights, LoginError> {
    let rulebook = &person.snapshot.rules.rulebook;
    let may_change = rulebook.machine().fleet_changes == FleetChanges::Everywhere;
    let allowed = |decision| Rights {
        decision,
        needs_invitation: false,
    };
    Ok(match decision {
        Decision::Enrol if !may_change => allowed(Decision::Deny(Denial::NotEnrolled)),
        Decision::Enrol if host.may_set_up() || person.has_address_on_file() => allowed(decision),
        Decision::Enrol if services.store.is_invited(account)? => Rights {
            decision,
            needs_invitation: true,
        },
        Decision::Enrol => allowed(Decision::Deny(Denial::NotEnrolled)),
        Decision::Replace if !may_change => allowed(Decision::Deny(Denial::NotAllowed)),
        Decision::Replace
        | Decision::NotRequired(_)
        | Decision::Trusted
        | Decision::Challenge
        | Decision::Deny(_) => allowed(decision),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, ScriptedTerminal, TOKEN_CODES, clock};
    use twofa_fleet::invitation;
    use twofa_store::{EventFilter, HostJoin, HostRights, NewHost};

    const KEY: [u8; 32] = [2; 32];

    /// A server with the host `web1`.
    fn bench() -> (Bench, RelayedPeer) {
        let bench = Bench::with_local_account().with_token();
        add_host(&bench, HostRights::default());
        let peer = peer(&bench);
        (bench, peer)
    }

    fn add_host(bench: &Bench, rights: HostRights) {
        let host = NewHost {
            id: "00".into(),
            name: "web1".into(),
            rights,
            token: [1; 32],
        };
        let (store, now) = (&bench.store, clock());
        store.add_host(&host, &bench.origin, now).unwrap();
        let join = HostJoin {
            token: [1; 32],
            key: KEY,
            key_until: now.after(86_400),
        };
        assert!(store.join_host(join, &bench.origin, now).unwrap());
    }

    fn peer(bench: &Bench) -> RelayedPeer {
        let host = bench.store.host_by_key(&KEY, clock()).unwrap();
        RelayedPeer::new(host, KEY, 0)
    }

    fn login(service: &str) -> Login {
        Login {
            service: service.into(),
            remote_host: Some("192.0.2.7".into()),
            ..Login::default()
        }
    }

    fn run(
        bench: &Bench,
        host: &RelayedPeer,
        account: &Account,
        terminal: &mut ScriptedTerminal<'_>,
    ) -> (Verdict, String) {
        let request = Request::Login(login("sshd"));
        let Request::Login(described) = &request else {
            panic!()
        };
        let relayed = RelayedLogin {
            request: &request,
            login: described,
            account,
            first_factor: FirstFactor::Shown,
            is_sshd: true,
            device: None,
        };
        match serve(bench.services(), host, relayed, terminal) {
            Served::Done(Done::Login {
                verdict,
                why,
                confirm: twofa_proto::Confirm::No,
            })
            | Served::Failed(Done::Login { verdict, why, .. }) => (verdict, why),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_code_lets_in_on_a_host_once_and_the_log_says_where() {
        let (bench, host) = bench();
        let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]);
        let (verdict, _) = run(&bench, &host, &bench.alice, &mut terminal);
        assert_eq!(verdict, Verdict::Passed);
        let mut terminal = ScriptedTerminal::new()
            .types(TOKEN_CODES[0])
            .types("")
            .types("");
        let (verdict, _) = run(&bench, &host, &bench.alice, &mut terminal);
        assert_ne!(verdict, Verdict::Passed);
        let mut hosts = Vec::new();
        let each = |logged: twofa_store::LoggedEvent| {
            if logged.kind == "passed" {
                hosts.push(logged.origin.host.map(|host| host.name));
            }
            true
        };
        bench.store.events(&EventFilter::default(), each).unwrap();
        assert_eq!(hosts, [Some("web1".to_owned())]);
    }

    #[test]
    fn a_host_that_is_removed_while_the_code_is_typed_gets_nobody_in_and_uses_no_code_up() {
        let (bench, host) = bench();
        let mut terminal = ScriptedTerminal::new().answers(|_| {
            let removed = bench.store.remove_host("web1", &bench.origin, clock());
            assert!(removed.unwrap());
            TOKEN_CODES[0].to_owned()
        });
        let (verdict, _) = run(&bench, &host, &bench.alice, &mut terminal);
        assert_eq!(verdict, Verdict::Unavailable);
        assert_eq!(bench.failures(), 0);
        add_host(&bench, HostRights::default());
        let host = peer(&bench);
        let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]);
        let (verdict, _) = run(&bench, &host, &bench.alice, &mut terminal);
        assert_eq!(verdict, Verdict::Passed);
    }

    #[test]
    fn a_host_is_refused_root_another_uid_and_services_that_it_does_not_have() {
        let (bench, host) = bench();
        let limited = RelayedPeer {
            rights: HostRights {
                services: vec!["sudo".into()],
                people: None,
                may_enrol: true,
            },
            ..host.clone()
        };
        let account = |name: &str, uid| Account {
            name: name.to_owned(),
            uid,
        };
        let own = &bench.alice;
        for (host, account) in [
            (&host, account("root", 0)),
            (&host, account("toor", 0)),
            (&host, account(&own.name, own.uid + 1)),
            // The server does not know it, and somebody else is on record with the uid.
            (&host, account("stranger", own.uid)),
            (&limited, own.clone()),
        ] {
            let mut terminal = ScriptedTerminal::new();
            let (verdict, why) = run(&bench, host, &account, &mut terminal);
            assert_eq!(verdict, Verdict::Denied, "{account:?} {why}");
            assert_eq!(terminal.shown.len(), 1, "{:?}", terminal.shown);
        }
    }

    #[test]
    fn where_the_mode_is_report_a_login_on_a_host_is_recorded_and_let_in() {
        let (bench, host) = bench();
        let set = |key, value| {
            let changed = bench
                .store
                .change_policy([(key, value)], &bench.origin, clock());
            changed.unwrap();
        };
        set("mode", "report");
        let mut terminal = ScriptedTerminal::new();
        let (verdict, why) = run(&bench, &host, &bench.alice, &mut terminal);
        assert_eq!((verdict, terminal.shown.len()), (Verdict::NotRequired, 0));
        assert_eq!(why, reasons::ONLY_REPORTED);
        let mut found = Vec::new();
        let each = |logged: twofa_store::LoggedEvent| {
            if logged.kind == "reported" {
                found.push(logged.origin.host.map(|host| host.name));
            }
            true
        };
        bench.store.events(&EventFilter::default(), each).unwrap();
        assert_eq!(found, [Some("web1".to_owned())]);
    }

    #[test]
    fn by_name_a_code_is_good_on_a_host_where_the_account_has_another_uid() {
        let (bench, host) = bench();
        let account = Account {
            uid: bench.alice.uid + 1,
            ..bench.alice.clone()
        };
        let login = |account: &Account| {
            let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]);
            run(&bench, &host, account, &mut terminal).0
        };
        assert_eq!(login(&account), Verdict::Denied);
        let by_name = [("fleet.identity", "name")];
        let changed = bench.store.change_policy(by_name, &bench.origin, clock());
        changed.unwrap();
        let root = Account {
            name: "root".to_owned(),
            uid: 1000,
        };
        assert_eq!(login(&root), Verdict::Denied);
        assert_eq!(login(&account), Verdict::Passed);
    }

    #[test]
    fn nothing_is_set_up_through_a_host_without_the_right() {
        let bench = Bench::with_local_account();
        add_host(&bench, HostRights::default());
        let host = peer(&bench);
        let mut terminal = ScriptedTerminal::new();
        let (verdict, _) = run(&bench, &host, &bench.alice, &mut terminal);
        assert_eq!(verdict, Verdict::Denied);
        assert!(!terminal.shown.concat().contains("Key:"));
        assert_eq!(bench.refusals(), [RefusalReason::NotEnrolled]);
        let may_enrol = RelayedPeer {
            rights: HostRights {
                may_enrol: true,
                ..HostRights::default()
            },
            ..host
        };
        let mut terminal = ScriptedTerminal::new().types("");
        run(&bench, &may_enrol, &bench.alice, &mut terminal);
        assert!(
            terminal.shown.concat().contains("Key:"),
            "{:?}",
            terminal.shown
        );
    }

    /// An invitation of the bench's user, in force for a minute.
    fn invite(bench: &Bench) -> String {
        let code = invitation::code([5; invitation::BYTES]);
        let (digest, until) = (invitation::digest(&code), clock().after(60));
        let (user, origin) = (&bench.alice, &bench.origin);
        let invited = bench.store.invite(user, digest, until, origin, clock());
        assert!(invited.unwrap());
        code
    }

    #[test]
    fn an_invitation_leads_to_a_first_method_on_any_host_and_what_is_none_does_not() {
        let bench = Bench::with_local_account();
        add_host(&bench, HostRights::default());
        let host = peer(&bench);
        let code = invite(&bench);
        let mut terminal = ScriptedTerminal::new()
            .types("AAAA-AAAA-AAAA-AAAA")
            .types(&code)
            .types("");
        run(&bench, &host, &bench.alice, &mut terminal);
        let shown = terminal.shown.concat();
        assert!(shown.contains("That is not your invitation."), "{shown}");
        assert!(shown.contains("Key:"), "{shown}");
        assert_eq!(bench.refusals()[0], RefusalReason::WrongInvitation);

        let wrong = "BBBB-BBBB-BBBB-BBBB";
        let mut terminal = ScriptedTerminal::new()
            .types(wrong)
            .types(wrong)
            .types(wrong);
        let (verdict, _) = run(&bench, &host, &bench.alice, &mut terminal);
        assert_eq!(verdict, Verdict::TriesUsedUp);
        assert!(!terminal.shown.concat().contains("Key:"));

        bench.policy(&[("fleet.changes", "servers-only")]);
        let mut terminal = ScriptedTerminal::new();
        let (verdict, _) = run(&bench, &host, &bench.alice, &mut terminal);
        assert_eq!(verdict, Verdict::Denied);
    }

    #[test]
    fn a_host_with_people_asks_about_them_and_all_others_are_refused_alike() {
        let bench = Bench::with_local_account().with_token();
        let group = |people: &str| HostRights {
            people: Some(people.to_owned()),
            ..HostRights::default()
        };
        add_host(&bench, group("nogroup"));
        let host = peer(&bench);
        let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]);
        let (verdict, _) = run(&bench, &host, &bench.alice, &mut terminal);
        assert_eq!(verdict, Verdict::Passed);

        let unknown = Account {
            name: "nobody-by-this-name".into(),
            uid: 4_000_000,
        };
        let namesake = Account {
            uid: bench.alice.uid - 1,
            ..bench.alice.clone()
        };
        let mut answers = Vec::new();
        for (people, account) in [
            ("root", &bench.alice),
            ("no-such-group", &bench.alice),
            ("nogroup", &unknown),
            ("nogroup", &namesake),
        ] {
            let host = RelayedPeer {
                rights: group(people),
                ..host.clone()
            };
            let mut terminal = ScriptedTerminal::new();
            let (verdict, _) = run(&bench, &host, account, &mut terminal);
            answers.push((verdict, terminal.shown));
        }
        assert_eq!(answers[0].0, Verdict::Denied);
        assert!(answers.iter().all(|answer| *answer == answers[0]));
    }

    #[test]
    fn a_host_that_asks_about_too_many_people_is_refused_before_anybody_is_looked_up() {
        let bench = Bench::with_local_account();
        bench.policy(&[("fleet.people-hourly", "1")]);
        add_host(&bench, HostRights::default());
        let host = peer(&bench);
        let stranger = |uid| Account {
            name: format!("stranger{uid}"),
            uid,
        };
        let ask = |account: &Account| {
            let mut terminal = ScriptedTerminal::new();
            let (verdict, why) = run(&bench, &host, account, &mut terminal);
            (verdict, why, terminal.shown.concat())
        };
        let (_, first, _) = ask(&stranger(4_000_001));
        let (verdict, second, shown) = ask(&bench.alice);
        assert!(!first.contains("too many people"), "{first}");
        assert!(second.contains("too many people"), "{second}");
        assert_eq!(verdict, Verdict::Denied);
        assert!(shown.contains("stopped after too many requests"), "{shown}");
    }
}
