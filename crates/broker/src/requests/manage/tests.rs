use super::*;
use crate::testing::{Bench, ScriptedTerminal, TOKEN_CODES, app_code, clock, pass, saved};
use twofa_core::Channel;
use twofa_core::channel::PerChannel;
use twofa_proto::{AppRequest, UserReport};
use twofa_store::Settings;

const MAIL: &str = "alice@example.org";
const WRONG: &str = "000000";

fn bench() -> Bench {
    Bench::with_local_account()
}

fn owner(bench: &Bench) -> Peer {
    Peer::new(bench.alice.uid)
}

fn run(
    bench: &Bench,
    peer: Peer,
    request: &Request,
    terminal: &mut ScriptedTerminal<'_>,
) -> Result<Done, (Failure, String)> {
    let done = serve(bench.services(), peer, request, terminal);
    assert!(terminal.is_done(), "asked less often: {:?}", terminal.shown);
    match done {
        Done::Failed {
            failure, message, ..
        } => Err((failure, message)),
        done => Ok(done),
    }
}

fn refused(
    bench: &Bench,
    peer: Peer,
    request: &Request,
    terminal: &mut ScriptedTerminal<'_>,
) -> Failure {
    run(bench, peer, request, terminal).unwrap_err().0
}

fn user(bench: &Bench) -> String {
    bench.alice.name.clone()
}

fn status(bench: &Bench) -> Request {
    Request::Status { user: user(bench) }
}

fn enrol_app(bench: &Bench, label: Option<&str>) -> Request {
    Request::EnrolApp {
        user: user(bench),
        app: AppRequest {
            label: label.map(ToOwned::to_owned),
            counter: false,
            algorithm: "SHA1".into(),
            digits: 6,
            period: 30,
        },
    }
}

fn enrol_mail(bench: &Bench, address: Option<&str>) -> Request {
    Request::EnrolAddress {
        user: user(bench),
        method: "email".into(),
        address: address.map(ToOwned::to_owned),
    }
}

fn remove(bench: &Bench, method: &str) -> Request {
    Request::Remove {
        user: user(bench),
        method: method.into(),
    }
}

fn set(bench: &Bench, verify: Option<&str>, email: Option<&str>, attested: bool) -> Request {
    Request::Set {
        user: user(bench),
        verify: verify.map(ToOwned::to_owned),
        email: email.map(ToOwned::to_owned),
        phone: None,
        prefer: None,
        attested,
    }
}

fn new_codes(bench: &Bench) -> Request {
    Request::NewBackupCodes { user: user(bench) }
}

fn requests(bench: &Bench) -> [Request; 6] {
    [
        status(bench),
        enrol_app(bench, None),
        enrol_mail(bench, Some(MAIL)),
        remove(bench, "token"),
        set(bench, Some("always"), None, false),
        new_codes(bench),
    ]
}

fn report(bench: &Bench, peer: Peer) -> UserReport {
    match run(bench, peer, &status(bench), &mut ScriptedTerminal::new()) {
        Ok(Done::Status(report)) => *report,
        other => panic!("{other:?}"),
    }
}

/// An administrator put this address on file.
fn put_on_file(bench: &Bench, address: &str) {
    let settings = Settings {
        addresses: PerChannel::default().with(Channel::Email, Some(Some(address.to_owned()))),
        ..Settings::default()
    };
    let generation = bench.person().snapshot.generation;
    let origin = Origin::command_line(0);
    bench
        .store
        .set_user(&bench.alice, generation, &settings, &origin, clock())
        .unwrap();
}

#[test]
fn another_user_is_refused_everything_and_shown_nothing() {
    let bench = bench().with_token();
    for request in requests(&bench) {
        let mut terminal = ScriptedTerminal::new();
        let failure = refused(&bench, Peer::new(1234), &request, &mut terminal);
        assert_eq!(failure, Failure::NotPermitted, "{request:?}");
        assert!(terminal.shown.is_empty(), "{:?}", terminal.shown);
    }
}

#[test]
fn an_account_that_does_not_exist_is_not_found() {
    let bench = bench();
    let request = Request::Status {
        user: "nobody-of-this-name".into(),
    };
    let failure = refused(&bench, Peer::ROOT, &request, &mut ScriptedTerminal::new());
    assert_eq!(failure, Failure::NotFound);
}

#[test]
fn the_owner_reads_the_record_without_a_code() {
    let bench = bench().with_token();
    let report = report(&bench, owner(&bench));
    assert_eq!(report.methods, ["app"]);
    assert_eq!(report.apps[0].label, "token");
}

#[test]
fn no_change_is_made_for_an_owner_without_a_right_code() {
    let bench = bench().with_token();
    for request in requests(&bench).iter().skip(1) {
        let mut terminal = ScriptedTerminal::new().types("");
        let failure = refused(&bench, owner(&bench), request, &mut terminal);
        assert_eq!(failure, Failure::Denied, "{request:?}");
        assert!(
            terminal.shown[0].starts_with("To change this, first prove it is you."),
            "{:?}",
            terminal.shown
        );
    }
    let mut terminal = (0..3).fold(ScriptedTerminal::new(), |terminal, _| terminal.types(WRONG));
    let request = set(&bench, Some("always"), None, false);
    let failure = refused(&bench, owner(&bench), &request, &mut terminal);
    assert_eq!((failure, bench.failures()), (Failure::Denied, 3));
    assert_eq!(report(&bench, Peer::ROOT).verify, "new-device");
}

#[test]
fn a_right_code_permits_the_change_and_is_used_by_it() {
    let bench = bench().with_token();
    let request = set(&bench, Some("always"), None, false);
    let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]);
    assert_eq!(
        run(&bench, owner(&bench), &request, &mut terminal),
        Ok(Done::Changed)
    );
    assert_eq!(report(&bench, Peer::ROOT).verify, "always");
    let mut again = ScriptedTerminal::new().types(TOKEN_CODES[0]).types("");
    let failure = refused(&bench, owner(&bench), &request, &mut again);
    assert_eq!(failure, Failure::Denied);
    assert!(
        again.shown[1].starts_with("That code has already been used"),
        "{:?}",
        again.shown
    );
}

#[test]
fn a_locked_owner_is_refused_without_a_prompt() {
    let bench = bench().with_token();
    bench.policy(&[("lockout.after", "3")]);
    let request = set(&bench, Some("always"), None, false);
    let mut guesses = (0..3).fold(ScriptedTerminal::new(), |terminal, _| terminal.types(WRONG));
    refused(&bench, owner(&bench), &request, &mut guesses);
    let mut terminal = ScriptedTerminal::new();
    let (failure, message) = run(&bench, owner(&bench), &request, &mut terminal).unwrap_err();
    assert_eq!(failure, Failure::Denied);
    assert!(
        message.starts_with("Too many wrong codes: locked until"),
        "{message}"
    );
}

#[test]
fn what_changes_while_the_code_is_typed_stops_the_change() {
    let bench = bench().with_token();
    let meanwhile = |_: &str| {
        let generation = bench.person().snapshot.generation;
        let (alice, origin) = (&bench.alice, &bench.origin);
        bench
            .store
            .enrol_address(alice, generation, Channel::Email, MAIL, origin, clock())
            .unwrap();
        TOKEN_CODES[0].to_owned()
    };
    let mut terminal = ScriptedTerminal::new().answers(meanwhile);
    let failure = refused(
        &bench,
        owner(&bench),
        &remove(&bench, "token"),
        &mut terminal,
    );
    assert_eq!(failure, Failure::Failed);
    assert_eq!(report(&bench, Peer::ROOT).apps.len(), 1);
}

#[test]
fn an_owner_without_a_method_enrols_an_app_without_a_code() {
    let bench = bench();
    bench.policy(&[("methods", "app,backup")]);
    let mut terminal = ScriptedTerminal::new().answers(app_code).answers(saved);
    let done = run(
        &bench,
        owner(&bench),
        &enrol_app(&bench, None),
        &mut terminal,
    );
    assert_eq!(done, Ok(Done::Changed));
    let report = report(&bench, Peer::ROOT);
    assert_eq!(report.apps[0].label, "app");
    assert!(report.backup_codes_left > 0);
}

#[test]
fn an_address_on_file_proves_an_owner_without_a_method() {
    let bench = bench();
    put_on_file(&bench, MAIL);
    let mut terminal = ScriptedTerminal::new().types("");
    let failure = refused(
        &bench,
        owner(&bench),
        &enrol_app(&bench, None),
        &mut terminal,
    );
    assert_eq!(failure, Failure::Denied);
    assert_eq!(bench.mailbox.destinations(), [MAIL]);
    pass(60);
    // Enrolling that very address is the proof.
    let mut terminal = ScriptedTerminal::new()
        .answers(|_| bench.mailbox.code())
        .types("");
    let done = run(
        &bench,
        owner(&bench),
        &enrol_mail(&bench, None),
        &mut terminal,
    );
    assert_eq!(done, Ok(Done::Changed));
    assert_eq!(bench.mailbox.destinations(), [MAIL, MAIL]);
}

#[test]
fn an_owner_who_must_have_a_second_factor_keeps_the_last_method_and_root_may_remove_it() {
    let bench = bench().with_token();
    let request = remove(&bench, "token");
    let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[0]);
    let failure = refused(&bench, owner(&bench), &request, &mut terminal);
    assert_eq!(failure, Failure::NotPermitted);
    let opt_out = set(&bench, Some("never"), None, false);
    let mut terminal = ScriptedTerminal::new().types(TOKEN_CODES[1]);
    let failure = refused(&bench, owner(&bench), &opt_out, &mut terminal);
    assert_eq!(failure, Failure::NotPermitted);
    let mut terminal = ScriptedTerminal::new();
    assert_eq!(
        run(&bench, Peer::ROOT, &request, &mut terminal),
        Ok(Done::Changed)
    );
    assert!(report(&bench, Peer::ROOT).apps.is_empty());
}

#[test]
fn an_owner_whose_method_is_no_longer_allowed_may_add_one_and_do_nothing_else() {
    let bench = bench().with(Channel::Email, MAIL);
    bench.policy(&[("methods", "app")]);
    for request in [
        remove(&bench, "email"),
        set(&bench, Some("always"), None, false),
    ] {
        let mut terminal = ScriptedTerminal::new();
        let failure = refused(&bench, owner(&bench), &request, &mut terminal);
        assert_eq!(failure, Failure::NotPermitted, "{request:?}");
    }
    let mut terminal = ScriptedTerminal::new()
        .answers(|_| bench.mailbox.code())
        .answers(app_code);
    let done = run(
        &bench,
        owner(&bench),
        &enrol_app(&bench, None),
        &mut terminal,
    );
    assert_eq!(done, Ok(Done::Changed));
}

#[test]
fn the_record_of_another_account_of_this_name_is_changed_by_nobody_here() {
    let mut bench = bench();
    let local = bench.alice.clone();
    bench.alice.uid = 4242;
    let mut bench = bench.with_token();
    bench.alice = local;
    for peer in [Peer::ROOT, owner(&bench)] {
        let request = enrol_app(&bench, None);
        let mut terminal = ScriptedTerminal::new();
        let failure = refused(&bench, peer, &request, &mut terminal);
        assert_eq!(failure, Failure::NotPermitted);
        assert!(terminal.shown.is_empty());
    }
}

#[test]
fn an_address_that_its_owner_sets_is_verified_and_one_that_root_sets_is_not() {
    let bench = bench();
    let request = set(&bench, None, Some(MAIL), false);
    let mut terminal = ScriptedTerminal::new().types("");
    let failure = refused(&bench, owner(&bench), &request, &mut terminal);
    assert_eq!(failure, Failure::Denied);
    assert_eq!(report(&bench, Peer::ROOT).email, None);
    pass(60);
    let mut terminal = ScriptedTerminal::new();
    assert_eq!(
        run(&bench, Peer::ROOT, &request, &mut terminal),
        Ok(Done::Changed)
    );
    let email = report(&bench, Peer::ROOT).email.unwrap();
    assert_eq!((email.address.as_str(), email.verified), (MAIL, false));
}

#[test]
fn only_root_attests_an_address() {
    let bench = bench();
    let request = set(&bench, None, Some(MAIL), true);
    let failure = refused(
        &bench,
        owner(&bench),
        &request,
        &mut ScriptedTerminal::new(),
    );
    assert_eq!(failure, Failure::NotPermitted);
    let mut terminal = ScriptedTerminal::new();
    run(&bench, Peer::ROOT, &request, &mut terminal).unwrap();
    assert!(report(&bench, Peer::ROOT).email.unwrap().verified);
}

#[test]
fn backup_codes_need_a_policy_and_another_method() {
    let bench = bench();
    let request = new_codes(&bench);
    let failure = refused(&bench, Peer::ROOT, &request, &mut ScriptedTerminal::new());
    assert_eq!(failure, Failure::Failed, "no other method");
    bench.policy(&[("methods", "app,email,sms")]);
    let failure = refused(&bench, Peer::ROOT, &request, &mut ScriptedTerminal::new());
    assert_eq!(failure, Failure::NotPermitted, "not allowed");
}

#[test]
fn new_backup_codes_replace_the_old_ones_only_when_they_were_saved() {
    let bench = bench().with_token();
    let request = new_codes(&bench);
    let mut terminal = ScriptedTerminal::new().answers(saved);
    run(&bench, Peer::ROOT, &request, &mut terminal).unwrap();
    let before = bench.person().snapshot.user.backup.unwrap().unused;
    let mut terminal = ScriptedTerminal::new().types("????").types("");
    let failure = refused(&bench, Peer::ROOT, &request, &mut terminal);
    assert_eq!(failure, Failure::Denied);
    assert_eq!(bench.person().snapshot.user.backup.unwrap().unused, before);
}

#[test]
fn a_label_is_chosen_if_none_is_given_and_must_be_free_and_printable() {
    let bench = bench().with_token();
    bench.policy(&[("methods", "app")]);
    for bad in ["", "x\ny", "backup", &"x".repeat(33)] {
        let request = enrol_app(&bench, Some(bad));
        let failure = refused(&bench, Peer::ROOT, &request, &mut ScriptedTerminal::new());
        assert_eq!(failure, Failure::Usage, "{bad:?}");
    }
    let taken = enrol_app(&bench, Some("token"));
    let failure = refused(&bench, Peer::ROOT, &taken, &mut ScriptedTerminal::new());
    assert_eq!(failure, Failure::Failed);
    for _ in 0..2 {
        let mut terminal = ScriptedTerminal::new().answers(app_code);
        run(&bench, Peer::ROOT, &enrol_app(&bench, None), &mut terminal).unwrap();
    }
    let labels: Vec<_> = report(&bench, Peer::ROOT)
        .apps
        .into_iter()
        .map(|app| app.label)
        .collect();
    assert_eq!(labels, ["token", "app", "app-2"]);
}

#[test]
fn a_channel_without_a_provider_or_a_policy_is_refused_with_the_reason() {
    let bench = bench();
    let request = enrol_mail(&bench, Some(MAIL));
    bench.mailbox.missing.lock().unwrap().push(Channel::Email);
    let (failure, message) =
        run(&bench, Peer::ROOT, &request, &mut ScriptedTerminal::new()).unwrap_err();
    assert_eq!(failure, Failure::Failed);
    assert_eq!(message, "this machine cannot send codes by e-mail yet");
    bench.policy(&[("methods", "app")]);
    let failure = refused(&bench, Peer::ROOT, &request, &mut ScriptedTerminal::new());
    assert_eq!(failure, Failure::NotPermitted);
}

#[test]
fn removing_a_method_that_is_not_enrolled_names_those_that_are() {
    let bench = bench().with_token();
    let done = serve(
        bench.services(),
        Peer::ROOT,
        &remove(&bench, "phone"),
        &mut ScriptedTerminal::new(),
    );
    let Done::Failed { failure, hint, .. } = done else {
        panic!("{done:?}")
    };
    assert_eq!(failure, Failure::NotFound);
    assert_eq!(hint.as_deref(), Some("enrolled: token"));
}

#[test]
fn changes_without_a_code_are_limited() {
    let bench = bench();
    bench.policy(&[("mode", "optional")]);
    let refused = (0..1000).find_map(|n| {
        let verify = if n % 2 == 0 { "always" } else { "new-device" };
        let request = set(&bench, Some(verify), None, false);
        run(
            &bench,
            owner(&bench),
            &request,
            &mut ScriptedTerminal::new(),
        )
        .err()
    });
    let (failure, message) = refused.unwrap();
    assert_eq!(failure, Failure::Denied);
    assert!(
        message.starts_with("Too many changes were made"),
        "{message}"
    );
}

#[test]
fn the_log_has_the_person_behind_root_where_root_says_who_it_is() {
    let bench = bench();
    let request = set(&bench, Some("always"), None, false);
    let root = Peer::ROOT.with_login_uid(Some(1001));
    run(&bench, root, &request, &mut ScriptedTerminal::new()).unwrap();
    let mut who = Vec::new();
    let each = |event: twofa_store::LoggedEvent| {
        who.push((event.origin.actor, event.origin.login_uid));
        true
    };
    bench
        .store
        .events(&twofa_store::EventFilter::default(), each)
        .unwrap();
    assert_eq!(who.last(), Some(&(0, Some(1001))));
}
