//! What people do with their own record on a host. Each answer is worked on with nothing but the store, as any server would.

use super::*;
use crate::testing::{app_code, saved};
use twofa_core::Verify;
use twofa_core::channel::PerChannel;
use twofa_fleet::wire::{Failure, HostRequest, OwnAct, OwnEnd};
use twofa_store::Settings;

const MAIL: &str = "alice@example.org";
const PHONE: &str = "+4917612345678";

fn request(bench: &Bench, act: OwnAct) -> HostRequest {
    HostRequest {
        conversation: ID,
        deadline: 15_000,
        user: bench.alice.name.clone(),
        uid: bench.alice.uid,
        act,
        version: "0".into(),
        seen: None,
    }
}

fn ask(bench: &Bench, act: &OwnAct) -> Vec<FromServer> {
    let host = bench.store.host_by_key(&KEY, clock()).unwrap();
    let request = request(bench, act.clone());
    let spoken = own_turns::begin(bench.services(), KEY, host, &request);
    spoken.unwrap().said
}

/// Works on an answer, and dies before there is a reply; then another server has the answer.
fn answer_twice(bench: &Bench, act: &OwnAct, number: u32, typed: &str) -> Vec<FromServer> {
    let found = bench.store.conversation(&ID, &KEY, clock()).unwrap();
    let found = found.unwrap();
    let host = bench.store.host_by_key(&KEY, clock()).unwrap();
    let answering = Answering {
        conversation: ID,
        number,
        hash: bench.store.answer_hash(&ID, number, Some(typed)),
        goes_on: false,
    };
    let turn = AnswerTurn {
        answering,
        verdict: None,
        has_failed: false,
    };
    let peer = RelayedPeer::new(host, KEY, bench.alice.uid).at(turn);
    let exchange = Exchange::answer(&found.state, Some(Secret::from(typed)));
    let request = request(bench, act.clone());
    own_turns::serve(bench.services(), &peer, &request, exchange);
    let said = answer(bench, number, typed);
    assert_eq!(answer(bench, number, typed), said);
    said
}

fn is_changed(said: &[FromServer]) -> bool {
    said.last() == Some(&FromServer::Own(OwnEnd::Changed))
}

fn failure(said: &[FromServer]) -> Failure {
    match said.last() {
        Some(FromServer::Own(OwnEnd::Failed { failure, .. })) => *failure,
        other => panic!("{other:?}"),
    }
}

fn set(verify: Option<&str>, email: Option<&str>, phone: Option<&str>) -> OwnAct {
    OwnAct::Set {
        verify: verify.map(str::to_owned),
        email: email.map(str::to_owned),
        phone: phone.map(str::to_owned),
        prefer: None,
    }
}

fn app() -> OwnAct {
    OwnAct::EnrolApp {
        label: None,
        counter: false,
        algorithm: "SHA1".into(),
        digits: 6,
        period: 30,
    }
}

fn events_of(bench: &Bench, kind: &str) -> usize {
    let mut count = 0;
    let each = |logged: twofa_store::LoggedEvent| {
        count += usize::from(logged.kind == kind);
        true
    };
    bench.store.events(&EventFilter::default(), each).unwrap();
    count
}

#[test]
fn a_change_takes_a_code_and_is_made_once_at_whatever_server() {
    let bench = by_token();
    let act = set(Some("always"), None, None);
    let asked = prompt(&ask(&bench, &act)).to_owned();
    assert!(asked.contains("prove it is you"), "{asked}");
    // The beginning came again.
    assert_eq!(prompt(&ask(&bench, &act)), asked);
    let said = answer_twice(&bench, &act, 1, "000000");
    assert!(prompt(&said).contains("Wrong code"), "{said:?}");
    assert_eq!(bench.refusals(), [RefusalReason::WrongCode]);
    assert!(is_changed(&answer_twice(&bench, &act, 2, TOKEN_CODES[0])));
    assert_eq!(bench.person().snapshot.user.verify, Verify::Always);
    assert_eq!(events_of(&bench, "user-changed"), 1);
    // It is no login, and no session can be reported for it.
    let found = bench.store.conversation(&ID, &KEY, clock()).unwrap();
    assert_eq!(found.unwrap().verdict, Some(AnswerVerdict::Changed));
}

#[test]
fn a_method_is_removed_once_and_the_second_server_says_so_too() {
    let bench = by_token();
    bench.policy(&[("mode", "optional")]);
    let act = OwnAct::Remove {
        method: "token".into(),
    };
    ask(&bench, &act);
    let said = answer_twice(&bench, &act, 1, TOKEN_CODES[0]);
    assert!(is_changed(&said), "{said:?}");
    assert!(bench.person().snapshot.user.apps.is_empty());
}

#[test]
fn an_app_is_added_with_the_key_that_was_shown() {
    let bench = by_token();
    bench.policy(&[("methods", "app")]);
    ask(&bench, &app());
    let key = prompt(&answer_twice(&bench, &app(), 1, TOKEN_CODES[0])).to_owned();
    assert!(key.contains("Key:"), "{key}");
    let said = answer_twice(&bench, &app(), 2, "000000");
    assert!(prompt(&said).contains("4 tries are left"), "{said:?}");
    assert!(is_changed(&answer_twice(
        &bench,
        &app(),
        3,
        &app_code(&key)
    )));
    let apps = bench.person().snapshot.user.apps;
    let labels: Vec<_> = apps.iter().map(|app| app.label.as_str()).collect();
    assert_eq!(labels, ["token", "app"]);
}

#[test]
fn two_addresses_are_verified_one_after_the_other_by_one_message_each() {
    let bench = by_token();
    bench.policy(&[("methods", "app,email,sms"), ("phone.country", "DE")]);
    let act = set(Some("always"), Some(MAIL), Some(PHONE));
    ask(&bench, &act);
    answer_twice(&bench, &act, 1, TOKEN_CODES[0]);
    assert_eq!(bench.mailbox.destinations(), [MAIL]);
    let code = bench.mailbox.code();
    answer_twice(&bench, &act, 2, &code);
    assert_eq!(bench.mailbox.destinations(), [MAIL, PHONE]);
    let code = bench.mailbox.code();
    let said = answer_twice(&bench, &act, 3, &code);
    assert!(is_changed(&said), "{said:?}");
    let user = bench.person().snapshot.user;
    let addresses: Vec<_> = Channel::ALL
        .into_iter()
        .filter_map(|channel| user.contacts[channel].as_ref())
        .map(|contact| (contact.address.as_str(), contact.verified))
        .collect();
    assert_eq!(addresses, [(MAIL, true), (PHONE, true)]);
    assert_eq!(user.verify, Verify::Always);
}

#[test]
fn where_nothing_is_enrolled_a_code_to_the_address_on_file_is_the_proof() {
    let bench = with_hosts(Bench::with_local_account());
    let settings = Settings {
        addresses: PerChannel::default().with(Channel::Email, Some(Some(MAIL.to_owned()))),
        ..Settings::default()
    };
    let generation = bench.person().snapshot.generation;
    let (store, origin) = (&bench.store, Origin::command_line(0));
    let on_file = store.set_user(&bench.alice, generation, &settings, &origin, clock());
    on_file.unwrap();
    let act = set(Some("always"), None, None);
    assert!(prompt(&ask(&bench, &act)).contains("a***e@example.org"));
    let code = bench.mailbox.code();
    assert!(is_changed(&answer_twice(&bench, &act, 1, &code)));
    assert_eq!(bench.mailbox.destinations().len(), 1);
    assert_eq!(bench.person().snapshot.user.verify, Verify::Always);
}

#[test]
fn backup_codes_are_the_ones_that_were_shown() {
    let bench = by_token();
    let act = OwnAct::NewBackupCodes;
    ask(&bench, &act);
    let codes = prompt(&answer_twice(&bench, &act, 1, TOKEN_CODES[0])).to_owned();
    assert!(codes.contains("Backup codes"), "{codes}");
    assert!(is_changed(&answer_twice(&bench, &act, 2, &saved(&codes))));
    assert_eq!(bench.person().snapshot.user.backup_codes_left(), 5);
    assert_eq!(events_of(&bench, "backup-codes-made"), 1);
}

#[test]
fn what_has_changed_between_two_answers_ends_the_request() {
    let bench = by_token();
    bench.policy(&[("methods", "app")]);
    ask(&bench, &app());
    let key = prompt(&answer(&bench, 1, TOKEN_CODES[0])).to_owned();
    let (store, origin) = (&bench.store, Origin::command_line(0));
    store.reset(&bench.alice, &origin, clock()).unwrap();
    let said = answer(&bench, 2, &app_code(&key));
    assert_eq!(failure(&said), Failure::NotPermitted);
    assert!(bench.person().snapshot.user.apps.is_empty());

    let bench = by_token();
    ask(&bench, &app());
    bench.policy(&[("fleet.changes", "servers-only")]);
    let said = answer(&bench, 1, TOKEN_CODES[0]);
    assert_eq!(failure(&said), Failure::NotPermitted);
}
