//! Logins in which a method is set up. Each answer is worked on with nothing but the store, as any server would.

use super::*;
use crate::testing::{app_code, saved};
use twofa_core::channel::PerChannel;
use twofa_fleet::invitation;
use twofa_store::Settings;

const MAIL: &str = "alice@example.org";

/// Nothing is enrolled, and the hosts may have `methods` set up.
fn nothing_enrolled(methods: &str) -> Bench {
    let rights = HostRights {
        may_enrol: true,
        ..HostRights::default()
    };
    let bench = with_hosts_that(&rights, Bench::with_local_account());
    bench.policy(&[("methods", methods)]);
    bench
}

/// Works on an answer, and dies before there is a reply.
fn die_at(bench: &Bench, number: u32, typed: &str) {
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
    let peer = RelayedPeer::new(host, KEY, 0).at(turn);
    let (request, account) = read(&login(bench));
    let relayed = relayed(&request, &account, &login(bench)).unwrap();
    let mut exchange = Exchange::answer(&found.state, Some(Secret::from(typed)));
    serve_relayed(bench.services(), &peer, relayed, &mut exchange);
}

fn put_on_file(bench: &Bench) {
    let settings = Settings {
        addresses: PerChannel::default().with(Channel::Email, Some(Some(MAIL.to_owned()))),
        ..Settings::default()
    };
    let generation = bench.person().snapshot.generation;
    let (store, origin) = (&bench.store, Origin::command_line(0));
    let set = store.set_user(&bench.alice, generation, &settings, &origin, clock());
    set.unwrap();
}

fn passed(said: &[FromServer]) -> bool {
    verdict(said) == Some(wire::Verdict::Passed)
}

#[test]
fn an_app_and_backup_codes_are_set_up_and_every_answer_that_comes_again_gets_its_first_reply() {
    let bench = nothing_enrolled("app,backup");
    let key = prompt(&open(&bench, &login(&bench))).to_owned();
    let again = HostLogin {
        is_again: true,
        ..login(&bench)
    };
    assert_eq!(prompt(&open(&bench, &again)), key);
    for _ in 0..2 {
        let said = answer(&bench, 1, "000000");
        assert!(prompt(&said).contains("4 tries are left"), "{said:?}");
    }
    let code = app_code(&key);
    let codes = prompt(&answer(&bench, 2, &code)).to_owned();
    assert!(codes.contains("Backup codes"), "{codes}");
    assert_eq!(prompt(&answer(&bench, 2, &code)), codes);
    assert_eq!(passes(&bench), 0);
    let end = saved(&codes);
    for _ in 0..2 {
        assert!(passed(&answer(&bench, 3, &end)));
    }
    let user = bench.person().snapshot.user;
    assert_eq!((user.apps.len(), user.backup_codes_left()), (1, 5));
    assert_eq!(passes(&bench), 1);
    // The code that confirmed the app is used up.
    let next = HostLogin {
        conversation: [8; 16],
        ..login(&bench)
    };
    open(&bench, &next);
    let code_again = HostAnswer {
        conversation: [8; 16],
        number: 1,
        deadline: 15_000,
        answer: Some(Secret::from(code.as_str())),
    };
    let seats = Seats::default();
    let said = go_on(bench.services(), &seats, KEY, None, &code_again).unwrap();
    assert!(!passed(&said.said), "{said:?}");
}

#[test]
fn a_server_that_dies_behind_each_answer_of_an_enrolment_costs_nothing_and_repeats_nothing() {
    let bench = nothing_enrolled("app,backup");
    let key = prompt(&open(&bench, &login(&bench))).to_owned();
    die_at(&bench, 1, "qr");
    assert!(prompt(&answer(&bench, 1, "qr")).contains("Scan this"));
    let code = app_code(&key);
    die_at(&bench, 2, &code);
    assert_eq!(bench.person().snapshot.user.apps.len(), 1);
    // Nobody else's answer goes on from there.
    let said = answer(&bench, 2, "000000");
    assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
    let codes = prompt(&answer(&bench, 2, &code)).to_owned();
    let end = saved(&codes);
    die_at(&bench, 3, &end);
    assert_eq!(passes(&bench), 1);
    assert!(passed(&answer(&bench, 3, &end)));
    let user = bench.person().snapshot.user;
    assert_eq!((user.apps.len(), user.backup_codes_left()), (1, 5));
    assert_eq!(passes(&bench), 1);
}

#[test]
fn an_address_gets_one_message_for_one_answer_whatever_becomes_of_the_server() {
    let bench = nothing_enrolled("email");
    let said = open(&bench, &login(&bench));
    assert!(prompt(&said).contains("Your e-mail address"), "{said:?}");
    die_at(&bench, 1, MAIL);
    let code = bench.mailbox.code();
    let said = answer(&bench, 1, MAIL);
    assert!(prompt(&said).contains("a***e@example.org"), "{said:?}");
    assert_eq!(bench.mailbox.destinations(), [MAIL]);
    // A wrong code counts once, at whatever server.
    die_at(&bench, 2, "999999999");
    let wrong = prompt(&answer(&bench, 2, "999999999")).to_owned();
    assert_eq!(prompt(&answer(&bench, 2, "999999999")), wrong);
    die_at(&bench, 3, &code);
    assert_eq!(passes(&bench), 1);
    assert!(passed(&answer(&bench, 3, &code)));
    assert_eq!((passes(&bench), bench.mailbox.destinations().len()), (1, 1));
    let user = bench.person().snapshot.user;
    assert!(user.contacts[Channel::Email].as_ref().unwrap().verified);
}

#[test]
fn a_code_to_an_address_on_file_comes_first_and_once() {
    let bench = with_hosts(Bench::with_local_account());
    bench.policy(&[("methods", "app")]);
    put_on_file(&bench);
    assert!(prompt(&open(&bench, &login(&bench))).contains("a***e@example.org"));
    let code = bench.mailbox.code();
    // The server died before the login was on record, and another one has it again.
    let elsewhere = HostLogin {
        conversation: [8; 16],
        is_again: true,
        ..login(&bench)
    };
    let said = open(&bench, &elsewhere);
    assert!(prompt(&said).contains("another login"), "{said:?}");
    assert_eq!(bench.mailbox.destinations().len(), 1);

    die_at(&bench, 1, &code);
    let key = prompt(&answer(&bench, 1, &code)).to_owned();
    assert!(key.contains("Key:"), "{key}");
    assert_eq!(passes(&bench), 0);
    assert!(passed(&answer(&bench, 2, &app_code(&key))));
    assert_eq!((passes(&bench), bench.failures()), (1, 0));
}

#[test]
fn an_invitation_counts_once_and_is_not_skipped() {
    let bench = with_hosts(Bench::with_local_account());
    bench.policy(&[("methods", "app")]);
    let code = invitation::code([5; invitation::BYTES]);
    let (digest, until) = (invitation::digest(&code), clock().after(60));
    let invited = bench
        .store
        .invite(&bench.alice, digest, until, &bench.origin, clock());
    assert!(invited.unwrap());
    open(&bench, &login(&bench));
    let wrong = "AAAA-AAAA-AAAA-AAAA";
    die_at(&bench, 1, wrong);
    let said = answer(&bench, 1, wrong);
    assert!(prompt(&said).contains("not your invitation"), "{said:?}");
    assert_eq!(bench.refusals(), [RefusalReason::WrongInvitation]);
    let key = prompt(&answer(&bench, 2, &code)).to_owned();
    assert!(key.contains("Key:"), "{key}");
    assert!(passed(&answer(&bench, 3, &app_code(&key))));
}

#[test]
fn a_right_that_is_taken_away_meanwhile_ends_the_enrolment() {
    let bench = nothing_enrolled("app");
    let key = prompt(&open(&bench, &login(&bench))).to_owned();
    bench.policy(&[("fleet.changes", "servers-only")]);
    let said = answer(&bench, 1, &app_code(&key));
    assert_eq!(verdict(&said), Some(wire::Verdict::Denied));
    assert!(bench.person().snapshot.user.apps.is_empty());

    let bench = nothing_enrolled("app");
    let key = prompt(&open(&bench, &login(&bench))).to_owned();
    let (store, origin) = (&bench.store, &bench.origin);
    assert!(store.remove_host("web1", origin, clock()).unwrap());
    let answer = HostAnswer {
        conversation: ID,
        number: 1,
        deadline: 15_000,
        answer: Some(Secret::from(app_code(&key).as_str())),
    };
    let said = go_on(bench.services(), &Seats::default(), KEY, None, &answer);
    assert!(matches!(said, Err(StoreError::HostRefused)), "{said:?}");
    assert!(bench.person().snapshot.user.apps.is_empty());
}

#[test]
fn what_somebody_else_has_enrolled_meanwhile_is_not_added_to() {
    let bench = nothing_enrolled("app");
    let key = prompt(&open(&bench, &login(&bench))).to_owned();
    let bench = bench.with_token();
    let said = answer(&bench, 1, &app_code(&key));
    assert_eq!(verdict(&said), Some(wire::Verdict::Denied));
    assert_eq!(bench.person().snapshot.user.apps.len(), 1);
}

#[test]
fn a_code_of_a_method_that_is_replaced_lets_nobody_in_until_there_is_another() {
    let bench = with_hosts(Bench::with_local_account().with_token());
    bench.policy(&[("methods", "email")]);
    open(&bench, &login(&bench));
    die_at(&bench, 1, TOKEN_CODES[0]);
    let said = answer(&bench, 1, TOKEN_CODES[0]);
    assert!(prompt(&said).contains("Your e-mail address"), "{said:?}");
    let found = bench.store.conversation(&ID, &KEY, clock()).unwrap();
    assert!(!found.unwrap().is_over);
    let said = answer(&bench, 2, "");
    assert_eq!(verdict(&said), Some(wire::Verdict::Denied));
    let found = bench.store.conversation(&ID, &KEY, clock()).unwrap();
    let found = found.unwrap();
    assert!(found.is_over && !matches!(found.verdict, Some(AnswerVerdict::Right(_))));

    let again = HostLogin {
        conversation: [8; 16],
        ..login(&bench)
    };
    open(&bench, &again);
    let mut said = Vec::new();
    let mut code = String::new();
    for (number, typed) in [(1, TOKEN_CODES[1]), (2, MAIL), (3, "")] {
        let typed = if number == 3 { code.as_str() } else { typed };
        let answer = HostAnswer {
            conversation: [8; 16],
            number,
            deadline: 15_000,
            answer: Some(Secret::from(typed)),
        };
        let spoken = go_on(bench.services(), &Seats::default(), KEY, None, &answer);
        said = spoken.unwrap().said;
        if number == 2 {
            code = bench.mailbox.code();
        }
    }
    assert!(passed(&said), "{said:?}");
}

#[test]
fn an_enrolment_that_is_left_waits_for_a_quarter_of_an_hour_and_is_on_record_then() {
    let bench = nothing_enrolled("app");
    open(&bench, &login(&bench));
    answer(&bench, 1, "000000");
    let found = || bench.store.conversation(&ID, &KEY, clock()).unwrap();
    assert!(found().unwrap().is_secret);
    pass(899);
    sweep(bench.services()).unwrap();
    assert!(found().is_some() && bench.refusals().is_empty());
    pass(1);
    sweep(bench.services()).unwrap();
    assert!(found().is_none());
    assert_eq!(bench.refusals(), [RefusalReason::GivenUp]);
}

#[test]
fn no_answer_behind_an_enrolment_lets_nobody_in() {
    let bench = nothing_enrolled("app,backup");
    let key = prompt(&open(&bench, &login(&bench))).to_owned();
    answer(&bench, 1, &app_code(&key));
    let none = HostAnswer {
        conversation: ID,
        number: 2,
        deadline: 15_000,
        answer: None,
    };
    let said = go_on(bench.services(), &Seats::default(), KEY, None, &none).unwrap();
    assert_eq!(verdict(&said.said), Some(wire::Verdict::NoAnswer));
    assert_eq!(passes(&bench), 0);
    // Codes that were shown and not confirmed do not keep anybody out.
    assert_eq!(bench.person().snapshot.user.apps.len(), 1);
}
