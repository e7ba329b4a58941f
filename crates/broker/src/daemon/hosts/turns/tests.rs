use super::*;
use crate::testing::{Bench, TOKEN_CODES, clock, pass};
use twofa_core::Channel;
use twofa_proto::Secret;
use twofa_store::event::RefusalReason;
use twofa_store::{EventFilter, HostJoin, HostRights, NewHost};

const KEY: [u8; 32] = [2; 32];
const OTHER_KEY: [u8; 32] = [3; 32];
const ID: [u8; 16] = [9; 16];

mod enrolment;

/// A server with two hosts.
fn with_hosts(bench: Bench) -> Bench {
    with_hosts_that(&HostRights::default(), bench)
}

/// The same with these rights.
fn with_hosts_that(rights: &HostRights, bench: Bench) -> Bench {
    for (name, key) in [("web1", KEY), ("web2", OTHER_KEY)] {
        let (store, now) = (&bench.store, clock());
        let host = NewHost {
            id: name.into(),
            name: name.into(),
            rights: rights.clone(),
            token: key,
        };
        store.add_host(&host, &bench.origin, now).unwrap();
        let join = HostJoin {
            token: key,
            key,
            key_until: now.after(86_400),
        };
        assert!(store.join_host(join, &bench.origin, now).unwrap());
    }
    bench
}

fn by_mail() -> Bench {
    with_hosts(Bench::with_local_account().with(Channel::Email, "alice@example.org"))
}

fn by_token() -> Bench {
    with_hosts(Bench::with_local_account().with_token())
}

fn login(bench: &Bench) -> HostLogin {
    HostLogin {
        conversation: ID,
        user: bench.alice.name.clone(),
        uid: bench.alice.uid,
        service: "sshd".into(),
        first_factor: wire::FirstFactor::Shown,
        ..HostLogin::default()
    }
}

fn open(bench: &Bench, login: &HostLogin) -> Vec<FromServer> {
    let found = bench
        .store
        .read_for_login(&KEY, &account(login), None, clock());
    let (host, at_hand) = found.unwrap();
    let services = Services {
        at_hand: Some(&at_hand),
        ..bench.services()
    };
    begin(services, KEY, host, login).unwrap().said
}

fn answer_as(bench: &Bench, key: [u8; 32], number: u32, typed: &str) -> Vec<FromServer> {
    let answer = HostAnswer {
        conversation: ID,
        number,
        deadline: 15_000,
        answer: Some(Secret::from(typed)),
    };
    // What is likely changes nothing.
    let likely = number.is_multiple_of(2).then_some(&bench.alice);
    let spoken = go_on(bench.services(), &Seats::default(), key, likely, &answer);
    spoken.unwrap().said
}

fn answer(bench: &Bench, number: u32, typed: &str) -> Vec<FromServer> {
    answer_as(bench, KEY, number, typed)
}

fn verdict(said: &[FromServer]) -> Option<wire::Verdict> {
    match said.last() {
        Some(FromServer::Done { verdict, .. }) => Some(*verdict),
        _ => None,
    }
}

fn prompt(said: &[FromServer]) -> &str {
    match said.last() {
        Some(FromServer::Prompt { text, .. }) => text.expose(),
        other => panic!("no prompt: {other:?}"),
    }
}

fn passes(bench: &Bench) -> usize {
    let mut passes = 0;
    let each = |logged: twofa_store::LoggedEvent| {
        passes += usize::from(logged.kind == "passed" || logged.kind == "backup-code-used");
        true
    };
    bench.store.events(&EventFilter::default(), each).unwrap();
    passes
}

#[test]
fn a_code_that_was_mailed_passes_once_and_gets_its_verdict_again_for_a_minute() {
    let bench = by_mail();
    assert!(prompt(&open(&bench, &login(&bench))).contains("a***e@example.org"));
    let code = bench.mailbox.code();
    for _ in 0..2 {
        let said = answer(&bench, 1, &code);
        assert_eq!(verdict(&said), Some(wire::Verdict::Passed));
    }
    assert_eq!((passes(&bench), bench.failures()), (1, 0));
    // Neither another answer with its number, another number, nor another host.
    for said in [
        answer(&bench, 1, "000000000"),
        answer(&bench, 2, &code),
        answer_as(&bench, OTHER_KEY, 1, &code),
    ] {
        assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
    }
    pass(60);
    let said = answer(&bench, 1, &code);
    assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
    assert_eq!(passes(&bench), 1);
}

#[test]
fn a_wrong_answer_that_comes_twice_counts_once_and_leaves_as_many_tries() {
    let bench = by_mail();
    open(&bench, &login(&bench));
    let first = answer(&bench, 1, "000000000");
    assert!(prompt(&first).contains("Wrong code"), "{first:?}");
    assert_eq!(answer(&bench, 1, "000000000"), first);
    assert_eq!(bench.refusals(), [RefusalReason::WrongCode]);
    answer(&bench, 2, "000000001");
    let last = answer(&bench, 3, "000000002");
    assert_eq!(verdict(&last), Some(wire::Verdict::TriesUsedUp));
    assert_eq!(answer(&bench, 3, "000000002"), last);
    let said = answer(&bench, 4, &bench.mailbox.code());
    assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
    assert_eq!(bench.refusals().len(), 3);
}

#[test]
fn a_login_that_another_server_was_told_of_as_well_sends_one_code() {
    let bench = by_mail();
    let first = open(&bench, &login(&bench));
    let again = HostLogin {
        is_again: true,
        deadline: 1,
        ..login(&bench)
    };
    assert_eq!(open(&bench, &again), first);
    assert_eq!(bench.mailbox.destinations().len(), 1);
    let another = HostLogin {
        service: "login".into(),
        ..again
    };
    let said = open(&bench, &another);
    assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
}

#[test]
fn what_is_stored_of_a_conversation_has_no_code_in_it() {
    let bench = by_mail();
    open(&bench, &login(&bench));
    let found = bench.store.conversation(&ID, &KEY, clock()).unwrap();
    let stored = format!("{found:?}");
    assert!(!stored.contains(&bench.mailbox.code()), "{stored}");
}

#[test]
fn a_verdict_whose_reply_was_lost_with_its_server_is_the_verdict_on_the_same_answer() {
    let bench = by_token();
    open(&bench, &login(&bench));
    let found = bench.store.conversation(&ID, &KEY, clock()).unwrap();
    let found = found.unwrap();
    // The server dies when the verdict on a wrong code is on disk.
    let host = bench.store.host_by_key(&KEY, clock()).unwrap();
    let answering = Answering {
        conversation: ID,
        number: 1,
        hash: bench.store.answer_hash(&ID, 1, Some("000000")),
        goes_on: false,
    };
    let turn = AnswerTurn {
        answering,
        verdict: None,
        has_failed: false,
    };
    let peer = RelayedPeer::new(host, KEY, 0).at(turn);
    let (request, account) = read(&login(&bench));
    let relayed = relayed(&request, &account, &login(&bench)).unwrap();
    let mut exchange = Exchange::answer(&found.state, Some(Secret::from("000000")));
    let served = serve_relayed(bench.services(), &peer, relayed, &mut exchange);
    assert!(matches!(served, Served::Asked), "{served:?}");
    assert_eq!(bench.refusals(), [RefusalReason::WrongCode]);

    let said = answer(&bench, 1, TOKEN_CODES[0]);
    assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
    let said = answer(&bench, 1, "000000");
    assert!(prompt(&said).contains("Wrong code"), "{said:?}");
    assert_eq!(bench.refusals(), [RefusalReason::WrongCode]);
    let said = answer(&bench, 2, TOKEN_CODES[0]);
    assert_eq!(verdict(&said), Some(wire::Verdict::Passed));
}

#[test]
fn a_prompt_that_is_left_ends_and_is_on_record() {
    let bench = by_token();
    open(&bench, &login(&bench));
    sweep(bench.services()).unwrap();
    assert!(bench.refusals().is_empty());
    pass(300);
    let said = answer(&bench, 1, TOKEN_CODES[0]);
    assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
    for _ in 0..2 {
        sweep(bench.services()).unwrap();
        assert_eq!(bench.refusals(), [RefusalReason::GivenUp]);
    }
}

#[test]
fn a_claim_that_is_refused_or_without_the_first_factor_has_no_code_sent() {
    let bench = by_mail();
    let of = |user: &str, uid| HostLogin {
        user: user.to_owned(),
        uid,
        ..login(&bench)
    };
    let alice = &bench.alice;
    let mut claims = vec![
        of("root", 0),
        of(&alice.name, 0),
        of(&alice.name, alice.uid + 1),
        of("stranger", alice.uid),
        of("stranger", 4_000_000),
    ];
    for first_factor in [wire::FirstFactor::Unknown, wire::FirstFactor::LaterLine] {
        claims.push(HostLogin {
            first_factor,
            ..login(&bench)
        });
    }
    for (number, claim) in (1..).zip(&claims) {
        let claim = HostLogin {
            conversation: [number; 16],
            ..claim.clone()
        };
        let said = open(&bench, &claim);
        let shown = format!("{said:?}");
        assert!(!shown.contains("example.org"), "{claim:?} {shown}");
        assert_ne!(verdict(&said), Some(wire::Verdict::Passed));
    }
    assert_eq!(bench.mailbox.destinations(), [""; 0]);
    assert_eq!(bench.failures(), 0);
    // The same host with the first factor has it sent.
    open(&bench, &login(&bench));
    assert_eq!(bench.mailbox.destinations(), ["alice@example.org"]);
}

#[test]
fn a_certificate_that_ends_while_a_code_is_typed_lets_nobody_in() {
    let bench = by_mail();
    let key = [4; 32];
    let new = NewHost {
        id: "web3".into(),
        name: "web3".into(),
        rights: HostRights::default(),
        token: key,
    };
    let (store, now) = (&bench.store, clock());
    store.add_host(&new, &bench.origin, now).unwrap();
    let join = HostJoin {
        token: key,
        key,
        key_until: now.after(60),
    };
    assert!(store.join_host(join, &bench.origin, now).unwrap());
    let host = store.host_by_key(&key, now).unwrap();
    let begun = begin(bench.services(), key, host, &login(&bench)).unwrap();
    assert!(prompt(&begun.said).contains("a***e@example.org"));

    pass(60);
    // With the next message the host is looked up.
    let found = store.host_by_key(&key, clock());
    assert!(matches!(found, Err(StoreError::HostRefused)), "{found:?}");
    let answer = HostAnswer {
        conversation: ID,
        number: 1,
        deadline: 15_000,
        answer: Some(Secret::from(bench.mailbox.code().as_str())),
    };
    let said = go_on(bench.services(), &Seats::default(), key, None, &answer);
    assert!(matches!(said, Err(StoreError::HostRefused)), "{said:?}");
    assert_eq!(passes(&bench), 0);
}
